//! Runs tasks as processes and waits for whatever happens first, in one thread and without polling.
//!
//! The kernel says when a child ended (through a signal that writes into a pipe), when a request to cancel appears
//! (inotify), and when the next deadline is due. Work that may take long, measuring inputs and copying outputs,
//! happens in a thread of its own and reports through a channel, so that it delays no other task.
//!
//! Dangers: this file reaps every child of the process. Nothing else may wait for a child while a plan runs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    process::{Pid, Signal, WaitOptions},
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use crate::{
    adapters::{
        plan::{
            cache::Past,
            launch::{self, Launch},
            orphans, outputs,
            slots::{self, Place, Slots},
        },
        signals,
    },
    domain::plan::{Plan, Task, TaskIndex, event::Millis, state::Reason, task::PolicyMode},
    ports::{
        plan_host::{Done, Exit, Happening, Host, Order},
        runner::Interrupt,
    },
};

/// How long a process may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(1);
/// A task that runs longer than this gets log files others can read along.
const REVEAL: Duration = Duration::from_millis(100);
/// How often the size of a long task's logs is looked at, and how large each may become.
const CAP_CHECK: Duration = Duration::from_millis(500);
const CAP_BYTES: u64 = 256 * 1024 * 1024;

/// What a host works for.
pub(crate) struct Setting {
    pub(crate) run_id: String,
    pub(crate) run: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) workdir: PathBuf,
}

/// Runs the tasks of one plan on this machine.
pub(crate) struct LocalHost<'plan> {
    plan: &'plan Plan,
    setting: Arc<Setting>,
    slots: Slots,
    inherited: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    running: BTreeMap<i32, Running>,
    pids: BTreeMap<TaskIndex, i32>,
    /// What waits for its key, by task.
    preparing: BTreeMap<TaskIndex, Order>,
    collecting: usize,
    keys: BTreeMap<TaskIndex, String>,
    timers: BinaryHeap<Reverse<(Instant, i32, u64, Alarm)>>,
    serial: u64,
    happened: Vec<Happening>,
    children: UnixStream,
    stops: UnixStream,
    news: UnixStream,
    news_sender: (mpsc::Sender<News>, Arc<UnixStream>),
    news_receiver: mpsc::Receiver<News>,
    inotify: OwnedFd,
    began: Instant,
    is_ending: bool,
}

struct Running {
    task: TaskIndex,
    serial: u64,
    round: u32,
    place: Place,
    token: String,
    started: Instant,
    is_ending: bool,
    timed_out: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    Reveal,
    Size,
    Deadline,
    Kill,
}

enum News {
    Prepared {
        task: TaskIndex,
        key: Option<String>,
        is_known: bool,
    },
    Collected(Done),
}

impl<'plan> LocalHost<'plan> {
    /// Creates the hands of a run.
    pub(crate) fn new(plan: &'plan Plan, setting: Setting) -> io::Result<Self> {
        let (children, child_writer) = UnixStream::pair()?;
        let (stops, stop_writer) = UnixStream::pair()?;
        let (news, news_writer) = UnixStream::pair()?;
        for stream in [&children, &stops, &news] {
            stream.set_nonblocking(true)?;
        }
        signal_hook::low_level::pipe::register(SIGCHLD, child_writer)?;
        let heard = |signal: &i32| !signals::is_ignored(*signal);
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(heard) {
            signal_hook::low_level::pipe::register(signal, stop_writer.try_clone()?)?;
        }
        let inotify =
            inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let watched = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&inotify, &setting.run, watched)?;
        let (sender, news_receiver) = mpsc::channel();
        let mut host = Self {
            plan,
            slots: Slots::open(&setting.run.join("logs"))?,
            setting: Arc::new(setting),
            inherited: std::env::vars_os().collect(),
            running: BTreeMap::new(),
            pids: BTreeMap::new(),
            preparing: BTreeMap::new(),
            collecting: 0,
            keys: BTreeMap::new(),
            timers: BinaryHeap::new(),
            serial: 0,
            happened: Vec::new(),
            children,
            stops,
            news,
            news_sender: (sender, Arc::new(news_writer)),
            news_receiver,
            inotify,
            began: Instant::now(),
            is_ending: false,
        };
        host.look_for_request();
        Ok(host)
    }

    fn directory(&self, task: &Task) -> PathBuf {
        launch::directory(&self.setting.workdir, task)
    }

    /// Does something slow elsewhere; its result arrives as news.
    fn elsewhere(&self, work: impl FnOnce() -> News + Send + 'static) {
        let (sender, bell) = self.news_sender.clone();
        std::thread::spawn(move || {
            // A host that is gone needs no news.
            drop(sender.send(work()));
            drop(io::Write::write(&mut &*bell, &[1]));
        });
    }

    fn prepare(&mut self, order: Order, task: &Task) {
        let Some(cache) = task.extra.as_ref().and_then(|extra| extra.cache.clone()) else {
            return;
        };
        self.preparing.insert(order.task, order);
        let (task, index, setting) = (task.clone(), order.task, Arc::clone(&self.setting));
        let policy = format!("{:?}", self.plan.policy);
        let cwd = self.directory(&task);
        self.elsewhere(move || {
            let key = crate::adapters::plan::cache::key(&task, &cache, &cwd, &policy);
            let past = Past::of(&setting.home);
            let is_known = key
                .as_ref()
                .is_some_and(|key| past.recall(key, &task.id, &cwd));
            News::Prepared {
                task: index,
                key,
                is_known,
            }
        });
    }

    fn spawn(&mut self, order: Order, task: &Task) {
        let started = Instant::now();
        match self.launch(order, task, started) {
            Ok(()) => {}
            Err((reason, message)) => self.done(Done {
                task: order.task,
                exit: Exit::NotStarted(reason, message),
                at: self.now(),
                us: micros(started.elapsed()),
                artifacts: Vec::new(),
            }),
        }
    }

    fn launch(
        &mut self,
        order: Order,
        task: &Task,
        started: Instant,
    ) -> Result<(), (Reason, String)> {
        let token = format!("{}/{}/{}", self.setting.run_id, task.id, order.attempt);
        let header = format!(
            "\n===== attempt {} / {} =====\n",
            order.round,
            task.retries.saturating_add(1)
        );
        let (place, files) =
            self.slots
                .take(&task.id, order.attempt, &header)
                .map_err(|error| {
                    (
                        Reason::RunnerException,
                        format!("the log files cannot be opened: {error}"),
                    )
                })?;
        let cwd = self.directory(task);
        let launch = Launch {
            task,
            cwd: &cwd,
            token: &token,
            is_enforced: self.plan.policy == PolicyMode::Enforce,
            inherited: &self.inherited,
        };
        match launch.spawn(files) {
            Ok(pid) => {
                self.serial += 1;
                self.set_timers(pid, task, started);
                let (serial, round) = (self.serial, order.round);
                let running = Running {
                    task: order.task,
                    serial,
                    round,
                    place,
                    token,
                    started,
                    is_ending: false,
                    timed_out: false,
                };
                self.running.insert(pid, running);
                self.pids.insert(order.task, pid);
                Ok(())
            }
            Err((reason, message)) => {
                self.complain(place, task, &message);
                Err((reason, message))
            }
        }
    }

    /// Leaves the reason why a task did not start where its errors are looked for.
    fn complain(&mut self, mut place: Place, task: &Task, message: &str) {
        let path = self
            .setting
            .run
            .join("logs")
            .join(format!("{}.err.log", task.id));
        // The message also stands in the run log; a log file that cannot be written takes nothing away.
        drop(self.slots.reveal(&mut place, &task.id));
        if let Ok(mut file) = crate::adapters::plan::guard::open_append(&path) {
            drop(io::Write::write_all(
                &mut file,
                format!("{message}\n").as_bytes(),
            ));
        }
    }

    fn set_timers(&mut self, pid: i32, task: &Task, started: Instant) {
        let serial = self.serial;
        self.timers
            .push(Reverse((started + REVEAL, pid, serial, Alarm::Reveal)));
        let limit = task
            .timeout_sec
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let Some(deadline) = limit.and_then(|limit| started.checked_add(limit)) {
            self.timers
                .push(Reverse((deadline, pid, serial, Alarm::Deadline)));
        }
    }

    fn done(&mut self, done: Done) {
        self.happened.push(Happening::Ended(done));
    }

    fn ring(&mut self) -> Option<Duration> {
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

    fn alarm(&mut self, pid: i32, alarm: Alarm, now: Instant) {
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
                for side in ["out", "err"] {
                    let path = self
                        .setting
                        .run
                        .join("logs")
                        .join(format!("{id}.{side}.log"));
                    drop(slots::punch(&path, CAP_BYTES));
                }
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

    fn terminate(&mut self, pid: i32, now: Instant) {
        if let Some(running) = self.running.get_mut(&pid) {
            running.is_ending = true;
            orphans::signal_tree(Pid::from_raw(pid), &running.token, Signal::TERM);
            self.timers
                .push(Reverse((now + GRACE, pid, running.serial, Alarm::Kill)));
        }
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let Some(running) = self.running.remove(&pid.as_raw_nonzero().get()) else {
                continue;
            };
            // By token, not by group: the group's number may already belong to somebody else.
            if running.is_ending {
                orphans::end_all(&running.token);
            }
            let code = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => code,
                (None, signal) => -signal.unwrap_or(0),
            };
            self.ended(running, code);
        }
    }

    fn ended(&mut self, running: Running, code: i32) {
        self.pids.remove(&running.task);
        let us = micros(running.started.elapsed());
        let Some(task) = self.plan.task(running.task) else {
            return;
        };
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

    fn collect(&mut self, done: Done, task: Task, key: Option<String>) {
        self.collecting += 1;
        let setting = Arc::clone(&self.setting);
        let second = self
            .plan
            .artifacts_dir
            .as_ref()
            .map(|path| setting.workdir.join(path));
        let cwd = self.directory(&task);
        self.elsewhere(move || {
            let collection = outputs::Collection {
                patterns: &task.outputs,
                cwd: &cwd,
                run: &setting.run,
                id: &task.id,
                second: second.as_deref(),
            };
            let artifacts = if task.outputs.is_empty() {
                Vec::new()
            } else {
                outputs::collect(&collection)
            };
            if let Some(key) = key {
                Past::of(&setting.home).remember(&key, &setting.run_id, &artifacts);
            }
            News::Collected(Done { artifacts, ..done })
        });
    }

    fn hear(&mut self) {
        drain(&mut self.news);
        while let Ok(news) = self.news_receiver.try_recv() {
            match news {
                News::Collected(done) => {
                    self.collecting -= 1;
                    self.done(done);
                }
                News::Prepared {
                    task,
                    key,
                    is_known,
                } => self.prepared(task, key, is_known),
            }
        }
    }

    fn prepared(&mut self, index: TaskIndex, key: Option<String>, is_known: bool) {
        let Some((order, task)) = self.preparing.remove(&index).zip(self.plan.task(index)) else {
            return;
        };
        if is_known && !self.is_ending {
            let done = Done {
                task: index,
                exit: Exit::Cached,
                at: self.now(),
                us: 0,
                artifacts: Vec::new(),
            };
            return if task.outputs.is_empty() {
                self.done(done);
            } else {
                self.collect(done, task.clone(), None);
            };
        }
        if let Some(key) = key {
            self.keys.insert(index, key);
        }
        if self.is_ending {
            return self.done(Done {
                task: index,
                exit: Exit::Code(-15),
                at: self.now(),
                us: 0,
                artifacts: Vec::new(),
            });
        }
        self.spawn(order, task);
    }

    fn look_for_request(&mut self) {
        let request = self.setting.run.join("cancel.request");
        if std::fs::symlink_metadata(request).is_ok_and(|found| found.is_file()) {
            self.happened.push(Happening::CancelRequested);
        }
    }

    /// Sleeps until something can be read or `limit` has passed.
    fn sleep(&mut self, limit: Option<Duration>) {
        let (children, stops, news, requests) = {
            let fds = [
                self.children.as_fd(),
                self.stops.as_fd(),
                self.news.as_fd(),
                self.inotify.as_fd(),
            ];
            let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
            if poll(&mut fds, limit.as_ref()).is_err() {
                return;
            }
            let [children, stops, news, requests] = fds.map(|fd| !fd.revents().is_empty());
            (children, stops, news, requests)
        };
        if children {
            drain(&mut self.children);
            self.reap();
        }
        if news {
            self.hear();
        }
        if stops {
            for _ in 0..drain(&mut self.stops) {
                self.happened.push(Happening::Interrupted);
            }
        }
        if requests {
            let mut buffer = [0_u8; 4096];
            while rustix::io::read(&self.inotify, &mut buffer).is_ok_and(|count| count > 0) {}
            self.look_for_request();
        }
    }
}

impl Host for LocalHost<'_> {
    fn start(&mut self, order: Order) {
        let Some(task) = self.plan.task(order.task) else {
            return;
        };
        if task
            .extra
            .as_ref()
            .is_some_and(|extra| extra.cache.is_some())
        {
            self.prepare(order, task);
        } else {
            self.spawn(order, task);
        }
    }

    fn wait(&mut self, limit: Option<Duration>) -> Vec<Happening> {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let alarm = self.ring();
            if !self.happened.is_empty() {
                return std::mem::take(&mut self.happened);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Vec::new();
            }
            self.sleep([alarm, left].into_iter().flatten().min());
        }
    }

    fn end_all(&mut self, how: Interrupt) {
        self.is_ending = true;
        let now = Instant::now();
        let pids: Vec<i32> = self.running.keys().copied().collect();
        for pid in pids {
            match how {
                Interrupt::Terminate => self.terminate(pid, now),
                Interrupt::Kill => {
                    if let Some(running) = self.running.get_mut(&pid) {
                        running.is_ending = true;
                        orphans::signal_tree(Pid::from_raw(pid), &running.token, Signal::KILL);
                    }
                }
            }
        }
    }

    fn now(&self) -> Millis {
        chrono::Utc::now().timestamp_millis()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

fn drain(stream: &mut UnixStream) -> usize {
    let mut buffer = [0_u8; 256];
    let mut total = 0;
    while let Ok(count) = stream.read(&mut buffer)
        && count > 0
    {
        total += count;
    }
    total
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
