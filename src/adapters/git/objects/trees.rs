//! Builds the trees of an index, reusing those of directories in which nothing changed.

use std::collections::BTreeSet;

use super::{
    object::{ObjectId, ObjectKind},
    pack::PackWriter,
};
use crate::adapters::git::{
    error::Result,
    index::{CacheTree, Index, IndexEntry},
};

/// Where trees go that are not stored yet.
pub(in crate::adapters::git) struct TreeSink<'a> {
    /// The pack for new ones.
    pub(in crate::adapters::git) pack: &'a mut PackWriter,
    /// Tells whether the repository has an object already.
    pub(in crate::adapters::git) is_stored: &'a dyn Fn(&ObjectId) -> bool,
}

/// Builds the tree of the whole index. `old` are the trees before, `touched` the directories in which
/// something changed, every directory above them included; the top is the empty path.
pub(in crate::adapters::git) fn build(
    index: &Index,
    old: Option<&CacheTree>,
    touched: &BTreeSet<Vec<u8>>,
    sink: &mut TreeSink<'_>,
) -> Result<CacheTree> {
    let mut at = 0;
    let builder = TreeBuilder { index, touched };
    builder.directory(b"", b"", old, &mut at, sink)
}

/// Adds a path's directory and all above it.
pub(in crate::adapters::git) fn mark_touched(touched: &mut BTreeSet<Vec<u8>>, path: &[u8]) {
    let mut directory = path;
    while let Some(slash) = directory.iter().rposition(|byte| *byte == b'/') {
        directory = directory.get(..slash).unwrap_or_default();
        if !touched.insert(directory.to_vec()) {
            return;
        }
    }
    touched.insert(Vec::new());
}

struct TreeBuilder<'a> {
    index: &'a Index,
    touched: &'a BTreeSet<Vec<u8>>,
}

impl TreeBuilder<'_> {
    /// Builds one directory, from the entry at `at` on; `prefix` is its path with a slash behind.
    fn directory(
        &self,
        prefix: &[u8],
        name: &[u8],
        old: Option<&CacheTree>,
        at: &mut usize,
        sink: &mut TreeSink<'_>,
    ) -> Result<CacheTree> {
        let path = prefix.strip_suffix(b"/").unwrap_or(prefix);
        if let Some(old) = old
            && let Some((_, count)) = old.valid
            && !self.touched.contains(path)
        {
            *at += count;
            return Ok(old.clone());
        }
        let start = *at;
        let mut content = Vec::new();
        let mut children = Vec::new();
        while let Some(entry) = self.index.entries.get(*at) {
            let Some(rest) = self.index.path(entry).strip_prefix(prefix) else {
                break;
            };
            match rest.iter().position(|byte| *byte == b'/') {
                None => {
                    line(&mut content, entry.mode, rest, &entry.id);
                    *at += 1;
                }
                Some(slash) => {
                    let child = rest.get(..slash).unwrap_or_default();
                    let below = [prefix, child, b"/"].concat();
                    let known = old.and_then(|old| old.child(child));
                    let tree = self.directory(&below, child, known, at, sink)?;
                    if let Some((id, _)) = tree.valid {
                        line(&mut content, 0o40000, child, &id);
                    }
                    children.push(tree);
                }
            }
        }
        let id = super::object::id_of(ObjectKind::Tree, &content);
        if !(sink.is_stored)(&id) {
            sink.pack.add(ObjectKind::Tree, &content)?;
        }
        let mut tree = CacheTree {
            name: name.to_vec(),
            valid: Some((id, *at - start)),
            children,
        };
        tree.sort();
        Ok(tree)
    }
}

fn line(content: &mut Vec<u8>, mode: u32, name: &[u8], id: &ObjectId) {
    content.extend(format!("{mode:o} ").into_bytes());
    content.extend_from_slice(name);
    content.push(0);
    content.extend_from_slice(id);
}

/// Replaces, removes and adds entries; both lists are sorted. Returns the entries in order.
pub(in crate::adapters::git) fn merge_entries(
    index: &Index,
    gone: &[usize],
    new: Vec<IndexEntry>,
) -> Vec<IndexEntry> {
    let mut merged = Vec::with_capacity(index.entries.len() + new.len());
    let mut gone = gone.iter().peekable();
    let mut new = new.into_iter().peekable();
    for (at, entry) in index.entries.iter().enumerate() {
        if gone.next_if(|place| **place == at).is_some() {
            continue;
        }
        if new.peek().is_some() {
            let path = index.path(entry);
            while let Some(earlier) = new.next_if(|other| index.path(other) < path) {
                merged.push(earlier);
            }
        }
        merged.push(*entry);
    }
    merged.extend(new);
    merged
}
