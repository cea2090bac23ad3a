//! What the guard keeps: checkpoints of what would be lost, and a log of what it judged.

use std::path::Path;

use crate::domain::{
    checkpoint::CheckpointError,
    guard::{
        checkpoint::{CheckpointCause, GuardCheckpoint, GuardCheckpointRequest, GuardUndoReport},
        log::LogEntry,
    },
};

/// Keeps files that no commit holds, without touching refs, index or work tree of the user.
pub trait GuardCheckpoints: Send + Sync {
    /// Keeps what would be lost; `None` where nothing would be.
    fn save(
        &self,
        order: &GuardCheckpointRequest,
    ) -> Result<Option<GuardCheckpoint>, CheckpointError>;

    /// Lists the checkpoints of a project, oldest first.
    fn list(&self, root: &Path) -> Result<Vec<GuardCheckpoint>, CheckpointError>;

    /// Brings back what a checkpoint holds; what it writes over is kept first.
    fn restore(
        &self,
        root: &Path,
        number: u32,
        cause: &CheckpointCause,
    ) -> Result<GuardUndoReport, CheckpointError>;
}

/// The log of the guard.
pub trait GuardLog: Send + Sync {
    /// Appends one entry; a log that cannot be written keeps nobody from judging.
    fn append(&self, entry: &LogEntry) -> Result<(), String>;

    /// Returns every entry that is still there, oldest first.
    fn read(&self) -> Vec<LogEntry>;

    /// Returns where it is.
    fn place(&self) -> String;
}
