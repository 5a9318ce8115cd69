//! The declarations that the practice server has for everybody: one passcode setting, made active.

use serde_json::{Value, json};

const ACTIVATION: &str = "com.github.droves.activation";
const PASSCODE: &str = "com.github.droves.passcode";
/// They never change.
const TOKEN: &str = "1";

/// What a channel is answered at an endpoint: JSON, nothing for its report; `None` is "there is no such".
pub fn answer(endpoint: &str) -> Option<Vec<u8>> {
    let entry = |identifier: &str| json!({ "Identifier": identifier, "ServerToken": TOKEN });
    let declaration = |kind: &str, identifier: &str, payload: Value| json!({ "Type": kind, "Identifier": identifier, "ServerToken": TOKEN, "Payload": payload });
    let answer = match endpoint {
        "status" => return Some(Vec::new()),
        "tokens" => json!({ "SyncTokens": { "DeclarationsToken": TOKEN, "Timestamp": "2026-01-01T00:00:00Z" } }),
        "declaration-items" => json!({
            "Declarations": {
                "Activations": [entry(ACTIVATION)], "Assets": [],
                "Configurations": [entry(PASSCODE)], "Management": [],
            },
            "DeclarationsToken": TOKEN,
        }),
        _ => match endpoint.strip_prefix("declaration/")?.split_once('/')? {
            ("activation", ACTIVATION) => {
                let payload = json!({ "StandardConfigurations": [PASSCODE] });
                declaration("com.apple.activation.simple", ACTIVATION, payload)
            }
            ("configuration", PASSCODE) => {
                let payload = json!({ "RequirePasscode": true, "MinimumLength": 6 });
                declaration("com.apple.configuration.passcode.settings", PASSCODE, payload)
            }
            _ => return None,
        },
    };
    Some(answer.to_string().into_bytes())
}
