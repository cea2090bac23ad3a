//! Files that the way to a goal leaves as they are on disk.

use std::collections::BTreeSet;

/// Files that the way to a goal leaves as they are on disk.
#[derive(Debug, Default)]
pub(in crate::adapters::git) struct UntouchedFiles {
    /// Untracked ones that the goal ignores.
    pub(in crate::adapters::git) ignored: BTreeSet<Vec<u8>>,
    /// State of tos, and files a person has filled in where the goal has only their template.
    pub(in crate::adapters::git) own: BTreeSet<Vec<u8>>,
}

impl UntouchedFiles {
    /// Tells whether a path stays.
    pub(in crate::adapters::git) fn holds(&self, path: &[u8]) -> bool {
        self.ignored.contains(path) || self.own.contains(path)
    }
}
