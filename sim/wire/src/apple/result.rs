//! Results: what a device answers to a command, and what a server reads of it (Apple: *Commands and queries*; schema
//! `mdm/commands`, response keys).
//!
//! A result names the command by its `CommandUUID` and says nothing of its type, as real ones don't.

use super::body::{Body, Part};
use super::identity::{Anonymous, Pairs, Who};
use crate::plist::{self, Dict, Node, Value, Writer};
use droves_facts::{CommandStatus, Limits};

/// Writes `Idle`: the device asks for a command.
pub fn write_idle(out: &mut Vec<u8>, who: &Who<'_>) {
    message(out, who, vec![("Status", Part::Node(Node::String("Idle")))]);
}

/// Writes a result. A command that has no name is answered without one.
pub fn write(out: &mut Vec<u8>, who: &Who<'_>, outcome: &Outcome<'_>, body: &Body<'_>) {
    let mut parts = vec![("Status", Part::Node(Node::String(status_name(outcome.status))))];
    if !outcome.uuid.is_empty() {
        parts.push(("CommandUUID", Part::Node(Node::String(outcome.uuid))));
    }
    if !outcome.errors.is_empty() {
        parts.push(("ErrorChain", Part::Errors(outcome.errors)));
    }
    body.push_to(&mut parts);
    message(out, who, parts);
}

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outcome<'a> {
    /// The command's name.
    pub uuid: &'a str,
    /// How it came out.
    pub status: CommandStatus,
    /// Why it failed, the outermost reason first.
    pub errors: &'a [ErrorItem<'a>],
}

impl<'a> Outcome<'a> {
    /// Done, or not now, or not understood: without a reason.
    pub fn bare(uuid: &'a str, status: CommandStatus) -> Self {
        Outcome { uuid, status, errors: &[] }
    }
}

/// One item of an `ErrorChain`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorItem<'a> {
    /// `ErrorCode`.
    pub code: i64,
    /// `ErrorDomain`.
    pub domain: &'a str,
    /// `LocalizedDescription`; written as `USEnglishDescription` too.
    pub description: &'a str,
}

/// What is said of a `RequestType` that a device does not know.
pub fn unknown_request_type(request_type: &str) -> String {
    format!("\u{201c}{request_type}\u{201d} is not a valid request type.")
}

impl<'a> ErrorItem<'a> {
    /// A chain, as the value of `ErrorChain`.
    pub fn write_chain(chain: &[ErrorItem<'_>], w: &mut Writer<'_>) {
        w.array(|w| {
            for item in chain {
                w.dict(|w| {
                    w.key("ErrorCode").integer(item.code);
                    w.key("ErrorDomain").string(item.domain);
                    w.key("LocalizedDescription").string(item.description);
                    w.key("USEnglishDescription").string(item.description);
                });
            }
        });
    }

    /// The answer to an unknown `RequestType`, with the text of [`unknown_request_type`].
    pub fn unknown(description: &'a str) -> Self {
        ErrorItem { code: 12_021, domain: "MCMDMErrorDomain", description }
    }
}

/// A result as a server reads it.
#[derive(Clone, PartialEq, Debug)]
pub struct Received<'v> {
    /// Who answers.
    pub who: Who<'v>,
    /// What it says.
    pub said: Said<'v>,
    /// Every key of the message.
    pub message: &'v Dict,
}

/// What a result says.
#[derive(Clone, PartialEq, Debug)]
pub enum Said<'v> {
    /// Asks for a command.
    Idle,
    /// Answers one.
    Answered {
        /// `CommandUUID`; empty where a command had none that could be read.
        uuid: &'v str,
        /// How it came out.
        status: CommandStatus,
        /// `ErrorChain`, the outermost first.
        errors: Vec<ErrorItem<'v>>,
    },
}

/// Why a result can't be taken.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum ResultError {
    /// Not a dictionary.
    #[error("result that is not a dictionary")]
    NotADictionary,
    /// No `Status`.
    #[error("result without Status")]
    NoStatus,
    /// A status that is not one of Apple's.
    #[error("result with Status {0:?}, which is not known")]
    UnknownStatus(String),
    /// Nobody is named.
    #[error("result with {0}")]
    Anonymous(#[from] Anonymous),
    /// No `CommandUUID`, though the command could be read.
    #[error("result without CommandUUID")]
    NoCommandUuid,
}

impl<'v> Received<'v> {
    /// Reads a result.
    pub fn of(value: &'v Value) -> Result<Self, ResultError> {
        let message = value.as_dict().ok_or(ResultError::NotADictionary)?;
        let status = match message.str("Status").ok_or(ResultError::NoStatus)? {
            "Idle" => None,
            "Acknowledged" => Some(CommandStatus::Acknowledged),
            "Error" => Some(CommandStatus::Error),
            "CommandFormatError" => Some(CommandStatus::FormatError),
            "NotNow" => Some(CommandStatus::NotNow),
            other => return Err(ResultError::UnknownStatus(other.chars().take(64).collect())),
        };
        let who = Who::of(message)?;
        let Some(status) = status else { return Ok(Received { who, said: Said::Idle, message }) };
        let uuid = match message.str("CommandUUID") {
            Some(uuid) => uuid,
            None if status == CommandStatus::FormatError => "",
            None => return Err(ResultError::NoCommandUuid),
        };
        let errors = message.array("ErrorChain").unwrap_or_default().iter().filter_map(Value::as_dict);
        let errors = errors.map(|item| ErrorItem {
            code: item.i64("ErrorCode").unwrap_or_default(),
            domain: item.str("ErrorDomain").unwrap_or_default(),
            description: item.str("USEnglishDescription").or(item.str("LocalizedDescription")).unwrap_or_default(),
        });
        Ok(Received { who, said: Said::Answered { uuid, status, errors: errors.collect() }, message })
    }
}

/// What a fuzzer drives: a status that was read is read again from its own writing.
pub fn target(bytes: &[u8]) {
    let limits = Limits::default();
    let Ok(value) = plist::read(bytes, &limits) else { return };
    let Ok(received) = Received::of(&value) else { return };
    let mut out = Vec::new();
    match &received.said {
        Said::Idle => write_idle(&mut out, &received.who),
        Said::Answered { uuid, status, errors } => {
            write(&mut out, &received.who, &Outcome { uuid, status: *status, errors }, &Body::None);
        }
    }
    let again = plist::read(&out, &Limits { body_bytes_max: usize::MAX, ..limits });
    assert!(again.is_ok_and(|value| value.get("Status") == received.message.get("Status")));
}

/// `Status` of a result.
pub fn status_name(status: CommandStatus) -> &'static str {
    match status {
        CommandStatus::Acknowledged => "Acknowledged",
        CommandStatus::Error => "Error",
        CommandStatus::FormatError => "CommandFormatError",
        CommandStatus::NotNow => "NotNow",
    }
}

fn message<'a>(out: &mut Vec<u8>, who: &Who<'a>, mut parts: Vec<(&'a str, Part<'a>)>) {
    let mut pairs = Pairs::default();
    who.push_to(&mut pairs);
    parts.extend(pairs.sorted().into_iter().map(|(key, node)| (key, Part::Node(node))));
    parts.sort_by_key(|&(key, _)| key);
    plist::write(out, |w| w.dict(|w| parts.iter().for_each(|(key, part)| part.write(w.key(key)))));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::body::*;
    use super::super::identity::{EnrollmentId, User};
    use super::*;

    const DEVICE: Who<'static> = Who { id: EnrollmentId::Udid("00008110-000A1B2C3D4E801E"), user: None };
    const UUID: &str = "0001_f2e7b6d4-63b5-4c0e-9a41-5d2b8c7e1f90";

    fn written(outcome: &Outcome<'_>, body: &Body<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, &DEVICE, outcome, body);
        out
    }

    fn check(who: Who<'_>, said: &Said<'_>) {
        let mut out = Vec::new();
        match said {
            Said::Idle => write_idle(&mut out, &who),
            Said::Answered { uuid, status, errors } => {
                write(&mut out, &who, &Outcome { uuid, status: *status, errors }, &Body::None);
            }
        }
        let value = plist::read(&out, &Limits::default()).unwrap();
        let received = Received::of(&value).unwrap();
        assert_eq!((&received.who, &received.said), (&who, said));
        assert!(value.as_dict().unwrap().iter().map(|(key, _)| key).is_sorted());
        target(&out);
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let user = User { id: "I", short_name: Some("s"), long_name: Some("l"), not_on_console: Some(false) };
        let errors = vec![
            ErrorItem { code: 4_001, domain: "MCInstallationErrorDomain", description: "\u{201c}A\u{201d} & <B>" },
            ErrorItem { code: 22_013, domain: "MCSCEPErrorDomain", description: "" },
        ];
        for who in [DEVICE, Who { user: Some(user), ..DEVICE }, Who { id: EnrollmentId::Enrollment("E"), user: None }] {
            check(who, &Said::Idle);
            for status in [CommandStatus::Acknowledged, CommandStatus::FormatError, CommandStatus::NotNow] {
                check(who, &Said::Answered { uuid: "any name", status, errors: vec![] });
            }
            check(who, &Said::Answered { uuid: "c", status: CommandStatus::Error, errors: errors.clone() });
            check(who, &Said::Answered { uuid: "", status: CommandStatus::FormatError, errors: vec![] });
        }
    }

    /// Built elsewhere with realistic values: names and texts in them decide a good part, so a fifth more or less fits.
    #[test]
    fn sizes_of_lists_are_those_of_real_results() {
        let check = |body: Body<'_>, expected: usize| {
            let size = written(&Outcome::bare(UUID, CommandStatus::Acknowledged), &body).len();
            assert!(size.abs_diff(expected) * 5 <= expected, "{size}, expected about {expected}");
        };
        let app = AppItem {
            identifier: "com.example.notes.mobile",
            name: "Example Notes",
            version: "12.4.1.2231",
            short_version: "12.4.1",
            bundle_size: 84_557_824,
            external_version_identifier: Some(861_234_567),
            ios: Some(IosApp { dynamic_size: 1_142_784, ..IosApp::default() }),
            ..AppItem::default()
        };
        check(Body::InstalledApplicationList(&[app; 50]), 39_880);
        check(Body::InstalledApplicationList(&[AppItem { ios: None, ..app }; 100]), 57_925);
        let managed = ManagedApp {
            identifier: app.identifier,
            status: "Managed",
            management_flags: 1,
            is_validated: Some(true),
            external_version_identifier: Some(861_234_567),
            ..ManagedApp::default()
        };
        check(Body::ManagedApplicationList(&[managed; 15]), 5_715);
        check(Body::SecurityInfo(&SecurityInfo::Ios(IosSecurity::default())), 872);
        let recovery = MacSecurity {
            fde_personal_recovery_key_cms: Some(&[7; 500]),
            fde_personal_recovery_key_device_key: Some("C02XXXXXJG5H"),
            ..MacSecurity::default()
        };
        check(Body::SecurityInfo(&SecurityInfo::Macos(recovery)), 2_640);
        let certificate = CertificateItem { common_name: "Example Root CA", is_identity: false, data: &[7; 1_300] };
        check(Body::CertificateList(&[certificate; 20]), 38_274);
        let user = UserItem::Macos {
            user_name: "ada",
            full_name: "Ada Berg",
            uid: 501,
            user_guid: "6E1C8F0A-0F5E-4B1D-9C77-2D1E1A4B9F16",
            is_logged_in: true,
            mobile_account: false,
            has_secure_token: true,
        };
        check(Body::Users(&[user; 3]), 1_471);
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("result", target);
    }

    #[test]
    fn what_a_result_lacks_is_named() {
        let check = |inner: &str, expected: ResultError| {
            let value = plist::read(format!("<dict>{inner}</dict>").as_bytes(), &Limits::default()).unwrap();
            assert_eq!(Received::of(&value), Err(expected), "{inner}");
        };
        let status = |status: &str| format!("<key>Status</key><string>{status}</string>");
        check("", ResultError::NoStatus);
        check(&status("Busy"), ResultError::UnknownStatus("Busy".into()));
        check(&status("Idle"), ResultError::Anonymous(Anonymous));
        check(&format!("{}<key>UDID</key><string>U</string>", status("NotNow")), ResultError::NoCommandUuid);
        assert_eq!(Received::of(&Value::Array(vec![])), Err(ResultError::NotADictionary));
    }

    /// The same messages built elsewhere, or seen: a UDID may be 25, 36 or 40 characters, a command's name any number,
    /// and an error says its text twice.
    #[test]
    fn sizes_are_those_of_real_results() {
        let near = |size: usize, expected: usize, off_max: usize| {
            assert!(size.abs_diff(expected) <= off_max, "{size}, expected about {expected}");
        };
        let check = |size, expected| near(size, expected, 20);
        let mut idle = Vec::new();
        write_idle(&mut idle, &DEVICE);
        check(idle.len(), 291);
        let bare = |status| written(&Outcome::bare(UUID, status), &Body::None).len();
        check(bare(CommandStatus::Acknowledged), 378);
        check(bare(CommandStatus::NotNow), 372);
        let text = unknown_request_type("EnableLostMode");
        let error = Outcome { uuid: UUID, status: CommandStatus::Error, errors: &[ErrorItem::unknown(&text)] };
        near(written(&error, &Body::None).len(), 735, 60);
        let queued = Body::Installing { identifier: "com.example.notes", state: "Queued", rejection_reason: None };
        check(written(&Outcome::bare(UUID, CommandStatus::Acknowledged), &queued).len(), 478);
    }
}
