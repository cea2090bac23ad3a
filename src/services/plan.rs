//! Drives a plan: asks the schedule what may start, lets the host start it, and records everything first.
//!
//! One turn of the loop: what ended is taken into account, what may start is announced, all of it is written with one
//! call, and only then do processes begin. Whoever reads the log of a dead runner therefore knows of every process
//! there may be. Nothing here blocks but the wait for the next thing that happens.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    domain::{
        plan::{
            Plan, PlanTask, TaskIndex,
            event::{
                AttemptEnded, AttemptStarted, Millis, PlanEvent, PlanSource, RunClosed,
                RunSessionStarted, TasksSettled,
            },
            graph::PlanGraph,
            schedule::{AttemptResult, ScheduleRules, TaskScheduler, UnstartedTasks},
            state,
            state::{RunState, StatusReason, TaskStatus},
            task::TaskAction,
        },
        sandbox::SandboxBackend,
    },
    ports::{
        plan_host::{AttemptExit, AttemptId, FinishedAttempt, HostEvent, TaskHost},
        plan_store::{Error, RunDir},
        runner::StopSignal,
    },
};

/// `state.json` is rewritten at most this often, and never more than a twentieth of the time goes into it.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
const SNAPSHOT_SHARE: u32 = 20;

/// The code of a task that succeeded without making its outputs; its own zero would read as a success.
const OUTPUTS_MISSING: i32 = 73;

/// Sees every event once it is recorded.
pub trait PlanObserver {
    /// Is told what was recorded, and the state it led to.
    fn on_events(&mut self, plan: &Plan, state: &RunState, events: &[PlanEvent]);
}

/// What confines the tasks of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanConfinementFacts {
    /// What builds the wall around each task.
    pub wall: SandboxBackend,
    /// The same for people, with what it lacks.
    pub sentence: String,
}

/// How a plan is run.
#[derive(Debug, Clone, Default)]
pub struct PlanRunRequest {
    /// At most this many tasks at once.
    pub max_parallel: u32,
    /// Whether the first failure keeps everything else from starting.
    pub fail_fast: bool,
    /// Tasks that run again although they are over.
    pub again: Vec<TaskIndex>,
    /// The files of the plan, where an edited one was taken over.
    pub sources: Vec<PlanSource>,
    /// Tasks the policy forbids, and why; they fail without being started.
    pub denied: BTreeMap<TaskIndex, String>,
    /// What confines the tasks, where the policy is enforced.
    pub confinement: Option<PlanConfinementFacts>,
    /// The number of this process.
    pub pid: u32,
}

struct PlanDriver<'a> {
    plan: &'a Plan,
    run: &'a mut dyn RunDir,
    host: &'a mut dyn TaskHost,
    watcher: &'a mut dyn PlanObserver,
    state: &'a mut RunState,
    pending: Vec<PlanEvent>,
    interrupts: u32,
    snapshot_due: Duration,
    is_stale: bool,
}

/// Works on a run until everything is over, and returns how it stands. The caller holds the run's lock.
pub fn run_to_completion(
    plan: &Plan,
    run: &mut dyn RunDir,
    host: &mut dyn TaskHost,
    watcher: &mut dyn PlanObserver,
    state: &mut RunState,
    passage: &PlanRunRequest,
) -> Result<TaskStatus, Error> {
    let mut driver = PlanDriver {
        plan,
        run,
        host,
        watcher,
        state,
        pending: Vec::new(),
        interrupts: 0,
        snapshot_due: Duration::ZERO,
        is_stale: true,
    };
    let result = driver.work(passage);
    if result.is_err() {
        driver.abandon();
    }
    result
}

impl PlanDriver<'_> {
    fn work(&mut self, passage: &PlanRunRequest) -> Result<TaskStatus, Error> {
        self.record(PlanEvent::Opened(RunSessionStarted {
            at: self.host.now(),
            pid: passage.pid,
            max_parallel: passage.max_parallel,
            fail_fast: passage.fail_fast,
            again: passage.again.clone(),
            confinement: passage
                .confinement
                .as_ref()
                .map(|found| found.sentence.clone()),
            sources: passage.sources.clone(),
        }));
        let rules = ScheduleRules {
            max_parallel: passage.max_parallel,
            fail_fast: passage.fail_fast,
        };
        let plan = self.plan;
        let mut schedule = TaskScheduler::new(plan, PlanGraph::of(plan), &self.state.tasks, rules);
        loop {
            self.settle(schedule.drain_settled());
            let orders = self.announce(&mut schedule, passage);
            self.write()?;
            let mut any_denied = false;
            for order in orders {
                match passage.denied.get(&order.task) {
                    None => self.host.start(order),
                    Some(why) => {
                        any_denied = true;
                        self.deny(order, why, &mut schedule);
                    }
                }
            }
            if any_denied {
                continue;
            }
            if schedule.is_over() {
                return self.close();
            }
            self.snapshot_if_due()?;
            let limit = schedule
                .next_wake()
                .map(|at| at.saturating_sub(self.host.monotonic()));
            let limit = self.until_snapshot().into_iter().chain(limit).min();
            for happening in self.host.wait(limit) {
                self.take(happening, &mut schedule);
            }
        }
    }

    fn announce(
        &mut self,
        schedule: &mut TaskScheduler<'_>,
        passage: &PlanRunRequest,
    ) -> Vec<AttemptId> {
        let mut orders = Vec::new();
        let wall = passage.confinement.as_ref().map(|found| found.wall);
        let now = self.host.monotonic();
        while let Some(task) = schedule.next(now) {
            let (attempts, round) = self
                .state
                .task(task)
                .map_or((0, 0), |task| (task.attempts, task.round));
            let order = AttemptId {
                task,
                attempt: attempts + 1,
                round: round + 1,
            };
            self.record(PlanEvent::Started(AttemptStarted {
                task,
                at: self.host.now(),
                attempt: order.attempt,
                // A job builds its own and says so in its own records; what is denied never meets one.
                wall: wall.filter(|_| {
                    let is_job = |task: &PlanTask| matches!(task.action, TaskAction::Job(_));
                    !passage.denied.contains_key(&task) && !self.plan.task(task).is_some_and(is_job)
                }),
            }));
            orders.push(order);
        }
        orders
    }

    fn deny(&mut self, order: AttemptId, why: &str, schedule: &mut TaskScheduler<'_>) {
        let done = FinishedAttempt {
            task: order.task,
            exit: AttemptExit::NotStarted(StatusReason::PolicyDenied, why.to_owned()),
            at: self.host.now(),
            us: 0,
            artifacts: Vec::new(),
        };
        self.ended(done, schedule);
    }

    fn take(&mut self, happening: HostEvent, schedule: &mut TaskScheduler<'_>) {
        match happening {
            HostEvent::Ended(done) => self.ended(done, schedule),
            HostEvent::CancelRequested if schedule.is_canceled() => {}
            HostEvent::CancelRequested => self.cancel(schedule),
            HostEvent::Interrupted => {
                self.interrupts += 1;
                if self.interrupts > 1 {
                    self.host.end_all(StopSignal::Kill);
                } else if !schedule.is_canceled() {
                    self.cancel(schedule);
                }
            }
        }
    }

    fn cancel(&mut self, schedule: &mut TaskScheduler<'_>) {
        self.record(PlanEvent::CancelRequested {
            at: self.host.now(),
        });
        schedule.cancel();
        self.host.end_all(StopSignal::Terminate);
    }

    fn ended(&mut self, done: FinishedAttempt, schedule: &mut TaskScheduler<'_>) {
        let (end, code, reason, message) = read(&done.exit);
        let verdict = schedule.finish(done.task, end, self.host.monotonic());
        let is_canceled = verdict.status == TaskStatus::Canceled;
        self.record(PlanEvent::Ended(AttemptEnded {
            task: done.task,
            at: done.at,
            us: done.us,
            status: verdict.status,
            // A canceled task did not choose its code; a zero would read as a success.
            code: code.filter(|code| !is_canceled || *code != 0),
            reason: if is_canceled {
                Some(StatusReason::RunCanceled)
            } else {
                reason
            },
            message,
            timed_out: is_late(&done.exit) && !is_canceled,
            cached: done.exit == AttemptExit::Cached && !is_canceled,
            wait_ms: verdict
                .wait
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            artifacts: done.artifacts,
        }));
        self.settle(schedule.drain_settled());
    }

    fn settle(&mut self, settlements: Vec<UnstartedTasks>) {
        for UnstartedTasks {
            tasks,
            status,
            reason,
        } in settlements
        {
            self.record(PlanEvent::Settled(TasksSettled {
                tasks,
                at: self.host.now(),
                status,
                reason,
            }));
        }
    }

    fn record(&mut self, event: PlanEvent) {
        self.state.apply(&event);
        self.is_stale = true;
        self.pending.push(event);
    }

    fn write(&mut self) -> Result<(), Error> {
        if !self.pending.is_empty() {
            self.run.append(&self.pending)?;
            self.watcher.on_events(self.plan, self.state, &self.pending);
            self.pending.clear();
        }
        Ok(())
    }

    fn until_snapshot(&self) -> Option<Duration> {
        let now = self.host.monotonic();
        self.is_stale.then(|| self.snapshot_due.saturating_sub(now))
    }

    fn snapshot_if_due(&mut self) -> Result<(), Error> {
        let began = self.host.monotonic();
        if began < self.snapshot_due || !self.is_stale {
            return Ok(());
        }
        self.run.write_state(self.plan, self.state)?;
        self.is_stale = false;
        let cost = self.host.monotonic().saturating_sub(began);
        self.snapshot_due = began + SNAPSHOT_EVERY.max(cost * SNAPSHOT_SHARE);
        Ok(())
    }

    fn close(&mut self) -> Result<TaskStatus, Error> {
        let main = self
            .state
            .tasks
            .iter()
            .zip(&self.plan.tasks)
            .take(self.plan.main_task_count());
        let status =
            state::run_status(main.map(|(state, task)| (state, PlanTask::allow_failure(task))));
        let status = if self.state.cancel_requested && self.state.count(TaskStatus::Canceled) > 0 {
            TaskStatus::Canceled
        } else {
            status
        };
        let at: Millis = self.host.now();
        self.record(PlanEvent::Closed(RunClosed { at, status }));
        self.write()?;
        self.run.sync()?;
        self.run.write_state(self.plan, self.state)?;
        Ok(status)
    }

    /// The record cannot be kept: nothing may go on without it.
    fn abandon(&mut self) {
        self.host.end_all(StopSignal::Kill);
        let mut left = self.state.count(TaskStatus::Running);
        while left > 0 {
            let happened = self.host.wait(Some(Duration::from_secs(5)));
            if happened.is_empty() {
                return;
            }
            left -= happened
                .iter()
                .filter(|happening| matches!(happening, HostEvent::Ended(_)))
                .count()
                .min(left);
        }
    }
}

/// Returns whether a deadline ended an attempt.
const fn is_late(exit: &AttemptExit) -> bool {
    match exit {
        AttemptExit::TimedOut | AttemptExit::Idle(_) => true,
        AttemptExit::Elsewhere(end) => end.timed_out,
        AttemptExit::Code(_)
        | AttemptExit::Overflowed(_)
        | AttemptExit::OutputsMissing(_)
        | AttemptExit::NotStarted(..)
        | AttemptExit::Cached => false,
    }
}

fn read(
    exit: &AttemptExit,
) -> (
    AttemptResult,
    Option<i32>,
    Option<StatusReason>,
    Option<String>,
) {
    let failure = |code, can_retry| AttemptResult::Failure { code, can_retry };
    match exit {
        AttemptExit::Code(0) => (AttemptResult::Success, Some(0), None, None),
        AttemptExit::Code(code) => (failure(Some(*code), true), Some(*code), None, None),
        AttemptExit::TimedOut => (failure(None, true), None, None, None),
        AttemptExit::Idle(after) => {
            let seconds = after.as_secs_f64();
            let message = format!(
                "did nothing for {seconds:.1} s: no output, no processor time, no new process; it may wait for input \
                 that nobody gives (`idle_timeout_sec`)"
            );
            (failure(None, true), None, None, Some(message))
        }
        AttemptExit::Overflowed(holds) => {
            let megabytes = holds >> 20;
            let message = format!(
                "the temporary folder of the run held {megabytes} MiB, more than it may: what was running was ended and the \
                 folder emptied; write less there, or raise `disk_mb`"
            );
            (failure(None, false), None, None, Some(message))
        }
        AttemptExit::OutputsMissing(message) => (
            failure(Some(OUTPUTS_MISSING), true),
            Some(OUTPUTS_MISSING),
            Some(StatusReason::OutputsMissing),
            Some(message.clone()),
        ),
        AttemptExit::Cached => (AttemptResult::Success, Some(0), None, None),
        AttemptExit::Elsewhere(end) => (
            failure(end.code, end.can_retry),
            end.code,
            end.reason,
            end.message.clone(),
        ),
        AttemptExit::NotStarted(reason, message) => {
            let code = match reason {
                StatusReason::ProcessStartFailed => 127,
                StatusReason::NeedsFilesMissing => 66,
                StatusReason::PolicyDenied => 126,
                _ => 70,
            };
            (
                failure(Some(code), false),
                Some(code),
                Some(*reason),
                Some(message.clone()),
            )
        }
    }
}
