//! Compares trees that are stored already.

use std::collections::BTreeMap;

use git2::{Delta, DiffOptions, Oid};

use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        repository::WorktreeRepository,
    },
    domain::checkpoint::{ChangeKind, PathChange, display_path},
};

/// What differs between two trees, by path in bytes.
pub(in crate::adapters::git) type TreeChanges = BTreeMap<Vec<u8>, ChangeKind>;

/// The mode of a submodule's entry.
const SUBMODULE: u32 = 0o160_000;

/// Compares two trees; `None` is the empty tree.
pub(in crate::adapters::git) fn compare(
    home: &WorktreeRepository,
    old: Option<Oid>,
    new: Option<Oid>,
) -> Result<TreeChanges> {
    compare_if(home, old, new, |_| true)
}

/// Compares two trees without their submodules.
pub(in crate::adapters::git) fn compare_files(
    home: &WorktreeRepository,
    old: Option<Oid>,
    new: Option<Oid>,
) -> Result<TreeChanges> {
    compare_if(home, old, new, |modes| modes != SUBMODULE)
}

fn compare_if(
    home: &WorktreeRepository,
    old: Option<Oid>,
    new: Option<Oid>,
    wanted: impl Fn(u32) -> bool,
) -> Result<TreeChanges> {
    let mut changes = TreeChanges::new();
    if old == new {
        return Ok(changes);
    }
    let reading = || "could not compare two trees".to_owned();
    let tree = |id: Option<Oid>| id.map(|id| home.git.find_tree(id)).transpose();
    let (old, new) = (tree(old).doing(reading)?, tree(new).doing(reading)?);
    let mut options = DiffOptions::new();
    options.include_typechange(true);
    let diff = home
        .git
        .diff_tree_to_tree(old.as_ref(), new.as_ref(), Some(&mut options))
        .doing(reading)?;
    for delta in diff.deltas() {
        let (kind, file) = match delta.status() {
            Delta::Added => (ChangeKind::Added, delta.new_file()),
            Delta::Deleted => (ChangeKind::Deleted, delta.old_file()),
            _ => (ChangeKind::Modified, delta.new_file()),
        };
        if let Some(path) = file.path_bytes()
            && wanted(u32::from(file.mode()))
        {
            changes.insert(path.to_vec(), kind);
        }
    }
    Ok(changes)
}

/// Returns changes as seen from the other side.
pub(in crate::adapters::git) fn reversed(changes: TreeChanges) -> TreeChanges {
    let turn = |kind| match kind {
        ChangeKind::Added => ChangeKind::Deleted,
        ChangeKind::Modified => ChangeKind::Modified,
        ChangeKind::Deleted => ChangeKind::Added,
    };
    changes
        .into_iter()
        .map(|(path, kind)| (path, turn(kind)))
        .collect()
}

/// Returns changes as texts.
pub(in crate::adapters::git) fn shown(changes: &TreeChanges) -> Vec<PathChange> {
    changes
        .iter()
        .map(|(path, kind)| PathChange {
            path: display_path(path),
            kind: *kind,
        })
        .collect()
}
