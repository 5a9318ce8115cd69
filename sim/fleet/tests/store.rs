//! A fleet's folder: read again, refused to others, cut off, and killed.
#![expect(clippy::unwrap_used, reason = "tests")]

use droves_facts::LaneIx;
use droves_fleet::{CopyError, Fleet, FleetError, Stored, StoredIdentity, Whose, export, import};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

fn whose() -> Whose {
    let cells = (0..=64).map(|cell| cell * 10).collect();
    Whose { seed: 7, devices: 640, lanes: 640, populations: "phones 640".into(), cells }
}

fn lane(ix: u32, sessions: u8) -> Stored {
    Stored {
        lane: LaneIx(ix),
        record: vec![sessions; 40],
        shared: b"twenty profiles".as_slice().into(),
        own: ix.is_multiple_of(3).then(|| vec![1, 2, 3]),
        identity: Some(StoredIdentity { key: ix, certificate: vec![sessions; 900] }),
        ended: false,
    }
}

fn save(dir: &Path, lanes: &[Stored]) {
    let (acknowledged, heard) = mpsc::sync_channel(1_000);
    let fleet = Fleet::open(dir, whose()).unwrap();
    let writer =
        fleet.writer(Box::new(move |lane, ticket, result| acknowledged.send((lane, ticket, result)).unwrap())).unwrap();
    let saver = writer.saver();
    for (ticket, lane) in lanes.iter().enumerate() {
        saver.save(Some(ticket as u32), lane.clone());
    }
    for _ in lanes {
        let (_, _, result) = heard.recv_timeout(Duration::from_secs(30)).unwrap();
        result.unwrap();
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

#[test]
fn what_was_saved_last_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let lanes: Vec<Stored> = (0..100).map(|ix| lane(ix, 1)).collect();
    save(dir.path(), &lanes);
    save(dir.path(), &[lane(5, 2)]);
    let fleet = Fleet::open(dir.path(), whose()).unwrap();
    assert!(!fleet.is_new());
    let read = read(&fleet).unwrap();
    assert_eq!(read.len(), 100);
    assert_eq!(read[5], lane(5, 2));
    assert_eq!(read[6], lanes[6]);
    assert!(fleet.dropped().is_empty());
}

#[test]
fn another_fleet_is_refused_and_so_is_a_second_process() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::open(dir.path(), whose()).unwrap();
    let refused = Fleet::open(dir.path(), Whose { seed: 8, ..whose() }).unwrap_err();
    assert!(matches!(refused, FleetError::Another { what: "seed", .. }), "{refused}");
    assert!(matches!(Fleet::open(dir.path(), whose()), Err(FleetError::Cell { .. })));
    drop(fleet);
    Fleet::open(dir.path(), whose()).unwrap();
}

/// A cell cut off anywhere opens again, or is moved aside and said to be.
#[test]
fn a_cell_cut_off_is_no_end() {
    let whole = tempfile::tempdir().unwrap();
    save(whole.path(), &(0..10).map(|ix| lane(ix, 1)).collect::<Vec<_>>());
    let bytes = std::fs::read(whole.path().join("cell-00.redb")).unwrap();
    for part in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        drop(Fleet::open(dir.path(), whose()).unwrap());
        std::fs::write(dir.path().join("cell-00.redb"), &bytes[..bytes.len() * part / 12]).unwrap();
        let fleet = Fleet::open(dir.path(), whose()).unwrap();
        let lanes = read(&fleet).map_or(0, |lanes| lanes.len());
        assert!(lanes == 10 || lanes == 0 || !fleet.dropped().is_empty(), "{part}: {lanes} {:?}", fleet.dropped());
    }
}

/// The other side of the test below: saves for ever, and prints what is acknowledged.
#[test]
fn saves_until_it_is_killed() {
    let Some(dir) = std::env::var_os("DROVES_TEST_FLEET_DIR") else { return };
    let fleet = Fleet::open(Path::new(&dir), whose()).unwrap();
    let print = |lane: LaneIx, ticket: u32, result: Result<(), String>| {
        result.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "saved {lane} {ticket}").unwrap();
        out.flush().unwrap();
    };
    let writer = fleet.writer(Box::new(print)).unwrap();
    let saver = writer.saver();
    for round in 0..200_u32 {
        for ix in 0..640 {
            saver.save(Some(round), lane(ix, round as u8));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    for kill in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "saves_until_it_is_killed", "--nocapture"])
            .env("DROVES_TEST_FLEET_DIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut acknowledged: BTreeMap<u32, u8> = BTreeMap::new();
        let mut lines = out.lines().map_while(Result::ok);
        // Killed after so many acknowledgements, wherever the writer is then.
        for line in lines.by_ref().filter(|line| line.contains("saved ")).take(300 + 137 * kill as usize) {
            note(&mut acknowledged, &line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.filter(|line| line.contains("saved ")).for_each(|line| note(&mut acknowledged, &line));
        assert!(!acknowledged.is_empty());
        let fleet = Fleet::open(dir.path(), whose()).unwrap();
        assert!(fleet.dropped().is_empty(), "{:?}", fleet.dropped());
        let read: BTreeMap<u32, u8> = read(&fleet).unwrap().iter().map(|l| (l.lane.0, l.record[0])).collect();
        for (lane, round) in acknowledged {
            assert!(read.get(&lane).is_some_and(|&has| has >= round), "kill {kill}: lane {lane} lost round {round}");
        }
    }
}

/// A line may be cut by the kill; what is cut was not heard.
fn note(acknowledged: &mut BTreeMap<u32, u8>, line: &str) {
    let mut words = line.split("saved ").nth(1).unwrap_or_default().split(' ');
    let (Some(lane), Some(round)) = (words.next(), words.next()) else { return };
    if let (Ok(lane), Ok(round)) = (lane.parse(), round.trim().parse()) {
        let known = acknowledged.entry(lane).or_insert(round);
        *known = round.max(*known);
    }
}

#[test]
fn a_fleet_is_carried_elsewhere_as_one_file() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lanes: Vec<Stored> = (0..100).map(|ix| lane(ix, 1)).collect();
    save(here.path(), &lanes);
    let mut file = Vec::new();
    assert_eq!(export(here.path(), &mut file).unwrap(), 100);
    assert_eq!(import(there.path(), &mut file.as_slice()).unwrap(), 100);
    let (before, after) = (Fleet::reopen(here.path()).unwrap(), Fleet::reopen(there.path()).unwrap());
    assert_eq!(read(&after).unwrap(), lanes);
    assert_eq!(after.secret(), before.secret());
    assert!(matches!(import(there.path(), &mut file.as_slice()), Err(CopyError::There(_))));
    drop(after);
    Fleet::compact(there.path(), |_, _| ()).unwrap();
    assert_eq!(read(&Fleet::reopen(there.path()).unwrap()).unwrap(), lanes);
}

#[test]
fn a_copy_that_is_none_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |text: &str| import(&dir.path().join("x"), &mut text.as_bytes()).unwrap_err().to_string();
    assert!(refused("").contains("line 1"));
    assert!(refused("{}\n").contains("line 1"));
    let here = tempfile::tempdir().unwrap();
    save(here.path(), &[lane(5, 2)]);
    let mut file = Vec::new();
    export(here.path(), &mut file).unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(refused(&text.replace("\"lane\":5", "\"lane\":500000")).contains("line 2: lane 500000"));
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("fleet");
    for cut in [text.len() - 5, text.find("lanes_in_all").unwrap() - 2] {
        let said = import(&target, &mut &text.as_bytes()[..cut]).unwrap_err().to_string();
        assert!(said.contains("line 3"), "{said}");
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is left of it");
    }
    assert_eq!(import(&target, &mut text.as_bytes()).unwrap(), 1);
}
