//! Finds untracked files that stay on the way to a tree, because the rules of that tree ignore them.
//!
//! The rules of today say what a capture holds, but it is the target's rules that hold on arrival. A file
//! ignored there was never saved there, so removing it would not bring that state back but destroy a part
//! of it: a rollback behind the line that ignores `.env`, and an undo, would otherwise cost the file.

use std::{collections::BTreeSet, path::Path};

use git2::{ErrorCode, ObjectType, Oid, Tree};

use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        index,
        objects::tree_diff::TreeChanges,
        paths::{absolute, folders_above},
        repository::WorktreeRepository,
        snapshot::{captured::IndexState, ignore, scan::UntrackedEntry},
    },
    domain::checkpoint::ChangeKind,
};

const RULES: &str = ".gitignore";

/// Returns the files that go on the way to `goal`, are untracked, and ignored there.
pub(in crate::adapters::git) fn blocking_newly_ignored(
    home: &WorktreeRepository,
    known: &IndexState,
    changes: &TreeChanges,
    goal: Oid,
) -> Result<BTreeSet<Vec<u8>>> {
    let doomed = changes
        .iter()
        .filter(|(_, kind)| **kind == ChangeKind::Deleted)
        .map(|(path, _)| path.clone());
    let mut doomed = blocking_untracked(home, known, doomed.collect())?;
    if doomed.is_empty() {
        return Ok(doomed);
    }
    let tree = home.git.find_tree(goal);
    let tree = tree.doing(|| format!("could not read tree {goal}"))?;
    doomed.retain(|path| has_room(&tree, path));
    let rules = tempfile::tempdir().doing(|| "could not make a temporary directory".to_owned())?;
    blocking_copy_out(home, &tree, &doomed, rules.path())?;
    let name = |path: &Vec<u8>| UntrackedEntry {
        path: path.clone(),
        is_directory: false,
    };
    let git = home.program().with_work_tree(rules.path(), &home.directory);
    for name in ignore::blocking_not_ignored(&git, doomed.iter().map(name).collect())? {
        doomed.remove(&name.path);
    }
    Ok(doomed)
}

fn blocking_untracked(
    home: &WorktreeRepository,
    known: &IndexState,
    mut paths: BTreeSet<Vec<u8>>,
) -> Result<BTreeSet<Vec<u8>>> {
    if let Some(index) = &known.index {
        paths.retain(|path| index.find(path).is_err());
    } else if !paths.is_empty() {
        for tracked in home
            .program()
            .run(&["ls-files", "-z"], b"")?
            .split(|byte| *byte == 0)
        {
            paths.remove(tracked);
        }
    }
    Ok(paths)
}

/// Tells whether a tree has nothing in a path's place, nor a file where its directories are.
fn has_room(tree: &Tree<'_>, path: &[u8]) -> bool {
    let free = |path: &[u8], is_directory: bool| match tree.get_path(&absolute(Path::new(""), path))
    {
        Ok(entry) => is_directory && entry.kind() == Some(ObjectType::Tree),
        Err(error) => error.code() == ErrorCode::NotFound,
    };
    free(path, false) && above(path).all(|directory| directory.is_empty() || free(directory, true))
}

/// Returns the directories a path is in; the top is the empty path.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::once::<&[u8]>(b"").chain(folders_above(path))
}

/// Writes the ignore rules of a tree that concern these paths into a directory of their own.
fn blocking_copy_out(
    home: &WorktreeRepository,
    tree: &Tree<'_>,
    paths: &BTreeSet<Vec<u8>>,
    into: &Path,
) -> Result<()> {
    let directories: BTreeSet<&[u8]> = paths.iter().flat_map(|path| above(path)).collect();
    for directory in directories {
        let file = absolute(Path::new(""), directory).join(RULES);
        let Ok(entry) = tree.get_path(&file) else {
            continue;
        };
        // A link is no rule file to git.
        let is_file = u32::try_from(entry.filemode()).is_ok_and(|mode| mode != index::SYMLINK);
        let Ok(blob) = home.git.find_blob(entry.id()) else {
            continue;
        };
        if is_file {
            let place = absolute(into, directory);
            std::fs::create_dir_all(&place).at("create", &place)?;
            let place = place.join(RULES);
            std::fs::write(&place, blob.content()).at("write", &place)?;
        }
    }
    Ok(())
}
