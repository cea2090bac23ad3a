#![allow(dead_code, unused_imports)]
pub mod domain {
    #[path = "/work/wt/brain/src/domain/board/mod.rs"]
    pub mod board;
    pub mod ledger {
        use serde::{Deserialize, Serialize};
/// How a guarded task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// Its work was accepted.
    Success,
    /// It was tried and rolled back.
    Failed,
    /// It was left out because a task before it failed.
    Skipped,
    /// It was never started.
    NotRun,
    /// It was stopped by a person or a limit of the session.
    Blocked,
}

impl TaskOutcome {
    /// Returns whether the task reached a verdict.
    pub const fn is_verdict(self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }

    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::NotRun => "not_run",
            Self::Blocked => "blocked",
        }
    }
}

        pub struct End { pub task: String, pub outcome: TaskOutcome }
    }
    #[path = "/var/cache/brainlab/src/time.rs"]
    pub mod time;
    pub mod agent {
        pub enum AgentEnd { Done, LimitReached { seconds: Option<u64>, reason: String }, ProviderDown { seconds: Option<u64>, reason: String }, NeedsPerson { reason: String, remedy: String }, Failed { reason: String, again: bool } }
    }
    pub mod tasks {
        use serde::{Deserialize, Serialize};
        #[path = "/var/cache/brainlab/src/queue.rs"]
        mod queue;
        pub use queue::*;
/// What a failed task means for the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Everything stops.
    #[default]
    Stop,
    /// It is tried once more; a second failure stops its dependents, and two failed tasks in a row everything.
    RetryThenStop,
    /// It is tried once more; then its dependents are left out and the others go on.
    RetryThenSkipDependents,
}

impl OnFailure {
    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::RetryThenStop => "retry_then_stop",
            Self::RetryThenSkipDependents => "retry_then_skip_dependents",
        }
    }

    /// Returns whether a failed task is tried again.
    pub const fn retries(self) -> bool {
        !matches!(self, Self::Stop)
    }
}

        pub struct GuardedTask { pub id: String, pub depends_on: Vec<String>, pub max_time_seconds: u64 }
        pub struct TaskList { pub tasks: Vec<GuardedTask>, pub on_failure: OnFailure }
        pub struct RunProgress { pub ends: Vec<super::ledger::End>, pub failures_in_a_row: u32 }
    }
}
