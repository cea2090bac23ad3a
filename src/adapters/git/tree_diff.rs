//! Compares trees that are stored already.

use std::collections::BTreeMap;

use git2::{Delta, DiffOptions, Oid};

use super::{
    error::{Doing, Result},
    home::Home,
};
use crate::domain::checkpoint::{Change, Kind, shown_path};

/// What differs between two trees, by path in bytes.
pub(super) type Changes = BTreeMap<Vec<u8>, Kind>;

/// The mode of a submodule's entry.
const SUBMODULE: u32 = 0o160_000;

/// Compares two trees; `None` is the empty tree.
pub(super) fn compare(home: &Home, old: Option<Oid>, new: Option<Oid>) -> Result<Changes> {
    compare_if(home, old, new, |_| true)
}

/// Compares two trees without their submodules.
pub(super) fn compare_files(home: &Home, old: Option<Oid>, new: Option<Oid>) -> Result<Changes> {
    compare_if(home, old, new, |modes| modes != SUBMODULE)
}

fn compare_if(
    home: &Home,
    old: Option<Oid>,
    new: Option<Oid>,
    wanted: impl Fn(u32) -> bool,
) -> Result<Changes> {
    let mut changes = Changes::new();
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
            Delta::Added => (Kind::Added, delta.new_file()),
            Delta::Deleted => (Kind::Deleted, delta.old_file()),
            _ => (Kind::Modified, delta.new_file()),
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
pub(super) fn reversed(changes: Changes) -> Changes {
    let turn = |kind| match kind {
        Kind::Added => Kind::Deleted,
        Kind::Modified => Kind::Modified,
        Kind::Deleted => Kind::Added,
    };
    changes
        .into_iter()
        .map(|(path, kind)| (path, turn(kind)))
        .collect()
}

/// Returns changes as texts.
pub(super) fn shown(changes: &Changes) -> Vec<Change> {
    changes
        .iter()
        .map(|(path, kind)| Change {
            path: shown_path(path),
            kind: *kind,
        })
        .collect()
}
