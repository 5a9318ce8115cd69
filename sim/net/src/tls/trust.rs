//! Whom a client trusts: the system's roots, given authorities, or both.

use super::{TlsError, certificates_of_pem};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was asked for. [`Trust::load`] makes it into [`Roots`].
#[derive(Clone, Debug, Default)]
pub struct Trust {
    system: bool,
    authorities: Vec<CertificateDer<'static>>,
}

/// Loaded roots, shared by every shard.
#[derive(Clone, Debug)]
pub struct Roots(pub(super) Arc<RootCertStore>);

/// Why trust could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A CA file can't be read.
    #[error("CA file {path} can't be read: {why}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A CA file holds no certificate, or a broken one.
    #[error("CA file {path}: {why}", path = path.display())]
    NotPem {
        /// Which.
        path: PathBuf,
        /// Why.
        why: Box<TlsError>,
    },
    /// A given certificate is no trust anchor.
    #[error("not usable as an authority: {0}")]
    NotAnAuthority(rustls::Error),
    /// Neither the system's roots nor an authority was asked for.
    #[error("nobody is trusted: neither the system's roots nor a CA was given")]
    Nobody,
}

impl Trust {
    /// The system's roots; the built-in ones where the system has none (a bare container).
    pub fn system() -> Self {
        Trust { system: true, authorities: Vec::new() }
    }

    /// Only these authorities.
    pub fn only(authorities: Vec<CertificateDer<'static>>) -> Self {
        Trust { system: false, authorities }
    }

    /// These authorities too.
    #[must_use]
    pub fn and(mut self, authorities: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.authorities.extend(authorities);
        self
    }

    /// The authorities of this PEM file too.
    pub fn and_file(self, path: &Path) -> Result<Self, TrustError> {
        let pem = std::fs::read(path).map_err(|why| TrustError::Unreadable { path: path.to_owned(), why })?;
        let found = certificates_of_pem(&pem)
            .map_err(|why| TrustError::NotPem { path: path.to_owned(), why: Box::new(why) })?;
        Ok(self.and(found))
    }

    /// Reads the roots. Do it once per process: the system's take milliseconds and 38 KB.
    pub fn load(&self) -> Result<Roots, TrustError> {
        let mut store = RootCertStore::empty();
        if self.system {
            let found = rustls_native_certs::load_native_certs();
            let (added, _unusable) = store.add_parsable_certificates(found.certs);
            if added == 0 {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
        for authority in &self.authorities {
            store.add(authority.clone()).map_err(TrustError::NotAnAuthority)?;
        }
        if store.is_empty() {
            return Err(TrustError::Nobody);
        }
        Ok(Roots(Arc::new(store)))
    }
}
