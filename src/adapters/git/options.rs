//! How checkpoints are taken in one root.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use crate::adapters::git::repository;

/// Who looks at the work tree and changes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// tos itself, several times quicker; leaves to the git program what only that does rightly.
    #[default]
    Native,
    /// The git program, always.
    Program,
}

/// What the adapter needs to know.
#[derive(Debug, Clone)]
pub struct CheckpointOptions {
    /// The directory tos works in; its repository's whole work tree is covered.
    pub root: PathBuf,
    /// Paths below the root that are in no checkpoint while untracked, e.g. tos's own logs.
    pub excluded: Vec<PathBuf>,
    /// How long to wait for another git process that holds the index.
    pub lock_wait: Duration,
    /// How long a fetch may take.
    pub fetch_deadline: Duration,
    /// Who does the work; both come to the same result.
    pub engine: Engine,
}

impl CheckpointOptions {
    /// Returns the usual options for a root: `logs` stays outside, ten seconds for a lock.
    pub fn for_root(root: PathBuf) -> Self {
        Self {
            root,
            excluded: vec![PathBuf::from("logs")],
            lock_wait: Duration::from_secs(10),
            fetch_deadline: Duration::from_secs(60),
            engine: Engine::default(),
        }
    }

    /// Returns the excluded paths from the work tree's top, in bytes.
    pub(super) fn excluded(&self, home: &repository::WorktreeRepository) -> Vec<Vec<u8>> {
        let excluded = self.excluded.iter();
        excluded.map(|path| self.below_top(home, path)).collect()
    }

    /// Returns a path of the root from the work tree's top, in bytes.
    pub(super) fn below_top(&self, home: &repository::WorktreeRepository, path: &Path) -> Vec<u8> {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.as_bytes()),
            _ => None,
        });
        let prefix = Some(home.prefix.as_slice()).filter(|prefix| !prefix.is_empty());
        let all: Vec<&[u8]> = prefix.into_iter().chain(parts).collect();
        all.join(&b'/')
    }
}
