//! The push services of a run: APNs with its door always, WNS where there are Windows devices, FCM where agents on Android
//! are woken by it. All read one register, wake by one way, and take the same orders.

use crate::account::KeyFile;
use crate::enrollment::firebase_project;
use crate::inbox::Shards;
use crate::run::{RunError, Setup};
use droves_emulators::google::Callers;
use droves_emulators::practice::MessagesBy;
use droves_emulators::push::{self, Brain, Fault, Order, OrderId, Queue, Reason, Registry, Strikes, Travel};
use droves_emulators::{Delay, apns, fcm, wns};
use droves_facts::{Family, Mono};
use droves_measure::PushService;
use droves_net::clock::RunClock;
use droves_scenario::plan::{Behaviour, Plan, Roster};
use droves_wire::apple::push::Tokens;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Connections of providers at once, of each service.
const CONNECTIONS_MAX: usize = 4_096;

/// The file that a server under test reads as its key for FCM.
const FCM_KEY_FILE: &str = "firebase-service-account.json";

/// The services that run.
pub(crate) struct Pushing {
    apns: apns::Handle,
    wns: Option<wns::Handle>,
    fcm: Option<Fcm>,
}

/// FCM, and what lets a server in.
struct Fcm {
    handle: fcm::Handle,
    /// The service account's key, of mode 0600.
    key_file: PathBuf,
}

/// An order that was given to the service of this name.
#[derive(Debug)]
pub(crate) struct Given(&'static str, OrderId);

impl Pushing {
    /// Starts what the plan's devices need.
    pub(crate) fn start(
        setup: &Setup,
        roster: &Roster,
        shards: &Shards,
        clock: RunClock,
        secret: [u8; 32],
    ) -> Result<Self, RunError> {
        let (tokens, registry) = (Tokens::new(secret), Arc::new(Registry::new(roster.lanes())));
        let ground = Ground { setup, shards, tokens, registry, clock };
        let wns = setup.plan.has(Family::Windows).then(|| ground.wns()).transpose()?;
        let fcm = firebase_project(&setup.plan)?.map(|project| ground.fcm(&project)).transpose()?;
        let beyond = wns.iter().flat_map(wns::Handle::behind_door);
        let beyond = beyond.chain(fcm.iter().flat_map(|fcm| fcm.handle.behind_door())).collect();
        Ok(Pushing { apns: ground.apns(beyond)?, wns, fcm })
    }

    /// Where providers of APNs connect.
    pub(crate) fn apns(&self) -> SocketAddr {
        self.apns.addr()
    }

    /// Where servers connect to WNS, if it runs.
    pub(crate) fn wns(&self) -> Option<SocketAddr> {
        self.wns.as_ref().map(wns::Handle::addr)
    }

    /// FCM, if it runs: its URL, and the file with a key by which a server may call it.
    pub(crate) fn fcm(&self) -> Option<(String, PathBuf)> {
        self.fcm.as_ref().map(|fcm| (fcm.handle.url(), fcm.key_file.clone()))
    }

    /// How the practice server sends by FCM, if it runs.
    pub(crate) fn messages(&self) -> Option<MessagesBy> {
        let Fcm { handle, key_file } = self.fcm.as_ref()?;
        Some(MessagesBy { to: handle.addr(), ca: self.ca_pem_path().to_owned(), key_file: key_file.clone() })
    }

    /// Host and port of WNS's channels; empty where it does not run.
    pub(crate) fn channels(&self) -> String {
        self.wns.as_ref().map(wns::Handle::channels).unwrap_or_default()
    }

    /// Where the CONNECT door is.
    pub(crate) fn door(&self) -> Option<SocketAddr> {
        self.apns.door_addr()
    }

    /// The authority of all of them, PEM.
    pub(crate) fn ca_pem_path(&self) -> &Path {
        self.apns.ca_pem_path()
    }

    /// Which lane holds which token.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        self.apns.registry()
    }

    /// Orders a fault of each service: notifications are refused with this status by those that know it, or are lost.
    pub(crate) fn order(
        &self,
        status: Option<u16>,
        strikes: Strikes,
        lanes: Option<&Range<u32>>,
        window: &Range<Mono>,
    ) -> Vec<Given> {
        let order = Order {
            fault: status.map_or(Fault::Lose, Fault::Refuse),
            strikes,
            lanes: lanes.cloned(),
            window: window.clone(),
        };
        let given = self.services().into_iter().map(|(name, service)| service.order(&order).map(|id| Given(name, id)));
        given.flatten().collect()
    }

    /// Takes an order back.
    pub(crate) fn lift(&self, Given(name, id): Given) {
        for (_, service) in self.services().into_iter().filter(|(of, _)| *of == name) {
            service.lift(id);
        }
    }

    /// How each service saw it, by its name.
    pub(crate) fn tallies(&self) -> BTreeMap<&'static str, PushService> {
        self.services().into_iter().map(|(name, service)| (name, service.told())).collect()
    }

    /// Ends them in good order.
    pub(crate) fn stop(self) {
        self.apns.stop();
        if let Some(wns) = self.wns {
            wns.stop();
        }
        if let Some(fcm) = self.fcm {
            fcm.handle.stop();
        }
    }

    fn services(&self) -> Vec<(&'static str, &dyn Service)> {
        let mut services: Vec<(_, &dyn Service)> = vec![("apns", &self.apns)];
        services.extend(self.wns.as_ref().map(|wns| ("wns", wns as _)));
        services.extend(self.fcm.as_ref().map(|fcm| ("fcm", &fcm.handle as _)));
        services
    }
}

/// What all of them stand on.
struct Ground<'a> {
    setup: &'a Setup,
    shards: &'a Shards,
    tokens: Tokens,
    registry: Arc<Registry>,
    clock: RunClock,
}

impl Ground<'_> {
    fn apns(self, beyond: Vec<((&'static str, u16), SocketAddr)>) -> Result<apns::Handle, RunError> {
        let config = apns::Config {
            listen: loopback(self.setup.push_port),
            door: Some(loopback(self.setup.door_port)),
            beyond,
            certificates: self.setup.certificates.clone(),
            provider_roots: None,
            connections_max: CONNECTIONS_MAX,
            rules: apns::Rules::default(),
            connections: apns::ConnectionRules::default(),
            tokens: self.tokens,
            registry: self.registry,
            dice: self.setup.plan.dice(),
            clock: self.clock,
        };
        Ok(apns::Handle::start(config, Arc::new(self.shards.clone()))?)
    }

    fn wns(&self) -> Result<wns::Handle, RunError> {
        let rules = wns::Rules { travel: travel(&self.setup.plan), ..wns::Rules::default() };
        Ok(wns::Handle::start(self.config(self.setup.wns_port, rules), Arc::new(self.shards.clone()))?)
    }

    fn fcm(&self, project: &str) -> Result<Fcm, RunError> {
        let key_file = KeyFile::at(self.setup.certificates.join(FCM_KEY_FILE), project)?;
        // A server that has a token of its own for the real Google is let in with that.
        let rules =
            fcm::Rules { callers: Callers::Anybody, accounts: vec![key_file.account()?], ..fcm::Rules::default() };
        let config = self.config(self.setup.fcm_port, rules);
        let handle = fcm::Handle::start(config, Arc::new(self.shards.clone()))?;
        let key_file = key_file.write(&handle.url())?;
        Ok(Fcm { handle, key_file })
    }

    fn config<R>(&self, port: u16, rules: R) -> push::Config<R> {
        push::Config {
            listen: loopback(port),
            certificates: self.setup.certificates.clone(),
            connections_max: CONNECTIONS_MAX,
            rules,
            tokens: self.tokens.clone(),
            registry: Arc::clone(&self.registry),
            dice: self.setup.plan.dice(),
            clock: self.clock,
        }
    }
}

/// A push service that runs, whatever its reasons are called.
trait Service {
    /// Takes an order whose fault is a status, if there is a reason of that status.
    fn order(&self, order: &Order<u16>) -> Option<OrderId>;
    fn lift(&self, id: OrderId);
    /// What it counted, by the statuses of its reasons.
    fn told(&self) -> PushService;
}

impl<B: Brain, X> Service for push::Handle<B, X> {
    fn order(&self, order: &Order<u16>) -> Option<OrderId> {
        let fault = match order.fault {
            Fault::Lose => Fault::Lose,
            Fault::Refuse(status) => Fault::Refuse(B::Reason::usual(status)?),
        };
        let Order { strikes, lanes, window, .. } = order.clone();
        push::Handle::order(self, Order { fault, strikes, lanes, window })
    }

    fn lift(&self, id: OrderId) {
        push::Handle::lift(self, id);
    }

    fn told(&self) -> PushService {
        let tally = self.tally();
        let mut refused = BTreeMap::new();
        for (reason, count) in &tally.refused {
            *refused.entry(reason.status()).or_default() += count;
        }
        PushService {
            accepted: tally.accepted,
            refused,
            coalesced: tally.coalesced,
            expired: tally.expired,
            lost: tally.lost,
            stored: tally.stored,
            woken: tally.woken,
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// How long a push by WNS travels: to some devices longer, which queue what it asks for.
pub(crate) fn travel(plan: &Plan) -> Travel {
    let of = |lanes: &Range<u32>, behaviour: &Behaviour| match *behaviour {
        Behaviour::Queued { share, length } => Some(Queue { lanes: lanes.clone(), share, length }),
        _ => None,
    };
    let all = plan.populations.iter();
    let queues = all.flat_map(|each| each.behaviours.iter().filter_map(|behaviour| of(&each.lanes, behaviour)));
    Travel { delay: Delay::None, queues: queues.collect() }
}
