//! What a tree of git cannot hold of a work tree: the modes of its files and folders, and its empty folders.
//!
//! A record lies beside each checkpoint and in each safety snapshot. Only what differs from the usual is
//! listed, and what is usual is said, so that a record of most work trees is one line.

use std::collections::{BTreeMap, BTreeSet};

const HEADER: &str = "tos disk 1";
/// The bits of a mode that can be brought back.
const BITS: u32 = 0o7777;

/// Modes that need not be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultModes {
    /// Of a file.
    pub file: u32,
    /// Of a file that can be executed.
    pub program: u32,
    /// Of a folder.
    pub folder: u32,
}

impl DefaultModes {
    /// Returns the modes that new files and folders get under a umask.
    pub const fn from_umask(umask: u32) -> Self {
        Self {
            file: 0o666 & !umask,
            program: 0o777 & !umask,
            folder: 0o777 & !umask,
        }
    }

    /// Returns the mode of a file.
    pub const fn of(self, is_program: bool) -> u32 {
        if is_program { self.program } else { self.file }
    }
}

/// The modes and empty folders of a work tree; paths are bytes from its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeMetadata {
    /// The modes of whatever is not listed.
    pub usual: DefaultModes,
    /// The modes of files and folders that have others.
    pub modes: BTreeMap<Vec<u8>, u32>,
    /// Folders with nothing in them.
    pub empty: BTreeSet<Vec<u8>>,
}

impl WorktreeMetadata {
    /// Makes a record that lists nothing.
    pub const fn new(usual: DefaultModes) -> Self {
        Self {
            usual,
            modes: BTreeMap::new(),
            empty: BTreeSet::new(),
        }
    }

    /// Returns the mode of a file.
    pub fn file_mode(&self, path: &[u8], is_program: bool) -> u32 {
        let listed = self.modes.get(path).copied();
        listed.unwrap_or_else(|| self.usual.of(is_program))
    }

    /// Returns the mode of a folder.
    pub fn folder_mode(&self, path: &[u8]) -> u32 {
        let listed = self.modes.get(path).copied();
        listed.unwrap_or(self.usual.folder)
    }

    /// Returns the record as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let DefaultModes {
            file,
            program,
            folder,
        } = self.usual;
        let mut bytes = format!("{HEADER}\0usual {file:o} {program:o} {folder:o}\0").into_bytes();
        for (path, mode) in &self.modes {
            bytes.extend(format!("mode {mode:o} ").into_bytes());
            bytes.extend(path);
            bytes.push(0);
        }
        for path in &self.empty {
            bytes.extend(b"empty ");
            bytes.extend(path);
            bytes.push(0);
        }
        bytes
    }

    /// Reads a record; `None` where these are the bytes of none, or one names a path outside the work tree.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        if lines.next()? != HEADER.as_bytes() {
            return None;
        }
        let usual = lines.next()?.strip_prefix(b"usual ")?;
        let mut modes = usual.split(|byte| *byte == b' ').map(octal);
        let mut next = || modes.next().flatten();
        let mut record = Self::new(DefaultModes {
            file: next()?,
            program: next()?,
            folder: next()?,
        });
        for line in lines {
            if let Some(rest) = line.strip_prefix(b"mode ") {
                let at = rest.iter().position(|byte| *byte == b' ')?;
                let (mode, path) = rest.split_at_checked(at)?;
                let path = verify_path(path.get(1..)?)?;
                record.modes.insert(path.to_vec(), octal(mode)?);
            } else {
                let path = verify_path(line.strip_prefix(b"empty ")?)?;
                record.empty.insert(path.to_vec());
            }
        }
        Some(record)
    }
}

fn octal(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let mode = u32::from_str_radix(text, 8).ok()?;
    (mode <= BITS).then_some(mode)
}

/// Returns a path that stays below the top and out of git's own folder.
pub fn verify_path(path: &[u8]) -> Option<&[u8]> {
    let is_plain =
        |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.eq_ignore_ascii_case(b".git");
    path.split(|byte| *byte == b'/')
        .all(is_plain)
        .then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = Vec<u8>> {
        let part = prop::collection::vec(any::<u8>(), 1..6).prop_filter("no separators", |part| {
            !part.contains(&0) && !part.contains(&b'/')
        });
        prop::collection::vec(part, 1..4)
            .prop_map(|parts| parts.join(&b'/'))
            .prop_filter("inside", |path| verify_path(path).is_some())
    }

    proptest! {
        #[test]
        fn a_record_comes_back_from_its_bytes(
            modes in prop::collection::btree_map(path(), 0..=BITS, 0..6),
            empty in prop::collection::btree_set(path(), 0..6),
            umask in 0..=0o777_u32,
        ) {
            let record = WorktreeMetadata { modes, empty, ..WorktreeMetadata::new(DefaultModes::from_umask(umask)) };
            prop_assert_eq!(WorktreeMetadata::from_bytes(&record.to_bytes()), Some(record));
        }

        #[test]
        fn other_bytes_are_no_record_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(WorktreeMetadata::from_bytes(&bytes), None);
        }
    }

    #[test]
    fn a_path_that_leaves_the_work_tree_is_no_record() {
        for path in [
            "../x",
            "a/../../x",
            "/etc",
            "a//b",
            ".git/hooks",
            "a/.GIT/config",
            "",
        ] {
            let mut record = WorktreeMetadata::new(DefaultModes::from_umask(0o22));
            record.empty.insert(path.into());
            assert_eq!(
                WorktreeMetadata::from_bytes(&record.to_bytes()),
                None,
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_not_listed_is_usual() {
        let mut record = WorktreeMetadata::new(DefaultModes::from_umask(0o27));
        record.modes.insert(b"key".to_vec(), 0o600);
        let files = [("key", false), ("a", false), ("b", true)];
        let modes = files.map(|(path, program)| record.file_mode(path.as_bytes(), program));
        assert_eq!(modes, [0o600, 0o640, 0o750]);
        assert_eq!(record.folder_mode(b"src"), 0o750);
    }
}
