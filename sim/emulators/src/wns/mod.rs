//! WNS, the push service of Windows, as an MDM server sees it: a token from an OAuth endpoint, then one POST of a raw
//! notification to the URL of the device's channel.
//!
//! [`Service`] is the brain, pure. What it has in common with other push services is in [`crate::push`]: a channel's
//! token is a lane's push token, and its topic the package family name (PFN) for which the device opened it.
//!
//! Follows Microsoft's "Push notification service request and response headers" and "Authenticate with WNS". What it
//! does not say, as how many notifications are too many, is a setting in [`Rules`].

mod access;
mod reason;
mod request;
mod server;
mod service;

pub use access::App;
pub use reason::{Reason, Refusal};
pub use server::{Config, Handle};
pub use service::{Rules, Service};
