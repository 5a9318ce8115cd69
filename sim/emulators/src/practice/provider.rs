//! The practice server's provider: it sends pushes by HTTP/2 with a push certificate, as any server does.

use super::brain::{Brain, Wake};
use bytes::Bytes;
use droves_facts::{Dur, Limits};
use droves_net::Stream;
use droves_net::clock::RunClock;
use droves_net::connect::{self, Dialler, Sources};
use droves_net::http::{Conn, Origin, Outgoing, Sink};
use droves_net::tls::{self, Alpn, ClientTls, ClientTlsSettings, TlsError, Trust};
use droves_wire::apple::push;
use droves_wire::ca::Issued;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::Receiver;

/// What a push service's name is, whoever plays it.
const HOST: &str = "api.push.apple.com";
/// An answer to a push is a few words.
const ANSWER_BYTES_MAX: usize = 4 << 10;
const WAIT_MAX: Dur = Dur::secs(30);

/// Sends pushes over one connection at a time.
pub(super) struct Provider {
    to: SocketAddr,
    client: ClientTls,
    identity: Arc<CertifiedKey>,
    topic: HeaderValue,
    clock: RunClock,
    limits: Limits,
}

impl Provider {
    pub(super) fn new(
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

    /// Sends what comes, `lines` at a time, until there is no more.
    pub(super) async fn run(self: Rc<Self>, wakes: Receiver<Wake>, brain: Arc<Mutex<Brain>>, lines: usize) {
        let wakes = Rc::new(RefCell::new(wakes));
        let line = |_| {
            let (this, wakes, brain) = (Rc::clone(&self), Rc::clone(&wakes), Arc::clone(&brain));
            tokio::task::spawn_local(async move {
                let mut conn = None;
                loop {
                    let next = std::future::poll_fn(|cx| wakes.borrow_mut().poll_recv(cx)).await;
                    let Some(wake) = next else { return };
                    let what = this.send(&mut conn, &wake).await;
                    brain.lock().unwrap_or_else(PoisonError::into_inner).pushed(&what);
                }
            })
        };
        let lines: Vec<_> = (0..lines).map(line).collect();
        for line in lines {
            if let Err(error) = line.await {
                tracing::error!(%error, "practice server's provider");
            }
        }
    }

    /// What became of a push: the push service's status, or what went wrong.
    async fn send(&self, conn: &mut Option<Conn<Stream>>, wake: &Wake) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("apns-topic"), self.topic.clone());
        headers.insert(HeaderName::from_static("apns-push-type"), HeaderValue::from_static("mdm"));
        let Ok(target) = format!("/3/device/{}", wake.token).parse() else { return "bad_token".to_owned() };
        let body = Bytes::from(push::payload(&wake.magic));
        let outgoing = Outgoing { method: Method::POST, target, headers, body };
        for _ in 0..2 {
            let is_kept = conn.as_mut().is_some_and(Conn::is_open);
            let mut open = match conn.take().filter(|_| is_kept) {
                Some(open) => open,
                None => match self.open().await {
                    Ok(open) => open,
                    Err(error) => return error.kind().to_owned(),
                },
            };
            let sink = Sink::Keep { bytes_max: ANSWER_BYTES_MAX };
            match open.send(outgoing.clone(), sink, WAIT_MAX, &self.clock).await {
                Ok(answer) => {
                    *conn = Some(open);
                    return answer.status.as_u16().to_string();
                }
                // The service may end a connection that rests at any time.
                Err(failed) if is_kept && failed.reached == droves_net::http::Reached::NotSent => {}
                Err(failed) => return failed.why.kind().to_owned(),
            }
        }
        "closed".to_owned()
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
