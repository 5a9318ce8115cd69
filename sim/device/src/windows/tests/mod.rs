//! A PC against a server that answers by a script. Keys and certificates are real, and each message is read by wire's
//! readers, as a server would; time jumps.
#![expect(clippy::unwrap_used, reason = "tests")]

mod anything;
mod commands;
mod enrolling;
mod installing;
mod living;
mod proving;
mod talking;

use super::*;
use crate::tests_support::{World, windows};
use crate::{
    Body as Sent, Character, Enrolls, Failure, Habits, Identity, KeyIx, Made, Note, Order, Peer, Proof, Reached,
    Reasons, Request, Response, Wake, What, Work,
};
use bytes::Bytes;
use commands::{alert, command, get, says};
use droves_facts::{Blame, CommandKey, CommandStatus, Dur, Mono, Operation, Outcome, Wall, What as Fact};
use droves_wire::apple::scep;
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use droves_wire::windows::provisioning::{Account, Auth, Certificate, Document, Level, Place, Renewal, Setting, Store};
use droves_wire::windows::soap::{AnswerHeader, Fault, FaultKind};
use droves_wire::windows::syncml::{
    self, Body, Challenge, Command, Data, Header, Location, Message, Meta, Status, Verb,
};
use droves_wire::windows::{csr, discovery, issue, policy};
use http::{HeaderMap, HeaderValue};
use installing::Ca;
use std::collections::VecDeque;
use std::sync::OnceLock;

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::create("Test CA", Wall::VIRTUAL_START).unwrap())
}

fn key(ix: KeyIx) -> &'static Key {
    static KEYS: [OnceLock<Key>; 2] = [const { OnceLock::new() }; 2];
    KEYS[ix.0 as usize % 2].get_or_init(|| Key::generate_rsa(2_048).unwrap())
}

/// What a server says to the next request of its kind.
enum Reply {
    Says(u16, Bytes),
    /// With this header.
    With(u16, Bytes, &'static str, &'static str),
    Fails(&'static str),
    /// A SyncML message: these commands, whether it has `Final`. Statuses for the device's message go before.
    Message(Vec<Command<'static>>, bool),
    /// A status of this code for the device's header, and a challenge.
    Challenge(u16, &'static str, &'static str),
    /// What a server says that gives commands batch by batch: it asks for what the device has not said yet, then gives
    /// the next ones.
    Next,
    /// What makes a whole message of the device's.
    Made(Box<dyn Fn(&Message<'_>) -> Message<'static>>),
}

/// A request that came to a server.
struct Asked {
    operation: Operation,
    url: Arc<str>,
    body: Bytes,
    varying: Vec<(&'static str, Box<str>)>,
    signed: bool,
}

/// A device, its world, and the servers.
struct Rig {
    machine: Windows,
    world: World,
    /// What enrollment answers in place of what it should, in order.
    enrollment: VecDeque<(Operation, Reply)>,
    /// What management answers; in the end nothing but statuses.
    script: VecDeque<Reply>,
    /// Commands for [`Reply::Next`], and what the server takes in one message.
    batches: VecDeque<Vec<Command<'static>>>,
    bytes_max: Option<u64>,
    policy: discovery::AuthPolicy,
    document: Document,
    /// Who gives further certificates.
    ca: Ca,
    asked: Vec<Asked>,
    facts: Vec<Fact>,
    ended: Vec<(Operation, Outcome)>,
    /// Messages of the management server so far in the session.
    answered: u32,
    /// Generations of channels that were asked for, and whether the push service gives them.
    channels: Vec<u32>,
    gives_channels: bool,
    /// What is on disk, and the device's identity with it.
    saved: Slept<Windows>,
    saved_identity: Option<Arc<Identity>>,
    keeps_contract: bool,
}

const ADDRESS: &str = "https://mdm.example.test/manage";
const PROVIDER: &str = "Test";

/// `DMClient/Provider/Test/<path>` and its parameter, in a provisioning document.
fn setting(path: &str, name: &str, value: &str) -> Setting {
    let all = ["DMClient", "Provider", PROVIDER].into_iter().chain(path.split('/').filter(|part| !part.is_empty()));
    Setting {
        path: all.map(Arc::from).collect(),
        name: name.into(),
        value: Some(value.into()),
        datatype: Some("string".into()),
    }
}

fn document() -> Document {
    Document {
        renewal: Some(Renewal { automatic: true, period_days: Some(42), retry_days: Some(4) }),
        account: Some(Account {
            provider: PROVIDER.into(),
            address: ADDRESS.into(),
            tries: Some(3),
            backoff_ms: Some(30_000),
            backoff_ms_max: Some(120_000),
            auths: vec![Auth {
                level: Some(Level::Device),
                kind: Some("DIGEST".into()),
                name: Some("name".into()),
                secret: Some("secret".into()),
                nonce: None,
            }],
            ..Account::default()
        }),
        settings: vec![
            setting("Poll", "NumberOfFirstRetries", "0"),
            setting("Poll", "IntervalForFirstSetOfRetries", "60"),
        ],
        ..Document::default()
    }
}

impl Rig {
    fn new(character: Character) -> Self {
        Rig {
            machine: Windows::default(),
            world: World::new(character),
            enrollment: VecDeque::new(),
            script: VecDeque::new(),
            batches: VecDeque::new(),
            bytes_max: None,
            policy: discovery::AuthPolicy::OnPremise,
            document: document(),
            ca: Ca::default(),
            asked: Vec::new(),
            facts: Vec::new(),
            ended: Vec::new(),
            answered: 0,
            channels: Vec::new(),
            gives_channels: true,
            saved: Slept::default(),
            saved_identity: None,
            keeps_contract: true,
        }
    }

    fn enrolled() -> Self {
        Rig::new(windows()).enroll()
    }

    /// Enrolls without a failure, and forgets how that went.
    fn enroll(mut self) -> Self {
        let action = self.order(Order::Enroll);
        assert!(matches!(action.what, What::Sleep { .. }), "{:?}", self.facts);
        assert_eq!(self.ended, [(Operation::Enroll, Outcome::Succeeded)]);
        self.forget();
        self
    }

    fn forget(&mut self) {
        self.asked.clear();
        self.facts.clear();
        self.ended.clear();
    }

    fn order(&mut self, order: Order) -> Action {
        let now = self.world.clocks.now;
        self.wake(Reasons::ORDER, &[Note { order, cause: now }])
    }

    /// Pushes, and the server says this.
    fn pushed(&mut self, script: impl IntoIterator<Item = Reply>) -> Action {
        self.forget();
        self.script = script.into_iter().collect();
        self.wake(Reasons::PUSH, &[])
    }

    fn time(&mut self, action: &Action) -> Action {
        self.pass(action.until);
        self.wake(Reasons::TIME, &[])
    }

    fn pass(&mut self, until: Mono) {
        assert!(!until.is_never(), "nothing to wait for");
        let passed = until.since(self.world.clocks.now);
        self.world.clocks.now = until;
        self.world.clocks.wall = self.world.clocks.wall + passed;
    }

    /// Wakes, and does what it says until it rests.
    fn wake(&mut self, reasons: Reasons, notes: &[Note]) -> Action {
        let due = self.world.clocks.now;
        let mut action = self.on(Event::Wake(Wake { reasons, due, notes }));
        for _ in 0..5_000 {
            action = match self.react(action) {
                Ok(next) => next,
                Err(rest) => return rest,
            };
        }
        panic!("no end of it: {:?}", self.operations());
    }

    /// Does what an action says; one that is rest comes back as the error.
    fn react(&mut self, action: Action) -> Result<Action, Action> {
        Ok(match action.what {
            What::Sleep { .. } | What::End(_) => return Err(action),
            What::Wait => {
                self.pass(action.until);
                let due = self.world.clocks.now;
                self.on(Event::Wake(Wake { reasons: Reasons::TIME, due, notes: &[] }))
            }
            What::Save => {
                self.save();
                self.on(Event::Saved)
            }
            What::Make(work) => self.make(*work),
            What::Request(request) => self.ask(&request),
            What::Open(_) | What::Send(_) => panic!("no link: {action:?}"),
        })
    }

    /// What the store gets. A lane with nothing under way goes through it and back, as if the process had ended here.
    fn save(&mut self) {
        let snapshot = Lane::clone(&self.machine.lane).fold();
        let record = Windows::record_from_bytes(&Windows::record_to_bytes(&snapshot.record)).unwrap();
        let shared = Arc::new(Windows::shared_from_bytes(&Windows::shared_to_bytes(&snapshot.shared)).unwrap());
        self.saved = Slept { record, shared, own: snapshot.own };
        self.saved_identity.clone_from(&self.world.identity);
        if matches!(self.machine.state, State::Asleep) {
            self.machine = Windows::open(self.saved.clone());
        }
    }

    fn on(&mut self, event: Event<'_>) -> Action {
        let action = self.machine.on(event, &mut self.world.ctx());
        assert!(action.until > self.world.clocks.now, "{action:?}");
        let out = std::mem::take(&mut self.world.out);
        self.facts.extend(out.facts);
        self.ended.extend(out.ended);
        if let Some(identity) = out.identity {
            self.world.identity = identity;
        }
        action
    }

    fn make(&mut self, work: Work) -> Action {
        let made = match work {
            Work::Key { .. } => Made::Key(KeyIx(self.world.identity.as_ref().map_or(0, |old| old.key.0 + 1))),
            Work::WindowsRequest { guid, device_id, spelling, key: ix, signer } => {
                let bare = csr::write(&guid, &device_id, key(ix), spelling).unwrap();
                let der = signer.map(|old| issue::renewal(&bare, key(old.key), &old.certificate).unwrap());
                Made::CertificateRequest(der.unwrap_or(bare).into())
            }
            Work::ScepRequest { request, key: ix, .. } => {
                let (body, pending) = scep::build(&request, key(ix), None, self.world.clocks.wall).unwrap();
                Made::ScepRequest { body: body.into(), pending: Box::new(pending) }
            }
            Work::ScepOpen { reply, pending, key: ix, .. } => {
                match scep::open(&reply, &pending, key(ix), None, &self.world.limits) {
                    Ok(reply) => Made::ScepReply(reply),
                    Err(_) => return self.lose(Blame::Server, "scep"),
                }
            }
            other => panic!("a PC has no such work: {other:?}"),
        };
        self.on(Event::Made(made))
    }

    fn ask(&mut self, request: &Request) -> Action {
        if let Peer::PushService { generation } = request.peer {
            self.channels.push(generation);
            return self.answer(if self.gives_channels { 200 } else { 503 }, Bytes::new(), HeaderMap::new());
        }
        let body = match &request.body {
            Sent::Empty => Bytes::new(),
            Sent::Bytes(bytes) => bytes.clone(),
        };
        let Request { operation, ref url, ref varying, .. } = *request;
        let asked = Asked {
            operation,
            url: Arc::clone(url),
            body: body.clone(),
            varying: varying.clone(),
            signed: request.sign.is_some(),
        };
        self.asked.push(asked);
        let reply = match operation {
            Operation::WindowsFirst | Operation::WindowsMessage => {
                assert_eq!(request.identity, self.world.identity);
                if self.keeps_contract {
                    assert_eq!(self.saved_identity, self.world.identity, "the identity is not on disk");
                }
                if operation == Operation::WindowsFirst {
                    self.answered = 0;
                }
                self.script.pop_front().unwrap_or(Reply::Message(Vec::new(), true))
            }
            _ if self.enrollment.front().is_some_and(|(of, _)| *of == operation) => {
                self.enrollment.pop_front().unwrap().1
            }
            _ => Reply::Says(200, self.enrolls(operation, &body)),
        };
        match reply {
            Reply::Says(status, body) => self.answer(status, body, HeaderMap::new()),
            Reply::With(status, body, name, value) => {
                let headers =
                    HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static(value))]);
                self.answer(status, body, headers)
            }
            Reply::Fails(kind) => self.lose(Blame::Network, kind),
            Reply::Message(commands, last) => {
                let answer = self.message(&body, 200, None, commands, last);
                self.answer(200, answer, HeaderMap::new())
            }
            Reply::Challenge(code, kind, nonce) => {
                let next_nonce = Some(nonce.into()).filter(|nonce: &std::borrow::Cow<'_, str>| !nonce.is_empty());
                let challenge = Challenge { kind: kind.into(), next_nonce };
                let answer = self.message(&body, code, Some(challenge), Vec::new(), true);
                self.answer(200, answer, HeaderMap::new())
            }
            Reply::Next => {
                let last = Message::read(&body, &droves_facts::Limits::default()).unwrap().last;
                let next = if last { self.batches.pop_front().unwrap_or_default() } else { vec![alert("n", 1222)] };
                let answer = self.message(&body, 200, None, next, last);
                self.answer(200, answer, HeaderMap::new())
            }
            Reply::Made(made) => {
                let limits = droves_facts::Limits::default();
                let mut out = Vec::new();
                made(&Message::read(&body, &limits).unwrap()).write(&mut out);
                self.answer(200, out.into(), HeaderMap::new())
            }
        }
    }

    /// What the management server writes: a status for everything that it was told, then these.
    fn message(
        &mut self,
        body: &[u8],
        code: u16,
        challenge: Option<Challenge<'static>>,
        commands: Vec<Command<'static>>,
        last: bool,
    ) -> Bytes {
        let limits = droves_facts::Limits::default();
        let told = Message::read(body, &limits).unwrap();
        self.answered += 1;
        let status = |command: &str, name: &str, code| Status {
            message: told.header.message.to_string().into(),
            command: command.to_owned().into(),
            name: name.to_owned().into(),
            code,
            ..Status::default()
        };
        let mut all = vec![Body::Status(Status { challenge, ..status("0", "SyncHdr", code) })];
        for command in &told.commands {
            match &command.body {
                Body::Status(_) => {}
                Body::Results { items, .. } if !items.iter().any(|item| item.more) => {}
                Body::Results { .. } => all.push(Body::Status(status(&command.id, "Results", 213))),
                body => all.push(Body::Status(status(&command.id, body.name(), code.min(200)))),
            }
        }
        let numbered = all.into_iter().enumerate().map(|(n, body)| Command { id: format!("s{n}").into(), body });
        let message = Message {
            header: Header {
                session: told.header.session.to_string().into(),
                message: self.answered.to_string().into(),
                target: Location::at(told.header.source.uri.to_string()),
                source: Location::at(ADDRESS),
                message_bytes_max: self.bytes_max,
                ..Header::default()
            },
            commands: numbered.chain(commands).collect(),
            last,
        };
        let mut out = Vec::new();
        message.write(&mut out);
        out.into()
    }

    /// What enrollment answers when all is well.
    fn enrolls(&mut self, operation: Operation, body: &[u8]) -> Bytes {
        let limits = droves_facts::Limits::default();
        let mut out = Vec::new();
        match operation {
            Operation::WindowsDiscovery if body.is_empty() => {}
            Operation::WindowsDiscovery => {
                let request = discovery::Request::read(body, &limits).unwrap();
                let federated = self.policy == discovery::AuthPolicy::Federated;
                discovery::Answer {
                    header: AnswerHeader { relates_to: request.header.message_id, ..AnswerHeader::default() },
                    policy: self.policy,
                    policy_url: Some("https://mdm.example.test/policy".into()),
                    enrollment_url: "https://mdm.example.test/enroll".into(),
                    authentication_url: federated.then(|| "https://login.example.test/page".into()),
                    ..discovery::Answer::default()
                }
                .write(&mut out);
            }
            Operation::WindowsPolicy => {
                policy::Request::read(body, &limits).unwrap();
                policy::Answer::default().write(&mut out);
            }
            Operation::WindowsIssue | Operation::WindowsRenew => {
                let request = issue::Request::read(body, &limits).unwrap();
                let wanted = request.token.open(&limits).unwrap();
                let ordinal = self.asked.len() as u64;
                let issued =
                    authority().issue_identity("x", &wanted.csr.spki, ordinal, self.world.clocks.wall).unwrap();
                let mut document = self.document.clone();
                document.certificates.push(in_store(Store::Root, authority().certificate().to_vec()));
                if !document.certificates.iter().any(|certificate| certificate.store == Store::My) {
                    document.certificates.push(in_store(Store::My, issued));
                }
                let mut inside = Vec::new();
                document.write(&mut inside);
                issue::Answer { header: AnswerHeader::default(), document: inside }.write(&mut out);
            }
            other => return self.ca.says(other, body, self.world.clocks.wall),
        }
        out.into()
    }

    fn lose(&mut self, blame: Blame, kind: &'static str) -> Action {
        self.on(Event::Failed(Failure { blame, kind, reached: Reached::Sent, text: kind.into() }))
    }

    fn answer(&mut self, status: u16, body: Bytes, headers: HeaderMap) -> Action {
        self.on(Event::Response(Response { status, headers: &headers, body, digested: 0 }))
    }

    fn operations(&self) -> Vec<&'static str> {
        self.asked.iter().map(|asked| asked.operation.name()).collect()
    }

    /// The SyncML message that was sent as number `n`.
    fn told(&self, n: usize) -> Message<'_> {
        Message::read(&self.asked[n].body, &self.world.limits).unwrap()
    }

    /// Command and code of each status in it but that for `SyncHdr`.
    fn codes(&self, n: usize) -> Vec<(String, u16)> {
        let told = self.told(n);
        let statuses = told.commands.iter().filter_map(|command| match &command.body {
            Body::Status(status) if status.command != "0" => Some((status.command.to_string(), status.code)),
            _ => None,
        });
        statuses.collect()
    }

    fn count(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.facts.iter().filter(|fact| is(fact)).count()
    }

    fn complaints(&self) -> Vec<&'static str> {
        let kinds = self.facts.iter().filter_map(|fact| match fact {
            Fact::Complaint { kind, .. } => Some(*kind),
            _ => None,
        });
        kinds.collect()
    }

    /// How long until it wakes by itself.
    fn wait(&self, action: &Action) -> Dur {
        assert!(matches!(action.what, What::Sleep { .. }), "{action:?}: {:?}", self.facts);
        action.until.since(self.world.clocks.now)
    }

    fn device_id(&mut self) -> String {
        let generation = self.machine.record().generation;
        hardware::Hardware::of(&self.world.ctx()).device_id(generation)
    }
}

fn in_store(store: Store, der: Vec<u8>) -> Certificate {
    Certificate { store, place: Place::User, thumbprint: "AB".repeat(20), der }
}
