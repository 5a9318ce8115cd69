//! Apple's push service, as an MDM server sees it: HTTP/2 with a client certificate, one POST a wake.
//!
//! [`Service`] is the brain, pure; [`Registry`] is what shard threads and it share: which lane holds which token.
//!
//! Follows Apple's "Sending notification requests to APNs" and "Handling notification responses from APNs"; where
//! servers of the field leave out what Apple asks for (topic, push type, expiration), it is not missed.

mod answer;
mod conduct;
mod connection;
mod delivery;
mod frames;
mod house;
mod order;
mod reason;
mod registry;
mod request;
mod server;
mod service;
mod tally;
mod trust;

pub use answer::{Answer, Refusal, Taken};
pub use conduct::ConnectionRules;
pub use delivery::{Due, Push};
pub use droves_scenario::plan::Strikes;
pub use house::{Connections, Sink};
pub use order::{Fault, ORDERS_MAX, Order, OrderId};
pub use reason::{Reason, UnknownReason};
pub use registry::{Registry, TOPICS_MAX, TopicIx};
pub use request::{PAYLOAD_BYTES_MAX, Provider, PushRequest};
pub use server::{Config, Handle, StartError};
pub use service::{Rules, Service, Strangers, TokenRate};
pub use tally::Tally;
pub use trust::{TrustError, authority_pem};
