//! `Settings`: one status an item, since items fail one by one.

use super::{Dict, Refusal, Scene, Then, Writer};

/// `Settings`.
pub(super) fn run(body: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    let items = body.array("Settings").ok_or_else(|| Refusal::missing("Settings"))?;
    let mac = scene.hardware.is_mac();
    w.key("Settings").array(|w| {
        for item in items.iter().take(ITEMS_MAX) {
            let name = item.get("Item").and_then(|name| name.as_str()).unwrap_or_default();
            let known = ITEMS.iter().find(|(known, ..)| *known == name);
            let refusal = match known {
                Some((_, mobile, on_mac)) if (mac && *on_mac) || (!mac && *mobile) => None,
                Some(_) => Some(Refusal::new(12_029, super::MDM, "The setting is not supported on this device.")),
                None => Some(Refusal::new(12_035, super::MDM, "The setting is not known.")),
            };
            w.dict(|w| {
                if let Some(refusal) = &refusal {
                    refusal.write(w);
                }
                if let Some(identifier) = item.get("Identifier").and_then(|identifier| identifier.as_str()) {
                    w.key("Identifier").string(identifier);
                }
                w.key("Item").string(name);
                w.key("Status").string(if refusal.is_some() { "Error" } else { "Acknowledged" });
            });
        }
    });
    Ok(Then::Nothing)
}

/// As many items of one command are answered; there are about twenty kinds.
const ITEMS_MAX: usize = 256;

/// Item, whether iOS and iPadOS know it, whether macOS does.
const ITEMS: [(&str, bool, bool); 19] = [
    ("AccessibilitySettings", true, false),
    ("ApplicationAttributes", true, false),
    ("ApplicationConfiguration", true, false),
    ("AppAnalytics", true, false),
    ("AutoAdminAccount", false, true),
    ("Bluetooth", true, true),
    ("DataRoaming", true, false),
    ("DefaultApplications", true, false),
    ("DeviceName", true, true),
    ("DiagnosticSubmission", true, false),
    ("HostName", false, true),
    ("MDMOptions", true, true),
    ("OrganizationInfo", true, true),
    ("PasscodeLockGracePeriod", true, false),
    ("PersonalHotspot", true, false),
    ("SharedDeviceConfiguration", true, false),
    ("TimeZone", true, false),
    ("VoiceRoaming", true, false),
    ("Wallpaper", true, false),
];
