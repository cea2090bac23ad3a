//! What is kept of work trees between two tasks, in memory: their proved indexes, and the one whose files wait.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use crate::adapters::git::index::Index;

/// The index of each work tree as it was proved, by the top of the work tree.
pub(in crate::adapters::git) type ProvedIndexes = Arc<Mutex<BTreeMap<PathBuf, Arc<Index>>>>;

/// The folder of a run in which the files wait; no task has such a name.
pub(in crate::adapters::git) const SPARE: &str = ".spare";

/// What waits, if anything does.
pub(in crate::adapters::git) type SpareTree = Arc<Mutex<Option<Spare>>>;

/// Files that wait for the next task of their run.
#[derive(Debug)]
pub(in crate::adapters::git) struct Spare {
    pub(super) run: PathBuf,
    pub(super) index: Arc<Index>,
}
