//! A shard with a toy machine in virtual time: latches, lag, admission, accounts, restarts.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "shard/links.rs"]
mod links;
#[path = "shard/tape.rs"]
mod tape;
#[path = "shard/toy.rs"]
mod toy;

use droves_device::{Failure, Reached};
use droves_facts::{ArrivalFate, Blame, Dur, Fact, LaneIx, Mono, PhaseIx, PushFate, What};
use droves_shard::forecast::Forecast;
use droves_shard::{Input, Known};
use proptest::prelude::*;
use toy::{Script, World, forecast, plan};

const TEN: &str = "phones: { platform: ios, count: 10 }";

fn count(facts: &[Fact], what: impl Fn(&What) -> bool) -> usize {
    facts.iter().filter(|fact| what(&fact.what)).count()
}

fn fates(facts: &[Fact], wanted: ArrivalFate) -> usize {
    count(facts, |what| matches!(what, What::Arrival { fate, .. } if *fate == wanted))
}

fn pushes(facts: &[Fact], wanted: PushFate) -> usize {
    count(facts, |what| matches!(what, What::Push(fate) if *fate == wanted))
}

fn enrolled(world: World) -> Forecast<toy::Toy, World> {
    let mut run = forecast(plan(TEN, "enroll: { who: all, arrivals: at_once }"), 100, world);
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(30), 10_000));
    run
}

#[test]
fn arrivals_start_on_time_and_end_with_their_operation() {
    let mut run = forecast(plan(TEN, "enroll: { who: all, arrivals: { rate: 2/s } }"), 100, World::default());
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(30), 10_000));
    assert_eq!(fates(&run.facts, ArrivalFate::OnTime), 10);
    assert_eq!(count(&run.facts, |what| matches!(what, What::OperationEnded { .. })), 10);
    assert_eq!(count(&run.facts, |what| matches!(what, What::SessionStarted { .. })), 10);
    assert_eq!(count(&run.facts, |what| matches!(what, What::SessionEnded { .. })), 10);
    let starts: Vec<u64> = run
        .facts
        .iter()
        .filter_map(|fact| match fact.what {
            What::SessionStarted { due, .. } => Some(due.0 / 500_000),
            _ => None,
        })
        .collect();
    assert_eq!(starts, (0..10).collect::<Vec<_>>());
}

#[test]
fn without_room_an_arrival_is_late_or_dropped_as_the_plan_says() {
    let slow = World { takes: Dur::secs(1), ..World::default() };
    for (policy, late, dropped) in [("catch_up", 9, 0), ("drop", 0, 9)] {
        let phase = "enroll: { who: all, arrivals: at_once }";
        let text = format!("{TEN}\nbounds: {{ on_overload: {policy} }}");
        let mut run = forecast(plan(&text, phase), 1, slow.clone());
        run.begin(PhaseIx(0));
        assert!(run.run_until(Mono::ZERO + Dur::secs(30), 10_000));
        let fates = [ArrivalFate::OnTime, ArrivalFate::Late, ArrivalFate::Dropped].map(|f| fates(&run.facts, f));
        assert_eq!(fates, [1, late, dropped], "{policy}");
    }
}

#[test]
fn what_never_had_room_is_late_by_all_the_time_that_it_waited() {
    let endless = World { takes: Dur::secs(1_000), ..World::default() };
    let text = format!("{TEN}\nbounds: {{ connections_max: 3 }}");
    let mut run = forecast(plan(&text, "enroll: { who: all, arrivals: at_once }"), 3, endless);
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(30), 10_000));
    run.facts.clear();
    let clocks = run.clocks();
    run.shard.leave(clocks);
    run.shard.drain(&mut Vec::new(), &mut run.facts);
    assert_eq!(fates(&run.facts, ArrivalFate::Waiting), 7);
    let late = |what: &What| matches!(what, What::Lag { lag } if *lag > Dur::secs(29));
    assert_eq!(count(&run.facts, late), 7);
}

#[test]
fn a_push_wakes_after_its_lag_and_a_second_one_is_folded_into_it() {
    let mut run = enrolled(World::default());
    run.facts.clear();
    let pushed = run.clocks().now;
    for _ in 0..3 {
        run.input(Input::Push { lane: LaneIx(4), magic: "magic", keep_until: None, pushed, urgent: false });
    }
    run.input(Input::Push { lane: LaneIx(5), magic: "stale", keep_until: None, pushed, urgent: false });
    assert!(run.run_until(pushed + Dur::secs(5), 1_000));
    assert_eq!(pushes(&run.facts, PushFate::Coalesced), 2);
    assert_eq!(pushes(&run.facts, PushFate::Stale), 1);
    let woken: Vec<_> =
        run.facts.iter().filter(|f| matches!(f.what, What::Woken { pushed: p } if p == pushed)).collect();
    assert_eq!(woken.len(), 1);
    let lag = woken[0].at.since(pushed);
    assert!(lag >= toy::LAG && lag < toy::LAG + Dur::ms(3), "{lag:?}");
}

/// FCM's priorities.
#[test]
fn an_urgent_push_wakes_who_hears_no_other_and_brings_those_before_it() {
    let mut run = enrolled(World { script: Script::Doze, ..World::default() });
    run.facts.clear();
    let first = run.clocks().now;
    let push = |pushed, urgent| Input::Push { lane: LaneIx(1), magic: "magic", keep_until: None, pushed, urgent };
    let woken = |facts: &[Fact]| -> Vec<Mono> {
        facts
            .iter()
            .filter_map(|fact| if let What::Woken { pushed } = fact.what { Some(pushed) } else { None })
            .collect()
    };
    run.input(push(first, false));
    assert!(run.run_until(first + Dur::secs(60), 1_000));
    assert_eq!(woken(&run.facts), []);
    let urgent = run.clocks().now;
    run.input(push(urgent, true));
    run.input(push(urgent, true));
    assert!(run.run_until(first + Dur::secs(120), 1_000));
    assert_eq!(woken(&run.facts), [urgent]);
    assert_eq!(pushes(&run.facts, PushFate::Coalesced), 2);
    run.input(push(run.clocks().now, false));
    assert!(run.run_until(first + Dur::secs(180), 1_000));
    assert_eq!(woken(&run.facts), [urgent], "the urgent one was heard");
}

#[test]
fn a_push_into_an_open_session_is_heard_after_it() {
    let mut run = enrolled(World { takes: Dur::secs(2), ..World::default() });
    run.facts.clear();
    let first = run.clocks().now;
    run.input(Input::Push { lane: LaneIx(1), magic: "magic", keep_until: None, pushed: first, urgent: false });
    assert!(run.run_until(first + Dur::secs(1), 1_000));
    assert_eq!(run.shard.live(), 1);
    let second = run.clocks().now;
    run.input(Input::Push { lane: LaneIx(1), magic: "magic", keep_until: None, pushed: second, urgent: false });
    assert!(run.run_until(first + Dur::secs(20), 1_000));
    assert_eq!(count(&run.facts, |what| matches!(what, What::Woken { .. })), 2);
    assert_eq!(pushes(&run.facts, PushFate::Coalesced), 0);
}

/// What is folded into another is worth as much as it was.
#[test]
fn a_push_does_not_end_with_an_older_one() {
    let woken = |lasts: [Option<u64>; 2]| {
        let mut run = enrolled(World { takes: Dur::secs(10), ..World::default() });
        run.facts.clear();
        let (now, wall) = (run.clocks().now, run.clocks().wall);
        let push = |keep_until| Input::Push { lane: LaneIx(1), magic: "magic", keep_until, pushed: now, urgent: false };
        run.input(push(None));
        assert!(run.run_until(now + Dur::secs(2), 1_000));
        lasts.into_iter().for_each(|secs| run.input(push(secs.map(|secs| wall + Dur::secs(secs)))));
        assert!(run.run_until(now + Dur::secs(60), 1_000));
        let expired = pushes(&run.facts, PushFate::Expired);
        (count(&run.facts, |what| matches!(what, What::Woken { .. })), expired)
    };
    assert_eq!(woken([Some(4), Some(5)]), (1, 1));
    for lasts in [[Some(4), Some(3_600)], [Some(3_600), Some(4)], [Some(4), None], [None, Some(4)]] {
        assert_eq!(woken(lasts), (2, 0), "{lasts:?}");
    }
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout() {
    let mut run = forecast(
        plan(TEN, "enroll: { who: { phones: 1 devices }, arrivals: at_once }"),
        10,
        World { script: Script::Silent, ..World::default() },
    );
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(300), 10_000));
    assert_eq!(
        count(&run.facts, |what| matches!(
            what,
            What::RequestEnded { outcome: droves_facts::Outcome::Failed { kind: "timeout", .. }, .. }
        )),
        1
    );
}

/// A machine that saves in the middle of a session has the rest of it still to say.
#[test]
fn who_saves_goes_on_as_it_was() {
    let world = World { script: Script::SaveFirst, ..World::default() };
    let mut run = forecast(plan(TEN, "enroll: { who: all, arrivals: at_once }"), 10, world);
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(30), 10_000));
    let ended = |what: &What| matches!(what, What::OperationEnded { outcome: droves_facts::Outcome::Succeeded, .. });
    assert_eq!(count(&run.facts, ended), 10);
    assert_eq!(count(&run.facts, |what| matches!(what, What::Saved { .. })), 10);
}

#[test]
fn ending_the_device_channel_ends_its_user_channels() {
    let mut run = forecast(
        plan("macs: { platform: macos, count: 2, users: 2 }", "enroll: { who: all, arrivals: at_once }"),
        100,
        World { script: Script::EndAfterEnroll, ..World::default() },
    );
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(30), 10_000));
    let now = run.clocks().now;
    run.facts.clear();
    run.input(Input::Push { lane: LaneIx(1), magic: "magic", keep_until: None, pushed: now, urgent: false });
    assert_eq!(pushes(&run.facts, PushFate::Stale), 1);
    assert_eq!(run.shard.live(), 0);
    assert!(run.shard.snapshots().iter().all(|snapshot| snapshot.ended));
}

/// What a device orders its users after a slow answer is due from the answer on: the time before was the server's.
#[test]
fn an_order_after_a_slow_answer_is_not_late() {
    let slow = World { takes: Dur::secs(20), ..World::default() };
    let mut run = forecast(
        plan("macs: { platform: macos, count: 2, users: 2 }", "enroll: { who: all, arrivals: at_once }"),
        100,
        slow,
    );
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(300), 10_000));
    let lags: Vec<Dur> = run
        .facts
        .iter()
        .filter_map(|fact| match fact.what {
            What::Lag { lag } => Some(lag),
            _ => None,
        })
        .collect();
    assert!(lags.len() >= 6, "{lags:?}");
    assert!(lags.iter().all(|&lag| lag < Dur::secs(1)), "{lags:?}");
}

#[test]
fn a_restored_shard_goes_on_where_it_was() {
    let run = enrolled(World::default());
    let snapshots = run.shard.snapshots();
    let mut next = forecast(plan(TEN, "enroll: { who: all, arrivals: at_once }"), 100, World::default());
    let (mut known, clocks) = (Known::<toy::Toy>::default(), next.clocks());
    for snapshot in snapshots.clone() {
        next.shard.restore(snapshot, &mut known, clocks).unwrap();
    }
    let now = next.clocks().now;
    next.input(Input::Push { lane: LaneIx(3), magic: "magic", keep_until: None, pushed: now, urgent: false });
    assert!(next.run_until(now + Dur::secs(5), 1_000));
    assert_eq!(count(&next.facts, |what| matches!(what, What::Woken { .. })), 1);
    let before: Vec<_> = snapshots.iter().map(|s| s.record.clone()).collect();
    let after: Vec<_> = next.shard.snapshots().iter().map(|s| s.record.clone()).collect();
    assert_ne!(before[3], after[3], "the session after the restart is counted");
    assert_eq!(before[4], after[4]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Whatever the world does, every cause and every request is accounted for, and a lane has one request at a time.
    #[test]
    fn everything_is_accounted_for(
        seed in any::<u64>(), takes_ms in 0_u64..3_000, fails in 0_u8..4, sessions_max in 1_usize..12,
        pushed in prop::collection::vec((0_u32..10, 0_u64..20_000), 0..40),
    ) {
        let world = World { takes: Dur::ms(takes_ms), script: Script::Random { seed, fails }, ..World::default() };
        let mut run = forecast(
            plan(TEN, "check_in: { who: all, arrivals: { each: { every: 2s, jitter: 500ms } } }\n    for: 15s"),
            sessions_max,
            world,
        );
        run.begin(PhaseIx(0));
        let mut pushed = pushed;
        pushed.sort_by_key(|&(_, at)| at);
        for (lane, at) in pushed {
            prop_assert!(run.run_until(Mono::ZERO + Dur::ms(at), 100_000));
            let now = run.clocks().now;
            run.input(Input::Push { lane: LaneIx(lane), magic: "magic", keep_until: None, pushed: now, urgent: false });
        }
        prop_assert!(run.run_until(Mono::ZERO + Dur::secs(600), 1_000_000));
        let all = [ArrivalFate::OnTime, ArrivalFate::Late, ArrivalFate::Merged, ArrivalFate::Dropped];
        let planned = 10 * 15 / 2;
        let met: usize = all.iter().map(|&fate| fates(&run.facts, fate)).sum();
        prop_assert!(met.abs_diff(planned) <= 10, "{met}");
        let started = fates(&run.facts, ArrivalFate::OnTime) + fates(&run.facts, ArrivalFate::Late);
        prop_assert_eq!(started, count(&run.facts, |what| matches!(what, What::OperationEnded { .. })));
        let mut open = std::collections::BTreeSet::new();
        for fact in &run.facts {
            match fact.what {
                What::RequestStarted { .. } => prop_assert!(open.insert(fact.lane), "two at a time"),
                What::RequestEnded { .. } => prop_assert!(open.remove(&fact.lane)),
                _ => {}
            }
        }
        prop_assert!(open.is_empty());
        prop_assert_eq!(run.shard.live(), 0);
    }
}

/// The same plan and world say the same, to the byte.
#[test]
fn the_same_seed_says_the_same() {
    let once = || {
        let world = World { takes: Dur::ms(300), script: Script::Random { seed: 9, fails: 2 }, ..World::default() };
        let mut run = forecast(plan(TEN, "enroll: { who: all, arrivals: { poisson: 3/s } }"), 3, world);
        run.begin(PhaseIx(0));
        assert!(run.run_until(Mono::ZERO + Dur::secs(60), 100_000));
        format!("{:?}", run.facts)
    };
    assert_eq!(once(), once());
}

#[test]
fn an_answer_to_nobody_is_ignored() {
    let mut run = enrolled(World::default());
    run.facts.clear();
    let failure = Failure { blame: Blame::Network, kind: "reset", reached: Reached::Sent, text: "late".into() };
    let now = run.clocks().now;
    let exchange =
        droves_shard::Exchange { started: now, sent: now, first_byte: None, ended: now, bytes_out: 0, bytes_in: 0 };
    run.input(Input::Failed { lane: LaneIx(2), ticket: 77, exchange, failure });
    run.input(Input::Saved { lane: LaneIx(2), ticket: 78 });
    assert!(run.facts.is_empty(), "{:?}", run.facts);
}

/// An order that comes between a push and its wake is due when it was wanted, not when the push came.
#[test]
fn an_order_after_a_push_is_not_late_for_it() {
    let mut run =
        forecast(plan(TEN, "check_in: { who: all, arrivals: { rate: 2/s } }\n    for: 4s"), 100, World::default());
    let now = run.clocks().now;
    for lane in 0..10 {
        run.input(Input::Push { lane: LaneIx(lane), magic: "magic", keep_until: None, pushed: now, urgent: false });
    }
    run.begin(PhaseIx(0));
    assert!(run.run_until(now + Dur::secs(10), 10_000));
    let lag = run.facts.iter().filter_map(|fact| match fact.what {
        What::Lag { lag } => Some(lag),
        _ => None,
    });
    assert!(lag.max().unwrap() < Dur::ms(5));
}
