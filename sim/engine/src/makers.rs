//! Work with private keys that takes longer than a millisecond: done by helper threads, so that a shard never waits.

use crate::inbox::{Shards, ToShard};
use crate::keys::KeyRing;
use droves_device::{Failure, Identity, KeyIx, Made, Reached, Work};
use droves_facts::{Blame, DeviceIx, LaneIx, Limits, Wall};
use droves_shard::Ticket;
use droves_wire::apple::{acme, scep};
use droves_wire::keys::Key;
use droves_wire::pkcs12;
use droves_wire::windows::{csr, issue};
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

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

/// How long the end of a run waits for the jobs that are under way. One takes milliseconds, or a second for a new key; but
/// a hostile server's file may ask for minutes.
const END_WAIT_MAX: Duration = Duration::from_secs(5);
const END_POLL: Duration = Duration::from_millis(5);

/// The helper threads. They end when the last sender of jobs is gone.
#[derive(Debug)]
pub(crate) struct Makers {
    jobs: Sender<Job>,
    is_over: Arc<AtomicBool>,
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
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..count.max(1))
            .map(|n| {
                let (queue, is_over, keys) = (Arc::clone(&queue), Arc::clone(&is_over), Arc::clone(keys));
                let (shards, limits) = (shards.clone(), Arc::clone(limits));
                let body = move || work(&queue, &is_over, &keys, &shards, &limits);
                thread::Builder::new().name(format!("maker-{n}")).spawn(body)
            })
            .collect::<Result<_, _>>()?;
        Ok(Makers { jobs, is_over, threads })
    }

    /// A way to hand in jobs.
    pub(crate) fn way(&self) -> Sender<Job> {
        self.jobs.clone()
    }

    /// Ends them: what nobody has begun is left undone, and what is under way is waited for, [`END_WAIT_MAX`] at most. A
    /// thread that takes longer is left behind, and ends with the process.
    pub(crate) fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(self.jobs);
        let until = Instant::now() + END_WAIT_MAX;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(END_POLL);
            }
            if !thread.is_finished() {
                tracing::warn!("{} is still at work, and is left behind", thread.thread().name().unwrap_or("a maker"));
            } else if thread.join().is_err() {
                tracing::error!("a thread that makes keys has panicked");
            }
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, is_over: &AtomicBool, keys: &KeyRing, shards: &Shards, limits: &Limits) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { lane, device, ticket, work, key, wall }) = job else { return };
        if is_over.load(Ordering::Relaxed) {
            return;
        }
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
        Work::Key { kind } => {
            let ix = keys.choose(device, before, kind);
            keys.make(ix).map(|_| Made::Key(ix)).map_err(|error| ours("key", &error))
        }
        Work::Attest { subject, key } => {
            let key = keys.make(key).map_err(|error| ours("key", &error))?;
            let attester = keys.attester(wall).map_err(|error| ours("attestation", &error))?;
            let attestation = attester.attest(&subject, key.spki(), wall);
            attestation.map(|cbor| Made::Attestation(cbor.into())).map_err(|error| ours("attestation", &error))
        }
        Work::AcmeRequest { request, key } => {
            let key = keys.make(key).map_err(|error| ours("key", &error))?;
            request.csr(&key).map(|der| Made::CertificateRequest(der.into())).map_err(|error| theirs("acme", &error))
        }
        Work::WindowsRequest { guid, device_id, spelling, key, signer } => {
            let key = keys.make(key).map_err(|error| ours("key", &error))?;
            let bare = csr::write(&guid, &device_id, &key, spelling).map_err(|error| ours("request", &error))?;
            let der = match signer_key(keys, signer.as_deref())? {
                None => bare,
                Some((before, certificate)) => {
                    issue::renewal(&bare, &before, certificate).map_err(|error| ours("request", &error))?
                }
            };
            Ok(Made::CertificateRequest(der.into()))
        }
        Work::AcmeOpen { chain, key: ix } => {
            let key = keys.make(ix).map_err(|error| ours("key", &error))?;
            let certificate = acme::issued(&chain, key.spki(), limits).map_err(|error| theirs("acme", &error))?;
            Ok(Made::Identity(Identity { key: ix, certificate: certificate.into() }))
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

fn ours(kind: &'static str, error: &dyn Display) -> Failure {
    Failure { blame: Blame::Generator, kind, reached: Reached::Nothing, text: error.to_string().into() }
}

fn theirs(kind: &'static str, error: &dyn Display) -> Failure {
    Failure { blame: Blame::Server, kind, reached: Reached::Nothing, text: error.to_string().into() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    #![expect(clippy::disallowed_methods, reason = "a shard's own queue, of a test")]
    use super::*;
    use droves_fleet::KeyPool;
    use droves_scenario::plan::{Keys, Roster};
    use droves_shard::Cells;
    use droves_wire::keys::KeyKind;

    /// A run that is interrupted while a hundred devices wait for keys of their own does not make them all.
    #[test]
    fn what_nobody_has_begun_is_left_undone_at_the_end() {
        const JOBS: u32 = 100;
        let dir = tempfile::tempdir().unwrap();
        let keys = Arc::new(KeyRing::open(Keys::Unique, KeyPool::open(dir.path()).unwrap()).unwrap());
        let (way, mut told) = tokio::sync::mpsc::unbounded_channel();
        let cells = Arc::new(Cells::new(&Roster::new([(JOBS, 0)]), 1));
        let shards = Shards { cells, ways: [way].into(), boxes: [Default::default()].into() };
        let makers = Makers::start(1, &keys, &shards, &Arc::new(Limits::default())).unwrap();
        for n in 0..JOBS {
            let work = Box::new(Work::Key { kind: KeyKind::Rsa(2_048) });
            let job =
                Job { lane: LaneIx(n), device: DeviceIx(n), ticket: Ticket::default(), work, key: None, wall: Wall(0) };
            makers.way().send(job).unwrap();
        }
        makers.end();
        let mut made = 0;
        while told.try_recv().is_ok() {
            made += 1;
        }
        assert!(made < JOBS, "{made} keys were made");
    }
}
