//! Apple's push service, as an MDM server sees it: HTTP/2 with a client certificate, one POST a wake.
//!
//! [`Service`] is the brain, pure. What it has in common with other push services is in [`crate::push`].
//!
//! Follows Apple's "Sending notification requests to APNs" and "Handling notification responses from APNs"; where
//! servers of the field leave out what Apple asks for (topic, push type, expiration), it is not missed.

mod answer;
mod conduct;
mod connection;
mod frames;
mod house;
mod known;
mod reason;
mod request;
mod server;
mod service;

pub use answer::{Answer, Refusal};
pub use conduct::ConnectionRules;
pub use house::Connections;
pub use reason::{Reason, UnknownReason};
pub use request::{PAYLOAD_BYTES_MAX, Provider, PushRequest};
pub use server::{Config, Handle, Ports};
pub use service::{Rules, Service, Strangers};
