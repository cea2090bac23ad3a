//! Turns the work tree, untracked files included, into a tree and an index that describes it.
//!
//! Two ways lead to the same result. The git program can do it everywhere; `fast_capture` does it several
//! times quicker where it can be sure of the same answer, and declines elsewhere.

use std::{cell::RefCell, ffi::OsString, os::unix::ffi::OsStringExt};

use super::fast_capture;
use crate::{
    adapters::git::{
        error::Result,
        index::publish::TemporaryIndex,
        objects::{
            object::{objects, parse_tree_id, to_oid},
            pack::PackWriter,
            tree_diff,
            tree_diff::TreeChanges,
        },
        options::{CheckpointOptions, Engine},
        paths::is_left_out,
        repository::WorktreeRepository,
        snapshot::captured::{
            CaptureOptions, IndexState, WorktreeCapture, detect_by_file, suspected_secret,
        },
    },
    domain::{
        checkpoint::{ChangeKind, CheckpointError, SuspectedSecret},
        redaction::secret_files,
    },
};

/// Captures the work tree, the quick way where it is certain.
pub(in crate::adapters::git) fn blocking_capture(
    options: &CheckpointOptions,
    home: &WorktreeRepository,
    wish: CaptureOptions<'_>,
    known: &IndexState,
) -> Result<WorktreeCapture> {
    let fast = match options.engine {
        Engine::Native => fast_capture::blocking_capture(home, wish, known)?,
        Engine::Program => None,
    };
    fast.map_or_else(|| blocking_by_program(home, wish, known), Ok)
}

/// Makes git leave the state of tos alone, tracked or not.
pub(in crate::adapters::git) const EXCLUDE_STATE: [&str; 2] = [
    ":(exclude,top,glob)**/.tos/**",
    ":(exclude,top,glob)**/.orch/**",
];

/// Captures the work tree with the git program.
fn blocking_by_program(
    home: &WorktreeRepository,
    wish: CaptureOptions<'_>,
    known: &IndexState,
) -> Result<WorktreeCapture> {
    let scratch = TemporaryIndex::copy_of(&home.index_path(), &home.directory)?;
    let git = home.program().with_index(scratch.path());
    let untracked = git.run(&["ls-files", "-o", "-z", "--exclude-standard"], b"")?;
    let left_alone: Vec<Vec<u8>> = untracked
        .split(|byte| *byte == 0)
        .filter_map(|path| path.strip_suffix(b"/"))
        .filter(|path| !is_left_out(path, wish.excluded))
        .map(<[u8]>::to_vec)
        .collect();
    let mut arguments: Vec<OsString> = ["add", "-A", "--sparse", "--", "."]
        .map(OsString::from)
        .into();
    arguments.extend(EXCLUDE_STATE.map(OsString::from));
    let untouched = excluded_untracked(&git, wish.excluded)?;
    for path in left_alone.iter().chain(&untouched) {
        let spec = [b":(exclude,literal,top)", path.as_slice()].concat();
        arguments.push(OsString::from_vec(spec));
    }
    git.run(&arguments, b"")?;
    let tree = parse_tree_id(&git.run(&["write-tree"], b"")?)?;
    let capture = WorktreeCapture {
        tree,
        index: Some(scratch),
        stamp: known.stamp.clone(),
        left_alone,
        pack: PackWriter::new(&objects(home)),
        memory: None,
        directories: Vec::new(),
        plain: None,
        deltas: RefCell::default(),
    };
    if wish.refuse_secrets {
        refuse_secrets(home, &capture)?;
    }
    Ok(capture)
}

/// Adds files that are on disk and in no captured tree, so that a snapshot holds them: ignored ones,
/// and ones that the index says not to look at.
pub(in crate::adapters::git) fn blocking_add_unseen(
    home: &WorktreeRepository,
    capture: &mut WorktreeCapture,
    ignored: &[Vec<u8>],
    hidden: &[Vec<u8>],
) -> Result<()> {
    if capture.index.is_none() {
        capture.index = Some(TemporaryIndex::copy_of(
            &home.index_path(),
            &home.directory,
        )?);
    }
    capture.memory = None;
    let Some(scratch) = &capture.index else {
        return Ok(());
    };
    let git = home.program().with_index(scratch.path());
    if !hidden.is_empty() {
        let names: Vec<u8> = hidden.join(&0_u8);
        for flag in ["--no-assume-unchanged", "--no-skip-worktree"] {
            git.run(&["update-index", flag, "-z", "--stdin"], &names)?;
        }
    }
    let arguments = [
        "add",
        "-f",
        "--sparse",
        "--pathspec-from-file=-",
        "--pathspec-file-nul",
    ];
    let specs: Vec<u8> = ignored
        .iter()
        .chain(hidden)
        .flat_map(|path| [b":(literal,top)", path.as_slice(), b"\0"].concat())
        .collect();
    git.run(&arguments, &specs)?;
    // The tree of the capture may only be in its pack, which the program cannot see yet.
    let ready = std::mem::replace(&mut capture.pack, PackWriter::new(&objects(home)));
    ready.finish()?;
    capture.tree = parse_tree_id(&git.run(&["write-tree"], b"")?)?;
    Ok(())
}

/// Pathspecs cannot leave out only what is untracked, so the untracked paths are named one by one.
fn excluded_untracked(
    git: &crate::adapters::git::program::GitProgram,
    excluded: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>> {
    let listed = git.run(&["ls-files", "-o", "-z", "--exclude-standard"], b"")?;
    let paths = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    Ok(paths
        .filter(|path| is_left_out(path, excluded))
        .map(|path| path.strip_suffix(b"/").unwrap_or(path).to_vec())
        .collect())
}

fn refuse_secrets(home: &WorktreeRepository, capture: &WorktreeCapture) -> Result<()> {
    let head = home.tree_of(home.head()?.commit())?;
    let changes = tree_diff::compare_files(home, head, Some(to_oid(&capture.tree)?))?;
    let suspects = suspects(home, &changes);
    if suspects.is_empty() {
        Ok(())
    } else {
        Err(CheckpointError::Secrets { suspects })
    }
}

fn suspects(home: &WorktreeRepository, changes: &TreeChanges) -> Vec<SuspectedSecret> {
    let stays = changes
        .iter()
        .filter(|(_, kind)| **kind != ChangeKind::Deleted);
    stays
        .filter_map(|(path, _)| {
            let looks_like =
                secret_files::detect_by_path(path).or_else(|| detect_by_file(&home.top, path))?;
            Some(suspected_secret(path, looks_like))
        })
        .collect()
}
