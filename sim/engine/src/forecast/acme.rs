//! What an ACME server says in virtual time: it believes every attestation, and is ready at once.

use bytes::Bytes;
use droves_device::Request;
use droves_facts::Operation;
use http::{HeaderMap, HeaderValue};
use serde_json::json;

/// Answer and headers; none where somebody else is asked.
pub(super) fn says(request: &Request) -> Option<(Bytes, HeaderMap)> {
    let origin = request.url.match_indices('/').nth(2).map_or(&*request.url, |(at, _)| &request.url[..at]);
    let at = |path: &str| format!("{origin}/{path}");
    let challenge =
        |status: &str| json!({ "type": "device-attest-01", "status": status, "token": TOKEN, "url": at("challenge") });
    let order = |status: &str| {
        let certificate = (status == "valid").then(|| at("certificate"));
        json!({ "status": status, "authorizations": [at("authorization")], "finalize": at("finalize"),
            "certificate": certificate })
    };
    let (body, location) = match request.operation {
        Operation::AppleAcmeDirectory => {
            let body = json!({ "newNonce": at("nonce"), "newAccount": at("account"), "newOrder": at("new-order") });
            (body.to_string(), None)
        }
        Operation::AppleAcmeNonce => (String::new(), None),
        Operation::AppleAcmeAccount => (json!({ "status": "valid" }).to_string(), Some(at("account/1"))),
        Operation::AppleAcmeOrder => (order("pending").to_string(), Some(at("order"))),
        Operation::AppleAcmeAuthorization => {
            (json!({ "status": "pending", "challenges": [challenge("pending")] }).to_string(), None)
        }
        Operation::AppleAcmeChallenge => (challenge("valid").to_string(), None),
        Operation::AppleAcmePoll => (order("ready").to_string(), None),
        Operation::AppleAcmeFinalize => (order("valid").to_string(), None),
        // A chain of two, which nobody reads.
        Operation::AppleAcmeCertificate => ("-".repeat(CHAIN_BYTES), None),
        _ => return None,
    };
    let mut headers = HeaderMap::new();
    headers.insert("replay-nonce", HeaderValue::from_static(TOKEN));
    if let Some(location) = location.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert("location", location);
    }
    Some((body.into(), headers))
}

/// As long as step-ca's are.
const TOKEN: &str = "ocdE0Z3NQ7fSeDOg4D43Mhs8UkTN6HeR";
const CHAIN_BYTES: usize = 2_140;
