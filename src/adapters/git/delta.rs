//! Compares an index in memory with a stored tree, reading only the directories that differ.

use git2::Oid;

use super::{
    error::{Doing, Result},
    home::Home,
    index::{CacheTree, Index, SUBMODULE},
    object::Id,
    tree_diff::Changes,
};
use crate::domain::checkpoint::Kind;

const DIRECTORY: u32 = 0o40000;

/// One path that the index and the tree do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delta {
    /// The path.
    pub(super) path: Vec<u8>,
    /// Its place in the index, if it is there.
    pub(super) before: Option<usize>,
    /// Its mode and blob in the tree, if it is there.
    pub(super) after: Option<(u32, Id)>,
}

/// Compares an index whose trees are all known with a tree; `None` is the empty one.
pub(super) fn compare(home: &Home, index: &Index, goal: Option<Oid>) -> Result<Vec<Delta>> {
    let mut comparison = Comparison {
        home,
        index,
        at: 0,
        deltas: Vec::new(),
    };
    comparison.directory(b"", index.tree.as_ref(), goal)?;
    Ok(comparison.deltas)
}

/// Returns deltas as changes on the way to the tree; submodules do not count.
pub(super) fn changes(index: &Index, deltas: &[Delta]) -> Changes {
    let is_file = |delta: &&Delta| {
        let before = delta
            .before
            .and_then(|at| index.entries.get(at))
            .map(|e| e.mode);
        delta.after.map(|(mode, _)| mode).or(before) != Some(SUBMODULE)
    };
    listed(deltas.iter().filter(is_file))
}

/// The same, submodules included.
pub(super) fn all_changes(deltas: &[Delta]) -> Changes {
    listed(deltas.iter())
}

fn listed<'a>(deltas: impl Iterator<Item = &'a Delta>) -> Changes {
    let kind = |delta: &Delta| match (delta.before, delta.after) {
        (None, _) => Kind::Added,
        (Some(_), None) => Kind::Deleted,
        (Some(_), Some(_)) => Kind::Modified,
    };
    deltas
        .map(|delta| (delta.path.clone(), kind(delta)))
        .collect()
}

struct Comparison<'a> {
    home: &'a Home,
    index: &'a Index,
    at: usize,
    deltas: Vec<Delta>,
}

/// A name in a stored tree; a directory's has a slash behind, which puts it in the index's order.
struct Line {
    name: Vec<u8>,
    mode: u32,
    id: Oid,
}

impl Comparison<'_> {
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

    fn file(&mut self, path: Vec<u8>, line: Option<&Line>) {
        let after = line.map(|line| (line.mode, super::safety::to_id(&line.id)));
        let entry = self.index.entries.get(self.at);
        if entry.map(|entry| (entry.mode, entry.id)) != after {
            self.deltas.push(Delta {
                path,
                before: Some(self.at),
                after,
            });
        }
        self.at += 1;
    }

    fn added(&mut self, prefix: &[u8], line: &Line) -> Result<()> {
        let path = [prefix, &line.name].concat();
        if line.mode == DIRECTORY {
            for below in self.lines(Some(line.id))? {
                self.added(&path, &below)?;
            }
            return Ok(());
        }
        self.deltas.push(Delta {
            path,
            before: None,
            after: Some((line.mode, super::safety::to_id(&line.id))),
        });
        Ok(())
    }

    fn lines(&self, tree: Option<Oid>) -> Result<Vec<Line>> {
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
            Line {
                name: [entry.name_bytes(), slash].concat(),
                mode,
                id: entry.id(),
            }
        });
        Ok(lines.collect())
    }
}
