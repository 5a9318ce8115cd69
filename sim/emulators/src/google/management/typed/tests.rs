#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::method::METHODS;
use super::*;
use droves_facts::{Dice, Philox, Purpose};
use proptest::prelude::*;

/// Messages in messages, below which a drawn body has only what is no message.
const DEPTH_MAX: usize = 6;

fn patch() -> Option<&'static Method> {
    METHODS.iter().find(|method| method.id == "enterprises.policies.patch")
}

fn read_value(method: Option<&Method>, body: &Value) -> Result<Value, Status> {
    read(method, body.to_string().as_bytes()).map(Value::Object)
}

fn check(body: &Value, expected: &Value) {
    assert_eq!(read_value(patch(), body).unwrap(), *expected, "{body}");
}

fn check_refused(body: &Value, message: &str) {
    assert_eq!(read_value(patch(), body).unwrap_err().message, message, "{body}");
}

#[test]
fn a_value_has_one_form_whatever_it_came_in() {
    for long in [json!(60_000), json!("60000"), json!(60_000.0), json!(6e4)] {
        check(&json!({ "maximum_time_to_lock": long }), &json!({ "maximumTimeToLock": "60000" }));
    }
    for yes in [json!(true), json!("true"), json!("True"), json!("1")] {
        check(&json!({ "cameraDisabled": yes }), &json!({ "cameraDisabled": true }));
    }
    for grant in [json!("GRANT"), json!("grant"), json!(2), json!("2")] {
        check(&json!({ "defaultPermissionPolicy": grant }), &json!({ "defaultPermissionPolicy": "GRANT" }));
    }
    let nothing = json!({
        "cameraDisabled": false, "maximumTimeToLock": "0", "minimumApiLevel": 0, "defaultPermissionPolicy": 0,
        "applications": [], "frpAdminEmails": null, "name": "",
    });
    check(&nothing, &json!({}));
    // What is in a message is there, and what is in a Struct is whatever it is.
    let kept = json!({ "passwordRequirements": {}, "openNetworkConfiguration": { "a_b": [null, false, ""] } });
    check(&kept, &kept);
}

#[test]
fn what_no_field_is_for_is_refused_in_googles_words() {
    check_refused(
        &json!({ "x": 1 }),
        "Invalid JSON payload received. Unknown name \"x\" at 'policy': Cannot find field.",
    );
    check_refused(
        &json!({ "applications": [{}, { "autoUpdateMode": "x" }] }),
        "Invalid value at 'policy.applications[1].auto_update_mode' (TYPE_ENUM), \"x\"",
    );
    check_refused(&json!({ "minimumApiLevel": 1.5 }), "Invalid value at 'policy.minimum_api_level' (TYPE_INT32), 1.5");
    check_refused(&json!({ "name": true }), "Invalid value at 'policy.name' (TYPE_STRING), true");
    check_refused(&json!([]), "Invalid JSON payload received. Unknown name \"\": Root element must be a message.");
    let many: Map<_, _> = (0..1_000).map(|n| (format!("x{n}"), Value::Null)).collect();
    let refused = read_value(patch(), &many.into()).unwrap_err();
    assert_eq!(refused.message.lines().count(), VIOLATIONS_MAX);
}

#[test]
fn a_mask_names_fields() {
    let check = |path: &str, expected: bool| {
        let mask = FieldMask::read(path).unwrap().unwrap();
        assert_eq!(check_mask("Policy", &mask, "updateMask").is_ok(), expected, "{path}");
    };
    for good in ["*", "name,applications", "system_update.start_minutes", "openNetworkConfiguration.a.b"] {
        check(good, true);
    }
    for bad in ["x", "name,x", "name.x", "applications.packageName", "systemUpdate.x", "systemUpdate.*"] {
        check(bad, false);
    }
}

#[test]
fn the_table_has_every_type_that_it_names() {
    let described = |(name, schema): (&&str, &Schema)| schema.describe(name).to_string();
    let all: String = SCHEMAS.iter().map(described).collect();
    let named = all.split("\"$ref\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let missing: Vec<_> = named.filter(|name| !SCHEMAS.contains_key(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let methods = METHODS.iter().flat_map(|method| method.request.into_iter().chain([method.response]));
    assert!(methods.into_iter().all(|name| SCHEMAS.contains_key(name)));
    assert_eq!(SCHEMAS.len(), 188);
}

/// A body that says something in every field that it has, as Google would say it.
fn drawn(name: &str, rng: &mut Philox, depth: usize) -> Value {
    let described = SCHEMAS[name].describe(name);
    let fields = described["properties"].as_object().unwrap().iter();
    let told = fields.filter(|(_, of)| of["readOnly"] != true && rng.below(3) == 0);
    let told: Vec<_> = told.map(|(field, of)| (field.clone(), of.clone())).collect();
    let told = told.into_iter().filter_map(|(field, of)| Some((field, drawn_of(&of, rng, depth)?)));
    told.collect::<Map<_, _>>().into()
}

fn drawn_of(of: &Value, rng: &mut Philox, depth: usize) -> Option<Value> {
    let number = 1 + rng.below(1_000);
    if let Some(name) = of["$ref"].as_str() {
        return (depth < DEPTH_MAX).then(|| drawn(name, rng, depth + 1));
    }
    Some(match (of["type"].as_str()?, of["format"].as_str().unwrap_or_default()) {
        ("array", _) => (0..1 + rng.below(2)).map(|_| drawn_of(&of["items"], rng, depth)).collect::<Option<_>>()?,
        ("object", _) => json!({ "a_key": drawn_of(&of["additionalProperties"], rng, depth)? }),
        ("boolean", _) => true.into(),
        ("integer" | "number", _) | ("any", _) => number.into(),
        (_, "int64") => number.to_string().into(),
        (_, "google-duration") => format!("{number}.500s").into(),
        (_, "google-datetime") => "2026-01-05T08:00:00.123456Z".into(),
        (_, "google-fieldmask") => "packageName,installType".into(),
        (_, "byte") => "+/8=".into(),
        _ => match of["enum"].as_array() {
            Some(names) => names[1 + usize::try_from(number).unwrap() % (names.len() - 1)].clone(),
            None => format!("text {number}").into(),
        },
    })
}

#[test]
fn the_corpus_is_read_and_comes_out_the_same() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/google_body");
    let mut taken = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        target(&bytes);
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let method = METHODS.iter().find(|method| method.id.as_bytes() == &bytes[..end]);
        let read = read(method, &bytes[end..]);
        assert!(read.is_ok(), "{read:?}");
        taken += 1;
    }
    assert!(taken >= 5);
}

proptest! {
    #[test]
    fn what_google_would_say_stays_as_it_is(seed in any::<u64>()) {
        let mut rng = Dice::new(seed).draw(0, Purpose::Nonce, 0);
        for method in METHODS.iter() {
            let Some(name) = method.request else { continue };
            let said = drawn(name, &mut rng, 0);
            prop_assert_eq!(read_value(Some(method), &said), Ok(said));
        }
    }

    #[test]
    fn what_was_read_is_read_as_the_same(text in "[\\PC]{0,6}", number in any::<f64>(), whole in any::<i64>()) {
        for field in SCHEMAS["Policy"].describe("")["properties"].as_object().unwrap().keys() {
            for value in [json!(text), json!(number), json!(whole), json!([whole, text]), json!({ "a": text })] {
                if let Ok(read) = read_value(patch(), &json!({ field: value })) {
                    prop_assert_eq!(read_value(patch(), &read), Ok(read));
                }
            }
        }
    }

    #[test]
    fn no_bytes_do_harm(body in prop::collection::vec(any::<u8>(), 0..60)) {
        for method in METHODS.iter() {
            drop(read(Some(method), &body));
        }
    }
}
