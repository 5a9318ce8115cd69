//! What a server asks for.

use super::{PROVIDER, Reply};
use droves_wire::windows::syncml::{Body, Command, Data, Item, Meta, Verb};

/// A command about one node below the account's DMClient, or anywhere if it begins with `./`.
pub(super) fn command(id: &str, verb: Verb, uri: &str, data: &str) -> Command<'static> {
    let uri = match uri.strip_prefix("./") {
        Some(_) => uri.to_owned(),
        None => format!("./Device/Vendor/MSFT/DMClient/Provider/{PROVIDER}/{uri}"),
    };
    let format = if uri.contains("/Poll/") { "int" } else { "chr" };
    let item = Item {
        target: Some(uri.into()),
        meta: Meta { format: Some(format.into()), ..Meta::default() },
        data: Some(Data::Text(data.to_owned().into())).filter(|_| !data.is_empty()),
        ..Item::default()
    };
    Command { id: id.to_owned().into(), body: Body::Nodes { verb, meta: Meta::default(), items: vec![item] } }
}

pub(super) fn get(id: &str, uri: &str) -> Command<'static> {
    command(id, Verb::Get, uri, "")
}

pub(super) fn alert(id: &str, code: u16) -> Command<'static> {
    Command { id: id.to_owned().into(), body: Body::Alert { code, items: Vec::new() } }
}

pub(super) fn says(commands: impl IntoIterator<Item = Command<'static>>) -> Reply {
    Reply::Message(commands.into_iter().collect(), true)
}
