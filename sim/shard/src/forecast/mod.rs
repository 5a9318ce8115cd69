//! Virtual time: a runner for a shard that has no network and no clock. It jumps from deadline to deadline, asks somebody
//! who is handed in what the world answers, and takes from a [`Model`] how long that takes.
//!
//! One thread, no hash-map order, every draw by name: the same shard, the same [`World`] and the same model give the same
//! facts in the same order. Connections, lengths and failures are counted as a real run counts them; nothing is signed or
//! encrypted, its length is reckoned.

mod link;
mod model;
mod talk;

pub use model::{Desk, Model, Network, Served, Server, Service};

use crate::{Answer, Effect, Exchange, Input, Shard, Snapshot, Ticket};
use bytes::Bytes;
use droves_device::{Clocks, Failure, Link, Machine, Made, Reached, Request, Work};
use droves_facts::{Blame, Dice, Dur, Fact, LaneIx, Mono, PhaseIx, PushFate, Wall, What};
use link::Links;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
pub use talk::SIGNATURE_BYTES;
use talk::{Flight, Talk, Talks};

/// Whoever answers: what a server says, what strikes a connection, a key store, a disk.
pub trait World {
    /// What the server says to a request that it has worked on, and for how long it holds that back beside.
    fn answer(&mut self, clocks: Clocks, lane: LaneIx, request: &Request) -> (Dur, Result<Answer, Failure>);
    /// What comes of a piece of work, and after how long.
    fn make(&mut self, clocks: Clocks, lane: LaneIx, work: Work) -> (Dur, Result<Made, Failure>);
    /// What strikes the connection that this lane opens now.
    fn line(&mut self, clocks: Clocks, lane: LaneIx) -> Line {
        let (_, _) = (clocks, lane);
        Line::default()
    }
    /// The push service is told that a lane's token is of this generation from now on. Whether it takes that.
    fn registers(&mut self, clocks: Clocks, lane: LaneIx, generation: u32, topic: &str) -> bool {
        let (_, _, _, _) = (clocks, lane, generation, topic);
        true
    }
    /// What Google, as it is played, answers to a device: status and body.
    fn google(&mut self, clocks: Clocks, lane: LaneIx, ask: &Bytes) -> (u16, Bytes) {
        let (_, _, _) = (clocks, lane, ask);
        (503, Bytes::new())
    }
    /// What the peer of a link that is not HTTP answers to what it is opened with.
    fn link(&mut self, clocks: Clocks, lane: LaneIx, link: &Link) -> Result<Bytes, Failure> {
        let (_, _) = (clocks, lane);
        let text = format!("{}: nobody is there", link.url).into();
        Err(Failure { blame: Blame::Network, kind: "connect_refused", reached: Reached::Nothing, text })
    }
    /// What it answers to what is sent over it.
    fn sent(&mut self, clocks: Clocks, lane: LaneIx, bytes: &Bytes) -> Vec<Bytes> {
        let (_, _, _) = (clocks, lane, bytes);
        Vec::new()
    }
    /// A lane's link is closed.
    fn unlink(&mut self, lane: LaneIx) {
        let _ = lane;
    }
    /// When something happens on the other side by itself, if nothing else does.
    fn next(&self) -> Option<Mono> {
        None
    }
    /// Time has passed there: what comes of it.
    fn tick(&mut self, clocks: Clocks) -> Vec<Happened> {
        let _ = clocks;
        Vec::new()
    }
    /// What is stored, and how long that takes.
    fn save(&mut self, clocks: Clocks, snapshot: Snapshot) -> Dur {
        let (_, _) = (clocks, snapshot);
        Dur::ZERO
    }
}

/// What the other side has done by itself.
#[derive(Debug)]
pub enum Happened {
    /// It has pushed a lane.
    Push(Notification),
    /// It says something over a lane's link.
    Frame(LaneIx, Bytes),
    /// A lane's link is lost.
    Lost(LaneIx),
    /// It has something to state, which belongs to the phase that its lane is in.
    Fact(Fact),
}

/// A push that a server has sent, on its way to a lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// To whom.
    pub lane: LaneIx,
    /// What it carries; none: what the server was told last.
    pub magic: Option<String>,
    /// How much later than others it comes.
    pub late: Dur,
    /// Whether the push service answers it with 410: it never comes.
    pub is_refused: bool,
    /// Whether it reaches a device that dozes.
    pub urgent: bool,
}

/// What goes wrong with one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// It is refused.
    pub refused: bool,
    /// It is reset once it stands.
    pub reset: bool,
    /// A round trip takes this much longer.
    pub latency: Dur,
    /// Bytes a second, in each direction.
    pub bytes_per_s: Option<u64>,
}

/// A shard in virtual time.
pub struct Forecast<M: Machine, W> {
    /// The shard.
    pub shard: Shard<M>,
    /// Whoever answers.
    pub world: W,
    /// What was said, until somebody takes it.
    pub facts: Vec<Fact>,
    /// The server's queue.
    pub desk: Desk,
    network: Network,
    dice: Dice,
    connects: u64,
    now: Mono,
    coming: BinaryHeap<Reverse<(Mono, u64, usize)>>,
    parcels: Slab<Parcel>,
    number: u64,
    effects: Vec<Effect>,
    talks: Talks,
    links: Links,
}

/// What is under way.
#[derive(Debug)]
enum Parcel {
    /// A connection stands, and its first request leaves.
    Stands(Flight),
    /// A request reaches the server.
    Arrives(Flight),
    /// An answer, or that none comes.
    Ends { lane: LaneIx, ticket: Ticket, exchange: Exchange, result: Result<Answer, Failure> },
    /// Work with a key is done.
    Made { lane: LaneIx, ticket: Ticket, made: Result<Made, Failure> },
    /// The store has it.
    Saved { lane: LaneIx, ticket: Ticket },
    /// A push reaches its device.
    Push { lane: LaneIx, magic: Option<String>, urgent: bool },
    /// A link stands; connecting took so long of it.
    Linked { lane: LaneIx, ticket: Ticket, began: Mono, connect: Dur, frame: Bytes },
    /// A link does not.
    NotLinked { lane: LaneIx, ticket: Ticket, failure: Failure },
    /// Something comes over the link that was opened by this; nothing: it is lost.
    Frame { lane: LaneIx, link: Ticket, frame: Option<Bytes> },
}

impl<M: Machine, W: World> Forecast<M, W> {
    /// Starts at [`Wall::VIRTUAL_START`]. The dice are the run's.
    pub fn new(shard: Shard<M>, world: W, model: Model, dice: Dice) -> Self {
        Forecast {
            shard,
            world,
            facts: Vec::new(),
            desk: Desk::new(model.server, dice),
            network: model.network,
            dice,
            connects: 0,
            now: Mono::ZERO,
            coming: BinaryHeap::new(),
            parcels: Slab::new(),
            number: 0,
            effects: Vec::new(),
            talks: Talks::default(),
            links: Links::new(),
        }
    }

    /// What both clocks show.
    pub fn clocks(&self) -> Clocks {
        Clocks { now: self.now, wall: Wall::VIRTUAL_START + Dur(self.now.0) }
    }

    /// Begins a phase of the plan now.
    pub fn begin(&mut self, phase: PhaseIx) {
        self.input(Input::PhaseBegins(phase));
    }

    /// Ends a phase of the plan now.
    pub fn end(&mut self, phase: PhaseIx) {
        self.input(Input::PhaseEnds(phase));
    }

    /// Hands the shard something that happens now.
    pub fn input(&mut self, input: Input<'_>) {
        let clocks = self.clocks();
        self.shard.step(clocks, input);
        self.shard.tick(clocks);
        self.carry_out();
    }

    /// The server pushes a lane now: the device has it when the push service has brought it.
    pub fn push(&mut self, notification: Notification) {
        let Notification { lane, magic, late, is_refused, urgent } = notification;
        if is_refused {
            return self.shard.state(self.clocks(), lane, What::Push(PushFate::Unregistered));
        }
        self.comes(self.network.push + late, Parcel::Push { lane, magic, urgent });
    }

    /// The other side is like this from now on.
    pub fn becomes(&mut self, model: Model) {
        self.desk.becomes(model.server);
        self.network = model.network;
    }

    /// Connections that stand.
    pub fn connections(&self) -> u64 {
        let links = self.links.values().filter(|held| held.stands()).count() as u64;
        self.talks.values().map(Talk::connections).sum::<u64>() + links
    }

    /// The generator is gone with everything that it had in memory, and another shard stands in its place after `down`.
    /// What was on its way to the server still gets there, and nobody hears the answer; pushes reach the new shard.
    pub fn restart(&mut self, shard: Shard<M>, down: Dur) {
        self.talks.clear();
        for lane in std::mem::take(&mut self.links).into_keys() {
            self.world.unlink(lane);
        }
        let clocks = self.clocks();
        for Reverse((at, number, place)) in std::mem::take(&mut self.coming).into_sorted_vec().into_iter().rev() {
            match self.parcels.remove(place) {
                Parcel::Arrives(flight) => self.arrives(clocks, flight),
                push @ Parcel::Push { .. } => {
                    let place = self.parcels.insert(push);
                    self.coming.push(Reverse((at, number, place)));
                }
                _ => {}
            }
        }
        self.effects.clear();
        self.shard = shard;
        self.now += down;
    }

    /// When something happens next, if nothing else does. May be earlier, and then nothing happens.
    pub fn next(&self) -> Option<Mono> {
        let parcel = self.coming.peek().map(|Reverse((at, ..))| *at);
        [parcel, self.shard.next(), self.world.next()].into_iter().flatten().min()
    }

    /// Runs until `end`, at most `steps_max` deadlines. Gives whether it got there.
    pub fn run_until(&mut self, end: Mono, steps_max: u64) -> bool {
        for _ in 0..steps_max {
            let Some(next) = self.next().filter(|&next| next <= end) else {
                self.now = self.now.max(end);
                return true;
            };
            self.now = self.now.max(next);
            let clocks = self.clocks();
            while let Some(&Reverse((at, _, place))) = self.coming.peek() {
                if at > self.now {
                    break;
                }
                self.coming.pop();
                let parcel = self.parcels.remove(place);
                self.deliver(clocks, parcel);
            }
            if self.world.next().is_some_and(|at| at <= self.now) {
                self.world_moves(clocks);
            }
            self.shard.tick(clocks);
            self.carry_out();
        }
        false
    }

    fn world_moves(&mut self, clocks: Clocks) {
        for happened in self.world.tick(clocks) {
            match happened {
                Happened::Push(notification) => self.push(notification),
                Happened::Frame(lane, frame) => self.frame(lane, frame),
                Happened::Lost(lane) => self.lose_link(lane),
                Happened::Fact(fact) => self.facts.push(Fact { phase: self.shard.phase_of(fact.lane), ..fact }),
            }
        }
    }

    fn comes(&mut self, after: Dur, parcel: Parcel) {
        self.number += 1;
        let place = self.parcels.insert(parcel);
        self.coming.push(Reverse((self.now + after, self.number, place)));
    }

    fn deliver(&mut self, clocks: Clocks, parcel: Parcel) {
        match parcel {
            Parcel::Stands(flight) => self.stands(clocks, flight),
            Parcel::Arrives(flight) => self.arrives(clocks, flight),
            Parcel::Ends { lane, ticket, exchange, result } => self.ends(clocks, lane, ticket, exchange, result),
            Parcel::Made { lane, ticket, made } => self.shard.step(clocks, Input::Made { lane, ticket, made }),
            Parcel::Saved { lane, ticket } => self.shard.step(clocks, Input::Saved { lane, ticket }),
            Parcel::Linked { lane, ticket, began, connect, frame } => {
                let (sent, now) = (began + connect, clocks.now);
                let bytes_in = u32::try_from(frame.len()).unwrap_or(u32::MAX);
                let exchange =
                    Exchange { started: began, sent, first_byte: Some(now), ended: now, bytes_out: 0, bytes_in };
                self.linked(clocks, lane, ticket, exchange, frame);
            }
            Parcel::NotLinked { lane, ticket, failure } => self.not_linked(clocks, lane, ticket, failure),
            Parcel::Frame { lane, link, frame } => self.framed(clocks, lane, link, frame),
            Parcel::Push { lane, magic, urgent } => {
                // A server that knows the lane pushes it with the magic of its last TokenUpdate.
                if let Some(magic) = magic.or_else(|| self.shard.magic(clocks, lane)) {
                    self.shard.state(clocks, lane, What::Push(PushFate::Received));
                    self.shard
                        .step(clocks, Input::Push { lane, magic: &magic, keep_until: None, pushed: self.now, urgent });
                }
            }
        }
    }

    fn carry_out(&mut self) {
        let clocks = self.clocks();
        let mut effects = std::mem::take(&mut self.effects);
        loop {
            self.shard.drain(&mut effects, &mut self.facts);
            if effects.is_empty() {
                break;
            }
            for effect in effects.drain(..) {
                self.effect(clocks, effect);
            }
        }
        self.effects = effects;
    }

    fn effect(&mut self, clocks: Clocks, effect: Effect) {
        match effect {
            Effect::Request { lane, ticket, request } => self.request(clocks, lane, ticket, request),
            Effect::Open { lane, ticket, link } => self.open_link(clocks, lane, ticket, *link),
            Effect::Send { lane, bytes } => self.send(clocks, lane, &bytes),
            Effect::Next { lane } => self.wants(clocks, lane),
            Effect::Cancel { lane, ticket, kind } => {
                if !self.cancel_link(lane, ticket, kind) {
                    self.cancel(clocks, lane, ticket, kind);
                }
            }
            Effect::Make { lane, ticket, work } => {
                let (after, made) = self.world.make(clocks, lane, *work);
                self.comes(after, Parcel::Made { lane, ticket, made });
            }
            Effect::Save { ticket, snapshot } => {
                let lane = snapshot.lane;
                let after = self.world.save(clocks, *snapshot);
                if let Some(ticket) = ticket {
                    self.comes(after, Parcel::Saved { lane, ticket });
                }
            }
            Effect::Close { lane } => {
                self.close(clocks, lane);
                self.close_link(clocks, lane);
            }
        }
    }
}
