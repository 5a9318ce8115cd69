//! A device against a Google that does as it is told, in the words of both. Time jumps.
#![expect(clippy::unwrap_used, reason = "tests")]

mod anything;
mod applying;
mod attending;
mod enrolling;
mod obeying;

use super::*;
use crate::tests_support::{World, google};
use crate::{Body, Character, Enrolls, Failure, Note, Order, Peer, Reached, Reasons, Request, Response, Wake, What};
use bytes::Bytes;
use droves_facts::{Blame, Dur, Mono, Operation, Outcome, What as Fact};
use droves_wire::android::adp::{self, Answer, Ask, Mode, Recipe};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// Google, and what it was asked.
#[derive(Default)]
struct Played {
    /// What is answered in place of what should be, in order.
    instead: VecDeque<Result<(u16, Bytes), &'static str>>,
    policy: Option<adp::Policy>,
    /// Commands that are not done.
    commands: VecDeque<Value>,
    deletes: bool,
    wants_report: bool,
    /// The status that logs are refused by.
    refuses_logs: Option<u16>,
    /// Whether it still takes outcomes of commands.
    takes: bool,
    devices: u64,
    asked: Vec<Ask>,
}

/// A device, its world, and Google.
struct Rig {
    machine: Google,
    world: World,
    played: Played,
    facts: Vec<Fact>,
    ended: Vec<(Operation, Outcome)>,
    /// What is on disk.
    saved: Slept<Google>,
    keeps_contract: bool,
}

const MINUTE: Dur = Dur::secs(60);
const HOUR: Dur = Dur::secs(3_600);
const DAY: Dur = Dur::secs(86_400);

/// A phone that is managed like this.
fn managed(mode: Mode) -> Character {
    let Enrolls::Google(way) = google().enrolls else { unreachable!() };
    let way = crate::Google { mode, ..(*way).clone() };
    Character { enrolls: Enrolls::Google(Arc::new(way)), ..google() }
}

/// The same at the pace of life.
fn slow(mode: Mode) -> Character {
    Character { pace: 1.0, ..managed(mode) }
}

impl Rig {
    fn new(character: Character) -> Self {
        Rig {
            machine: Google::default(),
            world: World::new(character),
            played: Played { takes: true, ..Played::default() },
            facts: Vec::new(),
            ended: Vec::new(),
            saved: Slept::default(),
            keeps_contract: true,
        }
    }

    /// Enrolled, by a policy without a setting, and how that went forgotten.
    fn enrolled(character: Character) -> Self {
        let mut rig = Rig::new(character);
        rig.policy(1, json!({}));
        let action = rig.order(Order::Enroll);
        rig.until_reported(action);
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
        rig.forget();
        rig
    }

    fn forget(&mut self) {
        self.played.asked.clear();
        self.facts.clear();
        self.ended.clear();
    }

    fn policy(&mut self, version: i64, body: Value) {
        let Value::Object(body) = body else { panic!("no policy: {body}") };
        self.played.policy = Some(adp::Policy { name: "enterprises/LC1/policies/p".into(), version, body });
    }

    fn order(&mut self, order: Order) -> Action {
        let now = self.world.clocks.now;
        self.wake(Reasons::ORDER, &[Note { order, cause: now }])
    }

    fn push(&mut self) -> Action {
        self.wake(Reasons::PUSH, &[])
    }

    fn time(&mut self, action: &Action) -> Action {
        self.pass(action.until);
        self.wake(Reasons::TIME, &[])
    }

    /// Wakes by time until a report has come; what it waits for then.
    fn until_reported(&mut self, mut action: Action) -> Action {
        let before = self.reports().len();
        while self.reports().len() == before {
            action = self.time(&action);
        }
        action
    }

    /// Wakes by time until then.
    fn live(&mut self, mut action: Action, time: Dur) -> Action {
        let until = self.world.clocks.now + time;
        while action.until < until {
            action = self.time(&action);
        }
        self.pass(until);
        action
    }

    fn pass(&mut self, until: Mono) {
        assert!(!until.is_never(), "nothing to wait for");
        let passed = until.since(self.world.clocks.now);
        self.world.clocks.now = until;
        self.world.clocks.wall = self.world.clocks.wall + passed;
    }

    fn wait(&self, action: &Action) -> Dur {
        action.until.since(self.world.clocks.now)
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
        panic!("no end of it: {:?}", self.played.asked.last());
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
            What::Request(request) => self.ask(&request),
            other => panic!("such a device does not: {other:?}"),
        })
    }

    /// What the store gets. The lane goes through it and back, as if the process had ended here.
    fn save(&mut self) {
        let Slept { record, shared, own } = self.machine.snapshot();
        let record = Google::record_from_bytes(&Google::record_to_bytes(&record)).unwrap();
        let shared = Arc::new(Google::shared_from_bytes(&Google::shared_to_bytes(&shared)).unwrap());
        self.saved = Slept { record, shared, own };
        self.machine = Google::open(self.saved.clone());
    }

    fn on(&mut self, event: Event<'_>) -> Action {
        let action = self.machine.on(event, &mut self.world.ctx());
        assert!(action.until > self.world.clocks.now, "{action:?}");
        let out = std::mem::take(&mut self.world.out);
        self.facts.extend(out.facts);
        self.ended.extend(out.ended);
        action
    }

    fn ask(&mut self, request: &Request) -> Action {
        assert_eq!(request.peer, Peer::Google);
        let Body::Bytes(body) = &request.body else { panic!("nothing is asked: {request:?}") };
        let ask: Ask = serde_json::from_slice(body).unwrap();
        if self.keeps_contract && !matches!(ask, Ask::Enroll(_)) {
            let id = self.machine.record().id();
            assert!(id.is_some() && self.saved.record.id() == id, "Google hears a name that is not on disk");
        }
        self.played.asked.push(ask.clone());
        match self.played.instead.pop_front() {
            Some(Ok((status, body))) => self.answer(status, body),
            Some(Err(kind)) => {
                let (blame, reached) = (Blame::Generator, Reached::Nothing);
                self.on(Event::Failed(Failure { blame, kind, reached, text: "lost".into() }))
            }
            None => {
                let refused = self.played.refuses_logs.filter(|_| matches!(ask, Ask::Log { .. }));
                let body = serde_json::to_vec(&self.played.answer(ask)).unwrap();
                self.answer(refused.unwrap_or(200), body.into())
            }
        }
    }

    fn answer(&mut self, status: u16, body: Bytes) -> Action {
        self.on(Event::Response(Response { status, headers: &HeaderMap::new(), body, digested: 0 }))
    }

    fn reports(&self) -> Vec<(i64, &Recipe)> {
        let report = |ask| match ask {
            &Ask::Report { applied, ref recipe, .. } => Some((applied, &**recipe)),
            _ => None,
        };
        self.played.asked.iter().filter_map(report).collect()
    }

    fn last_report(&self) -> Recipe {
        self.reports().last().unwrap().1.clone()
    }

    /// What was asked, in one word each.
    fn words(&self) -> Vec<&'static str> {
        let word = |ask: &Ask| match ask {
            Ask::Enroll(_) => "enroll",
            Ask::Sync { .. } => "sync",
            Ask::Report { .. } => "report",
            Ask::Done { .. } => "done",
            Ask::Leave { .. } => "leave",
            Ask::Log { .. } => "log",
        };
        self.played.asked.iter().map(word).collect()
    }

    fn states(&self) -> Vec<DeviceState> {
        let to = |fact: &Fact| if let Fact::Device { to, .. } = fact { Some(*to) } else { None };
        self.facts.iter().filter_map(to).collect()
    }

    fn complaints(&self) -> Vec<&'static str> {
        let kind = |fact: &Fact| if let Fact::Complaint { kind, .. } = fact { Some(*kind) } else { None };
        self.facts.iter().filter_map(kind).collect()
    }

    fn state(&self) -> DeviceState {
        Google::state(&self.machine.record())
    }
}

impl Played {
    fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Enroll(_) => {
                self.devices += 1;
                let device = format!("enterprises/LC1/devices/00000000000000{:02x}", self.devices).into();
                Answer::Enrolled { device, policy: "enterprises/LC1/policies/p".into() }
            }
            Ask::Sync { applied, .. } => {
                let order = match self.commands.front() {
                    _ if self.deletes => adp::Order::Wipe,
                    Some(Value::Object(command)) => {
                        adp::Order::Command { operation: "o".into(), command: command.clone() }
                    }
                    _ => adp::Order::Nothing,
                };
                let policy = self.policy.clone().filter(|policy| policy.version != applied);
                Answer::Sync { policy: policy.map(Box::new), order, tells: self.wants_report }
            }
            Ask::Done { .. } => {
                self.commands.pop_front();
                if self.takes { Answer::Taken } else { Answer::TooLate }
            }
            Ask::Report { .. } | Ask::Leave { .. } | Ask::Log { .. } => Answer::Taken,
        }
    }
}
