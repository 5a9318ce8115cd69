//! The update commands. Deprecated with the systems of 2026: a device of version 27 or later does not know them.

use super::{Dict, Refusal, Scene, Then, Writer};
use crate::apple::own::Update;
use droves_facts::Dur;

/// `AvailableOSUpdates`. A phone without an update answers with an error, not with an empty list.
pub(super) fn available(_: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    is_known(scene, "AvailableOSUpdates")?;
    // One device of three is up to date.
    if (scene.hardware.flavour >> 32).is_multiple_of(3) {
        if scene.hardware.is_mac() {
            w.key("AvailableOSUpdates").array(|_| ());
            return Ok(Then::Nothing);
        }
        return Err(Refusal::new(2_213, "DeviceManagement.error", "No update is available."));
    }
    let version = next_version(scene.hardware.os_version());
    w.key("AvailableOSUpdates").array(|w| {
        w.dict(|w| {
            w.key("AllowsInstallLater").bool(true);
            w.key("AppIdentifiersToClose").array(|_| ());
            w.key("Build").string(&scene.hardware.build());
            w.key("DownloadSize").real(1_237_042_000.0);
            w.key("HumanReadableName").string(&format!("{} {version}", system(scene)));
            w.key("InstallSize").real(4_219_895_000.0);
            w.key("IsConfigDataUpdate").bool(false);
            w.key("IsCritical").bool(false);
            w.key("IsFirmwareUpdate").bool(false);
            w.key("IsMajorOSUpdate").bool(false);
            w.key("IsSecurityResponse").bool(false);
            w.key("ProductKey").string(&product_key(scene));
            w.key("ProductName").string(system(scene));
            w.key("RequiresBootstrapToken").bool(scene.hardware.is_mac());
            w.key("RestartRequired").bool(true);
            w.key("Version").string(&version);
        });
    });
    Ok(Then::Nothing)
}

/// `ScheduleOSUpdateScan`.
pub(super) fn scan(_: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    is_known(scene, "ScheduleOSUpdateScan")?;
    w.key("ScanInitiated").bool(true);
    Ok(Then::Nothing)
}

/// `ScheduleOSUpdate`.
pub(super) fn schedule(body: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    is_known(scene, "ScheduleOSUpdate")?;
    let asked = body.array("Updates").unwrap_or_default();
    let keys: Vec<String> = asked
        .iter()
        .take(UPDATES_MAX)
        .map(|update| match update.get("ProductKey").and_then(|key| key.as_str()) {
            Some(key) => key.chars().take(100).collect(),
            None => product_key(scene),
        })
        .collect();
    w.key("UpdateResults").array(|w| {
        for (key, update) in keys.iter().zip(asked) {
            w.dict(|w| {
                let action = update.get("InstallAction").and_then(|action| action.as_str()).unwrap_or("Default");
                w.key("InstallAction").string(action);
                w.key("ProductKey").string(key);
                w.key("Status").string("Downloading");
            });
        }
    });
    if let Some(key) = keys.first() {
        scene.lane.own.update = Some(Update { key: key.as_str().into(), since: scene.ctx.clocks.wall });
    }
    Ok(Then::Nothing)
}

/// `OSUpdateStatus`: a download that takes ten minutes.
pub(super) fn status(_: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    is_known(scene, "OSUpdateStatus")?;
    let update = scene.lane.own.update.as_ref();
    w.key("OSUpdateStatus").array(|w| {
        let Some(update) = update else { return };
        let done = (scene.ctx.clocks.wall.since(update.since).as_secs_f64() / DOWNLOAD.as_secs_f64()).min(1.0);
        w.dict(|w| {
            w.key("DownloadPercentComplete").real(done);
            w.key("IsDownloaded").bool(done >= 1.0);
            w.key("ProductKey").string(&update.key);
            w.key("Status").string(if done < 1.0 { "Downloading" } else { "Installing" });
        });
    });
    Ok(Then::Nothing)
}

fn is_known(scene: &Scene<'_, '_>, request: &str) -> Result<(), Refusal> {
    let major = scene.hardware.os_version().split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= 27) {
        return Err(Refusal::unknown(request));
    }
    Ok(())
}

fn system(scene: &Scene<'_, '_>) -> &'static str {
    match scene.ctx.character.platform {
        droves_facts::Platform::Macos => "macOS",
        droves_facts::Platform::Ipados => "iPadOS",
        _ => "iOS",
    }
}

fn product_key(scene: &Scene<'_, '_>) -> String {
    format!("{}Update{}", system(scene), next_version(scene.hardware.os_version()))
}

/// The next minor version.
fn next_version(version: &str) -> String {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    format!("{}.{}", parts.next().unwrap_or(18), parts.next().unwrap_or(0).saturating_add(1))
}

const DOWNLOAD: Dur = Dur::secs(600);
const UPDATES_MAX: usize = 16;
