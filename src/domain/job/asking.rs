//! The first half of a step: ask three roles, put up with failures, weigh the replies.

use std::time::Duration;

use super::{JobEffect, JobMachine};
use crate::domain::{
    job::{
        event::EventKind,
        history,
        outcome::{JobRunOutcome, StepOutcome},
        prompt, proposal, retry,
        retry::RetryDecision,
        state::{StepStage, StepState},
    },
    model::{FinishReason, ModelError, ModelReply, ModelRequest, ModelRole},
};

impl JobMachine {
    /// Asks `role`, unless a ceiling is reached.
    pub(super) fn ask_model(&mut self, role: ModelRole, attempts: u32) -> JobEffect {
        if let Some(reason) = self.over_budget() {
            return self.finish(JobRunOutcome::OverBudget { reason });
        }
        let Some(job) = &self.state.job else {
            return self.next();
        };
        let Some(step) = &job.step else {
            return self.next();
        };
        // A crash may have come between a reply and what follows from it.
        if role == ModelRole::Final && self.rejected() {
            return self.review_rejected();
        }
        if let Some(why) = self.given_up(role) {
            return self.fatal(&why);
        }
        let text = self.redactor.clean(&self.prompt(role, step));
        let query = ModelRequest {
            role,
            prompt: text.clone(),
            job: job.index,
            turn: job.reply_count(role),
            deadline: *self.rules.deadlines.of(role),
        };
        self.emit(EventKind::QueryStarted {
            role,
            attempt: attempts + 1,
            prompt: text,
        });
        JobEffect::Ask(query)
    }

    fn prompt(&self, role: ModelRole, step: &StepState) -> String {
        let template = self.rules.templates.of(role);
        let facts = &self.state.facts;
        let payload = facts.payload.as_ref();
        let accepted = |role| {
            step.accepted_reply(role)
                .and_then(|text| proposal::format_reply(role, text))
                .unwrap_or_else(|| "null".to_owned())
        };
        let items = self.state.job.as_ref().map(|job| job.history.as_slice());
        let text = prompt::expand(
            template,
            &prompt::PromptValues {
                step_num: step.number,
                job_name: &facts.job_name,
                job_index: self.state.job_index,
                history_json: Some(&history::bounded_json(items.unwrap_or_default())),
                job_payload_json: Some(payload.map_or("null", |payload| &payload.json)),
                draft_json: Some(&accepted(ModelRole::Draft)),
                review_json: Some(&accepted(ModelRole::Review)),
            },
        );
        match step.turn(role).unusable.last() {
            None => text,
            Some(why) => prompt::retry_prompt(&self.rules.json_retry_prefix, why, &text),
        }
    }

    pub(super) fn on_reply(&mut self, mut reply: ModelReply) -> JobEffect {
        // Before parsing: what is recorded and what would run are then the same text.
        reply.text = self.redactor.clean(&reply.text);
        let Some(role) = self.asked() else {
            return self.next();
        };
        let cost = self
            .rules
            .prices
            .of(role)
            .map(|price| price.cost(reply.usage));
        self.emit(EventKind::QueryAnswered { role, reply, cost });
        self.next()
    }

    /// Returns the role whose answer is awaited.
    fn asked(&self) -> Option<ModelRole> {
        match &self.state.job.as_ref()?.step.as_ref()?.stage {
            StepStage::Ask { role, .. } => Some(*role),
            StepStage::Answered { .. }
            | StepStage::Judge
            | StepStage::Run
            | StepStage::Open { .. }
            | StepStage::NotStarted { .. }
            | StepStage::Observed => None,
        }
    }

    pub(super) fn on_model_error(&mut self, failure: ModelError) -> JobEffect {
        let step = self.state.job.as_ref().and_then(|job| job.step.as_ref());
        let Some(StepStage::Ask { role, attempts }) = step.map(|step| step.stage.clone()) else {
            return self.next();
        };
        let next = retry::decide_retry(&failure, attempts, &self.rules.retry, self.moment.chance);
        let wait_ms = match next {
            RetryDecision::Again { wait } => Some(millis(wait)),
            RetryDecision::Park { .. } | RetryDecision::GiveUp => None,
        };
        let message = failure.message.clone();
        self.emit(EventKind::QueryFailed {
            role,
            failure,
            wait_ms,
        });
        match next {
            RetryDecision::Again { wait } if wait.is_zero() => self.next(),
            RetryDecision::Again { wait } => JobEffect::Wait(wait),
            RetryDecision::Park { wait } => self.park(role, wait, &message),
            RetryDecision::GiveUp => {
                // Most adapters say the words themselves, with the provider in front.
                let words = if message.contains("API error") {
                    ""
                } else {
                    "API error: "
                };
                let tries = if attempts > 1 {
                    format!(" (after {attempts} tries)")
                } else {
                    String::new()
                };
                self.fatal(&format!("{}: {words}{message}{tries}", role.as_str()))
            }
        }
    }

    fn park(&mut self, role: ModelRole, wait: Duration, message: &str) -> JobEffect {
        let wait = chrono::TimeDelta::from_std(wait).unwrap_or(chrono::TimeDelta::MAX);
        let until = self
            .moment
            .at
            .checked_add_signed(wait)
            .unwrap_or(self.moment.at);
        let reason = format!(
            "paused: {} has to wait until {}: {message}",
            role.as_str(),
            until.format("%Y-%m-%d %H:%M:%S %:z")
        );
        self.emit(EventKind::Parked {
            until,
            reason: reason.clone(),
        });
        self.finish(JobRunOutcome::Parked { until, reason })
    }

    /// Looks at a reply that has arrived: goes on with it, asks again, or gives up.
    pub(super) fn check_reply(&mut self, role: ModelRole) -> JobEffect {
        match self.unusable(role) {
            None => {
                self.emit(EventKind::ReplyAccepted { role });
                self.next()
            }
            Some(why) => {
                self.emit(EventKind::ReplyUnusable { role, why });
                self.next()
            }
        }
    }

    /// Returns the end of asking `role`, where it had its chances.
    fn given_up(&self, role: ModelRole) -> Option<String> {
        let step = self.state.job.as_ref()?.step.as_ref()?;
        let unusable = &step.turn(role).unusable;
        let why = unusable.last()?;
        (unusable.len() > self.rules.json_retry as usize).then(|| {
            format!(
                "{}: API error: no usable reply after {} attempts: {why}",
                role.as_str(),
                unusable.len()
            )
        })
    }

    /// Returns why the last reply of `role` cannot be used, if so.
    fn unusable(&self, role: ModelRole) -> Option<String> {
        let step = self.state.job.as_ref()?.step.as_ref()?;
        let reply = step.turn(role).reply.as_ref()?;
        let parsed = match role {
            ModelRole::Draft => proposal::parse_draft(&reply.text).map(drop),
            ModelRole::Review => proposal::parse_review(&reply.text).map(drop),
            ModelRole::Final => proposal::parse_final(&reply.text).map(drop),
        };
        let why = parsed.err().map(|unusable| unusable.reason);
        // What was cut off may have gone on with a correction, so not even a whole object counts.
        let ended = match reply.finish {
            FinishReason::Cut => "the reply was cut off at the token limit",
            FinishReason::Refused => "the model refused to answer",
            FinishReason::Complete | FinishReason::Other(_) => return why,
        };
        Some(why.map_or_else(|| ended.to_owned(), |why| format!("{ended}: {why}")))
    }

    fn rejected(&self) -> bool {
        let step = self.state.job.as_ref().and_then(|job| job.step.as_ref());
        let text = step.and_then(|step| step.accepted_reply(ModelRole::Review));
        let approval = text.and_then(|text| proposal::parse_review(text).ok());
        self.rules.require_approval && approval.is_some_and(|review| !review.approval)
    }

    fn review_rejected(&mut self) -> JobEffect {
        self.end_step(
            StepOutcome::ReviewRejected,
            "review_rejected: the reviewer did not approve",
            false,
        );
        self.next()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
