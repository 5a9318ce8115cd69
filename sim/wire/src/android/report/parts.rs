//! The sections of a report that are about the device itself.

use super::super::adp::{Mode, Recipe};
use super::super::image;
use super::super::value::{int64, timestamp};
use super::{drawn, updates};
use droves_facts::{Dur, Philox, Wall};
use jiff::civil::Date;
use serde_json::{Value, json};

/// A device that tells, and when.
pub(super) struct Told<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) at: Wall,
}

/// What draws are for: a number each.
const HARDWARE: u64 = 1;
const SOFTWARE: u64 = 2;
const NETWORK: u64 = 3;
const MEMORY: u64 = 4;
const DISPLAY: u64 = 5;
const SAMPLES: u64 = 6;
const POWER: u64 = 7;
const PATCH: u64 = 8;

/// How long after it is out a patch is on the last devices. Ours.
const PATCH_LATE_S_MAX: u64 = 28 * 86_400;

/// From Android 12 on, somebody's own device is known by an id that is good for one enterprise.
const ENTERPRISE_ID_API_MIN: u16 = 31;
/// Samples of a day, one each quarter of an hour.
const SAMPLES_A_DAY: u64 = 96;
const SAMPLES_EVERY: Dur = Dur::secs(900);
const LANGUAGES: [&str; 4] = ["en-US", "de-DE", "fr-FR", "pt-BR"];
/// As Google's own devices have them.
const DEFAULT_APPLICATIONS: [(&str, &str); 8] = [
    ("DEFAULT_ASSISTANT", "com.google.android.googlequicksearchbox"),
    ("DEFAULT_BROWSER", "com.android.chrome"),
    ("DEFAULT_CALL_REDIRECTION", "com.google.android.dialer"),
    ("DEFAULT_CALL_SCREENING", "com.google.android.dialer"),
    ("DEFAULT_DIALER", "com.google.android.dialer"),
    ("DEFAULT_HOME", "com.google.android.apps.nexuslauncher"),
    ("DEFAULT_SMS", "com.google.android.apps.messaging"),
    ("DEFAULT_WALLET", "com.google.android.gms"),
];
const OF_PROFILES: [&str; 4] =
    ["DEFAULT_BROWSER", "DEFAULT_CALL_REDIRECTION", "DEFAULT_CALL_SCREENING", "DEFAULT_DIALER"];
const CARRIERS: [&str; 4] = ["Telekom.de", "Vodafone", "Orange F", "T-Mobile"];

impl Told<'_> {
    fn rng(&self, thing: u64) -> Philox {
        drawn(self.recipe, thing)
    }

    fn is_personal(&self) -> bool {
        self.recipe.mode == Mode::PersonalWorkProfile
    }

    /// `status`: whether the policy asks for the hardware's status.
    pub(super) fn hardware(&self, status: bool) -> Value {
        let recipe = self.recipe;
        let mut rng = self.rng(HARDWARE);
        let mut hardware = json!({
            "brand": recipe.brand,
            "model": recipe.model,
            "manufacturer": recipe.brand,
            "hardware": recipe.model.to_lowercase().replace(' ', "_"),
            "serialNumber": recipe.serial,
            "deviceBasebandVersion": format!("g5300q-{}-B-{}", rng.below(1_000_000), 10_000_000 + rng.below(1_000_000)),
        });
        if status {
            hardware["cpuShutdownTemperatures"] = json!([115, 115, 115, 115]);
            hardware["cpuThrottlingTemperatures"] = json!([95, 95, 95, 95]);
            hardware["batteryShutdownTemperatures"] = json!([60]);
            hardware["skinThrottlingTemperatures"] = json!([43]);
        }
        if self.is_personal() && recipe.api_level >= ENTERPRISE_ID_API_MIN {
            hardware["enterpriseSpecificId"] = hardware["serialNumber"].clone();
        }
        hardware
    }

    pub(super) fn software(&self) -> Value {
        let recipe = self.recipe;
        let mut rng = self.rng(SOFTWARE);
        let (patch, newest) = (self.patch(), updates::patch(Dur::ZERO, self.at));
        // Another build for each patch.
        let mut of_patch = self.rng_of_patch();
        let build = format!("BP{}A.{}.{:03}", recipe.android_version, patch.strftime("%y%m%d"), of_patch.below(20));
        // Google's agent is a new one each week.
        let week = self.at.secs().div_euclid(7 * 86_400).clamp(0, 9_999);
        let code = 10_000_000 + i64::from(recipe.api_level) * 10_000 + week;
        let mut update = json!({ "updateStatus": "UP_TO_DATE" });
        if patch < newest {
            update = json!({
                "updateStatus": "SECURITY_UPDATE_AVAILABLE",
                "updateReceivedTime": format!("{newest}T08:00:00Z"),
            });
        }
        json!({
            "androidVersion": recipe.android_version,
            "androidBuildNumber": build,
            "androidBuildTime": format!("{patch}T00:00:00Z"),
            "androidDevicePolicyVersionCode": code,
            "androidDevicePolicyVersionName": format!("{}.{}.{}", code / 100_000, code / 1_000 % 100, code % 1_000),
            "bootloaderVersion": format!("{}-{}", recipe.model.to_lowercase().replace(' ', ""), 15_000_000 + rng.below(99_999)),
            "deviceBuildSignature": hex::encode([(); 4].map(|()| of_patch.u64().to_le_bytes()).concat()),
            "deviceKernelVersion": format!("6.1.{}-android14-11-g{:012x}", 50 + of_patch.below(90), of_patch.u64() >> 16),
            "primaryLanguageCode": LANGUAGES[rng.below(4) as usize & 3],
            "securityPatchLevel": patch.to_string(),
            "systemUpdateInfo": update,
        })
    }

    /// The security patch that it has: everybody takes a while for each.
    fn patch(&self) -> Date {
        updates::patch(Dur::secs(self.rng(PATCH).below(PATCH_LATE_S_MAX)), self.at)
    }

    fn rng_of_patch(&self) -> Philox {
        self.rng(PATCH | u64::from(self.patch().strftime("%Y%m").to_string().parse::<u32>().unwrap_or(0)) << 8)
    }

    /// Who belongs to his own device tells of no SIM and no radio. A SIM that one can touch has no state of activation.
    pub(super) fn network(&self) -> Value {
        let mut rng = self.rng(NETWORK);
        let mut hex_byte = || format!("{:02x}", rng.below(256));
        let mac = ["02".to_owned(), hex_byte(), hex_byte(), hex_byte(), hex_byte(), hex_byte()].join(":");
        let mut network = json!({ "wifiMacAddress": mac });
        if !self.is_personal() {
            let carrier = CARRIERS[rng.below(4) as usize & 3];
            let own = imei(rng.below(1_000_000_000_000));
            network["imei"] = if image::is_of_image(&self.recipe.serial) { image::IMEI.into() } else { own.into() };
            network["networkOperatorName"] = carrier.into();
            network["telephonyInfos"] = json!([{
                "carrierName": carrier,
                "phoneNumber": format!("+1555{:07}", rng.below(10_000_000)),
                "iccId": format!("8901{:015}", rng.below(1_000_000_000_000_000)),
            }]);
        }
        network
    }

    pub(super) fn memory(&self) -> Value {
        let (ram, storage) = self.sizes();
        json!({ "totalRam": int64(ram), "totalInternalStorage": int64(storage) })
    }

    /// How much is free, as of the last hour: the oldest first.
    pub(super) fn memory_events(&self) -> Value {
        let (ram, storage) = self.sizes();
        let mut rng = self.rng(MEMORY + (self.at.0.unsigned_abs() << 8));
        let mut event = |kind, total: i64| {
            let free = total / 100 * (10 + i64::try_from(rng.below(60)).unwrap_or(0));
            (self.at - Dur::secs(rng.below(3_600)), kind, free)
        };
        let mut events = [event("RAM_MEASURED", ram), event("INTERNAL_STORAGE_MEASURED", storage)];
        events.sort_unstable();
        let events = events.map(
            |(at, kind, free)| json!({ "eventType": kind, "createTime": timestamp(at), "byteCount": int64(free) }),
        );
        events.as_slice().into()
    }

    /// RAM and storage in bytes, as devices are sold.
    fn sizes(&self) -> (i64, i64) {
        let mut rng = self.rng(MEMORY);
        ((4 << rng.below(3)) * 1_000_000_000, (64 << rng.below(3)) * 1_000_000_000)
    }

    pub(super) fn displays(&self) -> Value {
        let mut rng = self.rng(DISPLAY);
        let (width, height, density) =
            [(1_080, 2_400, 420), (1_440, 3_120, 560), (720, 1_600, 320)][rng.below(3) as usize % 3];
        json!([{
            "name": "Built-in Screen", "displayId": 0, "refreshRate": 60, "state": "OFF",
            "width": width, "height": height, "density": density,
        }])
    }

    pub(super) fn hardware_samples(&self) -> Value {
        let mut rng = self.rng(SAMPLES);
        let mut degrees = |from: u32, width: u64| f64::from(from * 10 + rng.below(width * 10) as u32) / 10.0;
        self.samples(|at| {
            json!({
                "createTime": at,
                "cpuTemperatures": [degrees(30, 25), degrees(30, 25), degrees(30, 25), degrees(30, 25)],
                "gpuTemperatures": [degrees(30, 20)],
                "batteryTemperatures": [degrees(22, 14)],
                "skinTemperatures": [degrees(25, 12)],
                "cpuUsages": [degrees(0, 60), degrees(0, 60), degrees(0, 60), degrees(0, 60), 0, 0, 0, 0],
                "fanSpeeds": [0],
            })
        })
    }

    pub(super) fn power_events(&self) -> Value {
        let mut rng = self.rng(POWER);
        // One percent in a quarter of an hour, and charged in between.
        let mut level = 20 + rng.below(80);
        let levels = self.samples(|at| {
            level = if level == 20 { 99 } else { level - 1 };
            json!({ "eventType": "BATTERY_LEVEL_COLLECTED", "createTime": at, "batteryLevel": level })
        });
        let Value::Array(mut events) = levels else { return levels };
        if self.recipe.boots > 0 {
            let before = self.at - SAMPLES_EVERY.times(SAMPLES_A_DAY);
            events.insert(0, json!({ "eventType": "BOOT_COMPLETED", "createTime": timestamp(before) }));
        }
        events.into()
    }

    /// A day's samples, the oldest first.
    fn samples(&self, mut sample: impl FnMut(String) -> Value) -> Value {
        let ago = (0..SAMPLES_A_DAY).rev().map(|n| SAMPLES_EVERY.times(n));
        ago.map(|ago| sample(timestamp(self.at - ago))).collect()
    }

    /// Google sends these also where they are false.
    pub(super) fn settings(&self) -> Value {
        json!({
            "isDeviceSecure": true,
            "unknownSourcesEnabled": false,
            "developmentSettingsEnabled": false,
            "adbEnabled": false,
            "isEncrypted": true,
            "encryptionStatus": "ACTIVE_PER_USER",
            "verifyAppsEnabled": true,
        })
    }

    pub(super) fn common_criteria(&self) -> Value {
        json!({
            "commonCriteriaModeStatus": "COMMON_CRITERIA_MODE_DISABLED",
            "policySignatureVerificationStatus": "POLICY_SIGNATURE_VERIFICATION_DISABLED",
        })
    }

    pub(super) fn properties(&self) -> Value {
        let Recipe { brand, model, android_version, .. } = self.recipe;
        let mut rng = self.rng_of_patch();
        let fingerprint =
            format!("{brand}/{model}/{model}:{android_version}/{:08}:user/release-keys", rng.below(100_000_000));
        json!({
            "ro.product.brand": brand,
            "ro.product.model": model,
            "ro.build.fingerprint": fingerprint,
            "ro.build.type": "user",
        })
    }

    /// Of a work profile only what it has of its own, and the wallet where the device is the company's.
    pub(super) fn default_applications(&self) -> Value {
        let is_told = |kind: &str| match self.recipe.mode {
            Mode::FullyManaged | Mode::Dedicated => true,
            Mode::CompanyWorkProfile => OF_PROFILES.contains(&kind) || kind == "DEFAULT_WALLET",
            Mode::PersonalWorkProfile => OF_PROFILES.contains(&kind),
        };
        let told = DEFAULT_APPLICATIONS.into_iter().filter(|(kind, _)| is_told(kind));
        told.map(|(kind, package)| json!({ "defaultApplicationType": kind, "packageName": package })).collect()
    }
}

/// An IMEI: two digits of who issued it, twelve of the device's own, and one that checks them (GSMA TS.06).
fn imei(number: u64) -> String {
    let digits = format!("35{number:012}");
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let digit = |(place, digit): (usize, char)| {
        let digit = digit.to_digit(10).unwrap_or(0);
        if place % 2 == 1 { doubled(digit) } else { digit }
    };
    let sum: u32 = digits.chars().enumerate().map(digit).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_digit_checks_the_others() {
        assert_eq!(super::imei(0x0), "350000000000006");
        assert_eq!(super::imei(0).len(), super::image::IMEI.len());
        assert_eq!(super::imei(209_900_176_148), "352099001761481", "the example of TS.06");
    }
}
