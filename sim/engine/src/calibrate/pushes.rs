//! Pushes by a provider, taken by the emulated push service and handed over to whoever is woken.

use super::{CalibrateError, failed};
use droves_emulators::push::{Push, Registry, Sink};
use droves_emulators::{Provider, apns};
use droves_facts::{Dice, LaneIx, Limits, PushFate, Wall};
use droves_measure::Offer;
use droves_net::Stream;
use droves_net::clock::RunClock;
use droves_net::http::Conn;
use droves_wire::apple::push::Tokens;
use droves_wire::ca::{Authority, Subject};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const TOPIC: &str = "com.apple.mgmt.External.calibration";
const MAGIC: &str = "8D2C1B04-4B5E-4C8A-9C37-0A4E7F1D6B22";
/// Connections of the provider, one push at a time on each.
const LINES: usize = 16;
const PUSHES_A_LINE: usize = 8;
/// Lanes that are pushed in turn: more than are under way at a time, so that no push waits for another.
const LANES: u32 = 4_096;

/// The push service and its provider.
pub(super) struct Pushes {
    provider: Rc<Provider>,
    lines: Vec<Option<Conn<Stream>>>,
    tokens: Rc<[String]>,
    next: usize,
    woken: Arc<Woken>,
    sent: u64,
    /// The service ends with it.
    _service: apns::Handle,
}

/// Counts wakes.
#[derive(Default)]
struct Woken(AtomicU64);

impl Sink for Woken {
    fn wake(&self, _push: Push) -> PushFate {
        self.0.fetch_add(1, Relaxed);
        PushFate::Received
    }
}

impl Pushes {
    pub(super) fn start(folder: &Path, authority: &Authority, now: Wall) -> Result<Self, CalibrateError> {
        let tokens = Tokens::new([7; 32]);
        let registry = Arc::new(Registry::new(LANES));
        let woken = Arc::new(Woken::default());
        let clock = RunClock::start();
        let config = apns::Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            door: None,
            beyond: Vec::new(),
            certificates: folder.join("push"),
            provider_roots: None,
            connections_max: 2 * LINES,
            rules: apns::Rules::default(),
            connections: apns::ConnectionRules::default(),
            tokens: tokens.clone(),
            registry: Arc::clone(&registry),
            dice: Dice::new(0),
            clock,
        };
        let service = apns::Handle::start(config, Arc::clone(&woken) as Arc<dyn Sink>)?;
        let topic = registry.topic(TOPIC).ok_or_else(|| failed(Offer::Push, "no room for a topic"))?;
        if !(0..LANES).all(|lane| registry.register(LaneIx(lane), 1, topic, now)) {
            return Err(failed(Offer::Push, "a lane can't be registered"));
        }
        let ca = std::fs::read(service.ca_pem_path())?;
        let issued = authority.issue(&Subject::Push(TOPIC), now)?;
        let provider = Provider::new(service.addr(), &ca, &issued, TOPIC, clock, Limits::default())?;
        Ok(Pushes {
            provider: Rc::new(provider),
            lines: (0..LINES).map(|_| None).collect(),
            tokens: (0..LANES).map(|lane| hex::encode(tokens.token(LaneIx(lane), 1))).collect(),
            next: 0,
            woken,
            sent: 0,
            _service: service,
        })
    }

    /// Pushes some lanes, and waits until the service has handed all of them over. How many.
    pub(super) async fn batch(&mut self) -> Result<u64, CalibrateError> {
        let lines: Vec<_> = self
            .lines
            .drain(..)
            .map(|mut conn| {
                let (provider, tokens, first) = (Rc::clone(&self.provider), Rc::clone(&self.tokens), self.next);
                self.next = (self.next + PUSHES_A_LINE) % self.tokens.len();
                tokio::task::spawn_local(async move {
                    for n in 0..PUSHES_A_LINE {
                        let token = tokens.get((first + n) % tokens.len()).map(String::as_str).unwrap_or_default();
                        let status = provider.push(&mut conn, token, MAGIC).await;
                        if status != "200" {
                            return Err(failed(Offer::Push, format!("the push service answered {status}")));
                        }
                    }
                    Ok(conn)
                })
            })
            .collect();
        for line in lines {
            self.lines.push(line.await.map_err(|why| failed(Offer::Push, why))??);
        }
        let done = (LINES * PUSHES_A_LINE) as u64;
        self.sent += done;
        // The last ones are on their way between two turns of the service's thread.
        while self.woken.0.load(Relaxed) < self.sent {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        Ok(done)
    }
}
