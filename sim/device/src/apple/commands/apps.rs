//! Apps: those that a device has from the start, those that the server gave it, and how they come in.

use super::{Dict, Refusal, Scene, Then, Writer};
use crate::Ctx;
use crate::apple::lane::Lane;
use crate::apple::own::Installing;
use crate::apple::shared::App;
use droves_facts::{Dur, Purpose};
use std::sync::Arc;

/// `InstalledApplicationList`: 50 to 200 apps of the owner's on iOS and iPadOS, 100 to 400 on a Mac, and the managed
/// ones.
pub(super) fn installed_list(body: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    let wanted: Option<Vec<&str>> =
        body.array("Identifiers").map(|ids| ids.iter().filter_map(|id| id.as_str()).collect());
    let items: Option<Vec<&str>> =
        body.array("Items").map(|items| items.iter().filter_map(|item| item.as_str()).collect());
    let managed_only = body.bool("ManagedAppsOnly").unwrap_or(false);
    let is_wanted = |id: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_empty() || wanted.contains(&id));
    let items = items.filter(|items| !items.is_empty());
    w.key("InstalledApplicationList").array(|w| {
        if !managed_only {
            for ordinal in 0..own_apps(scene) {
                let app = OwnApp::of(scene, ordinal);
                if is_wanted(&app.identifier) {
                    app.write(items.as_deref(), w);
                }
            }
        }
        for app in &scene.lane.shared.apps {
            if is_wanted(&app.identifier) {
                OwnApp::managed(app, scene).write(items.as_deref(), w);
            }
        }
    });
    Ok(Then::Nothing)
}

/// How many apps the owner has installed.
fn own_apps(scene: &Scene<'_, '_>) -> u64 {
    let mut dice = scene.ctx.device_dice(Purpose::Contents, APPS);
    if scene.hardware.is_mac() { 100 + dice.below(301) } else { 50 + dice.below(151) }
}

/// One installed app.
struct OwnApp {
    identifier: String,
    name: String,
    version: String,
    bundle_bytes: i64,
    dynamic_bytes: i64,
    from_store: bool,
    mac: bool,
}

impl OwnApp {
    fn of(scene: &Scene<'_, '_>, ordinal: u64) -> Self {
        let mut dice = scene.ctx.device_dice(Purpose::Contents, APPS | (ordinal + 1));
        let maker = MAKERS.get(dice.below(MAKERS.len() as u64) as usize).copied().unwrap_or("example");
        let what = WHATS.get(dice.below(WHATS.len() as u64) as usize).copied().unwrap_or("Notes");
        OwnApp {
            // The ordinal makes it another app each time.
            identifier: format!("com.{maker}.{}{ordinal}", what.to_lowercase()),
            name: format!("{what} {}", ordinal + 1),
            version: format!("{}.{}.{}", 1 + dice.below(12), dice.below(20), dice.below(9)),
            bundle_bytes: 2_000_000 + dice.below(400_000_000) as i64,
            dynamic_bytes: dice.below(90_000_000) as i64,
            from_store: dice.below(5) > 0,
            mac: scene.hardware.is_mac(),
        }
    }

    fn managed(app: &App, scene: &Scene<'_, '_>) -> Self {
        OwnApp {
            identifier: app.identifier.to_string(),
            name: app.identifier.rsplit('.').next().unwrap_or_default().to_owned(),
            version: "1.0".into(),
            bundle_bytes: 50_000_000,
            dynamic_bytes: 1_000_000,
            from_store: true,
            mac: scene.hardware.is_mac(),
        }
    }

    fn write(&self, items: Option<&[&str]>, w: &mut Writer<'_>) {
        let asked = |item: &str| items.is_none_or(|items| items.contains(&item));
        w.dict(|w| {
            let bools = [
                ("AdHocCodeSigned", false),
                ("AppStoreVendable", self.from_store),
                ("BetaApp", false),
                ("DeviceBasedVPP", false),
                ("HasUpdateAvailable", false),
                ("Installing", false),
                ("IsValidated", true),
            ];
            for (item, value) in bools.into_iter().filter(|(item, _)| !self.mac && asked(item)) {
                w.key(item).bool(value);
            }
            if asked("BundleSize") {
                w.key("BundleSize").integer(self.bundle_bytes);
            }
            if !self.mac && asked("DynamicSize") {
                w.key("DynamicSize").integer(self.dynamic_bytes);
            }
            w.key("Identifier").string(&self.identifier);
            if asked("Name") {
                w.key("Name").string(&self.name);
            }
            if asked("ShortVersion") {
                w.key("ShortVersion").string(&self.version);
            }
            if self.mac && asked("Source") {
                w.key("Source").string(if self.from_store { "App Store" } else { "Other" });
            }
            if asked("Version") {
                w.key("Version").string(&self.version);
            }
        });
    }
}

/// `ManagedApplicationList`: what the server gave, and how far it has come.
pub(super) fn managed_list(body: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    let wanted: Option<Vec<&str>> =
        body.array("Identifiers").map(|ids| ids.iter().filter_map(|id| id.as_str()).collect());
    let is_wanted = |id: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_empty() || wanted.contains(&id));
    let wall = scene.ctx.clocks.wall;
    let write = |app: &App, status: &str, w: &mut Writer<'_>| {
        w.key(&app.identifier).dict(|w| {
            w.key("HasConfiguration").bool(app.has_configuration);
            w.key("HasFeedback").bool(false);
            w.key("IsValidated").bool(true);
            w.key("ManagementFlags").integer(app.management_flags);
            w.key("Status").string(status);
        });
    };
    w.key("ManagedApplicationList").dict(|w| {
        for app in scene.lane.shared.apps.iter().filter(|app| is_wanted(&app.identifier)) {
            write(app, "Managed", w);
        }
        for coming in scene.lane.own.installing.iter().filter(|coming| is_wanted(&coming.app.identifier)) {
            write(&coming.app, if wall < coming.begins { "Queued" } else { "Installing" }, w);
        }
    });
    Ok(Then::Nothing)
}

/// `InstallApplication`: queued now, installing and managed later.
pub(super) fn install(body: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    let identifier = match (body.str("Identifier"), body.i64("iTunesStoreID"), body.str("ManifestURL")) {
        (Some(identifier), ..) => identifier.to_owned(),
        (None, Some(id), _) => format!("com.example.store.{id}"),
        (None, None, Some(manifest)) => identifier_of(manifest),
        (None, None, None) => {
            return Err(Refusal::new(12_023, super::MDM, "The app has neither a manifest nor a store identifier."));
        }
    };
    begin(&identifier, body, scene)?;
    w.key("Identifier").string(&identifier);
    w.key("State").string("Queued");
    Ok(Then::Nothing)
}

/// `InstallEnterpriseApplication`: a package of a Mac's.
pub(super) fn install_enterprise(body: &Dict, scene: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    let identifier = match (body.str("ManifestURL"), body.dict("Manifest")) {
        (Some(url), _) => identifier_of(url),
        (None, Some(_)) => "com.example.package".to_owned(),
        (None, None) => return Err(Refusal::missing("ManifestURL")),
    };
    begin(&identifier, body, scene)?;
    Ok(Then::Nothing)
}

fn begin(identifier: &str, body: &Dict, scene: &mut Scene<'_, '_>) -> Result<(), Refusal> {
    let app = App {
        identifier: identifier.chars().take(IDENTIFIER_MAX).collect::<String>().into(),
        management_flags: body.i64("ManagementFlags").unwrap_or(0),
        has_configuration: body.dict("Configuration").is_some(),
    };
    let lane = &mut *scene.lane;
    lane.own.installing.retain(|coming| coming.app.identifier != app.identifier);
    let is_new = lane.shared.app(&app.identifier).is_none();
    if is_new && lane.shared.apps.len() + lane.own.installing.len() >= scene.ctx.limits.apps_max {
        return Err(Refusal::new(12_040, super::MDM, "There is no room for another app."));
    }
    let ordinal = INSTALLING | u64::from(lane.record.commands);
    let mut dice = scene.ctx.device_dice(Purpose::Contents, ordinal);
    // A download of some 100 MB, and the queue before it.
    let pace = scene.ctx.character.pace.max(0.0);
    let begins = scene.ctx.clocks.wall + Dur::ms(500 + dice.below(5_000)).scaled(pace);
    let ends = begins + Dur::ms(5_000 + dice.below(55_000)).scaled(pace);
    lane.own.installing.push(Installing { app, begins, ends });
    Ok(())
}

/// `RemoveApplication`.
pub(super) fn remove(body: &Dict, scene: &mut Scene<'_, '_>, _: &mut Writer<'_>) -> Result<Then, Refusal> {
    let identifier = body.str("Identifier").ok_or_else(|| Refusal::missing("Identifier"))?;
    let lane = &mut *scene.lane;
    let coming = lane.own.installing.len();
    lane.own.installing.retain(|coming| &*coming.app.identifier != identifier);
    let there = lane.shared.app(identifier).is_some();
    if there {
        Arc::make_mut(&mut lane.shared).apps.retain(|app| &*app.identifier != identifier);
    }
    if there || lane.own.installing.len() < coming {
        Ok(Then::Nothing)
    } else {
        Err(Refusal::new(12_021, "MCMDMErrorDomain", "The app is not managed."))
    }
}

/// Apps whose time has come are managed now.
pub(in crate::apple) fn settle(lane: &mut Lane, ctx: &Ctx<'_>) {
    let wall = ctx.clocks.wall;
    if lane.own.installing.iter().all(|coming| wall < coming.ends) {
        return;
    }
    let shared = Arc::make_mut(&mut lane.shared);
    for done in lane.own.installing.extract_if(.., |coming| wall >= coming.ends) {
        shared.apps.retain(|app| app.identifier != done.app.identifier);
        shared.apps.push(Arc::new(done.app));
    }
}

/// An app's identifier, guessed from where its manifest lies: devices read it there, we don't fetch it.
fn identifier_of(manifest: &str) -> String {
    let path = manifest.split(['?', '#']).next().unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".plist").unwrap_or(name);
    if name.is_empty() { "com.example.app".to_owned() } else { format!("com.example.{name}") }
}

/// Longer names are cut: Apple's own bundle identifiers end at 155 characters.
const IDENTIFIER_MAX: usize = 155;

/// Places in the numbering of what a device holds.
const APPS: u64 = 8 << 40;
const INSTALLING: u64 = 9 << 40;

const MAKERS: [&str; 12] = [
    "acme",
    "birdsong",
    "cobalt",
    "driftwood",
    "ember",
    "foxglove",
    "granite",
    "harbour",
    "indigo",
    "juniper",
    "kestrel",
    "lantern",
];
const WHATS: [&str; 16] = [
    "Notes",
    "Mail",
    "Maps",
    "Chess",
    "Player",
    "Reader",
    "Scanner",
    "Weather",
    "Wallet",
    "Budget",
    "Camera",
    "Radio",
    "Travel",
    "Planner",
    "Fitness",
    "Translator",
];
