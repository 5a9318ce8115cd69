//! A fleet as one file, to be carried elsewhere: a line of JSON for whose it is, one for each lane, and an end with a
//! digest of all that came before.
//!
//! The file holds the secret from which push tokens come, and certificates; private keys are not in it.

use crate::cell::{Stored, StoredIdentity};
use crate::fleet::{Fleet, FleetError, Whose};
use crate::landing::Landing;
use crate::private;
use aws_lc_rs::digest;
use droves_facts::LaneIx;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

/// Version of the file.
const VERSION: u32 = 2;
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

/// The last line, without which a file is cut off. A digit more or less in a certificate is hexadecimal still, and the
/// server would get the blame: the digest finds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    lanes_in_all: u64,
    /// Of all lines before, with their line feeds.
    sha256: String,
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
    let mut lines = Out { to, digest: digest::Context::new(&digest::SHA256) };
    lines.write(&head)?;
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
            lines.write(&row)?;
            count += 1;
        }
    }
    let sha256 = hex::encode(lines.digest.clone().finish());
    lines.write(&End { lanes_in_all: count, sha256 })?;
    lines.to.flush()?;
    Ok(Exported { lanes: count, dropped })
}

struct Out<'a, W> {
    to: &'a mut W,
    digest: digest::Context,
}

impl<W: Write> Out<'_, W> {
    fn write(&mut self, row: &impl Serialize) -> Result<(), CopyError> {
        let mut text = serde_json::to_vec(row).map_err(io::Error::from)?;
        text.push(b'\n');
        self.digest.update(&text);
        Ok(self.to.write_all(&text)?)
    }
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
    let mut lines = Lines { from, line: 0, text: Vec::new(), before: digest::Context::new(&digest::SHA256) };
    let head: Head = lines.next()?.ok_or_else(|| lines.bad("the file is empty"))?;
    if head.droves_fleet != VERSION {
        return Err(lines.bad(format!("its version is {}, this program's is {VERSION}", head.droves_fleet)));
    }
    let secret = lines.bytes(&head.secret)?;
    if secret.len() != 32 || head.whose.cells.len().max(head.whose.devices_of_cells.len()) > CELLS_MAX + 1 {
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
                Row::End(end) => return lines.end(&end, count),
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
    text: Vec<u8>,
    /// Of all lines before this one.
    before: digest::Context,
}

impl<R: BufRead> Lines<'_, R> {
    fn next<T: for<'a> Deserialize<'a>>(&mut self) -> Result<Option<T>, CopyError> {
        self.line += 1;
        self.before.update(&self.text);
        self.text.clear();
        let mut bounded = io::Read::take(&mut *self.from, LINE_BYTES_MAX);
        if bounded.read_until(b'\n', &mut self.text)? == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&self.text).map(Some).map_err(|why| self.bad(why.to_string()))
    }

    /// Whether all came before the end, as it was written, and nothing comes after it.
    fn end(&mut self, end: &End, count: u64) -> Result<u64, CopyError> {
        if end.lanes_in_all != count {
            return Err(self.bad(format!("there are {count} lanes before the end, not {}", end.lanes_in_all)));
        }
        if end.sha256 != hex::encode(self.before.clone().finish()) {
            return Err(self.bad("something before it is not as it was written: get the file again"));
        }
        self.line += 1;
        if self.from.fill_buf()?.is_empty() { Ok(count) } else { Err(self.bad("the file goes on after its end")) }
    }

    fn bytes(&self, text: &str) -> Result<Vec<u8>, CopyError> {
        hex::decode(text).map_err(|why| self.bad(why.to_string()))
    }

    fn bad(&self, why: impl Into<String>) -> CopyError {
        CopyError::Line { line: self.line, why: why.into() }
    }
}
