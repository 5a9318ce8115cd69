//! Raw notifications by WNS, as any Windows MDM server sends them.

use super::Service;
use bytes::Bytes;
use droves_facts::Dur;
use droves_wire::windows::wns::{self, Token, TokenRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

/// Whom a sender is to WNS.
#[derive(Clone, Debug)]
pub struct Package {
    /// The package's SID: `ms-app://S-1-15-2-..`.
    pub sid: String,
    /// Its secret.
    pub secret: String,
}

/// WNS, for who notifies the channels of one package. Addresses are the URLs of channels.
#[derive(Debug)]
pub struct Raw(pub Package);

impl Service for Raw {
    const TOKEN_PATH: &'static str = "/accesstoken.srf";
    const NO_ADDRESS: &'static str = "bad_channel";

    fn grant(&self) -> Option<String> {
        let form = TokenRequest {
            client_id: self.0.sid.as_str().into(),
            client_secret: self.0.secret.as_str().into(),
            scope: wns::SCOPE.into(),
        };
        Some(form.write())
    }

    fn granted(&self, answer: &[u8]) -> Option<(String, Dur)> {
        let token = Token::read(answer).ok()?;
        Some((token.access_token.into_owned(), Dur::secs(token.expires_in)))
    }

    fn place(&self, channel: &str) -> Option<Uri> {
        channel.parse().ok()
    }

    fn message(&self, _: &str) -> (HeaderMap, Bytes) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(wns::RAW_CONTENT_TYPE));
        for (name, value) in [(wns::TYPE, wns::RAW), (wns::CACHE_POLICY, "cache")] {
            if let Ok(name) = HeaderName::try_from(name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        (headers, Bytes::from_static(b"1"))
    }
}
