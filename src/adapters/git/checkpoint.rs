//! Takes a checkpoint: capture, commit, index, branch, in an order a crash cannot hurt.
//!
//! Objects are durable before any ref names them; the checkpoint's own ref comes first, so the work is
//! reachable from then on; the index comes before the branch, so a crash between the two looks like
//! `git add -A` and nothing else.

use git2::Oid;

use super::{
    error::Result,
    index::{Index, publish},
    objects::{commit::add_commit, missing, object::ObjectId, tree_diff, tree_diff::TreeChanges},
    options::CheckpointOptions,
    refs,
    repository::WorktreeRepository,
    restore::repair,
    snapshot::{
        capture,
        captured::{CaptureOptions, IndexState},
        disk_records, index_delta,
        worktree_files::WorktreeFiles,
    },
    worktree::other_worktrees,
};
use crate::{
    adapters::git::objects::object,
    domain::{
        checkpoint,
        checkpoint::{CheckpointError, CheckpointReport, CheckpointRequest, display_path},
    },
};

/// How often the work starts again where somebody else moved the index meanwhile.
const TRIES: u32 = 3;

/// Above this many packs they are gathered; git's own limit is the same, but it only looks when a person
/// commits.
const PACKS: usize = 50;

/// Takes a checkpoint of the work tree that holds the root.
pub(super) fn blocking_snapshot(
    options: &CheckpointOptions,
    order: &CheckpointRequest,
) -> Result<CheckpointReport> {
    let message = checkpoint::commit_message(&order.name)?;
    let home = WorktreeRepository::open(&options.root)?;
    home.refuse_unfinished()?;
    publish::sweep(&home.directory);
    let mut tries = 1;
    loop {
        match blocking_take_once(options, order, &home, &message) {
            Err(CheckpointError::Moving { .. }) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

fn blocking_take_once(
    options: &CheckpointOptions,
    order: &CheckpointRequest,
    home: &WorktreeRepository,
    message: &str,
) -> Result<CheckpointReport> {
    publish::blocking_wait_unlocked(&home.index_path(), options.lock_wait)?;
    let known = IndexState::blocking_read(home)?;
    super::snapshot::conflict_markers::refuse_unmerged(home, &known)?;
    let excluded = options.excluded(home);
    let wish = CaptureOptions {
        refuse_secrets: !order.allow_secrets,
        excluded: &excluded,
    };
    let head = home.head()?;
    other_worktrees::refuse_checked_out(home, head.ref_name())?;
    let mut captured = capture::blocking_capture(options, home, wish, &known)?;
    let parent = home.tree_of(head.commit())?;
    missing::refuse_damaged(home, &captured, parent)?;
    let at = head.commit().and_then(|at| Oid::from_str(at).ok());
    let parents: Vec<Oid> = at.into_iter().collect();
    let commit = add_commit(home, &mut captured.pack, &captured.tree, &parents, message)?;
    let disk = WorktreeFiles::blocking_read(home, &mut captured, &excluded)?;
    let stored = disk_records::add(home, &mut captured.pack, commit, &disk)?;
    let index: Vec<_> = captured
        .index
        .iter()
        .map(publish::TemporaryIndex::path)
        .collect();
    captured.pack.finish_with(&index)?;
    let why = message.trim();
    let below = &home.refs.checkpoints;
    // First, so that no checkpoint is without it.
    let beside = disk_records::point(home, commit, stored)?;
    let number = refs::add_numbered(home, below, commit, why)?;
    if let Some(index) = &captured.index {
        let published = publish::blocking_publish(
            index,
            &home.index_path(),
            &captured.stamp,
            options.lock_wait,
        );
        if let Err(failure) = published {
            refs::drop_numbered(home, below, number);
            disk_records::forget(home, commit);
            return Err(failure);
        }
    }
    refs::advance(home, &head, commit, &format!("commit (tos): {why}"))?;
    let own = format!("{below}{number}");
    refs::blocking_sync_refs(home, &[&own, &beside, head.ref_name().unwrap_or("HEAD")])?;
    repair::blocking_back_up(home);
    blocking_gather_packs(home);
    let changes = changes_since(home, captured.memory.as_ref(), &captured.tree, parent)?;
    Ok(CheckpointReport {
        hash: commit.to_string(),
        number,
        reference: own,
        name: order.name.trim().to_owned(),
        branch: head.branch().map(str::to_owned),
        covers: home.top.clone(),
        changes: tree_diff::shown(&changes),
        skipped_hooks: home.skipped_hooks(),
        left_alone: captured
            .left_alone
            .iter()
            .map(|path| display_path(path))
            .collect(),
    })
}

/// Returns what the commit changed.
fn changes_since(
    home: &WorktreeRepository,
    memory: Option<&Index>,
    tree: &ObjectId,
    parent: Option<Oid>,
) -> Result<TreeChanges> {
    let changes = match memory {
        Some(index) => index_delta::all_changes(&index_delta::compare(home, index, parent)?),
        None => tree_diff::compare(home, Some(object::to_oid(tree)?), parent)?,
    };
    Ok(tree_diff::reversed(changes))
}

/// One pack a checkpoint would become thousands. Gathering is a favour: where it fails, git works on.
fn blocking_gather_packs(home: &WorktreeRepository) {
    let folder = object::objects(home).join("pack");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_pack = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "pack");
    if entries.filter(is_pack).count() > PACKS && home.config("gc.auto").as_deref() != Some("0") {
        let arguments = ["repack", "-d", "--geometric=2", "--quiet"];
        drop(home.program().run(&arguments, b""));
    }
}
