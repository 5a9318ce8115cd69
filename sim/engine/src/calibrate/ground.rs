//! What measuring stands on: throwaway keys and certificates, and the other end on a thread of its own.

use super::CalibrateError;
use super::alone::{Scep, Signing, Timers};
use super::pushes::Pushes;
use super::wires::{Lines, Target, Wires};
use crate::health;
use crate::keys::{KeyRing, P256};
use droves_device::{Identity, KeyIx};
use droves_emulators::sink::alone::{self, Orders};
use droves_facts::Wall;
use droves_fleet::KeyPool;
use droves_measure::Offer;
use droves_net::listen::{Listener, Settings};
use droves_net::tls::{Alpn, AskClient, Roots, ServerTls, ServerTlsSettings, Trust, Versions};
use droves_scenario::plan::Keys;
use droves_wire::ca::{Authority, Subject};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tempfile::TempDir;
use tokio::sync::watch;

/// Everything that is measured, ready to be done.
pub(super) struct Ground {
    wires: Wires,
    targets: Targets,
    kept: Lines,
    signing: [Signing; 2],
    scep: Scep,
    pushes: Pushes,
    timers: Timers,
    /// It ends with it.
    _other_end: OtherEnd,
    /// Keys and certificates of this calibration; gone with it.
    _folder: TempDir,
}

impl Ground {
    pub(super) fn prepare() -> Result<Self, CalibrateError> {
        let folder = tempfile::Builder::new().prefix("droves-calibrate-").tempdir()?;
        let now = health::wall();
        let authority = Authority::create("Droves calibration", now)?;
        let ring = Arc::new(KeyRing::open(Keys::Pool(1), KeyPool::open(&folder.path().join("keys"))?)?);
        let identity = |ix: KeyIx| -> Result<Arc<Identity>, CalibrateError> {
            let certificate = authority.issue_identity("00008120-000FE6CB74C6560A", ring.make(ix)?.spki(), 1, now)?;
            Ok(Arc::new(Identity { key: ix, certificate: certificate.into() }))
        };
        let (rsa, p256) = (identity(KeyIx(0))?, identity(KeyIx(P256))?);
        let trust = Trust::only(vec![CertificateDer::from(authority.certificate().to_vec())]).load()?;
        let other_end = OtherEnd::start(&authority, &trust, now)?;
        let signing = |identity: &Arc<Identity>| -> Result<Signing, CalibrateError> {
            Ok(Signing::new(ring.make(identity.key)?, Arc::clone(identity)))
        };
        Ok(Ground {
            signing: [signing(&rsa)?, signing(&p256)?],
            scep: Scep::new(&authority, ring.make(KeyIx(0))?, now)?,
            pushes: Pushes::start(folder.path(), &authority, now)?,
            timers: Timers::default(),
            kept: Lines::default(),
            wires: Wires::new(&trust, ring)?,
            targets: other_end.targets(rsa, p256),
            _other_end: other_end,
            _folder: folder,
        })
    }

    /// Does a little of this work, and says how much.
    pub(super) async fn batch(&mut self, offer: Offer) -> Result<u64, CalibrateError> {
        let wires = &self.wires;
        let [sign_rsa, sign_p256] = &self.signing;
        let Targets { plain, silent, p256, rsa } = &self.targets;
        match offer {
            Offer::Connect => wires.knock(offer, plain).await,
            Offer::Handshake => wires.knock(offer, silent).await,
            Offer::HandshakeP256 => wires.knock(offer, p256).await,
            Offer::HandshakeRsa => wires.knock(offer, rsa).await,
            Offer::Request => wires.talk(offer, &mut self.kept, p256, None).await,
            Offer::SessionP256 => wires.sessions(offer, p256).await,
            Offer::SessionRsa => wires.sessions(offer, rsa).await,
            Offer::SignRsa => sign_rsa.batch(offer),
            Offer::SignP256 => sign_p256.batch(offer),
            Offer::Scep => self.scep.batch(),
            Offer::Push => self.pushes.batch().await,
            Offer::Timer => Ok(self.timers.batch()),
        }
    }
}

/// Whom to talk to for what.
struct Targets {
    plain: Target,
    silent: Target,
    p256: Target,
    rsa: Target,
}

/// Who answers at once, on loopback: without TLS, with TLS that asks for no certificate, and with TLS that does.
struct OtherEnd {
    plain: Arc<str>,
    silent: Arc<str>,
    asking: Arc<str>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl OtherEnd {
    fn start(authority: &Authority, trust: &Roots, now: Wall) -> Result<Self, CalibrateError> {
        let issued = authority.issue(&Subject::Server(&["127.0.0.1"]), now)?;
        let key = issued.key.private_key_der()?;
        let chain = vec![CertificateDer::from(issued.certificate)];
        let listen = |ask: Option<AskClient>| -> Result<Listener, CalibrateError> {
            let tls = |ask| {
                let settings =
                    ServerTlsSettings { ask, alpn: Alpn::Http1, versions: Versions::Tls13, resumption: false };
                ServerTls::new(chain.clone(), &key, &settings)
            };
            Ok(Listener::loopback(0, ask.map(tls).transpose()?, Settings::default())?)
        };
        let listeners =
            [listen(None)?, listen(Some(AskClient::No))?, listen(Some(AskClient::IssuedBy(trust.clone())))?];
        let [plain, silent, asking] = listeners.each_ref().map(Listener::address);
        let url = |scheme: &str, address: SocketAddr| format!("{scheme}://{address}/mdm").into();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let body = move || {
            let [one, two, three] = listeners.map(|listener| {
                let mut stopped = stopped.clone();
                // An error says that the calibration is gone, which is the same.
                let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
                alone::serve(listener, Arc::new(Orders::default()), stop)
            });
            runtime.block_on(async { tokio::join!(one, two, three) });
        };
        let thread = Some(thread::Builder::new().name("other-end".to_owned()).spawn(body)?);
        Ok(OtherEnd {
            plain: url("http", plain),
            silent: url("https", silent),
            asking: url("https", asking),
            stop,
            thread,
        })
    }
}

impl OtherEnd {
    fn targets(&self, rsa: Arc<Identity>, p256: Arc<Identity>) -> Targets {
        let to = |url: &Arc<str>, identity| Target { url: Arc::clone(url), identity };
        Targets {
            plain: to(&self.plain, None),
            silent: to(&self.silent, None),
            p256: to(&self.asking, Some(p256)),
            rsa: to(&self.asking, Some(rsa)),
        }
    }
}

impl Drop for OtherEnd {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the other end's thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::session::{self, Letter};
    use droves_facts::{KeyFamily, LaneIx};
    use tokio::task::LocalSet;

    /// A run is priced by the handshakes that its sessions tell of: what was shown, not what could have been.
    #[test]
    fn a_connection_tells_whose_key_its_handshake_cost() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let ground = Ground::prepare().unwrap();
            let Targets { plain, silent, p256, rsa } = &ground.targets;
            let unasked = Target { identity: rsa.identity.clone(), ..silent.clone() };
            let check = async |to: &Target, tls: bool, shown: Option<KeyFamily>| {
                session::knock(&ground.wires.network, LaneIx(0), &to.request()).await.unwrap();
                let Some(Letter::Opened { opening, .. }) = ground.wires.network.mailbox.take() else {
                    panic!("nothing was opened");
                };
                assert_eq!((opening.tls.is_some(), opening.shown), (tls, shown));
                assert!(matches!(ground.wires.network.mailbox.take(), Some(Letter::Closed { .. })));
            };
            check(plain, false, None).await;
            check(silent, true, None).await;
            check(&unasked, true, None).await;
            check(p256, true, Some(KeyFamily::P256)).await;
            check(rsa, true, Some(KeyFamily::Rsa)).await;
        });
    }
}
