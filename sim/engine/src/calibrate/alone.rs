//! What needs no other end: signatures, SCEP messages, timers.

use super::{CalibrateError, failed};
use droves_device::Device;
use droves_device::{Identity, Slept};
use droves_facts::{Dur, Limits, Mono, Wall};
use droves_measure::Offer;
use droves_shard::{Entry, Wheel};
use droves_wire::apple::profile::AltNames;
use droves_wire::apple::scep::server::{self, Verdict, Wanted};
use droves_wire::apple::scep::{self, CaCertificates, Capabilities, Issue, Pending, Reply};
use droves_wire::apple::signature;
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use std::hint::black_box;
use std::sync::Arc;

/// About what a report of a device has that is signed.
const SIGNED_BYTES: usize = 1_200;
const SIGNATURES_A_BATCH: u64 = 8;

/// `Mdm-Signature`s of one identity.
pub(super) struct Signing {
    key: Arc<Key>,
    identity: Arc<Identity>,
    body: Vec<u8>,
}

impl Signing {
    pub(super) fn new(key: Arc<Key>, identity: Arc<Identity>) -> Self {
        Signing { key, identity, body: vec![b'x'; SIGNED_BYTES] }
    }

    pub(super) fn batch(&self, offer: Offer) -> Result<u64, CalibrateError> {
        for _ in 0..SIGNATURES_A_BATCH {
            let signed = signature::sign(&self.body, &self.key, &self.identity.certificate, None);
            drop(black_box(signed.map_err(|why| failed(offer, why))?));
        }
        Ok(SIGNATURES_A_BATCH)
    }
}

/// A certificate that is asked for again and again, and its one reply.
pub(super) struct Scep {
    request: scep::Request,
    key: Arc<Key>,
    pending: Pending,
    reply: Vec<u8>,
    limits: Limits,
    now: Wall,
}

impl Scep {
    pub(super) fn new(authority: &Authority, key: Arc<Key>, now: Wall) -> Result<Self, CalibrateError> {
        let limits = Limits::default();
        let name = "00008120-000FE6CB74C6560A";
        let request = scep::Request::Issue(Issue {
            caps: Capabilities::read(server::CAPABILITIES.as_bytes())?,
            ca: Arc::new(CaCertificates::read(authority.certificate(), None, &limits)?),
            subject: vec![vec![("CN".to_owned(), name.to_owned())]],
            challenge: Some("challenge".to_owned()),
            key_usage: 5,
            alt_names: AltNames::default(),
            nonce: [7; 16],
            signer_name: name.to_owned(),
            streamed: true,
        });
        let (message, pending) = scep::build(&request, &key, None, now)?;
        let received = server::open(&message, authority, &limits)?;
        let Wanted::Issue(csr) = &received.what else { return Err(failed(Offer::Scep, "no request in the message")) };
        let certificate = authority.issue_identity(name, &csr.spki, 1, now)?;
        let reply = server::reply(&received, Verdict::Issued(&certificate), authority, [9; 16])?;
        Ok(Scep { request, key, pending, reply, limits, now })
    }

    pub(super) fn batch(&self) -> Result<u64, CalibrateError> {
        drop(black_box(scep::build(&self.request, &self.key, None, self.now)?));
        match scep::open(&self.reply, &self.pending, &self.key, None, &self.limits)? {
            Reply::Issued { .. } => Ok(1),
            other => Err(failed(Offer::Scep, format!("{other:?}"))),
        }
    }
}

/// Lanes that sleep, each with a timer that is set again when it has fired.
pub(super) struct Timers {
    wheel: Wheel,
    lanes: Vec<Lane>,
    fired: Vec<Entry>,
    now: Mono,
}

#[derive(Clone, Default)]
struct Lane {
    slept: Slept<Device>,
    timer: u32,
}

const LANES: u32 = 100_000;
const TIMERS_A_BATCH: u64 = 20_000;
/// Each lane wakes once in an hour or sooner.
const HOUR: u64 = 3_600_000_000;
/// A prime: lanes that follow each other wake far from each other.
const STRIDE: u64 = 2_654_435_761;

impl Default for Timers {
    fn default() -> Self {
        let lanes = vec![Lane::default(); LANES as usize];
        let mut timers = Timers { wheel: Wheel::default(), lanes, fired: Vec::new(), now: Mono::ZERO };
        for key in 0..LANES {
            timers.wheel.set(Mono(1 + u64::from(key) * STRIDE % HOUR), key, 0);
        }
        timers
    }
}

impl Timers {
    pub(super) fn batch(&mut self) -> u64 {
        let mut done = 0;
        while done < TIMERS_A_BATCH {
            let Some(next) = self.wheel.next() else { return done };
            self.now = next;
            self.wheel.fire(next, &mut self.fired);
            for Entry { key, generation, .. } in self.fired.drain(..) {
                let Some(lane) = self.lanes.get_mut(key as usize).filter(|lane| lane.timer == generation) else {
                    continue;
                };
                lane.timer = lane.timer.wrapping_add(1);
                black_box(&mut lane.slept.record);
                let again = Dur(1 + (u64::from(key) + u64::from(lane.timer)) * STRIDE % HOUR);
                self.wheel.set(self.now + again, key, lane.timer);
                done += 1;
            }
        }
        done
    }
}
