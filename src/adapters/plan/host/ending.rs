//! What becomes of a running attempt: alarms, requests to end, its end.

use std::{
    cmp::Reverse,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions};

use super::{Alarm, CAP_BYTES, CAP_CHECK, GRACE, LocalHost, Running, micros};
use crate::{
    adapters::plan::{
        orphans,
        slots::{self, Place},
    },
    ports::plan_host::{Done, Exit, Host},
};

impl LocalHost<'_> {
    pub(super) fn ring(&mut self) -> Option<Duration> {
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
                self.alarm(pid, alarm, now);
            }
        }
    }

    pub(super) fn alarm(&mut self, pid: i32, alarm: Alarm, now: Instant) {
        let Some(running) = self.running.get_mut(&pid) else {
            return;
        };
        let id = self.plan.task(running.task).map_or("", |task| &*task.id);
        match alarm {
            Alarm::Reveal => {
                // A log that stays in its slot is still collected at the end.
                drop(self.slots.reveal(&mut running.place, id));
                self.timers
                    .push(Reverse((now + CAP_CHECK, pid, running.serial, Alarm::Size)));
            }
            Alarm::Size => {
                cap(&self.setting.run, id);
                self.timers
                    .push(Reverse((now + CAP_CHECK, pid, running.serial, Alarm::Size)));
            }
            Alarm::Deadline if !running.is_ending => {
                running.timed_out = true;
                self.terminate(pid, now);
            }
            Alarm::Deadline => {}
            Alarm::Kill => {
                orphans::signal_tree(Pid::from_raw(pid), &running.token, Signal::KILL);
            }
        }
    }

    pub(super) fn terminate(&mut self, pid: i32, now: Instant) {
        if let Some(running) = self.running.get_mut(&pid) {
            running.is_ending = true;
            if running.hold.is_jailed {
                // A jailer is spared: it ends with what it holds, and would take the time to say goodbye with it.
                orphans::signal_but(pid, &running.token, Signal::TERM);
            } else {
                orphans::signal_tree(Pid::from_raw(pid), &running.token, Signal::TERM);
            }
            self.timers
                .push(Reverse((now + GRACE, pid, running.serial, Alarm::Kill)));
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

    pub(super) fn ended(&mut self, running: Running, code: i32) {
        self.pids.remove(&running.task);
        running.hold.finish();
        let us = micros(running.started.elapsed());
        let Some(task) = self.plan.task(running.task) else {
            return;
        };
        if matches!(running.place, Place::Own) {
            // What was written since the last look.
            cap(&self.setting.run, &task.id);
        }
        // The output is in the slot whatever happens to the rename; the next opening of the run cleans up.
        drop(self.slots.give_back(running.place, &task.id));
        let exit = if running.timed_out {
            Exit::TimedOut
        } else {
            Exit::Code(code)
        };
        let is_good = exit == Exit::Code(0);
        let done = Done {
            task: running.task,
            exit,
            at: self.now(),
            us,
            artifacts: Vec::new(),
        };
        let is_last = is_good || running.round > task.retries;
        let key = self.keys.remove(&running.task).filter(|_| is_good);
        if self.is_ending || (key.is_none() && (task.outputs.is_empty() || !is_last)) {
            return self.done(done);
        }
        self.collect(done, task.clone(), key);
    }
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
