//! The second half of a step: judge every command, then run them one after the other.

use super::{JobEffect, JobMachine};
use crate::domain::{
    job::{
        event::EventKind,
        outcome::{JobRunOutcome, StepOutcome},
        proposal,
        rules::AfterCrash,
        state::{CommandDisposition, StepStage, StepState},
    },
    model::ModelRole,
    policy::{Decision, PolicyVerdict},
    process::{CommandResult, ExitStatus, SpawnError},
};

/// Why a step and a run end when a person stops a command.
const CANCELLED: &str = "cancelled: a command was ended on request";

impl JobMachine {
    fn step(&self) -> Option<&StepState> {
        self.state.job.as_ref()?.step.as_deref()
    }

    /// Judges all commands of the final before any runs.
    pub(super) fn judge_commands(&mut self) -> JobEffect {
        let reply = self
            .step()
            .and_then(|step| step.accepted_reply(ModelRole::Final));
        let commands = reply
            .and_then(|text| proposal::parse_final(text).ok())
            .map_or_else(Vec::new, |reply| reply.commands);
        let verdicts: Vec<PolicyVerdict> = self.policy.judge_sequence(&commands, &self.world);
        self.emit(EventKind::Judged { commands, verdicts });
        self.next()
    }

    /// Asks about what is open, refuses what has to be refused, and starts the next command.
    pub(super) fn next_command(&mut self) -> JobEffect {
        if let Some(effect) = self.question() {
            return effect;
        }
        let Some(step) = self.step() else {
            return self.next();
        };
        if was_cancelled(step) {
            // The run that was cancelled died before it could say so: nothing else of the step runs.
            self.end_step(StepOutcome::Cancelled, CANCELLED, true);
            return self.next();
        }
        let denied = denials(step);
        let none_ran = step
            .results
            .iter()
            .all(|fate| *fate == CommandDisposition::Waiting);
        let all_denied = !denied.is_empty() && denied.len() == step.commands.len();
        if !denied.is_empty() && none_ran && (all_denied || self.rules.policy.stop_on_deny) {
            return self.denied(&denied);
        }
        let waiting = (0..step.commands.len()).find(|index| {
            step.results.get(*index) == Some(&CommandDisposition::Waiting)
                && step.decision(*index) == Decision::Allow
        });
        match waiting {
            Some(index) => self.start(index),
            None => JobEffect::Observe(self.rules.done.all.clone()),
        }
    }

    fn start(&mut self, index: usize) -> JobEffect {
        let Some((number, command)) = self
            .step()
            .and_then(|step| Some((step.number, step.commands.get(index)?.clone())))
        else {
            return self.next();
        };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.emit(EventKind::CommandStarted { index });
        JobEffect::Run {
            step: number,
            index,
            command,
        }
    }

    /// Returns the question about the first command that a person has to decide about.
    fn question(&mut self) -> Option<JobEffect> {
        let step = self.step()?;
        let index =
            (0..step.commands.len()).find(|index| step.decision(*index) == Decision::Ask)?;
        let command = step.commands.get(index)?.clone();
        let reason = step.verdicts.get(index)?.reason.clone();
        let id = format!("{}-{}", step.number, index + 1);
        self.emit(EventKind::ApprovalAsked {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            id: id.clone(),
        });
        Some(JobEffect::RequestApproval {
            id,
            command,
            reason,
        })
    }

    pub(super) fn on_approval(&mut self, approved: bool, by: String) -> JobEffect {
        let asked = self.step().and_then(|step| {
            (0..step.commands.len()).find(|index| step.decision(*index) == Decision::Ask)
        });
        if let Some(index) = asked {
            self.emit(EventKind::ApprovalGiven {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                approved,
                by,
            });
        }
        self.next()
    }

    fn denied(&mut self, denied: &[String]) -> JobEffect {
        let reason = format!("deny: {}", denied.join("; "));
        let stop = self.rules.policy.stop_on_deny;
        self.end_step(StepOutcome::Deny, &reason, stop);
        if stop {
            self.finish(JobRunOutcome::Denied { reason })
        } else {
            self.next()
        }
    }

    pub(super) fn on_command_end(&mut self, end: Result<CommandResult, SpawnError>) -> JobEffect {
        let Some(StepStage::Open { index }) = self.step().map(|step| step.stage.clone()) else {
            return self.next();
        };
        match end {
            Err(failure) => {
                self.emit(EventKind::CommandNotStarted {
                    index,
                    why: failure.message,
                });
                self.next()
            }
            Ok(end) => {
                let cancelled = end.exit == ExitStatus::Cancelled;
                self.emit(EventKind::CommandEnded { index, end });
                if cancelled {
                    self.cancelled()
                } else {
                    self.next()
                }
            }
        }
    }

    fn cancelled(&mut self) -> JobEffect {
        self.end_step(StepOutcome::Cancelled, CANCELLED, true);
        self.finish(JobRunOutcome::Cancelled {
            reason: CANCELLED.to_owned(),
        })
    }

    /// Returns the report about a command without an end, where the rule is to stop at it.
    pub(super) fn unknown_command(&self) -> Option<String> {
        let step = self.step()?;
        let StepStage::Open { index } = step.stage else {
            return None;
        };
        if self.rules.on_unknown != AfterCrash::Stop {
            return None;
        }
        let text = step.commands.get(index as usize)?.text();
        let line = crate::domain::text::head(text.lines().next().unwrap_or_default(), 80, "...");
        Some(format!(
            "unknown: command {} of step {} (`{line}`) was started before a crash and its end was not recorded; \
             look at what it did, then run again with `--after-crash rerun` (run it again), \
             `--after-crash skip` (leave it and go on), or roll back",
            index + 1,
            step.number
        ))
    }

    pub(super) fn decide_unknown(&mut self, index: u32) -> JobEffect {
        match self.rules.on_unknown {
            AfterCrash::Stop => {
                let reason = self.unknown_command().unwrap_or_default();
                self.finish(JobRunOutcome::UnknownCommand { reason })
            }
            AfterCrash::Rerun => self.start(index as usize),
            AfterCrash::Skip => {
                self.emit(EventKind::CommandAbandoned { index });
                self.next()
            }
        }
    }
}

fn was_cancelled(step: &StepState) -> bool {
    let cancelled = |fate: &CommandDisposition| matches!(fate, CommandDisposition::Ended { end } if end.exit == ExitStatus::Cancelled);
    step.results.iter().any(cancelled)
}

/// Returns the reasons of all refused commands.
fn denials(step: &StepState) -> Vec<String> {
    (0..step.commands.len())
        .filter(|index| step.decision(*index) == Decision::Deny)
        .filter_map(|index| step.verdicts.get(index))
        .map(|verdict| verdict.reason.clone())
        .collect()
}
