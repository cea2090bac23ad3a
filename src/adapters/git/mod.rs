//! Git: checkpoints and rollback, without ever losing work.
//!
//! `docs/design/0002-checkpoints.md` tells why it is built this way. `snapshot` turns a work tree into trees, `restore` goes
//! the way back, `objects` and `index` are git's own formats, `worktree` has the work trees of agents, `checkpoint` puts it
//! together, `inspect` lists and shows. `program` is the git program, where only it does right.
#![expect(
    clippy::disallowed_types,
    reason = "this folder reads and writes files; a lint keeps the upper layers away"
)]

use std::{path::Path, sync::Arc};

pub mod bundle;
mod checkpoint;
mod error;
pub mod guard;
mod index;
mod inspect;
mod objects;
pub mod options;
mod paths;
mod program;
pub mod project;
mod refs;
pub(in crate::adapters) mod remote;
pub(in crate::adapters) mod repository;
mod restore;
mod snapshot;
mod worktree;
pub mod write_access;

pub use crate::adapters::git::worktree::worktrees::GitWorktrees;
pub use options::{CheckpointOptions, Engine};

use crate::{
    domain::checkpoint::{
        CheckpointDetails, CheckpointDiff, CheckpointEntry, CheckpointError, CheckpointReport,
        CheckpointRequest, RollbackReport, RollbackRequest, UndoReport,
    },
    ports::{BoxFuture, checkpoints::Checkpoints},
};

/// Tells whether checkpoints are possible for a root, and if not, why: no repository, one of another
/// user, a bare one, an unknown format, a HEAD that cannot be read.
pub fn blocking_check_repository(root: &Path) -> Result<(), CheckpointError> {
    repository::WorktreeRepository::open(root)
        .and_then(|home| home.head())
        .map(drop)
        .map_err(|failure| {
            crate::adapters::git::objects::missing::name_missing_object(root, failure)
        })
}

/// Tells whether HEAD of the repository around a root is this commit or comes after it; what cannot be read is not.
pub fn blocking_is_in_head(root: &Path, commit: &str) -> bool {
    let is_in = || {
        let repository = git2::Repository::discover(root)?;
        let (commit, head) = (git2::Oid::from_str(commit)?, repository.head()?);
        let head = head.peel_to_commit()?.id();
        Ok::<_, git2::Error>(head == commit || repository.graph_descendant_of(head, commit)?)
    };
    is_in().unwrap_or(false)
}

/// Tells whether HEAD of the repository around a root holds a file or folder, by its path from the root or from the top; `None` =
/// there is no commit to look at.
pub fn blocking_head_has(root: &Path, file: &str) -> Option<bool> {
    let repository = git2::Repository::discover(root).ok()?;
    let tree = repository.head().ok()?.peel_to_tree().ok()?;
    let top = repository.workdir()?.canonicalize().ok()?;
    let below = root.canonicalize().ok()?;
    let below = below.strip_prefix(top).ok()?.to_owned();
    let plain = file.trim_start_matches("./").trim_end_matches('/');
    let has = |path: &Path| tree.get_path(path).is_ok();
    Some(has(Path::new(plain)) || has(&below.join(plain)))
}

/// Makes an empty repository that is gone when the value is dropped, for what needs one and has none.
pub fn blocking_throwaway_repository() -> Result<tempfile::TempDir, String> {
    let told = |error: &dyn std::fmt::Display| format!("a folder for the moment: {error}");
    let folder = tempfile::Builder::new().prefix("tos-").tempdir();
    let folder = folder.map_err(|error| told(&error))?;
    git2::Repository::init(folder.path()).map_err(|error| told(&error))?;
    Ok(folder)
}

/// Checkpoints in the git repository around the root.
#[derive(Debug, Clone)]
pub struct GitCheckpoints {
    options: Arc<CheckpointOptions>,
}

impl GitCheckpoints {
    /// Makes the adapter; looks at nothing yet.
    pub fn new(options: CheckpointOptions) -> Self {
        Self {
            options: Arc::new(options),
        }
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CheckpointOptions) -> error::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, CheckpointError>> {
        let options = Arc::clone(&self.options);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || {
                work(&options).map_err(|failure| {
                    crate::adapters::git::objects::missing::name_missing_object(
                        &options.root,
                        failure,
                    )
                })
            });
            done.await.unwrap_or_else(|error| {
                Err(CheckpointError::Io {
                    doing: "the work on the repository broke off".to_owned(),
                    source: Box::new(error),
                })
            })
        })
    }
}

impl Checkpoints for GitCheckpoints {
    fn init(&self) -> BoxFuture<'_, Result<(), CheckpointError>> {
        self.blocking(|options| repository::blocking_init(&options.root))
    }

    fn take<'a>(
        &'a self,
        order: &'a CheckpointRequest,
    ) -> BoxFuture<'a, Result<CheckpointReport, CheckpointError>> {
        let order = order.clone();
        self.blocking(move |options| checkpoint::blocking_snapshot(options, &order))
    }

    fn roll_back<'a>(
        &'a self,
        order: &'a RollbackRequest,
    ) -> BoxFuture<'a, Result<RollbackReport, CheckpointError>> {
        let order = order.clone();
        self.blocking(move |options| {
            crate::adapters::git::restore::rollback::blocking_roll_back(options, &order)
        })
    }

    fn undo(&self, number: Option<u32>) -> BoxFuture<'_, Result<UndoReport, CheckpointError>> {
        self.blocking(move |options| {
            crate::adapters::git::restore::rollback::blocking_undo(options, number)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<CheckpointEntry>, CheckpointError>> {
        self.blocking(inspect::blocking_list)
    }

    fn show<'a>(
        &'a self,
        which: Option<&'a str>,
    ) -> BoxFuture<'a, Result<CheckpointDetails, CheckpointError>> {
        let which = which.map(str::to_owned);
        self.blocking(move |options| inspect::blocking_show(options, which.as_deref()))
    }

    fn diff<'a>(
        &'a self,
        which: Option<&'a str>,
    ) -> BoxFuture<'a, Result<CheckpointDiff, CheckpointError>> {
        let which = which.map(str::to_owned);
        self.blocking(move |options| inspect::blocking_diff(options, which.as_deref()))
    }
}
