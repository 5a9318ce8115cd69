//! The shard: time, latches, admission and accounts for the lanes of its cells.

mod ending;
mod returning;
mod taping;
mod waking;

use crate::arrivals::Running;
use crate::cells::Cells;
use crate::known::Known;
use crate::lane::{Came, Inbox, Lane, Live, Mode, OpenArrival, Snapshot, Waiting};
use crate::shell::{Answer, Effect, Exchange, Input, Ticket};
use crate::wheel::{Entry, Wheel};
use droves_device::{
    Action, Character, Clocks, Ctx, Event, Failure, Identity, Machine, Made, Note, Order, Out, Pool, Reasons, Response,
    Slept, Wake, What, status_kind,
};
use droves_facts::{
    ArrivalFate, Blame, DeviceIx, Dice, Dur, Fact, LaneIx, Limits, Mono, Operation, Outcome, PhaseIx, PushFate,
    RequestTiming, Unit, Waker, Wall, What as Said,
};
use droves_scenario::plan::{Overload, Phase, Plan, Roster};
use droves_wire::apple::push::Tokens;
use slab::Slab;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use taping::Tape;

/// What a shard is made from.
#[derive(Clone)]
pub struct Config {
    /// What happens.
    pub plan: Arc<Plan>,
    /// Who is who.
    pub roster: Arc<Roster>,
    /// Who owns what.
    pub cells: Arc<Cells>,
    /// Which of the shards this is.
    pub shard: usize,
    /// Kinds of devices.
    pub characters: Arc<[Character]>,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// Secret of the push tokens.
    pub tokens: Arc<Tokens>,
    /// Sessions open at a time.
    pub sessions_max: usize,
    /// Whether lanes are told to the store whenever they fall asleep changed.
    pub keeps: bool,
}

/// A push token's generation, and the topic that it is for.
pub type Registration = (u32, Arc<str>);

/// An order on its way to a lane, and what the lane is opened with if it is to enroll.
type Ordered<S> = (LaneIx, Note, Option<Arc<S>>);

/// A device of this shard.
#[derive(Debug)]
struct Device {
    identity: Option<Arc<Identity>>,
    character: u16,
}

/// The lanes of some cells, and what wakes them.
pub struct Shard<M: Machine> {
    config: Config,
    dice: Dice,
    lanes: Vec<Lane<M>>,
    devices: Vec<Device>,
    live: Slab<Live<M>>,
    shared: HashSet<Arc<M::Shared>>,
    shared_swept_at: usize,
    /// What shared parts have in common that differ.
    pool: Pool,
    wheel: Wheel,
    fired: Vec<Entry>,
    /// Timers that have fired since somebody asked.
    timers: u64,
    /// Lanes awake by right, waiting for room.
    queue: VecDeque<LaneIx>,
    /// Orders to lanes of the same device, not yet delivered.
    orders: VecDeque<Ordered<M::Shared>>,
    running: Vec<Running>,
    ticket: Ticket,
    effects: Vec<Effect>,
    facts: Vec<Fact>,
    tape: Option<Tape>,
}

impl<M: Machine> Shard<M> {
    /// A shard whose lanes have never enrolled. `character_of` says which of the characters a device is.
    pub fn new(config: Config, character_of: impl Fn(DeviceIx) -> u16) -> Self {
        let (devices_in_all, lanes_in_all) = config
            .cells
            .of_shard(config.shard)
            .fold((0, 0), |sum, (_, devices, lanes)| (sum.0 + devices.len(), sum.1 + lanes.len()));
        // Room that is doubled as it fills would be up to twice as much as is used.
        let mut lanes = Vec::with_capacity(lanes_in_all);
        let mut devices = Vec::with_capacity(devices_in_all);
        // What those of a kind have in common is one value from the start.
        let unenrolled: Vec<Slept<M>> = config.characters.iter().map(|character| M::unenrolled(character)).collect();
        for (_, of_cell, lanes_of_cell) in config.cells.of_shard(config.shard) {
            devices.extend(of_cell.map(|d| Device { identity: None, character: character_of(DeviceIx(d)) }));
            lanes.extend(lanes_of_cell.map(|lane| {
                let device = config.roster.locate(LaneIx(lane)).map(|(device, _)| character_of(device));
                let slept = device.and_then(|character| unenrolled.get(usize::from(character)).cloned());
                Lane::asleep(slept.unwrap_or_default())
            }));
        }
        Shard {
            dice: config.plan.dice(),
            config,
            lanes,
            devices,
            live: Slab::new(),
            shared: HashSet::new(),
            shared_swept_at: 1_024,
            pool: Pool::default(),
            wheel: Wheel::default(),
            fired: Vec::new(),
            timers: 0,
            queue: VecDeque::new(),
            orders: VecDeque::new(),
            running: Vec::new(),
            ticket: 0,
            effects: Vec::new(),
            facts: Vec::new(),
            tape: None,
        }
    }

    /// Puts a lane back as the store had it, and says as what it is registered at the push service. The error says what
    /// is wrong with its bytes. `known` is for one caller's lanes in a row: what many have in common is read once.
    pub fn restore(
        &mut self,
        snapshot: Snapshot,
        known: &mut Known<M>,
        clocks: Clocks,
    ) -> Result<Option<Registration>, String> {
        let lane = snapshot.lane;
        let record = M::record_from_bytes(&snapshot.record)?;
        let shared = known.part(snapshot.shared, |bytes| Ok(self.intern(Arc::new(M::shared_from_bytes(bytes)?))))?;
        let (device, channel) = self.locate(lane);
        if channel == 0 {
            self.device_mut(lane, device).identity = snapshot.identity;
            let to = M::state(&record);
            self.say(clocks, PhaseIx(0), lane, Said::Device { from: droves_facts::DeviceState::Unenrolled, to });
        }
        let place = self.place(lane);
        self.lanes[place].slept = Slept { record, shared, own: snapshot.own };
        if snapshot.ended {
            self.lanes[place].mode = Mode::Ended;
            return Ok(None);
        }
        let registration = M::registration(&record, &self.lanes[place].slept.shared);
        let mut out = Out::default();
        let action = M::resume(&record, &self.ctx(lane, clocks, clocks.now, &mut out));
        self.rests(lane, clocks, action);
        Ok(registration)
    }

    /// When [`Shard::tick`] is to be called next, if nothing else happens.
    pub fn next(&self) -> Option<Mono> {
        self.running.iter().filter_map(Running::next).chain(self.wheel.next()).min()
    }

    /// Lets time pass.
    pub fn tick(&mut self, clocks: Clocks) {
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.fire(clocks.now, &mut fired);
        self.timers += fired.len() as u64;
        for entry in fired.drain(..) {
            self.timer(entry, clocks);
        }
        self.fired = fired;
        self.arrive(clocks);
        self.settle(clocks);
    }

    /// Takes in what happened.
    pub fn step(&mut self, clocks: Clocks, input: Input<'_>) {
        match input {
            Input::Push { lane, magic, keep_until, pushed, urgent } => {
                let reason = if urgent { Reasons::PUSH | Reasons::URGENT } else { Reasons::PUSH };
                self.push(clocks, lane, magic, keep_until, (pushed, reason));
            }
            Input::Answered { lane, ticket, exchange, answer } => self.answered(clocks, lane, ticket, exchange, answer),
            Input::Failed { lane, ticket, exchange, failure } => self.failed(clocks, lane, ticket, exchange, failure),
            Input::Linked { lane, ticket, exchange, frame } => self.linked(clocks, lane, ticket, exchange, frame),
            Input::Frame { lane, frame } => self.came(clocks, lane, Came::Frame(frame)),
            Input::LinkLost { lane, failure } => self.came(clocks, lane, Came::Lost(failure)),
            Input::Made { lane, ticket, made } => self.made(clocks, lane, ticket, made),
            Input::Saved { lane, ticket } => self.saved(clocks, lane, ticket),
            Input::PhaseBegins(phase) => self.running.push(Running::new(&self.config.plan, phase, clocks.now)),
            Input::PhaseEnds(phase) => self.running.retain(|running| running.phase != phase),
        }
        self.settle(clocks);
    }

    /// Gives over what is to be done and what can be said, in order.
    pub fn drain(&mut self, effects: &mut Vec<Effect>, facts: &mut Vec<Fact>) {
        effects.append(&mut self.effects);
        facts.append(&mut self.facts);
    }

    /// States a fact that the shell knows about a lane: it gets the time and the phase of the lane's session.
    pub fn state(&mut self, clocks: Clocks, lane: LaneIx, what: Said) {
        self.say(clocks, self.phase_of(lane), lane, what);
    }

    /// The phase that what happens to a lane now belongs to: that of its session, if it is in one.
    pub fn phase_of(&self, lane: LaneIx) -> PhaseIx {
        let live = (lane.0 < self.config.roster.lanes()).then(|| self.live_of(lane)).flatten();
        live.map_or_else(|| self.phase_now(), |live| live.phase)
    }

    /// States that the connection stands on which a lane talks to the server.
    pub fn connected(&mut self, clocks: Clocks, lane: LaneIx, opening: droves_facts::Opening) {
        self.state(clocks, lane, Said::ConnectionOpened(opening));
        if self.live_of(lane).is_some_and(|live| live.by_push) {
            self.state(clocks, lane, Said::Connected);
        }
    }

    /// How many timers have fired since the last call.
    pub fn take_timers(&mut self) -> u64 {
        std::mem::take(&mut self.timers)
    }

    /// The identity that the lane shows.
    pub fn identity(&self, lane: LaneIx) -> Option<&Arc<Identity>> {
        if let Some(adopted) = self.live_of(lane).and_then(|live| live.adopted.as_ref()) {
            return Some(adopted);
        }
        let (device, _) = self.config.roster.locate(lane)?;
        self.devices[self.config.cells.device_place(self.config.cells.cell_of(lane), device)].identity.as_ref()
    }

    /// What a push for this lane carries now, if it is enrolled.
    pub fn magic(&self, clocks: Clocks, lane: LaneIx) -> Option<String> {
        let record = match self.live_of(lane) {
            Some(live) => live.machine.record(),
            None => self.lanes.get(self.place(lane))?.slept.record,
        };
        M::magic(&record, &self.ctx(lane, clocks, clocks.now, &mut Out::default()))
    }

    /// Sessions that are live now and come to an end by themselves: what is held at a server does not.
    pub fn live(&self) -> usize {
        self.live.iter().filter(|(_, live)| !live.holds).count()
    }

    /// Requests that have no end yet.
    pub fn unfinished(&self) -> u64 {
        let asks = |live: &Live<M>| match live.waiting {
            Waiting::Response { operation, .. } | Waiting::LetGo { operation, .. } => {
                operation.info().unit == Unit::Request
            }
            _ => false,
        };
        self.live.iter().filter(|(_, live)| asks(live)).count() as u64
    }

    /// Sessions that have begun and are not over.
    pub fn sessions_open(&self) -> u64 {
        self.live.iter().filter(|(_, live)| live.started.is_some() && !live.holds).count() as u64
    }

    /// Every lane as the store would keep it; live ones as they are at this moment.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.lanes_of_it().map(|lane| self.snapshot(lane)).collect()
    }

    /// The lanes that are awake, as they are at this moment: the others were saved when they fell asleep.
    pub fn live_snapshots(&self) -> Vec<Snapshot> {
        let is_live = |lane: &LaneIx| matches!(self.lanes[self.place(*lane)].mode, Mode::Live(_));
        let live: Vec<LaneIx> = self.lanes_of_it().filter(is_live).collect();
        live.into_iter().map(|lane| self.snapshot(lane)).collect()
    }

    fn lanes_of_it(&self) -> impl Iterator<Item = LaneIx> + use<M> {
        let lanes: Vec<_> = self.config.cells.of_shard(self.config.shard).map(|(_, _, lanes)| lanes).collect();
        lanes.into_iter().flatten().map(LaneIx)
    }

    /// Delivers orders between lanes, and lets queued lanes in while there is room.
    fn settle(&mut self, clocks: Clocks) {
        loop {
            if let Some((lane, note, shared)) = self.orders.pop_front() {
                let place = self.place(lane);
                if let Some(shared) = shared {
                    self.hand_over(lane, shared);
                }
                if self.lanes[place].mode == Mode::Ended && note.order != Order::Enroll {
                    continue;
                }
                let reason = note.order.reason();
                if reason == Reasons::PUSH {
                    let again = self.lanes[place].latched.has(Reasons::PUSH);
                    self.lanes[place].push_keep_until = Wall(0);
                    self.state(clocks, lane, Said::Push(PushFate::Received));
                    if again {
                        self.state(clocks, lane, Said::Push(PushFate::Coalesced));
                    }
                }
                let inbox = self.lanes[place].inbox.get_or_insert_default();
                match inbox.enter(note, &self.config.limits) {
                    Ok(()) => self.latch(lane, clocks, reason, note.cause),
                    Err((blame, kind, text)) => {
                        self.state(clocks, lane, Said::Complaint { blame, kind, text: text.into() });
                    }
                }
            } else if self.live.len() < self.config.sessions_max
                && let Some(lane) = self.queue.pop_front()
            {
                let due = self.due(lane);
                self.begin(lane, clocks, due);
            } else {
                return;
            }
        }
    }

    /// A lane gets what its sister has in common with it. Awake, it takes it as its machine does ([`Machine::share`]).
    fn hand_over(&mut self, lane: LaneIx, shared: Arc<M::Shared>) {
        match self.lanes[self.place(lane)].mode {
            Mode::Live(at) => {
                self.tape_told(lane, &shared);
                let shared = self.intern(shared);
                self.live[at as usize].machine.share(&shared);
            }
            _ => {
                self.tape_shared(lane, &shared);
                let shared = self.intern(shared);
                let place = self.place(lane);
                self.lanes[place].slept.shared = shared;
            }
        }
    }

    // Small words.

    fn place(&self, lane: LaneIx) -> usize {
        self.config.cells.place(lane)
    }

    fn locate(&self, lane: LaneIx) -> (DeviceIx, u8) {
        let (device, channel) = self.config.roster.locate(lane).unwrap_or((DeviceIx(0), 0));
        (device, u8::try_from(channel).unwrap_or(u8::MAX))
    }

    fn device_mut(&mut self, lane: LaneIx, device: DeviceIx) -> &mut Device {
        let place = self.config.cells.device_place(self.config.cells.cell_of(lane), device);
        &mut self.devices[place]
    }

    fn live_of(&self, lane: LaneIx) -> Option<&Live<M>> {
        match self.lanes.get(self.place(lane))?.mode {
            Mode::Live(at) => self.live.get(at as usize),
            _ => None,
        }
    }

    fn set_timer(&mut self, lane: LaneIx, at: Mono) {
        let place = self.place(lane);
        let l = &mut self.lanes[place];
        l.timer = l.timer.wrapping_add(1);
        self.wheel.set(at, lane.0, l.timer);
    }

    /// The phase that what happens now belongs to, if nothing else says it: the one that began last.
    fn phase_now(&self) -> PhaseIx {
        self.running.last().map_or(PhaseIx(0), |running| running.phase)
    }

    /// The phase that a push belongs to: of those that ask for pushes for this lane the one that began last.
    fn phase_of_push(&self, lane: LaneIx) -> PhaseIx {
        let phases = &self.config.plan.phases;
        let is_for = |phase: PhaseIx| {
            phases.get(phase.ix()).and_then(Phase::schedule).is_some_and(|schedule| schedule.who.contains(lane))
        };
        let asking = self.running.iter().rfind(|running| running.pushes && is_for(running.phase));
        asking.map_or_else(|| self.phase_now(), |running| running.phase)
    }

    fn say(&mut self, clocks: Clocks, phase: PhaseIx, lane: LaneIx, what: Said) {
        self.facts.push(Fact { at: clocks.now, phase, lane, what });
    }

    fn ctx<'a>(&'a self, lane: LaneIx, clocks: Clocks, cause: Mono, out: &'a mut Out) -> Ctx<'a> {
        let (device, channel) = self.locate(lane);
        let slot = &self.devices[self.config.cells.device_place(self.config.cells.cell_of(lane), device)];
        Ctx {
            clocks,
            dice: self.dice,
            limits: &self.config.limits,
            lane,
            device,
            channel,
            character: &self.config.characters[usize::from(slot.character)],
            identity: slot.identity.as_ref(),
            cause,
            tokens: &self.config.tokens,
            out,
        }
    }

    /// A lane as the store would keep it now. A live one goes on as it is.
    fn snapshot(&self, lane: LaneIx) -> Snapshot {
        let slept = match self.live_of(lane) {
            Some(live) => live.machine.snapshot(),
            None => self.lanes[self.place(lane)].slept.clone(),
        };
        let (_, channel) = self.locate(lane);
        Snapshot {
            lane,
            record: M::record_to_bytes(&slept.record),
            shared: M::shared_to_bytes(&slept.shared).into(),
            own: slept.own,
            identity: if channel == 0 { self.identity(lane).cloned() } else { None },
            ended: self.lanes[self.place(lane)].mode == Mode::Ended,
        }
    }

    /// One value for all lanes that have the same.
    fn intern(&mut self, shared: Arc<M::Shared>) -> Arc<M::Shared> {
        if let Some(known) = self.shared.get(&shared) {
            return Arc::clone(known);
        }
        // What no lane has any more is let go of whenever the set has doubled.
        if self.shared.len() >= self.shared_swept_at {
            self.shared.retain(|known| Arc::strong_count(known) > 1);
            self.pool.sweep();
            self.shared_swept_at = (self.shared.len() * 2).max(1_024);
        }
        let shared = M::pooled(&shared, &mut self.pool);
        self.shared.insert(Arc::clone(&shared));
        shared
    }
}
