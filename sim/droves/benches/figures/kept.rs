//! What devices keep: twenty profiles and sixty apps that all have, and two profiles that each has for itself. Live heap, as a
//! slope between two sizes.

use crate::harness::{Ground, Row, begins};
use crate::lanes::{self, Giver, HOUR};
use bytes::Bytes;
use droves_facts::{Dur, LaneIx, Mono, PhaseIx};
use droves_wire::apple::request::{self, App, AppSource, Request};
use droves_wire::plist;

const PROFILES: u32 = 20;
const APPS: u32 = 60;
/// A record and its place in the wheel.
const FLOOR_BYTES: f64 = 112.0;

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    begins("devices with profiles and apps");
    let few = ground.scale.devices;
    let each = |what: What| (live(few * 4, what) - live(few, what)) / f64::from(few * 3);
    let (common, own) = (each(What::InCommon), each(What::AndOwn));
    vec![
        Row::new(
            "an idle device with 20 profiles and 60 apps that all have, to record and wheel",
            "B",
            (common, FLOOR_BYTES),
            320.0 / FLOOR_BYTES,
        ),
        Row::new("two profiles that no other device has, to 64 bytes", "B", (own - common, 64.0), 1.0),
    ]
}

/// What the server gives.
#[derive(Clone, Copy, PartialEq)]
enum What {
    InCommon,
    AndOwn,
}

/// Live heap of a shard whose devices have taken it all, and are at rest again.
fn live(lanes: u32, what: What) -> f64 {
    let commands: Vec<Bytes> = (0..PROFILES + APPS).map(command).collect();
    let given = move |LaneIx(lane): LaneIx, number: u32| match (commands.get(number as usize), what) {
        (Some(command), _) => Some(command.clone()),
        (None, What::AndOwn) if number < PROFILES + APPS + 2 => Some(profile(&format!("own.{lane}.{number}"))),
        _ => None,
    };
    // Twice, so that what installs for a while is settled.
    let phase = "  - check_in: { who: all, arrivals: { each: { every: 1h } } }\n    for: 2h\n";
    let mut shard = None;
    let heap = allocation_counter::measure(|| {
        let mut run = lanes::forecast(lanes::enrolled(lanes, phase), Giver::new(lanes, given));
        run.begin(PhaseIx(0));
        while run.clocks().now < Mono::ZERO + Dur(2 * HOUR.0) {
            let next = run.clocks().now + Dur::secs(10);
            run.run_until(next, u64::MAX);
            run.facts.clear();
        }
        run.end(PhaseIx(0));
        shard = Some(run.shard);
    });
    heap.bytes_current as f64
}

fn command(number: u32) -> Bytes {
    if number < PROFILES {
        return profile(&format!("common.{number}"));
    }
    let bundle = format!("com.example.app{number}");
    let app = App { source: AppSource::Bundle(&bundle), management_flags: 1, licensed: true };
    written(&bundle, &Request::InstallApplication(app))
}

/// The command that installs a profile with one payload.
fn profile(name: &str) -> Bytes {
    let mut payload = Vec::new();
    plist::write(&mut payload, |w| {
        w.dict(|w| {
            w.key("PayloadContent").array(|w| {
                w.dict(|w| {
                    w.key("PayloadIdentifier").string(&format!("com.example.{name}.web"));
                    w.key("PayloadType").string("com.apple.webClip.managed");
                    w.key("PayloadUUID").string(&format!("{name}-web"));
                    w.key("PayloadVersion").integer(1);
                });
            });
            w.key("PayloadDisplayName").string(name);
            w.key("PayloadIdentifier").string(&format!("com.example.{name}"));
            w.key("PayloadType").string("Configuration");
            w.key("PayloadUUID").string(name);
            w.key("PayloadVersion").integer(1);
        });
    });
    written(name, &Request::InstallProfile { payload: &payload })
}

fn written(uuid: &str, request: &Request<'_>) -> Bytes {
    let mut out = Vec::new();
    request::write(&mut out, uuid, request);
    out.into()
}
