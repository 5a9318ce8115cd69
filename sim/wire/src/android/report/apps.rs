//! Applications, as a status report has them: some 550 bytes each.

use super::super::adp::{App, Mode, Recipe};
use super::super::value::timestamp;
use super::updates;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::{CommandKey, Dice, Dur, Philox, Purpose, Wall};
use serde_json::{Value, json};

/// Applications of the policy, and those that came with the device: where only its work profile is managed, nobody is told
/// of the latter.
pub(super) fn reports(recipe: &Recipe, apps: &[&App], with_removed: bool, at: Wall) -> Value {
    let is_whole = matches!(recipe.mode, Mode::FullyManaged | Mode::Dedicated);
    let of_system = (0..if is_whole { recipe.system_apps } else { 0 }).map(|number| of_system(recipe, number, at));
    let of_policy = apps.iter().filter(|app| with_removed || !app.removed).map(|app| of_policy(recipe, app, at));
    of_system.chain(of_policy).collect()
}

fn of_system(recipe: &Recipe, number: u16, at: Wall) -> Value {
    let vendor = recipe.brand.to_lowercase();
    let part = PARTS.get(usize::from(number) % PARTS.len()).copied().unwrap_or_default();
    let package = format!("com.{vendor}.android.{part}{}", usize::from(number) / PARTS.len());
    // What came with a device is the same on all of its model.
    let mut rng = of_package(&package, u32::from(recipe.api_level));
    let is_updated = rng.below(3) == 0;
    let source = if is_updated { "SYSTEM_APP_UPDATED_VERSION" } else { "SYSTEM_APP_FACTORY_VERSION" };
    let is_facing = rng.below(4) == 0;
    let updates = if is_updated { updates::of_app(rng.u64(), Dur::ZERO, at) } else { 0 };
    let version = u32::from(recipe.api_level) * 10_000 + u32::from(number) + updates;
    report(&package, version, source, false, is_facing)
}

fn of_policy(recipe: &Recipe, app: &App, at: Wall) -> Value {
    let mut report = report(&app.package, app.version, "INSTALLED_FROM_PLAY_STORE", app.removed, true);
    // Few have had something happen to them in the last 30 hours.
    let mut own = of_package(&app.package, recipe.seed as u32);
    if app.removed || own.below(20) == 0 {
        let kind = if app.removed { "REMOVED" } else { "CHANGED" };
        report["events"] =
            json!([{ "eventType": kind, "createTime": timestamp(at - Dur::secs(own.below(EVENTS_LAST_S))) }]);
    }
    report
}

fn report(package: &str, version: u32, source: &str, removed: bool, is_facing: bool) -> Value {
    // All versions are signed by one key.
    let (mut of_version, mut of_signer) = (of_package(package, version), of_package(package, 0));
    let mut shown = json!({
        "packageName": package,
        "versionName": format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100),
        "versionCode": i32::try_from(version).unwrap_or(i32::MAX),
        "displayName": title(package),
        "state": if removed { "REMOVED" } else { "INSTALLED" },
        "applicationSource": source,
        "packageSha256Hash": hex::encode(hash(&mut of_version, 32)),
        "signingKeyCertFingerprints": [hex::encode(hash(&mut of_signer, 20))],
        "signingKeyCerts": [{ "signingKeyCertFingerprintSha256": STANDARD.encode(hash(&mut of_signer, 32)) }],
        "userFacingType": if is_facing { "USER_FACING" } else { "NOT_USER_FACING" },
    });
    if source == "INSTALLED_FROM_PLAY_STORE" {
        shown["installerPackageName"] = "com.android.vending".into();
    }
    shown
}

fn hash(rng: &mut Philox, bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(8)).flat_map(|_| rng.u64().to_le_bytes()).take(bytes).collect()
}

/// What people see: the last part of a package's name, and the vendor's.
fn title(package: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    let words: Vec<String> = package.split('.').skip(1).map(capital).collect();
    words.join(" ")
}

/// An application is the same everywhere.
fn of_package(package: &str, version: u32) -> Philox {
    Dice::new(CommandKey::of(package.as_bytes()).0).draw(version, Purpose::Contents, 0)
}

/// For so long, in seconds, what happened to an application is told.
const EVENTS_LAST_S: u64 = 30 * 3_600;
/// Of what a system is made; numbered where there is more of it.
const PARTS: [&str; 24] = [
    "providers.contacts",
    "providers.calendar",
    "providers.media",
    "providers.telephony",
    "systemui.plugin",
    "settings.intelligence",
    "inputmethod.latin",
    "bluetooth.service",
    "nfc.service",
    "cellbroadcast.receiver",
    "carrier.config",
    "dialer.service",
    "permission.controller",
    "packageinstaller",
    "printspooler",
    "wallpaper.picker",
    "soundpicker",
    "certinstaller",
    "keychain.service",
    "vpndialogs",
    "captiveportal.login",
    "networkstack.tethering",
    "deviceas.webview",
    "deskclock",
];
