//! TLS for both sides, by rustls on aws-lc-rs.
//!
//! The provider is always passed by hand: a process default would panic at run time as soon as a second provider were
//! compiled in. TLS 1.2 (RFC 5246) and 1.3 (RFC 8446); `SSLKEYLOGFILE` is honoured on both sides through one file.

mod chain;
mod client;
mod server;
mod tickets;
mod trust;

pub use chain::RememberedChains;
pub use client::{ClientTls, ClientTlsSettings, Shown};
pub use server::{AskClient, ServerTls, ServerTlsSettings};
pub use tickets::TicketOwner;
pub use trust::{Roots, Trust, TrustError};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{KeyLog, KeyLogFile, SupportedProtocolVersion};
use std::sync::{Arc, OnceLock};

/// Which HTTP versions are offered in the handshake (ALPN, RFC 7301).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Alpn {
    /// `http/1.1` only.
    Http1,
    /// `h2` only.
    Http2,
    /// `h2` first, `http/1.1` else.
    #[default]
    Either,
    /// No ALPN at all: for what is not HTTP.
    None,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec()],
            Alpn::Either => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Alpn::None => Vec::new(),
        }
    }
}

/// Which TLS versions are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Versions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 only, as old MDM fronts do.
    Tls12,
    /// 1.3 only.
    Tls13,
}

impl Versions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Versions::Both => &BOTH,
            Versions::Tls12 => &BOTH[1..],
            Versions::Tls13 => &BOTH[..1],
        }
    }
}

/// Why a TLS side could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A key is of no kind that TLS signs with.
    #[error("private key not usable for TLS: {0}")]
    Key(rustls::Error),
    /// The certificate is not the key's, or not a certificate.
    #[error("certificate and key do not go together: {0}")]
    Pair(rustls::Error),
    /// The PEM holds no certificate, or no key, or is broken.
    #[error("bad PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// Trust could not be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What rustls refuses of the settings.
    #[error("TLS settings: {0}")]
    Settings(rustls::Error),
}

/// Loads a private key for signing in handshakes. Costly for RSA (it is checked): do it once per pooled key.
pub fn signing_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, TlsError> {
    rustls::crypto::aws_lc_rs::sign::any_supported_type(key).map_err(TlsError::Key)
}

/// A device's own certificate (leaf first) with a key that may be shared by many.
pub fn certified_key(chain: Vec<CertificateDer<'static>>, key: Arc<dyn SigningKey>) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(chain, key))
}

/// Every certificate of a PEM text.
pub fn certificates_of_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(TlsError::Pem)?;
    if found.is_empty() {
        return Err(TlsError::Pem(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(found)
}

/// The private key of a PEM text.
pub fn key_of_pem(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(TlsError::Pem)
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())).clone()
}

/// One for the process: each `KeyLogFile` opens its file anew.
fn key_log() -> Arc<dyn KeyLog> {
    static KEY_LOG: OnceLock<Arc<KeyLogFile>> = OnceLock::new();
    KEY_LOG.get_or_init(|| Arc::new(KeyLogFile::new())).clone()
}
