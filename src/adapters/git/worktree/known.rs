//! What is known of work trees from before an agent was in them: the index of the base with the times of every file, in memory,
//! where nobody but tos reaches it.
//!
//! Whoever changes a file changes the time that the kernel gives its inode (ctime), and nobody may set that one. So a file whose
//! inode, size and times are those of the proof is the file that was proved, and need not be read again. Files that were younger
//! than the proof, or as young, are read. Where git converts files, has submodules or leaves something out, nothing is known here
//! and the git program reads everything, as it always can.

use std::sync::{Arc, PoisonError};

use super::{shared_files, worktrees::GitWorktrees};
use crate::{
    adapters::git::{
        error::Result,
        index,
        index::{
            Index, SUBMODULE,
            publish::{IndexFingerprint, TemporaryIndex},
        },
        objects::{
            object::{hex, objects},
            pack::PackWriter,
        },
        repository::WorktreeRepository,
        snapshot::{
            attributes::ContentConversions,
            captured::{CaptureOptions, IndexState},
            fast_capture, read_files,
            read_files::{FileToRead, ReadOptions, ReadOutcome},
            scan,
            scan::ScanResult,
            worktree_files,
        },
    },
    domain::state_folder::is_state_path,
    ports::worktrees::Worktree,
};

/// Where more paths changed, looking at all of them is as quick.
const MOST_PATHS: usize = 2_000;

impl GitWorktrees {
    /// Returns what is known of a work tree.
    pub(in crate::adapters::git) fn known_index(&self, place: &Worktree) -> Option<Arc<Index>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&place.top).cloned()
    }

    /// Keeps what is known of a work tree; `None` forgets it.
    pub(in crate::adapters::git) fn set_known(&self, place: &Worktree, index: Option<Index>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match index {
            Some(index) => known.insert(place.top.clone(), Arc::new(index)),
            None => known.remove(&place.top),
        };
    }

    /// Proves that a work tree is its base and nothing else, ignored files included, and returns its index; `None` where
    /// something differs, or where only the git program can tell.
    pub(in crate::adapters::git) fn prove_unchanged(&self, place: &Worktree) -> Option<Index> {
        self.blocking_prove(place).ok().flatten()
    }

    fn blocking_prove(&self, place: &Worktree) -> Result<Option<Index>> {
        let home = WorktreeRepository::open(&place.top)?;
        let Ok(mut index) = index::read(&home.index_path())? else {
            return Ok(None);
        };
        let tree = index.tree.as_ref().and_then(|tree| tree.valid);
        let is_base = tree.is_some_and(|(id, _)| hex(&id) == place.tree);
        if !is_of(&home, place) || !is_base || !is_plain(&home, &index) {
            return Ok(None);
        }
        let began = TemporaryIndex::new(self.scratch()).blocking_touch()?;
        let found = scan::blocking_scan_all(&home.top, &index, worktree_files::default_modes())?;
        if !is_nothing_but_files(&found) {
            return Ok(None);
        }
        let work: Vec<FileToRead> = found
            .candidates
            .iter()
            .filter_map(|candidate| {
                let entry = index.entries.get(candidate.at)?;
                let same_kind = entry.mode == candidate.seen.mode;
                Some(FileToRead {
                    path: index.path(entry).to_vec(),
                    seen: candidate.seen,
                    known: same_kind.then_some(entry.id),
                })
            })
            .collect();
        let manner = ReadOptions {
            top: &home.top,
            conversions: ContentConversions::default(),
            watch_secrets: false,
        };
        // What differs is no longer of interest, so nothing of this pack is kept.
        let mut pack = PackWriter::new(&objects(&home));
        let read = read_files::blocking_read(manner, &work, &mut pack)?;
        if read
            .outcomes
            .iter()
            .any(|outcome| *outcome != ReadOutcome::Same)
        {
            return Ok(None);
        }
        for candidate in &found.candidates {
            if let Some(entry) = index.entries.get_mut(candidate.at) {
                entry.stat = candidate.seen.stat;
            }
        }
        index.written = began;
        index.forget_racy_sizes();
        Ok(Some(index))
    }

    /// Returns the paths in a work tree that are not proved to be as they were: changed, gone and new ones, ignored or not;
    /// `None` where that cannot be told, or where there are too many.
    pub(in crate::adapters::git) fn touched_paths(&self, place: &Worktree) -> Option<Vec<Vec<u8>>> {
        let index = self.known_index(place)?;
        let found =
            scan::blocking_scan_all(&place.top, &index, worktree_files::default_modes()).ok()?;
        let odd = |path: &[u8]| is_state_path(path) || has_git(path);
        if found.is_odd || found.untracked.iter().any(|name| odd(&name.path)) {
            return None;
        }
        let changed = found.candidates.iter().map(|candidate| candidate.at);
        let entries = changed.chain(found.gone.iter().copied());
        let tracked = entries.filter_map(|at| index.entries.get(at));
        let mut paths: Vec<Vec<u8>> = tracked.map(|entry| index.path(entry).to_vec()).collect();
        paths.extend(found.untracked.into_iter().map(|name| name.path));
        (paths.len() <= MOST_PATHS).then_some(paths)
    }

    /// Returns the tree of everything in a work tree that is not ignored, read from what is known of it; `None` where only the
    /// git program can tell.
    pub(in crate::adapters::git) fn quick_tree(&self, place: &Worktree) -> Option<String> {
        self.blocking_quick_tree(place).ok().flatten()
    }

    fn blocking_quick_tree(&self, place: &Worktree) -> Result<Option<String>> {
        let Some(index) = self.known_index(place) else {
            return Ok(None);
        };
        let home = WorktreeRepository::open(&place.top)?;
        if !is_of(&home, place) {
            return Ok(None);
        }
        let shared: Vec<Vec<u8>> = shared_files::copied_files(&place.task_folder)
            .into_iter()
            .map(String::into_bytes)
            .collect();
        let wish = CaptureOptions {
            refuse_secrets: false,
            excluded: &shared,
        };
        let state = IndexState {
            stamp: IndexFingerprint::of(&home.index_path())?,
            index: Some((*index).clone()),
        };
        let Some(capture) = fast_capture::blocking_capture(&home, wish, &state)? else {
            return Ok(None);
        };
        // With a conversion, or another repository inside, the git program decides.
        if capture.plain.is_none() || !capture.left_alone.is_empty() {
            return Ok(None);
        }
        let tree = hex(&capture.tree);
        capture.pack.finish()?;
        Ok(Some(tree))
    }
}

/// Tells whether the repository that was opened is the one of the work tree, whatever the work tree says.
fn is_of(home: &WorktreeRepository, place: &Worktree) -> bool {
    let directory = home.directory.canonicalize();
    directory.is_ok_and(|directory| directory == place.directory)
}

/// Tells whether git stores the files of an index byte for byte, and all of them are on the disk.
fn is_plain(home: &WorktreeRepository, index: &Index) -> bool {
    let mut conversions = ContentConversions::configured(home);
    conversions.read_files(home, index.entries.iter().map(|entry| index.path(entry)));
    conversions.read_index(home, index);
    conversions == ContentConversions::default()
        && fast_capture::is_supported(home, index)
        && !index.exceeds_a_tree()
        && index.entries.iter().all(|entry| entry.mode != SUBMODULE)
}

/// Tells whether a scan found the files of the index, with usual modes, and nothing beside them.
fn is_nothing_but_files(found: &ScanResult) -> bool {
    !found.is_odd
        && found.gone.is_empty()
        && found.untracked.is_empty()
        && found.modes.is_empty()
        && found.empty.is_empty()
        && found.submodules.is_empty()
}

fn has_git(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| part == b".git")
}
