//! The administrator's commands: a fragment of SyncML taken apart. Each waits as a message of its own.

use crate::practice::device::Queued;
use droves_facts::Limits;
use droves_wire::windows::syncml::{Body, Command, Composer, Data, Header, Message, Verb, piece};
use std::collections::HashSet;
use std::sync::Arc;

/// Less than this of an object is not worth a message.
const PART_BYTES_MIN: usize = 64;

/// The commands of a fragment, each with a `CmdID` that no other of them has.
pub(in crate::practice) fn offered(body: &[u8], limits: &Limits) -> Result<Vec<Arc<Queued>>, String> {
    let whole = [b"<SyncML><SyncHdr/><SyncBody>", body, b"</SyncBody></SyncML>"].concat();
    let message = Message::read(&whole, limits).map_err(|error| error.to_string())?;
    if message.commands.is_empty() {
        return Err("no command".to_owned());
    }
    let mut ids = HashSet::new();
    for command in &message.commands {
        check(command, &mut ids)?;
    }
    let queued = |command: Command<'_>| {
        let mut names = all(&command).into_iter().map(|one| (one.id.to_string(), one.body.name().to_owned()));
        let (uuid, request) = names.next().unwrap_or_default();
        let inside = names.collect();
        let mut body = Vec::new();
        Message { commands: vec![command], ..Message::default() }.write(&mut body);
        Arc::new(Queued { uuid, request, inside, body: body.into(), is_copy: false })
    };
    Ok(message.commands.into_iter().map(queued).collect())
}

/// Recurses into groups, which were as deep as the reader lets them be.
fn check<'c>(command: &'c Command<'_>, ids: &mut HashSet<&'c str>) -> Result<(), String> {
    let id = &*command.id;
    if matches!(id, "" | "0") || !ids.insert(id) {
        return Err(format!("{} with CmdID `{id}`: each needs one of its own, and not 0", command.body.name()));
    }
    match &command.body {
        Body::Nodes { items, .. } if !items.is_empty() && items.iter().all(|item| item.target.is_some()) => Ok(()),
        Body::Group { commands, .. } if !commands.is_empty() => commands.iter().try_for_each(|one| check(one, ids)),
        _ => Err(format!("`{id}` is no command with nodes")),
    }
}

/// The command in a message of its own, as it was queued.
pub(super) fn parsed<'a>(queued: &'a Queued, limits: &Limits) -> Option<Command<'a>> {
    Message::read(&queued.body, limits).ok()?.commands.into_iter().next()
}

/// A command and whatever is inside of it.
fn all<'c, 'a>(command: &'c Command<'a>) -> Vec<&'c Command<'a>> {
    let mut all = vec![command];
    if let Body::Group { commands, .. } = &command.body {
        all.extend(commands.iter().flat_map(self::all));
    }
    all
}

/// Whether it is an `Exec` of a node whose path, in lower case, `is` one.
pub(super) fn executes(command: &Command<'_>, is: impl Fn(&str) -> bool) -> bool {
    let Body::Nodes { verb: Verb::Exec, items, .. } = &command.body else { return false };
    items.iter().filter_map(|item| item.target.as_deref()).any(|uri| is(&uri.to_ascii_lowercase()))
}

/// Appends the part of a command's object that follows the first `done` bytes, as far as the message has room. Gives how
/// many bytes are done then, and whether that is all; `None` is a command that can't be parted, or no room.
pub(super) fn push_part(composer: &mut Composer<'_>, command: Command<'_>, done: usize) -> Option<(usize, bool)> {
    let Body::Nodes { verb, meta, mut items } = command.body else { return None };
    let [item] = items.as_mut_slice() else { return None };
    let Some(Data::Text(text)) = item.data.take() else { return None };
    let rest = text.get(done..)?;
    item.meta.size = (done == 0).then_some(text.len() as u64);
    item.more = true;
    item.data = Some(Data::Text("".into()));
    let empty = Command { id: command.id, body: Body::Nodes { verb, meta, items } };
    let room = composer.room().checked_sub(length(&empty)).filter(|room| *room >= PART_BYTES_MIN)?;
    let part = piece(rest, room);
    let mut command = empty;
    let Body::Nodes { items, .. } = &mut command.body else { return None };
    let item = items.first_mut()?;
    item.more = !part.rest.is_empty();
    item.data = Some(Data::Text(part.now.into()));
    composer.push(&command).then_some((done + part.now.len(), part.rest.is_empty()))
}

/// Bytes of a command.
fn length(command: &Command<'_>) -> usize {
    let mut out = Vec::new();
    let mut composer = Composer::new(&mut out, &Header::default(), usize::MAX);
    let before = composer.room();
    composer.push(command);
    before - composer.room()
}
