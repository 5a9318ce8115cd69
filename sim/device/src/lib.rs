//! The people in the play: devices as pure state machines.
//!
//! A machine does no I/O, reads no clock, spawns nothing, prints nothing and holds no private key. It is told what
//! happened ([`Event`]) and answers with the one thing that it waits for next ([`Action`]). The loop that a shell runs
//! is this, and [`contract`] states its rules:
//!
//! 1. open the lane: [`Machine::open`] makes a live machine of the record, the shared and the own part that sleep in
//!    the arena;
//! 2. call [`Machine::on`] with one event, take the action;
//! 3. do what the action says (send the request, make the key, save, wait), hearing only what it hears;
//! 4. go to 2 with what came of it, until the action is `Sleep` or `End`;
//! 5. fold the lane back: [`Machine::fold`], and let the record sleep until its next wake.

pub mod android;
pub mod apple;
mod at;
mod behaviour;
pub mod contract;
mod ctx;
mod device;
mod kept;
mod machine;
mod rest;
mod scep;
pub mod tape;
#[cfg(test)]
mod tests_support;
mod trouble;
mod unique;
mod uuids;
mod wanted;
mod web;
mod whole;
pub mod windows;

pub use android::agent::Pool;
pub use behaviour::{Habits, Need, Spells};
pub use contract::{
    Account, Action, Body, Event, Failure, Framing, HELD_MIN, Link, Made, Method, Note, Order, Peer, Reached, Reasons,
    Request, Response, Sign, Sink, Wake, What, Why, Work,
};
pub use ctx::{
    Agent, Character, Clocks, Ctx, Discovery, Enrolls, Google, Identity, KeyIx, Out, ProfileSource, Proof, Retry, Token,
};
pub use device::{Device, Record, Shared};
pub use droves_facts::status_kind;
pub use machine::{Machine, RECORD_BYTES_MAX, Slept};
