//! What came of a list, for whoever started it.

use serde::{Deserialize, Serialize};

use super::StopReason;
use crate::domain::ledger::TaskEnd;

/// What came of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListReport {
    /// The run.
    pub run: String,
    /// Every task, in the order of the list.
    pub tasks: Vec<TaskEnd>,
    /// Why it ended.
    pub stop: StopReason,
    /// The newest accepted commit, and the reference that holds it.
    pub tip: Option<(String, String)>,
    /// Ways to tell people that did not work.
    pub untold: Vec<String>,
    /// Files of the checkout that every task got a copy of.
    pub shared_files: Vec<String>,
    /// How often an agent was called.
    #[serde(default)]
    pub calls: u32,
    /// The tokens that agents count.
    #[serde(default)]
    pub tokens: u64,
    /// When the quota that ended the session is renewed, in milliseconds since 1970, where the agent says so.
    #[serde(default)]
    pub quota_until: Option<u64>,
    /// Where the last try that was not accepted is kept: a reference, or a folder where git cannot hold it.
    #[serde(default)]
    pub preserved: Option<String>,
}
