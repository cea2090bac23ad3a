//! Brings the work tree back to the very bytes, modes and empty folders that a record has.
//!
//! Nothing here asks git what it would do: no attribute, filter, hook or setting can change or stop it. The
//! index is made last, from the tree that git has for the same state; of each file that is on the disk as git
//! stores it, it gets the times, so that git need not look again.

use std::{
    collections::BTreeSet,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use git2::Oid;

use super::{kept::UntouchedFiles, rewrite};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        index,
        index::{EXECUTABLE, Index, IndexEntry, SUBMODULE, SYMLINK, Stat, publish::TemporaryIndex},
        objects::{
            pack::{PackWriter, blocking_sync},
            trees,
            trees::TreeSink,
        },
        paths::absolute,
        repository::WorktreeRepository,
        snapshot::{
            captured::{IndexState, WorktreeCapture},
            index_delta,
            worktree_files::WorktreeFiles,
        },
    },
    domain::checkpoint::disk_record::WorktreeMetadata,
};

/// A state of the disk to go back to.
pub(in crate::adapters::git) struct RestoreTarget<'a> {
    /// The tree of the bytes.
    pub(in crate::adapters::git) files: Oid,
    /// What that tree cannot hold.
    pub(in crate::adapters::git) record: &'a WorktreeMetadata,
    /// The tree that the index gets.
    pub(in crate::adapters::git) staged: Oid,
    /// The bytes of the index, where its tree says too little.
    pub(in crate::adapters::git) raw_index: Option<&'a [u8]>,
    /// True where the two trees were made together: git takes each of these files for what its tree has.
    pub(in crate::adapters::git) is_pair: bool,
}

/// Writes, replaces and removes files, sets modes and makes folders; returns an index that is ready to be published.
pub(in crate::adapters::git) fn blocking_write_back(
    home: &WorktreeRepository,
    disk: &WorktreeFiles,
    captured: &WorktreeCapture,
    known: &IndexState,
    goal: &RestoreTarget<'_>,
    stays: &UntouchedFiles,
) -> Result<TemporaryIndex> {
    let before = disk.index(captured)?;
    let deltas = disk.deltas_to(home, captured, Some(goal.files))?;
    let write = rewrite::RewriteSettings {
        goal: goal.files,
        stays,
        record: Some(goal.record),
    };
    blocking_unlock(home, &disk.record);
    let mut after = rewrite::blocking_write_files(home, before, &deltas, &write)?;
    let hollow = disk.record.empty.iter();
    let hollow = hollow.flat_map(|path| rewrite::parents(path).chain([path.clone()]));
    let folders: BTreeSet<Vec<u8>> = hollow.chain(captured.directories.iter().cloned()).collect();
    rewrite::blocking_remove_empty(home, folders.iter().rev());
    blocking_make_empty(home, goal.record)?;
    blocking_set_modes(home, &disk.record, goal.record, stays, &mut after)?;
    let is_same = goal.raw_index.is_none() && goal.staged == goal.files && disk.is_plain();
    if !is_same {
        after = fitted(home, goal, known, &after)?;
    }
    let scratch = TemporaryIndex::new(&home.directory);
    let now = scratch.blocking_touch()?;
    scratch.blocking_write(&after.to_bytes(now))?;
    blocking_sync(&[scratch.path()])?;
    Ok(scratch)
}

/// Returns what differs between two records of files that have the same bytes, or none: modes and empty folders.
pub(in crate::adapters::git) fn changed_modes(
    now: &WorktreeMetadata,
    goal: &WorktreeMetadata,
    files: &Index,
) -> BTreeSet<Vec<u8>> {
    let listed = now.modes.keys().chain(goal.modes.keys());
    let listed = listed.filter(|path| files.find(path).is_ok());
    let all = files.entries.iter().map(|entry| files.path(entry).to_vec());
    let all = all.filter(|_| now.usual != goal.usual);
    let differs = |path: &Vec<u8>| {
        let entry = files.find(path).ok().and_then(|at| files.entries.get(at));
        entry.is_some_and(|entry| {
            let is_file = entry.mode != SYMLINK && entry.mode != SUBMODULE;
            let of = |record: &WorktreeMetadata| record.file_mode(path, entry.mode == EXECUTABLE);
            is_file && of(now) != of(goal)
        })
    };
    listed.cloned().chain(all).filter(differs).collect()
}

/// Makes folders writable that were closed; their modes are set at the end.
fn blocking_unlock(home: &WorktreeRepository, now: &WorktreeMetadata) {
    for (path, mode) in now.modes.iter().filter(|(_, mode)| *mode & 0o700 != 0o700) {
        let place = absolute(&home.top, path);
        if place.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            // Where that fails, the first file below says why.
            drop(std::fs::set_permissions(
                &place,
                std::fs::Permissions::from_mode(mode | 0o700),
            ));
        }
    }
}

fn blocking_make_empty(home: &WorktreeRepository, goal: &WorktreeMetadata) -> Result<()> {
    for path in &goal.empty {
        let place = absolute(&home.top, path);
        // Something that stays may stand there; it is more than an empty folder.
        if place.symlink_metadata().is_err() {
            std::fs::create_dir_all(&place).at("create", &place)?;
        }
    }
    Ok(())
}

/// Sets the modes of files that were not written anew, and of folders, from the innermost out.
fn blocking_set_modes(
    home: &WorktreeRepository,
    now: &WorktreeMetadata,
    goal: &WorktreeMetadata,
    stays: &UntouchedFiles,
    after: &mut Index,
) -> Result<()> {
    for path in changed_modes(now, goal, after) {
        let Ok(at) = after.find(&path) else { continue };
        let Some(entry) = after.entries.get_mut(at) else {
            continue;
        };
        if !stays.holds(&path) {
            let mode = goal.file_mode(&path, entry.mode == EXECUTABLE);
            if let Some(stat) = blocking_set_mode(&absolute(&home.top, &path), mode)? {
                entry.stat = stat;
            }
        }
    }
    let folders: BTreeSet<&Vec<u8>> = now.modes.keys().chain(goal.modes.keys()).collect();
    for path in folders.into_iter().rev() {
        let place = absolute(&home.top, path);
        let is_folder = place.symlink_metadata().is_ok_and(|data| data.is_dir());
        if is_folder && after.find(path).is_err() {
            blocking_set_mode(&place, goal.folder_mode(path))?;
        }
    }
    Ok(())
}

/// Gives a file or folder its mode; returns its new stat if that changed anything.
fn blocking_set_mode(place: &Path, mode: u32) -> Result<Option<Stat>> {
    let Ok(data) = place.symlink_metadata() else {
        return Ok(None);
    };
    if data.is_symlink() || data.mode() & 0o7777 == mode {
        return Ok(None);
    }
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(place, permissions).at("set the mode of", place)?;
    let data = place.symlink_metadata().at("look at", place)?;
    Ok(Some(Stat::from(&data)))
}

/// Returns the goal's index with the times of those files that are on the disk as git stores them.
fn fitted(
    home: &WorktreeRepository,
    goal: &RestoreTarget<'_>,
    known: &IndexState,
    after: &Index,
) -> Result<Index> {
    let parsed = goal.raw_index.and_then(index::parse_bytes);
    let is_sparse = home.config_bool("core.sparsecheckout") == Some(true);
    let is_parsed = parsed.is_some();
    let mut target = match parsed {
        Some(index) => index,
        None => of_tree(home, goal.staged)?,
    };
    let flags = |path: &[u8]| {
        let index = known.index.as_ref()?;
        index.entries.get(index.find(path).ok()?).copied()
    };
    let mut entries = std::mem::take(&mut target.entries);
    for entry in &mut entries {
        let path = target.path(entry);
        let there = after.find(path).ok().and_then(|at| after.entries.get(at));
        let is_same = |there: &&IndexEntry| {
            let is_alike = there.mode == entry.mode && there.id == entry.id;
            entry.stage() == 0 && (goal.is_pair || is_alike)
        };
        let stat = there.filter(is_same).map(|there| there.stat);
        if !is_parsed {
            let is_skipped = is_sparse && there.is_none();
            entry.inherit_flags(flags(path), is_skipped, there.is_some());
        }
        entry.stat = stat.unwrap_or_default();
    }
    target.entries = entries;
    target.written = after.written;
    Ok(target)
}

/// Returns an index of a tree, without the stat of any file.
fn of_tree(home: &WorktreeRepository, tree: Oid) -> Result<Index> {
    let mut index = Index::empty();
    let lines = index_delta::compare(home, &index, Some(tree))?;
    for line in lines {
        if let Some((mode, id)) = line.after {
            let entry = index.make_entry(&line.path, mode, id, Stat::default());
            index.entries.push(entry);
        }
    }
    let mut sink = TreeSink {
        pack: &mut PackWriter::new(Path::new("")),
        is_stored: &|_| true,
    };
    index.tree = Some(trees::build(&index, None, &BTreeSet::new(), &mut sink)?);
    Ok(index)
}
