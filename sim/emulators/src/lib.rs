//! Whoever must be played so that a server under test finds its world complete. Each of them is cut in two: a pure
//! brain that is handed a time and a request and gives an answer, and a shell of sockets around it.
//!
//! [`apns`] is Apple's push service as an MDM server sees it, [`wns`] Windows', [`fcm`] Android's, [`google`] what stands
//! between a server and its Android devices, [`mqtt`] a broker, [`practice`] an MDM server, [`sink`] one for load only.

pub mod apns;
mod client;
mod delay;
pub mod fcm;
pub mod google;
mod line;
pub mod mqtt;
mod orders;
pub mod practice;
mod provider;
pub mod push;
mod sender;
pub mod sink;
pub mod wns;

pub use delay::Delay;
pub use provider::Provider;
pub use sender::{Account, Messages, Package, Raw, Sender, Service};
