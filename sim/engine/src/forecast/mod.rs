//! A whole scenario in virtual time: the plan's steps, its devices and its administrator, against a model of a server and
//! of a network, without a socket. It says what the scenario will offer before a server is touched.
//!
//! One thread; the same setup gives the same facts in the same order. Phases begin and end as in a run ([`Steps`]), and
//! what they wait for is looked at four times a second, as a run's coordinator does.

mod acme;
mod need;
mod office;
mod server;

pub use need::{Costs, FILES_MAX, Need, PORTS};
pub use server::{SCEP_REPLY_BYTES, SCEP_REQUEST_BYTES};

use crate::cast::Cast;
use crate::enrollment::{self, EnrollmentError};
use crate::steps::{Change, Span, Steps};
use crate::track::Tracks;
use bytes::Bytes;
use droves_device::apple::{Apple, Minting};
use droves_device::{Identity, KeyIx, Machine, ProfileSource};
use droves_emulators::practice;
use droves_facts::{DeviceIx, Dur, Fact, LaneIx, Limits, Mono};
use droves_measure::{Fold, Folds, Load};
use droves_scenario::plan::{Action, Plan, Roster};
use droves_shard::forecast::{Forecast, Model};
use droves_shard::{Cells, Config, Known, Shard, Snapshot};
use droves_wire::apple::push::Tokens;
use office::Office;
use server::Server;
use std::sync::Arc;

/// How often it is looked at what a phase waits for.
const LOOK_EVERY: Dur = Dur::ms(250);
/// Sessions that are open when the last phase ends get this long.
const DRAIN_MAX: Dur = Dur::secs(5);
/// Deadlines between two looks at whether to stop.
const STEPS_MAX: u64 = 2_000;
/// Where a practice server would be: nobody is asked.
const PRACTICE_URL: &str = "http://127.0.0.1";
/// The topic of its profile.
const TOPIC: &str = "com.apple.mgmt.External.7c6a9f7e-3d0b-4c39-9e57-0a0b4c3d2e10";

type Running = Forecast<Apple, Server>;

/// What is played.
#[derive(Debug)]
pub struct Foresee {
    /// What happens.
    pub plan: Arc<Plan>,
    /// Bounds.
    pub limits: Limits,
    /// The other side.
    pub model: Model,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The time of the run.
    pub now: Mono,
    /// The longest that the run can be.
    pub length_max: Dur,
    /// Sessions so far.
    pub sessions: u64,
}

/// What the scenario will offer.
#[derive(Debug)]
pub struct Foreseen {
    /// Everything that a run folds.
    pub folds: Folds,
    /// The load, second by second.
    pub load: Load,
    /// When each phase was.
    pub spans: Vec<Span>,
    /// How long it took, in the run's time.
    pub length: Dur,
    /// Whether the devices were enrolled from the start, because no phase enrolls any.
    pub began_enrolled: bool,
    /// Most of the modelled server's workers that were busy at a time.
    pub workers_busy_max: usize,
    /// Requests without an end.
    pub unfinished: u64,
    /// Sessions that were open at the end.
    pub sessions_open: u64,
    /// Whether somebody broke it off.
    pub interrupted: bool,
}

/// Why a scenario can't be foreseen.
#[derive(Debug, thiserror::Error)]
pub enum ForeseeError {
    /// The enrollment profile's template.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// The enrollment profile.
    #[error("enrollment profile: {0}")]
    Profile(String),
    /// A phase needs the administrator, who has no API.
    #[error("server profile `{server}` has no administrator's API, which phase `{phase}` needs")]
    NoAdmin {
        /// The server profile.
        server: String,
        /// The phase.
        phase: String,
    },
    /// A lane that was made enrolled does not read.
    #[error("lane {lane}: {why}")]
    Lane {
        /// Which.
        lane: LaneIx,
        /// Why.
        why: String,
    },
}

/// Plays a scenario. `fact` is told everything that happens, in order; `progress` now and then; `stop` says whether to
/// break it off.
pub fn foresee(
    what: Foresee,
    mut fact: impl FnMut(&Fact),
    mut progress: impl FnMut(Progress),
    stop: impl Fn() -> bool,
) -> Result<Foreseen, ForeseeError> {
    let mut play = Play::new(what, &mut fact)?;
    let mut interrupted = false;
    while !play.steps.is_over() {
        play.turn(&mut fact);
        progress(play.progress());
        if stop() {
            interrupted = true;
            break;
        }
    }
    for change in play.steps.break_off(play.running.clocks().now) {
        play.change(change);
    }
    let until = play.running.clocks().now + DRAIN_MAX;
    while !interrupted && play.running.shard.live() > 0 && play.running.clocks().now < until {
        play.go_to(until, &mut fact);
    }
    play.take_facts(&mut fact);
    Ok(play.finish(interrupted))
}

struct Play {
    plan: Arc<Plan>,
    running: Running,
    steps: Steps,
    tracks: Tracks,
    office: Office,
    folds: Folds,
    load: Load,
    length_max: Dur,
    began_enrolled: bool,
}

impl Play {
    fn new(what: Foresee, fact: &mut impl FnMut(&Fact)) -> Result<Self, ForeseeError> {
        let Foresee { plan, limits, model } = what;
        check(&plan)?;
        let roster = Arc::new(plan.roster());
        let url = plan.target.url.clone().unwrap_or_else(|| PRACTICE_URL.to_owned());
        let source = enrollment::source(&plan.target, &url)?;
        let profile = match &source {
            ProfileSource::Bytes(bytes) => Bytes::copy_from_slice(bytes),
            // The server has it: one that says the same has about its length.
            ProfileSource::Url(_) => practice::enrollment_profile(&url, TOPIC, "challenge").into(),
        };
        let began_enrolled = !plan.phases.iter().any(|phase| matches!(phase.action, Action::Enroll(_)));
        let cast = Cast::of(&plan, &roster, &source);
        let config = Config {
            plan: Arc::clone(&plan),
            roster: Arc::clone(&roster),
            cells: Arc::new(Cells::new(&roster, 1)),
            shard: 0,
            characters: Arc::clone(&cast.characters),
            limits: Arc::new(limits.clone()),
            tokens: Arc::new(Tokens::new([0; 32])),
            // What is offered is asked, not what one process lets in.
            sessions_max: usize::MAX,
            keeps: false,
        };
        let shard = Shard::<Apple>::new(config, |device| cast.kind(device));
        let world = Server::new(&plan, profile.clone(), began_enrolled, limits.clone());
        let mut play = Play {
            running: Forecast::new(shard, world, model, plan.dice()),
            steps: Steps::new(Arc::clone(&plan), Mono::ZERO),
            tracks: Tracks::new(Arc::clone(&plan), Arc::clone(&roster)),
            office: Office::new(&plan),
            folds: Folds::default(),
            load: Load::default(),
            length_max: length_max(&plan),
            began_enrolled,
            plan,
        };
        if began_enrolled {
            play.enrolled(&profile, &roster, &limits, fact)?;
        }
        Ok(play)
    }

    /// Every lane as a minted fleet has it. One identity stands for all: it is never shown to anybody.
    fn enrolled(
        &mut self,
        profile: &[u8],
        roster: &Roster,
        limits: &Limits,
        fact: &mut impl FnMut(&Fact),
    ) -> Result<(), ForeseeError> {
        let allow_http = self.plan.target.profile.enroll_apple.allow_http;
        let minting = Minting::under(profile, allow_http, limits).map_err(ForeseeError::Profile)?;
        let identity = Arc::new(Identity { key: KeyIx(0), certificate: Box::default() });
        let (clocks, mut known) = (self.running.clocks(), Known::<Apple>::new());
        let encoded = |is_device: bool| {
            let slept = minting.lane(is_device, &identity);
            (Apple::record_to_bytes(&slept.record), Arc::<[u8]>::from(Apple::shared_to_bytes(&slept.shared)))
        };
        let (device, user) = (encoded(true), encoded(false));
        for ix in 0..roster.devices() {
            let lanes = roster.lanes_of_device(DeviceIx(ix));
            let users = if minting.has_users() { lanes.start + 1..lanes.end } else { 0..0 };
            for lane in [lanes.start].into_iter().chain(users).map(LaneIx) {
                let is_device = lane.0 == lanes.start;
                let (record, shared) = if is_device { device.clone() } else { user.clone() };
                let identity = is_device.then(|| Arc::clone(&identity));
                let snapshot = Snapshot { lane, record, shared, own: None, identity, ended: false };
                let restored = self.running.shard.restore(snapshot, &mut known, clocks);
                restored.map_err(|why| ForeseeError::Lane { lane, why })?;
            }
            if (ix as usize).is_multiple_of(FACTS_MAX) {
                self.running.shard.drain(&mut Vec::new(), &mut self.running.facts);
                self.take_facts(fact);
            }
        }
        Ok(())
    }

    /// One turn of the coordinator, and the time up to the next.
    fn turn(&mut self, fact: &mut impl FnMut(&Fact)) {
        let now = self.running.clocks().now;
        for change in self.steps.advance(now, &self.tracks.reached()) {
            self.change(change);
        }
        for (phase, due) in self.steps.due(now) {
            self.office.administer(phase, &due, &mut self.running, &mut self.tracks);
        }
        self.take_facts(fact);
        if self.steps.is_over() {
            return;
        }
        // What happens next can end a phase: it is looked at on the next beat after it.
        let beat = |at: Mono| Mono((at.0 / LOOK_EVERY.0 + 1).saturating_mul(LOOK_EVERY.0));
        let events = self.running.next().map(|at| beat(at.max(now)));
        let Some(until) = [events, self.steps.next()].into_iter().flatten().min() else { return };
        self.go_to(until, fact);
    }

    /// Lets time pass, at most some thousand deadlines.
    fn go_to(&mut self, until: Mono, fact: &mut impl FnMut(&Fact)) {
        for _ in 0..STEPS_MAX {
            let next = self.office.next().unwrap_or(Mono::NEVER).min(until);
            let is_there = self.running.run_until(next, 1);
            self.office.tick(&mut self.running);
            if self.running.facts.len() > FACTS_MAX {
                self.take_facts(fact);
            }
            if is_there && next == until {
                break;
            }
        }
        self.take_facts(fact);
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Begins(phase) => {
                self.tracks.begin(phase);
                self.running.world.phase_begins(phase, self.running.clocks().now);
                self.running.begin(phase);
            }
            Change::Ends(phase) => {
                self.tracks.end(phase);
                self.running.world.phase_ends(phase);
                self.running.end(phase);
            }
        }
    }

    fn take_facts(&mut self, fact: &mut impl FnMut(&Fact)) {
        for said in self.running.facts.drain(..) {
            self.tracks.take(&said);
            self.folds.apply(&said);
            self.load.apply(&said);
            fact(&said);
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            now: self.running.clocks().now,
            length_max: self.length_max,
            sessions: self.folds.counts.sessions_started,
        }
    }

    fn finish(self, interrupted: bool) -> Foreseen {
        Foreseen {
            spans: self.steps.spans().to_vec(),
            length: self.running.clocks().now.since(Mono::ZERO),
            began_enrolled: self.began_enrolled,
            workers_busy_max: self.running.desk.busy_max(),
            unfinished: self.running.shard.unfinished(),
            sessions_open: self.running.shard.sessions_open(),
            interrupted,
            folds: self.folds,
            load: self.load,
        }
    }
}

/// Facts that are kept before they are folded.
const FACTS_MAX: usize = 4_096;

/// Whether the administrator has a way to do what is planned.
fn check(plan: &Plan) -> Result<(), ForeseeError> {
    let admin = plan.target.profile.admin.as_ref();
    for phase in &plan.phases {
        let is_possible = match &phase.action {
            Action::Command { push: true, .. } => admin.is_some_and(|a| a.queue_command.is_some() && a.push.is_some()),
            Action::Command { .. } => admin.is_some_and(|admin| admin.queue_command.is_some()),
            Action::Push(_) => admin.is_some_and(|admin| admin.push.is_some()),
            _ => true,
        };
        if !is_possible {
            let (server, phase) = (plan.target.profile.name.clone(), phase.name.clone());
            return Err(ForeseeError::NoAdmin { server, phase });
        }
    }
    Ok(())
}

/// The longest that a run of the plan can be.
fn length_max(plan: &Plan) -> Dur {
    let of_phase = |ix: &droves_facts::PhaseIx| {
        let phase = plan.phases.get(ix.ix())?;
        Some(phase.after + phase.until.limit()?)
    };
    let of_step = |step: &Vec<_>| step.iter().filter_map(of_phase).max().unwrap_or_default();
    plan.steps.iter().map(of_step).fold(Dur::ZERO, |sum, step| sum + step)
}
