//! A shard's thread from its beginning: what it takes along, and what it makes of it.

use crate::faults::LaneFaults;
use crate::inbox::{Shards, ToShard};
use crate::keys::KeyRing;
use crate::makers::Job;
use crate::session::{Mailbox, Network};
use crate::store::Keep;
use crate::tape::Taper;
use crate::track::Tracks;
use crate::troupe::Stuff;
use crate::worker::Worker;
use droves_device::Device;
use droves_fleet::{Reader, Saver};
use droves_measure::Folds;
use droves_net::connect::{Dialler, Sources};
use droves_net::tls::{ClientTls, ClientTlsSettings};
use droves_scenario::plan::Plan;
use droves_shard::{Config, Shard};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;

/// Addresses of 127.0.0.0/8 that devices come from.
pub(crate) const SOURCES: u32 = 64;

/// How many sessions a shard has open at a time: each has its part of what the plan allows.
pub(crate) fn room(plan: &Plan, shards: usize) -> usize {
    (plan.bounds.connections_max as usize).div_ceil(shards).max(1)
}

/// What a shard's thread takes along.
pub(crate) struct Part {
    pub(crate) ix: usize,
    pub(crate) stuff: Stuff,
    pub(crate) shards: Shards,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) makers: Sender<Job>,
    pub(crate) saver: Option<Saver>,
    pub(crate) inbox: UnboundedReceiver<ToShard>,
    pub(crate) stored: Option<Reader>,
    pub(crate) taper: Option<Taper>,
}

impl Part {
    /// The thread's work.
    pub(crate) fn run(self) {
        let result = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match result {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "shard's runtime"),
        };
        let Stuff { plan, roster, cast, limits, tokens, clock, roots, desk, reporter, is_restart } = self.stuff;
        let Shards { cells, boxes, .. } = self.shards;
        let client = match ClientTls::new(&roots, ClientTlsSettings::default()) {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "shard's TLS"),
        };
        let sessions_max = room(&plan, cells.shards());
        let network = Network {
            dialler: Dialler::new(&limits, Sources::spread(SOURCES)),
            tls: client,
            clock,
            limits: Arc::clone(&limits),
            authorised: plan.target.authorised.clone(),
            http: plan.http,
            resumption: plan.resumption,
            keys: self.keys,
            faults: LaneFaults::of_network(&plan),
            addresses: RefCell::default(),
            destinations: RefCell::default(),
            mailbox: Mailbox::default(),
        };
        let config = Config {
            plan: Arc::clone(&plan),
            roster: Arc::clone(&roster),
            cells: Arc::clone(&cells),
            shard: self.ix,
            characters: Arc::clone(&cast.characters),
            limits,
            tokens,
            sessions_max,
            keeps: self.saver.is_some(),
        };
        let mut shard = Shard::<Device>::new(config, |device| cast.kind(device));
        if self.taper.is_some() {
            shard.start_tape();
        }
        let worker = Worker {
            shard,
            ix: self.ix,
            clock,
            network: Rc::new(network),
            desk,
            makers: self.makers,
            store: Keep::new(self.saver),
            inbox: self.inbox,
            pushes: boxes,
            coordinator: reporter,
            folds: Folds::of_run(is_restart, plan.queues_commands()),
            tracks: Tracks::new(plan, roster),
            cells,
            stored: self.stored,
            taper: self.taper,
        };
        LocalSet::new().block_on(&runtime, worker.run());
    }
}
