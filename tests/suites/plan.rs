//! What was foreseen in virtual time is what a run then does: the same scenario by `droves plan` and by `droves run`.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Droves, case, wait_until};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const SCENARIO: &str = "droves: 1
target: { server: practice }
fleet:
  seed: 11
  keys: { pool: 8 }
  populations:
    phones: { platform: ios, count: 120, behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 } }
    macs: { platform: macos, count: 30, users: 1, behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 } }
bounds: { lag_max: 60s }
phases:
  - name: enroll
    enroll: { who: all, arrivals: { rate: 30/s } }
    until: { enrolled: 100%, within: 10m }
  - name: settle
    wait: 15s
  - name: check in
    check_in: { who: all, arrivals: { each: { every: 2s, jitter: 500ms } } }
    for: 6s
  - name: profiles
    command: { who: all, request: ProfileList, push: true }
    until: { accepted: 100%, within: 10m }
";

const PCS: &str = "droves: 1
target: { server: practice, windows: { auth: md5, poll: [ { every: 8h } ] } }
fleet:
  seed: 11
  keys: { pool: 8 }
  populations:
    pcs: { platform: windows, count: 60, behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 } }
bounds: { lag_max: 60s }
phases:
  - name: enroll
    enroll: { who: all, arrivals: { rate: 20/s } }
    until: { enrolled: 100%, within: 10m }
  - name: settle
    wait: 15s
  - name: check in
    check_in: { who: all, arrivals: { each: { every: 3s, jitter: 500ms } } }
    for: 6s
  - name: profiles
    command: { who: all, arrivals: { rate: 20/s }, profiles: [ { add: { from: 1, to: 30 } } ], push: true }
    until: { accepted: 100%, within: 10m }
";

/// Runs vary: a check-in may find its device in a session or not. More than this is not chance.
const MARGIN: f64 = 0.05;
/// A machine that others use too finds more devices in a session, once. What is foreseen wrongly is so each time.
const TRIES: u32 = 3;

#[test]
fn a_run_does_what_was_foreseen() {
    does_what_was_foreseen("foreseen", SCENARIO);
}

#[test]
fn a_run_of_pcs_does_what_was_foreseen() {
    does_what_was_foreseen("pcs-foreseen", PCS);
}

fn does_what_was_foreseen(name: &str, scenario: &str) {
    case(name, |ground| {
        let droves = Droves::new(ground.path())?;
        let out = ground.path().join("plan");
        droves.complete(&["plan"], name, scenario, &[], &["--out", out.to_str().unwrap()])?;
        let foreseen: Value = serde_json::from_slice(&std::fs::read(out.join("plan.json")).unwrap()).unwrap();
        let mut said = Vec::new();
        for n in 0..TRIES {
            let run = droves.run(&format!("{name}-{n}"), scenario, &[], &[])?;
            assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
            assert_eq!(foreseen["pushes"], run.number("push.received"), "pushes");
            assert_eq!(foreseen["requests"]["failed"], run.number("requests.failed"));
            let real = (run.number("requests.started"), run.number("connections.opened"));
            let (requests, connects) = (foreseen["requests"]["started"].as_f64(), foreseen["connects"].as_f64());
            let near = |foreseen: Option<f64>, real: u64| (foreseen.unwrap() / real as f64 - 1.0).abs() <= MARGIN;
            if near(requests, real.0) && near(connects, real.1) {
                return Ok(());
            }
            said.push((requests, connects, real));
        }
        panic!("requests and connects foreseen, and in the run: {said:#?}");
    });
}

/// Hours of a large fleet take minutes: whoever breaks that off has what was foreseen until then.
#[test]
fn a_plan_that_is_broken_off_says_what_it_has() {
    const DAY: &str = "droves: 1
target: { server: practice }
fleet:
  populations:
    phones: { platform: ios, count: 100000 }
phases:
  - name: hourly
    check_in: { who: all, arrivals: { each: { every: 1h } } }
    for: 24h
";
    /// More than all devices that are there at the beginning.
    const FACTS_BYTES: u64 = 1 << 24;
    case("broken_off", |ground| {
        let droves = Droves::new(ground.path())?;
        let out = ground.path().join("plan");
        let facts = ground.path().join("facts");
        let flags = ["--out", out.to_str().unwrap(), "--facts", facts.to_str().unwrap()];
        let mut plan = droves.begin(&["plan"], "day", DAY, &[], &flags)?;
        let is_under_way = || std::fs::metadata(&facts).is_ok_and(|facts| facts.len() > FACTS_BYTES);
        assert!(wait_until(Duration::from_secs(300), is_under_way), "it does not begin");
        assert!(Command::new("kill").args(["-INT", &plan.pid().to_string()]).status().unwrap().success());
        assert!(wait_until(Duration::from_secs(60), || !plan.is_alive()), "it does not stop");
        assert_eq!(plan.exit_code(), Some(105));
        let foreseen: Value = serde_json::from_slice(&std::fs::read(out.join("plan.json")).unwrap()).unwrap();
        assert_eq!(foreseen["interrupted"], true, "{:#}", foreseen["requests"]);
        assert!(foreseen["requests"]["started"].as_u64() > Some(0), "{:#}", foreseen["requests"]);
        Ok(())
    });
}
