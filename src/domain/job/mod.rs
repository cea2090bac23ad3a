//! The job machine: told what happened, it decides what became true and what to do next.
//!
//! One input, one effect. [`JobMachine::handle`] never assigns state: it decides events and folds each one
//! through [`JobLoopState::apply`], the same function that recovery uses. What to do next is a function of the
//! state alone (`JobMachine::next`), so a run that goes on after a crash takes the same road as one that
//! never stopped. Nothing here does I/O, knows the time or waits.

use std::{path::PathBuf, time::Duration};

use crate::domain::{
    command::Command,
    job::{
        done_condition::ConditionEvidence,
        event::{EventKind, RUN_LOG_VERSION, RunLogEvent, RunSettingsRecord},
        outcome::{JobRunOutcome, StepOutcome},
        rules::{DoneCheck, JobRules},
        state::{JobLoopState, StepStage},
    },
    model::{ModelError as ModelFailure, ModelReply, ModelRequest},
    policy::{Policy, PolicyContext},
    process::{CommandResult, SpawnError as StartFailure},
    redaction::Redactor,
    time::Timestamp,
};

mod asking;
pub mod budget;
pub mod done_condition;
pub mod event;
pub mod history;
pub mod outcome;
pub mod prompt;
pub mod proposal;
pub mod record;
pub mod retry;
pub mod rules;
mod running;
pub mod state;

/// What the machine is told.
#[derive(Debug, Clone)]
pub enum JobInput {
    /// A run begins, or goes on.
    Started(Box<RunSettingsRecord>),
    /// The named files were moved away.
    SetAside(Vec<String>),
    /// A reply arrived.
    Answered(ModelReply),
    /// A call failed.
    Failed(ModelFailure),
    /// A wait is over.
    Waited,
    /// A person or the absence of one answered a question.
    Approved {
        /// Whether the command may run.
        yes: bool,
        /// Who or what answered.
        by: String,
    },
    /// A command ended, or could not be started.
    Ended(Result<CommandResult, StartFailure>),
    /// The probe looked.
    Observed(Vec<ConditionEvidence>),
    /// A person cancelled.
    Cancelled(String),
    /// The machine failed: the sentence says how.
    Broken(String),
}

/// What the machine asks for. Exactly one thing at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEffect {
    /// Move these files (relative to the root) out of the way of this job.
    SetAside {
        /// The job.
        job: u32,
        /// The files.
        files: Vec<PathBuf>,
    },
    /// Ask a model.
    Ask(ModelRequest),
    /// Wait this long.
    Wait(Duration),
    /// Ask a person about a command.
    RequestApproval {
        /// The id under which it can be answered.
        id: String,
        /// The command.
        command: Command,
        /// Why the policy asks.
        reason: String,
    },
    /// Run a command.
    Run {
        /// The step's number.
        step: u32,
        /// The command's place in the step, from 0.
        index: u32,
        /// The command.
        command: Command,
    },
    /// Look at the world.
    Observe(Vec<DoneCheck>),
    /// The run is over.
    Finish(JobRunOutcome),
}

/// The answer to an input: first make the events durable, then perform the effect.
#[must_use = "a reaction that is not carried out stops the job without a word"]
#[derive(Debug, Clone, PartialEq)]
pub struct JobReaction {
    /// What became true, already folded into the state.
    pub events: Vec<RunLogEvent>,
    /// What to do.
    pub effect: JobEffect,
}

/// The moment of an input and a random number
#[derive(Debug, Clone, Copy)]
pub struct InputTime {
    /// The wall-clock time.
    pub at: Timestamp,
    /// A random number in `0.0..1.0`, for jitter.
    pub chance: f64,
}

/// What a job machine is driven by.
#[derive(Debug)]
pub struct JobSetup {
    /// The settings.
    pub rules: JobRules,
    /// Which commands may run.
    pub policy: Policy,
    /// The circumstances the policy judges under.
    pub world: PolicyContext,
    /// Takes secrets out of prompts and replies, before anything is recorded or sent.
    pub redactor: Redactor,
    /// The id of this run.
    pub run: String,
}

/// A job loop being worked on by one run.
#[derive(Debug)]
pub struct JobMachine {
    state: JobLoopState,
    rules: JobRules,
    policy: Policy,
    world: PolicyContext,
    redactor: Redactor,
    run: String,
    moment: InputTime,
    events: Vec<RunLogEvent>,
}

impl JobMachine {
    /// Puts a machine together: the state as folded from the log, and what it is driven by.
    pub fn new(state: JobLoopState, setup: JobSetup, moment: InputTime) -> Self {
        Self {
            state,
            rules: setup.rules,
            policy: setup.policy,
            world: setup.world,
            redactor: setup.redactor,
            run: setup.run,
            moment,
            events: Vec::new(),
        }
    }

    /// Returns the state after everything handled so far.
    pub const fn state(&self) -> &JobLoopState {
        &self.state
    }

    /// Returns the rules that drive this machine.
    pub const fn rules(&self) -> &JobRules {
        &self.rules
    }

    /// Records something that became true outside the machine, before a run starts: a repair, an adoption.
    pub fn note(&mut self, kind: EventKind, moment: &InputTime) -> Vec<RunLogEvent> {
        self.moment = *moment;
        self.emit(kind);
        std::mem::take(&mut self.events)
    }

    /// Forgets everything: the records have moved to the archive.
    pub fn reset(&mut self) {
        self.state = JobLoopState::default();
    }

    /// Takes one input and answers with what became true and what to do.
    pub fn handle(&mut self, input: JobInput, moment: &InputTime) -> JobReaction {
        self.moment = *moment;
        let effect = match input {
            JobInput::Started(facts) => self.started(facts),
            JobInput::SetAside(files) => {
                self.emit(EventKind::ResultsSetAside { files });
                self.next()
            }
            JobInput::Answered(reply) => self.on_reply(reply),
            JobInput::Failed(failure) => self.on_model_error(failure),
            JobInput::Waited => self.next(),
            JobInput::Approved { yes, by } => self.on_approval(yes, by),
            JobInput::Ended(end) => self.on_command_end(end),
            JobInput::Observed(evidence) => {
                self.emit(EventKind::Observed { evidence });
                self.next()
            }
            JobInput::Cancelled(reason) => self.finish(JobRunOutcome::Cancelled { reason }),
            JobInput::Broken(why) => self.fatal(&why),
        };
        JobReaction {
            events: std::mem::take(&mut self.events),
            effect,
        }
    }

    fn emit(&mut self, kind: EventKind) {
        let event = RunLogEvent {
            v: RUN_LOG_VERSION,
            seq: self.state.seq + 1,
            at: self.moment.at,
            run: self.run.clone(),
            event: kind,
        };
        self.state.apply(&event);
        self.events.push(event);
    }

    fn started(&mut self, facts: Box<RunSettingsRecord>) -> JobEffect {
        if let Some(parked) = &self.state.parked
            && self.moment.at < parked.until
            && self.moment.at >= parked.since
        {
            // Nothing is recorded: a run that may not do anything leaves no trace but its summary.
            return JobEffect::Finish(JobRunOutcome::Parked {
                until: parked.until,
                reason: parked.reason.clone(),
            });
        }
        if let Some(reason) = self.over_budget() {
            let outcome = JobRunOutcome::OverBudget { reason };
            let is_told = self.state.last.end_reason.as_deref() == Some(outcome.reason());
            // Of a run that died, what it was doing is said first, by the next one that may go on.
            if is_told || self.state.running {
                return JobEffect::Finish(outcome);
            }
            return self.finish(outcome);
        }
        self.emit(EventKind::RunStarted { facts });
        if self.state.job.as_ref().is_some_and(|job| job.exhausted) {
            self.emit(EventKind::PassageStarted);
        }
        self.next()
    }

    /// Returns what to do next: a function of the state, after a crash as in an undisturbed run.
    fn next(&mut self) -> JobEffect {
        let Some(job) = &self.state.job else {
            return self.next_job();
        };
        if job.step.is_none() && job.has_reached_its_goal() {
            return self.end_job();
        }
        if job.set_aside.is_none() && self.rules.done.fresh {
            return JobEffect::SetAside {
                job: job.index,
                files: self.goal_files(),
            };
        }
        let Some(step) = &job.step else {
            return self.next_step();
        };
        match step.stage.clone() {
            StepStage::Ask { role, attempts } => self.ask_model(role, attempts),
            StepStage::Answered { role } => self.check_reply(role),
            StepStage::Judge => self.judge_commands(),
            StepStage::Run => self.next_command(),
            StepStage::Open { index } => self.decide_unknown(index),
            StepStage::NotStarted { why, .. } => self.fatal(&why),
            StepStage::Observed => self.weigh_evidence(),
        }
    }

    fn next_job(&mut self) -> JobEffect {
        if let Some(max_jobs) = self.rules.job_loop.as_ref().map(|jobs| jobs.max_jobs)
            && self.state.job_index > max_jobs
        {
            return self.complete(max_jobs);
        }
        self.emit(EventKind::JobStarted {
            job: self.state.job_index,
        });
        self.next()
    }

    fn complete(&mut self, max_jobs: u32) -> JobEffect {
        let recorded = self.state.complete.as_ref();
        let reason = outcome::loop_complete_reason(max_jobs);
        if recorded.is_none_or(|complete| complete.max_jobs != max_jobs) {
            self.emit(EventKind::Recorded {
                step: self.state.next_step,
                phase: StepOutcome::JobLoopComplete,
                reason: reason.clone(),
            });
        }
        self.finish(JobRunOutcome::LoopComplete { reason })
    }

    fn next_step(&mut self) -> JobEffect {
        let Some(job) = &self.state.job else {
            return self.next_job();
        };
        if job.head.is_none() && !self.rules.done.fresh && job.spent.steps == 0 {
            return JobEffect::Observe(self.rules.done.all.clone());
        }
        if job.passage_steps >= self.rules.max_steps {
            return self.steps_used_up();
        }
        if let Some(reason) = self.over_budget() {
            return self.finish(JobRunOutcome::OverBudget { reason });
        }
        if let Some(reason) = self.no_progress() {
            return self.finish(JobRunOutcome::NoProgress { reason });
        }
        let (head, carried_from) = (job.head, job.suspended.as_ref().map(|step| step.number));
        let fresh_start = job.spent.steps == 0;
        self.emit(EventKind::StepStarted {
            step: self.state.next_step,
            carried_from,
        });
        if head == Some(true) && fresh_start {
            return self.goal_reached("the done condition held before the first step");
        }
        self.next()
    }

    fn steps_used_up(&mut self) -> JobEffect {
        let reason = format!("max_steps_reached: {}", self.rules.max_steps);
        self.emit(EventKind::Recorded {
            step: self.state.next_step,
            phase: StepOutcome::MaxStepsReached,
            reason: reason.clone(),
        });
        self.finish(JobRunOutcome::MaxSteps { reason })
    }

    /// Returns why this run should not go on, where it only repeats itself.
    fn no_progress(&self) -> Option<String> {
        let job = self.state.job.as_ref()?;
        let limit = self.rules.no_progress_limit?;
        if job.repeats.count < limit {
            return None;
        }
        let what = match self.state.steps.last()? {
            line if line.phase == StepOutcome::Execute
                && job
                    .history
                    .last()
                    .is_some_and(|item| item.commands.is_empty()) =>
            {
                "no command was proposed".to_owned()
            }
            line => line.reason.clone(),
        };
        Some(format!(
            "no_progress: the last {} steps did the same with the same result ({what}); change the goal, the prompts \
             or the policy and run again, or raise `no_progress_limit` (0 = never stop for this)",
            job.repeats.count
        ))
    }

    fn goal_reached(&mut self, why: &str) -> JobEffect {
        self.end_step(StepOutcome::Done, why, false);
        self.end_job()
    }

    /// Ends a job whose last step reached the goal; a crash may have come between the two.
    fn end_job(&mut self) -> JobEffect {
        let job = self.state.job_index;
        self.emit(EventKind::JobEnded { job });
        let reason = self.rules.job_loop.as_ref().map_or_else(
            || "done".to_owned(),
            |jobs| format!("done (job {job}/{} completed)", jobs.max_jobs),
        );
        self.finish(JobRunOutcome::Done { reason })
    }

    fn weigh_evidence(&mut self) -> JobEffect {
        let evidence = self.state.job.as_ref().and_then(|job| job.step.as_ref());
        let missing: Vec<String> = evidence
            .map(|step| step.evidence.as_slice())
            .unwrap_or_default()
            .iter()
            .filter(|seen| !seen.met)
            .map(|seen| format!("{}: {}", seen.check, seen.seen))
            .collect();
        if missing.is_empty() {
            return self.goal_reached("the done condition holds");
        }
        self.end_step(
            StepOutcome::Execute,
            &format!("not done yet: {}", missing.join("; ")),
            false,
        );
        self.next()
    }

    fn end_step(&mut self, phase: StepOutcome, reason: &str, stopped: bool) {
        self.emit(EventKind::StepEnded {
            phase,
            reason: reason.to_owned(),
            stopped,
        });
    }

    /// Ends the step, if there is one, and the run: nothing can go on.
    fn fatal(&mut self, why: &str) -> JobEffect {
        let reason = format!("fatal_error: {why}");
        if self
            .state
            .job
            .as_ref()
            .is_some_and(|job| job.step.is_some())
        {
            self.end_step(StepOutcome::FatalError, &reason, true);
        }
        self.finish(JobRunOutcome::Fatal { reason })
    }

    fn finish(&mut self, outcome: JobRunOutcome) -> JobEffect {
        self.emit(EventKind::RunEnded {
            outcome: outcome.clone(),
        });
        JobEffect::Finish(outcome)
    }

    fn over_budget(&self) -> Option<String> {
        let spent = self.state.job.as_ref()?.spent;
        let reached = budget::exceeded_limit(&spent, &self.rules.budget)?;
        Some(format!("paused: {reached}"))
    }

    fn goal_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self
            .rules
            .done
            .all
            .iter()
            .filter_map(|check| match check {
                DoneCheck::Contains { file, .. }
                | DoneCheck::Matches { file, .. }
                | DoneCheck::Exists { file, exists: true } => Some(file.clone()),
                DoneCheck::Exists { exists: false, .. } | DoneCheck::Command { .. } => None,
            })
            .collect();
        files.sort();
        files.dedup();
        files
    }
}

#[cfg(test)]
mod tests;
