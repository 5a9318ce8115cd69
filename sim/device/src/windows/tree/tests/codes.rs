//! Each status that a single command may have.

use super::*;
use droves_wire::windows::syncml::Format;

const CAMERA: &str = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";

#[test]
fn a_node_says_what_was_set() {
    let mut bench = Bench::new();
    assert_eq!(bench.code(get(CAMERA)), 404);
    // A policy is added by either command, and has the format of the first.
    assert_eq!(bench.code(replace(CAMERA, "int", "0")), 200);
    assert_eq!(bench.value(CAMERA).as_deref(), Some("0"));
    assert_eq!(bench.value("./Device/Vendor/MSFT/Policy/Result/Camera/AllowCamera").as_deref(), Some("0"));
    assert_eq!(bench.code(add(CAMERA, "int", "1")), 418);
    assert_eq!(bench.value(CAMERA).as_deref(), Some("0"));
    assert_eq!(bench.code(replace(CAMERA, "chr", "1")), 415);
    assert_eq!(bench.code(replace(CAMERA, "int", "1")), 200);
    assert_eq!(bench.value(CAMERA).as_deref(), Some("1"));
    assert_eq!(bench.code(delete(CAMERA)), 200);
    assert_eq!(bench.code(get(CAMERA)), 404);
    assert_eq!(bench.code(delete(CAMERA)), 404);
    assert_eq!(bench.tree.fold(), (Arc::default(), Overlay::default()));
}

#[test]
fn a_uri_is_compared_without_case_and_kept_as_it_was_written() {
    let mut bench = Bench::new();
    let said = |bench: &mut Bench, uri: &str| bench.code(get(uri));
    assert_eq!(bench.code(add("./Vendor/MSFT/WiFi/Profile/My%20Net/WiFiCost", "int", "1")), 200);
    for uri in [
        "./Vendor/MSFT/WiFi/Profile/My%20Net/WiFiCost",
        "./Device/Vendor/MSFT/WiFi/Profile/my%20net/wificost",
        "./device/vendor/msft/wifi/profile/MY NET/WIFICOST",
        "Vendor/MSFT/WiFi/Profile/My%20Net/WiFiCost",
        "./Vendor/MSFT/WiFi/Profile/My%20Net/WiFiCost/",
    ] {
        assert_eq!(said(&mut bench, uri), 200, "{uri}");
    }
    assert_eq!(bench.value("./Vendor/MSFT/WiFi/Profile").as_deref(), Some("My%20Net"));
    for (uri, code) in [
        ("/Vendor/MSFT/WiFi", 400),
        ("", 400),
        ("./Vendor/MSFT/../MSFT/WiFi", 400),
        ("./Vendor//MSFT/WiFi", 400),
        ("./Vendor/MSFT/WiFi/Profile/*", 400),
        ("./Vendor/MSFT/WiFi/Profile/%FF", 400),
        ("./Vendor/MSFT/WiFi/Profile?prop=ACL", 406),
        ("./Vendor/MSFT/WiFi/Profile?list=Struct", 406),
        ("./Vendor/MSFT/WiFi/Profile/Other", 404),
        ("./Vendor/MSFT/Nothing", 404),
        ("./User/Vendor/MSFT/BitLocker", 404),
    ] {
        assert_eq!(said(&mut bench, uri), code, "{uri}");
    }
    assert_eq!(said(&mut bench, &format!("./{}", "a/".repeat(40))), 414);
    assert_eq!(said(&mut bench, &format!("./{}", "a".repeat(5_000))), 414);
}

#[test]
fn an_interior_node_says_its_children() {
    let mut bench = Bench::new();
    let found = bench.run(&get("./DevInfo")).said.remove(0).found.remove(0);
    assert_eq!((found.format, &*found.value), (Format::Node, "DevId/Man/Mod/DmV/Lang"));
    assert_eq!(&*found.uri, "./DevInfo");
    assert_eq!(bench.value(".").as_deref(), Some("DevDetail/DevInfo/SyncML/Vendor"));
    assert_eq!(bench.value("./Vendor").as_deref(), Some("MSFT"));
    assert!(bench.value("./Vendor/MSFT").expect("a value").starts_with("Accounts/BitLocker/"));
    assert_eq!(bench.value("./Vendor/MSFT/DMClient/Provider").as_deref(), Some("Example%20MDM"));
    assert_eq!(bench.value("./Vendor/MSFT/Policy/Config").as_deref(), Some(""));
    for uri in ["./Vendor/MSFT/Policy/Config/Camera/AllowCamera", "./Vendor/MSFT/Policy/Config/Bluetooth/Allow%2FIt"] {
        assert_eq!(bench.code(replace(uri, "int", "0")), 200);
    }
    assert_eq!(bench.value("./Vendor/MSFT/Policy/Config").as_deref(), Some("Bluetooth/Camera"));
    assert_eq!(bench.value("./Vendor/MSFT/Policy/Config/Bluetooth").as_deref(), Some("Allow%2FIt"));
    // Children that the server does not set are there once the node is.
    let msi = "./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA1%7D";
    assert_eq!(bench.code(get(msi)), 404);
    let download = format!("{msi}/DownloadInstall");
    assert_eq!(bench.code(nodes(Verb::Add, &download, None, None)), 200);
    assert_eq!(bench.value(msi).as_deref(), Some("DownloadInstall/Status/LastError"));
}

#[test]
fn a_server_may_not_do_everything_everywhere() {
    let mut bench = Bench::new();
    for (command, code) in [
        // Read-only, or there for good.
        (replace("./DevInfo/Man", "chr", "Acme"), 405),
        (delete("./DevInfo/Man"), 405),
        (delete("./DevInfo"), 405),
        (replace("./DevInfo", "node", ""), 405),
        (exec("./DevInfo/Man", ""), 405),
        (get("./Vendor/MSFT/Reboot/RebootNow"), 405),
        (add("./DevInfo/Man", "chr", "Acme"), 418),
        (delete("./Vendor/MSFT/BitLocker/RequireDeviceEncryption"), 405),
        // Missing.
        (replace("./DevInfo/Color", "chr", "red"), 404),
        (replace("./DevInfo/Color/Red", "chr", "red"), 405),
        (add("./DevInfo/Color", "chr", "red"), 404),
        (exec("./Vendor/MSFT/RemoteLock/Lock", ""), 404),
        (exec("./Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/DownloadInstall", "<MsiInstallJob/>"), 404),
        (delete("./Vendor/MSFT/WiFi/Profile/Net"), 404),
        // Below what was never added.
        (replace("./Vendor/MSFT/WiFi/Profile/Net/WiFiCost", "int", "1"), 405),
        (replace("./Vendor/MSFT/VPNv2/Corp/ProfileXML", "chr", "x"), 405),
        // Formats and values.
        (replace("./Vendor/MSFT/BitLocker/RequireDeviceEncryption", "chr", "1"), 415),
        (replace("./Vendor/MSFT/BitLocker/RequireDeviceEncryption", "int", "one"), 415),
        (replace("./Vendor/MSFT/BitLocker/RequireDeviceEncryption", "number", "1"), 415),
        (replace("./Vendor/MSFT/BitLocker/RequireDeviceEncryption", "int", "2"), 500),
        (replace("./Vendor/MSFT/Update/DeferUpgrade", "bool", "maybe"), 415),
        (add("./Vendor/MSFT/CertificateStore/Root/System/AA/EncodedCertificate", "b64", "!"), 415),
        (nodes(Verb::Copy, "./DevInfo/Man", None, None), 406),
    ] {
        let text = format!("{command:?}");
        assert_eq!(bench.code(command), code, "{text}");
    }
    assert_eq!(bench.tree.fold(), (Arc::default(), Overlay::default()));
}

#[test]
fn a_command_that_is_none_is_malformed() {
    let mut bench = Bench::new();
    let nameless = Command { id: "".into(), ..get("./DevInfo/Man") };
    let executed = bench.run(&nameless);
    assert_eq!((executed.said[0].code, &*executed.said[0].command, &*executed.said[0].name), (400, "", "Get"));
    let unknown = Command { id: "5".into(), body: Body::Unknown("Sync".into()) };
    let executed = bench.run(&unknown);
    assert_eq!((executed.said[0].code, &*executed.said[0].name), (400, "Sync"));
    let empty = Command { id: "5".into(), body: Body::Nodes { verb: Verb::Get, meta: Meta::default(), items: vec![] } };
    assert_eq!(bench.code(empty), 400);
}

#[test]
fn items_of_one_command_have_one_status_if_they_fare_alike() {
    let mut bench = Bench::new();
    let several = |uris: &[&'static str]| {
        let item = |uri: &&'static str| Item { target: Some(Cow::Borrowed(*uri)), ..Item::default() };
        let items = uris.iter().map(item).collect();
        Command { id: "3".into(), body: Body::Nodes { verb: Verb::Get, meta: Meta::default(), items } }
    };
    let executed = bench.run(&several(&["./DevInfo/Man", "./DevInfo/Mod"]));
    assert_eq!(executed.said.len(), 1);
    assert_eq!((executed.said[0].found.len(), executed.said[0].target.clone()), (2, None));
    let executed = bench.run(&several(&["./DevInfo/Man", "./DevInfo/Color"]));
    let said: Vec<_> = executed.said.iter().map(|said| (said.code, said.target.as_deref(), said.found.len())).collect();
    assert_eq!(said, [(200, Some("./DevInfo/Man"), 1), (404, Some("./DevInfo/Color"), 0)]);
}

#[test]
fn a_users_nodes_are_not_there_before_the_user_is() {
    let mut bench = Bench::new();
    let sync = "./User/Vendor/MSFT/DMClient/Provider/Example%20MDM/FirstSyncStatus/ServerHasFinishedProvisioning";
    let policy = "./User/Vendor/MSFT/Policy/Config/Camera/AllowCamera";
    for login in [Login::None, Login::Others] {
        bench.login = login;
        assert_eq!(bench.code(replace(sync, "bool", "true")), 405);
        assert_eq!(bench.code(replace(policy, "int", "0")), 500);
        assert_eq!(bench.code(get(policy)), 500);
    }
    bench.login = Login::User;
    assert_eq!(bench.code(replace(sync, "bool", "true")), 200);
    assert_eq!(bench.value(&sync.replace("ServerHasFinishedProvisioning", "IsSyncDone")).as_deref(), Some("true"));
    assert_eq!(bench.code(replace(policy, "int", "0")), 200);
    // They are not the device's.
    assert_eq!(bench.code(get(CAMERA)), 404);
    assert_eq!(bench.value("./Vendor/MSFT/Policy/Config").as_deref(), Some(""));
    assert_eq!(bench.value("./User/Vendor/MSFT/Policy/Config").as_deref(), Some("Camera"));
    assert_eq!(bench.value(".").as_deref(), Some("DevDetail/DevInfo/SyncML/Vendor"));
}

#[test]
fn a_tree_has_an_end() {
    let mut bench = Bench::new();
    bench.world.limits.tree_nodes_max = 100;
    let mut refused = 0;
    for n in 0..1_000 {
        let uri = format!("./Vendor/MSFT/VPNv2/Net{n}/Server");
        refused += bench.run(&add(&uri, "chr", "vpn.example")).beyond;
    }
    assert_eq!(refused, 900);
    // What is there can still be changed.
    assert_eq!(bench.code(replace("./Vendor/MSFT/VPNv2/Net1/Server", "chr", "other")), 200);
    let mut bench = Bench::new();
    bench.world.limits.tree_bytes_max = 1_000;
    assert_eq!(bench.code(add("./Vendor/MSFT/VPNv2/Net/Server", "chr", &"x".repeat(2_000))), 413);
    assert_eq!(bench.code(add("./Vendor/MSFT/VPNv2/Net/Server", "chr", &"x".repeat(800))), 200);
    assert_eq!(bench.code(replace("./Vendor/MSFT/VPNv2/Net/Server", "chr", &"y".repeat(900))), 200);
    assert_eq!(bench.code(add("./Vendor/MSFT/VPNv2/Net/Type", "chr", &"x".repeat(100))), 413);
}
