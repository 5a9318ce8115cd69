//! Lanes without a socket, in virtual time: a fleet that is enrolled, whoever answers it, and a machine that does nothing
//! but wake and sleep.

use crate::fleet;
use bytes::Bytes;
use droves_device::apple::{Apple, Minting};
use droves_device::{
    Action, Character, Clocks, Ctx, Enrolls, Event, Failure, Habits, Identity, KeyIx, Machine, Made, ProfileSource,
    Reasons, Request, Retry, Slept, Work,
};
use droves_emulators::practice;
use droves_facts::{DeviceState, Dur, LaneIx, Limits, Mono, Operation, Platform, Purpose, Wall};
use droves_shard::forecast::{Forecast, Model, World};
use droves_shard::{Answer, Cells, Config, Known, Shard, Snapshot};
use droves_wire::apple::push::Tokens;
use http::HeaderMap;
use std::sync::Arc;

const START: Clocks = Clocks { now: Mono::ZERO, wall: Wall::VIRTUAL_START };

/// What both clocks show at a time of the run.
pub(crate) fn clocks(now: Mono) -> Clocks {
    Clocks { now, wall: Wall::VIRTUAL_START + Dur(now.0) }
}

/// The plan of a fleet of phones that does this.
pub(crate) fn phones(lanes: u32, phases: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  populations:\n    phones: {{ platform: ios, count: {lanes}, {} }}\nphases:\n{phases}",
        fleet::QUICK
    );
    let plan = Arc::new(fleet::plan(dir.path(), &text));
    let roster = Arc::new(plan.roster());
    let character = Character {
        platform: Platform::Ios,
        model: "iPhone16,1".into(),
        os_version: "18.1".into(),
        enrolls: Enrolls::Profile(ProfileSource::Url("http://127.0.0.1/enroll".into())),
        allow_http: true,
        retry: Retry::AsPlatform,
        wake: (Dur::us(1), 0.0),
        pace: 0.0,
        locked: (0.0, Dur::secs(1)),
        habits: Habits::default(),
        cloned: 0.0,
        users: 0,
        reenrolls_after_wipe: None,
    };
    Config {
        cells: Arc::new(Cells::new(&roster, 1)),
        plan,
        roster,
        shard: 0,
        characters: Arc::new([character]),
        limits: Arc::new(Limits::default()),
        tokens: Arc::new(Tokens::new([7; 32])),
        sessions_max: usize::MAX,
        keeps: false,
    }
}

/// How a store has the lane of an enrolled phone. One identity without a certificate stands for all.
pub(crate) fn stored() -> impl Fn(u32) -> Snapshot {
    let profile = practice::enrollment_profile("http://127.0.0.1:1", "com.apple.mgmt.External.bench", "challenge");
    let identity = Arc::new(Identity { key: KeyIx(0), certificate: Box::default() });
    let slept = Minting::under(&profile, true, &Limits::default()).unwrap().lane(true, &identity);
    let (record, shared) = (Apple::record_to_bytes(&slept.record), Apple::shared_to_bytes(&slept.shared).into());
    move |lane| Snapshot {
        lane: LaneIx(lane),
        record: record.clone(),
        shared: Arc::clone(&shared),
        own: None,
        identity: Some(Arc::clone(&identity)),
        ended: false,
    }
}

/// A shard whose phones are all enrolled and asleep.
pub(crate) fn enrolled(lanes: u32, phases: &str) -> Shard<Apple> {
    let mut shard = Shard::new(phones(lanes, phases), |_| 0);
    let (stored, mut known) = (stored(), Known::<Apple>::default());
    for lane in 0..lanes {
        shard.restore(stored(lane), &mut known, START).unwrap();
        // What a restore says nobody reads here; kept, it would be most of the memory.
        shard.drain(&mut Vec::new(), &mut Vec::new());
    }
    shard
}

/// A server that has one command for each answer, or none: by lane and number of the answer.
pub(crate) struct Giver<F> {
    command: F,
    given: Vec<u32>,
}

impl<F: FnMut(LaneIx, u32) -> Option<Bytes>> Giver<F> {
    pub(crate) fn new(lanes: u32, command: F) -> Self {
        Giver { command, given: vec![0; lanes as usize] }
    }
}

impl<F: FnMut(LaneIx, u32) -> Option<Bytes>> World for Giver<F> {
    fn answer(&mut self, _clocks: Clocks, lane: LaneIx, request: &Request) -> (Dur, Result<Answer, Failure>) {
        let mut body = Bytes::new();
        if matches!(request.operation, Operation::AppleIdle | Operation::AppleCommand) {
            let number = &mut self.given[lane.ix()];
            body = (self.command)(lane, *number).unwrap_or_default();
            *number += 1;
        }
        (Dur::ms(1), Ok(Answer { status: 200, headers: HeaderMap::new(), body, digested: 0 }))
    }

    fn make(&mut self, _clocks: Clocks, _lane: LaneIx, _work: Work) -> (Dur, Result<Made, Failure>) {
        panic!("an enrolled phone makes nothing")
    }
}

/// Enrolled phones and their server, in virtual time.
pub(crate) fn forecast<W: World>(shard: Shard<Apple>, world: W) -> Forecast<Apple, W> {
    Forecast::new(shard, world, Model::default(), droves_facts::Dice::new(1))
}

/// A machine that wakes about once an hour, counts that, and sleeps again: what time alone costs a shard.
pub(crate) struct Sleeper(u64);

/// A record of the size that phones have.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Nights([u64; 12]);

impl Machine for Sleeper {
    type Record = Nights;
    type Shared = ();

    fn open(slept: Slept<Self>) -> Self {
        Sleeper(slept.record.0[0])
    }
    fn fold(self) -> Slept<Self> {
        Slept { record: self.record(), shared: Arc::new(()), own: None }
    }
    fn snapshot(&self) -> Slept<Self> {
        Slept { record: self.record(), shared: Arc::new(()), own: None }
    }
    fn record(&self) -> Nights {
        let mut nights = Nights::default();
        nights.0[0] = self.0;
        nights
    }
    fn on(&mut self, _event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        self.0 += 1;
        sleep(self.0, ctx)
    }
    fn resume(_record: &Nights, ctx: &Ctx<'_>) -> Action {
        sleep(0, ctx)
    }
    fn state(_record: &Nights) -> DeviceState {
        DeviceState::Enrolled
    }
    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        ctx.lane.to_string()
    }
    fn record_to_bytes(_record: &Nights) -> Vec<u8> {
        Vec::new()
    }
    fn record_from_bytes(_bytes: &[u8]) -> Result<Nights, String> {
        Ok(Nights::default())
    }
    fn shared_to_bytes(_shared: &()) -> Vec<u8> {
        Vec::new()
    }
    fn shared_from_bytes(_bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

fn sleep(night: u64, ctx: &Ctx<'_>) -> Action {
    let until = ctx.clocks.now + Dur(ctx.lane_dice(Purpose::Retry, night).u64() % (2 * HOUR.0));
    Action { what: droves_device::What::Sleep { lag: Dur::ZERO }, until, hear: Reasons::TIME }
}

pub(crate) const HOUR: Dur = Dur::secs(3_600);

/// A shard of sleepers.
pub(crate) fn sleepers(lanes: u32) -> Shard<Sleeper> {
    let mut shard = Shard::new(phones(lanes, "  - wait: 1s\n"), |_| 0);
    let mut known = Known::<Sleeper>::default();
    for lane in (0..lanes).map(LaneIx) {
        let snapshot =
            Snapshot { lane, record: Vec::new(), shared: Arc::from([]), own: None, identity: None, ended: false };
        shard.restore(snapshot, &mut known, START).unwrap();
    }
    shard
}

/// Lets at least so many of their timers fire; how many did.
pub(crate) fn let_sleep(shard: &mut Shard<Sleeper>, events: u64) -> u64 {
    let (mut effects, mut facts, mut fired) = (Vec::new(), Vec::new(), 0);
    while fired < events {
        let Some(next) = shard.next() else { break };
        shard.tick(clocks(next));
        shard.drain(&mut effects, &mut facts);
        facts.clear();
        fired += shard.take_timers();
    }
    fired
}
