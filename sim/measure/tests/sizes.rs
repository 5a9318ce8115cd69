//! What sessions carry, and how long a fan-out takes as a whole: the figures, and the thresholds that judge them.

use droves_facts::{CommandKey, CommandStatus, Dur, Fact, LaneIx, Mono, PhaseIx, What};
use droves_measure::{Fold, Folds, PhaseSpan, Summary, Surroundings, Thresholds, Verdicts};
use droves_scenario::plan::{Place, ThresholdLine};

fn fact(ms: u64, phase: u32, lane: u32, what: What) -> Fact {
    Fact { at: Mono(ms * 1_000), phase: PhaseIx(phase), lane: LaneIx(lane), what }
}

/// A phase in which these lanes are asked at 1 s; the n-th accepts n seconds later, if it is one of the first `answering`.
fn folds(lanes: impl IntoIterator<Item = u32>, answering: u32) -> Folds {
    let mut folds = Folds::default();
    for lane in lanes {
        let command = CommandKey(7);
        let (asked, queued) = (Mono(1_000_000), Mono(1_050_000));
        folds.apply(&fact(1_050, 0, lane, What::CommandQueued { command, asked, queued, deadline: Mono::NEVER }));
        if lane < answering {
            let at = 2_000 + 1_000 * u64::from(lane);
            let status = CommandStatus::Acknowledged;
            folds.apply(&fact(at - 200, 0, lane, What::Delivered { command, named: true }));
            folds.apply(&fact(at - 100, 0, lane, What::Answered { command, status }));
            folds.apply(&fact(at, 0, lane, What::Accepted { command, status }));
        }
    }
    folds
}

fn judge(folds: &Folds, metric: &str, expression: &str) -> Result<(String, bool), String> {
    let line = ThresholdLine {
        metric: metric.into(),
        expression: expression.into(),
        abort_on_fail: false,
        lasting: None,
        metric_place: Place::default(),
        place: Place::default(),
    };
    let mut thresholds =
        Thresholds::parse(&[line], &["fan".into(), "other".into()]).map_err(|all| all[0].text.clone())?;
    let judged = thresholds.judge(folds, &Verdicts::default(), Mono(0), true).remove(0);
    Ok((judged.said, judged.holds))
}

#[test]
fn a_makespan_is_of_what_was_queued_and_knows_no_end_before_the_last() {
    let span = PhaseSpan { phase: PhaseIx(0), name: "fan".into(), start_us: 0, end_us: 1, in_vain: false };
    let around = Surroundings { phases: vec![span], ..Surroundings::default() };
    let makespan = |folds: &Folds| Summary::of(folds, &around).phases[0].makespan_us;
    let whole = makespan(&folds(0..100, 100));
    let seconds = |us: Option<u64>| us.map(|us| us / 1_000_000);
    assert_eq!([whole.p50, whole.p90, whole.p99, whole.last].map(seconds), [Some(50), Some(90), Some(99), Some(100)]);
    let cut = makespan(&folds(0..100, 95));
    assert_eq!([cut.p50, cut.p90, cut.p99, cut.last].map(seconds), [Some(50), Some(90), None, None]);
}

#[test]
fn a_makespan_is_the_same_whoever_folds_its_parts() {
    let whole = folds(0..40, 40);
    let mut parts = folds((0..40).step_by(2), 40);
    parts.merge(folds((1..40).step_by(2), 40));
    for share in [0.5, 0.9, 1.0] {
        assert_eq!(parts.fanout.makespan(PhaseIx(0), share), whole.fanout.makespan(PhaseIx(0), share));
    }
    assert_eq!(whole.fanout.makespan(PhaseIx(0), 1.0), Some(Dur::secs(40)));
    assert_eq!(whole.fanout.makespan(PhaseIx(1), 1.0), None);
}

#[test]
fn thresholds_judge_makespans() {
    let folds = folds(0..100, 95);
    let of = |expression| judge(&folds, "fanout.makespan{phase: fan}", expression);
    assert_eq!(of("p(90)<91s"), Ok(("1m30s".into(), true)));
    assert_eq!(of("p(50)<50s"), Ok(("50s".into(), false)));
    assert_eq!(of("max<1h"), Ok(("no samples".into(), false)));
    assert!(of("avg<1h").is_err() && of("count<1").is_err());
    assert!(judge(&folds, "fanout.makespan", "max<1h").is_err());
}

#[test]
fn thresholds_judge_what_sessions_carry() {
    let mut folds = Folds::default();
    for nodes in 1..=100 {
        folds.apply(&fact(5, 1, nodes, What::Managed { messages: 2, nodes }));
    }
    let summary = Summary::of(&folds, &Surroundings::default()).windows;
    assert_eq!((summary.sessions, summary.messages_per_session.max), (100, Some(2)));
    assert_eq!((summary.nodes_per_session.p90, summary.nodes_per_session.max), (Some(90), Some(100)));
    let of = |expression| judge(&folds, "windows.nodes_per_session{phase: other}", expression);
    assert_eq!(of("p(95)<300"), Ok(("95".into(), true)));
    assert_eq!(of("max<100"), Ok(("100".into(), false)));
    assert!(of("p(95)<300ms").is_err() && of("rate<1%").is_err());
    assert_eq!(judge(&folds, "windows.messages_per_session{phase: fan}", "max<9"), Ok(("no samples".into(), false)));
}
