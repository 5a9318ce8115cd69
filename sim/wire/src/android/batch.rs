//! Batch requests: many requests in one, `multipart/mixed` with a whole HTTP request in each part, and their answers in the
//! same way (Google, *Batching requests*; RFC 2046, 5.1).

use httparse::{EMPTY_HEADER, Status};

/// Requests in one batch (Google's own bound).
pub const PARTS_MAX: usize = 1_000;
/// Headers of a part, and of the request in it.
const HEADERS_MAX: usize = 64;
/// Characters of a boundary (RFC 2046, 5.1.1).
const BOUNDARY_MAX: usize = 70;

/// What is wrong with a batch.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// No `multipart/mixed` with a boundary.
    #[error("not multipart/mixed with a boundary")]
    ContentType,
    /// No part ends where one has to.
    #[error("boundary not found")]
    Boundary,
    /// More parts than a batch has.
    #[error("more than {PARTS_MAX} requests")]
    TooMany,
    /// What is in a part is no request.
    #[error("a part is not an http request")]
    Part,
}

/// A request of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    /// `Content-ID`, without its angle brackets.
    pub id: &'a str,
    /// `GET`, ..
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Headers of the request.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Its body.
    pub body: &'a [u8],
}

/// The boundary that a `Content-Type` names.
pub fn boundary(content_type: &str) -> Result<&str, BatchError> {
    let (kind, parameters) = content_type.split_once(';').ok_or(BatchError::ContentType)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/mixed") {
        return Err(BatchError::ContentType);
    }
    let named = |parameter: &'_ str| {
        parameter.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
    };
    let parameter = parameters.split(';').find(|parameter| named(parameter)).ok_or(BatchError::ContentType)?;
    let boundary = parameter.split_once('=').ok_or(BatchError::ContentType)?.1.trim().trim_matches('"');
    let fits = !boundary.is_empty() && boundary.len() <= BOUNDARY_MAX;
    fits.then_some(boundary).ok_or(BatchError::ContentType)
}

/// The requests of a batch. Lines may end in a bare LF, as Python writes them.
pub fn read<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, BatchError> {
    let delimiter = format!("--{boundary}");
    let mut rest = after(body, delimiter.as_bytes()).ok_or(BatchError::Boundary)?;
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let end = find(rest, delimiter.as_bytes()).ok_or(BatchError::Boundary)?;
        if parts.len() == PARTS_MAX {
            return Err(BatchError::TooMany);
        }
        parts.push(part(without_line_end(&rest[..end])).ok_or(BatchError::Part)?);
        rest = &rest[end + delimiter.len()..];
    }
    Ok(parts)
}

fn part<'a>(bytes: &'a [u8]) -> Option<Part<'a>> {
    let bytes = bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n"))?;
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let Ok(Status::Complete((end, headers))) = httparse::parse_headers(bytes, &mut headers) else { return None };
    let id = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-id"));
    let id = id.map_or(Some(""), |header| std::str::from_utf8(header.value).ok())?;
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let inner = bytes.get(end..)?;
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(Status::Complete(end)) = request.parse(inner) else { return None };
    let (method, target) = (request.method?, request.path?);
    let header = |of: &httparse::Header<'a>| Some((of.name, std::str::from_utf8(of.value).ok()?));
    let headers = request.headers.iter().map(header).collect::<Option<_>>()?;
    Some(Part { id, method, target, headers, body: inner.get(end..)? })
}

/// The answer to one request of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply<'a> {
    /// The id of the request.
    pub id: &'a str,
    /// Status of HTTP.
    pub status: u16,
    /// JSON.
    pub body: &'a [u8],
}

/// The body of an answer: each reply with `Content-ID: <response-..>`.
pub fn write(replies: &[Reply<'_>], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for Reply { id, status, body: inner } in replies {
        let head = format!(
            "--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{id}>\r\n\r\n\
             HTTP/1.1 {status} {}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
            if *status < 400 { "OK" } else { "Error" },
            inner.len()
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(inner);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn after<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    find(bytes, wanted).map(|at| &bytes[at + wanted.len()..])
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes)
}

/// What a fuzzer drives: the first line is the type of the content, the rest a body.
pub fn target(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let Ok(Ok(boundary)) = std::str::from_utf8(&bytes[..end]).map(boundary) else { return };
    if let Ok(parts) = read(&bytes[end..], boundary) {
        let replies: Vec<_> = parts.iter().map(|part| Reply { id: part.id, status: 200, body: part.body }).collect();
        assert!(write(&replies, boundary).len() >= boundary.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As google-api-python-client 2.202.0 sends two requests.
    const PYTHON: &[u8] = include_bytes!("../../corpus/google_batch/python.txt");

    #[test]
    fn a_batch_of_pythons_client_is_read() {
        let end = PYTHON.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let content_type = String::from_utf8_lossy(&PYTHON[..end]).into_owned();
        let parts = boundary(&content_type).and_then(|boundary| read(&PYTHON[end..], boundary));
        let Ok(parts) = parts else { panic!("{parts:?}") };
        let seen: Vec<_> = parts.iter().map(|part| (part.id, part.method, part.target, part.body)).collect();
        let (get, lock) =
            ("/v1/enterprises/LC1/devices/ab?alt=json", "/v1/enterprises/LC1/devices/ab:issueCommand?alt=json");
        let id = "2b1f3ad2-6d9c-4c9b-9c1a-2f6f1d2f7a10";
        assert_eq!(seen[0], (&*format!("{id} + 1"), "GET", get, &b""[..]));
        assert_eq!(seen[1], (&*format!("{id} + 2"), "POST", lock, &br#"{"type": "LOCK"}"#[..]));
        assert!(parts[1].headers.contains(&("Content-Type", "application/json")));
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for bad in ["multipart/mixed", "text/plain; boundary=a", "multipart/mixed; boundary=", "multipart/mixed; a=b"] {
            assert_eq!(boundary(bad), Err(BatchError::ContentType), "{bad}");
        }
        assert_eq!(boundary("Multipart/Mixed; charset=x; Boundary=\"=a=\""), Ok("=a="));
        assert_eq!(read(b"--a\r\n", "a"), Err(BatchError::Boundary));
        assert_eq!(read(b"--a\r\n\r\nhello\r\n--a--", "a"), Err(BatchError::Part));
        let many = b"--a\n\nGET / HTTP/1.1\n\n\n".repeat(PARTS_MAX + 1);
        assert_eq!(read(&[&many[..], b"--a--"].concat(), "a"), Err(BatchError::TooMany));
        assert_eq!(read(&[&many[22..], b"--a--"].concat(), "a").map(|parts| parts.len()), Ok(PARTS_MAX));
    }

    #[test]
    fn answers_carry_the_ids_of_their_requests() {
        let body = write(&[Reply { id: "x + 1", status: 404, body: b"{}" }], "b");
        let expected = "--b\r\nContent-Type: application/http\r\nContent-ID: <response-x + 1>\r\n\r\nHTTP/1.1 404 Error\r\n\
             Content-Type: application/json; charset=UTF-8\r\nContent-Length: 2\r\n\r\n{}\r\n--b--\r\n";
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("google_batch", target);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in "multipart/mixed;boundary=a\n(--a|\r\n|\n|GET / HTTP/1.1|Content-ID: <b>|\\PC|--){0,20}") {
            target(bytes.as_bytes());
        }
    }
}
