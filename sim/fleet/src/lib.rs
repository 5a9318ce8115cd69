//! The fleet on disk: what each lane was when it was last saved, identities as they were issued, and the keys.
//!
//! A folder holds `fleet.json` (whose fleet it is), `secret` (from which push tokens come), and 64 *cells*, contiguous
//! ranges of lanes, one redb file each. [`Writer`] is one thread that commits in groups of at most 20 ms or 1,000
//! changes and acknowledges each change once it is on the disk; shards never wait for it. A process that is killed at
//! any moment loses nothing that was acknowledged. A cell that is cut off or otherwise damaged is kept beside, and whom
//! that drops is said; the others are as they were.

mod cell;
mod cells;
mod copy;
mod fleet;
mod keys;
mod landing;
mod private;
mod writer;

pub use cell::{Stored, StoredIdentity};
pub use copy::{CopyError, Exported, export, import};
pub use fleet::{Fleet, FleetError, Reader, Whose};
pub use keys::{KeyPool, KeyPoolError};
pub use landing::Landing;
pub use private::write as write_private;
pub use writer::{Acknowledge, Saver, Writer};
