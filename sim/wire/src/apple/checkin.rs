//! Check-in messages: Authenticate, TokenUpdate, CheckOut, UserAuthenticate and the two of the bootstrap token, for
//! the device that writes them and the server that reads them (Apple: *Check-in*; schema `mdm/checkin`).

use super::identity::{Anonymous, EnrollmentId, Hardware, Pairs, Who};
use super::profile::AccessRights;
use crate::plist::{self, Dict, Node, Value};
use droves_facts::{Limits, Platform};

/// `Content-Type` of a check-in message. Servers must match it by its beginning: some devices add a charset.
pub const CONTENT_TYPE: &str = "application/x-apple-aspen-mdm-checkin";

/// A check-in message. What is written borrows from the device's facts, what is read from the [`Value`] that
/// [`plist::read`] gave.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Message<'a> {
    /// The device wants to enroll.
    Authenticate(Authenticate<'a>),
    /// Where pushes reach a channel.
    TokenUpdate(TokenUpdate<'a>),
    /// The device has left.
    CheckOut {
        /// Topic of the enrollment.
        topic: &'a str,
        /// Which enrollment.
        id: EnrollmentId<'a>,
    },
    /// A network user of a Mac logs in; twice, the second time with the answer to the server's challenge.
    UserAuthenticate {
        /// Which Mac.
        udid: &'a str,
        /// Which user: `UserID`.
        user_id: &'a str,
        /// The answer to the digest challenge; `None` in the first message.
        digest_response: Option<&'a str>,
    },
    /// The device hands over a token, by which the server's commands may act with a secure token.
    SetBootstrapToken {
        /// Which enrollment.
        id: EnrollmentId<'a>,
        /// `None` or empty: the server is to forget the token.
        token: Option<&'a [u8]>,
        /// The device waits in Setup Assistant.
        awaiting_configuration: Option<bool>,
    },
    /// A channel's declarations are synced: one question, or the status report. Answered by JSON, or by nothing.
    DeclarativeManagement {
        /// Which enrollment and channel.
        who: Who<'a>,
        /// `tokens`, `declaration-items`, `declaration/<kind>/<identifier>` or `status`.
        endpoint: &'a str,
        /// The status report, JSON.
        data: Option<&'a [u8]>,
    },
    /// The device asks for that token; answered by [`write_bootstrap_token`], or by nothing.
    GetBootstrapToken {
        /// Which enrollment.
        id: EnrollmentId<'a>,
        /// The device waits in Setup Assistant.
        awaiting_configuration: Option<bool>,
    },
}

/// The device wants to enroll, and says what it is as far as the profile's rights and the platform allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the keys of the message with these names")]
pub struct Authenticate<'a> {
    pub topic: &'a str,
    pub id: EnrollmentId<'a>,
    pub device_name: Option<&'a str>,
    pub model: Option<&'a str>,
    pub model_name: Option<&'a str>,
    pub os_version: Option<&'a str>,
    pub build_version: Option<&'a str>,
    pub product_name: Option<&'a str>,
    pub serial_number: Option<&'a str>,
    pub imei: Option<&'a str>,
    pub meid: Option<&'a str>,
}

/// Where pushes reach a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenUpdate<'a> {
    /// Topic of the enrollment.
    pub topic: &'a str,
    /// Which channel: with a user for a user channel.
    pub who: Who<'a>,
    /// The channel's push token, 32 bytes.
    pub token: &'a [u8],
    /// What a push for this channel and enrollment carries.
    pub push_magic: &'a str,
    /// iOS with the right to lock: what clears the passcode. Absent it revokes nothing.
    pub unlock_token: Option<&'a [u8]>,
    /// The device waits in Setup Assistant.
    pub awaiting_configuration: Option<bool>,
}

/// Why a check-in message can't be taken.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum CheckinError {
    /// Not a dictionary.
    #[error("check-in message that is not a dictionary")]
    NotADictionary,
    /// No `MessageType`.
    #[error("check-in message without MessageType")]
    NoMessageType,
    /// A `MessageType` that is not one of ours.
    #[error("check-in message {0:?}, which is not known")]
    Unknown(String),
    /// Nobody is named.
    #[error("check-in message with {0}")]
    Anonymous(#[from] Anonymous),
    /// A key that the message must have is not there, or of another type.
    #[error("{message} without a good {key}")]
    Missing {
        /// The message.
        message: &'static str,
        /// The key.
        key: &'static str,
    },
}

impl<'a> Authenticate<'a> {
    /// What this device says of itself. iOS names its model only where the server may ask for device information;
    /// a Mac always does. User enrollment hides serial number, IMEI and MEID.
    pub fn of(
        platform: Platform,
        rights: AccessRights,
        id: EnrollmentId<'a>,
        topic: &'a str,
        hardware: &Hardware<'a>,
    ) -> Self {
        let mac = platform == Platform::Macos;
        let system = mac || rights.has(AccessRights::DEVICE_INFORMATION);
        let numbers = rights.has(AccessRights::DEVICE_INFORMATION) && matches!(id, EnrollmentId::Udid(_));
        Authenticate {
            topic,
            id,
            device_name: mac.then_some(hardware.device_name),
            model: mac.then_some(hardware.model),
            model_name: mac.then_some(hardware.model_name),
            os_version: system.then_some(hardware.os_version),
            build_version: system.then_some(hardware.build_version),
            product_name: system.then_some(hardware.product_name),
            serial_number: numbers.then_some(hardware.serial_number),
            imei: hardware.imei.filter(|_| numbers && !mac),
            meid: hardware.meid.filter(|_| numbers && !mac),
        }
    }
}

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn of(value: &'a Value) -> Result<Self, CheckinError> {
        let dict = value.as_dict().ok_or(CheckinError::NotADictionary)?;
        match dict.str("MessageType").ok_or(CheckinError::NoMessageType)? {
            "Authenticate" => authenticate(dict).map(Message::Authenticate),
            "TokenUpdate" => token_update(dict).map(Message::TokenUpdate),
            "CheckOut" => {
                let topic = need(dict.str("Topic"), "CheckOut", "Topic")?;
                Ok(Message::CheckOut { topic, id: Who::of(dict)?.id })
            }
            "UserAuthenticate" => Ok(Message::UserAuthenticate {
                udid: need(dict.str("UDID"), "UserAuthenticate", "UDID")?,
                user_id: need(dict.str("UserID"), "UserAuthenticate", "UserID")?,
                digest_response: dict.str("DigestResponse").filter(|digest| !digest.is_empty()),
            }),
            "SetBootstrapToken" => Ok(Message::SetBootstrapToken {
                id: Who::of(dict)?.id,
                token: dict.data("BootstrapToken").filter(|token| !token.is_empty()),
                awaiting_configuration: dict.bool("AwaitingConfiguration"),
            }),
            "GetBootstrapToken" => Ok(Message::GetBootstrapToken {
                id: Who::of(dict)?.id,
                awaiting_configuration: dict.bool("AwaitingConfiguration"),
            }),
            "DeclarativeManagement" => Ok(Message::DeclarativeManagement {
                who: Who::of(dict)?,
                endpoint: need(dict.str("Endpoint"), "DeclarativeManagement", "Endpoint")?,
                data: dict.data("Data").filter(|data| !data.is_empty()),
            }),
            other => Err(CheckinError::Unknown(other.chars().take(64).collect())),
        }
    }

    /// Writes the message as a property list.
    pub fn write(&self, out: &mut Vec<u8>) {
        plist::write(out, |w| w.node(Node::Dict(&self.pairs())));
    }

    /// `MessageType`.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Authenticate(_) => "Authenticate",
            Message::TokenUpdate(_) => "TokenUpdate",
            Message::CheckOut { .. } => "CheckOut",
            Message::UserAuthenticate { .. } => "UserAuthenticate",
            Message::SetBootstrapToken { .. } => "SetBootstrapToken",
            Message::GetBootstrapToken { .. } => "GetBootstrapToken",
            Message::DeclarativeManagement { .. } => "DeclarativeManagement",
        }
    }

    fn pairs(&self) -> Vec<(&'a str, Node<'a>)> {
        let mut pairs = Pairs::default();
        pairs.text("MessageType", self.name());
        match *self {
            Message::Authenticate(message) => message.push_to(&mut pairs),
            Message::TokenUpdate(message) => message.push_to(&mut pairs),
            Message::CheckOut { topic, id } => {
                pairs.text("Topic", topic);
                Who { id, user: None }.push_to(&mut pairs);
            }
            Message::UserAuthenticate { udid, user_id, digest_response } => {
                pairs.text("UDID", udid);
                pairs.text("UserID", user_id);
                pairs.maybe("DigestResponse", digest_response.map(Node::String));
            }
            Message::SetBootstrapToken { id, token, awaiting_configuration } => {
                Who { id, user: None }.push_to(&mut pairs);
                pairs.maybe("BootstrapToken", token.map(Node::Data));
                pairs.maybe("AwaitingConfiguration", awaiting_configuration.map(Node::Bool));
            }
            Message::GetBootstrapToken { id, awaiting_configuration } => {
                Who { id, user: None }.push_to(&mut pairs);
                pairs.maybe("AwaitingConfiguration", awaiting_configuration.map(Node::Bool));
            }
            Message::DeclarativeManagement { who, endpoint, data } => {
                who.push_to(&mut pairs);
                pairs.text("Endpoint", endpoint);
                pairs.maybe("Data", data.map(Node::Data));
            }
        }
        pairs.sorted()
    }
}

/// The server's answer to GetBootstrapToken where it holds one; where it holds none it answers with no bytes.
pub fn write_bootstrap_token(out: &mut Vec<u8>, token: &[u8]) {
    plist::write(out, |w| w.dict(|w| w.key("BootstrapToken").data(token)));
}

/// The token in that answer.
pub fn bootstrap_token(answer: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, plist::PlistError> {
    if answer.is_empty() {
        return Ok(None);
    }
    let value = plist::read(answer, limits)?;
    let token = value.get("BootstrapToken").and_then(Value::as_data).filter(|token| !token.is_empty());
    Ok(token.map(<[u8]>::to_vec))
}

/// The server's answer to a first UserAuthenticate: what the user is to answer; empty for a user without a digest.
pub fn write_digest_challenge(out: &mut Vec<u8>, challenge: &str) {
    plist::write(out, |w| w.dict(|w| w.key("DigestChallenge").string(challenge)));
}

/// What a fuzzer drives: a message that was read is read again from its own writing.
pub fn target(bytes: &[u8]) {
    let Ok(value) = plist::read(bytes, &Limits::default()) else { return };
    let Ok(message) = Message::of(&value) else { return };
    let mut out = Vec::new();
    message.write(&mut out);
    let again = plist::read(&out, &Limits { body_bytes_max: usize::MAX, ..Limits::default() });
    assert!(again.is_ok_and(|value| Message::of(&value).is_ok()), "our own writing is not readable");
}

impl<'a> Authenticate<'a> {
    fn push_to(&self, pairs: &mut Pairs<'a>) {
        pairs.text("Topic", self.topic);
        Who { id: self.id, user: None }.push_to(pairs);
        for (key, text) in [
            ("DeviceName", self.device_name),
            ("Model", self.model),
            ("ModelName", self.model_name),
            ("OSVersion", self.os_version),
            ("BuildVersion", self.build_version),
            ("ProductName", self.product_name),
            ("SerialNumber", self.serial_number),
            ("IMEI", self.imei),
            ("MEID", self.meid),
        ] {
            pairs.maybe(key, text.map(Node::String));
        }
    }
}

impl<'a> TokenUpdate<'a> {
    fn push_to(&self, pairs: &mut Pairs<'a>) {
        pairs.text("Topic", self.topic);
        self.who.push_to(pairs);
        pairs.put("Token", Node::Data(self.token));
        pairs.text("PushMagic", self.push_magic);
        pairs.maybe("UnlockToken", self.unlock_token.map(Node::Data));
        pairs.maybe("AwaitingConfiguration", self.awaiting_configuration.map(Node::Bool));
    }
}

fn authenticate(dict: &Dict) -> Result<Authenticate<'_>, CheckinError> {
    Ok(Authenticate {
        topic: need(dict.str("Topic"), "Authenticate", "Topic")?,
        id: Who::of(dict)?.id,
        device_name: dict.str("DeviceName"),
        model: dict.str("Model"),
        model_name: dict.str("ModelName"),
        os_version: dict.str("OSVersion"),
        build_version: dict.str("BuildVersion"),
        product_name: dict.str("ProductName"),
        serial_number: dict.str("SerialNumber"),
        imei: dict.str("IMEI"),
        meid: dict.str("MEID"),
    })
}

fn token_update(dict: &Dict) -> Result<TokenUpdate<'_>, CheckinError> {
    Ok(TokenUpdate {
        topic: need(dict.str("Topic"), "TokenUpdate", "Topic")?,
        who: Who::of(dict)?,
        token: need(dict.data("Token").filter(|token| !token.is_empty()), "TokenUpdate", "Token")?,
        push_magic: need(dict.str("PushMagic"), "TokenUpdate", "PushMagic")?,
        unlock_token: dict.data("UnlockToken"),
        awaiting_configuration: dict.bool("AwaitingConfiguration"),
    })
}

fn need<T>(value: Option<T>, message: &'static str, key: &'static str) -> Result<T, CheckinError> {
    value.ok_or(CheckinError::Missing { message, key })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::identity::User;
    use super::*;
    use proptest::prelude::*;

    fn written(message: &Message<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        message.write(&mut out);
        out
    }

    fn check(message: Message<'_>) {
        let value = plist::read(&written(&message), &Limits::default()).unwrap();
        assert_eq!(Message::of(&value), Ok(message));
        let keys: Vec<&str> = value.as_dict().unwrap().iter().map(|(key, _)| key).collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let id = EnrollmentId::Udid("U");
        let user = User { id: "I", short_name: Some("s"), long_name: Some("l"), not_on_console: Some(false) };
        let update = TokenUpdate {
            topic: "t",
            who: Who { id, user: None },
            token: &[1; 32],
            push_magic: "m",
            unlock_token: Some(&[2; 100]),
            awaiting_configuration: Some(true),
        };
        check(Message::TokenUpdate(update));
        check(Message::TokenUpdate(TokenUpdate { who: Who { id, user: Some(user) }, unlock_token: None, ..update }));
        let hidden = EnrollmentId::Enrollment("E");
        check(Message::TokenUpdate(TokenUpdate { who: Who { id: hidden, user: Some(user) }, ..update }));
        check(Message::CheckOut { topic: "t", id });
        check(Message::UserAuthenticate { udid: "U", user_id: "I", digest_response: None });
        check(Message::UserAuthenticate { udid: "U", user_id: "I", digest_response: Some("d") });
        check(Message::SetBootstrapToken { id, token: Some(&[3]), awaiting_configuration: None });
        check(Message::SetBootstrapToken { id, token: None, awaiting_configuration: Some(false) });
        check(Message::GetBootstrapToken { id, awaiting_configuration: None });
        let who = Who { id, user: Some(user) };
        check(Message::DeclarativeManagement { who, endpoint: "tokens", data: None });
        check(Message::DeclarativeManagement { who: Who { user: None, ..who }, endpoint: "status", data: Some(b"{}") });
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("checkin", target);
    }

    const PHONE: Hardware<'static> = Hardware {
        udid: "00008110-000A1B2C3D4E801E",
        serial_number: "F2LX1234YZ",
        device_name: "iPhone",
        model: "MLPF3",
        model_name: "iPhone",
        product_name: "iPhone14,5",
        os_version: "18.1",
        build_version: "22B83",
        imei: Some("35 690812 345678 9"),
        meid: None,
        host_name: None,
        local_host_name: None,
        mac_address: None,
    };

    #[test]
    fn a_device_says_what_platform_rights_and_mode_allow() {
        let keys = |platform, rights, id| {
            let message = Message::Authenticate(Authenticate::of(platform, rights, id, "t", &PHONE));
            check(message);
            message.pairs().iter().map(|&(key, _)| key).collect::<Vec<_>>().join(" ")
        };
        let (udid, hidden) = (EnrollmentId::Udid(PHONE.udid), EnrollmentId::Enrollment("E"));
        let few = AccessRights::new(1).unwrap();
        let all = AccessRights::ALL;
        assert_eq!(
            keys(Platform::Ios, all, udid),
            "BuildVersion IMEI MessageType OSVersion ProductName SerialNumber Topic UDID"
        );
        assert_eq!(keys(Platform::Ios, few, udid), "MessageType Topic UDID");
        assert_eq!(
            keys(Platform::Ios, all, hidden),
            "BuildVersion EnrollmentID MessageType OSVersion ProductName Topic"
        );
        assert_eq!(
            keys(Platform::Macos, all, udid),
            "BuildVersion DeviceName MessageType Model ModelName OSVersion ProductName SerialNumber Topic UDID"
        );
        assert_eq!(
            keys(Platform::Macos, few, udid),
            "BuildVersion DeviceName MessageType Model ModelName OSVersion ProductName Topic UDID"
        );
    }

    #[test]
    fn what_a_message_lacks_is_named() {
        let check = |inner: &str, expected: CheckinError| {
            let value = plist::read(format!("<dict>{inner}</dict>").as_bytes(), &Limits::default()).unwrap();
            assert_eq!(Message::of(&value), Err(expected), "{inner}");
        };
        let kind = |name: &str| format!("<key>MessageType</key><string>{name}</string>");
        check("", CheckinError::NoMessageType);
        check(&kind("Hello"), CheckinError::Unknown("Hello".into()));
        check(&kind("CheckOut"), CheckinError::Missing { message: "CheckOut", key: "Topic" });
        check(&format!("{}<key>Topic</key><string>t</string>", kind("CheckOut")), CheckinError::Anonymous(Anonymous));
        assert_eq!(Message::of(&Value::Bool(true)), Err(CheckinError::NotADictionary));
    }

    /// Built sizes of the same messages elsewhere, with other names in them: names differ by some tens of bytes, a
    /// key more or less by forty.
    #[test]
    fn sizes_are_those_of_real_messages() {
        let topic = "com.apple.mgmt.External.b8f2a7d0-9c1e-4f6b-8a53-0d2e7c4b9f16";
        let check = |message: Message<'_>, expected: usize| {
            let size = written(&message).len();
            assert!(size.abs_diff(expected) <= 60, "{}: {size}, expected about {expected}", message.name());
        };
        let id = EnrollmentId::Udid(PHONE.udid);
        check(Message::Authenticate(Authenticate::of(Platform::Ios, AccessRights::ALL, id, topic, &PHONE)), 706);
        check(Message::CheckOut { topic, id }, 397);
        check(Message::GetBootstrapToken { id, awaiting_configuration: None }, 330);
        check(Message::SetBootstrapToken { id, token: Some(&[7; 80]), awaiting_configuration: None }, 497);
        let magic = "EB8D1E32-31A9-4DAF-B4E9-0A7B2D0B1C5F";
        let update = TokenUpdate {
            topic,
            who: Who { id, user: None },
            token: &[7; 32],
            push_magic: magic,
            unlock_token: None,
            awaiting_configuration: None,
        };
        check(Message::TokenUpdate(update), 602);
        let mut answer = Vec::new();
        write_bootstrap_token(&mut answer, &[7; 64]);
        assert!(answer.len().abs_diff(311) <= 30, "{}", answer.len());
        assert_eq!(bootstrap_token(&answer, &Limits::default()).unwrap(), Some(vec![7; 64]));
        assert_eq!(bootstrap_token(b"", &Limits::default()).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_text_survives(topic in "\\PC{0,20}", udid in "\\PC{1,40}", token in prop::collection::vec(any::<u8>(), 1..80)) {
            let who = Who::device(&udid);
            let update = TokenUpdate {
                topic: &topic, who, token: &token, push_magic: &topic, unlock_token: Some(&token), awaiting_configuration: None,
            };
            check(Message::TokenUpdate(update));
            target(&written(&Message::CheckOut { topic: &topic, id: who.id }));
        }
    }
}
