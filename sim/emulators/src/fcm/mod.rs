//! FCM, the push service of Android, as a server sees it that wakes agents of its own with it: a token from Google's OAuth
//! endpoint, then one POST for each message.
//!
//! [`Service`] is the brain, pure. What it has in common with other push services is in [`crate::push`]: a registration
//! token is made around a lane's push token, and its topic is the Firebase project for which the app registered. A
//! token of an earlier generation is `UNREGISTERED`.
//!
//! A message wakes its device and is no more than that there: an agent that is woken asks its server. So what a message
//! says is judged and counted, and not carried.
//!
//! Follows Google's *REST Resource: projects.messages*, *FCM error codes*, *Message throttling and quotas* and *Lifetime of
//! a message*. What they leave open is a setting in [`Rules`].

mod reason;
mod request;
mod server;
mod service;
mod shelf;

pub use reason::Reason;
pub use server::{Config, Handle};
pub use service::{Rules, Service};
pub use shelf::Dropped;
