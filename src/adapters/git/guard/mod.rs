//! Checkpoints of the guard: only the files that would be lost, as git objects below refs of tos.
//!
//! Owns `refs/tos/guard/` of a repository, and a bare repository in the state folder of tos for projects that are in none.
//! The user's refs, index and work tree are read and never written; only a return to a checkpoint writes files, and what it
//! writes over becomes a checkpoint first. The tree of a checkpoint has `files` (the very bytes of the disk, no filter has
//! seen them), `index` (what was staged, where that was in danger), `modes` (what a tree cannot hold of files and folders) and
//! `record.json`.

mod collect;
mod modes;
mod parts;
mod save;
mod store;
mod sweep;
mod undo;
mod view;

use std::path::{Path, PathBuf};

use super::error::Result;
use crate::{
    domain::{
        checkpoint::CheckpointError,
        guard::checkpoint::{
            CheckpointCause, GuardCheckpoint, GuardCheckpointRequest, GuardUndoReport,
        },
    },
    ports::guard::GuardCheckpoints,
};
use store::CheckpointStore;
pub use view::DiskProjectView;

/// Checkpoints of the guard in git repositories.
#[derive(Debug, Clone)]
pub struct GitGuardCheckpoints {
    /// The folder of tos for state of this user, where projects without a repository have theirs.
    state: PathBuf,
}

impl GitGuardCheckpoints {
    /// Makes the adapter; looks at nothing yet.
    pub const fn new(state: PathBuf) -> Self {
        Self { state }
    }
}

impl GuardCheckpoints for GitGuardCheckpoints {
    fn save(&self, order: &GuardCheckpointRequest) -> Result<Option<GuardCheckpoint>> {
        save::blocking_save(&self.state, order)
    }

    fn list(&self, root: &Path) -> Result<Vec<GuardCheckpoint>> {
        match CheckpointStore::existing(root, &self.state)? {
            Some(store) => store.list(),
            None => Ok(Vec::new()),
        }
    }

    fn restore(
        &self,
        root: &Path,
        number: u32,
        cause: &CheckpointCause,
    ) -> Result<GuardUndoReport> {
        undo::blocking_restore(&self.state, root, number, cause)
    }
}

/// Returns whether the repository at a root tracks a file: then it came with it, or goes to others with it.
pub fn is_tracked(root: &Path, path: &str) -> bool {
    let index = git2::Repository::open(root).and_then(|git| git.index());
    index.is_ok_and(|index| index.get_path(Path::new(path), 0).is_some())
}

/// Makes a failure of one sentence.
fn failed(sentence: String) -> CheckpointError {
    CheckpointError::Io {
        source: sentence.clone().into(),
        doing: sentence,
    }
}
