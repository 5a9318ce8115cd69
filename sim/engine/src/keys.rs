//! The devices' private keys: a pool that they share, or one each. Read by all shards, grown by helper threads.

use droves_device::KeyIx;
use droves_facts::DeviceIx;
use droves_fleet::KeyPool;
use droves_scenario::plan::Keys;
use droves_wire::keys::{Key, KeyError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// RSA under 2,048 bits can't be had from the library; Apple's default for SCEP is 1,024.
pub(crate) const RSA_BITS_MIN: u16 = 2_048;
const RSA_KIND: &str = "rsa2048";
const P256_KIND: &str = "p256";
/// A device with a key of its own has two numbers, and takes the other one when it renews.
const OTHER: u32 = 1 << 31;
/// Numbers of P-256 keys. Nobody enrolls with one by SCEP; minted identities may have them.
pub(crate) const P256: u32 = 1 << 30;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// It can't be made.
    #[error("a device's key: {0}")]
    Key(#[from] KeyError),
    /// It can't be read or written.
    #[error(transparent)]
    Pool(#[from] droves_fleet::KeyPoolError),
}

/// All keys by their number.
#[derive(Debug)]
pub(crate) struct KeyRing {
    plan: Keys,
    known: RwLock<HashMap<KeyIx, Arc<Key>>>,
    /// Held while a key is made, so that two threads don't make the same one.
    pool: Mutex<KeyPool>,
}

impl KeyRing {
    /// The keys that this machine has already; the rest is made when it is wanted.
    pub(crate) fn open(plan: Keys, pool: KeyPool) -> Result<Self, RingError> {
        let wanted = match plan {
            Keys::Pool(count) => count,
            Keys::Unique => u32::MAX,
        };
        let mut known = HashMap::new();
        for (kind, base) in [(RSA_KIND, 0), (P256_KIND, P256)] {
            for (number, pkcs8) in pool.load(kind, wanted)? {
                known.insert(KeyIx(base | number), Arc::new(Key::from_pkcs8(&pkcs8)?));
            }
        }
        Ok(KeyRing { plan, known: RwLock::new(known), pool: Mutex::new(pool) })
    }

    /// Which key a device takes for a new identity, given the one that it has: an RSA key, since it asks by SCEP.
    pub(crate) fn choose(&self, device: DeviceIx, before: Option<KeyIx>) -> KeyIx {
        match (self.plan, before.map(|KeyIx(ix)| KeyIx(ix & !P256))) {
            (Keys::Pool(count), None) => KeyIx(device.0 % count.max(1)),
            (Keys::Pool(count), Some(KeyIx(before))) => KeyIx((before + 1) % count.max(1)),
            (Keys::Unique, None) => KeyIx(device.0),
            (Keys::Unique, Some(KeyIx(before))) => KeyIx(before ^ OTHER),
        }
    }

    /// A key that was made before.
    pub(crate) fn find(&self, ix: KeyIx) -> Option<Arc<Key>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&ix).cloned()
    }

    /// A key, made now if need be. Takes 70 ms on average then.
    pub(crate) fn make(&self, ix: KeyIx) -> Result<Arc<Key>, RingError> {
        if let Some(key) = self.find(ix) {
            return Ok(key);
        }
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.find(ix) {
            return Ok(key);
        }
        let (key, kind, number) = match ix.0 & P256 {
            0 => (Key::generate_rsa(u32::from(RSA_BITS_MIN))?, RSA_KIND, ix.0),
            _ => (Key::generate_p256()?, P256_KIND, ix.0 & !P256),
        };
        let key = Arc::new(key);
        pool.add(kind, number, &key.to_pkcs8()?)?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(ix, Arc::clone(&key));
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A minted device may have a P-256 key; it renews by SCEP, which on Apple's devices knows RSA only.
    #[test]
    fn a_renewal_takes_another_key_and_an_rsa_key() {
        let dir = tempfile::tempdir().unwrap();
        for plan in [Keys::Pool(4), Keys::Unique] {
            let ring = KeyRing::open(plan, KeyPool::open(dir.path()).unwrap()).unwrap();
            for before in [KeyIx(3), KeyIx(3 | P256)] {
                let next = ring.choose(DeviceIx(3), Some(before));
                assert_eq!(next.0 & P256, 0, "{plan:?} {before:?}");
                assert_ne!(next, before);
            }
        }
    }
}
