//! What a checkpoint of the guard is made of: files and folders as they were on the disk.

use std::collections::BTreeMap;

use crate::adapters::git::objects::object::ObjectId;

/// A file as a tree has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TreeFile {
    /// Its mode.
    pub(super) mode: u32,
    /// Its content.
    pub(super) id: ObjectId,
    /// The rights it has on the disk, with all that a tree does not hold; `None` = not known, or a link.
    pub(super) rights: Option<u32>,
}

/// What the tree of a checkpoint is made of, besides its record.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckpointParts {
    /// The tree of files.
    pub(super) files: ObjectId,
    /// The tree of what was staged.
    pub(super) index: Option<ObjectId>,
    /// The rights of files, and folders with theirs.
    pub(super) modes: ObjectId,
}

/// Files by their path from the root.
pub(super) type Files = BTreeMap<Vec<u8>, TreeFile>;

/// A folder of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folder {
    /// Its rights.
    pub(super) rights: u32,
    /// It would be lost itself, and is brought back with these rights; else they matter only where it has to be made again.
    pub(super) is_lost: bool,
}

/// Folders by their path from the root.
pub(super) type Folders = BTreeMap<Vec<u8>, Folder>;
