//! The one thread that writes.

use crate::cell::{self, Stored};
use crate::cells::Cells;
use droves_facts::LaneIx;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Changes wait at most this long for others to be committed with.
const GROUP_WAIT: Duration = Duration::from_millis(20);
/// Changes of one commit at most.
const GROUP_MAX: usize = 1_000;

/// Told, on the writer's thread, what has become of a change: its lane, its ticket, and the error if it is not on the
/// disk.
pub type Acknowledge = Box<dyn Fn(LaneIx, u32, Result<(), String>) + Send>;

/// The way to the writer's thread. Cheap to copy; the thread ends when all copies are gone and everything is written.
#[derive(Debug)]
pub struct Writer {
    changes: Sender<Change>,
    thread: JoinHandle<()>,
}

/// A change, and the ticket of whoever waits for it.
struct Change {
    ticket: Option<u32>,
    lane: Stored,
}

/// One of several ways to the writer.
#[derive(Clone, Debug)]
pub struct Saver(Sender<Change>);

impl Saver {
    /// Hands a lane's latest state over. Never waits.
    pub fn save(&self, ticket: Option<u32>, lane: Stored) {
        // A writer that is gone has reported why.
        drop(self.0.send(Change { ticket, lane }));
    }
}

impl Writer {
    pub(crate) fn start(
        cells: Arc<Cells>,
        cell_of: Box<dyn Fn(LaneIx) -> usize + Send>,
        acknowledge: Acknowledge,
    ) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a shard must never wait: a lane has one change that it waits for, and one for each time it falls asleep"
        )]
        let (changes, queue) = channel();
        let thread = thread::Builder::new()
            .name("fleet-writer".to_owned())
            .spawn(move || run(&cells, &*cell_of, &queue, &acknowledge))?;
        Ok(Writer { changes, thread })
    }

    /// A way to hand changes over.
    pub fn saver(&self) -> Saver {
        Saver(self.changes.clone())
    }

    /// Waits until everything is written; all [`Saver`]s must be gone by then.
    pub fn finish(self) {
        drop(self.changes);
        // A panic there has been printed.
        drop(self.thread.join());
    }
}

fn run(cells: &Cells, cell_of: &dyn Fn(LaneIx) -> usize, queue: &Receiver<Change>, acknowledge: &Acknowledge) {
    while let Ok(first) = queue.recv() {
        let until = Instant::now() + GROUP_WAIT;
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            match queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(change) => group.push(change),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        commit(cells, cell_of, &group, acknowledge);
    }
}

/// Commits a group: one transaction a cell, of each lane its latest state.
fn commit(cells: &Cells, cell_of: &dyn Fn(LaneIx) -> usize, group: &[Change], acknowledge: &Acknowledge) {
    let mut by_cell: BTreeMap<usize, BTreeMap<LaneIx, &Stored>> = BTreeMap::new();
    for change in group {
        by_cell.entry(cell_of(change.lane.lane)).or_default().insert(change.lane.lane, &change.lane);
    }
    let mut failed: BTreeMap<usize, String> = BTreeMap::new();
    for (number, lanes) in &by_cell {
        let result =
            cells.databases().get(*number).and_then(Option::as_ref).ok_or_else(|| "no such cell".to_owned()).and_then(
                |cell| {
                    let write = || -> Result<(), redb::Error> {
                        let transaction = cell.begin_write()?;
                        cell::write(&transaction, lanes.values().copied())?;
                        Ok(transaction.commit()?)
                    };
                    write().map_err(|error| error.to_string())
                },
            );
        if let Err(error) = result {
            failed.insert(*number, error);
        }
    }
    for change in group {
        if let Some(ticket) = change.ticket {
            let result = failed.get(&cell_of(change.lane.lane)).cloned().map_or(Ok(()), Err);
            acknowledge(change.lane.lane, ticket, result);
        }
    }
}
