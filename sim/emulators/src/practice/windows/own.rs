//! What the server wants to know and to set by itself, in each session.

use super::document::PROVIDER;
use super::{Device, Settings};
use crate::practice::house::House;
use droves_wire::windows::syncml::{Body, Command, Data, Format, Item, Meta, Verb};

/// A command of the server's own.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) purpose: Purpose,
    pub(super) command: Command<'static>,
}

/// What comes of its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The device has this PFN.
    Pfn(String),
    /// The device says where it is pushed.
    Channel,
    /// Nothing.
    Nothing,
}

/// The commands with which a session begins.
pub(super) fn commands(settings: &Settings, device: &mut Device, house: &mut House) -> Vec<Own> {
    let mut all = Vec::new();
    if settings.rekeys && !device.account.is_rekeyed {
        let (name, secret) = device.account.rekey(house);
        let (name, secret) = (name.to_owned(), secret.to_owned());
        for (node, value) in [("AAuthName", name), ("AAuthSecret", secret)] {
            let uri = format!("./SyncML/DMAcc/{PROVIDER}/AppAuth/CLCRED/{node}");
            all.push(Own { purpose: Purpose::Nothing, command: replace(house, uri, value) });
        }
    }
    let push = |node: &str| format!("./Device/Vendor/MSFT/DMClient/Provider/{PROVIDER}/Push/{node}");
    if let Some(pfn) = &settings.pfn {
        if device.pfn.as_ref() != Some(pfn) {
            all.push(Own { purpose: Purpose::Pfn(pfn.clone()), command: replace(house, push("PFN"), pfn.clone()) });
        }
        all.push(Own { purpose: Purpose::Channel, command: get(house, push("ChannelURI")) });
        all.push(Own { purpose: Purpose::Nothing, command: get(house, push("Status")) });
    }
    all
}

/// A `Replace` in place of an `Add` of what there was (fleetdm/fleet#26904).
pub(super) fn instead(add: Command<'_>, house: &mut House) -> Option<Own> {
    let Body::Nodes { verb: Verb::Add, meta, items } = add.body else { return None };
    let own = |meta: Meta<'_>| Meta {
        format: meta.format.map(|text| text.into_owned().into()),
        kind: meta.kind.map(|text| text.into_owned().into()),
        ..Meta::default()
    };
    let item = |item: Item<'_>| Item {
        target: item.target.map(|uri| uri.into_owned().into()),
        meta: own(item.meta),
        data: item.data.map(|data| match data {
            Data::Text(text) | Data::CData(text) => Data::Text(text.into_owned().into()),
            Data::Markup(markup) => Data::Markup(markup.into_owned().into()),
        }),
        ..Item::default()
    };
    let body = Body::Nodes { verb: Verb::Replace, meta: own(meta), items: items.into_iter().map(item).collect() };
    Some(Own { purpose: Purpose::Nothing, command: Command { id: name(house).into(), body } })
}

fn replace(house: &mut House, uri: String, value: String) -> Command<'static> {
    let meta = Meta { format: Some(Format::Chr.name().into()), kind: Some("text/plain".into()), ..Meta::default() };
    let item = Item { target: Some(uri.into()), meta, data: Some(Data::Text(value.into())), ..Item::default() };
    nodes(house, Verb::Replace, item)
}

fn get(house: &mut House, uri: String) -> Command<'static> {
    nodes(house, Verb::Get, Item { target: Some(uri.into()), ..Item::default() })
}

fn nodes(house: &mut House, verb: Verb, item: Item<'static>) -> Command<'static> {
    Command { id: name(house).into(), body: Body::Nodes { verb, meta: Meta::default(), items: vec![item] } }
}

/// A `CmdID` that no other command ever has, of a UUID's shape.
fn name(house: &mut House) -> String {
    let mut name = hex::encode(&house.fresh()[..16]);
    for at in [20, 16, 12, 8] {
        name.insert(at, '-');
    }
    name
}
