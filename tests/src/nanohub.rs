//! NanoHUB (micromdm/nanohub): nanomdm, declarative management and a workflow engine in one process, in memory.

use crate::nanomdm::{API_KEY, Api, Surroundings, is_ready};
use crate::process::Running;
use crate::server::{Refusals, Server, Witness};
use crate::{Answer, Call, Error, PushCertificate, program};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A running NanoHUB.
pub struct NanoHub {
    _running: Running,
    port: u16,
    witness: Option<Arc<dyn Witness>>,
}

impl NanoHub {
    /// Start it, its log in `dir`; `authority` is a PEM file with the roots of device identities.
    pub fn start(dir: &Path, authority: &Path, around: Surroundings) -> Result<NanoHub, Error> {
        let nanohub = program("nanohub")?;
        let command = |port: u16| {
            let mut command = Command::new(&nanohub);
            command.arg("-ca").arg(authority).args(["-api-key", API_KEY, "-storage", "inmem"]);
            command.args(["-listen", &format!("127.0.0.1:{port}")]);
            around.apply(&mut command);
            command
        };
        let (running, port) = Running::serve("nanohub", dir, command, is_ready)?;
        Ok(NanoHub { _running: running, port, witness: around.witness })
    }

    /// The port that it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Make declarations (JSON, by identifier) the set of these enrollments; each gets a command and a push for it.
    pub fn declare(&self, set: &str, declarations: &[(&str, &str)], enrollments: &[String]) -> Result<(), Error> {
        for (identifier, json) in declarations {
            self.declarative("PUT", "/declarations", json.as_bytes())?;
            self.declarative("PUT", &format!("/set-declarations/{set}?declaration={identifier}"), &[])?;
        }
        for enrollment in enrollments {
            self.declarative("PUT", &format!("/enrollment-sets/{enrollment}?set={set}"), &[])?;
        }
        Ok(())
    }

    /// What enrollments reported of their declarations.
    pub fn declaration_status(&self, enrollments: &[String]) -> Result<serde_json::Value, Error> {
        let answer = self.declarative("GET", &format!("/declaration-status/{}", enrollments.join(",")), &[])?;
        serde_json::from_slice(&answer.body).map_err(|_| Error::Answer(answer.text()))
    }

    fn declarative(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, Error> {
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("nanohub:{API_KEY}")));
        let path = format!("/api/v1/ddm{path}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let answer = Call { method, path: &path, headers: &headers, body }.send(self.port)?;
        match answer.status {
            200..=299 | 304 => Ok(answer),
            status => Err(Error::Answer(format!("{method} {path}: {status} {}", answer.text()))),
        }
    }

    fn api(&self) -> Api {
        Api { port: self.port, user: "nanohub", prefix: "/api/v1/nanomdm" }
    }
}

impl Server for NanoHub {
    fn mdm_url(&self) -> String {
        format!("http://127.0.0.1:{}/mdm", self.port)
    }

    fn upload_push_certificate(&self, certificate: &PushCertificate) -> Result<(), Error> {
        self.api().upload_push_certificate(certificate)
    }

    fn queue(&self, ids: &[&str], command: &str) -> Result<Refusals, Error> {
        self.api().queue(ids, command)
    }

    fn push(&self, ids: &[&str]) -> Result<Refusals, Error> {
        self.api().push(ids)
    }

    fn witness(&self) -> Option<&dyn Witness> {
        self.witness.as_deref()
    }
}
