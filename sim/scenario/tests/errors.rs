//! What a bad scenario is told, as people see it: all problems at once, each with its caret.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_scenario::{Given, load};
use std::path::Path;

/// Loads a scenario of this text and gives what is said of it.
fn said(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    std::fs::write(&path, text).unwrap();
    let given = [("unused".to_owned(), "1".to_owned())];
    let vars = if text.contains("# -e unused=1") { &given[..] } else { &[] };
    let said = match load(&path, &Given { vars: vars.to_vec(), ..Given::default() }, |_| None) {
        Ok(loaded) => format!("loaded\n{}", loaded.warnings.render(false)),
        Err(problems) => problems.render(false),
    };
    said.replace(&*folder.path().to_string_lossy(), "")
}

/// The expression would only repeat the test.
fn check(name: &str, said: &[String]) {
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, said.join("\n")) });
}

/// A good scenario, one line of which is replaced.
fn with(line: &str, by: &str) -> String {
    changed(GOOD, line, by)
}

fn changed(good: &str, line: &str, by: &str) -> String {
    assert!(good.contains(line), "{line}");
    said(&good.replace(line, by))
}

const GOOD: &str = r#"droves: 1
vars: { n: 100 }
target: { server: practice }
fleet:
  populations:
    phones: { platform: ios, count: "${n}" }
    macs: { platform: macos, count: 50, users: 1 }
phases:
  - enroll: { who: all, arrivals: { rate: 50/s } }
    until: { enrolled: 100%, within: 1m }
  - check_in: { who: all, arrivals: { each: { every: 10s, jitter: 1s } } }
    for: 20s
  - name: ask
    command: { who: { phones: 20% }, request: SecurityInfo, push: true }
faults:
  - push: { answer: 410 }
    share: 1%
    during: ask
thresholds:
  ledger.lost: [ "count==0" ]
"#;

/// A good scenario of PCs.
const PCS: &str = r#"droves: 1
target: { server: practice }
fleet:
  populations:
    pcs: { platform: windows, count: 100 }
    phones: { platform: ios, count: 5 }
phases:
  - enroll: { who: all, arrivals: { rate: 50/s } }
    until: { enrolled: 100%, within: 1m }
  - name: ask
    command: { who: pcs, nodes: [ { get: ./DevDetail/SwV }, { replace: ./Device/A, format: int, data: 1 } ], push: true }
    until: { accepted: 100%, within: 1m }
  - name: profiles
    command: { who: pcs, profiles: [ { add: { from: 1, to: 3 }, version: 2 } ], atomic: true }
"#;

#[test]
fn six_errors_have_six_carets() {
    let problems = load(Path::new("tests/bad/six.yaml"), &Given::default(), |_| None).unwrap_err();
    let text = problems.render(false);
    check("six", std::slice::from_ref(&text));
    assert!(text.matches(" ^").count() >= 6, "{text}");
}

#[test]
fn a_bad_server_profile() {
    let problems = load(Path::new("tests/bad/odd.yaml"), &Given::default(), |_| None).unwrap_err();
    check("server", &[problems.render(false)]);
}

#[test]
fn colours_are_an_option() {
    let problems = load(Path::new("tests/bad/odd.yaml"), &Given::default(), |_| None).unwrap_err();
    assert!(problems.render(true).contains("\u{1b}[1;31m"));
    assert!(!problems.to_string().contains('\u{1b}'));
}

proptest::proptest! {
    /// Whatever the text: a plan or problems, and no panic.
    #[test]
    fn no_text_is_too_odd(at in 0..GOOD.len(), gone in 0_usize..12, put in "[-{}\\[\\]:,\"'&*!|>%$#a0 \n\u{e9}]{0,6}") {
        let mut text = GOOD.to_owned();
        let (from, to) = (text.floor_char_boundary(at), text.floor_char_boundary(at + gone));
        text.replace_range(from..to, &put);
        assert!(!said(&text).is_empty());
    }
}

#[test]
fn a_good_one_loads() {
    assert_eq!(said(GOOD), "loaded\n");
    assert_eq!(said(PCS), "loaded\n");
}

#[test]
fn errors_of_form() {
    check(
        "form",
        &[
            with("  - check_in:", "  - chek_in:"),
            with("every: 10s", "every: 10"),
            with("every: 10s, jitter: 1s", "jitter: 1s"),
            with("each: { every: 10s, jitter: 1s }", "eech: { every: 10s }"),
            with("{ each: { every: 10s, jitter: 1s } }", "each"),
            with("{ each: { every: 10s, jitter: 1s } }", "{ each: { every: 10s }, rate: 5/s }"),
            with("platform: ios", "platform: windoze"),
            with("count: 50", "count: many"),
            with("count: 50", "count: -5"),
            with("count: 50", "count: [ 5 ]"),
            with("droves: 1\n", ""),
            with("target: { server: practice }", "target:"),
            with("phases:", "phazes:"),
            with("for: 20s", "four: 20s"),
            with("share: 1%", "share: 1"),
            with("share: 1%", "share: 120%"),
            with("during: ask", "during: ask\n    during: ask"),
            with("{ n: 100 }", "{ n: 100 }\n# -e unused=1"),
            with("count: 50", "count: ${m}"),
            with("count: 50", "count: \"${m}\""),
            said("droves: [ 1"),
            said(""),
        ],
    );
}

#[test]
fn errors_across_fields() {
    check(
        "fields",
        &[
            with("droves: 1", "droves: 2"),
            with("count: 50", "count: 0"),
            with("count: 50", "weight: 2"),
            with("count: 50", "count: 50, weight: 2"),
            with(", count: 50", ""),
            with("platform: ios,", "platform: ios, users: 1,"),
            with("count: 50", "count: 50_000_000"),
            with("    phones:", "    all:"),
            with("within: 1m", "within: 2s"),
            with("rate: 50/s", "rate: 0/s"),
            with(", within: 1m", ""),
            with("enrolled: 100%", "accepted: 100%"),
            with("enrolled: 100%", "enrolled: 100%, done: 50%"),
            with("enrolled: 100%, ", ""),
            with("    for: 20s\n", ""),
            with("jitter: 1s", "jitter: 6s"),
            with("every: 10s, jitter: 1s", "every: 1us"),
            with("SecurityInfo,", "SecurityInfo, repeat: 100_000_000,"),
            with("name: ask", "name: \"ask: {}\""),
            with("who: all, arrivals: { rate", "who: phons, arrivals: { rate"),
            with("{ phones: 20% }", "{ phones: 200 devices }"),
            with("{ phones: 20% }", "{ phones: 0.1% }"),
            with("{ phones: 20% }", "{ all: 20%, phones: 20% }"),
            with("{ phones: 20% }, request", "phones, channel: user, request"),
            with("  - name: ask\n", "  - name: enroll\n"),
            with("  - name: ask\n", "  - name: ask\n    wait: 10s\n"),
            with("SecurityInfo", "InstallProfile"),
            with("SecurityInfo", "InstallProfile, payload: nowhere.mobileconfig"),
            with("SecurityInfo", "InstallProfile, payload: s.yaml"),
            with("SecurityInfo", "SecurityInf"),
            with("SecurityInfo", "RemoveProfile"),
            with("answer: 410", "answer: 418"),
            with("during: ask", "during: asc"),
            with("push: { answer: 410 }", "push: { answer: 410 }\n    network: reset"),
            with("practice }", "practise }"),
            with("practice }", "practice, url: \"https://mdm.example.org\" }"),
            with("practice }", "practice, url: \"mdm.example.org/x\" }"),
            with("practice }", "practice, url: \"https://127.0.0.1:1\" }"),
            with("practice }", "practice, url: \"https://[::1]:1\", vars: { a: 1 } }\n# x"),
            with("practice }", "nanomdm, url: \"http://127.0.0.1:9000\" }"),
            with("practice }", "practice, tls: { ca: s.yaml } }"),
            with("{ rate: 50/s }", "{ spike: { peak: 1s, within: 10s } }"),
            with(
                "  - check_in: { who: all, arrivals: { each: { every: 10s, jitter: 1s } } }\n    for: 20s",
                "  - together: []",
            ),
            with("  - enroll: { who: all, arrivals: { rate: 50/s } }\n    until: { enrolled: 100%, within: 1m }\n", ""),
        ],
    );
}

#[test]
fn errors_of_behaviours() {
    let with = |behaviour: &str| changed(PCS, "ios, count: 5", &format!("ios, count: 5, behaviour: [ {behaviour} ]"));
    check(
        "behaviours",
        &[
            with("{ off: { share: 5% } }, { locked: { share: 20%, spell: 1h } }, { reboot: { every: 7d } }"),
            with("{ off: { share: 5%, spell: 1ms } }, { reboot: { every: 1m } }"),
            with("{ doze: {} }, { kiosk: {} }, { paused: { share: 10% } }, { metered: { share: 50% } }"),
            with("{ kiosk: { reboot_at: 25:00 } }, { doze: { after: 45 } }"),
        ],
    );
}

#[test]
fn errors_of_android() {
    let phones = PCS.replace("ios, count: 5", "android, count: 5");
    let with = |more: &str| changed(&phones, "android, count: 5", &format!("android, count: 5{more}"));
    let asks = |words: &str| {
        let nodes = "who: pcs, nodes: [ { get: ./DevDetail/SwV }, { replace: ./Device/A, format: int, data: 1 } ]";
        changed(&phones, nodes, words)
    };
    check(
        "android",
        &[
            with(", behaviour: [ { locked: { share: 10% } }, { silent: { share: 10% } } ]"),
            with(", managed_by: agent, mode: dedicated, token: one_time"),
            changed(
                PCS,
                "ios, count: 5",
                "ios, count: 5, mode: work_profile, behaviour: [ { silent: { share: 1% } } ]",
            ),
            asks("who: phones, policy: { a: 1 }, with: { b: 2 }"),
            asks("who: phones, configuration: { keepaliveTime: 60 }"),
            asks("who: phones, request: LOOK"),
            asks("who: phones, request: Nonsense"),
            asks("who: pcs, request: SecurityInf"),
            asks("who: phones, policy: { cameraDisabled: true }"),
            changed(
                &phones,
                "server: practice",
                "server: practice, android: { quota: { calls: 0 }, reports: 1ms, usage_logs: 1001 }",
            ),
            said(&(phones.clone() + "faults: [ { google: { answer: 404 }, about: STATUS_REPORTS, who: phones } ]\n")),
            said(&(phones.clone() + "faults: [ { push: lost, about: COMMAND } ]\n")),
        ],
    );
}

#[test]
fn an_unknown_request_to_android_is_told_of_once() {
    let phones = PCS.replace("ios, count: 5", "android, count: 5");
    let nodes = "who: pcs, nodes: [ { get: ./DevDetail/SwV }, { replace: ./Device/A, format: int, data: 1 } ]";
    let said = changed(&phones, nodes, "who: phones, request: LOOK");
    assert_eq!(said.matches("s.yaml:").count(), 1, "{said}");
    assert!(said.contains("did you mean `LOCK`?"), "{said}");
}

#[test]
fn a_fault_that_can_strike_nobody_is_warned_of() {
    let fleet = |phones: &str| PCS.replace("ios, count: 5", phones);
    let warned = |fleet: &str, fault: &str| {
        let said = said(&format!("{fleet}faults: [ {{ {fault} }} ]\n"));
        assert!(said.starts_with("loaded"), "{said}");
        said.contains("this fault strikes nobody")
    };
    let (apple, google) = (fleet("ios, count: 5"), fleet("android, count: 5"));
    let agents = fleet("android, count: 5, managed_by: agent");
    let woken = agents.replace("server: practice", "server: practice, vars: { firebase_project: fleet-1 }");
    for (fleet, fault, is_idle) in [
        (&apple, "push: lost", false),
        (&apple, "push: lost, who: phones", false),
        (&google, "push: lost", false),
        (&google, "push: lost, who: phones", true),
        (&agents, "push: { answer: 429 }, who: phones", true),
        (&woken, "push: { answer: 429 }, who: phones", false),
        (&agents, "google: lose", true),
        (&google, "google: lose", false),
        (&apple, "server: gone_is_done", true),
        (&google, "server: gone_is_done", false),
        (&google, "server: { refuse: Authorization }", false),
        (&google, "server: { refuse: Authorization }, who: phones", true),
        (&agents, "server: wrong_signature", true),
        (&agents, "server: hang_up", false),
    ] {
        assert_eq!(warned(fleet, fault), is_idle, "{fault}");
    }
}

#[test]
fn nothing_comes_back_of_a_message() {
    let phones = PCS.replace("ios, count: 5", "android, count: 5, managed_by: agent");
    let nodes = "who: pcs, nodes: [ { get: ./DevDetail/SwV }, { replace: ./Device/A, format: int, data: 1 } ]";
    let said = changed(&phones, nodes, "who: phones, message: runApp");
    assert!(said.contains("nothing comes back of a message"), "{said}");
}

#[test]
fn errors_of_windows() {
    let with = |line: &str, by: &str| changed(PCS, line, by);
    let peer = "windows-peer, url: \"https://127.0.0.1:1\" }";
    check(
        "windows",
        &[
            with("who: pcs, nodes", "who: all, nodes"),
            with(
                "ios, count: 5",
                "ios, count: 5, behaviour: [ { queued: { share: 10% } }, { cloned: { share: 1% } } ]",
            ),
            with("windows, count: 100", "windows, count: 100, behaviour: [ { queued: { share: 10%, for: 5m } } ]"),
            with(
                "nodes: [ { get: ./DevDetail/SwV }, { replace: ./Device/A, format: int, data: 1 } ]",
                "request: SecurityInfo",
            ),
            with("nodes: [ { get: ./DevDetail/SwV }, { replace: ./Device/A, format: int, data: 1 } ]", "deadline: 1m"),
            with("nodes: [", "request: SecurityInfo, nodes: ["),
            with("nodes: [", "payload: s.yaml, nodes: ["),
            with("nodes: [", "with: { a: 1 }, nodes: ["),
            with("nodes: [ {", "nodes: [ {}, {"),
            with("get: ./DevDetail/SwV", "get: ./DevDetail/SwV, exec: ./Device/B"),
            with("get: ./DevDetail/SwV", "get: /DevDetail/SwV"),
            with("get: ./DevDetail/SwV", "get: \"./Device/MS DM Server\""),
            with("get: ./DevDetail/SwV", "get: ./DevDetail/SwV, data: x"),
            with("get: ./DevDetail/SwV", "replace: ./Device/B"),
            with("format: int", "format: itn"),
            with("format: int, data: 1", "format: int, data: one"),
            with("data: 1 } ]", "data: 1 } ], atomic: true"),
            with("[ { get: ./DevDetail/SwV }, { replace: ./Device/A, format: int, data: 1 } ]", "[]"),
            with("{ add: { from: 1, to: 3 }, version: 2 }", "{ version: 2 }"),
            with("{ from: 1, to: 3 }", "{ from: 3, to: 1 }"),
            with("{ from: 1, to: 3 }", "{ from: 1, to: 90_000 }"),
            with("{ from: 1, to: 3 }", "{ from: 1, to: 3 }, nodes: { from: 0, to: 3 }"),
            with("who: pcs, nodes", "who: pcs, channel: user, nodes"),
            with("phases:", "faults: [ { server: { refuse: Maintenance } } ]\nphases:"),
            with("phases:", "faults: [ { server: { refuse: Nobody } } ]\nphases:"),
            with("practice }", "practice, windows: { auth: md4 } }"),
            with("practice }", "practice, windows: { poll: [] } }"),
            with("practice }", "practice, windows: { poll: [ { every: 30s }, { every: 1m } ] } }"),
            with("practice }", "practice, windows: { poll: [ { every: 1m, times: 0 } ] } }"),
            with("practice }", "practice, windows: { poll: [ { every: 1m }, { every: 8h } ] } }"),
            with("practice }", "nanomdm, url: \"https://127.0.0.1:1\", vars: { topic: t } }"),
            with("practice }", peer),
            changed(&PCS.replace("    phones: { platform: ios, count: 5 }\n", ""), "practice }", peer),
        ],
    );
}
