//! What lanes that are put back have in common.

use droves_device::Machine;
use std::collections::HashMap;
use std::sync::Arc;

/// Shared parts of one caller's lanes in a row, each read once.
#[derive(Debug)]
pub struct Known<M: Machine> {
    /// The part that came last. What a store has in a row is one allocation, and a kilobyte to be hashed.
    last: Option<Part<M>>,
    by_bytes: HashMap<Arc<[u8]>, Arc<M::Shared>>,
}

/// Bytes, and what they say.
type Part<M> = (Arc<[u8]>, Arc<<M as Machine>::Shared>);

impl<M: Machine> Default for Known<M> {
    fn default() -> Self {
        Known { last: None, by_bytes: HashMap::new() }
    }
}

impl<M: Machine> Known<M> {
    /// The part that has these bytes; `read` reads one that was not there before.
    pub(crate) fn part(
        &mut self,
        bytes: Arc<[u8]>,
        read: impl FnOnce(&[u8]) -> Result<Arc<M::Shared>, String>,
    ) -> Result<Arc<M::Shared>, String> {
        if let Some((last, part)) = &self.last
            && Arc::ptr_eq(last, &bytes)
        {
            return Ok(Arc::clone(part));
        }
        let part = match self.by_bytes.get(&bytes) {
            Some(part) => Arc::clone(part),
            None => {
                let part = read(&bytes)?;
                self.by_bytes.insert(Arc::clone(&bytes), Arc::clone(&part));
                part
            }
        };
        self.last = Some((bytes, Arc::clone(&part)));
        Ok(part)
    }
}
