#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::{Fold, Folds};
use droves_facts::{
    Dur, Fact, KeyFamily, LaneIx, Mono, Opening, Operation, Outcome, PhaseIx, PushFate, RequestTiming, What,
};

fn machine() -> Machine {
    Machine {
        cpu: "Abacus 3".to_owned(),
        cores: 2.0,
        system: "linux".to_owned(),
        kernel: "6.1".to_owned(),
        architecture: "x86_64".to_owned(),
        droves: "0.1.0".to_owned(),
        build: "release".to_owned(),
    }
}

/// Everything costs 100 µs, but for a timer.
fn calibration() -> Calibration {
    let cost = |us: f64| Cost { us, us_min: us * 0.75, us_max: us * 1.25, rounds: 5, other_end_us: 50.0 };
    let of = |row: &OfferInfo| (row.name.to_owned(), cost(if row.offer == Offer::Timer { 0.5 } else { 100.0 }));
    Calibration {
        calibration_version: CALIBRATION_VERSION,
        measured: "2026-01-05T08:00:00Z".to_owned(),
        quick: false,
        machine: machine(),
        offers: OFFERS.iter().map(of).collect(),
    }
}

fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<Calibrated, CalibrationError> {
    let mut json = serde_json::to_value(calibration()).unwrap();
    change(&mut json);
    Calibration::read(&serde_json::to_vec(&json).unwrap(), &machine())
}

#[test]
fn a_calibration_is_read_as_it_was_written() {
    assert_eq!(read(|_| ()).unwrap(), Calibrated::Yes(Box::new(calibration())));
}

#[test]
fn one_of_another_machine_or_program_is_not_taken_and_it_is_said_why() {
    let check = |path: &str, value: serde_json::Value, said: &str| {
        let read = read(|json| *json.pointer_mut(path).unwrap() = value).unwrap();
        let Calibrated::No(why) = read else { panic!("{path} was taken") };
        assert!(why.contains(said) && why.contains("`droves calibrate`"), "{why}");
    };
    check("/machine/cpu", "Abacus 4".into(), "another processor (Abacus 4, here Abacus 3)");
    check("/machine/cores", 8.0.into(), "another number of cores (8.00, here 2.00)");
    check("/machine/kernel", "6.2".into(), "another kernel");
    check("/machine/droves", "0.2.0".into(), "another version of droves (0.2.0, here 0.1.0)");
    check("/machine/build", "debug".into(), "another build (debug, here release)");
    check("/calibration_version", 0.into(), "its version is 0, this program's is 1");
}

#[test]
fn a_broken_one_is_an_error_that_says_what_is_broken() {
    let check = |read: Result<Calibrated, CalibrationError>, said: &str| {
        let error = read.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    check(Calibration::read(b"{", &machine()), "not a calibration: EOF");
    check(Calibration::read(b"{}", &machine()), "missing field `calibration_version`");
    check(read(|json| json["offers"]["push"]["us"] = "dear".into()), "not a calibration: ");
    check(read(|json| json["offers"]["push"]["us"] = 0.into()), "`push` is 0, which can't be");
    check(read(|json| json["machine"]["cores"] = (-1).into()), "`cores` is -1");
    check(read(|json| drop(json["offers"].as_object_mut().unwrap().remove("timer"))), "no cost of `timer`");
}

#[test]
fn a_cost_says_how_often_in_a_core_second_and_how_steady_it_is() {
    let cost = calibration().offers["request"];
    assert_eq!(cost.per_core_s(), 10_000.0);
    assert!((cost.spread() - 0.5).abs() < 1e-9);
}

/// One of everything, and two timers.
fn folds() -> Folds {
    let mut folds = Folds::default();
    let mut apply = |what| folds.apply(&Fact { at: Mono(1), phase: PhaseIx(0), lane: LaneIx(0), what });
    let opening = |tls: Option<Dur>, shown, resumed| {
        What::ConnectionOpened(Opening { connect: Dur(1), tls, resumed, http2: false, shown })
    };
    apply(opening(None, None, false));
    apply(opening(Some(Dur(1)), None, false));
    apply(opening(Some(Dur(1)), None, true));
    apply(opening(Some(Dur(1)), Some(KeyFamily::P256), false));
    apply(opening(Some(Dur(1)), Some(KeyFamily::Rsa), false));
    apply(What::Signed { took: Dur(1), by: KeyFamily::Rsa });
    apply(What::Push(PushFate::Received));
    apply(What::Push(PushFate::Coalesced));
    for operation in [Operation::AppleScepIssue, Operation::AppleIdle, Operation::AdminPush] {
        let timing = RequestTiming { due: Mono(0), started: Mono(0), sent: Mono(0), first_byte: None, ended: Mono(1) };
        apply(What::RequestEnded { operation, timing, outcome: Outcome::Succeeded, bytes_out: 1, bytes_in: 1 });
    }
    folds.timers = 2;
    folds
}

#[test]
fn the_work_of_a_run_is_what_was_folded() {
    let work = Work::of(&folds());
    let counts: Vec<u64> = OFFERS.iter().map(|row| work.count(row.offer)).collect();
    // Connect, three handshakes (the resumed one without a certificate), requests of devices only, no whole sessions,
    // signatures, SCEP, the push once, timers.
    assert_eq!(counts, [1, 2, 1, 1, 2, 0, 0, 0, 1, 1, 1, 2]);
}

#[test]
fn how_near_a_run_came_adds_up() {
    let work = Work::of(&folds());
    let calibration = calibration();
    let priced = (10.0 * 100.0 + 2.0 * 0.5) / 1e6;
    assert!((calibration.cpu_s(&work) - priced).abs() < 1e-12);
    let seconds = [(0, Work::default()), (3, work)];
    let near = Near::of(&calibration, &work, seconds, 4.0, 0.01);
    let check = |is: f64, wanted: f64| assert!((is - wanted).abs() < 1e-9, "{is} and not {wanted}: {near:?}");
    check(near.of_offered, priced / 8.0);
    check(near.of_used, priced / 0.01);
    check(near.used_of_offered, 0.01 / 8.0);
    check(near.of_offered, near.of_used * near.used_of_offered);
    check(near.busiest_of_offered, priced / 2.0);
    assert_eq!(near.busiest_second, Some(3));
    check(near.in_second(&work), near.busiest_of_offered);
    check(near.parts.values().map(|part| part.share).sum(), near.of_offered);
    let request = near.parts["request"];
    check(request.per_core_s, 2.0 / 8.0);
    check(request.share, request.per_core_s / request.offered_per_core_s);
    assert!(!near.parts.contains_key("sign_p256"), "what was not done is not shown");
}

#[test]
fn a_run_of_nothing_has_shares_of_nothing() {
    let near = Near::of(&calibration(), &Work::default(), [], 0.0, 0.0);
    assert_eq!((near.of_offered, near.of_used, near.busiest_second), (0.0, 0.0, None));
    assert!(near.parts.is_empty());
}
