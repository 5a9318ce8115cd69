//! A fleet as one file.

use crate::{lane, lanes, read, save, whose};
use droves_fleet::{CopyError, Fleet, export, import};

#[test]
fn a_fleet_is_carried_elsewhere_as_one_file() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let there = there.path().join("copy");
    save(Fleet::open(here.path(), whose(64)).unwrap(), &lanes(0..100, 1));
    let mut file = Vec::new();
    let exported = export(here.path(), &mut file).unwrap();
    assert_eq!((exported.lanes, exported.dropped), (100, vec![]));
    assert_eq!(import(&there, &mut file.as_slice()).unwrap(), 100);
    let (before, after) = (Fleet::reopen(here.path()).unwrap(), Fleet::reopen(&there).unwrap());
    assert_eq!(read(&after).unwrap(), lanes(0..100, 1));
    assert_eq!((after.secret(), after.whose()), (before.secret(), before.whose()));
    assert!(matches!(import(&there, &mut file.as_slice()), Err(CopyError::There(_))));
    assert!(after.compact(|_, _| ()).unwrap().is_empty());
    assert_eq!(read(&Fleet::reopen(&there).unwrap()).unwrap(), lanes(0..100, 1));
}

/// A copy is made to be safe: whoever makes one of a damaged fleet is told.
#[test]
fn an_export_says_what_is_not_in_it() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    save(Fleet::open(here.path(), whose(4)).unwrap(), &lanes(0..40, 1));
    std::fs::write(here.path().join("cell-02.redb"), "cut").unwrap();
    let mut file = Vec::new();
    let exported = export(here.path(), &mut file).unwrap();
    assert_eq!(exported.lanes, 30);
    assert!(exported.dropped.len() == 1 && exported.dropped[0].contains("lanes 20 to 29"), "{:?}", exported.dropped);
    assert_eq!(import(&there.path().join("copy"), &mut file.as_slice()).unwrap(), 30);
}

#[test]
fn a_copy_that_is_none_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |text: &str| import(&dir.path().join("x"), &mut text.as_bytes()).unwrap_err().to_string();
    assert!(refused("").contains("line 1"));
    assert!(refused("{}\n").contains("line 1"));
    let here = tempfile::tempdir().unwrap();
    save(Fleet::open(here.path(), whose(64)).unwrap(), &[lane(5, 2)]);
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
