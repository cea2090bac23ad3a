//! What a task or a run is, and why.

use serde::{Deserialize, Serialize};

/// What a task or a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskStatus {
    /// It has not begun.
    #[default]
    Pending,
    /// An attempt failed and another one follows.
    Ready,
    /// It is under way.
    Running,
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
    /// It never started, and will not.
    Skipped,
    /// A person ended it.
    Canceled,
    /// Its runner died.
    Interrupted,
}

impl TaskStatus {
    /// Returns true where nothing will happen to it any more.
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Success | Self::Failed | Self::Skipped | Self::Canceled
        )
    }

    /// Returns the word used in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIPPED",
            Self::Canceled => "CANCELED",
            Self::Interrupted => "INTERRUPTED",
        }
    }

    /// Returns the status with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// All of them, in the order of a summary.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Failed,
        Self::Skipped,
        Self::Canceled,
        Self::Running,
        Self::Ready,
        Self::Pending,
        Self::Interrupted,
    ];
}

/// Why a task is what it is, where no exit code says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusReason {
    /// Something it depends on did not succeed.
    DependencyNotSuccess,
    /// Another task failed and the run was told to stop at the first failure.
    FailFast,
    /// The run was canceled.
    RunCanceled,
    /// The program could not be started.
    ProcessStartFailed,
    /// The runner itself failed.
    RunnerException,
    /// A file it needs is not there.
    NeedsFilesMissing,
    /// Its condition does not hold.
    WhenFalse,
    /// What it depends on was skipped because a condition did not hold.
    DependencySkipped,
    /// A handler, and nothing failed.
    NothingFailed,
    /// It succeeded, but did not make what it had promised.
    OutputsMissing,
    /// The policy forbids its command.
    PolicyDenied,
    /// Its runner died while it ran.
    PreviousRunInterrupted,
}

impl StatusReason {
    /// Returns the word used in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DependencyNotSuccess => "dependency_not_success",
            Self::FailFast => "fail_fast",
            Self::RunCanceled => "run_canceled",
            Self::ProcessStartFailed => "process_start_failed",
            Self::RunnerException => "runner_exception",
            Self::NeedsFilesMissing => "needs_files_missing",
            Self::WhenFalse => "when_false",
            Self::DependencySkipped => "dependency_skipped",
            Self::NothingFailed => "nothing_failed",
            Self::OutputsMissing => "outputs_missing",
            Self::PolicyDenied => "policy_denied",
            Self::PreviousRunInterrupted => "previous_run_interrupted",
        }
    }

    /// Returns true where being skipped for this reason is no trouble.
    pub const fn is_harmless(self) -> bool {
        matches!(
            self,
            Self::WhenFalse | Self::DependencySkipped | Self::NothingFailed
        )
    }
}
