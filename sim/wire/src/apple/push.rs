//! Pushes: what an MDM server has delivered to a device, and the device tokens by which it names one.
//!
//! The payload is `{"mdm":"<PushMagic>"}` and nothing else (Apple: *Sending MDM push notifications*). A token is 32
//! bytes that say nothing to a server; here they are a keyed permutation of (lane, generation), so that a push finds
//! its lane without a table.

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use droves_facts::LaneIx;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The payload of a push for this `PushMagic`.
pub fn payload(magic: &str) -> Vec<u8> {
    format!("{{\"mdm\":{}}}", serde_json::Value::from(magic)).into_bytes()
}

/// The `PushMagic` of a payload. Keys beside `mdm` are passed over, as devices do.
pub fn magic(payload: &[u8]) -> Result<Cow<'_, str>, PushError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(PushError::TooLarge);
    }
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        mdm: Option<Cow<'a, str>>,
    }
    match serde_json::from_slice::<Payload<'_>>(payload) {
        Ok(Payload { mdm: Some(magic) }) => Ok(magic),
        Ok(Payload { mdm: None }) => Err(PushError::NoMagic),
        Err(_) => Err(PushError::Json),
    }
}

/// What a fuzzer drives: a magic that was read is found again in the payload made of it.
pub fn target(bytes: &[u8]) {
    if let Ok(read) = magic(bytes) {
        let again = payload(&read);
        assert!(again.len() > PAYLOAD_BYTES_MAX || magic(&again).as_deref() == Ok(&*read));
    }
}

/// Why a payload wakes no MDM client.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushError {
    /// More than the push service takes.
    #[error("payload of more than {PAYLOAD_BYTES_MAX} bytes")]
    TooLarge,
    /// Not a JSON object with a text under `mdm`.
    #[error("payload is not a json object with a text under \"mdm\"")]
    Json,
    /// Of another kind: an app's.
    #[error("payload without \"mdm\"")]
    NoMagic,
}

/// The device tokens of a run. Whoever holds the key makes and finds them; for anyone else they are random.
#[derive(Clone)]
pub struct Tokens {
    keys: Arc<Keys>,
}

struct Keys {
    encrypt: EncryptingKey,
    decrypt: DecryptingKey,
    seal: EncryptingKey,
}

impl Tokens {
    /// The tokens under this key: one half makes the first block, the other seals it.
    #[expect(clippy::missing_panics_doc, reason = "AES-128 takes every key of 16 bytes")]
    pub fn new(key: [u8; 32]) -> Self {
        let (first, second) = key.split_at(16);
        let unbound = |half| UnboundCipherKey::new(&AES_128, half).expect("a key of 16 bytes");
        let encrypting = |half| EncryptingKey::ecb(unbound(half)).expect("a key without a mode's parameters");
        let keys = Keys {
            encrypt: encrypting(first),
            decrypt: DecryptingKey::ecb(unbound(first)).expect("a key without a mode's parameters"),
            seal: encrypting(second),
        };
        Tokens { keys: Arc::new(keys) }
    }

    /// The token of a lane after `generation` changes of it.
    pub fn token(&self, lane: LaneIx, generation: u32) -> [u8; 32] {
        let mut name = [0; 16];
        name[..4].copy_from_slice(&lane.0.to_be_bytes());
        name[4..8].copy_from_slice(&generation.to_be_bytes());
        let first = block(&self.keys.encrypt, name);
        let second = block(&self.keys.seal, first);
        let mut token = [0; 32];
        token[..16].copy_from_slice(&first);
        token[16..].copy_from_slice(&second);
        token
    }

    /// Whose token it is; `None` for bytes that are no token under this key.
    pub fn find(&self, token: &[u8]) -> Option<(LaneIx, u32)> {
        let token: &[u8; 32] = token.try_into().ok()?;
        let mut name: [u8; 16] = token[..16].try_into().ok()?;
        self.keys.decrypt.decrypt(&mut name, DecryptionContext::None).ok()?;
        let word = |at: usize| name.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let (lane, generation) = (LaneIx(word(0)?), word(4)?);
        (self.token(lane, generation) == *token).then_some((lane, generation))
    }
}

/// Shows nothing of the key.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

fn block(key: &EncryptingKey, mut block: [u8; 16]) -> [u8; 16] {
    // ECB of one block is the bare permutation: neither padding nor an initial vector, so nothing can fail.
    key.encrypt(&mut block).expect("one whole block");
    block
}

/// The push service's bound on any payload.
const PAYLOAD_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_payload_is_the_magic_alone() {
        let made = payload("EB8D1E32-31A9-4DAF-B4E9-0A7B2D0B1C5F");
        assert_eq!(made, br#"{"mdm":"EB8D1E32-31A9-4DAF-B4E9-0A7B2D0B1C5F"}"#);
        assert_eq!(made.len(), 46);
        assert_eq!(magic(&made).unwrap(), "EB8D1E32-31A9-4DAF-B4E9-0A7B2D0B1C5F");
        assert_eq!(magic(br#" {"aps":{},"mdm":"a\u0062"} "#).unwrap(), "ab");
        let check = |bytes: &[u8], error| assert_eq!(magic(bytes), Err(error));
        check(b"", PushError::Json);
        check(br#"{"mdm":7}"#, PushError::Json);
        check(br#"{"mdm":"a"}x"#, PushError::Json);
        check(br#"{"aps":{}}"#, PushError::NoMagic);
        check(&[b' '; 4_097], PushError::TooLarge);
        check("[".repeat(4_000).as_bytes(), PushError::Json);
        check(format!("{{\"a\":{}", "[".repeat(4_000)).as_bytes(), PushError::Json);
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("push", target);
    }

    /// The first block is AES-128 of the name, checked against the known answer of FIPS 197, appendix C.1.
    #[test]
    fn the_permutation_is_aes() {
        let key = UnboundCipherKey::new(&AES_128, &(0..16).collect::<Vec<u8>>()).unwrap();
        let key = EncryptingKey::ecb(key).unwrap();
        let plain: [u8; 16] = std::array::from_fn(|n| n as u8 * 0x11);
        assert_eq!(u128::from_be_bytes(block(&key, plain)), 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a);
    }

    proptest! {
        #[test]
        fn a_token_finds_its_lane(key: [u8; 32], lane: u32, generation: u32) {
            let tokens = Tokens::new(key);
            let token = tokens.token(LaneIx(lane), generation);
            prop_assert_eq!(tokens.find(&token), Some((LaneIx(lane), generation)));
            prop_assert_ne!(token, tokens.token(LaneIx(lane), generation.wrapping_add(1)));
            prop_assert_ne!(token, tokens.token(LaneIx(lane.wrapping_add(1)), generation));
        }

        #[test]
        fn forgeries_are_not_found(key: [u8; 32], other: [u8; 32], lane: u32, bit in 0_usize..256, junk: [u8; 32]) {
            let tokens = Tokens::new(key);
            let token = tokens.token(LaneIx(lane), 0);
            let mut changed = token;
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(tokens.find(&changed), None);
            prop_assert_eq!(tokens.find(&junk), None);
            prop_assert_eq!(tokens.find(&token[..31]), None);
            prop_assume!(key != other);
            prop_assert_eq!(Tokens::new(other).find(&token), None);
        }

        #[test]
        fn no_payload_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..100), text: String) {
            target(&bytes);
            target(&payload(&text));
            target(format!("{{\"mdm\":{text}}}").as_bytes());
        }
    }
}
