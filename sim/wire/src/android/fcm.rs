//! FCM's HTTP v1 interface (Google: *REST Resource: projects.messages*, *FCM error codes*): the request by which a server
//! sends a message, the answer, the errors, and the registration tokens by which it names devices.
//!
//! A message may be for more than Android; what is for others is checked for its place and passed over.

use super::value::{duration, read_duration};
use super::{Code, Status};
use crate::digest::Digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use droves_facts::Dur;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A request is never longer: the payload, and as much again for other platforms.
pub const REQUEST_BYTES_MAX: usize = 32 << 10;
/// Names, texts and a notification together are never longer.
pub const PAYLOAD_BYTES_MAX: usize = 4_096;
/// A message is kept for so long at most, and if it does not say for how long: four weeks.
pub const TTL_MAX: Dur = Dur::secs(28 * 24 * 3_600);
/// A collapse key is never longer. Google names no bound.
pub const COLLAPSE_KEY_BYTES_MAX: usize = 256;

/// What is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// Only to be judged, not to be delivered.
    pub validate_only: bool,
    /// The message.
    pub message: Message,
}

/// A message, as far as it is for Android.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Whom it is for.
    pub to: Recipient,
    /// What it says to the app.
    pub data: BTreeMap<String, String>,
    /// Whether there is something to show too.
    pub shows: bool,
    /// Priority `HIGH`: it wakes a device that dozes.
    pub urgent: bool,
    /// For how long it is kept; nothing is now or never.
    pub ttl: Dur,
    /// Of those with the same key only the last is kept.
    pub collapse_key: Option<String>,
}

/// Whom a message is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipient {
    /// The device with this registration token.
    Token(String),
    /// Whoever has subscribed to a topic, or to topics as a condition says.
    Topic(String),
}

impl Send {
    /// Reads a request. What is wrong with it is said in Google's words.
    pub fn read(request: &[u8]) -> Result<Self, Status> {
        if request.len() > REQUEST_BYTES_MAX {
            let message = format!("Request payload size exceeds the limit: {REQUEST_BYTES_MAX} bytes.");
            return Err(Status::new(Code::InvalidArgument, message));
        }
        let parsed = serde_json::from_slice(request);
        let request: Value = parsed
            .map_err(|error| Status::new(Code::InvalidArgument, format!("Invalid JSON payload received. {error}")))?;
        let request = Fields::of(&request, "", &["message", "validate_only"])?;
        let message = request.get("message").ok_or_else(|| refused("message", "Message is not set."))?;
        Ok(Send { validate_only: request.flag("validate_only")?, message: Message::of(message)? })
    }

    /// Writes it.
    pub fn write(&self) -> Vec<u8> {
        let Message { to, data, shows, urgent, ttl, collapse_key } = &self.message;
        let (kind, name) = match to {
            Recipient::Token(token) => ("token", token),
            Recipient::Topic(topic) => ("topic", topic),
        };
        let priority = if *urgent { "HIGH" } else { "NORMAL" };
        let mut android = json!({ "priority": priority, "ttl": duration(*ttl) });
        if let Some(key) = collapse_key {
            android["collapseKey"] = json!(key);
        }
        let mut message = json!({ kind: name, "data": data, "android": android });
        if *shows {
            message["notification"] = json!({});
        }
        let mut request = json!({ "message": message });
        if self.validate_only {
            request["validateOnly"] = json!(true);
        }
        serde_json::to_vec(&request).unwrap_or_default()
    }
}

impl Message {
    fn of(message: &Value) -> Result<Self, Status> {
        let message = Fields::of(message, "message", &MESSAGE)?;
        let nothing = Value::Object(Map::new());
        let android = Fields::of(message.get("android").unwrap_or(&nothing), "message.android", &ANDROID)?;
        let to = [("token", true), ("topic", false), ("condition", false)].into_iter();
        let to = to.filter_map(|(name, is_token)| Some((message.text(name).transpose()?, is_token)));
        let to: Vec<_> = to.collect();
        let to = match to.as_slice() {
            [] => return Err(refused("message", "Recipient of the message is not set.")),
            [(to, true)] => Recipient::Token(to.clone()?.to_owned()),
            [(to, false)] => Recipient::Topic(to.clone()?.to_owned()),
            _ => return Err(refused("message", "Only one of token, topic and condition may be set.")),
        };
        let own = android.texts("data")?;
        let data = if own.is_empty() { message.texts("data")? } else { own };
        if let Some(key) = data.keys().find(|key| is_reserved(key)) {
            return Err(refused("message.data", format!("Invalid data payload key: {key}")));
        }
        let shown = [message.get("notification"), android.get("notification")];
        let shows = shown.iter().any(Option::is_some);
        let shown_bytes: usize = shown.iter().flatten().map(|shown| shown.to_string().len()).sum();
        let data_bytes: usize = data.iter().map(|(key, value)| key.len() + value.len()).sum();
        if shown_bytes + data_bytes > PAYLOAD_BYTES_MAX {
            return Err(refused("message", "Message is too big"));
        }
        let collapse_key = android.text("collapse_key")?.map(str::to_owned);
        if collapse_key.as_ref().is_some_and(|key| key.len() > COLLAPSE_KEY_BYTES_MAX) {
            return Err(refused("message.android.collapse_key", "Invalid collapse key"));
        }
        let ttl = match android.text("ttl")? {
            None => TTL_MAX,
            Some(text) => {
                let place = || android.place("ttl");
                let ttl =
                    read_duration(text).ok_or_else(|| illegal(&place(), "Field 'ttl', Illegal duration format"))?;
                Some(ttl).filter(|ttl| *ttl <= TTL_MAX).ok_or_else(|| refused(&place(), "Invalid ttl"))?
            }
        };
        Ok(Message { to, data, shows, urgent: android.urgent()?.unwrap_or(shows), ttl, collapse_key })
    }
}

/// A message of protocol buffers in JSON, whose fields come by either of their names.
struct Fields<'v> {
    of: &'v Map<String, Value>,
    place: &'static str,
}

impl<'v> Fields<'v> {
    fn of(value: &'v Value, place: &'static str, known: &[&str]) -> Result<Self, Status> {
        let of = value.as_object().ok_or_else(|| mistyped(place, "TYPE_MESSAGE", value))?;
        match of.keys().find(|name| !known.contains(&&*snake(name))) {
            None => Ok(Fields { of, place }),
            Some(name) if place.is_empty() => Err(illegal("", format!("Unknown name \"{name}\": Cannot find field."))),
            Some(name) => Err(illegal(place, format!("Unknown name \"{name}\" at '{place}': Cannot find field."))),
        }
    }

    fn place(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.of.iter().find(|(key, value)| snake(key) == name && !value.is_null()).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Result<Option<&'v str>, Status> {
        let text = |value: &'v Value| value.as_str().ok_or_else(|| mistyped(&self.place(name), "TYPE_STRING", value));
        self.get(name).map(text).transpose()
    }

    fn flag(&self, name: &str) -> Result<bool, Status> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| mistyped(&self.place(name), "TYPE_BOOL", value));
        self.get(name).map_or(Ok(false), flag)
    }

    /// A map of texts.
    fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, Status> {
        let Some(value) = self.get(name) else { return Ok(BTreeMap::new()) };
        let map = value.as_object().ok_or_else(|| mistyped(&self.place(name), "TYPE_MESSAGE", value))?;
        let text = |(at, (key, value)): (usize, (&String, &Value))| match value.as_str() {
            Some(text) => Ok((key.clone(), text.to_owned())),
            None => Err(mistyped(&format!("{}[{at}].value", self.place(name)), "TYPE_STRING", value)),
        };
        map.iter().enumerate().map(text).collect()
    }

    /// The priority. Libraries write it in either case.
    fn urgent(&self) -> Result<Option<bool>, Status> {
        let Some(value) = self.get("priority") else { return Ok(None) };
        match value.as_str().map(str::to_ascii_uppercase).as_deref() {
            Some("HIGH") => Ok(Some(true)),
            Some("NORMAL") => Ok(Some(false)),
            _ => Err(mistyped(&self.place("priority"), PRIORITY, value)),
        }
    }
}

/// The name that a field has in the `.proto`, of either of those that it may come by.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn is_reserved(key: &str) -> bool {
    ["from", "message_type", "collapse_key"].contains(&key) || key.starts_with("google.") || key.starts_with("gcm.")
}

fn mistyped(place: &str, kind: &str, value: &Value) -> Status {
    let shown: String = value.to_string().chars().take(SHOWN_CHARACTERS).collect();
    Status::bad_request(place, format!("Invalid value at '{place}' ({kind}), {shown}"))
}

/// A field that can't be read.
fn illegal(place: &str, why: impl AsRef<str>) -> Status {
    Status::bad_request(place, format!("Invalid JSON payload received. {}", why.as_ref()))
}

/// A field that FCM does not take: its own error code goes with it.
pub fn refused(place: &str, why: impl Into<String>) -> Status {
    let mut status = Status::bad_request(place, why);
    status.details.insert(0, error_code("INVALID_ARGUMENT"));
    status
}

/// An error with a code of FCM's own.
pub fn error(code: Code, name: &str, message: &str) -> Status {
    Status { details: vec![error_code(name)], ..Status::new(code, message) }
}

fn error_code(name: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": name })
}

/// The answer to a message that was taken, under its name in the project.
pub fn taken(project: &str, id: &str) -> Vec<u8> {
    serde_json::to_vec(&json!({ "name": format!("projects/{project}/messages/{id}") })).unwrap_or_default()
}

/// A registration token around 32 bytes of its maker's, in the form and the length that Google's have: 163 characters.
pub fn token(secret: &[u8; 32]) -> String {
    let filler = |n: u8| Digest::Sha256.of(&[&[n][..], secret].concat());
    let mut tail = secret.to_vec();
    (0..3).for_each(|n| tail.extend(filler(n)));
    tail.truncate(TAIL_BYTES);
    let mut instance = filler(3);
    instance.truncate(INSTANCE_BYTES);
    format!("{}{MARK}{}", URL_SAFE_NO_PAD.encode(instance), URL_SAFE_NO_PAD.encode(tail))
}

/// The bytes that a token was made around; `None` if it was not made so.
pub fn token_secret(text: &str) -> Option<[u8; 32]> {
    let (_, tail) = Some(text).filter(|text| text.len() <= TOKEN_BYTES_MAX)?.split_once(MARK)?;
    let tail = URL_SAFE_NO_PAD.decode(tail).ok()?;
    let secret = tail.first_chunk::<32>()?;
    (token(secret) == text).then_some(*secret)
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    if let Ok(send) = Send::read(bytes) {
        let written = send.write();
        assert!(written.len() > REQUEST_BYTES_MAX || Send::read(&written).as_ref() == Ok(&send));
    }
    if let Some(secret) = std::str::from_utf8(bytes).ok().and_then(token_secret) {
        assert_eq!(token(&secret).as_bytes(), bytes);
    }
}

const MESSAGE: [&str; 10] =
    ["name", "data", "notification", "android", "webpush", "apns", "fcm_options", "token", "topic", "condition"];
const ANDROID: [&str; 10] = [
    "collapse_key",
    "priority",
    "ttl",
    "restricted_package_name",
    "data",
    "notification",
    "fcm_options",
    "direct_boot_ok",
    "bandwidth_constrained_ok",
    "restricted_satellite_ok",
];
const PRIORITY: &str = "type.googleapis.com/google.firebase.fcm.v1.AndroidConfig.AndroidMessagePriority";
/// Of a value that is wrong.
const SHOWN_CHARACTERS: usize = 100;
const TOKEN_BYTES_MAX: usize = 170;
const INSTANCE_BYTES: usize = 16;
const TAIL_BYTES: usize = 100;
const MARK: &str = ":APA91b";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    /// As Google's library for Go sends it.
    const GO: &str = r#"{"validate_only":true,"message":{"data":{"cmd":"sync"},
        "android":{"collapse_key":"sync","priority":"high","ttl":"3600s"},"token":"t"}}"#;

    #[test]
    fn a_message_is_read_by_either_name_of_its_fields() {
        let camel = GO.replace("collapse_key", "collapseKey").replace("validate_only", "validateOnly");
        for text in [GO.to_owned(), camel.replace("high", "HIGH")] {
            let Send { validate_only, message } = Send::read(text.as_bytes()).unwrap();
            assert!(validate_only);
            let data = BTreeMap::from([("cmd".to_owned(), "sync".to_owned())]);
            let (to, collapse_key) = (Recipient::Token("t".to_owned()), Some("sync".to_owned()));
            let expected = Message { to, data, shows: false, urgent: true, ttl: Dur::secs(3_600), collapse_key };
            assert_eq!(message, expected);
        }
        let plain = Send::read(br#"{"message":{"topic":"all","notification":{"title":"a"},"apns":{"headers":{}}}}"#);
        let Send { validate_only, message } = plain.unwrap();
        assert_eq!((validate_only, message.urgent, message.ttl), (false, true, TTL_MAX), "what shows is urgent");
        assert_eq!(message.to, Recipient::Topic("all".to_owned()));
        let own = Send::read(br#"{"message":{"token":"t","data":{"a":"b"},"android":{"data":{"c":"d"}}}}"#).unwrap();
        assert_eq!(own.message.data.into_iter().collect::<Vec<_>>(), [("c".to_owned(), "d".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_said_in_googles_words() {
        let check = |text: &str, place: &str, words: &str, is_fcms: bool| {
            let status = Send::read(text.as_bytes()).unwrap_err();
            assert_eq!(status.code, Code::InvalidArgument, "{text}");
            assert!(status.message.contains(words), "{text}: {}", status.message);
            let codes = status.details.iter().filter_map(|detail| detail.get("errorCode")).collect::<Vec<_>>();
            assert_eq!(codes.len(), usize::from(is_fcms), "{text}");
            let violation = status.details.iter().find_map(|detail| detail.get("fieldViolations"));
            assert_eq!(violation.map(|all| all[0]["field"].as_str().unwrap()), Some(place), "{text}");
        };
        check(r#"{"message":{"token":"t","teapot":1}}"#, "message", "Unknown name \"teapot\" at 'message'", false);
        check(r#"{"teapot":1}"#, "", "Unknown name \"teapot\": Cannot find field.", false);
        let typed = "Invalid value at 'message.data[0].value' (TYPE_STRING), 5";
        check(r#"{"message":{"token":"t","data":{"a":5}}}"#, "message.data[0].value", typed, false);
        check(r#"{"message":{"token":7}}"#, "message.token", "(TYPE_STRING), 7", false);
        check(r#"{"message":[]}"#, "message", "(TYPE_MESSAGE), []", false);
        let android = |fields: &str| format!(r#"{{"message":{{"token":"t","android":{{{fields}}}}}}}"#);
        check(&android(r#""priority":"urgent""#), "message.android.priority", "AndroidMessagePriority", false);
        check(&android(r#""ttl":"soon""#), "message.android.ttl", "Illegal duration format", false);
        check(&android(r#""ttl":"-1s""#), "message.android.ttl", "Illegal duration format", false);
        check(&android(r#""ttl":"2419201s""#), "message.android.ttl", "Invalid ttl", true);
        check(r#"{"message":{}}"#, "message", "Recipient of the message is not set.", true);
        check(r#"{"message":{"token":"t","topic":"a"}}"#, "message", "Only one of", true);
        check("{}", "message", "not set", true);
        check(
            r#"{"message":{"token":"t","data":{"from":"x"}}}"#,
            "message.data",
            "Invalid data payload key: from",
            true,
        );
        let large = |bytes| format!(r#"{{"message":{{"token":"t","data":{{"a":"{}"}}}}}}"#, "x".repeat(bytes));
        check(&large(PAYLOAD_BYTES_MAX), "message", "too big", true);
        assert!(Send::read(large(PAYLOAD_BYTES_MAX - 1).as_bytes()).is_ok());
        assert_eq!(Send::read(&[b' '; REQUEST_BYTES_MAX + 1]).unwrap_err().code, Code::InvalidArgument);
        assert!(Send::read(b"{").unwrap_err().message.starts_with("Invalid JSON payload received."));
        assert!(Send::read("[".repeat(20_000).as_bytes()).is_err());
    }

    #[test]
    fn answers_and_errors_have_googles_shape() {
        let answer: Value = serde_json::from_slice(&taken("p", "0:1%2")).unwrap();
        assert_eq!(answer, json!({ "name": "projects/p/messages/0:1%2" }));
        let status = error(Code::NotFound, "UNREGISTERED", "Requested entity was not found.");
        let error: Value = serde_json::from_slice(&status.write()).unwrap();
        let details = &error["error"]["details"];
        assert_eq!(details[0]["@type"], "type.googleapis.com/google.firebase.fcm.v1.FcmError");
        assert_eq!((&details[0]["errorCode"], &error["error"]["code"]), (&json!("UNREGISTERED"), &json!(404)));
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("fcm", target);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            data in prop::collection::btree_map("[a-e]{1,4}", "\\PC{0,20}", 0..4),
            key in prop::option::of("\\PC{0,9}"),
            ttl in 0..=TTL_MAX.0,
            [validate_only, shows, urgent, is_token] in any::<[bool; 4]>(),
        ) {
            let to = if is_token { Recipient::Token("t".into()) } else { Recipient::Topic("t".into()) };
            let message = Message { to, data, shows, urgent, ttl: Dur(ttl), collapse_key: key };
            let send = Send { validate_only, message };
            prop_assert_eq!(Send::read(&send.write()), Ok(send));
        }

        #[test]
        fn a_token_is_found_and_a_forgery_is_not(secret: [u8; 32], at in 0_usize..163, letter in "[A-Za-z0-9_-]") {
            let text = token(&secret);
            prop_assert!((142..=170).contains(&text.len()), "{}", text.len());
            prop_assert_eq!(token_secret(&text), Some(secret));
            let mut forged = text.clone();
            forged.replace_range(at..=at, &letter);
            prop_assert_eq!(token_secret(&forged).is_some(), forged == text);
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[a-z_\":{}, ]{0,80}") {
            target(&bytes);
            target(format!("{{\"message\":{{{text}}}}}").as_bytes());
        }
    }
}
