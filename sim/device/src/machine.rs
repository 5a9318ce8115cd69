//! A machine and the three tiers of its state.

use crate::{Action, Character, Ctx, Event, Pool};
use bytes::Bytes;
use droves_facts::DeviceState;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// A device's protocol as a value. One type per family of platforms.
pub trait Machine: Sized {
    /// What sleeps in the arena, one for each lane: small, plain, at most [`RECORD_BYTES_MAX`] bytes.
    type Record: Copy + Default + Debug;
    /// What the lane *has* and usually has in common with others (profiles, apps, the server's settings): hash-consed,
    /// so that 100,000 devices with the same 20 profiles share one value.
    type Shared: Clone + Eq + Hash + Default + Debug;

    /// The lane of a device of this kind that has never enrolled.
    fn unenrolled(_character: &Character) -> Slept<Self> {
        Slept::default()
    }

    /// The live machine of a sleeping lane.
    fn open(slept: Slept<Self>) -> Self;

    /// Folds the live machine back. `open(fold(m))` behaves as `m` does.
    fn fold(self) -> Slept<Self>;

    /// The live machine as it would sleep if it were folded now. It goes on as it is: whoever saves in the middle of a
    /// session has the rest of it still to say.
    fn snapshot(&self) -> Slept<Self>;

    /// The live machine's record, as it would sleep.
    fn record(&self) -> Self::Record;

    /// Takes one event and says what the lane waits for next.
    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action;

    /// What a lane of another channel of this device is opened with when this one orders it to enroll: where the server
    /// is, and nothing of what this lane has. The shard puts it in the place of the other lane's shared part before it
    /// hands it the order. Where devices have one lane, nobody asks.
    fn sister(&self) -> Arc<Self::Shared> {
        Arc::default()
    }

    /// The same for a lane that is awake: it has this in the place of its shared part from now on, if its kind shares anything
    /// with lanes that are awake.
    fn share(&mut self, _shared: &Arc<Self::Shared>) {}

    /// The same with those of its parts that others have, too, in common with them: where shared parts differ in little, little
    /// is kept of each.
    fn pooled(shared: &Arc<Self::Shared>, _pool: &mut Pool) -> Arc<Self::Shared> {
        Arc::clone(shared)
    }

    /// What a push carries that is meant for the enrollment that the lane has now; none if it has none. A push with
    /// another magic is stale, and dropped without a connect. A kind that no push service knows has none.
    fn magic(_record: &Self::Record, _ctx: &Ctx<'_>) -> Option<String> {
        None
    }

    /// Where the device stands, as its main lane's record has it: for the count of the fleet by state after a restart.
    fn state(record: &Self::Record) -> DeviceState;

    /// What a lane that was saved so is registered as at the push service: token generation and topic; none if it is
    /// not.
    fn registration(_record: &Self::Record, _shared: &Self::Shared) -> Option<(u32, Arc<str>)> {
        None
    }

    /// The id under which a server's administrator finds this lane's enrollment: for Apple the UDID, and for a user
    /// channel `UDID:UserID`; for Windows the DeviceID; for Android
    /// the serial number, or the number that an agent has.
    fn enrollment_id(ctx: &Ctx<'_>) -> String;

    /// The messages from which a server that takes enrollments over knows this lane, in order; none if it is not
    /// enrolled, or if no server takes over enrollments of its kind.
    fn check_ins(_record: &Self::Record, _shared: &Self::Shared, _ctx: &Ctx<'_>) -> Vec<Bytes> {
        Vec::new()
    }

    /// After a restart: what a lane that was saved in this state waits for first.
    fn resume(record: &Self::Record, ctx: &Ctx<'_>) -> Action;

    /// The record as bytes for the store, with a version of its own.
    fn record_to_bytes(record: &Self::Record) -> Vec<u8>;
    /// The record out of the store. The error says what is wrong with the bytes.
    fn record_from_bytes(bytes: &[u8]) -> Result<Self::Record, String>;
    /// The shared part as bytes for the store.
    fn shared_to_bytes(shared: &Self::Shared) -> Vec<u8>;
    /// The shared part out of the store.
    fn shared_from_bytes(bytes: &[u8]) -> Result<Self::Shared, String>;
}

/// The budget of a record (a million of them sleep in an arena).
pub const RECORD_BYTES_MAX: usize = 96;

/// A lane asleep.
#[derive(Debug)]
pub struct Slept<M: Machine> {
    /// The record.
    pub record: M::Record,
    /// What it has in common with others.
    pub shared: Arc<M::Shared>,
    /// What is its own beyond the record (an owed result, a request under way), encoded; usually nothing.
    pub own: Option<Box<[u8]>>,
}

impl<M: Machine> Clone for Slept<M> {
    fn clone(&self) -> Self {
        Slept { record: self.record, shared: Arc::clone(&self.shared), own: self.own.clone() }
    }
}

impl<M: Machine> Default for Slept<M> {
    fn default() -> Self {
        Slept { record: M::Record::default(), shared: Arc::default(), own: None }
    }
}
