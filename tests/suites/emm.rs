//! Devices that Google manages, for an EMM that somebody else wrote: Google's own libraries for Python call the Google that a run
//! plays and hear of its devices, and the EMM holds all that against Google's reference.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Droves, Emm, Error, Ground, Run, case, emm_tests, free_port, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(600);
/// Devices of each of its three populations.
const EACH: u64 = 5;

#[test]
fn the_emm_passes_its_own_tests() {
    case("emm_peer", |_| {
        let (is_well, said) = emm_tests()?;
        assert!(is_well && said.lines().last() == Some("OK"), "{said}");
        Ok(())
    });
}

#[test]
fn devices_live_with_an_emm_that_is_not_ours_and_pulls() {
    case("emm_pull", |ground| {
        let run = live(ground, "600", &[])?;
        assert_eq!(run.number("google.quota_refused"), 0, "{:#}", run.summary["google"]);
        Ok(())
    });
}

/// Its calls are more than a minute has.
#[test]
fn devices_live_with_an_emm_that_is_not_ours_is_pushed_and_meets_the_quota() {
    case("emm_push", |ground| {
        let settings = [("push", json!(true)), ("quota_wait", json!(5)), ("quota_jitter", json!(1))];
        let run = live(ground, "60", &settings)?;
        assert!(run.number("google.quota_refused") > 0, "{:#}", run.summary["google"]);
        let hops = &run.summary["fanout"]["hops_us"];
        let [waited, pushed] = ["quota", "pushed"].map(|hop| hops[hop]["max"].as_u64().unwrap());
        assert!((1_000_000..=pushed).contains(&waited), "{hops:#}");
        let posts = &run.summary["operations"]["android.notification"];
        assert!(posts["count"].as_u64() >= Some(9 * EACH) && posts["failed"] == 0, "{posts:#}");
        Ok(())
    });
}

/// The EMM enrolls all of them, gives them policies, locks and wipes them, and locks those that come back; then it disables one
/// and deletes one. Whatever it minds fails the test.
fn live(ground: &Ground, calls: &str, settings: &[(&str, Value)]) -> Result<Run, Error> {
    let port = free_port()?;
    let vars = [format!("url=http://127.0.0.1:{port}"), format!("calls={calls}"), format!("each={EACH}")];
    let flags: Vec<&str> = vars.iter().flat_map(|var| ["-e", var]).chain(["-e", "quiet=30m"]).collect();
    let mut run = Droves::new(ground.path())?.start("emm", &Emm::scenario()?, &[], &flags)?;
    run.ready()?;
    let emm = Emm::start(ground.path(), port, run.ready_file(), settings)?;
    // Locks and wipes of all, and once more locks of those that have come back.
    let ended = || {
        let all = emm.get("/commands")?;
        let ends = all["commands"].as_array().map_or(0, |all| all.iter().filter(|of| of["end"] == "done").count());
        Ok::<_, Error>(ends as u64 == (3 + 3 + 1) * EACH)
    };
    assert!(wait_until(WAIT_MAX, || ended().unwrap_or_default()), "{:#}", emm.get("/commands")?);
    let all = emm.get("/devices")?;
    let enrolled = |device: &&Value| device["enrolled"] == true && device["state"] == "ACTIVE";
    let phones: Vec<&str> =
        all["devices"].as_array().into_iter().flatten().filter(enrolled).filter_map(|of| of["id"].as_str()).collect();
    let [disabled, deleted, ..] = phones[..] else { panic!("{all:#}") };
    for state in ["DISABLED", "ACTIVE"] {
        emm.be(disabled, state)?;
        let is_so = || Ok::<_, Error>(emm.get(&format!("/devices/{disabled}"))?["applied_state"] == state);
        assert!(wait_until(WAIT_MAX, || is_so().unwrap_or_default()), "{:#}", emm.get("/devices")?);
    }
    emm.delete(deleted)?;
    let names = || {
        let of = emm.get(&format!("/devices/{deleted}"))?;
        Ok::<_, Error>(of["previous"].as_array().map_or(0, Vec::len))
    };
    assert!(wait_until(WAIT_MAX, || names().is_ok_and(|names| names == 2)), "{:#}", emm.get("/devices")?);
    let seen = emm.get("/faults")?;
    assert_eq!(seen["faults"], json!([]), "{seen:#}");
    let run = run.interrupt()?;
    assert_eq!(run.code, 105, "{:#} {:#}", run.summary["verdict"], run.summary["failures"]);
    run.adds_up();
    assert_eq!(run.summary["failures"], json!([]));
    // Two policies, two commands, and a third for a third of them.
    let asked = (3 * 4 + 1) * EACH;
    let fanout = &run.summary["fanout"];
    assert_eq!([&fanout["queued"], &fanout["accepted"]], [asked, asked], "{fanout:#}");
    let ledger = &run.summary["ledger"];
    assert!(["lost", "duplicated", "misdelivered", "late"].iter().all(|verdict| ledger[*verdict] == 0), "{ledger:#}");
    Ok(run)
}
