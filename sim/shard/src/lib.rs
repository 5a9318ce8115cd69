//! The pure core of the driver, and a virtual shell over it.
//!
//! A [`Shard`] owns the lanes of some cells of the fleet. It gives machines time: it wakes them when the plan, a push
//! or their own timer says so, keeps what they can't hear yet in latches, admits no more sessions than it may, and
//! accounts for every arrival. It names no socket and no runtime: whoever runs it steps it with a time and an
//! [`Input`], carries out the [`Effect`]s, and asks [`Shard::next`] when to call again.
//!
//! [`forecast`] is such a runner without a network: it jumps from deadline to deadline.

mod arrivals;
mod cells;
pub mod forecast;
mod known;
mod lane;
mod shard;
mod shell;
mod wheel;

pub use arrivals::Due;
pub use cells::{CELLS, Cells};
pub use known::Known;
pub use lane::Snapshot;
pub use shard::{Config, Registration, Shard};
pub use shell::{Answer, Effect, Exchange, Input, Ticket};
pub use wheel::{Entry, Wheel};
