//! The OAuth endpoints and the access tokens that they grant.
//!
//! An access token is of the same permutation as the channels' tokens, under a name that no lane has: whose it is and
//! when it was granted are in it. So there is no table, however many a server asks for (some ask before each push).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::{Dur, LaneIx, Wall};
use droves_wire::apple::push::Tokens;
use droves_wire::windows::wns::{ENTRA_SCOPE, SCOPE, Token, TokenRequest, WnsError};

/// A package that may send, as its owner has registered it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct App {
    /// The package's SID, `ms-app://S-1-15-2-..`, or the application's id: `client_id`.
    pub id: Box<str>,
    /// `client_secret`.
    pub secret: Box<str>,
    /// The package family name: which channels it may send to.
    pub pfn: Box<str>,
}

/// Who holds a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Holder<'a> {
    /// The number of its package.
    pub(crate) app: usize,
    /// The package family name; without registered packages everybody may send to everybody.
    pub(crate) pfn: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Access {
    apps: Vec<App>,
    tokens: Tokens,
    lasts: Dur,
}

impl Access {
    pub(crate) fn new(apps: Vec<App>, tokens: Tokens, lasts: Dur) -> Self {
        Access { apps, tokens, lasts }
    }

    /// How many packages there are to be told apart.
    pub(crate) fn packages(&self) -> usize {
        self.apps.len().max(1)
    }

    /// Answers a request for a token at this path, if it is that of an endpoint: status and JSON.
    pub(crate) fn answer(&self, wall: Wall, path: &str, form: &[u8]) -> Option<(u16, Vec<u8>)> {
        let scope = if path == LIVE {
            SCOPE
        } else if path.ends_with(ENTRA) {
            ENTRA_SCOPE
        } else {
            return None;
        };
        Some(match self.grant(wall, form, scope) {
            Ok(token) => (200, token),
            // RFC 6749, 5.2.
            Err(error) => (400, format!(r#"{{"error":"{error}"}}"#).into_bytes()),
        })
    }

    fn grant(&self, wall: Wall, form: &[u8], scope: &str) -> Result<Vec<u8>, &'static str> {
        let request = TokenRequest::read(form).map_err(|error| match error {
            WnsError::Grant => "unsupported_grant_type",
            _ => "invalid_request",
        })?;
        if request.scope != scope {
            return Err("invalid_scope");
        }
        let is_it = |app: &App| *app.id == request.client_id && *app.secret == request.client_secret;
        let app = match self.apps.iter().position(is_it) {
            Some(app) => app,
            None if self.apps.is_empty() => 0,
            None => return Err("invalid_client"),
        };
        let granted = u32::try_from(wall.0.div_euclid(SECOND)).unwrap_or(u32::MAX);
        let token = STANDARD.encode(self.tokens.token(name(app), granted));
        Ok(Token::bearer(&token, self.lasts.0 / SECOND.unsigned_abs()).write())
    }

    /// Whose a token is, while it is good.
    pub(crate) fn holder(&self, wall: Wall, token: &str) -> Option<Holder<'_>> {
        let (lane, granted) = self.tokens.find(&STANDARD.decode(token).ok()?)?;
        let app = (0..self.packages()).find(|app| name(*app) == lane)?;
        let granted = Wall::from_secs(i64::from(granted));
        let is_good = granted <= wall && wall < granted + self.lasts;
        is_good.then(|| Holder { app, pfn: self.apps.get(app).map(|app| &*app.pfn) })
    }
}

/// A name that no lane has.
fn name(app: usize) -> LaneIx {
    LaneIx(LaneIx::NOBODY.0 - u32::try_from(app).unwrap_or_default())
}

/// The path of `login.live.com`.
const LIVE: &str = "/accesstoken.srf";
/// How that of Entra's endpoint ends, after the tenant.
const ENTRA: &str = "/oauth2/v2.0/token";
const SECOND: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: Wall = Wall::from_secs(1_732_500_000);

    fn access(apps: &[(&str, &str, &str)]) -> Access {
        let app = |(id, secret, pfn): &(&str, &str, &str)| App {
            id: (*id).into(),
            secret: (*secret).into(),
            pfn: (*pfn).into(),
        };
        Access::new(apps.iter().map(app).collect(), Tokens::new([7; 32]), Dur::secs(86_400))
    }

    fn form(id: &str, secret: &str, scope: &str) -> Vec<u8> {
        TokenRequest { client_id: id.into(), client_secret: secret.into(), scope: scope.into() }.write().into_bytes()
    }

    fn granted(access: &Access, form: &[u8]) -> String {
        let (status, json) = access.answer(NOW, LIVE, form).unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&json));
        let token = Token::read(&json).unwrap();
        assert_eq!((&*token.token_type, token.expires_in), ("bearer", 86_400));
        token.access_token.into_owned()
    }

    #[test]
    fn a_token_is_its_packages_for_a_day() {
        let access = access(&[("ms-app://a", "one", "A_1"), ("ms-app://b", "two", "B_2")]);
        let token = granted(&access, &form("ms-app://b", "two", SCOPE));
        let holder = |at| access.holder(at, &token).map(|holder| (holder.app, holder.pfn));
        assert_eq!(holder(NOW), Some((1, Some("B_2"))));
        assert_eq!(holder(NOW + Dur::secs(86_399)), Some((1, Some("B_2"))));
        assert_eq!(holder(NOW + Dur::secs(86_400)), None);
        assert_eq!(holder(Wall::from_secs(1_732_499_999)), None, "of the future");
        assert_eq!(access.holder(NOW, "EgAcAQMA"), None);
        let of_lane = STANDARD.encode(Tokens::new([7; 32]).token(LaneIx(0), 1_732_500_000));
        assert_eq!(access.holder(NOW, &of_lane), None, "a channel's token is no access token");
    }

    #[test]
    fn who_is_not_registered_is_told_why() {
        let known = access(&[("ms-app://a", "one", "A_1")]);
        let check = |access: &Access, path: &str, form: &[u8], expected: Option<&str>| {
            let error = expected.map(|error| (400, format!(r#"{{"error":"{error}"}}"#).into_bytes()));
            let answer = access.answer(NOW, path, form).unwrap();
            assert_eq!(Some(answer).filter(|(status, _)| *status != 200), error, "{path} {expected:?}");
        };
        check(&known, LIVE, &form("ms-app://a", "one", SCOPE), None);
        check(&known, "/tenant/oauth2/v2.0/token", &form("ms-app://a", "one", ENTRA_SCOPE), None);
        check(&known, LIVE, &form("ms-app://a", "two", SCOPE), Some("invalid_client"));
        check(&known, LIVE, &form("ms-app://b", "one", SCOPE), Some("invalid_client"));
        check(&known, LIVE, &form("ms-app://a", "one", ENTRA_SCOPE), Some("invalid_scope"));
        check(&known, LIVE, b"grant_type=client_credentials", Some("invalid_request"));
        let code = b"grant_type=authorization_code&client_id=a&client_secret=b&scope=c";
        check(&known, LIVE, code, Some("unsupported_grant_type"));
        check(&access(&[]), LIVE, &form("anybody", "", SCOPE), None);
        assert_eq!(known.answer(NOW, "/", &form("ms-app://a", "one", SCOPE)), None);
    }
}
