//! What this machine can offer: measured, kept, and read again by runs and plans.

mod file;

pub use file::{FileError, default_file, here, load, save};
