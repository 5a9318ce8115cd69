//! What of a policy a device can't do, by how it is managed and by its Android: as Google's reference of the Policy says at
//! each setting that it is then reported with `MANAGEMENT_MODE`, `API_LEVEL` or `USER_ACTION`.

use droves_wire::android::adp::{Detail, Mode};
use serde_json::{Map, Value};

/// A setting, with a dot before what lies in it; the API level that it needs; on which devices it counts.
struct Setting(&'static str, u16, Where);

/// On which devices a setting counts.
#[derive(Clone, Copy)]
enum Where {
    All,
    /// On a company's.
    Company,
    /// On those that are managed as a whole.
    Whole,
}

const SETTINGS: [Setting; 35] = [
    Setting("adjustVolumeDisabled", 0, Where::Whole),
    Setting("advancedSecurityOverrides.commonCriteriaMode", 30, Where::Company),
    Setting("advancedSecurityOverrides.contentProtectionPolicy", 35, Where::All),
    Setting("advancedSecurityOverrides.mtePolicy", 34, Where::Company),
    Setting("assistContentPolicy", 35, Where::All),
    Setting("backupService", 26, Where::Whole),
    Setting("crossProfilePolicies.exemptionsToShowWorkContactsInPersonalProfile", 34, Where::All),
    Setting("crossProfilePolicies.showWorkContactsInPersonalProfile", 24, Where::All),
    Setting("deviceConnectivityManagement.apnPolicy", 29, Where::All),
    Setting("deviceConnectivityManagement.bluetoothSharing", 26, Where::All),
    Setting("deviceConnectivityManagement.configureWifi", 33, Where::Company),
    Setting("deviceConnectivityManagement.privateDnsSettings", 29, Where::Whole),
    Setting("deviceConnectivityManagement.tetheringSettings", 33, Where::Company),
    Setting("deviceConnectivityManagement.usbDataAccess", 31, Where::Company),
    Setting("deviceConnectivityManagement.wifiDirectSettings", 33, Where::Company),
    Setting("deviceConnectivityManagement.wifiRoamingPolicy", 35, Where::Company),
    Setting("deviceConnectivityManagement.wifiSsidPolicy", 33, Where::Company),
    Setting("deviceRadioState.airplaneModeState", 28, Where::Company),
    Setting("deviceRadioState.cellularTwoGState", 34, Where::Company),
    Setting("deviceRadioState.minimumWifiSecurityLevel", 33, Where::Company),
    Setting("deviceRadioState.ultraWidebandState", 34, Where::Company),
    Setting("deviceRadioState.userInitiatedAddEsimSettings", 35, Where::Company),
    Setting("deviceRadioState.wifiState", 33, Where::Company),
    Setting("displaySettings.screenBrightnessSettings", 28, Where::Whole),
    Setting("displaySettings.screenTimeoutSettings", 28, Where::Whole),
    Setting("factoryResetDisabled", 0, Where::Company),
    Setting("kioskCustomLauncherEnabled", 0, Where::Whole),
    Setting("kioskCustomization", 0, Where::Whole),
    Setting("microphoneAccess", 31, Where::Whole),
    Setting("networkResetDisabled", 0, Where::Whole),
    Setting("outgoingCallsDisabled", 0, Where::Whole),
    Setting("personalUsagePolicies.bluetoothSharing", 26, Where::Company),
    Setting("printingPolicy", 28, Where::All),
    Setting("smsDisabled", 0, Where::Whole),
    Setting("systemUpdate", 23, Where::Company),
];

/// Settings that ask something of the user.
const OF_USERS: [&str; 3] = ["locationMode", "passwordPolicies", "passwordRequirements"];

/// What of a policy's settings is not so: for good, and until the user acts.
pub(super) fn details(policy: &Map<String, Value>, mode: Mode, api_level: u16) -> (Box<[Detail]>, Box<[Detail]>) {
    let detail = |setting: &str, reason: &str| {
        let setting = setting.split('.').next().unwrap_or_default();
        Detail { setting: setting.into(), reason: reason.into(), ..Detail::default() }
    };
    let mut never: Vec<Detail> = SETTINGS
        .iter()
        .filter(|Setting(path, ..)| is_asked(policy, path))
        .filter_map(|Setting(path, least, place)| Some(detail(path, reason(*least, *place, mode, api_level)?)))
        .collect();
    if policy.get("minimumApiLevel").and_then(Value::as_u64).is_some_and(|least| least > u64::from(api_level)) {
        never.push(detail("minimumApiLevel", "OS_NOT_PERMITTED"));
    }
    // Two of one group, for one reason, are told once.
    never.dedup();
    let of_users = OF_USERS.iter().filter(|setting| is_asked(policy, setting));
    (never.into(), of_users.map(|setting| detail(setting, "USER_ACTION")).collect())
}

/// Why such a device can't do it.
fn reason(least: u16, place: Where, mode: Mode, api_level: u16) -> Option<&'static str> {
    let counts = match place {
        Where::All => true,
        Where::Company => mode != Mode::PersonalWorkProfile,
        Where::Whole => matches!(mode, Mode::FullyManaged | Mode::Dedicated),
    };
    match (counts, api_level >= least) {
        (false, _) => Some("MANAGEMENT_MODE"),
        (true, false) => Some("API_LEVEL"),
        (true, true) => None,
    }
}

/// Whether a policy wants something there: what is off, empty or left to the user is not asked for.
fn is_asked(policy: &Map<String, Value>, path: &str) -> bool {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|part| policy.get(part));
    match first.and_then(|first| parts.try_fold(first, |at, part| at.get(part))) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is_on)) => *is_on,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => {
            !text.is_empty() && !text.ends_with("_UNSPECIFIED") && !text.ends_with("_USER_CHOICE")
        }
        Some(Value::Array(all)) => !all.is_empty(),
        Some(Value::Object(all)) => !all.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::json;

    fn check(policy: Value, mode: Mode, api_level: u16, never: &[(&str, &str)], until_acted: &[&str]) {
        let found = details(policy.as_object().unwrap(), mode, api_level);
        let told: Vec<_> = found.0.iter().map(|detail| (&*detail.setting, &*detail.reason)).collect();
        assert_eq!(told, never, "{policy}");
        assert_eq!(found.1.iter().map(|detail| &*detail.setting).collect::<Vec<_>>(), until_acted, "{policy}");
    }

    #[test]
    fn settings_count_where_google_says() {
        let policy = || {
            json!({
                "smsDisabled": true,
                "printingPolicy": "PRINTING_DISALLOWED",
                "deviceRadioState": { "wifiState": "WIFI_STATE_ENABLED", "cellularTwoGState": "CELLULAR_TWO_G_DISABLED" },
                "passwordPolicies": [{ "passwordQuality": "COMPLEX" }],
                "applications": [{ "packageName": "a.b" }],
            })
        };
        let users = &["passwordPolicies"];
        check(policy(), Mode::FullyManaged, 35, &[], users);
        check(policy(), Mode::FullyManaged, 33, &[("deviceRadioState", "API_LEVEL")], users);
        let profile = [("smsDisabled", "MANAGEMENT_MODE")];
        check(policy(), Mode::CompanyWorkProfile, 35, &profile, users);
        let personal = [("deviceRadioState", "MANAGEMENT_MODE"), ("smsDisabled", "MANAGEMENT_MODE")];
        check(policy(), Mode::PersonalWorkProfile, 35, &personal, users);
        let old = [personal[0], ("printingPolicy", "API_LEVEL"), personal[1]];
        check(policy(), Mode::PersonalWorkProfile, 27, &old, users);
    }

    #[test]
    fn what_is_off_is_not_asked_for() {
        let policy = json!({
            "smsDisabled": false,
            "locationMode": "LOCATION_USER_CHOICE",
            "printingPolicy": "PRINTING_POLICY_UNSPECIFIED",
            "deviceRadioState": {},
            "displaySettings": "of another form",
            "passwordPolicies": [],
            "kioskCustomization": null,
        });
        check(policy, Mode::PersonalWorkProfile, 24, &[], &[]);
        check(json!({"minimumApiLevel": 35}), Mode::Dedicated, 34, &[("minimumApiLevel", "OS_NOT_PERMITTED")], &[]);
        check(json!({"minimumApiLevel": 35}), Mode::Dedicated, 35, &[], &[]);
    }
}
