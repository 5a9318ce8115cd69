//! A run: everything started in order, the plan's steps gone through, everything stopped in order.

use crate::admin::{Admin, AdminError, Command};
use crate::cast::Cast;
use crate::enrollment::{self, EnrollmentError};
use crate::faults::{NetworkFaults, PushFaults};
use crate::health::{self, Health};
use crate::inbox::{PushBox, Reached, Report, Shards, ToShard};
use crate::keys::{KeyRing, RingError};
use crate::makers::Makers;
use crate::session::{Mailbox, Network};
use crate::steps::{Change, Span, Steps};
use crate::store::{self, Keep};
use crate::track::Tracks;
use crate::worker::Worker;
use droves_device::apple::Apple;
use droves_device::{Clocks, Ctx, Machine, Out};
use droves_emulators::apns;
use droves_emulators::practice::{self, Practice};
use droves_facts::{ArrivalFate, DeviceIx, Dur, Fact, LaneIx, Limits, Mono, Operation, PhaseIx, Platform, What};
use droves_fleet::{Fleet, FleetError, KeyPool, KeyPoolError, Whose, Writer};
use droves_measure::{Fold, Folds, Progress, Recent, Second, Thresholds, Verdicts};
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::{self, Dialler, Sources};
use droves_net::files::OpenFiles;
use droves_net::tls::{ClientTls, ClientTlsSettings, Roots, TlsError, Trust, TrustError};
use droves_net::{authorise, tls};
use droves_scenario::plan::{Action, Plan, Roster};
use droves_shard::{CELLS, Cells, Config, Shard, Snapshot};
use droves_wire::apple::push::Tokens;
use droves_wire::digest;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// How often somebody who watches is told.
const LOOK_EVERY: Dur = Dur::ms(250);
/// Sessions that are open when the last phase ends get this long.
const DRAIN_MAX: Dur = Dur::secs(5);
/// Enrollments that the server is asked about at the end.
const BELIEFS_MAX: usize = 2_000;
/// Addresses of 127.0.0.0/8 that devices come from.
const SOURCES: u32 = 64;

/// What a run is made of.
#[derive(Debug)]
pub struct Setup {
    /// What happens.
    pub plan: Arc<Plan>,
    /// Bounds.
    pub limits: Limits,
    /// Where the fleet is kept; none: it is forgotten at the end.
    pub fleet: Option<PathBuf>,
    /// Where keys are kept.
    pub keys: PathBuf,
    /// Where the push service's authority is kept.
    pub certificates: PathBuf,
    /// Shards; each is a thread.
    pub shards: usize,
    /// The push service's port; 0 picks one.
    pub push_port: u16,
    /// The port of the door that leads to it; 0 picks one.
    pub door_port: u16,
    /// How long the target may take to be there.
    pub target_wait: Dur,
    /// What must hold.
    pub thresholds: Thresholds,
}

/// Where things are, once all listeners are bound.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The target.
    pub url: String,
    /// The push service.
    pub push: SocketAddr,
    /// The CONNECT door to it.
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
    /// How the push service saw it.
    pub push: apns::Tally,
    /// What the practice server says of the run.
    pub practice_truth: Option<serde_json::Value>,
    /// Whether somebody broke it off.
    pub interrupted: bool,
    /// The threshold that broke it off.
    pub aborted_by: Option<String>,
    /// What was lost of the fleet on disk, in sentences.
    pub dropped: Vec<String>,
    /// The thresholds, for the last judgement.
    pub thresholds: Thresholds,
}

/// Why a run could not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
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
    /// The push service.
    #[error(transparent)]
    Push(#[from] apns::StartError),
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
    /// A lane out of the fleet on disk does not read.
    #[error("fleet: lane {lane}: {why}")]
    Lane {
        /// Which.
        lane: LaneIx,
        /// Why.
        why: String,
    },
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
        let stage = Stage::set(setup, ready).await?;
        stage.play(stop, &mut look).await
    })
}

/// Everything that runs.
struct Stage {
    setup: Setup,
    clock: RunClock,
    began_us: i64,
    roster: Arc<Roster>,
    cast: Cast,
    tokens: Arc<Tokens>,
    shards: Shards,
    reports: UnboundedReceiver<Report>,
    workers: Vec<JoinHandle<()>>,
    makers: Makers,
    writer: Option<Writer>,
    push: apns::Handle,
    push_faults: PushFaults,
    practice: Option<Practice>,
    admin: Option<Rc<Admin>>,
    dropped: Vec<String>,
    steal_before_s: f64,
    is_restart: bool,
}

impl Stage {
    async fn set(setup: Setup, ready: impl FnOnce(&Ready)) -> Result<Self, RunError> {
        // More open files are welcome, and not needed to begin.
        if let Err(error) = OpenFiles::raise() {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        let steal_before_s = Health::look().steal_s;
        let clock = RunClock::start();
        let began_us = health::wall().0;
        let (plan, limits) = (Arc::clone(&setup.plan), Arc::new(setup.limits.clone()));
        let roster = Arc::new(plan.roster());
        let cells = Arc::new(Cells::new(&roster, setup.shards));
        let fleet = setup.fleet.as_deref().map(|folder| Fleet::open(folder, whose(&plan, &roster))).transpose()?;
        let secret = fleet.as_ref().map_or_else(|| secret_of(plan.seed), Fleet::secret);
        let tokens = Arc::new(Tokens::new(secret));
        let (ways, inboxes): (Vec<_>, Vec<_>) = (0..cells.shards()).map(|_| queue()).unzip();
        let boxes: Arc<[PushBox]> = (0..cells.shards()).map(|_| PushBox::default()).collect();
        let shards = Shards { cells: Arc::clone(&cells), ways: ways.into(), boxes: Arc::clone(&boxes) };
        let push = push_service(&setup, &roster, &shards, clock, secret)?;
        let practice = match &plan.target.url {
            Some(_) => None,
            None => Some(practice_server(&setup, &push, clock)?),
        };
        let url = practice.as_ref().map_or_else(|| plan.target.url.clone().unwrap_or_default(), |p| p.url().to_owned());
        let told = Ready {
            url: url.clone(),
            push: push.addr(),
            door: push.door_addr(),
            push_ca: push.ca_pem_path().to_owned(),
            is_practice: practice.is_some(),
            token: practice.as_ref().map(|practice| practice.token().to_owned()),
        };
        ready(&told);
        reach(&url, &plan.target.authorised, &limits, setup.target_wait, clock).await?;
        let roots = roots(&plan, practice.as_ref())?;
        let keys = Arc::new(KeyRing::open(plan.keys, KeyPool::open(&setup.keys)?)?);
        let makers = Makers::start(cells.shards(), &keys, &shards, &limits)?;
        let profile = enrollment::source(&plan.target, &url)?;
        let cast = Cast::of(&plan, &roster, &profile);
        let (mut stored, dropped, is_restart) = match fleet {
            None => (Stored::default(), Vec::new(), false),
            Some(mut fleet) => {
                let lanes = fleet.read()?;
                let (dropped, is_restart) = (fleet.dropped().to_vec(), !fleet.is_new() && !lanes.is_empty());
                let ways = shards.clone();
                let writer = fleet.writer(Box::new(move |lane, ticket, result| match result {
                    Ok(()) => drop(ways.owner(lane, ToShard::Saved { lane, ticket })),
                    // The lane's own deadline ends its wait.
                    Err(error) => tracing::error!(%lane, %error, "not saved"),
                }))?;
                let mut of_shard = vec![Vec::new(); cells.shards()];
                for lane in lanes {
                    of_shard[cells.shard_of(lane.lane)].push(store::restored(lane));
                }
                (Stored { of_shard, writer: Some(writer) }, dropped, is_restart)
            }
        };
        let (reporter, reports) = queue();
        let mut workers = Vec::new();
        for (ix, inbox) in inboxes.into_iter().enumerate() {
            let part = Part {
                ix,
                plan: Arc::clone(&plan),
                roster: Arc::clone(&roster),
                cells: Arc::clone(&cells),
                cast: cast.clone(),
                limits: Arc::clone(&limits),
                tokens: Arc::clone(&tokens),
                clock,
                roots: roots.clone(),
                keys: Arc::clone(&keys),
                registry: Arc::clone(push.registry()),
                makers: makers.way(),
                saver: stored.writer.as_ref().map(Writer::saver),
                inbox,
                pushes: Arc::clone(&boxes),
                reporter: reporter.clone(),
                snapshots: stored.of_shard.get_mut(ix).map(std::mem::take).unwrap_or_default(),
                is_restart,
            };
            let body = move || part.run();
            workers.push(thread::Builder::new().name(format!("shard-{ix}")).spawn(body)?);
        }
        let token = practice.as_ref().map(|practice| practice.token().to_owned());
        let client = ClientTls::new(&roots, ClientTlsSettings::default())?;
        let admin =
            Admin::new(&plan.target, &url, token.as_deref(), client, shards.clone(), clock, Arc::clone(&limits))?;
        Ok(Stage {
            clock,
            began_us,
            roster,
            cast,
            tokens,
            shards,
            reports,
            workers,
            makers,
            writer: stored.writer,
            push_faults: PushFaults::new(&plan, &push),
            push,
            practice,
            admin: admin.map(Rc::new),
            dropped,
            steal_before_s,
            is_restart,
            setup,
        })
    }

    async fn play(mut self, mut stop: watch::Receiver<bool>, look: &mut dyn FnMut(Look)) -> Result<Finished, RunError> {
        let plan = Arc::clone(&self.setup.plan);
        let mut steps = Steps::new(Arc::clone(&plan), self.clock.now());
        let mut board = Board::new(self.roster.devices(), self.is_restart, plan.bounds.lag_max);
        let mut commands: u64 = 0;
        let (mut interrupted, mut aborted_by) = (false, None);
        while !steps.is_over() {
            let now = self.clock.now();
            for change in steps.advance(now, &board.reached()) {
                self.change(change);
            }
            for (phase, due) in steps.due(now) {
                self.administer(phase, &due, &mut commands)?;
            }
            if now >= board.look_at {
                look(board.look(&plan, &steps, self.practice.as_ref(), now));
                let judged = self.setup.thresholds.judge(&board.folds, &board.verdicts(), now, false);
                if let Some(judgement) = judged.into_iter().find(|judgement| judgement.aborts) {
                    aborted_by = Some(format!("{}: {} ({})", judgement.metric, judgement.expression, judgement.said));
                    break;
                }
            }
            let next = steps.next().unwrap_or(Mono::NEVER).min(board.look_at);
            let wait = Duration::from_micros(next.0.saturating_sub(self.clock.now().0));
            tokio::select! {
                biased;
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        interrupted = true;
                        break;
                    }
                }
                report = self.reports.recv() => match report {
                    Some(report) => board.take(report, self.clock.now()),
                    None => return Err(RunError::Worker(0)),
                },
                () = tokio::time::sleep(wait) => {}
            }
            if let Some(ix) = self.workers.iter().position(JoinHandle::is_finished) {
                return Err(RunError::Worker(ix));
            }
        }
        for change in steps.break_off(self.clock.now()) {
            self.change(change);
        }
        if !interrupted {
            self.drain(&mut board, &plan, &steps, look).await;
        }
        self.finish(board, steps, interrupted, aborted_by).await
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Begins(phase) => self.shards.all(|| ToShard::PhaseBegins(phase)),
            Change::Ends(phase) => self.shards.all(|| ToShard::PhaseEnds(phase)),
        }
        match change {
            Change::Begins(phase) => self.push_faults.phase_begins(phase, self.clock.now(), &self.push),
            Change::Ends(phase) => self.push_faults.phase_ends(phase, &self.push),
        }
        if let Some(practice) = &self.practice {
            match change {
                Change::Begins(phase) => practice.phase_begins(phase),
                Change::Ends(phase) => practice.phase_ends(phase),
            }
        }
    }

    /// Does what the administrator has to do: the arrivals that are due together go into common calls.
    fn administer(&self, phase: PhaseIx, due: &[(Mono, LaneIx)], commands: &mut u64) -> Result<(), RunError> {
        let plan = &self.setup.plan;
        let Some(planned) = plan.phases.get(phase.ix()) else { return Ok(()) };
        let now = self.clock.now();
        for &(due, lane) in due {
            let late = now.since(due) > plan.bounds.lag_max;
            let fate = if late { ArrivalFate::Late } else { ArrivalFate::OnTime };
            let operation = Operation::AdminQueue;
            self.shards.fact(Fact { at: now, phase, lane, what: What::Arrival { operation, due, fate } });
        }
        let admin = self
            .admin
            .clone()
            .ok_or_else(|| AdminError::NoCall { server: plan.target.profile.name.clone(), call: "queue_command" })?;
        let lanes: Vec<_> = due.iter().map(|&(_, lane)| (lane, self.enrollment_id(lane))).collect();
        match &planned.action {
            Action::Command { command, push, .. } => {
                let ready = Rc::new(Command::new(command, plan.dice(), phase, *commands));
                *commands += 1;
                self.shards.all(|| ToShard::Command(phase, ready.key));
                let (deadline, push) = (command.deadline, *push);
                tokio::task::spawn_local(async move {
                    let result = match admin.queue(&ready, lanes, deadline, phase).await {
                        Ok(taken) if push && !taken.is_empty() => admin.push(taken, phase).await,
                        Ok(_) => Ok(()),
                        Err(error) => Err(error),
                    };
                    if let Err(error) = result {
                        tracing::error!(%error, "administrator");
                    }
                });
            }
            Action::Push(_) => {
                tokio::task::spawn_local(async move {
                    if let Err(error) = admin.push(lanes, phase).await {
                        tracing::error!(%error, "administrator");
                    }
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The id under which the server knows a lane's enrollment.
    fn enrollment_id(&self, lane: LaneIx) -> String {
        let (device, channel) = self.roster.locate(lane).unwrap_or((DeviceIx(0), 0));
        let mut out = Out::default();
        let limits = &self.setup.limits;
        let ctx = Ctx {
            clocks: Clocks { now: Mono::ZERO, wall: health::wall() },
            dice: self.setup.plan.dice(),
            limits,
            lane,
            device,
            channel: u8::try_from(channel).unwrap_or(u8::MAX),
            character: &self.cast.characters[usize::from(self.cast.kind(device))],
            identity: None,
            cause: Mono::ZERO,
            tokens: &self.tokens,
            out: &mut out,
        };
        Apple::enrollment_id(&ctx)
    }

    /// Lets open sessions come to their end.
    async fn drain(&mut self, board: &mut Board, plan: &Plan, steps: &Steps, look: &mut dyn FnMut(Look)) {
        let until = self.clock.now() + DRAIN_MAX;
        // A report that was under way when the last phase ended says nothing of what came after.
        let mut fresh = 0;
        while self.clock.now() < until && (board.live() > 0 || fresh < 2 * self.workers.len()) {
            let wait = Duration::from_micros(until.0.saturating_sub(self.clock.now().0));
            match tokio::time::timeout(wait, self.reports.recv()).await {
                Ok(Some(report)) => board.take(report, self.clock.now()),
                _ => return,
            }
            fresh += 1;
            if self.clock.now() >= board.look_at {
                look(board.look(plan, steps, self.practice.as_ref(), self.clock.now()));
            }
        }
    }

    async fn finish(
        mut self,
        mut board: Board,
        steps: Steps,
        interrupted: bool,
        aborted_by: Option<String>,
    ) -> Result<Finished, RunError> {
        let length = self.clock.now().since(Mono::ZERO);
        self.shards.all(|| ToShard::Stop);
        let mut enrolled = Vec::new();
        let mut last = 0;
        while last < self.workers.len() {
            let Some(mut report) = self.reports.recv().await else { break };
            last += usize::from(report.is_last);
            enrolled.append(&mut report.enrolled);
            board.take(report, self.clock.now());
        }
        for (ix, worker) in self.workers.drain(..).enumerate() {
            if worker.join().is_err() {
                return Err(RunError::Worker(ix));
            }
        }
        if !interrupted && let Some(admin) = self.admin.take() {
            self.ask_beliefs(&admin, &enrolled, &mut board.folds).await?;
        }
        self.makers.join();
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
        let health = Health::look();
        let practice_cpu_s = self.practice.as_ref().map(Practice::cpu_s);
        let practice_truth = self.practice.as_ref().map(Practice::truth);
        let push = self.push.tally();
        if let Some(practice) = self.practice.take() {
            practice.stop();
        }
        self.push.stop();
        Ok(Finished {
            spans: steps.spans().to_vec(),
            length,
            began_us: self.began_us,
            unfinished: board.latest.values().map(|latest| latest.unfinished).sum(),
            sessions_open: board.latest.values().map(|latest| latest.sessions_open).sum(),
            held: board.latest.values().map(|latest| latest.held).sum(),
            health,
            steal_s: health.steal_s - self.steal_before_s,
            fds_max: board.fds_max.max(health.fds),
            practice_cpu_s,
            seconds: board.seconds,
            push,
            practice_truth,
            interrupted,
            aborted_by,
            dropped: self.dropped,
            thresholds: self.setup.thresholds,
            folds: board.folds,
        })
    }

    /// What the server believes of the enrollments, against what the devices hold.
    async fn ask_beliefs(&self, admin: &Rc<Admin>, enrolled: &[DeviceIx], folds: &mut Folds) -> Result<(), RunError> {
        let devices = self.roster.devices() as usize;
        let step = devices.div_ceil(BELIEFS_MAX).max(1);
        let lanes = (0..devices)
            .step_by(step)
            .filter_map(|device| {
                let device = DeviceIx(device as u32);
                let lane = self.roster.lane(device, 0)?;
                Some(((lane, self.enrollment_id(lane)), enrolled.contains(&device)))
            })
            .collect();
        for (lane, truth) in admin.believes(lanes).await? {
            folds.apply(&Fact { at: self.clock.now(), phase: PhaseIx(0), lane, what: What::Believes(truth) });
        }
        Ok(())
    }
}

/// What was on the disk, by shard.
#[derive(Default)]
struct Stored {
    of_shard: Vec<Vec<Snapshot>>,
    writer: Option<Writer>,
}

/// What a shard's thread takes along.
struct Part {
    ix: usize,
    plan: Arc<Plan>,
    roster: Arc<Roster>,
    cells: Arc<Cells>,
    cast: Cast,
    limits: Arc<Limits>,
    tokens: Arc<Tokens>,
    clock: RunClock,
    roots: Roots,
    keys: Arc<KeyRing>,
    registry: Arc<apns::Registry>,
    makers: std::sync::mpsc::Sender<crate::makers::Job>,
    saver: Option<droves_fleet::Saver>,
    inbox: UnboundedReceiver<ToShard>,
    pushes: Arc<[PushBox]>,
    reporter: UnboundedSender<Report>,
    snapshots: Vec<Snapshot>,
    is_restart: bool,
}

impl Part {
    /// The thread's work.
    fn run(self) {
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
            faults: NetworkFaults::new(&self.plan),
            addresses: std::cell::RefCell::default(),
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
        let mut shard = Shard::<Apple>::new(config, |device| cast.kind(device));
        let clocks = Clocks { now: self.clock.now(), wall: health::wall() };
        for snapshot in &self.snapshots {
            if let Err(error) = shard.restore(snapshot, clocks) {
                tracing::error!(lane = %snapshot.lane, %error, "lane is not restored");
            }
        }
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
        };
        LocalSet::new().block_on(&runtime, worker.run());
    }
}

/// What the coordinator knows of all shards.
struct Board {
    folds: Folds,
    recent: Recent,
    latest: BTreeMap<usize, Latest>,
    devices: u32,
    lag_max: Dur,
    look_at: Mono,
    health: Health,
    fds_max: u64,
    seconds: Vec<Second>,
}

/// The latest report of a shard, but for what was folded.
#[derive(Default)]
struct Latest {
    reached: BTreeMap<PhaseIx, Reached>,
    live: usize,
    unfinished: u64,
    sessions_open: u64,
    held: u64,
}

impl Board {
    fn new(devices: u32, is_restart: bool, lag_max: Dur) -> Self {
        Board {
            folds: if is_restart { Folds::after_restart() } else { Folds::default() },
            recent: Recent::default(),
            latest: BTreeMap::new(),
            devices,
            lag_max,
            look_at: Mono::ZERO,
            health: Health::default(),
            fds_max: 0,
            seconds: Vec::new(),
        }
    }

    fn take(&mut self, report: Report, now: Mono) {
        let Report { shard, folds, reached, live, unfinished, sessions_open, held, .. } = report;
        self.recent.take(&folds, now);
        self.second(&folds, now);
        self.folds.merge(folds);
        self.latest.insert(shard, Latest { reached, live, unfinished, sessions_open, held });
    }

    fn second(&mut self, delta: &Folds, now: Mono) {
        let second = now.0 / 1_000_000;
        if self.seconds.last().is_none_or(|last| last.second < second) {
            self.seconds.push(Second { second, ..Second::default() });
        }
        let live = self.live() as u64;
        let enrolled = self.folds.counts.devices_moved(droves_facts::DeviceState::Enrolled);
        let Some(last) = self.seconds.last_mut() else { return };
        let tries = delta.counts.tries_of(None, droves_facts::Unit::Request);
        last.requests += tries.ended();
        last.failed += tries.failed_in_all();
        last.sessions += delta.counts.sessions_started;
        last.live = live;
        last.enrolled = u64::try_from(enrolled).unwrap_or(0);
        last.accepted += delta.fanout.count(None, droves_measure::Hop::Accepted);
        let lag = delta.series.own(None, droves_measure::Own::Lag).quantile_us(0.99);
        last.lag_p99_us = last.lag_p99_us.max(lag);
    }

    fn live(&self) -> usize {
        self.latest.values().map(|latest| latest.live).sum()
    }

    fn verdicts(&self) -> Verdicts {
        self.folds.ledger.so_far()
    }

    fn reached(&self) -> BTreeMap<PhaseIx, Reached> {
        let mut all: BTreeMap<PhaseIx, Reached> = BTreeMap::new();
        for (phase, reached) in self.latest.values().flat_map(|latest| &latest.reached) {
            let sum = all.entry(*phase).or_default();
            *sum = sum.and(*reached);
        }
        all
    }

    fn look(&mut self, plan: &Plan, steps: &Steps, practice: Option<&Practice>, now: Mono) -> Look {
        self.look_at = now + LOOK_EVERY;
        // Files are counted one by one: once a second is enough.
        let fds = if now.0 / 1_000_000 == self.health_second() { self.health.fds } else { 0 };
        let health = Health::look_with(fds);
        self.fds_max = self.fds_max.max(health.fds);
        self.health = health;
        let reached = self.reached();
        Look {
            progress: Progress::of(&self.folds, &self.recent, u64::from(self.devices), self.live() as u64, now),
            phases: steps.looks(plan, &reached, now),
            to_come: steps.to_come(),
            health,
            practice_cpu_s: practice.map(Practice::cpu_s),
            lag_us_max: self.lag_max.0,
        }
    }

    fn health_second(&self) -> u64 {
        self.look_at.0.saturating_sub(LOOK_EVERY.0) / 1_000_000
    }
}

/// A queue between threads.
#[expect(clippy::disallowed_methods, reason = "what goes through is bounded by the lanes: see `ToShard`")]
fn queue<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    tokio::sync::mpsc::unbounded_channel()
}

fn whose(plan: &Plan, roster: &Roster) -> Whose {
    let cells = Cells::new(roster, 1);
    let mut starts: Vec<u32> = cells.of_shard(0).map(|(_, _, lanes)| lanes.start).collect();
    starts.push(roster.lanes());
    starts.truncate(CELLS + 1);
    let populations: Vec<String> = plan
        .populations
        .iter()
        .map(|p| format!("{} {} {} users {}", p.name, p.platform, p.devices.len(), p.users))
        .collect();
    Whose {
        seed: plan.seed,
        devices: roster.devices(),
        lanes: roster.lanes(),
        populations: populations.join(", "),
        cells: starts,
    }
}

/// Without a fleet on disk the secret is the seed's: nobody else's device is on the other side.
fn secret_of(seed: u64) -> [u8; 32] {
    digest::sha256(&[b"droves push tokens".as_slice(), &seed.to_be_bytes()].concat())
}

fn push_service(
    setup: &Setup,
    roster: &Roster,
    shards: &Shards,
    clock: RunClock,
    secret: [u8; 32],
) -> Result<apns::Handle, RunError> {
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let config = apns::Config {
        listen: loopback(setup.push_port),
        door: Some(loopback(setup.door_port)),
        certificates: setup.certificates.clone(),
        provider_roots: None,
        connections_max: 4_096,
        rules: apns::Rules::default(),
        connections: apns::ConnectionRules::default(),
        tokens: Tokens::new(secret),
        registry: Arc::new(apns::Registry::new(roster.lanes())),
        dice: setup.plan.dice(),
        clock,
    };
    Ok(apns::Handle::start(config, Arc::new(shards.clone()))?)
}

fn practice_server(setup: &Setup, push: &apns::Handle, clock: RunClock) -> Result<Practice, RunError> {
    let config = practice::Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        push: Some((push.addr(), push.ca_pem_path().to_owned())),
        faults: practice::Faults::new(&setup.plan.faults, setup.plan.dice()),
        token: None,
        clock,
        limits: setup.limits.clone(),
    };
    Ok(Practice::start(config)?)
}

/// Waits until somebody is at the target's address.
async fn reach(url: &str, authorised: &[String], limits: &Limits, wait: Dur, clock: RunClock) -> Result<(), RunError> {
    let unreachable = |why: String| RunError::Unreachable { url: url.to_owned(), why };
    let uri: http::Uri = url.parse().map_err(|_| unreachable("not a URL".into()))?;
    let host = uri.host().ok_or_else(|| unreachable("no host in it".into()))?.trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let until = clock.now() + wait;
    loop {
        let why = match connect::resolve(host, port, limits.connect_wait_max).await {
            Err(error) => error.to_string(),
            Ok(found) => {
                authorise::check(host, &found, authorised)?;
                let Some(address) = found.first() else { return Err(unreachable("it has no address".into())) };
                let dialler = Dialler::new(limits, Sources::system());
                match dialler.dial(*address, None, &clock).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error.to_string(),
                }
            }
        };
        if clock.now() >= until {
            return Err(unreachable(why));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whom the devices trust: the scenario's CA or the machine's, and the practice server's.
fn roots(plan: &Plan, practice: Option<&Practice>) -> Result<Roots, RunError> {
    let mut trust = match &plan.tls.ca {
        Some(payload) => Trust::only(tls::certificates_of_pem(&payload.bytes)?),
        None => Trust::system(),
    };
    if let Some(practice) = practice {
        trust = trust.and(tls::certificates_of_pem(practice.ca_pem().as_bytes())?);
    }
    Ok(trust.load()?)
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
    let cache = env("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let home = || env("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).unwrap_or_else(|| PathBuf::from(".")).join("droves").join("keys")
}
