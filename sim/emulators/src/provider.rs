//! A provider of pushes: HTTP/2 with a push certificate, as any MDM server has one. The practice server's, and the other
//! end where the push service alone is measured.

use crate::line;
use bytes::Bytes;
use droves_facts::Limits;
use droves_net::Stream;
use droves_net::clock::RunClock;
use droves_net::connect::{self, Dialler, Sources};
use droves_net::http::{Conn, Origin, Outgoing};
use droves_net::tls::{self, Alpn, ClientTls, ClientTlsSettings, TlsError, Trust};
use droves_wire::apple::push;
use droves_wire::ca::Issued;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a push service's name is, whoever plays it.
const HOST: &str = "api.push.apple.com";
/// An answer to a push is a few words.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Who pushes for one topic.
#[derive(Debug)]
pub struct Provider {
    to: SocketAddr,
    client: ClientTls,
    identity: Arc<CertifiedKey>,
    topic: HeaderValue,
    clock: RunClock,
    limits: Limits,
}

impl Provider {
    /// A provider with this push certificate, to a push service at this address whose authority is trusted.
    ///
    /// # Errors
    /// The authority, the certificate or the topic is none.
    pub fn new(
        to: SocketAddr,
        ca_pem: &[u8],
        issued: &Issued,
        topic: &str,
        clock: RunClock,
        limits: Limits,
    ) -> Result<Self, TlsError> {
        let roots = Trust::only(tls::certificates_of_pem(ca_pem)?).load()?;
        let settings = ClientTlsSettings::default();
        let key =
            issued.key.private_key_der().map_err(|error| TlsError::Key(rustls::Error::General(error.to_string())))?;
        let chain = vec![CertificateDer::from(issued.certificate.clone())];
        Ok(Provider {
            to,
            client: ClientTls::new(&roots, settings)?,
            identity: tls::certified_key(chain, tls::signing_key(&key)?),
            topic: HeaderValue::try_from(topic)
                .map_err(|error| TlsError::Key(rustls::Error::General(error.to_string())))?,
            clock,
            limits,
        })
    }

    /// Pushes the device of a token (hexadecimal), on the connection that is kept, or on a new one. What became of it: the
    /// push service's status, or what went wrong in one word.
    pub async fn push(&self, conn: &mut Option<Conn<Stream>>, token: &str, magic: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("apns-topic"), self.topic.clone());
        headers.insert(HeaderName::from_static("apns-push-type"), HeaderValue::from_static("mdm"));
        let Ok(target) = format!("/3/device/{token}").parse() else { return "bad_token".to_owned() };
        let body = Bytes::from(push::payload(magic));
        let outgoing = Outgoing { method: Method::POST, target, headers, body };
        let answer = line::send(conn, &outgoing, ANSWER_BYTES_MAX, &self.clock, || self.open()).await;
        answer.map_or_else(|why| why, |answer| answer.status.as_u16().to_string())
    }

    async fn open(&self) -> Result<Conn<Stream>, connect::ConnectError> {
        let config = self.client.config(Some(&self.identity), None, Alpn::Http2);
        let name = connect::server_name(HOST)?;
        let dialler = Dialler::new(&self.limits, Sources::system());
        let (stream, _) = dialler.dial(self.to, Some((config, name)), &self.clock).await?;
        let origin = Origin::new(true, HOST, 443).map_err(|_| connect::ConnectError::Timeout)?;
        Conn::open(stream, true, origin, &self.limits).await
    }
}
