//! The folder of a fleet.

use crate::cell::{self, Stored};
use crate::cells::{self, Cells, Claim, at};
use crate::private;
use crate::writer::{Acknowledge, Writer};
use aws_lc_rs::rand;
use droves_facts::LaneIx;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// First device of each cell, and the end of the last. Older fleets don't say.
    #[serde(default)]
    pub devices_of_cells: Vec<u32>,
}

impl Whose {
    /// Who is in a cell, in words.
    pub(crate) fn whom(&self, cell: usize) -> String {
        let range = |starts: &[u32]| starts.get(cell).copied().zip(starts.get(cell + 1).copied());
        let lanes = range(&self.cells).filter(|(from, to)| from < to);
        let Some((from, to)) = lanes else { return "nobody".to_owned() };
        let lanes = format!("lanes {from} to {}", to - 1);
        match range(&self.devices_of_cells) {
            Some((from, to)) => format!("{} of {} devices ({lanes})", to.saturating_sub(from), self.devices),
            None => lanes,
        }
    }
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
    #[error("fleet: {path} is not a fleet's: {why}; put a copy of it back, or name another folder", path = .path.display())]
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
    /// Somebody else has the folder open.
    #[error("fleet: {path} is in use by another process: wait for its end, or copy the folder when nobody uses it", path = .path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// `fleet.json` is gone.
    #[error("fleet: {path} is missing, but there are lanes beside it: put a copy of it back, or name another folder", path = .path.display())]
    NoHead {
        /// Which.
        path: PathBuf,
    },
    /// A cell can't be opened.
    #[error("fleet: {path}: {why}", path = .path.display())]
    Cell {
        /// Which.
        path: PathBuf,
        /// Why.
        why: Box<redb::Error>,
    },
    /// It is still being read.
    #[error("fleet: it is still being read")]
    BeingRead,
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
    cells: Arc<Cells>,
    is_new: bool,
    dropped: Vec<String>,
}

/// The way to what a fleet's cells hold, for as many threads as want to read. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Reader {
    cells: Arc<Cells>,
    lanes: u32,
}

impl Reader {
    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.cells.databases().len()
    }

    /// Every lane of a cell that was ever saved; and what can't be read, in sentences.
    pub fn lanes(&self, cell: usize) -> Result<(Vec<Stored>, Vec<String>), FleetError> {
        let Some(Some(database)) = self.cells.databases().get(cell) else { return Ok((Vec::new(), Vec::new())) };
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
        let cells = self.cells.databases().iter().enumerate();
        let cells = cells.filter_map(|(number, cell)| Some((number, cell.as_ref()?)));
        cells.map(|(number, cell)| cell::count(cell).map_err(broken(number))).sum()
    }
}

fn broken(cell: usize) -> impl Fn(redb::Error) -> FleetError {
    move |why| FleetError::Cell { path: PathBuf::from(cells::name(cell)), why: Box::new(why) }
}

impl Fleet {
    /// Opens a folder, or makes it. A cell that is damaged is kept beside, and said in [`Fleet::dropped`].
    pub fn open(folder: &Path, whose: Whose) -> Result<Self, FleetError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let claim = Claim::stake(folder)?;
        Fleet::claimed(claim, folder, whose, |_| true)
    }

    /// The same for some of the cells: several processes have a fleet together, each its own cells. Whoever begins them
    /// has opened the whole before, and made it.
    pub fn open_cells(folder: &Path, whose: Whose, wanted: impl Fn(usize) -> bool) -> Result<Self, FleetError> {
        let claim = Claim::share(folder)?;
        Fleet::claimed(claim, folder, whose, wanted)
    }

    fn claimed(claim: Claim, folder: &Path, whose: Whose, wanted: impl Fn(usize) -> bool) -> Result<Self, FleetError> {
        let (head_path, secret_path) = (folder.join(FILE), folder.join(SECRET));
        let is_new = !head_path.exists();
        if !is_new {
            same(folder, &whose_is(folder)?, &whose)?;
        }
        let earlier = cells::kept(folder, &whose, &wanted)?;
        let (cells, dropped) = Cells::open(claim, folder, &whose, is_new, wanted)?;
        let reader = Reader { cells: Arc::new(cells), lanes: whose.lanes };
        if is_new {
            if reader.count()? > 0 || !dropped.is_empty() {
                return Err(FleetError::NoHead { path: head_path });
            }
            let mut secret = [0; 32];
            rand::fill(&mut secret).map_err(|_| FleetError::NoRandomness)?;
            private::write(&secret_path, &secret).map_err(at(&secret_path))?;
            // The last thing to appear: with it there is a fleet, from which no cell may be missing.
            let head = Head { version: VERSION, whose: whose.clone() };
            let text = serde_json::to_vec_pretty(&head)
                .map_err(|why| FleetError::Head { path: head_path.clone(), why: why.to_string() })?;
            private::write(&head_path, &text).map_err(at(&head_path))?;
        }
        let secret = fs::read(&secret_path).map_err(at(&secret_path))?;
        let secret: [u8; 32] = secret.try_into().map_err(|_| {
            let why = "its secret has 32 bytes, this file has not: put a copy of it back";
            FleetError::File { path: secret_path, why: io::Error::other(why) }
        })?;
        Ok(Fleet { whose, secret, cells: reader.cells, is_new, dropped: [earlier, dropped].concat() })
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

    /// Gives back to the file system what cells no longer need; for each cell, whether there was something. Gives what
    /// was dropped when it was opened; a [`Reader`] that is left is an error.
    pub fn compact(self, mut each: impl FnMut(usize, bool)) -> Result<Vec<String>, FleetError> {
        let mut cells = Arc::into_inner(self.cells).ok_or(FleetError::BeingRead)?;
        for (number, cell) in cells.databases_mut().iter_mut().enumerate() {
            let Some(cell) = cell else { continue };
            each(number, cell.compact().map_err(|why| broken(number)(why.into()))?);
        }
        Ok(self.dropped)
    }

    /// Whether this is the folder's first run.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// From which the fleet's push tokens come.
    pub fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// What was lost when it was opened, or earlier if what is damaged still lies beside, in sentences.
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
