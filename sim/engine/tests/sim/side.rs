//! The other side: the practice server's brain, which has a memory that can be asked, behind everything that goes
//! wrong; and the generator's own disk.
//!
//! It looks at all that devices say, for what no device may say: what its disk does not have yet, or a token that is
//! older than one that it told before.

mod agents;

use crate::apns::{PushService, Verdict};
use crate::config::{Config, HEALED, Other, share};
use crate::disk::Disk;
use crate::plants::Plant;
use crate::profile;
use crate::store::Store;
pub(crate) use agents::Look;
use bytes::Bytes;
use droves_device::{Body, Clocks, Failure, Link, Made, Reached, Request, Work};
use droves_emulators::practice::windows::Settings;
use droves_emulators::practice::{Brain, Faults, Outgoing, Proof, Told, Wake};
use droves_engine::admin::Command;
use droves_engine::forecast::{
    ADMIN, Agents, Asked, Side, Taken, Troubles, ask_to_push, ca_says, is_of_agent, made, method_name, told,
};
use droves_facts::{Blame, DeviceIx, Dice, Dur, LaneIx, Limits, Mono, Operation, PhaseIx, PopulationIx, Purpose, Wall};
use droves_scenario::plan::{Plan, Roster};
use droves_shard::Answer;
use droves_shard::Snapshot;
use droves_shard::forecast::{Happened, Line, Notification, World};
use droves_wire::apple::checkin::Message;
use droves_wire::apple::identity::{EnrollmentId, Who};
use droves_wire::apple::push::Tokens;
use droves_wire::ca::Authority;
use droves_wire::plist;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

pub(crate) const URL: &str = "http://127.0.0.1";

/// The other side of one play.
pub(crate) struct Practice {
    pub(crate) brain: Brain,
    pub(crate) disk: Disk,
    pub(crate) push_service: PushService,
    /// What was said that may not be.
    pub(crate) broken: Vec<Broken>,
    /// Devices whose new identity the server took, without their hearing of it, and then refused on order: they go back to
    /// the old one, and the server never learns of it.
    estranged: BTreeSet<LaneIx>,
    /// Identities that the server took.
    taken: BTreeSet<(LaneIx, Box<[u8]>)>,
    pub(crate) agents: Agents,
    /// What devices are to be like by each configuration, by its digest.
    pub(crate) looks: BTreeMap<String, Look>,
    /// The names under which the brain knows lanes.
    pub(crate) names: BTreeMap<LaneIx, String>,
    /// What the server called the configuration that was queued last.
    returned: Option<String>,
    /// Pushes to agents, on their way.
    woken: Vec<Happened>,
    /// Answers, saves and pieces of work since the start, or since the last crash.
    pub(crate) done: u64,
    /// When it is to crash next, as `done` counts.
    pub(crate) crash_at: Option<u64>,
    pub(crate) is_healed: bool,
    /// Somebody is to look.
    pub(crate) pauses: bool,
    plan: Arc<Plan>,
    roster: Roster,
    tokens: Tokens,
    other: Other,
    troubles: Troubles,
    dice: Dice,
    populations: HashMap<String, PopulationIx>,
    /// The newest token that each lane told.
    told: BTreeMap<LaneIx, u32>,
    limits: Limits,
    answers: u64,
    pushes: u64,
    /// Packets that were sent over links.
    sends: u64,
    certificates: u64,
    plant: Option<Plant>,
    /// For a plant: the command that each lane had last.
    delivered: BTreeMap<LaneIx, Bytes>,
}

/// A demand that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Broken {
    /// Which, in a few words that are the same for all that fail in the same way.
    pub(crate) demand: &'static str,
    pub(crate) text: String,
    pub(crate) lanes: Vec<LaneIx>,
}

impl Broken {
    pub(crate) fn of(demand: &'static str, lane: LaneIx, text: impl Into<String>) -> Self {
        Broken { demand, text: text.into(), lanes: vec![lane] }
    }
}

impl Practice {
    pub(crate) fn new(config: &Config, plan: Arc<Plan>, plant: Option<Plant>) -> Result<Self, String> {
        static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
        // It is there to be named: nobody signs here.
        let made = || Arc::new(Authority::create("Sim", Wall::VIRTUAL_START).expect("an authority"));
        let authority = Arc::clone(AUTHORITY.get_or_init(made));
        let faults = Faults::new(&plan.faults, plan.dice());
        let told = Told { url: URL.to_owned(), windows_url: URL.to_owned(), topic: profile::TOPIC.to_owned() };
        let store = config.has_store.then(|| Store::new(&plan)).transpose()?;
        let push_service = PushService::new(plan.roster().lanes(), plant);
        Ok(Practice {
            brain: Brain::new(authority, told, ADMIN.to_owned(), Limits::default(), faults, Settings::default()),
            disk: Disk::new(&config.other, plan.dice(), store, plant),
            push_service,
            broken: Vec::new(),
            estranged: BTreeSet::new(),
            taken: BTreeSet::new(),
            agents: Agents::default(),
            looks: BTreeMap::new(),
            names: BTreeMap::new(),
            returned: None,
            woken: Vec::new(),
            done: 0,
            crash_at: config.crashes.first().map(|crash| crash.after),
            is_healed: false,
            pauses: false,
            roster: plan.roster(),
            tokens: Tokens::new([0; 32]),
            other: config.other.clone(),
            troubles: Troubles::of(&plan),
            dice: plan.dice(),
            plan,
            populations: HashMap::new(),
            told: BTreeMap::new(),
            limits: Limits::default(),
            answers: 0,
            pushes: 0,
            sends: 0,
            certificates: 0,
            plant,
            delivered: BTreeMap::new(),
        })
    }

    /// The server takes a lane over that is on the disk from the start, by what the lane would have told it.
    pub(crate) fn takes_over(&mut self, clocks: Clocks, lane: &Snapshot, check_ins: &[Bytes]) {
        self.disk.has(lane.clone());
        let certificate = self.disk.identity(self.main(lane.lane));
        if self.plant.is_some_and(|plant| plant.conceals(lane.lane)) {
            return;
        }
        for message in check_ins {
            if let Ok(value) = plist::read(message, &self.limits) {
                self.hears_of(lane.lane, &value);
            }
            self.ask(clocks, "PUT", "/checkin", Proof::Vouched(&certificate), message);
        }
    }

    /// The generator is killed, and with it the push service. Gives what its disk has.
    pub(crate) fn crash(&mut self, now: Mono, kept: u32) -> Vec<Snapshot> {
        self.push_service.begins_anew();
        self.disk.crash(now, kept)
    }

    /// The device channel of a lane's device.
    pub(crate) fn main(&self, lane: LaneIx) -> LaneIx {
        let device = self.roster.locate(lane).map_or(DeviceIx(0), |(device, _)| device);
        LaneIx(self.roster.lanes_of_device(device).start)
    }

    /// Whether a lane's device and the server can't agree on its identity.
    pub(crate) fn is_estranged(&self, lane: LaneIx) -> bool {
        self.estranged.contains(&self.main(lane))
    }

    fn ask(
        &mut self,
        clocks: Clocks,
        method: &str,
        uri: &str,
        proof: Proof<'_>,
        body: &[u8],
    ) -> (Outgoing, Vec<(String, String)>) {
        let asked = Asked { proof, ..Asked::new(method, uri, body) };
        let (outgoing, wakes) = ask_to_push(&mut self.brain, clocks, &asked);
        let of_apple = |wake| match wake {
            Wake::Apple { token, magic } => Some((token, magic)),
            Wake::Windows { .. } | Wake::Android { .. } => None,
        };
        (outgoing, wakes.into_iter().filter_map(of_apple).collect())
    }

    /// One more thing is done: the generator may crash now.
    fn count(&mut self) {
        self.done += 1;
        if !self.is_healed && self.crash_at.is_some_and(|at| self.done >= at) {
            self.pauses = true;
        }
    }

    /// What the server says to an Apple device.
    fn answer_apple(&mut self, clocks: Clocks, lane: LaneIx, request: &Request) -> Outgoing {
        let body = bytes_of(&request.body);
        self.look(clocks, lane, request, body);
        let certificate = request.identity.as_ref().map(|identity| identity.certificate.clone());
        let proof = certificate.as_deref().map_or(Proof::Nothing, Proof::Vouched);
        let mut outgoing = match self.plant {
            Some(plant) if plant.swallows(request.operation, self.answers) => empty(),
            _ => self.ask(clocks, method_name(request.method), &request.url, proof, body).0,
        };
        if request.operation == Operation::AppleAuthenticate
            && let Some(certificate) = certificate
        {
            if outgoing.status == 200 {
                self.taken.insert((lane, certificate));
            } else if self.taken.contains(&(lane, certificate)) {
                self.estranged.insert(lane);
            }
        }
        if request.operation == Operation::AppleProfile && outgoing.status == 200 {
            outgoing.body = profile::write(URL, self.other.identity).into();
        }
        if let Some(plant) = self.plant {
            plant.spoils(request.operation, self.delivered.entry(lane).or_default(), &mut outgoing);
        }
        outgoing
    }

    /// Looks at what a device says.
    fn look(&mut self, clocks: Clocks, lane: LaneIx, request: &Request, body: &[u8]) {
        let Ok(value) = plist::read(body, &self.limits) else { return };
        self.hears_of(lane, &value);
        self.disk.settle(clocks.now);
        match Message::of(&value) {
            Ok(Message::Authenticate(_)) => self.has_saved(lane, request),
            Ok(Message::TokenUpdate(update)) => {
                self.has_saved(lane, request);
                self.tells(clocks, lane, update.token);
            }
            _ => {}
        }
    }

    /// Who says this is known by that name.
    fn hears_of(&mut self, lane: LaneIx, said: &plist::Value) {
        let Some(who) = said.as_dict().and_then(|dict| Who::of(dict).ok()) else { return };
        if self.names.contains_key(&lane) {
            return;
        }
        let device = match who.id {
            EnrollmentId::Udid(id) | EnrollmentId::Enrollment(id) => id,
        };
        let name = who.user.map_or_else(|| device.to_owned(), |user| format!("{device}:{}", user.id));
        self.names.insert(lane, name);
        self.introduce(lane, device.to_owned());
    }

    /// The server knows the device of a lane by this name: who it is, faults are told.
    fn introduce(&mut self, lane: LaneIx, device: String) {
        if let Some(of) = self.plan.populations.iter().find(|population| population.lanes.contains(&lane.0)) {
            self.populations.insert(device, of.ix);
            self.brain.faults().introduce(self.populations.clone());
        }
    }

    /// A lane tells a push token, which is to be its own, not older than one that it told before, and on the disk.
    fn tells(&mut self, clocks: Clocks, lane: LaneIx, token: &[u8]) {
        let Some((of, generation)) = self.tokens.find(token) else {
            return self.broken.push(Broken::of("a token is the lane's own", lane, "no token of this fleet"));
        };
        if of != lane {
            let text = format!("lane {lane} told the token of lane {of}");
            self.broken.push(Broken::of("a token is the lane's own", lane, text));
        }
        let before = self.told.insert(lane, generation).unwrap_or(0);
        if generation < before {
            let text = format!("told token {generation} at {} after token {before}", Dur(clocks.now.0));
            self.broken.push(Broken::of("no token is older than one told before", lane, text));
        }
        let stored = self.disk.token(lane);
        if stored != Some(generation) {
            let text = format!("told token {generation} at {}, the disk has {stored:?}", Dur(clocks.now.0));
            self.broken.push(Broken::of("saved before told: token", lane, text));
        }
    }

    fn has_saved(&mut self, lane: LaneIx, request: &Request) {
        let certificate = request.identity.as_ref().map_or(&[][..], |identity| &identity.certificate);
        if !self.disk.has_seen(self.main(lane), certificate) {
            let shown = String::from_utf8_lossy(certificate);
            let text = format!("{} shows `{shown}`, which the disk never had", request.operation);
            self.broken.push(Broken::of("saved before told: identity", lane, text));
        }
    }

    /// A push to the newest token that a lane has told: what comes of it, late, twice or not at all.
    fn notifies(&mut self, (lane, newest): (LaneIx, u32), topic: &str, magic: String) -> Vec<Notification> {
        let is_old = newest > 1 && self.strikes(self.other.pushes_old, OLD, self.pushes);
        // Whoever is over has none at the push service that was begun anew.
        let stored = || self.disk.token(lane).filter(|_| !self.disk.has_ended(lane));
        let told = self.told.get(&lane).copied();
        let token = (lane, newest - u32::from(is_old));
        let is_refused = match self.push_service.judge(token, topic, told, stored) {
            Ok(Verdict::Unknown) => return Vec::new(),
            Ok(verdict) => verdict == Verdict::Refused,
            Err(broken) => {
                self.broken.push(broken);
                return Vec::new();
            }
        };
        let late = if self.strikes(self.other.pushes_late, LATE, self.pushes) {
            Dur::secs(self.dice.draw(LATENESS, Purpose::Model, self.pushes).below(900))
        } else {
            Dur::ZERO
        };
        let urgent = topic != profile::TOPIC;
        let notification = Notification { lane, magic: Some(magic), late, is_refused, urgent };
        let is_twice = !is_refused && self.strikes(self.other.pushes_twice, TWICE, self.pushes);
        vec![notification; 1 + usize::from(is_twice)]
    }

    fn strikes(&self, percent: u32, kind: u32, ordinal: u64) -> bool {
        percent > 0 && self.dice.draw(kind, Purpose::Model, ordinal).unit() < share(percent)
    }
}

/// Places in the numbering of what the world draws.
const ANSWER: u32 = 10;
const LATE: u32 = 11;
const TWICE: u32 = 12;
const STALE: u32 = 13;
const LATENESS: u32 = 14;
const OLD: u32 = 15;
const CUT: u32 = 16;

impl Side for Practice {
    fn phase_begins(&mut self, phase: PhaseIx, now: Mono) {
        self.troubles.phase_begins(phase, now);
        self.brain.faults().phase_begins(phase, now);
        if self.plan.phases.get(phase.ix()).is_some_and(|phase| phase.name == HEALED) {
            self.is_healed = true;
            self.pauses = true;
            self.other = self.other.healed();
        }
    }

    fn phase_ends(&mut self, phase: PhaseIx) {
        self.troubles.phase_ends(phase);
        self.brain.faults().phase_ends(phase);
    }

    fn queue(&mut self, clocks: Clocks, lanes: &[LaneIx], command: &Arc<Command>) -> Vec<LaneIx> {
        if let Some(taken) = self.queue_for_agents(clocks, lanes, command) {
            return taken;
        }
        let ids: Vec<&str> = lanes.iter().filter_map(|lane| self.names.get(lane)).map(String::as_str).collect();
        let uri = format!("/admin/v1/commands?ids={}", ids.join(","));
        let (outgoing, _) = self.ask(clocks, "PUT", &uri, Proof::Nothing, command.bytes());
        let said: serde_json::Value = serde_json::from_slice(&outgoing.body).unwrap_or_default();
        let is_taken = |lane: &&LaneIx| self.names.get(lane).is_some_and(|name| said["failed"].get(name).is_none());
        lanes.iter().filter(is_taken).copied().collect()
    }

    fn returned(&mut self) -> Option<String> {
        self.returned.take()
    }

    fn push(&mut self, clocks: Clocks, lane: LaneIx) -> Option<Vec<Notification>> {
        let uri = format!("/admin/v1/push?ids={}", self.names.get(&lane)?);
        let (outgoing, wakes) = self.ask(clocks, "POST", &uri, Proof::Nothing, &[]);
        if outgoing.status != 200 {
            return None;
        }
        let mut sent = Vec::new();
        for (token, magic) in wakes {
            self.pushes += 1;
            let Some((lane, newest)) = hex::decode(token).ok().and_then(|token| self.tokens.find(&token)) else {
                continue;
            };
            if self.troubles.loses_push(lane, clocks.now) {
                continue;
            }
            let is_stale = self.strikes(self.other.pushes_stale, STALE, self.pushes);
            let magic = if is_stale { "of an earlier enrollment".to_owned() } else { magic };
            sent.extend(self.notifies((lane, newest), profile::TOPIC, magic));
        }
        Some(sent)
    }

    fn pauses(&self) -> bool {
        self.pauses
    }
}

impl World for Practice {
    fn answer(&mut self, clocks: Clocks, lane: LaneIx, request: &Request) -> (Dur, Result<Answer, Failure>) {
        self.count();
        if let Some(answer) = ca_says(request) {
            return (Dur::ZERO, Ok(answer));
        }
        self.answers += 1;
        let (after, outgoing) = if is_of_agent(request.operation) {
            self.answer_agent(clocks, lane, request)
        } else {
            let outgoing = self.answer_apple(clocks, lane, request);
            (outgoing.after, outgoing)
        };
        let failed = |blame, kind, text: &str| {
            let text = format!("{}: {text}", request.url).into();
            Err(Failure { blame, kind, reached: Reached::Sent, text })
        };
        let result = if outgoing.hangs_up {
            failed(Blame::Server, "closed", "the server hung up")
        } else if self.strikes(self.other.answers_lost, ANSWER, self.answers) {
            failed(Blame::Network, "reset", "the answer is lost")
        } else {
            Ok(told(outgoing))
        };
        (after + self.plant.map_or(Dur::ZERO, Plant::delay), result)
    }

    fn link(&mut self, clocks: Clocks, lane: LaneIx, link: &Link) -> Result<Bytes, Failure> {
        self.agents.link(&mut self.brain, clocks, lane, link)
    }

    fn sent(&mut self, clocks: Clocks, lane: LaneIx, bytes: &Bytes) -> Vec<Bytes> {
        self.send(clocks, lane, bytes)
    }

    fn unlink(&mut self, lane: LaneIx) {
        self.agents.unlink(&mut self.brain, lane);
    }

    fn next(&self) -> Option<Mono> {
        let woken = (!self.woken.is_empty()).then_some(Mono::ZERO);
        woken.or_else(|| self.agents.next(&self.brain))
    }

    fn tick(&mut self, clocks: Clocks) -> Vec<Happened> {
        let mut happened = std::mem::take(&mut self.woken);
        happened.append(&mut self.agents.tick(&mut self.brain, clocks.now));
        happened
    }

    fn make(&mut self, _: Clocks, lane: LaneIx, work: Work) -> (Dur, Result<Made, Failure>) {
        self.count();
        self.certificates += 1;
        let certificate = format!("certificate {}", self.certificates).into_bytes();
        (Dur::ms(self.other.make_ms), Ok(made(lane, work, certificate.into())))
    }

    fn line(&mut self, clocks: Clocks, lane: LaneIx) -> Line {
        self.troubles.line(lane, clocks.now)
    }

    fn registers(&mut self, clocks: Clocks, lane: LaneIx, generation: u32, topic: &str) -> bool {
        self.push_service.register(lane, generation, topic, clocks.wall)
    }

    fn save(&mut self, clocks: Clocks, snapshot: Snapshot) -> Dur {
        self.count();
        self.disk.save(clocks.now, snapshot)
    }
}

fn bytes_of(body: &Body) -> &[u8] {
    match body {
        Body::Empty => &[],
        Body::Bytes(bytes) => bytes,
    }
}

fn empty() -> Outgoing {
    Outgoing::new(200, "text/plain", "")
}
