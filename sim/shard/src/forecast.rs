//! Virtual time: a runner for a shard that has no network and no clock. It jumps from deadline to deadline, and asks
//! somebody who is handed in what the world answers.
//!
//! One thread, no hash-map order, no draw of its own: the same shard and the same [`World`] give the same facts in
//! the same order.

use crate::{Answer, Effect, Exchange, Input, Shard, Snapshot, Ticket};
use droves_device::{Clocks, Failure, Machine, Made, Request, Work};
use droves_facts::{Dur, Fact, LaneIx, Mono, PhaseIx, PushFate, Wall, What};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;

/// Whoever answers: a server, a network, a key store, a disk.
pub trait World {
    /// What becomes of a request, and after how long.
    fn answer(&mut self, clocks: Clocks, lane: LaneIx, request: &Request) -> (Dur, Result<Answer, Failure>);
    /// What comes of a piece of work, and after how long.
    fn make(&mut self, clocks: Clocks, lane: LaneIx, work: Work) -> (Dur, Result<Made, Failure>);
    /// What is stored, and how long that takes.
    fn save(&mut self, snapshot: Snapshot) -> Dur {
        let _ = snapshot;
        Dur::ZERO
    }
    /// Pushes that the world has for lanes by now: lane, magic. Asked after every step.
    fn pushes(&mut self, clocks: Clocks) -> Vec<(LaneIx, String)> {
        let _ = clocks;
        Vec::new()
    }
}

/// A shard in virtual time.
pub struct Forecast<M: Machine, W> {
    /// The shard.
    pub shard: Shard<M>,
    /// Whoever answers.
    pub world: W,
    /// Everything that was said.
    pub facts: Vec<Fact>,
    now: Mono,
    coming: BinaryHeap<Reverse<(Mono, u64)>>,
    parcels: BTreeMap<u64, Parcel>,
    number: u64,
}

/// What is under way to the shard.
enum Parcel {
    Response { lane: LaneIx, ticket: Ticket, exchange: Exchange, result: Result<Answer, Failure> },
    Made { lane: LaneIx, ticket: Ticket, made: Result<Made, Failure> },
    Saved { lane: LaneIx, ticket: Ticket },
}

impl<M: Machine, W: World> Forecast<M, W> {
    /// Starts at [`Wall::VIRTUAL_START`].
    pub fn new(shard: Shard<M>, world: W) -> Self {
        Forecast {
            shard,
            world,
            facts: Vec::new(),
            now: Mono::ZERO,
            coming: BinaryHeap::new(),
            parcels: BTreeMap::new(),
            number: 0,
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

    /// Runs until `end`, at most `steps_max` deadlines. Gives whether it got there.
    pub fn run_until(&mut self, end: Mono, steps_max: u64) -> bool {
        for _ in 0..steps_max {
            let parcel = self.coming.peek().map(|Reverse((at, _))| *at);
            let Some(next) = [parcel, self.shard.next()].into_iter().flatten().min().filter(|&next| next <= end) else {
                self.now = end;
                return true;
            };
            self.now = self.now.max(next);
            let clocks = self.clocks();
            while let Some(&Reverse((at, number))) = self.coming.peek() {
                if at > self.now {
                    break;
                }
                self.coming.pop();
                if let Some(parcel) = self.parcels.remove(&number) {
                    self.deliver(clocks, parcel);
                }
            }
            self.shard.tick(clocks);
            self.carry_out();
        }
        false
    }

    fn deliver(&mut self, clocks: Clocks, parcel: Parcel) {
        let input = match parcel {
            Parcel::Response { lane, ticket, exchange, result: Ok(answer) } => {
                Input::Answered { lane, ticket, exchange, answer }
            }
            Parcel::Response { lane, ticket, exchange, result: Err(failure) } => {
                Input::Failed { lane, ticket, exchange, failure }
            }
            Parcel::Made { lane, ticket, made } => Input::Made { lane, ticket, made },
            Parcel::Saved { lane, ticket } => Input::Saved { lane, ticket },
        };
        self.shard.step(clocks, input);
    }

    fn carry_out(&mut self) {
        let clocks = self.clocks();
        let mut effects = Vec::new();
        self.shard.drain(&mut effects, &mut self.facts);
        for effect in effects {
            let (after, parcel) = match effect {
                Effect::Request { lane, ticket, request } => {
                    let (after, result) = self.world.answer(clocks, lane, &request);
                    let exchange = Exchange {
                        started: self.now,
                        sent: self.now,
                        first_byte: result.is_ok().then_some(self.now + after),
                        ended: self.now + after,
                        bytes_out: 0,
                        bytes_in: 0,
                    };
                    (after, Parcel::Response { lane, ticket, exchange, result })
                }
                Effect::Cancel { lane, ticket, kind } => {
                    let exchange = Exchange {
                        started: self.now,
                        sent: self.now,
                        first_byte: None,
                        ended: self.now,
                        bytes_out: 0,
                        bytes_in: 0,
                    };
                    let failure = Failure {
                        blame: droves_facts::Blame::Server,
                        kind,
                        reached: droves_device::Reached::Sent,
                        text: "no answer in time".into(),
                    };
                    (Dur::ZERO, Parcel::Response { lane, ticket, exchange, result: Err(failure) })
                }
                Effect::Make { lane, ticket, work } => {
                    let (after, made) = self.world.make(clocks, lane, *work);
                    (after, Parcel::Made { lane, ticket, made })
                }
                Effect::Save { ticket, snapshot } => {
                    let lane = snapshot.lane;
                    let after = self.world.save(*snapshot);
                    let Some(ticket) = ticket else { continue };
                    (after, Parcel::Saved { lane, ticket })
                }
                Effect::Close { .. } => continue,
            };
            self.number += 1;
            self.coming.push(Reverse((self.now + after, self.number)));
            self.parcels.insert(self.number, parcel);
        }
        for (lane, magic) in self.world.pushes(clocks) {
            self.shard.state(clocks, lane, What::Push(PushFate::Received));
            self.shard.step(clocks, Input::Push { lane, magic: &magic, keep_until: None, pushed: self.now });
        }
    }
}
