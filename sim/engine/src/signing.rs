//! What is signed just before it is written: MDM messages by the device's identity, ACME messages by its account.

use crate::keys::KeyRing;
use bytes::Bytes;
use droves_device::{Account, Identity, Request, Sign};
use droves_facts::{KeyFamily, LaneIx, Wall};
use droves_wire::apple::acme::Protected;
use droves_wire::apple::signature;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Display;

/// Why something is not signed; ours, whatever it is.
#[derive(Debug)]
pub(crate) struct Unsigned {
    /// In one word.
    pub(crate) kind: &'static str,
    /// In a sentence.
    pub(crate) text: String,
}

/// The body as it is sent, and by what family of keys it was signed; a signature beside it goes to the headers.
pub(crate) fn sign(
    keys: &KeyRing,
    lane: LaneIx,
    request: &Request,
    body: Bytes,
    headers: &mut HeaderMap,
) -> Result<(Bytes, Option<KeyFamily>), Unsigned> {
    match (&request.sign, &request.identity) {
        (Some(Sign::Message { header, time }), Some(identity)) => {
            let (value, by) = message(keys, identity, &body, *time)?;
            headers.insert(HeaderName::from_static(header), value);
            Ok((body, Some(by)))
        }
        (Some(Sign::Account(account)), _) => {
            Ok((jws(keys, lane, account, &request.url, &body)?, Some(KeyFamily::P256)))
        }
        (Some(Sign::Message { .. }) | None, _) => Ok((body, None)),
    }
}

fn message(
    keys: &KeyRing,
    identity: &Identity,
    body: &[u8],
    time: Option<Wall>,
) -> Result<(HeaderValue, KeyFamily), Unsigned> {
    let missing = || Unsigned { kind: "key_missing", text: "the identity's key is not in the pool".to_owned() };
    let key = keys.find(identity.key).ok_or_else(missing)?;
    let value = signature::sign(body, &key, &identity.certificate, time).map_err(|error| failed(&error))?;
    let value = HeaderValue::try_from(value).map_err(|error| failed(&error))?;
    Ok((value, key.kind().family()))
}

/// What is posted to an ACME server in place of its payload.
fn jws(keys: &KeyRing, lane: LaneIx, account: &Account, url: &str, payload: &[u8]) -> Result<Bytes, Unsigned> {
    let key = keys.account(lane, account.ordinal).map_err(|error| failed(&error))?;
    let protected = Protected { url, nonce: &account.nonce, kid: account.kid.as_deref() };
    Ok(key.sign(&protected, payload).map_err(|error| failed(&error))?.into())
}

fn failed(error: &dyn Display) -> Unsigned {
    Unsigned { kind: "signing", text: error.to_string() }
}
