//! The shards of a process: their threads, the helpers that make keys, and the store's writer.

use crate::cast::Cast;
use crate::inbox::{Shards, ToShard};
use crate::keys::KeyRing;
use crate::link::{Desk, News};
use crate::makers::Makers;
use crate::part::Part;
use crate::run::RunError;
use crate::tape::Recorder;
use droves_facts::Limits;
use droves_fleet::{Fleet, KeyPool, Reader, Writer};
use droves_net::clock::RunClock;
use droves_net::tls::Roots;
use droves_scenario::plan::{Plan, Roster};
use droves_wire::apple::push::Tokens;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// What every shard is made of.
#[derive(Clone)]
pub(crate) struct Stuff {
    pub(crate) plan: Arc<Plan>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) cast: Cast,
    pub(crate) limits: Arc<Limits>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: RunClock,
    pub(crate) roots: Roots,
    pub(crate) desk: Desk,
    pub(crate) reporter: UnboundedSender<News>,
    pub(crate) is_restart: bool,
}

/// The threads.
pub(crate) struct Troupe {
    threads: Vec<JoinHandle<()>>,
    makers: Makers,
    writer: Option<Writer>,
    recorder: Option<Recorder>,
    /// What was lost of the fleet on disk, in sentences.
    pub(crate) dropped: Vec<String>,
}

impl Troupe {
    /// Starts a thread for each of the shards whose inboxes these are.
    pub(crate) fn start(
        stuff: &Stuff,
        keys: &Path,
        fleet: Option<(Fleet, bool)>,
        recorder: Option<Recorder>,
        shards: &Shards,
        inboxes: Vec<(usize, UnboundedReceiver<ToShard>)>,
    ) -> Result<Self, RunError> {
        let keys = Arc::new(KeyRing::open(stuff.plan.keys, KeyPool::open(keys)?)?);
        let makers = Makers::start(inboxes.len(), &keys, shards, &stuff.limits)?;
        let stored = fleet.map(|(fleet, stays)| OnDisk::open(fleet, stays, shards)).transpose()?.unwrap_or_default();
        let mut threads = Vec::new();
        for (ix, inbox) in inboxes {
            let part = Part {
                ix,
                stuff: stuff.clone(),
                shards: shards.clone(),
                keys: Arc::clone(&keys),
                makers: makers.way(),
                saver: stored.writer.as_ref().map(Writer::saver),
                inbox,
                stored: stored.reader.clone(),
                taper: recorder.as_ref().map(|recorder| recorder.taper(ix)),
            };
            threads.push(thread::Builder::new().name(format!("shard-{ix}")).spawn(move || part.run())?);
        }
        Ok(Troupe { threads, makers, writer: stored.writer, recorder, dropped: stored.dropped })
    }

    /// The first thread that is over, if one is.
    pub(crate) fn over(&self) -> Option<usize> {
        self.threads.iter().position(JoinHandle::is_finished)
    }

    /// Waits for all threads to end, which have been told to.
    pub(crate) fn join(self) -> Result<(), RunError> {
        for (ix, thread) in self.threads.into_iter().enumerate() {
            if thread.join().is_err() {
                return Err(RunError::Worker(ix));
            }
        }
        self.makers.end();
        if let Some(writer) = self.writer {
            writer.finish();
        }
        if let Some(recorder) = self.recorder {
            recorder.finish();
        }
        Ok(())
    }
}

/// What is on the disk.
#[derive(Default)]
struct OnDisk {
    reader: Option<Reader>,
    writer: Option<Writer>,
    dropped: Vec<String>,
}

impl OnDisk {
    fn open(fleet: Fleet, stays: bool, shards: &Shards) -> Result<Self, RunError> {
        let reader = fleet.reader();
        let dropped = fleet.dropped().to_vec();
        if stays {
            return Ok(OnDisk { reader: Some(reader), writer: None, dropped });
        }
        let ways = shards.clone();
        let writer = fleet.writer(Box::new(move |lane, ticket, result| match result {
            Ok(()) => drop(ways.owner(lane, ToShard::Saved { lane, ticket })),
            // The lane's own deadline ends its wait.
            Err(error) => tracing::error!(%lane, %error, "not saved"),
        }))?;
        Ok(OnDisk { reader: Some(reader), writer: Some(writer), dropped })
    }
}
