//! The push service with its sockets: a thread and a runtime of its own, a TLS port, and beside it the CONNECT door
//! through which a server reaches it that can't be told where the push service is.

use super::house::{Connections, House, OurCounters};
use super::{ConnectionRules, Rules, Service, connection};
use crate::push::{self, GOODBYE_MAX, Post, Registry, Shown, Sink, StartError};
use droves_facts::Dice;
use droves_net::clock::RunClock;
use droves_net::listen::{Counters, Listener, Settings};
use droves_net::proxy::Door;
use droves_net::tls::{Alpn, AskClient, Roots, ServerTls, ServerTlsSettings, TlsError};
use droves_wire::apple::push::Tokens;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// What a push service needs to be told.
#[derive(Debug)]
pub struct Config {
    /// Where providers connect; port 0 picks one.
    pub listen: SocketAddr,
    /// Where the CONNECT door is, if there is one.
    pub door: Option<SocketAddr>,
    /// Whom else the door leads to: hosts and ports, each with its real address.
    pub beyond: Vec<((&'static str, u16), SocketAddr)>,
    /// Where the authority's files lie, or are made.
    pub certificates: PathBuf,
    /// Authorities whose certificates providers must show; without any, every certificate will do.
    pub provider_roots: Option<Roots>,
    /// Connections at once; more are closed at once. A Go server that pushes to a fleet out of the cold dials once a
    /// push.
    pub connections_max: usize,
    /// How it behaves towards everybody.
    pub rules: Rules,
    /// How it treats a connection.
    pub connections: ConnectionRules,
    /// The tokens of the fleet.
    pub tokens: Tokens,
    /// Which lane holds which.
    pub registry: Arc<Registry>,
    /// The run's dice.
    pub dice: Dice,
    /// The run's clock.
    pub clock: RunClock,
}

/// A running APNs.
pub type Handle = push::Handle<Service, Ports>;

/// What is APNs' own: the door, and what happened to connections.
#[derive(Debug)]
pub struct Ports {
    door: Option<SocketAddr>,
    counts: Arc<OurCounters>,
    listener: Arc<Counters>,
}

impl Handle {
    /// Takes the addresses and begins; when this returns, providers can connect. Wakes go to `sink`.
    ///
    /// # Errors
    /// There is no certificate to show, or an address or the thread is not to be had.
    pub fn start(config: Config, sink: Arc<dyn Sink>) -> Result<Self, StartError> {
        let shown = push::shown(&config.certificates, &HOSTS)?;
        let tls = tls(&shown, config.provider_roots)?;
        let settings =
            Settings { connections_max: config.connections_max, drain_wait_max: GOODBYE_MAX, ..Settings::default() };
        let port = Listener::bind(config.listen, Some(tls), settings.clone())?;
        let door = config.door.map(|at| Listener::bind(at, None, settings)).transpose()?;
        let service = Service::new(config.rules, config.tokens, Arc::clone(&config.registry), config.dice);
        let post = Arc::new(Post::new(service, config.registry, config.clock, sink));
        let counts = Arc::<OurCounters>::default();
        let own = Ports {
            door: door.as_ref().map(Listener::address),
            counts: Arc::clone(&counts),
            listener: port.counters(),
        };
        let place = ("apns", port.address(), shown.ca_pem);
        let house = Arc::clone(&post);
        Handle::run(place, post, own, move |runtime| {
            let house = House { post: house, counts, connections: config.connections };
            runtime.block_on(run(Rc::new(house), port, door, config.beyond));
        })
    }

    /// Where the CONNECT door is: `HTTPS_PROXY=http://<this>`.
    pub fn door_addr(&self) -> Option<SocketAddr> {
        self.own.door
    }

    /// What happened to connections so far.
    pub fn connections(&self) -> Connections {
        self.own.counts.connections(&self.own.listener)
    }
}

/// The thread's work.
async fn run(house: Rc<House>, port: Listener, door: Option<Listener>, beyond: Vec<((&'static str, u16), SocketAddr)>) {
    let to = port.address();
    let welcome = {
        let house = Rc::clone(&house);
        move |stream, peer, stopping| connection::serve(stream, peer, stopping, Rc::clone(&house))
    };
    let door = async {
        if let Some(listener) = door {
            let ours = HOSTS.iter().flat_map(|host| PORTS.map(|port| ((*host, port), to)));
            let all = ours.chain(beyond);
            let door = all.fold(Door::default(), |door, ((host, port), to)| door.leading(host, port, to));
            door.serve(listener, house.post.closed()).await;
        }
    };
    tokio::join!(port.each(house.post.closed(), welcome), house.post.deliver(), door);
}

/// Client certificates are asked for, HTTP/2 is all that is offered.
fn tls(shown: &Shown, roots: Option<Roots>) -> Result<ServerTls, TlsError> {
    let ask = roots.map_or(AskClient::Any, AskClient::IssuedBy);
    let settings = ServerTlsSettings { ask, alpn: Alpn::Http2, ..ServerTlsSettings::default() };
    ServerTls::new(shown.chain.clone(), &shown.key, &settings)
}

/// Where servers look for Apple's push service; 2197 is for networks that let 443 not pass.
const HOSTS: [&str; 3] = ["api.push.apple.com", "api.sandbox.push.apple.com", "api.development.push.apple.com"];
const PORTS: [u16; 2] = [443, 2197];
