//! Who plays the shards of a run: threads of this process, or worker processes.

use crate::crew::{Crew, Hiring};
use crate::enrollment::Found;
use crate::health;
use crate::inbox::{Shards, ToShard};
use crate::link::{Counters, Start};
use crate::run::{RunError, Setup};
use crate::tape::{Header, Recorder};
use crate::troupe::{Stuff, Troupe};
use droves_facts::Dur;
use droves_fleet::Fleet;
use droves_net::clock::Clock;
use droves_net::pipe;
use std::collections::BTreeSet;
use tokio::sync::mpsc::UnboundedReceiver;

/// Who plays the shards.
pub(crate) enum Players {
    Threads(Troupe),
    Processes(Crew),
}

/// What is left to say of them.
#[derive(Default)]
pub(crate) struct Ended {
    /// Processes that are lost, in sentences.
    pub(crate) lost: Vec<String>,
    /// What was lost of the fleet, in sentences.
    pub(crate) dropped: Vec<String>,
    /// For how long messages to processes were held up by full pipes, if there are processes.
    pub(crate) held_up: Option<Dur>,
}

/// What both kinds need of the run.
pub(crate) struct House<'a> {
    pub(crate) setup: &'a Setup,
    /// The target.
    pub(crate) url: &'a str,
    /// The practice server's authority, PEM.
    pub(crate) practice_ca: Option<&'a str>,
    /// What was found of the run's own services.
    pub(crate) found: Found,
    /// From which push tokens come.
    pub(crate) secret: [u8; 32],
    /// Among how many the shards are dealt out.
    pub(crate) processes: usize,
    pub(crate) shards: &'a Shards,
}

impl Players {
    /// Starts them. The fleet is whole, and each process opens its own cells.
    pub(crate) fn start(
        house: &House<'_>,
        stuff: Stuff,
        counters: &Counters,
        fleet: Option<Fleet>,
        inboxes: Vec<UnboundedReceiver<ToShard>>,
    ) -> Result<Self, RunError> {
        let House { setup, shards, .. } = house;
        let Some(workers) = &setup.processes else {
            let fleet = fleet.map(|fleet| (fleet, setup.fleet_stays));
            let recorder = setup
                .tape
                .as_deref()
                .map(|tape| Recorder::start(tape, &Header::of(&stuff, house.secret, (0..shards.count()).collect())));
            let inboxes = inboxes.into_iter().enumerate().collect();
            let troupe = Troupe::start(&stuff, &setup.keys, fleet, recorder.transpose()?, shards, inboxes)?;
            return Ok(Players::Threads(troupe));
        };
        drop(fleet);
        let start = Start {
            version: pipe::VERSION.to_owned(),
            plan_hash: stuff.plan.hash.clone(),
            process: 0,
            processes: house.processes,
            shards: shards.count() / house.processes,
            url: house.url.to_owned(),
            practice_ca: house.practice_ca.map(str::to_owned),
            found: house.found.clone(),
            secret: house.secret,
            fleet: setup.fleet.clone(),
            fleet_stays: setup.fleet_stays,
            tape: setup.tape.clone(),
            keys: setup.keys.clone(),
            now: (stuff.clock.now(), health::wall()),
            is_restart: stuff.is_restart,
        };
        let arguments = workers.arguments.as_slice();
        let hiring = Hiring { arguments, start, shards, counters, reporter: &stuff.reporter, clock: stuff.clock };
        Ok(Players::Processes(Crew::start(hiring, inboxes)?))
    }

    /// A process is gone.
    pub(crate) fn lose(&mut self, process: usize) {
        if let Players::Processes(crew) = self {
            crew.lose(process);
        }
    }

    /// Whether a process is gone.
    pub(crate) fn is_short(&self) -> bool {
        matches!(self, Players::Processes(crew) if !crew.lost().is_empty())
    }

    /// Whether a shard is gone.
    pub(crate) fn is_lost(&self, shard: usize) -> bool {
        matches!(self, Players::Processes(crew) if crew.is_lost(shard))
    }

    /// Whether all shards of a process have made their last report.
    pub(crate) fn is_done(&self, process: usize, over: &BTreeSet<usize>) -> bool {
        let Players::Processes(crew) = self else { return true };
        over.iter().filter(|&&shard| crew.process_of(shard) == process).count() == crew.shards_each()
    }

    pub(crate) fn all_work(&self) -> Result<(), RunError> {
        match self {
            Players::Threads(troupe) => troupe.over().map_or(Ok(()), |ix| Err(RunError::Worker(ix))),
            Players::Processes(_) => Ok(()),
        }
    }

    /// Waits for the end of all that have made their last report.
    pub(crate) fn end(self, over: &BTreeSet<usize>) -> Result<Ended, RunError> {
        match self {
            Players::Threads(mut troupe) => {
                let dropped = std::mem::take(&mut troupe.dropped);
                troupe.join()?;
                Ok(Ended { dropped, ..Ended::default() })
            }
            Players::Processes(crew) => {
                let held_up = Some(crew.held_up());
                let sentence = |number: usize| format!("worker process {number} ended before its time");
                let lost = crew.join(over).into_iter().map(sentence).collect();
                Ok(Ended { lost, dropped: Vec::new(), held_up })
            }
        }
    }
}
