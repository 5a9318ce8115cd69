//! The words that all rooms share: ids, time, dice, limits, blame, the table of operations, and [`Fact`]: what can
//! be said of a run.
//!
//! This crate does nothing: no I/O, no clock, no state. It stands first in the house, so that no two rooms need to
//! agree on a word behind its back.

mod blame;
mod dice;
mod fact;
mod id;
mod limits;
mod operation;
mod status;
mod time;

pub use blame::{Blame, Outcome, Word, kind};
pub use dice::{Dice, Philox, Purpose};
pub use fact::{
    ArrivalFate, Closing, CommandStatus, DeviceState, Fact, KeyFamily, Opening, PushFate, RequestTiming, Truth, Waker,
    What,
};
pub use id::{CommandKey, DeviceIx, Dialect, Family, LaneIx, PhaseIx, Platform, PopulationIx};
pub use limits::Limits;
pub use operation::{OPERATIONS, Operation, OperationInfo, Unit};
pub use status::status_kind;
pub use time::{Dur, Mono, Wall};
