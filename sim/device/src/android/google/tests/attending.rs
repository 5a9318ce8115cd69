//! Devices that are not always there.

use super::*;
use crate::{Habits, Need};

/// A device that is off half of the time, an hour at a stretch.
fn often_off() -> Character {
    Character { habits: Habits { off: (0.5, HOUR), ..Habits::default() }, ..slow(Mode::FullyManaged) }
}

impl Rig {
    /// Lives until the device is away, or is not.
    fn until_away(&mut self, mut action: Action, is_away: bool) -> Action {
        while self.world.ctx().lacks_until(Need::Attention).is_some() != is_away {
            action = self.time(&action);
        }
        action
    }
}

#[test]
fn a_device_that_is_away_hears_nothing_and_follows_its_nudge_when_it_is_back() {
    let mut rig = Rig::enrolled(often_off());
    let action = rig.push();
    let action = rig.until_away(action, false);
    assert!(action.hear.has(Reasons::PUSH | Reasons::ORDER));
    let action = rig.until_away(action, true);
    assert_eq!(action.hear, Reasons::TIME);
    assert!(rig.wait(&action) <= HOUR, "{}", rig.wait(&action));
    rig.forget();
    // It had the nudge just before it went.
    let action = rig.push();
    assert_eq!(rig.words(), Vec::<&str>::new());
    rig.until_away(action, false);
    assert_eq!(rig.words(), ["sync"]);
}

#[test]
fn a_device_that_is_away_reports_when_it_is_back() {
    let mut rig = Rig::enrolled(often_off());
    let action = rig.push();
    rig.until_away(action, false);
    rig.forget();
    for version in 2..40 {
        rig.policy(version, json!({}));
        let mut action = rig.push();
        let before = rig.reports().len();
        while rig.reports().len() == before {
            action = rig.time(&action);
        }
        assert_eq!(rig.world.ctx().lacks_until(Need::Attention), None);
        assert_eq!(rig.reports().last().unwrap().0, version);
    }
}

#[test]
fn what_is_large_waits_for_a_network_that_is_free() {
    let habits = Habits { metered: (0.5, HOUR), ..Habits::default() };
    let mut rig = Rig::enrolled(Character { habits, ..slow(Mode::FullyManaged) });
    let app = json!({ "packageName": "a.a", "installType": "FORCE_INSTALLED" });
    rig.policy(2, json!({ "applications": [app] }));
    let free_from = loop {
        match rig.world.ctx().lacks_until(Need::Transfer) {
            Some(until) => break until,
            None => rig.pass(rig.world.clocks.now + MINUTE),
        }
    };
    let action = rig.push();
    assert!(rig.machine.record().install_at.get() > Some(free_from));
    // What is small does not wait.
    assert!(rig.wait(&action) < MINUTE.times(3));
}

#[test]
fn who_is_away_when_it_is_to_enroll_enrolls_when_it_is_back() {
    let mut rig = Rig::new(often_off());
    rig.policy(1, json!({}));
    while rig.world.ctx().lacks_until(Need::Attention).is_none() {
        rig.pass(rig.world.clocks.now + MINUTE);
    }
    let first = rig.order(Order::Enroll);
    let again = rig.order(Order::Enroll);
    assert_eq!((again.hear, again.until, rig.words().len()), (Reasons::TIME, first.until, 0));
    rig.until_reported(again);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}

#[test]
fn who_is_asked_to_tell_how_it_is_reports_within_minutes() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    let reports = rig.reports().len();
    rig.played.wants_report = true;
    let action = rig.push();
    rig.played.wants_report = false;
    rig.live(action, HOUR);
    assert_eq!(rig.reports().len(), reports + 1);
}
