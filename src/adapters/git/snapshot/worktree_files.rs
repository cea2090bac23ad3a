//! Reads the work tree as it is on the disk: every byte, mode and empty folder, whatever git would make of it.
//!
//! Where git stores files as they are, the capture has everything already. Elsewhere (line ends, filters,
//! encodings, files that git was told not to look at, a file system that git was told to mistrust) every
//! file is read once more. Nothing here asks an attribute, a filter or a setting what it thinks of a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::Path,
};

use git2::{Odb, Oid};

use super::{
    attributes::ContentConversions,
    captured::WorktreeCapture,
    ignore,
    ignore::is_repository,
    index_delta,
    index_delta::IndexDelta,
    read_files,
    read_files::{FileToRead, ReadOptions, ReadOutcome},
    scan::{FileStat, UntrackedEntry, open_directory, stat_at},
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        index::{EXECUTABLE, Index, IndexEntry, SUBMODULE, SYMLINK, Stat, publish::TemporaryIndex},
        objects::{
            object::{EMPTY_TREE, ObjectId},
            pack::PackWriter,
            trees,
            trees::TreeSink,
        },
        paths::{absolute, is_left_out},
        repository::WorktreeRepository,
        restore::rewrite::parents,
    },
    domain::{
        checkpoint::disk_record::{DefaultModes, WorktreeMetadata},
        state_folder::{is_state_name, is_state_path},
    },
};

/// The work tree as it is on the disk.
pub(in crate::adapters::git) struct WorktreeFiles {
    /// Its files by their bytes; `None` where the index of the capture says just that.
    own: Option<Index>,
    /// The tree of its bytes.
    pub(in crate::adapters::git) tree: ObjectId,
    /// What the tree cannot hold.
    pub(in crate::adapters::git) record: WorktreeMetadata,
}

impl WorktreeFiles {
    /// Reads the work tree; objects that are not stored yet go into the pack of the capture.
    pub(in crate::adapters::git) fn blocking_read(
        home: &WorktreeRepository,
        captured: &mut WorktreeCapture,
        excluded: &[Vec<u8>],
    ) -> Result<Self> {
        if let Some(plain) = captured.plain.take() {
            return Ok(Self {
                own: None,
                tree: captured.tree,
                record: plain,
            });
        }
        let names = FileNames::blocking_list(home, excluded)?;
        let mut disk = Self {
            own: Some(Index::empty()),
            tree: EMPTY_TREE,
            record: blocking_folders(home, &names.files)?,
        };
        disk.blocking_enter(home, &mut captured.pack, names)?;
        Ok(disk)
    }

    /// Returns the files by their bytes.
    pub(in crate::adapters::git) fn index<'a>(
        &'a self,
        captured: &'a WorktreeCapture,
    ) -> Result<&'a Index> {
        let index = self.own.as_ref().or(captured.memory.as_ref());
        index.ok_or_else(|| {
            crate::adapters::git::error::corrupt("the files were not read", Path::new("index"))
        })
    }

    /// Returns the files by their bytes, where they have an index of their own.
    pub(in crate::adapters::git) const fn own_mut(&mut self) -> Option<&mut Index> {
        self.own.as_mut()
    }

    /// Tells whether the index of the capture describes the files by their bytes.
    pub(in crate::adapters::git) fn is_plain(&self) -> bool {
        self.own.is_none()
    }

    /// Returns how the files differ from a tree of bytes.
    pub(in crate::adapters::git) fn deltas_to(
        &self,
        home: &WorktreeRepository,
        captured: &WorktreeCapture,
        goal: Option<Oid>,
    ) -> Result<Vec<IndexDelta>> {
        index_delta::compare(home, self.index(captured)?, goal)
    }

    /// Adds files, and whatever lies below folders, that no capture takes: ignored ones.
    pub(in crate::adapters::git) fn blocking_add(
        &mut self,
        home: &WorktreeRepository,
        captured: &mut WorktreeCapture,
        paths: &[Vec<u8>],
    ) -> Result<()> {
        let mut names = FileNames::default();
        for path in paths {
            blocking_below(home, path, &mut names.files)?;
        }
        if self.own.is_none() {
            self.own.clone_from(&captured.memory);
        }
        self.blocking_enter(home, &mut captured.pack, names)
    }

    /// Looks at files, reads them and enters them into the index.
    fn blocking_enter(
        &mut self,
        home: &WorktreeRepository,
        pack: &mut PackWriter,
        names: FileNames,
    ) -> Result<()> {
        let scratch = TemporaryIndex::new(&home.directory);
        let began = scratch.blocking_touch()?;
        let work = blocking_look(home, &names.files)?;
        let ids = blocking_store(home, &work, pack)?;
        let mut index = self.own.take().unwrap_or_else(Index::empty);
        let mut entries: BTreeMap<Vec<u8>, IndexEntry> = index
            .entries
            .iter()
            .map(|entry| (index.path(entry).to_vec(), *entry))
            .collect();
        for (path, id) in names.submodules {
            let entry = index.make_entry(&path, SUBMODULE, id, Stat::default());
            entries.insert(path, entry);
        }
        for (work, id) in work.into_iter().zip(ids) {
            let Some(id) = id else { continue };
            let FileStat {
                stat, mode, perm, ..
            } = work.seen;
            if mode != SYMLINK && self.record.usual.of(mode == EXECUTABLE) != perm {
                self.record.modes.insert(work.path.clone(), perm);
            }
            entries.insert(
                work.path.clone(),
                index.make_entry(&work.path, mode, id, stat),
            );
        }
        index.entries = entries.into_values().collect();
        index.written = began;
        let tree = blocking_tree(home, &index, pack)?;
        self.tree = tree.valid.map_or(EMPTY_TREE, |(id, _)| id);
        index.tree = Some(tree);
        self.own = Some(index);
        Ok(())
    }
}

/// Builds the trees of an index of bytes.
fn blocking_tree(
    home: &WorktreeRepository,
    index: &Index,
    pack: &mut PackWriter,
) -> Result<crate::adapters::git::index::CacheTree> {
    let odb = odb(home)?;
    let is_stored = |id: &ObjectId| has(&odb, id);
    let mut sink = TreeSink {
        pack,
        is_stored: &is_stored,
    };
    trees::build(index, None, &BTreeSet::new(), &mut sink)
}

fn odb(home: &WorktreeRepository) -> Result<Odb<'_>> {
    let odb = home.git.odb();
    odb.doing(|| "could not open the object database".to_owned())
}

fn has(odb: &Odb<'_>, id: &ObjectId) -> bool {
    Oid::from_bytes(id).is_ok_and(|id| odb.exists_ext(id, git2::OdbLookupFlags::NO_REFRESH))
}

/// The files of a work tree: what git tracks and what it would add.
#[derive(Default)]
struct FileNames {
    files: BTreeSet<Vec<u8>>,
    submodules: Vec<(Vec<u8>, ObjectId)>,
}

impl FileNames {
    fn blocking_list(home: &WorktreeRepository, excluded: &[Vec<u8>]) -> Result<Self> {
        let git = home.program();
        let mut names = Self::default();
        let tracked = git.run(&["ls-files", "-s", "-z"], b"")?;
        for line in tracked.split(|byte| *byte == 0) {
            let Some(tab) = line.iter().position(|byte| *byte == b'\t') else {
                continue;
            };
            let (facts, path) = line.split_at(tab);
            let path = path.get(1..).unwrap_or_default();
            if is_state_path(path) {
                continue;
            }
            if facts.starts_with(b"160000 ") {
                names.submodule(home, path, facts.get(7..47).unwrap_or_default());
            } else {
                names.files.insert(path.to_vec());
            }
        }
        let untracked = git.run(&["ls-files", "-o", "-z", "--exclude-standard"], b"")?;
        let untracked = untracked.split(|byte| *byte == 0);
        // A nested repository ends with a slash.
        let files = untracked.filter(|path| !path.is_empty() && !path.ends_with(b"/"));
        let files = files.filter(|path| !is_left_out(path, excluded));
        names.files.extend(files.map(<[u8]>::to_vec));
        Ok(names)
    }

    fn submodule(&mut self, home: &WorktreeRepository, path: &[u8], id: &[u8]) {
        let folder = absolute(&home.top, path);
        if !folder.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            return;
        }
        let staged = std::str::from_utf8(id).ok();
        let staged = staged.and_then(|id| Oid::from_str(id).ok());
        let staged = staged.map(|id| crate::adapters::git::objects::object::to_object_id(&id));
        if let Some(id) = super::ignore::submodule_head(home, path).or(staged) {
            self.submodules.push((path.to_vec(), id));
        }
    }
}

fn blocking_below(
    home: &WorktreeRepository,
    path: &[u8],
    files: &mut BTreeSet<Vec<u8>>,
) -> Result<()> {
    let place = absolute(&home.top, path);
    if !place.symlink_metadata().is_ok_and(|data| data.is_dir()) {
        files.insert(path.to_vec());
        return Ok(());
    }
    for entry in std::fs::read_dir(&place).at("read", &place)? {
        let name = entry.at("read", &place)?.file_name();
        blocking_below(home, &[path, name.as_bytes()].join(&b'/'), files)?;
    }
    Ok(())
}

/// Looks at each file that is there and really at its path: not behind a link that took a folder's place.
fn blocking_look(home: &WorktreeRepository, paths: &BTreeSet<Vec<u8>>) -> Result<Vec<FileToRead>> {
    let top = open_directory(&home.top)?;
    let mut folders = BTreeMap::new();
    let there = paths.iter().filter_map(|path| {
        let seen = stat_at(&top, path).filter(|_| is_real(&top, path, &mut folders))?;
        let path = path.clone();
        Some(FileToRead {
            path,
            seen,
            known: None,
        })
    });
    Ok(there.collect())
}

fn is_real(top: &OwnedFd, path: &[u8], folders: &mut BTreeMap<Vec<u8>, bool>) -> bool {
    let Some(at) = path.iter().rposition(|byte| *byte == b'/') else {
        return true;
    };
    let above = path.get(..at).unwrap_or_default();
    if let Some(known) = folders.get(above) {
        return *known;
    }
    let is_folder = stat_at(top, above).is_none() && is_real(top, above, folders);
    folders.insert(above.to_vec(), is_folder);
    is_folder
}

/// Returns the ids of files; what is not stored yet goes into the pack. `None` = it vanished.
fn blocking_store(
    home: &WorktreeRepository,
    work: &[FileToRead],
    pack: &mut PackWriter,
) -> Result<Vec<Option<ObjectId>>> {
    let mut ids = read_files::blocking_hash(&home.top, work)?;
    let odb = odb(home)?;
    let is_new = |id: &Option<ObjectId>| id.is_some_and(|id| !pack.has(&id) && !has(&odb, &id));
    let new: Vec<usize> = (0..work.len())
        .filter(|at| ids.get(*at).is_some_and(&is_new))
        .collect();
    let manner = ReadOptions {
        top: &home.top,
        conversions: ContentConversions::default(),
        watch_secrets: false,
    };
    let items: Vec<FileToRead> = new.iter().filter_map(|at| work.get(*at).cloned()).collect();
    let read = read_files::blocking_read(manner, &items, pack)?;
    for (at, outcome) in new.into_iter().zip(read.outcomes) {
        if let Some(id) = ids.get_mut(at) {
            *id = match outcome {
                ReadOutcome::Stored(id) => Some(id),
                ReadOutcome::Same | ReadOutcome::ForProgram | ReadOutcome::Vanished => None,
            };
        }
    }
    Ok(ids)
}

/// Returns a record of the folders: modes of those that hold these files, and empty ones that are not ignored.
fn blocking_folders(
    home: &WorktreeRepository,
    files: &BTreeSet<Vec<u8>>,
) -> Result<WorktreeMetadata> {
    let mut record = WorktreeMetadata::new(default_modes());
    let holding: BTreeSet<Vec<u8>> = files.iter().flat_map(|path| parents(path)).collect();
    let mut hollow = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        // What cannot be looked into holds nothing that a capture could have.
        let Ok(entries) = std::fs::read_dir(absolute(&home.top, &path)) else {
            continue;
        };
        let entries: Vec<_> = entries.flatten().collect();
        if entries.is_empty() && !path.is_empty() {
            let is_directory = true;
            hollow.push(UntrackedEntry {
                path: path.clone(),
                is_directory,
            });
        }
        for entry in entries {
            let name = entry.file_name();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_own = name == ".git" || is_state_name(name.as_bytes());
            if is_folder && !is_own && !is_repository(&entry.path()) {
                let prefix = Some(path.as_slice()).filter(|path| !path.is_empty());
                let parts: Vec<&[u8]> = prefix.into_iter().chain([name.as_bytes()]).collect();
                open.push(parts.join(&b'/'));
            }
        }
    }
    let hollow = ignore::blocking_not_ignored(&home.program(), hollow)?;
    record.empty = hollow.into_iter().map(|name| name.path).collect();
    for path in holding.iter().chain(&record.empty) {
        let data = absolute(&home.top, path).symlink_metadata().ok();
        let mode = data.filter(std::fs::Metadata::is_dir);
        let mode = mode.map(|data| data.permissions().mode() & 0o7777);
        if let Some(mode) = mode.filter(|mode| *mode != record.usual.folder) {
            record.modes.insert(path.clone(), mode);
        }
    }
    Ok(record)
}

/// Returns the modes that new files and folders get here.
pub(in crate::adapters::git) fn default_modes() -> DefaultModes {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = line.and_then(|digits| u32::from_str_radix(digits.trim(), 8).ok());
    DefaultModes::from_umask(umask.unwrap_or(0o22))
}
