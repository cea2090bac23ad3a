//! Notices that objects are missing before something is said to be kept that could never come back.
//!
//! What did not change is taken over from the index without being read, so a damaged repository would go
//! unnoticed until a rollback. Only what a commit refers to from near and a sample of the rest are
//! looked for: a few dozen look-ups, whatever the size.

use std::{collections::VecDeque, path::Path};

use git2::{ErrorClass, ErrorCode, ObjectType, Odb, Oid};

use super::object::{EMPTY_TREE, ObjectId};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result, path_text},
        index::{CacheTree, SUBMODULE},
        objects::object,
        repository::WorktreeRepository,
        snapshot::captured::WorktreeCapture,
    },
    domain::checkpoint::{CheckpointError, display_path},
};

/// How many directories, and how many files, are looked for.
const MOST: usize = 32;

/// Fails where a commit of the captured tree, upon one whose tree is `parent`, would hang in the air.
pub(in crate::adapters::git) fn refuse_damaged(
    home: &WorktreeRepository,
    captured: &WorktreeCapture,
    parent: Option<Oid>,
) -> Result<()> {
    // There, git fetches what is missing when it is needed.
    if home.config("extensions.partialclone").is_some() {
        return Ok(());
    }
    let odb = home.git.odb();
    let odb = odb.doing(|| "could not open the object database".to_owned())?;
    let look = |id: &ObjectId, what: &str, path: &[u8]| {
        if captured.pack.has(id) || *id == EMPTY_TREE || is_stored(&odb, id) {
            return Ok(());
        }
        let of = match path {
            b"" => String::new(),
            path => format!(" `{}`", display_path(path)),
        };
        let what = format!("the {what}{of}, {}, is missing", super::object::hex(id));
        Err(damaged(&home.top, what))
    };
    if let Some(parent) = parent {
        look(
            &super::object::to_object_id(&parent),
            "tree of the commit before",
            b"",
        )?;
    }
    look(&captured.tree, "tree of the files as they are", b"")?;
    for (path, id) in folders(home, captured)? {
        look(&id, "tree of the folder", &path)?;
    }
    for (path, id) in some_files(captured) {
        look(&id, "content of the file", &path)?;
    }
    Ok(())
}

/// Makes a failure that comes from a missing object say so.
pub(in crate::adapters::git) fn name_missing_object(
    root: &Path,
    failure: CheckpointError,
) -> CheckpointError {
    let CheckpointError::Io { doing, source } = failure else {
        return failure;
    };
    let is_gap = |error: &git2::Error| {
        error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Odb
    };
    if source.downcast_ref().is_some_and(is_gap) {
        return damaged(root, format!("{doing}, which is missing"));
    }
    CheckpointError::Io { doing, source }
}

/// Returns directories with their trees, from the top down, as many as are looked for.
fn folders(
    home: &WorktreeRepository,
    captured: &WorktreeCapture,
) -> Result<Vec<(Vec<u8>, ObjectId)>> {
    if let Some(tree) = captured
        .memory
        .as_ref()
        .and_then(|index| index.tree.as_ref())
    {
        return Ok(remembered(tree));
    }
    let id = object::to_oid(&captured.tree)?;
    let tree = home.git.find_tree(id);
    let tree = tree.doing(|| format!("could not read tree {id}"))?;
    let below = tree
        .iter()
        .filter(|entry| entry.kind() == Some(ObjectType::Tree));
    Ok(below
        .map(|entry| {
            (
                entry.name_bytes().to_vec(),
                super::object::to_object_id(&entry.id()),
            )
        })
        .take(MOST)
        .collect())
}

fn remembered(top: &CacheTree) -> Vec<(Vec<u8>, ObjectId)> {
    let mut waiting = VecDeque::from([(Vec::new(), top)]);
    let mut found = Vec::new();
    while let Some((prefix, tree)) = waiting.pop_front() {
        for child in &tree.children {
            if found.len() == MOST {
                return found;
            }
            let path = [prefix.as_slice(), &child.name].concat();
            found.extend(child.valid.map(|(id, _)| (path.clone(), id)));
            waiting.push_back(([path.as_slice(), b"/"].concat(), child));
        }
    }
    found
}

/// Returns some of the files with their blobs, evenly spread; none where the git program captured, since
/// it looks for those it does not store itself.
fn some_files(captured: &WorktreeCapture) -> Vec<(Vec<u8>, ObjectId)> {
    let Some(index) = &captured.memory else {
        return Vec::new();
    };
    let step = index.entries.len().div_ceil(MOST).max(1);
    let files = index.entries.iter().step_by(step);
    files
        .filter(|entry| entry.mode != SUBMODULE)
        .map(|entry| (index.path(entry).to_vec(), entry.id))
        .collect()
}

fn is_stored(odb: &Odb<'_>, id: &ObjectId) -> bool {
    Oid::from_bytes(id).is_ok_and(|id| odb.exists(id))
}

fn damaged(repository: &Path, what: String) -> CheckpointError {
    CheckpointError::Damaged {
        repository: path_text(repository),
        what,
    }
}
