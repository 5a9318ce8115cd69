//! The client's side of TLS: one of these per shard, the identity picked per connection.

use super::tickets::{OneIdentity, Tickets};
use super::{Alpn, RememberedChains, Roots, TicketOwner, TlsError, Versions, key_log, provider};
use droves_facts::Dur;
use rustls::ClientConfig;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::sign::CertifiedKey;
use std::cell::RefCell;
use std::sync::Arc;

/// What a shard's client side needs to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientTlsSettings {
    /// TLS versions offered.
    pub versions: Versions,
    /// How long a verified server chain is remembered; zero: never.
    pub chain_memory_max: Dur,
    /// Owners whose last ticket is kept (about 2 KB each).
    pub ticket_owners_max: usize,
}

impl Default for ClientTlsSettings {
    /// Five minutes: an hour's expiry is seen soon enough, and a fleet's handshakes pay for a chain once in that time.
    fn default() -> Self {
        ClientTlsSettings { versions: Versions::Both, chain_memory_max: Dur::secs(300), ticket_owners_max: 4_096 }
    }
}

/// Knows whether a connection's identity was asked for.
#[derive(Clone, Debug)]
pub struct Shown(Option<Arc<OneIdentity>>);

impl Shown {
    /// Whether the server asked for a certificate and got it: in this handshake, or, where tickets have an owner, in an
    /// earlier one of that owner.
    pub fn is(&self) -> bool {
        self.0.as_ref().is_some_and(|identity| identity.is_shown())
    }
}

/// A shard's client side: verifier with its memory, tickets with their owners, and a config per ALPN choice.
#[derive(Debug)]
pub struct ClientTls {
    bases: [Arc<ClientConfig>; 4],
    chains: Arc<RememberedChains>,
    tickets: RefCell<Tickets>,
}

impl ClientTls {
    /// A client side that trusts `roots`.
    pub fn new(roots: &Roots, settings: ClientTlsSettings) -> Result<Self, TlsError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(roots.0.clone(), provider())
            .build()
            .map_err(|why| TlsError::Settings(rustls::Error::General(why.to_string())))?;
        let chains = Arc::new(RememberedChains::new(webpki, settings.chain_memory_max));
        let mut base = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.versions.list())
            .map_err(TlsError::Settings)?
            .dangerous()
            .with_custom_certificate_verifier(chains.clone())
            .with_no_client_auth();
        base.resumption = Resumption::disabled();
        base.key_log = key_log();
        let with = |alpn: Alpn| {
            let mut config = base.clone();
            config.alpn_protocols = alpn.protocols();
            Arc::new(config)
        };
        Ok(ClientTls {
            bases: [with(Alpn::Http1), with(Alpn::Http2), with(Alpn::Either), with(Alpn::None)],
            chains,
            tickets: RefCell::new(Tickets::new(settings.ticket_owners_max)),
        })
    }

    /// The config of one connection: this identity and no other; resumption only for an owner of tickets.
    pub fn config(
        &self,
        identity: Option<&Arc<CertifiedKey>>,
        owner: Option<TicketOwner>,
        alpn: Alpn,
    ) -> Arc<ClientConfig> {
        self.watched(identity, owner, alpn).0
    }

    /// The same, and somebody who knows afterwards whether the server asked for the identity.
    pub fn watched(
        &self,
        identity: Option<&Arc<CertifiedKey>>,
        owner: Option<TicketOwner>,
        alpn: Alpn,
    ) -> (Arc<ClientConfig>, Shown) {
        let [http1, http2, either, none] = &self.bases;
        let base = match alpn {
            Alpn::Http1 => http1,
            Alpn::Http2 => http2,
            Alpn::Either => either,
            Alpn::None => none,
        };
        if identity.is_none() && owner.is_none() {
            return (base.clone(), Shown(None));
        }
        let mut config = ClientConfig::clone(base);
        let resolver = match owner {
            None => Arc::new(OneIdentity::new(identity)),
            Some(owner) => {
                let (resolver, store) = self.tickets.borrow_mut().of(owner, identity);
                config.resumption = Resumption::store(store);
                resolver
            }
        };
        config.client_auth_cert_resolver = resolver.clone();
        (Arc::new(config), Shown(Some(resolver)))
    }

    /// The memory of verified chains.
    pub fn chains(&self) -> &RememberedChains {
        &self.chains
    }
}
