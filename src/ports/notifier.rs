//! Telling people who are not at the terminal.

use std::time::Duration;

use crate::{
    domain::notify::{Notification, NotificationError, NotificationEvent},
    ports::BoxFuture,
};

/// One way to tell.
pub trait Notifier: Send + Sync {
    /// Returns its name for messages.
    fn name(&self) -> &str;

    /// Says whether it is to be told of such events.
    fn wants(&self, event: NotificationEvent) -> bool;

    /// Says whether it is here and now: nothing of it is worth keeping for later.
    fn is_ephemeral(&self) -> bool;

    /// Tells, once; an error is a sentence without secrets.
    fn tell<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Result<(), NotificationError>>;
}

/// How deliveries stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// How many notifications arrived, counted once a way.
    pub arrived: u32,
    /// One sentence a way that could not be told.
    pub failed: Vec<String>,
}

/// Takes notifications and delivers them beside the work.
pub trait NotificationSink: Send + Sync {
    /// Takes one; returns at once.
    fn send(&self, notification: Notification);

    /// Waits until everything has been tried once, at most so long, and says how deliveries stand.
    fn flush(&self, most: Duration) -> BoxFuture<'_, DeliveryReport>;
}

/// Nobody is told.
#[derive(Debug)]
pub struct NullNotificationSink;

impl NotificationSink for NullNotificationSink {
    fn send(&self, _notification: Notification) {}

    fn flush(&self, _most: Duration) -> BoxFuture<'_, DeliveryReport> {
        Box::pin(async { DeliveryReport::default() })
    }
}
