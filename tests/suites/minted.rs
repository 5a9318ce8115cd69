//! A fleet that never enrolled: minted, made known to nanomdm by its own migration endpoint, then pushed and commanded.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{API_KEY, Nanomdm, OwnAuthority, Server, Witness, case, wait_until};
use std::process::Command;
use std::time::Duration;

const TOPIC_UUID: &str = "5b1e2c8e-9d8a-4b0c-8a55-0d5f3c0f7a12";
const PHONES: u64 = 1_800;
const MACS: u64 = 200;

#[test]
fn a_minted_fleet_is_taken_over_by_nanomdm_and_obeys() {
    case("minted_fleet", |ground| {
        let OwnAuthority { authority, droves, tables, server, push } = OwnAuthority::start(ground, TOPIC_UUID, true)?;

        let scenario = scenario(&server, push.topic());
        let fleet = ground.path().join("fleet");
        let (fleet, env) = (fleet.to_str().unwrap(), [("NANOMDM_API_KEY", API_KEY)]);
        let ca = [authority.certificate().to_str().unwrap(), authority.key().to_str().unwrap()];
        let mint = ["--fleet", fleet, "--ca", ca[0], "--ca-key", ca[1]];
        // Killed in the middle, it goes on where it was.
        let mut killed = droves.begin(&["fleet", "mint"], "minted", &scenario, &env, &mint)?;
        let is_under_way = || std::fs::metadata(format!("{fleet}/cell-08.redb")).is_ok_and(|file| file.len() > 0);
        wait_until(Duration::from_secs(60), is_under_way);
        std::thread::sleep(Duration::from_millis(300));
        assert!(Command::new("kill").args(["-9", &killed.pid().to_string()]).status().unwrap().success());
        assert!(wait_until(Duration::from_secs(60), || !killed.is_alive()));
        droves.complete(&["fleet", "mint"], "minted", &scenario, &env, &mint)?;
        droves.complete(&["fleet", "announce"], "minted", &scenario, &env, &["--fleet", fleet])?;
        assert_eq!(tables.enrolled()?, PHONES + 2 * MACS, "devices, and the users of Macs");
        // The run goes with a copy that was carried elsewhere.
        let (file, copy) = (ground.path().join("fleet.ndjson"), ground.path().join("copy"));
        let (file, copy) = (file.to_str().unwrap(), copy.to_str().unwrap());
        assert!(droves.say(&["fleet", "export", fleet, file])?.contains("2200 lanes"));
        assert!(droves.say(&["fleet", "import", copy, file])?.contains("2200 lanes"));
        assert!(droves.say(&["fleet", "check", copy])?.contains("2200 lanes read, 0 things broken"));
        assert!(droves.say(&["fleet", "ls", copy])?.contains("enrolled      2200 lanes"));
        let fleet = copy;

        let run = droves.run("minted", &scenario, &env, &["--fleet", fleet])?;
        assert_eq!(run.code, 0, "{:#}", run.summary);
        run.adds_up();
        assert_eq!(run.number("requests.failed"), 0, "{:#}", run.summary["failures"]);
        assert_eq!(run.number("devices.enrolled"), PHONES + MACS);
        let results = tables.results()?;
        assert_eq!(results.len() as u64, PHONES + MACS, "results at the server");
        assert!(results.values().all(|statuses| statuses == &["Acknowledged"]), "{results:#?}");
        Ok(())
    });
}

fn scenario(server: &Nanomdm, topic: &str) -> String {
    let url = server.mdm_url();
    let url = url.strip_suffix("/mdm").unwrap_or(&url);
    let quick = "wake: { median: 50ms, sigma: 0.3 }, behaviour: [ { slow: { factor: 0.02 } } ]";
    format!(
        "droves: 1\ntarget:\n  server: nanomdm\n  url: {url}\n  vars: {{ topic: {topic} }}\n\
         fleet:\n  seed: 11\n  keys: {{ pool: 16 }}\n  populations:\n    \
         phones: {{ platform: ios, count: {PHONES}, {quick} }}\n    \
         macs: {{ platform: macos, count: {MACS}, users: 1, {quick} }}\n\
         bounds: {{ lag_max: 60s }}\nphases:\n  - name: ask\n    \
         command: {{ who: all, arrivals: {{ rate: 60/s }}, request: DeviceInformation, with: {{ Queries: [ UDID ] }}, push: true, deadline: 10m }}\n    \
         until: {{ accepted: 100%, within: 10m }}\n"
    )
}
