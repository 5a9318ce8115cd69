//! A fleet as one file.

use crate::{lane, lanes, quick, read, save, whose};
use droves_fleet::{CopyError, Fleet, export, import};
use proptest::prelude::*;
use proptest::sample::Index;

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

/// What can happen to a file on its way.
#[derive(Clone, Debug)]
enum Damage {
    CutOff(Index),
    Flipped(Index, u8),
    /// One digit for another: what is hexadecimal stays so.
    Digit(Index, u8),
    LineLost(Index),
    LineTwice(Index),
    LinesSwapped(Index, Index),
    Appended(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Damage::CutOff),
        (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flipped(at, bit)),
        (at(), 0..10_u8).prop_map(|(at, digit)| Damage::Digit(at, digit)),
        at().prop_map(Damage::LineLost),
        at().prop_map(Damage::LineTwice),
        (at(), at()).prop_map(|(one, other)| Damage::LinesSwapped(one, other)),
        proptest::collection::vec(any::<u8>(), 1..40).prop_map(Damage::Appended),
    ]
}

impl Damage {
    fn done_to(&self, file: &[u8]) -> Vec<u8> {
        let mut bytes = file.to_vec();
        let mut lines: Vec<&[u8]> = file.split_inclusive(|&byte| byte == b'\n').collect();
        let digits: Vec<usize> = (0..file.len()).filter(|&at| file[at].is_ascii_digit()).collect();
        let all = lines.len();
        match self {
            Damage::CutOff(at) => bytes.truncate(at.index(file.len())),
            Damage::Flipped(at, bit) => bytes[at.index(file.len())] ^= 1 << bit,
            Damage::Digit(at, digit) => bytes[*at.get(&digits)] = b'0' + digit,
            Damage::Appended(more) => bytes.extend(more),
            Damage::LineLost(at) => drop(lines.remove(at.index(all))),
            Damage::LineTwice(at) => lines.insert(at.index(all), lines[at.index(all)]),
            Damage::LinesSwapped(one, other) => lines.swap(one.index(all), other.index(all)),
        }
        let of_lines = matches!(self, Damage::LineLost(_) | Damage::LineTwice(_) | Damage::LinesSwapped(..));
        if of_lines { lines.concat() } else { bytes }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A file that is not as it was written is refused with the line in which that shows, and leaves nothing behind.
    #[test]
    fn a_damaged_copy_is_refused_whole(round in 0..3_u32, count in 1..12_u32, damage in damage()) {
        let (here, there) = (quick(), quick());
        save(Fleet::open(here.path(), whose(2)).unwrap(), &lanes(0..count, round));
        let mut file = Vec::new();
        export(here.path(), &mut file).unwrap();
        let (target, damaged) = (there.path().join("copy"), damage.done_to(&file));
        match import(&target, &mut damaged.as_slice()) {
            Ok(lanes_in_all) => {
                prop_assert_eq!(lanes_in_all, u64::from(count));
                prop_assert!(damaged == file, "taken for whole");
                prop_assert_eq!(read(&Fleet::reopen(&target).unwrap()).unwrap(), lanes(0..count, round));
            }
            Err(error) => {
                prop_assert!(damaged != file, "refused: {error}");
                prop_assert!(error.to_string().starts_with("copy of a fleet: line "), "{error}");
                prop_assert!(std::fs::read_dir(there.path()).unwrap().next().is_none(), "nothing is left of it");
            }
        }
    }
}
