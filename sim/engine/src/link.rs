//! What a run and its worker processes say to each other, and how a lane's news reach the push service from either.

use crate::health::Health;
use crate::inbox::{Report, ToShard};
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
    /// Host and port of WNS's channels.
    pub(crate) channels: String,
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
    Command(PhaseIx, CommandKey),
    Registered { lane: LaneIx, ticket: Ticket, taken: bool },
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
            ToShard::Command(phase, command) => Told::Command(phase, command),
            ToShard::Registered { lane, ticket, taken } => Told::Registered { lane, ticket, taken },
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
    /// A lane's token is good no more.
    Withdraw(LaneIx, Wall),
    /// A process could not begin.
    Refused(String),
    /// A process is gone.
    Lost(usize),
}

/// A lane's way to the push service's register.
#[derive(Clone, Debug)]
pub(crate) enum Desk {
    /// In this process.
    Here(Arc<Registry>),
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
            Desk::Here(registry) => Some(register(registry, lane, generation, topic, wall)),
            Desk::Away(way) => {
                let news = News::Register { lane, ticket, generation, topic: topic.into(), wall };
                // Without a way the run is over.
                drop(way.send(news));
                None
            }
        }
    }

    /// The lane has left.
    pub(crate) fn withdraw(&self, lane: LaneIx, wall: Wall) {
        match self {
            Desk::Here(registry) => registry.withdraw(lane, wall),
            Desk::Away(way) => drop(way.send(News::Withdraw(lane, wall))),
        }
    }
}

/// Whether the push service takes a token.
pub(crate) fn register(registry: &Registry, lane: LaneIx, generation: u32, topic: &str, wall: Wall) -> bool {
    registry.topic(topic).is_some_and(|topic| registry.register(lane, generation, topic, wall))
}
