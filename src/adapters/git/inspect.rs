//! Looks at checkpoints without changing anything: list, show, diff.

use chrono::{DateTime, FixedOffset};
use git2::{Commit, Delta, DiffFormat, DiffOptions, Oid};

use super::{
    error::{ErrorContext, Result},
    objects::tree_diff,
    options::CheckpointOptions,
    refs,
    repository::WorktreeRepository,
    restore::target,
};
use crate::domain::{
    checkpoint::{
        ChangeKind, CheckpointDetails, CheckpointDiff, CheckpointEntry, CheckpointError,
        CheckpointKind, checkpoint_name, snapshot_message::SnapshotMessage,
    },
    state_folder::is_state_path,
};

/// Lists checkpoints, then safety snapshots.
pub(super) fn blocking_list(options: &CheckpointOptions) -> Result<Vec<CheckpointEntry>> {
    let home = WorktreeRepository::open(&options.root)?;
    let mut lines = Vec::new();
    for (sort, prefix) in sorts(&home) {
        for (number, id) in refs::numbered(&home, prefix)? {
            lines.push(listed(&home, sort, number, id)?);
        }
    }
    Ok(lines)
}

/// Describes one.
pub(super) fn blocking_show(
    options: &CheckpointOptions,
    which: Option<&str>,
) -> Result<CheckpointDetails> {
    let home = WorktreeRepository::open(&options.root)?;
    let id = find(&home, which)?;
    let reading = || format!("could not read commit {id}");
    let commit = home.git.find_commit(id).doing(reading)?;
    let parent = commit.parent(0).ok().map(|parent| parent.tree_id());
    let changes = tree_diff::compare(&home, parent, Some(commit.tree_id()))?;
    let author = commit.author();
    let (sort, number) = standing(&home, id)?;
    Ok(CheckpointDetails {
        listed: listed(&home, sort, number, id)?,
        author: String::from_utf8_lossy(author.name_bytes()).into_owned(),
        changes: tree_diff::shown(&changes),
    })
}

/// Compares one with the files as they are now.
pub(super) fn blocking_diff(
    options: &CheckpointOptions,
    which: Option<&str>,
) -> Result<CheckpointDiff> {
    let home = WorktreeRepository::open(&options.root)?;
    let id = find(&home, which)?;
    let comparing = || format!("could not compare {id} with the work tree");
    let tree = home
        .git
        .find_commit(id)
        .and_then(|commit| commit.tree())
        .doing(comparing)?;
    let mut wanted = DiffOptions::new();
    wanted
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .show_untracked_content(true)
        .include_typechange(true)
        .ignore_submodules(true);
    let diff = home
        .git
        .diff_tree_to_workdir_with_index(Some(&tree), Some(&mut wanted))
        .doing(comparing)?;
    let mut changes = tree_diff::TreeChanges::new();
    for delta in diff.deltas() {
        let (kind, file) = match delta.status() {
            Delta::Added | Delta::Untracked => (ChangeKind::Added, delta.new_file()),
            Delta::Deleted => (ChangeKind::Deleted, delta.old_file()),
            _ => (ChangeKind::Modified, delta.new_file()),
        };
        if let Some(path) = file
            .path_bytes()
            .filter(|path| !path.ends_with(b"/") && !is_state_path(path))
        {
            changes.insert(path.to_vec(), kind);
        }
    }
    let mut patch = String::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            patch.push(line.origin());
        }
        patch.push_str(&String::from_utf8_lossy(line.content()));
        true
    })
    .doing(comparing)?;
    Ok(CheckpointDiff {
        hash: id.to_string(),
        changes: tree_diff::shown(&changes),
        patch,
    })
}

fn find(home: &WorktreeRepository, which: Option<&str>) -> Result<Oid> {
    let Some(which) = which else {
        return target::newest(home);
    };
    target::blocking_find_here(home, which)?.ok_or_else(|| CheckpointError::Unknown {
        target: which.to_owned(),
        fetch: None,
    })
}

/// Returns under which number a commit is known; 0 where it is none of ours.
fn standing(home: &WorktreeRepository, id: Oid) -> Result<(CheckpointKind, u32)> {
    for (sort, prefix) in sorts(home) {
        let all = refs::numbered(home, prefix)?;
        if let Some((number, _)) = all.into_iter().rev().find(|(_, other)| *other == id) {
            return Ok((sort, number));
        }
    }
    Ok((CheckpointKind::Checkpoint, 0))
}

fn sorts(home: &WorktreeRepository) -> [(CheckpointKind, &str); 2] {
    [
        (CheckpointKind::Checkpoint, &home.refs.checkpoints),
        (CheckpointKind::Safety, &home.refs.safety),
    ]
}

fn listed(
    home: &WorktreeRepository,
    sort: CheckpointKind,
    number: u32,
    id: Oid,
) -> Result<CheckpointEntry> {
    let commit = home
        .git
        .find_commit(id)
        .doing(|| format!("could not read commit {id}"))?;
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let subject = || message.lines().next().unwrap_or_default().to_owned();
    let name = match sort {
        CheckpointKind::Checkpoint => checkpoint_name(&message).map(str::to_owned),
        CheckpointKind::Safety => SnapshotMessage::from_message(&message).map(|note| note.reason),
    };
    Ok(CheckpointEntry {
        sort,
        number,
        hash: id.to_string(),
        name: name.unwrap_or_else(subject),
        at: moment(&commit),
    })
}

fn moment(commit: &Commit<'_>) -> String {
    let time = commit.time();
    let offset = FixedOffset::east_opt(time.offset_minutes() * 60);
    DateTime::from_timestamp(time.seconds(), 0)
        .zip(offset)
        .map(|(at, offset)| at.with_timezone(&offset).to_rfc3339())
        .unwrap_or_default()
}
