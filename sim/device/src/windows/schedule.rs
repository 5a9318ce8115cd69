//! When a device speaks by itself: the schedule of polls (DMClient CSP, `Provider/<id>/Poll`), logins, the end of what
//! takes long, the day on which it has been out of touch for too long.

use super::lane::Lane;
use super::record::At;
use super::{channel, install, renewal};
use crate::Ctx;
use droves_facts::{Dur, Purpose, Wall};
use droves_wire::windows::provisioning::Poll;

/// The schedule begins, or begins anew because it was changed. The first session of it comes somewhere in the first
/// interval, each device at a moment of its own.
pub(super) fn begin(lane: &mut Lane, ctx: &Ctx<'_>) {
    let Some(account) = lane.account() else { return };
    let poll = lane.tree.poll(&account.provider);
    let phase = ctx.device_dice(Purpose::CheckIn, PHASE | u64::from(lane.record.generation)).unit();
    lane.record.polls = 0;
    // Not at once: a session is under way, or about to begin.
    lane.record.poll_at = (ctx.clocks.wall + interval(&poll, 0).scaled(phase).max(Dur::secs(1))).into();
}

/// A session of the schedule begins: the next one follows an interval after this one was due, or after now if the
/// device has slept through it.
pub(super) fn advance(lane: &mut Lane, ctx: &Ctx<'_>) {
    let now = ctx.clocks.wall;
    let (Some(due), Some(account)) = (lane.record.poll_at.get().filter(|due| *due <= now), lane.account()) else {
        return;
    };
    lane.record.polls = lane.record.polls.saturating_add(1);
    let interval = interval(&lane.tree.poll(&account.provider), lane.record.polls);
    let next = due + interval;
    lane.record.poll_at = if next > now { next } else { now + interval }.into();
}

/// How long after so many sessions of the schedule the next one follows.
fn interval(poll: &Poll, done: u32) -> Dur {
    let mut left = done;
    for set in [poll.first, poll.second, poll.remaining] {
        if set.every_minutes == 0 {
            continue;
        }
        // 0 is for ever, and then every later set is off.
        if set.count == 0 || left < set.count {
            return MINUTE.times(set.every_minutes.into());
        }
        left -= set.count;
    }
    // Without a set that goes on, the device polls once a day.
    MINUTE.times(24 * 60)
}

/// When something of the lane's own wants it awake: delayed work, the channel, a pending certificate, a login, too long a
/// time without a server.
pub(super) fn chore_at(lane: &Lane, ctx: &Ctx<'_>) -> At {
    let on_login = lane.account().is_some_and(|account| lane.tree.poll(&account.provider).on_login);
    let login = if on_login { ctx.unlocked_after() } else { None };
    // What is done by now was told in the last session, and is told again by the next if that came to nothing.
    let done = lane.tree.next_due().filter(|due| *due > ctx.clocks.wall);
    let all = [done, channel::renews_at(lane), install::due_at(lane), login, lost_contact_at(lane)];
    all.into_iter().flatten().min().into()
}

/// Whether the device has been without its server for so long that it has to leave
/// (`NumberOfDaysAfterLostContactToUnenroll`).
pub(super) fn has_lost_contact(lane: &Lane, ctx: &Ctx<'_>) -> bool {
    lost_contact_at(lane).is_some_and(|at| at <= ctx.clocks.wall)
}

fn lost_contact_at(lane: &Lane) -> Option<Wall> {
    let account = lane.shared.account.as_ref()?;
    let days = lane.tree.client(&account.provider, "NumberOfDaysAfterLostContactToUnenroll")?;
    let days: u32 = days.trim().parse().ok().filter(|days| *days > 0)?;
    Some(lane.record.heard_at.get()? + renewal::DAY.times(days.into()))
}

const MINUTE: Dur = Dur::secs(60);
/// Place in the numbering of what a device draws for its check-ins.
const PHASE: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;
    use droves_wire::windows::provisioning::PollSet;

    fn check(sets: [(u32, u32); 3], expected: &[(u32, u64)]) {
        let [first, second, remaining] = sets.map(|(count, every_minutes)| PollSet { count, every_minutes });
        let poll = Poll { first, second, remaining, ..Poll::default() };
        for &(done, minutes) in expected {
            assert_eq!(interval(&poll, done), MINUTE.times(minutes), "{sets:?} after {done}");
        }
    }

    #[test]
    fn sets_follow_each_other_and_one_goes_on() {
        // Intune's, then the document's example, then a server's that has no other way to be quick.
        check([(5, 3), (8, 15), (0, 480)], &[(0, 3), (4, 3), (5, 15), (12, 15), (13, 480), (u32::MAX, 480)]);
        check([(8, 15), (5, 3), (0, 1_560)], &[(0, 15), (7, 15), (8, 3), (12, 3), (13, 1_560)]);
        check([(0, 1), (8, 15), (0, 480)], &[(0, 1), (1_000_000, 1)]);
        // Off, and without one that goes on.
        check([(10, 15), (0, 0), (0, 0)], &[(9, 15), (10, 1_440)]);
        check([(5, 0), (2, 7), (3, 9)], &[(0, 7), (2, 9), (5, 1_440)]);
        check([(0, 0), (0, 0), (0, 0)], &[(0, 1_440)]);
    }
}
