//! Android devices, of two kinds that have nothing in common on the wire: [`google`]'s, whose server never sees them, and
//! those with an [`agent`] of the server's own.

pub mod agent;
pub mod google;
