//! A device of any platform: what a shard runs where a fleet is mixed.
//!
//! Each kind of device keeps its own machine; here is nothing but which one it is. In the store the first byte of a record
//! or of a shared part says so: kinds count their versions in ranges of their own.

use crate::android::{agent, google};
use crate::apple::{self, Apple};
use crate::windows::{self, Windows};
use crate::{Action, Character, Ctx, Enrolls, Event, Machine, Pool, Slept};
use bytes::Bytes;
use droves_facts::DeviceState;
use std::sync::Arc;

/// Which machine plays a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Apple,
    Windows,
    Google,
    Agent,
}

impl Kind {
    fn of(character: &Character) -> Kind {
        match character.enrolls {
            Enrolls::Profile(_) => Kind::Apple,
            Enrolls::Discovery(_) => Kind::Windows,
            Enrolls::Google(_) => Kind::Google,
            Enrolls::Agent(_) => Kind::Agent,
        }
    }

    /// Whose bytes they are: their version says it.
    fn of_bytes(bytes: &[u8]) -> Kind {
        match bytes.first() {
            Some(0xC0..) => Kind::Agent,
            Some(0xA0..) => Kind::Google,
            Some(0x80..) => Kind::Windows,
            _ => Kind::Apple,
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $room:ident $machine:ty, $doc:literal;)*) => {
        /// One lane of a device while it is awake, and what it has in common with others as it was when the lane was
        /// opened.
        #[derive(Debug)]
        pub enum Device {
            $(#[doc = $doc] $kind($machine, Arc<Shared>),)*
        }

        /// The record of a lane.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Record {
            $(#[doc = $doc] $kind($room::Record),)*
        }

        /// What a lane has in common with others.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum Shared {
            $(#[doc = $doc] $kind(Arc<$room::Shared>),)*
        }

        $(
            impl From<Slept<$machine>> for Slept<Device> {
                fn from(Slept { record, shared, own }: Slept<$machine>) -> Self {
                    Slept { record: Record::$kind(record), shared: Arc::new(Shared::$kind(shared)), own }
                }
            }

            /// A record has the shared part of its own kind; in the place of another's, which is a fault of ours, it has
            /// nothing.
            impl Of<$room::Shared> for Shared {
                fn of(&self) -> Arc<$room::Shared> {
                    match self {
                        Shared::$kind(shared) => Arc::clone(shared),
                        _ => Arc::default(),
                    }
                }

                fn is(&self, of: &Arc<$room::Shared>) -> bool {
                    matches!(self, Shared::$kind(shared) if Arc::ptr_eq(shared, of))
                }
            }
        )*

        impl Machine for Device {
            type Record = Record;
            type Shared = Shared;

            fn unenrolled(character: &Character) -> Slept<Self> {
                match Kind::of(character) {
                    $(Kind::$kind => <$machine>::unenrolled(character).into(),)*
                }
            }

            #[inline]
            fn open(slept: Slept<Self>) -> Self {
                let Slept { record, shared, own } = slept;
                match record {
                    $(Record::$kind(record) => {
                        Device::$kind(<$machine>::open(Slept { record, shared: shared.of(), own }), shared)
                    })*
                }
            }

            #[inline]
            fn fold(self) -> Slept<Self> {
                match self {
                    $(Device::$kind(machine, before) => {
                        let Slept { record, shared, own } = machine.fold();
                        Slept { record: Record::$kind(record), shared: same(before, shared, Shared::$kind), own }
                    })*
                }
            }

            fn snapshot(&self) -> Slept<Self> {
                match self {
                    $(Device::$kind(machine, before) => {
                        let Slept { record, shared, own } = machine.snapshot();
                        let shared = same(Arc::clone(before), shared, Shared::$kind);
                        Slept { record: Record::$kind(record), shared, own }
                    })*
                }
            }

            fn record(&self) -> Record {
                match self {
                    $(Device::$kind(machine, _) => Record::$kind(machine.record()),)*
                }
            }

            #[inline]
            fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
                match self {
                    $(Device::$kind(machine, _) => machine.on(event, ctx),)*
                }
            }

            fn sister(&self) -> Arc<Shared> {
                Arc::new(match self {
                    $(Device::$kind(machine, _) => Shared::$kind(machine.sister()),)*
                })
            }

            fn share(&mut self, shared: &Arc<Shared>) {
                match self {
                    $(Device::$kind(machine, before) => {
                        *before = Arc::clone(shared);
                        machine.share(&shared.of());
                    })*
                }
            }

            fn pooled(shared: &Arc<Shared>, pool: &mut Pool) -> Arc<Shared> {
                match &**shared {
                    $(Shared::$kind(part) => {
                        let pooled = <$machine>::pooled(part, pool);
                        if Arc::ptr_eq(&pooled, part) { Arc::clone(shared) } else { Arc::new(Shared::$kind(pooled)) }
                    })*
                }
            }

            fn magic(record: &Record, ctx: &Ctx<'_>) -> Option<String> {
                match record {
                    $(Record::$kind(record) => <$machine>::magic(record, ctx),)*
                }
            }

            fn state(record: &Record) -> DeviceState {
                match record {
                    $(Record::$kind(record) => <$machine>::state(record),)*
                }
            }

            fn registration(record: &Record, shared: &Shared) -> Option<(u32, Arc<str>)> {
                match record {
                    $(Record::$kind(record) => <$machine>::registration(record, &Of::<$room::Shared>::of(shared)),)*
                }
            }

            fn enrollment_id(ctx: &Ctx<'_>) -> String {
                match Kind::of(ctx.character) {
                    $(Kind::$kind => <$machine>::enrollment_id(ctx),)*
                }
            }

            fn check_ins(record: &Record, shared: &Shared, ctx: &Ctx<'_>) -> Vec<Bytes> {
                match record {
                    $(Record::$kind(record) => {
                        <$machine>::check_ins(record, &Of::<$room::Shared>::of(shared), ctx)
                    })*
                }
            }

            fn resume(record: &Record, ctx: &Ctx<'_>) -> Action {
                match record {
                    $(Record::$kind(record) => <$machine>::resume(record, ctx),)*
                }
            }

            fn record_to_bytes(record: &Record) -> Vec<u8> {
                match record {
                    $(Record::$kind(record) => <$machine>::record_to_bytes(record),)*
                }
            }

            fn record_from_bytes(bytes: &[u8]) -> Result<Record, String> {
                match Kind::of_bytes(bytes) {
                    $(Kind::$kind => <$machine>::record_from_bytes(bytes).map(Record::$kind),)*
                }
            }

            fn shared_to_bytes(shared: &Shared) -> Vec<u8> {
                match shared {
                    $(Shared::$kind(shared) => <$machine>::shared_to_bytes(shared),)*
                }
            }

            fn shared_from_bytes(bytes: &[u8]) -> Result<Shared, String> {
                match Kind::of_bytes(bytes) {
                    $(Kind::$kind => {
                        <$machine>::shared_from_bytes(bytes).map(|shared| Shared::$kind(Arc::new(shared)))
                    })*
                }
            }
        }
    };
}

kinds! {
    Apple apple Apple, "An iPhone, an iPad or a Mac.";
    Windows windows Windows, "A PC.";
    Google google google::Google, "An Android device that Google manages.";
    Agent agent agent::Agent, "An Android device with an agent of the server's own.";
}

/// A shared part, taken for one of a kind.
trait Of<S> {
    fn of(&self) -> Arc<S>;
    /// Whether it is this very one.
    fn is(&self, of: &Arc<S>) -> bool;
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

/// What a lane has in common with others is the value that it was when it was opened, if it is the same.
fn same<S>(before: Arc<Shared>, now: Arc<S>, wrapped: impl Fn(Arc<S>) -> Shared) -> Arc<Shared>
where
    Shared: Of<S>,
{
    if before.is(&now) { before } else { Arc::new(wrapped(now)) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::tests_support::{agent, google, ios, windows};

    #[test]
    fn the_store_tells_kinds_apart() {
        let kinds =
            [(ios(), Kind::Apple), (windows(), Kind::Windows), (google(), Kind::Google), (agent(), Kind::Agent)];
        for (character, kind) in kinds {
            let slept = Device::unenrolled(&character);
            let (record, shared) = (Device::record_to_bytes(&slept.record), Device::shared_to_bytes(&slept.shared));
            assert_eq!([Kind::of_bytes(&record), Kind::of_bytes(&shared)], [kind; 2]);
            let (record, shared) =
                (Device::record_from_bytes(&record).unwrap(), Device::shared_from_bytes(&shared).unwrap());
            assert_eq!((record, &shared), (slept.record, &*slept.shared), "{kind:?}");
            let Slept { record, shared, .. } = Device::open(slept.clone()).fold();
            assert_eq!((record, &shared), (slept.record, &slept.shared), "{kind:?}");
        }
        assert!(Device::record_from_bytes(&[]).is_err());
        assert!(Device::record_from_bytes(&[0x9F, 0]).is_err());
    }
}
