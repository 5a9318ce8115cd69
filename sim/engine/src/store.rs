//! A shard's way to the fleet on disk; without one, everything is saved at once and forgotten.

use droves_device::{Identity, KeyIx};
use droves_facts::LaneIx;
use droves_fleet::{Saver, Stored, StoredIdentity};
use droves_shard::{Snapshot, Ticket};
use std::collections::HashSet;
use std::sync::Arc;

/// What a shard saves with.
#[derive(Debug, Default)]
pub struct Keep {
    saver: Option<Saver>,
    /// Encoded parts that many lanes have: one allocation for all.
    shared: HashSet<Arc<[u8]>>,
}

/// Parts remembered; beyond that the memory begins anew.
const SHARED_MAX: usize = 4_096;

impl Keep {
    /// Saves with this, or nowhere.
    pub fn new(saver: Option<Saver>) -> Self {
        Keep { saver, shared: HashSet::new() }
    }

    /// Whether lanes are kept beyond the run.
    pub(crate) fn is_kept(&self) -> bool {
        self.saver.is_some()
    }

    /// Saves a lane. Gives back the ticket of whoever waits if it is done already.
    pub fn save(&mut self, ticket: Option<Ticket>, snapshot: Snapshot) -> Option<(LaneIx, Ticket)> {
        let lane = snapshot.lane;
        let Some(saver) = self.saver.clone() else { return ticket.map(|ticket| (lane, ticket)) };
        saver.save(ticket, self.stored(snapshot));
        None
    }

    fn stored(&mut self, snapshot: Snapshot) -> Stored {
        let Snapshot { lane, record, shared, own, identity, ended } = snapshot;
        let shared = match self.shared.get(&shared) {
            Some(known) => Arc::clone(known),
            None => {
                if self.shared.len() >= SHARED_MAX {
                    self.shared.clear();
                }
                self.shared.insert(Arc::clone(&shared));
                shared
            }
        };
        let identity =
            identity.map(|identity| StoredIdentity { key: identity.key.0, certificate: identity.certificate.to_vec() });
        Stored { lane, record, shared, own: own.map(Vec::from), identity, ended }
    }
}

/// A lane out of the store, as the shard takes it.
pub fn restored(stored: Stored) -> Snapshot {
    let Stored { lane, record, shared, own, identity, ended } = stored;
    let identity = identity
        .map(|identity| Arc::new(Identity { key: KeyIx(identity.key), certificate: identity.certificate.into() }));
    Snapshot { lane, record, shared, own: own.map(Vec::into_boxed_slice), identity, ended }
}
