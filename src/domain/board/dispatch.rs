//! What starts next: merges, judgements, runs. One step at a time, so that each sees what the last one changed.

use super::{
    AgentAvailability, AgentRole, ApprovalId, ApprovalSubject, BlockReason, BlockResolver, Board,
    BoardResponse, Controller, Draft, Effect, FailureKind, Fence, JudgeEvent, JudgementId, Lane,
    MergeQueueEntry, MergeStatus, Millis, OnDependencyCancelled, ProcessName, Refusal, RefusalCode,
    Risk, RunEvent, RunId, SystemEvent, Task, TaskEvent, TaskId, TaskStatus, area,
    budget::{DAY, HOUR},
    executing_role, run_log_folder,
};

/// Why a queued task does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DispatchBlocker {
    /// The dispatcher is not up.
    NoDispatcher,
    /// The database refuses writes.
    Closed,
    /// New starts are held.
    Held,
    /// The budget of the hour or day is used up, until then.
    Budget(String, Millis),
    /// What the task itself may use up is used up.
    TaskBudget(String),
    /// A task it depends on is not merged yet.
    Dependency(TaskId),
    /// A task it depends on was cancelled.
    DependencyCancelled(TaskId),
    /// A person has to allow it.
    Approval(Option<ApprovalId>),
    /// The quota of its agent is used up, until then.
    Quota(Millis),
    /// Another task that is not merged yet may touch the same files.
    Area(TaskId, String),
    /// As many tasks run as may, or more: so many run, so many may.
    Slots(usize, usize),
    /// As many tasks of its lane run as may.
    Lane(Lane),
    /// The last slot is kept for a feature.
    KeptForFeatures,
    /// No worker has these labels.
    NoWorker(Vec<String>),
    /// No agent of its role is idle: so many are busy, so many are offline.
    NoAgent(AgentRole, usize, usize),
}

impl Board {
    pub(super) fn dispatcher_step(&self, draft: &mut Draft) -> Result<(), Refusal> {
        self.require_up(Controller::Dispatcher)?;
        if !self.examine_or_merge(draft) && !self.dispatch_session(draft) {
            self.dispatch(draft);
        }
        Ok(())
    }

    /// Publishes what is approved or has what waits examined; returns whether there was anything of it.
    pub(super) fn examine_or_merge(&self, draft: &mut Draft) -> bool {
        if let Some(merge) = self.claimable_merge(draft.now) {
            self.claim(draft, merge);
        } else if let Some((task, judge)) = self.judgeable(draft.now) {
            self.start_judgement(draft, task, judge);
        } else {
            return false;
        }
        true
    }

    /// Returns whether judges work without a dispatcher: a person disarmed the hatch, and it has not been stopped by one.
    pub(super) fn has_judges_only(&self) -> bool {
        let hatch = self.hatch();
        let is_away = self.process(ProcessName::Dispatcher).is_none_or(|process| {
            !process.stop_requested && !process.status.is_live() && process.restart_at.is_none()
        });
        let is_wanted = self.settings().self_heal && !self.globals.closed;
        is_wanted && !hatch.armed && hatch.by_person && is_away
    }

    /// Returns when something waits to be examined or published.
    pub(super) fn examination_due(&self) -> Option<Millis> {
        let now = self.globals.now;
        if self.claimable_merge(now).is_some() || self.judgeable(now).is_some() {
            return Some(0);
        }
        let merges = self
            .heads()
            .filter(|merge| merge.status != MergeStatus::Processing);
        let mut due: Vec<Millis> = merges.filter_map(|merge| merge.not_before).collect();
        if self.idle_agent(AgentRole::Judge).is_some() {
            due.extend(self.tasks_to_judge().filter_map(|task| task.not_before));
        }
        due.into_iter().min()
    }

    pub(super) fn require_up(&self, part: Controller) -> Result<(), Refusal> {
        let Some(name) = part.process().filter(|name| !self.is_up(*name)) else {
            return Ok(());
        };
        Err(Refusal::new(
            RefusalCode::NotRunning,
            format!("{name} is not up"),
            format!("tos proc start {name}"),
        ))
    }

    /// Returns the first entry of a queue whose turn it is.
    fn claimable_merge(&self, now: Millis) -> Option<&MergeQueueEntry> {
        self.heads().find(|merge| {
            matches!(merge.status, MergeStatus::Pending | MergeStatus::Waiting)
                && merge.not_before.is_none_or(|at| at <= now)
        })
    }

    /// Returns the first open entry of each branch.
    fn heads(&self) -> impl Iterator<Item = &MergeQueueEntry> {
        self.open_merges().filter(|merge| {
            !self
                .open_merges()
                .any(|other| other.branch == merge.branch && other.id < merge.id)
        })
    }

    fn claim(&self, draft: &mut Draft, merge: &MergeQueueEntry) {
        let fence = Fence(self.globals.last_fence.0 + 1);
        let until = draft.now + self.settings().merge_claim_ms;
        draft.event(JudgeEvent::Claimed {
            merge: merge.id,
            fence,
            until,
        });
        draft.effect(Effect::Publish {
            merge: merge.id,
            fence,
        });
    }

    /// Returns the oldest attempt that waits for a judge, and an idle judge.
    fn judgeable(&self, now: Millis) -> Option<(&Task, ProcessName)> {
        let judge = self.idle_agent(AgentRole::Judge)?;
        let ready = self
            .tasks_to_judge()
            .filter(|task| task.not_before.is_none_or(|at| at <= now));
        ready
            .min_by_key(|task| (task.since, task.id))
            .map(|task| (task, judge))
    }

    /// Returns the attempts that wait for a judge and are not being examined.
    pub(super) fn tasks_to_judge(&self) -> impl Iterator<Item = &Task> {
        self.index
            .in_flight
            .iter()
            .filter_map(|id| self.task(*id))
            .filter(|task| {
                task.awaits_judge()
                    && task.resolver == BlockResolver::Judge
                    && task.merge.is_none()
                    && !self
                        .live_judgements()
                        .any(|judgement| judgement.task == task.id)
            })
    }

    fn start_judgement(&self, draft: &mut Draft, task: &Task, judge: ProcessName) {
        let judgement = JudgementId(self.globals.last_judgement.0 + 1);
        let fence = Fence(self.globals.last_fence.0 + 1);
        draft.event(JudgeEvent::Started {
            judgement,
            task: task.id,
            run: task.run.unwrap_or_default(),
            agent: judge,
            fence,
            until: draft.now + self.settings().lease_ms,
        });
        draft.effect(Effect::StartJudgement {
            judgement,
            task: task.id,
            agent: judge,
            fence,
        });
    }

    /// Returns an idle agent of a role.
    pub(super) fn idle_agent(&self, role: AgentRole) -> Option<ProcessName> {
        let idle = |agent: &&super::AgentState| {
            agent.role == role && agent.status == AgentAvailability::Idle
        };
        self.agents().find(idle).map(|agent| agent.id)
    }

    fn dispatch(&self, draft: &mut Draft) {
        if self.common_blocker(draft.now).is_some() {
            return;
        }
        if let Some(task) = self.over_its_budget() {
            return draft.event(Self::over_budget_event(
                task,
                &self.over_budget_reason(task).unwrap_or_default(),
            ));
        }
        if let Some(task) = self.to_ask() {
            return self.ask_start_approval(draft, task);
        }
        let Some((task, agent)) = self.next_task(draft.now) else {
            return;
        };
        if self.cycle().is_none() {
            let number = self.cycles.keys().next_back().copied().unwrap_or_default() + 1;
            draft.event(SystemEvent::CycleStarted { number });
        }
        let run = RunId(self.globals.last_run.0 + 1);
        let fence = Fence(self.globals.last_fence.0 + 1);
        let until = draft.now + self.settings().lease_ms;
        draft.event(RunEvent::Started {
            run,
            task: task.id,
            agent,
            fence,
            until,
            log: run_log_folder(&self.globals.instance, run),
        });
        draft.effect(Effect::StartRun {
            run,
            task: task.id,
            agent,
            fence,
        });
        draft.answer(BoardResponse::Task {
            task: task.id,
            created: false,
        });
    }

    fn over_its_budget(&self) -> Option<&Task> {
        self.queued()
            .find(|task| self.over_budget_reason(task).is_some())
    }

    /// Says what a task has used up, where it may not go on.
    pub(super) fn over_budget_reason(&self, task: &Task) -> Option<String> {
        let mut limit = self.settings().task_limit;
        limit.calls = limit.calls.map(|calls| calls + u64::from(task.allowance));
        limit.reached_reason(task.spent)
    }

    pub(super) fn over_budget_event(task: &Task, words: &str) -> TaskEvent {
        TaskEvent::Blocked {
            task: task.id,
            reason: BlockReason::NeedsRework,
            detail: format!("its budget is used up: {words}"),
            resolver: BlockResolver::Person,
            until: None,
            failure: Some(FailureKind::Limit),
            signature: String::new(),
            lesson: None,
        }
    }

    /// Returns the tasks that wait for the dispatcher; those of a session wait for that.
    fn queued(&self) -> impl Iterator<Item = &Task> {
        self.index
            .queued
            .iter()
            .filter_map(|id| self.task(*id))
            .filter(|task| self.session_of(task).is_none())
    }

    /// Returns a task whose start nobody has been asked about, and that waits for nothing else but its turn.
    fn to_ask(&self) -> Option<&Task> {
        if !self.settings().ask_before_start {
            return None;
        }
        self.queued()
            .find(|task| !task.approved && task.approval.is_none() && self.unmerged(task).is_none())
    }

    pub(super) fn ask_start_approval(&self, draft: &mut Draft, task: &Task) {
        let approval = ApprovalId(self.globals.last_approval.0 + 1);
        let question = format!("May {} start: {}?", task.id, task.spec.title);
        draft.event(TaskEvent::Asked {
            approval,
            task: task.id,
            subject: ApprovalSubject::Start,
            question: question.clone(),
            until: None,
        });
        draft.effect(Effect::Notify {
            text: question,
            task: Some(task.id),
        });
    }

    /// Returns what keeps every task from starting.
    pub(super) fn common_blocker(&self, now: Millis) -> Option<DispatchBlocker> {
        if !self.is_up(ProcessName::Dispatcher) {
            return Some(DispatchBlocker::NoDispatcher);
        }
        if self.globals.closed {
            return Some(DispatchBlocker::Closed);
        }
        if self.dispatch_hold().is_some() {
            return Some(DispatchBlocker::Held);
        }
        self.budget_blocker(now)
    }

    pub(super) fn budget_blocker(&self, now: Millis) -> Option<DispatchBlocker> {
        let (settings, budget) = (self.settings(), self.spend_totals());
        let day = settings
            .day_limit
            .reached_reason(budget.this_day(now))
            .map(|words| DispatchBlocker::Budget(format!("{words} today"), (now / DAY + 1) * DAY));
        day.or_else(|| {
            settings
                .hour_limit
                .reached_reason(budget.this_hour(now))
                .map(|words| {
                    DispatchBlocker::Budget(format!("{words} this hour"), (now / HOUR + 1) * HOUR)
                })
        })
    }

    /// Returns the first dependency that is not merged.
    fn unmerged(&self, task: &Task) -> Option<DispatchBlocker> {
        task.spec.dependencies.iter().find_map(|dependency| {
            match self.task(dependency.task).map(|needed| needed.status) {
                // What a session accepted is not on the branch yet.
                Some(TaskStatus::Done) => {
                    let merged = self
                        .task(dependency.task)
                        .is_some_and(|task| task.merged.is_some());
                    (!merged).then_some(DispatchBlocker::Dependency(dependency.task))
                }
                None | Some(TaskStatus::Cancelled) => (dependency.on_fail
                    == OnDependencyCancelled::Block)
                    .then_some(DispatchBlocker::DependencyCancelled(dependency.task)),
                Some(
                    TaskStatus::Queued
                    | TaskStatus::Running
                    | TaskStatus::Failed
                    | TaskStatus::Blocked,
                ) => Some(DispatchBlocker::Dependency(dependency.task)),
            }
        })
    }

    /// Returns the first thing that keeps a queued task from starting, beside what keeps all.
    fn own_blocker(&self, task: &Task) -> Option<DispatchBlocker> {
        if let Some(words) = self.over_budget_reason(task) {
            return Some(DispatchBlocker::TaskBudget(words));
        }
        if let Some(blocker) = self.unmerged(task) {
            return Some(blocker);
        }
        if self.settings().ask_before_start && !task.approved {
            return Some(DispatchBlocker::Approval(task.approval));
        }
        if let Some(pause) = self.pauses.get(self.agent_name_of_task(task)) {
            return Some(DispatchBlocker::Quota(pause.until));
        }
        if let Some(labels) = self.missing_labels(task) {
            return Some(DispatchBlocker::NoWorker(labels));
        }
        self.slot_blocker(task).or_else(|| self.area_blocker(task))
    }

    pub(super) fn area_blocker(&self, task: &Task) -> Option<DispatchBlocker> {
        let others = self.index.in_flight.iter().filter(|id| **id != task.id);
        let mut others = others.filter_map(|id| self.task(*id));
        others.find_map(|other| {
            if self.branch_of(other) != self.branch_of(task) {
                return None;
            }
            let (own, its) = area::overlap(&task.spec.paths, &other.spec.paths)?;
            let words = if own == its {
                own.to_owned()
            } else {
                format!("{own} and {its}")
            };
            Some(DispatchBlocker::Area(other.id, words))
        })
    }

    pub(super) fn slot_blocker(&self, task: &Task) -> Option<DispatchBlocker> {
        let role = executing_role(task.spec.role);
        let of_role = |status: AgentAvailability| {
            self.agents()
                .filter(|agent| agent.role == role && agent.status == status)
                .count()
        };
        if of_role(AgentAvailability::Idle) == 0 {
            let configured = usize::from(self.settings().agent_count(role));
            let busy = of_role(AgentAvailability::Busy);
            let offline = of_role(AgentAvailability::Offline).max(configured.saturating_sub(busy));
            return Some(DispatchBlocker::NoAgent(role, busy, offline));
        }
        let running = self.index.live_runs.len();
        let slots = usize::try_from(self.settings().max_concurrent).ok();
        if let Some(slots) = slots.filter(|slots| running >= *slots) {
            return Some(DispatchBlocker::Slots(running, slots));
        }
        let in_lane = |lane: Lane| {
            let tasks = self.live_runs().filter_map(|run| self.task(run.task));
            tasks.filter(|task| task.spec.lane == lane).count()
        };
        let most = match task.spec.lane {
            Lane::ConflictRecovery => self.settings().conflict_lane_max,
            Lane::Docser => self.settings().docser_lane_max,
            Lane::Feature | Lane::Research => u32::MAX,
        };
        let lane = task.spec.lane;
        if u32::try_from(in_lane(lane)).unwrap_or(u32::MAX) >= most {
            return Some(DispatchBlocker::Lane(lane));
        }
        let is_feature = matches!(lane, Lane::Feature | Lane::Research);
        let kept = self.settings().feature_lane_min as usize;
        let features = in_lane(Lane::Feature) + in_lane(Lane::Research);
        let wants = || {
            self.queued()
                .any(|other| matches!(other.spec.lane, Lane::Feature | Lane::Research))
        };
        let short = slots
            .is_some_and(|slots| slots.saturating_sub(running) <= kept.saturating_sub(features));
        (!is_feature && short && wants()).then_some(DispatchBlocker::KeptForFeatures)
    }

    /// Returns everything that keeps a queued task from starting.
    pub fn dispatch_blockers(&self, task: &Task, now: Millis) -> Vec<DispatchBlocker> {
        self.common_blocker(now)
            .into_iter()
            .chain(self.own_blocker(task))
            .collect()
    }

    /// Returns the task that starts next, and who gets it.
    fn next_task(&self, now: Millis) -> Option<(&Task, ProcessName)> {
        if !AgentRole::ALL
            .into_iter()
            .any(|role| role.executes() && self.idle_agent(role).is_some())
        {
            return None;
        }
        let ready = self
            .queued()
            .filter(|task| self.own_blocker(task).is_none());
        let best = ready.max_by_key(|task| (Self::score(task, now), std::cmp::Reverse(task.id)))?;
        Some((best, self.idle_agent(executing_role(best.spec.role))?))
    }

    /// Returns how urgent a task is, in hundredths: its priority weighed by its risk, its age, and a little for short tasks.
    pub fn score(task: &Task, now: Millis) -> i64 {
        let priority = i64::from(task.spec.priority) * 1000;
        // Low risk makes a task more urgent, whatever the sign of its priority.
        let weighed = match (task.spec.risk, priority >= 0) {
            (Risk::Low, true) | (Risk::High, false) => priority * 3 / 2,
            (Risk::High, true) | (Risk::Low, false) => priority / 2,
            (Risk::Medium, _) => priority,
        };
        let waited =
            i64::try_from(now.saturating_sub(task.created_at) * 200 / HOUR).unwrap_or(i64::MAX);
        let short = if (1..=30).contains(&task.spec.timebox_minutes) {
            500
        } else {
            0
        };
        weighed + waited.min(2000) + short
    }

    pub(super) fn dispatcher_due(&self) -> Option<Millis> {
        let now = self.globals.now;
        let mut due: Vec<Millis> = self.examination_due().into_iter().collect();
        if due == [0] || self.session_has_step(now) {
            return Some(0);
        }
        due.extend(self.session_due());
        let has_step = || {
            self.next_task(now).is_some()
                || self.to_ask().is_some()
                || self.over_its_budget().is_some()
        };
        match self.common_blocker(now) {
            Some(DispatchBlocker::Budget(_, until))
                if has_step() || self.session_has_step(until) =>
            {
                due.push(until);
            }
            None if has_step() => return Some(0),
            Some(_) | None => {}
        }
        due.into_iter().min()
    }
}
