//! Agents on Android in virtual time: what the practice server's mind says to them by HTTP, over their links and by FCM.

use super::mind::{self, Asked};
use crate::admin::{Command, Says};
use bytes::Bytes;
use droves_device::{Body, Clocks, Failure, Link, Method, Reached, Request};
use droves_emulators::mqtt::LineId;
use droves_emulators::practice::agents::Stir;
use droves_emulators::practice::{Brain, Outgoing, Proof, Wake};
use droves_facts::{Blame, Dur, LaneIx, Mono, Operation};
use droves_scenario::server::Queueing;
use droves_shard::Answer;
use droves_shard::forecast::Happened;
use droves_wire::android::{fcm, mqtt};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The agents, and what stands between them and the server.
#[derive(Debug, Default)]
pub struct Agents {
    now: Mono,
    /// What devices are to be told at once.
    happened: Vec<Happened>,
    lines: HashMap<LaneIx, Line>,
    lanes: HashMap<LineId, LaneIx>,
    /// When the broker gives those up that say nothing.
    due: BTreeSet<(Mono, LineId)>,
    /// The numbers by which the server knows their main lanes.
    numbers: BTreeMap<LaneIx, String>,
    /// What the server called what was queued last.
    returned: Option<String>,
}

/// A lane's connection to the broker.
#[derive(Clone, Copy, Debug)]
struct Line {
    id: LineId,
    due: Option<Mono>,
}

/// What came of something that was queued.
#[derive(Debug)]
pub struct Taken {
    /// The lanes for which the server took it.
    pub lanes: Vec<LaneIx>,
    /// Whom it wakes by FCM for that: lanes and generations of their tokens.
    pub woken: Vec<(LaneIx, u32)>,
}

impl Agents {
    /// The number by which the server knows the device of this main lane.
    pub fn number(&self, lane: LaneIx) -> Option<&str> {
        self.numbers.get(&lane).map(String::as_str)
    }

    /// What the server called what was queued last.
    pub fn take_returned(&mut self) -> Option<String> {
        self.returned.take()
    }

    /// When something happens next.
    pub fn next(&self, mind: &Brain) -> Option<Mono> {
        let told = (!self.happened.is_empty()).then_some(self.now);
        let silent = self.due.first().map(|(at, _)| *at);
        [told, silent, mind.due()].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn tick(&mut self, mind: &mut Brain, now: Mono) -> Vec<Happened> {
        self.now = now;
        mind.tick(now);
        while let Some((_, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.pop_first();
            mind.line_fired(now, id);
        }
        self.listen(mind);
        std::mem::take(&mut self.happened)
    }

    /// What the server answers to an agent, and for how long it holds that back.
    pub fn answer(&mut self, mind: &mut Brain, clocks: Clocks, lane: LaneIx, request: &Request) -> (Dur, Outgoing) {
        self.now = clocks.now;
        let header = |wanted: &str| {
            let of = request.varying.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            of.map(|(_, value)| &**value)
        };
        let body = match &request.body {
            Body::Empty => &[][..],
            Body::Bytes(bytes) => bytes,
        };
        if matches!(request.operation, Operation::AndroidEnroll | Operation::AndroidConfig)
            && let Some(number) = request.url.rsplit('/').next()
        {
            self.numbers.insert(lane, number.to_owned());
        }
        let signature = header("x-request-signature").map(str::as_bytes);
        let asked = Asked {
            proof: signature.map_or(Proof::Nothing, Proof::Signature),
            content_type: header("content-type"),
            range: header("range"),
            ..Asked::new(method_name(request.method), &request.url, body)
        };
        let mut answer = mind::ask(mind, clocks, &asked);
        let mut hold = answer.after;
        if let Some(held) = answer.held.take() {
            // Whoever pushes meanwhile is heard at the next poll.
            hold = held.until.since(clocks.now);
            answer = mind.resume(held.ticket);
        }
        self.listen(mind);
        (hold, answer)
    }

    /// The broker's first word to a lane's link.
    pub fn link(&mut self, mind: &mut Brain, clocks: Clocks, lane: LaneIx, link: &Link) -> Result<Bytes, Failure> {
        self.now = clocks.now;
        self.unlink(mind, lane);
        let id = mind.line_opened(clocks.now);
        self.lines.insert(lane, Line { id, due: None });
        self.lanes.insert(id, lane);
        mind.line_heard(clocks.now, id, &link.hello);
        let (said, ends) = self.taken(mind, lane, id);
        let mut said = said.into_iter();
        let Some(first) = said.next() else {
            self.close(mind, lane);
            let text = format!("{}: the broker says nothing", link.url).into();
            return Err(Failure { blame: Blame::Server, kind: "closed", reached: Reached::Sent, text });
        };
        self.happened.extend(said.map(|frame| Happened::Frame(lane, frame)));
        if ends {
            self.cut(mind, lane);
        }
        self.listen(mind);
        Ok(first)
    }

    /// What the broker answers to a lane.
    pub fn sent(&mut self, mind: &mut Brain, clocks: Clocks, lane: LaneIx, bytes: &Bytes) -> Vec<Bytes> {
        self.now = clocks.now;
        let Some(line) = self.lines.get(&lane).copied() else { return Vec::new() };
        mind.line_heard(clocks.now, line.id, bytes);
        let (said, ends) = self.taken(mind, lane, line.id);
        if ends {
            self.cut(mind, lane);
        }
        self.listen(mind);
        said
    }

    /// A lane has closed its link, and hears nothing more of it.
    pub fn unlink(&mut self, mind: &mut Brain, lane: LaneIx) {
        self.close(mind, lane);
        let is_its = |happened: &Happened| match happened {
            Happened::Frame(of, _) | Happened::Lost(of) => *of == lane,
            Happened::Push(_) | Happened::Fact(_) => false,
        };
        self.happened.retain(|happened| !is_its(happened));
    }

    /// A lane's link ends, and it is yet to hear of that.
    pub fn cut(&mut self, mind: &mut Brain, lane: LaneIx) {
        self.close(mind, lane);
        self.happened.push(Happened::Lost(lane));
    }

    fn close(&mut self, mind: &mut Brain, lane: LaneIx) {
        if let Some(line) = self.lines.remove(&lane) {
            self.lanes.remove(&line.id);
            line.due.and_then(|at| self.due.take(&(at, line.id)));
            mind.line_gone(line.id);
        }
    }

    /// What the broker has to say beside.
    fn listen(&mut self, mind: &mut Brain) {
        for stir in mind.stirred() {
            let Stir::Line(id) = stir else { continue };
            let Some(&lane) = self.lanes.get(&id) else { continue };
            let (said, ends) = self.taken(mind, lane, id);
            self.happened.extend(said.into_iter().map(|frame| Happened::Frame(lane, frame)));
            if ends {
                self.cut(mind, lane);
            }
        }
    }

    /// What the broker says to a lane now, and whether the line ends with that.
    fn taken(&mut self, mind: &mut Brain, lane: LaneIx, id: LineId) -> (Vec<Bytes>, bool) {
        let written = mind.line_taken(id);
        if let Some(line) = self.lines.get_mut(&lane)
            && line.due != written.deadline
        {
            let before = std::mem::replace(&mut line.due, written.deadline);
            before.and_then(|at| self.due.take(&(at, id)));
            self.due.extend(written.deadline.map(|at| (at, id)));
        }
        (frames(written.bytes), written.ends)
    }

    /// Queues what agents are asked; none of what is not theirs.
    pub fn queue(&mut self, mind: &mut Brain, clocks: Clocks, lanes: &[LaneIx], command: &Command) -> Option<Taken> {
        let Says::Json { queueing, kind, json } = &command.says else { return None };
        let ids: Vec<&str> = lanes.iter().filter_map(|&lane| self.number(lane)).collect();
        let ids = ids.join(",");
        let name = command.names.first().map(|name| name.text.as_str()).unwrap_or_default();
        let message = format!("{{ \"messageType\": \"{kind}\", \"payload\": {json} }}");
        let (method, url, body) = match queueing {
            Queueing::Configuration => ("PUT", format!("/admin/v1/configurations/{name}?ids={ids}"), json),
            Queueing::Message => ("POST", format!("/admin/v1/messages?ids={ids}"), &message),
            _ => return None,
        };
        self.now = clocks.now;
        let content_type = Some("application/json");
        let asked = Asked { content_type, ..Asked::new(method, &url, body.as_bytes()) };
        let (answer, wakes) = mind::ask_to_push(mind, clocks, &asked);
        let said = mind::said(&answer.body);
        self.returned = said["digest"].as_str().map(str::to_owned);
        self.listen(mind);
        let is_taken = |lane: &&LaneIx| self.number(**lane).is_some_and(|number| said["failed"].get(number).is_none());
        let lanes = lanes.iter().filter(is_taken).copied().collect();
        Some(Taken { lanes, woken: wakes.iter().filter_map(owner).collect() })
    }
}

/// Whose registration token FCM is shown.
fn owner(wake: &Wake) -> Option<(LaneIx, u32)> {
    let Wake::Android { token } = wake else { return None };
    fcm::token_secret(token).and_then(|secret| super::tokens().find(&secret))
}

/// Whether it is a request to the server of an Android device's agent.
pub fn is_of_agent(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::AndroidEnroll
            | Operation::AndroidConfig
            | Operation::AndroidReport
            | Operation::AndroidLogs
            | Operation::AndroidDownload
            | Operation::AndroidPoll
    )
}

/// A method by its name.
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Put => "PUT",
        Method::Post => "POST",
    }
}

/// An answer as a device gets it. A file's bytes are counted and not there.
pub fn told(answer: Outgoing) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    let digested = answer.file.as_ref().map_or(0, |file| file.bytes());
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len() as u64 + digested));
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    Answer { status: answer.status, headers, body: answer.body, digested }
}

/// The packets that these bytes are.
fn frames(bytes: Vec<u8>) -> Vec<Bytes> {
    let (mut rest, mut frames) = (Bytes::from(bytes), Vec::new());
    while let Ok(Some(length)) = mqtt::first(&rest) {
        frames.push(rest.split_to(length));
    }
    frames
}
