//! Finds the commit a person means: a number, a name, a hash, any revision, or the newest checkpoint.

use std::time::Duration;

use git2::{ErrorCode, Oid};

use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        options::CheckpointOptions,
        refs,
        repository::WorktreeRepository,
    },
    domain::checkpoint::{CheckpointError, checkpoint_name},
};

/// A commit and how it was found.
#[derive(Debug)]
pub(in crate::adapters::git) struct ResolvedCommit {
    /// The commit.
    pub(in crate::adapters::git) commit: Oid,
    /// True where it came from a remote just now.
    pub(in crate::adapters::git) fetched: bool,
    /// What went wrong on the way.
    pub(in crate::adapters::git) warnings: Vec<String>,
}

/// Finds a rollback's target; asks the remotes only for what is not here.
pub(in crate::adapters::git) fn blocking_find(
    options: &CheckpointOptions,
    home: &WorktreeRepository,
    target: Option<&str>,
) -> Result<ResolvedCommit> {
    let here = |commit| ResolvedCommit {
        commit,
        fetched: false,
        warnings: Vec::new(),
    };
    let target = match target {
        Some(target) => target.to_owned(),
        None => return newest(home).map(here),
    };
    if let Some(commit) = blocking_find_here(home, &target)? {
        return Ok(here(commit));
    }
    let unknown = |fetch| CheckpointError::Unknown {
        target: target.clone(),
        fetch,
    };
    let remotes = home
        .git
        .remotes()
        .doing(|| "could not list the remotes".to_owned())?;
    if remotes.is_empty() {
        return Err(unknown(None));
    }
    let trouble = blocking_fetch(home, &target, options.fetch_deadline);
    match blocking_find_here(home, &target)? {
        Some(commit) => Ok(ResolvedCommit {
            commit,
            fetched: true,
            warnings: trouble.into_iter().collect(),
        }),
        None => {
            Err(unknown(Some(trouble.unwrap_or_else(|| {
                "git fetch did not bring it".to_owned()
            }))))
        }
    }
}

/// Finds a commit in the repository as it is.
pub(in crate::adapters::git) fn blocking_find_here(
    home: &WorktreeRepository,
    target: &str,
) -> Result<Option<Oid>> {
    if let Some(digits) = target.strip_prefix("safety/") {
        let all = refs::numbered(home, &home.refs.safety)?;
        return Ok(numbered(&all, digits).map(|(_, id)| id));
    }
    let all = refs::numbered(home, &home.refs.checkpoints)?;
    if let Some(digits) = target.strip_prefix("checkpoints/")
        && let Some((_, commit)) = numbered(&all, digits)
    {
        return Ok(Some(commit));
    }
    if let Some((_, commit)) = the_one(target, numbered(&all, target), named(home, &all, target))? {
        return Ok(Some(commit));
    }
    match home.git.revparse_single(&format!("{target}^{{commit}}")) {
        Ok(object) => Ok(Some(object.id())),
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::NotFound
                    | ErrorCode::InvalidSpec
                    | ErrorCode::Peel
                    | ErrorCode::Ambiguous
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).doing(|| format!("could not look for `{target}`")),
    }
}

/// Returns the newest checkpoint of this work tree.
pub(in crate::adapters::git) fn newest(home: &WorktreeRepository) -> Result<Oid> {
    let below = &home.refs.checkpoints;
    let all = refs::numbered(home, below)?;
    all.last()
        .map(|(_, id)| *id)
        .ok_or_else(|| CheckpointError::NoCheckpoint {
            below: below.clone(),
        })
}

/// A ref by its number.
type NumberedRef = (u32, Oid);

/// Nobody can tell which of two a person means who says a number that is a name, too.
fn the_one(
    target: &str,
    numbered: Option<NumberedRef>,
    named: Option<NumberedRef>,
) -> Result<Option<NumberedRef>> {
    match (numbered, named) {
        (Some(one), Some(other)) if one.1 != other.1 => Err(CheckpointError::Ambiguous {
            target: target.to_owned(),
            number: one.0,
            numbered: one.1.to_string(),
            other: other.0,
            named: other.1.to_string(),
        }),
        (one, other) => Ok(one.or(other)),
    }
}

fn numbered(all: &[NumberedRef], digits: &str) -> Option<NumberedRef> {
    let number: u32 = digits.parse().ok()?;
    all.iter().find(|(n, _)| *n == number).copied()
}

fn named(home: &WorktreeRepository, all: &[NumberedRef], name: &str) -> Option<NumberedRef> {
    let is_it = |(_, id): &&NumberedRef| {
        let commit = home.git.find_commit(*id).ok();
        commit.is_some_and(|commit| commit.message().ok().and_then(checkpoint_name) == Some(name))
    };
    all.iter().rev().find(is_it).copied()
}

/// Fetches everything, and the hash itself where that was not enough; returns what went wrong.
fn blocking_fetch(home: &WorktreeRepository, target: &str, deadline: Duration) -> Option<String> {
    let git = home.program().with_deadline(deadline);
    let all = git.run(&["fetch", "--quiet", "--all"], b"").err();
    let is_hash = target.len() == 40 && target.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash && matches!(blocking_find_here(home, target), Ok(None)) {
        let remotes = home.git.remotes().ok();
        for remote in remotes.iter().flatten().flatten().flatten() {
            if git.run(&["fetch", "--quiet", remote, target], b"").is_ok() {
                break;
            }
        }
    }
    all.map(|failure| failure.to_string())
}
