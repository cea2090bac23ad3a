//! What the cycle manager does when its time has come: expired leases, retries, quota pauses, holds, cycles.

use super::{
    BlockReason, BlockResolver, Board, Controller, Cycle, Draft, Effect, JudgeEvent, MergeOutcome,
    MergeQueueEntry, MergeStatus, Millis, Refusal, RefusalCode, RequeueCause, SystemEvent, Task,
    TaskEvent, TaskStatus,
};

/// How many runs a cycle must have seen before its share of failures says anything.
const MEANINGFUL: u32 = 10;

impl Board {
    pub(super) fn cycle_manager_step(&self, draft: &mut Draft) -> Result<(), Refusal> {
        self.require_up(Controller::CycleManager)?;
        let now = draft.now;
        if let Some(run) = self.live_runs().find(|run| run.lease.until <= now) {
            let why = format!(
                "{} gave no sign of life until its lease ended",
                run.agent.agent_name()
            );
            self.cancel_and_requeue(draft, run, RequeueCause::LeaseExpired, &why);
        } else if let Some(judgement) = self.live_judgements().find(|one| one.lease.until <= now) {
            let detail = format!(
                "{} gave no sign of life until its lease ended",
                judgement.agent.agent_name()
            );
            draft.event(JudgeEvent::Dropped {
                judgement: judgement.id,
                detail,
            });
            draft.effect(Effect::StopJudgement {
                judgement: judgement.id,
                fence: judgement.lease.fence,
            });
        } else if let Some(merge) = self
            .claims()
            .find(|merge| merge.until.is_none_or(|until| until <= now))
        {
            let outcome = MergeOutcome::Failed {
                detail: "the publication gave no answer".to_owned(),
            };
            // Asking again is safe: a branch that holds the commit already is merged.
            draft.event(JudgeEvent::Published {
                merge: merge.id,
                outcome,
                again_at: Some(now),
            });
        } else if let Some(pause) = self.pauses().find(|pause| pause.until <= now) {
            self.end_pause(draft, &pause.agent);
        } else if let Some(task) = self
            .timed()
            .find(|task| task.not_before.is_some_and(|at| at <= now))
        {
            draft.event(comes_back(task));
        } else if self
            .dispatch_hold()
            .is_some_and(|hold| hold.until.is_some_and(|until| until <= now))
        {
            draft.event(SystemEvent::Resumed {
                by: "cycle-manager".to_owned(),
            });
        } else if let Some((cycle, trigger)) = self
            .cycle()
            .and_then(|cycle| Some((cycle, self.cycle_over(cycle, now)?)))
        {
            self.close_cycle(draft, cycle, trigger);
        } else if let Some((plan, _)) = self.replan_due(now).filter(|(_, at)| *at <= now) {
            if let Some(cycle) = self.cycle() {
                self.close_cycle(draft, cycle, "replan");
            }
            self.replan(draft, plan);
        }
        Ok(())
    }

    fn claims(&self) -> impl Iterator<Item = &MergeQueueEntry> {
        self.open_merges()
            .filter(|merge| merge.status == MergeStatus::Processing)
    }

    /// Returns the tasks that come back at a time of their own.
    fn timed(&self) -> impl Iterator<Item = &Task> {
        self.index
            .waiting
            .iter()
            .filter_map(|id| self.task(*id))
            .filter(|task| {
                task.resolver == BlockResolver::CycleManager
                    && task.not_before.is_some()
                    && !self.is_paused(task)
            })
    }

    /// A task that waits for a quota comes back with the pause, as long as there is one.
    fn is_paused(&self, task: &Task) -> bool {
        task.block == Some(BlockReason::QuotaWait)
            && self.pauses.contains_key(self.agent_name_of_task(task))
    }

    /// Brings back what waits for a pause, then ends it: until then its end is the shown time.
    fn end_pause(&self, draft: &mut Draft, agent: &str) {
        let waiting = self.index.waiting.iter().filter_map(|id| self.task(*id));
        for task in waiting {
            if task.block == Some(BlockReason::QuotaWait) && self.agent_name_of_task(task) == agent
            {
                draft.event(comes_back(task));
            }
        }
        draft.event(SystemEvent::QuotaResumed {
            agent: agent.to_owned(),
        });
    }

    fn cycle_over(&self, cycle: &Cycle, now: Millis) -> Option<&'static str> {
        let settings = self.settings();
        let all = cycle.succeeded + cycle.failed;
        if all >= MEANINGFUL
            && cycle.failed * 100 >= all.saturating_mul(settings.cycle_max_failure_percent)
        {
            return Some("failure_rate");
        }
        if cycle.succeeded >= settings.cycle_max_tasks {
            return Some("task_count");
        }
        (now >= cycle.started_at + settings.cycle_ms).then_some("time")
    }

    fn close_cycle(&self, draft: &mut Draft, cycle: &Cycle, trigger: &str) {
        draft.event(SystemEvent::CycleEnded {
            number: cycle.number,
            trigger: trigger.to_owned(),
        });
        // A hold of a person is stronger than one of ours.
        if trigger == "failure_rate" && self.dispatch_hold().is_none() {
            let detail = format!(
                "{} of {} runs failed",
                cycle.failed,
                cycle.succeeded + cycle.failed
            );
            let until = Some(draft.now + self.settings().cycle_hold_ms);
            draft.effect(Effect::Notify {
                text: format!("new starts are held: {detail}"),
                task: None,
            });
            draft.event(SystemEvent::Held {
                detail,
                by: "cycle-manager".to_owned(),
                until,
            });
        }
    }

    pub(super) fn end_cycle(&self, draft: &mut Draft) -> Result<(), Refusal> {
        let Some(cycle) = self.cycle() else {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                "no cycle is under way",
                "one begins with the next run",
            ));
        };
        self.close_cycle(draft, cycle, "manual");
        Ok(())
    }

    pub(super) fn cycle_manager_due(&self) -> Option<Millis> {
        let leases = self.live_runs().map(|run| run.lease.until);
        let judgements = self
            .live_judgements()
            .map(|judgement| judgement.lease.until);
        let claims = self.claims().map(|merge| merge.until.unwrap_or_default());
        let pauses = self.pauses().map(|pause| pause.until);
        let tasks = self.timed().filter_map(|task| task.not_before);
        let hold = self.dispatch_hold().and_then(|hold| hold.until);
        let cycle = self.cycle().map(|cycle| {
            let over = self.cycle_over(cycle, self.globals.now).is_some();
            if over {
                0
            } else {
                cycle.started_at + self.settings().cycle_ms
            }
        });
        let all = leases
            .chain(judgements)
            .chain(claims)
            .chain(pauses)
            .chain(tasks);
        let replan = self.replan_due(self.globals.now).map(|(_, at)| at);
        all.chain(hold).chain(cycle).chain(replan).min()
    }
}

/// Returns the event that brings a waiting task back.
fn comes_back(task: &Task) -> TaskEvent {
    let cause = match (task.status, task.block) {
        (TaskStatus::Blocked, Some(BlockReason::QuotaWait)) => RequeueCause::QuotaOver,
        (TaskStatus::Blocked, _) => RequeueCause::Rework,
        _ => RequeueCause::Retry,
    };
    let detail = match cause {
        RequeueCause::QuotaOver => "its quota should be there again",
        RequeueCause::Rework => "tried again after a rest",
        RequeueCause::Retry
        | RequeueCause::Person
        | RequeueCause::Rejected
        | RequeueCause::Conflict
        | RequeueCause::Stopped
        | RequeueCause::StopAll
        | RequeueCause::LeaseExpired
        | RequeueCause::AgentLost
        | RequeueCause::ServiceStarted
        | RequeueCause::RunCancelled
        | RequeueCause::Waits => "tried again",
    };
    TaskEvent::Requeued {
        task: task.id,
        cause,
        detail: detail.to_owned(),
        lesson: None,
    }
}
