//! An ACME server (RFC 8555) in the sink's process, so that devices can have keys of their own certified: it believes every
//! attestation, reads no signature, and is ready at once.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use droves_facts::Dur;
use droves_net::listen::{Listener, read_body};
use droves_wire::apple::scep::server::csr;
use droves_wire::ca::Authority;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

/// What a device asks of it, one after the other, without the time to think.
pub(crate) const REQUESTS: u32 = 9;

const BODY_BYTES_MAX: usize = 1 << 20;

struct House {
    authority: Authority,
    at: String,
    /// Certificates, DER, by their number.
    issued: RefCell<Vec<Vec<u8>>>,
}

/// Serves for good. Needs a current-thread runtime.
pub(crate) async fn serve(listener: Listener, authority: Authority) {
    let at = format!("https://127.0.0.1:{}", listener.address().port());
    let house = Rc::new(House { authority, at, issued: RefCell::default() });
    let service = move |_peer: Arc<_>| {
        let house = Rc::clone(&house);
        service_fn(move |request| answer(Rc::clone(&house), request))
    };
    listener.serve(std::future::pending(), service).await;
}

async fn answer(house: Rc<House>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = read_body(request.into_body(), BODY_BYTES_MAX, Dur::secs(60)).await.unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(house.says(&path, &body))));
    let headers = answer.headers_mut();
    headers.insert("replay-nonce", "nonce".parse().unwrap());
    headers.insert("location", format!("{}/order", house.at).parse().unwrap());
    Ok(answer)
}

impl House {
    fn says(&self, path: &str, body: &[u8]) -> String {
        let at = |path: &str| format!("{}/{path}", self.at);
        let challenge = |status: &str| json!({ "type": "device-attest-01", "status": status, "token": "token", "url": at("challenge") });
        let order = |status: &str, certificate: Value| {
            json!({ "status": status, "authorizations": [at("authorization")], "finalize": at("finalize"),
                "certificate": certificate })
        };
        let said = match path {
            "/directory" => {
                json!({ "newNonce": at("nonce"), "newAccount": at("account"), "newOrder": at("new-order") })
            }
            "/account" => json!({ "status": "valid" }),
            "/new-order" => order("pending", Value::Null),
            "/authorization" => json!({ "status": "pending", "challenges": [challenge("pending")] }),
            "/challenge" => challenge("valid"),
            "/order" => order("ready", Value::Null),
            "/finalize" => order("valid", at(&format!("certificate/{}", self.issue(body))).into()),
            path => match path.strip_prefix("/certificate/") {
                Some(number) => return pem(&self.issued.borrow()[number.parse::<usize>().unwrap()]),
                None => return String::new(),
            },
        };
        said.to_string()
    }

    /// Issues what is asked for; gives the certificate's number.
    fn issue(&self, body: &[u8]) -> usize {
        let decoded = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
        let message: Value = serde_json::from_slice(body).unwrap();
        let payload: Value = serde_json::from_slice(&decoded(&message["payload"])).unwrap();
        let wanted = csr(&decoded(&payload["csr"])).unwrap();
        let mut issued = self.issued.borrow_mut();
        let number = issued.len();
        let certificate =
            self.authority.issue_identity(&wanted.common_name, &wanted.spki, number as u64 + 1, crate::fleet::now());
        issued.push(certificate.unwrap());
        number
    }
}

fn pem(certificate: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}
