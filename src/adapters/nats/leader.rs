//! Who leads: one key in a bucket whose values end by themselves, taken and renewed by compare-and-set.
//!
//! The key only keeps two controllers from working against each other; what makes it safe is the log, which refuses the
//! append of whoever does not know its last message.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::kv;
use tokio::sync::watch;

use super::{connection::NatsConnection, patience::moment};
use crate::domain::time::Timestamp;

/// The key.
const KEY: &str = "controller";

/// Why somebody leads no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LostRight {
    /// This one leads now.
    To(String),
    /// The servers have not answered for as long as the right lasts without being renewed.
    Unanswered,
}

/// The right to lead, for as long as it is renewed.
pub(super) struct Leadership {
    lost: watch::Receiver<Option<LostRight>>,
}

impl std::fmt::Debug for Leadership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leadership").finish_non_exhaustive()
    }
}

impl Leadership {
    /// Returns what says why, when the right is lost.
    pub(super) fn lost(&self) -> watch::Receiver<Option<LostRight>> {
        self.lost.clone()
    }
}

/// Returns when the controller that leads renewed its right last; `None` = none leads now.
pub(super) async fn said_last(cluster: &NatsConnection) -> Option<Timestamp> {
    let name = cluster.stream_name("LEADER");
    let bucket = cluster.jetstream.get_key_value(&name).await.ok()?;
    let entry = bucket.entry(KEY).await.ok()??;
    moment(&entry)
}

/// Waits until this controller leads. Tells `following` once, with who leads, when somebody else does.
pub(super) async fn lead(
    cluster: &Arc<NatsConnection>,
    instance: &str,
    lifetime: Duration,
    following: &(dyn Fn(&str) + Send + Sync),
) -> Result<Leadership, String> {
    let bucket = cluster.bucket("LEADER", lifetime).await?;
    let mut told = false;
    loop {
        match bucket.create(KEY, instance.to_owned().into()).await {
            Ok(revision) => {
                let (sender, lost) = watch::channel(None);
                let renewing = renew(bucket, revision, instance.to_owned(), lifetime, sender);
                drop(cluster.spawn(renewing));
                return Ok(Leadership { lost });
            }
            Err(_) if told => {}
            Err(_) => {
                let holder = bucket.get(KEY).await.ok().flatten();
                if let Some(holder) = holder {
                    following(&String::from_utf8_lossy(&holder));
                    told = true;
                }
            }
        }
        tokio::time::sleep(lifetime / 8).await;
    }
}

async fn renew(
    bucket: kv::Store,
    mut revision: u64,
    instance: String,
    lifetime: Duration,
    lost: watch::Sender<Option<LostRight>>,
) {
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = lost.closed() => {
                // Whoever waits need not wait until the key has ended by itself.
                drop(bucket.delete_expect_revision(KEY, Some(revision)).await);
                return;
            }
            () = tokio::time::sleep(lifetime / 4) => {}
        }
        let value = instance.clone().into();
        match tokio::time::timeout(lifetime / 4, bucket.update(KEY, value, revision)).await {
            Ok(Ok(newer)) => {
                revision = newer;
                renewed = tokio::time::Instant::now();
            }
            _ if renewed.elapsed() < lifetime * 3 / 4 => {
                // An answer may have been lost: the key may stand at a newer revision that is ours.
                if let Ok(Some(entry)) = bucket.entry(KEY).await
                    && entry.value == instance.as_bytes()
                {
                    revision = entry.revision;
                }
            }
            _ => {
                let asked = tokio::time::timeout(lifetime / 4, bucket.entry(KEY)).await;
                let holder = asked.ok().and_then(Result::ok).flatten();
                let holder = holder.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
                let why = match holder.filter(|name| !name.is_empty() && *name != instance) {
                    Some(name) => LostRight::To(name),
                    None => LostRight::Unanswered,
                };
                lost.send_replace(Some(why));
                return;
            }
        }
    }
}
