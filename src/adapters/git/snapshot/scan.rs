//! Looks at every file once, on several threads, and compares it with what the index remembers.
//!
//! Directories are the unit of work: a thread lists one, looks at its files with `statat`, and queues
//! the directories below. Nothing is read here; what cannot be told from the stat alone is returned
//! as a candidate. What is untracked is only named, since the ignore rules are git's to apply.

use std::{
    ffi::CString,
    ops::Range,
    os::fd::OwnedFd,
    path::Path,
    sync::{Condvar, Mutex, PoisonError},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, statat};

use crate::{
    adapters::git::{
        error::{ErrorContext, Result, joined},
        index::{EXECUTABLE, FILE, Index, IndexEntry, SUBMODULE, SYMLINK, Stat},
        paths::absolute,
    },
    domain::{checkpoint::disk_record::DefaultModes, state_folder::is_state_name},
};

/// A tracked file whose stat does not prove that it is unchanged.
#[derive(Debug, Clone, Copy)]
pub(in crate::adapters::git) struct ScanCandidate {
    /// Its place in the index.
    pub(in crate::adapters::git) at: usize,
    /// What it is now.
    pub(in crate::adapters::git) seen: FileStat,
}

/// What `lstat` says now.
#[derive(Debug, Clone, Copy)]
pub(in crate::adapters::git) struct FileStat {
    /// The stat data.
    pub(in crate::adapters::git) stat: Stat,
    /// The size, whole.
    pub(in crate::adapters::git) size: u64,
    /// The mode an index would have.
    pub(in crate::adapters::git) mode: u32,
    /// The mode on the disk: who may read, write and execute, and the bits above.
    pub(in crate::adapters::git) perm: u32,
}

impl FileStat {
    /// Tells whether a file has other modes than a new one would get.
    pub(in crate::adapters::git) fn has_odd_mode(&self, usual: DefaultModes) -> bool {
        self.mode != SYMLINK && self.perm != usual.of(self.mode == EXECUTABLE)
    }
}

/// An untracked name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::adapters::git) struct UntrackedEntry {
    /// Its path from the top.
    pub(in crate::adapters::git) path: Vec<u8>,
    /// True for a directory.
    pub(in crate::adapters::git) is_directory: bool,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(in crate::adapters::git) struct ScanResult {
    /// Tracked files to look into.
    pub(in crate::adapters::git) candidates: Vec<ScanCandidate>,
    /// Places in the index whose files are gone.
    pub(in crate::adapters::git) gone: Vec<usize>,
    /// Places in the index of submodules that are there.
    pub(in crate::adapters::git) submodules: Vec<usize>,
    /// Names that are not tracked, ignored or not.
    pub(in crate::adapters::git) untracked: Vec<UntrackedEntry>,
    /// True where something was met that only the git program judges rightly.
    pub(in crate::adapters::git) is_odd: bool,
    /// Modes of tracked files, and of folders that hold some, where they are not usual.
    pub(in crate::adapters::git) modes: Vec<(Vec<u8>, u32)>,
    /// Folders that held tracked files once and hold nothing now.
    pub(in crate::adapters::git) empty: Vec<Vec<u8>>,
}

/// Returns how many threads to start beside the present one for this many pieces of work.
pub(in crate::adapters::git) fn helper_threads(pieces: usize, worthwhile: usize) -> usize {
    if pieces < worthwhile {
        return 0;
    }
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    processors.clamp(2, 8) - 1
}

/// Scans the whole work tree, except the state of tos and what git keeps beside files.
pub(in crate::adapters::git) fn blocking_scan(
    top: &Path,
    index: &Index,
    usual: DefaultModes,
) -> Result<ScanResult> {
    blocking_scan_names(top, index, usual, false)
}

/// Scans the whole work tree, and leaves out nothing but the `.git` at its top.
pub(in crate::adapters::git) fn blocking_scan_all(
    top: &Path,
    index: &Index,
    usual: DefaultModes,
) -> Result<ScanResult> {
    blocking_scan_names(top, index, usual, true)
}

fn blocking_scan_names(
    top: &Path,
    index: &Index,
    usual: DefaultModes,
    sees_all: bool,
) -> Result<ScanResult> {
    let directory = open_directory(top)?;
    let queue = DirectoryQueue::new(DirectoryScan {
        prefix: Vec::new(),
        range: 0..index.entries.len(),
    });
    let work = || {
        let mut worker = ScanWorker {
            top: &directory,
            index,
            usual,
            sees_all,
            found: ScanResult::default(),
            names: DirectoryNames::default(),
            buffer: Vec::with_capacity(32 << 10),
        };
        let mut result = Ok(());
        while let Some(job) = queue.take() {
            let done = worker.directory(&job, &queue);
            queue.finished();
            result = result.and(done);
        }
        result.map(|()| worker.found)
    };
    let parts: Vec<Result<ScanResult>> = std::thread::scope(|scope| {
        let helpers = helper_threads(index.entries.len(), 1500);
        let others: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let mut parts = vec![work()];
        parts.extend(others.into_iter().map(joined));
        parts
    });
    let mut all = ScanResult::default();
    for part in parts {
        let part = part?;
        all.candidates.extend(part.candidates);
        all.gone.extend(part.gone);
        all.submodules.extend(part.submodules);
        all.untracked.extend(part.untracked);
        all.is_odd |= part.is_odd;
        all.modes.extend(part.modes);
        all.empty.extend(part.empty);
    }
    all.candidates
        .sort_unstable_by_key(|candidate| candidate.at);
    all.gone.sort_unstable();
    Ok(all)
}

/// Opens a directory for looking at what is in it.
pub(in crate::adapters::git) fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, directory_flags(), Mode::empty()).at("open", path)
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// Returns what is at a path below an opened directory; `None` where nothing an index can hold is.
pub(in crate::adapters::git) fn stat_at(directory: &OwnedFd, path: &[u8]) -> Option<FileStat> {
    let path = CString::new(path).ok()?;
    let stat = statat(directory, path.as_c_str(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    seen(&stat)
}

fn seen(stat: &rustix::fs::Stat) -> Option<FileStat> {
    let mode = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & 0o100 != 0 => EXECUTABLE,
        FileType::RegularFile => FILE,
        FileType::Symlink => SYMLINK,
        _ => return None,
    };
    Some(FileStat {
        perm: stat.st_mode & 0o7777,
        stat: Stat::from(stat),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mode,
    })
}

/// One directory: its path with a slash behind, and its part of the index.
struct DirectoryScan {
    prefix: Vec<u8>,
    range: Range<usize>,
}

/// Directories waiting to be looked at.
struct DirectoryQueue {
    state: Mutex<(Vec<DirectoryScan>, usize)>,
    changed: Condvar,
}

impl DirectoryQueue {
    fn new(first: DirectoryScan) -> Self {
        Self {
            state: Mutex::new((vec![first], 1)),
            changed: Condvar::new(),
        }
    }

    fn push(&self, jobs: &mut Vec<DirectoryScan>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += jobs.len();
        state.0.append(jobs);
        drop(state);
        self.changed.notify_all();
    }

    /// Returns a directory, or `None` when all are done.
    fn take(&self) -> Option<DirectoryScan> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.0.pop() {
                return Some(job);
            }
            if state.1 == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finished(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 -= 1;
        let is_last = state.1 == 0;
        drop(state);
        if is_last {
            self.changed.notify_all();
        }
    }
}

/// The names in one directory, sorted, in one piece of memory.
#[derive(Default)]
struct DirectoryNames {
    bytes: Vec<u8>,
    list: Vec<DirectoryName>,
}

#[derive(Clone)]
struct DirectoryName {
    range: Range<usize>,
    kind: FileType,
    is_tracked: bool,
}

impl DirectoryNames {
    /// Reads the names in a directory; `with_git` = the one that git keeps for itself is a name like others.
    fn fill(
        &mut self,
        directory: &OwnedFd,
        buffer: &mut Vec<u8>,
        with_git: bool,
    ) -> rustix::io::Result<()> {
        self.bytes.clear();
        self.list.clear();
        let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || (name == b".git" && !with_git) {
                continue;
            }
            let start = self.bytes.len();
            self.bytes.extend_from_slice(name);
            self.list.push(DirectoryName {
                range: start..self.bytes.len(),
                kind: entry.file_type(),
                is_tracked: false,
            });
        }
        let bytes = &self.bytes;
        self.list
            .sort_unstable_by(|a, b| bytes.get(a.range.clone()).cmp(&bytes.get(b.range.clone())));
        Ok(())
    }

    fn find(&mut self, name: &[u8]) -> Option<&mut DirectoryName> {
        let bytes = &self.bytes;
        let at = self
            .list
            .binary_search_by(|other| bytes.get(other.range.clone()).cmp(&Some(name)));
        self.list.get_mut(at.ok()?)
    }
}

struct ScanWorker<'a> {
    top: &'a OwnedFd,
    index: &'a Index,
    usual: DefaultModes,
    /// Looks at what a checkpoint leaves out, too.
    sees_all: bool,
    found: ScanResult,
    names: DirectoryNames,
    buffer: Vec<u8>,
}

impl ScanWorker<'_> {
    fn directory(&mut self, job: &DirectoryScan, queue: &DirectoryQueue) -> Result<()> {
        let path: &[u8] = match job.prefix.strip_suffix(b"/") {
            Some(path) => path,
            None => b".",
        };
        let reading = || {
            format!(
                "could not read `{}`",
                crate::adapters::git::error::path_text(&absolute("".as_ref(), path))
            )
        };
        let name = CString::new(path).doing(reading)?;
        let directory = match openat(self.top, name, directory_flags(), Mode::empty()) {
            Ok(directory) => directory,
            // It vanished or became something else between two looks.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                self.all_gone(job.range.clone());
                return Ok(());
            }
            Err(error) => return Err(error).doing(reading),
        };
        self.names
            .fill(
                &directory,
                &mut self.buffer,
                self.sees_all && !job.prefix.is_empty(),
            )
            .doing(reading)?;
        if !job.prefix.is_empty() {
            self.folder(&directory, path);
        }
        let mut below = Vec::new();
        let mut at = job.range.start;
        while at < job.range.end {
            at = self.child(&directory, job, at, &mut below);
        }
        queue.push(&mut below);
        for name in &self.names.list {
            let name_bytes = self.names.bytes.get(name.range.clone()).unwrap_or_default();
            if !name.is_tracked && (self.sees_all || !is_state_name(name_bytes)) {
                self.found.untracked.push(UntrackedEntry {
                    path: [job.prefix.as_slice(), name_bytes].concat(),
                    is_directory: name.kind == FileType::Directory,
                });
                self.found.is_odd |= name.kind == FileType::Unknown;
            }
        }
        Ok(())
    }

    fn folder(&mut self, directory: &OwnedFd, path: &[u8]) {
        let mode = rustix::fs::fstat(directory).map(|stat| stat.st_mode & 0o7777);
        if let Some(mode) = mode.ok().filter(|mode| *mode != self.usual.folder) {
            self.found.modes.push((path.to_vec(), mode));
        }
        if self.names.list.is_empty() {
            self.found.empty.push(path.to_vec());
        }
    }

    /// Looks at the file or directory that the entry at `at` belongs to; returns the next place.
    fn child(
        &mut self,
        directory: &OwnedFd,
        job: &DirectoryScan,
        at: usize,
        below: &mut Vec<DirectoryScan>,
    ) -> usize {
        let index = self.index;
        let Some(entry) = index.entries.get(at) else {
            return job.range.end;
        };
        let rest = index
            .path(entry)
            .get(job.prefix.len()..)
            .unwrap_or_default();
        let Some(slash) = rest.iter().position(|byte| *byte == b'/') else {
            self.file(directory, at, entry, rest);
            return at + 1;
        };
        let name = rest.get(..slash).unwrap_or_default();
        let end = self.end_of(job, at, rest.get(..=slash).unwrap_or_default());
        if is_state_name(name) && !self.sees_all {
            // Whoever committed it: no checkpoint brings it up to date, and none takes it away.
            if let Some(found) = self.names.find(name) {
                found.is_tracked = true;
            }
            return end;
        }
        match self.names.find(name) {
            Some(name_found) if name_found.kind == FileType::Directory => {
                name_found.is_tracked = true;
                let prefix = [job.prefix.as_slice(), name, b"/"].concat();
                below.push(DirectoryScan {
                    prefix,
                    range: at..end,
                });
            }
            _ => self.all_gone(at..end),
        }
        end
    }

    /// Returns where the entries below a directory end.
    fn end_of(&self, job: &DirectoryScan, at: usize, name: &[u8]) -> usize {
        let (mut low, mut high) = (at + 1, job.range.end);
        let mut step = 1;
        while low < high {
            let probe = (low + step).min(high) - 1;
            if self.is_below(job, probe, name) {
                low = probe + 1;
                step *= 2;
            } else {
                high = probe;
                step = ((high - low) / 2).max(1);
            }
        }
        low
    }

    fn is_below(&self, job: &DirectoryScan, at: usize, name: &[u8]) -> bool {
        self.index.entries.get(at).is_some_and(|entry| {
            let rest = self.index.path(entry).get(job.prefix.len()..);
            rest.is_some_and(|rest| rest.starts_with(name))
        })
    }

    fn file(&mut self, directory: &OwnedFd, at: usize, entry: &IndexEntry, name: &[u8]) {
        let there = self.names.find(name);
        if entry.is_skip_worktree() || entry.is_assume_unchanged() {
            if let Some(there) = there {
                there.is_tracked = true;
            }
            return;
        }
        let Some(there) = there else {
            self.found.gone.push(at);
            return;
        };
        let is_directory = there.kind == FileType::Directory;
        if entry.mode == SUBMODULE || is_directory {
            there.is_tracked = entry.mode == SUBMODULE && is_directory;
            let list = if there.is_tracked {
                &mut self.found.submodules
            } else {
                &mut self.found.gone
            };
            list.push(at);
            return;
        }
        there.is_tracked = true;
        let seen = stat_at(directory, name);
        if let Some(seen) = seen.filter(|seen| seen.has_odd_mode(self.usual)) {
            let path = self.index.path(entry).to_vec();
            self.found.modes.push((path, seen.perm));
        }
        match seen {
            None => self.found.is_odd = true,
            Some(seen) if self.index.proves(entry, &seen.stat, seen.mode) => {}
            Some(seen) => self.found.candidates.push(ScanCandidate { at, seen }),
        }
    }

    fn all_gone(&mut self, range: Range<usize>) {
        let entries = self.index.entries.get(range.clone()).unwrap_or_default();
        let places = range.zip(entries);
        let gone =
            places.filter(|(_, entry)| !entry.is_skip_worktree() && !entry.is_assume_unchanged());
        self.found.gone.extend(gone.map(|(at, _)| at));
    }
}
