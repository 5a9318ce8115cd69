//! The certificates of the push services, under an authority of ours that a server is told to trust by `SSL_CERT_FILE`.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a service shows in handshakes, and where the authority's certificate lies.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) ca_pem: PathBuf,
}

/// Why there is no certificate for a push service.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file of the authority could not be read or written.
    #[error("{path}: {why}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// The authority's files are there, but are no authority.
    #[error("push authority: {0}")]
    Authority(rcgen::Error),
}

/// The file of the authority in `folder`, which is made if need be: what a server under test must trust before it
/// starts.
pub fn authority_pem(folder: &Path) -> Result<PathBuf, TrustError> {
    Ok(shown(folder, &[])?.ca_pem)
}

/// Takes the authority that lies in `folder`, or makes one there: a server under test that trusts it goes on doing so
/// in the next run. A service's own certificate, for these names and those of this machine, is new each time.
pub(crate) fn shown(folder: &Path, names: &[&str]) -> Result<Shown, TrustError> {
    let (ca_pem, ca_key) = (folder.join(CA_FILE), folder.join(CA_KEY_FILE));
    let (pem, ca) = if ca_pem.exists() && ca_key.exists() {
        let pem = reading(&ca_pem)?;
        let key = KeyPair::from_pem(&reading(&ca_key)?).map_err(TrustError::Authority)?;
        let ca = Issuer::from_ca_cert_pem(&pem, key).map_err(TrustError::Authority)?;
        (pem, ca)
    } else {
        let key = KeyPair::generate().map_err(TrustError::Authority)?;
        let params = authority();
        let pem = params.self_signed(&key).map_err(TrustError::Authority)?.pem();
        fs::create_dir_all(folder).map_err(|why| TrustError::File { path: folder.to_owned(), why })?;
        write_secret(&ca_key, &key.serialize_pem())?;
        fs::write(&ca_pem, &pem).map_err(|why| TrustError::File { path: ca_pem.clone(), why })?;
        (pem, Issuer::new(params, key))
    };
    let key = KeyPair::generate().map_err(TrustError::Authority)?;
    let leaf = service(names)?.signed_by(&key, &ca).map_err(TrustError::Authority)?;
    let authority = pem_der(&pem)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(Shown { chain: vec![leaf.der().clone(), authority], key, ca_pem })
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Droves push authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn service(names: &[&str]) -> Result<CertificateParams, TrustError> {
    let all = names.iter().chain(&HERE).map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(all).map_err(TrustError::Authority)?;
    params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or(HERE[0]));
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn pem_der(pem: &str) -> Result<CertificateDer<'static>, TrustError> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| TrustError::Authority(rcgen::Error::CouldNotParseCertificate))
}

fn reading(path: &Path) -> Result<String, TrustError> {
    fs::read_to_string(path).map_err(|why| TrustError::File { path: path.to_owned(), why })
}

fn write_secret(path: &Path, text: &str) -> Result<(), TrustError> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|why| TrustError::File { path: path.to_owned(), why })
}

const CA_FILE: &str = "push-ca.pem";
const CA_KEY_FILE: &str = "push-ca.key";

/// This machine, for servers that can be given any URL.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_authority_stays_and_a_broken_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let first = shown(folder.path(), &[]).unwrap();
        let again = shown(folder.path(), &[]).unwrap();
        assert_eq!(first.chain[1], again.chain[1]);
        assert_ne!(first.chain[0], again.chain[0]);
        fs::write(folder.path().join(CA_KEY_FILE), "no key").unwrap();
        assert!(matches!(shown(folder.path(), &[]), Err(TrustError::Authority(_))));
    }
}
