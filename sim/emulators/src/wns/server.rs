//! WNS with its sockets: one TLS port for tokens and notifications.

use super::{Rules, Service};
use crate::push::{self, Sink, StartError};
use std::net::SocketAddr;
use std::sync::Arc;

/// What WNS needs to be told.
pub type Config = push::Config<Rules>;
/// A running WNS.
pub type Handle = push::Handle<Service>;

impl Handle {
    /// Takes the address and begins; when this returns, servers can connect. Wakes go to `sink`.
    ///
    /// # Errors
    /// There is no certificate to show, or the address or the thread is not to be had.
    pub fn start(config: Config, sink: Arc<dyn Sink>) -> Result<Self, StartError> {
        let brain = |_: &str, rules, tokens, registry, dice| Service::new(rules, tokens, registry, dice);
        Handle::answering("wns", &HOSTS, config, sink, brain)
    }

    /// Host and port of the channels.
    pub fn channels(&self) -> String {
        format!("localhost:{}", self.addr().port())
    }

    /// Which hosts and ports a CONNECT door leads here, for servers into which they are compiled.
    pub fn behind_door(&self) -> Vec<((&'static str, u16), SocketAddr)> {
        HOSTS.map(|host| ((host, 443), self.addr())).to_vec()
    }
}

/// Where servers ask for tokens, if they can't be told where.
const HOSTS: [&str; 2] = ["login.live.com", "login.microsoftonline.com"];
