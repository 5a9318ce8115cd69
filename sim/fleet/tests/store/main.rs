//! A fleet's folder: read again, refused to others, copied, damaged, and killed.
#![expect(clippy::unwrap_used, reason = "tests")]

mod copies;
mod damage;
mod kills;
mod reading;

use droves_facts::{Dice, LaneIx, Philox, Purpose};
use droves_fleet::{Fleet, FleetError, Stored, StoredIdentity, Whose};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// Ten devices a cell, each with one lane.
fn whose(cells: u32) -> Whose {
    let starts: Vec<u32> = (0..=cells).map(|cell| cell * 10).collect();
    Whose {
        seed: 7,
        devices: cells * 10,
        lanes: cells * 10,
        populations: "phones".into(),
        cells: starts.clone(),
        devices_of_cells: starts,
    }
}

/// A lane as it was in some round: every part of it tells which.
fn lane(ix: u32, round: u32) -> Stored {
    let bytes = |n: usize| round.to_be_bytes().into_iter().cycle().take(n).collect::<Vec<u8>>();
    Stored {
        lane: LaneIx(ix),
        record: bytes(40),
        shared: format!("twenty profiles of round {}", round / 4).into_bytes().into(),
        own: ix.is_multiple_of(3).then(|| bytes(12)),
        identity: Some(StoredIdentity { key: ix ^ round, certificate: bytes(900) }),
        ended: false,
    }
}

fn lanes(range: std::ops::Range<u32>, round: u32) -> Vec<Stored> {
    range.map(|ix| lane(ix, round)).collect()
}

/// Saves lanes, and waits until they are.
fn save(fleet: Fleet, lanes: &[Stored]) {
    save_in_turn(fleet, &[lanes]);
}

/// Saves one after another, each in a commit of its own.
fn save_in_turn(fleet: Fleet, saves: &[&[Stored]]) {
    let (acknowledged, heard) = mpsc::sync_channel(1_000);
    let writer =
        fleet.writer(Box::new(move |lane, ticket, result| acknowledged.send((lane, ticket, result)).unwrap())).unwrap();
    let saver = writer.saver();
    for lanes in saves {
        lanes.iter().for_each(|lane| saver.save(Some(0), lane.clone()));
        for _ in *lanes {
            let (_, _, result) = heard.recv_timeout(Duration::from_secs(120)).unwrap();
            result.unwrap();
        }
    }
    drop(saver);
    writer.finish();
}

/// All lanes of all cells, which must be readable.
fn read(fleet: &Fleet) -> Result<Vec<Stored>, FleetError> {
    let reader = fleet.reader();
    let mut all = Vec::new();
    for cell in 0..reader.cells() {
        let (mut lanes, dropped) = reader.lanes(cell)?;
        assert!(dropped.is_empty(), "{dropped:?}");
        all.append(&mut lanes);
    }
    assert_eq!(reader.count()?, all.len() as u64);
    Ok(all)
}

/// A folder in memory where there is one: a kill, unlike a power cut, is the same there, and a thousand openings take
/// seconds.
fn quick() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// `DROVES_TEST_SEED` runs a failure again, as far as the moment of a kill can be the same.
#[expect(clippy::print_stderr, reason = "said of a test that fails")]
fn dice() -> Dice {
    let seed = std::env::var("DROVES_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
    eprintln!("DROVES_TEST_SEED={seed}");
    Dice::new(seed)
}

fn draw(dice: Dice, round: u32) -> Philox {
    dice.draw(round, Purpose::Fault, 0)
}
