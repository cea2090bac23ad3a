//! Runs the tasks of a plan: starts them, says what happened, ends what runs. Nothing here blocks but [`TaskHost::wait`].

use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    domain::{
        cluster::RemoteExit,
        plan::{
            TaskIndex,
            event::{Artifact, Millis},
            state::StatusReason,
        },
        redaction::Redactor,
    },
    ports::{runner::StopSignal, sandbox::Sandbox},
};

/// What stands around the tasks of a plan whose policy is enforced.
#[derive(Clone)]
pub struct TaskConfinement {
    /// The wall around each task.
    pub wall: Arc<dyn Sandbox>,
    /// The temporary folder that the tasks have in common behind the wall; it goes with the run.
    pub temporary: Option<PathBuf>,
    /// Removes secrets from what tasks print.
    pub redactor: Redactor,
    /// All that tasks see of the environment of tos.
    pub environment: Vec<(OsString, OsString)>,
    /// What tos itself may touch on behalf of a task.
    pub reach: FileAccessRules,
}

impl std::fmt::Debug for TaskConfinement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskConfinement")
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

/// Which files tos itself reads and writes for a task: it stands outside the wall and must not be used to get around it.
/// Paths are absolute and clean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileAccessRules {
    /// The working directory of the run; nothing outside is touched.
    pub root: PathBuf,
    /// Keys and tokens below it, not even to be read.
    pub hidden: Vec<PathBuf>,
    /// What tos and git keep below it, not to be written.
    pub closed: Vec<PathBuf>,
}

impl FileAccessRules {
    /// Returns whether `path` may be read.
    pub fn may_read(&self, path: &Path) -> bool {
        path.starts_with(&self.root) && !self.hidden.iter().any(|place| path.starts_with(place))
    }

    /// Returns whether `path` may be written.
    pub fn may_write(&self, path: &Path) -> bool {
        self.may_read(path) && !self.closed.iter().any(|place| path.starts_with(place))
    }
}

/// Resolves `.` and `..` by name alone.
pub fn normalize_path(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// One attempt to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptId {
    /// Which task.
    pub task: TaskIndex,
    /// Counted over all executions of the run, from 1.
    pub attempt: u32,
    /// Counted in this execution, from 1.
    pub round: u32,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum HostEvent {
    /// An attempt is over.
    Ended(FinishedAttempt),
    /// Somebody asked for the end of the run, from another process.
    CancelRequested,
    /// A signal asked this process to end.
    Interrupted,
}

/// A finished attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedAttempt {
    /// Which task.
    pub task: TaskIndex,
    /// How it ended.
    pub exit: AttemptExit,
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// How long it took, in microseconds.
    pub us: u64,
    /// What was kept of its outputs.
    pub artifacts: Vec<Artifact>,
}

/// How an attempt at a task of a plan ended, as its host saw it; the schedule decides by an `AttemptResult`, the run log has an
/// `AttemptEnded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptExit {
    /// With this code; a signal is its number, negative.
    Code(i32),
    /// By its deadline.
    TimedOut,
    /// Because it did nothing for so long.
    Idle(Duration),
    /// Because the temporary folder of the run held so many bytes.
    Overflowed(u64),
    /// By itself and with success, but without what it had promised to make; this is missing.
    OutputsMissing(String),
    /// Before it began, because of this.
    NotStarted(StatusReason, String),
    /// By an equal success in the past.
    Cached,
    /// On another machine, without success.
    Elsewhere(RemoteExit),
}

/// Runs tasks.
pub trait TaskHost {
    /// Starts an attempt; its end arrives by [`TaskHost::wait`], also where it could not be started.
    fn start(&mut self, order: AttemptId);

    /// Returns what happened, as soon as something did, or nothing once `limit` has passed.
    fn wait(&mut self, limit: Option<Duration>) -> Vec<HostEvent>;

    /// Ends everything that runs, with all it has started.
    fn end_all(&mut self, how: StopSignal);

    /// Returns the milliseconds since 1970.
    fn now(&self) -> Millis;

    /// Returns time since some fixed moment; it never goes backwards.
    fn monotonic(&self) -> Duration;
}
