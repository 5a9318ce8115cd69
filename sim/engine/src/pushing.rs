//! The push services of a run: APNs with its door always, WNS where there are Windows devices. Both read one register,
//! wake by one way, and take the same orders.

use crate::inbox::Shards;
use crate::run::{RunError, Setup};
use droves_emulators::push::{Fault, Order, OrderId, Queue, Registry, Strikes, Tally, Travel};
use droves_emulators::{Delay, apns, wns};
use droves_facts::{Family, Mono};
use droves_measure::PushService;
use droves_net::clock::RunClock;
use droves_scenario::plan::{Behaviour, Plan, Roster};
use droves_wire::apple::push::Tokens;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Connections of providers at once, of each service.
const CONNECTIONS_MAX: usize = 4_096;

/// The services that run.
pub(crate) struct Pushing {
    apns: apns::Handle,
    wns: Option<wns::Handle>,
}

/// An order that was given to one of them.
#[derive(Debug)]
pub(crate) enum Given {
    Apns(OrderId),
    Wns(OrderId),
}

impl Pushing {
    /// Starts what the plan's devices need.
    pub(crate) fn start(
        setup: &Setup,
        roster: &Roster,
        shards: &Shards,
        clock: RunClock,
        secret: [u8; 32],
    ) -> Result<Self, RunError> {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (tokens, registry) = (Tokens::new(secret), Arc::new(Registry::new(roster.lanes())));
        let wns = setup.plan.has(Family::Windows).then(|| {
            let config = wns::Config {
                listen: loopback(setup.wns_port),
                certificates: setup.certificates.clone(),
                connections_max: CONNECTIONS_MAX,
                rules: wns::Rules { travel: travel(&setup.plan), ..wns::Rules::default() },
                tokens: tokens.clone(),
                registry: Arc::clone(&registry),
                dice: setup.plan.dice(),
                clock,
            };
            wns::Handle::start(config, Arc::new(shards.clone()))
        });
        let wns = wns.transpose()?;
        let config = apns::Config {
            listen: loopback(setup.push_port),
            door: Some(loopback(setup.door_port)),
            beyond: wns.as_ref().map(wns::Handle::behind_door).unwrap_or_default(),
            certificates: setup.certificates.clone(),
            provider_roots: None,
            connections_max: CONNECTIONS_MAX,
            rules: apns::Rules::default(),
            connections: apns::ConnectionRules::default(),
            tokens,
            registry,
            dice: setup.plan.dice(),
            clock,
        };
        Ok(Pushing { apns: apns::Handle::start(config, Arc::new(shards.clone()))?, wns })
    }

    /// Where providers of APNs connect.
    pub(crate) fn apns(&self) -> SocketAddr {
        self.apns.addr()
    }

    /// Where servers connect to WNS, if it runs.
    pub(crate) fn wns(&self) -> Option<SocketAddr> {
        self.wns.as_ref().map(wns::Handle::addr)
    }

    /// Host and port of WNS's channels; empty where it does not run.
    pub(crate) fn channels(&self) -> String {
        self.wns.as_ref().map(wns::Handle::channels).unwrap_or_default()
    }

    /// Where the CONNECT door is.
    pub(crate) fn door(&self) -> Option<SocketAddr> {
        self.apns.door_addr()
    }

    /// The authority of both, PEM.
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
        let apns = fault(status, apns::Reason::ALL, |reason| reason.status());
        let wns = fault(status, wns::Reason::ALL, |reason| reason.status());
        let (lanes, window) = (|| lanes.cloned(), || window.clone());
        let apns = apns.map(|fault| Order { fault, strikes, lanes: lanes(), window: window() });
        let wns = wns.map(|fault| Order { fault, strikes, lanes: lanes(), window: window() });
        let apns = apns.and_then(|order| self.apns.order(order)).map(Given::Apns);
        let wns = self.wns.as_ref().zip(wns).and_then(|(service, order)| service.order(order)).map(Given::Wns);
        apns.into_iter().chain(wns).collect()
    }

    /// Takes an order back.
    pub(crate) fn lift(&self, given: Given) {
        match (given, &self.wns) {
            (Given::Apns(id), _) => self.apns.lift(id),
            (Given::Wns(id), Some(wns)) => wns.lift(id),
            (Given::Wns(_), None) => {}
        }
    }

    /// How each service saw it, by its name.
    pub(crate) fn tallies(&self) -> BTreeMap<&'static str, PushService> {
        let apns = ("apns", told(&self.apns.tally(), |reason| reason.status()));
        let wns = self.wns.as_ref().map(|wns| ("wns", told(&wns.tally(), |reason| reason.status())));
        [apns].into_iter().chain(wns).collect()
    }

    /// Ends them in good order.
    pub(crate) fn stop(self) {
        self.apns.stop();
        if let Some(wns) = self.wns {
            wns.stop();
        }
    }
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

/// A fault in the words of one service; none where it has no reason of this status.
fn fault<R: Copy>(status: Option<u16>, reasons: &[R], status_of: impl Fn(R) -> u16) -> Option<Fault<R>> {
    let Some(status) = status else { return Some(Fault::Lose) };
    // The first reason of a status is its most common one.
    reasons.iter().find(|reason| status_of(**reason) == status).map(|reason| Fault::Refuse(*reason))
}

/// What a service counted, with the statuses of its reasons.
fn told<R: Ord + Copy>(tally: &Tally<R>, status: impl Fn(R) -> u16) -> PushService {
    let mut refused = BTreeMap::new();
    for (reason, count) in &tally.refused {
        *refused.entry(status(*reason)).or_default() += count;
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
