//! Certificates and signatures by the `openssl` command line: another's code, so that ours is not its own judge.

use crate::process::answer_of;
use crate::{Error, program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority of the case's own.
pub struct Authority {
    dir: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// A certificate and its key, both as PEM files.
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

/// What a server pushes with: self-made, its topic in the subject's UID, as Apple's is.
pub struct PushCertificate {
    identity: Identity,
    topic: String,
}

impl Authority {
    /// Make one in `dir`; it is valid for a day.
    pub fn new(dir: &Path) -> Result<Authority, Error> {
        let (certificate, key) = (dir.join("authority.pem"), dir.join("authority.key"));
        self_signed("/CN=Droves test authority", &certificate, &key)?;
        Ok(Authority { dir: dir.to_path_buf(), certificate, key })
    }

    /// Its certificate, PEM: what a server is told to trust.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Its key, PEM: for those who certify in its place.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// Certify a new RSA key for a device, as SCEP would.
    pub fn certify(&self, common_name: &str) -> Result<Identity, Error> {
        let file = |ending: &str| self.dir.join(format!("{common_name}.{ending}"));
        let (certificate, key, request, extensions) = (file("pem"), file("key"), file("csr"), file("ext"));
        std::fs::write(&extensions, "extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n")
            .map_err(Error::at(&extensions))?;
        let subject = format!("/CN={common_name}");
        openssl(&["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject], |command| {
            command.arg("-keyout").arg(&key).arg("-out").arg(&request)
        })?;
        openssl(&["x509", "-req", "-days", "1", "-CAcreateserial"], |command| {
            command.arg("-in").arg(&request).arg("-CA").arg(&self.certificate).arg("-CAkey").arg(&self.key);
            command.arg("-extfile").arg(&extensions).arg("-out").arg(&certificate)
        })?;
        Ok(Identity::new(certificate, key))
    }
}

impl Identity {
    pub(crate) fn new(certificate: PathBuf, key: PathBuf) -> Identity {
        Identity { certificate, key }
    }

    /// Both in one PKCS#12 file.
    pub fn pkcs12(&self, password: &str) -> Result<Vec<u8>, Error> {
        let file = self.key.with_extension("p12");
        openssl(&["pkcs12", "-export", "-passout", &format!("pass:{password}")], |command| {
            command.arg("-in").arg(&self.certificate).arg("-inkey").arg(&self.key).arg("-out").arg(&file)
        })?;
        std::fs::read(&file).map_err(Error::at(&file))
    }

    /// The value of `Mdm-Signature` for a body: detached CMS SignedData with this identity's certificate, DER, base64.
    pub fn mdm_signature(&self, body: &[u8]) -> Result<String, Error> {
        let file = self.key.with_extension("body");
        std::fs::write(&file, body).map_err(Error::at(&file))?;
        let pem = openssl(&["cms", "-sign", "-binary", "-md", "sha256", "-outform", "PEM"], |command| {
            command.arg("-in").arg(&file).arg("-signer").arg(&self.certificate).arg("-inkey").arg(&self.key)
        })?;
        Ok(pem.lines().filter(|line| !line.starts_with("-----")).collect())
    }
}

impl PushCertificate {
    /// Make one in `dir` for a new topic of the form that Apple gives out.
    pub fn new(dir: &Path, uuid: &str) -> Result<PushCertificate, Error> {
        let topic = format!("com.apple.mgmt.External.{uuid}");
        let (certificate, key) = (dir.join("push.pem"), dir.join("push.key"));
        self_signed(&format!("/C=US/CN=APSP:{uuid}/UID={topic}"), &certificate, &key)?;
        Ok(PushCertificate { identity: Identity::new(certificate, key), topic })
    }

    /// `Topic` of the enrollment profile.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Certificate and key in one PEM text, as the servers' upload wants them.
    pub fn pem(&self) -> Result<String, Error> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(Error::at(path));
        Ok(read(&self.identity.certificate)? + &read(&self.identity.key)?)
    }
}

fn self_signed(subject: &str, certificate: &Path, key: &Path) -> Result<(), Error> {
    openssl(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", subject], |command| {
        command.arg("-keyout").arg(key).arg("-out").arg(certificate)
    })
    .map(drop)
}

fn openssl(arguments: &[&str], more: impl FnOnce(&mut Command) -> &mut Command) -> Result<String, Error> {
    let program = program("openssl").map_err(|_| Error::LeftOut("no openssl: apt-get install openssl".to_owned()))?;
    answer_of(more(Command::new(program).args(arguments)))
}
