//! How one attempt at a task of a task list came out.

use crate::domain::{agent::AgentEnd, tasks::Feedback, validate::CollectedChange};

/// How one attempt came out.
pub(super) enum TaskAttemptOutcome {
    Good {
        tree: String,
        seen: CollectedChange,
    },
    /// Not accepted; `again` = a second try may help.
    Bad {
        told: Feedback,
        again: bool,
    },
    /// A limit was reached: nothing may go on.
    Limit(Feedback),
    Broken(Feedback),
    Stopped,
    /// The session had to be over.
    OutOfTime,
    /// It met no working provider, so it was none: a limit that is used up, no answer, or a person is needed.
    NoProvider(AgentEnd),
}

pub(super) fn rejected_outcome(reason: impl Into<String>, again: bool) -> TaskAttemptOutcome {
    let told = feedback(reason);
    TaskAttemptOutcome::Bad { told, again }
}

pub(super) fn feedback(reason: impl Into<String>) -> Feedback {
    Feedback {
        reason: reason.into(),
        ..Feedback::default()
    }
}
