//! Objects before they are stored: their ids and their deflated bytes.

use git2::Oid;

use crate::adapters::git::{
    error::{ErrorContext, Result},
    repository::WorktreeRepository,
};
use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use sha1::{Digest, Sha1};

pub(in crate::adapters::git) use crate::domain::hash::hex;

/// The SHA-1 name of an object.
pub(in crate::adapters::git) type ObjectId = [u8; 20];

/// The id of the tree without entries.
pub(in crate::adapters::git) const EMPTY_TREE: ObjectId = [
    0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6, 0x92, 0x88,
    0xfb, 0xee, 0x49, 0x04,
];

/// The id of the blob without bytes.
pub(in crate::adapters::git) const EMPTY_BLOB: ObjectId = [
    0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b, 0x29, 0xae, 0x77, 0x5a, 0xd8, 0xc2,
    0xe4, 0x8c, 0x53, 0x91,
];

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapters::git) enum ObjectKind {
    Commit,
    Tree,
    Blob,
}

impl ObjectKind {
    fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }

    /// Returns the number packs use for it.
    pub(in crate::adapters::git) fn number(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Tree => 2,
            Self::Blob => 3,
        }
    }
}

/// Starts the hash of an object of this size.
pub(in crate::adapters::git) fn hasher(kind: ObjectKind, size: u64) -> Sha1 {
    let mut hasher = Sha1::new();
    hasher.update(format!("{} {size}\0", kind.word()));
    hasher
}

/// Returns the id of an object.
pub(in crate::adapters::git) fn id_of(kind: ObjectKind, content: &[u8]) -> ObjectId {
    let mut hasher = hasher(kind, content.len() as u64);
    hasher.update(content);
    hasher.finalize().into()
}

/// An object ready for a pack.
#[derive(Debug)]
pub(in crate::adapters::git) struct PackedObject {
    /// Its id.
    pub(in crate::adapters::git) id: ObjectId,
    /// Its header and deflated content as a pack holds them.
    pub(in crate::adapters::git) bytes: Vec<u8>,
}

/// Hashes and deflates an object.
pub(in crate::adapters::git) fn pack_object(kind: ObjectKind, content: &[u8]) -> PackedObject {
    pack_object_as(id_of(kind, content), kind, content)
}

/// Deflates an object whose id is known.
pub(in crate::adapters::git) fn pack_object_as(
    id: ObjectId,
    kind: ObjectKind,
    content: &[u8],
) -> PackedObject {
    let mut bytes = Vec::with_capacity(content.len() / 2 + 32);
    pack_header(kind, content.len() as u64, &mut bytes);
    let mut encoder = ZlibEncoder::new(bytes, Compression::fast());
    let written = encoder.write_all(content);
    debug_assert!(written.is_ok(), "memory takes every byte");
    let bytes = encoder.finish().unwrap_or_default();
    PackedObject { id, bytes }
}

/// Appends the type and size of a pack entry.
pub(in crate::adapters::git) fn pack_header(kind: ObjectKind, size: u64, bytes: &mut Vec<u8>) {
    let mut byte = (kind.number() << 4) | low_bits(size, 0x0f);
    let mut rest = size >> 4;
    while rest > 0 {
        bytes.push(byte | 0x80);
        byte = low_bits(rest, 0x7f);
        rest >>= 7;
    }
    bytes.push(byte);
}

fn low_bits(value: u64, mask: u8) -> u8 {
    value.to_le_bytes()[0] & mask
}

/// Returns the object database's directory.
pub(in crate::adapters::git) fn objects(home: &WorktreeRepository) -> std::path::PathBuf {
    home.git.commondir().join("objects")
}

/// Returns an id as libgit2 has it.
pub(in crate::adapters::git) fn to_oid(id: &ObjectId) -> Result<Oid> {
    Oid::from_bytes(id).doing(|| "could not name an object".to_owned())
}

/// Reads the id `git write-tree` printed.
pub(in crate::adapters::git) fn parse_tree_id(printed: &[u8]) -> Result<ObjectId> {
    let text = String::from_utf8_lossy(printed);
    let id = Oid::from_str(text.trim()).doing(|| "could not read a tree's id".to_owned())?;
    id.as_bytes()
        .try_into()
        .doing(|| "could not read a tree's id".to_owned())
}

/// Returns an id as bytes.
pub(in crate::adapters::git) fn to_object_id(id: &Oid) -> ObjectId {
    id.as_bytes().try_into().unwrap_or(EMPTY_TREE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_ids_are_right() {
        assert_eq!(id_of(ObjectKind::Blob, b""), EMPTY_BLOB);
        assert_eq!(id_of(ObjectKind::Tree, b""), EMPTY_TREE);
        assert_eq!(
            hex(&id_of(ObjectKind::Blob, b"hello\n")),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
    }

    #[test]
    fn sizes_are_written_four_bits_first_and_seven_after() {
        let header = |size| {
            let mut bytes = Vec::new();
            pack_header(ObjectKind::Blob, size, &mut bytes);
            bytes
        };
        assert_eq!(header(15), [0x3f]);
        assert_eq!(header(16), [0xb0, 0x01]);
        assert_eq!(header(300), [0xbc, 0x12]);
    }
}
