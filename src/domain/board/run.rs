//! Runs, leases, agents: who works on what, and under which number.
//!
//! A run is never rewritten after it ended. A lease is held by exactly one agent; whatever is reported under another
//! number than the lease's is refused.

use serde::{Deserialize, Serialize};

use super::{
    budget::Spend,
    ids::{AgentId, AgentRole, Fence, Millis, RunId, TaskId},
    task::{AttemptCommit, FailureKind},
};

/// How a run ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// At work.
    Running,
    /// Left work for the judge.
    Success,
    /// Failed.
    Failed,
    /// Ended before it was over.
    Cancelled,
}

impl RunStatus {
    /// Returns the word used in files and by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The right to work on something until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Its number.
    pub fence: Fence,
    /// Who holds it.
    pub agent: AgentId,
    /// Until when, unless it is renewed.
    pub until: Millis,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// The task.
    pub task: TaskId,
    /// Who works, or worked.
    pub agent: AgentId,
    /// How it ended.
    pub status: RunStatus,
    /// The right to work on it; its number stays after the end.
    pub lease: Lease,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    pub finished_at: Option<Millis>,
    /// Why it failed or was cancelled.
    pub error: String,
    /// The kind of failure.
    pub failure: Option<FailureKind>,
    /// What it left.
    pub kept: Option<AttemptCommit>,
    /// What it used up.
    pub spent: Spend,
    /// Where its log lies, below the root; empty = an earlier version did not say it.
    pub log: String,
}

impl Run {
    /// Returns how many things it left: its log, and the diff and the commit of its work.
    pub fn artifact_count(&self) -> usize {
        let kept = self.kept.as_ref();
        1 + kept.map_or(0, |kept| 1 + usize::from(!kept.commit.is_empty()))
    }
}

/// How a worker's run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunOutcome {
    /// A commit waits for the judge.
    Committed {
        /// Where.
        kept: AttemptCommit,
    },
    /// The agent changed nothing, and the checks pass.
    NoChange {
        /// What it said.
        evidence: String,
        /// The commit it looked at.
        base: String,
    },
    /// It failed.
    Failed {
        /// What kind of failure.
        failure: FailureKind,
        /// Reasons, the first one in one line.
        reasons: Vec<String>,
        /// A text that is the same for the same failure.
        signature: String,
        /// What was tried and is not accepted, where anything was.
        kept: Option<AttemptCommit>,
    },
    /// The quota of the agent is used up.
    QuotaUsed {
        /// Until when, where the provider says so.
        until: Option<Millis>,
        /// What it said.
        detail: String,
    },
    /// It was told to stop.
    Stopped,
}

impl RunOutcome {
    /// Takes out what a failed run tried, because it is not where anybody could look at it.
    pub fn forget_tried(&mut self) {
        if let Self::Failed { kept, .. } = self {
            *kept = None;
        }
    }
}

/// Whether an agent can take work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentAvailability {
    /// Waits for work.
    Idle,
    /// Works.
    Busy,
    /// Its process does not run.
    Offline,
}

impl AgentAvailability {
    /// Returns the word used in files and by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }
}

/// An agent: a process that takes work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentState {
    /// Its name.
    pub id: AgentId,
    /// What it does.
    pub role: AgentRole,
    /// Whether it can take work.
    pub status: AgentAvailability,
    /// The task it works on or judges.
    pub task: Option<TaskId>,
    /// Since when.
    pub since: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_failed_run_tried_is_forgotten() {
        let kept = AttemptCommit {
            commit: "c".into(),
            reference: "r".into(),
            base: "b".into(),
        };
        let mut failed = RunOutcome::Failed {
            failure: FailureKind::Test,
            reasons: Vec::new(),
            signature: String::new(),
            kept: Some(kept.clone()),
        };
        failed.forget_tried();
        assert!(matches!(failed, RunOutcome::Failed { kept: None, .. }));
        let mut done = RunOutcome::Committed { kept };
        let before = done.clone();
        done.forget_tried();
        assert_eq!(done, before);
    }
}
