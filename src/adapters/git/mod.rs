//! Git: checkpoints and rollback, without ever losing work.
//!
//! `docs/design/0002-checkpoints.md` tells why it is built this way. The rooms:
//! `home` (which repository), `capture` (work tree to tree), `checkpoint`, `restore` (tree to work
//! tree), `rollback`, `keep` (what stays), `safety` (the way back), `publish` (the index, replaced in one step), `refs`,
//! `pack` and `object` (what is stored), `index` (git's index file), `target` and `inspect` (finding
//! and showing), `neighbours` (the repository's other work trees),
//! `wholeness` (objects that should be there and are not), `program` (the git program, where only it does right), `last` (the hash on file).
#![expect(
    clippy::disallowed_types,
    reason = "this folder reads and writes files; the fence keeps the upper floors away"
)]

use std::{
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

mod aside;
mod attempts;
mod attributes;
mod capture;
mod checkpoint;
mod commit;
mod conflicts;
mod delta;
mod disk;
mod error;
mod fast;
mod folders;
mod home;
mod ignore;
mod index;
mod inspect;
mod intake;
mod keep;
mod neighbours;
mod object;
mod pack;
mod program;
mod promises;
mod publish;
mod question;
mod records;
mod refs;
mod repair;
mod restore;
mod rewrite;
mod rollback;
mod safety;
mod scan;
mod share;
mod shared_files;
mod submodules;
mod target;
mod tree_diff;
mod trees;
mod untouched;
mod wholeness;
mod worktree;
mod write_back;

pub use worktree::GitWorktrees;

use crate::{
    domain::checkpoint::{
        Difference, Failure, Listed, RollBack, RolledBack, Shown, Take, Taken, Undone,
    },
    ports::{BoxFuture, checkpoints::Checkpoints},
};

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
pub struct Options {
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

impl Options {
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
    fn excluded(&self, home: &home::Home) -> Vec<Vec<u8>> {
        let excluded = self.excluded.iter();
        excluded.map(|path| self.below_top(home, path)).collect()
    }

    /// Returns a path of the root from the work tree's top, in bytes.
    fn below_top(&self, home: &home::Home, path: &Path) -> Vec<u8> {
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

/// Tells whether checkpoints are possible for a root, and if not, why: no repository, one of another
/// user, a bare one, an unknown format, a HEAD that cannot be read.
pub fn blocking_look(root: &Path) -> Result<(), Failure> {
    home::Home::open(root)
        .and_then(|home| home.head())
        .map(drop)
        .map_err(|failure| wholeness::named(root, failure))
}

/// Says why the repository of a root could not be opened, and what helps.
pub fn why_not_opened(root: &Path, error: git2::Error) -> Failure {
    home::not_opened(root, error)
}

/// Checkpoints in the git repository around the root.
#[derive(Debug, Clone)]
pub struct GitCheckpoints {
    options: Arc<Options>,
}

impl GitCheckpoints {
    /// Makes the adapter; looks at nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            options: Arc::new(options),
        }
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Options) -> error::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, Failure>> {
        let options = Arc::clone(&self.options);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || {
                work(&options).map_err(|failure| wholeness::named(&options.root, failure))
            });
            done.await.unwrap_or_else(|error| {
                Err(Failure::Io {
                    doing: "the work on the repository broke off".to_owned(),
                    source: Box::new(error),
                })
            })
        })
    }
}

impl Checkpoints for GitCheckpoints {
    fn init(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.blocking(|options| home::blocking_init(&options.root))
    }

    fn take<'a>(&'a self, order: &'a Take) -> BoxFuture<'a, Result<Taken, Failure>> {
        let order = order.clone();
        self.blocking(move |options| checkpoint::blocking_take(options, &order))
    }

    fn roll_back<'a>(&'a self, order: &'a RollBack) -> BoxFuture<'a, Result<RolledBack, Failure>> {
        let order = order.clone();
        self.blocking(move |options| rollback::blocking_roll_back(options, &order))
    }

    fn undo(&self, number: Option<u32>) -> BoxFuture<'_, Result<Undone, Failure>> {
        self.blocking(move |options| rollback::blocking_undo(options, number))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Listed>, Failure>> {
        self.blocking(inspect::blocking_list)
    }

    fn show<'a>(&'a self, which: Option<&'a str>) -> BoxFuture<'a, Result<Shown, Failure>> {
        let which = which.map(str::to_owned);
        self.blocking(move |options| inspect::blocking_show(options, which.as_deref()))
    }

    fn diff<'a>(&'a self, which: Option<&'a str>) -> BoxFuture<'a, Result<Difference, Failure>> {
        let which = which.map(str::to_owned);
        self.blocking(move |options| inspect::blocking_diff(options, which.as_deref()))
    }
}
