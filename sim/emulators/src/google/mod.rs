//! Google, as an EMM's server sees it that uses the Android Management API: that interface with all of its methods, the token
//! endpoint for service accounts, and Cloud Pub/Sub, by which the server hears of its devices.
//!
//! [`Google`] is the brain, pure: a request and a time in, an answer out; and methods by which devices talk to it, in
//! process. [`Handle`] is the brain behind a listener on a thread of its own, with posts to push endpoints.

mod account;
mod brain;
mod devices;
mod discovery;
mod ear;
mod faults;
mod gather;
mod grpc;
mod lanes;
mod management;
mod page;
mod poster;
mod publish;
mod pubsub;
mod query;
mod quota;
mod rpc;
mod server;
mod signer;
mod stream;

pub(crate) use account::Accounts;
pub use account::{Account, Callers};
pub use brain::{Answer, Google, Request, Settings};
pub use ear::Ear;
pub use faults::{Fault, FaultOrder, Refusal};
pub use management::{
    Departure, EnrollError, Enrolled, Enrollment, Migration, Object, Order, Outcome, Unknown, body_target,
};
pub use pubsub::{Outbound, is_taken};
pub(crate) use quota::Meter;
pub use quota::{Exhausted, Quota};
pub use server::{Config, Handle, StartError};
pub use signer::SignerError;

#[cfg(test)]
mod tests;
