//! Apple's MDM: enrollment profile, check-in messages, commands and their results, pushes.

pub mod push;
