//! The ledger's trial: for each fault that a server can commit it names that fault and no other, in whatever order the
//! administrator's facts come between the lane's.
#![expect(clippy::unwrap_used, reason = "tests")]

use droves_facts::{CommandKey, CommandStatus, DeviceState, Dur, Fact, LaneIx, Mono, PhaseIx, Waker, What};
use droves_measure::{AnomalyKind, Fold, Folds, Hop, Verdicts};
use proptest::prelude::*;

const A: CommandKey = CommandKey(11);
const B: CommandKey = CommandKey(22);

fn at(second: u64, lane: u32, what: What) -> Fact {
    Fact { at: Mono(second * 1_000_000), phase: PhaseIx(1), lane: LaneIx(lane), what }
}

fn queued(lane: u32, command: CommandKey) -> Fact {
    let (asked, queued) = (Mono(1_000_000), Mono(2_000_000));
    at(2, lane, What::CommandQueued { command, asked, queued, deadline: queued + Dur::secs(30) })
}

fn delivered(second: u64, lane: u32, command: CommandKey) -> Fact {
    at(second, lane, What::Delivered { command, named: true })
}

fn answered(second: u64, lane: u32, command: CommandKey, status: CommandStatus) -> [Fact; 2] {
    [at(second, lane, What::Answered { command, status }), at(second, lane, What::Accepted { command, status })]
}

fn served(lane: u32, command: CommandKey) -> Vec<Fact> {
    let mut facts = vec![queued(lane, command), delivered(4, lane, command)];
    facts.extend(answered(5, lane, command, CommandStatus::Acknowledged));
    facts
}

fn verdicts(facts: &[Fact]) -> (Verdicts, Vec<AnomalyKind>) {
    let mut folds = Folds::default();
    facts.iter().for_each(|fact| folds.apply(fact));
    let (verdicts, anomalies) = folds.ledger.settle(Mono(100_000_000));
    (verdicts, anomalies.into_iter().map(|anomaly| anomaly.kind).collect())
}

fn check(facts: &[Fact], wanted: Verdicts) {
    assert_eq!(verdicts(facts).0, wanted);
}

#[test]
fn a_command_that_is_served_is_no_news() {
    check(&served(1, A), Verdicts::default());
}

#[test]
fn a_configuration_may_come_again_and_takes_an_earlier_ones_place() {
    let clean = Verdicts::default();
    let configured = |second, command| at(second, 1, What::Configured { command });
    let mut facts = vec![queued(1, A), configured(4, A)];
    facts.extend(answered(5, 1, A, CommandStatus::Acknowledged));
    check(&facts, clean);
    facts.push(configured(9, A));
    check(&facts, Verdicts { repeated_lawfully: 1, ..clean });
    // Whoever tells first: the administrator of what was queued, or the lane of what came in its place.
    check(&[queued(1, B), configured(6, A)], Verdicts { foreign: 1, ..clean });
    check(&[configured(6, A), queued(1, B)], Verdicts { foreign: 1, ..clean });
    check(&[configured(1, A), queued(1, B)], Verdicts { foreign: 1, lost: 1, ..clean });
    check(&[queued(1, A), configured(60, A)], Verdicts { late: 1, ..clean });
}

#[test]
fn each_fault_has_its_name_and_no_other() {
    let clean = Verdicts::default();
    check(&[queued(1, A)], Verdicts { lost: 1, ..clean });
    let mut facts = served(1, A);
    facts.push(delivered(9, 1, A));
    check(&facts, Verdicts { duplicated: 1, ..clean });
    // Queued for lane 1, delivered to lane 2: one fault, not two.
    let mut facts = vec![queued(1, A), delivered(4, 2, A)];
    facts.extend(answered(5, 2, A, CommandStatus::Acknowledged));
    check(&facts, Verdicts { misdelivered: 1, ..clean });
    let mut facts = vec![queued(1, A), delivered(60, 1, A)];
    facts.extend(answered(61, 1, A, CommandStatus::Acknowledged));
    check(&facts, Verdicts { late: 1, ..clean });
    check(&[delivered(4, 1, B)], Verdicts { foreign: 1, ..clean });
    check(&[at(3, 1, What::CommandUnknown { command: A, asked: Mono(0) })], Verdicts { unknown: 1, ..clean });
    check(&[at(3, 1, What::CommandRefused { command: A })], clean);
    check(&[queued(1, A), at(5, 1, What::Unreachable)], clean);
    // A server that was not told that the device has left takes commands for it; one that is back can hear them.
    check(&[at(1, 1, What::Unreachable), queued(1, A)], clean);
    let back = What::SessionStarted { due: Mono(0), by: Waker::Order };
    check(&[at(1, 1, What::Unreachable), at(1, 1, back.clone()), queued(1, A)], Verdicts { lost: 1, ..clean });
    // It tried to enroll again, and that came to nothing: it is where it was.
    for to in [DeviceState::Unenrolled, DeviceState::Failed, DeviceState::Removed, DeviceState::Wiped] {
        let out = What::Device { from: DeviceState::Enrolling, to };
        check(&[at(1, 1, What::Unreachable), at(1, 1, back.clone()), at(1, 1, out), queued(1, A)], clean);
    }
    let enrolled = What::Device { from: DeviceState::Enrolling, to: DeviceState::Enrolled };
    check(&[queued(1, A), at(5, 1, enrolled.clone())], clean);
    check(&[at(1, 1, enrolled), queued(1, A)], Verdicts { lost: 1, ..clean });
    let open = What::CommandQueued { command: A, asked: Mono(1), queued: Mono(2), deadline: Mono::NEVER };
    check(&[at(2, 1, open)], Verdicts { undecided: 1, ..clean });
}

#[test]
fn a_run_that_queues_nothing_keeps_nothing_of_what_others_did() {
    let mut folds = Folds::of_run(false, false);
    for n in 0..1_000 {
        folds.apply(&delivered(4, 1, CommandKey(n)));
        answered(5, 1, CommandKey(n), CommandStatus::Acknowledged).iter().for_each(|fact| folds.apply(fact));
    }
    // One is put off, and comes again.
    folds.apply(&delivered(6, 1, A));
    answered(6, 1, A, CommandStatus::NotNow).iter().for_each(|fact| folds.apply(fact));
    folds.apply(&delivered(7, 1, A));
    assert_eq!(folds.ledger.open(), 1);
    let (verdicts, _) = folds.ledger.settle(Mono(100_000_000));
    assert_eq!(verdicts, Verdicts { foreign: 1_001, repeated_lawfully: 1, ..Verdicts::default() });
}

#[test]
fn a_repetition_after_not_now_or_a_lost_answer_is_lawful() {
    let wanted = Verdicts { repeated_lawfully: 1, ..Verdicts::default() };
    let mut facts = vec![queued(1, A), delivered(4, 1, A)];
    facts.extend(answered(5, 1, A, CommandStatus::NotNow));
    facts.push(delivered(8, 1, A));
    facts.extend(answered(9, 1, A, CommandStatus::Acknowledged));
    check(&facts, wanted);
    let lost_answer = at(5, 1, What::Answered { command: A, status: CommandStatus::Acknowledged });
    let mut facts = vec![queued(1, A), delivered(4, 1, A), lost_answer, delivered(8, 1, A)];
    facts.extend(answered(9, 1, A, CommandStatus::Acknowledged));
    check(&facts, wanted);
}

#[test]
fn the_way_of_a_notification_is_a_hop_of_its_own() {
    let notified = |second| at(second, 1, What::Notified { command: A });
    let [answer, taken] = answered(5, 1, A, CommandStatus::Acknowledged);
    let taken = Fact { at: Mono(12_000_000), ..taken };
    let seconds = |facts: &[Fact]| {
        let mut folds = Folds::default();
        facts.iter().for_each(|fact| folds.apply(fact));
        [Hop::Notified, Hop::Accepted]
            .map(|hop| folds.fanout.times(Some(PhaseIx(1)), hop).max_us().map(|us| us / 1_000_000))
    };
    let told = [queued(1, A), delivered(4, 1, A), answer.clone(), notified(9), notified(11), taken.clone()];
    assert_eq!(seconds(&told), [Some(4), Some(3)], "from the first on");
    let [queued, delivered, ..] = &told;
    assert_eq!(seconds(&[delivered.clone(), answer, notified(9), taken.clone(), queued.clone()]), [None, None]);
    assert_eq!(seconds(&[queued.clone(), delivered.clone(), notified(9), taken]), [None, Some(3)], "it was never done");
}

#[test]
fn the_wait_for_a_quota_is_a_part_of_a_pushs_way_and_of_no_way_that_goes_backwards() {
    let waited = |pushed: u64| {
        let mut folds = Folds::default();
        folds.apply(&at(1, LaneIx::NOBODY.0, What::QuotaUsedUp { until: Mono(4_000_000) }));
        let woken = What::Woken { pushed: Mono(pushed * 1_000_000) };
        for fact in [at(1, 1, What::Called), queued(1, A), at(6, 1, woken), delivered(8, 1, A)] {
            folds.apply(&fact);
        }
        (folds.fanout.count(None, Hop::Quota), folds.fanout.times(None, Hop::Quota).max_us())
    };
    assert_eq!(waited(5), (1, Some(2_000_000)), "queued at 2, and nothing was left until 4");
    assert_eq!(waited(1), (0, None));
}

#[test]
fn hops_are_between_the_moments_that_were() {
    let mut folds = Folds::default();
    let mut facts = vec![
        queued(1, A),
        at(6, 1, What::Woken { pushed: Mono(3_000_000) }),
        at(7, 1, What::Connected),
        delivered(8, 1, A),
    ];
    facts.extend(answered(10, 1, A, CommandStatus::Acknowledged));
    facts.iter().for_each(|fact| folds.apply(fact));
    let seconds = |hop| folds.fanout.times(Some(PhaseIx(1)), hop).max_us().unwrap() / 1_000_000;
    let hops = [Hop::Queued, Hop::Pushed, Hop::Woken, Hop::Connected, Hop::Delivered, Hop::Answered, Hop::Total];
    assert_eq!(hops.map(seconds), [1, 1, 3, 1, 1, 2, 9]);
}

proptest! {
    /// The administrator's facts may come anywhere between the lane's, and lanes may be folded by different shards.
    #[test]
    fn the_fold_commutes(
        story in prop::collection::vec((0_u8..5, 0_u32..3), 1..12),
        places in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let mut lanes: Vec<Vec<Fact>> = vec![Vec::new(); 3];
        let mut admin = Vec::new();
        for (n, (kind, lane)) in story.into_iter().enumerate() {
            let (command, second) = (CommandKey(100 + n as u64), 10 + 5 * n as u64);
            let mine = &mut lanes[lane as usize];
            match kind {
                0 => admin.push(queued(lane, command)),
                1 => {
                    admin.push(queued(lane, command));
                    mine.push(delivered(second, lane, command));
                    let [answer, taken] = answered(second + 1, lane, command, CommandStatus::Acknowledged);
                    mine.extend([answer, at(second + 1, lane, What::Notified { command }), taken]);
                }
                2 => {
                    admin.push(queued(lane, command));
                    mine.push(delivered(second, lane, command));
                    mine.extend(answered(second + 1, lane, command, CommandStatus::Acknowledged));
                    mine.push(delivered(second + 2, lane, command));
                }
                3 => {
                    admin.push(queued(lane, command));
                    mine.push(delivered(second, lane, command));
                    mine.extend(answered(second + 1, lane, command, CommandStatus::NotNow));
                }
                _ => {
                    admin.push(queued((lane + 1) % 3, command));
                    mine.push(delivered(second, lane, command));
                }
            }
        }
        let in_order: Vec<Fact> = admin.iter().cloned().chain(lanes.iter().flatten().cloned()).collect();
        let late = |v: Verdicts| Verdicts { late: 0, ..v };
        let wanted = late(verdicts(&in_order).0);
        // Scattered between, and folded by three shards.
        let mut folds: Vec<Folds> = vec![Folds::default(); 3];
        let mut scattered = lanes.clone();
        for (fact, place) in admin.into_iter().zip(&places) {
            let mine = &mut scattered[fact.lane.0 as usize];
            mine.insert(place.index(mine.len() + 1), fact);
        }
        for (fold, facts) in folds.iter_mut().zip(&scattered) {
            facts.iter().for_each(|fact| fold.apply(fact));
        }
        let mut whole = folds.pop().unwrap();
        folds.into_iter().for_each(|fold| whole.merge(fold));
        prop_assert_eq!(late(whole.ledger.settle(Mono(100_000_000)).0), wanted);
    }
}
