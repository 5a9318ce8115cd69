//! The practice server: a small, strict MDM server for Apple's protocol that can fail on order.
//!
//! It is for first contact and for calibration. It shares the parsers with the devices, so that a device gets on with
//! it proves nothing.
//!
//! [`Brain`] is pure: a request and a time in, an answer and what it wants pushed out. [`Practice`] is the brain behind
//! a listener on a thread of its own, with a provider that pushes for it.

mod brain;
mod declarations;
mod device;
mod faults;
mod profile;
mod pushing;
mod server;
mod truth;

pub use brain::{Belief, Brain, Incoming, Outgoing, Proof, Wake};
pub use declarations::answer as declaration;
pub use device::{Enrollment, Queued};
pub use faults::Faults;
pub use profile::{IDENTITY, heading, write as enrollment_profile, write_with as enrollment_profile_with};
pub use server::{Config, Practice, StartError};
pub use truth::{Fates, ROWS_MAX, Struck, Truth};
