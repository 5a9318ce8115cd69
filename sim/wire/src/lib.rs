//! The bytes: every message that a managed device and its server exchange, parsed and built, in both directions.
//!
//! Nothing here touches a socket, a clock or dice that it was not handed. Every parser takes its bounds from
//! [`droves_facts::Limits`] and gives an error for whatever it is fed, never a panic.

pub mod android;
pub mod apple;
pub mod ca;
pub mod cms;
pub mod digest;
pub mod form;
pub mod keys;
mod lenient;
pub mod pkcs12;
pub mod plist;
pub mod windows;
pub mod x509;

#[cfg(test)]
mod corpus;
