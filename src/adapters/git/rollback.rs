//! Rollback and undo: the same road in two directions.
//!
//! Capture what is there, keep it under a safety ref, then change files, index and HEAD, in this order.
//! Whatever moment the process dies at, the ref leads back to the state before.

use std::{collections::BTreeSet, path::Path};

use git2::Oid;

use super::{
    Options,
    capture::{self, Capture, Known, Wish},
    error::{Doing, Result},
    home::Home,
    index, keep, neighbours, publish, refs,
    restore::{self, Stays},
    safety::{self, Snapshot, Staged},
    target, tree_diff, wholeness,
};
use crate::domain::{
    checkpoint::{Change, Failure, RollBack, RolledBack, Undone, shown_path},
    safety::{Head, Note},
    state_folder::is_state_path,
};

/// Brings HEAD, index and work tree to a commit.
pub(super) fn blocking_roll_back(options: &Options, order: &RollBack) -> Result<RolledBack> {
    let home = Home::open(&options.root)?;
    if !order.discard {
        home.refuse_unfinished()?;
    }
    let found = target::blocking_find(options, &home, order.target.as_deref())?;
    let goal = home
        .git
        .find_commit(found.commit)
        .map(|commit| commit.tree_id());
    let goal = goal.doing(|| format!("could not read commit {}", found.commit))?;
    neighbours::refuse_shared(&home, home.head()?.name())?;
    let mut start = Start::blocking_new(options, &home)?;
    start.stays.own = filled_in(options, &home, order, goal)?;
    let templates = start.stays.own.clone();
    let dirty = start.dirty(&home)?;
    if !order.discard && !dirty.is_empty() {
        return Err(Failure::Dirty { changes: dirty });
    }
    let reason = format!("before rollback to {}", found.commit);
    let (safety, changes) = start.blocking_leave(&home, goal, &reason, &[])?;
    let index = restore::blocking_restore(&home, &mut start.captured, goal, &start.stays)?;
    restore::blocking_clean(&home, &start.captured, &index, &start.excluded)?;
    start.blocking_publish(options, &home, &index)?;
    safety::blocking_forget_operation(&home)?;
    let why = format!("reset (tos): moving to {}", found.commit);
    refs::advance(&home, &start.head, found.commit, &why)?;
    refs::blocking_settle(&home, &[start.head.name().unwrap_or("HEAD")])?;
    Ok(RolledBack {
        hash: found.commit.to_string(),
        previous: start.head.at().map(str::to_owned),
        safety,
        safety_reference: format!("{}{safety}", home.refs.safety),
        covers: home.top.clone(),
        changes,
        kept: templates.iter().map(|path| shown_path(path)).collect(),
        fetched: found.fetched,
        warnings: found.warnings,
    })
}

/// Returns to a safety snapshot.
pub(super) fn blocking_undo(options: &Options, number: Option<u32>) -> Result<Undone> {
    let home = Home::open(&options.root)?;
    let (number, snapshot) = find_snapshot(&home, number)?;
    neighbours::refuse_shared(&home, snapshot.note.head.name())?;
    let mut start = Start::blocking_new(options, &home)?;
    let tips = safety::tips_of(&home, &snapshot.note.head);
    let reason = format!("before undo to snapshot {number}");
    let (safety, changes) = start.blocking_leave(&home, snapshot.tree, &reason, &tips)?;
    let index = restore::blocking_restore(&home, &mut start.captured, snapshot.tree, &start.stays)?;
    let warnings = blocking_stage(&home, &index, &snapshot)?;
    start.blocking_publish(options, &home, &index)?;
    safety::blocking_forget_operation(&home)?;
    for (name, bytes) in &snapshot.states {
        let path = home.directory.join(name);
        std::fs::write(&path, bytes).at("write", &path)?;
    }
    let why = format!("undo (tos): back to safety snapshot {number}");
    refs::put_head(&home, &snapshot.note.head, &why)?;
    Ok(Undone {
        restored: number,
        reference: format!("{}{number}", home.refs.safety),
        head: snapshot.note.head.at().map(str::to_owned),
        safety,
        safety_reference: format!("{}{safety}", home.refs.safety),
        changes,
        warnings,
    })
}

/// What was there before anything was changed.
struct Start {
    head: Head,
    captured: Capture,
    staged: Option<Staged>,
    known: Known,
    excluded: Vec<Vec<u8>>,
    /// Files that are left as they are; known as soon as there is a goal.
    stays: Stays,
}

impl Start {
    fn blocking_new(options: &Options, home: &Home) -> Result<Self> {
        publish::sweep(&home.directory);
        publish::blocking_wait(&home.index_path(), options.lock_wait)?;
        let head = home.head()?;
        let excluded = options.excluded(home);
        let wish = Wish {
            refuse_secrets: false,
            excluded: &excluded,
        };
        let known = Known::blocking_read(home)?;
        let captured = capture::blocking_capture(options, home, wish, &known)?;
        let staged = safety::blocking_staged(home, &known, home.tree_of(head.at())?)?;
        Ok(Self {
            head,
            captured,
            staged: Some(staged),
            known,
            excluded,
            stays: Stays::default(),
        })
    }

    /// Returns what differs from HEAD, staged or not; submodules do not count.
    fn dirty(&self, home: &Home) -> Result<Vec<Change>> {
        let head = home.tree_of(self.head.at())?;
        let mut dirty = tree_diff::reversed(self.captured.changes_to(home, head)?);
        if let Some(staged) = &self.staged {
            let staged = Some(safety::staged_tree(staged)?);
            for (path, kind) in tree_diff::compare_files(home, head, staged)? {
                dirty.entry(path).or_insert(kind);
            }
        }
        dirty.retain(|path, _| !is_state_path(path) && !self.stays.own.contains(path));
        Ok(tree_diff::shown(&dirty))
    }

    /// Keeps everything the way to `goal` could lose; returns the snapshot's number and the changes.
    fn blocking_leave(
        &mut self,
        home: &Home,
        goal: Oid,
        reason: &str,
        tips: &[Oid],
    ) -> Result<(u32, Vec<Change>)> {
        self.stays.ignored = keep::blocking_kept(home, &self.known, &self.captured, goal)?;
        let to_goal = self.captured.changes_to(home, Some(goal))?;
        let state = to_goal.into_keys().filter(|path| is_state_path(path));
        self.stays.own.extend(state);
        restore::blocking_add_endangered(home, &self.known, &mut self.captured, goal)?;
        wholeness::refuse_damaged(home, &self.captured, home.tree_of(self.head.at())?)?;
        let Some(staged) = self.staged.take() else {
            let what = "the index".to_owned();
            return Err(Failure::Moving { what });
        };
        let note = Note {
            reason: reason.to_owned(),
            head: self.head.clone(),
            raw_index: false,
        };
        let number = safety::blocking_snapshot(home, &mut self.captured, staged, note, tips)?;
        let mut changes = self.captured.changes_to(home, Some(goal))?;
        changes.retain(|path, _| !self.stays.holds(path));
        Ok((number, tree_diff::shown(&changes)))
    }

    fn blocking_publish(
        &self,
        options: &Options,
        home: &Home,
        index: &publish::Scratch,
    ) -> Result<()> {
        let path = home.index_path();
        publish::blocking_publish(index, &path, &self.captured.stamp, options.lock_wait)
    }
}

/// Returns the files that a person has filled in and that the goal has only as their template.
fn filled_in(
    options: &Options,
    home: &Home,
    order: &RollBack,
    goal: Oid,
) -> Result<BTreeSet<Vec<u8>>> {
    let tree = home.git.find_tree(goal);
    let tree = tree.doing(|| format!("could not read tree {goal}"))?;
    let is_unfilled = |path: &Vec<u8>, text: &str| {
        let relative = restore::absolute(Path::new(""), path);
        let blob = tree.get_path(&relative).ok();
        let blob = blob.and_then(|entry| home.git.find_blob(entry.id()).ok());
        let here = std::fs::read(restore::absolute(&home.top, path)).ok();
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

fn find_snapshot(home: &Home, number: Option<u32>) -> Result<(u32, Snapshot)> {
    let below = &home.refs.safety;
    let all = refs::numbered(home, below)?;
    let found = match number {
        None => all.last().copied().ok_or_else(|| Failure::NoSafety {
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

fn unknown(number: u32) -> Failure {
    Failure::Unknown {
        target: format!("safety/{number}"),
        fetch: None,
    }
}

/// Makes an index of the restored work tree the index of the snapshot.
fn blocking_stage(
    home: &Home,
    scratch: &publish::Scratch,
    snapshot: &Snapshot,
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
