//! A cell that is not as it was left: cut off anywhere, with bits flipped, emptied, missing.

use crate::{dice, draw, lane, lanes, quick, read, save, save_in_turn, whose};
use droves_facts::LaneIx;
use droves_fleet::{Fleet, FleetError, Stored};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: usize = 4_096;
/// What redb's own header takes of the first page.
const HEAD: usize = 320;

/// The file of a cell: closed, or left by a kill; with the lanes in it, and the lanes before the last save.
struct Cell {
    name: &'static str,
    bytes: Vec<u8>,
    last: Vec<Stored>,
    before: Vec<Stored>,
}

/// Several saves on top of each other, so that there are free pages and old ones.
fn cells() -> [Cell; 2] {
    let dir = quick();
    let path = dir.path().join("cell-00.redb");
    for round in 1..4 {
        save(Fleet::open(dir.path(), whose(2)).unwrap(), &lanes(0..10, round));
    }
    let large: Vec<Stored> =
        lanes(0..10, 4).into_iter().map(|lane| Stored { own: Some(vec![4; 6_000]), ..lane }).collect();
    let before = lanes(0..10, 5);
    let last = [lanes(0..6, 6), lanes(6..10, 5)].concat();
    let fleet = Fleet::open(dir.path(), whose(2)).unwrap();
    let reader = fleet.reader();
    save_in_turn(fleet, &[&before, &large, &before, &lanes(0..6, 6)]);
    // The reader keeps it open: no kill leaves anything else.
    let killed = fs::read(&path).unwrap();
    drop(reader);
    let closed = fs::read(&path).unwrap();
    assert_ne!(killed, closed);
    [
        Cell { name: "closed", bytes: closed, last: last.clone(), before: last.clone() },
        Cell { name: "killed", bytes: killed, last, before },
    ]
}

/// A fleet of two cells, of which one is damaged again and again.
struct Patient {
    dir: tempfile::TempDir,
    cell: PathBuf,
}

impl Patient {
    fn new() -> Self {
        let dir = quick();
        save(Fleet::open(dir.path(), whose(2)).unwrap(), &lanes(10..20, 1));
        let cell = dir.path().join("cell-00.redb");
        Patient { dir, cell }
    }

    /// Puts a file in the cell's place, and opens the fleet. Either nothing is lost, or it is said and kept; whether it
    /// was nothing.
    fn suffers(&self, bytes: &[u8], cell: &Cell, what: &str) -> bool {
        fs::write(&self.cell, bytes).unwrap();
        let fleet = Fleet::open(self.dir.path(), whose(2)).unwrap();
        let mut all = read(&fleet).unwrap();
        let other = all.split_off(all.partition_point(|stored| stored.lane < LaneIx(10)));
        assert_eq!(other, lanes(10..20, 1), "{what}: the other cell is as it was");
        let kept = kept(self.dir.path());
        match fleet.dropped() {
            [] => {
                assert!(all == cell.last || all == cell.before, "{what}: something else was read, and nothing said");
                assert!(kept.is_empty(), "{what}: {kept:?}");
                all == cell.last
            }
            [said] => {
                assert!(all.is_empty(), "{what}: said to be dropped, and there: {said}");
                assert_eq!(kept.len(), 1, "{what}: {said}");
                let beside = kept[0].file_name().unwrap().to_str().unwrap();
                for wanted in ["cell-00.redb", "10 of 20 devices (lanes 0 to 9)", "whole copy", beside] {
                    assert!(said.contains(wanted), "{what}: no {wanted} in {said}");
                }
                // But for the head, in which redb notes that it tried to repair it.
                let after_head = |bytes: &[u8]| bytes.get(HEAD..).map(<[u8]>::to_vec);
                let beside = fs::read(&kept[0]).unwrap();
                assert!(after_head(&beside) == after_head(bytes), "{what}: the file is kept as it was");
                fs::remove_file(&kept[0]).unwrap();
                false
            }
            more => panic!("{what}: {more:?}"),
        }
    }
}

fn kept(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
}

#[test]
fn a_cell_cut_off_anywhere_is_whole_or_said_to_be_dropped() {
    let patient = Patient::new();
    for cell in cells() {
        let length = cell.bytes.len();
        // The head byte by byte, the neighbourhood of every page, and some others.
        let mut cuts: Vec<usize> = (0..HEAD + 10).collect();
        cuts.extend((0..=length).step_by(PAGE).flat_map(|page| [page.saturating_sub(1), page, page + 1]));
        let mut some = draw(dice(), length as u32);
        cuts.extend((0..100).map(|_| some.below(length as u64) as usize));
        for cut in cuts.into_iter().filter(|&cut| cut < length) {
            patient.suffers(&cell.bytes[..cut], &cell, &format!("{} cut at {cut}", cell.name));
        }
        assert!(patient.suffers(&cell.bytes, &cell, cell.name), "the whole file is whole");
    }
}

/// What redb can repair, it does: here a kill between growing the file and using it.
#[test]
fn a_cell_that_was_growing_is_whole() {
    let patient = Patient::new();
    let [_, killed] = cells();
    for pages in 1..5 {
        let bytes = [&*killed.bytes, &vec![0; pages * PAGE]].concat();
        assert!(patient.suffers(&bytes, &killed, &format!("{pages} pages longer")));
    }
}

/// After a kill, redb can't tell a flipped bit in what was saved last from a save that the kill cut short: it goes back to
/// the one before. It never goes further, and nobody reads a row that was not saved so.
#[test]
fn a_cell_with_a_flipped_bit_is_whole_or_said_to_be_dropped() {
    let patient = Patient::new();
    for cell in cells() {
        let mut some = draw(dice(), 0);
        for flip in 0..600 {
            // Every third one in the head, which is small.
            let bytes = if flip % 3 == 0 { HEAD as u64 } else { cell.bytes.len() as u64 };
            let (byte, bit) = (some.below(bytes) as usize, some.below(8));
            let mut bytes = cell.bytes.clone();
            bytes[byte] ^= 1 << bit;
            patient.suffers(&bytes, &cell, &format!("{} with bit {bit} of byte {byte} flipped", cell.name));
        }
    }
}

#[test]
fn a_cell_with_a_hole_is_whole_or_said_to_be_dropped() {
    let patient = Patient::new();
    for cell in cells() {
        let mut some = draw(dice(), 1);
        for page in 0..cell.bytes.len() / PAGE {
            let mut bytes = cell.bytes.clone();
            let hole = &mut bytes[page * PAGE..(page + 1) * PAGE];
            hole.fill(0);
            patient.suffers(&bytes, &cell, &format!("{} without page {page}", cell.name));
            let hole = &mut bytes[page * PAGE..(page + 1) * PAGE];
            hole.iter_mut().for_each(|byte| *byte = some.u32() as u8);
            patient.suffers(&bytes, &cell, &format!("{} with noise in page {page}", cell.name));
        }
    }
}

#[test]
fn a_missing_cell_is_said_to_be_dropped() {
    let dir = quick();
    save(Fleet::open(dir.path(), whose(2)).unwrap(), &lanes(0..20, 1));
    fs::remove_file(dir.path().join("cell-01.redb")).unwrap();
    let fleet = Fleet::open(dir.path(), whose(2)).unwrap();
    let [said] = fleet.dropped() else { panic!("{:?}", fleet.dropped()) };
    assert!(said.contains("cell-01.redb is missing") && said.contains("10 of 20 devices (lanes 10 to 19)"), "{said}");
    assert_eq!(read(&fleet).unwrap(), lanes(0..10, 1));
    drop(fleet);
    assert_eq!(Fleet::open(dir.path(), whose(2)).unwrap().dropped().len(), 1, "whoever missed it is told again");
}

/// It is said at every opening that it lies there; a second one does not take the place of the first; the lanes are saved
/// anew; and the file that is put back is as good as ever.
#[test]
fn a_damaged_cell_is_kept_until_somebody_takes_it_away() {
    let dir = quick();
    let cell = dir.path().join("cell-01.redb");
    save(Fleet::open(dir.path(), whose(2)).unwrap(), &lanes(0..20, 1));
    let whole = fs::read(&cell).unwrap();
    for (before, cut) in [100, 200].into_iter().enumerate() {
        fs::write(&cell, &whole[..cut]).unwrap();
        assert_eq!(Fleet::open(dir.path(), whose(2)).unwrap().dropped().len(), before + 1);
    }
    let mut lengths: Vec<u64> = kept(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [100, 200]);
    let fleet = Fleet::open(dir.path(), whose(2)).unwrap();
    for said in fleet.dropped() {
        assert!(said.contains("was kept when 10 of 20 devices (lanes 10 to 19) were dropped"), "{said}");
    }
    assert_eq!(fleet.dropped().len(), 2);
    save(fleet, &[lane(15, 2)]);
    let again = [lanes(0..10, 1), lanes(15..16, 2)].concat();
    assert_eq!(read(&Fleet::open(dir.path(), whose(2)).unwrap()).unwrap(), again);
    fs::write(&cell, &whole).unwrap();
    kept(dir.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    let fleet = Fleet::open(dir.path(), whose(2)).unwrap();
    assert!(fleet.dropped().is_empty());
    assert_eq!(read(&fleet).unwrap(), lanes(0..20, 1));
}

/// A cell that can't be reached (here: a folder stands in its place) may be as good as ever.
#[test]
fn a_cell_out_of_reach_is_an_error_and_stays_where_it_is() {
    let dir = quick();
    drop(Fleet::open(dir.path(), whose(2)).unwrap());
    let cell = dir.path().join("cell-01.redb");
    fs::remove_file(&cell).unwrap();
    fs::create_dir(&cell).unwrap();
    let refused = Fleet::open(dir.path(), whose(2)).unwrap_err();
    assert!(matches!(refused, FleetError::Cell { .. }) && refused.to_string().contains("cell-01.redb"), "{refused}");
    assert!(cell.is_dir() && kept(dir.path()).is_empty());
}
