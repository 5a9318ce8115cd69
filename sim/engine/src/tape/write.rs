//! Writing: each shard fills pages of its own and never waits; one thread has the file.

use super::{FIRST_LINE, Header, LAST_LINE_BYTES, Line, PAGE_BYTES, PAGE_BYTES_MAX, Taped};
use crate::run::RunError;
use droves_device::Device;
use droves_device::tape::{self, Record};
use droves_shard::Shard;
use serde::Serialize;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Pages that wait for the disk.
const PAGES_MAX: usize = 16;

/// The thread that writes. It ends with the last of its [`Taper`]s.
pub(crate) struct Recorder {
    way: SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Begins a tape, in the place of what is in the file.
    pub(crate) fn start(path: &Path, header: &Header) -> Result<Self, RunError> {
        let failed = |why| RunError::Tape { path: path.to_owned(), why };
        let file = create(path).map_err(failed)?;
        let first = page_of(header);
        let (way, pages) = sync_channel(PAGES_MAX);
        let path = path.to_owned();
        let write = move || {
            if let Err(error) = write(file, &first, &pages) {
                // Without a receiver, shards count what is lost.
                tracing::error!(%error, "tape {}", path.display());
            }
        };
        Ok(Recorder { way, thread: thread::Builder::new().name("tape".to_owned()).spawn(write)? })
    }

    /// A shard's way to it.
    pub(crate) fn taper(&self, shard: usize) -> Taper {
        Taper::of(shard, self.way.clone())
    }

    /// Waits until everything is in the file.
    pub(crate) fn finish(self) {
        drop(self.way);
        // A panic has been printed, and the tape has no end.
        drop(self.thread.join());
    }
}

/// The file of one of several processes.
pub(crate) fn part(path: &Path, process: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{process}"));
    name.into()
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::fs::Permissions;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // It may have been there; and what is no file, such as a device, is not ours to close.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

fn write(mut file: File, first: &[u8], pages: &Receiver<Vec<u8>>) -> io::Result<()> {
    file.write_all(FIRST_LINE)?;
    write_page(&mut file, first)?;
    while let Ok(page) = pages.recv() {
        write_page(&mut file, &page)?;
    }
    file.sync_all()
}

pub(super) fn write_page(file: &mut impl Write, page: &[u8]) -> io::Result<()> {
    let length = u32::try_from(page.len()).map_err(io::Error::other)?;
    file.write_all(&[length.to_le_bytes().as_slice(), &tape::sum(page)].concat())?;
    file.write_all(page)
}

pub(super) fn page_of(value: &impl Serialize) -> Vec<u8> {
    append(Vec::new(), value)
}

fn begin_page(shard: usize) -> Vec<u8> {
    page_of(&shard)
}

fn append(page: Vec<u8>, value: &impl Serialize) -> Vec<u8> {
    // Serialising into a vector fails for no value of ours.
    postcard::to_extend(value, page).unwrap_or_default()
}

/// A shard's way to the tape.
pub(crate) struct Taper {
    shard: usize,
    way: SyncSender<Vec<u8>>,
    page: Vec<u8>,
    records: Vec<Record>,
    taped: Taped,
    /// The disk could not keep up.
    is_cut: bool,
}

impl Taper {
    pub(super) fn of(shard: usize, way: SyncSender<Vec<u8>>) -> Self {
        let (page, records, taped) = (begin_page(shard), Vec::new(), Taped::default());
        Taper { shard, way, page, records, taped, is_cut: false }
    }

    /// Takes what the shard has recorded.
    pub(crate) fn take(&mut self, shard: &mut Shard<Device>) {
        shard.drain_tape(&mut self.records);
        let mut records = std::mem::take(&mut self.records);
        for record in records.drain(..) {
            self.put(record);
        }
        self.records = records;
        if self.page.len() >= PAGE_BYTES {
            self.hand_in();
        }
    }

    pub(super) fn put(&mut self, record: Record) {
        let steps = u64::from(matches!(record, Record::Step(_)));
        if !self.is_cut {
            let before = self.page.len();
            self.page = append(std::mem::take(&mut self.page), &Line::Record(record));
            if self.page.len() <= PAGE_BYTES_MAX - LAST_LINE_BYTES {
                self.taped.steps += steps;
                return;
            }
            // Of a lane of which something is missing nothing more can be demanded, and lanes hang together.
            self.page.truncate(before);
            self.is_cut = true;
        }
        self.taped.lost += steps;
    }

    /// Hands in the page, if anything is on it. While the disk is behind, it grows.
    pub(crate) fn hand_in(&mut self) {
        let new = begin_page(self.shard);
        if self.page.len() == new.len() {
            return;
        }
        let page = std::mem::replace(&mut self.page, new);
        if let Err(TrySendError::Full(page) | TrySendError::Disconnected(page)) = self.way.try_send(page) {
            self.page = page;
        }
    }

    /// The shard is over: now it may wait. Gives what is on the tape.
    pub(crate) fn finish(self) -> Taped {
        let page = append(self.page, &Line::End(self.taped));
        match self.way.send(page) {
            Ok(()) => self.taped,
            // The writer has failed, and said why.
            Err(_) => Taped { steps: 0, lost: self.taped.steps + self.taped.lost },
        }
    }
}
