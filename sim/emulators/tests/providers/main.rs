//! The emulated push services, driven by clients that are not ours. What those understood is held against what was meant.
#![expect(clippy::unwrap_used, reason = "tests")]

mod apns;
mod apns_client;
#[path = "../left_out/mod.rs"]
mod left_out;
mod own_sender;
mod stage;
mod wns;
mod wns_client;
