//! iPhones, iPads and Macs: Apple's MDM protocol as a device speaks it.
//!
//! Follows Apple's *Mobile Device Management* documentation and schema (October 2024). Enrolling is in [`enroll`], the
//! command loop in [`session`], the commands in [`commands`], the ways out in [`leave`]; [`lane`] is what lies between.
//!
//! A machine is a lane and the state of its exchange. Every state in which a lane may sleep, or in which it saves, is
//! in the record; so folding loses only a question that is under way, and after it the lane asks again.

mod commands;
mod declarative;
mod enroll;
mod exchange;
mod hardware;
mod lane;
mod leave;
mod messages;
mod minted;
mod own;
mod record;
mod session;
mod shared;
#[cfg(test)]
mod tests;

pub use minted::Minting;
pub use record::Record;
pub use shared::Shared;

use crate::kept::{from_bytes, to_bytes};
use crate::{Action, Ctx, Event, Machine, Slept};
use bytes::Bytes;
use droves_facts::DeviceState;
use exchange::Trouble;
use lane::Lane;
use own::Own;
use record::{RECORD_VERSION, SHARED_VERSION};
use std::sync::Arc;

/// One lane of an Apple device while it is awake.
#[derive(Debug, Default)]
pub struct Apple {
    lane: Lane,
    state: State,
}

/// What a lane waits for.
#[derive(Debug, Default)]
enum State {
    /// A wake, or the disk: all there is to know is in the lane.
    #[default]
    Asleep,
    Fetching(enroll::Fetching),
    GotProfile(Box<enroll::GotProfile>),
    Unpacking(Box<enroll::Unpacking>),
    Acme(Box<enroll::Acme>),
    HasIdentity(enroll::HasIdentity),
    Authenticated(enroll::Authenticated),
    Registered(enroll::Registered),
    Bootstrapping(enroll::Bootstrapping),
    Polling(session::Polling),
    Working(Box<session::Working>),
    Reporting(session::Reporting),
    Syncing(Box<declarative::Syncing>),
    Leaving(leave::Leaving),
}

type Step = crate::rest::Step<State>;

impl Machine for Apple {
    type Record = Record;
    type Shared = Shared;

    fn open(slept: Slept<Self>) -> Self {
        let own = Own::decode(slept.own.as_deref());
        Apple { lane: Lane { record: slept.record, shared: slept.shared, own }, state: State::Asleep }
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
            State::Fetching(state) => state.on(event, lane, ctx),
            State::GotProfile(state) => state.on(event, lane, ctx),
            State::Unpacking(state) => state.on(event, lane, ctx),
            State::Acme(state) => state.on(event, lane, ctx),
            State::HasIdentity(state) => state.on(event, lane, ctx),
            State::Authenticated(state) => state.on(event, lane, ctx),
            State::Registered(state) => state.on(event, lane, ctx),
            State::Bootstrapping(state) => state.on(event, lane, ctx),
            State::Polling(state) => state.on(event, lane, ctx),
            State::Working(state) => state.on(event, lane, ctx),
            State::Reporting(state) => state.on(event, lane, ctx),
            State::Syncing(state) => state.on(event, lane, ctx),
            State::Leaving(state) => state.on(event, lane, ctx),
        };
        self.state = state;
        action
    }

    fn sister(&self) -> Arc<Shared> {
        Arc::new(Shared { mdm: self.lane.shared.mdm.clone(), ..Shared::default() })
    }

    fn magic(record: &Record, ctx: &Ctx<'_>) -> Option<String> {
        (!record.stage.is_over() && record.generation > 0).then(|| messages::magic(record.generation, ctx))
    }

    fn state(record: &Record) -> DeviceState {
        record.stage.state(record.renewing)
    }

    fn registration(record: &Record, shared: &Shared) -> Option<(u32, Arc<str>)> {
        let mdm = shared.mdm.as_ref().filter(|_| record.token > 0 && !record.stage.is_over())?;
        Some((record.token, Arc::clone(&mdm.topic)))
    }

    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        let udid = hardware::Hardware::of(ctx).udid();
        if ctx.channel == 0 { udid } else { format!("{udid}:{}", messages::user(ctx.channel, ctx).0) }
    }

    fn check_ins(record: &Record, shared: &Shared, ctx: &Ctx<'_>) -> Vec<Bytes> {
        minted::check_ins(record, shared, ctx)
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
            lane.failed(ctx);
            lane.rest(ctx)
        }
        other => {
            Trouble::stray(&other).complain(ctx);
            lane.rest(ctx)
        }
    }
}
