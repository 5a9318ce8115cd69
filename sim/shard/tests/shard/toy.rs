//! A machine with one message: it enrolls by a request, and answers every wake with one.

use bytes::Bytes;
use droves_device::{
    Action, Body, Character, Clocks, Ctx, Enrolls, Event, Failure, Habits, Machine, Made, Method, Order, Peer,
    ProfileSource, Reached, Reasons, Request, Retry, Sink, Slept, What, Why, Work,
};
use droves_facts::{Blame, DeviceState, Dice, Dur, LaneIx, Limits, Mono, Operation, Outcome, Platform, Purpose};
use droves_scenario::plan::Plan;
use droves_shard::forecast::{self, Forecast, Model};
use droves_shard::{Answer, Cells, Config, Shard};
use droves_wire::apple::push::Tokens;
use std::sync::Arc;

/// How long after a push the toy wakes.
pub(crate) const LAG: Dur = Dur::ms(800);

/// The toy.
#[derive(Debug)]
pub(crate) struct Toy {
    record: Record,
    asked: Option<Operation>,
}

/// What sleeps.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Record {
    sessions: u32,
    enrolled: bool,
}

impl Machine for Toy {
    type Record = Record;
    type Shared = u8;

    fn open(slept: Slept<Self>) -> Self {
        Toy { record: slept.record, asked: None }
    }

    fn fold(self) -> Slept<Self> {
        Slept { record: self.record, shared: Arc::new(0), own: None }
    }

    fn snapshot(&self) -> Slept<Self> {
        Slept { record: self.record, shared: Arc::new(0), own: None }
    }

    fn record(&self) -> Record {
        self.record
    }

    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        match event {
            Event::Wake(wake) => {
                self.asked = wake.notes.first().map(|note| match note.order {
                    Order::Enroll => Operation::Enroll,
                    _ => Operation::CheckIn,
                });
                self.record.sessions += 1;
                request(ctx)
            }
            Event::Response(response) if response.status == 299 => {
                self.done(Outcome::Succeeded, ctx);
                Action { what: What::End(Why::Removed), until: Mono::NEVER, hear: Reasons::NONE }
            }
            // What it was asked for is nowhere but in the live machine.
            Event::Response(response) if response.status == 298 => {
                Action { what: What::Save, until: ctx.clocks.now + Dur::secs(60), hear: Reasons::NONE }
            }
            // It dozes.
            Event::Response(response) if response.status == 297 => {
                self.done(Outcome::Succeeded, ctx);
                Action { hear: Reasons::URGENT | Reasons::ORDER, ..sleep() }
            }
            Event::Saved => {
                self.done(Outcome::Succeeded, ctx);
                sleep()
            }
            Event::Response(_) => {
                if self.asked == Some(Operation::Enroll) && ctx.channel == 0 {
                    // Where there are none, nobody hears it.
                    (1..=2).for_each(|channel| ctx.order(channel, Order::Enroll));
                }
                self.done(Outcome::Succeeded, ctx);
                self.record.enrolled = true;
                sleep()
            }
            _ => {
                self.done(Outcome::Failed { blame: Blame::Server, kind: "toy" }, ctx);
                sleep()
            }
        }
    }

    fn magic(_record: &Record, _ctx: &Ctx<'_>) -> Option<String> {
        Some("magic".to_owned())
    }

    fn state(record: &Record) -> DeviceState {
        if record.enrolled { DeviceState::Enrolled } else { DeviceState::Unenrolled }
    }

    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        ctx.lane.to_string()
    }

    fn resume(_record: &Record, _ctx: &Ctx<'_>) -> Action {
        sleep()
    }

    fn record_to_bytes(record: &Record) -> Vec<u8> {
        [&record.sessions.to_le_bytes()[..], &[u8::from(record.enrolled)]].concat()
    }

    fn record_from_bytes(bytes: &[u8]) -> Result<Record, String> {
        let (sessions, enrolled) = bytes.split_at_checked(4).ok_or("too short")?;
        Ok(Record { sessions: u32::from_le_bytes(sessions.try_into().unwrap()), enrolled: enrolled == [1] })
    }

    fn shared_to_bytes(shared: &u8) -> Vec<u8> {
        vec![*shared]
    }

    fn shared_from_bytes(bytes: &[u8]) -> Result<u8, String> {
        bytes.first().copied().ok_or_else(|| "empty".into())
    }
}

impl Toy {
    /// The wake may have had several orders; what is not open is not minded.
    fn done(&mut self, outcome: Outcome, ctx: &mut Ctx<'_>) {
        if self.asked.take().is_some() {
            ctx.ended(Operation::Enroll, outcome);
            ctx.ended(Operation::CheckIn, outcome);
        }
    }
}

fn request(ctx: &Ctx<'_>) -> Action {
    let request = Request {
        operation: Operation::AppleIdle,
        peer: Peer::Server,
        method: Method::Put,
        url: "http://127.0.0.1/mdm".into(),
        headers: &[],
        varying: Vec::new(),
        body: Body::Empty,
        identity: None,
        sign: None,
        sink: Sink::Keep(1_000),
        wait_max: Dur::secs(60),
        idle_end: None,
    };
    Action { what: What::Request(Box::new(request)), until: ctx.clocks.now + Dur::secs(60), hear: Reasons::NONE }
}

fn sleep() -> Action {
    Action { what: What::Sleep { lag: LAG }, until: Mono::NEVER, hear: Reasons::PUSH | Reasons::ORDER }
}

/// How the world answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Script {
    /// 200.
    #[default]
    Well,
    /// Never.
    Silent,
    /// A status that makes the toy end.
    EndAfterEnroll,
    /// A status that makes it save before it goes on.
    SaveFirst,
    /// A status after which it hears no push that is not urgent.
    Doze,
    /// Sometimes well, in `fails` of 4 cases not; after a drawn time.
    Random {
        /// Of the draws.
        seed: u64,
        /// In 4.
        fails: u8,
    },
}

/// Whoever answers.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// How long an answer takes.
    pub(crate) takes: Dur,
    /// What it says.
    pub(crate) script: Script,
    pub(crate) asked: u64,
}

impl Default for World {
    fn default() -> Self {
        World { takes: Dur::ms(10), script: Script::Well, asked: 0 }
    }
}

impl forecast::World for World {
    fn answer(&mut self, _clocks: Clocks, lane: LaneIx, _request: &Request) -> (Dur, Result<Answer, Failure>) {
        self.asked += 1;
        let well = |status| Ok(Answer { status, headers: http::HeaderMap::new(), body: Bytes::new(), digested: 0 });
        match self.script {
            Script::Well => (self.takes, well(200)),
            Script::Silent => (Dur::secs(100_000), well(200)),
            Script::EndAfterEnroll => (self.takes, well(299)),
            Script::SaveFirst => (self.takes, well(298)),
            Script::Doze => (self.takes, well(297)),
            Script::Random { seed, fails } => {
                let mut dice = Dice::new(seed).draw(lane.0, Purpose::Nonce, self.asked);
                let takes = Dur(dice.u64() % (self.takes.0 + 1));
                let failure = Failure { blame: Blame::Network, kind: "reset", reached: Reached::Sent, text: "".into() };
                (takes, if dice.u64() % 4 < u64::from(fails) { Err(failure) } else { well(200) })
            }
        }
    }

    fn make(&mut self, _clocks: Clocks, _lane: LaneIx, _work: Work) -> (Dur, Result<Made, Failure>) {
        unreachable!("the toy makes nothing")
    }
}

/// A plan with this fleet and this phase. The fleet's text may go on with other keys of the top level.
pub(crate) fn plan(fleet: &str, phase: &str) -> Plan {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("toy.yaml");
    let (fleet, rest) = fleet.split_once('\n').unwrap_or((fleet, ""));
    let until = if phase.contains("for:") { "" } else { "\n    until: { done: 100%, within: 10m }" };
    let text = format!(
        "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  populations:\n    {fleet}\nphases:\n  - {phase}{until}\n{rest}\n"
    );
    std::fs::write(&path, &text).unwrap();
    match droves_scenario::load(&path, &droves_scenario::Given::default(), |_| None) {
        Ok(loaded) => loaded.plan,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// The one kind of device that there is.
pub(crate) fn character() -> Character {
    Character {
        platform: Platform::Ios,
        model: "iPhone16,1".into(),
        os_version: "18.1".into(),
        enrolls: Enrolls::Profile(ProfileSource::Url("http://127.0.0.1/enroll".into())),
        allow_http: true,
        retry: Retry::AsPlatform,
        wake: (LAG, 0.0),
        pace: 1.0,
        locked: (0.0, Dur::secs(1)),
        habits: Habits::default(),
        cloned: 0.0,
        users: 0,
        reenrolls_after_wipe: None,
    }
}

/// The plan's fleet in one shard.
pub(crate) fn forecast(plan: Plan, sessions_max: usize, world: World) -> Forecast<Toy, World> {
    let roster = Arc::new(plan.roster());
    let config = Config {
        cells: Arc::new(Cells::new(&roster, 1)),
        plan: Arc::new(plan),
        roster,
        shard: 0,
        characters: Arc::new([character()]),
        limits: Arc::new(Limits::default()),
        tokens: Arc::new(Tokens::new([7; 32])),
        sessions_max,
        keeps: false,
    };
    let dice = config.plan.dice();
    Forecast::new(Shard::new(config, |_| 0), world, Model::default(), dice)
}
