//! The authority that plays Apple's attestation servers: made once, kept with the keys, its root certificate beside them
//! for the server that is to trust it.

use crate::health;
use crate::keys::RingError;
use droves_facts::Wall;
use droves_fleet::{KeyPool, KeyPoolError};
use droves_wire::ca::{Authority, AuthorityError};
use std::path::{Path, PathBuf};

/// Certificate and key.
const SECRET: &str = "attestation-ca.pem";
/// The certificate alone.
const ROOT: &str = "attestation-root.pem";

/// The file (PEM) with the root certificate that a server under test is to trust, in a folder of keys; it is made if need
/// be.
pub fn attestation_root(keys: &Path) -> Result<PathBuf, RingError> {
    let pool = KeyPool::open(keys)?;
    root(&pool, health::wall())?;
    Ok(pool.folder().join(ROOT))
}

pub(crate) fn file(pool: &KeyPool) -> PathBuf {
    pool.folder().join(SECRET)
}

/// The authority that is kept with these keys.
pub(crate) fn root(pool: &KeyPool, now: Wall) -> Result<Authority, RingError> {
    let broken = |why| RingError::Attestation { path: file(pool), why };
    let pem = pool.once(SECRET, || {
        let made = Authority::create_p384("Droves attestation root", now).map_err(broken)?;
        let key = made.key_pem().map_err(broken)?;
        Ok::<_, RingError>((made.certificate_pem() + &key).into_bytes())
    })?;
    let text = String::from_utf8(pem).map_err(|_| broken(AuthorityError::Pem))?;
    let authority = Authority::from_pem(&text, &text).map_err(broken)?;
    let path = pool.folder().join(ROOT);
    let certificate = authority.certificate_pem();
    if std::fs::read_to_string(&path).ok().as_deref() != Some(&certificate) {
        std::fs::write(&path, &certificate).map_err(|why| KeyPoolError { path, why })?;
    }
    Ok(authority)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_authority_stays_and_its_root_is_laid_out_again() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let path = attestation_root(&keys).unwrap();
        let first = std::fs::read_to_string(&path).unwrap();
        assert!(first.contains("BEGIN CERTIFICATE") && !first.contains("PRIVATE KEY"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(attestation_root(&keys).unwrap(), path);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(keys.join(SECRET)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_broken_authority_is_an_error_that_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SECRET), "no key").unwrap();
        let error = attestation_root(dir.path()).unwrap_err().to_string();
        assert!(error.contains(SECRET) && error.contains("delete"), "{error}");
        assert_eq!(std::fs::read(dir.path().join(SECRET)).unwrap(), b"no key");
    }
}
