//! Apple's MDM: enrollment profile, check-in messages, commands and their results, pushes.
//!
//! The messages follow Apple's published schema (`apple/device-management`, iOS 18 and macOS 15) and, where real
//! devices were seen to say more or less, those devices. Keys stand sorted, as Apple's own writer sorts them.

pub mod acme;
pub mod body;
pub mod checkin;
pub mod command;
mod csr;
pub mod declarative;
pub mod identity;
pub mod profile;
pub mod push;
pub mod request;
pub mod result;
pub mod scep;
pub mod signature;

#[cfg(test)]
mod schema;
