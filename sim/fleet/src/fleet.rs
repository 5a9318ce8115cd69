//! The folder of a fleet.

use crate::cell::{self, Stored};
use crate::private;
use crate::writer::{Acknowledge, Writer};
use aws_lc_rs::rand;
use droves_facts::LaneIx;
use redb::Database;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// Version of the folder's layout.
const VERSION: u32 = 1;
const FILE: &str = "fleet.json";
const SECRET: &str = "secret";
/// Of each cell: lanes are read once and written whole, so there is little to remember. The default is a gigabyte.
const CACHE_BYTES: usize = 256 << 10;

/// Whose fleet it is: what must be the same in every run with one folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Whose {
    /// The seed of every draw.
    pub seed: u64,
    /// Devices.
    pub devices: u32,
    /// Lanes.
    pub lanes: u32,
    /// A digest of the populations.
    pub populations: String,
    /// First lane of each cell, and the end of the last.
    pub cells: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    #[serde(flatten)]
    whose: Whose,
}

/// Why a fleet can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A file can't be read or written.
    #[error("fleet: {path}: {why}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// `fleet.json` is none.
    #[error("fleet: {path} is not a fleet's: {why}", path = .path.display())]
    Head {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The folder is another fleet's.
    #[error("fleet: {path} was made for another fleet: its {what} is {there}, the scenario's is {here}; name another folder, or the scenario that made this one", path = .path.display())]
    Another {
        /// Which folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// There.
        there: String,
        /// Here.
        here: String,
    },
    /// A cell can't be opened, also because another process has it.
    #[error("fleet: {path}: {why}", path = .path.display())]
    Cell {
        /// Which.
        path: PathBuf,
        /// Why.
        why: Box<redb::Error>,
    },
    /// There is no randomness for the secret.
    #[error("fleet: no randomness")]
    NoRandomness,
    /// The writer's thread could not be made.
    #[error("fleet: writer: {0}")]
    Thread(io::Error),
}

/// An open fleet. Nobody else can open it meanwhile.
#[derive(Debug)]
pub struct Fleet {
    whose: Whose,
    secret: [u8; 32],
    cells: Arc<[Database]>,
    is_new: bool,
    dropped: Vec<String>,
}

/// The way to what a fleet's cells hold, for as many threads as want to read. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Reader {
    cells: Arc<[Database]>,
    lanes: u32,
}

impl Reader {
    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.cells.len()
    }

    /// Every lane of a cell that was ever saved; and what can't be read, in sentences.
    pub fn lanes(&self, cell: usize) -> Result<(Vec<Stored>, Vec<String>), FleetError> {
        let Some(database) = self.cells.get(cell) else { return Ok((Vec::new(), Vec::new())) };
        let (mut lanes, mut dropped) = (Vec::new(), Vec::new());
        for row in cell::read(database).map_err(broken(cell))? {
            match row {
                Ok(stored) if stored.lane.0 < self.lanes => lanes.push(stored),
                Ok(stored) => dropped.push(format!("lane {} is beyond the fleet", stored.lane)),
                Err((lane, why)) => dropped.push(format!("lane {lane}: {why}")),
            }
        }
        Ok((lanes, dropped))
    }

    /// How many lanes were ever saved.
    pub fn count(&self) -> Result<u64, FleetError> {
        self.cells.iter().enumerate().map(|(number, cell)| cell::count(cell).map_err(broken(number))).sum()
    }
}

fn broken(cell: usize) -> impl Fn(redb::Error) -> FleetError {
    move |why| FleetError::Cell { path: PathBuf::from(cell_name(cell)), why: Box::new(why) }
}

fn cell_name(number: usize) -> String {
    format!("cell-{number:02}.redb")
}

impl Fleet {
    /// Opens a folder, or makes it. A cell that is broken beyond repair is moved aside and said in
    /// [`Fleet::dropped`].
    pub fn open(folder: &Path, whose: Whose) -> Result<Self, FleetError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |why| FleetError::File { path, why }
        };
        fs::create_dir_all(folder).map_err(file(folder))?;
        let (head_path, secret_path) = (folder.join(FILE), folder.join(SECRET));
        let is_new = !head_path.exists();
        if is_new {
            let mut secret = [0; 32];
            rand::fill(&mut secret).map_err(|_| FleetError::NoRandomness)?;
            private::write(&secret_path, &secret).map_err(file(&secret_path))?;
            let head = Head { version: VERSION, whose: whose.clone() };
            let text = serde_json::to_vec_pretty(&head)
                .map_err(|why| FleetError::Head { path: head_path.clone(), why: why.to_string() })?;
            private::write(&head_path, &text).map_err(file(&head_path))?;
        }
        let there = whose_is(folder)?;
        same(folder, &there, &whose)?;
        let secret = fs::read(&secret_path).map_err(file(&secret_path))?;
        let secret: [u8; 32] = secret
            .try_into()
            .map_err(|_| FleetError::File { path: secret_path.clone(), why: io::Error::other("not 32 bytes") })?;
        let (mut cells, mut dropped) = (Vec::new(), Vec::new());
        for number in 0..whose.cells.len().saturating_sub(1) {
            let path = folder.join(cell_name(number));
            cells.push(open(&path, &mut dropped)?);
        }
        Ok(Fleet { whose, secret, cells: cells.into(), is_new, dropped })
    }

    /// Opens a folder that there is, whosever it is.
    pub fn reopen(folder: &Path) -> Result<Self, FleetError> {
        let whose = whose_is(folder)?;
        Fleet::open(folder, whose)
    }

    /// Whose it is.
    pub fn whose(&self) -> &Whose {
        &self.whose
    }

    /// Gives back to the file system what cells no longer need; for each cell, whether there was something.
    pub fn compact(folder: &Path, mut each: impl FnMut(usize, bool)) -> Result<(), FleetError> {
        let cells = whose_is(folder)?.cells.len().saturating_sub(1);
        for number in 0..cells {
            let path = folder.join(cell_name(number));
            let failed = |why: redb::Error| FleetError::Cell { path: path.clone(), why: Box::new(why) };
            let mut cell = Database::builder().set_cache_size(CACHE_BYTES).open(&path).map_err(|e| failed(e.into()))?;
            each(number, cell.compact().map_err(|why| failed(why.into()))?);
        }
        Ok(())
    }

    /// Whether this is the folder's first run.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// From which the fleet's push tokens come.
    pub fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// What was lost when it was opened, in sentences.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// The way to what it holds.
    pub fn reader(&self) -> Reader {
        Reader { cells: Arc::clone(&self.cells), lanes: self.whose.lanes }
    }

    /// Begins the writer's thread, which owns the cells from now on.
    pub fn writer(self, acknowledge: Acknowledge) -> Result<Writer, FleetError> {
        let starts = self.whose.cells;
        let cell_of = move |lane: LaneIx| starts.partition_point(|&start| start <= lane.0).saturating_sub(1);
        Writer::start(self.cells, Box::new(cell_of), acknowledge).map_err(FleetError::Thread)
    }
}

/// What `fleet.json` says.
fn whose_is(folder: &Path) -> Result<Whose, FleetError> {
    let path = folder.join(FILE);
    let text = fs::read(&path).map_err(|why| FleetError::File { path: path.clone(), why })?;
    let bad = |why: String| FleetError::Head { path: path.clone(), why };
    let Head { version, whose } = serde_json::from_slice(&text).map_err(|why| bad(why.to_string()))?;
    if version != VERSION {
        return Err(bad(format!("its version is {version}, this program's is {VERSION}")));
    }
    Ok(whose)
}

fn same(folder: &Path, there: &Whose, here: &Whose) -> Result<(), FleetError> {
    let rows = [
        ("seed", there.seed.to_string(), here.seed.to_string()),
        ("number of devices", there.devices.to_string(), here.devices.to_string()),
        ("number of lanes", there.lanes.to_string(), here.lanes.to_string()),
        ("mix of populations", there.populations.clone(), here.populations.clone()),
        ("cut into cells", format!("{:?}", there.cells), format!("{:?}", here.cells)),
    ];
    match rows.into_iter().find(|(_, there, here)| there != here) {
        None => Ok(()),
        Some((what, there, here)) => Err(FleetError::Another { path: folder.to_owned(), what, there, here }),
    }
}

/// Opens a cell. redb repairs what a kill left; what it can't is moved aside, since a fleet with a hole is better than
/// none.
fn open(path: &Path, dropped: &mut Vec<String>) -> Result<Database, FleetError> {
    let cell = |why: redb::DatabaseError| FleetError::Cell { path: path.to_owned(), why: Box::new(why.into()) };
    let create = || Database::builder().set_cache_size(CACHE_BYTES).create(path);
    match create() {
        Ok(database) => Ok(database),
        Err(why @ redb::DatabaseError::DatabaseAlreadyOpen) => Err(cell(why)),
        Err(why) if path.exists() => {
            let aside = path.with_extension("redb.broken");
            fs::rename(path, &aside).map_err(|why| FleetError::File { path: aside.clone(), why })?;
            dropped.push(format!("{} could not be opened ({why}) and lies in {}", path.display(), aside.display()));
            create().map_err(cell)
        }
        Err(why) => Err(cell(why)),
    }
}
