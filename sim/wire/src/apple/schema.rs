//! Every key that our messages carry is one of Apple's, with its type: a walk over Apple's published schema.
//!
//! The schema (`apple/device-management`) is not part of this project; where it does not lie beside the checkout, the
//! walk is left out and says so.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::body::*;
use super::checkin::{Authenticate, Message, TokenUpdate};
use super::identity::{EnrollmentId, Hardware, User, Who};
use super::profile::{AccessRights, Allowances, EnrollmentProfile};
use super::request::{self, App, AppSource, Request, ReturnToService, Setting, Update};
use super::result::{self, ErrorItem, Outcome};
use crate::plist::{self, Dict, Node, Value};
use droves_facts::{CommandStatus, Limits, Platform, Wall};
use saphyr::{LoadableYamlNode, Yaml};
use std::path::PathBuf;

const SCHEMA: &str = "../../../shared/data/apple-device-management/mdm";

/// One file of the schema.
struct Schema(String);

impl Schema {
    /// `None` where the schema is not there at all; a file that is missing in it is an error.
    fn of(file: &str) -> Option<Schema> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(SCHEMA);
        if !root.is_dir() {
            say_skipped(file);
            return None;
        }
        Some(Schema(std::fs::read_to_string(root.join(format!("{file}.yaml"))).unwrap()))
    }

    /// Checks a dictionary against the keys under `part`, but for `envelope`, which the schema leaves to its prose.
    fn check(&self, part: &str, dict: &Dict, os: &str, envelope: &[&str]) {
        let yaml = Yaml::load_from_str(&self.0).unwrap();
        let keys = yaml[0].as_mapping_get(part).and_then(|keys| keys.as_sequence()).map_or(&[][..], Vec::as_slice);
        for (key, value) in dict.iter().filter(|(key, _)| !envelope.contains(key)) {
            check_key(keys, key, value, os, key);
        }
    }
}

#[expect(clippy::print_stderr, reason = "a test that is left out must not look like one that passed")]
fn say_skipped(file: &str) {
    eprintln!("left out, Apple's schema is not beside the checkout: {file}");
}

fn check_key(keys: &[Yaml<'_>], key: &str, value: &Value, os: &str, path: &str) {
    let text = |yaml: &Yaml<'_>, key: &str| {
        yaml.as_mapping_get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    };
    let known = keys.iter().find(|known| text(known, "key") == key);
    let known = known.or_else(|| keys.iter().find(|known| text(known, "key").starts_with("ANY")));
    let Some(known) = known else { panic!("{path}: a key that Apple's schema does not know") };
    let system = known.as_mapping_get("supportedOS").and_then(|all| all.as_mapping_get(os));
    if let Some(system) = system {
        assert_ne!(text(system, "introduced"), "n/a", "{path} on {os}");
    }
    let kind = text(known, "type");
    let fits = match value {
        Value::Dict(_) => kind == "<dictionary>",
        Value::Array(_) => kind == "<array>",
        Value::String(_) => kind == "<string>",
        Value::Integer(_) | Value::Unsigned(_) => kind == "<integer>",
        Value::Real(_) => kind == "<real>",
        Value::Bool(_) => kind == "<boolean>",
        Value::Date(_) => kind == "<date>",
        Value::Data(_) => kind == "<data>",
    };
    assert!(fits || kind == "<any>", "{path} is {kind}, not {value:?}");
    let below = known.as_mapping_get("subkeys").and_then(|keys| keys.as_sequence()).map_or(&[][..], Vec::as_slice);
    match value {
        // Free dictionaries have no keys in the schema.
        Value::Dict(dict) if !below.is_empty() => {
            dict.iter().for_each(|(key, value)| check_key(below, key, value, os, &format!("{path}.{key}")));
        }
        Value::Array(items) if !below.is_empty() => {
            let name = text(&below[0], "key");
            items.iter().for_each(|item| check_key(&below[..1], &name, item, os, &format!("{path}[]")));
        }
        _ => {}
    }
}

fn read(bytes: &[u8]) -> Dict {
    plist::read(bytes, &Limits::default()).unwrap().as_dict().unwrap().clone()
}

fn name_of(platform: Platform) -> &'static str {
    if platform == Platform::Macos { "macOS" } else { "iOS" }
}

const HARDWARE: Hardware<'static> = Hardware {
    udid: "U",
    serial_number: "S",
    device_name: "D",
    model: "M",
    model_name: "N",
    product_name: "P",
    os_version: "1",
    build_version: "B",
    imei: Some("I"),
    meid: Some("E"),
    host_name: None,
    local_host_name: None,
    mac_address: None,
};
const ID: EnrollmentId<'static> = EnrollmentId::Udid("U");
const WHO: Who<'static> = Who { id: ID, user: None };

#[test]
fn check_in_messages_carry_apples_keys() {
    let check = |message: Message<'_>, platform, envelope: &[&str]| {
        let Some(schema) = Schema::of(&format!("checkin/{}", message.name().to_lowercase())) else { return };
        let mut out = Vec::new();
        message.write(&mut out);
        schema.check("payloadkeys", &read(&out), name_of(platform), envelope);
    };
    let update = TokenUpdate {
        topic: "t",
        who: WHO,
        token: &[1],
        push_magic: "m",
        unlock_token: None,
        awaiting_configuration: Some(true),
    };
    for platform in [Platform::Ios, Platform::Macos] {
        for id in [ID, EnrollmentId::Enrollment("E")] {
            let authenticate = Authenticate::of(platform, AccessRights::ALL, id, "t", &HARDWARE);
            check(Message::Authenticate(authenticate), platform, &[]);
            check(Message::TokenUpdate(TokenUpdate { who: Who { id, user: None }, ..update }), platform, &[]);
            check(Message::CheckOut { topic: "t", id }, platform, &[]);
        }
        // The schema leaves out who speaks in these two; real messages say it.
        let who = ["UDID", "EnrollmentID"];
        let awaiting_configuration = Some(true);
        check(Message::SetBootstrapToken { id: ID, token: Some(&[1]), awaiting_configuration }, platform, &who);
        check(Message::GetBootstrapToken { id: ID, awaiting_configuration }, platform, &who);
    }
    check(Message::TokenUpdate(TokenUpdate { unlock_token: Some(&[1]), ..update }), Platform::Ios, &[]);
    let user = User { id: "I", short_name: Some("s"), long_name: Some("l"), not_on_console: Some(true) };
    for id in [ID, EnrollmentId::Enrollment("E")] {
        let who = Who { id, user: Some(user) };
        check(Message::TokenUpdate(TokenUpdate { who, ..update }), Platform::Macos, &[]);
    }
    let shared = User { long_name: None, not_on_console: None, ..user };
    let who = Who { id: ID, user: Some(shared) };
    check(Message::TokenUpdate(TokenUpdate { who, ..update }), Platform::Ipados, &[]);
    check(Message::UserAuthenticate { udid: "U", user_id: "I", digest_response: Some("d") }, Platform::Macos, &[]);
}

fn check_result(file: &str, body: Body<'_>, platform: Platform) {
    let envelope = ["CommandUUID", "Status", "UDID", "ErrorChain"];
    let Some(schema) = Schema::of(&format!("commands/{file}")) else { return };
    let mut out = Vec::new();
    result::write(&mut out, &WHO, &Outcome::bare("c", CommandStatus::Acknowledged), &body);
    schema.check("responsekeys", &read(&out), name_of(platform), &envelope);
}

#[test]
fn results_carry_apples_keys() {
    let (ios, mac) = (Platform::Ios, Platform::Macos);
    let check = check_result;
    let answers = [
        ("UDID", Node::String("U")),
        ("BatteryLevel", Node::Real(0.5)),
        ("IsSupervised", Node::Bool(true)),
        ("DevicePropertiesAttestation", Node::Array(&[Node::Data(&[1])])),
    ];
    check("information.device", Body::QueryResponses(&answers), ios);
    check("information.security", Body::SecurityInfo(&SecurityInfo::Ios(IosSecurity::default())), ios);
    let keys = MacSecurity {
        fde_personal_recovery_key_cms: Some(&[1]),
        fde_personal_recovery_key_device_key: Some("k"),
        ..MacSecurity::default()
    };
    check("information.security", Body::SecurityInfo(&SecurityInfo::Macos(keys)), mac);
    let payloads = [PayloadItem {
        display_name: Some("n"),
        organization: Some("o"),
        description: Some("d"),
        ..Default::default()
    }];
    let profile = ProfileItem {
        display_name: Some("n"),
        organization: Some("o"),
        description: Some("d"),
        signer_certificates: &[&[1]],
        payloads: &payloads,
        ..Default::default()
    };
    check("profile.list", Body::ProfileList(&[profile]), mac);
    check("profile.list", Body::ProfileList(&[ProfileItem { is_managed: Some(true), ..profile }]), ios);
    let app = AppItem { external_version_identifier: Some(1), ..Default::default() };
    check("application.installed.list", Body::InstalledApplicationList(&[app]), mac);
    let app = AppItem { ios: Some(IosApp::default()), ..app };
    check("application.installed.list", Body::InstalledApplicationList(&[app]), ios);
    let managed = ManagedApp { identifier: "a", external_version_identifier: Some(1), ..Default::default() };
    check("application.managed.list", Body::ManagedApplicationList(&[managed]), mac);
    let managed = ManagedApp { is_validated: Some(true), ..managed };
    check("application.managed.list", Body::ManagedApplicationList(&[managed]), ios);
    let certificate = CertificateItem { common_name: "n", is_identity: true, data: &[1] };
    check("certificate.list", Body::CertificateList(&[certificate]), ios);
}

#[test]
fn results_of_changes_carry_apples_keys() {
    let (ios, mac) = (Platform::Ios, Platform::Macos);
    let check = check_result;
    let errors = [ErrorItem::unknown("x")];
    let installing = Body::Installing { identifier: "i", state: "s", rejection_reason: Some("r") };
    check("application.install", installing, ios);
    check("device.lock", Body::MessageResult("Success"), ios);
    let update = OsUpdate { product_name: Some("n"), install_size: Some(1), ..Default::default() };
    check("system.update.available", Body::AvailableOSUpdates(&[update]), ios);
    let update = OsUpdate {
        is_major: Some(true),
        requires_bootstrap_token: Some(true),
        deferred_until: Some(Wall::VIRTUAL_START),
        ..Default::default()
    };
    check("system.update.available", Body::AvailableOSUpdates(&[update]), mac);
    let update = UpdateResult { product_key: "k", install_action: "Error", status: "Idle", errors: &errors };
    check("system.update.schedule", Body::UpdateResults(&[update]), ios);
    let update = UpdateStatus { product_key: "k", is_downloaded: true, download_percent_complete: 0.5, status: "Idle" };
    check("system.update.status", Body::OsUpdateStatus(&[update]), ios);
    let user = UserItem::Macos {
        user_name: "u",
        full_name: "f",
        uid: 501,
        user_guid: "g",
        is_logged_in: true,
        mobile_account: true,
        has_secure_token: true,
    };
    check("user.list", Body::Users(&[user]), mac);
    let user = UserItem::SharedIpad {
        user_name: "u",
        is_logged_in: true,
        has_data_to_sync: true,
        data_quota_bytes: 1,
        data_used_bytes: 1,
    };
    check("user.list", Body::Users(&[user]), ios);
}

/// The schema has one dictionary where devices answer with an array of them, each with the `Item` that it is about.
#[test]
fn settings_carry_apples_keys() {
    let Some(schema) = Schema::of("commands/settings") else { return };
    let errors = [ErrorItem::unknown("x")];
    let settings = [SettingResult { item: "DeviceName", identifier: Some("a"), errors: &errors }];
    let mut out = Vec::new();
    let outcome = Outcome::bare("c", CommandStatus::Acknowledged);
    result::write(&mut out, &WHO, &outcome, &Body::Settings(&settings));
    let items = read(&out).array("Settings").unwrap().to_vec();
    let Value::Dict(mut item) = items[0].clone() else { panic!("{items:?}") };
    item.0.retain(|(key, _)| key != "Item");
    let whole = Dict(vec![("Settings".into(), Value::Dict(item))]);
    schema.check("responsekeys", &whole, "iOS", &[]);
}

#[test]
fn commands_carry_apples_keys() {
    let check = |file: &str, request: Request<'_>, platform| {
        let Some(schema) = Schema::of(&format!("commands/{file}")) else { return };
        assert!(schema.0.contains(&format!("requesttype: {}\n", request.request_type())), "{file}");
        let mut out = Vec::new();
        request::write(&mut out, "c", &request);
        let command = read(&out).dict("Command").unwrap().clone();
        schema.check("payloadkeys", &command, name_of(platform), &["RequestType"]);
    };
    let (ios, mac) = (Platform::Ios, Platform::Macos);
    check("information.device", Request::DeviceInformation { queries: &["UDID"], attestation_nonce: Some(&[1]) }, ios);
    check("information.security", Request::SecurityInfo, ios);
    let apps = Request::InstalledApplicationList { identifiers: &["a"], items: &["Name"], managed_only: true };
    check("application.installed.list", apps, ios);
    check("application.managed.list", Request::ManagedApplicationList { identifiers: &["a"] }, ios);
    check("profile.list", Request::ProfileList { managed_only: true }, ios);
    check("certificate.list", Request::CertificateList { managed_only: true }, ios);
    check("profile.install", Request::InstallProfile { payload: &[1] }, ios);
    check("profile.remove", Request::RemoveProfile { identifier: "i" }, ios);
    for source in [AppSource::Store(1), AppSource::Bundle("b"), AppSource::Manifest("https://m")] {
        let app = App { source, management_flags: 1, licensed: true };
        check("application.install", Request::InstallApplication(app), ios);
    }
    check("application.remove", Request::RemoveApplication { identifier: "i" }, ios);
    check("device.lock", Request::DeviceLock { pin: None, message: Some("m"), phone_number: Some("1") }, ios);
    check("device.lock", Request::DeviceLock { pin: Some("123456"), message: None, phone_number: None }, mac);
    let after = ReturnToService { mdm_profile: Some(&[1]), wifi_profile: Some(&[1]) };
    check("device.erase", Request::EraseDevice { pin: None, return_to_service: Some(after) }, ios);
    check("device.erase", Request::EraseDevice { pin: Some("123456"), return_to_service: None }, mac);
    check("device.restart", Request::RestartDevice, ios);
    check("device.shutdown", Request::ShutDownDevice, ios);
    check("passcode.clear", Request::ClearPasscode { unlock_token: &[1] }, ios);
    check("system.update.available", Request::AvailableOSUpdates, mac);
    let update = Update { product_key: Some("k"), product_version: Some("1"), action: "Default" };
    check("system.update.schedule", Request::ScheduleOSUpdate { updates: &[update] }, mac);
    check("system.update.status", Request::OSUpdateStatus, mac);
    check("declarativemanagement", Request::DeclarativeManagement { data: Some(b"{}") }, mac);
    check("user.list", Request::UserList, mac);
    check("device.configured", Request::DeviceConfigured, ios);

    // A setting is one of several dictionaries that share an array: each item's keys stand under the item's name.
    let Some(schema) = Schema::of("commands/settings") else { return };
    let pairs = [("DeviceName", Node::String("n"))];
    let mut out = Vec::new();
    request::write(&mut out, "c", &Request::Settings { items: &[Setting { item: "DeviceName", pairs: &pairs }] });
    let command = read(&out).dict("Command").unwrap().clone();
    let named = Dict(vec![("DeviceName".into(), command.array("Settings").unwrap()[0].clone())]);
    let yaml = Yaml::load_from_str(&schema.0).unwrap();
    let keys = yaml[0].as_mapping_get("payloadkeys").unwrap().as_sequence().unwrap();
    let below = keys[0].as_mapping_get("subkeys").unwrap().as_sequence().unwrap();
    named.iter().for_each(|(key, value)| check_key(below, key, value, "iOS", key));
}

#[test]
fn profiles_carry_apples_keys() {
    let (Some(common), Some(top)) = (Schema::of("profiles/CommonPayloadKeys"), Schema::of("profiles/TopLevel")) else {
        return;
    };
    let sample = include_bytes!("../../testdata/apple/enroll.mobileconfig");
    let profile = EnrollmentProfile::parse(sample, Allowances::default(), &Limits::default()).unwrap();
    let mut out = Vec::new();
    profile.write(&mut out);
    let root = read(&out);
    top.check("payloadkeys", &root, "iOS", &[]);
    let payloads = root.array("PayloadContent").unwrap();
    assert_eq!(payloads.len(), 3);
    for payload in payloads {
        let payload = payload.as_dict().unwrap();
        let heading = |key: &str| key.starts_with("Payload") && key != "PayloadContent";
        let (shared, own): (Vec<_>, Vec<_>) = payload.0.iter().cloned().partition(|(key, _)| heading(key));
        common.check("payloadkeys", &Dict(shared), "iOS", &[]);
        let schema = Schema::of(&format!("profiles/{}", payload.str("PayloadType").unwrap())).unwrap();
        // Each of these may be one text or an array of them, which a schema of one type can't say.
        let mut own = Dict(own);
        for (_, value) in &mut own.0 {
            if let Value::Dict(content) = value {
                content.0.retain(|(key, _)| key != "SubjectAltName");
            }
        }
        schema.check("payloadkeys", &own, "iOS", &[]);
    }
}
