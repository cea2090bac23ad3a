//! How a step, and how a run, came to its end; and the words for it in files and on screens.

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// How a step ended; the word in step logs and in the phase state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// Commands ran and the goal is not reached yet.
    Execute,
    /// The goal is reached.
    Done,
    /// Policy refused.
    Deny,
    /// The reviewer refused.
    ReviewRejected,
    /// A model could not be used, or the machine failed.
    FatalError,
    /// A person cancelled while a command ran.
    Cancelled,
    /// The steps of a run are used up.
    MaxStepsReached,
    /// The last steps were all the same. Never the end of a step.
    NoProgress,
    /// All jobs of the loop are done.
    JobLoopComplete,
    /// A ceiling or a quota holds the job; it goes on later. Never the end of a step.
    Paused,
    /// A command started before a crash and nobody knows its end. Never the end of a step.
    Unknown,
}

impl StepOutcome {
    /// Returns the word for it in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Done => "done",
            Self::Deny => "deny",
            Self::ReviewRejected => "review_rejected",
            Self::FatalError => "fatal_error",
            Self::Cancelled => "cancelled",
            Self::MaxStepsReached => "max_steps_reached",
            Self::NoProgress => "no_progress",
            Self::JobLoopComplete => "job_loop_complete",
            Self::Paused => "paused",
            Self::Unknown => "unknown",
        }
    }

    /// Returns whether `word` is the word of a phase.
    pub fn is_known(word: &str) -> bool {
        serde_json::from_value::<Self>(word.into()).is_ok()
    }

    /// Returns whether a step log with this phase says `done: true`.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::JobLoopComplete)
    }
}

/// The end of the reason of a loop that is complete, as the files have it: `job_result.json` is specified by an example with these
/// very characters.
const REACHED_IN_FILES: &str = "に到達";

/// Returns the `end_reason` of a loop whose jobs are done, as the files have it.
pub fn loop_complete_reason(max_jobs: u32) -> String {
    format!("job_loop_complete: max_jobs({max_jobs}){REACHED_IN_FILES}")
}

/// Returns a reason as people are told it; the files have the same, but for the words of a complete loop.
pub fn shown_reason(reason: &str) -> String {
    match reason.strip_suffix(REACHED_IN_FILES) {
        Some(rest) => format!("{rest} reached"),
        None => reason.to_owned(),
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum JobRunOutcome {
    /// The job reached its goal.
    Done {
        /// In words, e.g. `done (job 1/3 completed)`.
        reason: String,
    },
    /// There was no job left.
    LoopComplete {
        /// In words.
        reason: String,
    },
    /// Policy refused and the run stopped.
    Denied {
        /// In words.
        reason: String,
    },
    /// A model could not be used, or the machine failed.
    Fatal {
        /// In words.
        reason: String,
    },
    /// The steps of the run are used up.
    MaxSteps {
        /// In words.
        reason: String,
    },
    /// The same step was made again and again.
    NoProgress {
        /// In words, remedy included.
        reason: String,
    },
    /// A command started before a crash and nobody knows its end.
    UnknownCommand {
        /// In words, remedy included.
        reason: String,
    },
    /// A ceiling is reached; the job goes on when it is raised.
    OverBudget {
        /// In words.
        reason: String,
    },
    /// A quota is used up; the job goes on after this time.
    Parked {
        /// When.
        until: Timestamp,
        /// In words.
        reason: String,
    },
    /// A person cancelled.
    Cancelled {
        /// In words.
        reason: String,
    },
}

impl JobRunOutcome {
    /// Returns the reason in words: the `end_reason` of the summaries.
    pub fn reason(&self) -> &str {
        match self {
            Self::Done { reason }
            | Self::LoopComplete { reason }
            | Self::Denied { reason }
            | Self::Fatal { reason }
            | Self::MaxSteps { reason }
            | Self::NoProgress { reason }
            | Self::UnknownCommand { reason }
            | Self::OverBudget { reason }
            | Self::Parked { reason, .. }
            | Self::Cancelled { reason } => reason,
        }
    }

    /// Returns the phase that the state shows after such an end.
    pub const fn phase(&self) -> StepOutcome {
        match self {
            Self::Done { .. } => StepOutcome::Done,
            Self::LoopComplete { .. } => StepOutcome::JobLoopComplete,
            Self::Denied { .. } => StepOutcome::Deny,
            Self::Fatal { .. } => StepOutcome::FatalError,
            Self::MaxSteps { .. } => StepOutcome::MaxStepsReached,
            Self::NoProgress { .. } => StepOutcome::NoProgress,
            Self::UnknownCommand { .. } => StepOutcome::Unknown,
            Self::OverBudget { .. } | Self::Parked { .. } => StepOutcome::Paused,
            Self::Cancelled { .. } => StepOutcome::Cancelled,
        }
    }

    /// Returns whether the run did what it was asked to do.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::LoopComplete { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_loop_is_told_in_english_and_written_as_specified() {
        let reason = loop_complete_reason(3);
        assert_eq!(reason, "job_loop_complete: max_jobs(3)に到達");
        assert_eq!(
            shown_reason(&reason),
            "job_loop_complete: max_jobs(3) reached"
        );
        assert_eq!(shown_reason("done"), "done");
    }

    #[test]
    fn only_the_word_of_a_phase_is_known() {
        assert!(StepOutcome::is_known("max_steps_reached"));
        assert!(StepOutcome::is_known(StepOutcome::Done.as_str()));
        assert!(!StepOutcome::is_known("Done"));
        assert!(!StepOutcome::is_known(""));
    }
}
