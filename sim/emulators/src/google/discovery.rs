//! The discovery document: what of the Android Management API is played here, in Google's own form (*API Discovery Service*,
//! RestDescription), with our own address in it. Clients that are built from it send their batches here too.

use super::management::{METHODS, Method, SCHEMAS};
use serde_json::{Map, Value, json};

/// The document; `url` is where this Google is, without a slash at its end.
pub(crate) fn document(url: &str) -> Value {
    let mut resources = Map::new();
    METHODS.iter().for_each(|method| place(&mut resources, method.id, method));
    let schemas: Map<_, _> = SCHEMAS.iter().map(|(name, schema)| ((*name).to_owned(), schema.describe(name))).collect();
    let root = format!("{url}/");
    json!({
        "kind": "discovery#restDescription", "discoveryVersion": "v1",
        "id": "androidmanagement:v1", "name": "androidmanagement", "version": "v1", "revision": "20261104",
        "title": "Android Management API", "description": "The part of the Android Management API that Droves plays.",
        "protocol": "rest", "rootUrl": root, "baseUrl": root, "basePath": "", "servicePath": "", "batchPath": "batch",
        "fullyEncodeReservedExpansion": true,
        "auth": { "oauth2": { "scopes": { SCOPE: { "description": "Manage Android devices and apps" } } } },
        "parameters": common_parameters(),
        "schemas": schemas,
        "resources": resources,
    })
}

/// The scope of the Android Management API.
pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/androidmanagement";

/// Puts a method under the resources that its id names: `enterprises.devices.get`.
fn place(resources: &mut Map<String, Value>, id: &str, method: &Method) {
    let Some((resource, rest)) = id.split_once('.') else { return };
    let resource = resources.entry(resource).or_insert_with(|| json!({}));
    let inner = if rest.contains('.') { "resources" } else { "methods" };
    let inner = resource.as_object_mut().map(|resource| resource.entry(inner).or_insert_with(|| json!({})));
    let Some(Value::Object(inner)) = inner else { return };
    if rest.contains('.') {
        place(inner, rest, method);
    } else {
        inner.insert(rest.to_owned(), described(method));
    }
}

fn described(method: &Method) -> Value {
    let mut parameters: Map<String, Value> =
        method.query.iter().map(|name| ((*name).to_owned(), parameter(name))).collect();
    let mut order = Vec::new();
    if let Some(name) = ["name", "parent"].into_iter().find(|name| method.path.contains(&format!("{{+{name}}}"))) {
        let pattern = format!("^{}$", method.shape.replace('*', "[^/]+"));
        let named = json!({ "type": "string", "location": "path", "required": true, "pattern": pattern });
        parameters.insert(name.to_owned(), named);
        order.push(name);
    }
    let mut described = json!({
        "id": format!("androidmanagement.{}", method.id),
        "httpMethod": method.verb,
        "path": method.path,
        "parameters": parameters,
        "parameterOrder": order,
        "response": { "$ref": method.response },
        "scopes": [SCOPE],
    });
    if let Some(request) = method.request {
        described["request"] = json!({ "$ref": request });
    }
    described
}

fn parameter(name: &str) -> Value {
    match name {
        "pageSize" => json!({ "type": "integer", "format": "int32", "location": "query" }),
        "agreementAccepted" | "returnPartialSuccess" => json!({ "type": "boolean", "location": "query" }),
        "updateMask" => json!({ "type": "string", "format": "google-fieldmask", "location": "query" }),
        "allowedDomains" | "wipeDataFlags" => json!({ "type": "string", "repeated": true, "location": "query" }),
        _ => json!({ "type": "string", "location": "query" }),
    }
}

/// Those that every method takes.
fn common_parameters() -> Value {
    let names = [
        "$.xgafv",
        "access_token",
        "alt",
        "callback",
        "fields",
        "key",
        "oauth_token",
        "quotaUser",
        "uploadType",
        "upload_protocol",
    ];
    let mut all: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), parameter(name))).collect();
    all.insert("prettyPrint".to_owned(), json!({ "type": "boolean", "location": "query" }));
    Value::Object(all)
}
