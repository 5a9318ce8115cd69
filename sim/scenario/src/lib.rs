//! The script: what happens to which devices, and when.
//!
//! [`load`] reads a scenario and gives a [`plan::Plan`], or everything that is wrong with it ([`Problems`]). The plan is
//! what everybody else reads: populations, phases, arrivals and faults as plain data and pure functions; nothing in it
//! knows YAML, a socket or a clock. [`server`] is the server profile: what differs between server products, as data.

mod compile;
mod files;
mod language;
mod load;
pub mod plan;
mod problem;
mod schema;
pub mod server;
mod server_file;
mod units;
mod words;
mod yaml;

pub use load::{Given, Loaded, load};
pub use problem::{Problem, Problems, Source, nearest};
pub use schema::{schema, server_schema};
pub use words::words;
