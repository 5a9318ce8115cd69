//! What an EMM may ask for, and what it finds later.

use super::*;
use droves_facts::LaneIx;
use droves_wire::android::adp::{Answer as Said, Ask, Enroll, Mode, Recipe};

#[test]
fn a_policy_is_one_of_the_enterprise_that_names_it() {
    let mut stage = Stage::new(None);
    let enterprise = stage.enterprise.clone();
    let device = stage.enroll("a").unwrap();
    let mut check = |given: &str, expected: Option<&str>| {
        let named = expected.map_or(Value::Null, |id| json!(format!("{enterprise}/policies/{id}")));
        let token = stage.ask("POST", &format!("/v1/{enterprise}/enrollmentTokens"), &json!({ "policyName": given }));
        let asked = json!({ "deviceId": "d", "userId": "u", "policy": given, "managementMode": "FULLY_MANAGED" });
        let migration = stage.ask("POST", &format!("/v1/{enterprise}/migrationTokens"), &asked);
        let moved = stage.ask("PATCH", &format!("/v1/{device}?updateMask=policyName"), &json!({ "policyName": given }));
        assert_eq!(
            (&token["policyName"], &migration["policy"], &moved["policyName"]),
            (&named, &named, &named),
            "{given}"
        );
        let code = if expected.is_some() { Value::Null } else { json!(400) };
        assert_eq!([&token, &migration, &moved].map(|of| of["error"]["code"].clone()), [(); 3].map(|()| code.clone()));
    };
    check("p", Some("p"));
    check(&format!("{enterprise}/policies/q"), Some("q"));
    for other in ["enterprises/LC00000000/policies/p", "policies/p", "/p", "p/", "a/b", "p?x"] {
        check(other, None);
    }
    check(&format!("{enterprise}/policies/"), None);
    check(&format!("{enterprise}/devices/p"), None);
}

#[test]
fn a_command_that_is_long_done_is_still_known_and_weighs_little() {
    const COMMANDS: usize = 300;
    let mut stage = Stage::new(None);
    let device = stage.enroll("a").unwrap();
    stage.ask("PATCH", &format!("/v1/{}?updateMask=pubsubTopic", stage.enterprise), &json!({}));
    let mut done = Vec::new();
    let live = allocation_counter::measure(|| {
        for _ in 0..COMMANDS {
            let issued = stage.ask("POST", &format!("/v1/{device}:issueCommand"), &json!({ "type": "LOCK" }));
            let name = issued["name"].as_str().unwrap().to_owned();
            assert_eq!(stage.google.done(stage.now, &name, Outcome::Done(Object::new())), Ok(true));
            done.push(stage.ask("GET", &format!("/v1/{name}"), &json!({})));
        }
    });
    assert!(live.bytes_current < 1 << 20, "{} bytes", live.bytes_current);
    let known: Vec<_> = done.iter().map(|of| stage.call("GET", &target(of), &json!({})).status).collect();
    let forgotten = known.iter().take_while(|status| **status == 404).count();
    assert_eq!((forgotten, known[forgotten..].iter().all(|status| *status == 200)), (COMMANDS - 257, true));
    assert_eq!(stage.ask("GET", &target(&done[forgotten]), &json!({})), done[forgotten], "it is as it was");
    assert_eq!(stage.call("POST", &format!("{}:cancel", target(&done[forgotten])), &json!({})).status, 200);
    let (mut listed, mut page) = (Vec::new(), String::new());
    loop {
        let answer = stage.ask("GET", &format!("/v1/{device}/operations?pageToken={page}"), &json!({}));
        listed.extend(answer["operations"].as_array().unwrap().clone());
        let Some(next) = answer["nextPageToken"].as_str() else { break };
        next.clone_into(&mut page);
    }
    assert_eq!(listed, done[forgotten..]);
}

fn target(operation: &Value) -> String {
    format!("/v1/{}", operation["name"].as_str().unwrap())
}

#[test]
fn a_token_is_for_devices_that_are_managed_as_it_says() {
    use Mode::{CompanyWorkProfile, Dedicated, FullyManaged, PersonalWorkProfile};
    let mut stage = Stage::of(None, 100);
    let tokens = format!("/v1/{}/enrollmentTokens", stage.enterprise);
    let mut lane = 0;
    let mut check = |usage: &str, good: &[Mode]| {
        for mode in [FullyManaged, Dedicated, CompanyWorkProfile, PersonalWorkProfile] {
            lane += 1;
            let asked = json!({ "allowPersonalUsage": usage, "oneTimeOnly": true });
            let token: Box<str> = stage.ask("POST", &tokens, &asked)["value"].as_str().unwrap().into();
            let mut enroll = |mode| {
                let recipe = Recipe { mode, serial: format!("s{lane}").into(), ..Recipe::default() };
                let enroll = Ask::Enroll(Box::new(Enroll { token: token.clone(), recipe }));
                stage.google.ask(stage.now, LaneIx(lane), enroll)
            };
            match enroll(mode) {
                Ok(Said::Enrolled { .. }) => assert!(good.contains(&mode), "{usage} {mode:?}"),
                refused => {
                    assert_eq!((refused, good.contains(&mode)), (Err(409), false), "{usage} {mode:?}");
                    assert!(enroll(good[0]).is_ok(), "a token that was refused is not used up");
                }
            }
        }
    };
    check("ALLOW_PERSONAL_USAGE_UNSPECIFIED", &[FullyManaged, CompanyWorkProfile, PersonalWorkProfile]);
    check("PERSONAL_USAGE_ALLOWED", &[FullyManaged, CompanyWorkProfile, PersonalWorkProfile]);
    check("PERSONAL_USAGE_DISALLOWED", &[FullyManaged]);
    check("PERSONAL_USAGE_DISALLOWED_USERLESS", &[FullyManaged, Dedicated]);
}
