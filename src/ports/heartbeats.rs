//! Signs of life of a session, kept where a crash cannot take them.

use crate::domain::night::Heartbeat;

/// Keeps the newest sign of life of each session.
pub trait Heartbeats: Send + Sync {
    /// Replaces the sign of life of a session. What cannot be written is lost; work does not stop for it.
    fn record(&self, session: &str, beat: &Heartbeat);

    /// Returns the newest sign of life of a session.
    fn last(&self, session: &str) -> Option<Heartbeat>;
}
