//! States of the work tree to return to.

use crate::{
    domain::checkpoint::{
        CheckpointDetails, CheckpointDiff, CheckpointEntry, CheckpointError, CheckpointReport,
        CheckpointRequest, RollbackReport, RollbackRequest, UndoReport,
    },
    ports::BoxFuture,
};

/// Takes checkpoints and returns to them; whatever a return removes stays reachable by a safety ref.
pub trait Checkpoints: Send + Sync {
    /// Makes the root a git repository. Does nothing where it is inside one already.
    fn init(&self) -> BoxFuture<'_, Result<(), CheckpointError>>;

    /// Commits tracked and untracked files that are not ignored; an empty commit is fine.
    fn take<'a>(
        &'a self,
        order: &'a CheckpointRequest,
    ) -> BoxFuture<'a, Result<CheckpointReport, CheckpointError>>;

    /// Brings HEAD, index and work tree to a commit. Ignored files and nested repositories stay.
    fn roll_back<'a>(
        &'a self,
        order: &'a RollbackRequest,
    ) -> BoxFuture<'a, Result<RollbackReport, CheckpointError>>;

    /// Returns to a safety snapshot, the newest where no number is given.
    fn undo(&self, number: Option<u32>) -> BoxFuture<'_, Result<UndoReport, CheckpointError>>;

    /// Lists checkpoints, then safety snapshots, each oldest first.
    fn list(&self) -> BoxFuture<'_, Result<Vec<CheckpointEntry>, CheckpointError>>;

    /// Describes one checkpoint: a number, a name, `safety/<n>`, a hash; `None` = the newest.
    fn show<'a>(
        &'a self,
        which: Option<&'a str>,
    ) -> BoxFuture<'a, Result<CheckpointDetails, CheckpointError>>;

    /// Compares one checkpoint with the files as they are now.
    fn diff<'a>(
        &'a self,
        which: Option<&'a str>,
    ) -> BoxFuture<'a, Result<CheckpointDiff, CheckpointError>>;
}
