//! A provider's request and the rules that it must keep before anybody looks at the token: Apple's "Sending
//! notification requests to APNs". What Apple asks for but MDM servers leave out (topic, push type, expiration) may be
//! missing here too.

use super::Reason;
use droves_facts::Wall;
use http::HeaderMap;

/// One request, as the shell read it.
#[derive(Clone, Copy, Debug)]
pub struct PushRequest<'a> {
    /// `POST`, or it is refused.
    pub method: &'a str,
    /// `/3/device/<token>`.
    pub path: &'a str,
    /// Names in lower case, as HTTP/2 has them.
    pub headers: &'a HeaderMap,
    /// At least the first [`PAYLOAD_BYTES_MAX`] + 1 bytes.
    pub body: &'a [u8],
    /// Who asks.
    pub provider: Provider<'a>,
}

/// Who is at the other end of the connection, by its TLS client certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provider<'a> {
    /// No certificate was sent.
    Nobody,
    /// A certificate that can't be read.
    Unreadable,
    /// A certificate.
    Certified {
        /// The UID of its subject: `com.apple.mgmt.External.<uuid>`.
        topic: Option<&'a str>,
        /// Not good before.
        from: Wall,
        /// Not good after.
        until: Wall,
    },
}

/// What a request that keeps the rules says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asked<'a> {
    /// As written in the path; not looked at yet.
    pub(crate) token: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) expiration: Expiration,
}

/// How long a notification may wait for its device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expiration {
    /// No header: as long as the service keeps things.
    Unsaid,
    /// `0`: one try, nothing stored.
    Once,
    /// Until then.
    At(Wall),
}

/// Checks a request in the order in which it is read: line, headers, certificate, body.
pub(crate) fn read<'a>(request: &PushRequest<'a>, wall: Wall) -> Result<Asked<'a>, Reason> {
    let token = token_of(request.path)?;
    if request.method != "POST" {
        return Err(Reason::MethodNotAllowed);
    }
    let headers = Headers { map: request.headers };
    headers.no_twins()?;
    headers.checked("apns-id", Reason::BadMessageId, is_uuid)?;
    headers.checked("apns-priority", Reason::BadPriority, |text| matches!(text, "1" | "5" | "10"))?;
    headers.checked("apns-push-type", Reason::InvalidPushType, |text| PUSH_TYPES.contains(&text))?;
    headers.checked("apns-collapse-id", Reason::BadCollapseId, |text| text.len() <= COLLAPSE_ID_BYTES_MAX)?;
    let expiration = headers.expiration()?;
    let topic = topic_of(headers.topic()?, request.provider, wall)?;
    if token.is_empty() {
        return Err(Reason::MissingDeviceToken);
    }
    match request.body.len() {
        0 => Err(Reason::PayloadEmpty),
        n if n > PAYLOAD_BYTES_MAX => Err(Reason::PayloadTooLarge),
        _ => Ok(Asked { token, topic, expiration }),
    }
}

/// The `apns-id` to answer with, if the request has a good one.
pub(crate) fn id<'a>(request: &PushRequest<'a>) -> Option<&'a str> {
    Headers { map: request.headers }.text("apns-id").ok().flatten().filter(|id| is_uuid(id))
}

fn token_of(path: &str) -> Result<&str, Reason> {
    let path = path.split('?').next().unwrap_or_default();
    let token = match path.strip_prefix("/3/device") {
        Some("") => "",
        Some(rest) => rest.strip_prefix('/').ok_or(Reason::BadPath)?,
        None => return Err(Reason::BadPath),
    };
    if token.contains('/') { Err(Reason::BadPath) } else { Ok(token) }
}

/// The header names the topic, else the certificate does; both must agree.
fn topic_of<'a>(header: Option<&'a str>, provider: Provider<'a>, wall: Wall) -> Result<&'a str, Reason> {
    match provider {
        Provider::Nobody => Err(Reason::MissingProviderToken),
        Provider::Unreadable => Err(Reason::BadCertificate),
        Provider::Certified { from, until, .. } if wall < from || wall > until => Err(Reason::BadCertificate),
        Provider::Certified { topic: certified, .. } => match (header, certified) {
            (Some(asked), Some(certified)) if asked == certified => Ok(certified),
            (Some(_), _) => Err(Reason::TopicDisallowed),
            (None, Some(certified)) => Ok(certified),
            (None, None) => Err(Reason::MissingTopic),
        },
    }
}

struct Headers<'a> {
    map: &'a HeaderMap,
}

impl<'a> Headers<'a> {
    fn no_twins(&self) -> Result<(), Reason> {
        let twins = APNS_HEADERS.iter().any(|name| self.map.get_all(*name).iter().nth(1).is_some());
        if twins { Err(Reason::DuplicateHeaders) } else { Ok(()) }
    }

    /// A header as text; one that is not text is an error.
    fn text(&self, name: &str) -> Result<Option<&'a str>, ()> {
        self.map.get(name).map(|value| value.to_str().map_err(|_| ())).transpose()
    }

    fn checked(&self, name: &str, reason: Reason, good: impl Fn(&str) -> bool) -> Result<(), Reason> {
        match self.text(name) {
            Ok(None) => Ok(()),
            Ok(Some(text)) if good(text) => Ok(()),
            _ => Err(reason),
        }
    }

    fn expiration(&self) -> Result<Expiration, Reason> {
        match self.text("apns-expiration") {
            Ok(None) => Ok(Expiration::Unsaid),
            Ok(Some(text)) => match text.parse::<u32>() {
                Ok(0) => Ok(Expiration::Once),
                Ok(secs) => Ok(Expiration::At(Wall::from_secs(i64::from(secs)))),
                Err(_) => Err(Reason::BadExpirationDate),
            },
            Err(()) => Err(Reason::BadExpirationDate),
        }
    }

    fn topic(&self) -> Result<Option<&'a str>, Reason> {
        let well_formed = |text: &&str| {
            let of_a_bundle = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            (1..=TOPIC_BYTES_MAX).contains(&text.len()) && text.bytes().all(of_a_bundle)
        };
        match self.text("apns-topic") {
            Ok(None) => Ok(None),
            Ok(Some(text)) => Some(text).filter(well_formed).map(Some).ok_or(Reason::BadTopic),
            Err(()) => Err(Reason::BadTopic),
        }
    }
}

/// The canonical form, 8-4-4-4-12 digits of either case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Apple's limit for everything but VoIP.
pub const PAYLOAD_BYTES_MAX: usize = 4_096;

const COLLAPSE_ID_BYTES_MAX: usize = 64;

/// A topic is a bundle id or an MDM topic; Apple names no limit, subject names stop at 64 by X.520, bundle ids at 155.
const TOPIC_BYTES_MAX: usize = 255;

const APNS_HEADERS: [&str; 6] =
    ["apns-id", "apns-topic", "apns-push-type", "apns-expiration", "apns-priority", "apns-collapse-id"];

const PUSH_TYPES: [&str; 11] = [
    "alert",
    "background",
    "complication",
    "controls",
    "fileprovider",
    "liveactivity",
    "location",
    "mdm",
    "pushtotalk",
    "voip",
    "widgets",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use http::{HeaderName, HeaderValue};

    const TOPIC: &str = "com.apple.mgmt.External.1f4f7e8a-1d3b-4a53-9d0b-2f8f8f1a6a10";
    const PROVIDER: Provider<'static> = Provider::Certified { topic: Some(TOPIC), from: Wall(0), until: Wall(1_000) };

    /// The body and the headers of nanomdm's pushes, as they were measured: no `apns-` header at all.
    fn request<'a>(headers: &'a HeaderMap) -> PushRequest<'a> {
        PushRequest {
            method: "POST",
            path: "/3/device/abcd",
            headers,
            body: br#"{"mdm":"6C0F9B2E-54E9-41B2-8E0C-6E1F0D2A7C55"}"#,
            provider: PROVIDER,
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    fn check(pairs: &[(&str, &str)], expected: Result<Expiration, Reason>) {
        let headers = headers(pairs);
        assert_eq!(read(&request(&headers), Wall(5)).map(|asked| asked.expiration), expected, "{pairs:?}");
    }

    #[test]
    fn headers_are_checked_one_by_one() {
        check(&[], Ok(Expiration::Unsaid));
        check(&[("user-agent", "Go-http-client/2.0"), ("content-length", "46")], Ok(Expiration::Unsaid));
        check(&[("apns-topic", TOPIC), ("apns-push-type", "mdm"), ("apns-priority", "10")], Ok(Expiration::Unsaid));
        check(&[("apns-expiration", "0")], Ok(Expiration::Once));
        check(&[("apns-expiration", "1732500000")], Ok(Expiration::At(Wall::from_secs(1_732_500_000))));
        check(&[("apns-expiration", "soon")], Err(Reason::BadExpirationDate));
        check(&[("apns-expiration", "-1")], Err(Reason::BadExpirationDate));
        check(&[("apns-priority", "7")], Err(Reason::BadPriority));
        check(&[("apns-push-type", "smoke")], Err(Reason::InvalidPushType));
        check(&[("apns-id", "6c0f9b2e-54e9-41b2-8e0c-6e1f0d2a7c55")], Ok(Expiration::Unsaid));
        check(&[("apns-id", "6c0f9b2e54e941b28e0c6e1f0d2a7c55")], Err(Reason::BadMessageId));
        check(&[("apns-collapse-id", &"x".repeat(64))], Ok(Expiration::Unsaid));
        check(&[("apns-collapse-id", &"x".repeat(65))], Err(Reason::BadCollapseId));
        check(&[("apns-priority", "5"), ("apns-priority", "5")], Err(Reason::DuplicateHeaders));
        check(&[("apns-topic", "")], Err(Reason::BadTopic));
        check(&[("apns-topic", "a topic")], Err(Reason::BadTopic));
        check(&[("apns-topic", "com.example.app")], Err(Reason::TopicDisallowed));
    }

    #[test]
    fn line_body_and_certificate_are_checked() {
        let none = HeaderMap::new();
        let check = |change: &dyn Fn(&mut PushRequest<'_>), reason| {
            let mut request = request(&none);
            change(&mut request);
            assert_eq!(read(&request, Wall(5)).err(), Some(reason));
        };
        check(&|r| r.method = "GET", Reason::MethodNotAllowed);
        check(&|r| r.path = "/", Reason::BadPath);
        check(&|r| r.path = "/3/devices/abcd", Reason::BadPath);
        check(&|r| r.path = "/3/device/abcd/more", Reason::BadPath);
        check(&|r| r.path = "/3/device/", Reason::MissingDeviceToken);
        check(&|r| r.path = "/3/device", Reason::MissingDeviceToken);
        check(&|r| r.body = b"", Reason::PayloadEmpty);
        check(&|r| r.body = &[b' '; 4_097], Reason::PayloadTooLarge);
        check(&|r| r.provider = Provider::Nobody, Reason::MissingProviderToken);
        check(&|r| r.provider = Provider::Unreadable, Reason::BadCertificate);
        let certified = |topic, from, until| Provider::Certified { topic, from: Wall(from), until: Wall(until) };
        check(&|r| r.provider = certified(Some(TOPIC), 6, 9), Reason::BadCertificate);
        check(&|r| r.provider = certified(Some(TOPIC), 0, 4), Reason::BadCertificate);
        check(&|r| r.provider = certified(None, 0, 9), Reason::MissingTopic);
    }
}
