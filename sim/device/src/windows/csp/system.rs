//! The system as a whole: Accounts, Reboot, RemoteWipe, Update, NodeCache, EnrollmentStatusTracking.

use super::{Call, Effect, Node, Place, Scene, Tree, details};
use crate::windows::hardware::hex;
use crate::windows::tree::Leaf;
use droves_facts::Purpose;
use droves_wire::digest;
use droves_wire::windows::syncml::Format::{self, Bool, Chr, Int};
use droves_wire::windows::values;

pub(super) static ACCOUNTS: &[Node] = &[
    Node::setting("Domain/ComputerName", Chr, "").secret().own().runs(rename),
    Node::kept("Users/*/Password", Chr).secret().own(),
    Node::kept("Users/*/LocalUserGroup", Int),
];

pub(super) static REBOOT: &[Node] = &[
    Node::exec("RebootNow", |_, _, _, effects| {
        effects.push(Effect::Reboot);
        200
    }),
    Node::kept("Schedule/Single", Chr).implicit(),
    Node::kept("Schedule/DailyRecurrent", Chr).implicit(),
    Node::kept("Schedule/WeeklyRecurrent", Chr).implicit(),
];

pub(super) static WIPE: &[Node] = &[
    Node::exec("doWipe", |_, _, scene, effects| wipe(false, scene, effects)),
    Node::exec("doWipeProtected", |_, _, scene, effects| wipe(false, scene, effects)),
    Node::exec("doWipePersistProvisionedData", |_, _, scene, effects| wipe(true, scene, effects)),
    Node::exec("doWipePersistUserData", |_, _, scene, effects| wipe(true, scene, effects)),
    Node::exec("AutomaticRedeployment/doAutomaticRedeployment", |_, _, scene, effects| wipe(true, scene, effects)),
    Node::fixed("AutomaticRedeployment/LastError", Int, "0"),
    // 0: never done.
    Node::fixed("AutomaticRedeployment/Status", Int, "0"),
];

pub(super) static UPDATE: &[Node] = &[
    Node::free("ApprovedUpdates/*/ApprovedTime"),
    Node::free("ApprovedLicenses/**"),
    Node::fixed("FailedUpdates", Format::Node, ""),
    Node::read("InstalledUpdates", Format::Node, |_, _, scene| Some(updates(scene))).slow(),
    Node::fixed("InstallableUpdates", Format::Node, ""),
    Node::fixed("PendingRebootUpdates", Format::Node, ""),
    Node::read("LastSuccessfulScanTime", Chr, |_, _, scene| {
        let now = scene.ctx.clocks.wall;
        let today = now.secs().div_euclid(86_400) * 86_400;
        Some(droves_wire::plist::date::format(droves_facts::Wall::from_secs(today)))
    }),
    Node::setting("DeferUpgrade", Bool, "false"),
    Node::exec("Rollback/QualityUpdate", |_, _, _, _| 202),
    Node::exec("Rollback/FeatureUpdate", |_, _, _, _| 202),
    Node::fixed("Rollback/QualityUpdateStatus", Int, "0"),
    Node::fixed("Rollback/FeatureUpdateStatus", Int, "0"),
];

pub(super) static NODE_CACHE: &[Node] = &[
    Node::kept("@/CacheVersion", Chr).implicit(),
    Node::read("@/ChangedNodes", Format::Node, |tree, place, scene| {
        Some(changed(tree, place, scene).into_iter().map(|node| node.id).collect::<Vec<_>>().join("/"))
    }),
    Node::read("@/ChangedNodesData", Chr, |tree, place, scene| {
        Some(values::changed_nodes(&changed(tree, place, scene)))
    }),
    Node::kept("@/Nodes/*/NodeURI", Chr),
    Node::free("@/Nodes/*/ExpectedValue"),
    Node::kept("@/Nodes/*/AutoSetExpectedValue", Bool).executes().runs(expect_present),
];

/// Autopilot's handshakes: servers write here what is to be waited for, and read it again.
pub(super) static ENROLLMENT_STATUS: &[Node] = &[
    Node::free("DevicePreparation/PolicyProviders/*/**").implicit(),
    Node::free("Setup/Apps/PolicyProviders/*/**").implicit(),
    Node::free("Setup/Apps/Tracking/*/**").implicit(),
    Node::setting("Setup/HasProvisioningCompleted", Bool, "false"),
];

/// Where a changed name is kept, as a key.
pub(super) const NAME: &str = "devdetail/ext/microsoft/devicename";

/// Another name: 1 to 15 letters, digits and dashes, not digits only.
pub(super) fn rename(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    let name = call.data.trim_ascii();
    let is_name = (1..=15).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.bytes().all(|b| b.is_ascii_digit());
    if !is_name {
        return 500;
    }
    let leaf = Leaf { path: "DevDetail/Ext/Microsoft/DeviceName".into(), format: Chr, value: name.into() };
    tree.write(leaf, true, scene.ctx.limits).err().unwrap_or(200)
}

/// 500 where the recovery environment is off (fleetdm/fleet#34994).
fn wipe(kept: bool, scene: &Scene<'_>, effects: &mut Vec<Effect>) -> u16 {
    if !details::pc(scene).can_recover() {
        return 500;
    }
    effects.push(Effect::Wipe { kept });
    200
}

/// Ids of the updates that were installed, 40 to 70.
fn updates(scene: &Scene<'_>) -> String {
    let mut dice = scene.ctx.device_dice(Purpose::Contents, 2);
    let count = 40 + dice.below(31);
    let ids: Vec<_> =
        (0..count).map(|_| uuid::Builder::from_random_bytes(dice.bytes()).into_uuid().to_string()).collect();
    ids.join("/")
}

/// The nodes of the cache that are not what the server expects, by value or by the SHA-256 of the value.
fn changed(tree: &Tree, place: &Place<'_>, scene: &Scene<'_>) -> Vec<values::ChangedNode> {
    let nodes = Place::of(place.user, place.beside("Nodes").names.clone());
    let uris = tree.written_below(&nodes.key).filter(|(key, _)| key.ends_with("/nodeuri")).take(CACHED_MAX);
    let compare = |(key, leaf): (&std::sync::Arc<str>, &Leaf)| {
        let present = present(tree, &leaf.value, scene);
        let expected = tree.at(&format!("{}expectedvalue", key.strip_suffix("nodeuri")?))?;
        let value = present.as_deref().unwrap_or_default();
        let is_same =
            *expected.value == *value || expected.value.eq_ignore_ascii_case(&hex(&digest::sha256(value.as_bytes())));
        let id = leaf.path.rsplit('/').nth(1).unwrap_or_default();
        (!is_same).then(|| values::ChangedNode {
            id: id.to_owned(),
            uri: leaf.value.to_string(),
            value: present.map(|value| value.to_string()),
        })
    };
    uris.filter_map(compare).collect()
}

/// What a node says now. The cache does not look into itself.
fn present(tree: &Tree, uri: &str, scene: &Scene<'_>) -> Option<std::sync::Arc<str>> {
    let place = Place::read(uri).ok()?;
    if place.names.get(2).is_some_and(|name| name.eq_ignore_ascii_case("NodeCache")) {
        return None;
    }
    tree.get(&place, scene).ok().map(|(_, value)| value)
}

fn expect_present(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    let uri = tree.text(&call.place.beside("NodeURI")).cloned();
    let Some(value) = uri.and_then(|uri| present(tree, &uri, scene)) else { return 404 };
    let path = call.place.beside("ExpectedValue").path;
    tree.write(Leaf { path, format: Chr, value }, true, scene.ctx.limits).err().unwrap_or(200)
}

/// Nodes of a cache that are looked at. Intune has some hundreds.
const CACHED_MAX: usize = 500;
