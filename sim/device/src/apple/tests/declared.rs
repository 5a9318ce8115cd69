//! Declarative management: what a channel asks for, has and reports.

use super::*;
use serde_json::{Value, json};

fn json(value: Value) -> Reply {
    Reply::Says(200, value.to_string().into())
}

fn tokens(token: &str) -> Reply {
    json(json!({ "SyncTokens": { "DeclarationsToken": token, "Timestamp": "2026-11-25T01:49:48Z" } }))
}

/// One activation, and these configurations with their server's tokens.
fn items(token: &str, configurations: &[(&str, &str)]) -> Reply {
    let entry = |(identifier, token): &(&str, &str)| json!({ "Identifier": identifier, "ServerToken": token });
    json(json!({
        "Declarations": {
            "Activations": [entry(&("act", "1"))], "Assets": [], "Management": [],
            "Configurations": configurations.iter().map(entry).collect::<Vec<_>>(),
        },
        "DeclarationsToken": token,
    }))
}

fn activation() -> Reply {
    let payload = json!({ "StandardConfigurations": ["a", "b"] });
    json(json!({ "Type": "com.apple.activation.simple", "Identifier": "act", "ServerToken": "1", "Payload": payload }))
}

fn configuration(identifier: &str, token: &str) -> Reply {
    let kind = "com.apple.configuration.management.test";
    json(json!({ "Type": kind, "Identifier": identifier, "ServerToken": token, "Payload": { "Echo": "x" } }))
}

fn wanted(data: Option<&[u8]>) -> Reply {
    command("1", &Wanted::DeclarativeManagement { data })
}

impl Rig {
    /// Endpoints that were asked, in order.
    fn endpoints(&self) -> Vec<String> {
        let endpoint = |n| self.message(n).get("Endpoint").and_then(|endpoint| endpoint.as_str()).map(str::to_owned);
        (0..self.asked.len()).filter_map(endpoint).collect()
    }

    /// The last report: identifiers of a list, each with whether it is active.
    fn reported(&self, list: &str) -> Vec<(String, bool)> {
        let message = self.message(self.asked.len() - 1);
        let report: Value = serde_json::from_slice(message.get("Data").unwrap().as_data().unwrap()).unwrap();
        let rows = report["StatusItems"]["management"]["declarations"][list].as_array().unwrap().clone();
        let row = |row: &Value| (row["identifier"].as_str().unwrap().to_owned(), row["active"].as_bool().unwrap());
        rows.iter().map(row).collect()
    }

    /// Syncs two configurations for the first time.
    fn synced(character: Character) -> Rig {
        let mut rig = Rig::enrolled(character);
        let two = [("a", "1"), ("b", "1")];
        let fetched = [activation(), configuration("a", "1"), configuration("b", "1")];
        let script = [wanted(None), ok(), tokens("t1"), items("t1", &two)];
        rig.pushed(script.into_iter().chain(fetched).chain([ok()]));
        rig
    }
}

#[test]
fn a_first_sync_fetches_all_and_reports_it() {
    let rig = Rig::synced(ios());
    assert_eq!(rig.operations()[..2], ["apple.idle", "apple.command"]);
    assert_eq!(rig.status(1), "Acknowledged");
    let asked = ["tokens", "declaration-items", "declaration/activation/act"];
    let more = ["declaration/configuration/a", "declaration/configuration/b", "status"];
    assert_eq!(rig.endpoints(), [asked, more].concat());
    assert!(rig.asked[2..].iter().all(|asked| &*asked.url == "https://mdm.test/checkin"));
    assert_eq!(rig.reported("activations"), [("act".to_owned(), true)]);
    assert_eq!(rig.reported("configurations"), [("a".to_owned(), true), ("b".to_owned(), true)]);
}

#[test]
fn a_known_token_ends_it_and_a_changed_declaration_alone_is_fetched() {
    let mut rig = Rig::synced(ios());
    rig.pushed([wanted(None), ok(), tokens("t1")]);
    assert_eq!(rig.endpoints(), ["tokens"]);
    // The command may say the token itself; `a` is another one now, `b` is gone.
    let data = br#"{"SyncTokens":{"DeclarationsToken":"t2","Timestamp":"2026-11-25T01:49:48Z"}}"#;
    rig.pushed([wanted(Some(data)), ok(), items("t2", &[("a", "2")]), configuration("a", "2"), ok()]);
    assert_eq!(rig.endpoints(), ["declaration-items", "declaration/configuration/a", "status"]);
    assert_eq!(rig.reported("configurations"), [("a".to_owned(), false)]);
    assert_eq!(rig.reported("activations"), [("act".to_owned(), false)], "it names what is gone");
    rig.pushed([wanted(Some(data)), ok()]);
    assert_eq!(rig.operations(), ["apple.idle", "apple.command"], "nothing is new");
}

#[test]
fn what_the_server_lacks_is_none_that_the_device_has() {
    let mut rig = Rig::enrolled(ios());
    let listed = items("t", &[("a", "1"), ("b", "1")]);
    let fetched = [activation(), status(404), configuration("b", "1"), ok()];
    rig.pushed([wanted(None), ok(), tokens("t"), listed].into_iter().chain(fetched));
    assert_eq!(rig.reported("configurations"), [("b".to_owned(), false)]);
}

#[test]
fn a_sync_that_breaks_off_comes_again_and_goes_on_from_disk() {
    let mut rig = Rig::enrolled(ios());
    let listed = || items("t", &[("a", "1")]);
    let action = rig.pushed([wanted(None), ok(), tokens("t"), listed(), activation(), status(500)]);
    rig.save();
    rig.asked.clear();
    let script = [ok(), tokens("t"), listed(), activation(), configuration("a", "1"), ok()];
    rig.script = script.into_iter().collect();
    rig.time(&action);
    assert_eq!(rig.operations()[0], "apple.idle");
    assert_eq!(rig.endpoints().last().map(String::as_str), Some("status"));
    rig.save();
    rig.pushed([wanted(None), ok(), tokens("t")]);
    assert_eq!(rig.endpoints(), ["tokens"], "it was on disk");
}

#[test]
fn each_failure_waits_longer_though_idle_is_answered() {
    let mut rig = Rig::enrolled(ios());
    let mut action = rig.pushed([wanted(None), ok(), status(500)]);
    for failures in 1..5 {
        assert_eq!(rig.machine.record().tries, failures);
        rig.script = [ok(), status(503)].into();
        action = rig.time(&action);
    }
    rig.script = [ok(), tokens("t"), items("t", &[]), activation(), ok()].into();
    rig.time(&action);
    rig.pushed([wanted(None), ok(), status(500)]);
    assert_eq!(rig.machine.record().tries, 1, "that row is over");
}

#[test]
fn a_server_that_is_never_settled_is_left_in_the_end() {
    let mut rig = Rig::enrolled(ios());
    let round = |n: u32| [tokens(&format!("said {n}")), items(&format!("has {n}"), &[]), ok()];
    let first = [wanted(None), ok(), tokens("said"), items("has", &[]), activation(), ok()];
    rig.pushed(first.into_iter().chain((0..100).flat_map(round)));
    let rounds = rig.endpoints().iter().filter(|endpoint| *endpoint == "status").count();
    assert_eq!(rounds, usize::from(Limits::default().declarative_rounds_max));
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Complaint { kind: "declarative_unsettled", .. })), 1);
}

#[test]
fn nonsense_ends_the_session_and_not_the_enrollment() {
    for nonsense in ["", "[]", "{\"SyncTokens\":{}}", "<plist/>"] {
        let mut rig = Rig::enrolled(ios());
        let action = rig.pushed([wanted(None), ok(), Reply::Says(200, nonsense.into())]);
        assert!(matches!(action.what, What::Sleep { .. }), "{nonsense}");
        assert_eq!(rig.count(|fact| matches!(fact, Fact::Complaint { kind: "declarative", .. })), 1, "{nonsense}");
        assert_eq!(Apple::state(&rig.machine.record()), DeviceState::Enrolled);
    }
}

#[test]
fn a_device_that_leaves_has_nothing_left() {
    let mut rig = Rig::synced(mac());
    rig.order(Order::Unenroll);
    let mut rig = rig.enroll_again();
    rig.pushed([wanted(None), ok(), tokens("t1"), items("t1", &[]), activation(), ok()]);
    let endpoints = ["tokens", "declaration-items", "declaration/activation/act", "status"];
    assert_eq!(rig.endpoints(), endpoints, "the token of the enrollment before is forgotten");
}

impl Rig {
    fn enroll_again(mut self) -> Rig {
        self.forget();
        self.script.clear();
        self.enroll()
    }
}
