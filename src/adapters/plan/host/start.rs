//! Starting an attempt: its logs, its process, its timers.

use std::{
    cmp::Reverse,
    io,
    time::{Duration, Instant},
};

use super::{HostTimer, IdleTimer, LOOKS, LocalTaskHost, REVEAL, RunningAttempt, micros};
use crate::{
    adapters::plan::{confiner::ConfinedAttempt, launch::LaunchSpec, safe_open, slots::LogPlace},
    domain::plan::{PlanTask, state::StatusReason},
    ports::plan_host::{AttemptExit, AttemptId, FinishedAttempt, TaskHost},
};

impl LocalTaskHost<'_> {
    /// Begins an attempt, here or on another machine.
    pub(super) fn begin(&mut self, order: AttemptId, task: &PlanTask) {
        if !self.hand_out(order, task) {
            self.spawn(order, task);
        }
    }

    /// Returns what the logs of an attempt begin with.
    pub(super) fn log_header(order: AttemptId, task: &PlanTask) -> String {
        // Every execution has all retries again, after the attempts of those before it.
        let before = order.attempt.saturating_sub(order.round);
        let last = before.saturating_add(task.retries).saturating_add(1);
        format!("\n===== attempt {} / {last} =====\n", order.attempt)
    }

    pub(super) fn spawn(&mut self, order: AttemptId, task: &PlanTask) {
        let started = Instant::now();
        match self.launch(order, task, started) {
            Ok(()) => {}
            Err((reason, message)) => self.done(FinishedAttempt {
                task: order.task,
                exit: AttemptExit::NotStarted(reason, message),
                at: self.now(),
                us: micros(started.elapsed()),
                artifacts: Vec::new(),
            }),
        }
    }

    pub(super) fn launch(
        &mut self,
        order: AttemptId,
        task: &PlanTask,
        started: Instant,
    ) -> Result<(), (StatusReason, String)> {
        let token = format!("{}/{}/{}", self.setting.run_id, task.id, order.attempt);
        let header = Self::log_header(order, task);
        let (place, logs) = self
            .slots
            .take(&task.id, order.attempt, &header)
            .map_err(|error| {
                (
                    StatusReason::RunnerException,
                    format!("the log files cannot be opened: {error}"),
                )
            })?;
        let cwd = self.directory(task);
        let launch = LaunchSpec {
            task,
            cwd: &cwd,
            token: &token,
            inherited: &self.inherited,
        };
        let begun = match &self.confiner {
            None => launch
                .spawn(logs)
                .map(|pid| (pid, ConfinedAttempt::default())),
            Some(confiner) => confiner.spawn(&launch, logs),
        };
        match begun {
            Ok((pid, hold)) => {
                self.serial += 1;
                self.set_timers(pid, task, started);
                let running = RunningAttempt {
                    task: order.task,
                    serial: self.serial,
                    round: order.round,
                    place,
                    token,
                    started,
                    is_ending: false,
                    timed_out: false,
                    idle: self.watch_idle(pid, task, started),
                    overflow: None,
                    hold,
                };
                if running.hold.watched.is_some() {
                    let first = Reverse((started + REVEAL, pid, self.serial, HostTimer::Weigh));
                    self.timers.push(first);
                }
                self.running.insert(pid, running);
                self.pids.insert(order.task, pid);
                Ok(())
            }
            Err((reason, message)) => {
                self.log_start_error(place, task, &message);
                Err((reason, message))
            }
        }
    }

    /// Sets the first look at whether the task does anything, where it may not be idle for ever.
    fn watch_idle(&mut self, pid: i32, task: &PlanTask, started: Instant) -> Option<IdleTimer> {
        let limit = Duration::try_from_secs_f64(task.idle_timeout_sec()?).ok()?;
        let first = started.checked_add(limit / LOOKS)?;
        self.timers
            .push(Reverse((first, pid, self.serial, HostTimer::Idle)));
        Some(IdleTimer {
            limit,
            seen: None,
            since: started,
            ended_after: None,
        })
    }

    /// Leaves the reason why a task did not start where its errors are looked for.
    pub(super) fn log_start_error(&mut self, mut place: LogPlace, task: &PlanTask, message: &str) {
        let path = self
            .setting
            .run
            .join("logs")
            .join(format!("{}.err.log", task.id));
        // The message also stands in the run log; a log file that cannot be written takes nothing away.
        drop(self.slots.reveal(&mut place, &task.id));
        if let Ok(mut file) = safe_open::open_append(&path) {
            drop(io::Write::write_all(
                &mut file,
                format!("{message}\n").as_bytes(),
            ));
        }
    }

    pub(super) fn set_timers(&mut self, pid: i32, task: &PlanTask, started: Instant) {
        let serial = self.serial;
        self.timers
            .push(Reverse((started + REVEAL, pid, serial, HostTimer::Reveal)));
        let limit = task
            .timeout_sec
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let Some(deadline) = limit.and_then(|limit| started.checked_add(limit)) {
            self.timers
                .push(Reverse((deadline, pid, serial, HostTimer::Deadline)));
        }
    }
}
