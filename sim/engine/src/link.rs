//! What a run and its worker processes say to each other, and how a lane's news reach the push service from either.

use crate::enrollment::Found;
use crate::health::Health;
use crate::inbox::{Report, ToShard};
use bytes::Bytes;
use droves_emulators::google;
use droves_emulators::push::{Push, Registry};
use droves_facts::{CommandKey, Fact, LaneIx, Mono, PhaseIx, Wall};
use droves_shard::Ticket;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// What a worker process is told first.
#[derive(Serialize, Deserialize)]
pub(crate) struct Start {
    /// [`droves_net::pipe::VERSION`] of the run's program.
    pub(crate) version: String,
    /// SHA-256 of the run's plan: the process reads the same files, and they may have been changed meanwhile.
    pub(crate) plan_hash: String,
    /// Its number.
    pub(crate) process: usize,
    /// How many there are.
    pub(crate) processes: usize,
    /// Shards of each.
    pub(crate) shards: usize,
    /// The target.
    pub(crate) url: String,
    /// The practice server's authority, PEM.
    pub(crate) practice_ca: Option<String>,
    /// What was found of the run's own services.
    pub(crate) found: Found,
    /// From which the fleet's push tokens come.
    pub(crate) secret: [u8; 32],
    /// Where the fleet is kept.
    pub(crate) fleet: Option<PathBuf>,
    /// Whether it stays as it is.
    pub(crate) fleet_stays: bool,
    /// Where it writes its tape.
    pub(crate) tape: Option<PathBuf>,
    /// Where keys are kept.
    pub(crate) keys: PathBuf,
    /// The run's clock, when this was written, and what the machine's clock said then.
    pub(crate) now: (Mono, Wall),
    /// Whether the fleet was enrolled in an earlier run.
    pub(crate) is_restart: bool,
}

/// What a worker process is told of one of its shards thereafter. When the pipe is closed, it ends.
#[derive(Serialize, Deserialize)]
pub(crate) enum Told {
    Pushes(Vec<Push>),
    Fact(Fact),
    Said(Fact),
    Command(PhaseIx, CommandKey),
    Registered { lane: LaneIx, ticket: Ticket, taken: bool },
    Asked { lane: LaneIx, ticket: Ticket, status: u16, body: Vec<u8> },
    PhaseBegins(PhaseIx),
    PhaseEnds(PhaseIx),
    Stop,
}

impl Told {
    /// Of what the run has for a shard; none for what only a shard's own process has for it.
    pub(crate) fn of(what: ToShard, pushes: impl FnOnce() -> Vec<Push>) -> Option<Told> {
        Some(match what {
            ToShard::Pushes => Told::Pushes(pushes()),
            ToShard::Fact(fact) => Told::Fact(fact),
            ToShard::Said(fact) => Told::Said(fact),
            ToShard::Command(phase, command) => Told::Command(phase, command),
            ToShard::Registered { lane, ticket, taken } => Told::Registered { lane, ticket, taken },
            ToShard::Asked { lane, ticket, status, body } => Told::Asked { lane, ticket, status, body: body.into() },
            ToShard::PhaseBegins(phase) => Told::PhaseBegins(phase),
            ToShard::PhaseEnds(phase) => Told::PhaseEnds(phase),
            ToShard::Stop => Told::Stop,
            ToShard::Made { .. } | ToShard::Saved { .. } => return None,
        })
    }
}

/// What shards, and the processes that they are in, tell the coordinator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum News {
    /// How a shard is.
    Report(Box<Report>),
    /// What a process costs.
    Health(usize, Health),
    /// A lane tells the push service of its token. With a ticket, it waits for the answer.
    Register { lane: LaneIx, ticket: Option<Ticket>, generation: u32, topic: Box<str>, wall: Wall },
    /// A lane asks Google something, and waits for the answer.
    Ask { lane: LaneIx, ticket: Ticket, ask: Vec<u8> },
    /// A lane's token is good no more.
    Withdraw(LaneIx, Wall),
    /// A process could not begin.
    Refused(String),
    /// A process is gone.
    Lost(usize),
}

/// Whoever is played in this process, as lanes meet them.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    /// Which lane holds which push token.
    pub(crate) registry: Arc<Registry>,
    /// Google, if there are devices that it manages.
    pub(crate) google: Option<Arc<google::Handle>>,
}

impl Counters {
    /// Whether the push service takes a token.
    pub(crate) fn register(&self, lane: LaneIx, generation: u32, topic: &str, wall: Wall) -> bool {
        let registry = &self.registry;
        registry.topic(topic).is_some_and(|topic| registry.register(lane, generation, topic, wall))
    }

    /// What Google answers to a lane: status and body.
    pub(crate) fn ask(&self, lane: LaneIx, ask: &[u8]) -> (u16, Bytes) {
        match &self.google {
            Some(google) => google.ask(lane, ask),
            None => (503, Bytes::new()),
        }
    }
}

/// A lane's way to whoever is played: the push service's register, and Google.
#[derive(Clone, Debug)]
pub(crate) enum Desk {
    /// In this process.
    Here(Counters),
    /// In the process that started this one.
    Away(UnboundedSender<News>),
}

impl Desk {
    /// Tells of a lane's token. Whether it is taken; `None` where the answer comes later, to whoever has a ticket.
    pub(crate) fn register(
        &self,
        lane: LaneIx,
        ticket: Option<Ticket>,
        generation: u32,
        topic: &str,
        wall: Wall,
    ) -> Option<bool> {
        match self {
            Desk::Here(counters) => Some(counters.register(lane, generation, topic, wall)),
            Desk::Away(way) => {
                let news = News::Register { lane, ticket, generation, topic: topic.into(), wall };
                // Without a way the run is over.
                drop(way.send(news));
                None
            }
        }
    }

    /// Asks Google: status and body; `None` where the answer comes later.
    pub(crate) fn ask(&self, lane: LaneIx, ticket: Ticket, ask: Bytes) -> Option<(u16, Bytes)> {
        match self {
            Desk::Here(counters) => Some(counters.ask(lane, &ask)),
            Desk::Away(way) => {
                // Without a way the run is over.
                drop(way.send(News::Ask { lane, ticket, ask: ask.into() }));
                None
            }
        }
    }

    /// The lane has left.
    pub(crate) fn withdraw(&self, lane: LaneIx, wall: Wall) {
        match self {
            Desk::Here(counters) => counters.registry.withdraw(lane, wall),
            Desk::Away(way) => drop(way.send(News::Withdraw(lane, wall))),
        }
    }
}
