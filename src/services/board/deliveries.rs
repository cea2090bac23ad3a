//! The way of what GitHub tells by itself to the one that follows the repository.
//!
//! One loop takes what is asked for and what is told, so that both never act on the same issue at once.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use crate::domain::github::WebhookEvent;

/// How many deliveries may wait; GitHub is told to come again beyond that.
const MOST: usize = 64;

/// Why a delivery was not dealt with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeliveryError(pub String);

/// A delivery on its way.
pub(super) struct PendingDelivery {
    pub(super) news: WebhookEvent,
    pub(super) done: oneshot::Sender<Result<String, DeliveryError>>,
}

/// Where deliveries are handed in.
#[derive(Clone)]
pub(super) struct DeliveryQueue {
    sender: mpsc::Sender<PendingDelivery>,
    inbox: Arc<Mutex<Option<mpsc::Receiver<PendingDelivery>>>>,
}

impl DeliveryQueue {
    pub(super) fn new() -> Self {
        let (sender, inbox) = mpsc::channel(MOST);
        Self {
            sender,
            inbox: Arc::new(Mutex::new(Some(inbox))),
        }
    }

    /// Returns the end where deliveries come out, once.
    pub(super) fn inbox(&self) -> Option<mpsc::Receiver<PendingDelivery>> {
        self.inbox.lock().ok()?.take()
    }

    /// Hands a delivery in, and says in words what became of it.
    pub(super) async fn deliver(&self, news: WebhookEvent) -> Result<String, DeliveryError> {
        let (done, told) = oneshot::channel();
        let handed = self.sender.try_send(PendingDelivery { news, done });
        handed.map_err(|_| DeliveryError("too many deliveries wait already".to_owned()))?;
        told.await
            .map_err(|_| DeliveryError("the service is ending".to_owned()))?
    }
}
