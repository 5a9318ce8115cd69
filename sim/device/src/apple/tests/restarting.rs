//! The process ends at any point, and the fleet goes on from what is on disk.

use super::*;

impl Rig {
    /// The process ends; a new one has what was saved.
    fn crash(&mut self) -> Action {
        self.machine = Apple::open(self.saved.clone());
        self.world.identity.clone_from(&self.saved_identity);
        let record = self.machine.record();
        Apple::resume(&record, &self.world.ctx())
    }

    /// The process puts its lanes down in order, whatever they wait for, and a new one takes them up.
    fn put_down(&mut self) -> Action {
        self.save();
        self.crash()
    }
}

/// Enrolls, does two commands and renews; the process ends after `steps` events. Whether it got that far.
fn check(steps: usize, end: fn(&mut Rig) -> Action) -> bool {
    let mut rig = Rig::new(ios());
    let script = || [bare("1", "SecurityInfo"), bare("2", "ProfileList"), ok(), ok(), ok()];
    rig.script = [ok(), ok()].into_iter().chain(script()).collect();
    let mut left = steps;
    let mut orders = VecDeque::from([Order::Enroll, Order::CheckIn, Order::Renew]);
    while let Some(order) = orders.pop_front() {
        let now = rig.world.clocks.now;
        let notes = [Note { order, cause: now }];
        let mut action = rig.on(Event::Wake(Wake { reasons: Reasons::ORDER, due: now, notes: &notes }));
        loop {
            if left == 0 {
                return goes_on(&mut rig, end, steps);
            }
            left -= 1;
            match rig.react(action) {
                Ok(next) => action = next,
                Err(_) => break,
            }
        }
        // A lane that sleeps is on disk.
        rig.save();
    }
    false
}

fn goes_on(rig: &mut Rig, end: fn(&mut Rig) -> Action, steps: usize) -> bool {
    let mut action = end(rig);
    rig.script.clear();
    while action.until.since(rig.world.clocks.now) < Dur::secs(15) {
        action = rig.time(&action);
    }
    if rig.machine.record().stage != record::Stage::Enrolled {
        assert_eq!(rig.machine.record().generation, 0, "{steps}: nothing was saved yet");
        rig.order(Order::Enroll);
    }
    assert_eq!(Apple::state(&rig.machine.record()), DeviceState::Enrolled, "{steps}");
    rig.forget();
    rig.pushed([bare("9", "ProfileList"), ok(), ok()]);
    let nine = CommandKey::of(b"9");
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { command, .. } if *command == nine)), 1, "{steps}");
    rig.forget();
    rig.order(Order::Renew);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)], "{steps}");
    true
}

#[test]
fn a_killed_fleet_goes_on_from_what_was_saved() {
    let reached = (0..).take_while(|&steps| check(steps, Rig::crash)).count();
    assert!(reached > 25, "{reached}");
}

#[test]
fn a_fleet_put_down_in_order_goes_on_from_any_state() {
    let reached = (0..).take_while(|&steps| check(steps, Rig::put_down)).count();
    assert!(reached > 25, "{reached}");
}

#[test]
fn an_order_that_was_under_way_is_followed_after_the_restart() {
    let mut rig = Rig::enrolled(ios());
    rig.push();
    let first = |request: &Request| request.operation == Operation::AppleScepCaps;
    rig.order_until(Order::Renew, first);
    let action = rig.put_down();
    rig.forget();
    rig.time(&action);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)]);
}

#[test]
fn bytes_that_are_not_ours_are_refused_in_words() {
    let good = Apple::record_to_bytes(&Rig::enrolled(ios()).machine.record());
    assert!(Apple::record_from_bytes(&good).is_ok());
    let mut other_version = good.clone();
    other_version[0] = 99;
    let too_long = [&good[..], b"x"].concat();
    for bad in [&[][..], &good[..good.len() - 1], &other_version, &too_long] {
        assert!(Apple::record_from_bytes(bad).unwrap_err().starts_with("record"));
        assert!(Apple::shared_from_bytes(bad).is_err());
    }
}
