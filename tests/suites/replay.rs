//! The tape of a real run: the same machines, hearing the same, answer in the same way.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{
    API_KEY, Droves, Error, Ground, Nanomdm, NanomdmTables, Postgres, PushCertificate, ScepServer, Server, Storage,
    Surroundings, case, wait_until,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

static ALONE: Mutex<()> = Mutex::new(());

fn alone(name: &str, run: impl FnOnce(&Ground) -> Result<(), Error>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    case(name, run);
}

const QUICK: &str = "behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 }";
const ENROLL: &str = "  - name: enroll\n    enroll: { who: all, arrivals: { rate: 40/s } }\n    until: { enrolled: 100%, within: 10m }\n";
const ASK: &str = "  - name: ask\n    command: { who: all, request: DeviceInformation, with: { Queries: [ UDID, OSVersion ] }, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n";

fn fleet() -> String {
    format!(
        "    phones: {{ platform: ios, count: 60, reenroll: 2s, {QUICK} }}\n    \
         laptops: {{ platform: macos, count: 20, users: 1, reenroll: 2s, {QUICK} }}\n"
    )
}

fn scenario(target: &str, fleet: &str, phases: &str) -> String {
    format!(
        "droves: 1\ntarget: {target}\nfleet:\n  seed: 7\n  keys: {{ pool: 8 }}\n  populations:\n{fleet}\
         bounds: {{ lag_max: 60s }}\nphases:\n{phases}"
    )
}

/// What `droves replay` says of tapes, and whether all answers were the same.
fn replay(droves: &Droves, tapes: &[&Path]) -> (bool, String) {
    let tapes = tapes.iter().map(|tape| tape.to_str().unwrap());
    match droves.say(&["replay"].into_iter().chain(tapes).collect::<Vec<_>>()) {
        Ok(said) => (true, said),
        Err(Error::Answer(said)) => (false, said),
        Err(error) => panic!("{error}"),
    }
}

/// The steps that a run said are on its tape.
fn steps(ground: &Ground, name: &str) -> u64 {
    let said = std::fs::read_to_string(ground.path().join(format!("{name}.log"))).unwrap();
    let line = said.lines().find_map(|line| line.split_once(" steps of devices are on the tape"));
    line.and_then(|(steps, _)| steps.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

/// Fails unless every answer on the tape was the same, and the tape has as many steps as the run says.
fn is_the_same(droves: &Droves, ground: &Ground, name: &str, tape: &Path) -> u64 {
    let (same, said) = replay(droves, &[tape]);
    assert!(same && !said.contains("warning"), "{said}");
    let steps = steps(ground, name);
    let expected = format!("{steps} steps of ");
    assert!(said.lines().any(|line| line.starts_with(&expected)), "{expected}: {said}");
    steps
}

/// Enrolls with a user channel for some, wiped and back, with faults of the server and of the network; and again from the
/// disk.
#[test]
fn a_run_with_faults_and_one_after_it_are_what_their_tapes_say() {
    alone("taped", |ground| {
        let droves = Droves::new(ground.path())?;
        let (first, second) = (ground.path().join("first.tape"), ground.path().join("second.tape"));
        let folder = ground.path().join("fleet").to_str().unwrap().to_owned();
        let flags =
            |tape: &Path| ["--fleet".into(), folder.clone(), "--tape".into(), tape.to_str().unwrap().to_owned()];
        // Faults may keep a device waiting for minutes.
        let most = |phases: String| phases.replace("100%", "85%");
        let erase = "  - name: stolen\n    command: { who: all, request: EraseDevice, push: true, deadline: 1m }\n    until: { accepted: 60%, within: 30s }\n  - wait: 6s\n";
        let faults = "faults:\n  - server: { answer: 500 }\n    share: 5%\n  - server: lose_command\n    share: 5%\n  \
                      - network: reset\n    share: 5%\n  - network: { latency: { fixed: 20ms } }\n    share: 20%\n";
        let text = scenario("{ server: practice }", &fleet(), &most([ENROLL, erase].concat())) + faults;
        let run = droves.run("first", &text, &[], &flags(&first).each_ref().map(String::as_str))?;
        run.adds_up();
        assert!(run.number("requests.failed") > 0, "no fault struck: {:#}", run.summary);
        let steps = is_the_same(&droves, ground, "first", &first);
        assert!(steps > 1_500, "{steps}");
        // From the disk; with the renewal of every identity.
        let renew =
            "  - name: renew\n    renew: { who: all, arrivals: at_once }\n    until: { done: 100%, within: 1m }\n";
        let text = scenario("{ server: practice }", &fleet(), &most([ENROLL, renew].concat()));
        droves.run("second", &text, &[], &flags(&second).each_ref().map(String::as_str))?.adds_up();
        assert!(is_the_same(&droves, ground, "second", &second) > 300);
        // Both at once; and one of which a byte in the middle is another.
        let (same, said) = replay(&droves, &[&first, &second]);
        assert!(same && said.matches("each answered as it was then").count() == 2, "{said}");
        let mut bytes = std::fs::read(&second).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&second, bytes).unwrap();
        let (same, said) = replay(&droves, &[&second]);
        assert!(!same && said.contains("damaged"), "{said}");
        Ok(())
    });
}

#[test]
fn each_process_has_a_tape_of_its_own() {
    alone("taped_processes", |ground| {
        let droves = Droves::new(ground.path())?;
        let tape = ground.path().join("run.tape");
        let text = scenario("{ server: practice }", &fleet(), &[ENROLL, ASK].concat());
        let flags = ["--processes", "2", "--shards", "2", "--tape", tape.to_str().unwrap()];
        let run = droves.run("two", &text, &[], &flags)?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        let parts = [0, 1].map(|n| PathBuf::from(format!("{}.{n}", tape.display())));
        let (same, said) = replay(&droves, &parts.each_ref().map(PathBuf::as_path));
        assert!(same && !said.contains("warning"), "{said}");
        let each = said.lines().filter_map(|line| line.split_once(" steps of ")?.0.parse::<u64>().ok());
        let each: Vec<u64> = each.collect();
        assert!(
            each.len() == 2 && each.iter().sum::<u64>() == steps(ground, "two") && each.iter().all(|&n| n > 100),
            "{said}"
        );
        Ok(())
    });
}

/// A run that is killed leaves a tape without an end.
#[test]
fn what_a_killed_run_left_is_played_up_to_its_end() {
    alone("taped_killed", |ground| {
        let droves = Droves::new(ground.path())?;
        let tape = ground.path().join("run.tape");
        let text = scenario("{ server: practice }", &fleet(), &[ENROLL, "  - wait: 10m\n"].concat());
        let mut run = droves.start("killed", &text, &[], &["--tape", tape.to_str().unwrap()])?;
        run.ready()?;
        let length = || std::fs::metadata(&tape).map_or(0, |tape| tape.len());
        assert!(wait_until(Duration::from_secs(120), || length() > 200_000), "{} bytes", length());
        assert!(Command::new("kill").args(["-9", &run.pid().to_string()]).status().unwrap().success());
        drop(run);
        let (same, said) = replay(&droves, &[&tape]);
        assert!(same && said.contains("did not come to its end"), "{said}");
        let (same, said) = replay(&droves, &[&ground.path().join("killed.yaml")]);
        assert!(!same && said.contains("not a tape"), "{said}");
        Ok(())
    });
}

#[test]
fn a_run_against_nanomdm_is_what_its_tape_says() {
    alone("taped_at_nanomdm", |ground| {
        let tables = Arc::new(NanomdmTables::create(Arc::new(Postgres::start(ground.path())?), "nanomdm")?);
        let droves = Droves::new(ground.path())?;
        let scep = ScepServer::start(ground.path(), "secret")?;
        let push = PushCertificate::new(ground.path(), "5b1e2c8e-9d8a-4b0c-8a55-0d5f3c0f7a12")?;
        let around = Surroundings {
            https_proxy: Some(droves.proxy()),
            trusted: Some(droves.trusted()),
            webhook_url: None,
            takes_over: false,
            witness: Some(tables.clone()),
        };
        let server = Nanomdm::start(ground.path(), &scep.authority(), Storage::Pgsql(tables.dsn()), around)?;
        server.upload_push_certificate(&push)?;
        let url = server.mdm_url();
        let target = format!(
            "{{ server: nanomdm, url: \"{}\", vars: {{ topic: {}, scep_url: \"{}\", scep_challenge: secret }} }}",
            url.strip_suffix("/mdm").unwrap_or(&url),
            push.topic(),
            scep.url(),
        );
        let tape = ground.path().join("run.tape");
        let text = scenario(&target, &fleet(), &[ENROLL, ASK].concat());
        let run = droves.run("run", &text, &[("NANOMDM_API_KEY", API_KEY)], &["--tape", tape.to_str().unwrap()])?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        run.adds_up();
        assert!(is_the_same(&droves, ground, "run", &tape) > 80 * 10);
        Ok(())
    });
}
