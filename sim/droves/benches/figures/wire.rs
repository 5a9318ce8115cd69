//! Messages: a large answer built, a command read, a signature made.

use crate::fleet;
use crate::harness::{Ground, Row, begins, in_turns, per_turn_ns};
use droves_facts::{CommandStatus, Limits};
use droves_wire::apple::body::Body;
use droves_wire::apple::identity::{EnrollmentId, Who};
use droves_wire::apple::request::{self, Request};
use droves_wire::apple::result::{self, Outcome};
use droves_wire::apple::{command, signature};
use droves_wire::digest::Digest;
use droves_wire::keys::Key;
use droves_wire::plist::Node;
use quick_xml::events::Event;
use std::hint::black_box;

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    begins("messages");
    let (turns, rounds) = (ground.scale.turns / 100, ground.scale.rounds);
    let mut out = Vec::new();
    large_answer(&mut out);
    let (answer, command) = (out.clone(), offered());
    let mut copy = Vec::new();
    let built = in_turns(
        rounds,
        || per_turn_ns(turns, |_| large_answer(black_box(&mut out))),
        || {
            per_turn_ns(turns, |_| {
                copy.clear();
                black_box(&mut copy).extend_from_slice(black_box(&answer));
            })
        },
    );
    let decoded = in_turns(
        rounds,
        || per_turn_ns(turns, |_| read(black_box(&command))),
        || per_turn_ns(turns, |_| scan(black_box(&command))),
    );
    vec![
        Row::new("an answer of 12 KB built, to a copy of it", "ns", built, 12.5),
        Row::new("a command of 600 bytes read, to its XML events", "ns", decoded, 4.5),
        signing(ground),
    ]
}

/// What a device says of itself when it is asked for everything.
pub(crate) fn large_answer(out: &mut Vec<u8>) {
    out.clear();
    let names = KEYS.get_or_init(|| (0..150).map(|n| format!("SomeQueryOfTheServer{n}")).collect());
    let answers: Vec<(&str, Node<'_>)> =
        names.iter().map(|name| (name.as_str(), Node::String("what the device says"))).collect();
    let who = Who { id: EnrollmentId::Udid("00008120-000FE6CB74C6560A"), user: None };
    let outcome = Outcome::bare("4F1C7C0E-9F0B-4C4E-8E5C-7F6F1B0C2D11", CommandStatus::Acknowledged);
    result::write(out, &who, &outcome, &Body::QueryResponses(&answers));
}

static KEYS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();

/// A command of less than a kilobyte.
pub(crate) fn offered() -> Vec<u8> {
    let mut out = Vec::new();
    let queries = ["UDID", "DeviceName", "OSVersion", "BuildVersion", "ModelName", "SerialNumber", "IsSupervised"];
    let request = Request::DeviceInformation { queries: &queries, attestation_nonce: None };
    request::write(&mut out, "4F1C7C0E-9F0B-4C4E-8E5C-7F6F1B0C2D11", &request);
    out
}

pub(crate) fn read(body: &[u8]) {
    let offered = command::parse(body, &Limits::default()).unwrap().unwrap();
    black_box(offered.command(&Limits::default()).unwrap());
}

fn scan(body: &[u8]) {
    let mut reader = quick_xml::Reader::from_reader(body);
    let mut events = 0;
    while !matches!(reader.read_event().unwrap(), Event::Eof) {
        events += 1;
    }
    black_box(events);
}

fn signing(ground: &Ground) -> Row {
    let key = Key::generate_rsa(2_048).unwrap();
    let identity = ground.camp.authority.issue_identity("bench", key.spki(), 1, fleet::now()).unwrap();
    let (body, turns) = (vec![b'x'; 1_200], ground.scale.samples);
    let figures = in_turns(
        ground.scale.rounds,
        || per_turn_ns(turns, |_| drop(black_box(signature::sign(&body, &key, &identity, None)))) / 1e3,
        || per_turn_ns(turns, |_| drop(black_box(key.sign(Digest::Sha256, &body)))) / 1e3,
    );
    Row::new("Mdm-Signature, to its RSA-2048 signature", "us", figures, 1.15)
}
