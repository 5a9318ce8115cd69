//! A set of written nodes, in the order of their keys.

use droves_wire::windows::syncml::Format;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Nodes by key: the path without regard to case. Cheap to compare and to hash: a node's hash is taken when it is
/// written, and the set's is their sum.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Leaf>", into = "Vec<Leaf>")]
pub(in crate::windows) struct Nodes {
    by_key: BTreeMap<Arc<str>, Leaf>,
    hash: u64,
    bytes: usize,
}

/// A node as it was written.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(in crate::windows) struct Leaf {
    /// Its path as a server wrote it, from below `./Device`, or with `User/` in front: see [`super::Place`].
    pub(in crate::windows) path: Arc<str>,
    /// Its format; an interior node has [`Format::Node`].
    pub(in crate::windows) format: Format,
    /// Its value; empty for an interior node.
    pub(in crate::windows) value: Arc<str>,
}

impl Leaf {
    fn hash_one(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// What it takes: path, key and value.
    pub(super) fn bytes(&self) -> usize {
        2 * self.path.len() + self.value.len()
    }
}

impl Nodes {
    pub(super) fn get(&self, key: &str) -> Option<&Leaf> {
        self.by_key.get(key)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// What they take together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a node there, or takes it away; gives what was there.
    pub(super) fn put(&mut self, key: &Arc<str>, leaf: Option<Leaf>) -> Option<Leaf> {
        let before = match leaf {
            Some(leaf) => {
                self.hash = self.hash.wrapping_add(leaf.hash_one());
                self.bytes += leaf.bytes();
                self.by_key.insert(Arc::clone(key), leaf)
            }
            None => self.by_key.remove(key),
        };
        if let Some(before) = &before {
            self.hash = self.hash.wrapping_sub(before.hash_one());
            self.bytes -= before.bytes();
        }
        before
    }

    /// The nodes below a key, not the one there; all nodes for the empty key.
    pub(super) fn below(&self, key: &str) -> impl Iterator<Item = (&Arc<str>, &Leaf)> {
        let start: Arc<str> = if key.is_empty() { "".into() } else { format!("{key}/").into() };
        let inside = Arc::clone(&start);
        self.by_key.range(start..).take_while(move |(key, _)| key.starts_with(&*inside))
    }
}

impl PartialEq for Nodes {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.by_key == other.by_key
    }
}
impl Eq for Nodes {}

impl Hash for Nodes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl From<Vec<Leaf>> for Nodes {
    fn from(leaves: Vec<Leaf>) -> Self {
        let mut nodes = Nodes::default();
        for leaf in leaves {
            nodes.put(&leaf.path.to_ascii_lowercase().into(), Some(leaf));
        }
        nodes
    }
}

impl From<Nodes> for Vec<Leaf> {
    fn from(nodes: Nodes) -> Self {
        nodes.by_key.into_values().collect()
    }
}
