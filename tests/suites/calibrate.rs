//! What the machine can offer: measured, kept, and used by runs; no figure here depends on how fast the machine is.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Droves, Error, Ground, Run, Running, case, program, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const SCENARIO: &str = "droves: 1\ntarget: { server: practice }\nfleet:\n  keys: { pool: 4 }\n  populations:\n    phones: { platform: ios, count: 30, behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 } }\nbounds: { lag_max: 60s }\nphases:\n  - enroll: { who: all, arrivals: { rate: 20/s } }\n    until: { enrolled: 100%, within: 10m }\n  - command: { who: all, request: ProfileList, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n";

fn calibrate(flags: &[&str], out: &Path) -> Result<Output, Error> {
    let mut command = Command::new(program("droves")?);
    command.args(["calibrate", "--quick"]).args(flags).arg("--out").arg(out).env_remove("RUST_LOG");
    Ok(command.output().unwrap())
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn run(ground: &Ground, name: &str, env: &[(&str, &str)]) -> Result<Run, Error> {
    let run = Droves::new(ground.path())?.run(name, SCENARIO, env, &[])?;
    assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
    Ok(run)
}

fn words(run: &Run) -> String {
    std::fs::read_to_string(run.folder.join("summary.md")).unwrap()
}

#[test]
fn a_machine_is_calibrated_and_a_run_says_how_near_it_came() {
    case("calibrated", |ground| {
        let file = ground.path().join("cache/calibration.json");
        let output = calibrate(&["--json"], &file)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("round 5 of 5") && said.contains("saved to"), "{said}");
        let saved = read(&file);
        assert_eq!(saved, serde_json::from_slice::<Value>(&output.stdout).unwrap());
        let us = |offer: &str| saved["offers"][offer]["us"].as_f64().unwrap();
        for offer in saved["offers"].as_object().unwrap().keys() {
            assert!(us(offer) > 0.0, "{offer} costs nothing: {saved:#}");
        }
        assert!(us("sign_rsa") > us("sign_p256"), "{saved:#}");
        assert!(us("handshake_rsa") > us("connect"), "{saved:#}");
        assert!(us("session_p256") > us("request"), "{saved:#}");
        assert!(us("request") > us("timer"), "{saved:#}");

        let run = run(ground, "near", &[("DROVES_CALIBRATION", file.to_str().unwrap())])?;
        let near = &run.summary["generator"]["near"];
        let figure = |name: &str| near[name].as_f64().unwrap_or_else(|| panic!("no {name} in {near:#}"));
        assert!(figure("of_offered") > 0.0 && figure("busiest_of_offered") >= figure("of_offered"), "{near:#}");
        let parts = near["parts"].as_object().unwrap();
        let count = |part: &str| parts[part]["count"].as_u64().unwrap();
        // The practice server has no TLS; every device enrolls by SCEP and signs by its RSA key.
        assert_eq!(count("connect"), run.number("connections.opened"));
        assert_eq!(count("request"), run.number("requests.succeeded") + run.number("requests.failed"));
        assert_eq!(count("scep"), 30);
        assert_eq!(count("push"), run.number("push.received"));
        assert!(count("sign_rsa") > 0 && count("timer") > 0 && !parts.contains_key("handshake_rsa"), "{near:#}");
        let shares: f64 = parts.values().map(|part| part["share"].as_f64().unwrap()).sum();
        assert!((shares - figure("of_offered")).abs() < 1e-9, "{near:#}");
        assert!((figure("of_used") * figure("used_of_offered") - shares).abs() < 1e-9, "{near:#}");
        assert_eq!(read(&run.folder.join("run.json"))["calibration"], saved);
        assert!(words(&run).contains("in the busiest second"), "{}", words(&run));
        let page = std::fs::read_to_string(run.folder.join("report.html")).unwrap();
        assert!(page.contains("of what the machine can offer, %") && page.contains("<td>sign_rsa"));
        Ok(())
    });
}

#[test]
fn a_run_without_a_calibration_says_so_in_a_line_and_is_as_good() {
    case("not_calibrated", |ground| {
        let cache = ground.path().join("cache");
        let env = [("XDG_CACHE_HOME", cache.to_str().unwrap())];
        let none = run(ground, "none", &env)?;
        assert!(none.summary["generator"]["near"].is_null());
        assert!(words(&none).contains("Machine: not calibrated: `droves calibrate`."), "{}", words(&none));
        assert!(read(&none.folder.join("run.json"))["calibration"].is_null());

        // A broken one in the cache is told of, and stops nobody.
        let file = cache.join("droves/calibration.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "{ broken").unwrap();
        let broken = run(ground, "broken", &env)?;
        assert!(broken.summary["generator"]["near"].is_null());

        // One of another version is not used, and it is said why.
        std::fs::write(&file, "{ \"calibration_version\": 0 }").unwrap();
        let old = run(ground, "old", &env)?;
        let why = old.summary["generator"]["not_calibrated"].as_str().unwrap();
        assert!(why.contains("calibration.json is not used: its version is 0"), "{why}");

        // One that was named has to be whole: it is said before anything is sent.
        std::fs::write(&file, "{ broken").unwrap();
        let scenario = ground.path().join("named.yaml");
        std::fs::write(&scenario, SCENARIO).unwrap();
        let mut command = Command::new(program("droves")?);
        command.arg("run").arg(&scenario).arg("--calibration").arg(&file).arg("--out").arg(ground.path().join("no"));
        let output = command.env_remove("RUST_LOG").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("not a calibration") && said.contains("make it anew: `droves calibrate`"), "{said}");
        assert!(!ground.path().join("no").exists());
        Ok(())
    });
}

#[test]
fn who_interrupts_a_calibration_has_none() {
    case("calibrate_interrupted", |ground| {
        let file = ground.path().join("calibration.json");
        let mut command = Command::new(program("droves")?);
        command.args(["calibrate", "--out"]).arg(&file).env_remove("RUST_LOG");
        let mut running = Running::start("calibrate", ground.path(), &mut command)?;
        let log = || std::fs::read_to_string(ground.path().join("calibrate.log")).unwrap_or_default();
        assert!(wait_until(Duration::from_secs(60), || log().contains("warming up")), "{}", log());
        let killed = Command::new("kill").args(["-INT", &running.pid().to_string()]).status().unwrap();
        assert!(killed.success());
        assert!(wait_until(Duration::from_secs(60), || !running.is_alive()), "{}", log());
        assert_eq!(running.exit_code(), Some(105), "{}", log());
        assert!(log().contains("nothing was saved"), "{}", log());
        assert!(!file.exists());
        Ok(())
    });
}
