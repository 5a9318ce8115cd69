//! Whom the EMM is at Google: a service account by its key file, and the token that it gets for an assertion which it signs
//! (RFC 7523; Google, *Using OAuth 2.0 for server to server applications*).

use super::line::Reply;
use droves_facts::{Dur, Mono, Wall};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

/// A service account.
pub struct Account {
    pub(super) email: String,
    pub(super) project: String,
    pub(super) token_uri: String,
    key_id: String,
    key: EncodingKey,
}

/// Why a key file is none.
#[derive(thiserror::Error, Debug)]
pub enum AccountError {
    /// Its JSON.
    #[error("key file of a service account: {0}")]
    Json(#[from] serde_json::Error),
    /// Its key.
    #[error("key file of a service account: {0}")]
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

/// The token that calls are made with.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Access {
    #[default]
    None,
    /// It is asked for.
    Asked,
    /// It is good.
    Good { token: String, until: Mono },
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPES: &str = "https://www.googleapis.com/auth/androidmanagement https://www.googleapis.com/auth/pubsub";
const ASSERTION_LASTS: Dur = Dur::secs(3_600);
/// Before its end by so much a token is asked for anew.
const EARLY: Dur = Dur::secs(300);

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

    /// The form by which a token is asked for; none if the key can't sign.
    pub(super) fn form(&self, wall: Wall) -> Option<String> {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        let claims = json!({
            "iss": self.email,
            "scope": SCOPES,
            "aud": self.token_uri,
            "iat": wall.secs(),
            "exp": (wall + ASSERTION_LASTS).secs(),
        });
        let assertion = jsonwebtoken::encode(&header, &claims, &self.key).ok()?;
        Some(format!("grant_type={}&assertion={assertion}", utf8_percent_encode(GRANT, NON_ALPHANUMERIC)))
    }
}

impl Access {
    /// What the token endpoint answered; none if that is no token.
    pub(super) fn read(now: Mono, reply: &Reply) -> Option<Self> {
        let granted: Granted = serde_json::from_slice(&reply.body).ok().filter(|_| reply.status == 200)?;
        let lasts = Dur::secs(granted.expires_in);
        let early = EARLY.min(lasts.scaled(0.5));
        Some(Access::Good { token: granted.access_token, until: now + Dur(lasts.0 - early.0) })
    }

    /// Whether it is time to ask for one.
    pub(super) fn is_wanted(&self, now: Mono) -> bool {
        match self {
            Access::None => true,
            Access::Asked => false,
            Access::Good { until, .. } => *until <= now,
        }
    }

    pub(super) fn bearer(&self) -> Option<String> {
        match self {
            Access::Good { token, .. } => Some(format!("Bearer {token}")),
            _ => None,
        }
    }
}
