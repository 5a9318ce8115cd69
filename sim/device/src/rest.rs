//! What lanes of all kinds do alike: a step of the machine, waiting for the disk, and how a lane rests.

use crate::{Action, Ctx, Need, Reasons, What, Why, Work};
use droves_facts::{DeviceState, Dur, Mono, Wall};

/// What comes of an event: the next state, and what it waits for.
pub(crate) struct Step<S> {
    pub(crate) state: S,
    pub(crate) action: Action,
}

impl<S: Default> Step<S> {
    pub(crate) fn to(state: S, action: Action) -> Self {
        Step { state, action }
    }
    /// Nothing is under way.
    pub(crate) fn asleep(action: Action) -> Self {
        Step::to(S::default(), action)
    }
    /// What the lane keeps goes to the disk; then it goes on.
    pub(crate) fn save(ctx: &Ctx<'_>) -> Self {
        Step::asleep(ctx.save())
    }
}

impl Ctx<'_> {
    /// Waits for the disk.
    pub(crate) fn save(&self) -> Action {
        Action { what: What::Save, until: self.clocks.now + OURS_MAX, hear: Reasons::NONE }
    }

    /// Waits for work with a private key.
    pub(crate) fn make(&self, work: Work) -> Action {
        Action { what: What::Make(Box::new(work)), until: self.clocks.now + OURS_MAX, hear: Reasons::NONE }
    }

    /// The moment of a wall time that is waited for, never now: a lane that is woken in vain would spin.
    pub(crate) fn moment(&self, at: Option<Wall>) -> Mono {
        at.map_or(Mono::NEVER, |at| self.clocks.now + at.since(self.clocks.wall).max(Dur::ms(1)))
    }

    /// Sleeps, as a lane that has had so many sessions.
    pub(crate) fn sleep(&self, sessions: u32, until: Option<Wall>, hear: Reasons) -> Action {
        let lag = self.wake_lag(u64::from(sessions) + 1);
        Action { what: What::Sleep { lag }, until: self.moment(until), hear }
    }

    /// What a lane waits for that is over: an order to enroll, and after a wipe the time to enroll by itself, if it does
    /// so again. `None` if it is not over.
    pub(crate) fn over(&self, state: DeviceState, sessions: u32, again_at: Option<Wall>) -> Option<Action> {
        let why = match state {
            DeviceState::Enrolling | DeviceState::Enrolled => return None,
            DeviceState::Wiped if again_at.is_some() => {
                return Some(self.sleep(sessions, again_at, Reasons::TIME | Reasons::ORDER));
            }
            DeviceState::Wiped => Why::Wiped,
            DeviceState::Failed => Why::GaveUp,
            DeviceState::Unenrolled | DeviceState::Removed => Why::Removed,
        };
        Some(Action { what: What::End(why), until: Mono::NEVER, hear: Reasons::ORDER })
    }

    /// Until when the device is gone: it restarts by command until then, or its habits keep it from what is needed.
    pub(crate) fn gone_until(&self, restarts_until: Option<Wall>, need: Need) -> Option<Wall> {
        let restarts = restarts_until.filter(|until| *until > self.clocks.wall);
        restarts.into_iter().chain(self.lacks_until(need)).max()
    }
}

/// How long a lane waits for what is our own work: a key, the disk. Queues of a whole fleet's keys are long.
const OURS_MAX: Dur = Dur::secs(3_600);
