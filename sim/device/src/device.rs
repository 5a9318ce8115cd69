//! A device of any platform: what a shard runs where a fleet is mixed.
//!
//! Each family of platforms keeps its own machine; here is nothing but which one it is. In the store the first byte of
//! a record or of a shared part says so: families count their versions in ranges of their own, Windows from 0x80.

use crate::apple::{self, Apple};
use crate::windows::{self, Windows};
use crate::{Action, Ctx, Event, Machine, Slept};
use bytes::Bytes;
use droves_facts::{DeviceState, Family, Platform};
use std::sync::Arc;

/// One lane of a device while it is awake, and what it has in common with others as it was when the lane was opened.
#[derive(Debug)]
pub enum Device {
    /// An iPhone, an iPad or a Mac.
    Apple(Apple, Arc<Shared>),
    /// A PC.
    Windows(Windows, Arc<Shared>),
}

/// The record of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// Of an Apple device.
    Apple(apple::Record),
    /// Of a PC.
    Windows(windows::Record),
}

/// What a lane has in common with others.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Shared {
    /// Of an Apple device.
    Apple(Arc<apple::Shared>),
    /// Of a PC.
    Windows(Arc<windows::Shared>),
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

/// A record has the shared part of its own family; in the place of another's, which is a fault of ours, it has nothing.
impl Shared {
    fn of_apple(&self) -> Arc<apple::Shared> {
        match self {
            Shared::Apple(shared) => Arc::clone(shared),
            Shared::Windows(_) => Arc::default(),
        }
    }

    fn of_windows(&self) -> Arc<windows::Shared> {
        match self {
            Shared::Windows(shared) => Arc::clone(shared),
            Shared::Apple(_) => Arc::default(),
        }
    }
}

impl From<Slept<Apple>> for Slept<Device> {
    fn from(Slept { record, shared, own }: Slept<Apple>) -> Self {
        Slept { record: Record::Apple(record), shared: Arc::new(Shared::Apple(shared)), own }
    }
}

impl From<Slept<Windows>> for Slept<Device> {
    fn from(Slept { record, shared, own }: Slept<Windows>) -> Self {
        Slept { record: Record::Windows(record), shared: Arc::new(Shared::Windows(shared)), own }
    }
}

/// A lane of Apple's asleep; what it has in common with others is the value that it was, if it is the same.
fn of_apple(Slept { record, shared, own }: Slept<Apple>, before: Arc<Shared>) -> Slept<Device> {
    let same = matches!(&*before, Shared::Apple(before) if Arc::ptr_eq(before, &shared));
    let shared = if same { before } else { Arc::new(Shared::Apple(shared)) };
    Slept { record: Record::Apple(record), shared, own }
}

/// The same for Windows.
fn of_windows(Slept { record, shared, own }: Slept<Windows>, before: Arc<Shared>) -> Slept<Device> {
    let same = matches!(&*before, Shared::Windows(before) if Arc::ptr_eq(before, &shared));
    let shared = if same { before } else { Arc::new(Shared::Windows(shared)) };
    Slept { record: Record::Windows(record), shared, own }
}

impl Machine for Device {
    type Record = Record;
    type Shared = Shared;

    fn unenrolled(platform: Platform) -> Slept<Self> {
        match platform.family() {
            Family::Apple => Apple::unenrolled(platform).into(),
            Family::Windows => Windows::unenrolled(platform).into(),
        }
    }

    #[inline]
    fn open(slept: Slept<Self>) -> Self {
        let Slept { record, shared, own } = slept;
        match record {
            Record::Apple(record) => {
                Device::Apple(Apple::open(Slept { record, shared: shared.of_apple(), own }), shared)
            }
            Record::Windows(record) => {
                Device::Windows(Windows::open(Slept { record, shared: shared.of_windows(), own }), shared)
            }
        }
    }

    #[inline]
    fn fold(self) -> Slept<Self> {
        match self {
            Device::Apple(machine, before) => of_apple(machine.fold(), before),
            Device::Windows(machine, before) => of_windows(machine.fold(), before),
        }
    }

    fn snapshot(&self) -> Slept<Self> {
        match self {
            Device::Apple(machine, before) => of_apple(machine.snapshot(), Arc::clone(before)),
            Device::Windows(machine, before) => of_windows(machine.snapshot(), Arc::clone(before)),
        }
    }

    fn record(&self) -> Record {
        match self {
            Device::Apple(machine, _) => Record::Apple(machine.record()),
            Device::Windows(machine, _) => Record::Windows(machine.record()),
        }
    }

    #[inline]
    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        match self {
            Device::Apple(machine, _) => machine.on(event, ctx),
            Device::Windows(machine, _) => machine.on(event, ctx),
        }
    }

    fn sister(&self) -> Arc<Shared> {
        match self {
            Device::Apple(machine, _) => Arc::new(Shared::Apple(machine.sister())),
            Device::Windows(machine, _) => Arc::new(Shared::Windows(machine.sister())),
        }
    }

    fn magic(record: &Record, ctx: &Ctx<'_>) -> Option<String> {
        match record {
            Record::Apple(record) => Apple::magic(record, ctx),
            Record::Windows(record) => Windows::magic(record, ctx),
        }
    }

    fn state(record: &Record) -> DeviceState {
        match record {
            Record::Apple(record) => Apple::state(record),
            Record::Windows(record) => Windows::state(record),
        }
    }

    fn registration(record: &Record, shared: &Shared) -> Option<(u32, Arc<str>)> {
        match record {
            Record::Apple(record) => Apple::registration(record, &shared.of_apple()),
            Record::Windows(record) => Windows::registration(record, &shared.of_windows()),
        }
    }

    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        match ctx.character.platform.family() {
            Family::Apple => Apple::enrollment_id(ctx),
            Family::Windows => Windows::enrollment_id(ctx),
        }
    }

    fn check_ins(record: &Record, shared: &Shared, ctx: &Ctx<'_>) -> Vec<Bytes> {
        match record {
            Record::Apple(record) => Apple::check_ins(record, &shared.of_apple(), ctx),
            Record::Windows(record) => Windows::check_ins(record, &shared.of_windows(), ctx),
        }
    }

    fn resume(record: &Record, ctx: &Ctx<'_>) -> Action {
        match record {
            Record::Apple(record) => Apple::resume(record, ctx),
            Record::Windows(record) => Windows::resume(record, ctx),
        }
    }

    fn record_to_bytes(record: &Record) -> Vec<u8> {
        match record {
            Record::Apple(record) => Apple::record_to_bytes(record),
            Record::Windows(record) => Windows::record_to_bytes(record),
        }
    }

    fn record_from_bytes(bytes: &[u8]) -> Result<Record, String> {
        match family_of(bytes) {
            Family::Apple => Apple::record_from_bytes(bytes).map(Record::Apple),
            Family::Windows => Windows::record_from_bytes(bytes).map(Record::Windows),
        }
    }

    fn shared_to_bytes(shared: &Shared) -> Vec<u8> {
        match shared {
            Shared::Apple(shared) => Apple::shared_to_bytes(shared),
            Shared::Windows(shared) => Windows::shared_to_bytes(shared),
        }
    }

    fn shared_from_bytes(bytes: &[u8]) -> Result<Shared, String> {
        match family_of(bytes) {
            Family::Apple => Apple::shared_from_bytes(bytes).map(|shared| Shared::Apple(Arc::new(shared))),
            Family::Windows => Windows::shared_from_bytes(bytes).map(|shared| Shared::Windows(Arc::new(shared))),
        }
    }
}

/// Whose bytes they are: their version says it.
fn family_of(bytes: &[u8]) -> Family {
    match bytes.first() {
        Some(0x80..) => Family::Windows,
        _ => Family::Apple,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_store_tells_families_apart() {
        for platform in Platform::ALL {
            let slept = Device::unenrolled(platform);
            let is_windows = platform.family() == Family::Windows;
            assert_eq!(matches!(slept.record, Record::Windows(_)), is_windows, "{platform}");
            assert_eq!(matches!(*slept.shared, Shared::Windows(_)), is_windows, "{platform}");
            let record = Device::record_from_bytes(&Device::record_to_bytes(&slept.record)).unwrap();
            let shared = Device::shared_from_bytes(&Device::shared_to_bytes(&slept.shared)).unwrap();
            assert_eq!((record, &shared), (slept.record, &*slept.shared), "{platform}");
            let Slept { record, shared, .. } = Device::open(slept.clone()).fold();
            assert_eq!((record, &shared), (slept.record, &slept.shared), "{platform}");
        }
        assert!(Device::record_from_bytes(&[]).is_err());
        assert!(Device::record_from_bytes(&[0xFF, 0]).is_err());
    }
}
