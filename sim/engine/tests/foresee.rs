//! Whole scenarios in virtual time: the same twice, another with another seed, and what a trouble leaves behind.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_engine::forecast::{Foresee, Foreseen, foresee};
use droves_facts::{Dur, Limits, Mono, Operation, PhaseIx, Waker};
use droves_measure::{Hop, Kind, PerSession, echoes, herds};
use droves_scenario::Given;
use droves_shard::forecast::{Model, Network, Server, Service};
use droves_wire::digest;
use proptest::prelude::*;
use std::sync::Arc;

const ENROLL: &str = "  - enroll: { who: all, arrivals: { rate: 5/s } }\n    until: { enrolled: 100%, within: 10m }\n";

fn play(seed: u64, rest: &str, model: Model) -> (Foreseen, Vec<String>) {
    let fleet = "target: { server: practice }\nfleet:\n  populations:\n    phones: { platform: ios, count: 60 }\n    \
                 laptops: { platform: macos, count: 20, users: 1 }\n";
    play_text(seed, &format!("droves: 1\n{fleet}{rest}"), model)
}

/// PCs of a server that asks them for this.
fn play_pcs(asks: &str, rest: &str) -> (Foreseen, Vec<String>) {
    play_such_pcs("", asks, rest)
}

/// PCs with something of their own.
fn play_such_pcs(such: &str, asks: &str, rest: &str) -> (Foreseen, Vec<String>) {
    let text = format!(
        "droves: 1\ntarget: {{ server: practice, windows: {asks} }}\nfleet:\n  populations:\n    \
         pcs: {{ platform: windows, count: 30{such} }}\n{rest}"
    );
    play_text(7, &text, model())
}

fn play_text(seed: u64, text: &str, model: Model) -> (Foreseen, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("day.yaml");
    std::fs::write(&path, text).unwrap();
    let loaded = droves_scenario::load(&path, &Given { seed: Some(seed), ..Given::default() }, |_| None);
    let plan = loaded.map_or_else(|problems| panic!("{problems}\n{text}"), |loaded| Arc::new(loaded.plan));
    let mut facts = Vec::new();
    let what = Foresee { plan, limits: Limits::default(), model };
    let foreseen = foresee(what, |fact| facts.push(serde_json::to_string(fact).unwrap()), |_| (), || false).unwrap();
    (foreseen, facts)
}

fn model() -> Model {
    Model {
        server: Server { service: Service::Exponential(Dur::ms(5)), workers: Some(8), ..Server::default() },
        network: Network {
            round_trip: Dur::ms(20),
            bytes_per_s: Some(1_000_000),
            push: Dur::ms(200),
            ..Network::default()
        },
    }
}

/// Everything that started has an end, and every connection is closed.
fn is_accounted_for(foreseen: &Foreseen) {
    let counts = &foreseen.folds.counts;
    let requests = counts.tries_of(None, droves_facts::Unit::Request);
    assert_eq!(requests.started, requests.ended() + foreseen.unfinished);
    assert_eq!(counts.sessions_started, counts.sessions_ended + foreseen.sessions_open);
    if foreseen.sessions_open == 0 {
        let connections = counts.connections;
        assert_eq!(connections.opened, connections.closed_by_us + connections.closed_by_peer);
    }
    let load: u64 = foreseen.load.seconds().iter().map(|second| u64::from(second.requests)).sum();
    assert_eq!(load, requests.started);
}

#[test]
fn a_fleet_enrolls_checks_in_and_takes_its_commands() {
    let phases = format!(
        "phases:\n{ENROLL}  - together:\n      - check_in: {{ who: all, arrivals: {{ each: {{ every: 10m, jitter: 1m }} }} }}\n        \
         for: 30m\n      - command: {{ who: all, request: SecurityInfo, push: true, arrivals: {{ rate: 10/s }} }}\n        \
         until: {{ accepted: 100%, within: 20m }}\n"
    );
    let (foreseen, _) = play(7, &phases, model());
    is_accounted_for(&foreseen);
    let counts = &foreseen.folds.counts;
    assert_eq!(counts.devices_moved(droves_facts::DeviceState::Enrolled), 80);
    assert_eq!(counts.tries(None, Operation::AppleTokenUpdate).succeeded, 100, "20 of them of users");
    assert_eq!(counts.tries_of(None, droves_facts::Unit::Request).failed_in_all(), 0);
    assert!(foreseen.spans.iter().all(|span| !span.in_vain), "{:?}", foreseen.spans);
    assert!(counts.pushes.woken >= 80, "{}", counts.pushes.woken);
    let ledger = foreseen.folds.ledger.so_far();
    assert_eq!(ledger.violations(), 0, "{ledger:?}");
    assert!(!foreseen.began_enrolled);
    // Bytes have real lengths: an Idle of an iPhone is some 500 bytes and a signature.
    let (out, _) = counts.bytes(None);
    let requests = counts.tries_of(None, droves_facts::Unit::Request).ended();
    assert!((500..5_000).contains(&(out / requests)), "{}", out / requests);
}

/// What the administrator asks for happens among devices that have nothing else to do for long: a phase ends when it has its
/// end, also if nothing happens after that.
#[test]
fn a_phase_of_few_devices_ends_when_it_has_its_end() {
    let text = "droves: 1\ntarget: { server: practice }\nfleet:\n  populations:\n    tablets: { platform: android, count: 3, \
                managed_by: agent, behaviour: [ { slow: { factor: 0.02 } } ] }\nphases:\n  - enroll: { who: all }\n    \
                until: { enrolled: 100%, within: 1m }\n  - wait: 30s\n  - command: { who: all, configuration: { brightness: 40 } }\n    \
                until: { accepted: 100%, within: 1m }\n";
    let (foreseen, _) = play_text(7, text, model());
    let span = foreseen.spans.last().unwrap();
    let took = span.end.unwrap().since(span.start);
    assert!(!span.in_vain && took < Dur::secs(5), "{span:?}");
}

/// Half of the devices are off when their order comes, or lie still.
#[test]
fn who_is_away_when_it_is_to_enroll_enrolls_when_it_is_back() {
    let fleet = "droves: 1\ntarget: { server: practice }\nfleet:\n  populations:\n    \
                 dozing: { platform: android, count: 50, managed_by: agent, behaviour: [ { doze: {} } ] }\n    \
                 tills: { platform: android, count: 50, managed_by: agent, behaviour: [ { off: { share: 50% } } ] }\n    \
                 paused: { platform: android, count: 20, behaviour: [ { paused: { share: 50% } } ] }\n    \
                 pcs: { platform: windows, count: 20, behaviour: [ { off: { share: 50% } } ] }\n    \
                 laptops: { platform: macos, count: 20, users: 1, behaviour: [ { off: { share: 50% } } ] }\n";
    let phases =
        "phases:\n  - enroll: { who: all, arrivals: { rate: 0.01/s } }\n    until: { enrolled: 100%, within: 24h }\n";
    let (foreseen, facts) = play_text(7, &format!("{fleet}{phases}"), model());
    assert!(foreseen.spans.iter().all(|span| !span.in_vain), "{:?}", foreseen.spans);
    assert_eq!(foreseen.folds.counts.devices_moved(droves_facts::DeviceState::Enrolled), 160);
    assert!(facts.iter().all(|fact| !fact.contains("device_ended")));
}

/// Once there is no link any more, nothing but FCM tells them.
#[test]
fn agents_are_woken_by_fcm_where_there_is_no_link() {
    let phases = |project: &str, rest: &str| {
        let text = format!(
            "droves: 1\ntarget: {{ server: practice, vars: {{ firebase_project: \"{project}\" }} }}\nfleet:\n  populations:\n    \
             tablets: {{ platform: android, count: 20, managed_by: agent, behaviour: [ {{ slow: {{ factor: 0.02 }} }} ] }}\n\
             phases:\n  - enroll: {{ who: all }}\n    until: {{ enrolled: 100%, within: 1m }}\n  - wait: 4s\n{}{}{rest}",
            change("cut", 1),
            change("told", 2)
        );
        let (foreseen, _) = play_text(7, &text, model());
        is_accounted_for(&foreseen);
        (foreseen.folds.counts.pushes.woken, foreseen.spans.last().unwrap().in_vain)
    };
    fn change(name: &str, brightness: u32) -> String {
        format!(
            "  - name: {name}\n    command: {{ who: all, configuration: {{ pushOptions: null, brightness: {brightness} }} }}\n    \
             until: {{ accepted: 100%, within: 1m }}\n"
        )
    }
    let lost = "faults: [ { push: lost, during: told } ]\n";
    let refused = "faults: [ { push: { answer: 429 }, during: told } ]\n";
    let all = [("fleet-1", ""), ("", ""), ("fleet-1", lost), ("fleet-1", refused)]
        .map(|(project, rest)| phases(project, rest));
    assert_eq!(all, [(40, false), (20, true), (20, true), (20, true)]);
}

/// Neither the time in which a device becomes what it is to be, nor that in which it hears nobody, is its server's.
#[test]
fn what_a_device_takes_for_itself_is_no_latency() {
    for behaviour in ["", "{ paused: { share: 40%, spell: 20s } }"] {
        let text = format!(
            "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  populations:\n    tills: {{ platform: android, count: 40, \
             managed_by: agent, behaviour: [ {behaviour} ] }}\nphases:\n  - enroll: {{ who: all, arrivals: {{ rate: 20/s }} }}\n    \
             for: 2m\n  - command: {{ who: all, configuration: {{ brightness: 40 }} }}\n    for: 2s\n  - check_in: {{ who: all, \
             arrivals: {{ rate: 4/s }} }}\n    for: 2m\n"
        );
        let (_, facts) = play_text(7, &text, model());
        let late = |fact: &String| {
            let fact: serde_json::Value = serde_json::from_str(fact).unwrap();
            let ended = &fact["what"]["request_ended"];
            let us = |time: &str| ended["timing"][time].as_u64().unwrap_or(0);
            let is_agents = ended["operation"].as_str().is_some_and(|operation| operation.starts_with("android."));
            is_agents.then(|| us("started").saturating_sub(us("due")))
        };
        let late: Vec<u64> = facts.iter().filter_map(late).collect();
        assert!(late.len() > 300, "{}", late.len());
        assert!(late.iter().all(|us| *us < 2_000_000), "{behaviour}: {:?}", late.iter().max());
    }
}

#[test]
fn a_seed_is_one_stream_of_facts_and_another_seed_another() {
    let phases = format!("phases:\n{ENROLL}  - check_in: {{ who: all, arrivals: {{ poisson: 3/s }} }}\n    for: 5m\n");
    let sha = |seed| digest::sha256(play(seed, &phases, model()).1.join("\n").as_bytes());
    let once = sha(7);
    assert_eq!(once, sha(7));
    assert_ne!(once, sha(8));
}

#[test]
fn a_fleet_that_nobody_enrolls_is_enrolled_already() {
    let (foreseen, _) =
        play(1, "phases:\n  - check_in: { who: all }\n    until: { done: 100%, within: 1m }\n", model());
    is_accounted_for(&foreseen);
    assert!(foreseen.began_enrolled);
    assert_eq!(foreseen.folds.counts.tries(None, Operation::AppleIdle).succeeded, 80);
    let herds = herds(foreseen.load.seconds(), |_| None);
    let [herd] = herds.as_slice() else { panic!("{herds:?}") };
    assert_eq!((herd.peak, herd.by), (80, Waker::Order), "all at once");
}

#[test]
fn an_outage_leaves_an_echo() {
    let phases = "phases:\n  - check_in: { who: all, arrivals: { each: { every: 20m, jitter: 1m } } }\n    for: 2h\n";
    let away = Mono(Dur::secs(1_800).0)..Mono(Dur::secs(2_400).0);
    let with = Model { server: Server { outage: Some(away), ..model().server }, ..model() };
    let (calm, _) = play(3, phases, model());
    assert!(echoes(calm.load.seconds()).is_empty());
    let (foreseen, _) = play(3, phases, with);
    is_accounted_for(&foreseen);
    let found = echoes(foreseen.load.seconds());
    let [echo] = found.as_slice() else { panic!("{found:?}") };
    assert!((1_800..1_860).contains(&echo.trouble_from_s), "{echo:?}");
    assert!((2_340..=2_401).contains(&echo.trouble_to_s), "{echo:?}");
    assert!(echo.retries > 80 && echo.to_s > 2_400, "{echo:?}");
}

#[test]
fn a_server_that_is_too_small_sends_devices_away() {
    let small =
        Server { service: Service::Fixed(Dur::secs(1)), workers: Some(2), queue: Some(10), ..Server::default() };
    let (foreseen, _) =
        play(5, "phases:\n  - check_in: { who: all }\n    for: 1m\n", Model { server: small, ..Model::default() });
    is_accounted_for(&foreseen);
    let failed = foreseen.folds.counts.requests_failed();
    assert_eq!(failed.first().map(|failure| failure.kind), Some("status_503"), "{failed:?}");
    assert!(failed[0].count >= 68, "two are worked on, ten wait: {failed:?}");
    assert_eq!(foreseen.workers_busy_max, 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever the other side is like: the same twice, and everything is accounted for.
    #[test]
    fn any_world_is_accounted_for_and_the_same_twice(
        seed in 0_u64..1_000, service_ms in 0_u64..3_000, workers in 1_usize..20, queue in 0_usize..40,
        failures in 0.0_f64..0.5, loss in 0.0_f64..0.3, round_trip_ms in 0_u64..500, outage_s in 0_u64..100,
    ) {
        let outage = Mono(Dur::secs(20).0)..Mono(Dur::secs(20 + outage_s).0);
        let drawn = || Model {
            server: Server {
                service: Service::Exponential(Dur::ms(service_ms)), workers: Some(workers), queue: Some(queue), failures,
                outage: Some(outage.clone()),
            },
            network: Network { round_trip: Dur::ms(round_trip_ms), bytes_per_s: Some(50_000), loss, push: Dur::ms(100) },
        };
        let phases = "faults:\n  - { network: reset, share: 5% }\n  - { server: hang_up, share: 5% }\nphases:\n  \
                      - check_in: { who: all, arrivals: { rate: 2/s } }\n    for: 1m\n  \
                      - command: { who: all, request: DeviceInformation, push: true }\n    until: { done: 100%, within: 2m }\n";
        let (foreseen, facts) = play(seed, phases, drawn());
        is_accounted_for(&foreseen);
        prop_assert!(facts == play(seed, phases, drawn()).1);
    }
}

/// Side by side two phases push, each its own devices.
#[test]
fn what_a_push_leads_to_belongs_to_the_phase_that_asked_for_it() {
    let of = |who: &str| {
        format!(
            "      - name: of {who}\n        command: {{ who: {who}, request: SecurityInfo, push: true }}\n        \
             until: {{ accepted: 100%, within: 20m }}\n"
        )
    };
    let (foreseen, _) =
        play(7, &format!("phases:\n{ENROLL}  - wait: 10m\n  - together:\n{}{}", of("phones"), of("laptops")), model());
    let answers = |phase| foreseen.folds.counts.tries(Some(PhaseIx(phase)), Operation::AppleCommand).succeeded;
    assert_eq!([answers(2), answers(3)], [60, 20]);
}

const A_DAY_OF_PCS: &str = "  - together:
      - name: day
        wait: 6h
      - name: noon
        after: 3h
        command: { who: pcs, arrivals: { rate: 10/s }, profiles: [ { add: { from: 1, to: 5 } } ], push: true }
        until: { accepted: 100%, within: 20m }
";

/// Three polls of five minutes, then one an hour: the schedule alone says how many sessions a day has.
#[test]
fn pcs_enroll_poll_by_their_schedule_and_take_their_commands() {
    let phases = format!("phases:\n{ENROLL}{A_DAY_OF_PCS}");
    let asks = "{ poll: [ { every: 5m, times: 3 }, { every: 1h } ] }";
    let (foreseen, facts) = play_pcs(asks, &phases);
    is_accounted_for(&foreseen);
    let counts = &foreseen.folds.counts;
    assert_eq!(counts.devices_moved(droves_facts::DeviceState::Enrolled), 30);
    assert_eq!(counts.tries_of(None, droves_facts::Unit::Request).failed_in_all(), 0);
    assert!(foreseen.spans.iter().all(|span| !span.in_vain), "{:?}", foreseen.spans);
    assert_eq!(foreseen.folds.ledger.so_far().violations(), 0);
    // By schedule 3 and then 5 or 6 in what is left of six hours; the first of all ends the enrollment, one is pushed.
    let sessions = counts.sessions_started / 30;
    assert!((9..=12).contains(&sessions), "{sessions}");
    assert!(counts.pushes.woken >= 30, "{}", counts.pushes.woken);
    let nodes = foreseen.folds.series.per_session(None, PerSession::Nodes);
    assert!(nodes.max_us() >= Some(5), "{:?}", nodes.latency());
    assert_eq!(play_pcs(asks, &phases).1, facts, "the same twice");
}

/// Who proves itself by MD5 is asked to in each session, and says all of its first message again.
#[test]
fn md5_costs_a_message_a_session() {
    let phases = format!("phases:\n{ENROLL}  - wait: 2h\n");
    let messages = |auth: &str| {
        let (foreseen, _) = play_pcs(&format!("{{ auth: {auth}, poll: [ {{ every: 10m }} ] }}"), &phases);
        is_accounted_for(&foreseen);
        let messages = foreseen.folds.series.per_session(None, PerSession::Messages);
        messages.quantile_us(0.5).unwrap()
    };
    assert_eq!(messages("md5"), messages("certificate") + 1);
}

#[test]
fn what_windows_queues_comes_minutes_later() {
    let command = "command: { who: pcs, nodes: [ { get: ./DevDetail/SwV } ], push: true }";
    let phases =
        format!("phases:\n{ENROLL}  - wait: 10m\n  - {command}\n    until: {{ accepted: 100%, within: 20m }}\n");
    let half = |such: &str| {
        let (foreseen, _) = play_such_pcs(such, "{ poll: [ { every: 8h } ] }", &phases);
        foreseen.folds.fanout.makespan(PhaseIx(2), 0.5).unwrap()
    };
    assert!(half("") < Dur::secs(30), "{}", half(""));
    assert!(half(", behaviour: [ { queued: { share: 100%, for: 5m } } ]") > Dur::secs(300));
}

#[test]
fn pcs_that_nobody_enrolls_can_not_be_foreseen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("day.yaml");
    let text = "droves: 1\ntarget: { server: practice }\nfleet: { populations: { pcs: { platform: windows, count: 3 } } }\n\
                phases: [ { wait: 1h } ]\n";
    std::fs::write(&path, text).unwrap();
    let plan = Arc::new(droves_scenario::load(&path, &Given::default(), |_| None).unwrap().plan);
    let what = Foresee { plan, limits: Limits::default(), model: model() };
    let error = foresee(what, |_| (), |_| (), || false).unwrap_err().to_string();
    assert!(error.contains("no phase enrolls `pcs`"), "{error}");
}

#[test]
fn what_can_be_no_firebase_project_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("day.yaml");
    let text = "droves: 1\ntarget: { server: practice, vars: { firebase_project: my project/x } }\nfleet: { populations: { \
                tills: { platform: android, managed_by: agent, count: 3 } } }\nphases: [ { enroll: { who: all }, for: 1m } ]\n";
    std::fs::write(&path, text).unwrap();
    let plan = Arc::new(droves_scenario::load(&path, &Given::default(), |_| None).unwrap().plan);
    let what = Foresee { plan, limits: Limits::default(), model: model() };
    let error = foresee(what, |_| (), |_| (), || false).unwrap_err().to_string();
    assert!(error.contains("`my project/x` is no Firebase project"), "{error}");
}

/// Android devices, by Google and by an agent.
fn play_androids(asks: &str, rest: &str) -> (Foreseen, Vec<String>) {
    play_such_androids("", asks, rest)
}

fn play_such_androids(such: &str, asks: &str, rest: &str) -> (Foreseen, Vec<String>) {
    let text = format!(
        "droves: 1\ntarget: {{ server: practice, android: {asks} }}\nfleet:\n  populations:\n    \
         phones: {{ platform: android, count: 20{such} }}\n    kiosks: {{ platform: android, count: 10, managed_by: agent }}\n{rest}"
    );
    play_text(7, &text, model())
}

const ASKED_OF_ANDROIDS: &str = "  - wait: 1h
  - together:
      - name: lock
        command: { who: phones, request: LOCK }
        until: { accepted: 100%, within: 1h }
      - name: configuration
        command: { who: kiosks, configuration: { keepaliveTime: 120 } }
        until: { accepted: 100%, within: 2h }
  - name: policy
    command: { who: phones, policy: { cameraDisabled: true } }
    until: { accepted: 100%, within: 2h }
";

/// Each device has a policy of its own then, and that is two calls for each.
#[test]
fn androids_are_asked_through_google_and_by_their_agents() {
    let phases = format!("phases:\n{}{ASKED_OF_ANDROIDS}", ENROLL.replace("10m", "1h"));
    let (foreseen, facts) = play_androids("{}", &phases);
    let counts = &foreseen.folds.counts;
    assert!(foreseen.spans.iter().all(|span| !span.in_vain), "{:?}", foreseen.spans);
    assert_eq!(counts.devices_moved(droves_facts::DeviceState::Enrolled), 30);
    assert_eq!(foreseen.folds.ledger.so_far().violations(), 0);
    assert!(counts.tries(None, Operation::AndroidNotification).succeeded >= 60, "enrolled, locked, changed");
    assert!(counts.tries(None, Operation::AndroidLink).succeeded >= 10);
    assert!(counts.tries(None, Operation::AndroidDownload).succeeded > 0);
    assert_eq!(play_androids("{}", &phases).1, facts, "the same twice");
    // With a call a second the last of 40 waits for it.
    let policy = PhaseIx(4);
    let longest = |of: &Foreseen, hop| of.folds.fanout.times(Some(policy), hop).max_us().unwrap();
    assert_eq!(longest(&foreseen, Hop::Quota), 0);
    let (refused, _) = play_androids("{ quota: { calls: 10, every: 1m } }", &phases);
    let [quick, slow] = [&foreseen, &refused].map(|of| longest(of, Hop::Pushed));
    let quota = longest(&refused, Hop::Quota);
    assert!(quick < 10_000_000 && slow > 180_000_000, "{quick} {slow}");
    // Most of it is the quota's, and not all: a server that was refused waits for longer than it has to.
    assert!((slow / 2..slow).contains(&quota), "{quota} {slow}");
    let asked = |of: &Foreseen, hop| of.folds.fanout.count(Some(policy), hop);
    assert_eq!(asked(&foreseen, Hop::Quota), 20, "what agents are asked goes by no quota");
    let all = |hop| foreseen.folds.fanout.count(None, hop);
    assert_eq!((asked(&foreseen, Hop::Notified), all(Hop::Notified)), (20, 40));
    assert_eq!(all(Hop::Accepted), 50, "what agents have done goes by no notification");
}

/// The administrator calls each clone by what Google calls it: no command goes to another.
#[test]
fn clones_with_one_serial_number_are_asked_one_by_one() {
    let phases = format!("phases:\n{}{ASKED_OF_ANDROIDS}", ENROLL.replace("10m", "1h"));
    let (foreseen, _) = play_such_androids(", behaviour: [ { cloned: { share: 80% } } ]", "{}", &phases);
    assert!(foreseen.spans.iter().all(|span| !span.in_vain), "{:?}", foreseen.spans);
    assert_eq!(foreseen.folds.ledger.so_far().violations(), 0);
}

#[test]
fn reports_are_gathered_and_usage_logs_follow_them_where_the_scenario_says_so() {
    let told = |asks: &str| {
        let phases = format!("phases:\n{}  - wait: 6h\n", ENROLL.replace("10m", "1h"));
        let (foreseen, _) = play_androids(asks, &phases);
        assert!(foreseen.spans.iter().all(|span| !span.in_vain), "{:?}", foreseen.spans);
        foreseen.folds.counts.tries(None, Operation::AndroidNotification).succeeded
    };
    let (one_by_one, gathered) = (told("{ reports: 10m }"), told("{ reports: 10m, gather: 1h }"));
    assert!(gathered * 3 < one_by_one, "{gathered} {one_by_one}");
    let logged = told("{ reports: 10m, usage_logs: 3 }");
    assert!((one_by_one * 19 / 10..one_by_one * 2).contains(&logged), "{logged} {one_by_one}");
}

#[test]
fn what_google_does_wrong_is_seen() {
    let lock = "  - name: lock\n    command: { who: phones, request: LOCK }\n    for: 30m\n";
    let play = |fault: &str| {
        let faults =
            if fault.is_empty() { String::new() } else { format!("faults: [ {{ {fault}, during: lock }} ]\n") };
        let phases = format!("phases:\n{}  - wait: 1h\n{lock}{faults}", ENROLL.replace("10m", "1h"));
        let (foreseen, _) = play_androids("{}", &phases);
        let told = foreseen.folds.counts.tries(None, Operation::AndroidNotification).succeeded;
        // What Google does late is in the hop, and nothing of it is the server's.
        let response = foreseen.folds.series.times(None, Operation::AndroidNotification, Kind::Response);
        assert!(response.max_us() < Some(100_000), "{:?}", response.latency());
        let notified = foreseen.folds.fanout.times(Some(PhaseIx(2)), Hop::Notified).min_us();
        assert_eq!(notified > Some(59_000_000), fault.contains("late"), "{fault}: {notified:?}");
        (told, foreseen.folds.fanout.count(Some(PhaseIx(2)), Hop::Accepted))
    };
    let (told, accepted) = play("");
    assert_eq!(accepted, 20);
    assert_eq!(play("google: lose, about: COMMAND"), (told - 20, 0));
    assert_eq!(play("google: { repeat: { fixed: 1m } }, about: COMMAND"), (told + 20, 20));
    assert_eq!(play("google: { late: { fixed: 1m } }, about: COMMAND"), (told, 20));
    // What is refused once for its quota is called again.
    assert_eq!(play("google: { answer: 429 }, about: enterprises.devices.issueCommand, nth: 3"), (told, 20));
}
