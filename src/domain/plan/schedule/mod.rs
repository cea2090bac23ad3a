//! Decides what starts next: a pure structure without clock or process, told what ended and asked what may begin.
//!
//! [`TaskScheduler::next`] hands out tasks, [`TaskScheduler::finish`] takes them back; between the two nothing else changes a
//! task. What will never start is collected on the way and handed over by [`TaskScheduler::drain_settled`]. Every
//! operation costs about the logarithm of the plan's size, skips spread without recursion, and a task that waits
//! for its next attempt or for a resource holds nothing that another one could use.

use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

use crate::domain::plan::{
    graph::PlanGraph,
    state::{StatusReason, TaskState, TaskStatus},
    task::{Plan, PlanTask, TaskIndex},
    when::UpstreamState,
};

/// How a plan is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleRules {
    /// At most this many tasks at once.
    pub max_parallel: u32,
    /// Whether the first failure keeps everything else from starting.
    pub fail_fast: bool,
}

/// Success or failure of an attempt, and whether another one may go better: all that the schedule decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// It succeeded.
    Success,
    /// It failed.
    Failure {
        /// The exit code, where there is one.
        code: Option<i32>,
        /// Whether another attempt could go better.
        can_retry: bool,
    },
}

/// What a finished attempt makes of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the verdict has to be recorded"]
pub struct TaskTransition {
    /// What the task is now; [`TaskStatus::Ready`] where another attempt follows.
    pub status: TaskStatus,
    /// How long until that attempt.
    pub wait: Option<Duration>,
}

/// Tasks that will never start, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnstartedTasks {
    /// Which, in the order in which it was found out.
    pub tasks: Vec<TaskIndex>,
    /// What they are now.
    pub status: TaskStatus,
    /// Why.
    pub reason: StatusReason,
}

type Turn = (Reverse<i32>, TaskIndex);

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    status: TaskStatus,
    /// How many of the tasks it depends on are not over.
    open: u32,
    /// Attempts of this execution.
    tries: u32,
    code: Option<i32>,
    reason: Option<StatusReason>,
    /// Whether its turn has been decided: it waits to start, or never will.
    is_decided: bool,
}

/// The state of a plan being run.
#[derive(Debug)]
pub struct TaskScheduler<'plan> {
    plan: &'plan Plan,
    graph: PlanGraph,
    rules: ScheduleRules,
    cells: Vec<Cell>,
    ready: BTreeSet<Turn>,
    delayed: BTreeSet<(Duration, TaskIndex)>,
    parked: Vec<BTreeSet<Turn>>,
    free: Vec<u32>,
    running: u32,
    open_main: usize,
    open_handlers: usize,
    has_trouble: bool,
    is_canceled: bool,
    is_stopped: bool,
    handlers_began: bool,
    settled: Vec<UnstartedTasks>,
}

impl<'plan> TaskScheduler<'plan> {
    /// Creates the schedule of a run; tasks that are over in `states` stay as they are.
    pub fn new(
        plan: &'plan Plan,
        graph: PlanGraph,
        states: &[TaskState],
        rules: ScheduleRules,
    ) -> Self {
        let cells = states.iter().map(carried).collect();
        let mut schedule = Self {
            plan,
            graph,
            rules,
            cells,
            ready: BTreeSet::new(),
            delayed: BTreeSet::new(),
            parked: vec![BTreeSet::new(); plan.resources.len()],
            free: plan.resources.iter().map(|(_, amount)| *amount).collect(),
            running: 0,
            open_main: 0,
            open_handlers: 0,
            has_trouble: false,
            is_canceled: false,
            is_stopped: false,
            handlers_began: false,
            settled: Vec::new(),
        };
        schedule.count();
        for task in schedule.graph.tasks() {
            if schedule.cell(task).open == 0 {
                schedule.decide(task);
            }
        }
        schedule.begin_handlers();
        schedule
    }

    /// Returns a task to start now, counted as running from here on.
    pub fn next(&mut self, now: Duration) -> Option<TaskIndex> {
        self.wake(now);
        while self.running < self.rules.max_parallel {
            let turn = self.ready.pop_first()?;
            let task = turn.1;
            if !self.takes_resources(turn) {
                continue;
            }
            self.running += 1;
            if let Some(cell) = self.cells.get_mut(task as usize) {
                cell.status = TaskStatus::Running;
                cell.tries += 1;
            }
            return Some(task);
        }
        None
    }

    /// Returns when [`TaskScheduler::next`] may have something although nothing ended.
    pub fn next_wake(&self) -> Option<Duration> {
        if self.running >= self.rules.max_parallel {
            return None;
        }
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Takes back a task that [`TaskScheduler::next`] handed out.
    pub fn finish(&mut self, task: TaskIndex, end: AttemptResult, now: Duration) -> TaskTransition {
        self.running = self.running.saturating_sub(1);
        self.frees_resources(task);
        let (status, wait) = self.judge(task, end);
        if let Some(cell) = self.cells.get_mut(task as usize) {
            cell.status = status;
            cell.code = match end {
                AttemptResult::Success => Some(0),
                AttemptResult::Failure { code, .. } => code,
            };
        }
        if let Some(wait) = wait {
            self.delayed.insert((now.saturating_add(wait), task));
        } else {
            self.over(task);
            let counts = !self.is_handler(task) && !self.allows_failure(task);
            if status == TaskStatus::Failed && counts && self.rules.fail_fast {
                self.stop(StatusReason::FailFast);
            }
            self.begin_handlers();
        }
        TaskTransition { status, wait }
    }

    /// Lets nothing start any more; what runs has to be ended and finished by the caller.
    pub fn cancel(&mut self) {
        if !self.is_canceled {
            self.is_canceled = true;
            self.stop(StatusReason::RunCanceled);
            self.begin_handlers();
        }
    }

    /// Returns true once everything is over.
    pub const fn is_over(&self) -> bool {
        self.open_main == 0 && self.open_handlers == 0
    }

    /// Returns true once the run was canceled.
    pub const fn is_canceled(&self) -> bool {
        self.is_canceled
    }

    /// Returns what was found never to start since the last call.
    pub fn drain_settled(&mut self) -> Vec<UnstartedTasks> {
        std::mem::take(&mut self.settled)
    }

    fn cell(&self, task: TaskIndex) -> Cell {
        self.cells.get(task as usize).copied().unwrap_or_default()
    }

    fn is_handler(&self, task: TaskIndex) -> bool {
        task as usize >= self.plan.main_task_count()
    }

    fn allows_failure(&self, task: TaskIndex) -> bool {
        self.plan.task(task).is_some_and(PlanTask::allow_failure)
    }

    fn count(&mut self) {
        for task in self.graph.tasks() {
            self.count_open(task);
            let cell = self.cell(task);
            if !cell.status.is_over() {
                *self.open_count(task) += 1;
            } else if self.is_trouble(task) && !self.is_handler(task) {
                self.has_trouble = true;
            }
        }
    }

    fn count_open(&mut self, task: TaskIndex) {
        let open = self
            .graph
            .dependencies(task)
            .iter()
            .filter(|up| !self.cell(**up).status.is_over())
            .count();
        if let Some(cell) = self.cells.get_mut(task as usize) {
            cell.open = u32::try_from(open).unwrap_or(u32::MAX);
        }
    }

    fn open_count(&mut self, task: TaskIndex) -> &mut usize {
        if self.is_handler(task) {
            &mut self.open_handlers
        } else {
            &mut self.open_main
        }
    }

    fn is_trouble(&self, task: TaskIndex) -> bool {
        let cell = self.cell(task);
        match cell.status {
            TaskStatus::Failed => !self.allows_failure(task),
            TaskStatus::Skipped => !cell.reason.is_some_and(StatusReason::is_harmless),
            TaskStatus::Canceled => true,
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Success
            | TaskStatus::Interrupted => false,
        }
    }

    /// Decides about a task whose upstream is over: it may start, or it never will.
    fn decide(&mut self, task: TaskIndex) {
        let cell = self.cell(task);
        let waits_for_main = self.is_handler(task) && !self.handlers_began;
        if cell.is_decided || cell.status != TaskStatus::Pending || waits_for_main {
            return;
        }
        if let Some(reason) = self.obstacle(task) {
            self.settle(task, TaskStatus::Skipped, reason);
            self.over(task);
            return;
        }
        if let Some(cell) = self.cells.get_mut(task as usize) {
            cell.is_decided = true;
        }
        self.ready.insert(self.turn(task));
    }

    fn turn(&self, task: TaskIndex) -> Turn {
        (
            Reverse(self.plan.task(task).map_or(0, PlanTask::priority)),
            task,
        )
    }

    fn obstacle(&self, task: TaskIndex) -> Option<StatusReason> {
        let upstream = self.graph.dependencies(task);
        let Some(when) = self.plan.task(task).and_then(PlanTask::condition) else {
            let mut reason = None;
            for up in upstream.iter().filter(|up| !self.is_good(**up)) {
                let cell = self.cell(*up);
                if cell.status != TaskStatus::Skipped
                    || !cell.reason.is_some_and(StatusReason::is_harmless)
                {
                    return Some(StatusReason::DependencyNotSuccess);
                }
                reason = Some(StatusReason::DependencySkipped);
            }
            return reason;
        };
        let all: Vec<UpstreamState> = upstream.iter().map(|up| self.seen(*up)).collect();
        let by_name = |name: &str| {
            let named =
                |up: &&TaskIndex| self.plan.task(**up).is_some_and(|task| &*task.id == name);
            upstream.iter().find(named).map(|up| self.seen(*up))
        };
        (!when.holds(&all, &by_name)).then_some(StatusReason::WhenFalse)
    }

    fn is_good(&self, task: TaskIndex) -> bool {
        match self.cell(task).status {
            TaskStatus::Success => true,
            TaskStatus::Failed => self.allows_failure(task),
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Skipped
            | TaskStatus::Canceled
            | TaskStatus::Interrupted => false,
        }
    }

    fn seen(&self, task: TaskIndex) -> UpstreamState {
        let cell = self.cell(task);
        UpstreamState {
            status: cell.status,
            exit_code: cell.code,
            is_good: self.is_good(task),
        }
    }

    fn settle(&mut self, task: TaskIndex, status: TaskStatus, reason: StatusReason) {
        if let Some(cell) = self.cells.get_mut(task as usize) {
            cell.status = status;
            cell.reason = Some(reason);
            cell.is_decided = true;
        }
        match self.settled.last_mut() {
            Some(last) if last.status == status && last.reason == reason => last.tasks.push(task),
            _ => self.settled.push(UnstartedTasks {
                tasks: vec![task],
                status,
                reason,
            }),
        }
    }

    /// Counts a task as over and decides about everything that only waited for it, however far that reaches.
    fn over(&mut self, task: TaskIndex) {
        let mut newly_over = vec![task];
        while let Some(task) = newly_over.pop() {
            *self.open_count(task) -= 1;
            if self.is_trouble(task) && !self.is_handler(task) {
                self.has_trouble = true;
            }
            for index in 0..self.graph.dependents(task).len() {
                let Some(after) = self.graph.dependents(task).get(index).copied() else {
                    continue;
                };
                let open = self.cells.get_mut(after as usize).map(|cell| {
                    cell.open = cell.open.saturating_sub(1);
                    cell.open
                });
                if open == Some(0) {
                    newly_over.extend(self.decide_later(after));
                }
            }
        }
    }

    /// Like [`TaskScheduler::decide`], but hands a skipped task back instead of descending.
    fn decide_later(&mut self, task: TaskIndex) -> Option<TaskIndex> {
        let cell = self.cell(task);
        let waits_for_main = self.is_handler(task) && !self.handlers_began;
        if cell.is_decided || cell.status != TaskStatus::Pending || waits_for_main {
            return None;
        }
        if let Some(reason) = self.obstacle(task) {
            self.settle(task, TaskStatus::Skipped, reason);
            return Some(task);
        }
        self.decide(task);
        None
    }

    fn judge(&self, task: TaskIndex, end: AttemptResult) -> (TaskStatus, Option<Duration>) {
        let AttemptResult::Failure { can_retry, .. } = end else {
            let status = if self.is_canceled {
                TaskStatus::Canceled
            } else {
                TaskStatus::Success
            };
            return (status, None);
        };
        if self.is_canceled {
            return (TaskStatus::Canceled, None);
        }
        let tries = self.cell(task).tries;
        let Some(task) = self
            .plan
            .task(task)
            .filter(|task| can_retry && tries <= task.retries && !self.is_stopped)
        else {
            return (TaskStatus::Failed, None);
        };
        let wait = Duration::try_from_secs_f64(task.backoff_sec(tries)).unwrap_or(Duration::MAX);
        (TaskStatus::Ready, Some(wait))
    }

    /// Keeps everything from starting. A task that waits for its next attempt has failed by its last one. Whether handlers
    /// run is not decided here: after a failure they do, and after a cancel none is left to.
    fn stop(&mut self, reason: StatusReason) {
        self.is_stopped = true;
        self.ready.clear();
        self.delayed.clear();
        self.parked.iter_mut().for_each(BTreeSet::clear);
        let is_cancel = reason == StatusReason::RunCanceled;
        for task in self.graph.tasks() {
            if self.is_handler(task) && !is_cancel {
                break;
            }
            let status = match self.cell(task).status {
                TaskStatus::Pending | TaskStatus::Ready if is_cancel => TaskStatus::Canceled,
                TaskStatus::Pending => TaskStatus::Skipped,
                TaskStatus::Ready => TaskStatus::Failed,
                TaskStatus::Running
                | TaskStatus::Success
                | TaskStatus::Failed
                | TaskStatus::Skipped
                | TaskStatus::Canceled
                | TaskStatus::Interrupted => continue,
            };
            self.settle(task, status, reason);
            *self.open_count(task) -= 1;
        }
    }

    /// Once the plan proper is over: the handlers run where something failed, and never otherwise.
    fn begin_handlers(&mut self) {
        if self.open_main > 0 || self.handlers_began {
            return;
        }
        self.handlers_began = true;
        let first = u32::try_from(self.plan.main_task_count()).unwrap_or(u32::MAX);
        for task in first..self.graph.tasks().end {
            if self.cell(task).status == TaskStatus::Pending && !self.has_trouble {
                self.settle(task, TaskStatus::Skipped, StatusReason::NothingFailed);
                self.open_handlers -= 1;
            }
            self.count_open(task);
        }
        for task in first..self.graph.tasks().end {
            if self.cell(task).open == 0 {
                self.decide(task);
            }
        }
    }

    fn wake(&mut self, now: Duration) {
        while let Some((due, task)) = self.delayed.first().copied() {
            if due > now {
                return;
            }
            self.delayed.pop_first();
            self.ready.insert(self.turn(task));
        }
    }

    /// Takes what the task needs, or parks it until somebody gives some of it back. A task never overtakes an
    /// earlier one that waits for the same resource.
    fn takes_resources(&mut self, turn: Turn) -> bool {
        let plan = self.plan;
        let needs = plan.task(turn.1).map_or(&[][..], PlanTask::resources);
        for (name, amount) in needs {
            let is_short = self
                .free
                .get(*name as usize)
                .is_some_and(|free| free < amount);
            let Some(parked) = self.parked.get_mut(*name as usize) else {
                continue;
            };
            if is_short || parked.first().is_some_and(|first| *first < turn) {
                parked.insert(turn);
                return false;
            }
        }
        for (name, amount) in needs {
            if let Some(free) = self.free.get_mut(*name as usize) {
                *free -= amount;
            }
        }
        true
    }

    fn frees_resources(&mut self, task: TaskIndex) {
        let plan = self.plan;
        for (name, amount) in plan.task(task).map_or(&[][..], PlanTask::resources) {
            let Some((free, parked)) = self
                .free
                .get_mut(*name as usize)
                .zip(self.parked.get_mut(*name as usize))
            else {
                continue;
            };
            *free += amount;
            let mut left = *free;
            while let Some(turn) = parked.first().copied() {
                let needs = plan.task(turn.1).map_or(&[][..], PlanTask::resources);
                let need = needs
                    .iter()
                    .find(|(other, _)| other == name)
                    .map_or(0, |(_, need)| *need);
                if need > left {
                    break;
                }
                left -= need;
                parked.pop_first();
                self.ready.insert(turn);
            }
        }
    }
}

fn carried(state: &TaskState) -> Cell {
    let status = if state.status.is_over() {
        state.status
    } else {
        TaskStatus::Pending
    };
    Cell {
        status,
        code: state.exit_code,
        reason: state.reason,
        ..Cell::default()
    }
}

#[cfg(test)]
mod tests;
