//! End to end: real servers on loopback, one suite, one adapter a server.
//!
//! The library starts servers that are not ours, each on a free port, with its log in a file; it kills them when they
//! go out of scope, and waits for nothing without a bound. It uses no room of the house, and runs the program as users do: what it says about a run, it
//! knows from the server's storage, from its webhook, or from the `openssl` command line. So it can't agree with our
//! mistakes.
//!
//! Suites stand in `suites/`, one file each, named in `Cargo.toml` as a test target: `cargo xtask test --only servers`.
//! A case that can't run on this machine leaves itself out by name ([`case`]); under `CI` that is a failure.

mod browser;
mod by_hand;
mod droves;
mod emm;
mod error;
mod ground;
mod headwind;
mod http;
mod mosquitto;
mod nanohub;
mod nanomdm;
mod openssl;
mod peer;
mod postgres;
mod process;
mod profile;
mod recorder;
mod relay;
mod scep;
mod server;
mod sink;
mod step_ca;
mod storage;
mod windows;

pub use browser::Browser;
pub use by_hand::{HandDevice, bare_command};
pub use droves::{Droves, Run, Started};
pub use emm::{Emm, emm_tests};
pub use error::Error;
pub use ground::{Ground, case};
pub use headwind::{Headwind, headwind_tests};
pub use http::{Answer, Call};
pub use mosquitto::{Mosquitto, Publisher};
pub use nanohub::NanoHub;
pub use nanomdm::{API_KEY, Nanomdm, OwnAuthority, Storage, Surroundings};
pub use openssl::{Authority, Identity, PushCertificate};
pub use peer::{program, python};
pub use postgres::Postgres;
pub use process::{Running, free_port, wait_until};
pub use profile::EnrollmentProfile;
pub use recorder::{Event, Recorder};
pub use relay::{Relay, Stall};
pub use scep::ScepServer;
pub use server::{Refusals, Results, Server, Witness};
pub use sink::Sink;
pub use step_ca::StepCa;
pub use storage::NanomdmTables;
pub use windows::{WindowsServer, judge_recorded, windows_package, wns_send};
