//! The script: what happens to which devices, and when.
//!
//! [`plan`] is what everybody else reads: populations, phases, arrivals and faults as plain data and pure functions.
//! Nothing in it knows YAML, a socket or a clock. [`server`] is the server profile: what differs between server
//! products, as data.

pub mod plan;
pub mod server;
