//! The server's answer in the command loop: nothing, or a command (Apple: *Commands and queries*; schema
//! `mdm/commands`).
//!
//! On the device side [`parse`] looks for three things only, `CommandUUID`, `RequestType` and where the `Command`
//! dictionary lies, in one pass and without a tree; [`Offered::command`] reads the rest where it is needed. On the
//! server side [`super::request::write()`] builds each command that a fleet answers.

use crate::plist::{self, At, Broken, Dict, Event, Events, PlistError, Tag, Value};
use droves_facts::Limits;
use std::borrow::Cow;

/// `Content-Type` of a result, to which a command is the answer.
pub const CONTENT_TYPE: &str = "application/x-apple-aspen-mdm";

/// A command as the server offered it.
#[derive(Clone, PartialEq, Debug)]
pub struct Offered<'a> {
    /// Its name: any string.
    pub uuid: Cow<'a, str>,
    /// What is wanted.
    pub request_type: Cow<'a, str>,
    command: Command<'a>,
}

#[derive(Clone, PartialEq, Debug)]
enum Command<'a> {
    Xml(&'a [u8]),
    Read(Dict),
}

impl Offered<'_> {
    /// The whole `Command` dictionary.
    pub fn command(&self, limits: &Limits) -> Result<Dict, PlistError> {
        match &self.command {
            Command::Read(dict) => Ok(dict.clone()),
            Command::Xml(bytes) => match plist::read(bytes, limits)? {
                Value::Dict(dict) => Ok(dict),
                // The bytes begin with `<dict`.
                _ => Err(PlistError { broken: Broken::Empty, at: At::Line { line: 1, column: 1 } }),
            },
        }
    }
}

/// What a device answers with `CommandFormatError`.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[error("{why}")]
pub struct FormatError {
    /// The command's name, if it was seen.
    pub uuid: Option<String>,
    /// What is wrong.
    #[source]
    pub why: NotACommand,
}

/// Why bytes are no command.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum NotACommand {
    /// No property list at all.
    #[error("command message that is no property list")]
    Plist(#[from] PlistError),
    /// Not a dictionary.
    #[error("command message that is not a dictionary")]
    NotADictionary,
    /// No `CommandUUID`, as in an empty dictionary: "nothing to do" is said by no bytes at all.
    #[error("command message without CommandUUID")]
    NoCommandUuid,
    /// No dictionary `Command`.
    #[error("command message without a Command dictionary")]
    NoCommand,
    /// No `RequestType`.
    #[error("command without RequestType")]
    NoRequestType,
}

/// Reads the server's answer; `None` is "nothing to do". Values are not looked at, but for those that are wanted: one
/// that is not of its type is found by [`Offered::command`].
pub fn parse<'a>(body: &'a [u8], limits: &Limits) -> Result<Option<Offered<'a>>, FormatError> {
    if body.is_empty() {
        return Ok(None);
    }
    let mut seen = Seen::default();
    let scanned = if body.starts_with(b"bplist") || body.len() > limits.body_bytes_max {
        plist::read(body, limits).map_err(NotACommand::Plist).and_then(|value| seen.take(value))
    } else {
        seen.scan(body, limits)
    };
    let missing =
        |seen: Seen<'a>, why| FormatError { uuid: seen.uuid.filter(|uuid| !uuid.is_empty()).map(Cow::into_owned), why };
    match (scanned, seen) {
        (Ok(()), Seen { uuid: Some(uuid), request_type: Some(request_type), command: Some(command) })
            if !uuid.is_empty() =>
        {
            Ok(Some(Offered { uuid, request_type, command }))
        }
        (Err(why), seen) => Err(missing(seen, why)),
        (Ok(()), seen) => {
            let why = match (&seen.uuid, &seen.command) {
                (None, _) => NotACommand::NoCommandUuid,
                (Some(uuid), _) if uuid.is_empty() => NotACommand::NoCommandUuid,
                (_, None) => NotACommand::NoCommand,
                _ => NotACommand::NoRequestType,
            };
            Err(missing(seen, why))
        }
    }
}

/// What a fuzzer drives: the quick look finds what the whole reading finds.
pub fn target(bytes: &[u8]) {
    let limits = Limits::default();
    let parsed = parse(bytes, &limits);
    let Ok(value) = plist::read(bytes, &limits) else { return };
    let uuid = value.get("CommandUUID").and_then(Value::as_str).filter(|uuid| !uuid.is_empty());
    let command = value.get("Command").and_then(Value::as_dict);
    let whole =
        uuid.zip(command).and_then(|(uuid, command)| Some((uuid, command.str("RequestType")?, command.clone())));
    let quick = parsed.as_ref().ok().and_then(Option::as_ref);
    let quick = quick.and_then(|quick| Some((&*quick.uuid, &*quick.request_type, quick.command(&limits).ok()?)));
    assert_eq!(whole, quick);
}

/// What one pass has found. Of a key that comes twice the last counts, as in the whole reading.
#[derive(Default)]
struct Seen<'a> {
    uuid: Option<Cow<'a, str>>,
    request_type: Option<Cow<'a, str>>,
    command: Option<Command<'a>>,
}

impl<'a> Seen<'a> {
    fn take(&mut self, value: Value) -> Result<(), NotACommand> {
        let Value::Dict(dict) = value else { return Err(NotACommand::NotADictionary) };
        self.uuid = dict.str("CommandUUID").map(|uuid| Cow::Owned(uuid.to_owned()));
        if let Some(command) = dict.dict("Command") {
            self.request_type = command.str("RequestType").map(|kind| Cow::Owned(kind.to_owned()));
            self.command = Some(Command::Read(command.clone()));
        }
        Ok(())
    }

    fn scan(&mut self, body: &'a [u8], limits: &Limits) -> Result<(), NotACommand> {
        let mut events = Events::new(body)?;
        // Containers that are open, and the key that waits for its value in the message and in the command.
        let (mut depth, mut key, mut inner) = (0_usize, None, None);
        let (mut begun, mut root, mut plist) = (None, false, false);
        while let Some(event) = events.next()? {
            let in_command = depth == 2 && begun.is_some();
            match event {
                Event::Begin(Tag::Plist) if depth == 0 && !root && !plist => plist = true,
                Event::End(Tag::Plist) if depth == 0 => plist = false,
                Event::Begin(Tag::Plist) | Event::End(Tag::Plist) => {
                    return Err(events.error(Broken::Element("plist".to_owned())).into());
                }
                _ if depth == 0 && root => return Err(events.error(Broken::Trailing).into()),
                Event::Text(Tag::Key, text) => {
                    let waits = if in_command { &mut inner } else { &mut key };
                    if (depth == 1 || in_command) && waits.replace(text).is_some() {
                        return Err(events.error(Broken::KeyWithoutValue).into());
                    }
                }
                Event::End(_) => {
                    depth = depth.saturating_sub(1);
                    if depth == 1
                        && let Some(start) = begun.take()
                    {
                        self.command = body.get(start..events.offset()).map(Command::Xml);
                    }
                }
                Event::Begin(Tag::Dict) if depth == 0 => (root, depth) = (true, 1),
                Event::Begin(_) | Event::Text(..) if depth == 0 => return Err(NotACommand::NotADictionary),
                value => {
                    let (tag, text) = match value {
                        Event::Text(tag, text) => (tag, Some(text)),
                        Event::Begin(tag) | Event::End(tag) => (tag, None),
                    };
                    let opens = text.is_none();
                    if in_command {
                        let key = inner.take().ok_or_else(|| events.error(Broken::ValueWithoutKey))?;
                        self.inner(&key, tag, text);
                    } else if depth == 1 {
                        let key = key.take().ok_or_else(|| events.error(Broken::ValueWithoutKey))?;
                        if self.outer(&key, tag, text) {
                            begun = Some(events.before());
                        }
                    }
                    depth += usize::from(opens);
                    if depth > limits.plist_depth_max {
                        let broken = Broken::TooDeep { depth_max: limits.plist_depth_max };
                        return Err(events.error(broken).into());
                    }
                }
            }
        }
        match (root, depth) {
            (true, 0) if !plist => Ok(()),
            (false, _) => Err(events.error(Broken::Empty).into()),
            _ => Err(events.error(Broken::Truncated).into()),
        }
    }

    /// A value of the message; whether the command's dictionary begins with it.
    fn outer(&mut self, key: &str, tag: Tag, text: Option<Cow<'a, str>>) -> bool {
        match key {
            "CommandUUID" => self.uuid = text.filter(|_| tag == Tag::String),
            "Command" => {
                (self.request_type, self.command) = (None, None);
                return tag == Tag::Dict;
            }
            _ => {}
        }
        false
    }

    /// A value of the command.
    fn inner(&mut self, key: &str, tag: Tag, text: Option<Cow<'a, str>>) {
        if key == "RequestType" {
            self.request_type = text.filter(|_| tag == Tag::String);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::apple::request::{Request, write};
    use crate::plist::Node;
    use proptest::prelude::*;

    fn written(uuid: &str, request: &Request<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, uuid, request);
        out
    }

    fn check(text: &str, expected: Result<(&str, &str), NotACommand>) {
        let parsed = parse(text.as_bytes(), &Limits::default());
        match (&parsed, &expected) {
            (Ok(Some(offered)), Ok((uuid, kind))) => {
                assert_eq!((&*offered.uuid, &*offered.request_type), (*uuid, *kind))
            }
            (Err(error), Err(why)) => assert_eq!(&error.why, why, "{text}"),
            _ => panic!("{text}: {parsed:?}, expected {expected:?}"),
        }
        target(text.as_bytes());
    }

    #[test]
    fn nothing_is_said_by_no_bytes_only() {
        assert_eq!(parse(b"", &Limits::default()), Ok(None));
        check("<plist><dict/></plist>", Err(NotACommand::NoCommandUuid));
        check("<plist><array/></plist>", Err(NotACommand::NotADictionary));
        check("<plist><true/></plist>", Err(NotACommand::NotADictionary));
        assert!(parse(b" ", &Limits::default()).is_err());
        assert!(parse(b"<html>busy</html>", &Limits::default()).is_err());
    }

    #[test]
    fn a_command_is_found_wherever_its_keys_stand() {
        let uuid = "<key>CommandUUID</key><string>a &amp; b</string>";
        let command = "<key>Command</key><dict><key>X</key><dict><key>RequestType</key><string>No</string></dict>\
                       <key>RequestType</key><string>ProfileList</string></dict>";
        let good = Ok(("a & b", "ProfileList"));
        check(&format!("<dict>{uuid}{command}</dict>"), good.clone());
        check(
            &format!("<plist>\n<dict>{command}<key>More</key><array><true/></array>{uuid}</dict></plist>"),
            good.clone(),
        );
        check(&format!("<dict><key>Command</key><dict/>{uuid}{command}</dict>"), good);
        check(&format!("<dict>{command}</dict>"), Err(NotACommand::NoCommandUuid));
        check(&format!("<dict>{uuid}</dict>"), Err(NotACommand::NoCommand));
        check(
            &format!("<dict>{uuid}<key>Command</key><string>ProfileList</string></dict>"),
            Err(NotACommand::NoCommand),
        );
        check(&format!("<dict>{uuid}<key>Command</key><dict/></dict>"), Err(NotACommand::NoRequestType));
        check(&format!("<dict>{uuid}{command}<key>Command</key><dict/></dict>"), Err(NotACommand::NoRequestType));
        let error = parse(format!("<dict>{uuid}").as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.uuid.as_deref(), Some("a & b"));
        for broken in ["<dict><true/>", "<dict><key>a</key><key>b</key>", "<dict></dict><dict/>"] {
            assert!(matches!(parse(broken.as_bytes(), &Limits::default()).unwrap_err().why, NotACommand::Plist(_)));
        }
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("command", target);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("<dict><key>Command</key><dict><key>a</key>{}", "<array>".repeat(200_000));
        assert!(matches!(
            parse(deep.as_bytes(), &Limits::default()).unwrap_err().why,
            NotACommand::Plist(PlistError { broken: Broken::TooDeep { depth_max: 64 }, .. })
        ));
    }

    #[test]
    fn the_whole_command_is_read_from_either_format() {
        let limits = Limits::default();
        let text = written("c-1", &Request::InstallProfile { payload: b"<plist/>" });
        let value = ::plist::Value::from_reader_xml(text.as_slice()).unwrap();
        let mut binary = Vec::new();
        value.to_writer_binary(&mut binary).unwrap();
        for bytes in [&text, &binary] {
            let offered = parse(bytes, &limits).unwrap().unwrap();
            assert_eq!((&*offered.uuid, &*offered.request_type), ("c-1", "InstallProfile"));
            assert_eq!(offered.command(&limits).unwrap().data("Payload"), Some(&b"<plist/>"[..]));
            target(bytes);
        }
        assert!(matches!(parse(&text, &limits).unwrap().unwrap().uuid, Cow::Borrowed(_)));
    }

    const PIECES: &[&str] = &[
        "<plist>",
        "</plist>",
        "<dict>",
        "</dict>",
        "<dict/>",
        "<array>",
        "</array>",
        "<key>Command</key>",
        "<key>CommandUUID</key>",
        "<key>RequestType</key>",
        "<key>RequestType</key><string>R</string>",
        "<string>x</string>",
        "<string/>",
        "<true/>",
        "<integer>x</integer>",
        " ",
    ];

    proptest! {
        #[test]
        fn any_name_survives(uuid in "\\PC{1,60}", kind in "\\PC{1,20}", text in "\\PC{0,20}") {
            let pairs = [("Key", Node::String(&text)), ("Other", Node::Strings(&["RequestType", "Command"]))];
            let bytes = written(&uuid, &Request::Other { request_type: &kind, pairs: &pairs });
            let offered = parse(&bytes, &Limits::default()).unwrap().unwrap();
            prop_assert_eq!(&*offered.uuid, uuid);
            prop_assert_eq!(&*offered.request_type, kind);
            let command = offered.command(&Limits::default()).unwrap();
            prop_assert_eq!(command.str("Key"), Some(&*text));
            target(&bytes);
        }

        /// Pieces of commands in any order: the quick look and the whole reading must agree on each.
        #[test]
        fn no_run_of_elements_does_harm(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
            target(pieces.concat().as_bytes());
            let inner = pieces.concat();
            target(format!("<dict><key>CommandUUID</key><string>c</string><key>Command</key>{inner}</dict>").as_bytes());
            target(format!("<dict><key>Command</key><dict>{inner}</dict><key>CommandUUID</key><string>c</string></dict>").as_bytes());
        }

        #[test]
        fn no_bytes_do_harm(cut in 0_usize..400, byte: u8, at in 0_usize..400) {
            let mut bytes = written("c", &Request::DeviceInformation { queries: &["UDID"], attestation_nonce: None });
            bytes.truncate(cut);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            target(&bytes);
        }
    }
}
