//! What a message holds, and how much all of them do that are not done with: with a server that is down, one change of a policy
//! is a report of each of its devices.

use super::super::management::Still;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes, or a device of which they are made each time that somebody takes them.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Bytes(Vec<u8>),
    Device(Box<Still>),
}

impl Data {
    /// As it is sent.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Data::Bytes(bytes) => bytes.into(),
            Data::Device(still) => still.write().into(),
        }
    }

    /// What it takes while it waits.
    pub(super) fn held(&self) -> usize {
        match self {
            Data::Bytes(bytes) => bytes.len(),
            Data::Device(still) => still.bytes(),
        }
    }
}

impl From<Value> for Data {
    fn from(resource: Value) -> Self {
        Data::Bytes(serde_json::to_vec_pretty(&resource).unwrap_or_default())
    }
}

impl From<Still> for Data {
    fn from(still: Still) -> Self {
        Data::Device(Box::new(still))
    }
}

/// How much there is of all messages.
#[derive(Debug)]
pub(crate) struct Store {
    held: Arc<AtomicUsize>,
    pub(crate) bytes_max: usize,
}

/// What one message takes of it, until nobody has it any more.
#[derive(Debug)]
pub(super) struct Place {
    store: Arc<AtomicUsize>,
    bytes: usize,
}

impl Default for Store {
    fn default() -> Self {
        Store { held: Arc::default(), bytes_max: 1 << 30 }
    }
}

impl Store {
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.held.load(Relaxed).saturating_add(bytes) <= self.bytes_max
    }

    pub(super) fn place(&self, bytes: usize) -> Place {
        self.held.fetch_add(bytes, Relaxed);
        Place { store: Arc::clone(&self.held), bytes }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.store.fetch_sub(self.bytes, Relaxed);
    }
}
