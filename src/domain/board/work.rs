//! What workers report, and what becomes of their tasks.

use super::{
    BlockReason, BlockResolver, Board, Draft, Effect, FailureKind, Fence, Millis, Refusal,
    RefusalCode, RequeueCause, RetryFeedback, Run, RunEvent, RunId, RunOutcome, RunStatus, Spend,
    SystemEvent, Task, TaskEvent, run::Lease, task::AttemptCommit,
};

impl Board {
    pub(super) fn live_run_of(&self, task: &Task) -> Option<&Run> {
        task.run
            .and_then(|id| self.run(id))
            .filter(|run| run.status == RunStatus::Running)
    }

    /// Returns a run that is at work under this number, or refuses.
    pub(super) fn fenced_run(&self, id: RunId, fence: Fence) -> Result<&Run, Refusal> {
        let Some(run) = self.run(id) else {
            return Err(Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "",
            ));
        };
        check_fence(&run.lease, fence, &id.to_string())?;
        if run.status != RunStatus::Running {
            return Err(stale(format!("{id} is over: {}", run.status.as_str())));
        }
        Ok(run)
    }

    pub(super) fn renew_run(
        &self,
        draft: &mut Draft,
        id: RunId,
        fence: Fence,
    ) -> Result<(), Refusal> {
        let run = self.fenced_run(id, fence)?;
        let until = draft.now + self.settings().lease_ms;
        if until > run.lease.until {
            draft.event(RunEvent::Renewed { run: id, until });
        }
        Ok(())
    }

    pub(super) fn record_run_spend(
        &self,
        draft: &mut Draft,
        id: RunId,
        fence: Fence,
        spend: Spend,
    ) -> Result<(), Refusal> {
        self.fenced_run(id, fence)?;
        if spend != Spend::default() {
            draft.event(RunEvent::Spent { run: id, spend });
        }
        Ok(())
    }

    pub(super) fn finish_run(
        &self,
        draft: &mut Draft,
        id: RunId,
        fence: Fence,
        outcome: &RunOutcome,
        log: &str,
    ) -> Result<(), Refusal> {
        let run = self.fenced_run(id, fence)?;
        let task = self.require_task(run.task)?;
        self.withdraw_questions(draft, run, "its run is over");
        match outcome {
            RunOutcome::Committed { kept } => {
                draft.event(ended(
                    run,
                    RunStatus::Success,
                    "",
                    None,
                    Some(kept.clone()),
                    log,
                ));
                draft.event(Self::awaiting_judge_event(
                    task,
                    "its attempt waits for a judge",
                ));
            }
            RunOutcome::NoChange { evidence, base } => {
                let kept = AttemptCommit {
                    commit: String::new(),
                    reference: String::new(),
                    base: base.clone(),
                };
                draft.event(ended(run, RunStatus::Success, "", None, Some(kept), log));
                draft.event(Self::awaiting_judge_event(
                    task,
                    &format!("no change was needed: {evidence}"),
                ));
            }
            RunOutcome::Failed {
                failure,
                reasons,
                signature,
                kept,
            } => {
                let error = reasons.join("\n");
                draft.event(ended(
                    run,
                    RunStatus::Failed,
                    &error,
                    Some(*failure),
                    kept.clone(),
                    log,
                ));
                let lesson = RetryFeedback {
                    run: Some(id),
                    from: "worker".to_owned(),
                    reasons: reasons.clone(),
                };
                draft.event(self.after_failure(task, *failure, signature, lesson, draft.now));
            }
            RunOutcome::QuotaUsed { until, detail } => {
                draft.event(ended(
                    run,
                    RunStatus::Failed,
                    detail,
                    Some(FailureKind::Flaky),
                    None,
                    log,
                ));
                self.pause(draft, task, *until, detail);
            }
            RunOutcome::Stopped => stopped(draft, run, log),
        }
        Ok(())
    }

    /// Decides what a failure means: another try after a while, a rest before rework, or a person.
    fn after_failure(
        &self,
        task: &Task,
        failure: FailureKind,
        signature: &str,
        lesson: RetryFeedback,
        now: Millis,
    ) -> TaskEvent {
        let settings = self.settings();
        let counters = &task.counters;
        let first = lesson
            .reasons
            .first()
            .cloned()
            .unwrap_or_else(|| failure.as_str().to_owned());
        let same = !signature.is_empty() && signature == task.signature;
        // Refusals by the validators are mostly the same; how often they may come has a setting of its own.
        let is_final = same && failure != FailureKind::Policy;
        let repeated = is_final && self.is_same_too_often(task, failure);
        let detail = if repeated {
            format!(
                "the same failure {} times: {first}",
                counters.same_signature + 1
            )
        } else {
            format!("{} ({})", first, failure.as_str())
        };
        if let Some(words) = self.over_budget_reason(task) {
            let detail = format!("{detail}; its budget is used up: {words}");
            return Self::rework(task, Some((failure, signature)), detail, Some(lesson), None);
        }
        if repeated || self.is_retried_out(task, failure) {
            // What failed the same way so often fails so again: somebody has to change something.
            let again = self.rework_at(task, failure, now).filter(|_| !repeated);
            return Self::rework(
                task,
                Some((failure, signature)),
                detail,
                Some(lesson),
                again,
            );
        }
        let wait = if failure == FailureKind::Launch {
            settings.dispatch_retry_delay_ms
        } else {
            settings.failed_cooldown_ms
        };
        TaskEvent::Failed {
            task: task.id,
            failure,
            detail,
            signature: signature.to_owned(),
            retry_at: now + wait,
            lesson: Some(lesson),
        }
    }

    /// Returns how often a task is tried again for a kind of failure.
    pub(super) fn retries_of(&self, failure: FailureKind) -> u32 {
        let settings = self.settings();
        let own = if failure == FailureKind::Policy {
            settings.policy_suppression_max
        } else {
            failure.max_retries()
        };
        u32::try_from(settings.failed_max_retries).map_or(own, |most| most.min(own))
    }

    /// Returns whether one more failure like the last one is the last that tos waits for by itself.
    pub(super) fn is_same_too_often(&self, task: &Task, failure: FailureKind) -> bool {
        let same = task.counters.same_signature + 1;
        same >= self.settings().same_signature_max
            || (same > self.retries_of(failure) && self.is_retried_out(task, failure))
    }

    /// Returns whether one more failure of this kind is one too many for another try.
    pub(super) fn is_retried_out(&self, task: &Task, failure: FailureKind) -> bool {
        let settings = self.settings();
        let counters = &task.counters;
        if failure != FailureKind::Policy {
            return counters.failures + 1 > self.retries_of(failure);
        }
        let most = u32::try_from(settings.failed_max_retries).unwrap_or(u32::MAX);
        counters.policy_blocks + 1 > settings.policy_suppression_max || counters.failures + 1 > most
    }

    /// Returns when a task that needs rework comes back by itself; `None` = a person has to bring it back.
    fn rework_at(&self, task: &Task, failure: FailureKind, now: Millis) -> Option<Millis> {
        let settings = self.settings();
        let for_people = matches!(
            failure,
            FailureKind::Permission | FailureKind::Limit | FailureKind::Noop
        );
        let refused = failure == FailureKind::Policy
            && task.counters.policy_blocks + 1 > settings.policy_suppression_max;
        // A limit that somebody wrote is the most that one yes gives; a return after a rest would count anew.
        let limited = settings.failed_max_retries >= 0;
        let spent = limited || task.counters.reworks >= settings.rework_max_depth;
        (!for_people && !refused && !spent).then_some(now + settings.blocked_cooldown_ms)
    }

    fn rework(
        task: &Task,
        failure: Option<(FailureKind, &str)>,
        detail: String,
        lesson: Option<RetryFeedback>,
        again: Option<Millis>,
    ) -> TaskEvent {
        TaskEvent::Blocked {
            task: task.id,
            reason: BlockReason::NeedsRework,
            detail,
            resolver: if again.is_some() {
                BlockResolver::CycleManager
            } else {
                BlockResolver::Person
            },
            until: again,
            failure: failure.map(|(failure, _)| failure),
            signature: failure
                .map(|(_, signature)| signature.to_owned())
                .unwrap_or_default(),
            lesson,
        }
    }

    /// Brings a task back to the queue because of a judge, unless that was done often enough.
    pub(super) fn after_rejection(
        &self,
        draft: &mut Draft,
        task: &Task,
        cause: RequeueCause,
        lesson: RetryFeedback,
    ) {
        let first = lesson.reasons.first().cloned().unwrap_or_default();
        if let Some(words) = self.over_budget_reason(task) {
            let detail = format!("{first}; its budget is used up: {words}");
            draft.event(Self::rework(task, None, detail, Some(lesson), None));
        } else if task.counters.rejections >= self.settings().review_retries {
            let detail = format!(
                "a judge refused it {} times: {first}",
                task.counters.rejections + 1
            );
            let again = self.rework_at(task, FailureKind::Test, draft.now);
            draft.event(Self::rework(task, None, detail, Some(lesson), again));
        } else {
            draft.event(TaskEvent::Requeued {
                task: task.id,
                cause,
                detail: first,
                lesson: Some(lesson),
            });
        }
    }

    fn pause(&self, draft: &mut Draft, task: &Task, until: Option<Millis>, detail: &str) {
        let settings = self.settings();
        let agent = self.agent_name_of_task(task).to_owned();
        let waits = task.counters.quota_waits.min(20);
        let backoff = settings
            .quota_base_ms
            .saturating_mul(1 << waits)
            .min(settings.quota_max_ms);
        // What the provider says counts; a moment that has passed is no help.
        let said = until.filter(|until| *until > draft.now);
        let until = said.unwrap_or(draft.now + backoff);
        let known = self.pauses.get(&agent).map_or(0, |pause| pause.until);
        if until > known {
            draft.event(SystemEvent::QuotaPaused {
                agent,
                until,
                detail: detail.to_owned(),
            });
        }
        draft.event(TaskEvent::Blocked {
            task: task.id,
            reason: BlockReason::QuotaWait,
            detail: detail.to_owned(),
            resolver: BlockResolver::CycleManager,
            until: Some(until.max(known)),
            failure: None,
            signature: String::new(),
            lesson: None,
        });
    }

    /// Ends a run from outside: its lease is gone, and whatever it reports is refused.
    pub(super) fn cancel_run(&self, draft: &mut Draft, run: &Run, why: &str) {
        self.withdraw_questions(draft, run, why);
        draft.event(ended(run, RunStatus::Cancelled, why, None, None, &run.log));
        draft.effect(Effect::StopRun {
            run: run.id,
            fence: run.lease.fence,
            reason: why.to_owned(),
        });
    }

    /// Ends a run from outside and brings its task back to the queue, at once.
    pub(super) fn cancel_and_requeue(
        &self,
        draft: &mut Draft,
        run: &Run,
        cause: RequeueCause,
        why: &str,
    ) {
        self.cancel_run(draft, run, why);
        if !matches!(cause, RequeueCause::ServiceStarted | RequeueCause::StopAll) {
            self.stop_session_of(draft, run, why);
        }
        let lost = self.task(run.task).map_or(0, |task| task.counters.lost);
        let vanished = matches!(cause, RequeueCause::LeaseExpired | RequeueCause::AgentLost);
        if vanished && lost + 1 >= self.settings().lost_max {
            draft.event(TaskEvent::Blocked {
                task: run.task,
                reason: BlockReason::NeedsRework,
                detail: format!("its agent vanished {} times in a row: {why}", lost + 1),
                resolver: BlockResolver::Person,
                until: None,
                failure: None,
                signature: String::new(),
                lesson: None,
            });
            return;
        }
        draft.event(TaskEvent::Requeued {
            task: run.task,
            cause,
            detail: why.to_owned(),
            lesson: None,
        });
    }
}

/// Its process was told to stop, so its task goes back to the queue.
fn stopped(draft: &mut Draft, run: &Run, log: &str) {
    draft.event(ended(run, RunStatus::Cancelled, "stopped", None, None, log));
    draft.event(TaskEvent::Requeued {
        task: run.task,
        cause: RequeueCause::Stopped,
        detail: format!("{} was stopped", run.agent.agent_name()),
        lesson: None,
    });
}

/// Returns the event that ends a run.
pub(super) fn ended(
    run: &Run,
    status: RunStatus,
    error: &str,
    failure: Option<FailureKind>,
    kept: Option<AttemptCommit>,
    log: &str,
) -> RunEvent {
    RunEvent::Finished {
        run: run.id,
        status,
        error: error.to_owned(),
        failure,
        kept,
        log: log.to_owned(),
    }
}

/// Refuses a number that is not the one of the lease.
pub(super) fn check_fence(lease: &Lease, fence: Fence, what: &str) -> Result<(), Refusal> {
    if lease.fence == fence {
        return Ok(());
    }
    Err(stale(format!(
        "{fence} is not the number of {what}, which is {}",
        lease.fence
    )))
}

pub(super) fn stale(reason: String) -> Refusal {
    Refusal::new(
        RefusalCode::Stale,
        reason,
        "nothing was changed; the work that counts is another one",
    )
}
