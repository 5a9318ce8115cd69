//! Messages by FCM, as any server sends them that wakes agents of its own.

use super::{Account, Service};
use crate::push::wall_now;
use bytes::Bytes;
use droves_facts::Dur;
use droves_wire::android::fcm::{Message, Recipient, Send};
use http::{HeaderMap, HeaderValue, Uri, header};
use std::collections::BTreeMap;

/// FCM at this URL, without a slash at its end, for who sends as this account to devices of its project. Addresses are
/// registration tokens.
#[derive(Debug)]
pub struct Messages {
    /// The URL.
    pub url: String,
    /// The account.
    pub account: Account,
}

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// What came later than that an agent has asked for by itself.
const TTL: Dur = Dur::secs(3_600);

impl Service for Messages {
    const TOKEN_PATH: &'static str = "/token";
    const NO_ADDRESS: &'static str = "bad_url";

    fn grant(&self) -> Option<String> {
        self.account.form(wall_now(), SCOPE)
    }

    fn granted(&self, answer: &[u8]) -> Option<(String, Dur)> {
        Account::granted(answer)
    }

    fn place(&self, _: &str) -> Option<Uri> {
        format!("{}/v1/projects/{}/messages:send", self.url, self.account.project).parse().ok()
    }

    fn message(&self, token: &str) -> (HeaderMap, Bytes) {
        let message = Message {
            to: Recipient::Token(token.to_owned()),
            data: BTreeMap::from([("messageType".to_owned(), "configUpdated".to_owned())]),
            shows: false,
            urgent: true,
            ttl: TTL,
            collapse_key: None,
        };
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        (headers, Send { validate_only: false, message }.write().into())
    }
}
