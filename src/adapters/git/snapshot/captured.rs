//! A work tree as it was found, and the index as it was then.

use std::{cell::RefCell, ffi::OsString, os::unix::ffi::OsStringExt, path::Path, rc::Rc};

use git2::Oid;

use super::{index_delta, index_delta::IndexDelta};
use crate::{
    adapters::git::{
        error::Result,
        index,
        index::{
            Index,
            publish::{IndexFingerprint, TemporaryIndex},
        },
        objects::{
            object::{EMPTY_TREE, ObjectId, objects, to_oid},
            pack::PackWriter,
            tree_diff,
            tree_diff::TreeChanges,
        },
        repository::WorktreeRepository,
    },
    domain::{
        checkpoint::{SuspectedSecret, disk_record::WorktreeMetadata, display_path},
        redaction::secret_files,
    },
};

/// The work tree as it was found.
pub(in crate::adapters::git) struct WorktreeCapture {
    /// Its tree, untracked files included.
    pub(in crate::adapters::git) tree: ObjectId,
    /// An index that describes it; `None` where the repository's index does so already.
    pub(in crate::adapters::git) index: Option<TemporaryIndex>,
    /// The state of the repository's index when the work began.
    pub(in crate::adapters::git) stamp: IndexFingerprint,
    /// Nested repositories that were not looked into.
    pub(in crate::adapters::git) left_alone: Vec<Vec<u8>>,
    /// The objects that are not stored yet.
    pub(in crate::adapters::git) pack: PackWriter,
    /// The index in memory, where it was made without the git program.
    pub(in crate::adapters::git) memory: Option<Index>,
    /// Directories without a tracked file, outermost first; only known together with `memory`.
    pub(in crate::adapters::git) directories: Vec<Vec<u8>>,
    /// What no tree can hold, where the tree has the very bytes that are on the disk.
    pub(in crate::adapters::git) plain: Option<WorktreeMetadata>,
    /// The last comparison of `memory` with a tree.
    pub(in crate::adapters::git) deltas: RefCell<Option<TreeComparison>>,
}

impl WorktreeCapture {
    /// Returns a capture of nothing, for when git cannot say what it would store.
    pub(in crate::adapters::git) fn empty(home: &WorktreeRepository, known: &IndexState) -> Self {
        Self {
            tree: EMPTY_TREE,
            index: None,
            stamp: known.stamp.clone(),
            left_alone: Vec::new(),
            pack: PackWriter::new(&objects(home)),
            memory: None,
            directories: Vec::new(),
            plain: None,
            deltas: RefCell::default(),
        }
    }

    /// Tells whether git could not say what it would store.
    pub(in crate::adapters::git) fn is_of_nothing(&self) -> bool {
        self.memory.is_none() && self.index.is_none()
    }

    /// Returns what changes on the way from the captured work tree to a tree; submodules do not count.
    pub(in crate::adapters::git) fn changes_to(
        &self,
        home: &WorktreeRepository,
        goal: Option<Oid>,
    ) -> Result<TreeChanges> {
        match &self.memory {
            Some(index) => Ok(index_delta::changes(
                index,
                &self.deltas_to(home, index, goal)?,
            )),
            None => tree_diff::compare_files(home, Some(to_oid(&self.tree)?), goal),
        }
    }

    /// The same in detail; the last answer is remembered, since it is asked for several times.
    pub(in crate::adapters::git) fn deltas_to(
        &self,
        home: &WorktreeRepository,
        index: &Index,
        goal: Option<Oid>,
    ) -> Result<Rc<Vec<IndexDelta>>> {
        if let Some((known, deltas)) = &*self.deltas.borrow()
            && *known == goal
        {
            return Ok(Rc::clone(deltas));
        }
        let deltas = Rc::new(index_delta::compare(home, index, goal)?);
        self.deltas.replace(Some((goal, Rc::clone(&deltas))));
        Ok(deltas)
    }
}

/// A tree, and how the captured work tree differs from it.
type TreeComparison = (Option<Oid>, Rc<Vec<IndexDelta>>);

/// The repository's index as it was when the work began.
pub(in crate::adapters::git) struct IndexState {
    /// Its state.
    pub(in crate::adapters::git) stamp: IndexFingerprint,
    /// Its entries; `None` where only the git program can read them.
    pub(in crate::adapters::git) index: Option<Index>,
}

impl IndexState {
    /// Reads the index.
    pub(in crate::adapters::git) fn blocking_read(home: &WorktreeRepository) -> Result<Self> {
        let path = home.index_path();
        // The stamp comes first, so that whatever happens between the two is noticed at the end.
        let stamp = IndexFingerprint::of(&path)?;
        let index = index::read(&path)?.ok();
        Ok(Self { stamp, index })
    }
}

/// What to capture.
#[derive(Debug, Clone, Copy)]
pub(in crate::adapters::git) struct CaptureOptions<'a> {
    /// Fails where a changed file looks like a secret.
    pub(in crate::adapters::git) refuse_secrets: bool,
    /// Paths from the top that are left out while untracked.
    pub(in crate::adapters::git) excluded: &'a [Vec<u8>],
}

/// Makes a suspect of a path in bytes.
pub(in crate::adapters::git) fn suspected_secret(path: &[u8], looks_like: &str) -> SuspectedSecret {
    SuspectedSecret {
        path: display_path(path),
        looks_like: looks_like.to_owned(),
    }
}

/// Looks for secrets in what is staged, which a comparison with the index does not show.
pub(in crate::adapters::git) fn blocking_staged_suspects(
    home: &WorktreeRepository,
    index: &Index,
) -> Result<Vec<SuspectedSecret>> {
    let head = home.tree_of(home.head()?.commit())?;
    let staged = index_delta::compare(home, index, head)?;
    let here = staged.iter().filter(|delta| delta.before.is_some());
    let there = |path: &[u8]| home.top.join(OsString::from_vec(path.to_vec()));
    Ok(here
        .filter(|delta| there(&delta.path).symlink_metadata().is_ok())
        .filter_map(|delta| {
            let by_path = secret_files::detect_by_path(&delta.path);
            let looks_like = by_path.or_else(|| detect_by_file(&home.top, &delta.path))?;
            Some(suspected_secret(&delta.path, looks_like))
        })
        .collect())
}

pub(in crate::adapters::git) fn detect_by_file(top: &Path, path: &[u8]) -> Option<&'static str> {
    let path = top.join(OsString::from_vec(path.to_vec()));
    let data = path.symlink_metadata().ok()?;
    if !data.is_file() || data.len() > secret_files::MAX_SEARCH_BYTES {
        return None;
    }
    secret_files::detect_by_content(&std::fs::read(path).ok()?)
}
