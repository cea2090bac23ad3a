//! What a rollback leaves as it is, or moves out of its way, and a person should know of: submodules, other branches, a
//! rebase, repositories in the place of files, files that nobody may change.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use git2::{BranchType, Oid};
use rustix::fs::{IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags, open};

use super::{rewrite::parents, tree::holds_repository};
use crate::{
    adapters::{
        git::{
            error::{ErrorContext, Result, path_text},
            index::{Index, SUBMODULE, Stat},
            objects::{
                object::{ObjectId, hex},
                tree_diff::TreeChanges,
            },
            paths::absolute,
            repository::WorktreeRepository,
            snapshot::{captured::detect_by_file, index_delta::IndexDelta},
        },
        state_folder,
    },
    domain::{
        checkpoint::{ChangeKind, display_path, snapshot_message::HeadState},
        redaction::secret_files,
        state_folder::tos_path,
    },
};

/// Says that an operation goes on although the files were taken back.
pub(in crate::adapters::git) fn unfinished(what: &str) -> String {
    format!("{what} is still under way: `git status` says how to continue or abort it")
}

/// Says that a branch was moved to a commit that is not in its history.
pub(in crate::adapters::git) fn other_history(
    home: &WorktreeRepository,
    head: &HeadState,
    target: Oid,
) -> Option<String> {
    let at = Oid::from_str(head.commit()?).ok()?;
    let is_older = at == target || home.git.graph_descendant_of(at, target).unwrap_or(true);
    let is_newer = home.git.graph_descendant_of(target, at).unwrap_or(true);
    if is_older || is_newer {
        return None;
    }
    let moved = head.branch().unwrap_or("HEAD");
    let branches = home.git.branches(Some(BranchType::Local)).ok()?;
    let names = branches.flatten().filter_map(|(branch, _)| {
        let tip = branch.get().target()?;
        let holds = tip == target || home.git.graph_descendant_of(tip, target).ok()?;
        let name = branch.name().ok().flatten()?.to_owned();
        (holds && name != moved).then(|| format!("`{name}`"))
    });
    let names: Vec<String> = names.take(3).collect();
    let of = match names.as_slice() {
        [] => "no branch".to_owned(),
        names => names.join(", "),
    };
    Some(format!(
        "`{moved}` points at a commit of {of} now, which was not in its history; its commits are kept by the snapshot"
    ))
}

/// Names the submodules that stand elsewhere than a goal has them.
pub(in crate::adapters::git) fn moved_submodules(
    index: &Index,
    deltas: &[IndexDelta],
) -> Vec<String> {
    let moved = deltas.iter().filter_map(|delta| {
        let entry = delta.before.and_then(|at| index.entries.get(at));
        let here = entry.filter(|entry| entry.mode == SUBMODULE);
        let there = delta.after.filter(|(mode, _)| *mode == SUBMODULE);
        let path = display_path(&delta.path);
        let short = |id: &ObjectId| hex(id).chars().take(12).collect::<String>();
        match (here, there) {
            (Some(here), Some((_, there))) => Some(format!(
                "the submodule `{path}` stays on {}, the target has {}: `git submodule update {path}` moves it",
                short(&here.id),
                short(&there)
            )),
            (Some(_), None) => Some(format!(
                "the submodule `{path}` stays, the target does not have it"
            )),
            (None, Some((_, there))) => Some(format!(
                "the submodule `{path}` is not here, the target has it on {}: `git submodule update --init {path}` brings it",
                short(&there)
            )),
            (None, None) => None,
        }
    });
    moved.collect()
}

/// Returns the files that look like secrets among those that only the snapshot will hold.
pub(in crate::adapters::git) fn blocking_secrets<'a>(
    home: &WorktreeRepository,
    uncommitted: &'a TreeChanges,
    endangered: impl IntoIterator<Item = &'a Vec<u8>>,
) -> BTreeSet<String> {
    let there = uncommitted.iter();
    let there = there.filter(|(_, kind)| **kind != ChangeKind::Deleted);
    let paths = there.map(|(path, _)| path).chain(endangered);
    let secret = |path: &Vec<u8>| {
        let by_path = secret_files::detect_by_path(path);
        by_path
            .or_else(|| detect_by_file(&home.top, path))
            .is_some()
    };
    paths
        .filter(|path| secret(path))
        .map(|path| display_path(path))
        .collect()
}

/// Says that files which a checkpoint would refuse are in a snapshot, and how they get out of it.
pub(in crate::adapters::git) fn kept_secrets(
    secrets: &BTreeSet<String>,
    reference: &str,
) -> Option<String> {
    const NAMED: usize = 5;
    let mut named: Vec<&str> = secrets.iter().take(NAMED).map(String::as_str).collect();
    if named.is_empty() {
        return None;
    }
    let more = format!("{} more", secrets.len().saturating_sub(NAMED));
    if secrets.len() > NAMED {
        named.push(&more);
    }
    Some(format!(
        "what looks like secrets is in the snapshot ({}): it stays on this machine, in {reference}, until `git update-ref -d \
         {reference}` and `git gc --prune=now`",
        named.join(", ")
    ))
}

/// Moves repositories that stand where a goal has files into the state folder: no snapshot can hold them.
pub(in crate::adapters::git) fn blocking_move_repositories(
    home: &WorktreeRepository,
    deltas: &[IndexDelta],
) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for delta in deltas {
        let place = absolute(&home.top, &delta.path);
        let is_file = delta.after.is_some_and(|(mode, _)| mode != SUBMODULE);
        let is_folder = place.symlink_metadata().is_ok_and(|data| data.is_dir());
        if !is_file || !is_folder || !holds_repository(&place) {
            continue;
        }
        let folder = home.top.join(tos_path!("set-aside"));
        state_folder::create_dir_all(&folder).at("create", &folder)?;
        let to = free_name(&folder, &delta.path);
        std::fs::rename(&place, &to).at("move", &place)?;
        told.push(format!(
            "`{}` was another git repository and is now `{}`",
            display_path(&delta.path),
            path_text(&to)
        ));
    }
    Ok(told)
}

fn free_name(folder: &Path, path: &[u8]) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let name: Vec<u8> = path
        .iter()
        .map(|byte| if *byte == b'/' { b'-' } else { *byte })
        .collect();
    let name = OsStr::from_bytes(&name).to_owned();
    let mut number = now.map_or(0, |time| time.as_secs());
    loop {
        let mut all = name.clone();
        all.push(format!("-{number}"));
        let to = folder.join(all);
        if to.symlink_metadata().is_err() {
            return to;
        }
        number += 1;
    }
}

/// Takes the marks off files and folders that keep anybody from changing them, where that is allowed; returns their paths.
pub(in crate::adapters::git) fn blocking_clear_immutable(
    home: &WorktreeRepository,
    deltas: &[IndexDelta],
) -> BTreeSet<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let mut freed = BTreeSet::new();
    for delta in deltas {
        let all = parents(&delta.path).chain([delta.path.clone(), Vec::new()]);
        for path in all {
            if seen.insert(path.clone()) && blocking_free_one(&absolute(&home.top, &path)) {
                freed.insert(path);
            }
        }
    }
    freed
}

/// Takes the new times of freed files over into an index: nobody else has changed them.
pub(in crate::adapters::git) fn blocking_refresh_stats(
    home: &WorktreeRepository,
    index: &mut Index,
    freed: &BTreeSet<Vec<u8>>,
) {
    for path in freed {
        let data = absolute(&home.top, path).symlink_metadata();
        if let (Ok(at), Ok(data)) = (index.find(path), data)
            && let Some(entry) = index.entries.get_mut(at)
        {
            entry.stat = Stat::from(&data);
        }
    }
}

/// Tells whether there was a mark and it is gone. What cannot be asked or freed says so itself when it is written.
fn blocking_free_one(place: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let data = place.symlink_metadata();
    let is_plain = data.is_ok_and(|data| data.is_file() || data.is_dir());
    let opened = is_plain.then(|| open(place, flags, Mode::empty()).ok());
    let Some(file) = opened.flatten().map(File::from) else {
        return false;
    };
    let marks = IFlags::IMMUTABLE | IFlags::APPEND;
    ioctl_getflags(&file).is_ok_and(|all| {
        all.intersects(marks) && ioctl_setflags(&file, all.difference(marks)).is_ok()
    })
}
