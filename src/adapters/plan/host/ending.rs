//! What becomes of a running attempt: alarms, requests to end, its end.

use std::{
    cmp::Reverse,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions};

use super::{CAP_BYTES, CAP_CHECK, HostTimer, LOOKS, LocalTaskHost, RunningAttempt, micros};
use crate::{
    adapters::{
        plan::{orphans, slots, slots::LogPlace},
        process,
    },
    domain::plan::task::{DEFAULT_GRACE_SECONDS, PlanTask},
    ports::plan_host::{AttemptExit, FinishedAttempt, TaskHost},
};

impl LocalTaskHost<'_> {
    pub(super) fn fire_timers(&mut self) -> Option<Duration> {
        loop {
            let now = Instant::now();
            let Reverse((at, pid, serial, alarm)) = *self.timers.peek()?;
            if at > now {
                return Some(at - now);
            }
            self.timers.pop();
            if self
                .running
                .get(&pid)
                .is_some_and(|running| running.serial == serial)
            {
                self.handle_timer(pid, alarm, now);
            }
        }
    }

    pub(super) fn handle_timer(&mut self, pid: i32, alarm: HostTimer, now: Instant) {
        let Some(running) = self.running.get_mut(&pid) else {
            return;
        };
        let id = self.plan.task(running.task).map_or("", |task| &*task.id);
        match alarm {
            HostTimer::Reveal => {
                // A log that stays in its slot is still collected at the end.
                drop(self.slots.reveal(&mut running.place, id));
                self.timers.push(Reverse((
                    now + CAP_CHECK,
                    pid,
                    running.serial,
                    HostTimer::Size,
                )));
            }
            HostTimer::Size => {
                cap(&self.setting.run, id);
                self.timers.push(Reverse((
                    now + CAP_CHECK,
                    pid,
                    running.serial,
                    HostTimer::Size,
                )));
            }
            HostTimer::Weigh if !running.is_ending => self.measure_temporary(pid),
            HostTimer::Weigh => {}
            HostTimer::Deadline if !running.is_ending => {
                running.timed_out = true;
                self.terminate(pid, now);
            }
            HostTimer::Deadline => {}
            HostTimer::Idle if !running.is_ending => self.look_whether_idle(pid, now),
            HostTimer::Idle => {}
            HostTimer::Kill => {
                orphans::signal_tree(Pid::from_raw(pid), &running.token, Signal::KILL);
            }
        }
    }

    /// Ends a task that has done nothing for as long as it may; otherwise sets the next look.
    fn look_whether_idle(&mut self, pid: i32, now: Instant) {
        let Some(running) = self.running.get_mut(&pid) else {
            return;
        };
        let id = self.plan.task(running.task).map_or("", |task| &*task.id);
        let done = (
            process::activity_of(pid, &running.token),
            written(&self.setting.run, id),
        );
        let Some(idle) = &mut running.idle else {
            return;
        };
        if idle.seen.as_ref() != Some(&done) {
            idle.seen = Some(done);
            idle.since = now;
        }
        let silent = now.duration_since(idle.since);
        if silent >= idle.limit {
            idle.ended_after = Some(silent);
            return self.terminate(pid, now);
        }
        let next = now + idle.limit / LOOKS;
        self.timers
            .push(Reverse((next, pid, running.serial, HostTimer::Idle)));
    }

    pub(super) fn terminate(&mut self, pid: i32, now: Instant) {
        if let Some(running) = self.running.get_mut(&pid) {
            running.is_ending = true;
            if running.hold.is_jailed {
                // A jailer is spared: it ends with what it holds, and would take the time to say goodbye with it.
                orphans::signal_all_except(pid, &running.token, Signal::TERM);
            } else {
                orphans::signal_tree(Pid::from_raw(pid), &running.token, Signal::TERM);
            }
            let task = self.plan.task(running.task);
            let grace = task.map_or(DEFAULT_GRACE_SECONDS, PlanTask::grace_seconds);
            let kill = Duration::try_from_secs_f64(grace)
                .ok()
                .and_then(|grace| now.checked_add(grace));
            if let Some(kill) = kill {
                self.timers
                    .push(Reverse((kill, pid, running.serial, HostTimer::Kill)));
            }
        }
    }

    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Some(running) = self.running.remove(&pid.as_raw_nonzero().get()) else {
                continue;
            };
            // By token, not by group: the group's number may already belong to somebody else.
            if running.is_ending || running.hold.ends_leftovers() {
                orphans::end_all(&running.token);
            }
            let code = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => code,
                (None, signal) => -signal.unwrap_or(0),
            };
            self.ended(running, code);
        }
    }

    pub(super) fn ended(&mut self, running: RunningAttempt, code: i32) {
        self.pids.remove(&running.task);
        running.hold.finish();
        let us = micros(running.started.elapsed());
        let Some(task) = self.plan.task(running.task) else {
            return;
        };
        if matches!(running.place, LogPlace::Own) {
            // What was written since the last look.
            cap(&self.setting.run, &task.id);
        }
        // The output is in the slot whatever happens to the rename; the next opening of the run cleans up.
        drop(self.slots.give_back(running.place, &task.id));
        let idle = running.idle.and_then(|idle| idle.ended_after);
        let exit = match idle {
            _ if running.overflow.is_some() => {
                AttemptExit::Overflowed(running.overflow.unwrap_or_default())
            }
            Some(silent) => AttemptExit::Idle(silent),
            None if running.timed_out => AttemptExit::TimedOut,
            None => AttemptExit::Code(code),
        };
        let done = FinishedAttempt {
            task: running.task,
            exit,
            at: self.now(),
            us,
            artifacts: Vec::new(),
        };
        self.conclude(done, running.round, task);
    }

    /// Ends an attempt, once its outputs are kept where it has any.
    pub(super) fn conclude(&mut self, done: FinishedAttempt, round: u32, task: &PlanTask) {
        let is_good = done.exit == AttemptExit::Code(0);
        let is_last = is_good || round > task.retries;
        let key = self.keys.remove(&done.task).filter(|_| is_good);
        if self.is_ending || (key.is_none() && (task.outputs.is_empty() || !is_last)) {
            return self.done(done);
        }
        self.collect(done, task.clone(), key);
    }
}

/// Returns how much the logs of a task hold.
fn written(run: &Path, id: &str) -> u64 {
    let size = |side| {
        let log = run.join("logs").join(format!("{id}.{side}.log"));
        // No log yet is an empty one.
        std::fs::symlink_metadata(log).map_or(0, |found| found.len())
    };
    ["out", "err"].into_iter().map(size).sum()
}

/// Gives the middle of logs that have become too long back to the disk.
fn cap(run: &Path, id: &str) {
    for side in ["out", "err"] {
        // A file system that cannot do it keeps all of the log, and the task goes on.
        drop(slots::punch(
            &run.join("logs").join(format!("{id}.{side}.log")),
            CAP_BYTES,
        ));
    }
}
