//! The push service with its sockets: a thread and a runtime of its own, a TLS port, and beside it the CONNECT door
//! through which a server reaches it that can't be told where the push service is.

use super::house::{Connections, House, OurCounters};
use super::{ConnectionRules, Reason, Rules, Service, connection};
use crate::push::{self, Order, OrderId, Post, Registry, Shown, Sink, Tally, TrustError};
use droves_facts::{Dice, Dur};
use droves_net::clock::RunClock;
use droves_net::listen::{BindError, Counters, Listener, Settings};
use droves_net::proxy::Door;
use droves_net::tls::{Alpn, AskClient, Roots, ServerTls, ServerTlsSettings, TlsError};
use droves_wire::apple::push::Tokens;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{io, thread};

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

/// Why there is no push service.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No certificate to show.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address could not be taken.
    #[error("push service: {0}")]
    Listen(#[from] BindError),
    /// The thread or its runtime could not be made.
    #[error("push service's thread: {0}")]
    Thread(io::Error),
}

/// A running push service. Dropping it, or [`Handle::stop`], ends it in good order.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    door: Option<SocketAddr>,
    ca_pem: PathBuf,
    post: Arc<Post<Service>>,
    counts: Arc<OurCounters>,
    listener: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Takes the addresses and begins; when this returns, providers can connect. Wakes go to `sink`.
    pub fn start(config: Config, sink: Arc<dyn Sink>) -> Result<Self, StartError> {
        let shown = push::shown(&config.certificates, &HOSTS)?;
        let tls = tls(&shown, config.provider_roots)?;
        let settings =
            Settings { connections_max: config.connections_max, drain_wait_max: GOODBYE_MAX, ..Settings::default() };
        let port = Listener::bind(config.listen, Some(tls), settings.clone())?;
        let door = config.door.map(|at| Listener::bind(at, None, settings)).transpose()?;
        let service = Service::new(config.rules, config.tokens, Arc::clone(&config.registry), config.dice);
        let post = Arc::new(Post::new(service, config.registry, config.clock, sink));
        let mut handle = Handle {
            addr: port.address(),
            door: door.as_ref().map(Listener::address),
            ca_pem: shown.ca_pem,
            post: Arc::clone(&post),
            counts: Arc::default(),
            listener: port.counters(),
            thread: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let counts = Arc::clone(&handle.counts);
        let body = move || {
            let house = House { post, counts, connections: config.connections };
            runtime.block_on(run(Rc::new(house), port, door, config.beyond));
        };
        handle.thread = Some(thread::Builder::new().name("apns".to_owned()).spawn(body).map_err(StartError::Thread)?);
        Ok(handle)
    }

    /// Where providers connect by TLS.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the CONNECT door is: `HTTPS_PROXY=http://<this>`.
    pub fn door_addr(&self) -> Option<SocketAddr> {
        self.door
    }

    /// The authority's certificate: `SSL_CERT_FILE`.
    pub fn ca_pem_path(&self) -> &Path {
        &self.ca_pem
    }

    /// Where lanes register, without a network.
    pub fn registry(&self) -> &Arc<Registry> {
        self.post.registry()
    }

    /// What happened to notifications so far.
    pub fn tally(&self) -> Tally<Reason> {
        self.post.brain().tally()
    }

    /// What happened to connections so far.
    pub fn connections(&self) -> Connections {
        self.counts.connections(&self.listener)
    }

    /// Wakes that the sink could not pass on: ours, never the server's.
    pub fn wakes_dropped(&self) -> u64 {
        self.post.wakes_dropped()
    }

    /// Takes a fault on order; `None` when there are [`push::ORDERS_MAX`] already.
    pub fn order(&self, order: Order<Reason>) -> Option<OrderId> {
        self.post.brain().give(order)
    }

    /// Takes an order back.
    pub fn lift(&self, id: OrderId) {
        self.post.brain().lift(id);
    }

    /// Ends it: no new connections, GOAWAY to those that stand, a few seconds for what is under way.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.post.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the push service's thread panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
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

/// For all connections to end at the end of the house.
const GOODBYE_MAX: Dur = Dur::secs(5);
