//! Notices steps that only repeat the one before.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::{CommandDisposition, StepState};
use crate::domain::{
    job::{outcome::StepOutcome, proposal},
    model::ModelRole,
    policy::Decision,
    process::ExitStatus,
};

/// How often the last step has been made in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatedSteps {
    /// What the last step did and what came of it, as a number.
    pub mark: u64,
    /// How many of the last steps of this run are equal to it, itself included.
    pub count: u32,
}

impl RepeatedSteps {
    /// Takes account of a step that has ended.
    pub(super) fn note(&mut self, step: &StepState) {
        let mark = mark(step);
        let count = if mark == self.mark { self.count } else { 0 };
        *self = Self {
            mark,
            count: count.saturating_add(1),
        };
    }
}

/// Returns a number that is the same for steps that did the same with the same result.
///
/// What a model says around its commands does not count, and neither does the output of a step in which
/// something failed: it often holds times and process numbers.
fn mark(step: &StepState) -> u64 {
    let mut hash = DefaultHasher::new();
    let phase = step.end.as_ref().map(|end| end.phase);
    phase.hash(&mut hash);
    if phase == Some(StepOutcome::ReviewRejected) {
        let draft = step
            .accepted_reply(ModelRole::Draft)
            .map(proposal::parse_draft);
        if let Some(Ok(draft)) = draft {
            format!("{:?}", draft.commands).hash(&mut hash);
        }
        return hash.finish();
    }
    let mut is_good = !step.commands.is_empty();
    for (index, command) in step.commands.iter().enumerate() {
        let fate = step.results.get(index);
        let exit = match fate {
            Some(CommandDisposition::Ended { end }) => format!("{:?}", kind(&end.exit)),
            Some(CommandDisposition::NotStarted { .. }) => "not started".to_owned(),
            Some(CommandDisposition::Unknown) => "unknown".to_owned(),
            Some(CommandDisposition::Waiting) | None => String::new(),
        };
        is_good &= step.decision(index) == Decision::Allow
            && matches!(fate, Some(CommandDisposition::Ended { end }) if end.exit == ExitStatus::Code { code: 0 });
        format!("{command:?} {:?} {exit}", step.decision(index)).hash(&mut hash);
    }
    if is_good {
        // A step that succeeds may be one that waits for something: it repeats itself only where
        // nothing it shows has changed.
        for fate in &step.results {
            if let CommandDisposition::Ended { end } = fate {
                (end.stdout.text(), end.stderr.text()).hash(&mut hash);
            }
        }
        for seen in &step.evidence {
            (&seen.check, seen.met, &seen.seen).hash(&mut hash);
        }
    }
    hash.finish()
}

/// Returns an exit without the times and amounts that differ from run to run.
fn kind(exit: &ExitStatus) -> ExitStatus {
    match exit {
        ExitStatus::Idle { .. } => ExitStatus::Idle { after_ms: 0 },
        ExitStatus::DiskTaken { .. } => ExitStatus::DiskTaken { taken_bytes: 0 },
        ExitStatus::Code { .. }
        | ExitStatus::Signal { .. }
        | ExitStatus::TimedOut { .. }
        | ExitStatus::Cancelled => exit.clone(),
    }
}
