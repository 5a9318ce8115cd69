//! A process that saves is killed, again and again: what it was told to be saved is there, to the byte.

use crate::{dice, draw, lane, lanes, quick, read, whose};
use droves_facts::LaneIx;
use droves_fleet::Fleet;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const CELLS: u32 = 4;
const LANES: u32 = CELLS * 10;
/// Rounds of one process, more than it has time for before it is killed.
const ROUNDS: u32 = 100_000;

/// The other side of the tests below: opens the fleet, saves all lanes again and again, and prints what is acknowledged.
#[test]
fn saves_until_it_is_killed() {
    let Some(dir) = std::env::var_os("DROVES_TEST_FLEET_DIR") else { return };
    let first: u32 = std::env::var("DROVES_TEST_ROUND").unwrap().parse().unwrap();
    let fleet = Fleet::open(Path::new(&dir), whose(CELLS)).unwrap();
    assert!(fleet.dropped().is_empty(), "{:?}", fleet.dropped());
    let print = |lane: LaneIx, round: u32, result: Result<(), String>| {
        result.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "saved {lane} {round}").unwrap();
        out.flush().unwrap();
    };
    let writer = fleet.writer(Box::new(print)).unwrap();
    let saver = writer.saver();
    for round in first..first + ROUNDS {
        lanes(0..LANES, round).into_iter().for_each(|lane| saver.save(Some(round), lane));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ninety_kills_lose_nothing_that_was_acknowledged() {
    kills(quick().path(), 0..90);
}

/// A disk waits at each commit, and the kill comes there.
#[test]
fn forty_kills_on_a_disk_lose_nothing_that_was_acknowledged() {
    kills(tempfile::tempdir().unwrap().path(), 90..130);
}

fn kills(dir: &Path, kills: std::ops::Range<u32>) {
    let dice = dice();
    let mut acknowledged: BTreeMap<u32, u32> = BTreeMap::new();
    for kill in kills {
        let mut some = draw(dice, kill);
        // Some die while they open the fleet, the others after so many acknowledgements, wherever the writer is then.
        let (opening, heard) = (some.below(5) == 0, 1 + some.below(200) as usize);
        let later = Duration::from_micros(some.below(if opening { 20_000 } else { 6_000 }));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::saves_until_it_is_killed", "--nocapture"])
            .env("DROVES_TEST_FLEET_DIR", dir)
            .env("DROVES_TEST_ROUND", (kill * ROUNDS).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut saved = lines.by_ref().filter(|line| line.contains("saved "));
        if !opening {
            saved.by_ref().take(heard).for_each(|line| note(&mut acknowledged, &line));
        }
        std::thread::sleep(later);
        child.kill().unwrap();
        saved.for_each(|line| note(&mut acknowledged, &line));
        assert!(child.wait().unwrap().code().is_none(), "kill {kill}: it ended by itself");
        // Else the next one opens what this one left.
        if some.below(2) == 0 {
            compare(dir, &acknowledged, kill);
        }
    }
    assert_eq!(acknowledged.len() as u32, LANES);
    compare(dir, &acknowledged, u32::MAX);
}

fn compare(dir: &Path, acknowledged: &BTreeMap<u32, u32>, kill: u32) {
    let fleet = Fleet::open(dir, whose(CELLS)).unwrap();
    assert!(fleet.dropped().is_empty(), "kill {kill}: {:?}", fleet.dropped());
    let mut rounds = BTreeMap::new();
    for stored in read(&fleet).unwrap() {
        let round = u32::from_be_bytes(stored.record[..4].try_into().unwrap());
        assert_eq!(stored, lane(stored.lane.0, round), "kill {kill}: whole, and of one round");
        rounds.insert(stored.lane.0, round);
    }
    for (lane, round) in acknowledged {
        assert!(rounds.get(lane).is_some_and(|has| has >= round), "kill {kill}: lane {lane} lost round {round}");
    }
}

/// A line may be cut by the kill; what is cut was not heard.
fn note(acknowledged: &mut BTreeMap<u32, u32>, line: &str) {
    let mut words = line.split("saved ").nth(1).unwrap_or_default().split(' ');
    let (Some(lane), Some(round)) = (words.next(), words.next()) else { return };
    if let (Ok(lane), Ok(round)) = (lane.parse(), round.trim().parse()) {
        let known = acknowledged.entry(lane).or_insert(round);
        *known = round.max(*known);
    }
}
