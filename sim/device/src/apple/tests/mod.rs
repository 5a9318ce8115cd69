//! A device against a server that answers by a script. Keys, certificates and SCEP are real, and each message is read
//! by wire's readers, as a server would; time jumps.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod anything;
mod certifying;
mod declared;
mod enrolling;
mod living;
mod obeying;
mod restarting;

use super::*;
use crate::tests_support::{World, ios, mac};
use crate::{
    Body, Character, Enrolls, Failure, Habits, Identity, KeyIx, Made, Method, Note, Order, Peer, ProfileSource,
    Reached, Reasons, Request, Response, Sign, Wake, What, Why, Work,
};
use bytes::Bytes;
use droves_facts::{
    Blame, CommandKey, CommandStatus, Dur, LaneIx, Limits, Mono, Operation, Outcome, Platform, Wall, What as Fact,
};
use droves_wire::apple::acme;
use droves_wire::apple::checkin::Message;
use droves_wire::apple::request::{self, Request as Wanted};
use droves_wire::apple::result::Received;
use droves_wire::apple::scep::{self, server};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use droves_wire::plist;
use http::{HeaderMap, HeaderValue};
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

/// An enrollment profile in short, with more of the SCEP and the MDM payload's keys.
fn enrollment_with(scep: &str, mdm: &str) -> String {
    let scep = format!(
        "<key>PayloadContent</key><dict><key>URL</key><string>http://ca.test/scep</string>\
         <key>Challenge</key><string>secret</string>{scep}</dict>"
    );
    profile_of(&payload("com.apple.security.scep", "A", &scep), mdm)
}

fn payload(kind: &str, uuid: &str, rest: &str) -> String {
    format!(
        "<dict><key>PayloadIdentifier</key><string>t.{uuid}</string><key>PayloadType</key><string>{kind}</string>\
         <key>PayloadUUID</key><string>{uuid}</string><key>PayloadVersion</key><integer>1</integer>{rest}</dict>"
    )
}

/// An enrollment profile with this identity.
fn profile_of(identity: &str, mdm: &str) -> String {
    let mdm = format!(
        "<key>CheckInURL</key><string>https://mdm.test/checkin</string><key>ServerURL</key>\
         <string>https://mdm.test/mdm</string><key>IdentityCertificateUUID</key><string>A</string><key>Topic</key>\
         <string>com.apple.mgmt.External.x</string><key>SignMessage</key><true/>{mdm}"
    );
    let mdm = payload("com.apple.mdm", "B", &mdm);
    let all = payload("Configuration", "C", &format!("<key>PayloadContent</key><array>{identity}{mdm}</array>"));
    format!("<plist version=\"1.0\">{all}</plist>")
}

fn enrollment() -> String {
    enrollment_with("", MDM)
}

/// Every right, CheckOut and user channels.
const MDM: &str = "<key>AccessRights</key><integer>8191</integer><key>CheckOutWhenRemoved</key><true/>\
    <key>ServerCapabilities</key><array><string>com.apple.mdm.per-user-connections</string></array>";

/// What the server does with the next request.
#[derive(Clone, Debug)]
enum Reply {
    Says(u16, Bytes),
    Moves(u16, &'static str),
    Fails(&'static str, Reached),
}

fn ok() -> Reply {
    status(200)
}

fn status(status: u16) -> Reply {
    Reply::Says(status, Bytes::new())
}

fn timeout() -> Reply {
    Reply::Fails("timeout", Reached::Sent)
}

fn unrecognized() -> Reply {
    Reply::Says(403, Bytes::from_static(b"{\"code\":\"com.apple.unrecognized.device\"}"))
}

fn command(uuid: &str, request: &Wanted<'_>) -> Reply {
    let mut out = Vec::new();
    request::write(&mut out, uuid, request);
    Reply::Says(200, out.into())
}

/// A command of this name without any keys.
fn bare(uuid: &str, request_type: &str) -> Reply {
    command(uuid, &Wanted::Other { request_type, pairs: &[] })
}

/// A request that came to a server.
#[derive(Debug)]
struct Asked {
    operation: Operation,
    method: Method,
    url: Arc<str>,
    body: Bytes,
}

/// A device, its world, and the servers.
struct Rig {
    machine: Apple,
    world: World,
    /// What the MDM server says; in the end that all is well.
    script: VecDeque<Reply>,
    /// What the CA says in place of what a CA says.
    ca_script: VecDeque<Reply>,
    capabilities: &'static str,
    /// How often the CA says that it is not ready.
    ca_pending: u32,
    /// Who signed what the CA was asked, and the subject that was asked for.
    ca_asked: Vec<(Vec<u8>, String)>,
    /// The key that it was asked to certify.
    ca_spki: Vec<u8>,
    acme: certifying::AcmeServer,
    asked: Vec<Asked>,
    facts: Vec<Fact>,
    ended: Vec<(Operation, Outcome)>,
    orders: Vec<(u8, Order)>,
    /// Whether the shell keeps to its part: then nothing is told that is not on disk.
    keeps_contract: bool,
    /// What is on disk, and the device's identity with it.
    saved: Slept<Apple>,
    saved_identity: Option<Arc<Identity>>,
}

impl Rig {
    fn new(character: Character) -> Self {
        Rig::with(character, &enrollment())
    }

    fn with(character: Character, profile: &str) -> Self {
        let enrolls = Enrolls::Profile(ProfileSource::Bytes(profile.as_bytes().into()));
        Rig {
            machine: Apple::default(),
            world: World::new(Character { enrolls, allow_http: true, ..character }),
            script: VecDeque::new(),
            ca_script: VecDeque::new(),
            capabilities: server::CAPABILITIES,
            ca_pending: 0,
            ca_asked: Vec::new(),
            ca_spki: Vec::new(),
            acme: certifying::AcmeServer::default(),
            asked: Vec::new(),
            facts: Vec::new(),
            ended: Vec::new(),
            orders: Vec::new(),
            keeps_contract: true,
            saved: Slept::default(),
            saved_identity: None,
        }
    }

    fn enrolled(character: Character) -> Self {
        Rig::new(character).enroll()
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
        self.orders.clear();
    }

    fn order(&mut self, order: Order) -> Action {
        let now = self.world.clocks.now;
        self.wake(Wake { reasons: Reasons::ORDER, due: now, notes: &[Note { order, cause: now }] })
    }

    fn push(&mut self) -> Action {
        let due = self.world.clocks.now;
        self.wake(Wake { reasons: Reasons::PUSH, due, notes: &[] })
    }

    /// Pushes, and the server says this.
    fn pushed(&mut self, script: impl IntoIterator<Item = Reply>) -> Action {
        self.asked.clear();
        self.script = script.into_iter().collect();
        self.push()
    }

    fn time(&mut self, action: &Action) -> Action {
        self.pass(action.until);
        let due = self.world.clocks.now;
        self.wake(Wake { reasons: Reasons::TIME, due, notes: &[] })
    }

    fn pass(&mut self, until: Mono) {
        assert!(!until.is_never(), "nothing to wait for");
        let passed = until.since(self.world.clocks.now);
        self.world.clocks.now = until;
        self.world.clocks.wall = self.world.clocks.wall + passed;
    }

    /// Wakes, and does what it says until it rests.
    fn wake(&mut self, wake: Wake<'_>) -> Action {
        let mut action = self.on(Event::Wake(wake));
        for _ in 0..5_000 {
            action = match self.react(action) {
                Ok(next) => next,
                Err(rest) => return rest,
            };
        }
        panic!("no end of it: {:?}", self.operations());
    }

    /// Gives an order, and goes on up to the first request that is such a one.
    fn order_until(&mut self, order: Order, is: impl Fn(&Request) -> bool) -> Action {
        let now = self.world.clocks.now;
        let notes = [Note { order, cause: now }];
        let mut action = self.on(Event::Wake(Wake { reasons: Reasons::ORDER, due: now, notes: &notes }));
        while !matches!(&action.what, What::Request(request) if is(request)) {
            action = self.react(action).unwrap();
        }
        action
    }

    /// Something else than what the action waits for happens; then all goes its way until the device rests.
    fn rest(&mut self, _: Action, happens: impl FnOnce(&mut Rig) -> Action) -> Action {
        let mut action = happens(self);
        loop {
            action = match self.react(action) {
                Ok(next) => next,
                Err(rest) => return rest,
            };
        }
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

    /// Through the store and back, as if the process had ended here.
    fn save(&mut self) {
        let Slept { record, shared, own } = std::mem::take(&mut self.machine).fold();
        let record = Apple::record_from_bytes(&Apple::record_to_bytes(&record)).unwrap();
        let shared = Arc::new(Apple::shared_from_bytes(&Apple::shared_to_bytes(&shared)).unwrap());
        self.saved = Slept { record, shared, own };
        self.saved_identity.clone_from(&self.world.identity);
        self.machine = Apple::open(self.saved.clone());
    }

    fn on(&mut self, event: Event<'_>) -> Action {
        let action = self.machine.on(event, &mut self.world.ctx());
        assert!(action.until > self.world.clocks.now, "{action:?}");
        let out = std::mem::take(&mut self.world.out);
        self.facts.extend(out.facts);
        self.ended.extend(out.ended);
        self.orders.extend(out.orders.iter().map(|(channel, note)| (*channel, note.order)));
        if let Some(identity) = out.identity {
            self.world.identity = identity;
        }
        action
    }

    fn make(&mut self, work: Work) -> Action {
        let made = match work {
            Work::Key { kind } => {
                self.acme.kinds.push(kind);
                Made::Key(KeyIx(self.world.identity.as_ref().map_or(0, |old| old.key.0 + 1)))
            }
            Work::Attest { subject, .. } => {
                self.acme.attested.push(*subject);
                Made::Attestation(Bytes::from_static(b"attestation"))
            }
            Work::AcmeRequest { request, key: ix } => Made::CertificateRequest(request.csr(key(ix)).unwrap().into()),
            Work::WindowsRequest { .. } => panic!("an Apple device asks as Windows does"),
            Work::AcmeOpen { chain, key: ix } => match acme::issued(&chain, key(ix).spki(), &Limits::default()) {
                Ok(certificate) => Made::Identity(Identity { key: ix, certificate: certificate.into() }),
                Err(error) => return self.fail("scep", Reached::Nothing, &error.to_string()),
            },
            Work::Unpack { file, password } => {
                if (&file[..], &*password) != (b"file", "secret") {
                    return self.fail("pkcs12", Reached::Nothing, "does not open");
                }
                let ix = KeyIx(self.world.identity.as_ref().map_or(0, |old| old.key.0 + 1));
                let certificate = authority().issue_identity("given", key(ix).spki(), 9, Wall::VIRTUAL_START).unwrap();
                Made::Identity(Identity { key: ix, certificate: certificate.into() })
            }
            Work::ScepRequest { request, key: ix, signer } => {
                let signer = signer.as_deref().map(|old: &Identity| (key(old.key), &*old.certificate));
                let (body, pending) = scep::build(&request, key(ix), signer, self.world.clocks.wall).unwrap();
                Made::ScepRequest { body: body.into(), pending: Box::new(pending) }
            }
            Work::ScepOpen { reply, pending, key: ix, signer } => {
                let signer = signer.as_deref().map(|old: &Identity| key(old.key));
                match scep::open(&reply, &pending, key(ix), signer, &Limits::default()) {
                    Ok(reply) => Made::ScepReply(reply),
                    Err(error) => return self.fail("scep", Reached::Nothing, &error.to_string()),
                }
            }
        };
        self.on(Event::Made(made))
    }

    fn ask(&mut self, request: &Request) -> Action {
        if matches!(request.peer, Peer::PushService { .. }) {
            return self.answer(200, Bytes::new(), HeaderMap::new());
        }
        let body = match &request.body {
            Body::Empty => Bytes::new(),
            Body::Bytes(bytes) => bytes.clone(),
        };
        let Request { operation, method, ref url, .. } = *request;
        self.asked.push(Asked { operation, method, url: Arc::clone(url), body: body.clone() });
        if request.url.starts_with(certifying::ACME) {
            let (status, body, headers) = self.acme.answer(request, &body, self.world.clocks.wall);
            return self.answer(status, body, headers);
        }
        let reply = if request.url.starts_with("http://ca.test/") {
            self.ca_script.pop_front().unwrap_or_else(|| self.ca(request, &body))
        } else {
            self.look_at(request, &body);
            self.script.pop_front().unwrap_or_else(ok)
        };
        match reply {
            Reply::Says(status, body) => self.answer(status, body, HeaderMap::new()),
            Reply::Moves(status, to) => {
                let headers = HeaderMap::from_iter([(http::header::LOCATION, HeaderValue::from_static(to))]);
                self.answer(status, Bytes::new(), headers)
            }
            Reply::Fails(kind, reached) => self.fail(kind, reached, kind),
        }
    }

    /// What any server would look at, and that what it is told is on disk.
    fn look_at(&mut self, request: &Request, body: &[u8]) {
        if body.is_empty() {
            return;
        }
        let value = plist::read(body, &Limits::default()).unwrap();
        let keys: Vec<&str> = value.as_dict().unwrap().iter().map(|(key, _)| key).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(request.identity, self.world.identity);
        let signs_time = self.world.character.platform != Platform::Macos;
        let Some(Sign::Message { time, .. }) = &request.sign else { panic!("{:?}", request.sign) };
        assert_eq!(time.is_some(), signs_time);
        match request.operation {
            Operation::AppleIdle | Operation::AppleCommand => drop(Received::of(&value).unwrap()),
            _ => match Message::of(&value).unwrap() {
                Message::Authenticate(_) if self.keeps_contract => {
                    assert_eq!(self.saved_identity, self.world.identity, "the identity is not on disk");
                }
                Message::TokenUpdate(update) if self.keeps_contract => {
                    assert_eq!(self.saved.record.token, self.machine.record().token, "the token is not on disk");
                    let record = self.machine.record();
                    assert_eq!(Apple::magic(&record, &self.world.ctx()).as_deref(), Some(update.push_magic));
                }
                _ => {}
            },
        }
    }

    fn ca(&mut self, request: &Request, body: &[u8]) -> Reply {
        let message = match request.operation {
            Operation::AppleScepCaps => return Reply::Says(200, self.capabilities.into()),
            Operation::AppleScepCa => return Reply::Says(200, Bytes::copy_from_slice(authority().certificate())),
            _ if request.method == Method::Get => message_of(&request.url),
            _ => body.to_vec(),
        };
        let received = server::open(&message, authority(), &Limits::default()).unwrap();
        let waits = self.ca_pending > 0;
        self.ca_pending = self.ca_pending.saturating_sub(1);
        let issued = match &received.what {
            server::Wanted::Issue(csr) => {
                assert_eq!(csr.challenge.as_deref(), Some("secret"));
                self.ca_spki.clone_from(&csr.spki);
                self.ca_asked.push((received.signer.clone(), csr.subject.clone()));
                let ordinal = self.asked.len() as u64 + u64::from(self.machine.record().generation) * 100;
                authority().issue_identity("x", &csr.spki, ordinal, self.world.clocks.wall).unwrap()
            }
            server::Wanted::Poll => authority().issue_identity("x", &self.ca_spki, 77, self.world.clocks.wall).unwrap(),
        };
        let verdict = if waits { server::Verdict::Pending } else { server::Verdict::Issued(&issued) };
        Reply::Says(200, server::reply(&received, verdict, authority(), [3; 16]).unwrap().into())
    }

    fn answer(&mut self, status: u16, body: Bytes, headers: HeaderMap) -> Action {
        self.on(Event::Response(Response { status, headers: &headers, body, digested: 0 }))
    }

    fn fail(&mut self, kind: &'static str, reached: Reached, text: &str) -> Action {
        let blame = if kind == "scep" { Blame::Server } else { Blame::Network };
        self.on(Event::Failed(Failure { blame, kind, reached, text: text.into() }))
    }

    fn operations(&self) -> Vec<&'static str> {
        self.asked.iter().map(|asked| asked.operation.name()).collect()
    }

    /// The message that was sent as number `n`.
    fn message(&self, n: usize) -> plist::Value {
        plist::read(&self.asked[n].body, &Limits::default()).unwrap()
    }

    fn status(&self, n: usize) -> String {
        self.message(n).get("Status").and_then(|status| status.as_str()).unwrap_or_default().to_owned()
    }

    fn statuses(&self) -> Vec<String> {
        (0..self.asked.len()).map(|n| self.status(n)).collect()
    }

    /// Code of the first item of an answer's `ErrorChain`.
    fn error(&self, n: usize) -> Option<i64> {
        let message = self.message(n);
        message.get("ErrorChain")?.as_array()?.first()?.get("ErrorCode")?.as_i64()
    }

    fn count(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.facts.iter().filter(|fact| is(fact)).count()
    }

    /// How long until it wakes by itself.
    fn wait(&self, action: &Action) -> Dur {
        assert!(matches!(action.what, What::Sleep { .. }), "{action:?}: {:?}", self.facts);
        action.until.since(self.world.clocks.now)
    }
}

/// The message of a PKIOperation by GET.
fn message_of(url: &str) -> Vec<u8> {
    use base64::Engine;
    let base64 = url.split_once("message=").unwrap().1.replace("%3D", "=");
    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}

const IN: [&str; 5] =
    ["apple.scep.caps", "apple.scep.ca", "apple.scep.issue", "apple.authenticate", "apple.token_update"];
