//! Pushes: one a message over MQTT, a list of them in the answer to a poll. Over MQTT it is no JSON: the server writes
//! `{messageType: "runApp", payload: {"pkg":"com.x"}}`, keys without quotes and the payload as the administrator typed it.

use super::{BODY_BYTES_MAX, Envelope, HeadwindError, LIST_MAX, Status, set};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a push is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `configUpdated`: get the configuration.
    ConfigUpdated,
    /// `configUpdating`.
    ConfigUpdating,
    /// `appConfigUpdated`: an app's settings.
    AppConfigUpdated,
    /// `runApp`.
    RunApp,
    /// `broadcast`: an intent to an app.
    Broadcast,
    /// `uninstallApp`.
    UninstallApp,
    /// `deleteFile`.
    DeleteFile,
    /// `deleteDir`.
    DeleteDir,
    /// `purgeDir`.
    PurgeDir,
    /// `permissiveMode`: no restrictions for a while.
    PermissiveMode,
    /// `runCommand`: of a shell.
    RunCommand,
    /// `reboot`.
    Reboot,
    /// `exitKiosk`.
    ExitKiosk,
    /// `adminPanel`.
    AdminPanel,
    /// `clearDownloadHistory`.
    ClearDownloadHistory,
    /// `intent`: an intent of the system.
    Intent,
    /// `grantPermissions`.
    GrantPermissions,
    /// `clearAppData`.
    ClearAppData,
    /// Whatever else, which the agent hands on to plugins.
    Other(String),
}

const KINDS: [(Kind, &str); 18] = [
    (Kind::ConfigUpdated, "configUpdated"),
    (Kind::ConfigUpdating, "configUpdating"),
    (Kind::AppConfigUpdated, "appConfigUpdated"),
    (Kind::RunApp, "runApp"),
    (Kind::Broadcast, "broadcast"),
    (Kind::UninstallApp, "uninstallApp"),
    (Kind::DeleteFile, "deleteFile"),
    (Kind::DeleteDir, "deleteDir"),
    (Kind::PurgeDir, "purgeDir"),
    (Kind::PermissiveMode, "permissiveMode"),
    (Kind::RunCommand, "runCommand"),
    (Kind::Reboot, "reboot"),
    (Kind::ExitKiosk, "exitKiosk"),
    (Kind::AdminPanel, "adminPanel"),
    (Kind::ClearDownloadHistory, "clearDownloadHistory"),
    (Kind::Intent, "intent"),
    (Kind::GrantPermissions, "grantPermissions"),
    (Kind::ClearAppData, "clearAppData"),
];

impl Kind {
    /// The kind of this name.
    pub fn of(name: &str) -> Self {
        let known = KINDS.into_iter().find(|(_, known)| *known == name);
        known.map_or_else(|| Kind::Other(name.to_owned()), |(kind, _)| kind)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Kind::Other(name) => name,
            known => KINDS.iter().find(|(kind, _)| kind == known).map_or("", |(_, name)| name),
        }
    }
}

/// A push.
#[derive(Clone, PartialEq, Debug)]
pub struct Push {
    /// What it is about.
    pub kind: Kind,
    /// Of what, by names that its kind has: `pkg`, `path`, `command`.
    pub payload: Option<Map<String, Value>>,
}

impl Push {
    /// One without a payload.
    pub fn new(kind: Kind) -> Self {
        Push { kind, payload: None }
    }

    /// As it goes over MQTT.
    pub fn write(&self) -> Vec<u8> {
        let kind = Value::from(self.kind.name());
        match &self.payload {
            Some(payload) => format!("{{messageType: {kind}, payload: {}}}", Value::Object(payload.clone())),
            None => format!("{{messageType: {kind}}}"),
        }
        .into_bytes()
    }

    /// Reads one that came over MQTT: keys with quotes or without, values as JSON. A payload that is none, or that is no
    /// object, is as if it were not there; what stands behind it is not read.
    pub fn read(bytes: &[u8]) -> Result<Self, HeadwindError> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(HeadwindError::TooLarge);
        }
        let fault = |what: &str| HeadwindError::Json(what.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| fault("not utf-8"))?;
        let mut rest = text.trim_start().strip_prefix('{').ok_or_else(|| fault("no object"))?;
        let (mut kind, mut payload) = (None, None);
        for _ in 0..LIST_MAX {
            let Some((key, value)) = rest.split_once(':') else { break };
            let mut values = serde_json::Deserializer::from_str(value).into_iter::<Value>();
            let value_read = values.next().and_then(Result::ok);
            match (key.trim().trim_matches(['"', '\'']), value_read) {
                ("messageType", Some(Value::String(name))) => kind = Some(Kind::of(&name)),
                ("payload", Some(Value::Object(object))) => payload = Some(object),
                (_, Some(_)) => {}
                (_, None) => break,
            }
            let behind = value.get(values.byte_offset()..).unwrap_or_default().trim_start();
            let Some(next) = behind.strip_prefix([',', ';']) else { break };
            rest = next;
        }
        Ok(Push { kind: kind.ok_or_else(|| fault("no messageType"))?, payload })
    }
}

/// One in the answer to a poll: real JSON, but for the payload, which is JSON in a text.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Listed {
    #[serde(deserialize_with = "set")]
    message_type: String,
    payload: Option<String>,
}

/// The answer to a poll.
pub fn write_list(pushes: &[Push]) -> Vec<u8> {
    let listed = |push: &Push| Listed {
        message_type: push.kind.name().to_owned(),
        payload: push.payload.clone().map(|payload| Value::Object(payload).to_string()),
    };
    Envelope::ok(Some(pushes.iter().map(listed).collect::<Vec<_>>())).write()
}

/// Reads the answer to a poll. As the agent has it, of several `configUpdated` the first counts; what is not `OK`, or has no
/// data, has none.
pub fn read_list(body: &[u8]) -> Result<Vec<Push>, HeadwindError> {
    let envelope: Envelope<Vec<Listed>> = Envelope::read(body)?;
    let listed = envelope.data.filter(|_| envelope.status == Status::Ok).unwrap_or_default();
    if listed.len() > LIST_MAX {
        return Err(HeadwindError::TooLarge);
    }
    let mut pushes: Vec<Push> = Vec::new();
    for Listed { message_type, payload } in listed {
        let payload = payload.and_then(|payload| serde_json::from_str(&payload).ok());
        let push = Push { kind: Kind::of(&message_type), payload };
        if push.kind != Kind::ConfigUpdated || !pushes.iter().any(|known| known.kind == push.kind) {
            pushes.push(push);
        }
    }
    Ok(pushes)
}
