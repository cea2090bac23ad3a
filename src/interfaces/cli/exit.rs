//! Exit codes, and how trouble is told: one heading, its causes, one hint. `docs/exit-codes.md` is the
//! reference.

use crate::{
    config,
    domain::{checkpoint, gates::GateRefusal, job::outcome::JobRunOutcome},
    interfaces::{cli::words, report::Printer},
    ports::{ledger, store},
};

/// How tos ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CliExit {
    /// It did what it was asked to do.
    Success,
    /// It did not reach the goal.
    NotDone,
    /// The input is wrong; nothing ran.
    Invalid,
    /// A plan ran and some task failed or was skipped.
    PlanFailed,
    /// A person cancelled.
    Cancelled,
    /// A budget, a quota or a gate refused; it can go on later.
    Refused,
    /// A bug.
    Internal,
    /// As the command ended that `tos exec` ran, or as shells say that it did not.
    Child(u8),
}

impl CliExit {
    /// Returns the number for the operating system.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::NotDone => 1,
            Self::Invalid => 2,
            Self::PlanFailed => 3,
            Self::Cancelled => 4,
            Self::Refused => 5,
            Self::Internal => 70,
            Self::Child(code) => code,
        }
    }
}

impl From<&JobRunOutcome> for CliExit {
    fn from(outcome: &JobRunOutcome) -> Self {
        match outcome {
            JobRunOutcome::Done { .. } | JobRunOutcome::LoopComplete { .. } => Self::Success,
            JobRunOutcome::Denied { .. }
            | JobRunOutcome::Fatal { .. }
            | JobRunOutcome::MaxSteps { .. }
            | JobRunOutcome::NoProgress { .. }
            | JobRunOutcome::UnknownCommand { .. } => Self::NotDone,
            JobRunOutcome::OverBudget { .. } | JobRunOutcome::Parked { .. } => Self::Refused,
            JobRunOutcome::Cancelled { .. } => Self::Cancelled,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The words of the command line make no sense.
    #[error("{0}")]
    Usage(String),
    /// The words leave out what the three lines of usage name.
    #[error("{what}")]
    Bare {
        /// What is left out.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The job input is wrong.
    #[error(transparent)]
    Payload(#[from] config::payload::Error),
    /// A model cannot be built as configured.
    #[error("{0}")]
    Setup(String),
    /// Something the person has to do first; nothing ran.
    #[error("{0}")]
    NotDone(String),
    /// The records cannot be read or written.
    #[error("fatal_error: {0}")]
    Store(#[from] store::Error),
    /// The gates are wrong.
    #[error(transparent)]
    Gates(#[from] config::gates::Error),
    /// The ledger cannot be trusted or used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// A gate says no.
    #[error("refused: {}", .0.why)]
    Refused(GateRefusal),
    /// A checkpoint or rollback was not made.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::CheckpointError),
}

impl CliError {
    /// Makes a usage error.
    pub fn usage(text: &str) -> Self {
        Self::Usage(text.to_owned())
    }

    /// Returns the exit code.
    pub const fn exit(&self) -> CliExit {
        match self {
            Self::Usage(_)
            | Self::Bare { .. }
            | Self::Config(_)
            | Self::Payload(_)
            | Self::Setup(_)
            | Self::Gates(_) => CliExit::Invalid,
            Self::Ledger(_) | Self::Refused(_) => CliExit::Refused,
            Self::NotDone(_) | Self::Store(_) | Self::Checkpoint(_) => CliExit::NotDone,
        }
    }

    /// Tells a person, or a program under `--json`, and returns the exit code.
    pub fn show(&self, printer: &Printer) -> CliExit {
        let exit = self.exit();
        let hint = match self {
            Self::Bare { hint, .. } => Some(*hint),
            Self::Usage(_) => Some(words::HELP),
            Self::Config(config::Error::Missing { .. }) => Some(words::FIRST_STEPS),
            Self::Refused(refusal) => Some(refusal.next.as_str()),
            _ => None,
        };
        printer.error(&self.to_string(), &self.causes(), hint);
        if matches!(self, Self::Bare { .. }) {
            Printer::usage();
        }
        printer
            .document(&serde_json::json!({ "error": self.to_string(), "exit_code": exit.code() }));
        exit
    }

    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            causes.push(error.to_string());
            source = error.source();
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w07_w52_ends_without_the_goal_are_no_success() {
        let reason = String::new;
        for (outcome, code) in [
            (JobRunOutcome::Done { reason: reason() }, 0),
            (JobRunOutcome::LoopComplete { reason: reason() }, 0),
            (JobRunOutcome::Denied { reason: reason() }, 1),
            (JobRunOutcome::Fatal { reason: reason() }, 1),
            (JobRunOutcome::MaxSteps { reason: reason() }, 1),
            (JobRunOutcome::NoProgress { reason: reason() }, 1),
            (JobRunOutcome::UnknownCommand { reason: reason() }, 1),
            (JobRunOutcome::OverBudget { reason: reason() }, 5),
            (JobRunOutcome::Cancelled { reason: reason() }, 4),
        ] {
            assert_eq!(CliExit::from(&outcome).code(), code, "{outcome:?}");
        }
    }
}
