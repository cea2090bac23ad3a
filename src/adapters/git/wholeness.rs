//! Notices that objects are missing before something is said to be kept that could never come back.
//!
//! What did not change is taken over from the index without being read, so a damaged repository would go
//! unnoticed until a rollback. Only what a commit refers to from near is looked for: a few look-ups.

use std::path::Path;

use git2::{ErrorClass, ErrorCode, ObjectType, Odb, Oid};

use super::{
    capture::{self, Capture},
    error::{Doing, Result, text},
    home::Home,
    object::{EMPTY_TREE, Id},
};
use crate::domain::checkpoint::{Failure, shown_path};

/// Fails where a commit of the captured tree, upon one whose tree is `parent`, would hang in the air.
pub(super) fn refuse_damaged(home: &Home, captured: &Capture, parent: Option<Oid>) -> Result<()> {
    // There, git fetches what is missing when it is needed.
    if home.config("extensions.partialclone").is_some() {
        return Ok(());
    }
    let odb = home.git.odb();
    let odb = odb.doing(|| "could not open the object database".to_owned())?;
    let look = |id: &Id, what: &dyn Fn() -> String| {
        if captured.pack.has(id) || *id == EMPTY_TREE || is_stored(&odb, id) {
            return Ok(());
        }
        let what = format!(
            "the tree of {}, {}, is missing",
            what(),
            super::object::hex(id)
        );
        Err(damaged(&home.top, what))
    };
    if let Some(parent) = parent {
        look(&super::safety::to_id(&parent), &|| {
            "the commit before".to_owned()
        })?;
    }
    look(&captured.tree, &|| "the files as they are".to_owned())?;
    for (name, id) in folders(home, captured)? {
        look(&id, &|| format!("the folder `{}`", shown_path(&name)))?;
    }
    Ok(())
}

/// Makes a failure that comes from a missing object say so.
pub(super) fn named(root: &Path, failure: Failure) -> Failure {
    let Failure::Io { doing, source } = failure else {
        return failure;
    };
    let is_gap = |error: &git2::Error| {
        error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Odb
    };
    if source.downcast_ref().is_some_and(is_gap) {
        return damaged(root, format!("{doing}, which is missing"));
    }
    Failure::Io { doing, source }
}

/// Returns the directories at the top with their trees.
fn folders(home: &Home, captured: &Capture) -> Result<Vec<(Vec<u8>, Id)>> {
    if let Some(tree) = captured
        .memory
        .as_ref()
        .and_then(|index| index.tree.as_ref())
    {
        let known = |child: &super::index::CacheTree| {
            let (id, _) = child.valid?;
            Some((child.name.clone(), id))
        };
        return Ok(tree.children.iter().filter_map(known).collect());
    }
    let id = capture::oid(&captured.tree)?;
    let tree = home.git.find_tree(id);
    let tree = tree.doing(|| format!("could not read tree {id}"))?;
    let below = tree
        .iter()
        .filter(|entry| entry.kind() == Some(ObjectType::Tree));
    Ok(below
        .map(|entry| {
            (
                entry.name_bytes().to_vec(),
                super::safety::to_id(&entry.id()),
            )
        })
        .collect())
}

fn is_stored(odb: &Odb<'_>, id: &Id) -> bool {
    Oid::from_bytes(id).is_ok_and(|id| odb.exists(id))
}

fn damaged(repository: &Path, what: String) -> Failure {
    Failure::Damaged {
        repository: text(repository),
        what,
    }
}
