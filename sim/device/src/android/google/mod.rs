//! Android devices that are managed by Google's Android Device Policy: all that they say goes to Google.
//!
//! The server under test never meets them: it hears of them from Google, who is played in this process. What they say
//! to it is in [`adp`](droves_wire::android::adp); what of it reaches a server, and when, Google states.
//!
//! Enrolling is in [`enroll`], asking what is new in [`sync`], what a policy asks for in [`policy`] and what of it a
//! device can't do in [`compliance`], its applications in [`apps`], commands in [`commands`], reports in [`report`], usage logs in [`logs`], the
//! ways out in [`leave`]; [`lane`] is what lies between.
//!
//! An arrival that wants the device enrolled has what it asks for with the first status report after the policy was
//! applied: that is when a server knows that the device is as it should be. That Google has enrolled it is the device's
//! state.

mod apps;
mod commands;
mod compliance;
mod enroll;
mod hardware;
mod lane;
mod leave;
mod logs;
mod own;
mod policy;
mod question;
mod record;
mod report;
mod shared;
mod sync;
#[cfg(test)]
mod tests;

pub use record::Record;
pub use shared::Shared;

use crate::kept::{from_bytes, to_bytes};
use crate::trouble::Trouble;
use crate::{Action, Ctx, Event, Machine, Slept};
use droves_facts::DeviceState;
use lane::Lane;
use record::{RECORD_VERSION, SHARED_VERSION, Stage};

/// The lane of such a device while it is awake.
#[derive(Debug, Default)]
pub struct Google {
    lane: Lane,
    state: State,
}

/// What a lane waits for.
#[derive(Debug, Default)]
enum State {
    /// A wake, or the disk: all there is to know is in the lane.
    #[default]
    Asleep,
    Enrolling(enroll::Enrolling),
    Syncing(sync::Syncing),
    Working(Box<commands::Working>),
    Telling(commands::Telling),
    Reporting(report::Reporting),
    Logging(logs::Logging),
    Leaving(leave::Leaving),
}

type Step = crate::rest::Step<State>;

impl Machine for Google {
    type Record = Record;
    type Shared = Shared;

    fn open(slept: Slept<Self>) -> Self {
        Google { lane: Lane::open(slept.record, slept.shared, slept.own.as_deref()), state: State::Asleep }
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
            State::Enrolling(state) => state.on(event, lane, ctx),
            State::Syncing(state) => state.on(event, lane, ctx),
            State::Working(state) => state.on(event, lane, ctx),
            State::Telling(state) => state.on(event, lane, ctx),
            State::Reporting(state) => state.on(event, lane, ctx),
            State::Logging(state) => state.on(event, lane, ctx),
            State::Leaving(state) => state.on(event, lane, ctx),
        };
        self.state = state;
        action
    }

    /// The id that Google has given the device.
    fn magic(record: &Record, _: &Ctx<'_>) -> Option<String> {
        (!record.stage.is_over()).then(|| record.id()).flatten()
    }

    fn state(record: &Record) -> DeviceState {
        record.stage.state()
    }

    /// The serial number, or what stands in its place.
    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        hardware::Hardware::of(ctx).serial()
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
        Event::Saved if lane.record.stage == Stage::Named => enroll::done(lane, ctx),
        Event::Saved => lane.proceed(ctx),
        // What Google would be told is not on disk: it must not be told.
        Event::Failed(failure) => {
            Trouble::not_saved(&failure).complain(ctx);
            lane.record.ask_at = lane.again_at(ctx);
            lane.rest(ctx)
        }
        other => {
            Trouble::stray(&other).complain(ctx);
            lane.rest(ctx)
        }
    }
}
