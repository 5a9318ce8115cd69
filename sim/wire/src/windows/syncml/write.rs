//! The writer, with the elements in the order of the DTD.

use super::{Body, Challenge, Command, Credentials, Data, Group, Header, Item, Location, Meta, Status};
use crate::windows::xml::Writer;

const SYNCML: &str = "SYNCML:SYNCML1.2";
const METINF: &[(&str, &str)] = &[("xmlns", "syncml:metinf")];
/// The end with the mark of the last message, which must always fit.
const FINAL: &str = "<Final/></SyncBody></SyncML>";

/// A message in the making: its header is written at once, then command by command.
pub struct Composer<'a> {
    out: &'a mut Vec<u8>,
    begun: usize,
    message_bytes_max: usize,
}

impl<'a> Composer<'a> {
    /// Begins a message of at most so many bytes: what the other side said to take.
    pub fn new(out: &'a mut Vec<u8>, header: &Header<'_>, message_bytes_max: usize) -> Self {
        let begun = out.len();
        let mut w = Writer { out };
        w.raw("<SyncML xmlns=\"");
        w.raw(SYNCML);
        w.raw("\">");
        w.element("SyncHdr", &[], |w| self::header(w, header));
        w.raw("<SyncBody>");
        Composer { out, begun, message_bytes_max }
    }

    /// Appends a command, if the message has room for it; otherwise it stays as it was, and the answer is no.
    pub fn push(&mut self, command: &Command<'_>) -> bool {
        let before = self.out.len();
        self::command(&mut Writer { out: self.out }, command);
        let fits = self.out.len() - self.begun + FINAL.len() <= self.message_bytes_max;
        if !fits {
            self.out.truncate(before);
        }
        fits
    }

    /// Bytes that are left for commands.
    pub fn room(&self) -> usize {
        self.message_bytes_max.saturating_sub(self.out.len() - self.begun + FINAL.len())
    }

    /// Ends the message; `last` says that the package ends with it.
    pub fn end(self, last: bool) {
        let end = if last { FINAL } else { FINAL.trim_start_matches("<Final/>") };
        self.out.extend_from_slice(end.as_bytes());
    }
}

/// Writes commands as they stand in a body, without a message around them.
pub fn fragment(commands: &[Command<'_>], out: &mut Vec<u8>) {
    commands.iter().for_each(|command| self::command(&mut Writer { out }, command));
}

fn header(w: &mut Writer<'_>, header: &Header<'_>) {
    w.text("VerDTD", "1.2");
    w.text("VerProto", "DM/1.2");
    w.text("SessionID", &header.session);
    w.text("MsgID", &header.message);
    location(w, "Target", &header.target);
    location(w, "Source", &header.source);
    w.maybe("RespURI", header.respond_to.as_deref());
    if let Some(Credentials { kind, data }) = &header.credentials {
        w.element("Cred", &[], |w| {
            w.element("Meta", &[], |w| authentication(w, kind, None));
            w.text("Data", data);
        });
    }
    if header.message_bytes_max.is_some() || header.object_bytes_max.is_some() {
        w.element("Meta", &[], |w| {
            metinf(w, "MaxMsgSize", header.message_bytes_max.map(|n| n.to_string()).as_deref());
            metinf(w, "MaxObjSize", header.object_bytes_max.map(|n| n.to_string()).as_deref());
        });
    }
}

fn location(w: &mut Writer<'_>, name: &str, location: &Location<'_>) {
    w.element(name, &[], |w| {
        w.text("LocURI", &location.uri);
        w.maybe("LocName", location.name.as_deref());
    });
}

fn authentication(w: &mut Writer<'_>, kind: &str, next_nonce: Option<&str>) {
    metinf(w, "Format", Some("b64"));
    metinf(w, "Type", Some(kind));
    metinf(w, "NextNonce", next_nonce);
}

fn metinf(w: &mut Writer<'_>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        w.text_with(name, METINF, text);
    }
}

fn meta(w: &mut Writer<'_>, meta: &Meta<'_>) {
    if *meta == Meta::default() {
        return;
    }
    w.element("Meta", &[], |w| {
        metinf(w, "Format", meta.format.as_deref());
        metinf(w, "Type", meta.kind.as_deref());
        metinf(w, "Mark", meta.mark.as_deref());
        metinf(w, "Size", meta.size.map(|n| n.to_string()).as_deref());
    });
}

/// Recurses into groups, which were as deep as the reader lets them be.
fn command(w: &mut Writer<'_>, command: &Command<'_>) {
    w.element(command.body.name(), &[], |w| {
        if !command.id.is_empty() {
            w.text("CmdID", &command.id);
        }
        match &command.body {
            Body::Nodes { verb: _, meta, items } => {
                self::meta(w, meta);
                self::items(w, items);
            }
            Body::Group { kind: Group::Atomic | Group::Sequence, meta, commands } => {
                self::meta(w, meta);
                commands.iter().for_each(|child| self::command(w, child));
            }
            Body::Alert { code, items } => {
                w.number("Data", (*code).into());
                self::items(w, items);
            }
            Body::Status(status) => self::status(w, status),
            Body::Results { message, command, meta, items } => {
                w.text("MsgRef", message);
                w.text("CmdRef", command);
                self::meta(w, meta);
                self::items(w, items);
            }
            Body::Unknown(_) => {}
        }
    });
}

fn status(w: &mut Writer<'_>, status: &Status<'_>) {
    w.text("MsgRef", &status.message);
    w.text("CmdRef", &status.command);
    w.text("Cmd", &status.name);
    status.targets.iter().for_each(|uri| w.text("TargetRef", uri));
    status.sources.iter().for_each(|uri| w.text("SourceRef", uri));
    if let Some(Challenge { kind, next_nonce }) = &status.challenge {
        w.element("Chal", &[], |w| {
            w.element("Meta", &[], |w| authentication(w, kind, next_nonce.as_deref()));
        });
    }
    w.number("Data", status.code.into());
    items(w, &status.items);
}

fn items(w: &mut Writer<'_>, items: &[Item<'_>]) {
    for item in items {
        w.element("Item", &[], |w| {
            for (name, uri) in [("Target", &item.target), ("Source", &item.source)] {
                if let Some(uri) = uri {
                    w.element(name, &[], |w| w.text("LocURI", uri));
                }
            }
            meta(w, &item.meta);
            match &item.data {
                None => {}
                Some(Data::Text(text)) => w.text("Data", text),
                Some(Data::CData(text)) => w.element("Data", &[], |w| w.raw(&cdata(text))),
                Some(Data::Markup(markup)) => w.element("Data", &[], |w| w.raw(markup)),
            }
            if item.more {
                w.empty("MoreData", &[]);
            }
        });
    }
}

/// The end of a section inside of one is parted between two.
fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}
