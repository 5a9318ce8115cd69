//! A fleet as one file, to be carried elsewhere: a line of JSON for whose it is, and one for each lane.
//!
//! The file holds the secret from which push tokens come, and certificates; private keys are not in it.

use crate::cell::{Stored, StoredIdentity};
use crate::fleet::{Fleet, FleetError, Whose};
use crate::landing::Landing;
use crate::private;
use droves_facts::LaneIx;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

/// Version of the file.
const VERSION: u32 = 1;
/// A line of a lane with a thousand profiles has a few MB.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Each is a file, and a copy may come from anywhere.
const CELLS_MAX: usize = 64;

/// Why a fleet can't be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The fleet.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The file can't be read or written.
    #[error("copy of a fleet: {0}")]
    File(#[from] io::Error),
    /// A line is none of such a file.
    #[error("copy of a fleet: line {line}: {why}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// Why.
        why: String,
    },
    /// There is a fleet already.
    #[error("{0}: there is a fleet already; name another folder")]
    There(String),
}

#[derive(Serialize, Deserialize)]
struct Head {
    droves_fleet: u32,
    #[serde(flatten)]
    whose: Whose,
    secret: String,
}

/// One lane. What many have in common stands with the first one that has it, under a number.
#[derive(Serialize, Deserialize)]
struct Line {
    lane: u32,
    record: String,
    shared: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shares: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default)]
    ended: bool,
}

/// The last line, without which a file is cut off.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    lanes_in_all: u64,
}

/// A line after the first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    End(End),
    Lane(Box<Line>),
}

/// What went into a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exported {
    /// How many lanes.
    pub lanes: u64,
    /// What can't be read and is left out, in sentences.
    pub dropped: Vec<String>,
}

/// Writes a fleet, as far as it can be read.
pub fn export(folder: &Path, to: &mut impl Write) -> Result<Exported, CopyError> {
    let fleet = Fleet::reopen(folder)?;
    let mut dropped = fleet.dropped().to_vec();
    let head = Head { droves_fleet: VERSION, whose: fleet.whose().clone(), secret: hex::encode(fleet.secret()) };
    line(to, &head)?;
    let reader = fleet.reader();
    let mut known: HashMap<Arc<[u8]>, u64> = HashMap::new();
    let mut count = 0;
    for cell in 0..reader.cells() {
        let (lanes, mut unreadable) = reader.lanes(cell)?;
        dropped.append(&mut unreadable);
        for stored in lanes {
            let Stored { lane, record, shared, own, identity, ended } = stored;
            let number = known.len() as u64;
            let (shared, shares) = match known.get(&shared) {
                Some(number) => (*number, None),
                None => {
                    let text = hex::encode(&shared);
                    known.insert(shared, number);
                    (number, Some(text))
                }
            };
            let row = Line {
                lane: lane.0,
                record: hex::encode(record),
                shared,
                shares,
                own: own.map(hex::encode),
                key: identity.as_ref().map(|identity| identity.key),
                certificate: identity.map(|identity| hex::encode(identity.certificate)),
                ended,
            };
            line(to, &row)?;
            count += 1;
        }
    }
    line(to, &End { lanes_in_all: count })?;
    to.flush()?;
    Ok(Exported { lanes: count, dropped })
}

fn line(to: &mut impl Write, row: &impl Serialize) -> Result<(), CopyError> {
    serde_json::to_writer(&mut *to, row).map_err(io::Error::from)?;
    Ok(to.write_all(b"\n")?)
}

/// Makes a fleet out of such a file, in a folder that has none; gives how many lanes. Whole, or not at all.
pub fn import(folder: &Path, from: &mut impl BufRead) -> Result<u64, CopyError> {
    if folder.join("fleet.json").exists() {
        return Err(CopyError::There(folder.display().to_string()));
    }
    let new = folder.with_extension(format!("new-{}", std::process::id()));
    let count = fill(&new, from).and_then(|count| fs::rename(&new, folder).map(|()| count).map_err(CopyError::File));
    if count.is_err() {
        // The first error is the one to tell.
        drop(fs::remove_dir_all(&new));
    }
    count
}

fn fill(folder: &Path, from: &mut impl BufRead) -> Result<u64, CopyError> {
    let mut lines = Lines { from, line: 0 };
    let head: Head = lines.next()?.ok_or_else(|| lines.bad("the file is empty"))?;
    if head.droves_fleet != VERSION {
        return Err(lines.bad(format!("its version is {}, this program's is {VERSION}", head.droves_fleet)));
    }
    let secret = lines.bytes(&head.secret)?;
    if secret.len() != 32 || head.whose.cells.len() > CELLS_MAX + 1 {
        return Err(lines.bad("a secret has 32 bytes, and a fleet 64 cells at most"));
    }
    let lanes = head.whose.lanes;
    // The folder is made with a secret of its own; this one takes its place.
    drop(Fleet::open(folder, head.whose)?);
    private::write(&folder.join("secret"), &secret)?;
    let fleet = Fleet::reopen(folder)?;
    let (writer, landing) = Landing::of(fleet)?;
    let saver = writer.saver();
    let read = (|| {
        let (mut known, mut count): (HashMap<u64, Arc<[u8]>>, u64) = (HashMap::new(), 0);
        loop {
            let row = match lines.next::<Row>()?.ok_or_else(|| lines.bad("the file is cut off"))? {
                Row::Lane(row) => *row,
                Row::End(End { lanes_in_all }) if lanes_in_all == count => return Ok(count),
                Row::End(_) => return Err(lines.bad("lanes are missing before the end")),
            };
            if row.lane >= lanes {
                return Err(lines.bad(format!("lane {} is beyond the fleet", row.lane)));
            }
            if let Some(shares) = &row.shares {
                known.insert(row.shared, lines.bytes(shares)?.into());
            }
            let shared =
                known.get(&row.shared).cloned().ok_or_else(|| lines.bad("what it shares did not come before"))?;
            let own = row.own.map(|own| lines.bytes(&own)).transpose()?;
            let certificate = row.certificate.map(|certificate| lines.bytes(&certificate)).transpose()?;
            let identity = row.key.zip(certificate).map(|(key, certificate)| StoredIdentity { key, certificate });
            let record = lines.bytes(&row.record)?;
            landing.leaves();
            saver.save(Some(0), Stored { lane: LaneIx(row.lane), record, shared, own, identity, ended: row.ended });
            count += 1;
        }
    })();
    drop(saver);
    writer.finish();
    match landing.trouble() {
        Some(why) => Err(CopyError::File(io::Error::other(why))),
        None => read,
    }
}

struct Lines<'a, R> {
    from: &'a mut R,
    line: u64,
}

impl<R: BufRead> Lines<'_, R> {
    fn next<T: for<'a> Deserialize<'a>>(&mut self) -> Result<Option<T>, CopyError> {
        self.line += 1;
        let mut text = Vec::new();
        let mut bounded = io::Read::take(&mut *self.from, LINE_BYTES_MAX);
        if bounded.read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&text).map(Some).map_err(|why| self.bad(why.to_string()))
    }

    fn bytes(&self, text: &str) -> Result<Vec<u8>, CopyError> {
        hex::decode(text).map_err(|why| self.bad(why.to_string()))
    }

    fn bad(&self, why: impl Into<String>) -> CopyError {
        CopyError::Line { line: self.line, why: why.into() }
    }
}
