//! What this part promises, without a socket and with a clock of its own. (What it is to somebody else's agent is in
//! `tests/practice_agents.rs`.)
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Held, Settings, Stir};
use crate::practice::windows;
use crate::practice::{Brain, Faults, Incoming, Outgoing, Proof, Told, Wake};
use droves_facts::{Dice, Dur, Limits, Mono, Wall};
use droves_scenario::plan::{Fault, FaultKind, ServerFault, Strikes};
use droves_wire::android::headwind::envelope::{DUPLICATE, UNKNOWN_DEVICE};
use droves_wire::android::headwind::{Envelope, push};
use droves_wire::ca::Authority;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

struct Server {
    brain: Brain,
    now: Mono,
    wakes: Vec<Wake>,
}

impl Server {
    fn new(settings: Settings, faults: &[ServerFault]) -> Self {
        static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
        let authority =
            AUTHORITY.get_or_init(|| Arc::new(Authority::create_p384("Test", Wall::VIRTUAL_START).unwrap()));
        let ordered = |fault: &ServerFault| Fault {
            what: FaultKind::Server(*fault),
            strikes: Strikes::Share(1.0),
            who: None,
            during: None,
            after: Dur::ZERO,
            length: None,
        };
        let faults: Vec<Fault> = faults.iter().map(ordered).collect();
        let faults = Faults::new(&faults, Dice::new(1));
        let url = "http://practice.test".to_owned();
        let told = Told { url: url.clone(), windows_url: url, topic: "topic".to_owned() };
        let (token, windows) = ("administrator".to_owned(), windows::Settings::default());
        let brain = Brain::new(Arc::clone(authority), told, token, Limits::default(), faults, windows);
        Server { brain: brain.with_agents(settings), now: Mono(1_000_000), wakes: Vec::new() }
    }

    fn with_devices(settings: Settings, faults: &[ServerFault], numbers: &[&str]) -> Self {
        let mut server = Server::new(settings, faults);
        for number in numbers {
            server.ask("POST", &format!("/hmdm/rest/public/sync/configuration/{number}"), "{}");
        }
        server
    }

    fn ask(&mut self, method: &str, target: &str, body: &str) -> Outgoing {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let incoming = Incoming {
            method,
            path,
            query,
            authorization: Some(b"Bearer administrator"),
            content_type: None,
            range: None,
            proof: Proof::Nothing,
            body: body.as_bytes(),
        };
        self.brain.answer(self.now, Wall::VIRTUAL_START, &incoming, &mut self.wakes)
    }

    fn push(&mut self, kind: &str, ids: &str) {
        let body = format!("{{\"messageType\": \"{kind}\"}}");
        assert_eq!(self.ask("POST", &format!("/admin/v1/messages?ids={ids}"), &body).status, 200);
    }

    fn poll(&mut self, number: &str) -> Outgoing {
        self.ask("GET", &format!("/hmdm/rest/notification/polling/{number}"), "")
    }

    /// Kinds of the messages that wait.
    fn waiting(&mut self, number: &str) -> Vec<String> {
        kinds(&self.ask("GET", &format!("/hmdm/rest/notifications/device/{number}"), ""))
    }
}

fn kinds(outgoing: &Outgoing) -> Vec<String> {
    let pushes = push::read_list(&outgoing.body).unwrap();
    pushes.iter().map(|push| push.kind.name().to_owned()).collect()
}

#[test]
fn a_message_waits_for_its_time_and_not_for_ever() {
    let mut server = Server::with_devices(Settings::default(), &[], &["a"]);
    server.push("reboot", "a");
    server.now += Dur::secs(1_800);
    server.push("exitKiosk", "a");
    server.now += Dur::secs(1_800);
    assert_eq!(server.waiting("a"), ["exitKiosk"]);
    for n in 0..101 {
        server.push(&format!("plugin{n}"), "a");
    }
    let waiting = server.waiting("a");
    assert_eq!((waiting.len(), waiting[0].as_str()), (100, "plugin1"));
}

#[test]
fn who_has_reported_a_registration_token_is_woken_by_it() {
    let mut server = Server::with_devices(Settings::default(), &[], &["a", "b", "c"]);
    let report = |number: &str, token: &str| format!("{{\"deviceId\": \"{number}\", \"custom1\": \"{token}\"}}");
    let of = |token: &str| Wake::Android { token: token.to_owned() };
    for (number, token) in [("a", "one"), ("b", ""), ("a", "two")] {
        assert_eq!(server.ask("POST", "/hmdm/rest/public/sync/info", &report(number, token)).status, 200);
    }
    server.ask("PUT", "/admin/v1/configurations/default?ids=a,b,c", "{\"kioskMode\": true}");
    assert_eq!(std::mem::take(&mut server.wakes), [of("two")]);
    server.push("reboot", "a,b");
    server.ask("POST", "/admin/v1/push?ids=a,c", "");
    assert_eq!(server.wakes, [of("two"), of("two")]);
    let listed: Value = serde_json::from_slice(&server.ask("GET", "/admin/v1/devices", "").body).unwrap();
    let tokens: Vec<_> =
        listed["devices"].as_array().unwrap().iter().map(|of| of["info"]["push_token"].clone()).collect();
    assert_eq!(tokens, [Value::from("two"), Value::Null, Value::Null]);
}

#[test]
fn one_message_goes_each_delay() {
    let mut server =
        Server::with_devices(Settings { message_delay: Dur::secs(1), ..Settings::default() }, &[], &["a", "b", "c"]);
    let begun = server.now;
    assert_eq!(server.brain.due(), None);
    server.push("reboot", "a,b,c");
    assert!(server.brain.stirred().contains(&Stir::Clock));
    for n in 1..=3 {
        let due = begun + Dur::secs(n);
        assert_eq!(server.brain.due(), Some(due));
        server.brain.tick(Mono(due.0 - 1));
        assert_eq!(server.brain.due(), Some(due), "not before its time");
        server.brain.tick(due);
    }
    assert_eq!(server.brain.due(), None);
    // The next one waits for the last: the queue is one for all.
    server.push("reboot", "a");
    assert_eq!(server.brain.due(), Some(begun + Dur::secs(4)));
}

#[test]
fn a_poll_is_held_and_named_when_there_is_something() {
    let mut server = Server::with_devices(Settings::default(), &[], &["a", "b"]);
    let Some(Held { ticket, until }) = server.poll("a").held else { panic!("not held") };
    assert_eq!(until, server.now + Dur::secs(60));
    server.push("reboot", "b");
    assert_eq!(server.brain.stirred(), []);
    server.push("reboot", "a");
    server.push("exitKiosk", "a");
    assert_eq!(server.brain.stirred(), [Stir::Poll(ticket)]);
    assert_eq!(kinds(&server.brain.resume(ticket)), ["reboot", "exitKiosk"]);
    assert_eq!(server.waiting("a"), Vec::<String>::new());
    assert_eq!(server.brain.resume(ticket).status, 500, "a ticket is good once");
}

#[test]
fn a_poll_that_is_cut_off_keeps_its_messages_where_somebody_cares() {
    for careless_polls in [false, true] {
        let mut server = Server::with_devices(Settings { careless_polls, ..Settings::default() }, &[], &["a"]);
        let held = server.poll("a").held.unwrap();
        server.push("reboot", "a");
        server.brain.abandon(held.ticket);
        server.push("exitKiosk", "a");
        let kept: &[&str] = if careless_polls { &[] } else { &["reboot", "exitKiosk"] };
        assert_eq!(server.waiting("a"), kept);
    }
}

/// A network switch leaves a poll behind, and the next one is held beside it.
#[test]
fn a_poll_that_ends_leaves_a_later_one_its_place_where_somebody_cares() {
    for careless_polls in [false, true] {
        let mut server = Server::with_devices(Settings { careless_polls, ..Settings::default() }, &[], &["a"]);
        let (first, second) = (server.poll("a").held.unwrap(), server.poll("a").held.unwrap());
        assert_eq!(server.brain.resume(first.ticket).status, 500);
        server.push("reboot", "a");
        let heard = kinds_of(&server.brain.resume(second.ticket));
        assert_eq!((heard, server.waiting("a").len()), if careless_polls { (0, 1) } else { (1, 0) });
    }
}

fn kinds_of(outgoing: &Outgoing) -> usize {
    if outgoing.status == 200 { kinds(outgoing).len() } else { 0 }
}

#[test]
fn a_number_enrolls_once_where_the_server_says_so() {
    let settings = Settings { prevents_duplicates: true, ..Settings::default() };
    let mut server = Server::with_devices(settings, &[], &["a"]);
    let path = "/hmdm/rest/public/sync/configuration/a";
    let message = |outgoing: &Outgoing| Envelope::<Value>::read(&outgoing.body).unwrap().message;
    assert_eq!(message(&server.ask("POST", path, "{}")), None, "nobody has reported by that number yet");
    server.ask("POST", "/hmdm/rest/public/sync/info", "{\"deviceId\": \"a\"}");
    assert_eq!(message(&server.ask("POST", path, "{}")).as_deref(), Some(DUPLICATE));
    assert_eq!(message(&server.ask("GET", path, "")), None);
}

/// Devices are put into a configuration by several calls: each is told by its own.
#[test]
fn who_is_in_a_configuration_is_told_when_it_is_another() {
    let mut server = Server::with_devices(Settings::default(), &[], &["a", "b", "c"]);
    let put = |server: &mut Server, ids: &str, body: &str| {
        let said = server.ask("PUT", &format!("/admin/v1/configurations/kiosk{ids}"), body);
        let said: Value = serde_json::from_slice(&said.body).unwrap();
        let told = ["a", "b", "c"].map(|number| server.waiting(number).len());
        (said["devices"].as_u64().unwrap(), told)
    };
    let kiosk = "{\"kioskMode\": true}";
    assert_eq!(put(&mut server, "?ids=a", kiosk), (1, [1, 0, 0]));
    assert_eq!(put(&mut server, "?ids=b", kiosk), (1, [0, 1, 0]));
    assert_eq!(put(&mut server, "?ids=c", "{}"), (3, [1, 1, 1]));
    assert_eq!(put(&mut server, "", "{}"), (3, [1, 1, 1]));
    assert_eq!(server.ask("PUT", "/admin/v1/configurations/kiosk", "{\"applications\": 5}").status, 400);
}

#[test]
fn a_message_that_is_misdelivered_reaches_somebody_else() {
    let mut server = Server::with_devices(Settings::default(), &[ServerFault::MisdeliverCommand], &["a", "b"]);
    server.push("reboot", "a");
    assert_eq!((server.waiting("a").len(), server.waiting("b").len()), (0, 1));
}

/// As the real server merges what devices bring.
#[test]
fn of_each_setting_that_apps_made_the_newest_is_kept() {
    let mut server = Server::with_devices(Settings::default(), &[], &["a"]);
    let path = "/hmdm/rest/public/sync/applicationSettings/";
    let setting = |name: &str, value: &str, at: i64| {
        format!(r#"{{"packageId":"com.a","name":"{name}","type":1,"value":"{value}","lastUpdate":{at}}}"#)
    };
    let mut bring = |settings: &[String]| {
        assert_eq!(server.ask("POST", &format!("{path}a"), &format!("[{}]", settings.join(","))).status, 200);
        let said = server.ask("GET", "/admin/v1/devices", "");
        let said: Value = serde_json::from_slice(&said.body).unwrap();
        let settings = said["devices"][0]["settings"].as_array().unwrap().clone();
        settings.iter().map(|setting| setting["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bring(&[setting("theme", "dark", 5), setting("theme", "light", 6), setting("size", " ", 5)]), ["dark"]);
    assert_eq!(bring(&[setting("theme", "old", 4), setting("size", "7", 5)]), ["7", "dark"]);
    assert_eq!(bring(&[setting("theme", "new", 5), "{}".to_owned()]), ["7", "new"]);
    let many: Vec<String> =
        (0..300).map(|n| setting(&format!("{n}"), &"x".repeat(if n > 0 { 1 } else { 2_000 }), 1)).collect();
    assert_eq!(bring(&many).len(), 256);
    assert_eq!(server.ask("POST", &format!("{path}a"), "{}").status, 400);
    let unknown = server.ask("POST", &format!("{path}b"), "[]");
    assert_eq!(Envelope::<Value>::read(&unknown.body).unwrap().message.as_deref(), Some(UNKNOWN_DEVICE));
    let truth: Value = serde_json::from_slice(&server.ask("GET", "/_truth", "").body).unwrap();
    assert_eq!(truth["agents"]["settings"], 4);
}
