//! The practice server's mind, which stands for any server to those whose sessions are conversations: PCs, an EMM at Google,
//! agents. Certificates are really issued, all over one key.

use bytes::Bytes;
use droves_device::Clocks;
use droves_emulators::practice::windows::Settings;
use droves_emulators::practice::{Brain, Faults, Incoming, Outgoing, Proof, Told, Wake};
use droves_facts::{Limits, Wall};
use droves_scenario::plan::{Plan, WindowsAuth, WindowsServer};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use http::Uri;
use std::sync::{Arc, OnceLock};

/// The administrator's token there.
pub const ADMIN: &str = "forecast";
/// By which PCs would have their channels.
const PFN: &str = "Droves.Forecast_8wekyb3d8bbwe";

/// What it is asked.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// A URL, or a path on the server.
    pub url: &'a str,
    /// What is shown of who asks.
    pub proof: Proof<'a>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Authorization`, if it is not the administrator's.
    pub authorization: Option<&'a str>,
    /// `Range`.
    pub range: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Asked<'a> {
    /// The administrator's question, without anything beside.
    pub fn new(method: &'a str, url: &'a str, body: &'a [u8]) -> Self {
        Asked { method, url, proof: Proof::Nothing, content_type: None, authorization: None, range: None, body }
    }
}

/// The mind of a server that asks of PCs what the plan says. Signatures over messages are not made in virtual time: who would
/// sign shows a certificate.
pub(super) fn mind(plan: &Plan, limits: Limits) -> Brain {
    let auth = match plan.target.windows.auth {
        WindowsAuth::Signed => WindowsAuth::Certificate,
        auth => auth,
    };
    let asked = WindowsServer { auth, ..plan.target.windows.clone() };
    let settings = Settings { pfn: Some(PFN.to_owned()), ..Settings::default() }.with(&asked);
    let url = super::url_of(plan).to_owned();
    let windows_url = plan.target.url.clone().unwrap_or_else(|| url.replace("http://", "https://"));
    let told = Told { url, windows_url, topic: String::new() };
    // What goes wrong on order is the forecast's, for everybody.
    let faults = Faults::new(&[], plan.dice());
    Brain::new(authority(), told, ADMIN.to_owned(), limits, faults, settings)
}

/// Asks it.
pub(super) fn ask(mind: &mut Brain, clocks: Clocks, asked: &Asked<'_>) -> Outgoing {
    ask_to_push(mind, clocks, asked).0
}

/// Asks it, and says whom it pushes for that.
pub fn ask_to_push(mind: &mut Brain, clocks: Clocks, asked: &Asked<'_>) -> (Outgoing, Vec<Wake>) {
    let uri: Uri = asked.url.parse().unwrap_or_default();
    let admin = format!("Bearer {ADMIN}");
    let incoming = Incoming {
        method: asked.method,
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        authorization: Some(asked.authorization.unwrap_or(&admin).as_bytes()),
        content_type: asked.content_type.map(str::as_bytes),
        range: asked.range.map(str::as_bytes),
        proof: asked.proof,
        body: asked.body,
    };
    let mut wakes = Vec::new();
    let outgoing = mind.answer(clocks.now, clocks.wall, &incoming, &mut wakes);
    (outgoing, wakes)
}

/// What an answer to a call for several devices says of those that were refused, by their ids.
pub(super) fn said(answer: &Bytes) -> serde_json::Value {
    serde_json::from_slice(answer).unwrap_or_default()
}

/// The one key that stands for all.
#[expect(clippy::expect_used, reason = "nothing comes from outside")]
pub(super) fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate_rsa(2_048).expect("an RSA key of a size that there is"))
}

#[expect(clippy::expect_used, reason = "nothing comes from outside")]
fn authority() -> Arc<Authority> {
    static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
    let make = || Arc::new(Authority::create("Forecast", Wall::VIRTUAL_START).expect("an authority with such a key"));
    Arc::clone(AUTHORITY.get_or_init(make))
}
