//! A device of any platform: what a shard runs where a fleet is mixed.
//!
//! Each family of platforms keeps its own machine; here is nothing but which one it is. In the store the first byte of
//! a record or of a shared part says so: families count their versions in ranges of their own.

use crate::apple::{self, Apple};
use crate::{Action, Ctx, Event, Machine, Slept};
use bytes::Bytes;
use droves_facts::{DeviceState, Family, Platform};
use std::sync::Arc;

/// One lane of a device while it is awake, and what it has in common with others as it was when the lane was opened.
#[derive(Debug)]
pub enum Device {
    /// An iPhone, an iPad or a Mac.
    Apple(Apple, Arc<Shared>),
}

/// The record of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// Of an Apple device.
    Apple(apple::Record),
}

/// What a lane has in common with others.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Shared {
    /// Of an Apple device.
    Apple(Arc<apple::Shared>),
}

impl Default for Record {
    fn default() -> Self {
        Record::Apple(apple::Record::default())
    }
}

impl Default for Shared {
    fn default() -> Self {
        Shared::Apple(Arc::default())
    }
}

impl From<Slept<Apple>> for Slept<Device> {
    fn from(Slept { record, shared, own }: Slept<Apple>) -> Self {
        Slept { record: Record::Apple(record), shared: Arc::new(Shared::Apple(shared)), own }
    }
}

impl Machine for Device {
    type Record = Record;
    type Shared = Shared;

    fn unenrolled(platform: Platform) -> Slept<Self> {
        match platform.family() {
            Family::Apple | Family::Windows => Slept::default(),
        }
    }

    #[inline]
    fn open(slept: Slept<Self>) -> Self {
        let Slept { record, shared, own } = slept;
        match (record, &*shared) {
            (Record::Apple(record), Shared::Apple(of_apple)) => {
                Device::Apple(Apple::open(Slept { record, shared: Arc::clone(of_apple), own }), shared)
            }
        }
    }

    #[inline]
    fn fold(self) -> Slept<Self> {
        match self {
            Device::Apple(machine, before) => {
                let Slept { record, shared, own } = machine.fold();
                let same = matches!(&*before, Shared::Apple(before) if Arc::ptr_eq(before, &shared));
                let shared = if same { before } else { Arc::new(Shared::Apple(shared)) };
                Slept { record: Record::Apple(record), shared, own }
            }
        }
    }

    fn record(&self) -> Record {
        match self {
            Device::Apple(machine, _) => Record::Apple(machine.record()),
        }
    }

    #[inline]
    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        match self {
            Device::Apple(machine, _) => machine.on(event, ctx),
        }
    }

    fn sister(&self) -> Arc<Shared> {
        match self {
            Device::Apple(machine, _) => Arc::new(Shared::Apple(machine.sister())),
        }
    }

    fn magic(record: &Record, ctx: &Ctx<'_>) -> Option<String> {
        match record {
            Record::Apple(record) => Apple::magic(record, ctx),
        }
    }

    fn state(record: &Record) -> DeviceState {
        match record {
            Record::Apple(record) => Apple::state(record),
        }
    }

    fn registration(record: &Record, shared: &Shared) -> Option<(u32, Arc<str>)> {
        match (record, shared) {
            (Record::Apple(record), Shared::Apple(shared)) => Apple::registration(record, shared),
        }
    }

    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        match ctx.character.platform.family() {
            Family::Apple | Family::Windows => Apple::enrollment_id(ctx),
        }
    }

    fn check_ins(record: &Record, shared: &Shared, ctx: &Ctx<'_>) -> Vec<Bytes> {
        match (record, shared) {
            (Record::Apple(record), Shared::Apple(shared)) => Apple::check_ins(record, shared, ctx),
        }
    }

    fn resume(record: &Record, ctx: &Ctx<'_>) -> Action {
        match record {
            Record::Apple(record) => Apple::resume(record, ctx),
        }
    }

    fn record_to_bytes(record: &Record) -> Vec<u8> {
        match record {
            Record::Apple(record) => Apple::record_to_bytes(record),
        }
    }

    fn record_from_bytes(bytes: &[u8]) -> Result<Record, String> {
        Apple::record_from_bytes(bytes).map(Record::Apple)
    }

    fn shared_to_bytes(shared: &Shared) -> Vec<u8> {
        match shared {
            Shared::Apple(shared) => Apple::shared_to_bytes(shared),
        }
    }

    fn shared_from_bytes(bytes: &[u8]) -> Result<Shared, String> {
        Apple::shared_from_bytes(bytes).map(|shared| Shared::Apple(Arc::new(shared)))
    }
}
