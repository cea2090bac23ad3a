//! Refs of tos and the one HEAD points at, moved with compare-and-swap and made durable.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid};

use super::{
    error::{ErrorContext, Result},
    objects::pack::blocking_sync,
    repository::WorktreeRepository,
};
use crate::domain::checkpoint::{
    CheckpointError, next_number, ref_number, snapshot_message::HeadState,
};

/// How many numbers in a row may be blocked by locks that killed processes left.
const MOST_LEFT_LOCKS: u32 = 100;

/// Returns the numbered refs below a prefix, lowest first.
pub(super) fn numbered(home: &WorktreeRepository, prefix: &str) -> Result<Vec<(u32, Oid)>> {
    let reading = || format!("could not list {prefix}");
    let mut found = Vec::new();
    let pattern = format!("{prefix}*");
    for reference in home.git.references_glob(&pattern).doing(reading)? {
        let reference = reference.doing(reading)?;
        let number = reference
            .name()
            .ok()
            .and_then(|name| ref_number(name, prefix));
        if let (Some(number), Some(id)) = (number, reference.target()) {
            found.push((number, id));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Points the next free number below a prefix at a commit, durably.
pub(super) fn add_numbered_durably(
    home: &WorktreeRepository,
    prefix: &str,
    id: Oid,
    why: &str,
) -> Result<u32> {
    let number = add_numbered(home, prefix, id, why)?;
    sync(home, &format!("{prefix}{number}"))?;
    Ok(number)
}

/// Points the next free number below a prefix at a commit; `blocking_sync_refs` makes it durable.
pub(super) fn add_numbered(
    home: &WorktreeRepository,
    prefix: &str,
    id: Oid,
    why: &str,
) -> Result<u32> {
    let mut number = next_number(numbered(home, prefix)?.into_iter().map(|(n, _)| n));
    let last = number.saturating_add(MOST_LEFT_LOCKS);
    loop {
        let name = format!("{prefix}{number}");
        match home.git.reference(&name, id, false, why) {
            Ok(_) => return Ok(number),
            Err(error) if error.code() == ErrorCode::Exists => number += 1,
            // A tos that was killed in here leaves the lock of one number behind; only it is lost.
            Err(error) if error.code() == ErrorCode::Locked && number < last => number += 1,
            Err(error) => return Err(error).doing(|| format!("could not write {name}")),
        }
    }
}

/// Moves what HEAD stands on to a commit, if it still stands where it stood; `blocking_sync_refs` makes it
/// durable.
pub(super) fn advance(
    home: &WorktreeRepository,
    head: &HeadState,
    to: Oid,
    why: &str,
) -> Result<()> {
    match head {
        HeadState::Branch { name, at } => move_branch(home, name, at.as_deref(), to, why),
        HeadState::Detached { at } => {
            if home.head()?.commit() != Some(at) {
                return Err(moving("HEAD"));
            }
            home.git
                .set_head_detached(to)
                .doing(|| "could not move HEAD".to_owned())
        }
    }
}

/// Puts HEAD where a snapshot found it, whatever it stands on now.
pub(super) fn restore_head(home: &WorktreeRepository, head: &HeadState, why: &str) -> Result<()> {
    let doing = || format!("could not move HEAD to {head:?}");
    match head {
        HeadState::Detached { at } => {
            let at = Oid::from_str(at).doing(doing)?;
            home.git.set_head_detached(at).doing(doing)
        }
        HeadState::Branch { name, at: Some(at) } => {
            let at = Oid::from_str(at).doing(doing)?;
            home.git.reference(name, at, true, why).doing(doing)?;
            sync(home, name)?;
            point_head(home, name, why)
        }
        HeadState::Branch { name, at: None } => {
            if let Ok(mut branch) = home.git.find_reference(name) {
                branch.delete().doing(doing)?;
            }
            point_head(home, name, why)
        }
    }
}

/// Returns where a branch stands, whether HEAD is on it or not.
pub(super) fn tip(home: &WorktreeRepository, name: &str) -> Option<Oid> {
    home.git.refname_to_id(name).ok()
}

fn point_head(home: &WorktreeRepository, name: &str, why: &str) -> Result<()> {
    if matches!(home.head()?, HeadState::Branch { name: now, .. } if now == name) {
        return Ok(());
    }
    home.git
        .reference_symbolic("HEAD", name, true, why)
        .map(drop)
        .doing(|| format!("could not point HEAD at {name}"))
}

fn move_branch(
    home: &WorktreeRepository,
    name: &str,
    from: Option<&str>,
    to: Oid,
    why: &str,
) -> Result<()> {
    let moved = match from {
        None => home.git.reference(name, to, false, why),
        Some(from) => {
            let from = Oid::from_str(from).doing(|| format!("could not read {name}"))?;
            home.git.reference_matching(name, to, true, from, why)
        }
    };
    match moved {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists) => {
            Err(moving(name))
        }
        Err(error) if error.code() == ErrorCode::Locked => Err(CheckpointError::Locked {
            lock: home
                .git
                .commondir()
                .join(format!("{name}.lock"))
                .display()
                .to_string(),
            waited_ms: 0,
        }),
        Err(error) => Err(error).doing(|| format!("could not move {name}")),
    }
}

fn moving(what: &str) -> CheckpointError {
    CheckpointError::Moving {
        what: what.to_owned(),
    }
}

/// Makes a loose ref durable; a ref that lies elsewhere is in the care of git.
fn sync(home: &WorktreeRepository, name: &str) -> Result<()> {
    blocking_sync_refs(home, &[name])
}

/// Makes loose refs durable together.
pub(super) fn blocking_sync_refs(home: &WorktreeRepository, names: &[&str]) -> Result<()> {
    let place = |name: &&str| match *name {
        "HEAD" => home.directory.join("HEAD"),
        name => home.git.commondir().join(name),
    };
    let files: Vec<PathBuf> = names
        .iter()
        .map(place)
        .filter(|file| file.is_file())
        .collect();
    let folders = files.iter().filter_map(|file| file.parent());
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).chain(folders).collect();
    blocking_sync(&paths)
}

/// Removes a numbered ref whose work was abandoned; a leftover would only be one more list entry.
pub(super) fn drop_numbered(home: &WorktreeRepository, prefix: &str, number: u32) {
    if let Ok(mut reference) = home.git.find_reference(&format!("{prefix}{number}")) {
        drop(reference.delete());
    }
}
