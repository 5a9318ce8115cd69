//! The emulated push services, driven by clients that are not ours. What those understood is held against what was meant.
#![expect(clippy::unwrap_used, reason = "tests")]

mod apns;
mod apns_client;
mod fcm;
mod fcm_client;
#[path = "../left_out/mod.rs"]
mod left_out;
mod own_sender;
mod program;
mod stage;
mod wns;
mod wns_client;
