//! Windows PCs: Microsoft's MDM protocol (MS-MDE2, MS-MDM) as a device speaks it.
//!
//! Enrolling is in [`enroll`], the management session in [`session`], the tree that it is about in [`tree`], what the
//! tree's nodes mean in [`csp`]; the certificate's renewal in [`renewal`], further ones in [`install`], the
//! channel of the push service in [`channel`], when a device speaks by itself in [`schedule`], the ways out in [`leave`]; [`lane`] is what lies between.
//!
//! A machine is a lane and the state of its exchange. Every state in which a lane may sleep is in the record; folding
//! loses only a question that is under way, and after it the lane asks again.

mod channel;
mod csp;
mod enroll;
mod exchange;
mod hardware;
mod install;
mod lane;
mod leave;
mod own;
mod record;
mod renewal;
mod schedule;
mod session;
mod shared;
#[cfg(test)]
mod tests;
mod tree;
mod who;

pub use record::Record;
pub use shared::Shared;

use crate::kept::{from_bytes, to_bytes};
use crate::trouble::Trouble;
use crate::{Action, Ctx, Event, Machine, Slept};
use droves_facts::DeviceState;
use lane::Lane;
use record::{RECORD_VERSION, SHARED_VERSION};
use std::sync::Arc;

/// The lane of a PC while it is awake.
#[derive(Debug, Default)]
pub struct Windows {
    lane: Lane,
    state: State,
}

/// What a lane waits for.
#[derive(Debug, Default)]
enum State {
    /// A wake, or the disk: all there is to know is in the lane.
    #[default]
    Asleep,
    Knocking(enroll::Knocking),
    Discovering(enroll::Discovering),
    LoggingIn(Box<enroll::LoggingIn>),
    AskingPolicy(Box<enroll::AskingPolicy>),
    MakingKey(Box<enroll::MakingKey>),
    MakingRequest(Box<enroll::MakingRequest>),
    Issuing(Box<enroll::Issuing>),
    Registering(channel::Registering),
    Installing(Box<install::Installing>),
    Talking(session::Talking),
    Working(session::Working),
    Keeping(session::Keeping),
}

type Step = crate::rest::Step<State>;

impl Machine for Windows {
    type Record = Record;
    type Shared = Shared;

    fn open(slept: Slept<Self>) -> Self {
        Windows { lane: Lane::open(slept.record, slept.shared, slept.own.as_deref()), state: State::Asleep }
    }

    fn fold(self) -> Slept<Self> {
        self.lane.fold()
    }

    fn snapshot(&self) -> Slept<Self> {
        self.lane.clone().fold()
    }

    fn record(&self) -> Record {
        self.lane.record
    }

    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        let lane = &mut self.lane;
        let Step { state, action } = match std::mem::take(&mut self.state) {
            State::Asleep => asleep(event, lane, ctx),
            State::Knocking(state) => state.on(event, lane, ctx),
            State::Discovering(state) => state.on(event, lane, ctx),
            State::LoggingIn(state) => state.on(event, lane, ctx),
            State::AskingPolicy(state) => state.on(event, lane, ctx),
            State::MakingKey(state) => state.on(event, lane, ctx),
            State::MakingRequest(state) => state.on(event, lane, ctx),
            State::Issuing(state) => state.on(event, lane, ctx),
            State::Registering(state) => state.on(event, lane, ctx),
            State::Installing(state) => state.on(event, lane, ctx),
            State::Talking(state) => state.on(event, lane, ctx),
            State::Working(state) => state.on(event, lane, ctx),
            State::Keeping(state) => state.on(event, lane, ctx),
        };
        self.state = state;
        action
    }

    /// The push service gives Windows' client nothing: which enrollment a channel is of, the channel itself says.
    fn magic(record: &Record, _: &Ctx<'_>) -> Option<String> {
        (!record.stage.is_over() && record.token > 0).then(String::new)
    }

    fn state(record: &Record) -> DeviceState {
        record.stage.state()
    }

    fn registration(record: &Record, shared: &Shared) -> Option<(u32, Arc<str>)> {
        let pfn = shared.pfn.as_ref().filter(|_| record.token > 0 && !record.stage.is_over())?;
        Some((record.token, Arc::clone(pfn)))
    }

    /// That of the device's first enrollment: a later one has an id that only its server knows.
    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        hardware::Hardware::of(ctx).device_id(1)
    }

    fn resume(record: &Record, ctx: &Ctx<'_>) -> Action {
        lane::resting(record, ctx)
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

/// A lane with nothing under way.
fn asleep(event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    match event {
        Event::Wake(wake) => lane.wake(&wake, ctx),
        Event::Saved => lane.proceed(false, ctx),
        // What the server would be told is not on disk: it must not be told.
        Event::Failed(failure) => {
            Trouble::not_saved(&failure).complain(ctx);
            lane.put_off(ctx);
            lane.rest(ctx)
        }
        other => {
            Trouble::stray(&other).complain(ctx);
            lane.rest(ctx)
        }
    }
}
