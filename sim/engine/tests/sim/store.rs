//! The fleet's own store on a disk that there is: its cells, and the thread that writes them.
//!
//! A kill is a copy of the folder, taken while the store is open and nothing is under way: the files are as a killed
//! process leaves them, and whoever opens them has to mend them first.

use droves_engine::{Keep, restored};
use droves_fleet::{Fleet, FleetError, Landing, Whose, Writer};
use droves_scenario::plan::Plan;
use droves_shard::Snapshot;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A fleet's folder, open.
pub(crate) struct Store {
    whose: Whose,
    folder: TempDir,
    keep: Keep,
    writer: Writer,
    landing: Arc<Landing>,
}

impl Store {
    /// A fleet that nobody has saved anything of. Each population has a cell.
    pub(crate) fn new(plan: &Plan) -> Result<Self, String> {
        let lanes = plan.roster().lanes();
        let starts = plan.populations.iter().map(|population| population.lanes.start);
        let whose = Whose {
            seed: plan.seed,
            devices: plan.roster().devices(),
            lanes,
            populations: String::new(),
            cells: starts.chain([lanes]).collect(),
            devices_of_cells: Vec::new(),
        };
        Ok(Store::open(whose, folder()?)?.0)
    }

    /// Opens a folder; and what is in it.
    fn open(whose: Whose, folder: TempDir) -> Result<(Self, Vec<Snapshot>), String> {
        let said = |error: FleetError| error.to_string();
        let fleet = Fleet::open(folder.path(), whose.clone()).map_err(said)?;
        let mut dropped = fleet.dropped().to_vec();
        let (reader, mut found) = (fleet.reader(), Vec::new());
        for cell in 0..reader.cells() {
            let (lanes, mut unreadable) = reader.lanes(cell).map_err(said)?;
            found.extend(lanes.into_iter().map(restored));
            dropped.append(&mut unreadable);
        }
        if let Some(first) = dropped.first() {
            return Err(first.clone());
        }
        drop(reader);
        let (writer, landing) = Landing::of(fleet).map_err(said)?;
        let keep = Keep::new(Some(writer.saver()));
        Ok((Store { whose, folder, keep, writer, landing }, found))
    }

    /// Hands the writer a lane.
    pub(crate) fn save(&mut self, snapshot: Snapshot) {
        self.landing.leaves();
        self.keep.save(Some(1), snapshot);
    }

    /// What the writer has is on the disk, and then it is killed. Gives the store that another opens, and what that finds.
    pub(crate) fn kill(self) -> Result<(Self, Vec<Snapshot>), String> {
        self.landing.wait();
        if let Some(trouble) = self.landing.trouble() {
            return Err(trouble);
        }
        let left = folder()?;
        copy(self.folder.path(), left.path()).map_err(|error| error.to_string())?;
        drop(self.keep);
        self.writer.finish();
        Store::open(self.whose, left)
    }
}

fn folder() -> Result<TempDir, String> {
    tempfile::tempdir_in(crate::trial::in_memory()).map_err(|error| error.to_string())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
