//! What all push services have in common, whoever's they are: whose token it is, when a wake reaches its device, what is
//! kept for one that is out of reach, what goes wrong on order, what is counted, and how one runs.
//!
//! [`Registry`] is what shard threads and the services share: which lane holds which token. [`Sink`] is where wakes go.

mod delivery;
mod handle;
mod order;
mod post;
mod rate;
mod reason;
mod registry;
mod tally;
mod traffic;
mod travel;
mod trust;

pub use crate::orders::{ORDERS_MAX, OrderId};
pub use delivery::{Due, Push};
pub use droves_scenario::plan::Strikes;
pub use handle::{Answers, BODY_BYTES_MAX, Config, Handle, Reply, Request, StartError};
pub(crate) use handle::{GOODBYE_MAX, url};
pub use order::{Fault, Order};
pub use post::{Brain, Sink};
pub(crate) use post::{Post, wall_now};
pub(crate) use rate::Allowance;
pub use rate::Rate;
pub use reason::Reason;
pub use registry::{Registry, Standing, TOPICS_MAX, TopicIx};
pub use tally::{Taken, Tally};
pub(crate) use traffic::Moment;
pub use traffic::Traffic;
pub use travel::{Queue, Travel};
pub(crate) use trust::{Shown, shown};
pub use trust::{TrustError, authority_pem};
