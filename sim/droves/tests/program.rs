//! The program as its users meet it: help, checks, schemas. Runs are in the suites at `tests/`.
#![expect(clippy::unwrap_used, reason = "tests")]

use assert_cmd::Command;

fn droves() -> Command {
    let mut command = Command::cargo_bin("droves").unwrap();
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_teaches() {
    let out = droves().arg("--help").assert().success();
    let help = text(&out.get_output().stdout);
    for wanted in ["droves run scenarios/quickstart.yaml", "Exit codes", "practice"] {
        assert!(help.contains(wanted), "no {wanted} in\n{help}");
    }
}

#[test]
fn a_scenario_with_six_errors_shows_six_carets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.yaml");
    let bad = "droves: 1\n\
        target: { server: practice, urll: \"http://127.0.0.1\" }\n\
        fleet:\n  populations:\n    phones: { platfrom: ios, count: ten }\n\
        phases:\n  - enroll: { who: all, arrivals: { rate: 5/fortnight } }\n    until: { enroled: 100%, within: 5 }\n";
    std::fs::write(&path, bad).unwrap();
    let out = droves().arg("check").arg(&path).env("DROVES_PRACTICE_TOKEN", "x").assert().code(104);
    let said = text(&out.get_output().stderr);
    assert!(said.matches("^").count() >= 6, "{said}");
    assert!(said.contains("6 errors; nothing was sent"), "{said}");
    assert!(said.contains("bad.yaml:2:"), "{said}");
}

#[test]
fn an_unknown_metric_is_an_error_before_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metric.yaml");
    let scenario = "droves: 1\ntarget: { server: practice }\nfleet:\n  populations:\n    phones: { platform: ios, count: 1 }\nphases:\n  - name: enroll\n    enroll: { who: all }\nthresholds:\n  \"apple.comand.response\": [ \"p(99)<5s\" ]\n";
    std::fs::write(&path, scenario).unwrap();
    let out = droves().arg("check").arg(&path).assert().code(104);
    let said = text(&out.get_output().stderr);
    assert!(said.contains("there is no metric `apple.comand.response`") && said.contains("metric.yaml:10"), "{said}");
    assert!(said.contains("did you mean `apple.command.response`?"), "{said}");
    let out = droves().args(["schema", "metrics"]).assert().success();
    let names = text(&out.get_output().stdout);
    for name in ["enroll.response", "windows.issue.failed", "fanout.makespan", "ledger.violations", "truth.differs"] {
        assert!(names.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn what_is_shipped_checks_and_schemas_are_json() {
    for name in ["quickstart", "nanomdm"] {
        let path = format!("{}/../../scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let out = droves().arg("check").arg(path).env("NANOMDM_API_KEY", "x").assert().success();
        assert!(text(&out.get_output().stdout).contains("nothing was sent"));
    }
    for of in ["scenario", "server", "summary"] {
        let out = droves().args(["schema", of]).assert().success();
        let schema: serde_json::Value = serde_json::from_slice(&out.get_output().stdout).unwrap();
        assert!(schema.is_object());
    }
}

#[test]
fn nobody_at_the_target_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nobody.yaml");
    let scenario = "droves: 1\ntarget: { server: practice, url: \"http://127.0.0.1:9\" }\nfleet:\n  populations:\n    phones: { platform: ios, count: 1 }\nphases:\n  - enroll: { who: all }\n";
    std::fs::write(&path, scenario).unwrap();
    let mut command = droves();
    command.arg("run").arg(&path).args(["--headless", "--out"]).arg(dir.path().join("results"));
    command.arg("--certs").arg(dir.path().join("certs")).arg("--keys").arg(dir.path().join("keys"));
    let out = command.env("DROVES_PRACTICE_TOKEN", "x").assert().code(113);
    let said = text(&out.get_output().stderr);
    assert!(said.contains("target http://127.0.0.1:9 is not reachable"), "{said}");
}

/// Once it is said when it is found, and then as long as the file lies there.
#[test]
fn a_damaged_fleet_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let cells = vec![0, 30, 60];
    let whose = droves_fleet::Whose {
        seed: 7,
        devices: 40,
        lanes: 60,
        populations: "macs".into(),
        cells,
        devices_of_cells: vec![0, 20, 40],
    };
    drop(droves_fleet::Fleet::open(dir.path(), whose).unwrap());
    let fleet = |what: &str, code: i32| {
        let out = droves().args(["fleet", what]).arg(dir.path()).assert().code(code);
        text(&out.get_output().stderr)
    };
    assert!(fleet("check", 0).contains("0 things broken"));
    std::fs::write(dir.path().join("cell-01.redb"), "cut off").unwrap();
    let said = fleet("check", 1);
    for wanted in ["cell-01.redb is damaged", "drops 20 of 40 devices (lanes 30 to 59)", "put a whole copy of it back"]
    {
        assert!(said.contains(wanted), "no {wanted} in\n{said}");
    }
    let said = fleet("check", 1);
    assert!(said.contains("cell-01.redb.damaged-") && said.contains("when 20 of 40 devices"), "{said}");
    std::fs::write(dir.path().join("cell-00.redb"), "cut off").unwrap();
    let said = fleet("compact", 0);
    assert!(said.contains("warning: ") && said.contains("cell-00.redb is damaged"), "{said}");
}

const SMALL: &str = "droves: 1\n\
    target: { server: practice }\n\
    fleet:\n  populations:\n    phones: { platform: ios, count: 40 }\n\
    phases:\n  - name: rush\n    check_in: { who: all }\n    for: 2m\n";

fn small() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.yaml");
    std::fs::write(&path, SMALL).unwrap();
    (dir, path)
}

/// `droves plan` of the small scenario; no calibration of whoever runs the tests is in it.
fn plan(path: &std::path::Path, flags: &[&str]) -> assert_cmd::assert::Assert {
    let none = path.with_extension("none");
    droves().arg("plan").arg(path).arg("--calibration").arg(none).args(flags).assert()
}

#[test]
fn a_plan_draws_the_load_and_names_the_herd() {
    let (_dir, path) = small();
    let out = plan(&path, &["--cores", "2"]).success();
    let said = text(&out.get_output().stdout);
    for wanted in [
        "nothing was sent",
        "no phase enrolls any: all begin enrolled",
        "40 sessions, 40 requests (0 failed), 40 connects (0 TLS handshakes)",
        "requests/s",
        "open sessions",
        "herds     1",
        "40 sessions in 1s, most 40/s at 00:00:00",
        "the plan lets them come (phase `rush`)",
        "nothing comes back",
        "1 machine of 2 cores",
        "not calibrated",
    ] {
        assert!(said.contains(wanted), "no `{wanted}` in\n{said}");
    }
    assert!(text(&out.get_output().stderr).contains("us a session"), "what it took");
}

#[test]
fn an_outage_is_foreseen_with_its_echo() {
    let (_dir, path) = small();
    let out = plan(&path, &["--outage", "0s+30s"]).success();
    let said = text(&out.get_output().stdout);
    assert!(said.contains("echoes    1") && said.contains("retries of"), "{said}");
    assert!(said.contains("failed: connect_refused of network"), "{said}");
}

#[test]
fn the_same_seed_is_the_same_to_the_byte() {
    let (_dir, path) = small();
    let facts = |seed: &str| plan(&path, &["--seed", seed, "--facts", "-"]).success().get_output().stdout.clone();
    let once = facts("7");
    assert!(once == facts("7") && once != facts("8"));
    for line in text(&once).lines() {
        let fact: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(fact["at"].is_u64() && fact["lane"].is_u64() && !fact["what"].is_null(), "{line}");
    }
}

#[test]
fn a_plan_is_json_too_and_is_left_in_a_folder() {
    let (dir, path) = small();
    let out = dir.path().join("new/folder");
    let said = plan(&path, &["--json", "--out", out.to_str().unwrap()]).success();
    let json: serde_json::Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    assert_eq!(json["sessions"], 40);
    assert_eq!(json["need"]["machines"], 1);
    assert_eq!(json["herds"][0]["by"], "order");
    assert_eq!(json["peaks"]["requests/s"]["peak"], 40);
    let left: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("plan.json")).unwrap()).unwrap();
    assert_eq!(left, json);
    assert!(std::fs::read_to_string(out.join("plan.txt")).unwrap().contains("herds"));
}

#[test]
fn what_a_plan_is_asked_wrongly_is_named() {
    let (_dir, path) = small();
    let check = |flags: &[&str], wanted: &str| {
        let out = plan(&path, flags).code(2);
        let said = text(&out.get_output().stderr);
        assert!(said.contains(wanted), "no `{wanted}` in\n{said}");
    };
    check(&["--outage", "soon"], "AFTER+FOR");
    check(&["--failures", "2"], "between 0 and 1");
    check(&["--workers", "0"], "above 0");
    check(&["--queue", "5"], "--workers");
    check(&["--service", "fast"], "--service");
}
