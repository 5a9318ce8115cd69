//! Android devices with an agent of the server's own, on three lanes: [`main`] for what is asked and said by HTTP, a
//! [`link`] for what the server pushes, and [`transfer`] for apps and files, which deafen nobody however large they are.
//!
//! The main lane has what the server said; its sisters get it with an order ([`Shared`]) and go by it. The link tells the
//! main lane what was pushed, the transfer what is there by now. In which words a server is spoken to is in [`dialect`].

mod dialect;
mod fcm;
mod goods;
mod lane;
mod link;
mod main;
mod record;
mod shared;
mod stages;
#[cfg(test)]
mod tests;
mod todo;
mod transfer;

pub use record::Record;
pub use shared::{Pool, Shared};

use crate::kept::{from_bytes, to_bytes};
use crate::trouble::Trouble;
use crate::{Action, Ctx, Event, Machine, Slept};
use droves_facts::{DeviceState, Dur, Mono};
use lane::Lane;
use record::{RECORD_VERSION, SHARED_VERSION};
use std::sync::Arc;

/// A lane while it is awake.
#[derive(Debug, Default)]
pub struct Agent {
    lane: Lane,
    state: State,
}

/// What a lane waits for.
#[derive(Debug, Default)]
enum State {
    /// A wake: all there is to know is in the lane.
    #[default]
    Asleep,
    /// Main: an answer.
    Asking(Box<main::Asking>),
    /// Main: FCM.
    Registering(main::Session),
    /// Main: the disk.
    Saving(main::Session),
    /// Main: the end of what it takes to become what a configuration says.
    Applying(main::Session),
    /// Link: what comes over it.
    Holding(Box<link::Holding>),
    /// Link: the answer to a poll that was sent by this.
    Polling(link::Polling),
    /// Link: the end of the pause after a poll that was sent by this.
    Pausing(Arc<Shared>, Mono),
    /// Transfer: a piece.
    Fetching(transfer::Piece),
    /// Transfer: whatever came meanwhile, between two pieces.
    Breathing,
}

type Step = crate::rest::Step<State>;

impl Machine for Agent {
    type Record = Record;
    type Shared = Shared;

    fn open(slept: Slept<Self>) -> Self {
        Agent { lane: Lane::open(slept), state: State::Asleep }
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
        let Step { state, action } = match (std::mem::take(&mut self.state), event) {
            (State::Asking(state), event) => state.on(event, lane, ctx),
            (State::Holding(state), event) => state.on(event, lane, ctx),
            (State::Polling(state), event) => state.on(event, lane, ctx),
            (State::Fetching(piece), event) => piece.on(event, lane, ctx),
            (State::Registering(session), event) => fcm::registered(lane, session, event, ctx),
            (State::Saving(session), Event::Saved) => main::saved(lane, session, ctx),
            // What the sisters would be told is not on the disk: they are told when it is.
            (State::Saving(_), Event::Failed(failure)) => {
                Trouble::not_saved(&failure).complain(ctx);
                lane.put_off(NOT_SAVED, ctx);
                lane.rest(ctx)
            }
            (State::Applying(session), Event::Wake(_)) => main::applied(lane, session, ctx),
            (State::Pausing(by, until), Event::Wake(wake)) => link::paused(by, until, &wake, lane, ctx),
            (State::Asleep | State::Breathing, Event::Wake(wake)) => match ctx.channel {
                0 => main::wake(lane, &wake, ctx),
                main::LINK => link::wake(lane, &wake, ctx),
                _ => transfer::wake(lane, &wake, ctx),
            },
            (_, event) => {
                Trouble::stray(&event).complain(ctx);
                lane.rest(ctx)
            }
        };
        self.state = state;
        action
    }

    /// All three lanes know the same.
    fn sister(&self) -> Arc<Shared> {
        Arc::clone(&self.lane.shared)
    }

    fn share(&mut self, shared: &Arc<Shared>) {
        self.lane.shared = Arc::clone(shared);
    }

    fn pooled(shared: &Arc<Shared>, pool: &mut Pool) -> Arc<Shared> {
        pool.pooled(shared)
    }

    /// FCM gives the device nothing to compare: which enrollment a message is for, its token says.
    fn magic(record: &Record, _: &Ctx<'_>) -> Option<String> {
        (record.stage == record::Stage::Enrolled).then(String::new)
    }

    fn state(record: &Record) -> DeviceState {
        record.stage.state()
    }

    fn registration(record: &Record, shared: &Shared) -> Option<(u32, Arc<str>)> {
        shared.project.as_ref().map(|project| (record.generation, Arc::clone(project)))
    }

    /// The number that the device enrolls with.
    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        shared::agent(ctx).map(|agent| shared::number(agent, ctx)).unwrap_or_default()
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

/// After how long it goes on that was not.
const NOT_SAVED: Dur = Dur::secs(60);
