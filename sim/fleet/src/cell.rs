//! One cell: a redb file with three tables.
//!
//! What many lanes have in common is stored once, under its SHA-256.

use aws_lc_rs::digest;
use droves_facts::LaneIx;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

const LANES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("lanes");
const SHARED: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("shared");

/// A lane as it was saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Whose.
    pub lane: LaneIx,
    /// The record, as the machine encodes it.
    pub record: Vec<u8>,
    /// What it has in common with others, as the machine encodes it.
    pub shared: Arc<[u8]>,
    /// What is its own.
    pub own: Option<Vec<u8>>,
    /// The device's identity, with its main lane.
    pub identity: Option<StoredIdentity>,
    /// Whether the lane is over.
    pub ended: bool,
}

/// A certificate as it was issued, and the number of its key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredIdentity {
    /// The key's number.
    pub key: u32,
    /// DER.
    pub certificate: Vec<u8>,
}

/// A lane's row.
#[derive(Serialize, Deserialize)]
struct Row {
    record: Vec<u8>,
    shared: [u8; 32],
    own: Option<Vec<u8>>,
    identity: Option<StoredIdentity>,
    ended: bool,
}

/// A lane, or which one can't be read, and why.
pub(crate) type Readable = Result<Stored, (LaneIx, String)>;

/// How many lanes a cell holds.
pub(crate) fn count(cell: &Database) -> Result<u64, redb::Error> {
    match cell.begin_read()?.open_table(LANES) {
        Ok(lanes) => Ok(lanes.len()?),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Every lane of a cell, in order. A row that can't be read is an error with its lane.
pub(crate) fn read(cell: &Database) -> Result<Vec<Readable>, redb::Error> {
    let transaction = cell.begin_read()?;
    let (lanes, shared) = match (transaction.open_table(LANES), transaction.open_table(SHARED)) {
        (Ok(lanes), Ok(shared)) => (lanes, shared),
        // Nothing was ever saved in it.
        (Err(redb::TableError::TableDoesNotExist(_)), _) | (_, Err(redb::TableError::TableDoesNotExist(_))) => {
            return Ok(Vec::new());
        }
        (Err(error), _) | (_, Err(error)) => return Err(error.into()),
    };
    let mut known: HashMap<[u8; 32], Arc<[u8]>> = HashMap::new();
    let mut rows = Vec::new();
    for entry in lanes.iter()? {
        let (lane, bytes) = entry?;
        let lane = LaneIx(lane.value());
        let row: Row = match postcard::from_bytes(bytes.value()) {
            Ok(row) => row,
            Err(error) => {
                rows.push(Err((lane, error.to_string())));
                continue;
            }
        };
        let part = match known.get(&row.shared) {
            Some(part) => Some(Arc::clone(part)),
            None => shared.get(&row.shared)?.map(|part| {
                let part: Arc<[u8]> = part.value().into();
                known.insert(row.shared, Arc::clone(&part));
                part
            }),
        };
        rows.push(match part {
            Some(shared) => {
                Ok(Stored { lane, record: row.record, shared, own: row.own, identity: row.identity, ended: row.ended })
            }
            None => Err((lane, "its shared part is missing".to_owned())),
        });
    }
    Ok(rows)
}

/// Puts lanes in their latest state in.
pub(crate) fn write<'a>(
    transaction: &WriteTransaction,
    lanes: impl Iterator<Item = &'a Stored>,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(LANES)?;
    let mut parts = transaction.open_table(SHARED)?;
    for lane in lanes {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &lane.shared).as_ref());
        if parts.get(&hash)?.is_none() {
            parts.insert(&hash, &*lane.shared)?;
        }
        let row = Row {
            record: lane.record.clone(),
            shared: hash,
            own: lane.own.clone(),
            identity: lane.identity.clone(),
            ended: lane.ended,
        };
        let bytes = postcard::to_allocvec(&row)
            .map_err(|error| redb::Error::Corrupted(format!("lane {} does not serialise: {error}", lane.lane)))?;
        table.insert(lane.lane.0, &*bytes)?;
    }
    Ok(())
}
