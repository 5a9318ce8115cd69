//! A command of the plan with its names, as it goes to the server: a property list, SyncML commands, or JSON.

use droves_facts::{CommandKey, Dice, PhaseIx, Purpose};
use droves_scenario::plan::{self, Asks, Node, SyncCommand, Value};
use droves_scenario::server::Queueing;
use droves_wire::plist::{self, Writer};
use droves_wire::windows::syncml::{self, Body, Data, Group, Item, Meta};
use serde::Serialize;
use serde_json::Map;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A command, ready to be queued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its names on the wire: one, or one for each SyncML command in it, groups before what is in them. Never empty.
    pub names: Vec<Name>,
    /// What it says.
    pub says: Says,
}

/// A command's name on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// As it is written.
    pub text: String,
    /// Its hash.
    pub key: CommandKey,
}

/// What a command says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Says {
    /// Apple.
    Request {
        /// The `RequestType`.
        name: String,
        /// `{Command: {RequestType, ..}, CommandUUID}`.
        plist: Vec<u8>,
    },
    /// Windows.
    Nodes {
        /// The commands, each with its `CmdID`, as they stand in a message.
        syncml: Vec<u8>,
        /// The same as data.
        list: Vec<Listed>,
    },
    /// Android.
    Json {
        /// By which call it is queued.
        queueing: Queueing,
        /// `LOCK`, or `runApp`; empty for a policy.
        kind: String,
        /// A Command, a policy, or a message's payload.
        json: String,
    },
}

/// A SyncML command as data, for APIs that speak JSON.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Listed {
    /// Its element's name.
    pub cmd: String,
    /// Its `CmdID`.
    pub id: String,
    /// Of which node, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The format of its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The commands in it, if it is a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Listed>,
}

impl Command {
    /// A command of a phase. Its names come from the run's dice: the `ordinal`-th and as many after it as it has parts.
    pub fn new(command: &plan::Command, dice: Dice, phase: PhaseIx, ordinal: u64) -> Self {
        let names: Vec<Name> = (ordinal..ordinal + u64::from(command.parts()))
            .map(|ordinal| {
                let bytes: [u8; 16] = dice.draw(u32::MAX - phase.0, Purpose::Nonce, ordinal).bytes();
                let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
                let text = Uuid::hyphenated(uuid).to_string().to_uppercase();
                Name { key: CommandKey::of(text.as_bytes()), text }
            })
            .collect();
        let mut next = names.iter().map(|name| name.text.as_str());
        let says = match &command.asks {
            Asks::Request(request) => Says::Request {
                name: request.name.clone(),
                plist: property_list(request, next.next().unwrap_or_default()),
            },
            Asks::Nodes(commands) => {
                let commands: Vec<_> = commands.iter().map(|command| of_syncml(command, &mut next)).collect();
                let mut syncml = Vec::new();
                syncml::fragment(&commands, &mut syncml);
                Says::Nodes { syncml, list: commands.iter().map(listed).collect() }
            }
            Asks::Order(order) => {
                let mut fields = object(&order.with);
                fields.insert("type".to_owned(), order.kind.clone().into());
                json(command, &order.kind, fields)
            }
            Asks::Policy(fields) | Asks::Configuration(fields) => json(command, "", object(fields)),
            Asks::Message(order) => json(command, &order.kind, object(&order.with)),
        };
        Command { names, says }
    }

    /// By which call it is queued.
    pub fn queueing(&self) -> Queueing {
        match self.says {
            Says::Request { .. } => Queueing::Apple,
            Says::Nodes { .. } => Queueing::Windows,
            Says::Json { queueing, .. } => queueing,
        }
    }

    /// What goes to the server.
    pub fn bytes(&self) -> &[u8] {
        match &self.says {
            Says::Request { plist, .. } => plist,
            Says::Nodes { syncml, .. } => syncml,
            Says::Json { json, .. } => json.as_bytes(),
        }
    }

    /// What templates know as `command`.
    pub(super) fn for_templates(&self) -> minijinja::Value {
        let name = self.names.first().map(|name| name.text.as_str()).unwrap_or_default();
        let bytes = std::str::from_utf8(self.bytes()).unwrap_or_default();
        match &self.says {
            Says::Request { name: request, .. } => {
                minijinja::context! { plist => bytes, uuid => name, request => request }
            }
            Says::Nodes { list, .. } => {
                minijinja::context! { syncml => bytes, list => minijinja::value::Serde(list), name => name }
            }
            Says::Json { kind, .. } => minijinja::context! { json => bytes, type => kind, name => name },
        }
    }
}

/// What Android is told, as JSON.
fn json(command: &plan::Command, kind: &str, fields: Map<String, serde_json::Value>) -> Says {
    let json = serde_json::Value::Object(fields).to_string();
    Says::Json { queueing: command.queueing(), kind: kind.to_owned(), json }
}

fn object(pairs: &BTreeMap<String, Value>) -> Map<String, serde_json::Value> {
    pairs.iter().map(|(key, value)| (key.clone(), json_of(value))).collect()
}

fn json_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Nothing => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Real(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(values) => values.iter().map(json_of).collect(),
        Value::Dict(pairs) => object(pairs).into(),
    }
}

fn property_list(request: &plan::Request, uuid: &str) -> Vec<u8> {
    let mut pairs: BTreeMap<&str, Part<'_>> =
        request.with.iter().map(|(key, value)| (key.as_str(), Part::Value(value))).collect();
    pairs.insert("RequestType", Part::Text(&request.name));
    if let Some(payload) = &request.payload {
        pairs.insert("Payload", Part::Data(&payload.bytes));
    }
    let mut out = Vec::new();
    plist::write(&mut out, |w| {
        w.dict(|w| {
            w.key("Command").dict(|w| {
                for (key, part) in &pairs {
                    part.write(w.key(key));
                }
            });
            w.key("CommandUUID").string(uuid);
        });
    });
    out
}

enum Part<'a> {
    Text(&'a str),
    Data(&'a [u8]),
    Value(&'a Value),
}

impl Part<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Part::Text(text) => w.string(text),
            Part::Data(data) => w.data(data),
            Part::Value(value) => write(value, w),
        };
    }
}

fn write(value: &Value, w: &mut Writer<'_>) {
    match value {
        Value::Nothing => w.string(""),
        Value::Bool(value) => w.bool(*value),
        Value::Integer(value) => w.integer(*value),
        Value::Real(value) => w.real(*value),
        Value::Text(text) => w.string(text),
        Value::List(values) => w.array(|w| values.iter().for_each(|value| write(value, w))),
        Value::Dict(pairs) => w.dict(|w| pairs.iter().for_each(|(key, value)| write(value, w.key(key)))),
    };
}

/// A SyncML command with the next names.
fn of_syncml<'a>(command: &'a SyncCommand, names: &mut impl Iterator<Item = &'a str>) -> syncml::Command<'a> {
    let id = names.next().unwrap_or_default().into();
    match command {
        SyncCommand::One(node) => syncml::Command { id, body: body(node) },
        SyncCommand::Atomic(nodes) => {
            let within = nodes.iter().zip(names).map(|(node, id)| syncml::Command { id: id.into(), body: body(node) });
            let commands = within.collect();
            syncml::Command { id, body: Body::Group { kind: Group::Atomic, meta: Meta::default(), commands } }
        }
    }
}

fn body(node: &Node) -> Body<'_> {
    let item = Item {
        target: Some(node.uri.as_str().into()),
        source: None,
        meta: Meta { format: node.format.map(|format| format.name().into()), ..Meta::default() },
        data: node.data.as_deref().map(|data| Data::Text(data.into())),
        more: false,
    };
    Body::Nodes { verb: node.verb, meta: Meta::default(), items: vec![item] }
}

fn listed(command: &syncml::Command<'_>) -> Listed {
    let about = Listed { cmd: command.body.name().to_owned(), id: command.id.to_string(), ..Listed::default() };
    match &command.body {
        Body::Group { commands, .. } => Listed { commands: commands.iter().map(listed).collect(), ..about },
        Body::Nodes { items, .. } => {
            let item = items.first();
            Listed {
                uri: item.and_then(|item| item.target.as_ref()).map(ToString::to_string),
                format: item.and_then(|item| item.meta.format.as_ref()).map(ToString::to_string),
                data: item.and_then(|item| item.data.as_ref()).map(|data| data.as_str().to_owned()),
                ..about
            }
        }
        _ => about,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use droves_facts::Limits;
    use droves_scenario::plan::{Format, Verb};
    use droves_wire::apple::command;

    #[test]
    fn a_request_is_one_that_a_device_takes_and_has_a_name_of_its_own() {
        let items = Value::List(vec![Value::Text("UDID".into()), Value::Text("OSVersion".into())]);
        let request = plan::Request {
            name: "DeviceInformation".into(),
            payload: None,
            with: BTreeMap::from([("Queries".to_owned(), items)]),
        };
        let plan = plan::Command { asks: Asks::Request(request), deadline: None };
        let command = Command::new(&plan, Dice::new(7), PhaseIx(2), 0);
        assert_eq!(command, Command::new(&plan, Dice::new(7), PhaseIx(2), 0));
        assert_ne!(command.names, Command::new(&plan, Dice::new(7), PhaseIx(2), 1).names);
        let offered = command::parse(command.bytes(), &Limits::default()).unwrap().unwrap();
        assert_eq!(offered.uuid, command.names[0].text);
    }

    #[test]
    fn nothing_is_null_where_there_is_one() {
        let set = BTreeMap::from([("mainApp".to_owned(), Value::Nothing)]);
        let plan = plan::Command { asks: Asks::Configuration(set), deadline: None };
        let command = Command::new(&plan, Dice::new(7), PhaseIx(2), 0);
        assert!(
            matches!(&command.says, Says::Json { json, .. } if json == r#"{"mainApp":null}"#),
            "{:?}",
            command.says
        );
    }

    #[test]
    fn nodes_stand_in_a_message_as_they_were_asked_for_each_by_its_name() {
        let node = |verb, uri: &str, data: Option<(Format, &str)>| Node {
            verb,
            uri: uri.into(),
            format: data.map(|(format, _)| format),
            data: data.map(|(_, text)| text.into()),
        };
        let replace = node(Verb::Replace, "./Device/A", Some((Format::Int, "1")));
        let text = node(Verb::Add, "./Device/B", Some((Format::Chr, "<enabled/>")));
        let commands = vec![
            SyncCommand::One(node(Verb::Get, "./DevDetail/SwV", None)),
            SyncCommand::Atomic(vec![replace, text]),
            SyncCommand::One(node(Verb::Delete, "./Device/C", None)),
        ];
        let plan = plan::Command { asks: Asks::Nodes(commands), deadline: None };
        let command = Command::new(&plan, Dice::new(7), PhaseIx(2), 0);
        assert_eq!(command.names.len(), 5);
        let body = String::from_utf8(command.bytes().to_vec()).unwrap();
        let message = format!(
            "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>\
             <SessionID>1</SessionID><MsgID>1</MsgID><Target><LocURI>a</LocURI></Target><Source><LocURI>b</LocURI>\
             </Source></SyncHdr><SyncBody>{body}<Final/></SyncBody></SyncML>"
        );
        let read = syncml::Message::read(message.as_bytes(), &Limits::default()).unwrap();
        let mut said = Vec::new();
        fn walk(commands: &[syncml::Command<'_>], said: &mut Vec<(String, String, String)>) {
            for command in commands {
                let (mut uri, mut data) = (String::new(), String::new());
                match &command.body {
                    Body::Nodes { items, .. } => {
                        uri = items[0].target.as_deref().unwrap_or_default().into();
                        data = items[0].data.as_ref().map(|data| data.as_str().into()).unwrap_or_default();
                    }
                    Body::Group { commands, .. } => {
                        said.push((command.id.to_string(), "Atomic".into(), String::new()));
                        walk(commands, said);
                        continue;
                    }
                    _ => {}
                }
                said.push((command.id.to_string(), format!("{} {uri}", command.body.name()), data));
            }
        }
        walk(&read.commands, &mut said);
        let wanted = [
            ("Get ./DevDetail/SwV", ""),
            ("Atomic", ""),
            ("Replace ./Device/A", "1"),
            ("Add ./Device/B", "<enabled/>"),
            ("Delete ./Device/C", ""),
        ];
        let wanted =
            command.names.iter().zip(wanted).map(|(name, (what, data))| (name.text.clone(), what.into(), data.into()));
        assert_eq!(said, wanted.collect::<Vec<(String, String, String)>>());
        let Says::Nodes { list, .. } = &command.says else { panic!("no nodes") };
        let json = serde_json::to_value(list).unwrap();
        assert_eq!(json[0], serde_json::json!({ "cmd": "Get", "id": command.names[0].text, "uri": "./DevDetail/SwV" }));
        assert_eq!(json[1]["commands"][0]["format"], "int");
    }
}
