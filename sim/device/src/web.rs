//! What any machine reads of an answer on the web: headers, redirects, what a server says of itself.

use crate::{Ctx, Response};
use std::sync::Arc;

/// Whether a device goes to this URL.
pub(crate) fn is_allowed(url: &str, ctx: &Ctx<'_>) -> bool {
    url.starts_with("https://") || (ctx.character.allow_http && url.starts_with("http://"))
}

/// A header's value; empty if there is none, or it is no text.
pub(crate) fn header<'a>(response: &Response<'a>, name: &str) -> &'a str {
    response.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The first line of what a server said, cut, without what no line can carry.
pub(crate) fn first_line(body: &[u8]) -> String {
    let head = body.get(..200).unwrap_or(body);
    let text = String::from_utf8_lossy(head);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// The URL that a `Location` means. `None` if it means none.
pub(crate) fn join(base: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    if location.is_empty() {
        return None;
    }
    if location.starts_with("https://") || location.starts_with("http://") {
        return Some(location.to_owned());
    }
    let (scheme, rest) = base.split_once("://")?;
    if let Some(network) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{network}"));
    }
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(path_at);
    if location.starts_with('/') {
        return Some(format!("{scheme}://{host}{location}"));
    }
    if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    let path = path.split('?').next().unwrap_or_default();
    if location.starts_with('?') {
        return Some(format!("{scheme}://{host}{path}{location}"));
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{host}{folder}/{location}"))
}

/// A URL with more of a query.
pub(crate) fn with_query(url: &str, query: &str) -> Arc<str> {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{query}").into()
}

/// RFC 3986, 2.1: what is not unreserved.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_against_the_url_that_was_asked() {
        let check = |location: &str, expected: Option<&str>| {
            assert_eq!(join("https://a.test:8443/mdm/checkin?x=1", location).as_deref(), expected, "{location}");
        };
        check("https://b.test/x", Some("https://b.test/x"));
        check("http://b.test/x#part", Some("http://b.test/x"));
        check("//b.test/x", Some("https://b.test/x"));
        check("/x", Some("https://a.test:8443/x"));
        check("x?y=2", Some("https://a.test:8443/mdm/x?y=2"));
        check("?y=2", Some("https://a.test:8443/mdm/checkin?y=2"));
        check("javascript:alert(1)", None);
        check("", None);
        assert_eq!(join("https://a.test", "x").as_deref(), Some("https://a.test/x"));
    }

    #[test]
    fn a_quote_is_one_short_line() {
        let check = |body: &[u8], expected: &str| assert_eq!(first_line(body), expected);
        check(b"\n  no such device \nmore", "no such device");
        check(b"\x00\x1b[31mred", "[31mred");
        check(&[0xFF; 4], "\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(first_line("ü".repeat(500).as_bytes()).chars().count(), 100);
    }
}
