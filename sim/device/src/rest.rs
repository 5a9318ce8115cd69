//! What lanes of all kinds do alike: a step of the machine, waiting for the disk, and how a lane rests.

use crate::wanted::Wanted;
use crate::{Action, Body, Ctx, Method, Need, Peer, Reasons, Request, Sink, What, Why, Work};
use droves_facts::{DeviceState, Dur, Mono, Operation, Wall};
use std::sync::Arc;

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

/// Where a lane stands that may be over.
pub(crate) struct Over {
    pub(crate) state: DeviceState,
    pub(crate) wanted: Wanted,
    /// How many it has had.
    pub(crate) sessions: u32,
    /// When it enrolls by itself after a wipe.
    pub(crate) again_at: Option<Wall>,
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

    /// Asks the push service for a token of this generation, for a topic.
    pub(crate) fn register(&self, operation: Operation, generation: u32, topic: Arc<str>) -> Action {
        let request = Request {
            operation,
            peer: Peer::PushService { generation },
            method: Method::Post,
            url: topic,
            headers: &[],
            varying: Vec::new(),
            body: Body::Empty,
            identity: None,
            sign: None,
            sink: Sink::Keep(REGISTRATION_BYTES_MAX),
            wait_max: self.limits.request_wait_max,
            idle_end: None,
        };
        let until = self.clocks.now + self.limits.request_wait_max;
        Action { what: What::Request(Box::new(request)), until, hear: Reasons::NONE }
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

    /// What a lane waits for that is over, and kept from everything until then: to be able to enroll if it was ordered to;
    /// else an order to do so, and after a wipe the time to enroll by itself, if it does so again. `None` if it is not over.
    pub(crate) fn over(&self, over: Over, kept: Option<Wall>) -> Option<Action> {
        let Over { state, wanted, sessions, again_at } = over;
        let why = match state {
            DeviceState::Enrolling | DeviceState::Enrolled => return None,
            _ if wanted.has(Operation::Enroll) => {
                return Some(self.sleep(sessions, kept.or(Some(self.clocks.wall)), Reasons::TIME));
            }
            DeviceState::Wiped if again_at.is_some() => {
                return Some(self.sleep(sessions, again_at.max(kept), Reasons::TIME | Reasons::ORDER));
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

/// The answer to a registration is empty, or nearly so.
const REGISTRATION_BYTES_MAX: usize = 4_096;
/// How long a lane waits for what is our own work: a key, the disk. Queues of a whole fleet's keys are long.
const OURS_MAX: Dur = Dur::secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Order;
    use crate::tests_support::{World, ios};

    /// What a lane waits for that is over: for how long, and what it hears; nothing if it ends.
    fn check(
        state: DeviceState,
        order: Option<Order>,
        again: Option<Dur>,
        kept: Option<Dur>,
        expected: (Dur, Reasons),
    ) {
        let mut world = World::new(ios());
        let ctx = world.ctx();
        let mut wanted = Wanted::default();
        order.into_iter().for_each(|order| wanted.order(order));
        let at = |after: Option<Dur>| after.map(|after| ctx.clocks.wall + after);
        let over = ctx.over(Over { state, wanted, sessions: 3, again_at: at(again) }, at(kept)).expect("it is over");
        let found = match over.what {
            What::Sleep { .. } => (over.until.since(ctx.clocks.now), over.hear),
            _ => (Dur::ZERO, over.hear),
        };
        assert_eq!(found, expected, "{state:?} {order:?} {again:?} {kept:?}");
    }

    #[test]
    fn a_lane_that_is_over_enrolls_when_nothing_keeps_it_from_that() {
        use DeviceState::{Failed, Removed, Unenrolled, Wiped};
        let (hour, day) = (Some(Dur::secs(3_600)), Some(Dur::secs(86_400)));
        let (end, both) = ((Dur::ZERO, Reasons::ORDER), Reasons::TIME | Reasons::ORDER);
        for state in [Unenrolled, Removed, Wiped, Failed] {
            check(state, Some(Order::Enroll), None, hour, (Dur::secs(3_600), Reasons::TIME));
            check(state, Some(Order::Enroll), None, None, (Dur::ms(1), Reasons::TIME));
            check(state, Some(Order::CheckIn), None, hour, end);
            check(state, None, None, hour, end);
        }
        check(Wiped, None, hour, None, (Dur::secs(3_600), both));
        check(Wiped, None, day, hour, (Dur::secs(86_400), both));
        check(Wiped, None, hour, day, (Dur::secs(86_400), both));
        check(Wiped, Some(Order::Enroll), day, hour, (Dur::secs(3_600), Reasons::TIME));
        check(Failed, None, hour, None, end);
    }
}
