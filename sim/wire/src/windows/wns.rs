//! WNS: how a server wakes a Windows device (Microsoft: *WNS request and response headers*, *Push notification service
//! request and response headers*): a token from an OAuth endpoint, then a raw notification to the device's channel.
//!
//! Windows gives its MDM client no payload: a notification starts a session, and that is all. A channel is a URL that says
//! nothing to a server; here its token is whatever its maker puts in, in base64.

use crate::form::pairs;
use crate::lenient;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A channel's URL is never longer.
pub const CHANNEL_BYTES_MAX: usize = 1_024;
/// A raw notification is never longer; MDM servers send 1 to 5 bytes.
pub const PAYLOAD_BYTES_MAX: usize = 5_000;
/// A token request is never longer: an id, a secret, and a scope.
pub const FORM_BYTES_MAX: usize = 4 << 10;
/// An answer to it is never longer.
pub const ANSWER_BYTES_MAX: usize = 16 << 10;

/// `X-WNS-Type` of a request: [`RAW`] here.
pub const TYPE: &str = "X-WNS-Type";
/// A notification that no tile or toast shows.
pub const RAW: &str = "wns/raw";
/// `Content-Type` of a raw notification.
pub const RAW_CONTENT_TYPE: &str = "application/octet-stream";
/// `X-WNS-Cache-Policy` of a request: `cache` keeps one notification for a device that is offline.
pub const CACHE_POLICY: &str = "X-WNS-Cache-Policy";
/// `X-WNS-TTL` of a request, seconds.
pub const TTL: &str = "X-WNS-TTL";
/// `X-WNS-RequestForStatus` of a request: `true` asks for [`CONNECTION`].
pub const STATUS_WANTED: &str = "X-WNS-RequestForStatus";
/// `X-WNS-Status` of an answer: see [`Fate`].
pub const STATUS: &str = "X-WNS-Status";
/// `X-WNS-Msg-ID` of an answer: at most 16 characters.
pub const MESSAGE_ID: &str = "X-WNS-Msg-ID";
/// `X-WNS-Debug-Trace` of an answer.
pub const DEBUG_TRACE: &str = "X-WNS-Debug-Trace";
/// `X-WNS-Error-Description` of an answer.
pub const ERROR_DESCRIPTION: &str = "X-WNS-Error-Description";
/// `X-WNS-DeviceConnectionStatus` of an answer: see [`Connection`].
pub const CONNECTION: &str = "X-WNS-DeviceConnectionStatus";
/// `X-WNS-CONTINUE-AFTER` of an answer 406: seconds.
pub const CONTINUE_AFTER: &str = "X-WNS-CONTINUE-AFTER";

/// What became of a notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// `received`.
    Received,
    /// `dropped`: the device is offline, or wants none.
    Dropped,
    /// `channelthrottled`.
    Throttled,
}

impl Fate {
    /// As the header has it.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Received => "received",
            Fate::Dropped => "dropped",
            Fate::Throttled => "channelthrottled",
        }
    }
}

/// Whether the device is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// `connected`.
    Connected,
    /// `disconnected`.
    Disconnected,
    /// `tempdisconnected`: since a short while.
    Lately,
}

impl Connection {
    /// As the header has it.
    pub fn name(self) -> &'static str {
        match self {
            Connection::Connected => "connected",
            Connection::Disconnected => "disconnected",
            Connection::Lately => "tempdisconnected",
        }
    }
}

/// What is wrong with a message of WNS.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum WnsError {
    /// More bytes than such a thing has.
    #[error("more than {0} bytes")]
    TooLarge(usize),
    /// Not the form of a token request.
    #[error("not a form with grant_type, client_id, client_secret and scope")]
    Form,
    /// Another grant than that of client credentials.
    #[error("grant_type that is not client_credentials")]
    Grant,
    /// Not the answer to one.
    #[error("not a json object with access_token, token_type and expires_in")]
    Answer,
    /// Not the URL of a channel.
    #[error("not the url of a channel")]
    Channel,
}

/// The URL of the channel with this token, at a host with or without a port.
pub fn channel(host: &str, token: &[u8]) -> String {
    format!("https://{host}/?token={}", utf8_percent_encode(&STANDARD.encode(token), UNRESERVED))
}

/// The token of the path and query, or of the whole URL, of a channel.
pub fn channel_token(url: &str) -> Result<Vec<u8>, WnsError> {
    if url.len() > CHANNEL_BYTES_MAX {
        return Err(WnsError::TooLarge(CHANNEL_BYTES_MAX));
    }
    let (_, query) = url.split_once('?').ok_or(WnsError::Channel)?;
    let token = pairs(query).find(|(name, _)| name == "token").ok_or(WnsError::Channel)?.1;
    // A client that has decoded the URL once too often has made blanks of the `+`.
    lenient::base64(token.replace(' ', "+")).filter(|token| !token.is_empty()).ok_or(WnsError::Channel)
}

/// A request for a token, `application/x-www-form-urlencoded`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenRequest<'a> {
    /// `client_id`: the package's SID, `ms-app://S-1-15-2-..`.
    pub client_id: Cow<'a, str>,
    /// `client_secret`.
    pub client_secret: Cow<'a, str>,
    /// `scope`: [`SCOPE`], or that of Entra's endpoint.
    pub scope: Cow<'a, str>,
}

/// The scope of `login.live.com`.
pub const SCOPE: &str = "notify.windows.com";
/// The scope of Entra's endpoint.
pub const ENTRA_SCOPE: &str = "https://wns.windows.com/.default";

impl<'a> TokenRequest<'a> {
    /// Writes it.
    pub fn write(&self) -> String {
        let fields = [
            ("grant_type", GRANT),
            ("client_id", &*self.client_id),
            ("client_secret", &*self.client_secret),
            ("scope", &*self.scope),
        ];
        let fields = fields.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, UNRESERVED)));
        fields.join("&")
    }

    /// Reads it.
    pub fn read(form: &'a [u8]) -> Result<Self, WnsError> {
        if form.len() > FORM_BYTES_MAX {
            return Err(WnsError::TooLarge(FORM_BYTES_MAX));
        }
        let form = std::str::from_utf8(form).map_err(|_| WnsError::Form)?;
        let field = |wanted| pairs(form).find(|(name, _)| name == wanted).map(|(_, value)| value).ok_or(WnsError::Form);
        if field("grant_type")? != GRANT {
            return Err(WnsError::Grant);
        }
        Ok(TokenRequest {
            client_id: field("client_id")?,
            client_secret: field("client_secret")?,
            scope: field("scope")?,
        })
    }
}

/// The answer to it, JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token<'a> {
    /// `access_token`.
    #[serde(borrow)]
    pub access_token: Cow<'a, str>,
    /// `token_type`: `bearer`.
    #[serde(borrow)]
    pub token_type: Cow<'a, str>,
    /// `expires_in`, seconds: a day.
    pub expires_in: u64,
}

impl<'a> Token<'a> {
    /// A bearer's token.
    pub fn bearer(access_token: &'a str, expires_in: u64) -> Self {
        Token { access_token: access_token.into(), token_type: "bearer".into(), expires_in }
    }

    /// Writes it.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it.
    pub fn read(json: &'a [u8]) -> Result<Self, WnsError> {
        if json.len() > ANSWER_BYTES_MAX {
            return Err(WnsError::TooLarge(ANSWER_BYTES_MAX));
        }
        serde_json::from_slice(json).map_err(|_| WnsError::Answer)
    }
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    if let Ok(token) = std::str::from_utf8(bytes).map_err(|_| WnsError::Channel).and_then(channel_token) {
        let url = channel("wns.example.com", &token);
        assert!(url.len() > CHANNEL_BYTES_MAX || channel_token(&url).as_ref() == Ok(&token));
    }
    if let Ok(request) = TokenRequest::read(bytes) {
        let form = request.write();
        assert!(form.len() > FORM_BYTES_MAX || TokenRequest::read(form.as_bytes()).as_ref() == Ok(&request));
    }
    if let Ok(token) = Token::read(bytes) {
        let json = token.write();
        assert!(json.len() > ANSWER_BYTES_MAX || Token::read(&json).as_ref() == Ok(&token));
    }
}

const GRANT: &str = "client_credentials";
/// What needs no percent in a form (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_channel_is_a_url_with_a_token() {
        let url = channel("db5p.notify.windows.com", &[0xfb, 0xff, 0, 1]);
        assert_eq!(url, "https://db5p.notify.windows.com/?token=%2B%2F8AAQ%3D%3D");
        assert_eq!(channel_token(&url), Ok(vec![0xfb, 0xff, 0, 1]));
        assert_eq!(channel_token("/?token=+/8AAQ=="), Ok(vec![0xfb, 0xff, 0, 1]), "decoded by a server in between");
        for none in ["https://x/", "/?token=", "/?other=AA", "/?token=!"] {
            assert_eq!(channel_token(none), Err(WnsError::Channel), "{none}");
        }
        let long = format!("/?token={}", "A".repeat(CHANNEL_BYTES_MAX));
        assert_eq!(channel_token(&long), Err(WnsError::TooLarge(CHANNEL_BYTES_MAX)));
        // As long as real ones, 150 to 250 characters, for a token of 110 bytes.
        assert!((150..250).contains(&channel("db5p.notify.windows.com", &[7; 110]).len()));
    }

    #[test]
    fn a_token_is_asked_for_and_given() {
        let request = TokenRequest {
            client_id: "ms-app://S-1-15-2-1".into(),
            client_secret: "a+b c&d".into(),
            scope: SCOPE.into(),
        };
        let form = request.write();
        assert_eq!(
            form,
            "grant_type=client_credentials&client_id=ms-app%3A%2F%2FS-1-15-2-1&client_secret=a%2Bb%20c%26d\
             &scope=notify.windows.com"
        );
        assert_eq!(TokenRequest::read(form.as_bytes()), Ok(request.clone()));
        let other = "scope=notify.windows.com&client_secret=a%2Bb+c%26d&client_id=ms-app://S-1-15-2-1\
                     &grant_type=client_credentials";
        assert_eq!(TokenRequest::read(other.as_bytes()), Ok(request), "another order, blanks as +");
        assert_eq!(TokenRequest::read(b"grant_type=client_credentials&scope=x"), Err(WnsError::Form));
        let code = "grant_type=authorization_code&client_id=a&client_secret=b&scope=c";
        assert_eq!(TokenRequest::read(code.as_bytes()), Err(WnsError::Grant));
        let token = Token::bearer("EgAcAQMA", 86_400);
        assert_eq!(token.write(), br#"{"access_token":"EgAcAQMA","token_type":"bearer","expires_in":86400}"#);
        assert_eq!(Token::read(&token.write()), Ok(token));
        assert_eq!(Token::read(b"{}"), Err(WnsError::Answer));
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("wns", target);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(token in prop::collection::vec(any::<u8>(), 1..300), text in "\\PC{0,40}") {
            prop_assert_eq!(channel_token(&channel("h", &token)), Ok(token));
            let part = || Cow::Borrowed(text.as_str());
            let request = TokenRequest { client_id: part(), client_secret: part(), scope: part() };
            let form = request.write();
            prop_assert_eq!(TokenRequest::read(form.as_bytes()), Ok(request));
            let token = Token::bearer(&text, 7);
            let json = token.write();
            prop_assert_eq!(Token::read(&json), Ok(token));
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[a-z_=&%+0-9]{0,80}") {
            target(&bytes);
            target(text.as_bytes());
        }
    }
}
