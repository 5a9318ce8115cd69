//! Android devices in virtual time: Google as it is played, and the practice server as its EMM; beside them those with an
//! agent of the server's own. What the two say to each other takes a fixed time; the quota that the plan sets is Google's.

use super::agents::{self, Agents};
use super::mind::{self, Asked};
use crate::account::account;
use crate::admin::{Command, Says};
use crate::faults::Row;
use crate::google::{PROJECT, faults, orders};
use bytes::Bytes;
use droves_device::{Clocks, Token};
use droves_emulators::google::{self, Callers, Google, Outbound, Quota};
use droves_emulators::practice::{Brain, emm};
use droves_emulators::push::OrderId;
use droves_facts::{
    Blame, DeviceIx, Dur, Fact, LaneIx, Mono, Operation, Outcome, PhaseIx, PopulationIx, PushFate, RequestTiming, Wall,
    What, status_kind,
};
use droves_scenario::plan::{Managed, Plan};
use droves_scenario::server::Queueing;
use droves_shard::forecast::{Happened, Notification};
use droves_wire::android::adp::Ask;
use droves_wire::android::image;
use droves_wire::keys::Key;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where Google would be.
const GOOGLE_URL: &str = "http://google.forecast";
/// From a call of the server to Google's answer, one way.
const CALL: Dur = Dur::ms(20);
/// From a post of Google's to the server's answer, one way.
const POST: Dur = Dur::ms(5);
/// What a post's head takes.
const HEAD_BYTES: usize = 400;
/// A wait of the EMM's that is longer is none for its quota.
const QUOTA_WAIT_MAX: Dur = Dur::secs(120);
/// Turns in which an EMM has signed up and has its tokens: it has a dozen calls to make for that.
const TURNS_MAX: usize = 100_000;

/// Google and the server, as far as Android devices go.
pub(super) struct Androids {
    google: Google,
    /// What is on its way between the two, by the time of its coming.
    coming: BTreeMap<(Mono, u64), Coming>,
    number: u64,
    /// What devices are to be told at once.
    happened: Vec<Happened>,
    /// Under which id the server knows a lane's device.
    names: HashMap<LaneIx, String>,
    pub(super) agents: Agents,
    /// What Google does wrong on order.
    faults: Vec<Row>,
    given: BTreeMap<PhaseIx, Vec<OrderId>>,
    now: Mono,
}

/// Something on its way.
enum Coming {
    Call(emm::Call),
    Reply(u64, emm::Reply),
    Post { post: Outbound, began: Mono },
    Posted { post: Outbound, began: Mono, status: u16, bytes: usize },
}

impl Androids {
    /// Google and an EMM that has signed up there, before the run begins.
    pub(super) fn new(plan: &Plan, mind: &mut Brain) -> Self {
        let (requests_max, window) = plan.target.android.quota;
        let settings = google::Settings {
            callers: Callers::Anybody,
            accounts: vec![account(copy(mind::key()), PROJECT)],
            quota: Quota { requests_max, window },
            devices_max: usize::MAX,
            dice: plan.dice(),
            key: copy(mind::key()),
        };
        let mut google = google(settings);
        google.gather(plan.target.android.gather);
        let mut androids = Androids {
            google,
            coming: BTreeMap::new(),
            number: 0,
            happened: Vec::new(),
            names: HashMap::new(),
            agents: Agents::default(),
            faults: faults(plan),
            given: BTreeMap::new(),
            now: Mono::ZERO,
        };
        let file = account(copy(mind::key()), PROJECT).key_file(GOOGLE_URL).unwrap_or_default().to_string();
        if let Ok(known) = emm::Account::read(file.as_bytes()) {
            let settings = emm::Settings { proof: emm::Proof::Secret, dice: plan.dice(), ..emm::Settings::default() };
            mind.manage_android(GOOGLE_URL.to_owned(), known, settings);
            androids.settle(mind);
        }
        androids
    }

    /// A phase begins, or with none the whole run: what Google does wrong in it.
    pub(super) fn phase_begins(&mut self, phase: Option<PhaseIx>, now: Mono) {
        let orders = orders(&self.faults, phase, now, wall).into_iter();
        let given = orders.filter_map(|order| self.google.give(order)).collect();
        if let Some(phase) = phase {
            self.given.insert(phase, given);
        }
    }

    /// A phase is over.
    pub(super) fn phase_ends(&mut self, phase: PhaseIx) {
        self.given.remove(&phase).into_iter().flatten().for_each(|order| self.google.lift(order));
    }

    /// Enrollment tokens of the plan's populations, made before the run begins.
    pub(super) fn tokens(&mut self, plan: &Plan, mind: &mut Brain) -> BTreeMap<PopulationIx, Token> {
        let mut tokens = BTreeMap::new();
        for population in &plan.populations {
            let Some(Managed::Google { mode, one_time }) = population.android else { continue };
            let labels: Vec<String> = if one_time {
                population.devices.clone().map(|device| format!("d{device}")).collect()
            } else {
                vec![format!("p{}", population.ix)]
            };
            let body = serde_json::json!({ "mode": mode.word(), "one_time": one_time }).to_string();
            for label in &labels {
                let url = format!("/admin/v1/android/enrollment_tokens/{label}");
                mind::ask(mind, clocks(Mono::ZERO), &Asked::new("PUT", &url, body.as_bytes()));
            }
            self.settle(mind);
            let mut made = labels.iter().map(|label| {
                let url = format!("/admin/v1/android/enrollment_tokens/{label}");
                let answer = mind::ask(mind, clocks(Mono::ZERO), &Asked::new("GET", &url, &[]));
                mind::said(&answer.body)["value"].as_str().unwrap_or_default().into()
            });
            let token = match one_time {
                true => Token::Each { first: DeviceIx(population.devices.start), tokens: made.collect() },
                false => Token::Shared(made.next().map_or_else(|| "".into(), |token: Box<str>| Arc::from(token))),
            };
            tokens.insert(population.ix, token);
        }
        // What goes wrong in the whole run begins with it.
        self.phase_begins(None, Mono::ZERO);
        tokens
    }

    /// All that the two have to say to each other is said, and no time passes but what the quota is waited for.
    fn settle(&mut self, mind: &mut Brain) {
        for _ in 0..TURNS_MAX {
            self.set_out(mind);
            let Some((&(at, _), _)) = self.coming.first_key_value() else {
                let wait = mind.next_call(self.now).filter(|at| at.since(self.now) <= QUOTA_WAIT_MAX);
                let Some(at) = wait else { break };
                self.now = self.now.max(at);
                continue;
            };
            self.now = self.now.max(at);
            self.arrive(mind);
        }
        self.now = Mono::ZERO;
        self.happened.clear();
    }

    /// When something happens next.
    pub(super) fn next(&self, mind: &Brain) -> Option<Mono> {
        let coming = self.coming.first_key_value().map(|(&(at, _), _)| at);
        let told = (!self.happened.is_empty()).then_some(self.now);
        let google = self.google.next(wall(self.now)).map(mono);
        [coming, told, google, mind.next_call(self.now), self.agents.next(mind)].into_iter().flatten().min()
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, mind: &mut Brain, now: Mono) -> Vec<Happened> {
        self.now = now;
        self.happened.append(&mut self.agents.tick(mind, now));
        while self.coming.first_key_value().is_some_and(|(&(at, _), _)| at <= now) {
            self.arrive(mind);
        }
        self.set_out(mind);
        std::mem::take(&mut self.happened)
    }

    /// What Google and the server have to say now is on its way.
    fn set_out(&mut self, mind: &mut Brain) {
        for call in mind.calls(self.now, wall(self.now)) {
            self.comes(CALL, Coming::Call(call));
        }
        for post in self.google.tick(wall(self.now)) {
            self.say(post.lane(), What::RequestStarted { operation: Operation::AndroidNotification });
            self.comes(POST, Coming::Post { post, began: self.now });
        }
        self.overhear();
    }

    fn comes(&mut self, after: Dur, what: Coming) {
        self.number += 1;
        self.coming.insert((self.now + after, self.number), what);
    }

    /// The first of what is on its way is there.
    fn arrive(&mut self, mind: &mut Brain) {
        let Some((_, coming)) = self.coming.pop_first() else { return };
        match coming {
            Coming::Call(call) => {
                let (number, reply) = (call.number, self.called(mind, &call));
                self.comes(CALL, Coming::Reply(number, reply));
            }
            Coming::Reply(number, reply) => mind.called(self.now, wall(self.now), number, Some(reply)),
            Coming::Post { post, began } => {
                let body = post.body();
                let asked = Asked {
                    content_type: Some("application/json"),
                    authorization: Some(""),
                    ..Asked::new("POST", post.endpoint(), &body)
                };
                let status = mind::ask(mind, clocks(self.now), &asked).status;
                self.comes(POST, Coming::Posted { post, began, status, bytes: HEAD_BYTES + body.len() });
            }
            Coming::Posted { post, began, status, bytes } => self.posted(&post, began, status, bytes),
        }
    }

    /// A call of the server's: to Google, or to where Google sends a browser, which is the server itself.
    fn called(&mut self, mind: &mut Brain, call: &emm::Call) -> emm::Reply {
        let Some(path) = call.url.strip_prefix(GOOGLE_URL) else {
            let answer = mind::ask(mind, clocks(self.now), &Asked::new(call.method, &call.url, &call.body));
            return emm::Reply { status: answer.status, location: None, body: answer.body };
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = google::Request {
            method: call.method,
            path,
            query,
            authorization: call.authorization.as_deref(),
            content_type: call.content_type,
            method_override: None,
            body: &call.body,
        };
        let answer = self.google.answer(wall(self.now), &request);
        emm::Reply { status: answer.status, location: answer.location, body: answer.body.into() }
    }

    fn posted(&mut self, post: &Outbound, began: Mono, status: u16, bytes: usize) {
        self.google.pushed(wall(self.now), post, Some(status), self.now.since(began));
        let is_taken = google::is_taken(Some(status));
        let outcome = match is_taken {
            true => Outcome::Succeeded,
            false => Outcome::Failed { blame: Blame::Server, kind: status_kind(status) },
        };
        let due = mono(post.due()).min(began);
        let timing = RequestTiming { due, started: began, sent: began, first_byte: Some(self.now), ended: self.now };
        let bytes_out = u32::try_from(bytes).unwrap_or(u32::MAX);
        let operation = Operation::AndroidNotification;
        self.say(post.lane(), What::RequestEnded { operation, timing, outcome, bytes_out, bytes_in: 0 });
        self.overhear();
    }

    /// What Google has to say of lanes, and which it nudges.
    fn overhear(&mut self) {
        for (lane, what) in self.google.take_said(self.now) {
            self.say(lane, what);
        }
        for (lane, magic) in self.google.take_nudges() {
            self.say(lane, What::Push(PushFate::Received));
            let notification =
                Notification { lane, magic: Some(magic.into()), late: Dur::ZERO, is_refused: false, urgent: false };
            self.happened.push(Happened::Push(notification));
        }
    }

    fn say(&mut self, lane: LaneIx, what: What) {
        self.happened.push(Happened::Fact(Fact { at: self.now, phase: PhaseIx(0), lane, what }));
    }

    /// What Google answers to a device.
    pub(super) fn google(&mut self, clocks: Clocks, lane: LaneIx, ask: &Bytes) -> (u16, Bytes) {
        self.now = clocks.now;
        let Ok(ask) = serde_json::from_slice::<Ask>(ask) else { return (400, Bytes::new()) };
        let serial = if let Ask::Enroll(enroll) = &ask { Some(enroll.recipe.serial.to_string()) } else { None };
        let answer = self.google.ask(clocks.wall, lane, ask);
        if let Some(serial) = serial {
            let of_google = self.google.id_of(lane).filter(|_| image::is_of_image(&serial));
            self.names.insert(lane, of_google.map_or(serial, str::to_owned));
        }
        self.overhear();
        match answer {
            Ok(answer) => (200, serde_json::to_vec(&answer).unwrap_or_default().into()),
            Err(status) => (status, Bytes::new()),
        }
    }

    /// Queues what Android devices are asked; gives the lanes for which it waits then, or none of what is not Android's.
    pub(super) fn queue(
        &mut self,
        mind: &mut Brain,
        clocks: Clocks,
        lanes: &[LaneIx],
        command: &Command,
        is_lost: impl Fn(LaneIx) -> bool,
    ) -> Option<Vec<LaneIx>> {
        self.now = clocks.now;
        if let Some(agents::Taken { lanes, woken }) = self.agents.queue(mind, clocks, lanes, command) {
            let woken = woken.into_iter().filter(|(lane, _)| !is_lost(*lane)).map(|(lane, _)| {
                let magic = Some(String::new());
                Happened::Push(Notification { lane, magic, late: Dur::ZERO, is_refused: false, urgent: true })
            });
            self.happened.extend(woken);
            return Some(lanes);
        }
        let Says::Json { queueing, json, .. } = &command.says else { return None };
        let ids: Vec<&str> = lanes.iter().filter_map(|lane| self.names.get(lane)).map(String::as_str).collect();
        let ids = ids.join(",");
        let url = match queueing {
            Queueing::Policy => format!("/admin/v1/android/policies?ids={ids}"),
            _ => format!("/admin/v1/commands?ids={ids}"),
        };
        let content_type = Some("application/json");
        let asked = Asked { content_type, ..Asked::new("PUT", &url, json.as_bytes()) };
        let answer = mind::ask(mind, clocks, &asked);
        let said = mind::said(&answer.body);
        self.set_out(mind);
        let is_taken = |lane: &&LaneIx| self.names.get(lane).is_some_and(|name| said["failed"].get(name).is_none());
        Some(lanes.iter().filter(is_taken).copied().collect())
    }

    /// Whether a lane's device has ever enrolled here.
    pub(super) fn knows(&self, lane: LaneIx) -> bool {
        self.names.contains_key(&lane) || self.agents.number(lane).is_some()
    }
}

fn clocks(now: Mono) -> Clocks {
    Clocks { now, wall: wall(now) }
}

fn wall(now: Mono) -> Wall {
    Wall::VIRTUAL_START + Dur(now.0)
}

fn mono(wall: Wall) -> Mono {
    Mono(wall.since(Wall::VIRTUAL_START).0)
}

#[expect(clippy::expect_used, reason = "nothing comes from outside")]
fn copy(key: &Key) -> Key {
    key.to_pkcs8().and_then(|der| Key::from_pkcs8(&der)).expect("a key that was written reads")
}

#[expect(clippy::expect_used, reason = "nothing comes from outside")]
fn google(settings: google::Settings) -> Google {
    Google::new(GOOGLE_URL, settings).expect("Google with an RSA key")
}
