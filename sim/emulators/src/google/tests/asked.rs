//! What an EMM may ask for, and what it finds later.

use super::*;

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
