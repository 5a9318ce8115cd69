//! The practice server: a small, strict MDM server for Apple's protocol, for Windows' and for Android devices, by an agent of
//! their own or by Google, that can fail on order.
//!
//! It is for first contact and for calibration. It shares the parsers with the devices, so that a device gets on with
//! it proves nothing.
//!
//! [`Brain`] is pure: a request and a time in, an answer and what it wants pushed out. It has a part for each protocol;
//! who is enrolled, faults on order and the administrator's calls are one mechanism for all, and so is what waits for a device,
//! but for agents, which have messages and a configuration instead of commands.
//! [`Practice`] is the brain behind three listeners on a thread of its own, one plain, one with TLS, without which no
//! Windows device enrolls, and one for MQTT, and with providers that push for it.

mod admin;
pub mod agents;
mod apple;
mod body;
mod brain;
mod device;
pub mod emm;
mod exchange;
mod faults;
mod house;
mod link;
mod pushing;
mod scep;
mod server;
mod truth;
pub mod windows;

pub use apple::{IDENTITY, declaration, enrollment_profile, enrollment_profile_with, heading};
pub use brain::{Belief, Brain, Told};
pub use device::{Enrollment, Queued};
pub use exchange::{Incoming, Outgoing, Proof, Wake};
pub use faults::Faults;
pub use server::{Channels, Config, MessagesBy, Practice, StartError};
pub use truth::{ALERTS_MAX, Fates, ROWS_MAX, Struck, Truth};
