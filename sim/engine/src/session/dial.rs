//! Connections of a shard's lanes: where to, who is there, and what goes wrong on the way.

use super::{Letter, Network, ours};
use droves_device::{Failure, Identity, Reached};
use droves_facts::{Blame, Dur, KeyFamily, LaneIx};
use droves_net::authorise;
use droves_net::clock::Clock;
use droves_net::connect::{self, ConnectError};
use droves_net::faults::{ByteStream, Cut, CutAt, How, Late, Narrow};
use droves_net::tls::{Alpn, TicketOwner, certified_key};
use droves_scenario::plan::{FaultKind, Http, Resumption};
use http::Uri;
use http::uri::PathAndQuery;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Whom a connection is to, and as whom.
#[derive(Clone, PartialEq)]
pub(super) struct To {
    pub(super) place: Rc<Place>,
    pub(super) identity: Option<Arc<Identity>>,
}

/// An origin.
#[derive(PartialEq, Debug)]
pub(super) struct Place {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

/// What a URL says. A fleet asks a few of them again and again.
#[derive(Debug)]
pub(crate) struct Destination {
    place: Rc<Place>,
    pub(super) target: PathAndQuery,
}

/// URLs that are remembered. A server may name another one to each device.
const DESTINATIONS_MAX: usize = 256;

impl To {
    pub(super) fn new(destination: &Destination, identity: Option<&Arc<Identity>>) -> Self {
        let place = Rc::clone(&destination.place);
        To { identity: identity.filter(|_| place.tls).cloned(), place }
    }
}

/// What a URL says. A link's scheme is `mqtt` or `mqtts`.
pub(super) fn destination(network: &Network, url: &Arc<str>) -> Result<Rc<Destination>, Failure> {
    let mut known = network.destinations.borrow_mut();
    if let Some(known) = known.get(url) {
        return Ok(Rc::clone(known));
    }
    let read = Rc::new(read(url)?);
    if known.len() >= DESTINATIONS_MAX {
        known.clear();
    }
    known.insert(Arc::clone(url), Rc::clone(&read));
    Ok(read)
}

fn read(url: &str) -> Result<Destination, Failure> {
    let bad = |why: &str| Failure {
        blame: Blame::Server,
        kind: "bad_url",
        reached: Reached::Nothing,
        text: format!("{url}: {why}").into(),
    };
    let uri: Uri = url.parse().map_err(|_| bad("not a URL"))?;
    let (tls, usual) = match uri.scheme_str() {
        Some("https") => (true, 443),
        Some("http") => (false, 80),
        Some("mqtts") => (true, 8_883),
        Some("mqtt") => (false, 1_883),
        _ => return Err(bad("neither http nor https")),
    };
    let host = uri.host().ok_or_else(|| bad("no host"))?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(usual);
    let target = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    Ok(Destination { place: Rc::new(Place { tls, host, port }), target })
}

/// A connection that stands.
pub(super) struct Dialled {
    pub(super) stream: Box<dyn ByteStream>,
    /// Whether HTTP/2 was agreed on.
    pub(super) http2: bool,
}

/// Opens a connection, and tells of it.
pub(super) async fn open(network: &Network, lane: LaneIx, to: &To, alpn: Alpn) -> Result<Dialled, Failure> {
    let result = dial(network, lane, to, alpn).await;
    if let Err(failure) = &result {
        network.mailbox.put(Letter::NotOpened { lane, blame: failure.blame, kind: failure.kind });
    }
    result
}

/// What is wrong with a connection.
pub(super) fn refused(to: &To, error: &ConnectError) -> Failure {
    let Place { host, port, .. } = &*to.place;
    Failure {
        blame: error.blame(),
        kind: error.kind(),
        reached: Reached::Nothing,
        text: format!("{host}:{port}: {error}").into(),
    }
}

async fn dial(network: &Network, lane: LaneIx, to: &To, alpn: Alpn) -> Result<Dialled, Failure> {
    let Place { tls, host, port } = &*to.place;
    let refused = |error: ConnectError| refused(to, &error);
    let address = address(network, &to.place).await?;
    let faults = network.faults.strike(lane, network.clock.now());
    if faults.contains(&FaultKind::NetworkRefused) {
        let text = format!("{host}:{port}: refused on order").into();
        return Err(Failure { blame: Blame::Network, kind: "connect_refused", reached: Reached::Nothing, text });
    }
    let mut shows = None;
    let config = if *tls {
        let identity = to.identity.as_ref().map(|identity| certified(network, identity)).transpose()?;
        let (identity, family) = identity.unzip();
        let owner = match network.resumption {
            Resumption::Off => None,
            // An owner is a lane's identity: with or without certificate are two.
            Resumption::PerIdentity => Some(TicketOwner(u64::from(lane.0) << 1 | u64::from(identity.is_some()))),
        };
        let name = connect::server_name(host).map_err(refused)?;
        let (config, shown) = network.tls.watched(identity.as_ref(), owner, alpn);
        shows = family.map(|family| (family, shown));
        Some((config, name))
    } else {
        None
    };
    let (stream, mut opening) = network.dialler.dial(address, config, &network.clock).await.map_err(refused)?;
    let http2 = if *tls { opening.http2 } else { network.http == Http::H2 };
    opening.http2 = http2;
    opening.shown = shows.filter(|(_, shown)| shown.is() && !opening.resumed).map(|(family, _)| family);
    network.mailbox.put(Letter::Opened { lane, opening });
    let mut stream: Box<dyn ByteStream> = Box::new(stream);
    for fault in faults {
        stream = match fault {
            FaultKind::NetworkLatency(delay) => {
                let mut draw = network.faults.delays(lane, delay);
                // The connect's own way there and back.
                tokio::time::sleep(draw().std()).await;
                // What is read comes later by both ways.
                Box::new(Late::new(stream, draw))
            }
            FaultKind::NetworkBandwidth(bytes_per_second) => Box::new(Narrow::new(stream, bytes_per_second)),
            FaultKind::NetworkReset => {
                let at = CutAt { after: Some(Dur::us(1)), ..CutAt::default() };
                Box::new(Cut::new(stream, at, How::Reset))
            }
            _ => stream,
        };
    }
    Ok(Dialled { stream, http2 })
}

/// The address of a host, looked up once a run, and only if the scenario may talk to it.
async fn address(network: &Network, to: &Place) -> Result<SocketAddr, Failure> {
    let key = (to.host.clone(), to.port);
    if let Some(known) = network.addresses.borrow().get(&key) {
        return Ok(*known);
    }
    let found =
        connect::resolve(&to.host, to.port, network.limits.connect_wait_max).await.map_err(|error| Failure {
            blame: error.blame(),
            kind: error.kind(),
            reached: Reached::Nothing,
            text: format!("{}: {error}", to.host).into(),
        })?;
    authorise::check(&to.host, &found, &network.authorised).map_err(|error| Failure {
        blame: Blame::Scenario,
        kind: "not_authorised",
        reached: Reached::Nothing,
        text: error.to_string().into(),
    })?;
    let address = *found.first().ok_or_else(|| ours("no_address", format!("{} has no address", to.host)))?;
    network.addresses.borrow_mut().insert(key, address);
    Ok(address)
}

fn certified(network: &Network, identity: &Identity) -> Result<(Arc<CertifiedKey>, KeyFamily), Failure> {
    let key = network
        .keys
        .find(identity.key)
        .ok_or_else(|| ours("key_missing", "the identity's key is not in the pool".to_owned()))?;
    let signing = key.tls().map_err(|error| ours("key_unusable", error.to_string()))?;
    let certified = certified_key(vec![CertificateDer::from(identity.certificate.to_vec())], signing);
    Ok((certified, key.kind().family()))
}
