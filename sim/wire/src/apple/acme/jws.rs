//! What a device posts is a JWS in flattened JSON (RFC 7515, 7.2.2), signed with ES256 by the key of its account
//! (RFC 8555, 6.2).

use crate::keys::{self, KeyError};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fmt;

/// The key of an account, P-256. It certifies nothing, so it need not outlive the order.
pub struct AccountKey {
    pair: EcdsaKeyPair,
}

/// The protected header, beside the algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protected<'a> {
    /// Where it is posted.
    pub url: &'a str,
    /// The server's last `Replay-Nonce`.
    pub nonce: &'a str,
    /// The account's URL; before there is an account, the key itself is in the header.
    pub kid: Option<&'a str>,
}

impl AccountKey {
    /// The key of a seed: always the same one.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, KeyError> {
        Ok(AccountKey { pair: keys::p256_of_seed(&ECDSA_P256_SHA256_FIXED_SIGNING, seed)? })
    }

    /// The payload, signed. An empty one is a POST-as-GET.
    pub fn sign(&self, protected: &Protected<'_>, payload: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut header = json!({ "alg": "ES256", "nonce": protected.nonce, "url": protected.url });
        match protected.kid {
            Some(kid) => header["kid"] = kid.into(),
            None => header["jwk"] = self.jwk(),
        }
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let signature = self.pair.sign(&SystemRandom::new(), format!("{protected}.{payload}").as_bytes());
        let signature = signature.map_err(|_| KeyError::Library("ECDSA signature"))?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let jws = json!({ "payload": payload, "protected": protected, "signature": signature });
        Ok(jws.to_string().into_bytes())
    }

    /// The public key, an uncompressed point: `04`, x, y.
    pub fn public_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// RFC 7518, 6.2.1.
    fn jwk(&self) -> Value {
        let point = self.public_bytes();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        json!({ "crv": "P-256", "kty": "EC", "x": coordinate(1), "y": coordinate(33) })
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey")
    }
}
