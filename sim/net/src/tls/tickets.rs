//! Resumption, one ticket a device. rustls looks tickets up by server name alone and checks only that resolver and
//! verifier are the same `Arc` as when the ticket came: so each owner keeps a resolver of its own beside its ticket,
//! and no device can resume another's session.

use rustls::NamedGroup;
use rustls::SignatureScheme;
use rustls::client::{ClientSessionStore, ResolvesClientCert, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who owns a ticket: a number that the caller gives to one enrollment and to no other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TicketOwner(pub u64);

/// A shard's tickets, bounded; the owner that came first goes first.
#[derive(Debug)]
pub(super) struct Tickets {
    owners: HashMap<TicketOwner, (Arc<OneIdentity>, Arc<OneTicket>)>,
    order: VecDeque<TicketOwner>,
    owners_max: usize,
}

impl Tickets {
    pub(super) fn new(owners_max: usize) -> Self {
        Tickets { owners: HashMap::new(), order: VecDeque::new(), owners_max }
    }

    /// The owner's resolver and store. They are made anew where the identity is not the one that the ticket came
    /// with (a renewed certificate): a session resumed over it would still be the old identity's.
    pub(super) fn of(
        &mut self,
        owner: TicketOwner,
        identity: Option<&Arc<CertifiedKey>>,
    ) -> (Arc<OneIdentity>, Arc<OneTicket>) {
        if let Some(entry) = self.owners.get_mut(&owner) {
            if !entry.0.is(identity) {
                *entry = (Arc::new(OneIdentity::new(identity)), Arc::default());
            }
            return entry.clone();
        }
        while self.owners.len() >= self.owners_max.max(1) {
            match self.order.pop_front() {
                Some(first) => self.owners.remove(&first),
                None => break,
            };
        }
        let entry = (Arc::new(OneIdentity::new(identity)), Arc::default());
        self.order.push_back(owner);
        self.owners.insert(owner, entry.clone());
        entry
    }
}

/// Presents one certificate, or none.
#[derive(Debug)]
pub(super) struct OneIdentity {
    identity: Option<Arc<CertifiedKey>>,
    shown: AtomicBool,
}

impl OneIdentity {
    pub(super) fn new(identity: Option<&Arc<CertifiedKey>>) -> Self {
        OneIdentity { identity: identity.cloned(), shown: AtomicBool::new(false) }
    }

    /// Whether a server has asked for the certificate and got it.
    pub(super) fn is_shown(&self) -> bool {
        self.shown.load(Relaxed)
    }

    /// Whether this is the same certificate. The key is the certificate's, so it need not be compared.
    fn is(&self, identity: Option<&Arc<CertifiedKey>>) -> bool {
        match (&self.identity, identity) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.cert == b.cert,
            _ => false,
        }
    }
}

impl ResolvesClientCert for OneIdentity {
    /// `None` where the key can't sign as the server asks: the handshake goes on without a certificate, as devices do.
    fn resolve(&self, _subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let identity = self.identity.as_ref()?;
        let shown = identity.key.choose_scheme(schemes).map(|_signer| identity.clone());
        self.shown.fetch_or(shown.is_some(), Relaxed);
        shown
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

/// Keeps the last ticket of the last server.
#[derive(Default)]
pub(super) struct OneTicket(Mutex<Slot>);

#[derive(Default)]
struct Slot {
    server: Option<ServerName<'static>>,
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: Option<Tls13ClientSessionValue>,
}

impl OneTicket {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot_for(&self, server: ServerName<'static>) -> MutexGuard<'_, Slot> {
        let mut slot = self.slot();
        if slot.server.as_ref() != Some(&server) {
            *slot = Slot { server: Some(server), ..Slot::default() };
        }
        slot
    }
}

impl std::fmt::Debug for OneTicket {
    /// Shows no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTicket").finish_non_exhaustive()
    }
}

impl ClientSessionStore for OneTicket {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.slot_for(server).group = Some(group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        let slot = self.slot();
        slot.group.filter(|_| slot.server.as_ref() == Some(server))
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.slot_for(server).tls12 = Some(value);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let slot = self.slot();
        slot.tls12.clone().filter(|_| slot.server.as_ref() == Some(server))
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.slot_for(server.clone()).tls12 = None;
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.slot_for(server).tls13 = Some(value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut slot = self.slot();
        if slot.server.as_ref() == Some(server) { slot.tls13.take() } else { None }
    }
}
