//! Captures the work tree without the git program: one scan, and only changed files are read.
//!
//! Declines, by returning `None`, wherever it is not sure to find what `git add -A` would find.

use std::{cell::RefCell, collections::BTreeSet};

use git2::{OdbLookupFlags, Oid};

use super::{
    attributes::ContentConversions,
    captured::{CaptureOptions, IndexState, WorktreeCapture, suspected_secret},
    disk_records, ignore,
    ignore::UntrackedFiles,
    read_files,
    read_files::{FileToRead, ReadOptions, ReadOutcome},
    scan,
    scan::ScanResult,
    worktree_files,
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        index::{Index, IndexEntry, publish::TemporaryIndex},
        objects::{
            object::{ObjectId, objects},
            pack::PackWriter,
            trees,
            trees::TreeSink,
        },
        repository::WorktreeRepository,
        snapshot::{captured, ignore::submodule_head},
    },
    domain::checkpoint::{
        CheckpointError,
        disk_record::{DefaultModes, WorktreeMetadata},
    },
};

/// Captures the work tree, or declines.
pub(in crate::adapters::git) fn blocking_capture(
    home: &WorktreeRepository,
    wish: CaptureOptions<'_>,
    known: &IndexState,
) -> Result<Option<WorktreeCapture>> {
    let Some(index) = known
        .index
        .as_ref()
        .filter(|index| is_supported(home, index))
    else {
        return Ok(None);
    };
    let scratch = TemporaryIndex::new(&home.directory);
    let began = scratch.blocking_touch()?;
    let usual = worktree_files::default_modes();
    let mut found = scan::blocking_scan(&home.top, index, usual)?;
    let untracked = std::mem::take(&mut found.untracked);
    let mut conversions = conversions(home, index, &untracked);
    let mut loose = ignore::blocking_collect_untracked(home, untracked, wish.excluded, usual)?;
    conversions.read_files(home, loose.files.iter().map(|(path, _)| path.as_slice()));
    let plain = plain(home, index, conversions, &mut found, &mut loose, usual)?;
    if found.is_odd || loose.is_odd || clashes(index, &found, &loose) {
        return Ok(None);
    }
    let mut draft = NewIndex::new(index, &found, loose);
    draft.blocking_read(home, wish, conversions)?;
    draft.submodules(home, &found);
    let mut capture = draft.blocking_finish(home, known, scratch, began)?;
    capture.plain = plain;
    Ok(Some(capture))
}

/// Returns what no tree can hold, if the capture's own tree is certain to have the bytes on the disk.
fn plain(
    home: &WorktreeRepository,
    index: &Index,
    mut conversions: ContentConversions,
    found: &mut ScanResult,
    loose: &mut UntrackedFiles,
    usual: DefaultModes,
) -> Result<Option<WorktreeMetadata>> {
    conversions.read_index(home, index);
    let is_hidden = |entry: &IndexEntry| entry.is_skip_worktree() || entry.is_assume_unchanged();
    if conversions != ContentConversions::default()
        || index.entries.iter().any(is_hidden)
        || disk_records::differed(home)?
    {
        return Ok(None);
    }
    let mut record = WorktreeMetadata::new(usual);
    for modes in [&mut found.modes, &mut loose.modes] {
        record.modes.extend(modes.drain(..));
    }
    for empty in [&mut found.empty, &mut loose.empty] {
        record.empty.extend(empty.drain(..));
    }
    Ok(Some(record))
}

/// Tells whether this repository holds nothing that only the git program handles rightly.
pub(in crate::adapters::git) fn is_supported(home: &WorktreeRepository, index: &Index) -> bool {
    let is = |key| home.config_bool(key);
    index.conflicts().is_empty()
        && is("core.filemode") != Some(false)
        && is("core.symlinks") != Some(false)
        && is("core.sparsecheckout") != Some(true)
        && is("core.ignorecase") != Some(true)
        && home.config("core.checkstat").as_deref() != Some("minimal")
        && home
            .config("core.safecrlf")
            .is_none_or(|word| word == "false")
}

/// A file that git was told not to look at may stand where something new is now.
fn clashes(index: &Index, found: &ScanResult, loose: &UntrackedFiles) -> bool {
    let is_hidden = |entry: &IndexEntry| entry.is_skip_worktree() || entry.is_assume_unchanged();
    if !index.entries.iter().any(is_hidden) {
        return false;
    }
    loose.files.iter().any(|(path, _)| {
        let below = [path.as_slice(), b"/"].concat();
        let at = index.find(&below).unwrap_or_else(|at| at);
        let hidden = |entry: &IndexEntry| index.path(entry).starts_with(&below);
        index.entries.get(at).is_some_and(hidden) && found.gone.binary_search(&at).is_err()
    })
}

fn conversions(
    home: &WorktreeRepository,
    index: &Index,
    untracked: &[scan::UntrackedEntry],
) -> ContentConversions {
    let mut all = ContentConversions::configured(home);
    all.read_files(home, index.entries.iter().map(|entry| index.path(entry)));
    all.read_files(home, untracked.iter().map(|name| name.path.as_slice()));
    all
}

/// The next index while it is made.
struct NewIndex {
    index: Index,
    gone: Vec<usize>,
    new: Vec<IndexEntry>,
    work: Vec<FileToRead>,
    /// For each piece of work, its place in the index; `None` for new files.
    places: Vec<Option<usize>>,
    loose: UntrackedFiles,
    touched: BTreeSet<Vec<u8>>,
    is_refreshed: bool,
    pack: Option<PackWriter>,
}

impl NewIndex {
    fn new(index: &Index, found: &ScanResult, mut loose: UntrackedFiles) -> Self {
        let files = std::mem::take(&mut loose.files);
        let tracked = found.candidates.iter().filter_map(|candidate| {
            let entry = index.entries.get(candidate.at)?;
            let work = FileToRead {
                path: index.path(entry).to_vec(),
                seen: candidate.seen,
                known: Some(entry.id).filter(|_| !entry.is_intent_to_add()),
            };
            Some((work, Some(candidate.at)))
        });
        let untracked = files.into_iter().map(|(path, seen)| {
            let known = None;
            (FileToRead { path, seen, known }, None)
        });
        let (work, places) = tracked.chain(untracked).unzip();
        Self {
            index: index.clone(),
            gone: found.gone.clone(),
            new: Vec::new(),
            work,
            places,
            loose,
            touched: BTreeSet::new(),
            is_refreshed: false,
            pack: None,
        }
    }

    /// Reads what the scan could not tell, and enters what it finds.
    fn blocking_read(
        &mut self,
        home: &WorktreeRepository,
        wish: CaptureOptions<'_>,
        conversions: ContentConversions,
    ) -> Result<()> {
        let mut pack = PackWriter::new(&objects(home));
        let manner = ReadOptions {
            top: &home.top,
            conversions,
            watch_secrets: wish.refuse_secrets,
        };
        let work = std::mem::take(&mut self.work);
        let read = read_files::blocking_read(manner, &work, &mut pack)?;
        let for_program =
            |(_, outcome): &(&FileToRead, &ReadOutcome)| **outcome == ReadOutcome::ForProgram;
        let names: Vec<&[u8]> = work
            .iter()
            .zip(&read.outcomes)
            .filter(for_program)
            .map(|(work, _)| work.path.as_slice())
            .collect();
        let stored = blocking_store_by_program(home, &names)?;
        let mut suspects = if wish.refuse_secrets {
            captured::blocking_staged_suspects(home, &self.index)?
        } else {
            Vec::new()
        };
        for (at, (work, outcome)) in work.iter().zip(&read.outcomes).enumerate() {
            let outcome = match outcome {
                ReadOutcome::ForProgram => stored_as(&stored, work),
                outcome => *outcome,
            };
            let changes = !matches!(outcome, ReadOutcome::Same | ReadOutcome::Vanished);
            let looks_like = read.suspects.iter().find(|(suspect, _)| *suspect == at);
            if let Some((_, looks_like)) = looks_like.filter(|_| changes) {
                suspects.push(suspected_secret(&work.path, looks_like));
            }
            self.enter(work, self.places.get(at).copied().flatten(), outcome);
        }
        self.work = work;
        self.pack = Some(pack);
        suspects.sort_by(|a, b| a.path.cmp(&b.path));
        suspects.dedup_by(|a, b| a.path == b.path);
        if suspects.is_empty() {
            Ok(())
        } else {
            Err(CheckpointError::Secrets { suspects })
        }
    }

    fn enter(&mut self, work: &FileToRead, place: Option<usize>, outcome: ReadOutcome) {
        match (outcome, place) {
            (ReadOutcome::Vanished | ReadOutcome::ForProgram | ReadOutcome::Same, None) => {}
            (ReadOutcome::Vanished | ReadOutcome::ForProgram, Some(at)) => self.gone.push(at),
            (ReadOutcome::Stored(id), None) => {
                let entry = self
                    .index
                    .make_entry(&work.path, work.seen.mode, id, work.seen.stat);
                self.new.push(entry);
                trees::mark_touched(&mut self.touched, &work.path);
            }
            (ReadOutcome::Same | ReadOutcome::Stored(_), Some(at)) => {
                let Some(entry) = self.index.entries.get_mut(at) else {
                    return;
                };
                let before = (entry.id, entry.mode, entry.is_intent_to_add());
                entry.stat = work.seen.stat;
                entry.mode = work.seen.mode;
                if let ReadOutcome::Stored(id) = outcome {
                    entry.id = id;
                }
                entry.clear_intent_to_add();
                self.is_refreshed = true;
                if before != (entry.id, entry.mode, false) {
                    trees::mark_touched(&mut self.touched, &work.path);
                }
            }
        }
    }

    /// Records where the submodules stand, as `git add` does; nothing in them is looked at.
    fn submodules(&mut self, home: &WorktreeRepository, found: &ScanResult) {
        for at in &found.submodules {
            let Some(entry) = self.index.entries.get(*at) else {
                continue;
            };
            let path = self.index.path(entry).to_vec();
            let Some(id) = submodule_head(home, &path).filter(|id| *id != entry.id) else {
                continue;
            };
            if let Some(entry) = self.index.entries.get_mut(*at) {
                entry.id = id;
            }
            trees::mark_touched(&mut self.touched, &path);
        }
    }

    fn blocking_finish(
        mut self,
        home: &WorktreeRepository,
        known: &IndexState,
        scratch: TemporaryIndex,
        began: (u32, u32),
    ) -> Result<WorktreeCapture> {
        self.gone.sort_unstable();
        for at in &self.gone {
            if let Some(entry) = self.index.entries.get(*at) {
                trees::mark_touched(&mut self.touched, self.index.path(entry));
            }
        }
        let mut new = std::mem::take(&mut self.new);
        new.sort_unstable_by(|a, b| self.index.path(a).cmp(self.index.path(b)));
        if !new.is_empty() || !self.gone.is_empty() {
            self.index.entries = trees::merge_entries(&self.index, &self.gone, new);
        }
        let mut pack = self
            .pack
            .take()
            .unwrap_or_else(|| PackWriter::new(&objects(home)));
        let odb = home
            .git
            .odb()
            .doing(|| "could not open the object database".to_owned())?;
        let is_stored = |id: &ObjectId| {
            let id = Oid::from_bytes(id);
            id.is_ok_and(|id| odb.exists_ext(id, OdbLookupFlags::NO_REFRESH))
        };
        let mut sink = TreeSink {
            pack: &mut pack,
            is_stored: &is_stored,
        };
        let old = self.index.tree.take();
        let tree = trees::build(&self.index, old.as_ref(), &self.touched, &mut sink)?;
        let is_new = self.is_refreshed || old.as_ref() != Some(&tree);
        let id = tree.valid.map_or(
            crate::adapters::git::objects::object::EMPTY_TREE,
            |(id, _)| id,
        );
        self.index.tree = Some(tree);
        if is_new {
            scratch.blocking_write(&self.index.to_bytes(began))?;
        }
        // From here on, these entries are only as good as the time the files were looked at.
        self.index.written = began;
        Ok(WorktreeCapture {
            tree: id,
            index: is_new.then_some(scratch),
            stamp: known.stamp.clone(),
            left_alone: self.loose.repositories,
            pack,
            memory: Some(self.index),
            directories: self.loose.directories,
            deltas: RefCell::default(),
            plain: None,
        })
    }
}

/// Lets `git add` store what needs conversion, in an index of its own; returns that index.
fn blocking_store_by_program(home: &WorktreeRepository, names: &[&[u8]]) -> Result<Index> {
    if names.is_empty() {
        return Ok(Index::default());
    }
    let scratch = TemporaryIndex::copy_of(&home.index_path(), &home.directory)?;
    let git = home
        .program()
        .with_index(scratch.path())
        .with_literal_paths();
    let arguments = ["add", "-f", "--pathspec-from-file=-", "--pathspec-file-nul"];
    git.run(&arguments, &names.join(&0_u8))?;
    let read = crate::adapters::git::index::read(scratch.path())?;
    read.map_err(|_| {
        crate::adapters::git::error::corrupt("git wrote an index of another kind", scratch.path())
    })
}

fn stored_as(stored: &Index, work: &FileToRead) -> ReadOutcome {
    let entry = stored
        .find(&work.path)
        .ok()
        .and_then(|at| stored.entries.get(at));
    match entry {
        None => ReadOutcome::Vanished,
        Some(entry) if work.known == Some(entry.id) => ReadOutcome::Same,
        Some(entry) => ReadOutcome::Stored(entry.id),
    }
}
