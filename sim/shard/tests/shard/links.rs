//! Links, and what sister lanes tell each other of them.

use crate::toy::{character, plan};
use bytes::Bytes;
use droves_device::{
    Action, Body, Clocks, Ctx, Event, Failure, Framing, Link, Machine, Made, Method, Order, Peer, Reasons, Request,
    Sink, Slept, What, Why, Work,
};
use droves_facts::{Blame, DeviceState, Dur, Fact, LaneIx, Limits, Mono, Operation, Outcome, PhaseIx, What as Said};
use droves_shard::forecast::{self, Forecast, Model};
use droves_shard::{Answer, Cells, Config, Shard};
use droves_wire::apple::push::Tokens;
use std::sync::Arc;

/// Channel 0 is the main lane, channel 1 holds a link or, if the shared part is odd, a long poll. Everything that a lane
/// hears is complained of, in words.
#[derive(Debug, Default)]
struct Holder {
    shared: u8,
    holds: bool,
}

impl Machine for Holder {
    type Record = bool;
    type Shared = u8;

    fn open(slept: Slept<Self>) -> Self {
        Holder { shared: *slept.shared, holds: slept.record }
    }
    fn fold(self) -> Slept<Self> {
        self.snapshot()
    }
    fn snapshot(&self) -> Slept<Self> {
        Slept { record: self.holds, shared: Arc::new(self.shared), own: None }
    }
    fn record(&self) -> bool {
        self.holds
    }
    fn sister(&self) -> Arc<u8> {
        Arc::new(self.shared)
    }
    fn share(&mut self, shared: &Arc<u8>) {
        self.shared = **shared;
    }

    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        let heard = match &event {
            Event::Wake(wake) => {
                format!("{} {:?}", wake.reasons, wake.notes.iter().map(|n| n.order).collect::<Vec<_>>())
            }
            Event::Frame(frame) if **frame == *WELCOME => "frame welcome".to_owned(),
            Event::Frame(frame) => format!("frame {}", String::from_utf8_lossy(frame)),
            Event::Response(response) => format!("status {}", response.status),
            Event::Failed(failure) => format!("failed {}", failure.kind),
            Event::Saved | Event::Made(_) => "nothing".to_owned(),
        };
        ctx.complain(Blame::Scenario, "heard", format!("{} {heard}", ctx.channel));
        if ctx.channel == 0 {
            if matches!(&event, Event::Wake(wake) if wake.notes.iter().any(|note| note.order == Order::Unenroll)) {
                return Action { what: What::End(Why::Removed), until: Mono::NEVER, hear: Reasons::NONE };
            }
            if let Event::Wake(wake) = &event
                && let Some(note) = wake.notes.first().filter(|_| wake.reasons.has(Reasons::ORDER))
            {
                let order = if note.order == Order::Enroll { Order::Enroll } else { Order::Shared };
                // It has something else to share after each order but the first.
                self.shared += if order == Order::Shared { 1 } else { 2 * self.shared.min(1) };
                ctx.order(1, order);
                for operation in [Operation::Enroll, Operation::CheckIn] {
                    ctx.ended(operation, Outcome::Succeeded);
                }
            }
            if matches!(&event, Event::Wake(wake) if wake.notes.iter().any(|note| note.order == Order::Pushed(9))) {
                // It is busy.
                return Action { what: What::Wait, until: ctx.clocks.now + Dur::secs(20), hear: Reasons::TIME };
            }
            return Action { what: sleep(), until: Mono::NEVER, hear: Reasons::PUSH | Reasons::ORDER };
        }
        let dozes = matches!(&event, Event::Frame(frame) if frame.starts_with(b"doze"));
        let what = match event {
            Event::Wake(_) if self.shared % 2 == 1 => What::Request(Box::new(poll())),
            Event::Wake(_) if !self.holds => {
                self.holds = true;
                What::Open(Box::new(link()))
            }
            Event::Wake(_) => What::Send(format!("shared {}", self.shared).into()),
            Event::Frame(frame) if frame.starts_with(b"push") => {
                let number = std::str::from_utf8(&frame[4..]).ok().and_then(|number| number.trim().parse().ok());
                ctx.order(0, Order::Pushed(number.unwrap_or(7)));
                What::Wait
            }
            Event::Failed(_) => {
                self.holds = false;
                sleep()
            }
            _ => What::Wait,
        };
        // The second poll is held for no longer than the device is there.
        let (wait, time) = if self.shared == 3 { (20, Reasons::TIME) } else { (1_000, Reasons::NONE) };
        let hear = if dozes { Reasons::TIME } else { Reasons::ORDER | Reasons::LINK | time };
        let wait = if dozes { 20 } else { wait };
        Action { what, until: ctx.clocks.now + Dur::secs(wait), hear }
    }

    fn state(_: &bool) -> DeviceState {
        DeviceState::Enrolled
    }
    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        ctx.lane.to_string()
    }
    fn resume(_: &bool, _: &Ctx<'_>) -> Action {
        Action { what: sleep(), until: Mono::NEVER, hear: Reasons::ORDER }
    }
    fn record_to_bytes(record: &bool) -> Vec<u8> {
        vec![u8::from(*record)]
    }
    fn record_from_bytes(bytes: &[u8]) -> Result<bool, String> {
        Ok(bytes == [1])
    }
    fn shared_to_bytes(shared: &u8) -> Vec<u8> {
        vec![*shared]
    }
    fn shared_from_bytes(bytes: &[u8]) -> Result<u8, String> {
        bytes.first().copied().ok_or_else(|| "empty".into())
    }
}

fn sleep() -> What {
    What::Sleep { lag: Dur::ZERO }
}

fn link() -> Link {
    let (url, hello) = ("mqtt://127.0.0.1:31000".into(), Bytes::from_static(b"hello"));
    Link { operation: Operation::AndroidLink, url, framing: Framing::Mqtt, hello, identity: None }
}

fn poll() -> Request {
    Request {
        operation: Operation::AndroidPoll,
        peer: Peer::Server,
        method: Method::Get,
        url: "http://127.0.0.1/poll".into(),
        headers: &[],
        varying: Vec::new(),
        body: Body::Empty,
        identity: None,
        sign: None,
        sink: Sink::Keep(1_000),
        wait_max: Dur::secs(300),
        idle_end: Some(500),
    }
}

/// What a broker says to whom it lets in.
const WELCOME: &[u8] = &[0x20, 2, 0, 0];

/// A broker that says what it was told, and a server that ends a poll.
struct Peers {
    refuses: bool,
    says: &'static [u8],
    /// After how long, and with what.
    poll_ends: (Dur, u16),
}

impl Default for Peers {
    fn default() -> Self {
        Peers { refuses: false, says: WELCOME, poll_ends: (Dur::secs(60), 500) }
    }
}

impl forecast::World for Peers {
    fn answer(&mut self, _: Clocks, _: LaneIx, _: &Request) -> (Dur, Result<Answer, Failure>) {
        let (after, status) = self.poll_ends;
        (after, Ok(Answer { status, headers: http::HeaderMap::new(), body: Bytes::new(), digested: 0 }))
    }
    fn make(&mut self, _: Clocks, _: LaneIx, _: Work) -> (Dur, Result<Made, Failure>) {
        unreachable!("nothing is made")
    }
    fn line(&mut self, _: Clocks, _: LaneIx) -> forecast::Line {
        forecast::Line { refused: self.refuses, ..forecast::Line::default() }
    }
    fn link(&mut self, _: Clocks, _: LaneIx, _: &Link) -> Result<Bytes, Failure> {
        Ok(Bytes::from_static(self.says))
    }
    fn sent(&mut self, _: Clocks, _: LaneIx, bytes: &Bytes) -> Vec<Bytes> {
        vec![Bytes::clone(bytes), "twice".into()]
    }
}

/// A device whose two lanes have enrolled, and which then checks in so many times, half a minute apart.
fn run(check_ins: u32, peers: Peers) -> Forecast<Holder, Peers> {
    let phase = |action: &str| format!("{action}: {{ who: all, arrivals: at_once }}");
    let until = "\n    until: { done: 100%, within: 10m }\n  - ";
    let phases = [
        "enroll",
        "check_in",
        "name: again\n    check_in",
        "name: third\n    check_in",
        "name: anew\n    enroll",
        "unenroll",
    ]
    .map(phase)
    .join(until);
    let plan = plan("macs: { platform: macos, count: 1, users: 1 }", &phases);
    let roster = Arc::new(plan.roster());
    let config = Config {
        cells: Arc::new(Cells::new(&roster, 1)),
        plan: Arc::new(plan),
        roster,
        shard: 0,
        characters: Arc::new([character()]),
        limits: Arc::new(Limits::default()),
        tokens: Arc::new(Tokens::new([7; 32])),
        sessions_max: 10,
        keeps: false,
    };
    let dice = config.plan.dice();
    let mut run = Forecast::new(Shard::new(config, |_| 0), peers, Model::default(), dice);
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(10), 1_000));
    for check_in in 1..=check_ins {
        run.begin(PhaseIx(check_in));
        assert!(run.run_until(Mono::ZERO + Dur::secs(10 + u64::from(check_in) * 30), 1_000));
    }
    run
}

fn heard(facts: &[Fact]) -> Vec<&str> {
    let text = |fact: &Fact| matches!(&fact.what, Said::Complaint { kind: "heard", .. });
    let said = facts.iter().filter(|fact| text(fact)).map(|fact| match &fact.what {
        Said::Complaint { text, .. } => &**text,
        _ => "",
    });
    said.collect()
}

fn count(facts: &[Fact], what: impl Fn(&Said) -> bool) -> usize {
    facts.iter().filter(|fact| what(&fact.what)).count()
}

#[test]
fn a_link_stands_and_brings_its_frames_one_by_one() {
    let mut run = run(0, Peers::default());
    assert_eq!(heard(&run.facts), ["0 order [Enroll]", "1 order [Enroll]", "1 frame welcome"]);
    assert_eq!(run.connections(), 1);
    assert_eq!(count(&run.facts, |what| matches!(what, Said::SessionStarted { .. })), 0, "a link is no session");
    let opened = |what: &Said| matches!(what, Said::RequestEnded { operation: Operation::AndroidLink, outcome, .. } if outcome.succeeded());
    assert_eq!(count(&run.facts, opened), 1);
    // A push comes to the main lane as a push, with what it asks for.
    run.facts.clear();
    run.frame(LaneIx(1), "push".into());
    assert!(run.run_until(Mono::ZERO + Dur::secs(20), 1_000));
    assert_eq!(heard(&run.facts), ["1 frame push", "0 push [Pushed(7)]"]);
    assert_eq!(count(&run.facts, |what| matches!(what, Said::Woken { .. })), 1);
    assert_eq!(run.shard.live(), 0, "what is held does not keep a run from its end");
}

#[test]
fn what_comes_over_a_link_waits_until_it_is_heard() {
    let mut run = run(0, Peers::default());
    run.facts.clear();
    run.frame(LaneIx(1), "doze".into());
    run.frame(LaneIx(1), "push".into());
    run.frame(LaneIx(1), "other".into());
    assert!(run.run_until(Mono::ZERO + Dur::secs(29), 1_000));
    assert_eq!(heard(&run.facts), ["1 frame doze"]);
    assert!(run.run_until(Mono::ZERO + Dur::secs(40), 1_000));
    let wanted =
        ["1 time []", "1 frame push", "0 push [Pushed(7)]", "1 frame other", "1 frame shared 0", "1 frame twice"];
    assert_eq!(heard(&run.facts)[1..], wanted);
}

#[test]
fn what_a_server_pushes_takes_no_room_from_orders() {
    let lost = |pushed: &[u32]| {
        let mut run = run(0, Peers::default());
        run.frame(LaneIx(1), "push 9".into());
        pushed.iter().for_each(|number| run.frame(LaneIx(1), format!("push {number}").into()));
        assert!(run.run_until(Mono::ZERO + Dur::secs(20), 10_000));
        run.facts.clear();
        run.begin(PhaseIx(1));
        assert!(run.run_until(Mono::ZERO + Dur::secs(40), 10_000));
        let heard = heard(&run.facts).concat();
        assert!(heard.contains("CheckIn"), "{heard}");
        assert_eq!(count(&run.facts, |what| matches!(what, Said::Complaint { blame: Blame::Generator, .. })), 0);
        (1..200).filter(|number| !heard.contains(&format!("Pushed({number})")) && pushed.contains(number)).count()
    };
    let (same, each): (Vec<u32>, Vec<u32>) = (vec![7; 100], (10..110).collect());
    assert_eq!(lost(&same), 0);
    assert_eq!(lost(&[&same[..], &[8]].concat()), 0, "what comes after is heard, too");
    assert_eq!(lost(&each), 100 - 48);
}

#[test]
fn what_sisters_share_reaches_a_lane_that_holds_and_a_poll_is_let_go_of_by_an_order() {
    // The first check-in makes the shared part odd: the lane polls. The second lets go of the poll, and it sends.
    let run = run(2, Peers::default());
    let heard = heard(&run.facts);
    let wanted = ["1 order [Shared]", "0 order [CheckIn]", "1 order [Shared]", "1 frame shared 2", "1 frame twice"];
    assert_eq!(heard[4..], wanted, "{heard:?}");
    let held = |what: &Said| matches!(what, Said::RequestEnded { operation: Operation::AndroidPoll, outcome, .. } if outcome.succeeded());
    assert_eq!(count(&run.facts, held), 1, "its end by the device is a good one");
}

#[test]
fn who_enrolls_again_shares_that_with_a_lane_that_is_awake() {
    let mut run = run(2, Peers::default());
    run.facts.clear();
    run.begin(PhaseIx(4));
    assert!(run.run_until(Mono::ZERO + Dur::secs(80), 1_000));
    assert_eq!(heard(&run.facts)[..3], ["0 order [Enroll]", "1 order [Enroll]", "1 frame shared 4"]);
}

#[test]
fn a_poll_that_was_held_for_nothing_ended_well_and_any_other_error_is_one() {
    for (seconds, status, failures) in [(60, 500, 0), (5, 500, 0), (4, 500, 1), (60, 503, 1), (60, 404, 1)] {
        let mut run = run(1, Peers { poll_ends: (Dur::secs(seconds), status), ..Peers::default() });
        assert!(run.run_until(Mono::ZERO + Dur::secs(100), 1_000));
        assert_eq!(heard(&run.facts)[4..], ["1 order [Shared]", &format!("1 status {status}")]);
        assert_eq!(count(&run.facts, failed), failures, "{status} after {seconds} s");
    }
}

#[test]
fn a_link_has_failed_where_a_broker_says_so_or_it_is_none() {
    for (says, kind) in [(&[0x20, 2, 0, 5][..], "link_refused"), (b"HTTP/1.1 400 Bad Request", "bad_frame")] {
        let run = run(0, Peers { says, ..Peers::default() });
        let of_kind = |what: &Said| matches!(what, Said::RequestEnded { operation: Operation::AndroidLink, outcome: Outcome::Failed { blame: Blame::Server, kind: of }, .. } if *of == kind);
        assert_eq!((count(&run.facts, of_kind), count(&run.facts, failed)), (1, 1), "{kind}");
    }
}

#[test]
fn a_device_that_ends_ends_its_poll_well() {
    let mut run = run(1, Peers::default());
    run.begin(PhaseIx(5));
    assert!(run.run_until(Mono::ZERO + Dur::secs(45), 1_000));
    let ended = |what: &Said| matches!(what, Said::RequestEnded { operation: Operation::AndroidPoll, .. });
    assert_eq!((count(&run.facts, ended), count(&run.facts, failed)), (1, 0));
}

#[test]
fn a_request_that_hears_time_is_let_go_of_by_it() {
    let mut run = run(3, Peers::default());
    run.facts.clear();
    assert!(run.run_until(Mono::ZERO + Dur::secs(145), 1_000));
    assert_eq!(heard(&run.facts), ["1 time []"; 2]);
    assert_eq!(count(&run.facts, failed), 0);
}

fn failed(what: &Said) -> bool {
    matches!(what, Said::RequestEnded { outcome, .. } if !outcome.succeeded())
}

#[test]
fn a_link_that_is_refused_has_failed() {
    let run = run(0, Peers { refuses: true, ..Peers::default() });
    assert_eq!(heard(&run.facts)[2..], ["1 failed connect_refused"]);
    assert_eq!(count(&run.facts, |what| matches!(what, Said::ConnectionFailed { .. })), 1);
    assert_eq!(run.connections(), 0);
}
