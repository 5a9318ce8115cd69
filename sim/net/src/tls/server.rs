//! The server's side of TLS, for everyone whom we play.

use super::{Alpn, Roots, TlsError, Versions, key_log, provider, signing_key};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use std::sync::Arc;

/// Whether a client is asked for a certificate.
#[derive(Clone, Debug, Default)]
pub enum AskClient {
    /// It is not asked.
    #[default]
    No,
    /// It is asked; any certificate whose key it proves to hold will do, and none will do too. Whoever gets the
    /// request judges the chain.
    Any,
    /// It must show a certificate of one of these authorities.
    IssuedBy(Roots),
}

/// What a server's side needs to be told.
#[derive(Clone, Debug, Default)]
pub struct ServerTlsSettings {
    /// Whether a client is asked for a certificate.
    pub ask: AskClient,
    /// HTTP versions offered.
    pub alpn: Alpn,
    /// TLS versions spoken.
    pub versions: Versions,
    /// Whether sessions may be resumed, by tickets that hold the client's chain; else every handshake is whole.
    pub resumption: bool,
}

/// A server's side of TLS.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

impl ServerTls {
    /// A server with this chain (leaf first) and key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
        settings: &ServerTlsSettings,
    ) -> Result<Self, TlsError> {
        let identity = CertifiedKey::new(chain, signing_key(key)?);
        identity.keys_match().map_err(TlsError::Pair)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.versions.list())
            .map_err(TlsError::Settings)?;
        let builder = match &settings.ask {
            AskClient::No => builder.with_no_client_auth(),
            AskClient::Any => builder.with_client_cert_verifier(Arc::new(AnyClient(provider()))),
            AskClient::IssuedBy(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.0.clone(), provider())
                    .build()
                    .map_err(|why| TlsError::Settings(Error::General(why.to_string())))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = settings.alpn.protocols();
        config.key_log = key_log();
        if settings.resumption {
            config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(TlsError::Settings)?;
            config.send_tls13_tickets = 1;
        } else {
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(ServerTls(Arc::new(config)))
    }
}

/// Takes any certificate, but only from somebody who holds its key.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
