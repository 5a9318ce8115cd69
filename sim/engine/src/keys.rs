//! The devices' private keys: a pool that they share, one each, or those that came in their profiles; the keys of their
//! ACME accounts; and who attests to them. Read by all shards, grown by helper threads.

use crate::attestation;
use droves_device::KeyIx;
use droves_facts::{DeviceIx, LaneIx, Wall};
use droves_fleet::KeyPool;
use droves_scenario::plan::Keys;
use droves_wire::apple::acme::{AccountKey, Attester};
use droves_wire::ca::AuthorityError;
use droves_wire::digest;
use droves_wire::keys::{Key, KeyError, KeyKind};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// RSA under 2,048 bits can't be had from the library; Apple's default for SCEP is 1,024.
const RSA_BITS_MIN: u32 = 2_048;
/// A device with a key of its own has two numbers, and takes the other one when it renews.
const OTHER: u32 = 1 << 31;
/// Numbers of P-256 keys. Nobody enrolls with one by SCEP; by ACME devices do, and minted identities may have them.
pub(crate) const P256: u32 = 1 << 30;
/// Numbers of P-384 keys, but for [`GIVEN`] ones.
const P384: u32 = 1 << 28;
/// The kinds of keys that are made here: name in the pool, what marks their numbers.
const KINDS: [(&str, u32); 3] = [("rsa2048", 0), ("p256", P256), ("p384", P384)];

/// Numbers of keys that came with their certificate, in a profile. What follows is of the key's digest: the same key has
/// the same number in every run.
const GIVEN: u32 = 1 << 29;
const GIVEN_KIND: &str = "given";
/// How many keys may have the same digest, and be told apart by the next numbers.
const GIVEN_ALIKE_MAX: u32 = 64;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// It can't be made.
    #[error("a device's key: {0}")]
    Key(#[from] KeyError),
    /// It can't be read or written.
    #[error(transparent)]
    Pool(#[from] droves_fleet::KeyPoolError),
    /// The authority of attestations can't be made, or is not in its file.
    #[error("{path}: {why}; if you delete it, another is made, and servers must be told of that", path = .path.display())]
    Attestation {
        /// Its file.
        path: PathBuf,
        /// Why.
        why: AuthorityError,
    },
    /// No number is left for it.
    #[error("a key that came in a profile has no number left: empty the folder of keys")]
    Full,
}

/// All keys by their number.
#[derive(Debug)]
pub(crate) struct KeyRing {
    plan: Keys,
    known: RwLock<HashMap<KeyIx, Arc<Key>>>,
    pool: KeyPool,
    /// Held while a key is made or taken in, so that two threads don't do the same one.
    growing: Mutex<()>,
    /// What keys of ACME accounts are made of. Another in each run: an account serves one order.
    accounts: [u8; 32],
    attester: Mutex<Option<Arc<Attester>>>,
}

impl KeyRing {
    /// The keys that this machine has already; the rest is made when it is wanted.
    pub(crate) fn open(plan: Keys, pool: KeyPool) -> Result<Self, RingError> {
        let wanted = match plan {
            Keys::Pool(count) => count,
            Keys::Unique => u32::MAX,
        };
        let mut known = HashMap::new();
        for (kind, base) in KINDS {
            for (number, pkcs8) in pool.load(kind, wanted)? {
                known.insert(KeyIx(base | number), Arc::new(Key::from_pkcs8(&pkcs8)?));
            }
        }
        let accounts = digest::sha256(&Key::generate_p256()?.to_pkcs8()?);
        let (known, growing, attester) = (RwLock::new(known), Mutex::new(()), Mutex::new(None));
        Ok(KeyRing { plan, known, pool, growing, accounts, attester })
    }

    /// Which key of a kind a device takes for a new identity, given the one that it has. Every RSA size that the library
    /// has is one that a server may ask for; all of them are 2,048 bits here.
    pub(crate) fn choose(&self, device: DeviceIx, before: Option<KeyIx>, kind: KeyKind) -> KeyIx {
        let mark = match kind {
            KeyKind::Rsa(_) => 0,
            KeyKind::P256 => P256,
            KeyKind::P384 => P384,
        };
        let before = before.filter(|KeyIx(ix)| ix & GIVEN == 0).map(|KeyIx(ix)| ix & !(P256 | P384));
        let number = match (self.plan, before) {
            (Keys::Pool(count), None) => device.0 % count.max(1),
            (Keys::Pool(count), Some(before)) => (before + 1) % count.max(1),
            (Keys::Unique, None) => device.0,
            (Keys::Unique, Some(before)) => before ^ OTHER,
        };
        KeyIx(number | mark)
    }

    /// The key of a lane's account at an ACME server, made anew each time that it is wanted.
    pub(crate) fn account(&self, lane: LaneIx, ordinal: u64) -> Result<AccountKey, KeyError> {
        let seed = [&self.accounts[..], &lane.0.to_be_bytes(), &ordinal.to_be_bytes()].concat();
        AccountKey::from_seed(digest::sha256(&seed))
    }

    /// Who attests to the devices' keys: an authority of this run, below the one that is kept with the keys.
    pub(crate) fn attester(&self, now: Wall) -> Result<Arc<Attester>, RingError> {
        let mut attester = self.attester.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = attester.as_ref() {
            return Ok(Arc::clone(known));
        }
        let root = attestation::root(&self.pool, now)?;
        let made = Attester::under(&root, now);
        let made = made.map_err(|why| RingError::Attestation { path: attestation::file(&self.pool), why })?;
        Ok(Arc::clone(attester.insert(Arc::new(made))))
    }

    /// A key that was made, or taken in, before.
    pub(crate) fn find(&self, ix: KeyIx) -> Option<Arc<Key>> {
        self.known(ix).or_else(|| {
            let given = self.given(ix);
            given.unwrap_or_else(|error| {
                tracing::error!(%error, "key");
                None
            })
        })
    }

    /// A key that was taken in by an earlier run: there may be very many, so they are read when they are wanted.
    fn given(&self, ix: KeyIx) -> Result<Option<Arc<Key>>, RingError> {
        if ix.0 & (GIVEN | OTHER | P256) != GIVEN {
            return Ok(None);
        }
        let Some(pkcs8) = self.pool.get(GIVEN_KIND, ix.0 & !GIVEN)? else { return Ok(None) };
        Ok(Some(self.know(ix, Key::from_pkcs8(&pkcs8)?)))
    }

    fn known(&self, ix: KeyIx) -> Option<Arc<Key>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&ix).cloned()
    }

    fn know(&self, ix: KeyIx, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(ix, Arc::clone(&key));
        key
    }

    /// Keeps a key that somebody else made. Gives its number.
    pub(crate) fn take_in(&self, key: Key) -> Result<KeyIx, RingError> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let [a, b, c, d, ..] = digest::sha256(key.spki());
        let first = u32::from_be_bytes([a, b, c, d]);
        for next in 0..GIVEN_ALIKE_MAX {
            let number = first.wrapping_add(next) & (GIVEN - 1);
            let ix = KeyIx(GIVEN | number);
            // A place that can't be read may be another key's: it is not written over.
            let there = self.known(ix).map_or_else(|| self.given(ix), |key| Ok(Some(key)))?;
            match there {
                Some(known) if known.spki() == key.spki() => return Ok(ix),
                Some(_) => {}
                None if self.pool.add(GIVEN_KIND, number, &key.to_pkcs8()?)? => {
                    self.know(ix, key);
                    return Ok(ix);
                }
                // Another process was first, mostly with the same key.
                None if self.given(ix)?.is_some_and(|there| there.spki() == key.spki()) => return Ok(ix),
                None => {}
            }
        }
        Err(RingError::Full)
    }

    /// A key, made now if need be. Takes 70 ms on average then.
    pub(crate) fn make(&self, ix: KeyIx) -> Result<Arc<Key>, RingError> {
        if let Some(key) = self.find(ix) {
            return Ok(key);
        }
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = self.find(ix) {
            return Ok(key);
        }
        let (key, (kind, mark)) = match ix.0 & (P256 | P384) {
            P256 => (Key::generate_p256()?, KINDS[1]),
            P384 => (Key::generate_p384()?, KINDS[2]),
            _ => (Key::generate_rsa(RSA_BITS_MIN)?, KINDS[0]),
        };
        let number = ix.0 & !mark;
        if self.pool.add(kind, number, &key.to_pkcs8()?)? {
            return Ok(self.know(ix, key));
        }
        match self.pool.get(kind, number)? {
            Some(first) => Ok(self.know(ix, Key::from_pkcs8(&first)?)),
            None => Ok(self.know(ix, key)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A minted device may have a P-256 key and renew by SCEP, which on Apple's devices knows RSA only.
    #[test]
    fn a_renewal_takes_another_key_of_the_kind_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        for plan in [Keys::Pool(4), Keys::Unique] {
            let ring = KeyRing::open(plan, KeyPool::open(dir.path()).unwrap()).unwrap();
            for (kind, mark) in [(KeyKind::Rsa(4_096), 0), (KeyKind::P256, P256), (KeyKind::P384, P384)] {
                let first = ring.choose(DeviceIx(3), None, kind);
                for before in [KeyIx(3), KeyIx(3 | P256), KeyIx(3 | P384)] {
                    let next = ring.choose(DeviceIx(3), Some(before), kind);
                    assert_eq!(next.0 & (P256 | P384), mark, "{plan:?} {before:?}");
                    assert!(next != before && next != first);
                }
                assert_eq!(ring.choose(DeviceIx(3), Some(KeyIx(77 | P384 | GIVEN)), kind), first);
                let made = ring.make(first).unwrap().kind();
                assert_eq!(made, if mark == 0 { KeyKind::Rsa(2_048) } else { kind });
                let again = KeyRing::open(plan, KeyPool::open(dir.path()).unwrap()).unwrap();
                assert_eq!(again.find(first).unwrap().kind(), made);
            }
        }
    }

    #[test]
    fn an_account_has_one_key_and_no_two_have_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(Keys::Pool(4), KeyPool::open(dir.path()).unwrap()).unwrap();
        let of = |lane, ordinal| ring.account(LaneIx(lane), ordinal).unwrap().public_bytes().to_vec();
        assert_eq!(of(1, 2), of(1, 2));
        assert!(of(1, 2) != of(1, 3) && of(1, 2) != of(2, 2));
    }

    #[test]
    fn a_key_that_came_in_a_profile_has_one_number_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let open = || KeyRing::open(Keys::Pool(4), KeyPool::open(dir.path()).unwrap()).unwrap();
        let key = |seed| Key::p256_from_seed([seed; 32]).unwrap();
        let (one, two) = (open().take_in(key(1)).unwrap(), open().take_in(key(2)).unwrap());
        assert_ne!(one, two);
        let later = open();
        assert_eq!(later.take_in(key(2)).unwrap(), two);
        assert_eq!(later.find(one).unwrap().spki(), key(1).spki());
        assert!(later.find(KeyIx(one.0 ^ 1)).is_none());
        // Another key has the place that its digest gives: it takes the next.
        let taken = KeyIx(GIVEN | ((one.0 + 1) & (GIVEN - 1)));
        later.know(one, key(3));
        assert_eq!(later.take_in(key(1)).unwrap(), taken);
        // What can't be read is left as it is.
        let path = dir.path().join(format!("{GIVEN_KIND}-{}.pk8", two.0 & !GIVEN));
        std::fs::write(&path, "no key").unwrap();
        assert!(open().take_in(key(2)).is_err() && open().find(two).is_none());
        assert_eq!(std::fs::read(&path).unwrap(), b"no key");
    }
}
