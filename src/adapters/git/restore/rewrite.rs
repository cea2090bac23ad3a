//! Writes and removes files without the git program, until the work tree is another tree.
//!
//! Declines where content would be converted on its way out. Every file is looked at once more before
//! it is touched: what changed since the capture is in no snapshot, so it stops the work.

use std::{
    collections::BTreeSet,
    fs::{DirBuilder, File, Permissions},
    io::Write,
    os::unix::{
        ffi::OsStringExt,
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use git2::{Oid, Repository};

use super::kept::UntouchedFiles;
use crate::{
    adapters::git::{
        error::{ErrorContext, Result, joined, path_text},
        index::{EXECUTABLE, Index, SUBMODULE, SYMLINK, Stat, publish::TemporaryIndex},
        objects::{
            object::{ObjectId, hex},
            pack::{PackWriter, blocking_sync},
            trees,
            trees::TreeSink,
        },
        paths::{absolute, folders_above},
        repository::WorktreeRepository,
        snapshot::{
            attributes::{ContentConversions, is_attributes},
            ignore::is_reserved_name,
            index_delta::IndexDelta,
            scan::{helper_threads, open_directory, stat_at},
        },
    },
    domain::checkpoint::{CheckpointError, disk_record::WorktreeMetadata, display_path},
};

/// Brings the work tree described by `index` to `goal`; returns the index of it, or declines.
/// The files that stay keep what is on disk; those that the goal lacks leave the index.
pub(in crate::adapters::git) fn blocking_rewrite(
    home: &WorktreeRepository,
    index: &Index,
    all: &[IndexDelta],
    goal: Oid,
    stays: &UntouchedFiles,
) -> Result<Option<TemporaryIndex>> {
    if !suits(home, index, all)? {
        return Ok(None);
    }
    let write = RewriteSettings {
        goal,
        stays,
        record: None,
    };
    let next = blocking_write_files(home, index, all, &write)?;
    let scratch = TemporaryIndex::new(&home.directory);
    let now = scratch.blocking_touch()?;
    scratch.blocking_write(&next.to_bytes(now))?;
    blocking_sync(&[scratch.path()])?;
    Ok(Some(scratch))
}

/// What is written.
pub(in crate::adapters::git) struct RewriteSettings<'a> {
    /// The tree that the files become.
    pub(in crate::adapters::git) goal: Oid,
    /// What is left as it is.
    pub(in crate::adapters::git) stays: &'a UntouchedFiles,
    /// The modes that files get; `None` = those of new files.
    pub(in crate::adapters::git) record: Option<&'a WorktreeMetadata>,
}

/// Removes, replaces and writes the files of all deltas, as their blobs have them; returns the index of the result.
pub(in crate::adapters::git) fn blocking_write_files(
    home: &WorktreeRepository,
    index: &Index,
    all: &[IndexDelta],
    write: &RewriteSettings<'_>,
) -> Result<Index> {
    let moves = |delta: &&IndexDelta| !write.stays.holds(&delta.path);
    let deltas: Vec<IndexDelta> = all.iter().filter(moves).cloned().collect();
    blocking_check(home, index, &deltas)?;
    let mut emptied = BTreeSet::new();
    for delta in deltas.iter().filter(|delta| delta.after.is_none()) {
        blocking_remove(&home.top, index, delta)?;
        emptied.extend(parents(&delta.path));
    }
    blocking_directories(home, &deltas)?;
    let stats = blocking_write_all(home, index, &deltas, write.record)?;
    blocking_remove_empty(home, emptied.iter().rev());
    let mut written = deltas.iter().zip(stats).peekable();
    // What git knows nothing of the time of, it looks at anew.
    let stat_of = |delta: &IndexDelta| {
        let is_it = written.next_if(|(one, _)| one.path == delta.path);
        is_it.map(|(_, stat)| stat).unwrap_or_default()
    };
    let stats: Vec<Stat> = all.iter().map(stat_of).collect();
    next_index(index, all, &stats, write.goal)
}

/// Removes directories where nothing is left in them; the root of tos stays.
pub(in crate::adapters::git) fn blocking_remove_empty<'a>(
    home: &WorktreeRepository,
    innermost_first: impl Iterator<Item = &'a Vec<u8>>,
) {
    let kept: BTreeSet<Vec<u8>> = parents(&[home.prefix.as_slice(), b"/"].concat()).collect();
    for path in innermost_first.filter(|path| !kept.contains(*path)) {
        // What is not empty stays; that is the point.
        drop(std::fs::remove_dir(absolute(&home.top, path)));
    }
}

fn suits(home: &WorktreeRepository, index: &Index, deltas: &[IndexDelta]) -> Result<bool> {
    let entries = deltas
        .iter()
        .filter_map(|delta| index.entries.get(delta.before?));
    let is_hidden = entries
        .into_iter()
        .any(|entry| entry.is_assume_unchanged() || entry.is_skip_worktree());
    if is_hidden || deltas.iter().any(|delta| is_reserved_name(&delta.path)) {
        return Ok(false);
    }
    let mut conversions = ContentConversions::configured(home);
    conversions.read_files(home, index.entries.iter().map(|entry| index.path(entry)));
    for delta in deltas.iter().filter(|delta| is_attributes(&delta.path)) {
        if let Some((_, id)) = delta.after {
            conversions.read(&blocking_blob(&home.git, &id)?);
        }
    }
    Ok(!conversions.may_change_out())
}

/// Fails where a file is not what the capture saw, before the first one is touched.
fn blocking_check(home: &WorktreeRepository, index: &Index, deltas: &[IndexDelta]) -> Result<()> {
    let top = open_directory(&home.top)?;
    for delta in deltas {
        let entry = delta.before.and_then(|at| index.entries.get(at));
        let is_same = match (entry, stat_at(&top, &delta.path)) {
            (Some(entry), _) if entry.mode == SUBMODULE => true,
            (Some(entry), Some(seen)) => entry.stat.is_same_file(&seen.stat),
            (Some(_), None) => false,
            (None, seen) => seen.is_none(),
        };
        if !is_same {
            let what = display_path(&delta.path);
            return Err(CheckpointError::Moving { what });
        }
    }
    Ok(())
}

fn blocking_remove(top: &Path, index: &Index, delta: &IndexDelta) -> Result<()> {
    let path = absolute(top, &delta.path);
    let entry = delta.before.and_then(|at| index.entries.get(at));
    if entry.is_some_and(|entry| entry.mode == SUBMODULE) {
        // A submodule that is checked out is not empty, and stays.
        drop(std::fs::remove_dir(path));
        return Ok(());
    }
    std::fs::remove_file(&path).at("remove", &path)
}

/// Returns the directories above a path, outermost last.
pub(in crate::adapters::git) fn parents(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    folders_above(path).rev().map(<[u8]>::to_vec)
}

fn blocking_directories(home: &WorktreeRepository, deltas: &[IndexDelta]) -> Result<()> {
    let mut needed = BTreeSet::new();
    for delta in deltas.iter().filter(|delta| delta.after.is_some()) {
        needed.extend(parents(&delta.path));
        if delta.after.is_some_and(|(mode, _)| mode == SUBMODULE) {
            needed.insert(delta.path.clone());
        }
    }
    for directory in needed {
        let path = absolute(&home.top, &directory);
        match path.symlink_metadata() {
            Ok(data) if data.is_dir() => {}
            Ok(_) => {
                let why = "a directory must be there, and something else is".to_owned();
                let path = display_path(&directory);
                return Err(CheckpointError::InTheWay { path, why });
            }
            Err(_) => DirBuilder::new()
                .mode(0o777)
                .create(&path)
                .at("create", &path)?,
        }
    }
    Ok(())
}

/// Replaces and writes the files of all deltas; returns their stats in the deltas' order.
fn blocking_write_all(
    home: &WorktreeRepository,
    index: &Index,
    deltas: &[IndexDelta],
    record: Option<&WorktreeMetadata>,
) -> Result<Vec<Stat>> {
    let next = AtomicUsize::new(0);
    let top = home.top.as_path();
    let work = |git: &Repository| -> Result<Vec<(usize, Stat)>> {
        let mut written = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(delta) = deltas.get(at) else {
                return Ok(written);
            };
            if delta.after.is_some() {
                blocking_make_room(top, index, delta)?;
            }
            written.push((at, blocking_write(git, top, delta, record)?));
        }
    };
    let helpers = helper_threads(deltas.len(), 64);
    let parts = std::thread::scope(|scope| {
        let directory = home.directory.as_path();
        let work = &work;
        let other = move || {
            let git = Repository::open(directory).at("open", directory)?;
            work(&git)
        };
        let others: Vec<_> = (0..helpers).map(|_| scope.spawn(other)).collect();
        let mut parts = vec![work(&home.git)];
        parts.extend(others.into_iter().map(joined));
        parts
    });
    let mut all = Vec::with_capacity(deltas.len());
    for part in parts {
        all.extend(part?);
    }
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, stat)| stat).collect())
}

/// Removes the file that is replaced, or the empty directories that stand in a new file's place.
fn blocking_make_room(top: &Path, index: &Index, delta: &IndexDelta) -> Result<()> {
    if delta.before.is_some() {
        return blocking_remove(top, index, delta);
    }
    let is_submodule = delta.after.is_some_and(|(mode, _)| mode == SUBMODULE);
    let path = absolute(top, &delta.path);
    match path.symlink_metadata() {
        Ok(data) if data.is_dir() && !is_submodule => blocking_remove_hollow(&path),
        // The check has found nothing that holds data there: a pipe or a socket is in the way.
        Ok(data) if !data.is_dir() => std::fs::remove_file(&path).at("remove", &path),
        _ => Ok(()),
    }
}

/// Removes a directory in which there are only directories.
pub(in crate::adapters::git) fn blocking_remove_hollow(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)
        .at("read", directory)?
        .flatten()
    {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            blocking_remove_hollow(&entry.path())?;
        }
    }
    std::fs::remove_dir(directory).at("remove", directory)
}

fn blocking_write(
    git: &Repository,
    top: &Path,
    delta: &IndexDelta,
    record: Option<&WorktreeMetadata>,
) -> Result<Stat> {
    let Some((mode, id)) = delta.after.filter(|(mode, _)| *mode != SUBMODULE) else {
        return Ok(Stat::default());
    };
    let path = absolute(top, &delta.path);
    let content = blocking_blob(git, &id)?;
    if mode == SYMLINK {
        let target = std::ffi::OsString::from_vec(content);
        std::os::unix::fs::symlink(target, &path).at("link", &path)?;
        return path
            .symlink_metadata()
            .map(|data| Stat::from(&data))
            .at("look at", &path);
    }
    let wanted = record.map(|record| record.file_mode(&delta.path, mode == EXECUTABLE));
    // What only its owner may read is never open to others, not even while it is written.
    let bits = match wanted {
        Some(mode) => mode & 0o777,
        None if mode == EXECUTABLE => 0o777,
        None => 0o666,
    };
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(bits)
        .open(&path)
        .at("create", &path)?;
    file.write_all(&content).at("write", &path)?;
    let mode = file.metadata().at("look at", &path)?.permissions().mode() & 0o7777;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != mode) {
        let permissions = Permissions::from_mode(wanted);
        file.set_permissions(permissions)
            .at("set the mode of", &path)?;
    }
    file.metadata()
        .map(|data| Stat::from(&data))
        .at("look at", &path)
}

fn blocking_blob(git: &Repository, id: &ObjectId) -> Result<Vec<u8>> {
    let reading = || format!("could not read blob {}", hex(id));
    let blob = Oid::from_bytes(id)
        .and_then(|id| git.find_blob(id))
        .doing(reading)?;
    Ok(blob.content().to_vec())
}

/// Returns the index of the written work tree; it must have the goal's tree, else something is wrong.
fn next_index(index: &Index, deltas: &[IndexDelta], stats: &[Stat], goal: Oid) -> Result<Index> {
    let mut next = index.clone();
    next.forget_racy_sizes();
    let mut touched = BTreeSet::new();
    let mut gone: Vec<usize> = deltas.iter().filter_map(|delta| delta.before).collect();
    gone.sort_unstable();
    let mut new = Vec::new();
    for (delta, stat) in deltas.iter().zip(stats) {
        trees::mark_touched(&mut touched, &delta.path);
        if let Some((mode, id)) = delta.after {
            new.push(next.make_entry(&delta.path, mode, id, *stat));
        }
    }
    new.sort_unstable_by(|a, b| next.path(a).cmp(next.path(b)));
    next.entries = trees::merge_entries(&next, &gone, new);
    let mut sink = TreeSink {
        pack: &mut PackWriter::new(Path::new("")),
        is_stored: &|_| true,
    };
    let tree = trees::build(&next, index.tree.as_ref(), &touched, &mut sink)?;
    if tree.valid.is_none_or(|(id, _)| goal.as_bytes() != id) {
        let what = "the files written are not those of the tree";
        return Err(crate::adapters::git::error::corrupt(
            what,
            Path::new(&path_text(Path::new("index"))),
        ));
    }
    next.tree = Some(tree);
    Ok(next)
}
