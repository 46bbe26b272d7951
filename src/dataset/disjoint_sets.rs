//! A disjoint-set forest: which of some items are connected, directly or through others.

/// Items from 0 on, each in one set.
pub(super) struct DisjointSets {
    /// For each item its parent, or itself for a root. A parent comes before its children.
    parents: Vec<usize>,
}

impl DisjointSets {
    /// Each of `count` items in a set of its own.
    pub(super) fn new(count: usize) -> DisjointSets {
        DisjointSets {
            parents: (0..count).collect(),
        }
    }

    /// The first item of the set that `item` is in. Shortens the path to it (path halving).
    pub(super) fn root(&mut self, mut item: usize) -> usize {
        while self.parents[item] != item {
            self.parents[item] = self.parents[self.parents[item]];
            item = self.parents[item];
        }
        item
    }

    pub(super) fn are_joined(&mut self, a: usize, b: usize) -> bool {
        self.root(a) == self.root(b)
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}
