//! A phone on its three lanes against a server, a broker and a place of files that are scripted here. Each message is read
//! by wire's readers, as a server would; time jumps.
#![expect(clippy::unwrap_used, reason = "tests")]

mod anything;
mod enrolling;
mod fetching;
mod linking;
mod living;
mod losing;
mod messaging;

use super::*;
use crate::tests_support::{World, agent};
use crate::{
    Body, Character, Enrolls, Failure, Framing, Link, Need, Note, Order, Reached, Reasons, Request, Response, Sink,
    Wake, What, Why,
};
use bytes::Bytes;
use droves_facts::{Blame, CommandStatus, Operation, Outcome, What as Fact};
use droves_wire::android::headwind::config::{Application, RemoteFile};
use droves_wire::android::headwind::paths::{Path, decoded};
use droves_wire::android::headwind::{self as wire, DeviceInfo, Envelope, Kind, push, sign};
use droves_wire::android::mqtt::{Connect, Packet, Publish};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::{BTreeMap, VecDeque};

const BASE: &str = "https://mdm.example.test/hmdm";
const SECRET: &str = sign::SECRET;

/// A request that came.
#[derive(Debug)]
struct Asked {
    channel: u8,
    operation: Operation,
    url: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    /// How long the answer may take.
    lasts: Dur,
}

/// One lane as a shard has it.
struct Place {
    machine: Agent,
    what: What,
    until: Mono,
    hear: Reasons,
    notes: Vec<Note>,
    ended: Option<Why>,
}

/// What a server says, or why it says nothing.
type Said = Result<(u16, Vec<u8>), &'static str>;

/// What the place of files says of the bytes from one to another, of so many: status, `Content-Range`, how many come.
type Piece = fn(u64, u64, u64) -> (u16, String, u64);

fn piece(first: u64, last: u64, total: u64) -> (u16, String, u64) {
    let last = last.min(total - 1);
    (206, format!("bytes {first}-{last}/{total}"), last + 1 - first)
}

/// The phone, its world, and everybody else.
struct Rig {
    lanes: Vec<Place>,
    world: World,
    /// What the server answers in place of what it should, by operation, in order.
    script: VecDeque<(Operation, Said)>,
    config: wire::Config,
    /// What the server signs its configurations with.
    secret: &'static str,
    /// Data of the answers to what plugins are asked.
    rules: &'static str,
    details: &'static str,
    /// Pushes for a poll.
    pushes: Vec<wire::Push>,
    poll_since: Mono,
    /// What the broker sends, the links that it has seen, and what it read.
    frames: VecDeque<Packet>,
    connects: Vec<(String, Connect)>,
    read: Vec<Packet>,
    connack: u8,
    answers_pings: bool,
    /// Bytes of each file, what is said of a piece of it, and how many bytes of it came with that.
    file_bytes: u64,
    place: Piece,
    /// Whether nothing comes of what is asked for.
    stalls: bool,
    digested: u64,
    asked: Vec<Asked>,
    facts: Vec<Fact>,
    ended: Vec<(Operation, Outcome)>,
    saves: usize,
}

fn app(name: &str, version: &str, url: Option<&str>) -> Application {
    Application {
        name: Some(name.to_uppercase()),
        pkg: Some(format!("com.{name}")),
        version: Some(version.into()),
        url: url.map(str::to_owned),
        ..Application::default()
    }
}

impl Rig {
    fn new(character: Character) -> Self {
        let place = || Place {
            machine: Agent::default(),
            what: What::Sleep { lag: Dur::ZERO },
            until: Mono::NEVER,
            hear: Reasons::ORDER,
            notes: Vec::new(),
            ended: None,
        };
        Rig {
            lanes: vec![place(), place(), place()],
            world: World::new(character),
            script: VecDeque::new(),
            config: wire::Config { push_options: Some("mqttAlarm".into()), ..wire::Config::default() },
            secret: SECRET,
            rules: "[]",
            details: r#"{"intervalMins":15,"sendData":false}"#,
            pushes: Vec::new(),
            poll_since: Mono::NEVER,
            frames: VecDeque::new(),
            connects: Vec::new(),
            read: Vec::new(),
            connack: 0,
            answers_pings: true,
            file_bytes: 10 << 20,
            place: piece,
            stalls: false,
            digested: 0,
            asked: Vec::new(),
            facts: Vec::new(),
            ended: Vec::new(),
            saves: 0,
        }
    }

    /// Enrolled, settled, and what that took forgotten.
    fn enrolled(config: wire::Config) -> Self {
        let mut rig = Rig::new(agent());
        rig.config = config;
        rig.order(Order::Enroll);
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)], "{:?}", rig.facts);
        rig.forget();
        rig
    }

    fn mqtt() -> wire::Config {
        wire::Config { push_options: Some("mqttAlarm".into()), ..wire::Config::default() }
    }

    fn forget(&mut self) {
        self.asked.clear();
        self.facts.clear();
        self.ended.clear();
        self.read.clear();
        self.connects.clear();
    }

    fn order(&mut self, order: Order) {
        self.give(0, order);
        self.settle();
    }

    /// Pushes over the link.
    fn push(&mut self, push: &wire::Push) {
        let id = 100 + self.read.len() as u16;
        let publish = Publish { topic: "d7".into(), payload: push.write(), qos: 2, id: Some(id), ..Publish::default() };
        self.frames.push_back(Packet::Publish(publish));
        self.settle();
    }

    fn give(&mut self, channel: u8, order: Order) {
        let cause = self.world.clocks.now;
        let place = &mut self.lanes[usize::from(channel)];
        if place.ended.is_some() && order != Order::Enroll {
            return;
        }
        if place.ended.take().is_some() {
            (place.what, place.hear) = (What::Sleep { lag: Dur::ZERO }, Reasons::ORDER);
        }
        place.notes.push(Note { order, cause });
    }

    fn pass(&mut self, dur: Dur) {
        let clocks = &mut self.world.clocks;
        (clocks.now, clocks.wall) = (clocks.now + dur, clocks.wall + dur);
    }

    /// Lets so much time go by, and everything in it happen.
    fn wait(&mut self, dur: Dur) {
        let end = self.world.clocks.now + dur;
        for _ in 0..20_000 {
            self.settle();
            let polls = if self.poll_since.is_never() { Mono::NEVER } else { self.poll_since + Dur::secs(60) };
            let next = self.lanes.iter().filter(|place| place.ended.is_none()).map(|place| place.until).min();
            let next = next.unwrap_or(Mono::NEVER).min(polls);
            if next > end {
                self.pass(end.since(self.world.clocks.now));
                return;
            }
            self.pass(next.since(self.world.clocks.now));
            if polls <= self.world.clocks.now {
                self.answer(1, 500, b"<html></html>", &[]);
            }
            for channel in 0..3 {
                if self.lanes[channel].until <= self.world.clocks.now && self.lanes[channel].ended.is_none() {
                    self.timed(channel as u8);
                }
            }
        }
        panic!("no end of it: {:?}", self.operations());
    }

    fn timed(&mut self, channel: u8) {
        let place = &self.lanes[usize::from(channel)];
        match place.what {
            What::Wait | What::Sleep { .. } | What::Send(_) => self.wake(channel, Reasons::TIME),
            What::Request(_) | What::Open(_) if place.hear.has(Reasons::TIME) => {
                self.poll_since = if channel == main::LINK { Mono::NEVER } else { self.poll_since };
                self.wake(channel, Reasons::TIME);
            }
            _ => self.fail(channel, "timeout"),
        }
    }

    /// Everything that can happen now happens.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            if !self.settles_one() {
                return;
            }
        }
        panic!("no end of it: {:?}", self.operations());
    }

    fn settles_one(&mut self) -> bool {
        for channel in 0..3 {
            let place = &mut self.lanes[usize::from(channel)];
            if place.ended.is_some() {
                continue;
            }
            let hears = place.notes.iter().any(|note| place.hear.has(note.order.reason()));
            match &place.what {
                What::Save => {
                    self.saves += 1;
                    self.through_the_store(channel);
                    self.on(channel, Event::Saved);
                }
                What::Request(request) if request.operation == Operation::AndroidPoll => {
                    if hears {
                        self.poll_since = Mono::NEVER;
                        self.wake(channel, Reasons::NONE);
                    } else if !self.pushes.is_empty() {
                        let body = push::write_list(&std::mem::take(&mut self.pushes));
                        self.answer(channel, 200, &body, &[]);
                    } else {
                        continue;
                    }
                }
                What::Request(_) if hears => self.wake(channel, Reasons::NONE),
                What::Request(request) if request.operation == Operation::AndroidDownload && self.stalls => continue,
                What::Request(_) => self.serve(channel),
                What::Open(_) => {
                    let (blame, kind, reached) = (Blame::Server, "reset", Reached::Sent);
                    match self.frames.pop_front() {
                        Some(packet) => self.on(channel, Event::Frame(packet.write().unwrap().into())),
                        None => {
                            self.on(channel, Event::Failed(Failure { blame, kind, reached, text: "no answer".into() }));
                        }
                    }
                }
                What::Wait | What::Send(_) if place.hear.has(Reasons::LINK) && !self.frames.is_empty() => {
                    let frame = self.frames.pop_front().unwrap().write().unwrap();
                    self.on(channel, Event::Frame(frame.into()));
                }
                What::Wait | What::Sleep { .. } | What::Send(_) if hears => self.wake(channel, Reasons::NONE),
                _ => continue,
            }
            return true;
        }
        false
    }

    fn wake(&mut self, channel: u8, reasons: Reasons) {
        let place = &mut self.lanes[usize::from(channel)];
        let hear = place.hear;
        let notes: Vec<Note> = place.notes.extract_if(.., |note| hear.has(note.order.reason())).collect();
        let reasons = notes.iter().fold(reasons, |reasons, note| reasons | note.order.reason());
        let due = self.world.clocks.now;
        self.on(channel, Event::Wake(Wake { reasons, due, notes: &notes }));
    }

    fn fail(&mut self, channel: u8, kind: &'static str) {
        self.poll_since = if channel == main::LINK { Mono::NEVER } else { self.poll_since };
        let (blame, reached) = (Blame::Network, Reached::Sent);
        self.on(channel, Event::Failed(Failure { blame, kind, reached, text: kind.into() }));
    }

    fn answer(&mut self, channel: u8, status: u16, body: &[u8], headers: &[(&'static str, String)]) {
        self.poll_since = if channel == main::LINK { Mono::NEVER } else { self.poll_since };
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let headers = HeaderMap::from_iter(headers);
        let (body, digested) = match self.lanes[usize::from(channel)].what {
            What::Request(ref request) if matches!(request.sink, Sink::Digest(_)) => (Bytes::new(), self.digested),
            _ => (Bytes::copy_from_slice(body), 0),
        };
        self.on(channel, Event::Response(Response { status, headers: &headers, body, digested }));
    }

    /// Hands over one event, and takes what comes of it.
    fn on(&mut self, channel: u8, event: Event<'_>) {
        self.world.channel = channel;
        let action = self.lanes[usize::from(channel)].machine.on(event, &mut self.world.ctx());
        assert!(action.until > self.world.clocks.now, "{action:?}");
        let out = std::mem::take(&mut self.world.out);
        self.facts.extend(out.facts);
        self.ended.extend(out.ended);
        let sister = self.lanes[usize::from(channel)].machine.sister();
        for (to, note) in out.orders {
            if note.order.shares() {
                let place = &mut self.lanes[usize::from(to)];
                if matches!(place.what, What::Sleep { .. } | What::End(_)) {
                    place.machine.lane.shared = Arc::clone(&sister);
                } else {
                    place.machine.share(&sister);
                }
            }
            self.give(to, note.order);
        }
        let Action { what, until, hear } = action;
        match &what {
            What::Open(link) => self.connected(link),
            What::Send(bytes) => self.reads(&Packet::read(bytes).unwrap()),
            What::Request(request) => {
                if request.operation == Operation::AndroidPoll {
                    self.poll_since = self.world.clocks.now;
                }
                self.note(channel, request, until.since(self.world.clocks.now));
            }
            _ => {}
        }
        let place = &mut self.lanes[usize::from(channel)];
        (place.until, place.hear) = (until, hear);
        match &what {
            What::Sleep { .. } => self.through_the_store(channel),
            What::End(why) => {
                let why = *why;
                self.lanes.iter_mut().for_each(|place| place.ended = Some(why));
                self.lanes.iter_mut().for_each(|place| place.what = What::End(why));
            }
            _ => {}
        }
        self.lanes[usize::from(channel)].what = what;
    }

    /// What the store gets and gives back. A lane that sleeps goes on from that, as if the process had ended here.
    fn through_the_store(&mut self, channel: u8) {
        let place = &mut self.lanes[usize::from(channel)];
        let slept = place.machine.snapshot();
        let again = Slept {
            record: Agent::record_from_bytes(&Agent::record_to_bytes(&slept.record)).unwrap(),
            shared: Arc::new(Agent::shared_from_bytes(&Agent::shared_to_bytes(&slept.shared)).unwrap()),
            own: slept.own.clone(),
        };
        assert_eq!((again.record, &again.shared), (slept.record, &slept.shared));
        let folded = Agent::open(again.clone()).fold();
        assert_eq!((folded.record, &folded.shared, &folded.own), (slept.record, &slept.shared, &slept.own));
        if matches!(place.machine.state, State::Asleep) {
            place.machine = Agent::open(again);
        }
    }

    fn note(&mut self, channel: u8, request: &Request, lasts: Dur) {
        let headers = request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let varying = request.varying.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
        let body = match &request.body {
            Body::Empty => Vec::new(),
            Body::Bytes(bytes) => bytes.to_vec(),
        };
        let (operation, url) = (request.operation, request.url.to_string());
        self.asked.push(Asked { channel, operation, url, headers: headers.chain(varying).collect(), body, lasts });
    }

    /// The server, and the place of files.
    fn serve(&mut self, channel: u8) {
        let asked = self.asked.iter().rev().find(|asked| asked.channel == channel).unwrap();
        let (operation, url) = (asked.operation, asked.url.clone());
        if self.script.front().is_some_and(|(of, _)| *of == operation) {
            return match self.script.pop_front().unwrap().1 {
                Ok((status, body)) => self.answer(channel, status, &body, &[]),
                Err(kind) => self.fail(channel, kind),
            };
        }
        if operation == Operation::AndroidPushRegister {
            return self.answer(channel, 200, b"", &[]);
        }
        if operation == Operation::AndroidDownload {
            let range = asked.headers.get("range").unwrap().strip_prefix("bytes=").unwrap().to_owned();
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
            let (status, range, bytes) = (self.place)(first, last, self.file_bytes);
            self.digested = bytes;
            return self.answer(channel, status, b"", &[("content-range", range)]);
        }
        let path = decoded(&url);
        let path = path.split_once("/rest/").map(|(_, path)| format!("/rest/{path}")).unwrap();
        let data = |data: &str| format!(r#"{{"status":"OK","message":null,"data":{data}}}"#).into_bytes();
        let Some(path) = Path::read(&path) else { return self.answer(channel, 404, b"<html>", &[]) };
        let body = match path {
            Path::Configuration(_) => Envelope::ok(Some(self.config.clone())).write(),
            Path::LogRules(_) => data(self.rules),
            Path::DetailSettings(_) => data(self.details),
            _ => data("null"),
        };
        let signature = sign::response(self.secret, &body).unwrap();
        self.answer(channel, 200, &body, &[("x-response-signature", signature)]);
    }

    fn connected(&mut self, link: &Link) {
        assert_eq!(link.framing, Framing::Mqtt);
        self.frames.clear();
        match Packet::read(&link.hello).unwrap() {
            Packet::Connect(connect) => self.connects.push((link.url.to_string(), connect)),
            other => panic!("{other:?}"),
        }
        self.frames.push_back(Packet::ConnAck { session_present: false, code: self.connack });
    }

    /// The broker.
    fn reads(&mut self, packet: &Packet) {
        match packet {
            Packet::Subscribe(id, filters) => {
                self.frames.push_back(Packet::SubAck(*id, filters.iter().map(|(_, qos)| *qos).collect()));
            }
            Packet::PubRec(id) => self.frames.push_back(Packet::PubRel(*id)),
            Packet::PingReq if self.answers_pings => self.frames.push_back(Packet::PingResp),
            _ => {}
        }
        self.read.push(packet.clone());
    }

    fn operations(&self) -> Vec<&'static str> {
        self.asked.iter().map(|asked| asked.operation.name()).collect()
    }

    fn count(&self, operation: Operation) -> usize {
        self.asked.iter().filter(|asked| asked.operation == operation).count()
    }

    fn last(&self, operation: Operation) -> &Asked {
        self.asked.iter().rev().find(|asked| asked.operation == operation).unwrap()
    }

    fn complaints(&self) -> Vec<&'static str> {
        let kinds = self.facts.iter().filter_map(|fact| match fact {
            Fact::Complaint { kind, .. } => Some(*kind),
            _ => None,
        });
        kinds.collect()
    }

    /// What of configurations the device has said: delivered, answered, accepted.
    fn hops(&self) -> Vec<&'static str> {
        let hops = self.facts.iter().filter_map(|fact| match fact {
            Fact::Configured { .. } => Some("delivered"),
            Fact::Answered { status: CommandStatus::Acknowledged, .. } => Some("answered"),
            Fact::Accepted { status: CommandStatus::Acknowledged, .. } => Some("accepted"),
            _ => None,
        });
        hops.collect()
    }

    fn state(&self) -> DeviceState {
        Agent::state(&self.lanes[0].machine.record())
    }

    fn report(&self) -> DeviceInfo {
        DeviceInfo::read(&self.last(Operation::AndroidReport).body).unwrap()
    }
}
