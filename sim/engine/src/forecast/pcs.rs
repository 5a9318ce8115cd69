//! What the server says to Windows devices in virtual time. A session is a conversation that only somebody with a memory
//! can hold: it is the practice server's mind, which has one. Certificates are really issued, all over one key.

use crate::admin::Command;
use crate::pushing;
use bytes::Bytes;
use droves_device::{Body, Clocks, Made, Method, Request};
use droves_emulators::practice::windows::Settings;
use droves_emulators::practice::{Brain, Faults, Incoming, Proof, Told};
use droves_emulators::push::Travel;
use droves_facts::{Dice, Dur, LaneIx, Limits, Operation, Purpose, Wall};
use droves_scenario::plan::{Plan, WindowsAuth, WindowsServer};
use droves_shard::Answer;
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use droves_wire::windows::{csr, issue, syncml};
use http::{HeaderMap, HeaderValue, Uri, header};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

const ADMIN: &str = "forecast";
/// Where a practice server would have its port with TLS.
const PRACTICE_URL: &str = "https://127.0.0.1";
/// By which they would have their channels.
const PFN: &str = "Droves.Forecast_8wekyb3d8bbwe";

/// The Windows devices' server.
pub(super) struct Pcs {
    brain: Brain,
    /// Under which id a lane enrolled last.
    names: HashMap<LaneIx, String>,
    travel: Travel,
    dice: Dice,
    pushes: u64,
    limits: Limits,
}

impl Pcs {
    /// A server that asks of them what the plan says. Signatures over messages are not made in virtual time: who
    /// would sign shows a certificate.
    pub(super) fn new(plan: &Plan, limits: Limits) -> Self {
        let auth = match plan.target.windows.auth {
            WindowsAuth::Signed => WindowsAuth::Certificate,
            auth => auth,
        };
        let asked = WindowsServer { auth, ..plan.target.windows.clone() };
        let settings = Settings { pfn: Some(PFN.to_owned()), ..Settings::default() }.with(&asked);
        let url = plan.target.url.clone().unwrap_or_else(|| PRACTICE_URL.to_owned());
        let told = Told { url: url.clone(), windows_url: url, topic: String::new() };
        // What goes wrong on order is the forecast's, for everybody.
        let faults = Faults::new(&[], plan.dice());
        let brain = Brain::new(authority(), told, ADMIN.to_owned(), limits.clone(), faults, settings);
        Pcs { brain, names: HashMap::new(), travel: pushing::travel(plan), dice: plan.dice(), pushes: 0, limits }
    }

    /// Answers a device.
    pub(super) fn answer(&mut self, clocks: Clocks, lane: LaneIx, request: &Request) -> Answer {
        let body = match &request.body {
            Body::Empty => &[][..],
            Body::Bytes(bytes) => bytes,
        };
        if request.operation == Operation::WindowsIssue
            && let Ok(asked) = issue::Request::read(body, &self.limits)
            && let Some(id) = asked.context("DeviceID")
        {
            self.names.insert(lane, id.to_owned());
        }
        let method = if request.method == Method::Get { "GET" } else { "POST" };
        let shown = request.identity.as_ref().map_or(Proof::Nothing, |identity| Proof::Vouched(&identity.certificate));
        self.ask(clocks, method, &request.url, shown, None, body)
    }

    /// Queues commands; gives the lanes for which they wait then.
    pub(super) fn queue(&mut self, clocks: Clocks, lanes: &[LaneIx], command: &Command) -> Vec<LaneIx> {
        let ids: Vec<&str> = lanes.iter().filter_map(|lane| self.names.get(lane)).map(String::as_str).collect();
        let url = format!("/admin/v1/commands?ids={}", ids.join(","));
        let kind = Some(syncml::CONTENT_TYPE);
        let answer = self.ask(clocks, "PUT", &url, Proof::Nothing, kind, command.bytes());
        let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let is_taken = |lane: &&LaneIx| self.names.get(lane).is_some_and(|name| said["failed"].get(name).is_none());
        lanes.iter().filter(is_taken).copied().collect()
    }

    /// Whether a lane has ever enrolled here.
    pub(super) fn knows(&self, lane: LaneIx) -> bool {
        self.names.contains_key(&lane)
    }

    /// How much later than others a push comes, by what its device does with it.
    pub(super) fn late(&mut self, lane: LaneIx) -> Dur {
        self.pushes += 1;
        self.travel.draw(Some(lane), &mut self.dice.draw(0, Purpose::PushDelay, self.pushes))
    }

    /// Whether the server has a channel to push a lane by.
    pub(super) fn can_push(&self, lane: LaneIx) -> bool {
        let believes = self.names.get(&lane).and_then(|name| self.brain.believes(name));
        believes.is_some_and(|of| of.enrolled && of.channel.is_some())
    }

    fn ask(
        &mut self,
        clocks: Clocks,
        method: &str,
        url: &str,
        proof: Proof<'_>,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let uri: Uri = url.parse().unwrap_or_default();
        let authorization = format!("Bearer {ADMIN}");
        let incoming = Incoming {
            method,
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            authorization: Some(authorization.as_bytes()),
            content_type: content_type.map(str::as_bytes),
            range: None,
            proof,
            body,
        };
        let outgoing = self.brain.answer(clocks.now, clocks.wall, &incoming, &mut Vec::new());
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(outgoing.content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(outgoing.body.len()));
        Answer { status: outgoing.status, headers, body: outgoing.body }
    }
}

/// The request for a certificate over the one key that stands for all; signed once more by the certificate that it is to
/// take the place of.
pub(super) fn request(guid: &str, device_id: &str, spelling: csr::Spelling, signer: Option<&[u8]>) -> Made {
    let made = csr::write(guid, device_id, key(), spelling).and_then(|bare| match signer {
        None => Ok(bare),
        Some(certificate) => issue::renewal(&bare, key(), certificate),
    });
    // What can't be made is refused by the other side, in words.
    Made::CertificateRequest(Bytes::from(made.unwrap_or_default()))
}

#[expect(clippy::expect_used, reason = "nothing comes from outside")]
fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate_rsa(2_048).expect("an RSA key of a size that there is"))
}

#[expect(clippy::expect_used, reason = "nothing comes from outside")]
fn authority() -> Arc<Authority> {
    static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
    let make = || Arc::new(Authority::create("Forecast", Wall::VIRTUAL_START).expect("an authority with such a key"));
    Arc::clone(AUTHORITY.get_or_init(make))
}
