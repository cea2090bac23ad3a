//! The index in memory: its entries with their stat data, and the trees it remembers.
//!
//! Own code rather than libgit2's, because the stat data is what makes a scan cheap and because
//! libgit2 hashes and copies much more than a checkpoint needs. What this module does not understand it
//! reports as unsupported; the caller then leaves the work to the git program.

mod cache_tree;
pub(in crate::adapters::git) mod publish;
mod read;
mod stat;
mod write;

use super::objects::object::{EMPTY_BLOB, ObjectId};

pub(super) use cache_tree::CacheTree;
pub(super) use read::{parse_bytes, read};
pub(super) use stat::Stat;

/// The mode of a submodule.
pub(super) const SUBMODULE: u32 = 0o160_000;
/// The mode of a symbolic link.
pub(super) const SYMLINK: u32 = 0o120_000;
/// The mode of a file.
pub(super) const FILE: u32 = 0o100_644;
/// The mode of a file that can be executed.
pub(super) const EXECUTABLE: u32 = 0o100_755;

/// The bit that says that the owner promised not to change the file.
const ASSUME_VALID: u16 = 0x8000;
const STAGE: u16 = 0x3000;
const SKIP_WORKTREE: u16 = 0x4000;
const INTENT_TO_ADD: u16 = 0x2000;

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexEntry {
    /// What `lstat` said when the entry was last known to be right.
    pub(super) stat: Stat,
    /// Type and executable bit.
    pub(super) mode: u32,
    /// The blob, or a submodule's commit.
    pub(super) id: ObjectId,
    flags: u16,
    extended: u16,
    start: u32,
    length: u32,
}

impl IndexEntry {
    /// Returns 0, or the side of a conflict.
    pub(super) fn stage(&self) -> u16 {
        (self.flags & STAGE) >> 12
    }

    /// Tells whether the owner asked git not to look at the file.
    pub(super) fn is_assume_unchanged(&self) -> bool {
        self.flags & ASSUME_VALID != 0
    }

    /// Tells whether the file is left out of the work tree on purpose.
    pub(super) fn is_skip_worktree(&self) -> bool {
        self.extended & SKIP_WORKTREE != 0
    }

    /// Tells whether only the name was added.
    pub(super) fn is_intent_to_add(&self) -> bool {
        self.extended & INTENT_TO_ADD != 0
    }

    /// Takes over what another entry of the file says about looking at it. Whoever is left out of the work tree
    /// and there all the same is looked at.
    pub(super) fn inherit_flags(&mut self, other: Option<Self>, is_skipped: bool, is_there: bool) {
        let assumed = other.is_some_and(|other| other.is_assume_unchanged());
        let skipped = other.is_some_and(|other| other.is_skip_worktree()) || is_skipped;
        if assumed {
            self.flags |= ASSUME_VALID;
        }
        if skipped && !is_there {
            self.extended |= SKIP_WORKTREE;
        }
    }

    /// Makes the entry an ordinary one.
    pub(super) fn clear_intent_to_add(&mut self) {
        self.extended &= !INTENT_TO_ADD;
    }
}

/// An index, its entries sorted by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// The entries.
    pub(super) entries: Vec<IndexEntry>,
    /// The trees of its directories, where known.
    pub(super) tree: Option<CacheTree>,
    /// When the file was written, or the look at the files behind it began; seconds and nanoseconds.
    pub(super) written: (u32, u32),
    /// The version of the file's format.
    pub(super) version: u32,
    paths: Vec<u8>,
}

impl Index {
    /// Makes an index without entries.
    pub(super) fn empty() -> Self {
        Self {
            version: 2,
            ..Self::default()
        }
    }

    /// Returns an entry's path.
    pub(super) fn path(&self, entry: &IndexEntry) -> &[u8] {
        let start = entry.start as usize;
        self.paths
            .get(start..start + entry.length as usize)
            .unwrap_or_default()
    }

    /// Returns the position of a path among entries without conflicts, or where it would stand.
    pub(super) fn find(&self, path: &[u8]) -> std::result::Result<usize, usize> {
        self.entries
            .binary_search_by(|entry| self.path(entry).cmp(path))
    }

    /// Makes an entry for a path; the caller puts it in its place.
    pub(super) fn make_entry(
        &mut self,
        path: &[u8],
        mode: u32,
        id: ObjectId,
        stat: Stat,
    ) -> IndexEntry {
        let start = u32::try_from(self.paths.len()).unwrap_or(u32::MAX);
        self.paths.extend_from_slice(path);
        IndexEntry {
            stat,
            mode,
            id,
            flags: 0,
            extended: 0,
            start,
            length: u32::try_from(path.len()).unwrap_or(u32::MAX),
        }
    }

    /// Tells whether a file changed so shortly before the index was written that its stat proves nothing.
    fn is_racy(&self, stat: &Stat) -> bool {
        stat.mtime >= self.written
    }

    /// Tells whether what is seen now proves that a file still is what its entry says.
    pub(super) fn proves(&self, entry: &IndexEntry, seen: &Stat, mode: u32) -> bool {
        // No size means that the stat is not to be trusted, and an emptied file has none either.
        let is_forgotten = entry.stat.size == 0 && entry.id != EMPTY_BLOB;
        entry.mode == mode
            && entry.stat.is_same_file(seen)
            && !is_forgotten
            && !self.is_racy(&entry.stat)
            && !entry.is_intent_to_add()
    }

    /// Makes entries whose stat proves nothing ones that are looked into, however late this is written: also those whose
    /// content is older, but whose inode changed so lately that a second change would have the same time.
    pub(super) fn forget_racy_sizes(&mut self) {
        let written = self.written;
        for entry in &mut self.entries {
            if entry.stat.mtime.max(entry.stat.ctime) >= written {
                entry.stat.size = 0;
            }
        }
    }

    /// Returns the paths with conflicts, each once.
    pub(super) fn conflicts(&self) -> Vec<&[u8]> {
        let mut paths: Vec<&[u8]> = self
            .entries
            .iter()
            .filter(|entry| entry.stage() != 0)
            .map(|entry| self.path(entry))
            .collect();
        paths.dedup();
        paths
    }

    /// Tells whether a tree would lose something of this index.
    pub(super) fn exceeds_a_tree(&self) -> bool {
        self.entries.iter().any(|entry| {
            entry.stage() != 0
                || entry.is_intent_to_add()
                || entry.is_assume_unchanged()
                || entry.is_skip_worktree()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: ObjectId = [7; 20];

    fn index_of(stat: Stat, id: ObjectId) -> Index {
        let mut index = Index {
            version: 2,
            written: (10, 0),
            ..Index::default()
        };
        let entry = index.make_entry(b"a", FILE, id, stat);
        index.entries.push(entry);
        index
    }

    fn changed_at(seconds: u32, size: u32) -> Stat {
        Stat {
            ctime: (seconds, 0),
            mtime: (seconds, 0),
            size,
            ..Stat::default()
        }
    }

    /// Tells whether an entry proves that the file is unchanged, for a file with this stat.
    fn proves(index: &Index, seen: &Stat) -> bool {
        index.proves(&index.entries[0], seen, FILE)
    }

    #[test]
    fn a_file_as_old_as_the_index_proves_nothing() {
        for (seconds, expected) in [(9, true), (10, false), (11, false)] {
            let stat = changed_at(seconds, 3);
            assert_eq!(proves(&index_of(stat, CONTENT), &stat), expected);
        }
    }

    #[test]
    fn an_emptied_file_is_not_the_one_whose_size_was_forgotten() {
        let forgotten = changed_at(9, 0);
        assert!(!proves(&index_of(forgotten, CONTENT), &forgotten));
        assert!(proves(&index_of(forgotten, EMPTY_BLOB), &forgotten));
    }

    #[test]
    fn a_time_set_back_does_not_hide_a_change() {
        let before = changed_at(9, 3);
        let after = Stat {
            ctime: (9, 1),
            ..before
        };
        assert!(!proves(&index_of(before, CONTENT), &after));
    }

    #[test]
    fn entries_looked_at_too_early_stay_forgotten_in_an_index_written_later() {
        let stat = changed_at(10, 3);
        let mut index = index_of(stat, CONTENT);
        index.forget_racy_sizes();
        let mut later = parse_bytes(&index.to_bytes((20, 0))).unwrap();
        later.written = (20, 0);
        assert!(!proves(&later, &stat));
    }
}
