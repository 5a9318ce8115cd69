//! Connections, handshakes, requests and sessions, by the sessions of a shard.

use super::{CalibrateError, failed};
use crate::faults::LaneFaults;
use crate::keys::KeyRing;
use crate::part::SOURCES;
use crate::session::{self, Letter, Mailbox, Network, Session};
use bytes::Bytes;
use droves_device::{Body, Identity, Method, Peer, Request, Sink};
use droves_facts::{LaneIx, Limits, Operation};
use droves_measure::Offer;
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources};
use droves_net::tls::{ClientTls, ClientTlsSettings, Roots};
use droves_scenario::plan::{Http, Resumption};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Sessions side by side, as a shard under load has them.
const LINES: usize = 16;
/// Requests of a measured session.
const REQUESTS_A_SESSION: u32 = 3;
/// Requests of a batch: whole sessions for every line.
const REQUESTS_A_BATCH: u32 = LINES as u32 * REQUESTS_A_SESSION * 2;
/// Connections that each line opens in a batch.
const KNOCKS_A_LINE: u32 = 2;
/// About what a device's `Idle` has.
const BODY: [u8; 400] = [b'x'; 400];
const ANSWER_BYTES_MAX: usize = 1 << 20;
const HEADERS: &[(&str, &str)] =
    &[("content-type", "application/x-apple-aspen-mdm; charset=UTF-8"), ("user-agent", "MDM/1.0")];

/// The network of a shard.
pub(super) struct Wires {
    pub(super) network: Rc<Network>,
}

/// Sessions that are open, each with how many requests it has sent.
pub(super) type Lines = [Option<(Session, u32)>; LINES];

impl Wires {
    pub(super) fn new(trust: &Roots, keys: Arc<KeyRing>) -> Result<Self, CalibrateError> {
        let limits = Limits::default();
        let network = Network {
            dialler: Dialler::new(&limits, Sources::spread(SOURCES)),
            tls: ClientTls::new(trust, ClientTlsSettings::default())?,
            clock: RunClock::start(),
            limits: Arc::new(limits),
            authorised: Vec::new(),
            http: Http::H1,
            resumption: Resumption::Off,
            keys,
            faults: LaneFaults::none(),
            addresses: RefCell::default(),
            destinations: RefCell::default(),
            mailbox: Mailbox::default(),
        };
        Ok(Wires { network: Rc::new(network) })
    }

    /// Opens connections and lets go of them. How many.
    pub(super) async fn knock(&self, offer: Offer, to: &Target) -> Result<u64, CalibrateError> {
        let line = |lane| {
            let (network, request) = (Rc::clone(&self.network), to.request());
            tokio::task::spawn_local(async move {
                for _ in 0..KNOCKS_A_LINE {
                    session::knock(&network, lane, &request).await?;
                }
                Ok::<_, droves_device::Failure>(())
            })
        };
        let lines: Vec<_> = (0..LINES).map(|n| line(lane(n))).collect();
        for line in lines {
            line.await.map_err(|why| failed(offer, why))?.map_err(|failure| failed(offer, failure.text))?;
        }
        while self.network.mailbox.take().is_some() {}
        Ok(u64::from(KNOCKS_A_LINE) * LINES as u64)
    }

    /// Has a batch of sessions, side by side. How many.
    pub(super) async fn sessions(&self, offer: Offer, to: &Target) -> Result<u64, CalibrateError> {
        let requests = self.talk(offer, &mut Lines::default(), to, Some(REQUESTS_A_SESSION)).await?;
        Ok(requests / u64::from(REQUESTS_A_SESSION))
    }

    /// Sends a batch of requests, one at a time on each line. A session is over after `each` of them; without it, it stays
    /// open. How many.
    pub(super) async fn talk(
        &self,
        offer: Offer,
        lines: &mut Lines,
        to: &Target,
        each: Option<u32>,
    ) -> Result<u64, CalibrateError> {
        let mut left = REQUESTS_A_BATCH;
        let mut under_way = 0;
        let ask = |lines: &mut Lines, at: usize, left: &mut u32| {
            let Some(line) = lines.get_mut(at).filter(|_| *left > 0) else { return 0 };
            let (session, sent) = line.get_or_insert_with(|| (Session::begin(&self.network, lane(at)), 0));
            session.send(0, Box::new(to.request()));
            *sent += 1;
            *left -= 1;
            1
        };
        for at in 0..LINES {
            under_way += ask(lines, at, &mut left);
        }
        while under_way > 0 {
            self.network.mailbox.rung().await;
            while let Some(letter) = self.network.mailbox.take() {
                let Letter::Done { lane, result, .. } = letter else { continue };
                let answer = result.map_err(|failure| failed(offer, failure.text))?;
                if answer.status != 200 {
                    return Err(failed(offer, format!("the other end answered {}", answer.status)));
                }
                under_way -= 1;
                let at = lane.ix();
                if let Some(line) = lines.get_mut(at)
                    && line.as_ref().is_some_and(|(_, sent)| Some(*sent) == each)
                {
                    *line = None;
                }
                under_way += ask(lines, at, &mut left);
            }
        }
        Ok(u64::from(REQUESTS_A_BATCH))
    }
}

fn lane(line: usize) -> LaneIx {
    LaneIx(u32::try_from(line).unwrap_or(u32::MAX))
}

/// Where to, and as whom.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) url: Arc<str>,
    pub(super) identity: Option<Arc<Identity>>,
}

impl Target {
    /// What a device sends.
    pub(super) fn request(&self) -> Request {
        Request {
            operation: Operation::AppleIdle,
            peer: Peer::Server,
            method: Method::Put,
            url: Arc::clone(&self.url),
            headers: HEADERS,
            varying: Vec::new(),
            body: Body::Bytes(Bytes::from_static(&BODY)),
            identity: self.identity.clone(),
            sign: None,
            sink: Sink::Keep(ANSWER_BYTES_MAX),
            wait_max: Limits::default().request_wait_max,
            idle_end: None,
        }
    }
}
