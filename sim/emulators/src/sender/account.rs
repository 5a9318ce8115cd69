//! Whom a server is at Google: a service account by its key file, and the token that it gets for an assertion which it signs
//! (RFC 7523; Google, *Using OAuth 2.0 for server to server applications*).

use droves_facts::{Dur, Wall};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

/// A service account.
pub struct Account {
    pub(crate) email: String,
    pub(crate) project: String,
    pub(crate) token_uri: String,
    key_id: String,
    key: EncodingKey,
}

/// Why a key file is none.
#[derive(thiserror::Error, Debug)]
pub enum AccountError {
    /// Its JSON.
    #[error("no key file of a service account: {0}")]
    Json(#[from] serde_json::Error),
    /// Its key.
    #[error("its key is none: {0}")]
    Key(#[from] jsonwebtoken::errors::Error),
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("email", &self.email).finish_non_exhaustive()
    }
}

/// As Google hands it out.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    project_id: String,
    token_uri: String,
    private_key_id: String,
    private_key: String,
}

/// A token as it is granted.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_LASTS: Dur = Dur::secs(3_600);

impl Account {
    /// Reads a key file.
    ///
    /// # Errors
    /// It is no JSON, a field is not there, or the key is no RSA key in PEM.
    pub fn read(json: &[u8]) -> Result<Self, AccountError> {
        let KeyFile { client_email: email, project_id: project, token_uri, private_key_id: key_id, private_key } =
            serde_json::from_slice(json)?;
        let key = EncodingKey::from_rsa_pem(private_key.as_bytes())?;
        Ok(Account { email, project, token_uri, key_id, key })
    }

    /// The form by which a token for these scopes is asked for; none if the key can't sign.
    pub(crate) fn form(&self, wall: Wall, scopes: &str) -> Option<String> {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        let claims = json!({
            "iss": self.email,
            "scope": scopes,
            "aud": self.token_uri,
            "iat": wall.secs(),
            "exp": (wall + ASSERTION_LASTS).secs(),
        });
        let assertion = jsonwebtoken::encode(&header, &claims, &self.key).ok()?;
        Some(format!("grant_type={}&assertion={assertion}", utf8_percent_encode(GRANT, NON_ALPHANUMERIC)))
    }

    /// What the token endpoint has granted, and for how long; none if that is no token.
    pub(crate) fn granted(answer: &[u8]) -> Option<(String, Dur)> {
        let granted: Granted = serde_json::from_slice(answer).ok()?;
        Some((granted.access_token, Dur::secs(granted.expires_in)))
    }
}
