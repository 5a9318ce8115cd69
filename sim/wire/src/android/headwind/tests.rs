use super::config::{Application, ApplicationSetting, PushOptions, RemoteFile};
use super::details::{Detail, LogItem};
use super::info::{Held, Installed};
use super::paths::{Path, decoded};
use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// By `printf %s .. | openssl dgst -sha1`, and by Python's hashlib where a blank is in it.
#[test]
fn signatures_are_those_of_other_tools() {
    assert_eq!(sign::request(sign::SECRET, "d1"), "8C69448959CBFF7A387B5CAF73E5DA7BECF3A2EB");
    assert!(sign::is_request(sign::SECRET, "d1", "8c69448959cbff7a387b5caf73e5da7becf3a2eb"));
    assert!(!sign::is_request(sign::SECRET, "d2", "8c69448959cbff7a387b5caf73e5da7becf3a2eb"));
    let polling = sign::request(sign::SECRET, "/hmdm/rest/notification/polling/d1");
    assert_eq!(polling, "A9243FE997C49942015FF694AFEA7BC3D1673A89");
    let file = sign::file(sign::SECRET, "https://mdm.example.test/hmdm/files/apps/a.apk");
    assert_eq!(file.as_deref(), Some("99D8B2B1BCBC826A26B8103129CB29BDC0F52D6B"));
    assert_eq!(sign::file(sign::SECRET, "https://cdn.example.test/a.apk"), None);
    assert_eq!(sign::mqtt_password(sign::SECRET), "D54F553ED2EAC4DCF371B38366EBFA1B5973811A");
    let body = b"{\"status\":\"OK\",\"message\":null,\"data\":{\"newNumber\":null,\"title\":\"two  words\ttab\",\"x\":[1, 2]}}";
    assert_eq!(sign::response(sign::SECRET, body).as_deref(), Some("D0AF0758419A050B379EC9A2CEA9508B4EA0DFE2"));
    assert_eq!(sign::response(sign::SECRET, b"<html>"), None);
    assert_eq!(sign::response(sign::SECRET, b"\"data\":"), None);
}

#[test]
fn answers_have_the_lengths_of_real_ones() {
    assert_eq!(Envelope::<()>::ok(None).write(), br#"{"status":"OK","message":null,"data":null}"#);
    assert_eq!(Envelope::<()>::ok(None).write().len(), 42);
    assert_eq!(push::write_list(&[]).len(), 40);
    assert_eq!(Enroll::default().write(), br#"{"customer":null,"configuration":null,"groups":null}"#);
    let refused = Envelope::<Config>::read(br#"{"status":"ERROR","message":"error.notfound.device"}"#);
    assert_eq!(refused, Ok(Envelope::error(envelope::UNKNOWN_DEVICE)));
    assert!(matches!(Envelope::<Config>::read(b"<html>"), Err(HeadwindError::Json(_))));
    assert_eq!(Envelope::<Config>::read(&vec![b' '; BODY_BYTES_MAX + 1]), Err(HeadwindError::TooLarge));
}

#[test]
fn a_report_has_the_length_of_a_real_one() {
    let installed = |n: usize| Installed {
        pkg: Some(format!("com.example.application{n}")),
        name: Some(format!("Application {n}")),
        version: Some("1.2.3".into()),
    };
    let info = |apps: usize| DeviceInfo {
        model: Some("SM-A515F".into()),
        permissions: vec![1, 1, 1, 1],
        applications: (0..apps).map(installed).collect(),
        device_id: Some("d1".into()),
        imei: Some("356938035643809".into()),
        battery_level: 77,
        android_version: Some("14".into()),
        serial: Some("R58N12ABCDE".into()),
        ..DeviceInfo::default()
    };
    assert!((3_000..4_500).contains(&info(40).write().len()), "{}", info(40).write().len());
    assert_eq!(DeviceInfo::read(&info(40).write()), Ok(info(40)));
    assert_eq!(DeviceInfo::read(&info(LIST_MAX + 1).write()), Err(HeadwindError::TooLarge));
    assert!(!String::from_utf8_lossy(&info(1).write()).contains("phone"), "what is not known is left out");
}

#[test]
fn a_configuration_is_read_as_the_agent_reads_it() {
    let json = br##"{"status":"OK","message":null,"data":{"backgroundColor":"#1c40e3","pushOptions":"mqttWorker",
        "keepaliveTime":300,"applications":[{"id":1,"name":"A","pkg":"com.a","version":"1.0","url":"https://x/a.apk",
        "showIcon":true,"remove":null,"arm64":false}],"files":null,"kioskMode":null,"newNumber":null}}"##;
    let config = Envelope::<Config>::read(json).ok().and_then(|envelope| envelope.data).unwrap_or_default();
    assert_eq!(config.push(), Some(PushOptions::MqttWorker));
    assert_eq!(config.keep_alive_secs(), 900);
    assert!(config.applications.iter().all(|app| app.show_icon && !app.remove));
    assert_eq!((config.files.len(), config.kiosk_mode), (0, None));
    let check = |options: Option<&str>, secs, expected| {
        let config = Config { push_options: options.map(str::to_owned), keepalive_time: secs, ..Config::default() };
        assert_eq!((config.push(), config.keep_alive_secs()), expected);
    };
    check(None, None, (None, 300));
    check(Some("mqttAlarm"), Some(60), (Some(PushOptions::MqttAlarm), 60));
    check(Some("mqttAlarm"), Some(29), (Some(PushOptions::MqttAlarm), 300));
    check(Some("mqttAlarm"), Some(100_000), (Some(PushOptions::MqttAlarm), 65_535));
    check(Some("whatever"), Some(-1), (Some(PushOptions::Polling), 300));
    // What is not set is there as null.
    let written = String::from_utf8(Envelope::ok(Some(Config::default())).write()).unwrap_or_default();
    assert!(written.contains(r#""newServerUrl":null"#) && written.contains(r#""applications":[]"#));
    let many = Config { files: vec![RemoteFile::default(); LIST_MAX + 1], ..Config::default() };
    assert_eq!(many.bounded(), Err(HeadwindError::TooLarge));
    assert_eq!(config.clone().bounded(), Ok(config));
}

#[test]
fn a_push_over_mqtt_is_no_json() {
    let push = Push::new(Kind::ConfigUpdated);
    assert_eq!(push.write(), br#"{messageType: "configUpdated"}"#);
    let payload = json!({ "pkg": "com.x" }).as_object().cloned();
    let run = Push { kind: Kind::RunApp, payload: payload.clone() };
    assert_eq!(run.write(), br#"{messageType: "runApp", payload: {"pkg":"com.x"}}"#);
    let check = |text: &str, expected: &Push| assert_eq!(Push::read(text.as_bytes()).as_ref(), Ok(expected), "{text}");
    check(r#"{messageType: "configUpdated"}"#, &push);
    check(r#" { "messageType" : "configUpdated" , "x": [1,{"y":2}] } "#, &push);
    check(r#"{messageType: "runApp", payload: {"pkg":"com.x"}}"#, &run);
    check(r#"{payload: {"pkg":"com.x"}, messageType: "runApp"}"#, &run);
    check(r#"{messageType: "runApp", payload: hello}"#, &Push::new(Kind::RunApp));
    check(r#"{messageType: "runApp", payload: "hello"}"#, &Push::new(Kind::RunApp));
    check(r#"{messageType: "own.plugin"}"#, &Push::new(Kind::Other("own.plugin".into())));
    for none in ["", "{}", "[]", "{messageType}", "{messageType: 7}", "{messageType: x}", "{:\"a\"}"] {
        assert!(Push::read(none.as_bytes()).is_err(), "{none}");
    }
    let deep = format!("{{messageType: \"runApp\", payload: {}", "[".repeat(100_000));
    check(&deep, &Push::new(Kind::RunApp));
}

#[test]
fn a_poll_has_several_pushes_and_one_configuration() {
    let body = br#"{"status":"OK","message":null,"data":[
        {"id":1,"messageType":"configUpdated","payload":null},
        {"id":2,"messageType":"runApp","payload":"{\"pkg\":\"com.x\"}"},
        {"id":3,"messageType":"configUpdated","payload":null},
        {"id":4,"messageType":"runApp","payload":"{\"pkg\":\"com.y\"}"},
        {"id":5,"messageType":"reboot","payload":"{{"}]}"#;
    let of = |pkg: &str| Push { kind: Kind::RunApp, payload: json!({ "pkg": pkg }).as_object().cloned() };
    let expected = vec![Push::new(Kind::ConfigUpdated), of("com.x"), of("com.y"), Push::new(Kind::Reboot)];
    assert_eq!(push::read_list(body), Ok(expected));
    assert_eq!(push::read_list(br#"{"status":"OK","message":null,"data":null}"#), Ok(vec![]));
    assert_eq!(push::read_list(br#"{"status":"ERROR","message":"x","data":[{"messageType":"reboot"}]}"#), Ok(vec![]));
}

#[test]
fn paths_are_read_as_they_are_written() {
    let check = |path: Path<'_>, text: &str| {
        assert_eq!(path.write(), text);
        assert_eq!(Path::read(&decoded(text)), Some(path));
    };
    check(Path::Configuration("d1"), "/rest/public/sync/configuration/d1");
    check(Path::Info, "/rest/public/sync/info");
    check(Path::Polling("Hall 3 ä"), "/rest/notification/polling/Hall%203%20%C3%A4");
    check(Path::Notifications("d1"), "/rest/notifications/device/d1");
    check(Path::Log("a+b"), "/rest/plugins/devicelog/log/list/a+b");
    check(Path::Details("d1"), "/rest/plugins/deviceinfo/deviceinfo/public/d1");
    check(Path::DetailSettings("d1"), "/rest/plugins/deviceinfo/deviceinfo-plugin-settings/device/d1");
    check(Path::Reset("reboot"), "/rest/plugins/devicereset/public/reboot");
    check(Path::Reboot("d1"), "/rest/plugins/devicereset/public/reboot/d1");
    for none in
        ["/", "/rest/public/sync/configuration/", "/rest/public/sync/info/d1", "/rest/public/sync/configuration/a/b"]
    {
        assert_eq!(Path::read(none), None, "{none}");
    }
}

#[test]
fn logs_and_details_have_their_shape() {
    let item = LogItem { timestamp: 1, log_level: 2, package_id: Some("com.a".into()), message: Some("m".into()) };
    let log = details::write_log(std::slice::from_ref(&item));
    assert_eq!(log, br#"[{"timestamp":1,"logLevel":2,"packageId":"com.a","message":"m"}]"#);
    assert_eq!(details::read_log(&log), Ok(vec![item]));
    let detail = Detail { ts: 1, device: Some(details::DeviceDetail::default()), wifi: None };
    assert_eq!(details::read_details(&details::write_details(std::slice::from_ref(&detail))), Ok(vec![detail]));
    let place = info::Location { ts: 1_700_000_000_000, lat: 47.5, lon: 8.25 };
    let places = details::write_locations(&[place]);
    assert_eq!(places, br#"[{"ts":1700000000000,"lat":47.5,"lon":8.25}]"#);
    assert_eq!(details::read_locations(&places), Ok(vec![place]));
    let made = ApplicationSetting {
        package_id: Some("com.a".into()),
        name: Some("theme".into()),
        kind: Some(1),
        value: Some("dark".into()),
        readonly: Some(false),
        last_update: Some(1_700_000_000_000),
    };
    let settings = config::write_settings(std::slice::from_ref(&made));
    let json =
        r#"[{"packageId":"com.a","name":"theme","type":1,"value":"dark","readonly":false,"lastUpdate":1700000000000}]"#;
    assert_eq!(String::from_utf8_lossy(&settings), json);
    assert_eq!(config::read_settings(&settings), Ok(vec![made]));
    let many = format!("[{}]", vec!["{}"; LIST_MAX + 1].join(","));
    assert_eq!(config::read_settings(many.as_bytes()), Err(HeadwindError::TooLarge));
    let settings = Envelope::<details::DetailSettings>::read(
        br#"{"status":"OK","message":null,"data":{"intervalMins":15,"sendData":false}}"#,
    );
    let expected = details::DetailSettings { send_data: false, interval_mins: 15 };
    assert_eq!(settings, Ok(Envelope::ok(Some(expected))));
}

#[test]
fn the_corpus_does_no_harm() {
    crate::corpus::drive("headwind", target);
}

fn texts() -> impl Strategy<Value = Option<String>> {
    option::of("\\PC{0,12}")
}

fn configs() -> impl Strategy<Value = Config> {
    let app = (texts(), texts(), texts(), any::<bool>(), option::of(any::<i64>())).prop_map(
        |(pkg, version, url, remove, id)| Application { id, pkg, version, url, remove, ..Application::default() },
    );
    let file = (texts(), texts(), any::<i64>(), any::<bool>()).prop_map(|(path, url, last_update, remove)| {
        RemoteFile { path, url, last_update, remove, ..RemoteFile::default() }
    });
    let setting = (texts(), texts()).prop_map(|(package_id, value)| ApplicationSetting {
        package_id,
        value,
        ..ApplicationSetting::default()
    });
    (texts(), texts(), vec(app, 0..4), vec(file, 0..4), vec(setting, 0..4), option::of(any::<bool>())).prop_map(
        |(new_number, push_options, applications, files, application_settings, kiosk_mode)| Config {
            new_number,
            push_options,
            applications,
            files,
            application_settings,
            kiosk_mode,
            ..Config::default()
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(config in configs(), name in "\\PC{0,12}", key in "\\PC{0,12}", number in "\\PC{1,12}") {
        let envelope = Envelope::ok(Some(config));
        prop_assert_eq!(Envelope::read(&envelope.write()), Ok(envelope));
        let payload = Map::from_iter([(key, Value::from(name.clone()))]);
        let push = Push { kind: Kind::of(&name), payload: Some(payload) };
        prop_assert_eq!(Push::read(&push.write()), Ok(push.clone()));
        prop_assert_eq!(push::read_list(&push::write_list(std::slice::from_ref(&push))), Ok(vec![push]));
        let path = decoded(&Path::Polling(&number).write());
        prop_assert_eq!(Path::read(&path), (!number.contains('/')).then_some(Path::Polling(&number)));
        let info = DeviceInfo {
            device_id: Some(number),
            files: vec![Held { path: Some(name), last_update: 1 }],
            ..DeviceInfo::default()
        };
        prop_assert_eq!(DeviceInfo::read(&info.write()), Ok(info));
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..100), text in "[{}a-z:,;\"' \\[\\]0-9]{0,60}") {
        target(&bytes);
        target(text.as_bytes());
        target(format!("{{messageType: \"x\", payload: {text}").as_bytes());
    }
}
