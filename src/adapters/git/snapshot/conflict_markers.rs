//! Refuses to take a checkpoint of conflict markers.

use super::captured::IndexState;
use crate::{
    adapters::git::{error::Result, index, repository::WorktreeRepository},
    domain::checkpoint::{CheckpointError, display_path},
};

/// Fails where the index has unmerged paths, naming the first.
pub(in crate::adapters::git) fn refuse_unmerged(
    home: &WorktreeRepository,
    known: &IndexState,
) -> Result<()> {
    match &known.index {
        Some(index) => refuse_in(index),
        None => refuse_by_program(home),
    }
}

fn refuse_by_program(home: &WorktreeRepository) -> Result<()> {
    let listed = home.program().run(&["ls-files", "-u", "-z"], b"")?;
    let first = listed.split(|byte| *byte == 0).next().unwrap_or_default();
    match first.splitn(2, |byte| *byte == b'\t').nth(1) {
        None => Ok(()),
        Some(path) => Err(unresolved(path, 0)),
    }
}

fn refuse_in(index: &index::Index) -> Result<()> {
    match index.conflicts().as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => Err(unresolved(first, rest.len())),
    }
}

fn unresolved(path: &[u8], more: usize) -> CheckpointError {
    let others = match more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    CheckpointError::InTheWay {
        path: display_path(path),
        why: format!("it has unresolved conflicts{others}; resolve them and `git add` it first"),
    }
}
