//! What is read again, and what is refused.

use crate::{lane, lanes, read, save, whose};
use droves_fleet::{Fleet, FleetError, Whose};
use std::fs;

#[test]
fn what_was_saved_last_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Fleet::open(dir.path(), whose(64)).unwrap();
    let before = lanes(0..100, 1);
    let fleet = open();
    assert!(fleet.is_new());
    save(fleet, &before);
    save(open(), &[lane(5, 2)]);
    let fleet = open();
    assert!(!fleet.is_new());
    let read = read(&fleet).unwrap();
    assert_eq!(read.len(), 100);
    assert_eq!(read[5], lane(5, 2));
    assert_eq!(read[6], before[6]);
    assert!(fleet.dropped().is_empty());
}

#[test]
fn another_fleet_is_refused_and_so_is_a_second_process() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::open(dir.path(), whose(64)).unwrap();
    let (reader, in_use) = (fleet.reader(), |result| matches!(result, Err(FleetError::InUse { .. })));
    assert!(in_use(Fleet::open(dir.path(), whose(64))));
    drop(fleet);
    assert!(in_use(Fleet::open(dir.path(), whose(64))), "somebody still reads");
    drop(reader);
    let refused = Fleet::open(dir.path(), Whose { seed: 8, ..whose(64) }).unwrap_err();
    assert!(matches!(refused, FleetError::Another { what: "seed", .. }), "{refused}");
    Fleet::open(dir.path(), whose(64)).unwrap();
}

/// A kill while a fleet is made leaves no fleet, and nothing that is in the way of one.
#[test]
fn a_fleet_that_was_not_made_to_the_end_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(Fleet::open(dir.path(), whose(4)).unwrap());
    fs::remove_file(dir.path().join("fleet.json")).unwrap();
    fs::remove_file(dir.path().join("cell-03.redb")).unwrap();
    fs::write(dir.path().join("cell-03.redb.new"), "red").unwrap();
    let fleet = Fleet::open(dir.path(), whose(4)).unwrap();
    assert!(fleet.is_new() && fleet.dropped().is_empty(), "{:?}", fleet.dropped());
    save(fleet, &lanes(0..40, 1));
    assert_eq!(read(&Fleet::reopen(dir.path()).unwrap()).unwrap(), lanes(0..40, 1));
    assert!(!dir.path().join("cell-03.redb.new").exists());
}

/// Without `fleet.json` nobody knows whose the lanes are: they are not taken over by whoever comes.
#[test]
fn lanes_without_their_fleet_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    save(Fleet::open(dir.path(), whose(4)).unwrap(), &lanes(0..40, 1));
    let head = fs::read(dir.path().join("fleet.json")).unwrap();
    fs::remove_file(dir.path().join("fleet.json")).unwrap();
    let refused = Fleet::open(dir.path(), whose(4)).unwrap_err();
    assert!(matches!(refused, FleetError::NoHead { .. }), "{refused}");
    for cut in 0..head.len() {
        fs::write(dir.path().join("fleet.json"), &head[..cut]).unwrap();
        let refused = Fleet::open(dir.path(), whose(4)).unwrap_err();
        assert!(refused.to_string().contains("put a copy of it back"), "{refused}");
    }
    fs::write(dir.path().join("fleet.json"), &head).unwrap();
    let secret = fs::read(dir.path().join("secret")).unwrap();
    fs::write(dir.path().join("secret"), &secret[..31]).unwrap();
    let refused = Fleet::open(dir.path(), whose(4)).unwrap_err();
    assert!(refused.to_string().contains("put a copy of it back"), "{refused}");
    fs::write(dir.path().join("secret"), &secret).unwrap();
    assert_eq!(read(&Fleet::reopen(dir.path()).unwrap()).unwrap(), lanes(0..40, 1));
}

/// A fleet of a program that did not write down which devices a cell has.
#[test]
fn an_older_fleet_opens() {
    let dir = tempfile::tempdir().unwrap();
    save(Fleet::open(dir.path(), whose(4)).unwrap(), &lanes(0..40, 1));
    let path = dir.path().join("fleet.json");
    let mut head: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    head.as_object_mut().unwrap().remove("devices_of_cells").unwrap();
    fs::write(&path, head.to_string()).unwrap();
    fs::remove_file(dir.path().join("cell-01.redb")).unwrap();
    let fleet = Fleet::reopen(dir.path()).unwrap();
    assert!(fleet.dropped()[0].contains("drops lanes 10 to 19"), "{:?}", fleet.dropped());
    assert_eq!(read(&fleet).unwrap().len(), 30);
    drop(fleet);
    let fleet = Fleet::open(dir.path(), whose(4)).unwrap();
    assert!(fleet.dropped()[0].contains("when 10 of 40 devices (lanes 10 to 19) were"), "{:?}", fleet.dropped());
    assert_eq!(read(&fleet).unwrap().len(), 30);
}
