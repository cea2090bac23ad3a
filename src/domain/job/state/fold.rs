//! The fold: how each event changes the state. The only place that assigns state.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each part of the state takes the events that concern it and leaves the rest"
)]

use super::{
    CommandDisposition, CompletionRecord, JobLoopState, JobState, PendingWait, RepeatedSteps,
    RoleTurn, StepEnd, StepOverview, StepStage, StepState, step::role_index,
};
use crate::domain::{
    job::{
        event::{EventKind, ImportedState, RunLogEvent, RunSettingsRecord},
        history,
        outcome::{JobRunOutcome, StepOutcome},
    },
    model::{ModelReply, ModelRole},
    time::Timestamp,
};

impl JobLoopState {
    /// Folds one event into the state.
    pub fn apply(&mut self, event: &RunLogEvent) {
        self.seq = event.seq;
        self.run.clone_from(&event.run);
        self.updated_at = Some(event.at);
        match &event.event {
            EventKind::RunStarted { facts } => self.run_started(facts),
            EventKind::StateAdopted { adopted } => self.adopted(adopted),
            EventKind::Repaired { .. } => {}
            EventKind::CleanStarted { archive } => self.cleaning = Some(archive.clone()),
            EventKind::JobStarted { job } => {
                self.job = Some(JobState {
                    index: *job,
                    ..JobState::default()
                });
            }
            EventKind::StepStarted { step, carried_from } => {
                self.step_started(*step, *carried_from, event.at);
            }
            EventKind::StepEnded {
                phase,
                reason,
                stopped,
            } => self.step_ended(&StepEnd {
                phase: *phase,
                reason: reason.clone(),
                stopped: *stopped,
                at: event.at,
            }),
            EventKind::Recorded {
                step,
                phase,
                reason,
            } => self.recorded(*step, *phase, reason, event.at),
            EventKind::JobEnded { .. } => self.job_ended(),
            EventKind::Parked { until, reason } => self.parked(event.at, *until, reason),
            EventKind::RunEnded { outcome } => self.run_ended(outcome),
            _ => {
                if let Some(job) = &mut self.job {
                    job.apply(&event.event);
                }
            }
        }
    }

    fn adopted(&mut self, adopted: &ImportedState) {
        self.next_step = self.next_step.max(adopted.next_step);
        self.adopted_logs = self.adopted_logs.saturating_add(adopted.step_logs);
        if let Some(index) = adopted.job_index {
            self.job_index = index.max(1);
            self.jobs_done = self.job_index - 1;
            // What a damaged log says about an earlier job is over.
            self.job = self.job.take().filter(|job| job.index == index);
        }
    }

    fn job_ended(&mut self) {
        self.jobs_done += 1;
        self.job_index += u32::from(self.facts.max_jobs.is_some());
        self.job = None;
    }

    fn parked(&mut self, since: Timestamp, until: Timestamp, reason: &str) {
        self.parked = Some(PendingWait {
            since,
            until,
            reason: reason.to_owned(),
        });
    }

    fn run_started(&mut self, facts: &RunSettingsRecord) {
        self.running = true;
        self.parked = None;
        self.facts = facts.clone();
        if let Some(job) = &mut self.job {
            job.run_started();
        }
        if let Some(sprint) = &facts.sprint
            && self.sprints.last() != Some(sprint)
        {
            self.sprints.push(sprint.clone());
        }
    }

    fn step_started(&mut self, number: u32, carried_from: Option<u32>, at: Timestamp) {
        self.next_step = self.next_step.max(number.saturating_add(1));
        let Some(job) = &mut self.job else { return };
        let suspended = job.suspended.take().filter(|_| carried_from.is_some());
        let turns = suspended.map(|step| step.turns).unwrap_or_default();
        let turns = turns.map(|turn| {
            if turn.accepted {
                turn.carried()
            } else {
                RoleTurn::default()
            }
        });
        let mut step = StepState {
            number,
            job: job.index,
            started_at: at,
            carried_from,
            turns,
            commands: Vec::new(),
            verdicts: Vec::new(),
            approvals: Vec::new(),
            results: Vec::new(),
            evidence: Vec::new(),
            stage: StepStage::Judge,
            end: None,
        };
        step.stage = next_role_stage(&step);
        job.step = Some(Box::new(step));
    }

    fn step_ended(&mut self, end: &StepEnd) {
        let Some(job) = &mut self.job else { return };
        let Some(mut step) = job.step.take() else {
            return;
        };
        step.end = Some(end.clone());
        job.spent.steps += 1;
        let counts = !matches!(end.phase, StepOutcome::FatalError | StepOutcome::Cancelled);
        job.passage_steps += u32::from(counts);
        job.history.push(history::step_history(&step));
        job.repeats.note(&step);
        if end.phase == StepOutcome::FatalError {
            job.suspended = Some(step.clone());
        }
        let (tokens, cost) = step.tokens_and_cost();
        self.totals.add(step.totals());
        self.steps.push(StepOverview {
            step: step.number,
            phase: end.phase,
            reason: end.reason.clone(),
            stopped: end.stopped,
            at: end.at,
            job: self.facts.max_jobs.map(|_| job.index),
            tokens,
            cost,
        });
        self.closed = Some(step);
        self.set_last(end.phase, &end.reason, self.next_step.saturating_sub(1));
    }

    fn recorded(&mut self, step: u32, phase: StepOutcome, reason: &str, at: Timestamp) {
        self.next_step = self.next_step.max(step.saturating_add(1));
        if phase == StepOutcome::JobLoopComplete {
            self.complete = Some(CompletionRecord {
                max_jobs: self.facts.max_jobs.unwrap_or(0),
                step,
                at,
                reason: reason.to_owned(),
            });
        }
        if let Some(job) = &mut self.job {
            job.exhausted = phase == StepOutcome::MaxStepsReached;
        }
        self.steps.push(StepOverview {
            step,
            phase,
            reason: reason.to_owned(),
            stopped: false,
            at,
            job: self.facts.max_jobs.map(|_| self.job_index),
            tokens: 0,
            cost: Some(0.0),
        });
        self.set_last(phase, reason, step);
    }

    fn run_ended(&mut self, outcome: &JobRunOutcome) {
        self.running = false;
        let step = self.last.step;
        self.set_last(outcome.phase(), outcome.reason(), step);
        self.last.end_reason = Some(outcome.reason().to_owned());
    }

    fn set_last(&mut self, phase: StepOutcome, reason: &str, step: u32) {
        self.last.phase = Some(phase);
        reason.clone_into(&mut self.last.reason);
        self.last.step = step;
    }
}

impl RoleTurn {
    /// Returns the turn for a step that takes it over: the same reply, nothing paid in that step.
    fn carried(self) -> Self {
        Self {
            tokens: 0,
            cost: None,
            failures: Vec::new(),
            ..self
        }
    }
}

/// Returns the stage of asking the first role without an accepted reply, or of judging.
pub(super) fn next_role_stage(step: &StepState) -> StepStage {
    ModelRole::ALL
        .into_iter()
        .find(|role| !step.turn(*role).accepted)
        .map_or(StepStage::Judge, |role| StepStage::Ask {
            role,
            attempts: 0,
        })
}

impl JobState {
    fn apply(&mut self, event: &EventKind) {
        match event {
            EventKind::ResultsSetAside { files } => self.set_aside = Some(files.clone()),
            EventKind::PassageStarted => (self.passage_steps, self.exhausted) = (0, false),
            EventKind::Observed { evidence } if self.step.is_none() => {
                self.head = Some(evidence.iter().all(|seen| seen.met));
            }
            EventKind::QueryAnswered { role, reply, cost } => self.answered(*role, reply, *cost),
            _ => {}
        }
        if let EventKind::CommandEnded { end, .. } = event {
            self.spent.add_time(end.elapsed_ms);
        }
        if let Some(step) = &mut self.step {
            step.apply(event);
        }
    }

    /// A new run starts its own count of attempts at the query that was open, and of equal steps.
    fn run_started(&mut self) {
        self.repeats = RepeatedSteps::default();
        if let Some(step) = &mut self.step
            && let StepStage::Ask { attempts, .. } = &mut step.stage
        {
            *attempts = 0;
        }
    }

    fn answered(&mut self, role: ModelRole, reply: &ModelReply, cost: Option<f64>) {
        if let Some(count) = self.turns.get_mut(role_index(role)) {
            *count += 1;
        }
        self.spent.add_call(reply.usage, cost, reply.elapsed_ms);
    }
}

impl StepState {
    fn apply(&mut self, event: &EventKind) {
        match event {
            EventKind::QueryStarted {
                role,
                attempt,
                prompt,
            } => {
                self.turn_mut(*role).prompt = Some(prompt.clone());
                self.stage = StepStage::Ask {
                    role: *role,
                    attempts: *attempt,
                };
            }
            EventKind::QueryAnswered { role, reply, cost } => self.answered(*role, reply, *cost),
            EventKind::ReplyAccepted { role } => {
                self.turn_mut(*role).accepted = true;
                self.stage = next_role_stage(self);
            }
            EventKind::ReplyUnusable { role, why } => {
                self.turn_mut(*role).unusable.push(why.clone());
                self.stage = StepStage::Ask {
                    role: *role,
                    attempts: 0,
                };
            }
            EventKind::QueryFailed { role, failure, .. } => {
                self.turn_mut(*role).failures.push(failure.message.clone());
            }
            EventKind::Observed { evidence } => {
                self.evidence.clone_from(evidence);
                self.stage = StepStage::Observed;
            }
            _ => self.apply_to_commands(event),
        }
    }

    fn apply_to_commands(&mut self, event: &EventKind) {
        match event {
            EventKind::Judged { commands, verdicts } => {
                self.commands.clone_from(commands);
                self.verdicts.clone_from(verdicts);
                self.approvals = vec![None; commands.len()];
                self.results = vec![CommandDisposition::Waiting; commands.len()];
                self.stage = StepStage::Run;
            }
            EventKind::ApprovalGiven {
                index, approved, ..
            } => {
                if let Some(answer) = self.approvals.get_mut(*index as usize) {
                    *answer = Some(*approved);
                }
            }
            EventKind::CommandStarted { index } => self.stage = StepStage::Open { index: *index },
            EventKind::CommandEnded { index, end } => {
                self.close(
                    *index,
                    CommandDisposition::Ended {
                        end: Box::new(end.clone()),
                    },
                );
            }
            EventKind::CommandAbandoned { index } => {
                self.close(*index, CommandDisposition::Unknown);
            }
            EventKind::CommandNotStarted { index, why } => {
                self.close(*index, CommandDisposition::NotStarted { why: why.clone() });
                self.stage = StepStage::NotStarted {
                    index: *index,
                    why: why.clone(),
                };
            }
            _ => {}
        }
    }

    fn close(&mut self, index: u32, fate: CommandDisposition) {
        if let Some(slot) = self.results.get_mut(index as usize) {
            *slot = fate;
        }
        self.stage = StepStage::Run;
    }

    fn answered(&mut self, role: ModelRole, reply: &ModelReply, cost: Option<f64>) {
        let turn = self.turn_mut(role);
        turn.reply = Some(reply.clone());
        turn.tokens += reply.usage.total();
        turn.cost = match (turn.cost, cost) {
            (None, None) => None,
            (before, now) => Some(before.unwrap_or(0.0) + now.unwrap_or(0.0)),
        };
        self.stage = StepStage::Answered { role };
    }
}
