//! Tasks of plans on other machines: handed out by a runner, taken and made by workers.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    BoxFuture,
    cluster::{Error, StopFeed},
};
use crate::domain::cluster::{
    PlanFile, PlanTaskRequest, PlanTaskResult, PrintedPiece, RemoteExit, WorkerInfo,
};

/// This process on a cluster, where it runs plans or makes tasks of them.
pub trait PlanClusterClient: Send + Sync {
    /// Opens the queue for the tasks of a run, which work in `workdir`. Blocks.
    fn plan_tasks(&self, run: &str, workdir: &Path) -> Result<Arc<dyn RemoteTasks>, Error>;

    /// Opens a worker's side of the tasks of plans. Blocks.
    fn plan_orders(&self, card: WorkerInfo) -> Result<Arc<dyn PlanTaskQueue>, Error>;

    /// Returns how many tasks of plans the workers that were heard of make at a time. Blocks.
    fn plan_slots(&self) -> Result<u64, Error>;
}

/// What is heard of attempts elsewhere.
#[derive(Debug)]
pub enum PlanNews {
    /// What one prints while it is made. Some of it may be lost on the way.
    Printed(PrintedPiece),
    /// What came of one.
    Ended(Box<PlanTaskResult>),
}

/// Is told what is heard of attempts elsewhere. It must not block.
pub type NewsSink = Box<dyn Fn(PlanNews) + Send + Sync>;

/// Takes what a task prints: 0 = output, 1 = errors. It must not block.
pub type PrintSink = Box<dyn Fn(usize, &[u8]) + Send + Sync>;

/// A runner's side: hands tasks of one run out, and says what comes of them.
pub trait RemoteTasks: Send + Sync {
    /// Says who is told from now on; each attempt that was handed out ends there, once.
    fn listen(&self, told: NewsSink);

    /// Hands an attempt out and returns at once. The run, its opening and the project are put in here; `sources` says where the files
    /// of the order lie, in the same sequence.
    fn hand_out(&self, order: PlanTaskRequest, sources: Vec<PathBuf>);

    /// Ends everything that was handed out: 1 = as it likes to end, 2 = at once.
    fn stop(&self, how: u8);

    /// Brings a file here that an attempt left. Blocks.
    fn fetch(&self, file: &PlanFile, target: &Path) -> Result<(), Error>;
}

/// Where a text lies that a task printed; a file that is not there is an empty text.
#[derive(Debug, Clone, Default)]
pub struct TaskOutputFile {
    /// The file.
    pub path: PathBuf,
    /// How many bytes at its beginning are not the task's.
    pub skip: u64,
}

/// What an attempt that was made here came to.
#[derive(Debug, Clone, Default)]
pub struct TaskExecutionResult {
    /// How it ended.
    pub end: RemoteExit,
    /// How long it took, in microseconds.
    pub us: u64,
    /// Where what it printed lies: output and errors.
    pub printed: [TaskOutputFile; 2],
    /// What it left: the path below its folder, and where it lies.
    pub files: Vec<(String, PathBuf)>,
}

/// Takes tasks from whoever runs a plan.
pub trait PlanTaskQueue: Send + Sync {
    /// Asks for an attempt that this worker may make, and waits for one about so long, or until `enough` is over. It has to be waited for to its end:
    /// an attempt that was taken and is dropped is lost.
    fn ask<'a>(
        &'a self,
        wait: Duration,
        enough: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn ClaimedPlanTask>>, Error>>;
}

/// An attempt that this worker alone makes.
pub trait ClaimedPlanTask: Send + Sync {
    /// The order.
    fn order(&self) -> &PlanTaskRequest;

    /// Returns what says when the work has to end.
    fn stop(&self) -> Box<dyn StopFeed>;

    /// Lays everything out in an empty folder; returns the working directory in it.
    fn lay_out<'a>(&'a self, folder: &'a Path) -> BoxFuture<'a, Result<PathBuf, Error>>;

    /// Returns what shows whoever runs the plan what the task prints, without what is known as a secret here.
    fn printing(&self) -> PrintSink;

    /// Reports what came of it; then nobody gets the order again.
    fn finish(self: Box<Self>, made: TaskExecutionResult) -> BoxFuture<'static, Result<(), Error>>;
}

/// Makes attempts on this machine.
pub trait TaskExecutor: Send + Sync {
    /// Returns an empty folder for an attempt.
    fn folder(&self, key: &str) -> Result<PathBuf, Error>;

    /// Makes an attempt in a folder where everything is laid out. `printing` is given what it prints now and then, while it goes on.
    fn make<'a>(
        &'a self,
        order: &'a PlanTaskRequest,
        folder: &'a Path,
        workdir: &'a Path,
        stop: Box<dyn StopFeed>,
        printing: PrintSink,
    ) -> BoxFuture<'a, TaskExecutionResult>;

    /// Takes a folder away with all that is in it.
    fn clear(&self, folder: &Path);
}
