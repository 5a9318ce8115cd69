//! A real run's tape: what its machines heard and answered, in a file, and the same demanded of this program's machines.
//!
//! The file begins with a line that names the format. Then come pages: a length of 4 bytes (little-endian), the first 8
//! bytes of a SHA-256, and so many bytes. The first page is the [`Header`], every other a [`Page`] of one shard, whose
//! lines follow each other in postcard. What a page holds is whole or not there.
//!
//! What servers answered is on it in full: challenges, and passwords and keys where a server sends them in profiles. The
//! file is its owner's alone.

mod read;
mod replay;
#[cfg(test)]
mod tests;
mod write;

pub use replay::{ReplayError, Replayed, Replaying, replay};
pub(crate) use write::{Recorder, Taper, part};

use crate::health;
use crate::troupe::Stuff;
use droves_device::Character;
use droves_device::tape::Record;
use droves_facts::Wall;
use serde::{Deserialize, Serialize};

/// The first line. Another format has another number.
const FIRST_LINE: &[u8] = b"droves tape 1\n";
/// A page is handed to the writer when it has so many bytes.
const PAGE_BYTES: usize = 64 << 10;
/// No page has more: while the disk is behind, a page grows so far, and there is room for two of the longest answers. What
/// is longer is not read.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// Room in a page for the last line of a shard.
const LAST_LINE_BYTES: usize = 32;

/// What the machines were made from, and who made the tape.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The version of Droves.
    droves: String,
    /// The scenario's name.
    scenario: String,
    /// SHA-256 of the plan.
    plan_hash: String,
    /// When it was begun.
    began: Wall,
    /// The run's seed.
    seed: u64,
    /// From which the fleet's push tokens come.
    secret: [u8; 32],
    /// Kinds of devices.
    characters: Vec<Character>,
    /// The shards that are on it.
    shards: Vec<usize>,
}

impl Header {
    pub(crate) fn of(stuff: &Stuff, secret: [u8; 32], shards: Vec<usize>) -> Self {
        Header {
            droves: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: stuff.plan.name.clone(),
            plan_hash: stuff.plan.hash.clone(),
            began: health::wall(),
            seed: stuff.plan.seed,
            secret,
            characters: stuff.cast.characters.to_vec(),
            shards,
        }
    }
}

/// What comes next from a shard.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    /// A lane's.
    Record(Record),
    /// The shard is over.
    End(Taped),
}

/// How much of what machines did is on a tape.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Taped {
    /// Steps that are.
    pub steps: u64,
    /// Steps that are not, since the disk could not keep up: a shard's tape ends with the first of them.
    pub lost: u64,
}

impl Taped {
    pub(crate) fn and(self, other: Taped) -> Taped {
        Taped { steps: self.steps + other.steps, lost: self.lost + other.lost }
    }
}
