//! Objects before they are stored: their ids and their deflated bytes.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use sha1::{Digest, Sha1};

/// The SHA-1 name of an object.
pub(super) type Id = [u8; 20];

/// The id of the tree without entries.
pub(super) const EMPTY_TREE: Id = [
    0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6, 0x92, 0x88,
    0xfb, 0xee, 0x49, 0x04,
];

/// The id of the blob without bytes.
pub(super) const EMPTY_BLOB: Id = [
    0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b, 0x29, 0xae, 0x77, 0x5a, 0xd8, 0xc2,
    0xe4, 0x8c, 0x53, 0x91,
];

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }

    /// Returns the number packs use for it.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Tree => 2,
            Self::Blob => 3,
        }
    }
}

/// Starts the hash of an object of this size.
pub(super) fn hasher(kind: Kind, size: u64) -> Sha1 {
    let mut hasher = Sha1::new();
    hasher.update(format!("{} {size}\0", kind.word()));
    hasher
}

/// Returns the id of an object.
pub(super) fn id_of(kind: Kind, content: &[u8]) -> Id {
    let mut hasher = hasher(kind, content.len() as u64);
    hasher.update(content);
    hasher.finalize().into()
}

/// An object ready for a pack.
#[derive(Debug)]
pub(super) struct Packed {
    /// Its id.
    pub(super) id: Id,
    /// Its header and deflated content as a pack holds them.
    pub(super) bytes: Vec<u8>,
}

/// Hashes and deflates an object.
pub(super) fn pack_object(kind: Kind, content: &[u8]) -> Packed {
    pack_object_as(id_of(kind, content), kind, content)
}

/// Deflates an object whose id is known.
pub(super) fn pack_object_as(id: Id, kind: Kind, content: &[u8]) -> Packed {
    let mut bytes = Vec::with_capacity(content.len() / 2 + 32);
    pack_header(kind, content.len() as u64, &mut bytes);
    let mut encoder = ZlibEncoder::new(bytes, Compression::fast());
    let written = encoder.write_all(content);
    debug_assert!(written.is_ok(), "memory takes every byte");
    let bytes = encoder.finish().unwrap_or_default();
    Packed { id, bytes }
}

/// Appends the type and size of a pack entry.
pub(super) fn pack_header(kind: Kind, size: u64, bytes: &mut Vec<u8>) {
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

/// Returns an id as hexadecimal text.
pub(super) fn hex(id: &Id) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    id.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_ids_are_right() {
        assert_eq!(id_of(Kind::Blob, b""), EMPTY_BLOB);
        assert_eq!(id_of(Kind::Tree, b""), EMPTY_TREE);
        assert_eq!(
            hex(&id_of(Kind::Blob, b"hello\n")),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
    }

    #[test]
    fn sizes_are_written_four_bits_first_and_seven_after() {
        let header = |size| {
            let mut bytes = Vec::new();
            pack_header(Kind::Blob, size, &mut bytes);
            bytes
        };
        assert_eq!(header(15), [0x3f]);
        assert_eq!(header(16), [0xb0, 0x01]);
        assert_eq!(header(300), [0xbc, 0x12]);
    }
}
