//! A plan played in virtual time against some other side: its steps, its administrator, its devices.

use super::office::Office;
use super::{Foresee, ForeseeError, ways};
use crate::admin::Command;
use crate::cast::Cast;
use crate::directory::Directory;
use crate::steps::{Change, Span, Steps};
use crate::track::Tracks;
use bytes::Bytes;
use droves_device::{Clocks, Device, Machine, Token};
use droves_facts::{Dur, Fact, LaneIx, Mono, PhaseIx, PopulationIx};
use droves_measure::{Fold, Folds, Load};
use droves_scenario::plan::Plan;
use droves_shard::forecast::{Forecast, Notification, World};
use droves_shard::{Cells, Config, Known, Shard, Snapshot};

use std::collections::BTreeMap;
use std::sync::Arc;

/// How often it is looked at what a phase waits for.
const LOOK_EVERY: Dur = Dur::ms(250);
/// Deadlines between two looks at whether to stop.
const STEPS_MAX: u64 = 2_000;
/// Facts that are kept before they are folded.
const FACTS_MAX: usize = 4_096;

/// The other side of a plan: what a server says to devices, and what it does for its administrator.
pub trait Side: World {
    /// A phase begins.
    fn phase_begins(&mut self, phase: PhaseIx, now: Mono);
    /// A phase is over.
    fn phase_ends(&mut self, phase: PhaseIx);
    /// Queues a command; gives the lanes for which the server says that it did.
    fn queue(&mut self, clocks: Clocks, lanes: &[LaneIx], command: &Arc<Command>) -> Vec<LaneIx>;
    /// Enrollment tokens of the plan's Android devices, before anything begins.
    fn tokens(&mut self, plan: &Plan) -> BTreeMap<PopulationIx, Token> {
        let _ = plan;
        BTreeMap::new()
    }
    /// What the server called what was queued last, if it names that itself.
    fn returned(&mut self) -> Option<String> {
        None
    }
    /// Pushes a lane; gives what is on its way then, or nothing if the server refuses.
    fn push(&mut self, clocks: Clocks, lane: LaneIx) -> Option<Vec<Notification>>;
    /// Whether somebody wants to look before anything else happens.
    fn pauses(&self) -> bool {
        false
    }
}

/// A plan that is played.
pub struct Play<S> {
    /// The devices, and the other side.
    pub running: Forecast<Device, S>,
    /// Everything that a run folds.
    pub folds: Folds,
    /// The load, second by second.
    pub load: Load,
    plan: Arc<Plan>,
    config: Config,
    cast: Cast,
    steps: Steps,
    tracks: Tracks,
    office: Office,
}

/// What a crash cut off: begun, and without an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    /// Requests.
    pub requests: u64,
    /// Sessions.
    pub sessions: u64,
    /// Connections.
    pub connections: u64,
}

impl<S: Side> Play<S> {
    /// A plan whose devices have never enrolled. `keeps`: whether lanes are told to the store whenever they fall asleep.
    /// `sessions_max`: how many talk at a time.
    pub fn new(what: Foresee, mut side: S, keeps: bool, sessions_max: usize) -> Result<Self, ForeseeError> {
        let Foresee { plan, limits, model } = what;
        super::check(&plan)?;
        let roster = Arc::new(plan.roster());
        let cast = Cast::of(&plan, &roster, &ways(&plan, side.tokens(&plan))?);
        let config = Config {
            plan: Arc::clone(&plan),
            roster: Arc::clone(&roster),
            cells: Arc::new(Cells::new(&roster, 1)),
            shard: 0,
            characters: Arc::clone(&cast.characters),
            limits: Arc::new(limits),
            tokens: Arc::new(super::tokens()),
            sessions_max,
            keeps,
        };
        Ok(Play {
            running: Forecast::new(shard(&config, &cast), side, model, plan.dice()),
            folds: Folds::default(),
            load: Load::default(),
            steps: Steps::new(Arc::clone(&plan), Mono::ZERO),
            tracks: Tracks::new(Arc::clone(&plan), roster),
            office: Office::new(&plan),
            plan,
            config,
            cast,
        })
    }

    /// What the shard is made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether every phase has ended.
    pub fn is_over(&self) -> bool {
        self.steps.is_over()
    }

    /// When each phase that has begun was.
    pub fn spans(&self) -> &[Span] {
        self.steps.spans()
    }

    /// What a server that takes enrollments over is told of a lane.
    pub fn check_ins(&self, lane: &Snapshot) -> Result<Vec<Bytes>, ForeseeError> {
        let (plan, roster, cast) = (Arc::clone(&self.plan), Arc::clone(&self.config.roster), self.cast.clone());
        let directory =
            Directory::new(plan, roster, cast, Arc::clone(&self.config.tokens), Arc::clone(&self.config.limits));
        let read = || Ok((Device::record_from_bytes(&lane.record)?, Device::shared_from_bytes(&lane.shared)?));
        let (record, shared) = read().map_err(|why| ForeseeError::Lane { lane: lane.lane, why })?;
        Ok(directory.speak(lane.lane, |ctx| Device::check_ins(&record, &shared, ctx)))
    }

    /// Puts lanes back as a store had them.
    pub fn restore(
        &mut self,
        lanes: impl IntoIterator<Item = Snapshot>,
        fact: &mut impl FnMut(&Fact),
    ) -> Result<(), ForeseeError> {
        let (clocks, mut known) = (self.running.clocks(), Known::<Device>::default());
        for (n, snapshot) in lanes.into_iter().enumerate() {
            let lane = snapshot.lane;
            let restored = self.running.shard.restore(snapshot, &mut known, clocks);
            if let Some((generation, topic)) = restored.map_err(|why| ForeseeError::Lane { lane, why })? {
                self.running.world.registers(clocks, lane, generation, &topic);
            }
            if n.is_multiple_of(FACTS_MAX) {
                self.running.shard.drain(&mut Vec::new(), &mut self.running.facts);
                self.take_facts(fact);
            }
        }
        Ok(())
    }

    /// The generator is gone with everything that it had in memory. Another stands in its place after `down`, with the
    /// lanes that a store has; it goes on with the plan's next step.
    pub fn restart(
        &mut self,
        lanes: impl IntoIterator<Item = Snapshot>,
        down: Dur,
        fact: &mut impl FnMut(&Fact),
    ) -> Result<Cut, ForeseeError> {
        self.take_facts(fact);
        let shard_before = &self.running.shard;
        let (requests, sessions) = (shard_before.unfinished(), shard_before.sessions_open());
        let cut = Cut { requests, sessions, connections: self.running.connections() };
        for change in self.steps.skip(self.running.clocks().now) {
            self.change(change);
        }
        self.office = Office::new(&self.plan);
        self.running.restart(shard(&self.config, &self.cast), down);
        self.restore(lanes, fact)?;
        Ok(cut)
    }

    /// Ends whatever runs.
    pub fn break_off(&mut self) {
        for change in self.steps.break_off(self.running.clocks().now) {
            self.change(change);
        }
    }

    /// One turn of the coordinator, and the time up to the next.
    pub fn turn(&mut self, fact: &mut impl FnMut(&Fact)) {
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
        let events = [self.running.next(), self.office.next()].into_iter().flatten().min().map(|at| beat(at.max(now)));
        let Some(until) = [events, self.steps.next()].into_iter().flatten().min() else { return };
        self.go_to(until, fact);
    }

    /// Lets time pass, at most some thousand deadlines.
    pub fn go_to(&mut self, until: Mono, fact: &mut impl FnMut(&Fact)) {
        for _ in 0..STEPS_MAX {
            let next = self.office.next().unwrap_or(Mono::NEVER).min(until);
            let is_there = self.running.run_until(next, 1);
            self.office.tick(&mut self.running);
            if self.running.facts.len() > FACTS_MAX {
                self.take_facts(fact);
            }
            if is_there && next == until || self.running.world.pauses() {
                break;
            }
        }
        self.take_facts(fact);
    }

    /// Folds what was said, and hands it on.
    pub fn take_facts(&mut self, fact: &mut impl FnMut(&Fact)) {
        for said in self.running.facts.drain(..) {
            self.tracks.take(&said);
            self.folds.apply(&said);
            self.load.apply(&said);
            fact(&said);
        }
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
}

fn shard(config: &Config, cast: &Cast) -> Shard<Device> {
    Shard::new(config.clone(), |device| cast.kind(device))
}
