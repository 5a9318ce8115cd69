//! The practice server without its sockets.

use super::declarations;
use super::device::{Enrollment, Queued};
use super::faults::{self, Faults};
use super::profile;
use super::truth::{Struck, Truth};
use bytes::Bytes;
use droves_facts::{CommandStatus, Dur, Limits, Mono, Wall};
use droves_scenario::plan::ServerFault;
use droves_wire::apple::checkin::{self, Message};
use droves_wire::apple::command;
use droves_wire::apple::identity::{EnrollmentId, Who};
use droves_wire::apple::result::{Received, Said};
use droves_wire::apple::scep::FailInfo;
use droves_wire::apple::scep::server::{self as scep, Verdict, Wanted};
use droves_wire::apple::signature;
use droves_wire::ca::Authority;
use droves_wire::{digest, plist, x509};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Enrollments that fit.
const ENROLLMENTS_MAX: usize = 2_000_000;
/// Bytes of a bootstrap token that are kept; real ones have about a hundred.
const BOOTSTRAP_MAX: usize = 4_096;
/// Commands that wait for one enrollment.
const QUEUE_MAX: usize = 10_000;

/// A request as the brain takes it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query, as it came.
    pub query: &'a str,
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// What says whose it is.
    pub proof: Proof<'a>,
    /// The body.
    pub body: &'a [u8],
}

/// What a request has to say whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof<'a> {
    /// Nothing.
    Nothing,
    /// `Mdm-Signature`.
    Signature(&'a [u8]),
    /// A certificate, DER, that whoever stands in front of the server vouches for, as a proxy does that ends TLS.
    Vouched(&'a [u8]),
}

/// What the server believes of an enrollment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Belief<'a> {
    /// Whether it is enrolled.
    pub enrolled: bool,
    /// SHA-256 of the identity; none for a user channel, which has the device's.
    pub certificate: Option<[u8; 32]>,
    /// The push token.
    pub token: &'a [u8],
    /// What pushes carry.
    pub magic: &'a str,
    /// Commands that wait.
    pub pending: usize,
}

/// An answer, and how it is given.
#[derive(Clone, PartialEq, Debug)]
pub struct Outgoing {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
    /// It is held back so long.
    pub after: Dur,
    /// The connection is closed in its place.
    pub hangs_up: bool,
}

/// A push that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wake {
    /// The token, hexadecimal.
    pub token: String,
    /// The magic.
    pub magic: String,
}

/// The server.
#[derive(Debug)]
pub struct Brain {
    authority: Arc<Authority>,
    url: String,
    topic: String,
    token: String,
    challenge: String,
    limits: Limits,
    faults: Faults,
    enrollments: HashMap<String, Enrollment>,
    truth: Truth,
    issued: u64,
    nonces: u64,
}

impl Brain {
    /// A server that nobody is enrolled at. `token` is the administrator's bearer token.
    pub fn new(
        authority: Arc<Authority>,
        url: String,
        topic: String,
        token: String,
        limits: Limits,
        faults: Faults,
    ) -> Self {
        let challenge = hex::encode(&digest::sha256(token.as_bytes())[..12]);
        Brain {
            authority,
            url,
            topic,
            token,
            challenge,
            limits,
            faults,
            enrollments: HashMap::new(),
            truth: Truth::default(),
            issued: 0,
            nonces: 0,
        }
    }

    /// The faults on order.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// What has happened, as JSON.
    pub fn truth(&self) -> serde_json::Value {
        let enrolled =
            |users: bool| self.enrollments.iter().filter(|(id, e)| e.enrolled && id.contains(':') == users).count();
        let pending = self.enrollments.values().map(Enrollment::pending).sum();
        self.truth.json(enrolled(false), enrolled(true), pending)
    }

    /// What is believed of the enrollment with this id; none of one that was never heard of.
    pub fn believes(&self, id: &str) -> Option<Belief<'_>> {
        let of = self.enrollments.get(id)?;
        let (token, magic) = (of.token.as_slice(), of.magic.as_str());
        Some(Belief { enrolled: of.enrolled, certificate: of.certificate, token, magic, pending: of.pending() })
    }

    /// What has become of a push.
    pub fn pushed(&mut self, what: &str) {
        self.truth.push(what);
    }

    /// Answers a request; pushes that it leads to are put into `wakes`.
    pub fn answer(&mut self, now: Mono, wall: Wall, request: &Incoming<'_>, wakes: &mut Vec<Wake>) -> Outgoing {
        let is_device = matches!(request.path, "/mdm" | "/checkin");
        let fault = if is_device { self.device_fault(now, request.body) } else { None };
        let mut outgoing = match fault {
            Some(ServerFault::Answer(status)) => text(status, "on order"),
            Some(ServerFault::HangUp) => Outgoing { hangs_up: true, ..text(503, "on order") },
            _ => self.route(now, wall, request, wakes),
        };
        if let Some(ServerFault::Slow(delay)) = fault {
            outgoing.after = self.faults.delay(delay);
        }
        if !outgoing.hangs_up {
            let path = if request.path.starts_with("/admin/") { "/admin" } else { request.path };
            let known = matches!(path, "/mdm" | "/checkin" | "/scep" | "/enroll" | "/admin" | "/_truth");
            let path = if known { path } else { "other" };
            *self.truth.requests.entry((path.to_owned(), outgoing.status)).or_default() += 1;
        }
        outgoing
    }

    fn device_fault(&mut self, now: Mono, body: &[u8]) -> Option<ServerFault> {
        let wanted =
            |fault: &ServerFault| matches!(fault, ServerFault::Answer(_) | ServerFault::Slow(_) | ServerFault::HangUp);
        if !self.faults.has(wanted) {
            return None;
        }
        let value = plist::read(body, &self.limits).ok();
        let id = value.as_ref().and_then(|value| Who::of(value.as_dict()?).ok()).map(|who| enrollment_id(&who));
        self.strike(now, id.as_deref(), None, wanted)
    }

    /// The fault that strikes, if one does; it is written down.
    fn strike(
        &mut self,
        now: Mono,
        enrollment: Option<&str>,
        command: Option<&str>,
        wanted: impl Fn(&ServerFault) -> bool,
    ) -> Option<ServerFault> {
        let fault = self.faults.strike(now, enrollment, wanted)?;
        let (enrollment, command) = (enrollment.map(str::to_owned), command.map(str::to_owned));
        self.truth.struck(Struck { kind: faults::name(&fault), at: now, enrollment, command });
        Some(fault)
    }

    fn route(&mut self, now: Mono, wall: Wall, request: &Incoming<'_>, wakes: &mut Vec<Wake>) -> Outgoing {
        match (request.method, request.path) {
            ("GET", "/enroll") => Outgoing {
                content_type: "application/x-apple-aspen-config",
                body: profile::write(&self.url, &self.topic, &self.challenge).into(),
                ..text(200, "")
            },
            ("GET" | "POST", "/scep") => self.scep(wall, request),
            ("PUT", "/checkin") => self.checkin(wall, request),
            ("PUT", "/mdm") => self.mdm(now, request),
            ("GET", "/_truth") => answer_json(200, &self.truth()),
            (_, path) if path.starts_with("/admin/v1/") => {
                let bearer = request.authorization.and_then(|value| value.strip_prefix(b"Bearer "));
                // Compared by digest, so that the time says nothing.
                if bearer.map(digest::sha256) != Some(digest::sha256(self.token.as_bytes())) {
                    return text(401, "the token is not the one that the server printed");
                }
                self.admin(now, request, wakes)
            }
            _ => text(404, "no such place"),
        }
    }

    fn scep(&mut self, wall: Wall, request: &Incoming<'_>) -> Outgoing {
        match parameter(request.query, "operation").unwrap_or_default().as_str() {
            "GetCACaps" => text(200, scep::CAPABILITIES),
            "GetCACert" => Outgoing {
                content_type: "application/x-x509-ca-cert",
                body: Bytes::copy_from_slice(self.authority.certificate()),
                ..text(200, "")
            },
            "PKIOperation" => {
                let message = match request.method {
                    "GET" => {
                        use base64::Engine;
                        let text = parameter(request.query, "message").unwrap_or_default();
                        base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
                    }
                    _ => request.body.to_vec(),
                };
                match self.issue(wall, &message) {
                    Ok(reply) => {
                        Outgoing { content_type: "application/x-pki-message", body: reply.into(), ..text(200, "") }
                    }
                    Err(why) => text(400, &why),
                }
            }
            _ => text(400, "no such operation"),
        }
    }

    fn issue(&mut self, wall: Wall, message: &[u8]) -> Result<Vec<u8>, String> {
        let received = scep::open(message, &self.authority, &self.limits).map_err(|error| error.to_string())?;
        self.nonces += 1;
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&digest::sha256(&[&received.nonce[..], &self.nonces.to_be_bytes()].concat())[..16]);
        let reply = |verdict: Verdict<'_>| scep::reply(&received, verdict, &self.authority, nonce);
        let Wanted::Issue(csr) = &received.what else {
            return reply(Verdict::Failed(&FailInfo::BadCertId)).map_err(|error| error.to_string());
        };
        // A renewal is signed by an identity of ours; anybody else has to know the challenge.
        let is_renewal = x509::verify(&received.signer, self.authority.certificate()).is_ok();
        if !is_renewal && csr.challenge.as_deref() != Some(&self.challenge) {
            return reply(Verdict::Failed(&FailInfo::BadRequest)).map_err(|error| error.to_string());
        }
        self.issued += 1;
        let certificate = self
            .authority
            .issue_identity(&csr.common_name, &csr.spki, self.issued, wall)
            .map_err(|error| error.to_string())?;
        self.truth.issued += 1;
        reply(Verdict::Issued(&certificate)).map_err(|error| error.to_string())
    }

    /// The digest of the identity that has signed the body, if it is one of ours.
    fn signer(&self, request: &Incoming<'_>) -> Result<[u8; 32], Outgoing> {
        let header = match request.proof {
            Proof::Nothing => return Err(text(401, "no Mdm-Signature")),
            Proof::Vouched(certificate) => return Ok(digest::sha256(certificate)),
            Proof::Signature(header) => header,
        };
        let certificate =
            signature::verify(header, request.body, &self.limits).map_err(|error| text(401, &format!("{error}")))?;
        x509::verify(&certificate, self.authority.certificate())
            .map_err(|_| text(401, "the identity is not of this server's CA"))?;
        Ok(digest::sha256(&certificate))
    }

    fn checkin(&mut self, _wall: Wall, request: &Incoming<'_>) -> Outgoing {
        let signer = match self.signer(request) {
            Ok(signer) => signer,
            Err(refusal) => return refusal,
        };
        let value = match plist::read(request.body, &self.limits) {
            Ok(value) => value,
            Err(error) => return text(400, &error.to_string()),
        };
        let message = match Message::of(&value) {
            Ok(message) => message,
            Err(error) => return text(400, &error.to_string()),
        };
        let name = message.name();
        let (mut body, mut kind) = (Vec::new(), checkin::CONTENT_TYPE);
        let outcome = match message {
            Message::Authenticate(authenticate) => self.authenticate(&device_id(&authenticate.id), signer),
            Message::TokenUpdate(update) => self.token_update(&update.who, signer, update.token, update.push_magic),
            Message::CheckOut { id, .. } => self.known(&device_id(&id), signer).map(|()| {
                self.leave(&device_id(&id));
            }),
            Message::SetBootstrapToken { id, token, .. } => self.known(&device_id(&id), signer).map(|()| {
                let enrollment = self.enrollments.entry(device_id(&id)).or_default();
                enrollment.bootstrap = token.filter(|token| token.len() <= BOOTSTRAP_MAX).map(<[u8]>::to_vec);
            }),
            Message::GetBootstrapToken { id, .. } => self.known(&device_id(&id), signer).map(|()| {
                let held = self.enrollments.get(&device_id(&id)).and_then(|enrollment| enrollment.bootstrap.as_ref());
                if let Some(token) = held {
                    checkin::write_bootstrap_token(&mut body, token);
                }
            }),
            Message::DeclarativeManagement { who, endpoint, .. } => {
                self.known(&device_id(&who.id), signer).and_then(|()| {
                    if endpoint == "status" {
                        self.truth.status_reports += 1;
                    }
                    body = declarations::answer(endpoint).ok_or_else(|| text(404, "no such declaration"))?;
                    kind = "application/json";
                    Ok(())
                })
            }
            Message::UserAuthenticate { .. } => Err(text(410, "network users are not managed here")),
        };
        match outcome {
            Ok(()) => {
                *self.truth.checkins.entry(name).or_default() += 1;
                Outgoing { content_type: kind, body: body.into(), ..text(200, "") }
            }
            Err(refusal) => refusal,
        }
    }

    fn authenticate(&mut self, id: &str, signer: [u8; 32]) -> Result<(), Outgoing> {
        if self.enrollments.len() >= ENROLLMENTS_MAX && !self.enrollments.contains_key(id) {
            return Err(text(503, "the practice server is full"));
        }
        let enrollment = self.enrollments.entry(id.to_owned()).or_default();
        // A device that renews its identity stays enrolled, and so do its commands.
        if !enrollment.enrolled {
            enrollment.clear();
        }
        enrollment.certificate = Some(signer);
        Ok(())
    }

    fn token_update(&mut self, who: &Who<'_>, signer: [u8; 32], token: &[u8], magic: &str) -> Result<(), Outgoing> {
        self.known(&device_id(&who.id), signer)?;
        let enrollment = self.enrollments.entry(enrollment_id(who)).or_default();
        enrollment.enrolled = true;
        enrollment.token = token.to_vec();
        magic.clone_into(&mut enrollment.magic);
        Ok(())
    }

    /// Whether a device has said Authenticate with this identity.
    fn known(&self, device: &str, signer: [u8; 32]) -> Result<(), Outgoing> {
        match self.enrollments.get(device).and_then(|enrollment| enrollment.certificate) {
            Some(certificate) if certificate == signer => Ok(()),
            Some(_) => Err(text(403, "another identity is enrolled for this device")),
            None => Err(text(401, "not enrolled here")),
        }
    }

    /// The device and its users are gone.
    fn leave(&mut self, device: &str) {
        for (id, enrollment) in &mut self.enrollments {
            if id == device || id.strip_prefix(device).is_some_and(|rest| rest.starts_with(':')) {
                enrollment.enrolled = false;
                enrollment.certificate = None;
                enrollment.clear();
            }
        }
    }

    fn mdm(&mut self, now: Mono, request: &Incoming<'_>) -> Outgoing {
        let signer = match self.signer(request) {
            Ok(signer) => signer,
            Err(refusal) => return refusal,
        };
        let value = match plist::read(request.body, &self.limits) {
            Ok(value) => value,
            Err(error) => return text(400, &error.to_string()),
        };
        let received = match Received::of(&value) {
            Ok(received) => received,
            Err(error) => return text(400, &error.to_string()),
        };
        let (device, id) = (device_id(&received.who.id), enrollment_id(&received.who));
        if let Err(refusal) = self.known(&device, signer) {
            return refusal;
        }
        let Some(enrollment) = self.enrollments.get_mut(&id).filter(|enrollment| enrollment.enrolled) else {
            return text(401, "this channel has not said TokenUpdate");
        };
        match &received.said {
            Said::Idle => enrollment.connected(),
            Said::Answered { uuid, status, .. } => {
                let command = enrollment.answered(uuid, *status);
                let request = command.as_ref().map_or("other", |command| command.request.as_str());
                self.truth.command(&id, uuid, request, status_word(*status));
                if let Some(command) = command {
                    self.answered(now, &device, &id, &command, *status);
                }
            }
        }
        let Some(next) = self.enrollments.get(&id).and_then(Enrollment::next) else { return text(200, "") };
        self.truth.command(&id, &next.uuid, &next.request, "delivered");
        Outgoing { content_type: command::CONTENT_TYPE, body: next.plist.clone(), ..text(200, "") }
    }

    fn answered(&mut self, now: Mono, device: &str, id: &str, command: &Arc<Queued>, status: CommandStatus) {
        if status == CommandStatus::NotNow {
            return;
        }
        let is_copy = command.is_copy;
        let wanted = |fault: &ServerFault| !is_copy && matches!(fault, ServerFault::RepeatCommand);
        let repeat = self.strike(now, Some(id), Some(&command.uuid), wanted);
        if repeat.is_some()
            && let Some(enrollment) = self.enrollments.get_mut(id)
        {
            let (uuid, request, plist) = (command.uuid.clone(), command.request.clone(), command.plist.clone());
            enrollment.push(Arc::new(Queued { uuid, request, plist, is_copy: true }));
        }
        if command.request == "EraseDevice" && status == CommandStatus::Acknowledged && device == id {
            self.leave(device);
        }
    }

    fn admin(&mut self, now: Mono, request: &Incoming<'_>, wakes: &mut Vec<Wake>) -> Outgoing {
        let ids: Vec<String> = parameter(request.query, "ids")
            .map(|ids| ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default();
        match (request.method, request.path) {
            ("PUT", "/admin/v1/commands") => self.queue(now, &ids, request.body),
            ("POST", "/admin/v1/push") => self.wake(now, &ids, wakes),
            ("GET", path) => match path.strip_prefix("/admin/v1/enrollments/") {
                Some(id) => {
                    let id = percent_decoded(id);
                    let known = self.enrollments.get(&id);
                    let enrolled = known.is_some_and(|enrollment| enrollment.enrolled);
                    let pending = known.map_or(0, Enrollment::pending);
                    answer_json(200, &json!({ "enrolled": enrolled, "pending": pending }))
                }
                None => text(404, "no such place"),
            },
            _ => text(405, "not so"),
        }
    }

    fn queue(&mut self, now: Mono, ids: &[String], body: &[u8]) -> Outgoing {
        let offered = match command::parse(body, &self.limits) {
            Ok(Some(offered)) => offered,
            Ok(None) => return text(400, "no command"),
            Err(error) => return text(400, &error.why.to_string()),
        };
        let command = Arc::new(Queued {
            uuid: offered.uuid.to_string(),
            request: offered.request_type.to_string(),
            plist: Bytes::copy_from_slice(body),
            is_copy: false,
        });
        let mut failed = BTreeMap::new();
        for id in ids {
            let is_enrolled = self.enrollments.get(id).is_some_and(|enrollment| enrollment.enrolled);
            if !is_enrolled {
                failed.insert(id.clone(), "not enrolled");
                continue;
            }
            self.truth.command(id, &command.uuid, &command.request, "queued");
            let wanted =
                |fault: &ServerFault| matches!(fault, ServerFault::LoseCommand | ServerFault::MisdeliverCommand);
            let fault = self.strike(now, Some(id), Some(&command.uuid), wanted);
            let target = match fault {
                Some(ServerFault::LoseCommand) => continue,
                Some(_) => self.somebody_else(ids, &command.uuid).unwrap_or_else(|| id.clone()),
                None => id.clone(),
            };
            match self.enrollments.get_mut(&target) {
                Some(enrollment) if enrollment.pending() < QUEUE_MAX => enrollment.push(Arc::clone(&command)),
                _ => {
                    failed.insert(id.clone(), "queue is full");
                }
            }
        }
        let status = if failed.is_empty() { 200 } else { 207 };
        answer_json(status, &json!({ "command_uuid": command.uuid, "failed": failed }))
    }

    /// An enrolled channel that is not among these, and has no copy yet.
    fn somebody_else(&mut self, ids: &[String], uuid: &str) -> Option<String> {
        let is_other = |(id, e): &(&String, &Enrollment)| e.enrolled && !e.has(uuid) && !ids.contains(id);
        let mut others: Vec<&String> = self.enrollments.iter().filter(is_other).map(|(id, _)| id).collect();
        others.sort_unstable();
        let number = self.faults.number();
        (!others.is_empty()).then(|| others[(number % others.len() as u64) as usize].clone())
    }

    fn wake(&mut self, now: Mono, ids: &[String], wakes: &mut Vec<Wake>) -> Outgoing {
        let mut failed = BTreeMap::new();
        for id in ids {
            let Some(enrollment) = self.enrollments.get(id).filter(|enrollment| enrollment.enrolled) else {
                failed.insert(id.clone(), "not enrolled");
                continue;
            };
            let wake = Wake { token: hex::encode(&enrollment.token), magic: enrollment.magic.clone() };
            self.truth.push("asked");
            let fault = self.strike(now, Some(id), None, |fault| matches!(fault, ServerFault::ForgetPush));
            if fault.is_none() {
                wakes.push(wake);
            }
        }
        let status = if failed.is_empty() { 200 } else { 207 };
        answer_json(status, &json!({ "failed": failed }))
    }
}

fn device_id(id: &EnrollmentId<'_>) -> String {
    match id {
        EnrollmentId::Udid(id) | EnrollmentId::Enrollment(id) => (*id).to_owned(),
    }
}

fn enrollment_id(who: &Who<'_>) -> String {
    let device = device_id(&who.id);
    who.user.map_or_else(|| device.clone(), |user| format!("{device}:{}", user.id))
}

fn status_word(status: CommandStatus) -> &'static str {
    match status {
        CommandStatus::Acknowledged => "acknowledged",
        CommandStatus::Error => "error",
        CommandStatus::FormatError => "format_error",
        CommandStatus::NotNow => "not_now",
    }
}

/// A query's parameter, percent-decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(percent_decoded)
}

/// RFC 3986, 2.1. `+` stays as it is: Apple's clients mean it.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|pair| hex::decode(pair).ok()) {
            Some(decoded) => {
                out.extend(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn text(status: u16, body: &str) -> Outgoing {
    Outgoing {
        status,
        content_type: "text/plain; charset=utf-8",
        body: Bytes::copy_from_slice(body.as_bytes()),
        after: Dur::ZERO,
        hangs_up: false,
    }
}

fn answer_json(status: u16, value: &serde_json::Value) -> Outgoing {
    Outgoing { content_type: "application/json", body: value.to_string().into(), ..text(status, "") }
}
