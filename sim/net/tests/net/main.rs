//! The network's ways over real sockets on loopback.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cast;
mod round_trips;
