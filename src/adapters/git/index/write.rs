//! Writes an index file in the version it had, with its trees and its checksum.

use sha1::{Digest, Sha1};

use super::{Index, IndexEntry, Stat};
use crate::adapters::git::objects::object::ObjectId;

const HAS_EXTENDED: u16 = 0x4000;

impl Index {
    /// Returns the file's bytes. Entries touched at or after `racy_from` lose their size, so that git
    /// looks at the content instead of trusting the stat.
    pub(in crate::adapters::git) fn to_bytes(&self, racy_from: (u32, u32)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * 72 + self.paths.len());
        bytes.extend(b"DIRC");
        bytes.extend(self.file_version().to_be_bytes());
        bytes.extend(
            u32::try_from(self.entries.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        let mut before: &[u8] = b"";
        for entry in &self.entries {
            let path = self.path(entry);
            self.entry(entry, path, before, racy_from, &mut bytes);
            before = path;
        }
        if let Some(tree) = &self.tree {
            let mut content = Vec::new();
            tree.write(&mut content);
            bytes.extend(b"TREE");
            bytes.extend(
                u32::try_from(content.len())
                    .unwrap_or(u32::MAX)
                    .to_be_bytes(),
            );
            bytes.extend(content);
        }
        let sum: ObjectId = Sha1::digest(&bytes).into();
        bytes.extend(sum);
        bytes
    }

    fn file_version(&self) -> u32 {
        match self.version {
            4 => 4,
            _ if self.entries.iter().any(|entry| entry.extended != 0) => 3,
            _ => 2,
        }
    }

    fn entry(
        &self,
        entry: &IndexEntry,
        path: &[u8],
        before: &[u8],
        racy_from: (u32, u32),
        bytes: &mut Vec<u8>,
    ) {
        let start = bytes.len();
        let stat = if entry.stat.mtime >= racy_from {
            Stat {
                size: 0,
                ..entry.stat
            }
        } else {
            entry.stat
        };
        let fields = [
            stat.ctime.0,
            stat.ctime.1,
            stat.mtime.0,
            stat.mtime.1,
            stat.dev,
            stat.ino,
            entry.mode,
            stat.uid,
            stat.gid,
            stat.size,
        ];
        for field in fields {
            bytes.extend(field.to_be_bytes());
        }
        bytes.extend(entry.id);
        let length = u16::try_from(path.len()).map_or(0x0fff, |length| length.min(0x0fff));
        let extended = if entry.extended == 0 { 0 } else { HAS_EXTENDED };
        bytes.extend((entry.flags | extended | length).to_be_bytes());
        if entry.extended != 0 {
            bytes.extend(entry.extended.to_be_bytes());
        }
        if self.version == 4 {
            let shared = path.iter().zip(before).take_while(|(a, b)| a == b).count();
            offset(before.len() - shared, bytes);
            bytes.extend(path.get(shared..).unwrap_or_default());
            bytes.push(0);
        } else {
            bytes.extend(path);
            let used = bytes.len() - start;
            bytes.resize(bytes.len() + 8 - used % 8, 0);
        }
    }
}

/// Appends the variable-width number of version 4.
fn offset(mut value: usize, bytes: &mut Vec<u8>) {
    let low = |value: usize| (value & 0x7f).to_le_bytes()[0];
    let mut digits = vec![low(value)];
    value >>= 7;
    while value > 0 {
        value -= 1;
        digits.push(0x80 | low(value));
        value >>= 7;
    }
    bytes.extend(digits.iter().rev());
}
