//! Compares an index in memory with a stored tree, reading only the directories that differ.

use git2::Oid;

use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        index::{CacheTree, Index, SUBMODULE},
        objects::{object::ObjectId, tree_diff::TreeChanges},
        repository::WorktreeRepository,
    },
    domain::checkpoint::ChangeKind,
};

const DIRECTORY: u32 = 0o40000;

/// One path that the index and the tree do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapters::git) struct IndexDelta {
    /// The path.
    pub(in crate::adapters::git) path: Vec<u8>,
    /// Its place in the index, if it is there.
    pub(in crate::adapters::git) before: Option<usize>,
    /// Its mode and blob in the tree, if it is there.
    pub(in crate::adapters::git) after: Option<(u32, ObjectId)>,
}

/// Compares an index whose trees are all known with a tree; `None` is the empty one.
pub(in crate::adapters::git) fn compare(
    home: &WorktreeRepository,
    index: &Index,
    goal: Option<Oid>,
) -> Result<Vec<IndexDelta>> {
    let mut comparison = IndexTreeComparison {
        home,
        index,
        at: 0,
        deltas: Vec::new(),
    };
    comparison.directory(b"", index.tree.as_ref(), goal)?;
    Ok(comparison.deltas)
}

/// Returns deltas as changes on the way to the tree; submodules do not count.
pub(in crate::adapters::git) fn changes(index: &Index, deltas: &[IndexDelta]) -> TreeChanges {
    let is_file = |delta: &&IndexDelta| {
        let before = delta
            .before
            .and_then(|at| index.entries.get(at))
            .map(|e| e.mode);
        delta.after.map(|(mode, _)| mode).or(before) != Some(SUBMODULE)
    };
    listed(deltas.iter().filter(is_file))
}

/// The same, submodules included.
pub(in crate::adapters::git) fn all_changes(deltas: &[IndexDelta]) -> TreeChanges {
    listed(deltas.iter())
}

fn listed<'a>(deltas: impl Iterator<Item = &'a IndexDelta>) -> TreeChanges {
    let kind = |delta: &IndexDelta| match (delta.before, delta.after) {
        (None, _) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Deleted,
        (Some(_), Some(_)) => ChangeKind::Modified,
    };
    deltas
        .map(|delta| (delta.path.clone(), kind(delta)))
        .collect()
}

struct IndexTreeComparison<'a> {
    home: &'a WorktreeRepository,
    index: &'a Index,
    at: usize,
    deltas: Vec<IndexDelta>,
}

/// A name in a stored tree; a directory's has a slash behind, which puts it in the index's order.
struct StoredEntry {
    name: Vec<u8>,
    mode: u32,
    id: Oid,
}

impl IndexTreeComparison<'_> {
    fn directory(
        &mut self,
        prefix: &[u8],
        old: Option<&CacheTree>,
        goal: Option<Oid>,
    ) -> Result<()> {
        if let Some((id, count)) = old.and_then(|old| old.valid)
            && goal.is_some_and(|goal| goal.as_bytes() == id)
        {
            self.at += count;
            return Ok(());
        }
        let mut lines = self.lines(goal)?.into_iter().peekable();
        while let Some(name) = self.next_name(prefix) {
            while let Some(line) = lines.next_if(|line| line.name < name) {
                self.added(prefix, &line)?;
            }
            let line = lines.next_if(|line| line.name == name);
            let path = [prefix, &name].concat();
            if let Some(directory) = name.strip_suffix(b"/") {
                let old = old.and_then(|old| old.child(directory));
                self.directory(&path, old, line.map(|line| line.id))?;
            } else {
                self.file(path, line.as_ref());
            }
        }
        for line in lines {
            self.added(prefix, &line)?;
        }
        Ok(())
    }

    /// Returns the name directly below `prefix` that the present entry belongs to.
    fn next_name(&self, prefix: &[u8]) -> Option<Vec<u8>> {
        let entry = self.index.entries.get(self.at)?;
        let rest = self.index.path(entry).strip_prefix(prefix)?;
        let end = rest.iter().position(|byte| *byte == b'/');
        Some(
            rest.get(..=end.unwrap_or(rest.len()))
                .unwrap_or(rest)
                .to_vec(),
        )
    }

    fn file(&mut self, path: Vec<u8>, line: Option<&StoredEntry>) {
        let after = line.map(|line| {
            (
                line.mode,
                crate::adapters::git::objects::object::to_object_id(&line.id),
            )
        });
        let entry = self.index.entries.get(self.at);
        if entry.map(|entry| (entry.mode, entry.id)) != after {
            self.deltas.push(IndexDelta {
                path,
                before: Some(self.at),
                after,
            });
        }
        self.at += 1;
    }

    fn added(&mut self, prefix: &[u8], line: &StoredEntry) -> Result<()> {
        let path = [prefix, &line.name].concat();
        if line.mode == DIRECTORY {
            for below in self.lines(Some(line.id))? {
                self.added(&path, &below)?;
            }
            return Ok(());
        }
        self.deltas.push(IndexDelta {
            path,
            before: None,
            after: Some((
                line.mode,
                crate::adapters::git::objects::object::to_object_id(&line.id),
            )),
        });
        Ok(())
    }

    fn lines(&self, tree: Option<Oid>) -> Result<Vec<StoredEntry>> {
        let Some(id) = tree else {
            return Ok(Vec::new());
        };
        let tree = self
            .home
            .git
            .find_tree(id)
            .doing(|| format!("could not read tree {id}"))?;
        let lines = tree.iter().map(|entry| {
            let mode = u32::try_from(entry.filemode()).unwrap_or_default();
            let slash: &[u8] = if mode == DIRECTORY { b"/" } else { b"" };
            StoredEntry {
                name: [entry.name_bytes(), slash].concat(),
                mode,
                id: entry.id(),
            }
        });
        Ok(lines.collect())
    }
}
