//! The folder of a fleet.

use crate::cell::{self, Stored};
use crate::private;
use crate::writer::{Acknowledge, Writer};
use aws_lc_rs::rand;
use droves_facts::LaneIx;
use redb::Database;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Version of the folder's layout.
const VERSION: u32 = 1;
const FILE: &str = "fleet.json";
const SECRET: &str = "secret";

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
    cells: Vec<Database>,
    is_new: bool,
    dropped: Vec<String>,
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
        let text = fs::read(&head_path).map_err(file(&head_path))?;
        let bad = |why: String| FleetError::Head { path: head_path.clone(), why };
        let head: Head = serde_json::from_slice(&text).map_err(|why| bad(why.to_string()))?;
        if head.version != VERSION {
            return Err(bad(format!("its version is {}, this program's is {VERSION}", head.version)));
        }
        same(folder, &head.whose, &whose)?;
        let secret = fs::read(&secret_path).map_err(file(&secret_path))?;
        let secret: [u8; 32] = secret
            .try_into()
            .map_err(|_| FleetError::File { path: secret_path.clone(), why: io::Error::other("not 32 bytes") })?;
        let (mut cells, mut dropped) = (Vec::new(), Vec::new());
        for number in 0..whose.cells.len().saturating_sub(1) {
            let path = folder.join(format!("cell-{number:02}.redb"));
            cells.push(open(&path, &mut dropped)?);
        }
        Ok(Fleet { whose, secret, cells, is_new, dropped })
    }

    /// Whether this is the folder's first run.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// From which the fleet's push tokens come.
    pub fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// What was lost when it was opened or read, in sentences.
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// Every lane that was ever saved.
    pub fn read(&mut self) -> Result<Vec<Stored>, FleetError> {
        let mut all = Vec::new();
        for (number, cell) in self.cells.iter().enumerate() {
            let rows = cell::read(cell).map_err(|why| FleetError::Cell {
                path: PathBuf::from(format!("cell-{number:02}.redb")),
                why: Box::new(why),
            })?;
            for row in rows {
                match row {
                    Ok(stored) if stored.lane.0 < self.whose.lanes => all.push(stored),
                    Ok(stored) => self.dropped.push(format!("lane {} is beyond the fleet", stored.lane)),
                    Err((lane, why)) => self.dropped.push(format!("lane {lane}: {why}")),
                }
            }
        }
        Ok(all)
    }

    /// Begins the writer's thread, which owns the cells from now on.
    pub fn writer(self, acknowledge: Acknowledge) -> Result<Writer, FleetError> {
        let starts = self.whose.cells;
        let cell_of = move |lane: LaneIx| starts.partition_point(|&start| start <= lane.0).saturating_sub(1);
        Writer::start(self.cells, Box::new(cell_of), acknowledge).map_err(FleetError::Thread)
    }
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
    match Database::create(path) {
        Ok(database) => Ok(database),
        Err(why @ redb::DatabaseError::DatabaseAlreadyOpen) => Err(cell(why)),
        Err(why) if path.exists() => {
            let aside = path.with_extension("redb.broken");
            fs::rename(path, &aside).map_err(|why| FleetError::File { path: aside.clone(), why })?;
            dropped.push(format!("{} could not be opened ({why}) and lies in {}", path.display(), aside.display()));
            Database::create(path).map_err(cell)
        }
        Err(why) => Err(cell(why)),
    }
}
