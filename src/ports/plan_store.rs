//! Where plans come from and where runs are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    domain::plan::{
        Plan,
        event::{Millis, PlanEvent, PlanSource, RunCreated},
        state::RunState,
    },
    ports::{
        plan_host::{TaskConfinement, TaskHost},
        plan_work::RemoteTasks,
    },
};

/// Why a plan cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("plan {path:?} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The file is not a plan.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
        /// What is wrong.
        message: String,
        /// The text of that line.
        excerpt: String,
        /// What to do; may be empty.
        remedy: String,
    },
}

/// Why a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the name of a run.
    #[error("`{name}` cannot be the name of a run")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// No run has this name.
    #[error("there is no run `{name}` in {home:?}")]
    Unknown {
        /// The name as given.
        name: String,
        /// Where it was looked for.
        home: PathBuf,
    },
    /// Several runs have names that begin so.
    #[error("`{name}` is the beginning of several runs: {}", found.join(", "))]
    Ambiguous {
        /// The name as given.
        name: String,
        /// Some of the runs.
        found: Vec<String>,
    },
    /// Somebody alive works on the run.
    #[error("run `{run}` is being worked on by process {owner}")]
    Locked {
        /// The run.
        run: String,
        /// The process, as it wrote itself down.
        owner: String,
    },
    /// The directory for runs cannot be used.
    #[error("home {path:?} cannot be used: {why}")]
    Home {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The directory for tasks cannot be used.
    #[error("workdir {path:?} cannot be used: {why}")]
    Workdir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A run whose start was ended before its first record.
    #[error(
        "run `{run}` never began: its start was ended before its first record, and nothing of it ran"
    )]
    NeverBegan {
        /// The run.
        run: String,
    },
    /// The record of a run is damaged.
    #[error("run `{run}` is damaged: {why}")]
    Damaged {
        /// The run.
        run: String,
        /// What is wrong with it.
        why: String,
    },
    /// The disk says no.
    #[error("{doing} {path:?}")]
    Disk {
        /// What was tried, as «could not write».
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// The answer of the system.
        #[source]
        source: std::io::Error,
    },
}

/// Which of a task's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What of a cache goes.
#[derive(Debug, Clone, Copy)]
pub struct CacheCleanup<'a> {
    /// The runs that exist.
    pub runs: &'a BTreeSet<String>,
    /// Those of them that are not over: what they have put there stays.
    pub busy: &'a BTreeSet<String>,
    /// What was not used since then goes.
    pub unused_since: Millis,
    /// The present.
    pub now: Millis,
    /// Whether nothing is deleted, only counted.
    pub is_rehearsal: bool,
}

/// What became of a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCleanupResult {
    /// How many entries went.
    pub deleted: usize,
    /// How many stay.
    pub kept: usize,
    /// How many bytes that freed.
    pub bytes: u64,
}

/// Loads plans and knows the runs of a home.
pub trait PlanStore {
    /// Loads a plan with these parameters.
    fn load(&self, path: &Path, params: &BTreeMap<String, String>) -> Result<Plan, LoadError>;

    /// Returns the directory for runs: the given one, else the old one where it exists, else the usual one.
    fn home(&self, given: Option<&Path>) -> Result<PathBuf, Error>;

    /// Returns the directory for runs of a root: the old one where it exists, else the usual one.
    fn home_of(&self, root: &Path) -> Result<PathBuf, Error>;

    /// Returns the absolute path of the directory in which tasks run.
    fn workdir(&self, given: &Path) -> Result<PathBuf, Error>;

    /// Makes the directory of a new run, with a copy of its plan and the first line of its log, and locks it.
    fn create(
        &self,
        home: &Path,
        plan: &Plan,
        created: RunCreated,
    ) -> Result<Box<dyn RunDir>, Error>;

    /// Opens a run by its name, the beginning of it, or `latest`.
    fn open(&self, home: &Path, name: &str) -> Result<Box<dyn RunDir>, Error>;

    /// Deletes what the cache of a home does not need any more.
    fn sweep_cache(&self, home: &Path, sweep: &CacheCleanup<'_>) -> CacheCleanupResult;

    /// Returns what a file of a plan is now; nothing where it cannot be read.
    fn source(&self, path: &Path) -> Option<PlanSource>;

    /// Returns the names of all runs, oldest first.
    fn runs(&self, home: &Path) -> Result<Vec<String>, Error>;
}

/// The directory of one run.
pub trait RunDir {
    /// Returns the run's name.
    fn id(&self) -> &str;

    /// Returns its directory.
    fn path(&self) -> &Path;

    /// Makes this process the only one that works on the run, until it ends or lets go.
    fn lock(&mut self) -> Result<(), Error>;

    /// Lets go of the run.
    fn unlock(&mut self);

    /// Returns whether somebody alive works on it.
    fn is_live(&self) -> bool;

    /// Returns whether its start was ended before its first record, so that nothing of it ran.
    fn never_began(&self) -> bool;

    /// Ends processes that a dead runner left behind, and returns how many; the caller holds the lock.
    fn end_orphans(&self) -> usize;

    /// Returns the run's own copy of its plan.
    fn plan(&self) -> Result<Plan, LoadError>;

    /// Puts another plan with the same tasks in the place of the copy; the caller holds the lock.
    fn replace_plan(&mut self, plan: &Plan) -> Result<(), Error>;

    /// Returns what the run log adds up to.
    fn state(&self) -> Result<RunState, Error>;

    /// Returns the events written after `from` bytes of the run log, and where the next ones will begin.
    fn events_since(&self, from: u64) -> Result<(Vec<PlanEvent>, u64), Error>;

    /// Writes events to the run log; they survive the death of this process from here on, and a loss of power soon.
    fn append(&mut self, events: &[PlanEvent]) -> Result<(), Error>;

    /// Waits until everything appended would survive a loss of power.
    fn sync(&mut self) -> Result<(), Error>;

    /// Writes `state.json`.
    fn write_state(&mut self, plan: &Plan, state: &RunState) -> Result<(), Error>;

    /// Leaves a request to cancel.
    fn request_cancel(&self) -> Result<(), Error>;

    /// Removes a request to cancel that was made before `moment`.
    fn clear_cancel(&self, moment: Millis);

    /// Returns once something was written to the run, or `limit` has passed.
    fn wait_for_change(&self, limit: Duration);

    /// Writes a file of the report and returns its path.
    fn write_report(&self, name: &str, text: &str) -> Result<PathBuf, Error>;

    /// Returns the last lines of a task's log, and where it ends.
    fn log_tail(&self, id: &str, stream: LogStream, lines: usize) -> (Vec<u8>, u64);

    /// Returns what was added to a task's log after `from`.
    fn log_since(&self, id: &str, stream: LogStream, from: u64) -> Vec<u8>;

    /// Deletes the run; the caller holds the lock.
    fn delete(&mut self) -> Result<u64, Error>;

    /// Returns the host that runs the tasks of `plan` for this run, behind the `guard` where its policy is enforced, or on other
    /// machines, which have walls of their own.
    fn host<'plan>(
        &self,
        plan: &'plan Plan,
        state: &RunState,
        guard: Option<TaskConfinement>,
        remote: Option<Arc<dyn RemoteTasks>>,
    ) -> Result<Box<dyn TaskHost + 'plan>, Error>;
}
