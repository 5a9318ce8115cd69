//! The practice server's Windows, judged by somebody else: the independent device of `tests/peers/windows` lives there, and
//! its checker looks at every message of both sides. What the server knows of it must be what the device's log says.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Call, Error, Running, case, judge_recorded, program, windows_package};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOKEN: &str = "administrator";

/// A practice server of its own.
struct Server {
    _running: Running,
    port: u16,
    discovery: String,
    ca: PathBuf,
}

impl Server {
    /// Its log and its CA's certificate are in this folder.
    fn start(folder: &Path, flags: &[&str]) -> Result<Server, Error> {
        let droves = program("droves")?;
        let command = |port: u16| {
            let mut command = Command::new(&droves);
            command.args([
                "practice",
                "--windows-port",
                "0",
                "--mqtt-port",
                "0",
                "--token",
                TOKEN,
                "--port",
                &port.to_string(),
            ]);
            command.args(flags).env_remove("RUST_LOG");
            command
        };
        let log = folder.join("practice.log");
        let told = || std::fs::read_to_string(&log).unwrap_or_default();
        let (running, port) = Running::serve("practice", folder, command, |_| told().contains("/ca.pem"))?;
        let told = told();
        let discovery = told.split("Windows enrolls at ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
        let ca = folder.join("ca.pem");
        let server = Server { _running: running, port, discovery: discovery.to_owned(), ca };
        std::fs::write(&server.ca, server.call("GET", "/ca.pem", "", "")?).unwrap();
        Ok(server)
    }

    fn call(&self, method: &str, path: &str, kind: &str, body: &str) -> Result<Vec<u8>, Error> {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
        let answer = Call { method, path, headers: &headers, body: body.as_bytes() }.send(self.port)?;
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
        Ok(answer.body)
    }

    fn json(&self, method: &str, path: &str) -> Result<Value, Error> {
        Ok(serde_json::from_slice(&self.call(method, path, "", "")?).unwrap())
    }

    fn truth(&self) -> Result<Value, Error> {
        self.json("GET", "/_truth")
    }

    fn queue(&self, device: &str, fragment: &str) -> Result<(), Error> {
        let kind = "application/vnd.syncml.dm+xml";
        let said = self.call("PUT", &format!("/admin/v1/commands?ids={device}"), kind, fragment)?;
        let said: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!(said["failed"], json!({}), "{said}");
        Ok(())
    }

    fn enrollment(&self, device: &str) -> Result<Value, Error> {
        self.json("GET", &format!("/admin/v1/enrollments/{device}"))
    }
}

/// A device with a folder of its own for what it knows.
struct Device<'a> {
    server: &'a Server,
    state: PathBuf,
    /// What passed, in a folder for each command.
    recorded: RefCell<Vec<PathBuf>>,
    options: Vec<&'a str>,
}

/// What one command of it said, and how it ended.
struct Log {
    code: i32,
    events: Vec<Value>,
}

impl Log {
    fn of(&self, event: &str) -> Vec<&Value> {
        self.events.iter().filter(|line| line["event"] == event).collect()
    }

    fn one(&self, event: &str) -> &Value {
        let of = self.of(event);
        assert_eq!(of.len(), 1, "{event}: {:#?}", self.events);
        of[0]
    }

    /// Rules that the server has broken.
    fn broken(&self) -> Vec<&str> {
        self.of("violation").into_iter().filter_map(|line| line["rule"].as_str()).collect()
    }
}

impl<'a> Device<'a> {
    fn new(server: &'a Server, folder: &Path, name: &str, options: &[&'a str]) -> Device<'a> {
        let recorded = RefCell::default();
        Device { server, state: folder.join(format!("device-{name}")), recorded, options: options.to_vec() }
    }

    fn run(&self, command: &[&str]) -> Result<Log, Error> {
        let mut device = windows_package("device")?;
        device.arg("--state").arg(&self.state).arg("--ca").arg(&self.server.ca);
        let folder = self.state.with_extension(format!("recorded-{}", self.recorded.borrow().len()));
        device.arg("--record").arg(&folder).args(&self.options).args(command);
        self.recorded.borrow_mut().push(folder);
        let output = device.output().unwrap();
        let lines = String::from_utf8_lossy(&output.stdout);
        let events: Result<Vec<Value>, _> = lines.lines().map(serde_json::from_str).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        let events = events.unwrap_or_else(|why| panic!("{why}: {lines} {said}"));
        assert!(!events.is_empty(), "{said}");
        Ok(Log { code: output.status.code().unwrap_or(-1), events })
    }

    /// The same without a fault on either side.
    fn well(&self, command: &[&str]) -> Result<Log, Error> {
        let log = self.run(command)?;
        let done = log.one("done");
        assert_eq!((log.code, &done["violations"], &done["own"]), (0, &json!(0), &json!(0)), "{:#?}", log.events);
        Ok(log)
    }

    fn enroll(&self, how: &[&str]) -> Result<String, Error> {
        let log = self.well(&self.enrolling(how))?;
        Ok(log.one("enrolled")["device_id"].as_str().unwrap().to_owned())
    }

    fn enrolling<'s>(&'s self, how: &[&'s str]) -> Vec<&'s str> {
        [&["enroll", "--upn", "user7@droves.test", "--url", &self.server.discovery], how].concat()
    }

    /// Every message through the schemas, the rules and the round trip by libwbxml.
    fn judged(&self) -> Result<(), Error> {
        self.recorded.borrow().iter().try_for_each(|folder| judge_recorded(folder))
    }

    /// SyncML messages that it has sent.
    fn sent(&self) -> usize {
        let of_folder = |folder: &PathBuf| {
            let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
            files.filter(|file| file.to_string_lossy().starts_with("syncml-client-")).count()
        };
        self.recorded.borrow().iter().map(of_folder).sum()
    }
}

const PASSWORD: &[&str] = &["--auth", "OnPremise", "--password", "secret"];
const LOGIN: &[&str] = &["--auth", "Federated"];

fn item(uri: &str, format: &str, data: &str) -> String {
    format!(
        "<Item><Target><LocURI>{uri}</LocURI></Target><Meta><Format xmlns=\"syncml:metinf\">{format}</Format></Meta>\
         <Data>{data}</Data></Item>"
    )
}

fn asks(verb: &str, id: &str, uri: &str) -> String {
    format!("<{verb}><CmdID>{id}</CmdID><Item><Target><LocURI>{uri}</LocURI></Target></Item></{verb}>")
}

const CAMERA: &str = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera";
const WIFI: &str = "./Device/Vendor/MSFT/WiFi/Profile/Office/WlanXml";
const INSTALL: &str = "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/DownloadInstall";

/// A command of each kind, with names of the administrator's that are like the server's own, and what a device answers.
fn every_kind() -> (String, BTreeMap<&'static str, u16>) {
    let set = |verb: &str, id: &str, item: &str| format!("<{verb}><CmdID>{id}</CmdID>{item}</{verb}>");
    let group =
        |kind: &str, id: &str, inside: &[String]| format!("<{kind}><CmdID>{id}</CmdID>{}</{kind}>", inside.concat());
    let fragment = [
        asks("Get", "1", "./DevDetail/SwV"),
        asks("Get", "2", "./Device/Vendor/MSFT/Nowhere"),
        set("Replace", "3", &item(CAMERA, "int", "0")),
        set("Add", "a-new-one", &item(WIFI, "chr", "&lt;WLANProfile/&gt;")),
        set("Add", "the-same", &item(WIFI, "chr", "&lt;WLANProfile&gt;2&lt;/WLANProfile&gt;")),
        group(
            "Atomic",
            "all",
            &[
                set("Replace", "all-1", &item("./Device/Vendor/MSFT/Policy/Config/Wifi/AllowWiFi", "int", "1")),
                set("Replace", "all-2", &item(CAMERA, "int", "1")),
            ],
        ),
        group(
            "Atomic",
            "none",
            &[
                set("Replace", "none-1", &item(CAMERA, "int", "0")),
                set("Replace", "none-2", &item("./Device/Vendor/MSFT/Nowhere/At/All", "int", "1")),
            ],
        ),
        group("Sequence", "one-by-one", &[asks("Get", "seq-1", CAMERA), asks("Get", "seq-2", "./DevInfo/DevId")]),
        set("Add", "msi", &item(INSTALL, "chr", "x")),
        asks("Exec", "install", INSTALL),
        asks("Delete", "gone", WIFI),
    ];
    let codes = [
        ("1", 200),
        ("2", 404),
        ("3", 200),
        ("a-new-one", 200),
        ("the-same", 418),
        ("all", 200),
        ("all-1", 200),
        ("all-2", 200),
        ("none", 507),
        ("none-1", 216),
        ("none-2", 405),
        ("one-by-one", 200),
        ("seq-1", 200),
        ("seq-2", 200),
        ("msi", 200),
        ("install", 202),
        ("gone", 200),
    ];
    (fragment.concat(), BTreeMap::from(codes))
}

/// Enrolls, does what it is told, renews its certificate, does it again, and leaves.
fn lives(name: &str, flags: &[&str], how: &[&str], options: &[&str], challenged: bool) {
    case(name, |ground| {
        let server = Server::start(ground.path(), &[&["--windows-pfn", "Droves.Test_1"], flags].concat())?;
        let device = Device::new(&server, ground.path(), name, options);
        let id = device.enroll(how)?;
        assert_eq!(server.enrollment(&id)?, json!({ "enrolled": true, "pending": 0 }));
        let (fragment, codes) = every_kind();
        server.queue(&id, &fragment)?;
        assert_eq!(server.enrollment(&id)?["pending"], 11);
        let log = device.well(&["sync"])?;
        assert_eq!(!log.of("challenged").is_empty(), challenged, "{:#?}", log.events);
        told_the_same(&server, &log, &codes)?;
        assert_eq!(server.enrollment(&id)?["pending"], 0);
        let before = device.well(&["renew"])?.one("renewed")["serial"].clone();
        let again = device.well(&["renew"])?.one("renewed")["serial"].clone();
        assert_ne!(before, again);
        server.queue(&id, &asks("Get", "after", CAMERA))?;
        let log = device.well(&["sync", "--alert", "1200"])?;
        told_the_same(&server, &log, &BTreeMap::from([("after", 200)]))?;
        device.well(&["unenroll"])?;
        let truth = server.truth()?;
        assert_eq!(truth["enrolled"]["devices"], 0, "{truth:#}");
        assert_eq!((&truth["windows"]["enrolled"], &truth["windows"]["renewed"]), (&json!(1), &json!(2)));
        assert_eq!((&truth["windows"]["sessions"], &truth["windows"]["left"]), (&json!(3), &json!(1)), "{truth:#}");
        // Each message that the device has sent, and none beside.
        assert_eq!(truth["requests"]["/windows/manage"], json!({ "200": device.sent() }), "{truth:#}");
        device.judged()
    });
}

/// What the device says of the administrator's commands is what the server knows of them.
fn told_the_same(server: &Server, log: &Log, codes: &BTreeMap<&str, u16>) -> Result<(), Error> {
    let truth = server.truth()?;
    let said: BTreeMap<&str, u64> = log
        .of("command")
        .into_iter()
        .filter_map(|line| Some((line["cmd_id"].as_str()?, line["code"].as_u64()?)))
        .collect();
    for (id, code) in codes {
        assert_eq!(said.get(id), Some(&u64::from(*code)), "{id}: {said:#?}");
        let fate = if (200..214).contains(code) { "acknowledged" } else { "error" };
        let wanted = json!({ "queued": 1, "delivered": 1, fate: 1 });
        assert_eq!(truth["by_command"][id], wanted, "{id}: {:#}", truth["by_command"]);
    }
    Ok(())
}

#[test]
fn a_device_lives_by_its_certificate() {
    lives("mtls", &[], PASSWORD, &[], false);
}

#[test]
fn a_device_lives_by_md5() {
    lives("md5", &["--windows-auth", "md5", "--windows-poll", "1"], PASSWORD, &[], true);
}

/// Credentials count for the session, and are others after the first one.
#[test]
fn a_device_lives_by_md5_that_changes() {
    lives("md5_once", &["--windows-auth", "md5", "--windows-once", "--windows-rekey"], PASSWORD, &[], true);
}

#[test]
fn a_device_lives_by_basic_credentials() {
    lives("basic", &["--windows-federated", "--windows-auth", "basic"], LOGIN, &["--enrollment-type", "Device"], true);
}

#[test]
fn a_device_lives_by_signatures() {
    lives(
        "signed",
        &["--windows-federated", "--windows-auth", "signed", "--windows-batch", "2"],
        LOGIN,
        &["--old-csr"],
        false,
    );
}

/// Neither side sends more than the other takes: objects go in parts both ways.
#[test]
fn objects_go_in_parts() {
    case("parts", |ground| {
        let server = Server::start(ground.path(), &["--windows-message-max", "4000"])?;
        let device = Device::new(&server, ground.path(), "parts", &["--limit", "5000", "--announce-limit"]);
        let id = device.enroll(PASSWORD)?;
        let policy = "./Device/Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/App/Policy/One";
        let text = "&lt;policy&gt;é&amp;amp;&lt;/policy&gt;".repeat(600);
        let large = format!("<Add><CmdID>large</CmdID>{}</Add>", item(policy, "chr", &text));
        let fragment = [large, asks("Get", "back", policy), asks("Get", "small", "./DevInfo/DevId")].concat();
        server.queue(&id, &fragment)?;
        let log = device.well(&["sync"])?;
        told_the_same(&server, &log, &BTreeMap::from([("back", 200), ("small", 200)]))?;
        let truth = server.truth()?;
        assert_eq!(truth["by_command"]["large"], json!({ "queued": 1, "delivered": 1, "acknowledged": 1 }));
        // A command in three parts or more, and its answer in four or more.
        assert!(log.one("session-end")["messages"].as_u64().unwrap() > 8, "{:#?}", log.events);
        assert!(truth["codes"]["213"].as_u64().unwrap() > 2, "{truth:#}");
        assert_eq!(truth["windows"]["results"], 2);
        device.judged()
    });
}

#[test]
fn the_server_sends_devices_away() {
    case("sent_away", |ground| {
        let server = Server::start(ground.path(), &[])?;
        let device = Device::new(&server, ground.path(), "away", &[]);
        let id = device.enroll(PASSWORD)?;
        let away = "./Device/Vendor/MSFT/DMClient/Provider/Droves/Unenroll";
        server.queue(&id, &[asks("Get", "first", CAMERA), asks("Exec", "away", away)].concat())?;
        device.well(&["sync"])?;
        let truth = server.truth()?;
        assert_eq!((&truth["enrolled"]["devices"], &truth["windows"]["left"]), (&json!(0), &json!(1)), "{truth:#}");
        assert_eq!(truth["by_command"]["away"], json!({ "queued": 1, "delivered": 1 }));
        device.judged()?;
        let device = Device::new(&server, ground.path(), "wiped", &[]);
        let id = device.enroll(PASSWORD)?;
        server.queue(&id, &asks("Exec", "wipe", "./Device/Vendor/MSFT/RemoteWipe/doWipe"))?;
        device.well(&["sync"])?;
        assert_eq!(server.enrollment(&id)?["enrolled"], false);
        assert_eq!(server.truth()?["by_command"]["wipe"], json!({ "queued": 1, "delivered": 1, "acknowledged": 1 }));
        device.judged()
    });
}

/// A clone has the hardware id of another: the first is evicted, and named by the hardware it is the second.
#[test]
fn a_clone_evicts_the_first() {
    case("clone", |ground| {
        let server = Server::start(ground.path(), &[])?;
        let first = Device::new(&server, ground.path(), "first", &["--seed", "same"]);
        let second = Device::new(&server, ground.path(), "second", &["--seed", "same"]);
        let first_id = first.enroll(PASSWORD)?;
        server.queue(&first_id, &asks("Get", "lost", CAMERA))?;
        let second_id = second.enroll(PASSWORD)?;
        assert_eq!(server.enrollment(&first_id)?, json!({ "enrolled": false, "pending": 0 }));
        let log = first.run(&["sync"])?;
        assert_eq!((log.code, log.broken()), (2, vec!["DM-STATUS"]), "{:#?}", log.events);
        second.well(&["sync"])?;
        assert_eq!(server.truth()?["windows"]["evicted"], 1);
        let state: Value = serde_json::from_slice(&std::fs::read(second.state.join("state.json")).unwrap()).unwrap();
        let hardware = state["hwdev_id"].as_str().unwrap();
        server.queue(hardware, &asks("Get", "by-hardware", CAMERA))?;
        assert_eq!(server.enrollment(&second_id)?["pending"], 1);
        Ok(())
    });
}

/// Whoever has no password, no token, or one that was used, is refused by name.
#[test]
fn strangers_are_refused() {
    case("strangers", |ground| {
        let server = Server::start(ground.path(), &[])?;
        let device = Device::new(&server, ground.path(), "guesses", &[]);
        let refused = |how: &[&str], subcode: &str| -> Result<(), Error> {
            let log = device.run(&device.enrolling(how))?;
            assert_eq!((log.code, &log.one("fault")["subcode"]), (2, &json!(subcode)), "{:#?}", log.events);
            assert_eq!(log.broken(), Vec::<&str>::new(), "{:#?}", log.events);
            Ok(())
        };
        refused(&["--password", "guessed"], "Authentication")?;
        refused(&["--token", "made up"], "Authentication")?;
        let truth = server.truth()?;
        assert_eq!(truth["refused"], json!({ "Authentication": 2 }), "{truth:#}");
        assert_eq!(truth["issued"], 0);
        Ok(())
    });
}

/// What the server does wrong on order is named by the device's checker, that and nothing else.
#[test]
fn each_fault_on_order_is_seen() {
    case("faults", |ground| {
        // Of the second request on: the first is the GET of discovery, which is spared.
        let check = |fault: &str, name: &str, step: &str, rules: &[&str]| -> Result<(), Error> {
            let folder = ground.dir(&format!("{name}-{step}"))?;
            let file = folder.join("faults.yaml");
            let text = format!(
                "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  populations:\n    pcs: {{ platform: windows, count: 1 }}\n\
                 phases:\n  - enroll: {{ who: all }}\nfaults:\n  - {{ server: {fault}, nth: {step} }}\n"
            );
            std::fs::write(&file, text).unwrap();
            let server = Server::start(&folder, &["--faults", file.to_str().unwrap()])?;
            let device = Device::new(&server, &folder, name, &[]);
            let mut log = device.run(&device.enrolling(PASSWORD))?;
            if !log.of("enrolled").is_empty() {
                log.events.extend(device.run(&["sync"])?.events);
            }
            let mut broken = log.broken();
            broken.dedup();
            assert_eq!(broken, rules, "{fault}: {:#?}", log.events);
            assert_eq!(server.truth()?["faults"], json!({ name: 1 }), "{fault}");
            Ok(())
        };
        check("chunked", "chunked", "2", &["HTTP-RES-LENGTH"])?;
        check("html", "html", "2", &["HTTP-RES-TYPE", "SOAP-XML"])?;
        check("ill_formed", "ill_formed", "4", &["SOAP-XML"])?;
        check("{ answer: 502 }", "answer", "4", &["HTTP-RES-TYPE", "SOAP-XML"])?;
        check("{ refuse: InMaintenance }", "refuse", "3", &[])?;
        check("html", "html", "5", &["DM-EMPTY", "SYN-XML"])?;
        check("ill_formed", "ill_formed", "5", &["SYN-XML"])?;
        check("wrong_reference", "wrong_reference", "1", &["ST-MSGREF"])
    });
}
