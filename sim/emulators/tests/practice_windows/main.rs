//! The practice server's Windows without a socket: what its half promises, and the ledger's trial by the faults that it can
//! commit. (What it is to somebody else's device is in `tests/suites/windows_practice.rs`.)
#![expect(clippy::unwrap_used, reason = "tests")]

mod device;
mod ledger;
mod promises;
mod stage;
