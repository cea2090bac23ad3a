//! Rollback and undo: the same road in two directions.
//!
//! Capture what is there, keep it under a safety ref, then change files, index and HEAD, in this order.
//! Whatever moment the process dies at, the ref leads back to the state before.

use std::{collections::BTreeSet, path::Path};

use git2::Oid;

use super::{ignored, kept::UntouchedFiles, repair, target, tree, warnings, write_back};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result, path_text},
        index,
        index::publish,
        objects::{missing, tree_diff, tree_diff::TreeChanges},
        options::CheckpointOptions,
        paths, refs,
        repository::WorktreeRepository,
        snapshot::{
            capture,
            captured::{CaptureOptions, IndexState, WorktreeCapture},
            disk_records, index_delta, safety,
            safety::{SafetySnapshot, StagedIndex},
            worktree_files::WorktreeFiles,
        },
        worktree::other_worktrees,
    },
    domain::{
        checkpoint::{
            ChangeKind, CheckpointError, PathChange, RollbackReport, RollbackRequest, UndoReport,
            disk_record::WorktreeMetadata,
            display_path,
            snapshot_message::{HeadState, SnapshotMessage},
        },
        state_folder::is_state_path,
    },
};

/// Brings HEAD, index and work tree to a commit.
pub(in crate::adapters::git) fn blocking_roll_back(
    options: &CheckpointOptions,
    order: &RollbackRequest,
) -> Result<RollbackReport> {
    let repaired = repair::blocking_repair(options)?;
    let home = WorktreeRepository::open(&options.root)?;
    let rebase = home.rebase_under_way();
    if !order.discard {
        if let Some(what) = rebase {
            let (what, repository) = (what.to_owned(), path_text(&home.top));
            return Err(CheckpointError::UnderWay { what, repository });
        }
        home.refuse_unfinished()?;
    }
    let found = target::blocking_find(options, &home, order.target.as_deref())?;
    let staged = home
        .git
        .find_commit(found.commit)
        .map(|commit| commit.tree_id());
    let staged = staged.doing(|| format!("could not read commit {}", found.commit))?;
    let goal = RollbackPlan::to_commit(&home, found.commit, staged)?;
    other_worktrees::refuse_checked_out(&home, home.head()?.ref_name())?;
    let mut start = StartingState::blocking_new(options, &home)?;
    start.stays.own = filled_in(options, &home, order, goal.files)?;
    let templates = start.stays.own.clone();
    let dirty = start.dirty(&home)?;
    if !order.discard && !dirty.is_empty() {
        return Err(CheckpointError::Dirty { changes: dirty });
    }
    let reason = format!("before rollback to {}", found.commit);
    let (safety, changes) = start.blocking_leave(&home, &goal, &reason, &[])?;
    let mut warnings = repaired;
    warnings.extend(found.warnings);
    warnings.extend(rebase.map(warnings::unfinished));
    warnings.extend(warnings::other_history(&home, &start.head, found.commit));
    warnings.extend(start.moved_submodules(&home, &goal)?);
    let index = start.blocking_restore(&home, &goal)?;
    warnings.append(&mut start.warnings);
    start.blocking_publish(options, &home, &index)?;
    safety::blocking_forget_operation(&home)?;
    let why = format!("reset (tos): moving to {}", found.commit);
    refs::advance(&home, &start.head, found.commit, &why)?;
    refs::blocking_sync_refs(&home, &[start.head.ref_name().unwrap_or("HEAD")])?;
    Ok(RollbackReport {
        hash: found.commit.to_string(),
        previous: start.head.commit().map(str::to_owned),
        safety,
        safety_reference: format!("{}{safety}", home.refs.safety),
        covers: home.top.clone(),
        changes,
        kept: templates.iter().map(|path| display_path(path)).collect(),
        fetched: found.fetched,
        warnings,
    })
}

/// Returns to a safety snapshot.
pub(in crate::adapters::git) fn blocking_undo(
    options: &CheckpointOptions,
    number: Option<u32>,
) -> Result<UndoReport> {
    let repaired = repair::blocking_repair(options)?;
    let home = WorktreeRepository::open(&options.root)?;
    let (number, snapshot) = find_snapshot(&home, number)?;
    other_worktrees::refuse_checked_out(&home, snapshot.note.head.ref_name())?;
    let mut start = StartingState::blocking_new(options, &home)?;
    let tips = safety::tips_of(&home, &snapshot.note.head);
    let reason = format!("before undo to snapshot {number}");
    let goal = RollbackPlan {
        files: snapshot.tree,
        staged: snapshot.staged,
        record: snapshot.record.clone(),
        raw_index: snapshot.raw_index.clone(),
        is_pair: false,
    };
    let (safety, changes) = start.blocking_leave(&home, &goal, &reason, &tips)?;
    let index = start.blocking_restore(&home, &goal)?;
    let mut warnings = repaired;
    warnings.append(&mut start.warnings);
    if goal.record.is_none() {
        warnings.extend(blocking_stage(&home, &index, &snapshot)?);
    }
    start.blocking_publish(options, &home, &index)?;
    safety::blocking_forget_operation(&home)?;
    for (name, bytes) in &snapshot.states {
        let path = home.directory.join(name);
        std::fs::write(&path, bytes).at("write", &path)?;
    }
    let why = format!("undo (tos): back to safety snapshot {number}");
    refs::restore_head(&home, &snapshot.note.head, &why)?;
    Ok(UndoReport {
        restored: number,
        reference: format!("{}{number}", home.refs.safety),
        head: snapshot.note.head.commit().map(str::to_owned),
        safety,
        safety_reference: format!("{}{safety}", home.refs.safety),
        changes,
        warnings,
    })
}

/// Where the work goes.
struct RollbackPlan {
    /// The tree of the files: of their bytes with a record, else as git stores them.
    files: Oid,
    /// The tree of the index.
    staged: Oid,
    /// What the tree of the files cannot hold; `None` where git writes them by its own rules.
    record: Option<WorktreeMetadata>,
    /// The bytes of the index, where its tree says too little.
    raw_index: Option<Vec<u8>>,
    /// True where the two trees were made together, as those of a checkpoint are.
    is_pair: bool,
}

impl RollbackPlan {
    fn to_commit(home: &WorktreeRepository, commit: Oid, staged: Oid) -> Result<Self> {
        let (files, record) = match disk_records::find(home, commit)? {
            Some(stored) => (stored.tree, Some(stored.record)),
            None => (staged, None),
        };
        Ok(Self {
            files,
            staged,
            record,
            raw_index: None,
            is_pair: true,
        })
    }
}

/// What was there before anything was changed.
struct StartingState {
    head: HeadState,
    captured: WorktreeCapture,
    disk: WorktreeFiles,
    staged: Option<StagedIndex>,
    known: IndexState,
    excluded: Vec<Vec<u8>>,
    /// Files that are left as they are; known as soon as there is a goal.
    stays: UntouchedFiles,
    /// What people should know of how it was done.
    warnings: Vec<String>,
}

impl StartingState {
    fn blocking_new(options: &CheckpointOptions, home: &WorktreeRepository) -> Result<Self> {
        publish::sweep(&home.directory);
        publish::blocking_wait_unlocked(&home.index_path(), options.lock_wait)?;
        let head = home.head()?;
        let excluded = options.excluded(home);
        let wish = CaptureOptions {
            refuse_secrets: false,
            excluded: &excluded,
        };
        let known = IndexState::blocking_read(home)?;
        let mut captured = match capture::blocking_capture(options, home, wish, &known) {
            // A filter that fails cannot keep anybody from going back; what is on the disk is read all the same.
            Err(CheckpointError::Program { .. }) => WorktreeCapture::empty(home, &known),
            other => other?,
        };
        let disk = WorktreeFiles::blocking_read(home, &mut captured, &excluded)?;
        let staged = safety::blocking_staged(home, &known, home.tree_of(head.commit())?)?;
        Ok(Self {
            head,
            captured,
            disk,
            staged: Some(staged),
            known,
            excluded,
            stays: UntouchedFiles::default(),
            warnings: Vec::new(),
        })
    }

    /// Returns what differs from HEAD, staged or not; submodules do not count.
    fn dirty(&self, home: &WorktreeRepository) -> Result<Vec<PathChange>> {
        Ok(tree_diff::shown(&self.uncommitted(home)?))
    }

    fn uncommitted(&self, home: &WorktreeRepository) -> Result<TreeChanges> {
        let head = home.tree_of(self.head.commit())?;
        let from_head = if self.captured.is_of_nothing() {
            let deltas = self.disk.deltas_to(home, &self.captured, head)?;
            index_delta::changes(self.disk.index(&self.captured)?, &deltas)
        } else {
            self.captured.changes_to(home, head)?
        };
        let mut dirty = tree_diff::reversed(from_head);
        if let Some(staged) = &self.staged {
            let staged = Some(safety::staged_tree(staged)?);
            for (path, kind) in tree_diff::compare_files(home, head, staged)? {
                dirty.entry(path).or_insert(kind);
            }
        }
        dirty.retain(|path, _| !is_state_path(path) && !self.stays.own.contains(path));
        Ok(dirty)
    }

    /// Keeps everything the way to the goal could lose; returns the snapshot's number and the changes.
    fn blocking_leave(
        &mut self,
        home: &WorktreeRepository,
        goal: &RollbackPlan,
        reason: &str,
        tips: &[Oid],
    ) -> Result<(u32, Vec<PathChange>)> {
        let changes = self.changes(home, goal)?;
        self.stays.ignored =
            ignored::blocking_newly_ignored(home, &self.known, &changes, goal.files)?;
        let state = changes.keys().filter(|path| is_state_path(path));
        self.stays.own.extend(state.cloned());
        let endangered = tree::blocking_endangered(home, &changes)?;
        if !endangered.is_empty() {
            self.disk
                .blocking_add(home, &mut self.captured, &endangered)?;
        }
        if goal.record.is_none() {
            let captured = &mut self.captured;
            tree::blocking_add_endangered(home, &self.known, captured, &changes, &endangered)?;
        }
        if !self.captured.is_of_nothing() {
            missing::refuse_damaged(home, &self.captured, home.tree_of(self.head.commit())?)?;
        }
        // What HEAD is too damaged to say keeps nobody from going back.
        let uncommitted = self.uncommitted(home).unwrap_or_default();
        let Some(staged) = self.staged.take() else {
            let what = "the index".to_owned();
            return Err(CheckpointError::Moving { what });
        };
        let note = SnapshotMessage {
            reason: reason.to_owned(),
            head: self.head.clone(),
            raw_index: false,
        };
        let secrets = warnings::blocking_secrets(home, &uncommitted, &endangered);
        let (captured, disk) = (&mut self.captured, &self.disk);
        let number = safety::blocking_snapshot(home, captured, disk, staged, note, tips)?;
        let reference = format!("{}{number}", home.refs.safety);
        self.warnings
            .extend(warnings::kept_secrets(&secrets, &reference));
        let files = self.disk.index(&self.captured)?;
        let deltas = index_delta::compare(home, files, Some(goal.files))?;
        self.warnings
            .extend(warnings::blocking_move_repositories(home, &deltas)?);
        let freed = warnings::blocking_clear_immutable(home, &deltas);
        let indexes = [self.captured.memory.as_mut(), self.disk.own_mut()];
        for index in indexes.into_iter().flatten() {
            warnings::blocking_refresh_stats(home, index, &freed);
        }
        let mut changes = self.changes(home, goal)?;
        if let Some(record) = &goal.record {
            let files = self.disk.index(&self.captured)?;
            for path in write_back::changed_modes(&self.disk.record, record, files) {
                changes.entry(path).or_insert(ChangeKind::Modified);
            }
        }
        changes.retain(|path, _| !self.stays.holds(path));
        Ok((number, tree_diff::shown(&changes)))
    }

    /// Returns what changes on the way to the goal.
    fn changes(&self, home: &WorktreeRepository, goal: &RollbackPlan) -> Result<TreeChanges> {
        if goal.record.is_none() && !self.captured.is_of_nothing() {
            return self.captured.changes_to(home, Some(goal.files));
        }
        let index = self.disk.index(&self.captured)?;
        let deltas = self
            .disk
            .deltas_to(home, &self.captured, Some(goal.files))?;
        Ok(index_delta::changes(index, &deltas))
    }

    /// Names the submodules that stand elsewhere than the goal says; a rollback does not move them.
    fn moved_submodules(
        &self,
        home: &WorktreeRepository,
        goal: &RollbackPlan,
    ) -> Result<Vec<String>> {
        let index = self.disk.index(&self.captured)?;
        let deltas = self
            .disk
            .deltas_to(home, &self.captured, Some(goal.files))?;
        Ok(warnings::moved_submodules(index, &deltas))
    }

    fn blocking_restore(
        &mut self,
        home: &WorktreeRepository,
        goal: &RollbackPlan,
    ) -> Result<publish::TemporaryIndex> {
        let Some(record) = &goal.record else {
            let index = tree::blocking_restore(
                home,
                &mut self.captured,
                goal.files,
                &self.stays,
                &mut self.warnings,
            )?;
            tree::blocking_remove_empty_dirs(home, &self.captured, &index, &self.excluded)?;
            return Ok(index);
        };
        let to = write_back::RestoreTarget {
            files: goal.files,
            record,
            staged: goal.staged,
            raw_index: goal.raw_index.as_deref(),
            is_pair: goal.is_pair,
        };
        let (disk, captured) = (&self.disk, &self.captured);
        write_back::blocking_write_back(home, disk, captured, &self.known, &to, &self.stays)
    }

    fn blocking_publish(
        &self,
        options: &CheckpointOptions,
        home: &WorktreeRepository,
        index: &publish::TemporaryIndex,
    ) -> Result<()> {
        let path = home.index_path();
        publish::blocking_publish(index, &path, &self.captured.stamp, options.lock_wait)
    }
}

/// Returns the files that a person has filled in and that the goal has only as their template.
fn filled_in(
    options: &CheckpointOptions,
    home: &WorktreeRepository,
    order: &RollbackRequest,
    goal: Oid,
) -> Result<BTreeSet<Vec<u8>>> {
    let tree = home.git.find_tree(goal);
    let tree = tree.doing(|| format!("could not read tree {goal}"))?;
    let is_unfilled = |path: &Vec<u8>, text: &str| {
        let relative = paths::absolute(Path::new(""), path);
        let blob = tree.get_path(&relative).ok();
        let blob = blob.and_then(|entry| home.git.find_blob(entry.id()).ok());
        let here = std::fs::read(paths::absolute(&home.top, path)).ok();
        blob.is_some_and(|blob| blob.content() == text.as_bytes())
            && here.is_some_and(|here| here != text.as_bytes())
    };
    let files = order.templates.iter();
    let files = files.map(|template| (options.below_top(home, &template.file), &template.text));
    Ok(files
        .filter(|(path, text)| is_unfilled(path, text))
        .map(|(path, _)| path)
        .collect())
}

fn find_snapshot(home: &WorktreeRepository, number: Option<u32>) -> Result<(u32, SafetySnapshot)> {
    let below = &home.refs.safety;
    let all = refs::numbered(home, below)?;
    let found = match number {
        None => all
            .last()
            .copied()
            .ok_or_else(|| CheckpointError::NoSafety {
                below: below.clone(),
            })?,
        Some(number) => all
            .iter()
            .find(|(n, _)| *n == number)
            .copied()
            .ok_or_else(|| unknown(number))?,
    };
    let snapshot = safety::blocking_read_snapshot(home, found.1)?;
    snapshot
        .map(|snapshot| (found.0, snapshot))
        .ok_or_else(|| unknown(found.0))
}

fn unknown(number: u32) -> CheckpointError {
    CheckpointError::Unknown {
        target: format!("safety/{number}"),
        fetch: None,
    }
}

/// Makes an index of the restored work tree the index of the snapshot.
fn blocking_stage(
    home: &WorktreeRepository,
    scratch: &publish::TemporaryIndex,
    snapshot: &SafetySnapshot,
) -> Result<Vec<String>> {
    let git = home.program().with_index(scratch.path());
    if let Some(bytes) = &snapshot.raw_index {
        // Every size is forgotten: the times in there prove nothing about the files of today.
        if let Some(index) = index::parse_bytes(bytes) {
            let path = scratch.path();
            std::fs::write(path, index.to_bytes((0, 0))).at("write", path)?;
            // The refresh fails where there are conflicts, after having done the rest.
            drop(git.run(&["update-index", "-q", "--refresh"], b""));
            return Ok(Vec::new());
        }
        let what = "the index could only be restored without its conflicts and flags";
        git.run(&["read-tree", "--reset", &snapshot.staged.to_string()], b"")?;
        return Ok(vec![what.to_owned()]);
    }
    if snapshot.staged != snapshot.tree {
        git.run(&["read-tree", "--reset", &snapshot.staged.to_string()], b"")?;
    }
    Ok(Vec::new())
}
