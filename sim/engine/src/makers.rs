//! Work with private keys that takes longer than a millisecond: done by helper threads, so that a shard never waits.

use crate::inbox::{Shards, ToShard};
use crate::keys::{KeyRing, RingError};
use droves_device::{Failure, Identity, KeyIx, Made, Reached, Work};
use droves_facts::{Blame, DeviceIx, LaneIx, Limits, Wall};
use droves_shard::Ticket;
use droves_wire::apple::scep;
use droves_wire::keys::Key;
use droves_wire::pkcs12;
use std::fmt::Display;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// One piece of work.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) lane: LaneIx,
    pub(crate) device: DeviceIx,
    pub(crate) ticket: Ticket,
    pub(crate) work: Box<Work>,
    /// The key that the device has, if it has an identity.
    pub(crate) key: Option<KeyIx>,
    pub(crate) wall: Wall,
}

/// The helper threads. They end when the last sender of jobs is gone.
#[derive(Debug)]
pub(crate) struct Makers {
    jobs: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

impl Makers {
    /// So many threads, at least one.
    pub(crate) fn start(
        count: usize,
        keys: &Arc<KeyRing>,
        shards: &Shards,
        limits: &Arc<Limits>,
    ) -> std::io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "a shard must never wait; a lane has one job at a time")]
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..count.max(1))
            .map(|n| {
                let (queue, keys) = (Arc::clone(&queue), Arc::clone(keys));
                let (shards, limits) = (shards.clone(), Arc::clone(limits));
                thread::Builder::new().name(format!("maker-{n}")).spawn(move || work(&queue, &keys, &shards, &limits))
            })
            .collect::<Result<_, _>>()?;
        Ok(Makers { jobs, threads })
    }

    /// A way to hand in jobs.
    pub(crate) fn way(&self) -> Sender<Job> {
        self.jobs.clone()
    }

    /// Waits until every job is done; the shards' ways must be gone by then.
    pub(crate) fn join(self) {
        drop(self.jobs);
        for thread in self.threads {
            // A panic there has been printed; the run is over anyway.
            drop(thread.join());
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, keys: &KeyRing, shards: &Shards, limits: &Limits) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { lane, device, ticket, work, key, wall }) = job else { return };
        let made = make(*work, device, key, wall, keys, limits);
        shards.owner(lane, ToShard::Made { lane, ticket, made });
    }
}

/// Does the work. What fails for a reason in the server's bytes is the server's fault.
fn make(
    work: Work,
    device: DeviceIx,
    before: Option<KeyIx>,
    wall: Wall,
    keys: &KeyRing,
    limits: &Limits,
) -> Result<Made, Failure> {
    match work {
        // Every RSA size that the library has is one that the server may ask for; smaller ones become 2,048.
        Work::Key { rsa_bits: _ } => {
            let ix = keys.choose(device, before);
            keys.make(ix).map(|_| Made::Key(ix)).map_err(|error| ours("key", &error))
        }
        Work::Unpack { file, password } => {
            let opened = pkcs12::open(&file, &password, limits);
            let (key, certificate) = opened.map_err(|error| theirs("pkcs12", &error))?;
            let key = keys.take_in(key).map_err(|error| ours("key", &error))?;
            Ok(Made::Identity(Identity { key, certificate: certificate.into() }))
        }
        Work::ScepRequest { request, key, signer } => {
            let key = keys.make(key).map_err(|error| ours("key", &error))?;
            let signer = signer_key(keys, signer.as_deref())?;
            let signer = signer.as_ref().map(|(key, certificate)| (key.as_ref(), *certificate));
            let (body, pending) = scep::build(&request, &key, signer, wall).map_err(|error| theirs("scep", &error))?;
            Ok(Made::ScepRequest { body: body.into(), pending: Box::new(pending) })
        }
        Work::ScepOpen { reply, pending, key, signer } => {
            let key = keys.make(key).map_err(|error| ours("key", &error))?;
            let signer = signer_key(keys, signer.as_deref())?;
            let signer = signer.as_ref().map(|(key, _)| key.as_ref());
            scep::open(&reply, &pending, &key, signer, limits)
                .map(Made::ScepReply)
                .map_err(|error| theirs("scep", &error))
        }
    }
}

type SignerKey<'a> = Option<(Arc<Key>, &'a [u8])>;

fn signer_key<'a>(keys: &KeyRing, signer: Option<&'a Identity>) -> Result<SignerKey<'a>, Failure> {
    let Some(identity) = signer else { return Ok(None) };
    let key = keys.make(identity.key).map_err(|error| ours("key", &error))?;
    Ok(Some((key, &identity.certificate)))
}

fn ours(kind: &'static str, error: &RingError) -> Failure {
    Failure { blame: Blame::Generator, kind, reached: Reached::Nothing, text: error.to_string().into() }
}

fn theirs(kind: &'static str, error: &dyn Display) -> Failure {
    Failure { blame: Blame::Server, kind, reached: Reached::Nothing, text: error.to_string().into() }
}
