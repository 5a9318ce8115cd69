//! A command of the plan as the property list that goes to the server.

use droves_facts::{CommandKey, Dice, PhaseIx, Purpose};
use droves_scenario::plan::{self, Value};
use droves_wire::plist::{self, Writer};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A command, ready to be queued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its name on the wire.
    pub uuid: String,
    /// The name's hash.
    pub key: CommandKey,
    /// Apple's `RequestType`.
    pub request: String,
    /// `{Command: {RequestType, ..}, CommandUUID}`.
    pub plist: Vec<u8>,
}

impl Command {
    /// The `ordinal`-th command of a phase. Its name comes from the run's dice.
    pub fn new(command: &plan::Command, dice: Dice, phase: PhaseIx, ordinal: u64) -> Self {
        let bytes: [u8; 16] = dice.draw(u32::MAX - phase.0, Purpose::Nonce, ordinal).bytes();
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let uuid = Uuid::hyphenated(uuid).to_string().to_uppercase();
        let mut pairs: BTreeMap<&str, Part<'_>> =
            command.with.iter().map(|(key, value)| (key.as_str(), Part::Value(value))).collect();
        pairs.insert("RequestType", Part::Text(&command.request));
        if let Some(payload) = &command.payload {
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
                w.key("CommandUUID").string(&uuid);
            });
        });
        Command { key: CommandKey::of(uuid.as_bytes()), uuid, request: command.request.clone(), plist: out }
    }
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
        Value::Bool(value) => w.bool(*value),
        Value::Integer(value) => w.integer(*value),
        Value::Real(value) => w.real(*value),
        Value::Text(text) => w.string(text),
        Value::List(values) => w.array(|w| values.iter().for_each(|value| write(value, w))),
        Value::Dict(pairs) => w.dict(|w| pairs.iter().for_each(|(key, value)| write(value, w.key(key)))),
    };
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use droves_facts::Limits;
    use droves_wire::apple::command;

    #[test]
    fn a_command_is_one_that_a_device_takes_and_has_a_name_of_its_own() {
        let items = Value::List(vec![Value::Text("UDID".into()), Value::Text("OSVersion".into())]);
        let plan = plan::Command {
            request: "DeviceInformation".into(),
            payload: None,
            with: BTreeMap::from([("Queries".to_owned(), items)]),
            deadline: None,
        };
        let command = Command::new(&plan, Dice::new(7), PhaseIx(2), 0);
        assert_eq!(command, Command::new(&plan, Dice::new(7), PhaseIx(2), 0));
        assert_ne!(command.uuid, Command::new(&plan, Dice::new(7), PhaseIx(2), 1).uuid);
        let offered = command::parse(&command.plist, &Limits::default()).unwrap().unwrap();
        assert_eq!(offered.uuid, command.uuid);
    }
}
