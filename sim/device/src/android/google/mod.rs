//! Android devices that are managed by Google's Android Device Policy: all that they say goes to Google.

use crate::kept::{from_bytes, to_bytes};
use crate::{Action, Character, Ctx, Event, Machine, Reasons, Slept, What, Why};
use bytes::Bytes;
use droves_facts::{DeviceState, Mono};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A lane while it is awake.
#[derive(Debug, Default)]
pub struct Google {
    record: Record,
    shared: Arc<Shared>,
}

/// What sleeps of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {}

/// What a lane has in common with others.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Shared {}

/// Version of a record's bytes: the first byte tells the kinds of devices apart.
const RECORD_VERSION: u8 = 0xA1;
/// Version of a shared part's bytes.
const SHARED_VERSION: u8 = 0xA1;

impl Machine for Google {
    type Record = Record;
    type Shared = Shared;

    fn unenrolled(_: &Character) -> Slept<Self> {
        Slept::default()
    }

    fn open(slept: Slept<Self>) -> Self {
        Google { record: slept.record, shared: slept.shared }
    }

    fn fold(self) -> Slept<Self> {
        Slept { record: self.record, shared: self.shared, own: None }
    }

    fn snapshot(&self) -> Slept<Self> {
        Slept { record: self.record, shared: Arc::clone(&self.shared), own: None }
    }

    fn record(&self) -> Record {
        self.record
    }

    fn on(&mut self, _: Event<'_>, _: &mut Ctx<'_>) -> Action {
        Action { what: What::End(Why::GaveUp), until: Mono::NEVER, hear: Reasons::ORDER }
    }

    fn sister(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    fn magic(_: &Record, _: &Ctx<'_>) -> Option<String> {
        None
    }

    fn state(_: &Record) -> DeviceState {
        DeviceState::Unenrolled
    }

    fn registration(_: &Record, _: &Shared) -> Option<(u32, Arc<str>)> {
        None
    }

    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        ctx.device.to_string()
    }

    fn check_ins(_: &Record, _: &Shared, _: &Ctx<'_>) -> Vec<Bytes> {
        Vec::new()
    }

    fn resume(_: &Record, _: &Ctx<'_>) -> Action {
        Action { what: What::Sleep { lag: droves_facts::Dur::ZERO }, until: Mono::NEVER, hear: Reasons::ORDER }
    }

    fn record_to_bytes(record: &Record) -> Vec<u8> {
        to_bytes(RECORD_VERSION, record)
    }

    fn record_from_bytes(bytes: &[u8]) -> Result<Record, String> {
        from_bytes("record", RECORD_VERSION, bytes)
    }

    fn shared_to_bytes(shared: &Shared) -> Vec<u8> {
        to_bytes(SHARED_VERSION, shared)
    }

    fn shared_from_bytes(bytes: &[u8]) -> Result<Shared, String> {
        from_bytes("shared part", SHARED_VERSION, bytes)
    }
}
