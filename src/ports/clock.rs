//! Time and chance.

use std::time::Duration;

use crate::{domain::time::Timestamp, ports::BoxFuture};

/// Tells the time, waits, and draws lots.
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time with the local offset. It may jump, also backwards.
    fn now(&self) -> Timestamp;

    /// Returns time since some fixed moment; it never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Returns time since some fixed moment, the time the machine slept included.
    fn boottime(&self) -> Duration {
        self.monotonic()
    }

    /// Returns a random number in `0.0..1.0`, for jitter.
    fn random(&self) -> f64;

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}
