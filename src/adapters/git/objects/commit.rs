//! Writes commits into a pack, so that they become durable with the objects they need.

use git2::Oid;

use super::{
    object::{ObjectId, ObjectKind},
    pack::PackWriter,
};
use crate::adapters::git::{
    error::{ErrorContext, Result},
    repository::WorktreeRepository,
};

/// Adds a commit to a pack and returns its id.
pub(in crate::adapters::git) fn add_commit(
    home: &WorktreeRepository,
    pack: &mut PackWriter,
    tree: &ObjectId,
    parents: &[Oid],
    message: &str,
) -> Result<Oid> {
    let mut text = format!("tree {}\n", super::object::hex(tree)).into_bytes();
    for parent in parents {
        text.extend(format!("parent {parent}\n").into_bytes());
    }
    let person = person(home)?;
    for role in ["author ", "committer "] {
        text.extend(role.as_bytes());
        text.extend(&person);
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend(message.as_bytes());
    let id = pack.add(ObjectKind::Commit, &text)?;
    Oid::from_bytes(&id).doing(|| "could not name a commit".to_owned())
}

fn person(home: &WorktreeRepository) -> Result<Vec<u8>> {
    let signature = home.signature()?;
    let when = signature.when();
    let minutes = when.offset_minutes();
    let mut text = signature.name_bytes().to_vec();
    text.extend(b" <");
    text.extend(signature.email_bytes());
    text.extend(
        format!(
            "> {} {}{:02}{:02}",
            when.seconds(),
            when.sign(),
            minutes.abs() / 60,
            minutes.abs() % 60
        )
        .into_bytes(),
    );
    Ok(text)
}
