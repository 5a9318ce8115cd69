//! What a report holds, and what it does not.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::android::adp::Mode;
use std::collections::BTreeSet;

const AT: Wall = Wall::VIRTUAL_START;

fn recipe(mode: Mode) -> Recipe {
    Recipe {
        seed: 7,
        mode,
        brand: "Google".into(),
        model: "Pixel 9".into(),
        android_version: "16".into(),
        api_level: 36,
        serial: "35281JEHN00017".into(),
        system_apps: 3,
        apps: vec![App { package: "com.example.mail".into(), version: 10_203, removed: false }],
        boots: 1,
        ..Recipe::default()
    }
}

fn everything() -> Sections {
    let policy = json!({ "statusReportingSettings": {
        "applicationReportsEnabled": true, "softwareInfoEnabled": true, "networkInfoEnabled": true,
        "memoryInfoEnabled": true, "displayInfoEnabled": true, "hardwareStatusEnabled": true,
        "powerManagementEventsEnabled": true, "deviceSettingsEnabled": true, "systemPropertiesEnabled": true,
        "defaultApplicationInfoReportingEnabled": true, "commonCriteriaModeEnabled": true,
    } });
    Sections::asked(policy.as_object().unwrap())
}

fn fields(report: &Map<String, Value>) -> BTreeSet<&str> {
    report.keys().map(String::as_str).collect()
}

#[test]
fn a_report_follows_from_its_recipe_and_its_time() {
    let one = recipe(Mode::FullyManaged);
    let render = |recipe: &Recipe, at| serde_json::to_string(&render(recipe, everything(), at)).unwrap();
    assert_eq!(render(&one, AT), render(&one.clone(), AT));
    assert_ne!(render(&one, AT), render(&one, AT + droves_facts::Dur::secs(60)), "samples are of their time");
    let other = Recipe { seed: 8, ..one.clone() };
    assert_ne!(
        super::render(&one, everything(), AT)["networkInfo"],
        super::render(&other, everything(), AT)["networkInfo"]
    );
}

#[test]
fn a_device_tells_what_it_is_asked_and_may_tell() {
    let all = everything();
    let whole = render(&recipe(Mode::FullyManaged), all, AT);
    assert_eq!(fields(&whole).len(), 14, "hardware, posture, and every section: {:?}", fields(&whole));
    assert_eq!(whole["applicationReports"].as_array().unwrap().len(), 4);
    let personal = render(&recipe(Mode::PersonalWorkProfile), all, AT);
    let missing: Vec<_> = fields(&whole).difference(&fields(&personal)).copied().collect();
    assert_eq!(missing, ["commonCriteriaModeInfo", "displays", "hardwareStatusSamples", "powerManagementEvents"]);
    assert_eq!(personal["applicationReports"].as_array().unwrap().len(), 1, "work applications only");
    assert_eq!(personal["networkInfo"].as_object().unwrap().keys().collect::<Vec<_>>(), ["wifiMacAddress"]);
    assert_eq!(personal["hardwareInfo"]["enterpriseSpecificId"], personal["hardwareInfo"]["serialNumber"]);
    assert!(whole["hardwareInfo"].get("enterpriseSpecificId").is_none());
    let older = Recipe { api_level: 30, ..recipe(Mode::PersonalWorkProfile) };
    let older = render(&older, all, AT);
    assert!(
        older["hardwareInfo"].get("enterpriseSpecificId").is_none() && !older.contains_key("defaultApplicationInfo")
    );
    assert_eq!(fields(&render(&recipe(Mode::Dedicated), Sections::default(), AT)).len(), 2);
}

/// As the reference has it (`enterprises.devices`).
#[test]
fn what_is_told_is_what_goes_with_the_device_and_its_policy() {
    let told = |mode, sections| render(&recipe(mode), sections, AT);
    let whole = told(Mode::FullyManaged, everything());
    let hot = "cpuThrottlingTemperatures";
    assert!(whole["hardwareInfo"].get(hot).is_some(), "only where the hardware's status is asked for");
    for quiet in [told(Mode::FullyManaged, Sections::default()), told(Mode::PersonalWorkProfile, everything())] {
        assert!(quiet["hardwareInfo"].get(hot).is_none());
    }
    let kinds = |mode| {
        let told = told(mode, everything());
        let apps = told["defaultApplicationInfo"].as_array().unwrap().clone();
        apps.iter().map(|app| app["defaultApplicationType"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let counts = [Mode::Dedicated, Mode::CompanyWorkProfile, Mode::PersonalWorkProfile].map(|mode| kinds(mode).len());
    assert_eq!(counts, [8, 5, 4]);
    assert!(!kinds(Mode::PersonalWorkProfile).contains(&"DEFAULT_WALLET".to_owned()));
    assert!(whole["networkInfo"]["telephonyInfos"][0].get("activationState").is_none(), "its SIM is no eSIM");
    assert_eq!(
        whole["commonCriteriaModeInfo"]["policySignatureVerificationStatus"],
        "POLICY_SIGNATURE_VERIFICATION_DISABLED"
    );
    for seed in 0..40 {
        let report = render(&Recipe { seed, ..recipe(Mode::FullyManaged) }, everything(), AT);
        for section in ["memoryEvents", "hardwareStatusSamples", "powerManagementEvents"] {
            let times = report[section].as_array().unwrap().iter().map(|event| event["createTime"].to_string());
            assert!(times.collect::<Vec<_>>().is_sorted(), "{section} in the order of time");
        }
    }
}

/// A day to the next a few things, a quarter of a year later the patch, and never what a device is.
#[test]
fn reports_differ_from_day_to_day_and_get_newer() {
    let told =
        |days: u64| render(&recipe(Mode::FullyManaged), everything(), AT + droves_facts::Dur::secs(days * 86_400));
    let text = |days, field: &str| told(days)["softwareInfo"][field].as_str().unwrap().to_owned();
    let codes = |days| {
        let apps = told(days)["applicationReports"].clone();
        apps.as_array().unwrap().iter().map(|app| app["versionCode"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let patches: Vec<String> = (0..120).map(|day| text(day, "securityPatchLevel")).collect();
    assert!(patches.is_sorted() && patches.iter().collect::<BTreeSet<_>>().len() == 5, "{patches:?}");
    let apps: Vec<_> = (0..120).map(codes).collect();
    assert!(apps.is_sorted() && apps[0] != apps[119], "{apps:?}");
    let (first, last) = (told(0), told(119));
    ["androidBuildNumber", "deviceKernelVersion", "deviceBuildSignature", "androidDevicePolicyVersionCode"]
        .iter()
        .for_each(|field| assert_ne!(first["softwareInfo"][field], last["softwareInfo"][field], "{field}"));
    assert_eq!(first["hardwareInfo"], last["hardwareInfo"]);
    assert_eq!(first["softwareInfo"]["androidVersion"], last["softwareInfo"]["androidVersion"]);
    let statuses: BTreeSet<_> =
        (0..31).map(|day| told(day)["softwareInfo"]["systemUpdateInfo"]["updateStatus"].to_string()).collect();
    assert_eq!(statuses.len(), 2, "there is one, and there is none: {statuses:?}");
    let app = |report: &Map<String, Value>| report["applicationReports"][0].clone();
    assert_eq!(app(&first)["signingKeyCerts"], app(&last)["signingKeyCerts"]);
}

#[test]
fn clones_tell_one_imei_and_addresses_of_their_own() {
    let told = |seed, serial: &str| {
        let recipe = Recipe { seed, serial: serial.into(), ..recipe(Mode::Dedicated) };
        let mut network = render(&recipe, everything(), AT).remove("networkInfo").unwrap();
        (network["imei"].take(), network["wifiMacAddress"].take())
    };
    let [one, other, single] = [(1, "unknown"), (2, "unknown"), (2, "S1")].map(|(seed, serial)| told(seed, serial));
    assert_eq!((&one.0, &one.0), (&other.0, &json!(crate::android::image::IMEI)));
    assert_ne!(one.1, other.1);
    assert_eq!(single.1, other.1);
    assert_ne!(single.0, other.0);
}

#[test]
fn what_is_empty_is_absent_and_what_was_removed_is_told_where_it_is_asked_for() {
    let mut recipe = recipe(Mode::PersonalWorkProfile);
    recipe.apps.iter_mut().for_each(|app| app.removed = true);
    recipe.details.push(Detail { setting: "applications".into(), reason: "PENDING".into(), ..Detail::default() });
    let report = render(&recipe, everything(), AT);
    assert!(!report.contains_key("applicationReports"));
    assert_eq!(
        report["nonComplianceDetails"],
        json!([{ "settingName": "applications", "nonComplianceReason": "PENDING" }])
    );
    let settings =
        json!({ "applicationReportsEnabled": true, "applicationReportingSettings": { "includeRemovedApps": true } });
    let policy = json!({ "statusReportingSettings": settings });
    let report = render(&recipe, Sections::asked(policy.as_object().unwrap()), AT);
    assert_eq!(report["applicationReports"][0]["state"], "REMOVED");
}
