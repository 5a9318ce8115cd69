//! The network's ways over real sockets on loopback.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cast;
mod failures;
mod listening;
mod resumption;
mod round_trips;
mod wires;
