//! Brings the work tree from what was captured to another tree.

use std::{collections::BTreeSet, path::Path};

use git2::Oid;

use super::rewrite;
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        index::publish::TemporaryIndex,
        objects::tree_diff::TreeChanges,
        paths,
        paths::{absolute, folders_above},
        repository::WorktreeRepository,
        restore::kept::UntouchedFiles,
        snapshot::{
            capture,
            captured::{IndexState, WorktreeCapture},
            unchanged,
        },
    },
    domain::{checkpoint::ChangeKind, state_folder::is_state_path},
};

/// Adds to the capture what what `changes` would overwrite and git was told not to look at, or to ignore. Only
/// where git writes the files: it does not touch what its index does not know.
pub(in crate::adapters::git) fn blocking_add_endangered(
    home: &WorktreeRepository,
    known: &IndexState,
    captured: &mut WorktreeCapture,
    changes: &TreeChanges,
    ignored: &[Vec<u8>],
) -> Result<()> {
    let hidden = unwatched(home, known, changes);
    if ignored.is_empty() && hidden.is_empty() {
        return Ok(());
    }
    capture::blocking_add_unseen(home, captured, ignored, &hidden)
}

/// Returns what stands where a file must be written and is in no capture: ignored files, and folders with some.
pub(in crate::adapters::git) fn blocking_endangered(
    home: &WorktreeRepository,
    changes: &TreeChanges,
) -> Result<Vec<Vec<u8>>> {
    let mut ignored = Vec::new();
    for (path, kind) in changes {
        if *kind == ChangeKind::Added && !is_state_path(path) {
            ignored.extend(in_the_way(home, changes, path)?);
        }
    }
    ignored.sort();
    ignored.dedup();
    Ok(ignored)
}

/// Writes, replaces and removes files until the work tree is `goal`, but for what stays; returns an index of it.
pub(in crate::adapters::git) fn blocking_restore(
    home: &WorktreeRepository,
    captured: &mut WorktreeCapture,
    goal: Oid,
    stays: &UntouchedFiles,
    warnings: &mut Vec<String>,
) -> Result<TemporaryIndex> {
    if let Some(index) = &captured.memory {
        let deltas = captured.deltas_to(home, index, Some(goal))?;
        if let Some(scratch) = rewrite::blocking_rewrite(home, index, &deltas, goal, stays)? {
            return Ok(scratch);
        }
    }
    // The program makes whatever it knows what the goal says, also where both trees are alike.
    let state = [":(top,glob)**/.tos/**", ":(top,glob)**/.orch/**"];
    let listed = [&["ls-files", "-z", "--"], &state[..]].concat();
    let listed = home.program().run(&listed, b"")?;
    let state = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    let all: BTreeSet<&[u8]> = stays.own.iter().map(Vec::as_slice).chain(state).collect();
    let own: Vec<ProtectedFile<'_>> = all
        .iter()
        .map(|path| ProtectedFile::blocking_read(home, path))
        .collect();
    let scratch = blocking_by_program(home, captured, goal, &stays.ignored, warnings)?;
    own.iter().try_for_each(|own| own.blocking_put_back(home))?;
    Ok(scratch)
}

/// A file that the git program must not change, read before it works.
struct ProtectedFile<'a> {
    path: &'a [u8],
    content: Option<(Vec<u8>, std::fs::Permissions)>,
}

impl<'a> ProtectedFile<'a> {
    fn blocking_read(home: &WorktreeRepository, path: &'a [u8]) -> Self {
        let place = absolute(&home.top, path);
        let read =
            || Ok::<_, std::io::Error>((std::fs::read(&place)?, place.metadata()?.permissions()));
        let content = read().ok();
        Self { path, content }
    }

    fn blocking_put_back(&self, home: &WorktreeRepository) -> Result<()> {
        let place = absolute(&home.top, self.path);
        match &self.content {
            None => drop(std::fs::remove_file(&place)),
            Some((bytes, mode)) => {
                let parent = place.parent().unwrap_or(&home.top);
                std::fs::create_dir_all(parent).at("create", parent)?;
                std::fs::write(&place, bytes).at("write", &place)?;
                std::fs::set_permissions(&place, mode.clone()).at("set the mode of", &place)?;
            }
        }
        Ok(())
    }
}

fn blocking_by_program(
    home: &WorktreeRepository,
    captured: &mut WorktreeCapture,
    goal: Oid,
    kept: &BTreeSet<Vec<u8>>,
    warnings: &mut Vec<String>,
) -> Result<TemporaryIndex> {
    let scratch = match captured.index.take() {
        Some(scratch) => scratch,
        None => TemporaryIndex::copy_of(&home.index_path(), &home.directory)?,
    };
    let git = home.program().with_index(scratch.path());
    if !kept.is_empty() {
        // What the index does not know, git does not remove.
        let names: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
        let arguments = ["update-index", "-z", "--force-remove", "--stdin"];
        git.run(&arguments, &names.join(&0_u8))?;
    }
    let goal = goal.to_string();
    let words = ["read-tree", "--reset", "-u", &goal];
    if let Err(failure) = git.run(&words, b"") {
        // A filter that fails keeps nobody from going back.
        let mut all = unchanged::disabled_filters(&git);
        if all.is_empty() {
            return Err(failure);
        }
        all.extend(words.map(str::to_owned));
        git.run(&all, b"").map_err(|_| failure)?;
        warnings.push(
            "a filter of git failed; its files are as git stores them, not as the filter makes them".to_owned(),
        );
    }
    Ok(scratch)
}

/// Removes directories in which nothing is left.
pub(in crate::adapters::git) fn blocking_remove_empty_dirs(
    home: &WorktreeRepository,
    captured: &WorktreeCapture,
    index: &TemporaryIndex,
    excluded: &[Vec<u8>],
) -> Result<()> {
    if captured.memory.is_some() {
        rewrite::blocking_remove_empty(home, captured.directories.iter().rev());
        return Ok(());
    }
    // Not `git clean`: it goes by the rules of the goal, and what only the old ones ignore is in no
    // snapshot. Captured files were in the index, so they are gone already; directories are left.
    let git = home.program().with_index(index.path());
    let arguments = ["ls-files", "-o", "-z", "--directory", "--exclude-standard"];
    let listed = git.run(&arguments, b"")?;
    let directories = listed
        .split(|byte| *byte == 0)
        .filter_map(|path| path.strip_suffix(b"/"));
    for path in directories.filter(|path| !paths::is_left_out(path, excluded)) {
        let directory = absolute(&home.top, path);
        if is_hollow(&directory) {
            rewrite::blocking_remove_hollow(&directory)?;
        }
    }
    Ok(())
}

/// Tells whether there is nothing but directories in a directory.
fn is_hollow(directory: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return false;
    };
    entries.into_iter().all(|entry| {
        let is_directory = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|k| k.is_dir());
        entry.is_ok_and(|entry| is_directory(&entry) && is_hollow(&entry.path()))
    })
}

/// Files that git was told to take as unchanged, or to leave out, and that the way to the goal touches.
fn unwatched(home: &WorktreeRepository, known: &IndexState, changes: &TreeChanges) -> Vec<Vec<u8>> {
    let Some(index) = &known.index else {
        return Vec::new();
    };
    let hidden = index
        .entries
        .iter()
        .filter(|entry| entry.is_assume_unchanged() || entry.is_skip_worktree());
    hidden
        .map(|entry| index.path(entry).to_vec())
        .filter(|path| changes.contains_key(path) && exists(&home.top, path))
        .collect()
}

/// Returns what stands at a path that must be written: the path itself or a file above it.
fn in_the_way(
    home: &WorktreeRepository,
    changes: &TreeChanges,
    path: &[u8],
) -> Result<Option<Vec<u8>>> {
    for above in folders_above(path) {
        let Ok(data) = absolute(&home.top, above).symlink_metadata() else {
            return Ok(None);
        };
        if !data.is_dir() {
            return Ok((!changes.contains_key(above)).then(|| above.to_vec()));
        }
    }
    let file = absolute(&home.top, path);
    let Ok(data) = file.symlink_metadata() else {
        return Ok(None);
    };
    if data.is_dir() {
        // A repository is moved out of the way as it is, see `aside`.
        let holds_files = !holds_repository(&file) && blocking_holds_files(&file)?;
        return Ok(holds_files.then(|| path.to_vec()));
    }
    Ok(Some(path.to_vec()))
}

/// Tells whether there is a file below a directory.
fn blocking_holds_files(directory: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(directory).at("read", directory)?;
    for entry in entries.flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || blocking_holds_files(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells whether a git repository is in a directory or below it: no snapshot can hold it.
pub(in crate::adapters::git) fn holds_repository(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        entry.file_name() == ".git" || (is_folder && holds_repository(&entry.path()))
    })
}

fn exists(top: &Path, path: &[u8]) -> bool {
    absolute(top, path).symlink_metadata().is_ok()
}
