//! What a run is made of, what it tells while it runs, and what it leaves.

use crate::account::KeyFileError;
use crate::admin::AdminError;
use crate::directory::Directory;
use crate::enrollment::EnrollmentError;
use crate::health::Health;
use crate::keys::RingError;
use crate::stage::Stage;
use crate::steps::Span;
use crate::tape::Taped;
use droves_emulators::{google, practice, push};
use droves_facts::{Dur, LaneIx, Limits, Platform};
use droves_fleet::{FleetError, KeyPoolError};
use droves_measure::{Calibration, Folds, GoogleSummary, Progress, PushService, Second, Thresholds};
use droves_net::authorise;
use droves_net::tls::{TlsError, TrustError};
use droves_scenario::plan::Plan;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::LocalSet;

/// What a run is made of.
#[derive(Debug)]
pub struct Setup {
    /// What happens.
    pub plan: Arc<Plan>,
    /// Bounds.
    pub limits: Limits,
    /// Where the fleet is kept; none: it is forgotten at the end.
    pub fleet: Option<PathBuf>,
    /// Whether the fleet there stays as it is, whatever happens to it in this run.
    pub fleet_stays: bool,
    /// Where the tape is written, if one is wanted; with processes, each has its own beside it.
    pub tape: Option<PathBuf>,
    /// Where keys are kept.
    pub keys: PathBuf,
    /// Where the push service's authority is kept.
    pub certificates: PathBuf,
    /// Shards of each process; each is a thread.
    pub shards: usize,
    /// Processes that have the shards, in place of this one.
    pub processes: Option<Processes>,
    /// The port of APNs; 0 picks one.
    pub push_port: u16,
    /// The port of WNS, which runs where there are Windows devices; 0 picks one.
    pub wns_port: u16,
    /// The port of FCM, which runs where agents of Android devices are woken by it; 0 picks one.
    pub fcm_port: u16,
    /// The port of Google, which runs where there are Android devices that it manages; 0 picks one.
    pub google_port: u16,
    /// The port of the door that leads to the push services; 0 picks one.
    pub door_port: u16,
    /// How long the target may take to be there.
    pub target_wait: Dur,
    /// What must hold.
    pub thresholds: Thresholds,
    /// What the machine can offer, if that is known.
    pub calibration: Option<Calibration>,
}

/// Processes that play a fleet: each has as many open files as the system gives to one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Processes {
    /// How many, 1 to 64.
    pub count: usize,
    /// By which arguments this program is one of them: it calls [`crate::work`] with the same plan.
    pub arguments: Vec<OsString>,
}

/// Where things are, once all listeners are bound.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The target.
    pub url: String,
    /// APNs.
    pub push: SocketAddr,
    /// WNS, if there are Windows devices.
    pub wns: Option<SocketAddr>,
    /// Google, if there are Android devices that it manages: its URL, and a key by which a server may call it.
    pub google: Option<(String, PathBuf)>,
    /// FCM, if agents of Android devices are woken by it: its URL, and a key by which a server may call it.
    pub fcm: Option<(String, PathBuf)>,
    /// The CONNECT door to the push services.
    pub door: Option<SocketAddr>,
    /// The authority that a server must trust for pushes, PEM.
    pub push_ca: PathBuf,
    /// Whether the target is the practice server in this process.
    pub is_practice: bool,
    /// The practice server's token.
    pub token: Option<String>,
}

/// What somebody who watches is told.
#[derive(Clone, Debug)]
pub struct Look {
    /// What is measured.
    pub progress: Progress,
    /// The phases that run.
    pub phases: Vec<PhaseLook>,
    /// Phases that are still to come.
    pub to_come: usize,
    /// The generator's costs.
    pub health: Health,
    /// Processor time of the practice server.
    pub practice_cpu_s: Option<f64>,
    /// The bound that the scenario sets on lag, in microseconds.
    pub lag_us_max: u64,
    /// How near the run comes to what the machine can offer; none if it is not calibrated.
    pub nearness: Option<Nearness>,
}

/// How near a run comes to what the machine can offer, as shares of 1.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Nearness {
    /// In the last whole second.
    pub now: f64,
    /// In the busiest second so far.
    pub busiest: f64,
}

/// A phase that runs.
#[derive(Clone, PartialEq, Debug)]
pub struct PhaseLook {
    /// Its name.
    pub name: String,
    /// For how long it has run.
    pub since: Dur,
    /// The longest that it still can.
    pub left: Option<Dur>,
    /// How many have reached what it waits for, and how many must.
    pub reached: Option<(u64, u64)>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// Everything that was folded.
    pub folds: Folds,
    /// When each phase was.
    pub spans: Vec<Span>,
    /// How long the run took.
    pub length: Dur,
    /// When it began, in microseconds since 1970.
    pub began_us: i64,
    /// Requests without an end.
    pub unfinished: u64,
    /// Sessions that were open.
    pub sessions_open: u64,
    /// The most that were open at once.
    pub sessions_open_max: u64,
    /// Whether a shard had all its part of `connections_max` open at once.
    pub is_full: bool,
    /// Connections that stood.
    pub held: u64,
    /// The generator's costs.
    pub health: Health,
    /// The steal of the machine during the run, in seconds.
    pub steal_s: f64,
    /// Most files open at a time.
    pub fds_max: u64,
    /// Processor time of the practice server.
    pub practice_cpu_s: Option<f64>,
    /// Each second.
    pub seconds: Vec<Second>,
    /// What is on the tape.
    pub taped: Taped,
    /// How each push service saw it.
    pub push: BTreeMap<&'static str, PushService>,
    /// How Google saw the server, if it was played.
    pub google: Option<GoogleSummary>,
    /// What the practice server says of the run.
    pub practice_truth: Option<serde_json::Value>,
    /// Whether somebody broke it off.
    pub interrupted: bool,
    /// The threshold that broke it off.
    pub aborted_by: Option<String>,
    /// Worker processes that were lost, in sentences; what they had not told is in no figure.
    pub lost: Vec<String>,
    /// For how long messages to worker processes were held up by full pipes, if there were processes.
    pub pipes_held_up: Option<Dur>,
    /// What was lost of the fleet on disk, in sentences.
    pub dropped: Vec<String>,
    /// Under which names the server knows whom and what.
    pub directory: Rc<Directory>,
    /// The thresholds, for the last judgement.
    pub thresholds: Thresholds,
}

/// Why a run could not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody broke it off while it was being set up: a server is asked for enrollment tokens, say.
    #[error("interrupted before the run began: nothing was measured")]
    Interrupted,
    /// Nobody is at the target's address.
    #[error("target {url} is not reachable: {why}")]
    Unreachable {
        /// The target.
        url: String,
        /// Why.
        why: String,
    },
    /// The scenario does not name the target as authorised.
    #[error("{0}")]
    NotAuthorised(#[from] authorise::NotAuthorised),
    /// A fault that nobody here can commit.
    #[error("faults: {0}")]
    Fault(&'static str),
    /// The enrollment profile.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// The administrator's API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] RingError),
    /// The folder of keys.
    #[error(transparent)]
    Pool(#[from] KeyPoolError),
    /// The fleet on disk.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A push service.
    #[error(transparent)]
    Push(#[from] push::StartError),
    /// Google.
    #[error(transparent)]
    Google(#[from] google::StartError),
    /// The key by which a server may call Google.
    #[error(transparent)]
    GoogleKey(#[from] KeyFileError),
    /// The practice server.
    #[error(transparent)]
    Practice(#[from] practice::StartError),
    /// Trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread or a runtime.
    #[error("thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The tape can't be begun.
    #[error("tape {path}: {why}", path = path.display())]
    Tape {
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A lane out of the fleet on disk does not read.
    #[error("fleet: lane {lane}: {why}")]
    Lane {
        /// Which.
        lane: LaneIx,
        /// Why.
        why: String,
    },
    /// A worker process can't be told what to do.
    #[error("worker process {0} does not listen; what it said stands above")]
    Process(usize),
    /// A worker process can't do what it was told.
    #[error("worker process: {0}")]
    Refused(String),
    /// A shard's thread is gone.
    #[error("shard {0} ended before its time; its panic stands above")]
    Worker(usize),
}

/// Runs a plan to its end. `ready` is told where things are before the first arrival, `look` four times a second;
/// `stop` turning true breaks the run off.
pub fn run(
    setup: Setup,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(&Ready),
    mut look: impl FnMut(Look),
) -> Result<Finished, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let mut stopped = stop.clone();
        let stage = tokio::select! {
            biased;
            // An error says that nobody can stop it any more, and then nobody does.
            Ok(_) = stopped.wait_for(|stop| *stop) => return Err(RunError::Interrupted),
            stage = Stage::set(setup, ready) => stage?,
        };
        stage.play(stop, &mut look).await
    })
}

/// Devices of each platform.
pub fn by_platform(plan: &Plan) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = Platform::ALL.into_iter().map(|p| (p.name().to_owned(), 0)).collect();
    for population in &plan.populations {
        *counts.entry(population.platform.name().to_owned()).or_default() += population.devices.len() as u64;
    }
    counts
}

/// Where keys are kept unless somebody says otherwise: `$XDG_CACHE_HOME/droves/keys`, else `~/.cache/droves/keys`.
pub fn default_keys_folder(env: impl Fn(&str) -> Option<String>) -> PathBuf {
    cache_folder(env).join("keys")
}

/// What can be made again is kept here, beyond a run.
pub(crate) fn cache_folder(env: impl Fn(&str) -> Option<String>) -> PathBuf {
    let cache = env("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let home = || env("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).unwrap_or_else(|| PathBuf::from(".")).join("droves")
}
