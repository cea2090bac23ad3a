//! The trees an index remembers, so that a directory without changes need not be written again.

use crate::adapters::git::objects::object::ObjectId;

/// The tree of one directory and of those below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapters::git) struct CacheTree {
    /// The directory's own name; empty at the top.
    pub(in crate::adapters::git) name: Vec<u8>,
    /// The tree and how many entries it spans; `None` where it must be computed again.
    pub(in crate::adapters::git) valid: Option<(ObjectId, usize)>,
    /// The directories directly below.
    pub(in crate::adapters::git) children: Vec<Self>,
}

impl CacheTree {
    /// Returns the directory of this name directly below.
    pub(in crate::adapters::git) fn child(&self, name: &[u8]) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Reads the extension's bytes; `None` where they are not a tree.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let tree = Self::parse_one(&mut rest, 0)?;
        rest.is_empty().then_some(tree)
    }

    fn parse_one(rest: &mut &[u8], depth: usize) -> Option<Self> {
        // Deeper than any path can be: the bytes are broken.
        if depth > 4096 {
            return None;
        }
        let name = until(rest, 0)?.to_vec();
        let count: i64 = number(until(rest, b' ')?)?;
        let children: usize = number(until(rest, b'\n')?)?;
        let valid = match usize::try_from(count) {
            Err(_) => None,
            Ok(count) => {
                let (id, after) = rest.split_first_chunk::<20>()?;
                *rest = after;
                Some((*id, count))
            }
        };
        let children = (0..children)
            .map(|_| Self::parse_one(rest, depth + 1))
            .collect::<Option<_>>()?;
        Some(Self {
            name,
            valid,
            children,
        })
    }

    /// Appends the extension's bytes.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(&self.name);
        let count = self
            .valid
            .map_or("-1".to_owned(), |(_, count)| count.to_string());
        bytes.extend(format!("\0{count} {}\n", self.children.len()).into_bytes());
        if let Some((id, _)) = self.valid {
            bytes.extend(id);
        }
        for child in &self.children {
            child.write(bytes);
        }
    }

    /// Puts the children in the order git keeps them: shorter names first.
    pub(in crate::adapters::git) fn sort(&mut self) {
        self.children
            .sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
    }
}

fn until<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a [u8]> {
    let at = rest.iter().position(|byte| *byte == end)?;
    let (before, after) = rest.split_at_checked(at)?;
    *rest = after.get(1..)?;
    Some(before)
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_comes_back_from_its_bytes() {
        let leaf = |name: &[u8], valid| CacheTree {
            name: name.to_vec(),
            valid,
            children: Vec::new(),
        };
        let tree = CacheTree {
            name: Vec::new(),
            valid: None,
            children: vec![leaf(b"b", Some(([7; 20], 3))), leaf(b"aa", None)],
        };
        let mut bytes = Vec::new();
        tree.write(&mut bytes);
        assert_eq!(CacheTree::parse(&bytes), Some(tree));
        assert_eq!(CacheTree::parse(&bytes[..bytes.len() - 1]), None);
    }
}
