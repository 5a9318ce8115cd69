//! What the server says to Windows devices in virtual time. A session is a conversation that only somebody with a memory
//! can hold: it is the practice server's mind, which has one.

use super::mind::{self, Asked};
use crate::admin::Command;
use crate::pushing;
use bytes::Bytes;
use droves_device::{Body, Clocks, Made, Method, Request};
use droves_emulators::practice::{Brain, Proof};
use droves_emulators::push::Travel;
use droves_facts::{Dice, Dur, LaneIx, Limits, Operation, Purpose};
use droves_scenario::plan::Plan;
use droves_shard::Answer;
use droves_wire::windows::{csr, issue, syncml};
use http::{HeaderMap, HeaderValue, header};
use std::collections::HashMap;

/// The Windows devices' server.
pub(super) struct Pcs {
    /// Under which id a lane enrolled last.
    names: HashMap<LaneIx, String>,
    travel: Travel,
    dice: Dice,
    pushes: u64,
    limits: Limits,
}

impl Pcs {
    pub(super) fn new(plan: &Plan, limits: Limits) -> Self {
        Pcs { names: HashMap::new(), travel: pushing::travel(plan), dice: plan.dice(), pushes: 0, limits }
    }

    /// Answers a device.
    pub(super) fn answer(&mut self, mind: &mut Brain, clocks: Clocks, lane: LaneIx, request: &Request) -> Answer {
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
        let answer = mind::ask(mind, clocks, &Asked { proof: shown, ..Asked::new(method, &request.url, body) });
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
        Answer { status: answer.status, headers, body: answer.body, digested: 0 }
    }

    /// Queues commands; gives the lanes for which they wait then.
    pub(super) fn queue(&self, mind: &mut Brain, clocks: Clocks, lanes: &[LaneIx], command: &Command) -> Vec<LaneIx> {
        let ids: Vec<&str> = lanes.iter().filter_map(|lane| self.names.get(lane)).map(String::as_str).collect();
        let url = format!("/admin/v1/commands?ids={}", ids.join(","));
        let content_type = Some(syncml::CONTENT_TYPE);
        let asked = Asked { content_type, ..Asked::new("PUT", &url, command.bytes()) };
        let said = mind::said(&mind::ask(mind, clocks, &asked).body);
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
    pub(super) fn can_push(&self, mind: &Brain, lane: LaneIx) -> bool {
        let believes = self.names.get(&lane).and_then(|name| mind.believes(name));
        believes.is_some_and(|of| of.enrolled && of.channel.is_some())
    }
}

/// The request for a certificate over the one key that stands for all; signed once more by the certificate that it is to
/// take the place of.
pub(super) fn request(guid: &str, device_id: &str, spelling: csr::Spelling, signer: Option<&[u8]>) -> Made {
    let made = csr::write(guid, device_id, mind::key(), spelling).and_then(|bare| match signer {
        None => Ok(bare),
        Some(certificate) => issue::renewal(&bare, mind::key(), certificate),
    });
    // What can't be made is refused by the other side, in words.
    Made::CertificateRequest(Bytes::from(made.unwrap_or_default()))
}
