//! What Google signs with, and the account files that it hands out: tokens of OpenID Connect with which Pub/Sub shows who
//! pushes (Google, *Authenticate push subscriptions*), and the keys to check them by, in both of the forms that are served.

use super::Account;
use droves_facts::{Dur, Wall};
use droves_wire::keys::{Key, KeyError};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Why there is no key.
#[derive(thiserror::Error, Debug)]
pub enum SignerError {
    /// RSA.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its certificate, or its form.
    #[error("google's key: {0}")]
    Certificate(#[from] rcgen::Error),
    /// Its form for tokens.
    #[error("google's key: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
}

/// A key that tokens are signed with.
pub(crate) struct Signer {
    id: String,
    key: EncodingKey,
    jwk: Value,
    certificate_pem: String,
    /// What was signed lately, by account and audience, and until when it is shown.
    tokens: HashMap<(String, String), (Wall, String)>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("id", &self.id).finish_non_exhaustive()
    }
}

const ISSUER: &str = "https://accounts.google.com";
const LASTS: Dur = Dur::secs(3_600);
/// A token is shown as long as its reader has so much of its time left. A signature costs half a millisecond, in which nobody
/// else can do anything at Google.
const LEFT_MIN: Dur = Dur::secs(600);
const TOKENS_MAX: usize = 1_000;

impl Signer {
    /// With an RSA key.
    pub(crate) fn new(key: &Key) -> Result<Self, SignerError> {
        let pair = KeyPair::try_from(key.to_pkcs8()?)?;
        let certificate_pem = CertificateParams::default().self_signed(&pair)?.pem();
        let id = hex::encode(&droves_wire::digest::Digest::Sha256.of(key.public_bytes())[..20]);
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Signer { id, key, jwk: json!(jwk), certificate_pem, tokens: HashMap::new() })
    }

    /// Who pushes, to whom, for an hour; or what is left of it.
    pub(crate) fn token(&mut self, now: Wall, account: &str, audience: &str) -> Option<String> {
        let key = (account.to_owned(), audience.to_owned());
        if let Some((_, token)) = self.tokens.get(&key).filter(|(until, _)| now < *until) {
            return Some(token.clone());
        }
        let token = self.sign(now, account, audience)?;
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.clear();
        }
        self.tokens.insert(key, (now + LASTS - LEFT_MIN, token.clone()));
        Some(token)
    }

    fn sign(&self, now: Wall, account: &str, audience: &str) -> Option<String> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::RS256) };
        let claims = json!({
            "iss": ISSUER,
            "aud": audience,
            "azp": account,
            "sub": account,
            "email": account,
            "email_verified": true,
            "iat": now.secs(),
            "exp": (now + LASTS).secs(),
        });
        jsonwebtoken::encode(&header, &claims, &self.key).ok()
    }

    /// As at `/oauth2/v1/certs`.
    pub(crate) fn certificates(&self) -> Value {
        json!({ self.id.clone(): self.certificate_pem })
    }

    /// As at `/oauth2/v3/certs`.
    pub(crate) fn keys(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }
}

impl Account {
    /// The account's key file, as Google's libraries read it; `url` is where this Google is.
    ///
    /// # Errors
    /// The key has no such form.
    pub fn key_file(&self, url: &str) -> Result<Value, SignerError> {
        let pair = KeyPair::try_from(self.key.to_pkcs8()?)?;
        Ok(json!({
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": self.key_id,
            "private_key": pair.serialize_pem(),
            "client_email": self.email,
            "client_id": "100000000000000000001",
            "auth_uri": format!("{url}/o/oauth2/auth"),
            "token_uri": format!("{url}/token"),
            "auth_provider_x509_cert_url": format!("{url}/oauth2/v1/certs"),
        }))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    #[test]
    fn a_pushs_token_is_good_by_the_keys_that_are_served() {
        let mut signer = Signer::new(&Key::generate_rsa(2048).unwrap()).unwrap();
        let now = Wall::from_secs(4_000_000_000);
        let token = signer.token(now, "push@p.iam.gserviceaccount.com", "https://mdm.example/push").unwrap();
        let jwk: Jwk = serde_json::from_value(signer.keys()["keys"][0].clone()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["https://mdm.example/push"]);
        validation.set_issuer(&[ISSUER]);
        let read = jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
        assert_eq!(read.claims["email"], "push@p.iam.gserviceaccount.com");
        assert_eq!(read.claims["exp"], 4_000_003_600_u64);
        assert_eq!(
            read.header.kid.as_deref(),
            signer.certificates().as_object().unwrap().keys().next().map(|id| &**id)
        );
        validation.set_audience(&["https://other.example/push"]);
        assert!(jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).is_err());
    }

    #[test]
    fn a_token_is_signed_once_and_again_before_it_ends() {
        let mut signer = Signer::new(&Key::generate_rsa(2048).unwrap()).unwrap();
        let mut shown =
            |secs: i64, audience| signer.token(Wall::from_secs(4_000_000_000 + secs), "a@b", audience).unwrap();
        let first = shown(0, "one");
        assert_eq!(shown(2_999, "one"), first);
        assert_ne!(shown(2_999, "other"), first);
        assert_ne!(shown(3_000, "one"), first);
    }
}
