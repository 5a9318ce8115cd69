//! YAML with positions.
//!
//! The tree is our own, built from the events of `saphyr-parser`. A ready tree (saphyr's marked one, `marked-yaml`)
//! decides what a scalar is before anybody has said what is wanted, and forgets duplicate keys; and variables must be
//! put in *before* a value gets its type, yet after positions are known. Two hundred lines buy all that, with bounds on
//! size, depth and what aliases may copy. [`de`] lets serde read the tree; [`At`] tells it where it was.

mod de;
mod emit;
mod substitute;
mod tree;

pub(crate) use de::{At, Named, TextOr, read};
pub(crate) use emit::emit;
pub(crate) use substitute::{Lookup, Unused, substitute};
pub(crate) use tree::{Key, Kind, Node, parse};
