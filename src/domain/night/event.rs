//! The events of a run that are told to whoever collects them.

use serde::Serialize;
use serde_json::Value;

/// One event; the time and the number that make it unique are added where it is written down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEvent {
    /// The run.
    pub run: String,
    /// The session.
    pub session: String,
    /// What happened.
    pub name: &'static str,
    /// Details.
    pub data: Value,
}
