//! Runs tasks as processes and waits for whatever happens first, in one thread and without polling.
//!
//! The kernel says when a child ended (through a signal that writes into a pipe), when a request to cancel appears
//! (inotify), and when the next deadline is due. Work that may take long, measuring inputs and copying outputs,
//! happens in a thread of its own and reports through a channel, so that it delays no other task.
//!
//! `start` begins an attempt, `ending` is what becomes of it, `background` is the slow work, `remote` what other machines do.
//!
//! Dangers: this module reaps every child of the process. Nothing else may wait for a child while a plan runs.

mod background;
mod ending;
mod remote;
mod start;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    io,
    io::Read,
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
    process::{Pid, Signal},
};
use signal_hook::consts::SIGCHLD;

use crate::{
    adapters::{
        plan::{
            confiner::{ConfinedAttempt, TaskConfiner},
            launch,
            log_tee::LogTee,
            orphans,
            slots::{LogPlace, LogSlots},
        },
        process::ProcessActivity,
        signals, state_folder,
    },
    domain::{
        cluster::{PlanTaskResult, PrintedPiece},
        plan::{Plan, PlanTask, TaskIndex, event::Millis},
    },
    ports::{
        plan_host::{
            AttemptId, FileAccessRules, FinishedAttempt, HostEvent, TaskConfinement, TaskHost,
        },
        runner::StopSignal,
    },
};

/// How often in an idle timeout a task is looked at.
const LOOKS: u32 = 4;
/// A task that runs longer than this gets log files others can read along.
const REVEAL: Duration = Duration::from_millis(100);
/// How often the size of a long task's logs is looked at, and how large each may become.
const CAP_CHECK: Duration = Duration::from_millis(500);
/// How often the temporary folder of the run is weighed, at most; a look that takes long is followed by a longer pause.
const WEIGH_EVERY: Duration = Duration::from_millis(500);
const WEIGH_PATIENCE: u32 = 20;
const CAP_BYTES: u64 = 256 * 1024 * 1024;

/// What a host works for.
pub(crate) struct HostSettings {
    pub(crate) run_id: String,
    pub(crate) run: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) workdir: PathBuf,
    /// What may be touched on behalf of tasks, where their policy is enforced.
    pub(crate) reach: Option<FileAccessRules>,
}

/// Runs the tasks of one plan on this machine.
pub(crate) struct LocalTaskHost<'plan> {
    plan: &'plan Plan,
    setting: Arc<HostSettings>,
    confiner: Option<TaskConfiner>,
    slots: LogSlots,
    inherited: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    running: BTreeMap<i32, RunningAttempt>,
    pids: BTreeMap<TaskIndex, i32>,
    /// What waits for its key, by task.
    preparing: BTreeMap<TaskIndex, AttemptId>,
    collecting: usize,
    keys: BTreeMap<TaskIndex, String>,
    timers: BinaryHeap<Reverse<(Instant, i32, u64, HostTimer)>>,
    serial: u64,
    happened: Vec<HostEvent>,
    children: UnixStream,
    stops: UnixStream,
    news: UnixStream,
    news_sender: (mpsc::Sender<AttemptNews>, Arc<UnixStream>),
    news_receiver: mpsc::Receiver<AttemptNews>,
    inotify: OwnedFd,
    began: Instant,
    is_ending: bool,
    /// Where other machines make the attempts.
    remote: Option<remote::RemoteSide>,
}

struct RunningAttempt {
    task: TaskIndex,
    serial: u64,
    round: u32,
    place: LogPlace,
    token: String,
    started: Instant,
    is_ending: bool,
    timed_out: bool,
    /// What is known about its silence, where that has a limit.
    idle: Option<IdleTimer>,
    /// How many bytes the temporary folder of the run held when it was ended for that.
    overflow: Option<u64>,
    hold: ConfinedAttempt,
}

/// The silence of a task.
struct IdleTimer {
    limit: Duration,
    /// What it had done at the last look, and since when that is all.
    seen: Option<(ProcessActivity, u64)>,
    since: Instant,
    /// How long it had been silent when it was ended for that.
    ended_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum HostTimer {
    Reveal,
    Size,
    Weigh,
    Deadline,
    Idle,
    Kill,
}

enum AttemptNews {
    Prepared {
        task: TaskIndex,
        key: Option<String>,
        is_known: bool,
    },
    Collected(FinishedAttempt),
    /// What an attempt elsewhere prints.
    Printed(PrintedPiece),
    /// What came of an attempt elsewhere.
    Came(Box<PlanTaskResult>),
    /// The same, with everything that it left.
    Brought(Box<PlanTaskResult>),
    Weighed {
        pid: i32,
        serial: u64,
        holds: u64,
        took: Duration,
    },
}

impl<'plan> LocalTaskHost<'plan> {
    /// Creates the host of a run.
    pub(crate) fn new(
        plan: &'plan Plan,
        setting: HostSettings,
        guard: Option<TaskConfinement>,
    ) -> io::Result<Self> {
        if guard.is_some() {
            // What is not there cannot be protected: a task could make its own past.
            state_folder::create_record_folder(&setting.home.join("cache"))?;
        }
        let (children, child_writer) = UnixStream::pair()?;
        let (stops, stop_writer) = UnixStream::pair()?;
        let (news, news_writer) = UnixStream::pair()?;
        for stream in [&children, &stops, &news] {
            stream.set_nonblocking(true)?;
        }
        signal_hook::low_level::pipe::register(SIGCHLD, child_writer)?;
        for signal in signals::heard() {
            signal_hook::low_level::pipe::register(signal, stop_writer.try_clone()?)?;
        }
        let inotify =
            inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let watched = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&inotify, &setting.run, watched)?;
        let (sender, news_receiver) = mpsc::channel();
        let mut host = Self {
            plan,
            slots: LogSlots::open(&setting.run.join("logs"))?,
            setting: Arc::new(setting),
            confiner: guard.map(TaskConfiner::new).transpose()?,
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
            remote: None,
        };
        host.look_for_request();
        Ok(host)
    }

    fn directory(&self, task: &PlanTask) -> PathBuf {
        launch::directory(&self.setting.workdir, task)
    }

    fn done(&mut self, done: FinishedAttempt) {
        self.note_left(&done);
        self.happened.push(HostEvent::Ended(done));
    }

    fn look_for_request(&mut self) {
        let request = self.setting.run.join("cancel.request");
        if std::fs::symlink_metadata(request).is_ok_and(|found| found.is_file()) {
            self.happened.push(HostEvent::CancelRequested);
        }
    }

    /// Sleeps until something can be read or `limit` has passed.
    fn sleep(&mut self, limit: Option<Duration>) {
        let ready = {
            let own = [
                self.children.as_fd(),
                self.stops.as_fd(),
                self.news.as_fd(),
                self.inotify.as_fd(),
            ];
            let taps = self.running.values().flat_map(|running| &running.hold.taps);
            let mut fds: Vec<PollFd<'_>> = own
                .into_iter()
                .chain(taps.filter_map(LogTee::waits_on))
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
            if poll(&mut fds, limit.as_ref()).is_err() {
                return;
            }
            let ready = fds.iter().map(|fd| !fd.revents().is_empty());
            ready.collect::<Vec<bool>>()
        };
        let [children, stops, news, requests, taps @ ..] = ready.as_slice() else {
            return;
        };
        if taps.contains(&true) {
            let waiting = self
                .running
                .values_mut()
                .flat_map(|running| &mut running.hold.taps)
                .filter(|tap| tap.waits_on().is_some());
            for (tap, _) in waiting.zip(taps).filter(|(_, is_ready)| **is_ready) {
                tap.take();
            }
        }
        if *children {
            drain(&mut self.children);
            self.reap();
        }
        if *news {
            self.receive_news();
        }
        if *stops {
            for _ in 0..drain(&mut self.stops) {
                self.happened.push(HostEvent::Interrupted);
            }
        }
        if *requests {
            let mut buffer = [0_u8; 4096];
            while rustix::io::read(&self.inotify, &mut buffer).is_ok_and(|count| count > 0) {}
            self.look_for_request();
        }
    }
}

impl TaskHost for LocalTaskHost<'_> {
    fn start(&mut self, order: AttemptId) {
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
            self.begin(order, task);
        }
    }

    fn wait(&mut self, limit: Option<Duration>) -> Vec<HostEvent> {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let alarm = self.fire_timers();
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

    fn end_all(&mut self, how: StopSignal) {
        self.is_ending = true;
        self.end_elsewhere(how);
        let now = Instant::now();
        let pids: Vec<i32> = self.running.keys().copied().collect();
        for pid in pids {
            match how {
                StopSignal::Terminate => self.terminate(pid, now),
                StopSignal::Kill => {
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
