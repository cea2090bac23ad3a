//! How a worker on another machine ends: it takes nothing new, ends what it has, and after a while ends that at once. And how it waits
//! for an answer meanwhile.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

use crate::ports::BoxFuture;

/// A worker's end: how long attempts may still go on.
pub(super) struct WorkerEnd {
    drain: Duration,
    deadline: Option<Instant>,
    end: watch::Sender<bool>,
}

impl WorkerEnd {
    /// Returns it, with what tells attempts that they may go on no longer.
    pub(super) fn new(drain: Duration) -> (Self, watch::Receiver<bool>) {
        let (end, ended) = watch::channel(false);
        let ending = Self {
            drain,
            deadline: None,
            end,
        };
        (ending, ended)
    }

    /// Looks at how often a stop was asked for and at the clock; returns whether nothing new is taken.
    pub(super) fn look(&mut self, how: u8) -> bool {
        if how == 0 {
            return false;
        }
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert(now + self.drain);
        if how > 1 || deadline <= now {
            self.end.send_replace(true);
        }
        true
    }

    /// Waits until attempts may go on no longer, for ever where that is not foreseen or was said already.
    pub(super) async fn deadline(&self) {
        match self.deadline {
            Some(at) if !*self.end.borrow() => tokio::time::sleep_until(at).await,
            _ => std::future::pending().await,
        }
    }
}

/// A question under way.
pub(super) type Question<T> = BoxFuture<'static, T>;

/// Waits for the answer to a question, for ever where none was asked.
pub(super) async fn answer<T>(asked: &mut Option<Question<T>>) -> T {
    match asked {
        Some(question) => question.await,
        None => std::future::pending().await,
    }
}
