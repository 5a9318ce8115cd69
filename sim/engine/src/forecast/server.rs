//! What the server says in virtual time: the answers of a good MDM server to devices that it knows, without a signature
//! checked or a certificate issued. Lengths are those of real messages, so that bytes can be counted.

use super::agents::{self, is_of_agent};
use super::androids::Androids;
use super::mind;
use super::pcs::{self, Pcs};
use super::{Side, Troubles, acme};
use crate::admin::{Command, Says};
use crate::faults::{LaneFaults, delay_of};
use bytes::Bytes;
use droves_device::{Body, Clocks, Failure, Identity, KeyIx, Link, Made, Reached, Request, Sign, Token, Work};
use droves_emulators::practice::{self, Brain, Enrollment, Queued};
use droves_facts::{
    Blame, CommandStatus, Dice, Dur, Family, LaneIx, Limits, Mono, Operation, PhaseIx, PopulationIx, Purpose,
};
use droves_scenario::plan::{FaultKind, Plan, ServerFault};
use droves_shard::Answer;
use droves_shard::forecast::{Happened, Line, Notification, World};
use droves_wire::apple::checkin::Message;
use droves_wire::apple::result::{Received, Said};
use droves_wire::apple::scep::{self, server::CAPABILITIES};
use droves_wire::plist;
use http::HeaderMap;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The CA's certificate in GetCACert's answer: a real one whose key nobody has.
const CA: &[u8] = include_bytes!("ca.der");
/// A PKIOperation with a PKCSReq, RSA-2048, as a device sends it.
pub const SCEP_REQUEST_BYTES: usize = 2_540;
/// A CertRep with one certificate, RSA-2048.
pub const SCEP_REPLY_BYTES: usize = 2_610;
/// An attestation object with two certificates of P-384, and a certificate request for a P-256 key.
const ATTESTATION_BYTES: usize = 1_040;
const ACME_REQUEST_BYTES: usize = 380;
/// What a device's key, SCEP message and identity cost a helper thread (docs/performance.md: about 7 signatures).
const MAKE: Dur = Dur::ms(2);

/// The server, and what of the network and of the keys is not the model's.
pub(crate) struct Server {
    profile: Bytes,
    /// Lanes that the server knows, looked up by lane only.
    lanes: HashMap<LaneIx, Enrollment>,
    /// What it is to Windows devices and to Android's, if there are any: the practice server's mind answers for it.
    mind: Option<Brain>,
    pcs: Option<Pcs>,
    androids: Option<Androids>,
    /// Whether a lane that was never heard of is enrolled.
    knows_all: bool,
    limits: Limits,
    troubles: Troubles,
    answers: LaneFaults,
    losses: LaneFaults,
    silences: LaneFaults,
    dice: Dice,
    delays: u64,
}

impl Server {
    pub(crate) fn new(plan: &Plan, profile: Bytes, knows_all: bool, limits: Limits) -> Self {
        let server = |wanted: fn(&ServerFault) -> bool| {
            LaneFaults::of(plan, move |what| matches!(what, FaultKind::Server(fault) if wanted(fault)))
        };
        let has = |family| plan.has(family);
        let mut mind = (has(Family::Windows) || has(Family::Android)).then(|| mind::mind(plan, limits.clone()));
        let androids = mind.as_mut().filter(|_| has(Family::Android)).map(|mind| Androids::new(plan, mind));
        Server {
            profile,
            lanes: HashMap::new(),
            mind,
            pcs: has(Family::Windows).then(|| Pcs::new(plan, limits.clone())),
            androids,
            knows_all,
            limits,
            troubles: Troubles::of(plan),
            answers: server(|f| matches!(f, ServerFault::Answer(_) | ServerFault::Slow(_) | ServerFault::HangUp)),
            losses: server(|fault| matches!(fault, ServerFault::LoseCommand)),
            silences: server(|fault| matches!(fault, ServerFault::ForgetPush)),
            dice: plan.dice(),
            delays: 0,
        }
    }

    fn known(&mut self, lane: LaneIx) -> &mut Enrollment {
        let enrolled = self.knows_all;
        self.lanes.entry(lane).or_insert_with(|| {
            let mut unheard = Enrollment::default();
            unheard.enrolled = enrolled;
            unheard
        })
    }

    fn delay(&mut self, delay: droves_scenario::plan::Delay) -> Dur {
        self.delays += 1;
        delay_of(delay, &mut self.dice.draw(1, Purpose::Model, self.delays))
    }

    /// The body of a good answer.
    fn says(&mut self, lane: LaneIx, request: &Request) -> Result<Bytes, u16> {
        let body = match &request.body {
            Body::Empty => &[][..],
            Body::Bytes(bytes) => bytes,
        };
        match request.operation {
            Operation::AppleProfile => Ok(self.profile.clone()),
            Operation::AppleTokenUpdate => {
                let lane = self.known(lane);
                if !lane.enrolled {
                    lane.clear();
                }
                lane.enrolled = true;
                Ok(Bytes::new())
            }
            Operation::AppleCheckOut => {
                self.lanes.insert(lane, Enrollment::default());
                Ok(Bytes::new())
            }
            Operation::AppleTokens | Operation::AppleItems | Operation::AppleDeclaration | Operation::AppleStatus => {
                self.declaration(body).map(Bytes::from).ok_or(404)
            }
            Operation::AppleIdle if !self.lanes.contains_key(&lane) => Ok(Bytes::new()),
            Operation::AppleIdle => {
                self.known(lane).connected();
                Ok(self.next(lane))
            }
            Operation::AppleCommand => {
                self.answered(lane, body);
                Ok(self.next(lane))
            }
            _ => Ok(Bytes::new()),
        }
    }

    fn next(&mut self, lane: LaneIx) -> Bytes {
        self.known(lane).next().map_or_else(Bytes::new, |queued| queued.body.clone())
    }

    fn answered(&mut self, lane: LaneIx, body: &[u8]) {
        let Ok(value) = plist::read(body, &self.limits) else { return };
        let Ok(Received { said: Said::Answered { uuid, status, .. }, .. }) = Received::of(&value) else { return };
        let command = self.known(lane).answered(uuid, status);
        if status == CommandStatus::Acknowledged && command.is_some_and(|command| command.request == "EraseDevice") {
            self.lanes.insert(lane, Enrollment::default());
        }
    }

    fn declaration(&self, body: &[u8]) -> Option<Vec<u8>> {
        let value = plist::read(body, &self.limits).ok()?;
        let Ok(Message::DeclarativeManagement { endpoint, .. }) = Message::of(&value) else { return None };
        practice::declaration(endpoint)
    }
}

impl Side for Server {
    fn phase_begins(&mut self, phase: PhaseIx, now: Mono) {
        self.troubles.phase_begins(phase, now);
        if let Some(androids) = &mut self.androids {
            androids.phase_begins(Some(phase), now);
        }
        for faults in [&self.answers, &self.losses, &self.silences] {
            faults.phase_begins(phase, now);
        }
    }

    fn phase_ends(&mut self, phase: PhaseIx) {
        self.troubles.phase_ends(phase);
        if let Some(androids) = &mut self.androids {
            androids.phase_ends(phase);
        }
        for faults in [&self.answers, &self.losses, &self.silences] {
            faults.phase_ends(phase);
        }
    }

    fn queue(&mut self, clocks: Clocks, lanes: &[LaneIx], command: &Arc<Command>) -> Vec<LaneIx> {
        let queued = of_apple(command);
        if let (None, Some(mind)) = (&queued, &mut self.mind) {
            let is_lost = |lane: &&LaneIx| !self.losses.strike(**lane, clocks.now).is_empty();
            let (lost, kept): (Vec<LaneIx>, Vec<LaneIx>) = lanes.iter().partition(is_lost);
            let (troubles, silences) = (&self.troubles, &self.silences);
            let is_silent = |lane| !silences.strike(lane, clocks.now).is_empty();
            let is_unheard = |lane| troubles.loses_push(lane, clocks.now) || is_silent(lane);
            let androids = self.androids.as_mut();
            let by_android = androids.and_then(|androids| androids.queue(mind, clocks, &kept, command, is_unheard));
            let by_pcs = || self.pcs.as_ref().map(|pcs| pcs.queue(mind, clocks, &kept, command));
            return lost.into_iter().chain(by_android.or_else(by_pcs).unwrap_or_default()).collect();
        }
        let mut taken = lanes.to_vec();
        taken.retain(|&lane| {
            let is_lost = !self.losses.strike(lane, clocks.now).is_empty();
            let lane = self.known(lane);
            if let Some(queued) = queued.as_ref().filter(|_| lane.enrolled && !is_lost) {
                lane.push(Arc::clone(queued));
            }
            lane.enrolled
        });
        taken
    }

    fn tokens(&mut self, plan: &Plan) -> BTreeMap<PopulationIx, Token> {
        match (&mut self.mind, &mut self.androids) {
            (Some(mind), Some(androids)) => androids.tokens(plan, mind),
            _ => BTreeMap::new(),
        }
    }

    fn returned(&mut self) -> Option<String> {
        self.androids.as_mut().and_then(|androids| androids.agents.take_returned())
    }

    fn push(&mut self, clocks: Clocks, lane: LaneIx) -> Option<Vec<Notification>> {
        let is_lost = self.troubles.loses_push(lane, clocks.now) || !self.silences.strike(lane, clocks.now).is_empty();
        if self.androids.as_ref().is_some_and(|androids| androids.knows(lane)) {
            // Google nudges them, or their agent hears of it over its link.
            return Some(Vec::new());
        }
        let (is_enrolled, late) = match (&mut self.pcs, &self.mind) {
            (Some(pcs), Some(mind)) if pcs.knows(lane) => (pcs.can_push(mind, lane), pcs.late(lane)),
            _ => (self.known(lane).enrolled, Dur::ZERO),
        };
        let notification = Notification { lane, magic: None, late, is_refused: false, urgent: false };
        is_enrolled.then(|| (!is_lost).then_some(notification).into_iter().collect())
    }
}

impl World for Server {
    fn answer(&mut self, clocks: Clocks, lane: LaneIx, request: &Request) -> (Dur, Result<Answer, Failure>) {
        let answer = |status, body| Ok(Answer { status, headers: HeaderMap::new(), body, digested: 0 });
        // A server and its SCEP service can be two: faults on order are the server's.
        let (of_windows, of_agent) = (is_of_windows(request.operation), is_of_agent(request.operation));
        let is_servers = of_windows
            || of_agent
            || matches!(request.sign, Some(Sign::Message { .. }))
            || matches!(request.operation, Operation::AppleProfile);
        let struck = if is_servers { self.answers.strike(lane, clocks.now).into_iter().next() } else { None };
        let held = match struck {
            Some(FaultKind::Server(ServerFault::Answer(status))) => {
                return (Dur::ZERO, answer(status, Bytes::from_static(b"on order")));
            }
            Some(FaultKind::Server(ServerFault::HangUp)) => {
                let text = format!("{}: the server hung up", request.url).into();
                return (
                    Dur::ZERO,
                    Err(Failure { blame: Blame::Server, kind: "closed", reached: Reached::Sent, text }),
                );
            }
            Some(FaultKind::Server(ServerFault::Slow(delay))) => self.delay(delay),
            _ => Dur::ZERO,
        };
        if let Some(answer) = ca_says(request) {
            return (held, Ok(answer));
        }
        match (&mut self.mind, &mut self.pcs, &mut self.androids) {
            (Some(mind), Some(pcs), _) if of_windows => return (held, Ok(pcs.answer(mind, clocks, lane, request))),
            (Some(mind), _, Some(androids)) if of_agent => {
                let (hold, answer) = androids.agents.answer(mind, clocks, lane, request);
                return (held + hold, Ok(agents::told(answer)));
            }
            _ => {}
        }
        match self.says(lane, request) {
            Ok(body) => (held, answer(200, body)),
            Err(status) => (held, answer(status, Bytes::new())),
        }
    }

    fn make(&mut self, _clocks: Clocks, lane: LaneIx, work: Work) -> (Dur, Result<Made, Failure>) {
        // Nobody reads the certificate: a device in virtual time is not asked to prove itself.
        (MAKE, Ok(made(lane, work, Box::default())))
    }

    fn line(&mut self, clocks: Clocks, lane: LaneIx) -> Line {
        self.troubles.line(lane, clocks.now)
    }

    fn google(&mut self, clocks: Clocks, lane: LaneIx, ask: &Bytes) -> (u16, Bytes) {
        self.androids.as_mut().map_or_else(|| (503, Bytes::new()), |androids| androids.google(clocks, lane, ask))
    }

    fn link(&mut self, clocks: Clocks, lane: LaneIx, link: &Link) -> Result<Bytes, Failure> {
        match (&mut self.mind, &mut self.androids) {
            (Some(mind), Some(androids)) => androids.agents.link(mind, clocks, lane, link),
            _ => Err(Failure {
                blame: Blame::Network,
                kind: "connect_refused",
                reached: Reached::Nothing,
                text: format!("{}: nobody is there", link.url).into(),
            }),
        }
    }

    fn sent(&mut self, clocks: Clocks, lane: LaneIx, bytes: &Bytes) -> Vec<Bytes> {
        match (&mut self.mind, &mut self.androids) {
            (Some(mind), Some(androids)) => androids.agents.sent(mind, clocks, lane, bytes),
            _ => Vec::new(),
        }
    }

    fn unlink(&mut self, lane: LaneIx) {
        if let (Some(mind), Some(androids)) = (&mut self.mind, &mut self.androids) {
            androids.agents.unlink(mind, lane);
        }
    }

    fn next(&self) -> Option<Mono> {
        self.mind.as_ref().zip(self.androids.as_ref()).and_then(|(mind, androids)| androids.next(mind))
    }

    fn tick(&mut self, clocks: Clocks) -> Vec<Happened> {
        match (&mut self.mind, &mut self.androids) {
            (Some(mind), Some(androids)) => androids.tick(mind, clocks.now),
            _ => Vec::new(),
        }
    }
}

/// Whether it is a request to a Windows device's server.
fn is_of_windows(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::WindowsDiscovery
            | Operation::WindowsLogin
            | Operation::WindowsPolicy
            | Operation::WindowsIssue
            | Operation::WindowsRenew
            | Operation::WindowsFirst
            | Operation::WindowsMessage
    )
}

/// A command for Apple devices, as it waits for them.
fn of_apple(command: &Command) -> Option<Arc<Queued>> {
    let Says::Request { name, plist } = &command.says else { return None };
    let uuid = command.names.first()?.text.clone();
    Some(Arc::new(Queued {
        uuid,
        request: name.clone(),
        inside: Vec::new(),
        body: plist.clone().into(),
        is_copy: false,
    }))
}

/// What a CA says, by SCEP or by ACME; none where somebody else is asked. It signs nothing.
pub fn ca_says(request: &Request) -> Option<Answer> {
    let (body, headers) = match request.operation {
        Operation::AppleScepCaps | Operation::WindowsScepCaps => {
            (Bytes::from_static(CAPABILITIES.as_bytes()), HeaderMap::new())
        }
        Operation::AppleScepCa | Operation::WindowsScepCa => (Bytes::from_static(CA), HeaderMap::new()),
        Operation::AppleScepIssue | Operation::AppleScepPoll | Operation::WindowsScepIssue => {
            (Bytes::from_static(&[0; SCEP_REPLY_BYTES]), HeaderMap::new())
        }
        _ => acme::says(request)?,
    };
    Some(Answer { status: 200, headers, body, digested: 0 })
}

/// What comes of a piece of work with a key that is not there: messages of the right length, and this certificate.
pub fn made(lane: LaneIx, work: Work, certificate: Box<[u8]>) -> Made {
    match work {
        Work::Key { .. } => Made::Key(KeyIx(lane.0)),
        Work::Attest { .. } => Made::Attestation(Bytes::from_static(&[0; ATTESTATION_BYTES])),
        Work::AcmeRequest { .. } => Made::CertificateRequest(Bytes::from_static(&[0; ACME_REQUEST_BYTES])),
        Work::WindowsRequest { guid, device_id, spelling, signer, .. } => {
            pcs::request(&guid, &device_id, spelling, signer.as_ref().map(|signer| &*signer.certificate))
        }
        Work::Unpack { .. } | Work::AcmeOpen { .. } => Made::Identity(Identity { key: KeyIx(lane.0), certificate }),
        Work::ScepRequest { request, .. } => Made::ScepRequest {
            body: Bytes::from_static(&[0; SCEP_REQUEST_BYTES]),
            pending: Box::new(scep::Pending::unbuilt(&request)),
        },
        Work::ScepOpen { .. } => Made::ScepReply(scep::Reply::Issued { certificate: certificate.into() }),
    }
}
