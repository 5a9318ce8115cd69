//! Certificates that PCs get by SCEP because their server wants it: one from the practice server's own CA, one from
//! scepserver. A PC gets both after the session in which it was told to, and tells of each.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Call, Droves, Error, Running, ScepServer, case, program, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PCS: u64 = 6;
const TOKEN: &str = "administrator";
const WAIT_MAX: Duration = Duration::from_secs(120);

/// A practice server of its own, and its port.
fn practice(folder: &Path) -> Result<(Running, u16), Error> {
    let program = program("droves")?;
    let command = |port: u16| {
        let mut command = Command::new(&program);
        command.args([
            "practice",
            "--windows-port",
            "0",
            "--mqtt-port",
            "0",
            "--token",
            TOKEN,
            "--port",
            &port.to_string(),
        ]);
        command
    };
    Running::serve("practice", folder, command, |port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
}

/// The nodes of a scenario by which a server has a certificate got.
fn wants(id: &str, url: &str, challenge: &str) -> String {
    let install = format!("./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/{id}/Install");
    let set = [
        ("ServerURL", "chr", url),
        ("Challenge", "chr", challenge),
        ("SubjectName", "chr", &format!("CN={id}")),
        ("KeyUsage", "int", "160"),
        ("HashAlgorithm", "chr", "SHA-2"),
    ];
    let add = |(name, format, data): (&str, &str, &str)| {
        format!("      - {{ add: {install}/{name}, format: {format}, data: \"{data}\" }}\n")
    };
    set.into_iter().map(add).chain([format!("      - {{ exec: {install}/Enroll }}\n")]).collect()
}

#[test]
fn pcs_get_certificates_and_tell_of_them() {
    case("windows_scep", |ground| {
        let scep = ScepServer::start(ground.path(), "secret")?;
        let (_server, port) = practice(ground.path())?;
        let get = |path: &str| Call { method: "GET", path, headers: &[], body: &[] }.send(port);
        let ca = ground.path().join("ca.pem");
        std::fs::write(&ca, get("/ca.pem")?.body).unwrap();
        // Its profile for Apple devices says what its CA wants to hear.
        let profile = get("/enroll")?.text();
        let challenge = profile.split("<key>Challenge</key>").nth(1).and_then(|rest| rest.split(['>', '<']).nth(2));
        let text = format!(
            "droves: 1\ntarget: {{ server: practice, url: \"http://127.0.0.1:{port}\", tls: {{ ca: {} }} }}\nfleet:\n  \
             seed: 7\n  keys: {{ pool: 8 }}\n  populations:\n    pcs: {{ platform: windows, count: {PCS}, \
             behaviour: [ {{ slow: {{ factor: 0.02 }} }} ] }}\nbounds: {{ lag_max: 60s }}\nphases:\n  - name: enroll\n    \
             enroll: {{ who: all, arrivals: {{ rate: 20/s }} }}\n    until: {{ enrolled: 100%, within: 10m }}\n  \
             - name: install\n    for: 5s\n    command:\n      who: all\n      nodes:\n{}{}  - name: connect\n    \
             check_in: {{ who: all, arrivals: at_once }}\n    until: {{ done: 100%, within: 10m }}\n  - wait: 10m\n",
            ca.display(),
            wants("Wi-Fi", &format!("http://127.0.0.1:{port}/scep"), challenge.unwrap()),
            wants("VPN", &scep.url(), scep.challenge()),
        );
        let env = [("DROVES_PRACTICE_TOKEN", TOKEN)];
        let started = Droves::new(ground.path())?.start("pcs", &text, &env, &[])?;
        let truth = || -> Result<Value, Error> { Ok(serde_json::from_str(&get("/_truth")?.text()).unwrap()) };
        let told = |truth: &Value| truth["alerts"]["com.microsoft:mdm.SCEP"].as_u64();
        wait_until(WAIT_MAX, || truth().is_ok_and(|truth| told(&truth) == Some(2 * PCS)));
        let truth = truth()?;
        let run = started.interrupt()?;
        run.adds_up();
        assert_eq!(told(&truth), Some(2 * PCS), "{truth:#} {:#}", run.summary["failures"]);
        // The identities, and what its own CA has certified.
        assert_eq!(truth["issued"].as_u64(), Some(2 * PCS), "{truth:#}");
        assert_eq!(run.summary["operations"]["windows.scep.issue"]["count"].as_u64(), Some(2 * PCS));
        let depot = std::fs::read_dir(scep.authority().parent().unwrap()).unwrap();
        let names = depot.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
        assert_eq!(names.filter(|name| name.starts_with("VPN.")).count() as u64, PCS);
        Ok(())
    });
}
