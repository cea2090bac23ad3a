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
}
