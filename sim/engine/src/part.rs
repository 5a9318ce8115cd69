//! A shard's thread from its beginning: what it takes along, and what it makes of it.

use crate::cast::Cast;
use crate::faults::LaneFaults;
use crate::inbox::{PushBox, Report, ToShard};
use crate::keys::KeyRing;
use crate::makers::Job;
use crate::session::{Mailbox, Network};
use crate::store::Keep;
use crate::track::Tracks;
use crate::worker::Worker;
use droves_device::apple::Apple;
use droves_emulators::apns;
use droves_facts::Limits;
use droves_fleet::{Reader, Saver};
use droves_measure::Folds;
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources};
use droves_net::tls::{ClientTls, ClientTlsSettings, Roots};
use droves_scenario::plan::{Plan, Roster};
use droves_shard::{Cells, Config, Shard};
use droves_wire::apple::push::Tokens;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::LocalSet;

/// Addresses of 127.0.0.0/8 that devices come from.
pub(crate) const SOURCES: u32 = 64;

/// What a shard's thread takes along.
pub(crate) struct Part {
    pub(crate) ix: usize,
    pub(crate) plan: Arc<Plan>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) cells: Arc<Cells>,
    pub(crate) cast: Cast,
    pub(crate) limits: Arc<Limits>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: RunClock,
    pub(crate) roots: Roots,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) registry: Arc<apns::Registry>,
    pub(crate) makers: Sender<Job>,
    pub(crate) saver: Option<Saver>,
    pub(crate) inbox: UnboundedReceiver<ToShard>,
    pub(crate) pushes: Arc<[PushBox]>,
    pub(crate) reporter: UnboundedSender<Report>,
    pub(crate) stored: Option<Reader>,
    pub(crate) is_restart: bool,
}

impl Part {
    /// The thread's work.
    pub(crate) fn run(self) {
        let result = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match result {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "shard's runtime"),
        };
        let settings = ClientTlsSettings::default();
        let client = match ClientTls::new(&self.roots, settings) {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "shard's TLS"),
        };
        let sessions_max = (self.plan.bounds.connections_max as usize).div_ceil(self.cells.shards()).max(1);
        let network = Network {
            dialler: Dialler::new(&self.limits, Sources::spread(SOURCES)),
            tls: client,
            clock: self.clock,
            limits: Arc::clone(&self.limits),
            authorised: self.plan.target.authorised.clone(),
            http: self.plan.http,
            resumption: self.plan.resumption,
            keys: self.keys,
            faults: LaneFaults::of_network(&self.plan),
            addresses: RefCell::default(),
            mailbox: Mailbox::default(),
        };
        let config = Config {
            plan: Arc::clone(&self.plan),
            roster: Arc::clone(&self.roster),
            cells: Arc::clone(&self.cells),
            shard: self.ix,
            characters: Arc::clone(&self.cast.characters),
            limits: self.limits,
            tokens: self.tokens,
            sessions_max,
            keeps: self.saver.is_some(),
        };
        let cast = self.cast;
        let shard = Shard::<Apple>::new(config, |device| cast.kind(device));
        let worker = Worker {
            shard,
            ix: self.ix,
            clock: self.clock,
            network: Rc::new(network),
            registry: Some(self.registry),
            makers: self.makers,
            store: Keep::new(self.saver),
            inbox: self.inbox,
            pushes: self.pushes,
            coordinator: self.reporter,
            folds: if self.is_restart { Folds::after_restart() } else { Folds::default() },
            tracks: Tracks::new(self.plan, self.roster),
            cells: self.cells,
            stored: self.stored,
        };
        LocalSet::new().block_on(&runtime, worker.run());
    }
}
