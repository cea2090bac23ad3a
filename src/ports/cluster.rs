//! Other machines: work handed out to them, and work taken from a controller.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::domain::{
    board::Fence,
    cluster::{ClusterView, WorkOrder, WorkResult, WorkerInfo, WorkerInstructions},
};

use super::{BoxFuture, board_store::BoardStore};

/// Why something did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// Whether something has to end, as somebody else decides.
pub trait StopFeed: Send {
    /// Waits for the next word: 1 = end it, 2 = at once. `None` = nobody is there who could say so any more. Dropping the
    /// wait loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Option<u8>>;
}

/// Takes lines of a log.
pub type LineSink = Box<dyn Fn(&str) + Send + Sync>;

/// Hands runs out to workers and waits for what comes of them.
pub trait RunDispatcher: Send + Sync {
    /// Hands an order out and waits for its result, which is fetched with the commit it speaks of. `stop` says when
    /// the work has to end, `lines` is given what the worker says meanwhile. An error means that nobody knows what came of it.
    fn run(
        &self,
        order: WorkOrder,
        stop: Box<dyn StopFeed>,
        lines: LineSink,
    ) -> BoxFuture<'static, Result<WorkResult, Error>>;

    /// Returns the leases under which workers did something for a controller before this one, or had something to report, when this was
    /// opened. What comes of them is kept until it is asked for by handing the same order out again.
    fn under_way(&self) -> BoxFuture<'static, BTreeSet<Fence>>;

    /// Returns who works, and how much lies in the queue.
    fn view(&self) -> BoxFuture<'static, Result<ClusterView, Error>>;

    /// Sees to it that a controller that takes over can have a commit.
    fn share(&self, commit: &str) -> BoxFuture<'static, Result<(), Error>>;

    /// Brings a commit here that a controller before this one had: an attempt, or what was to be merged. Does nothing where it is here.
    fn bring(&self, commit: &str) -> BoxFuture<'static, Result<(), Error>>;

    /// Keeps the commit that a branch of the board stands at, for a controller that takes over.
    fn keep_tip(&self, branch: &str, commit: &str) -> BoxFuture<'static, Result<(), Error>>;
}

/// Commits of branches, the newest last.
pub type BranchCommits = BTreeMap<String, Vec<String>>;

/// The right to lead.
pub struct LeadershipGuard {
    /// Completes with the reason when the right is lost, or when this controller cannot use it any more.
    pub lost: BoxFuture<'static, String>,
    /// The right itself; it is given back when this is dropped.
    pub right: Box<dyn Any + Send>,
}

impl std::fmt::Debug for LeadershipGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeadershipGuard").finish_non_exhaustive()
    }
}

/// This process on a cluster, before it is known what it does there.
pub trait ClusterMember: Send + Sync {
    /// Waits until this controller leads; tells once who does meanwhile.
    fn lead(
        &self,
        following: Box<dyn Fn(&str) + Send + Sync>,
    ) -> BoxFuture<'_, Result<LeadershipGuard, Error>>;

    /// Opens the board. Blocks.
    fn store(&self) -> Result<Box<dyn BoardStore>, Error>;

    /// Opens the controller's side of the queue. Blocks.
    fn runs(&self) -> Result<Arc<dyn RunDispatcher>, Error>;

    /// Brings the commits here that the board brought to its branches last: those that `known` names, and for other branches what was
    /// kept last. Blocks.
    fn tips(&self, known: BranchCommits) -> Result<BranchCommits, Error>;

    /// Opens a worker's side of the queue; `notices` is given what the person there has to know. Blocks.
    fn orders(&self, card: WorkerInfo, notices: LineSink) -> Result<Arc<dyn OrderQueue>, Error>;

    /// Returns who works, and how much lies in the queue. Blocks.
    fn view(&self) -> Result<ClusterView, Error>;

    /// Lets a worker, or everybody, take nothing new, or take work again; returns what holds then. Blocks.
    fn drain(&self, worker: Option<&str>, is_on: bool) -> Result<WorkerInstructions, Error>;
}

/// An order that this worker alone works on.
pub trait ClaimedOrder: Send {
    /// The order.
    fn order(&self) -> &WorkOrder;

    /// Returns what says when the work has to end.
    fn stop(&self) -> Box<dyn StopFeed>;

    /// Returns what shows lines of the log to whoever looks on elsewhere.
    fn lines(&self) -> LineSink;

    /// Reports what came of it, with the commit where there is one; then nobody gets the order again.
    fn finish(self: Box<Self>, result: WorkResult) -> BoxFuture<'static, Result<(), Error>>;
}

/// Takes work from a controller.
pub trait OrderQueue: Send + Sync {
    /// Asks for an order that this worker may do, and waits for one about so long. Its base commit is here when this returns.
    fn poll(&self, wait: Duration) -> BoxFuture<'_, Result<Option<Box<dyn ClaimedOrder>>, Error>>;

    /// Tells the controller what this worker says of itself.
    fn announce(&self, card: WorkerInfo) -> BoxFuture<'_, Result<(), Error>>;
}
