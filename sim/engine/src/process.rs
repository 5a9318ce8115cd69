//! A worker process from the inside: shards as in any run, but for who leads them.

use crate::cast::Cast;
use crate::enrollment::Ways;
use crate::health::{self, Health};
use crate::inbox::{Shards, ToShard, queue};
use crate::link::{Desk, News, Start, Told};
use crate::run::RunError;
use crate::stage;
use crate::tape::{self, Header, Recorder};
use crate::troupe::{Stuff, Troupe};
use droves_emulators::push::Sink;
use droves_facts::{Dur, Limits, Mono};
use droves_fleet::Fleet;
use droves_net::clock::{Clock, RunClock};
use droves_net::files::OpenFiles;
use droves_net::pipe::{self, PipeError};
use droves_scenario::plan::Plan;
use droves_shard::Cells;
use droves_wire::apple::push::Tokens;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How often shards whose threads are gone are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How often the run is told what this process costs.
const HEALTH_EVERY: Dur = Dur::secs(1);

/// Plays the shards that the run at the other end of the pipes has for this process, until it says stop or is gone.
pub fn work(
    plan: Arc<Plan>,
    limits: Limits,
    mut from: impl Read + Send + 'static,
    to: &mut impl Write,
) -> Result<(), PipeError> {
    let Some(start) = pipe::read::<Start>(&mut from)? else { return Ok(()) };
    if start.version != pipe::VERSION || start.plan_hash != plan.hash {
        let why = "the program, or a file of the scenario, was changed while the run began";
        return pipe::write(to, &News::Refused(why.to_owned()));
    }
    let (reporter, mut news) = queue();
    let mine = start.process * start.shards..(start.process + 1) * start.shards;
    let clock = clock(start.now);
    let (troupe, shards) = match begin(&start, &plan, limits, clock, &mine, reporter) {
        Ok(begun) => begun,
        Err(error) => return pipe::write(to, &News::Refused(error.to_string())),
    };
    let (ways, number) = (shards, start.process);
    thread::Builder::new().name("orders".to_owned()).spawn(move || {
        while let Ok(Some((shard, told))) = pipe::read::<(usize, Told)>(&mut from) {
            take(&ways, shard, told);
        }
        // The run is gone, and nobody is left to say stop.
        ways.all(|| ToShard::Stop);
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (mut dropped, mut over, mut health_at) = (troupe.dropped.clone(), BTreeSet::new(), Mono::ZERO);
    while over.len() < mine.len() {
        match runtime.block_on(async { tokio::time::timeout(LOOK, news.recv()).await }) {
            Ok(Some(News::Report(mut report))) => {
                report.dropped.append(&mut dropped);
                if report.is_last {
                    over.insert(report.shard);
                }
                pipe::write(to, &News::Report(report))?;
            }
            Ok(Some(news)) => pipe::write(to, &news)?,
            Ok(None) => break,
            Err(_) if troupe.over().is_some_and(|ix| !over.contains(&(mine.start + ix))) => break,
            Err(_) => {}
        }
        if clock.now() >= health_at {
            health_at = clock.now() + HEALTH_EVERY;
            pipe::write(to, &News::Health(number, Health::look()))?;
        }
    }
    // That a shard's thread panicked has been printed, and that its last report is missing will be seen.
    if troupe.join().is_ok() {
        pipe::write(to, &News::Health(number, Health::look()))?;
    }
    Ok(())
}

/// The run's clock: both ends read the machine's, which is one.
fn clock((now, wall): (Mono, droves_facts::Wall)) -> RunClock {
    let since = u64::try_from(health::wall().0.saturating_sub(wall.0)).unwrap_or(0);
    RunClock::standing_at(now + Dur(since))
}

fn begin(
    start: &Start,
    plan: &Arc<Plan>,
    limits: Limits,
    clock: RunClock,
    mine: &Range<usize>,
    reporter: UnboundedSender<News>,
) -> Result<(Troupe, Shards), RunError> {
    if let Err(error) = OpenFiles::raise() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let roster = Arc::new(plan.roster());
    let cells = Arc::new(Cells::new(&roster, start.processes * start.shards));
    let (shards, inboxes) = Shards::new(Arc::clone(&cells));
    let owns = |cell: usize| mine.clone().any(|shard| cells.of_shard(shard).any(|(of, _, _)| of == cell));
    let fleet = start.fleet.as_deref();
    let fleet = fleet.map(|folder| Fleet::open_cells(folder, stage::whose(plan, &roster), owns)).transpose()?;
    let ways = Ways::of(&plan.target, &start.url, &start.found)?;
    let stuff = Stuff {
        cast: Cast::of(plan, &roster, &ways),
        plan: Arc::clone(plan),
        roster,
        limits: Arc::new(limits),
        tokens: Arc::new(Tokens::new(start.secret)),
        clock,
        roots: stage::roots(plan, start.practice_ca.as_deref())?,
        desk: Desk::Away(reporter.clone()),
        reporter,
        is_restart: start.is_restart,
    };
    let inboxes = inboxes.into_iter().enumerate().filter(|(ix, _)| mine.contains(ix)).collect();
    let fleet = fleet.map(|fleet| (fleet, start.fleet_stays));
    let recorder = start.tape.as_deref().map(|tape| {
        Recorder::start(&tape::part(tape, start.process), &Header::of(&stuff, start.secret, mine.clone().collect()))
    });
    Ok((Troupe::start(&stuff, &start.keys, fleet, recorder.transpose()?, &shards, inboxes)?, shards))
}

/// Passes on what the run has for a shard. A push sets its lane's bit here, where the lane is.
fn take(shards: &Shards, shard: usize, told: Told) {
    let what = match told {
        Told::Pushes(pushes) => {
            for push in pushes {
                shards.wake(push);
            }
            return;
        }
        Told::Fact(fact) => ToShard::Fact(fact),
        Told::Said(fact) => ToShard::Said(fact),
        Told::Command(phase, command) => ToShard::Command(phase, command),
        Told::Registered { lane, ticket, taken } => ToShard::Registered { lane, ticket, taken },
        Told::Asked { lane, ticket, status, body } => ToShard::Asked { lane, ticket, status, body: body.into() },
        Told::PhaseBegins(phase) => ToShard::PhaseBegins(phase),
        Told::PhaseEnds(phase) => ToShard::PhaseEnds(phase),
        Told::Stop => ToShard::Stop,
    };
    if let Some(way) = shards.ways.get(shard) {
        // A shard that is gone has made its last report.
        drop(way.send(what));
    }
}
