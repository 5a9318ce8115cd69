//! FCM with its sockets: one TLS port for tokens and messages.

use super::{Dropped, Rules, Service};
use crate::push::{self, Sink, StartError};
use std::net::SocketAddr;
use std::sync::Arc;

/// What FCM needs to be told.
pub type Config = push::Config<Rules>;
/// A running FCM.
pub type Handle = push::Handle<Service>;

impl Handle {
    /// Takes the address and begins; when this returns, servers can connect. Wakes go to `sink`.
    ///
    /// # Errors
    /// There is no certificate to show, or the address or the thread is not to be had.
    pub fn start(config: Config, sink: Arc<dyn Sink>) -> Result<Self, StartError> {
        Handle::answering("fcm", &HOSTS, config, sink, Service::new)
    }

    /// Where it is, without a slash at its end: what the key file of a service account is made for.
    pub fn url(&self) -> String {
        push::url(self.addr())
    }

    /// Which hosts and ports a CONNECT door leads here, for servers that can't be told where FCM is.
    pub fn behind_door(&self) -> Vec<((&'static str, u16), SocketAddr)> {
        HOSTS.map(|host| ((host, 443), self.addr())).to_vec()
    }

    /// Messages that were kept for devices and given up.
    pub fn dropped(&self) -> Dropped {
        self.brain().dropped()
    }
}

const HOSTS: [&str; 2] = ["fcm.googleapis.com", "oauth2.googleapis.com"];
