//! A sorted map whose copies share all they have in common: a tree, of which a change copies one path.
//!
//! A copy costs one count, however large the map is; that is what lets every reader have a board of its own while the next
//! change is made. Danger: a value that is changed in place is copied first where another copy of the map still has it, so
//! values are small or shared themselves.

#![expect(
    clippy::indexing_slicing,
    reason = "every place comes from a search in the same node, and a node has an entry"
)]

use std::{borrow::Borrow, sync::Arc};

/// How many entries a node has at most. Small, because copying a node counts up each of its values.
const MOST: usize = 16;

/// A sorted map with cheap copies.
#[derive(Clone)]
pub struct CowMap<K, V> {
    root: Option<Arc<Node<K, V>>>,
    len: usize,
}

#[derive(Clone)]
enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    /// Children with a key that is not above any of theirs; that of the first is never looked at.
    Inner(Vec<(K, Arc<Self>)>),
}

type Split<K, V> = Option<(K, Arc<Node<K, V>>)>;

impl<K: Ord + Clone, V: Clone> CowMap<K, V> {
    /// Returns how many entries there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let found = entries.binary_search_by(|(own, _)| own.borrow().cmp(key));
                    return found.ok().map(|at| &entries[at].1);
                }
                Node::Inner(children) => node = &children[child_of(children, key)].1,
            }
        }
    }

    /// Returns whether a key has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Returns the value of a key to change it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        // A key that is not there must not copy a path.
        if !self.contains_key(key) {
            return None;
        }
        let mut node = self.root.as_mut()?;
        loop {
            match Arc::make_mut(node) {
                Node::Leaf(entries) => {
                    let found = entries.binary_search_by(|(own, _)| own.borrow().cmp(key));
                    return found.ok().map(|at| &mut entries[at].1);
                }
                Node::Inner(children) => {
                    let at = child_of(children, key);
                    node = &mut children[at].1;
                }
            }
        }
    }

    /// Sets the value of a key; returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::Leaf(vec![(key, value)])));
            self.len = 1;
            return None;
        };
        let (old, split) = insert(root, key, value);
        if let Some((least, right)) = split {
            let left = Arc::clone(root);
            // The key of a first child is never looked at.
            *root = Arc::new(Node::Inner(vec![(least.clone(), left), (least, right)]));
        }
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes a key away; returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if !self.contains_key(key) {
            return None;
        }
        let root = self.root.as_mut()?;
        let old = remove(root, key);
        self.len -= usize::from(old.is_some());
        while let Some(only) = only_child(root) {
            *root = only;
        }
        if self.len == 0 {
            self.root = None;
        }
        old
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns keys and values in the order of the keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        let whole = |root| (root, 0);
        Iter {
            front: self.root.as_deref().map(whole).into_iter().collect(),
            back: self
                .root
                .as_deref()
                .map(|root| (root, root.width()))
                .into_iter()
                .collect(),
            left: self.len,
        }
    }

    /// Returns the keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.iter().map(|(key, _)| key)
    }

    /// Returns the values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.iter().map(|(_, value)| value)
    }
}

fn child_of<K: Borrow<Q>, V, Q: Ord + ?Sized>(children: &[(K, Arc<Node<K, V>>)], key: &Q) -> usize {
    let not_above = children.partition_point(|(least, _)| least.borrow() <= key);
    // What is below every key belongs to the first child.
    not_above.saturating_sub(1)
}

impl<K, V> Node<K, V> {
    const fn width(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(children) => children.len(),
        }
    }
}

fn insert<K: Ord + Clone, V: Clone>(
    node: &mut Arc<Node<K, V>>,
    key: K,
    value: V,
) -> (Option<V>, Split<K, V>) {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => match entries.binary_search_by(|(own, _)| own.cmp(&key)) {
            Ok(at) => (Some(std::mem::replace(&mut entries[at].1, value)), None),
            Err(at) => {
                entries.insert(at, (key, value));
                let right = halve(entries, at);
                let right = right.map(|right| (right[0].0.clone(), Arc::new(Node::Leaf(right))));
                (None, right)
            }
        },
        Node::Inner(children) => {
            let at = child_of(children, &key);
            let (old, split) = insert(&mut children[at].1, key, value);
            let Some(split) = split else {
                return (old, None);
            };
            children.insert(at + 1, split);
            let right = halve(children, at + 1);
            let right = right.map(|right| (right[0].0.clone(), Arc::new(Node::Inner(right))));
            (old, right)
        }
    }
}

/// Returns the part of a node that has become too wide that goes into a new one. Numbers that only grow fill their nodes.
fn halve<T>(entries: &mut Vec<T>, newest: usize) -> Option<Vec<T>> {
    if entries.len() <= MOST {
        return None;
    }
    let is_last = newest + 1 == entries.len();
    let from = if is_last { newest } else { entries.len() / 2 };
    let right = entries.split_off(from);
    entries.shrink_to(MOST);
    Some(right)
}

/// Takes a key away that is there. Nodes that became empty go; others are not merged: they fill again or empty as well.
fn remove<K: Ord + Clone + Borrow<Q>, V: Clone, Q: Ord + ?Sized>(
    node: &mut Arc<Node<K, V>>,
    key: &Q,
) -> Option<V> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let found = entries.binary_search_by(|(own, _)| own.borrow().cmp(key));
            found.ok().map(|at| entries.remove(at).1)
        }
        Node::Inner(children) => {
            let at = child_of(children, key);
            let old = remove(&mut children[at].1, key);
            if children[at].1.width() == 0 {
                children.remove(at);
            }
            old
        }
    }
}

fn only_child<K, V>(node: &Arc<Node<K, V>>) -> Option<Arc<Node<K, V>>> {
    match &**node {
        Node::Inner(children) if children.len() == 1 => Some(Arc::clone(&children[0].1)),
        Node::Inner(_) | Node::Leaf(_) => None,
    }
}

/// The entries of a map in order, from both ends.
pub struct Iter<'a, K, V> {
    front: Vec<(&'a Node<K, V>, usize)>,
    back: Vec<(&'a Node<K, V>, usize)>,
    left: usize,
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        loop {
            let (node, at) = self.front.last_mut()?;
            let place = *at;
            *at += 1;
            match node {
                Node::Leaf(entries) if place < entries.len() => {
                    self.left -= 1;
                    return Some((&entries[place].0, &entries[place].1));
                }
                Node::Inner(children) if place < children.len() => {
                    self.front.push((&children[place].1, 0));
                }
                Node::Leaf(_) | Node::Inner(_) => drop(self.front.pop()),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        loop {
            let (node, end) = self.back.last_mut()?;
            let Some(place) = end.checked_sub(1) else {
                self.back.pop();
                continue;
            };
            *end = place;
            match node {
                Node::Leaf(entries) => {
                    self.left -= 1;
                    return Some((&entries[place].0, &entries[place].1));
                }
                Node::Inner(children) => {
                    let child = &*children[place].1;
                    self.back.push((child, child.width()));
                }
            }
        }
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

impl<K, V> std::fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iter")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<'a, K: Ord + Clone, V: Clone> IntoIterator for &'a CowMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> Default for CowMap<K, V> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<K: Ord + Clone + PartialEq, V: Clone + PartialEq> PartialEq for CowMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for CowMap<K, V> {}

impl<K: Ord + Clone + std::fmt::Debug, V: Clone + std::fmt::Debug> std::fmt::Debug
    for CowMap<K, V>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A sorted set with cheap copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CowSet<K: Ord + Clone>(CowMap<K, ()>);

impl<K: Ord + Clone> CowSet<K> {
    /// Puts a value in; returns whether it is new.
    pub fn insert(&mut self, value: K) -> bool {
        // What is there already must not copy a path.
        !self.contains(&value) && self.0.insert(value, ()).is_none()
    }

    /// Takes a value out; returns whether it was there.
    pub fn remove(&mut self, value: &K) -> bool {
        self.0.remove(value).is_some()
    }

    /// Returns whether a value is in it.
    pub fn contains(&self, value: &K) -> bool {
        self.0.contains_key(value)
    }

    /// Returns the values in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.0.keys()
    }

    /// Returns how many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord + Clone> Default for CowSet<K> {
    fn default() -> Self {
        Self(CowMap::default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16, u32),
        Remove(u16),
        Change(u16),
        Keep,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (0_u16..900, any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
            3 => (0_u16..900).prop_map(Step::Remove),
            1 => (0_u16..900).prop_map(Step::Change),
            1 => Just(Step::Keep),
        ];
        prop::collection::vec(step, 0..1500)
    }

    fn same(map: &CowMap<u16, u32>, model: &BTreeMap<u16, u32>) {
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter()));
        assert!(map.iter().rev().eq(model.iter().rev()));
        let middle = |from: &mut dyn DoubleEndedIterator<Item = (u16, u32)>| {
            let mut seen = Vec::new();
            while let Some(first) = from.next() {
                seen.push(first);
                seen.extend(from.next_back());
            }
            seen
        };
        let mut own = map.iter().map(|(key, value)| (*key, *value));
        let mut other = model.iter().map(|(key, value)| (*key, *value));
        assert_eq!(middle(&mut own), middle(&mut other));
        for key in 0..900 {
            assert_eq!(map.get(&key), model.get(&key));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_map_and_copies_stay_as_they_were(steps in steps()) {
            let (mut map, mut model) = (CowMap::default(), BTreeMap::new());
            let mut kept = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                    }
                    Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    Step::Change(key) => {
                        let (one, two) = (map.get_mut(&key), model.get_mut(&key));
                        prop_assert_eq!(&one, &two);
                        if let (Some(one), Some(two)) = (one, two) {
                            *one ^= 1;
                            *two ^= 1;
                        }
                    }
                    Step::Keep if kept.len() < 8 => kept.push((map.clone(), model.clone())),
                    Step::Keep => {}
                }
            }
            same(&map, &model);
            for (map, model) in &kept {
                same(map, model);
            }
        }
    }

    fn leaves(node: &Node<u64, ()>) -> usize {
        match node {
            Node::Leaf(_) => 1,
            Node::Inner(children) => children.iter().map(|(_, child)| leaves(child)).sum(),
        }
    }

    #[test]
    fn growing_numbers_fill_their_nodes_and_an_emptied_map_is_empty() {
        let mut map = CowMap::default();
        for number in 0..10_000_u64 {
            map.insert(number, ());
        }
        assert_eq!(map.root.as_deref().map(leaves), Some(10_000 / MOST));
        for number in 0..10_000_u64 {
            map.remove(&number);
        }
        assert!(map.is_empty() && map.root.is_none());
    }
}
