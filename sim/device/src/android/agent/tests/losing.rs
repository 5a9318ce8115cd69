//! What a server takes away, by a push or by a configuration, and how it comes back.

use super::fetching::with_goods;
use super::*;
use serde_json::json;

fn push(kind: Kind, payload: &serde_json::Value) -> wire::Push {
    wire::Push { kind, payload: payload.as_object().cloned() }
}

/// With two apps and a file.
fn rig() -> Rig {
    let mut rig = Rig::enrolled(with_goods());
    rig.wait(Dur::secs(1));
    rig.forget();
    rig
}

/// What its next report by the schedule says is there.
fn there(rig: &mut Rig) -> Vec<String> {
    rig.forget();
    rig.wait(Dur::secs(1_201));
    let report = rig.report();
    let apps = report.applications.iter().filter_map(|app| app.pkg.clone());
    apps.chain(report.files.iter().filter_map(|file| file.path.clone())).collect()
}

fn fetched(rig: &Rig) -> Vec<&str> {
    let asked = rig.asked.iter().filter(|asked| asked.operation == Operation::AndroidDownload);
    let mut names: Vec<&str> = asked.map(|asked| asked.url.rsplit('/').next().unwrap()).collect();
    names.dedup();
    names
}

#[test]
fn what_is_taken_away_is_not_reported_and_comes_back_with_the_next_configuration() {
    let mut rig = rig();
    rig.push(&push(Kind::UninstallApp, &json!({ "pkg": "com.a" })));
    rig.push(&push(Kind::DeleteFile, &json!({ "path": "a.txt" })));
    assert_eq!(rig.operations().len(), 0, "nothing is said of it");
    assert_eq!(there(&mut rig), ["com.system", "com.b"]);
    assert_eq!(fetched(&rig), Vec::<&str>::new());
    rig.forget();
    // It is the one that it has been told of, and so nothing that a command waits for.
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!((fetched(&rig), rig.hops().len()), (vec!["a.txt", "a.apk"], 0));
    let report = rig.report();
    assert_eq!((report.applications.len(), report.files.len()), (3, 1));
    // Once each time.
    rig.forget();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!(fetched(&rig), Vec::<&str>::new());
    rig.push(&push(Kind::UninstallApp, &json!({ "pkg": "com.a" })));
    rig.order(Order::CheckIn);
    rig.wait(Dur::secs(1));
    assert_eq!(fetched(&rig), ["a.apk"]);
}

#[test]
fn a_list_of_pushes_takes_all_that_it_names() {
    let polling = wire::Config { push_options: Some("polling".into()), ..with_goods() };
    let mut rig = Rig::enrolled(polling);
    rig.wait(Dur::secs(1));
    let uninstall = |name: &str| push(Kind::UninstallApp, &json!({ "pkg": name }));
    rig.pushes = vec![uninstall("com.a"), uninstall("com.b"), push(Kind::PurgeDir, &json!({ "path": "/" }))];
    rig.settle();
    assert_eq!(there(&mut rig), ["com.system"]);
    // By polls too it hears that all of it is to be fetched.
    rig.wait(Dur::secs(3_700));
    assert_eq!(fetched(&rig), ["a.txt", "a.apk", "b.apk"]);
    assert_eq!(there(&mut rig).len(), 4);
}

#[test]
fn what_is_taken_away_while_more_is_fetched_is_fetched_with_it() {
    let mut rig = rig();
    rig.config.applications.push(app("c", "1", Some("files/c.apk")));
    rig.script.extend((0..3).map(|_| (Operation::AndroidDownload, Err("reset"))));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!((rig.hops(), fetched(&rig)), (vec!["delivered"], vec!["c.apk"]));
    rig.push(&push(Kind::UninstallApp, &json!({ "pkg": "com.b" })));
    rig.wait(Dur::secs(600));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    assert!(fetched(&rig).contains(&"b.apk"), "{:?}", fetched(&rig));
    assert_eq!(there(&mut rig), ["com.system", "com.a", "com.b", "com.c", "/a.txt"]);
}

#[test]
fn a_kiosk_that_is_left_comes_back_with_the_next_configuration() {
    let mut rig = Rig::enrolled(wire::Config { kiosk_mode: Some(true), ..Rig::mqtt() });
    rig.push(&wire::Push::new(Kind::ExitKiosk));
    assert_eq!(rig.operations().len(), 0);
    rig.wait(Dur::secs(1_201));
    assert!(!rig.report().kiosk_mode);
    rig.forget();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!((rig.report().kiosk_mode, rig.count(Operation::AndroidReport), rig.hops().len()), (true, 1, 0));
}

#[test]
fn other_pushes_show_at_the_device_only() {
    let mut rig = rig();
    let payload = json!({ "pkg": "com.a", "path": "/a.txt", "command": "rm -r /", "action": "x" });
    for kind in [
        Kind::ConfigUpdating,
        Kind::AppConfigUpdated,
        Kind::RunApp,
        Kind::Broadcast,
        Kind::PermissiveMode,
        Kind::RunCommand,
        Kind::AdminPanel,
        Kind::ClearDownloadHistory,
        Kind::Intent,
        Kind::GrantPermissions,
        Kind::ClearAppData,
        Kind::Other("own.plugin".into()),
    ] {
        rig.push(&push(kind, &payload));
    }
    // Nor do those that do not say what is meant.
    for kind in [Kind::UninstallApp, Kind::DeleteFile, Kind::DeleteDir, Kind::PurgeDir] {
        rig.push(&push(kind, &json!({ "pkg": 7, "path": null })));
    }
    assert_eq!(rig.operations().len(), 0);
    assert_eq!(there(&mut rig).len(), 4);
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!(fetched(&rig), Vec::<&str>::new());
}

#[test]
fn what_a_configuration_removes_is_gone_and_what_it_does_not_name_stays() {
    let mut rig = rig();
    let all = rig.config.clone();
    rig.config.applications[1].remove = true;
    rig.config.files[0].remove = true;
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!((rig.hops(), fetched(&rig).len()), (vec!["delivered", "answered", "accepted"], 0));
    assert_eq!(there(&mut rig), ["com.system", "com.b"]);
    // What was removed is fetched again; what is not named for a while is there all the time.
    rig.config = wire::Config { applications: Vec::new(), files: Vec::new(), ..all.clone() };
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!(there(&mut rig), Vec::<String>::new());
    rig.config = all;
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!(fetched(&rig), ["a.txt", "a.apk"]);
    assert_eq!(there(&mut rig).len(), 4);
}

#[test]
fn nothing_is_replaced_by_what_is_older() {
    let mut rig = rig();
    rig.config.applications[2].version = Some("1.9".into());
    rig.config.files[0].last_update = 4;
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!((rig.hops(), fetched(&rig).len()), (vec!["delivered", "answered", "accepted"], 0));
    let report = rig.report();
    assert_eq!((report.applications[2].version.as_deref(), report.files[0].last_update), (Some("2"), 5));
    // Unless the newer one is to be removed.
    let newer = Application { remove: true, version: Some("2".into()), ..rig.config.applications[2].clone() };
    rig.config.applications.push(newer);
    rig.forget();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!(fetched(&rig), ["b.apk"]);
    assert_eq!(rig.report().applications[2].version.as_deref(), Some("1.9"));
}
