//! A configuration played: once, and once more to see that it comes to the same.

use crate::config::Config;
use crate::demands::{self, agents::Messages};
use crate::plants::Plant;
use crate::profile;
use crate::side::{Broken, Practice, URL};
use droves_device::{Identity, KeyIx};
use droves_engine::forecast::{Cut, Foresee, ForeseeError, Play, minted};
use droves_facts::{Dur, Fact, LaneIx, Limits};
use droves_scenario::Given;
use droves_scenario::plan::Plan;
use droves_shard::Snapshot;
use droves_wire::digest;
use std::path::Path;
use std::sync::Arc;

/// Turns of the coordinator in one play; a day with something in every quarter of a second has fewer.
const TURNS_MAX: u64 = 400_000;
/// Devices that are locked or away when the plan is over come back by themselves.
const AFTERWARDS: Dur = Dur::secs(2 * 3_600);

/// What was said in a play, and what does not hold.
pub(crate) struct Played {
    pub(crate) facts: Vec<Fact>,
    pub(crate) broken: Vec<Broken>,
    pub(crate) crashes: usize,
    pub(crate) sessions: u64,
}

/// What a configuration came to.
pub(crate) struct Trial {
    pub(crate) played: Played,
    /// SHA-256 of the facts, hexadecimal.
    pub(crate) sha256: String,
}

/// Plays a configuration twice. The error is that it is none.
pub(crate) fn twice(config: &Config, plant: Option<Plant>) -> Result<Trial, String> {
    let mut played = play(config, plant)?;
    let again = play(config, plant)?;
    let (once, twice) = (lines(&played.facts), lines(&again.facts));
    if once != twice {
        let n = once.iter().zip(&twice).take_while(|(a, b)| a == b).count();
        let show = |lines: &[String]| lines.get(n).cloned().unwrap_or_else(|| "nothing".to_owned());
        let text = format!("fact {n} is\n  {}\nand the second time\n  {}", show(&once), show(&twice));
        let lanes = played.facts.get(n).map(|fact| fact.lane).into_iter().collect();
        played.broken.insert(0, Broken { demand: "the same twice", text, lanes });
    }
    Ok(Trial { sha256: hex::encode(digest::sha256(once.join("\n").as_bytes())), played })
}

fn lines(facts: &[Fact]) -> Vec<String> {
    facts.iter().map(|fact| serde_json::to_string(fact).unwrap_or_default()).collect()
}

/// Plays a configuration once.
pub(crate) fn play(config: &Config, plant: Option<Plant>) -> Result<Played, String> {
    let plan = Arc::new(compiled(config)?);
    let side = Practice::new(config, Arc::clone(&plan), plant)?;
    let what = Foresee { plan: Arc::clone(&plan), limits: Limits::default(), model: config.other.model() };
    let room = config.room.unwrap_or(usize::MAX);
    let mut play = Play::new(what, side, true, room).map_err(|error| error.to_string())?;
    if config.is_minted {
        begins_minted(&mut play, config, &plan).map_err(|error| error.to_string())?;
    }
    // Whoever begins anew in the middle may hear again what was heard before.
    let counts_messages = config.has_agents() && config.crashes.is_empty();
    let (mut messages, mut tape) = (Messages::default(), Vec::new());
    if counts_messages {
        play.running.shard.start_tape();
    }
    let (mut facts, mut cut, mut crashes, mut turns) = (Vec::new(), Cut::default(), 0, 0_u64);
    while !play.is_over() && turns < TURNS_MAX {
        turns += 1;
        play.turn(&mut |fact| facts.push(fact.clone()));
        play.running.shard.drain_tape(&mut tape);
        messages.count(&std::mem::take(&mut tape));
        if !std::mem::take(&mut play.running.world.pauses) {
            continue;
        }
        if play.running.world.is_healed {
            play.running.becomes(config.other.healed().model());
        } else if let Some(crash) = config.crashes.get(crashes) {
            let stored = play.running.world.crash(play.running.clocks().now, crash.kept);
            let more = play.restart(stored, Dur::secs(crash.down_s), &mut |fact| facts.push(fact.clone()));
            let more = more.map_err(|error| error.to_string())?;
            cut.requests += more.requests;
            cut.sessions += more.sessions;
            cut.connections += more.connections;
            crashes += 1;
            let world = &mut play.running.world;
            (world.pauses, world.done) = (false, 0);
            world.crash_at = config.crashes.get(crashes).map(|crash| crash.after);
        }
    }
    let until = play.running.clocks().now + AFTERWARDS;
    while (play.running.clocks().now < until || play.running.shard.live() > 0) && turns < TURNS_MAX {
        turns += 1;
        let now = play.running.clocks().now;
        let next = play.running.next().unwrap_or(until).max(now + Dur(1));
        play.go_to(next.min(until.max(now + Dur::secs(1))), &mut |fact| facts.push(fact.clone()));
        play.running.shard.drain_tape(&mut tape);
        messages.count(&std::mem::take(&mut tape));
    }
    let mut broken = demands::all(&mut play, &facts, config, cut, counts_messages.then_some(&messages));
    if turns >= TURNS_MAX {
        let text = format!("after {turns} turns it is {}", Dur(play.running.clocks().now.0));
        broken.insert(0, Broken { demand: "it comes to an end", text, lanes: Vec::new() });
    }
    Ok(Played { facts, broken, crashes, sessions: play.folds.counts.sessions_started })
}

/// Every lane is enrolled from the start, and the server is told.
fn begins_minted(play: &mut Play<Practice>, config: &Config, plan: &Plan) -> Result<(), ForeseeError> {
    let identity = |lane: LaneIx| {
        let certificate = format!("certificate of lane {lane}").into_bytes().into();
        Arc::new(Identity { key: KeyIx(lane.0), certificate })
    };
    let profile = profile::write(URL, config.other.identity);
    let lanes: Vec<Snapshot> = minted(plan, &profile, &Limits::default(), identity)?.collect();
    for lane in &lanes {
        let (check_ins, clocks) = (play.check_ins(lane)?, play.running.clocks());
        play.running.world.takes_over(clocks, lane, &check_ins);
    }
    play.restore(lanes, &mut |_| ())
}

fn compiled(config: &Config) -> Result<Plan, String> {
    let dir = tempfile::tempdir_in(in_memory()).map_err(|error| error.to_string())?;
    let path = dir.path().join("sim.yaml");
    std::fs::write(&path, config.yaml()).map_err(|error| error.to_string())?;
    let loaded = droves_scenario::load(&path, &Given::default(), |_| None);
    loaded.map(|loaded| loaded.plan).map_err(|problems| problems.to_string())
}

/// A folder in memory where there is one.
pub(crate) fn in_memory() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}
