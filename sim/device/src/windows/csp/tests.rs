//! What the providers say, and what comes of what they are told.

use super::*;
use crate::windows::hardware::hex;
use crate::windows::tree::tests::{Bench, PROVIDER, add, delete, exec, get, nodes, replace};
use crate::windows::tree::{Credential, Scep};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_facts::DeviceIx;
use droves_wire::digest;
use droves_wire::windows::provisioning::{Certificate, Document, Place as StorePlace, Poll, Renewal, Setting, Store};
use std::sync::Arc;

const CLIENT: &str = "./Device/Vendor/MSFT/DMClient/Provider/Example%20MDM";
const HOUR: Dur = Dur::secs(3_600);

/// A device that has, or has not, what is asked for.
fn bench(such: impl Fn(&crate::windows::hardware::Hardware<'_>) -> bool) -> Bench {
    let mut bench = Bench::new();
    let found = (0..10_000).find(|&n| {
        bench.world.device = DeviceIx(n);
        such(&crate::windows::hardware::Hardware::of(&bench.world.ctx()))
    });
    assert!(found.is_some());
    bench
}

#[test]
fn tables_are_in_order_and_say_nothing_twice() {
    for csps in [PLAIN, VENDOR] {
        let names: Vec<_> = csps.iter().map(|csp| csp.name.to_ascii_lowercase()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for csp in csps {
            for (at, node) in csp.nodes.iter().enumerate() {
                let twice = csp.nodes.iter().skip(at + 1).find(|other| other.path.eq_ignore_ascii_case(node.path));
                assert!(twice.is_none(), "{} {}", csp.name, node.path);
            }
        }
    }
}

#[test]
fn every_node_that_is_there_for_good_answers() {
    let mut bench = bench(|pc| pc.is_portable() && pc.has_tpm());
    let mut answered = 0;
    for (above, csps) in [("./", PLAIN), ("./Vendor/MSFT/", VENDOR)] {
        for csp in csps {
            for node in csp.nodes.iter().filter(|node| !node.path.contains('*')) {
                let uri = format!("{above}{}/{}", csp.name, node.path.replace('@', "Example%20MDM"));
                let code = bench.code(get(&uri));
                let expected = match (node.allows(Verb::Get), &node.value) {
                    (true, Value::Written | Value::Rewritten(_)) => &[404][..],
                    (true, Value::Read(_)) => &[200, 404],
                    (true, _) => &[200],
                    (false, Value::Written) => &[404],
                    (false, _) => &[405],
                };
                assert!(expected.contains(&code), "{uri} {code}");
                answered += u32::from(code == 200);
            }
        }
    }
    assert!(answered > 150, "{answered}");
}

#[test]
fn a_pc_says_what_it_is() {
    let mut bench = bench(|pc| pc.is_portable());
    let name = bench.value("./DevDetail/Ext/Microsoft/DeviceName").expect("a value");
    assert!(name.starts_with("DESKTOP-"), "{name}");
    assert_eq!(bench.value("./DevInfo/DevId").as_deref(), Some("D3"));
    assert_eq!(bench.value("./DevInfo/Man").as_deref(), Some("Dell Inc."));
    assert_eq!(bench.value("./DevDetail/SwV").as_deref(), Some("10.0.22631.3447"));
    assert_eq!(bench.value("./DevDetail/Ext/Microsoft/LocalTime").as_deref(), Some("2026-01-05T08:00:00Z"));
    let versions = bench.value("./Vendor/MSFT/DeviceManageability/Capabilities/CSPVersions").expect("a value");
    assert!((11_000..13_000).contains(&versions.len()), "{}", versions.len());
    assert_eq!(bench.value("./DevDetail/Ext/DeviceHardwareData").map(|hash| hash.len()), Some(4_000));
    // Another name, by either way.
    assert_eq!(bench.code(replace("./DevDetail/Ext/Microsoft/DeviceName", "chr", "DESK-1")), 200);
    assert_eq!(bench.value("./DevDetail/Ext/Microsoft/DNSComputerName").as_deref(), Some("DESK-1"));
    assert_eq!(bench.code(replace("./Vendor/MSFT/Accounts/Domain/ComputerName", "chr", "DESK-2")), 200);
    assert_eq!(bench.value("./DevDetail/Ext/Microsoft/DeviceName").as_deref(), Some("DESK-2"));
    assert_eq!(
        bench.code(replace("./Vendor/MSFT/Accounts/Domain/ComputerName", "chr", "a name that is too long")),
        500
    );
}

#[test]
fn an_inventory_of_apps_is_large() {
    let mut sizes = Vec::new();
    for n in 0..40 {
        let mut bench = Bench::new();
        bench.world.device = DeviceIx(n);
        let uri = "./Vendor/MSFT/EnterpriseModernAppManagement/AppManagement/AppInventoryResults";
        sizes.push(bench.value(uri).expect("a value").len());
    }
    sizes.sort_unstable();
    assert!(sizes[0] > 9_000 && sizes[0] < 40_000 && sizes[39] > 150_000 && sizes[39] < 400_000, "{sizes:?}");
}

#[test]
fn policies_are_refused_by_their_area() {
    let config = |area: &str| format!("./Device/Vendor/MSFT/Policy/Config/{area}");
    let mut pro = bench(|pc| pc.edition() == 48);
    let mut enterprise = bench(|pc| pc.edition() == 4);
    for bench in [&mut pro, &mut enterprise] {
        assert_eq!(bench.code(replace(&config("Nonsense/Setting"), "int", "1")), 404);
        assert_eq!(bench.code(replace(&config("ADMX_Taskbar/Pinning"), "chr", "<enabled/>")), 200);
        assert_eq!(bench.code(replace(&config("ADMX_Taskbar/Pinning"), "chr", "1")), 500);
        assert_eq!(bench.code(replace(&config("RemoteAssistance/Ask"), "chr", " <Disabled/>")), 200);
        assert_eq!(bench.code(replace(&config("RemoteAssistance/Ask"), "chr", "yes")), 500);
        assert_eq!(bench.value(&config("RemoteAssistance/Ask")).as_deref(), Some(" <Disabled/>"));
        let users = "./User/Vendor/MSFT/Policy/Config/DeviceLock/MinDevicePasswordLength";
        assert_eq!(bench.code(replace(users, "int", "8")), 405);
        // Areas of files: once the server has sent them, it is known what they take.
        assert_eq!(bench.code(replace(&config("Chat~Policy~Chat/Color"), "int", "1")), 200);
        let files = "./Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/Chat/Policy/Chat01";
        assert_eq!(bench.code(add(files, "chr", "no template")), 500);
        assert_eq!(bench.code(add(files, "chr", "<policyDefinitions revision=\"1.0\"/>")), 200);
        assert_eq!(bench.code(replace(&config("Chat~Policy~Chat/Color"), "int", "1")), 500);
    }
    let guard = config("DeviceGuard/LsaCfgFlags");
    assert_eq!(pro.code(replace(&guard, "int", "1")), 405);
    assert_eq!(enterprise.code(replace(&guard, "int", "1")), 200);
}

#[test]
fn bitlocker_encrypts_over_hours() {
    let status = "./Vendor/MSFT/BitLocker/Status/DeviceEncryptionStatus";
    let require = "./Vendor/MSFT/BitLocker/RequireDeviceEncryption";
    let rotate = || exec("./Vendor/MSFT/BitLocker/RotateRecoveryPasswords", "request-1");
    let rotated = "./Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsStatus";
    let mut bench = bench(|pc| pc.has_tpm());
    bench.world.character.pace = 1.0;
    assert_eq!(bench.value(status).as_deref(), Some("0"));
    assert_eq!(bench.code(rotate()), 500);
    assert_eq!(bench.code(replace("./Vendor/MSFT/BitLocker/AllowWarningForOtherDiskEncryption", "int", "0")), 200);
    assert_eq!(bench.code(replace(require, "int", "1")), 200);
    assert_eq!(bench.value(status).as_deref(), Some("4"));
    bench.pass(Dur::secs(600));
    bench.sleep();
    assert_eq!(bench.value(status).as_deref(), Some("4"));
    bench.pass(HOUR.times(40));
    bench.sleep();
    assert_eq!(bench.value(status).as_deref(), Some("0"));
    assert_eq!(bench.value(rotated).as_deref(), Some("2"));
    assert_eq!(bench.code(rotate()), 202);
    assert_eq!(bench.value(rotated).as_deref(), Some("1"));
    bench.pass(HOUR);
    assert_eq!(bench.value(rotated).as_deref(), Some("0"));
    let request = "./Vendor/MSFT/BitLocker/Status/RotateRecoveryPasswordsRequestID";
    assert_eq!(bench.value(request).as_deref(), Some("request-1"));
    // The user is asked first.
    let mut asked = self::bench(|pc| pc.has_tpm());
    asked.world.character.pace = 1.0;
    assert_eq!(asked.code(replace(require, "int", "1")), 200);
    assert_eq!(asked.value(status).as_deref(), Some("5"));
    // Nothing helps where there is no TPM.
    let mut bare = self::bench(|pc| !pc.has_tpm());
    assert_eq!(bare.code(replace(require, "int", "1")), 200);
    bare.pass(HOUR.times(100));
    assert_eq!(bare.value(status).as_deref(), Some("32772"));
}

#[test]
fn defender_and_laps_do_as_they_are_told() {
    let mut bench = Bench::new();
    bench.world.character.pace = 1.0;
    let at =
        |bench: &mut Bench, name: &str| bench.value(&format!("./Vendor/MSFT/Defender/Health/{name}")).expect("a value");
    assert_eq!(at(&mut bench, "FullScanOverdue"), "true");
    assert_eq!(at(&mut bench, "FullScanTime"), "");
    assert_eq!(bench.code(exec("./Vendor/MSFT/Defender/Scan", "3")), 500);
    assert_eq!(bench.code(exec("./Vendor/MSFT/Defender/Scan", "2")), 202);
    assert_eq!(at(&mut bench, "FullScanOverdue"), "true");
    bench.pass(HOUR.times(24));
    bench.sleep();
    assert_eq!(at(&mut bench, "FullScanOverdue"), "false");
    assert!(at(&mut bench, "FullScanTime").starts_with("2026-01-05T"));
    let version = at(&mut bench, "SignatureVersion");
    bench.pass(HOUR.times(48));
    assert_ne!(at(&mut bench, "SignatureVersion"), version);
    // Those whose updates have stopped are helped by an order.
    let behind = (0..1_000).find(|&n| {
        bench.world.device = DeviceIx(n);
        at(&mut bench, "SignatureOutOfDate") == "true"
    });
    assert!(behind.is_some_and(|n| n > 0), "{behind:?}");
    assert_eq!(bench.code(exec("./Vendor/MSFT/Defender/UpdateSignature", "")), 202);
    bench.pass(HOUR);
    assert_eq!(at(&mut bench, "SignatureOutOfDate"), "false");
    assert_eq!(bench.code(exec("./Vendor/MSFT/LAPS/Actions/ResetPassword", "")), 202);
    assert_eq!(bench.value("./Vendor/MSFT/LAPS/Actions/ResetPasswordStatus").as_deref(), Some("-2147483638"));
    bench.pass(HOUR);
    assert_eq!(bench.value("./Vendor/MSFT/LAPS/Actions/ResetPasswordStatus").as_deref(), Some("0"));
}

#[test]
fn a_wipe_is_refused_without_a_recovery_environment() {
    let wipe = |name: &str| format!("./Device/Vendor/MSFT/RemoteWipe/{name}");
    let mut whole = bench(|pc| pc.can_recover());
    assert_eq!(whole.effects(exec(&wipe("doWipe"), "")), [Effect::Wipe { kept: false }]);
    assert_eq!(whole.effects(exec(&wipe("doWipePersistProvisionedData"), "")), [Effect::Wipe { kept: true }]);
    assert_eq!(whole.effects(exec("./Vendor/MSFT/Reboot/RebootNow", "")), [Effect::Reboot]);
    let mut broken = bench(|pc| !pc.can_recover());
    let executed = broken.run(&exec(&wipe("doWipe"), ""));
    assert_eq!((executed.said[0].code, executed.effects.len()), (500, 0));
}

#[test]
fn what_the_client_is_told_takes_effect() {
    let mut bench = Bench::new();
    let poll = format!("{CLIENT}/Poll/IntervalForFirstSetOfRetries");
    assert_eq!(bench.tree.poll(PROVIDER), Poll::default());
    assert_eq!(bench.effects(replace(&poll, "int", "3")), [Effect::Poll]);
    assert_eq!(bench.tree.poll(PROVIDER).first.every_minutes, 3);
    assert_eq!(bench.run(&replace(&poll, "int", "-3")).said[0].code, 500);
    assert_eq!(bench.tree.poll(PROVIDER).first.every_minutes, 3);
    let pfn = format!("{CLIENT}/Push/PFN");
    assert_eq!(bench.effects(replace(&pfn, "chr", "A.B_1")), [Effect::Pfn("A.B_1".into())]);
    assert_eq!(bench.tree.client(PROVIDER, "Push/PFN").as_deref(), Some("A.B_1"));
    assert_eq!(bench.code(get(&format!("{CLIENT}/Push/ChannelURI"))), 404);
    bench.channel = Some("https://channel.example.test/?token=A");
    assert_eq!(bench.value(&format!("{CLIENT}/Push/ChannelURI")).as_deref(), bench.channel);
    assert_eq!(bench.value(&format!("{CLIENT}/HWDevID")).as_deref(), Some("H7"));
    assert_eq!(bench.effects(exec(&format!("{CLIENT}/Unenroll"), PROVIDER)), [Effect::Unenroll]);
    assert_eq!(bench.effects(exec("./Vendor/MSFT/DMClient/Unenroll", PROVIDER)), [Effect::Unenroll]);
    assert_eq!(bench.run(&exec("./Vendor/MSFT/DMClient/Unenroll", "Another")).effects, []);
    let account = "./SyncML/DMAcc/Example%20MDM/AppAuth/CLCRED";
    for (name, part) in [("AAuthName", Credential::Name), ("AAuthSecret", Credential::Secret)] {
        let effects = bench.effects(replace(&format!("{account}/{name}"), "chr", "new"));
        assert_eq!(effects, [Effect::Credential(part, "new".into())]);
    }
    assert_eq!(bench.value(&format!("{account}/AAuthName")).as_deref(), Some("NAME"));
    assert_eq!(bench.code(get(&format!("{account}/AAuthSecret"))), 405);
    // The secret is kept by the account alone.
    assert!(bench.tree.client(PROVIDER, "nothing").is_none());
    let renew = "./Vendor/MSFT/CertificateStore/My/WSTEP/Renew";
    assert_eq!(bench.effects(replace(&format!("{renew}/RetryInterval"), "int", "2")), [Effect::Renewal]);
    assert_eq!(bench.tree.renewal().retry_days, Some(2));
    assert_eq!(bench.effects(exec(&format!("{renew}/RenewNow"), "")), [Effect::RenewNow]);
}

#[test]
fn a_package_is_installed_and_told_of() {
    let product = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA-1%7D";
    let download = format!("{product}/DownloadInstall");
    let job = "<MsiInstallJob id=\"{A-1}\"><Product Version=\"2.0\"/></MsiInstallJob>";
    let (mut refused, mut failed) = (0, 0);
    for n in 0..300 {
        let mut bench = Bench::new();
        bench.world.device = DeviceIx(n);
        bench.world.character.pace = 1.0;
        assert_eq!(bench.code(exec(&download, job)), 404);
        assert_eq!(bench.code(nodes(Verb::Add, &download, None, None)), 200);
        assert_eq!(
            bench.code(exec(&download, "no job")),
            if bench.code(exec(&download, job)) == 404 { 404 } else { 500 }
        );
        if bench.code(exec(&download, job)) == 404 {
            // Not before the session after the one in which it was added.
            refused += 1;
            bench.with(|tree, scene| tree.settle(scene));
            assert_eq!(bench.code(exec(&download, job)), 202);
        }
        assert_eq!(bench.value(&format!("{product}/Status")).as_deref(), Some("20"));
        let due = bench.tree.next_due().expect("work under way");
        assert_eq!(bench.with(|tree, scene| tree.settle(scene)), []);
        bench.world.clocks.wall = due;
        bench.sleep();
        assert_eq!(bench.value(&format!("{product}/Status")).as_deref(), Some("50"));
        let alerts = bench.with(|tree, scene| tree.settle(scene));
        let [alert] = &*alerts else { panic!("{alerts:?}") };
        assert_eq!((alert.code, alert.source.as_deref()), (1224, Some(&*download)));
        let is_bad = &*alert.data != "0";
        failed += u32::from(is_bad);
        assert_eq!(bench.value(&format!("{product}/Status")).as_deref(), Some(if is_bad { "60" } else { "70" }));
        assert_eq!(bench.value(&format!("{product}/Version")).as_deref(), Some("2.0"));
        // It is told again until somebody has heard it.
        assert_eq!(bench.with(|tree, scene| tree.settle(scene)), alerts);
        bench.tree.accepted();
        assert_eq!(bench.with(|tree, scene| tree.settle(scene)), []);
        assert_eq!(bench.tree.next_due(), None);
        assert_eq!(bench.code(delete(product)), 200);
        assert_eq!(bench.code(get(product)), 404);
    }
    assert!((15..50).contains(&refused) && (1..25).contains(&failed), "{refused} {failed}");
}

#[test]
fn a_certificate_is_asked_for_and_told_of() {
    let mut bench = Bench::new();
    let scep = "./Device/Vendor/MSFT/ClientCertificateInstall/SCEP/Wi-Fi";
    let enroll = format!("{scep}/Install/Enroll");
    assert_eq!(bench.code(exec(&enroll, "")), 404);
    let set = [
        ("ServerURL", "chr", "https://ca.example.test/scep"),
        ("Challenge", "chr", "secret"),
        ("SubjectName", "chr", "CN=D3"),
        ("KeyLength", "int", "4096"),
        ("RetryCount", "int", "2"),
    ];
    for (name, format, data) in set {
        assert_eq!(bench.code(add(&format!("{scep}/Install/{name}"), format, data)), 200);
    }
    assert_eq!(bench.code(exec(&enroll, "")), 500);
    assert_eq!(bench.code(add(&format!("{scep}/Install/KeyUsage"), "int", "160")), 200);
    let expected = Scep {
        id: "Wi-Fi".into(),
        user: false,
        servers: "https://ca.example.test/scep".into(),
        challenge: "secret".into(),
        subject: "CN=D3".into(),
        key_usage: 160,
        hashes: "".into(),
        ca_thumbprint: "".into(),
        key_bits: 4_096,
        retries: 2,
        retry_minutes: 5,
    };
    assert_eq!(bench.effects(exec(&enroll, "")), [Effect::Scep(Box::new(expected))]);
    assert_eq!(bench.value(&format!("{scep}/Status")).as_deref(), Some("2"));
    bench.with(|tree, scene| tree.scep_ended("Wi-Fi", false, Ok("AB12"), scene));
    let alerts = bench.with(|tree, scene| tree.settle(scene));
    assert_eq!((alerts[0].code, &*alerts[0].kind), (1226, "com.microsoft:mdm.SCEP"));
    assert_eq!(bench.value(&format!("{scep}/Status")).as_deref(), Some("1"));
    assert_eq!(bench.value(&format!("{scep}/CertThumbprint")).as_deref(), Some("AB12"));
    bench.with(|tree, scene| tree.scep_ended("Wi-Fi", false, Err(-7), scene));
    assert_eq!(bench.value(&format!("{scep}/ErrorCode")).as_deref(), Some("-7"));
    assert_eq!(bench.code(get(&format!("{scep}/Install/Challenge"))), 405);
    assert_eq!(bench.code(delete(scep)), 200);
    assert_eq!(bench.code(get(&format!("{scep}/Status"))), 404);
}

#[test]
fn a_trusted_certificate_is_named_by_its_digest() {
    let mut bench = Bench::new();
    let der = b"not looked into";
    let root = |name: &str| format!("./Vendor/MSFT/RootCATrustedCertificates/Root/{name}/EncodedCertificate");
    let (name, text) = (hex(&digest::sha1(der)), STANDARD.encode(der));
    assert_eq!(bench.code(replace(&root("AA"), "b64", &text)), 500);
    assert_eq!(bench.code(replace(&root(&name), "b64", &text)), 200);
    assert_eq!(bench.value(&root(&name)), Some(text));
}

#[test]
fn a_network_is_given_back_in_another_form() {
    let mut bench = Bench::new();
    let wlan = "./Vendor/MSFT/WiFi/Profile/Corp/WlanXml";
    let set =
        "<?xml version=\"1.0\"?><WLANProfile><name>Corp</name><authentication>WPA3SAE</authentication></WLANProfile>";
    assert_eq!(bench.code(add(wlan, "chr", "no profile")), 500);
    assert_eq!(bench.code(add(wlan, "chr", set)), 200);
    let found = bench.value(wlan).expect("a value");
    assert!(found != set && found.contains("WPA3SAE"), "{found}");
}

#[test]
fn the_cache_names_what_has_changed() {
    let mut bench = Bench::new();
    let cache = "./Device/Vendor/MSFT/NodeCache/Example%20MDM";
    assert_eq!(bench.code(get(&format!("{cache}/CacheVersion"))), 404);
    assert_eq!(bench.code(replace(&format!("{cache}/CacheVersion"), "chr", "1")), 200);
    assert_eq!(bench.value(&format!("{cache}/ChangedNodes")).as_deref(), Some(""));
    let camera = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";
    let by_digest = hex(&digest::sha256(b"0"));
    for (node, expected) in [("1", "0"), ("2", &*by_digest)] {
        assert_eq!(bench.code(add(&format!("{cache}/Nodes/{node}/NodeURI"), "chr", camera)), 200);
        assert_eq!(bench.code(add(&format!("{cache}/Nodes/{node}/ExpectedValue"), "chr", expected)), 200);
    }
    assert_eq!(bench.value(&format!("{cache}/ChangedNodes")).as_deref(), Some("1/2"));
    assert_eq!(bench.code(replace(camera, "int", "0")), 200);
    assert_eq!(bench.value(&format!("{cache}/ChangedNodes")).as_deref(), Some(""));
    assert_eq!(bench.code(replace(camera, "int", "1")), 200);
    let data = bench.value(&format!("{cache}/ChangedNodesData")).expect("a value");
    assert!(data.contains("Id=\"1\"") && data.contains("AllowCamera\">1<"), "{data}");
    assert_eq!(bench.code(add(&format!("{cache}/Nodes/1/AutoSetExpectedValue"), "bool", "true")), 200);
    assert_eq!(bench.value(&format!("{cache}/ChangedNodes")).as_deref(), Some("2"));
}

#[test]
fn declared_configurations_are_summed_up() {
    let mut bench = Bench::new();
    bench.world.character.pace = 1.0;
    let document = "./Device/Vendor/MSFT/DeclaredConfiguration/Host/Complete/Documents/D1/Document";
    let text = "<DeclaredConfiguration context=\"Device\" id=\"D1\" checksum=\"C1\"/>";
    assert_eq!(bench.code(replace(document, "chr", "<Other/>")), 500);
    assert_eq!(bench.code(replace(document, "chr", &text.replace("D1", "D2"))), 500);
    assert_eq!(bench.code(replace(document, "chr", text)), 200);
    let result = document.replace("Documents", "Results");
    assert_eq!(bench.code(get(&result)), 404);
    assert_eq!(bench.with(|tree, scene| tree.settle(scene)), []);
    bench.pass(HOUR);
    for _ in 0..2 {
        // In each session, whether it was heard or not.
        let alerts = bench.with(|tree, scene| tree.settle(scene));
        assert_eq!(&*alerts[0].kind, "com.microsoft.mdm.declaredconfigurationdocuments");
        assert!(alerts[0].data.contains("checksum=\"C1\"") && alerts[0].data.contains("state=\"6"), "{alerts:?}");
        bench.tree.accepted();
        bench.sleep();
    }
    assert!(bench.value(&result).expect("a value").contains("id=\"D1\""));
}

#[test]
fn a_provisioning_document_becomes_nodes() {
    let mut bench = Bench::new();
    let der = b"authority".to_vec();
    let certificate =
        |store| Certificate { store, place: StorePlace::System, thumbprint: "AB".into(), der: der.clone() };
    let setting = |path: &[&str], name: &str, value: &str, datatype: &str| Setting {
        path: path.iter().map(|name| Arc::from(*name)).collect(),
        name: name.into(),
        value: Some(value.into()),
        datatype: Some(datatype.into()),
    };
    let client = ["DMClient", "Provider", PROVIDER];
    let document = Document {
        certificates: vec![certificate(Store::Root), certificate(Store::My)],
        renewal: Some(Renewal { automatic: true, period_days: Some(60), retry_days: Some(4) }),
        account: None,
        settings: vec![
            setting(&client, "EntDMID", "E1", "string"),
            setting(&[client[0], client[1], client[2], "Poll"], "NumberOfFirstRetries", "8", "integer"),
            setting(&["Unheard", "Of"], "It", "1", "integer"),
        ],
    };
    bench.with(|tree, scene| tree.provision(&document, scene));
    assert_eq!(bench.value(&format!("{CLIENT}/EntDMID")).as_deref(), Some("E1"));
    assert_eq!(bench.tree.poll(PROVIDER).first.count, 8);
    assert_eq!(bench.tree.renewal(), Renewal { automatic: true, period_days: Some(60), retry_days: Some(4) });
    let root = "./Vendor/MSFT/CertificateStore/ROOT/System/AB/EncodedCertificate";
    assert_eq!(bench.value(root), Some(STANDARD.encode(&der)));
    // The certificate of its own is not among them.
    let (base, _) = bench.tree.fold();
    assert_eq!(Vec::from((*base).clone()).len(), 5);
}
