//! What a board says to its workers, in a bucket of its own: whoever is to take nothing new, the form of orders, their lanes.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::kv;
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::{
    connection::NatsConnection,
    patience::{keys, patiently},
};
use crate::domain::cluster::WorkerInstructions;

/// How often the whole bucket is read although nobody told of a change.
const LOOK: Duration = Duration::from_secs(20);

/// The bucket.
#[derive(Clone)]
pub(super) struct ControlBucket {
    bucket: kv::Store,
}

impl ControlBucket {
    /// Opens the bucket, and makes it where there is none.
    pub(super) async fn open(cluster: &NatsConnection) -> Result<Self, String> {
        Ok(Self {
            bucket: cluster.bucket("CONTROL", Duration::ZERO).await?,
        })
    }

    /// Reads everything.
    pub(super) async fn read(&self) -> Result<WorkerInstructions, String> {
        let mut entries = Vec::new();
        for key in keys(&self.bucket).await? {
            let value = self.bucket.get(&key).await;
            if let Some(value) = value.map_err(|error| error.to_string())? {
                entries.push((key, String::from_utf8_lossy(&value).into_owned()));
            }
        }
        let entries = entries.iter();
        Ok(WorkerInstructions::read(
            entries.map(|(key, value)| (key.as_str(), value.as_str())),
        ))
    }

    /// Writes an entry, unless it stands there already.
    pub(super) async fn put(&self, key: &str, value: &str) -> Result<(), String> {
        patiently(|| async move {
            let known = self.bucket.get(key).await;
            let known = known.map_err(|error| error.to_string())?;
            if known.is_some_and(|known| known == value.as_bytes()) {
                return Ok(());
            }
            let put = self.bucket.put(key, value.to_owned().into()).await;
            put.map(drop).map_err(|error| error.to_string())
        })
        .await
    }

    /// Takes an entry away.
    pub(super) async fn delete(&self, key: &str) -> Result<(), String> {
        let gone = self.bucket.purge(key).await;
        gone.map_err(|error| error.to_string())
    }

    /// Reads everything now and whenever something changes, for as long as somebody listens.
    pub(super) async fn follow(self, told: watch::Sender<WorkerInstructions>) {
        loop {
            // First the watch, then the reading, so that no change falls between the two.
            let changes = self.bucket.watch_all().await;
            match self.read().await {
                Ok(controls) => {
                    told.send_if_modified(|known| {
                        let is_new = *known != controls;
                        *known = controls;
                        is_new
                    });
                }
                Err(why) => tracing::debug!("{why}"),
            }
            let changed = async {
                match changes {
                    Ok(mut changes) => drop(changes.next().await),
                    Err(error) => {
                        tracing::debug!("{error}");
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(LOOK) => {}
                () = told.closed() => return,
            }
        }
    }
}

/// Begins to follow the controls of a board beside everything else.
pub(super) fn followed(
    cluster: &Arc<NatsConnection>,
    bucket: ControlBucket,
    now: WorkerInstructions,
) -> watch::Receiver<WorkerInstructions> {
    let (sender, controls) = watch::channel(now);
    drop(cluster.spawn(bucket.follow(sender)));
    controls
}
