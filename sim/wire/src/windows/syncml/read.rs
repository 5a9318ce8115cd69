//! The reader.

use super::{Body, Challenge, Command, Credentials, Data, Group, Header, Item, Location, Message, Meta, Status, Verb};
use crate::windows::xml::{Broken, Content, Element, Reader, XmlError};
use droves_facts::Limits;
use std::borrow::Cow;

pub(super) fn message<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Message<'a>, XmlError> {
    let mut xml = Reader::new(bytes, limits)?;
    xml.root("SyncML")?;
    let (mut read, mut body) = (None, None);
    while let Some(child) = xml.child()? {
        match child.name() {
            "SyncHdr" => read = Some(header(&mut xml)?),
            "SyncBody" => body = Some(sync_body(&mut xml)?),
            _ => xml.skip()?,
        }
    }
    xml.finish()?;
    let header = read.ok_or_else(|| xml.error(Broken::Missing("SyncHdr")))?;
    let (commands, last) = body.ok_or_else(|| xml.error(Broken::Missing("SyncBody")))?;
    Ok(Message { header, commands, last })
}

fn header<'a>(xml: &mut Reader<'a>) -> Result<Header<'a>, XmlError> {
    let mut header = Header::default();
    while let Some(child) = xml.child()? {
        match child.name() {
            "SessionID" => header.session = xml.word()?,
            "MsgID" => header.message = xml.word()?,
            "Target" => header.target = location(xml)?,
            "Source" => header.source = location(xml)?,
            "RespURI" => header.respond_to = Some(xml.word()?),
            "Cred" => header.credentials = Some(credentials(xml)?),
            "Meta" => {
                let meta = every_meta(xml)?;
                (header.message_bytes_max, header.object_bytes_max) = (meta.message_bytes_max, meta.object_bytes_max);
            }
            _ => xml.skip()?,
        }
    }
    Ok(header)
}

fn location<'a>(xml: &mut Reader<'a>) -> Result<Location<'a>, XmlError> {
    let mut location = Location::default();
    while let Some(child) = xml.child()? {
        match child.name() {
            "LocURI" => location.uri = xml.word()?,
            "LocName" => location.name = Some(xml.word()?),
            _ => xml.skip()?,
        }
    }
    Ok(location)
}

fn credentials<'a>(xml: &mut Reader<'a>) -> Result<Credentials<'a>, XmlError> {
    let (mut kind, mut data) = (None, None);
    while let Some(child) = xml.child()? {
        match child.name() {
            "Meta" => kind = every_meta(xml)?.meta.kind,
            "Data" => data = Some(xml.word()?),
            _ => xml.skip()?,
        }
    }
    // Basic is what credentials are if they don't say (SyncML RepPro, 5.2.3).
    let kind = kind.unwrap_or(Cow::Borrowed(super::BASIC));
    Ok(Credentials { kind, data: data.ok_or_else(|| xml.error(Broken::Missing("Data")))? })
}

fn challenge<'a>(xml: &mut Reader<'a>) -> Result<Challenge<'a>, XmlError> {
    let mut found = None;
    while let Some(child) = xml.child()? {
        match child.name() {
            "Meta" => found = Some(every_meta(xml)?),
            _ => xml.skip()?,
        }
    }
    let meta = found.ok_or_else(|| xml.error(Broken::Missing("Meta")))?;
    let kind = meta.meta.kind.unwrap_or(Cow::Borrowed(super::BASIC));
    Ok(Challenge { kind, next_nonce: meta.next_nonce })
}

/// Everything that a `Meta` may say, wherever it stands.
#[derive(Default)]
struct EveryMeta<'a> {
    meta: Meta<'a>,
    next_nonce: Option<Cow<'a, str>>,
    message_bytes_max: Option<u64>,
    object_bytes_max: Option<u64>,
}

fn every_meta<'a>(xml: &mut Reader<'a>) -> Result<EveryMeta<'a>, XmlError> {
    let mut every = EveryMeta::default();
    while let Some(child) = xml.child()? {
        match child.name() {
            "Format" => every.meta.format = Some(xml.word()?),
            "Type" => every.meta.kind = Some(xml.word()?),
            "Mark" => every.meta.mark = Some(xml.word()?),
            "Size" => every.meta.size = Some(xml.number("Size")?),
            "NextNonce" => every.next_nonce = Some(xml.word()?),
            "MaxMsgSize" => every.message_bytes_max = Some(xml.number("MaxMsgSize")?),
            "MaxObjSize" => every.object_bytes_max = Some(xml.number("MaxObjSize")?),
            _ => xml.skip()?,
        }
    }
    Ok(every)
}

fn sync_body<'a>(xml: &mut Reader<'a>) -> Result<(Vec<Command<'a>>, bool), XmlError> {
    let (mut commands, mut last) = (Vec::new(), false);
    while let Some(child) = xml.child()? {
        if child.name() == "Final" {
            xml.skip()?;
            last = true;
        } else {
            commands.push(command(xml, &child)?);
        }
    }
    Ok((commands, last))
}

/// Recurses into groups; the reader's depth is bounded.
fn command<'a>(xml: &mut Reader<'a>, element: &Element<'a>) -> Result<Command<'a>, XmlError> {
    match element.name() {
        "Alert" | "Status" | "Results" => reply(xml, element),
        "Atomic" => group(xml, Group::Atomic),
        "Sequence" => group(xml, Group::Sequence),
        name => match Verb::ALL.into_iter().find(|verb| verb.name() == name) {
            Some(verb) => nodes(xml, verb),
            None => unknown(xml, element),
        },
    }
}

fn nodes<'a>(xml: &mut Reader<'a>, verb: Verb) -> Result<Command<'a>, XmlError> {
    let (mut id, mut meta, mut items) = (Cow::Borrowed(""), Meta::default(), Vec::new());
    while let Some(child) = xml.child()? {
        match child.name() {
            "CmdID" => id = xml.word()?,
            "Meta" => meta = every_meta(xml)?.meta,
            "Item" => items.push(item(xml)?),
            _ => xml.skip()?,
        }
    }
    Ok(Command { id, body: Body::Nodes { verb, meta, items } })
}

fn group<'a>(xml: &mut Reader<'a>, kind: Group) -> Result<Command<'a>, XmlError> {
    let (mut id, mut meta, mut commands) = (Cow::Borrowed(""), Meta::default(), Vec::new());
    while let Some(child) = xml.child()? {
        match child.name() {
            "CmdID" => id = xml.word()?,
            "Meta" => meta = every_meta(xml)?.meta,
            "NoResp" => xml.skip()?,
            _ => commands.push(command(xml, &child)?),
        }
    }
    Ok(Command { id, body: Body::Group { kind, meta, commands } })
}

/// What one side tells the other of itself: `Alert`, `Status`, `Results`.
fn reply<'a>(xml: &mut Reader<'a>, element: &Element<'a>) -> Result<Command<'a>, XmlError> {
    let (mut id, mut code, mut meta, mut status) = (Cow::Borrowed(""), None, Meta::default(), Status::default());
    while let Some(child) = xml.child()? {
        match child.name() {
            "CmdID" => id = xml.word()?,
            "MsgRef" => status.message = xml.word()?,
            "CmdRef" => status.command = xml.word()?,
            "Cmd" => status.name = xml.word()?,
            "TargetRef" => status.targets.push(xml.word()?),
            "SourceRef" => status.sources.push(xml.word()?),
            "Chal" => status.challenge = Some(challenge(xml)?),
            "Data" => code = Some(xml.number("Data")?),
            "Meta" => meta = every_meta(xml)?.meta,
            "Item" => status.items.push(item(xml)?),
            _ => xml.skip()?,
        }
    }
    let code = || code.ok_or_else(|| xml.error(Broken::Missing("Data")));
    let body = match element.name() {
        "Alert" => Body::Alert { code: code()?, items: status.items },
        "Status" => Body::Status(Status { code: code()?, ..status }),
        _ => Body::Results { message: status.message, command: status.command, meta, items: status.items },
    };
    Ok(Command { id, body })
}

/// Its id only: a device refuses it by that.
fn unknown<'a>(xml: &mut Reader<'a>, element: &Element<'a>) -> Result<Command<'a>, XmlError> {
    let [id] = xml.find(["CmdID"])?;
    let id = id.unwrap_or_default();
    Ok(Command { id, body: Body::Unknown(Cow::Owned(element.name().to_owned())) })
}

fn item<'a>(xml: &mut Reader<'a>) -> Result<Item<'a>, XmlError> {
    let mut item = Item::default();
    while let Some(child) = xml.child()? {
        match child.name() {
            "Target" => item.target = Some(location(xml)?.uri),
            "Source" => item.source = Some(location(xml)?.uri),
            "Meta" => item.meta = every_meta(xml)?.meta,
            "Data" => {
                item.data = Some(match xml.content()? {
                    Content::Text(text) => Data::Text(text),
                    Content::Markup(markup) => Data::Markup(Cow::Borrowed(markup)),
                });
            }
            "MoreData" => {
                xml.skip()?;
                item.more = true;
            }
            _ => xml.skip()?,
        }
    }
    Ok(item)
}
