//! The program against its own practice server: whether two ways of counting agree, whether the ledger names what the
//! server did, whether a fleet survives its process, whether a stall is measured as one.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Call, Droves, Error, Ground, Relay, Run, Running, Stall, case, free_port, program, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

static ALONE: Mutex<()> = Mutex::new(());

fn alone(name: &str, run: impl FnOnce(&Ground) -> Result<(), Error>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    case(name, run);
}

const QUICK: &str = "behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 }";
const ENROLL: &str = "  - name: enroll\n    enroll: { who: all, arrivals: { rate: 40/s } }\n    until: { enrolled: 100%, within: 10m }\n";

fn scenario(target: &str, fleet: &str, phases: &str) -> String {
    format!(
        "droves: 1\ntarget: {target}\nfleet:\n  seed: 7\n  keys: {{ pool: 8 }}\n  populations:\n{fleet}\
         bounds: {{ lag_max: 60s }}\nphases:\n{phases}"
    )
}

fn phones(count: u32) -> String {
    format!("    phones: {{ platform: ios, count: {count}, {QUICK} }}\n")
}

fn truth(run: &Run) -> Value {
    serde_json::from_slice(&std::fs::read(run.folder.join("practice.json")).unwrap()).unwrap()
}

/// The same of a server that is running.
fn truth_of(port: u16) -> Result<Value, Error> {
    let answer = Call { method: "GET", path: "/_truth", headers: &[], body: &[] }.send(port)?;
    serde_json::from_slice(&answer.body).map_err(|_| Error::Answer(answer.text()))
}

fn sum(value: &Value) -> u64 {
    value.as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum())
}

fn operations(run: &Run, names: &[&str]) -> u64 {
    names.iter().map(|name| run.summary["operations"][name]["count"].as_u64().unwrap_or(0)).sum()
}

#[test]
fn totals_of_a_run_are_what_the_server_counted() {
    totals("totals", 160, 40, &[]);
}

#[test]
fn totals_of_a_run_in_two_processes_are_what_the_server_counted() {
    totals("totals_of_two", 40, 10, &["--processes", "2"]);
}

fn totals(name: &str, phones: u64, macs: u64, flags: &[&str]) {
    alone(name, |ground| {
        let fleet = format!(
            "    phones: {{ platform: ios, count: {phones}, {QUICK} }}\n    macs: {{ platform: macos, count: {macs}, users: 1, {QUICK} }}\n"
        );
        let phases = [
            ENROLL,
            "  - name: check in\n    check_in: { who: all, arrivals: { each: { every: 2s, jitter: 500ms } } }\n    for: 6s\n",
            "  - name: profiles\n    command: { who: all, request: ProfileList, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n",
            "  - name: stolen\n    command: { who: { phones: 10 devices }, request: EraseDevice, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n",
            "  - name: leave\n    unenroll: { who: { macs: 5 devices } }\n    until: { done: 100%, within: 10m }\n",
        ]
        .concat();
        let run = Droves::new(ground.path())?.run(
            "totals",
            &scenario("{ server: practice }", &fleet, &phases),
            &[],
            flags,
        )?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        run.adds_up();
        let truth = truth(&run);
        let checkins = ["apple.authenticate", "apple.token_update", "apple.set_bootstrap_token", "apple.check_out"];
        assert_eq!(sum(&truth["requests"]["/checkin"]), operations(&run, &checkins), "{truth:#}");
        assert_eq!(sum(&truth["requests"]["/mdm"]), operations(&run, &["apple.idle", "apple.command"]));
        let scep = ["apple.scep.caps", "apple.scep.ca", "apple.scep.issue", "apple.scep.poll"];
        assert_eq!(sum(&truth["requests"]["/scep"]), operations(&run, &scep));
        assert_eq!(sum(&truth["requests"]["/enroll"]), operations(&run, &["apple.profile"]));
        assert_eq!(truth["issued"].as_u64(), Some(phones + macs));
        assert_eq!(truth["enrolled"]["devices"].as_u64(), Some(run.number("devices.enrolled")));
        let commands = |what: &str| {
            let of = |command: &str| truth["commands"][command][what].as_u64().unwrap_or(0);
            of("ProfileList") + of("EraseDevice")
        };
        assert_eq!(commands("queued"), run.number("fanout.queued"));
        assert_eq!(commands("delivered"), run.number("fanout.delivered") + run.number("ledger.repeated_lawfully"));
        assert_eq!(commands("acknowledged"), run.number("fanout.accepted"));
        assert_eq!(truth["pushes"]["asked"].as_u64(), Some(run.number("push.asked")));
        assert_eq!(truth["pushes"]["200"].as_u64(), Some(run.number("push.received")));
        assert_eq!(run.number("truth.differs"), 0);
        Ok(())
    });
}

/// What the ledger says of a run in which the server does one thing wrong with commands that are asked for like this.
fn with_fault(ground: &Ground, fault: &str, asked: &str) -> Result<Run, Error> {
    let fleet = format!("{}    tablets: {{ platform: ipados, count: 20, {QUICK} }}\n", phones(40));
    let phases = [
        ENROLL,
        // Devices connect by themselves within ten seconds of enrolling, and would find what no push has told them of.
        if fault == "forget_push" { "  - wait: 15s\n" } else { "" },
        "  - name: faulty\n    command: { who: { phones: 20 devices }, request: SecurityInfo, push: true, ",
        asked,
        "  - name: look again\n    check_in: { who: all, arrivals: at_once }\n    until: { done: 100%, within: 10m }\n",
    ]
    .concat();
    let text = scenario("{ server: practice }", &fleet, &phases);
    let text = format!("{text}faults:\n  - server: {fault}\n    during: faulty\n");
    Droves::new(ground.path())?.run("faulty", &text, &[], &[])
}

/// All are delivered, if not to whom they are for, and none is late.
const DELIVERED: &str = "deadline: 10m }\n    for: 6s\n";
/// The same for those that must be accepted.
const ACCEPTED: &str = "deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n";
/// None is delivered in time.
const OVERDUE: &str = "deadline: 1s }\n    for: 6s\n";

/// Three connections for thirty devices, and a server that takes its time: what can't begin is late, dropped or merged.
#[test]
fn what_has_no_room_is_counted_as_the_plan_says() {
    const CROWD: &str =
        "  - name: crowd\n    check_in: { who: all, arrivals: at_once }\n    until: { done: 100%, within: 10m }\n";
    const BESIDE: &str = "  - together:\n      - name: pushed\n        push: { who: all }\n        for: 8s\n      - name: crowd\n        \
        check_in: { who: all, arrivals: at_once }\n        after: 4s\n        until: { done: 100%, within: 10m }\n";
    alone("no_room", |ground| {
        let crowd = |policy: &str, phases: &str, slow: &str, by: &str| {
            let enroll = ENROLL.replace("40/s", "5/s");
            let text = scenario("{ server: practice }", &phones(30), &[&enroll, phases].concat());
            let bounds = format!("lag_max: 400ms, connections_max: 3, on_overload: {policy}");
            let slow = format!("faults:\n  - {{ server: {{ slow: {{ fixed: {by} }} }}, during: {slow} }}\n");
            let text = text.replace("lag_max: 60s", &bounds) + &slow;
            let run = Droves::new(ground.path())?.run(policy, &text, &[], &["--shards", "1"])?;
            run.adds_up();
            let checked_in = run.summary["operations"]["check_in"]["count"].as_u64().unwrap_or(0);
            Ok::<_, Error>((run, checked_in))
        };
        let (run, checked_in) = crowd("catch_up", CROWD, "crowd", "300ms")?;
        assert_eq!((run.code, checked_in), (111, 30), "{:#}", run.summary);
        let reasons = run.summary["verdict"]["reasons"].to_string();
        assert!(reasons.contains("its part of `connections_max`"), "{reasons}");
        let arrivals = |run: &Run, what: &str| run.number(&format!("arrivals.{what}"));
        assert!(arrivals(&run, "late") >= 20, "{:#}", run.summary["arrivals"]);
        assert_eq!((arrivals(&run, "dropped"), arrivals(&run, "merged")), (0, 0), "{:#}", run.summary["arrivals"]);

        let (run, checked_in) = crowd("drop", CROWD, "crowd", "2s")?;
        assert_eq!((checked_in, arrivals(&run, "merged")), (3, 0), "{:#}", run.summary["arrivals"]);
        assert!(arrivals(&run, "dropped") >= 27, "{:#}", run.summary["arrivals"]);

        // Those that a push has woken, or that wait for their turn because of one, need not be told to check in.
        // Six have been done with it when the others are.
        let (run, checked_in) = crowd("merge", BESIDE, "pushed", "1500ms")?;
        assert!(arrivals(&run, "merged") >= 20, "{:#}", run.summary["arrivals"]);
        assert_eq!(arrivals(&run, "merged") + checked_in, 30, "{:#}", run.summary["arrivals"]);
        assert_eq!(arrivals(&run, "dropped"), 0, "{:#}", run.summary["arrivals"]);
        Ok(())
    });
}

#[test]
fn declarations_are_synced_after_the_command_loop() {
    alone("declarations", |ground| {
        let fleet = "    phones: { platform: ios, count: 30 }\n    macs: { platform: macos, count: 10, users: 1 }\n";
        let phases = "  - name: enroll\n    enroll: { who: all, arrivals: at_once }\n    until: { enrolled: 100%, within: 10m }\n  \
                      - name: declare\n    command: { who: all, request: DeclarativeManagement, push: true }\n    \
                      until: { accepted: 100%, within: 10m }\n  - wait: 10m\n";
        let text = scenario("{ server: practice }", fleet, phases);
        let mut started = Droves::new(ground.path())?.start("declared", &text, &[], &[])?;
        started.ready()?;
        let port = started.target_port()?;
        wait_until(Duration::from_secs(300), || truth_of(port).is_ok_and(|truth| truth["status_reports"] == 40));
        let run = started.interrupt()?;
        assert_eq!(run.code, 105, "{:#}", run.summary["verdict"]);
        run.adds_up();
        assert_eq!(truth(&run)["status_reports"], 40);
        assert_eq!(run.summary["operations"]["apple.declarative.declaration"]["count"], 80);
        Ok(())
    });
}

fn check(name: &str, asked: &str, wanted: &[(&str, u64)]) {
    alone(name, |ground| {
        let run = with_fault(ground, name, asked)?;
        run.adds_up();
        let struck = truth(&run)["faults"][name].as_u64().unwrap_or(0);
        assert!(struck > 0, "{:#}", truth(&run)["faults"]);
        let ledger = &run.summary["ledger"];
        for kind in ["lost", "duplicated", "misdelivered", "late"] {
            let wanted = wanted.iter().find(|(named, _)| *named == kind).map_or(0, |(_, count)| *count);
            assert_eq!(ledger[kind].as_u64(), Some(wanted), "{name}: {kind} of {ledger:#}");
        }
        assert_eq!(run.code, 110, "{:#}", run.summary["verdict"]);
        let lines = anomalies(&run);
        assert_eq!(lines.len() as u64, wanted.iter().map(|(_, count)| count).sum::<u64>());
        // One by one, under the names that the server has for them.
        let truth = truth(&run);
        assert_eq!(truth["is_partial"], false);
        let struck = truth["struck"].as_array().unwrap();
        for (column, others) in [("enrollment", name == "misdeliver_command"), ("command", name == "forget_push")] {
            // To whom a command was delivered instead, and for which one no push was asked, the server does not note.
            if !others {
                assert_eq!(names(&lines, column), names(struck, column), "{column}");
            }
        }
        let delivered: u64 =
            truth["by_enrollment"].as_object().unwrap().values().map(|of| of["delivered"].as_u64().unwrap_or(0)).sum();
        assert_eq!(truth["commands"]["SecurityInfo"]["delivered"].as_u64().unwrap_or(0), delivered);
        Ok(())
    });
}

fn anomalies(run: &Run) -> Vec<Value> {
    let lines = std::fs::read_to_string(run.folder.join("ledger.ndjson")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(rows: &[Value], column: &str) -> Vec<String> {
    let mut names: Vec<String> = rows.iter().map(|row| row[column].as_str().unwrap_or("none").to_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_fault_strikes_the_one_that_was_ordered() {
    alone("nth", |ground| {
        let fleet = format!("{}    tablets: {{ platform: ipados, count: 4, {QUICK} }}\n", phones(8));
        let phases = [
            ENROLL,
            "  - name: asked\n    command: { who: all, request: SecurityInfo, push: true, deadline: 1s }\n    for: 5s\n",
            "  - name: look again\n    check_in: { who: all, arrivals: at_once }\n    until: { done: 100%, within: 10m }\n",
        ]
        .concat();
        let text = scenario("{ server: practice }", &fleet, &phases);
        let text = format!("{text}faults:\n  - server: lose_command\n    nth: 3\n    who: tablets\n");
        let run = Droves::new(ground.path())?.run("nth", &text, &[], &[])?;
        assert_eq!(run.number("ledger.lost"), 1, "{:#}", run.summary["ledger"]);
        let struck = truth(&run)["struck"].as_array().unwrap().clone();
        assert_eq!(struck.len(), 1, "{struck:?}");
        let lost = anomalies(&run);
        assert_eq!(names(&lost, "enrollment"), names(&struck, "enrollment"));
        // The phones have the first eight lanes.
        assert!((8..12).contains(&lost[0]["lane"].as_u64().unwrap()), "{lost:?}");
        Ok(())
    });
}

#[test]
fn a_lost_command_is_named() {
    check("lose_command", OVERDUE, &[("lost", 20)]);
}

#[test]
fn a_repeated_command_is_named() {
    check("repeat_command", ACCEPTED, &[("duplicated", 20)]);
}

#[test]
fn a_misdelivered_command_is_named() {
    check("misdeliver_command", DELIVERED, &[("misdelivered", 20)]);
}

#[test]
fn a_forgotten_push_makes_commands_late() {
    check("forget_push", OVERDUE, &[("late", 20)]);
}

/// What the network does is charged to the network, and the fleet gets over it.
#[test]
fn a_broken_network_is_the_networks_fault() {
    alone("network", |ground| {
        let check = |fault: &str, kind: &str| -> Result<(), Error> {
            let phases = [
                ENROLL,
                "  - name: calm\n    wait: 11s\n",
                "  - name: storm\n    check_in: { who: all, arrivals: { rate: 20/s } }\n    for: 3s\n",
                "  - name: after\n    check_in: { who: all, arrivals: at_once }\n    until: { done: 100%, within: 10m }\n",
            ];
            let text = scenario("{ server: practice }", &phones(30), &phases.concat());
            let text = format!("{text}faults:\n  - network: {fault}\n    during: storm\n    share: 50%\n");
            let run = Droves::new(ground.path())?.run(kind, &text, &[], &[])?;
            run.adds_up();
            let failures = run.summary["failures"].as_array().cloned().unwrap_or_default();
            assert!(!failures.is_empty(), "{fault}: nobody met it");
            assert!(failures.iter().all(|failure| failure["blame"] == "network"), "{fault}: {failures:#?}");
            assert!(failures.iter().any(|failure| failure["kind"] == kind), "{fault}: {failures:#?}");
            assert_eq!(run.number("devices.enrolled"), 30, "{fault}");
            assert_eq!(run.number("ledger.lost"), 0);
            Ok(())
        };
        check("refused", "connect_refused")?;
        check("reset", "reset")
    });
}

/// A pipeline that keeps the last good run learns that the server has become slower.
#[test]
fn a_slower_server_is_worse_than_the_baseline() {
    alone("baseline", |ground| {
        let phases = [ENROLL, "  - name: steady\n    check_in: { who: all, arrivals: { rate: 40/s } }\n    for: 4s\n"];
        let text = scenario("{ server: practice }", &phones(40), &phases.concat());
        let slow = format!("{text}faults:\n  - server: {{ slow: {{ fixed: 600ms }} }}\n    during: steady\n");
        let droves = Droves::new(ground.path())?;
        let good = droves.run("release", &text, &[], &[])?;
        assert_eq!(good.code, 0, "{:#}", good.summary["verdict"]);
        let baseline = ["--baseline", good.folder.to_str().unwrap(), "--worse-by", "3"];
        let bad = droves.run("release", &slow, &[], &baseline)?;
        assert_eq!(bad.code, 112, "{:#}", bad.summary["verdict"]);
        let reasons = format!("{:?}", bad.summary["verdict"]["reasons"]);
        assert!(reasons.contains("worse than the baseline: apple.idle p50"), "{reasons}");
        Ok(())
    });
}

#[test]
fn a_slow_network_shows_in_the_latencies_and_nowhere_else() {
    alone("slow_network", |ground| {
        let phases = [ENROLL, "  - name: far\n    check_in: { who: all, arrivals: { rate: 10/s } }\n    for: 4s\n"];
        let text = scenario("{ server: practice }", &phones(20), &phases.concat());
        let text = format!("{text}faults:\n  - network: {{ latency: {{ fixed: 300ms }} }}\n    during: far\n");
        let run = Droves::new(ground.path())?.run("far", &text, &[], &[])?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        run.adds_up();
        let phases = run.summary["phases"].as_array().unwrap();
        let p50 = |phase: usize| phases[phase]["operations"]["apple.idle"]["service_us"]["p50"].as_u64().unwrap_or(0);
        assert!(p50(1) > 200_000, "{:#}", phases[1]["operations"]["apple.idle"]);
        assert_eq!(run.number("requests.failed"), 0);
        Ok(())
    });
}

#[test]
fn statuses_on_order_are_the_servers_fault() {
    alone("answer", |ground| {
        let run = with_fault(ground, "{ answer: 503 }", OVERDUE)?;
        run.adds_up();
        let of_mdm = truth(&run)["requests"]["/mdm"]["503"].as_u64().unwrap_or(0);
        assert!(of_mdm > 0);
        assert_eq!(run.number("requests.failed_by.server"), of_mdm, "{:#}", run.summary["failures"]);
        Ok(())
    });
}

/// A practice server in a process of its own, on a port that stays.
fn practice(dir: &Path, droves: &Droves, push: u16, flags: &[&str]) -> Result<(Running, u16), Error> {
    let program = program("droves")?;
    let command = |port: u16| {
        let mut command = Command::new(&program);
        command.args(["practice", "--token", "secret", "--windows-port", "0", "--mqtt-port", "0"]);
        command.args(["--port", &port.to_string()]);
        command.args(["--push", &format!("127.0.0.1:{push}")]).arg("--push-ca").arg(droves.trusted());
        command.args(flags);
        command
    };
    let ready = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    Running::serve("practice", dir, command, ready)
}

#[test]
fn a_fleet_on_disk_goes_on_in_the_next_run() {
    alone("fleet_on_disk", |ground| {
        let (droves, push) = (Droves::new(ground.path())?, free_port()?);
        let (_server, port) = practice(ground.path(), &droves, push, &[])?;
        let target = format!("{{ server: practice, url: \"http://127.0.0.1:{port}\" }}");
        let fleet = format!("{}    macs: {{ platform: macos, count: 10, users: 1, {QUICK} }}\n", phones(50));
        let install = "  - name: wifi\n    command: { who: all, request: InstallProfile, payload: wifi.mobileconfig, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n";
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/payloads/wifi.mobileconfig");
        std::fs::copy(source, ground.path().join("wifi.mobileconfig")).unwrap();
        let kept = ground.path().join("fleet");
        let (push, kept) = (push.to_string(), kept.display().to_string());
        let flags = ["--fleet", &kept, "--push-port", &push];
        let env = [("DROVES_PRACTICE_TOKEN", "secret")];
        let first = droves.run("first", &scenario(&target, &fleet, &[ENROLL, install].concat()), &env, &flags)?;
        assert_eq!(first.code, 0, "{:#}", first.summary["verdict"]);
        // The devices still have the profile: removing it succeeds, and only once.
        let remove = "  - name: remove\n    command: { who: all, request: RemoveProfile, with: { Identifier: com.github.droves.wifi }, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n";
        let again = remove.replace("name: remove", "name: again");
        let second = droves.run("second", &scenario(&target, &fleet, &[remove, &again].concat()), &env, &flags)?;
        second.adds_up();
        assert_eq!(second.number("devices.enrolled"), 60);
        assert_eq!(operations(&second, &["apple.authenticate", "apple.scep.issue"]), 0);
        assert_eq!(second.summary["ledger"]["partial"], true);
        let truth = truth_of(port)?;
        assert_eq!(truth["issued"].as_u64(), Some(60), "{truth:#}");
        assert_eq!(truth["commands"]["RemoveProfile"]["acknowledged"].as_u64(), Some(60), "{truth:#}");
        assert_eq!(truth["commands"]["RemoveProfile"]["error"].as_u64(), Some(60), "{truth:#}");
        Ok(())
    });
}

/// N arrivals a second, and a server that stands still for S: N·S samples spread evenly over (0, S). Once with the
/// connections in the listener's queue, once with the connections taken.
#[test]
fn a_stall_is_measured_from_the_intended_start() {
    alone("stall", |ground| {
        // What is waited for goes on at once, and a machine that others use too takes its time over that.
        const TRIES: usize = 3;
        let mut said = Vec::new();
        for n in 0..TRIES {
            let dir = ground.path().join(n.to_string());
            std::fs::create_dir(&dir).unwrap();
            match stalled(&dir)? {
                None => return Ok(()),
                Some(difference) => said.push(difference),
            }
        }
        panic!("{said:#?}");
    });
}

/// Has a server stand still twice, and says where the samples are not what they must be by arithmetic, to 5 %.
fn stalled(dir: &Path) -> Result<Option<String>, Error> {
    const RATE: f64 = 10.0;
    const STALL_S: f64 = 5.0;
    let (droves, push) = (Droves::new(dir)?, free_port()?);
    let relay = Relay::start()?;
    let (_server, port) = practice(dir, &droves, push, &["--url", &relay.url()])?;
    relay.lead_to(port);
    let target = format!("{{ server: practice, url: \"{}\" }}", relay.url());
    let stall = |name: &str| {
        format!("  - name: {name}\n    check_in: {{ who: all, arrivals: {{ rate: {RATE}/s }} }}\n    for: {STALL_S}s\n")
    };
    let phases = [
        ENROLL.to_owned(),
        "  - { name: calm, wait: 15s }\n".to_owned(),
        stall("before accept"),
        "  - { name: calm again, wait: 6s }\n".to_owned(),
        stall("after accept"),
        "  - wait: 2s\n".to_owned(),
    ];
    let text = scenario(&target, &phones(60), &phases.concat());
    let push = push.to_string();
    let started = droves.start("stall", &text, &[("DROVES_PRACTICE_TOKEN", "secret")], &["--push-port", &push])?;
    let wait_for = |phase: &str| {
        let wanted = format!("  {phase} ");
        assert!(wait_until(Duration::from_secs(300), || started.has_said(&wanted)), "{phase}");
    };
    let mut stood = Vec::new();
    // It stands before the first arrival, when nobody is at work from enrolling any more.
    for (calm, rest_s, phase, stall) in
        [("calm", 10, "before accept", Stall::BeforeAccept), ("calm again", 1, "after accept", Stall::AfterAccept)]
    {
        wait_for(calm);
        std::thread::sleep(Duration::from_secs(rest_s));
        let taken = relay.taken();
        relay.stand(Some(stall));
        wait_for(phase);
        std::thread::sleep(Duration::from_secs_f64(STALL_S));
        // One connection may have been taken while it began to stand.
        let taken = relay.taken() - taken;
        relay.stand(None);
        if !(if stall == Stall::BeforeAccept { taken <= 1 } else { taken > 35 }) {
            return Ok(Some(format!("{phase}: {taken} connections were taken")));
        }
        stood.push((phase, SystemTime::now()));
    }
    let run = started.finish()?;
    run.adds_up();
    for (name, released) in stood {
        let phases = run.summary["phases"].as_array().unwrap();
        let phase = phases.iter().find(|phase| phase["name"] == name).unwrap();
        let begins = began(&run) + Duration::from_micros(phase["start_us"].as_u64().unwrap());
        let samples = &phase["operations"]["check_in"];
        if samples["count"].as_f64() != Some(RATE * STALL_S) {
            return Ok(Some(format!("{name}: not as many as there are arrivals: {samples:#}")));
        }
        // The last arrival waited until it went on, and all before it as much longer as they were earlier.
        let shortest = released.duration_since(begins).unwrap_or_default().as_secs_f64() - STALL_S;
        for (percentile, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            let wanted = shortest + STALL_S * share;
            let measured = samples["response_us"][percentile].as_f64().unwrap() / 1e6;
            if (measured / wanted - 1.0).abs() > 0.05 {
                return Ok(Some(format!("{name}: {percentile} is {measured} s, not {wanted} s: {samples:#}")));
            }
        }
    }
    Ok(None)
}

/// When a run began, as its histogram log says.
fn began(run: &Run) -> SystemTime {
    let log = std::fs::read_to_string(run.folder.join("latency.hlog")).unwrap();
    let start = log.lines().find_map(|line| line.strip_prefix("#[StartTime: ")).unwrap();
    let seconds: f64 = start.split_whitespace().next().unwrap().parse().unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)
}
