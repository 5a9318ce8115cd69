//! The words of a command: Apple's requests, and what Windows does with nodes.

use super::{Arrivals, Channel, Plain, Text, Who};
use crate::units::Length;
use crate::yaml::At;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A command, for whom, and when: for Apple devices a `request`, for Windows `nodes` or `profiles`, for Android a `request` or a
/// `policy`, a `configuration` or a `message`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    /// Which devices.
    pub(crate) who: At<Who>,
    /// When. Default: at_once.
    pub(crate) arrivals: Option<At<Arrivals>>,
    /// Which channels of a Mac. Default: device.
    pub(crate) channel: Option<At<Channel>>,
    /// Apple's RequestType, such as `InstallProfile` or `EraseDevice`; or the type of a command for Android devices that
    /// Google manages, such as `LOCK`.
    pub(crate) request: Option<At<String>>,
    /// The file that `InstallProfile` installs, relative to the scenario.
    pub(crate) payload: Option<At<String>>,
    /// What Android devices that Google manages are to be like: a Policy of the Android Management API.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub(crate) policy: Option<At<BTreeMap<String, Plain>>>,
    /// What Android devices with an agent are to be like: its configuration.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub(crate) configuration: Option<At<BTreeMap<String, Plain>>>,
    /// A message for Android devices with an agent, by its type, such as `runApp`; `with` is its payload.
    pub(crate) message: Option<At<String>>,
    /// Further keys of the command, such as `{ Queries: [ OSVersion ] }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(crate) with: BTreeMap<String, Plain>,
    /// What a Windows device does with nodes of its management tree, in this order. Each is a command of its own.
    pub(crate) nodes: Option<At<Vec<At<Node>>>>,
    /// Policies of Windows devices in numbered profiles, each of some nodes that follow from its number and the seed.
    pub(crate) profiles: Option<At<Vec<At<Profiles>>>>,
    /// Whether all `nodes`, or those of each profile, are done together or not at all. Default: false.
    pub(crate) atomic: Option<At<bool>>,
    /// Whether the server is then asked, through its own API, to push. Default: false.
    pub(crate) push: Option<At<bool>>,
    /// How many such commands each device gets. Default: 1.
    pub(crate) repeat: Option<At<u32>>,
    /// By when, from its queueing, it must have been delivered while the device can hear; for the ledger.
    pub(crate) deadline: Option<At<Length>>,
}

/// One SyncML command. Exactly one of `add`, `replace`, `delete`, `get` and `exec`, which names the node, such as
/// `./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    /// This node is made, and must not exist.
    pub(crate) add: Option<At<String>>,
    /// This node gets other data.
    pub(crate) replace: Option<At<String>>,
    /// This node goes.
    pub(crate) delete: Option<At<String>>,
    /// This node is asked for.
    pub(crate) get: Option<At<String>>,
    /// This node is carried out.
    pub(crate) exec: Option<At<String>>,
    /// Of which format the data is, such as `int` or `bool`. Default: chr, text.
    pub(crate) format: Option<At<String>>,
    /// The data.
    pub(crate) data: Option<At<Text>>,
}

/// What becomes of some profiles. Exactly one of `add`, `replace` and `delete`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The profiles with these numbers are added.
    pub(crate) add: Option<At<Numbers>>,
    /// Those with these numbers get other data.
    pub(crate) replace: Option<At<Numbers>>,
    /// Those with these numbers go.
    pub(crate) delete: Option<At<Numbers>>,
    /// How many nodes a profile has. Default: from 1 to 6.
    pub(crate) nodes: Option<At<Numbers>>,
    /// Which version of the profiles it is: each has other data. Default: 1.
    pub(crate) version: Option<At<u32>>,
}

/// Whole numbers, both ends included.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    /// The first.
    pub(crate) from: u32,
    /// The last.
    pub(crate) to: u32,
}
