//! The network's ways, once, for both sides: TLS, connect, an HTTP client connection, listeners, the CONNECT front
//! door, faults as wrappers that stack, the limits of the machine, processor time, pipes between processes of ours, and
//! whom a run may be pointed at.
//!
//! Nothing here knows a protocol of MDM. Everything runs on a current-thread tokio runtime; futures need not be
//! `Send`. Every wait, body, head and count has a bound that is handed in.

pub mod authorise;
pub mod clock;
pub mod connect;
pub mod cpu;
pub mod faults;
pub mod files;
pub mod http;
pub mod listen;
pub mod machine;
pub mod pipe;
pub mod proxy;
mod stream;
pub mod tls;
mod trouble;

pub use stream::Stream;
