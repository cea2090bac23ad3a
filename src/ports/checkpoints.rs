//! States of the work tree to return to.

use crate::{
    domain::checkpoint::{
        Difference, Failure, Listed, RollBack, RolledBack, Shown, Take, Taken, Undone,
    },
    ports::BoxFuture,
};

/// Takes checkpoints and returns to them; whatever a return removes stays reachable by a safety ref.
pub trait Checkpoints: Send + Sync {
    /// Makes the root a git repository. Does nothing where it is inside one already.
    fn init(&self) -> BoxFuture<'_, Result<(), Failure>>;

    /// Commits tracked and untracked files that are not ignored; an empty commit is fine.
    fn take<'a>(&'a self, order: &'a Take) -> BoxFuture<'a, Result<Taken, Failure>>;

    /// Brings HEAD, index and work tree to a commit. Ignored files and nested repositories stay.
    fn roll_back<'a>(&'a self, order: &'a RollBack) -> BoxFuture<'a, Result<RolledBack, Failure>>;

    /// Returns to a safety snapshot, the newest where no number is given.
    fn undo(&self, number: Option<u32>) -> BoxFuture<'_, Result<Undone, Failure>>;

    /// Lists checkpoints, then safety snapshots, each oldest first.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Listed>, Failure>>;

    /// Describes one checkpoint: a number, a name, `safety/<n>`, a hash; `None` = the newest.
    fn show<'a>(&'a self, which: Option<&'a str>) -> BoxFuture<'a, Result<Shown, Failure>>;

    /// Compares one checkpoint with the files as they are now.
    fn diff<'a>(&'a self, which: Option<&'a str>) -> BoxFuture<'a, Result<Difference, Failure>>;
}
