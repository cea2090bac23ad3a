//! What a stop of everything and a cleanup did, counted.

use serde::{Deserialize, Serialize};

/// What `stop-all` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopAllCounts {
    /// Processes told to stop.
    pub stopped: usize,
    /// Processes that did not run, or cannot be stopped.
    pub skipped: usize,
    /// Runs cancelled.
    pub cancelled_runs: usize,
    /// Tasks back in the queue.
    pub requeued_tasks: usize,
}

/// What a cleanup removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupCounts {
    /// Tasks that waited for an agent.
    pub queued: usize,
    /// Tasks.
    pub tasks: usize,
    /// Runs.
    pub runs: usize,
    /// What runs left: commits, diffs, logs. It stays where it lies; only the board forgets it.
    pub artifacts: usize,
    /// Leases.
    pub leases: usize,
    /// Events that are shown no more.
    pub events: u64,
    /// Agents that are up and idle now.
    pub agents: usize,
    /// Processes that were told to stop before.
    pub stopped: usize,
    /// Judgements.
    pub judgements: usize,
    /// Entries of the merge queue.
    pub merges: usize,
    /// Cycles.
    pub cycles: usize,
}
