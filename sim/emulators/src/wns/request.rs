//! A server's request to a channel, and the rules that its headers must keep before anybody looks for the channel.

use super::{Reason, Refusal};
use crate::push::Request;
use droves_facts::Dur;
use droves_wire::windows::wns;
use http::{HeaderMap, header};

/// What a request that keeps the rules says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// Whether it is a raw notification: any other is for a screen, and wakes no MDM client.
    pub(crate) is_raw: bool,
    /// Whether it is kept for a device that is out of reach.
    pub(crate) is_cached: bool,
    /// For how long it is worth something.
    pub(crate) ttl: Option<Dur>,
}

/// The access token in its header; an empty one is none.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether it wants to know if the device is there.
pub(crate) fn wants_status(headers: &HeaderMap) -> bool {
    text(headers, wns::STATUS_WANTED).is_some_and(|wanted| wanted.eq_ignore_ascii_case("true"))
}

/// Reads a request whose token is good.
pub(crate) fn read(request: &Request<'_>) -> Result<Asked, Refusal> {
    let bad = |words| Refusal::because(Reason::BadRequest, words);
    let headers = request.headers;
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(bad("Transfer-Encoding is not supported: say the Content-Length."));
    }
    let kind = text(headers, wns::TYPE).ok_or(bad("X-WNS-Type is missing."))?;
    let is_raw = kind.eq_ignore_ascii_case(wns::RAW);
    if !is_raw && !SHOWN.iter().any(|shown| kind.eq_ignore_ascii_case(shown)) {
        return Err(bad("X-WNS-Type is none of wns/raw, wns/badge, wns/tile, wns/toast."));
    }
    let content_type = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let wanted = if is_raw { wns::RAW_CONTENT_TYPE } else { "text/xml" };
    let is_wanted = content_type.split(';').next().is_some_and(|said| said.trim().eq_ignore_ascii_case(wanted));
    if !is_wanted {
        return Err(bad("Content-Type is not that of this X-WNS-Type."));
    }
    let is_cached = match text(headers, wns::CACHE_POLICY) {
        // Raw notifications are not kept unless they are meant to be.
        None => !is_raw,
        Some(policy) if policy.eq_ignore_ascii_case("cache") => true,
        Some(policy) if policy.eq_ignore_ascii_case("no-cache") => false,
        Some(_) => return Err(bad("X-WNS-Cache-Policy is neither cache nor no-cache.")),
    };
    let ttl = match headers.get(wns::TTL) {
        None => None,
        Some(ttl) => {
            let secs = ttl.to_str().ok().and_then(|ttl| ttl.trim().parse::<u32>().ok()).filter(|secs| *secs > 0);
            Some(Dur::secs(secs.ok_or(bad("X-WNS-TTL is not a number of seconds."))?.into()))
        }
    };
    if request.body.len() > wns::PAYLOAD_BYTES_MAX {
        return Err(Refusal::plain(Reason::TooLarge));
    }
    Ok(Asked { is_raw, is_cached, ttl })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Notifications for a screen.
const SHOWN: [&str; 3] = ["wns/badge", "wns/tile", "wns/toast"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::push::Reason as _;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn asked(pairs: &[(&str, &str)], body: &[u8]) -> Result<Asked, Refusal> {
        let headers = headers(pairs);
        read(&Request { method: "POST", path: "/", target: "/?token=AA", headers: &headers, body })
    }

    const RAW: [(&str, &str); 2] = [("X-WNS-Type", "wns/raw"), ("Content-Type", "application/octet-stream")];

    #[test]
    fn a_raw_notification_says_what_becomes_of_it() {
        let plain = Asked { is_raw: true, is_cached: false, ttl: None };
        let with = |pair| asked(&[RAW[0], RAW[1], pair], b"1");
        assert_eq!(asked(&RAW, b""), Ok(plain));
        assert_eq!(asked(&RAW, &[0; 5_000]), Ok(plain));
        assert_eq!(with(("X-WNS-Cache-Policy", "cache")), Ok(Asked { is_cached: true, ..plain }));
        assert_eq!(with(("X-WNS-Cache-Policy", "no-cache")), Ok(plain));
        assert_eq!(with(("X-WNS-TTL", "60")), Ok(Asked { ttl: Some(Dur::secs(60)), ..plain }));
        let toast = [("X-WNS-Type", "wns/toast"), ("Content-Type", "text/xml; charset=utf-8")];
        assert_eq!(asked(&toast, b"<toast/>"), Ok(Asked { is_raw: false, is_cached: true, ttl: None }));
    }

    #[test]
    fn each_header_that_is_wrong_is_named() {
        let check = |pairs: &[(&str, &str)], body: &[u8], status: u16, word: &str| {
            let refusal = asked(pairs, body).unwrap_err();
            assert_eq!(refusal.reason.status(), status, "{pairs:?}");
            assert!(refusal.words.contains(word), "{pairs:?}: {}", refusal.words);
        };
        check(&RAW[1..], b"1", 400, "X-WNS-Type");
        check(&RAW[..1], b"1", 400, "Content-Type");
        check(&[("X-WNS-Type", "wns/smoke"), RAW[1]], b"1", 400, "X-WNS-Type");
        check(&[RAW[0], ("Content-Type", "text/xml")], b"1", 400, "Content-Type");
        check(&[RAW[0], RAW[1], ("X-WNS-Cache-Policy", "maybe")], b"1", 400, "X-WNS-Cache-Policy");
        check(&[RAW[0], RAW[1], ("X-WNS-TTL", "soon")], b"1", 400, "X-WNS-TTL");
        check(&[RAW[0], RAW[1], ("X-WNS-TTL", "0")], b"1", 400, "X-WNS-TTL");
        check(&[RAW[0], RAW[1], ("Transfer-Encoding", "chunked")], b"1", 400, "Content-Length");
        check(&RAW, &[0; 5_001], 413, "5,000");
    }

    #[test]
    fn a_bearer_shows_a_token() {
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(bearer(&headers(&[("Authorization", value)])), expected, "{value}");
        };
        check("Bearer EgAc", Some("EgAc"));
        check("bearer EgAc", Some("EgAc"));
        for none in ["Basic EgAc", "Bearer ", "Bearer", "EgAc"] {
            check(none, None);
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
        assert!(wants_status(&headers(&[("X-WNS-RequestForStatus", "true")])));
        assert!(!wants_status(&headers(&[("X-WNS-RequestForStatus", "false")])) && !wants_status(&HeaderMap::new()));
    }
}
