//! step-ca of smallstep: an ACME server that certifies keys which are attested to (`device-attest-01`).

use crate::process::Running;
use crate::{Authority, Error, program};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// A running step-ca.
pub struct StepCa {
    _running: Running,
    port: u16,
}

impl StepCa {
    /// Serve in `dir`, certifying as `authority`; it believes attestations under the root in this file, PEM.
    pub fn start(dir: &Path, authority: &Authority, attestation_root: &Path) -> Result<StepCa, Error> {
        let step_ca = program("step-ca")?;
        let root = std::fs::read(attestation_root).map_err(Error::at(attestation_root))?;
        let provisioner = json!({
            "type": "ACME",
            "name": "devices",
            "challenges": ["device-attest-01"],
            "attestationFormats": ["apple"],
            "attestationRoots": BASE64_STANDARD.encode(root),
        });
        let (certificate, key) = (authority.certificate(), authority.key());
        let file = dir.join("step-ca.json");
        let command = |port: u16| {
            let config = json!({
                "root": certificate,
                "crt": certificate,
                "key": key,
                "address": format!("127.0.0.1:{port}"),
                "dnsNames": ["127.0.0.1"],
                "logger": { "format": "text" },
                "db": { "type": "badgerv2", "dataSource": dir.join("step-ca-db") },
                "authority": { "provisioners": [provisioner] },
            });
            // A file that can't be written is told of by the server, which looks for it.
            drop(std::fs::write(&file, config.to_string()));
            let mut command = Command::new(&step_ca);
            command.arg(&file);
            command
        };
        let ready = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let (running, port) = Running::serve("step-ca", dir, command, ready)?;
        Ok(StepCa { _running: running, port })
    }

    /// `DirectoryURL` of an ACME payload.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/acme/devices/directory", self.port)
    }
}
