//! The real shell around shards: runtimes, connections, signing, the store's writer, and the administrator.
//!
//! A run is threads that share nothing but queues: one a shard (with its devices, its connections and its folds), a few
//! that work with private keys, one that writes to the disk, one for the push service, one for the practice server if
//! there is one, and the coordinator, which goes through the plan's steps and merges what the shards report. The shards may be
//! in several processes: see [`work`].

mod account;
pub mod admin;
mod attestation;
mod board;
pub mod calibrate;
mod cast;
mod crew;
mod directory;
mod enrollment;
mod faults;
pub mod forecast;
mod google;
mod health;
mod inbox;
mod inventory;
mod keys;
mod link;
mod makers;
mod mint;
mod part;
mod players;
mod process;
mod pushing;
mod run;
mod session;
mod signing;
mod stage;
mod steps;
mod store;
mod tape;
mod track;
mod troupe;
mod worker;

pub use admin::{AdminError, Announce, AnnounceError, Announced, announce};
pub use attestation::attestation_root;
pub use directory::Directory;
pub use enrollment::EnrollmentError;
pub use health::Health;
pub use inventory::{Inventory, inventory, show};
pub use keys::RingError;
pub use mint::{Mint, MintError, Minted, mint};
pub use process::work;
pub use run::{
    Finished, Look, Nearness, PhaseLook, Processes, Ready, RunError, Setup, by_platform, default_keys_folder, run,
};
pub use steps::Span;
pub use store::{Keep, restored};
pub use tape::{ReplayError, Replayed, Replaying, Taped, replay};
