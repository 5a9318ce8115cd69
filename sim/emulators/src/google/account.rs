//! Service accounts, and the tokens that they get for an assertion which they signed (RFC 7523; Google, *Using OAuth 2.0 for
//! server to server applications*). Some clients spare the exchange and show the assertion itself.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use droves_facts::{Dur, Wall};
use droves_wire::android::{Code, Status};
use droves_wire::form;
use droves_wire::keys::Key;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Callers {
    /// Whoever shows a bearer's token, whatever it is.
    #[default]
    Anybody,
    /// Service accounts that are known, with tokens of ours or their own signature.
    Known,
}

/// A service account that may ask for tokens.
#[derive(Debug)]
pub struct Account {
    /// Its e-mail address.
    pub email: String,
    /// The project that it is of.
    pub project: String,
    /// The id of its key.
    pub key_id: String,
    /// Its public key, an RSA one.
    pub key: Key,
}

/// Accounts, and the tokens that are out.
#[derive(Debug)]
pub(crate) struct Accounts {
    callers: Callers,
    /// Where the token endpoint is.
    token_uri: String,
    accounts: BTreeMap<String, Account>,
    /// Until when a token is good, and for which project.
    tokens: BTreeMap<String, (Wall, String)>,
    exchanged: u64,
}

/// What an assertion claims.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    aud: Value,
    iat: i64,
    exp: i64,
    #[serde(default)]
    scope: String,
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Python's client names this one whatever URL it posts to.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// Where Node's client posts to, whatever its key file says.
const AUDIENCE_V4: &str = "https://www.googleapis.com/oauth2/v4/token";
const ASSERTION_LASTS_MAX_S: i64 = 3_600;
/// How far the clocks of both sides may be apart.
const SKEW_S: i64 = 300;
const TOKEN_LASTS: Dur = Dur::secs(3_599);
const FORM_BYTES_MAX: usize = 16 << 10;

impl Accounts {
    pub(crate) fn new(callers: Callers, token_uri: String, accounts: Vec<Account>) -> Self {
        let accounts = accounts.into_iter().map(|account| (account.email.clone(), account)).collect();
        Accounts { callers, token_uri, accounts, tokens: BTreeMap::new(), exchanged: 0 }
    }

    /// An assertion for a token: the status of HTTP, and the answer.
    pub(crate) fn exchange(&mut self, now: Wall, body: &[u8]) -> (u16, Value) {
        match self.take(now, body) {
            Ok(token) => {
                let expires_in = TOKEN_LASTS.0 / 1_000_000;
                (200, json!({ "access_token": token, "expires_in": expires_in, "token_type": "Bearer" }))
            }
            Err((error, description)) => (400, json!({ "error": error, "error_description": description })),
        }
    }

    fn take(&mut self, now: Wall, body: &[u8]) -> Result<String, (&'static str, &'static str)> {
        let form = std::str::from_utf8(body).ok().filter(|form| form.len() <= FORM_BYTES_MAX);
        let form: BTreeMap<_, _> = form::pairs(form.ok_or(("invalid_request", "Not a form."))?).collect();
        if form.get("grant_type").is_none_or(|grant| grant != GRANT) {
            return Err(("unsupported_grant_type", "Invalid grant_type"));
        }
        let assertion = form.get("assertion").ok_or(("invalid_request", "Missing required parameter: assertion"))?;
        let (claims, project) = self.verified(now, assertion).map_err(|why| ("invalid_grant", why))?;
        let ours = [AUDIENCE, AUDIENCE_V4, self.token_uri.as_str()];
        if !ours.iter().any(|ours| claims.aud == **ours) {
            return Err(("invalid_grant", "Invalid JWT: Failed audience check."));
        }
        if claims.scope.is_empty() {
            return Err(("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
        }
        self.tokens.retain(|_, (until, _)| *until > now);
        self.exchanged += 1;
        let tail = URL_SAFE_NO_PAD.encode(format!("{}:{}:{}", claims.iss, self.exchanged, now.0));
        let token = format!("ya29.{tail}");
        self.tokens.insert(token.clone(), (now + TOKEN_LASTS, project));
        Ok(token)
    }

    /// Who calls: the project, where the token says it. A bearer's token may be in the query too, as `access_token`.
    pub(crate) fn caller(&self, now: Wall, bearer: Option<&str>) -> Result<Option<&str>, Status> {
        let token = bearer.ok_or_else(unauthenticated)?;
        if let Some((_, project)) = self.tokens.get(token).filter(|(until, _)| *until > now) {
            return Ok(Some(project));
        }
        if self.callers == Callers::Anybody {
            return Ok(None);
        }
        let account = self.verified(now, token).ok().and_then(|(claims, _)| self.accounts.get(&claims.iss));
        account.map(|account| Some(account.project.as_str())).ok_or_else(unauthenticated)
    }

    /// The claims of an assertion that one of the accounts has signed, with the account's project.
    fn verified(&self, now: Wall, assertion: &str) -> Result<(Claims, String), &'static str> {
        const BAD: &str = "Invalid JWT Signature.";
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| "Bad Request")?;
        let unverified: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(assertion).map_err(|_| "Bad Request")?;
        let account = self.accounts.get(&unverified.iss).ok_or("Invalid grant: account not found")?;
        if header.kid.as_ref().is_some_and(|kid| *kid != account.key_id) {
            return Err(BAD);
        }
        // The library judges the signature; times are judged by the clock that is handed in.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_rsa_der(account.key.public_bytes());
        let claims = jsonwebtoken::decode::<Claims>(assertion, &key, &validation).map_err(|_| BAD)?.claims;
        let now = now.secs();
        let is_short = claims.exp > claims.iat && claims.exp.saturating_sub(claims.iat) <= ASSERTION_LASTS_MAX_S;
        if !is_short || claims.iat > now + SKEW_S || claims.exp < now - SKEW_S {
            return Err("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                        Check your iat and exp values in the JWT claim.");
        }
        Ok((claims, account.project.clone()))
    }
}

fn unauthenticated() -> Status {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                   valid authentication credential.";
    Status::new(Code::Unauthenticated, message).because("ACCESS_TOKEN_TYPE_UNSUPPORTED", &json!({}))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use jsonwebtoken::{EncodingKey, Header};

    const NOW: Wall = Wall::VIRTUAL_START;
    const OURS: &str = "http://google.example/token";

    fn account(key: &Key) -> Account {
        let key = Key::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        let (email, project) = ("emm@p.iam.gserviceaccount.com".to_owned(), "p".to_owned());
        Account { email, project, key_id: "k1".to_owned(), key }
    }

    fn signed(by: &Account, claims: &Value) -> String {
        let pem = by.key_file("http://google.example").unwrap()["private_key"].as_str().unwrap().to_owned();
        let header = Header { kid: Some(by.key_id.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()).unwrap()
    }

    fn claims() -> Value {
        let (iat, exp) = (NOW.secs() - 10, NOW.secs() + 3_590);
        json!({ "iss": "emm@p.iam.gserviceaccount.com", "scope": "s", "iat": iat, "exp": exp, "aud": OURS })
    }

    #[test]
    fn an_assertion_is_judged_by_its_claims_and_its_signature() {
        let (key, other) = (Key::generate_rsa(2048).unwrap(), Key::generate_rsa(2048).unwrap());
        let mut accounts = Accounts::new(Callers::Known, OURS.to_owned(), vec![account(&key)]);
        let mut check = |by: &Key, change: Value, expected: &str| {
            let mut claims = claims();
            change.as_object().unwrap().iter().for_each(|(name, value)| claims[name] = value.clone());
            let form = format!("grant_type={}&assertion={}", GRANT.replace(':', "%3A"), signed(&account(by), &claims));
            let (status, answer) = accounts.exchange(NOW, form.as_bytes());
            assert_eq!(status, if expected.is_empty() { 200 } else { 400 }, "{change}");
            assert_eq!(answer["error"].as_str().unwrap_or_default(), expected, "{change}");
        };
        check(&key, json!({}), "");
        check(&key, json!({ "aud": AUDIENCE }), "");
        check(&key, json!({ "aud": AUDIENCE_V4 }), "");
        check(&key, json!({ "aud": "http://other.example/token" }), "invalid_grant");
        check(&key, json!({ "exp": NOW.secs() + 3_600 }), "invalid_grant");
        check(&key, json!({ "iat": NOW.secs() + 301, "exp": NOW.secs() + 400 }), "invalid_grant");
        check(&key, json!({ "iat": NOW.secs() - 4_000, "exp": NOW.secs() - 401 }), "invalid_grant");
        check(&key, json!({ "iss": "nobody@p.iam.gserviceaccount.com" }), "invalid_grant");
        check(&key, json!({ "scope": "" }), "invalid_scope");
        check(&other, json!({}), "invalid_grant");
        assert_eq!(accounts.exchange(NOW, b"grant_type=password").1["error"], "unsupported_grant_type");
        assert_eq!(accounts.exchange(NOW, b"\xff").1["error"], "invalid_request");
    }

    #[test]
    fn a_token_is_good_for_its_hour_and_an_assertion_may_stand_for_it() {
        let key = Key::generate_rsa(2048).unwrap();
        let mut accounts = Accounts::new(Callers::Known, OURS.to_owned(), vec![account(&key)]);
        let assertion = signed(&account(&key), &claims());
        let form = format!("grant_type={GRANT}&assertion={assertion}");
        let token = accounts.exchange(NOW, form.as_bytes()).1["access_token"].as_str().unwrap().to_owned();
        assert_eq!(accounts.caller(NOW, Some(&token)), Ok(Some("p")));
        assert_eq!(accounts.caller(NOW, Some(&assertion)), Ok(Some("p")));
        let code = |called: Result<Option<&str>, Status>| called.map_err(|status| status.code).map(drop);
        assert_eq!(code(accounts.caller(NOW + TOKEN_LASTS, Some(&token))), Err(Code::Unauthenticated));
        assert_eq!(code(accounts.caller(NOW, Some("ya29.made-up"))), Err(Code::Unauthenticated));
        assert_eq!(code(accounts.caller(NOW, None)), Err(Code::Unauthenticated));
        accounts.callers = Callers::Anybody;
        assert_eq!(accounts.caller(NOW, Some("ya29.made-up")), Ok(None));
    }
}
