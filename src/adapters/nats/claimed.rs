//! What both queues of a worker do with a message: found out whether it is begun here, and kept alive until its work ends.
//!
//! Before a worker begins, it takes the claim, which only one ever gets. Danger: whoever had a claim may be gone, and then the work is
//! never begun a second time but reported as lost.

use std::sync::Arc;

use async_nats::{
    Client, Subscriber,
    jetstream::{AckKind, Message},
};
use futures_util::StreamExt as _;
use tokio::{sync::watch, task::JoinHandle};

use super::{connection::NatsConnection, presence::Presence};
use crate::{
    domain::cluster::{Delivery, delivered},
    ports::{
        BoxFuture,
        cluster::{Error, StopFeed},
    },
};

/// Tries to take the claim of a message for a worker, and says what becomes of the message.
pub(super) async fn claim(
    presence: &Presence,
    key: &str,
    worker: &str,
) -> Result<Delivery, String> {
    let has_claim = presence.claim(key, &presence.own_name(worker)).await?;
    let is_heard_of = has_claim || presence.holder(key).await?.is_some();
    Ok(delivered(has_claim, is_heard_of))
}

/// A message under way: its claim and the message are kept alive until this is dropped.
pub(super) struct ClaimedMessage {
    client: Client,
    message: Arc<Message>,
    stop: watch::Receiver<u8>,
    beating: JoinHandle<()>,
}

impl ClaimedMessage {
    /// Begins to keep a message and its claim, `(key, worker)`, alive. `how` reads what is said to whoever works on it.
    pub(super) fn keep(
        cluster: &NatsConnection,
        presence: Presence,
        (key, worker): (String, String),
        message: Message,
        mut stops: Subscriber,
        how: impl Fn(&[u8]) -> Option<u8> + Send + 'static,
    ) -> Self {
        let (sender, stop) = watch::channel(0_u8);
        let message = Arc::new(message);
        let kept = Arc::clone(&message);
        let beat = cluster.heartbeat_interval();
        let beating = cluster.spawn(async move {
            // Nobody waits for this one: whoever gets the message too gets it much later.
            presence.renew_claim(&key, &worker).await;
            loop {
                tokio::select! {
                    told = stops.next() => match told {
                        Some(told) => {
                            if let Some(how) = how(&told.payload) {
                                sender.send_replace(how);
                            }
                        }
                        None => tokio::time::sleep(beat).await,
                    },
                    () = tokio::time::sleep(beat) => {
                        presence.renew_claim(&key, &worker).await;
                        // A beat that is lost is followed by another.
                        drop(kept.ack_with(AckKind::Progress).await);
                    }
                }
            }
        });
        Self {
            client: cluster.client.clone(),
            message,
            stop,
            beating,
        }
    }

    /// Returns what the other side says of the work.
    pub(super) fn stop(&self) -> Box<dyn StopFeed> {
        Box::new(ToldToStop(self.stop.clone()))
    }

    /// Takes the message out of the queue for good, and waits until the server says so.
    pub(super) async fn done(&self) -> Result<(), Error> {
        let Some(place) = &self.message.reply else {
            return Err(Error("the message came from no queue".to_owned()));
        };
        // As any question is asked, without a subscription of its own.
        let done = self.client.request(place.clone(), AckKind::Ack.into());
        let done = done.await.map(drop);
        done.map_err(|error| Error(error.to_string()))
    }
}

impl Drop for ClaimedMessage {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// What the controller says of an order under way.
struct ToldToStop(watch::Receiver<u8>);

impl StopFeed for ToldToStop {
    fn next(&mut self) -> BoxFuture<'_, Option<u8>> {
        Box::pin(async {
            self.0.changed().await.ok()?;
            Some(*self.0.borrow())
        })
    }
}
