//! More than one process: the sink, whose processes share a port, and runs that they are the other end of.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Authority, Call, Droves, Error, Ground, Sink, case, wait_until};
use serde_json::Value;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(600);

/// Two cores carry one of these cases at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A minted fleet and what a run with it is told.
struct Camp {
    droves: Droves,
    authority: Authority,
    fleet: String,
}

impl Camp {
    /// Mints a fleet of phones that take days over a question, enrolled at this address.
    fn pitch(ground: &Ground, authority: Authority, url: &str, phones: u32) -> Result<Camp, Error> {
        let droves = Droves::new(ground.path())?;
        let fleet = ground.path().join("fleet").to_str().unwrap().to_owned();
        let camp = Camp { droves, authority, fleet };
        let mint = ["--fleet", &camp.fleet, "--ca", camp.ca(), "--ca-key", camp.authority.key().to_str().unwrap()];
        let scenario = camp.scenario(url, phones, 1, "1s");
        camp.droves.complete(
            &["fleet", "mint"],
            "open",
            &scenario,
            &[],
            &[&mint[..], &["--key-kind", "p256"]].concat(),
        )?;
        Ok(camp)
    }

    fn ca(&self) -> &str {
        self.authority.certificate().to_str().unwrap()
    }

    fn scenario(&self, url: &str, phones: u32, per_second: u32, length: &str) -> String {
        format!(
            "droves: 1\ntarget: {{ server: sink, url: \"{url}\", tls: {{ ca: {} }} }}\nfleet:\n  populations:\n    \
             phones: {{ platform: ios, count: {phones}, behaviour: [ {{ slow: {{ factor: 1000000 }} }} ] }}\n\
             bounds: {{ lag_max: 60s, connections_max: {} }}\nphases:\n  - name: open\n    \
             check_in: {{ who: all, arrivals: {{ rate: {per_second}/s }} }}\n    for: {length}\n",
            self.ca(),
            phones + phones / 5,
        )
    }
}

/// A process has 20,000 files at most on some machines: these fit into two, and both ends must have seen all of them.
#[test]
fn fifteen_thousand_sessions_are_open_in_two_processes_and_both_ends_count_them() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    case("open", |ground| {
        const PHONES: u32 = 15_000;
        let authority = Authority::new(ground.path())?;
        let sink = Sink::start(ground.path(), &authority, &["--processes", "2", "--commands", "1"])?;
        let camp = Camp::pitch(ground, authority, sink.url(), PHONES)?;
        let scenario = camp.scenario(sink.url(), PHONES, 250, "15m");
        let flags = ["--fleet", &camp.fleet, "--fleet-stays", "--processes", "2", "--shards", "1"];
        let started = camp.droves.start("open", &scenario, &[], &flags)?;
        // A machine that is slower than the arrivals takes longer until all are there.
        let are_all_open = || {
            std::thread::sleep(Duration::from_millis(200));
            started.has_said("  sessions 15,000  ") && sink.has_said(&format!("commands {PHONES},"))
        };
        let are_all_open = wait_until(WAIT_MAX, are_all_open);
        let run = started.interrupt()?;
        assert!(are_all_open && run.code == 105, "{:#}", run.summary);
        run.adds_up();
        assert_eq!(run.number("sessions.open_max"), u64::from(PHONES), "{:#}", run.summary);
        assert_eq!(run.number("requests.failed"), 0, "{:#}", run.summary["failures"]);
        assert_eq!(run.number("connections.closed_by_us"), u64::from(PHONES), "{:#}", run.summary["connections"]);
        assert!(run.summary["generator"]["pipes_held_up_us"].is_u64(), "{:#}", run.summary["generator"]);
        let files = run.number("generator.fds_max");
        assert!((7_000..9_000).contains(&files), "{files} files in a process");
        let (counts, code) = sink.finish()?;
        assert_eq!(code, 0);
        assert_eq!(counts["all"]["open_max"], PHONES, "{counts:#}");
        assert_eq!(counts["all"]["commands"], PHONES, "{counts:#}");
        assert_eq!(counts["all"]["requests"], run.number("requests.succeeded"), "{counts:#}");
        let each = counts["processes"].as_array().unwrap();
        assert_eq!(each.len(), 2);
        assert!(each.iter().all(|process| process["open_max"].as_u64() > Some(7_000)), "{counts:#}");
        Ok(())
    });
}

#[test]
fn a_run_that_loses_a_process_says_so_and_leaves_its_results() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    case("lost", |ground| {
        let droves = Droves::new(ground.path())?;
        let scenario = "droves: 1\ntarget: { server: practice }\nfleet:\n  keys: { pool: 8 }\n  populations:\n    \
            phones: { platform: ios, count: 100 }\nbounds: { lag_max: 60s }\nphases:\n  - name: enroll\n    \
            enroll: { who: all, arrivals: { rate: 40/s } }\n    until: { enrolled: 100%, within: 10m }\n  - wait: 10m\n";
        let mut run = droves.start("lost", scenario, &[], &["--processes", "2"])?;
        run.ready()?;
        let children = format!("/proc/{0}/task/{0}/children", run.pid());
        let mut workers = Vec::new();
        wait_until(WAIT_MAX, || {
            let text = std::fs::read_to_string(&children).unwrap_or_default();
            workers = text.split_whitespace().map(str::to_owned).collect();
            workers.len() == 2
        });
        assert_eq!(workers.len(), 2, "{children}");
        // In the middle of enrolling.
        let port = run.target_port()?;
        let enrolled = || -> Option<u64> {
            let answer = Call { method: "GET", path: "/_truth", headers: &[], body: &[] }.send(port).ok()?;
            serde_json::from_slice::<Value>(&answer.body).ok()?["enrolled"]["devices"].as_u64()
        };
        assert!(wait_until(WAIT_MAX, || enrolled() >= Some(20)), "{:?} enroll", enrolled());
        assert!(Command::new("kill").args(["-9", &workers[1]]).status().unwrap().success());
        let run = run.finish()?;
        assert_eq!(run.code, 114, "{:#}", run.summary["verdict"]);
        assert_eq!(run.summary["ledger"]["partial"], true);
        let reasons = run.summary["verdict"]["reasons"].to_string();
        assert!(reasons.contains("worker process 1"), "{reasons}");
        assert!(run.number("devices.enrolled") > 0, "{:#}", run.summary);
        // The other process ended in good order.
        let alive = |pid: &str| std::path::Path::new(&format!("/proc/{pid}")).exists();
        assert!(!alive(&workers[0]));
        Ok(())
    });
}

#[test]
fn a_sink_that_loses_a_process_says_so() {
    case("sink_lost", |ground| {
        let authority = Authority::new(ground.path())?;
        let mut sink = Sink::start(ground.path(), &authority, &["--processes", "2"])?;
        let victim = sink.processes()[1].to_string();
        assert!(Command::new("kill").args(["-9", &victim]).status().unwrap().success());
        let (counts, code) = sink.counted()?;
        assert_eq!((code, counts["processes"].as_array().unwrap().len()), (114, 2), "{counts:#}");
        Ok(())
    });
}
