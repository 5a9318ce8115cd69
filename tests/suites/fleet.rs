//! A fleet against servers that we did not write. What they got, they say themselves.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{
    API_KEY, Authority, Droves, EnrollmentProfile, Error, Ground, NanoHub, Nanomdm, NanomdmTables, OwnAuthority,
    Postgres, PushCertificate, Recorder, Run, ScepServer, Server, StepCa, Storage, Surroundings, Witness, case,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const TOPIC_UUID: &str = "5b1e2c8e-9d8a-4b0c-8a55-0d5f3c0f7a11";
const DEVICES: u64 = 500;
const USERS: u64 = 100;

/// One fleet at a time: each takes all the processors there are.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(name: &str, run: impl FnOnce(&Ground) -> Result<(), Error>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    case(name, run);
}

/// A server with its SCEP server, its pushes led to ours.
struct Stage<S> {
    droves: Droves,
    scep: ScepServer,
    server: S,
    witness: Arc<dyn Witness>,
    topic: String,
}

fn on_postgres(ground: &Ground) -> Result<Stage<Nanomdm>, Error> {
    let tables = Arc::new(NanomdmTables::create(Arc::new(Postgres::start(ground.path())?), "nanomdm")?);
    let storage = Storage::Pgsql(tables.dsn());
    stage(ground, tables, None, |scep, around| Nanomdm::start(ground.path(), &scep.authority(), storage, around))
}

fn stage<S: Server>(
    ground: &Ground,
    witness: Arc<dyn Witness>,
    webhook_url: Option<String>,
    start: impl FnOnce(&ScepServer, Surroundings) -> Result<S, Error>,
) -> Result<Stage<S>, Error> {
    let droves = Droves::new(ground.path())?;
    let scep = ScepServer::start(ground.path(), "secret")?;
    let push = PushCertificate::new(ground.path(), TOPIC_UUID)?;
    let around = Surroundings {
        https_proxy: Some(droves.proxy()),
        trusted: Some(droves.trusted()),
        webhook_url,
        takes_over: false,
        witness: Some(Arc::clone(&witness)),
    };
    let server = start(&scep, around)?;
    server.upload_push_certificate(&push)?;
    Ok(Stage { droves, scep, server, witness, topic: push.topic().to_owned() })
}

impl<S: Server> Stage<S> {
    /// A scenario against this server.
    fn scenario(&self, profile: &str, fleet: &str, phases: &str) -> String {
        let url = self.server.mdm_url();
        let url = url.strip_suffix("/mdm").unwrap_or(&url);
        format!(
            "droves: 1\n\
             target:\n  server: {profile}\n  url: {url}\n  \
             vars: {{ topic: {}, scep_url: \"{}\", scep_challenge: secret }}\n\
             fleet:\n  seed: 7\n  keys: {{ pool: 16 }}\n  populations:\n{fleet}\
             bounds: {{ lag_max: 60s }}\n\
             phases:\n{phases}",
            self.topic,
            self.scep.url(),
        )
    }
}

const QUICK: &str = "behaviour: [ { slow: { factor: 0.02 } } ], wake: { median: 50ms, sigma: 0.3 }";

fn mixed(more: &str) -> String {
    format!(
        "    phones: {{ platform: ios, count: 300, {QUICK}{more} }}\n    \
             tablets: {{ platform: ipados, count: 100, {QUICK}{more} }}\n    \
             laptops: {{ platform: macos, count: 100, users: 1, {QUICK}{more} }}\n"
    )
}

const ENROLL: &str = "  - name: enroll\n    enroll: { who: all, arrivals: { rate: 60/s } }\n    until: { enrolled: 100%, within: 10m }\n";

fn command(name: &str, request: &str, more: &str) -> String {
    format!(
        "  - name: {name}\n    command: {{ who: all, request: {request}, push: true, deadline: 10m{more} }}\n    \
             until: {{ accepted: 100%, within: 10m }}\n"
    )
}

fn five_commands() -> String {
    [
        command("information", "DeviceInformation", ", with: { Queries: [ UDID, OSVersion, ProductName ] }"),
        command("security", "SecurityInfo", ""),
        command("profiles", "ProfileList", ""),
        command("apps", "InstalledApplicationList", ""),
        command("certificates", "CertificateList", ""),
    ]
    .concat()
}

/// What must hold of any run in which nothing went wrong.
fn is_clean(run: &Run) {
    run.adds_up();
    for fault in ["lost", "duplicated", "misdelivered", "late", "unknown"] {
        assert_eq!(run.number(&format!("ledger.{fault}")), 0, "{:#}", run.summary["ledger"]);
    }
    assert_eq!(run.number("requests.failed"), 0, "{:#}", run.summary["failures"]);
}

/// Every one of `DEVICES` has a final result for each of `commands` commands, and only one.
fn results_are_whole(witness: &dyn Witness, commands: u64) -> Result<(), Error> {
    // A webhook tells of a result after the device has its answer, not before: the last ones may be on their way.
    let whole = || witness.results().is_ok_and(|results| results.len() as u64 >= DEVICES * commands);
    droves_e2e::wait_until(Duration::from_secs(120), whole);
    let results = witness.results()?;
    assert_eq!(results.len() as u64, DEVICES * commands, "results at the server");
    let devices: BTreeSet<&String> = results.keys().map(|(id, _)| id).collect();
    assert_eq!(devices.len() as u64, DEVICES);
    for ((id, command), statuses) in &results {
        let last = statuses.last().map(String::as_str).unwrap_or_default();
        assert!(matches!(last, "Acknowledged" | "Error"), "{id} {command}: {statuses:?}");
    }
    if let Some(duplicates) = witness.duplicates()? {
        assert_eq!(duplicates, 0, "results twice at the server");
    }
    Ok(())
}

#[test]
fn five_hundred_devices_enroll_are_pushed_and_answer_five_commands_each() {
    alone("five_hundred_at_nanomdm", |ground| {
        let stage = on_postgres(ground)?;
        let phases = [ENROLL.to_owned(), five_commands()].concat();
        let scenario = stage.scenario("nanomdm", &mixed(""), &phases);
        let run = stage.droves.run("five", &scenario, &[("NANOMDM_API_KEY", API_KEY)], &[])?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        is_clean(&run);
        assert_eq!(stage.witness.enrolled()?, DEVICES + USERS);
        results_are_whole(&*stage.witness, 5)?;
        assert_eq!(run.number("devices.enrolled"), DEVICES);
        assert_eq!(run.number("fanout.accepted"), DEVICES * 5);
        assert!(run.number("push.received") >= DEVICES * 5, "{:#}", run.summary["push"]);
        Ok(())
    });
}

#[test]
fn nanomdm_is_killed_in_the_middle_and_nothing_is_lost() {
    alone("nanomdm_killed_in_the_middle", |ground| {
        let mut stage = on_postgres(ground)?;
        let phases = [ENROLL.to_owned(), five_commands()].concat();
        let fleet = mixed(", retry: flat");
        let scenario = stage.scenario("nanomdm", &fleet, &phases);
        let started = stage.droves.start("killed", &scenario, &[("NANOMDM_API_KEY", API_KEY)], &[])?;
        // In the middle of the second command.
        let working = droves_e2e::wait_until(Duration::from_secs(180), || {
            stage.witness.results().is_ok_and(|results| results.len() as u64 > DEVICES + 100)
        });
        assert!(working, "the second command has not begun");
        stage.server.stop();
        std::thread::sleep(Duration::from_secs(2));
        stage.server.start_again()?;
        let run = started.finish()?;
        run.adds_up();
        assert!(run.number("requests.failed") > 0, "nobody met the closed door");
        assert_eq!(stage.witness.enrolled()?, DEVICES + USERS);
        results_are_whole(&*stage.witness, 5)?;
        assert_eq!(run.number("ledger.lost") + run.number("ledger.duplicated"), 0);
        Ok(())
    });
}

#[test]
fn a_locked_fleet_answers_not_now_first_and_comes_back_by_itself() {
    alone("locked_fleet", |ground| {
        let stage = on_postgres(ground)?;
        let locked = "behaviour: [ { slow: { factor: 0.02 } }, { locked: { share: 50%, spell: 4s } } ], wake: { median: 50ms, sigma: 0.3 }";
        let fleet = format!(
            "    phones: {{ platform: ios, count: 400, {locked} }}\n    laptops: {{ platform: macos, count: 100, {QUICK} }}\n"
        );
        let install = "  - name: wifi\n    command: { who: all, request: InstallProfile, payload: wifi.mobileconfig, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n";
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/payloads/wifi.mobileconfig");
        std::fs::copy(source, ground.path().join("wifi.mobileconfig")).unwrap();
        let scenario = stage.scenario("nanomdm", &fleet, &[ENROLL, install].concat());
        let run = stage.droves.run("locked", &scenario, &[("NANOMDM_API_KEY", API_KEY)], &[])?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        is_clean(&run);
        results_are_whole(&*stage.witness, 1)?;
        let not_now = stage.witness.results()?.values().filter(|statuses| statuses.len() > 1).count();
        assert!(not_now > 50, "only {not_now} said NotNow first");
        assert!(run.number("ledger.repeated_lawfully") >= not_now as u64);
        Ok(())
    });
}

#[test]
fn wiped_devices_are_gone_and_enroll_again_as_others() {
    alone("wiped_devices", |ground| {
        let stage = on_postgres(ground)?;
        let fleet = format!("    phones: {{ platform: ios, count: {DEVICES}, reenroll: 2s, {QUICK} }}\n");
        let erase = "  - name: stolen\n    command: { who: { phones: 50 devices }, request: EraseDevice, push: true, deadline: 10m }\n    until: { accepted: 100%, within: 10m }\n  - wait: 20s\n";
        let phases =
            [ENROLL, erase, &command("information", "DeviceInformation", ", with: { Queries: [ UDID ] }")].concat();
        let scenario = stage.scenario("nanomdm", &fleet, &phases);
        let run = stage.droves.run("wiped", &scenario, &[("NANOMDM_API_KEY", API_KEY)], &[])?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        run.adds_up();
        assert_eq!(stage.witness.enrolled()?, DEVICES);
        assert_eq!(run.number("devices.enrolled"), DEVICES);
        assert_eq!(run.summary["operations"]["apple.scep.issue"]["count"], DEVICES + 50);
        Ok(())
    });
}

#[test]
fn the_same_fleet_at_nanohub() {
    alone("five_hundred_at_nanohub", |ground| {
        let recorder = Arc::new(Recorder::start()?);
        let url = Some(recorder.url());
        let witness: Arc<dyn Witness> = Arc::<Recorder>::clone(&recorder);
        let stage =
            stage(ground, witness, url, |scep, around| NanoHub::start(ground.path(), &scep.authority(), around))?;
        let phases = [ENROLL.to_owned(), five_commands()].concat();
        let scenario = stage.scenario("nanohub", &mixed(""), &phases);
        let run = stage.droves.run("hub", &scenario, &[("NANOHUB_API_KEY", API_KEY)], &[])?;
        assert_eq!(run.code, 0, "{:#}", run.summary["verdict"]);
        is_clean(&run);
        assert_eq!(recorder.lost(), 0);
        results_are_whole(&*stage.witness, 5)
    });
}

/// The server says by its own API what it was told.
#[test]
fn declarations_reach_a_fleet_and_are_reported_to_nanohub() {
    const ACTIVATION: &str =
        r#"{"Type":"com.apple.activation.simple","Identifier":"t.act","Payload":{"StandardConfigurations":["t.on"]}}"#;
    const ON: &str =
        r#"{"Type":"com.apple.configuration.management.test","Identifier":"t.on","Payload":{"Echo":"on"}}"#;
    const OFF: &str =
        r#"{"Type":"com.apple.configuration.management.test","Identifier":"t.off","Payload":{"Echo":"off"}}"#;
    alone("declarations_at_nanohub", |ground| {
        let recorder = Arc::new(Recorder::start()?);
        let url = Some(recorder.url());
        let witness: Arc<dyn Witness> = Arc::<Recorder>::clone(&recorder);
        let stage =
            stage(ground, witness, url, |scep, around| NanoHub::start(ground.path(), &scep.authority(), around))?;
        let fleet = format!(
            "    phones: {{ platform: ios, count: 20, {QUICK} }}\n    laptops: {{ platform: macos, count: 5, {QUICK} }}\n"
        );
        let phases = "  - name: enroll\n    enroll: { who: all, arrivals: at_once }\n    until: { enrolled: 100%, within: 10m }\n  - wait: 10m\n";
        let scenario = stage.scenario("nanohub", &fleet, phases);
        let started = stage.droves.start("declared", &scenario, &[("NANOHUB_API_KEY", API_KEY)], &[])?;
        assert!(droves_e2e::wait_until(Duration::from_secs(120), || stage.witness.enrolled().is_ok_and(|n| n == 25)));
        let enrollments: Vec<String> = recorder.enrollments().into_iter().collect();
        assert_eq!(enrollments.len(), 25);
        stage.server.declare("s", &[("t.on", ON), ("t.off", OFF), ("t.act", ACTIVATION)], &enrollments)?;
        let reported = |enrollment: &String| -> bool {
            let status = stage.server.declaration_status(std::slice::from_ref(enrollment)).unwrap_or_default();
            let rows = status[enrollment].as_array().cloned().unwrap_or_default();
            let has = |identifier: &str, active: bool, valid: &str| {
                let is = |row: &serde_json::Value| row["identifier"] == identifier && row["active"] == active;
                rows.iter().any(|row| is(row) && row["valid"] == valid)
            };
            has("t.act", true, "valid") && has("t.on", true, "valid") && has("t.off", false, "unknown")
        };
        let all = droves_e2e::wait_until(Duration::from_secs(120), || enrollments.iter().all(reported));
        assert!(all, "{:#}", stage.server.declaration_status(&enrollments[..1])?);
        let run = started.interrupt()?;
        assert_eq!(run.code, 105, "{:#}", run.summary["verdict"]);
        run.adds_up();
        let counted = |name: &str| run.summary["operations"][format!("apple.declarative.{name}")]["count"].as_u64();
        assert_eq!(counted("declaration"), Some(3 * 25));
        assert!(counted("status") >= Some(25));
        Ok(())
    });
}

/// A server may send the identity in the profile. It is good in the next run, too, which reads the key from the disk.
#[test]
fn an_identity_in_the_profile_is_good_for_nanomdm() {
    alone("identity_in_the_profile", |ground| {
        let OwnAuthority { authority, droves, tables, server, push } = OwnAuthority::start(ground, TOPIC_UUID, false)?;
        let file = authority.certify("given")?.pkcs12("the password")?;
        let (server_url, topic) = (server.mdm_url(), push.topic());
        let profile = EnrollmentProfile { identity: &file, password: "the password", server_url: &server_url, topic };
        profile.write(&ground.path().join("given.mobileconfig"))?;
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/servers/nanomdm.yaml");
        let own = std::fs::read_to_string(shipped).unwrap();
        let own = own.replace("template: apple.mobileconfig", "file: given.mobileconfig");
        std::fs::write(ground.path().join("own.yaml"), own).unwrap();
        let url = server_url.strip_suffix("/mdm").unwrap();
        let scenario = |phases: &str| {
            format!(
                "droves: 1\ntarget:\n  server: ./own.yaml\n  url: {url}\n  vars: {{ topic: {topic} }}\n\
                 fleet:\n  populations:\n    phones: {{ platform: ios, count: 1, {QUICK} }}\n\
                 bounds: {{ lag_max: 60s }}\nphases:\n{phases}"
            )
        };
        let (env, fleet) = ([("NANOMDM_API_KEY", API_KEY)], ground.path().join("fleet"));
        let flags = ["--fleet", fleet.to_str().unwrap()];
        let run = droves.run("given", &scenario(ENROLL), &env, &flags)?;
        assert_eq!((run.code, tables.enrolled()?), (0, 1), "{:#}", run.summary);
        let ask = command("information", "DeviceInformation", ", with: { Queries: [ UDID ] }");
        let run = droves.run("again", &scenario(&ask), &env, &flags)?;
        assert_eq!(run.code, 0, "{:#}", run.summary);
        is_clean(&run);
        let results = tables.results()?;
        assert!(results.len() == 1 && results.values().all(|statuses| statuses == &["Acknowledged"]), "{results:#?}");
        Ok(())
    });
}

/// A scenario for nanomdm whose devices get their identities from step-ca.
fn by_acme(server: &Nanomdm, push: &PushCertificate, ca: &StepCa, more: &str, phases: &str) -> String {
    let url = server.mdm_url();
    let url = url.strip_suffix("/mdm").unwrap_or(&url);
    format!(
        "droves: 1\ntarget:\n  server: nanomdm\n  url: {url}\n  vars: {{ topic: {}, acme_url: \"{}\"{more} }}\n  \
         tls: {{ ca: authority.pem }}\n\
         fleet:\n  keys: {{ pool: 16 }}\n  populations:\n    phones: {{ platform: ios, count: 20, {QUICK} }}\n    \
         laptops: {{ platform: macos, count: 5, {QUICK} }}\nbounds: {{ lag_max: 60s }}\nphases:\n{phases}",
        push.topic(),
        ca.directory()
    )
}

/// step-ca certifies the keys that were attested to, and nanomdm knows the devices by them; once more when they renew.
#[test]
fn attested_devices_are_certified_by_step_ca_and_enroll_at_nanomdm() {
    alone("identities_by_acme", |ground| {
        let OwnAuthority { authority, droves, tables, server, push } = OwnAuthority::start(ground, TOPIC_UUID, false)?;
        let ca = StepCa::start(ground.path(), &authority, &droves.attestation_root()?)?;
        let renew = "  - name: renew\n    renew: { who: { phones: 10 devices }, arrivals: at_once }\n    until: { done: 100%, within: 10m }\n";
        let ask = command("information", "DeviceInformation", ", with: { Queries: [ UDID ] }");
        let env = [("NANOMDM_API_KEY", API_KEY)];
        let scenario = by_acme(&server, &push, &ca, "", &[ENROLL, renew, &ask].concat());
        let run = droves.run("acme", &scenario, &env, &[])?;
        assert_eq!(run.code, 0, "{:#}", run.summary);
        is_clean(&run);
        assert_eq!(tables.enrolled()?, 25);
        let results = tables.results()?;
        assert_eq!(results.len(), 25);
        assert!(results.values().all(|statuses| statuses == &["Acknowledged"]), "{results:#?}");
        let counted = |name: &str| run.summary["operations"][format!("apple.acme.{name}")]["count"].as_u64();
        for operation in ["directory", "nonce", "account", "order", "authorization", "challenge", "certificate"] {
            assert_eq!(counted(operation), Some(25 + 10), "{operation}");
        }
        // The other curve, by other devices.
        let other = by_acme(&server, &push, &ca, ", acme_key_size: \"384\"", &[ENROLL, &ask].concat());
        let run = droves.run("acme-384", &other, &env, &["--seed", "9"])?;
        assert_eq!((run.code, tables.enrolled()?), (0, 2 * 25), "{:#}", run.summary);
        is_clean(&run);
        Ok(())
    });
}

#[test]
fn an_attestation_that_step_ca_does_not_believe_is_refused_with_its_reason() {
    alone("attestation_refused", |ground| {
        let OwnAuthority { authority, droves, tables, server, push } = OwnAuthority::start(ground, TOPIC_UUID, false)?;
        let stranger = Authority::new(&ground.dir("stranger")?)?;
        let ca = StepCa::start(ground.path(), &authority, stranger.certificate())?;
        let phases =
            "  - name: enroll\n    enroll: { who: all, arrivals: at_once }\n    until: { done: 100%, within: 10m }\n";
        let scenario = by_acme(&server, &push, &ca, "", phases);
        let run = droves.run("refused", &scenario, &[("NANOMDM_API_KEY", API_KEY)], &[])?;
        run.adds_up();
        assert_eq!((tables.enrolled()?, run.number("devices.enrolled")), (0, 0));
        let failures = run.summary["failures"].as_array().cloned().unwrap_or_default();
        let refusal = failures.iter().find(|failure| failure["kind"] == "acme_challenge");
        let text = refusal.map(ToString::to_string).unwrap_or_default();
        assert!(text.contains("badAttestationStatement") && text.contains("x5c is not valid"), "{failures:#?}");
        assert_eq!(run.summary["operations"]["apple.acme.challenge"]["count"], 25);
        assert_eq!(run.summary["operations"]["apple.acme.poll"]["count"].as_u64().unwrap_or(0), 0);
        Ok(())
    });
}
