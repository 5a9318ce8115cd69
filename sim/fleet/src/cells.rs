//! The files of a fleet's cells: opened together, verified, and set aside where they are damaged.
//!
//! redb undoes what a kill cut short, without a word: nobody was told that it was saved. Any other change (a file that is
//! cut off, a bit that flipped) is no longer what redb wrote. Since a row doesn't show that, every page is verified
//! against its checksum at each opening. One damaged page makes the file useless: it is kept beside, an empty cell takes
//! its place, and a sentence says whom that concerns.

use crate::fleet::{FleetError, Whose};
use redb::{Builder, Database, DatabaseError, StorageError};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

const LOCK: &str = "lock";
/// Of each cell: lanes are read once and written whole, so there is little to remember. The default is a gigabyte.
const CACHE_BYTES: usize = 256 << 10;
/// Opening a cell is waiting for the disk, mostly.
const OPENERS: usize = 8;

/// The right to a folder: one process at a time has it, or several together that some other one began.
#[derive(Debug)]
pub(crate) struct Claim(File);

impl Drop for Claim {
    /// Closing would not be enough: a process that was begun a moment ago has the file, too, until it is its own program.
    fn drop(&mut self) {
        drop(self.0.unlock());
    }
}

impl Claim {
    /// For one process alone.
    pub(crate) fn stake(folder: &Path) -> Result<Self, FleetError> {
        Claim::with(folder, File::try_lock)
    }

    /// For one of several.
    pub(crate) fn share(folder: &Path) -> Result<Self, FleetError> {
        Claim::with(folder, File::try_lock_shared)
    }

    fn with(folder: &Path, lock: impl FnOnce(&File) -> Result<(), TryLockError>) -> Result<Self, FleetError> {
        let path = folder.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        match lock(&file) {
            Ok(()) => Ok(Claim(file)),
            Err(TryLockError::WouldBlock) => Err(FleetError::InUse { path: folder.to_owned() }),
            Err(TryLockError::Error(why)) => Err(at(&path)(why)),
        }
    }
}

/// The open cells of a fleet.
#[derive(Debug)]
pub(crate) struct Cells {
    /// None where another process has it.
    databases: Vec<Option<Database>>,
    /// Last, since it must outlive the databases.
    _claim: Claim,
}

impl Cells {
    /// Opens every cell that is wanted; and what was dropped, in sentences. Only the cells of a new fleet may be missing.
    pub(crate) fn open(
        claim: Claim,
        folder: &Path,
        whose: &Whose,
        is_new: bool,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<(Self, Vec<String>), FleetError> {
        let count = whose.cells.len().saturating_sub(1);
        let numbers: Vec<usize> = (0..count).filter(|&number| wanted(number)).collect();
        let opened: Vec<_> = thread::scope(|scope| {
            let hands: Vec<_> = numbers
                .chunks(numbers.len().div_ceil(OPENERS).max(1))
                .map(|some| {
                    let one = |&number| open(&folder.join(name(number)), whose, number, is_new);
                    scope.spawn(move || some.iter().map(one).collect::<Vec<_>>())
                })
                .collect();
            let join = |hand: thread::ScopedJoinHandle<'_, _>| match hand.join() {
                Ok(opened) => opened,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            hands.into_iter().flat_map(join).collect()
        });
        let (mut databases, mut dropped): (Vec<_>, _) = ((0..count).map(|_| None).collect(), Vec::new());
        for (number, cell) in numbers.iter().zip(opened) {
            let (database, lost) = cell?;
            databases[*number] = Some(database);
            dropped.extend(lost);
        }
        Ok((Cells { databases, _claim: claim }, dropped))
    }

    pub(crate) fn databases(&self) -> &[Option<Database>] {
        &self.databases
    }

    pub(crate) fn databases_mut(&mut self) -> &mut [Option<Database>] {
        &mut self.databases
    }
}

/// The file of a cell.
pub(crate) fn name(number: usize) -> String {
    format!("cell-{number:02}.redb")
}

/// Damaged files that were kept beside the cells, in sentences.
pub(crate) fn kept(folder: &Path, whose: &Whose, wanted: impl Fn(usize) -> bool) -> Result<Vec<String>, FleetError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        files.push(entry.map_err(at(folder))?.file_name().to_string_lossy().into_owned());
    }
    files.sort_unstable();
    let of_cell = |number: usize| {
        let beside = format!("{}.damaged-", name(number));
        let mine = files.iter().filter(move |file| file.starts_with(&beside));
        mine.map(move |file| {
            let whom = whose.whom(number);
            format!("{file} was kept when {whom} were dropped: delete it once it is of no more use")
        })
    };
    let cells = 0..whose.cells.len().saturating_sub(1);
    Ok(cells.filter(|&number| wanted(number)).flat_map(of_cell).collect())
}

/// Opens a cell; and what was dropped, if it is not as it was left.
fn open(path: &Path, whose: &Whose, number: usize, is_new: bool) -> Result<(Database, Option<String>), FleetError> {
    let why = match builder().open(path) {
        Ok(database) => return Ok((database, None)),
        Err(DatabaseError::Storage(StorageError::Io(why))) if why.kind() == ErrorKind::NotFound => {
            let file = path.display();
            if is_new {
                return Ok((create(path)?, None));
            }
            // An empty file marks that it was there.
            let aside = aside(path);
            File::create_new(&aside).map_err(at(&aside))?;
            let lost = format!("{file} is missing, which drops {}: {CURE}", whose.whom(number));
            return Ok((create(path)?, Some(lost)));
        }
        Err(why) if is_damage(&why) => why,
        Err(why) => return Err(broken(path)(why)),
    };
    let aside = aside(path);
    fs::rename(path, &aside).map_err(at(path))?;
    let (file, kept) = (path.display(), aside.display());
    let lost = format!("{file} is damaged ({why}), which drops {}; it is kept as {kept}: {CURE}", whose.whom(number));
    Ok((create(path)?, Some(lost)))
}

const CURE: &str = "put a whole copy of it back, or enroll or mint its devices again";

/// Whether the file is to blame, not the way to it.
fn is_damage(why: &DatabaseError) -> bool {
    match why {
        // The fleet's own version was right: no other version of redb has written its cells.
        DatabaseError::Storage(StorageError::Corrupted(_)) | DatabaseError::UpgradeRequired(_) => true,
        DatabaseError::Storage(StorageError::Io(why)) => {
            matches!(why.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData)
        }
        _ => false,
    }
}

/// Makes an empty cell. It has its name when it is whole: what a kill leaves of it is none.
fn create(path: &Path) -> Result<Database, FleetError> {
    let new = path.with_extension("redb.new");
    match fs::remove_file(&new) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(at(&new)(why)),
        _ => {}
    }
    let database = builder().create(&new).map_err(broken(&new))?;
    fs::rename(&new, path).map_err(at(path))?;
    Ok(database)
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// A name that no file has yet, with the time in it.
fn aside(path: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let named = |at| path.with_extension(format!("redb.damaged-{at}"));
    let mut at = now;
    while named(at).exists() {
        at += 1;
    }
    named(at)
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> FleetError {
    let path = path.to_owned();
    move |why| FleetError::File { path, why }
}

fn broken(path: &Path) -> impl FnOnce(DatabaseError) -> FleetError {
    let path = path.to_owned();
    move |why| FleetError::Cell { path, why: Box::new(why.into()) }
}
