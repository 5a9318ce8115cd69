//! An MQTT 3.1.1 broker without its sockets, as servers with an agent of their own have one inside (OASIS, MQTT Version
//! 3.1.1): sessions that outlive their connections, every quality of service, and bounds on all of it.
//!
//! Packets and the acknowledgements of each quality are the work of `mqtt-protocol-core`; here is what lies around them: who is
//! let in, who has subscribed to what, what waits for whom, and which connection a session has. Wills and retained messages
//! are taken and not kept: no agent asks for them.

mod broker;
mod line;
mod session;
mod tally;
#[cfg(test)]
mod tests;
mod topic;

pub use broker::{Acknowledged, Broker, Settings};
pub use line::{LineId, Refusal, Written};
pub use tally::Tally;
