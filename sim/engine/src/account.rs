//! Service accounts: as whom a server under test calls what is played of Google, by a key in a file that Google's own
//! libraries read.

use droves_emulators::google::Account;
use droves_wire::keys::Key;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;
use std::{fs, io};

/// A service account, and where its key is written for a server to read, by mode 0600.
pub(crate) struct KeyFile {
    path: PathBuf,
    project: String,
    key: Key,
}

/// Why there is no key for a server.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file.
    #[error("{path}: {why}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// Somebody else's file is in its place.
    #[error("{path} is not a key file of ours, and is not overwritten: choose another folder by --certs, or move it", path = .0.display())]
    Foreign(PathBuf),
    /// A key can't be made, or written as one.
    #[error("service account: {0}")]
    Key(String),
}

impl KeyFile {
    /// The account of this project, with the key of an earlier run, which a server may have read; else with a new one.
    pub(crate) fn at(path: PathBuf, project: &str) -> Result<Self, KeyFileError> {
        let key = match fs::read(&path) {
            Ok(json) => earlier(&json).ok_or_else(|| KeyFileError::Foreign(path.clone()))?,
            Err(_) => Key::generate_rsa(2048).map_err(|error| KeyFileError::Key(error.to_string()))?,
        };
        Ok(KeyFile { path, project: project.to_owned(), key })
    }

    /// The account, for whoever is to let it in.
    pub(crate) fn account(&self) -> Result<Account, KeyFileError> {
        Ok(account(copy(&self.key)?, &self.project))
    }

    /// Writes it for the service at this URL. Where it is then.
    pub(crate) fn write(self, url: &str) -> Result<PathBuf, KeyFileError> {
        let json =
            account(self.key, &self.project).key_file(url).map_err(|error| KeyFileError::Key(error.to_string()))?;
        let wrong = |why| KeyFileError::File { path: self.path.clone(), why };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(wrong)?;
        }
        droves_fleet::write_private(&self.path, json.to_string().as_bytes()).map_err(wrong)?;
        Ok(self.path)
    }
}

/// As whom a server calls.
pub(crate) fn account(key: Key, project: &str) -> Account {
    let email = format!("{NAME}{project}.iam.gserviceaccount.com");
    Account { email, project: project.to_owned(), key_id: "1".to_owned(), key }
}

/// How the addresses of ours begin.
const NAME: &str = "droves@";

/// The key in a file of an earlier run's; none if somebody else has written it.
fn earlier(json: &[u8]) -> Option<Key> {
    let json = serde_json::from_slice::<serde_json::Value>(json).ok()?;
    json["client_email"].as_str().filter(|email| email.starts_with(NAME))?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(json["private_key"].as_str()?.as_bytes()).ok()?;
    Key::from_pkcs8(der.secret_pkcs8_der()).ok()
}

fn copy(key: &Key) -> Result<Key, KeyFileError> {
    let copied = key.to_pkcs8().and_then(|bytes| Key::from_pkcs8(&bytes));
    copied.map_err(|error| KeyFileError::Key(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_key_is_used_again_and_somebody_elses_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let first = KeyFile::at(path.clone(), "p1").unwrap();
        let public = first.account().unwrap().key.public_bytes().to_vec();
        first.write("https://127.0.0.1:1").unwrap();
        let again = KeyFile::at(path.clone(), "p2").unwrap().account().unwrap();
        assert_eq!((again.key.public_bytes(), again.email.as_str()), (&*public, "droves@p2.iam.gserviceaccount.com"));
        for foreign in [fs::read_to_string(&path).unwrap().replace("droves@", "mdm@"), "{}".to_owned(), String::new()] {
            fs::write(&path, &foreign).unwrap();
            assert!(matches!(KeyFile::at(path.clone(), "p1"), Err(KeyFileError::Foreign(_))), "{foreign}");
            assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
        }
    }
}
