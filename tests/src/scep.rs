//! scepserver of micromdm/scep: the authority that certifies devices. One static challenge, RSA, path `/scep`.

use crate::process::{Running, answer_of};
use crate::{Error, Identity, http, program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running SCEP server with an authority of its own.
pub struct ScepServer {
    _running: Running,
    port: u16,
    depot: PathBuf,
    challenge: String,
}

impl ScepServer {
    /// Make an authority (RSA 2048: half the work of its default) in `dir` and serve it.
    pub fn start(dir: &Path, challenge: &str) -> Result<ScepServer, Error> {
        let scepserver = program("scepserver")?;
        let depot = dir.join("depot");
        answer_of(Command::new(&scepserver).args(["ca", "-init", "-keySize", "2048", "-depot"]).arg(&depot))?;
        let command = |port: u16| {
            let mut command = Command::new(&scepserver);
            command.arg("-depot").arg(&depot).arg("-http-addr").arg(format!("127.0.0.1:{port}"));
            // A device that enrolls again gets its second certificate.
            command.args(["-challenge", challenge, "-allowrenew", "0"]);
            command
        };
        let ready = |port| http::status_of(port, "/scep?operation=GetCACaps") == Some(200);
        let (running, port) = Running::serve("scepserver", dir, command, ready)?;
        Ok(ScepServer { _running: running, port, depot, challenge: challenge.to_owned() })
    }

    /// What a SCEP payload says.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/scep", self.port)
    }

    /// The port that it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a device must know.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Have a new key certified over SCEP by scepclient, the reference client of the same project.
    pub fn certify(&self, dir: &Path, common_name: &str) -> Result<Identity, Error> {
        let dir = dir.join(common_name);
        std::fs::create_dir_all(&dir).map_err(Error::at(&dir))?;
        let (certificate, key) = (dir.join("device.pem"), dir.join("device.key"));
        let mut scepclient = Command::new(program("scepclient")?);
        scepclient.args(["-server-url", &self.url(), "-challenge", &self.challenge, "-cn", common_name]);
        // It leaves its request and its temporary certificate where it runs.
        scepclient.arg("-private-key").arg(&key).arg("-certificate").arg(&certificate).current_dir(&dir);
        answer_of(&mut scepclient)?;
        Ok(Identity::new(certificate, key))
    }

    /// The authority's certificate, PEM: a server's roots of device identities.
    pub fn authority(&self) -> PathBuf {
        self.depot.join("ca.pem")
    }
}
