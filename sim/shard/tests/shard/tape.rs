//! What a shard puts on its tape, another machine of the same kind answers in the same way; one of another kind does not.

use super::{TEN, World, forecast, plan};
use crate::toy::{self, Script, Toy};
use droves_device::tape::{Player, Problem, Record};
use droves_device::{Action, Character, Ctx, Event, Machine, Reasons, Slept};
use droves_facts::{DeviceState, Dur, LaneIx, Limits, Mono, PhaseIx};
use droves_shard::Input;
use droves_wire::apple::push::Tokens;

/// A machine in which something was changed: in its third session it hears no pushes any more.
struct Deaf(Toy);

impl Machine for Deaf {
    type Record = toy::Record;
    type Shared = u8;

    fn open(Slept { record, shared, own }: Slept<Self>) -> Self {
        Deaf(Toy::open(Slept { record, shared, own }))
    }
    fn fold(self) -> Slept<Self> {
        let Slept { record, shared, own } = self.0.fold();
        Slept { record, shared, own }
    }
    fn snapshot(&self) -> Slept<Self> {
        let Slept { record, shared, own } = self.0.snapshot();
        Slept { record, shared, own }
    }
    fn record(&self) -> Self::Record {
        self.0.record()
    }
    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        let action = self.0.on(event, ctx);
        let is_third = Toy::record_to_bytes(&self.record()).starts_with(&[3]);
        if is_third { Action { hear: action.hear.without(Reasons::PUSH), ..action } } else { action }
    }
    fn magic(record: &Self::Record, ctx: &Ctx<'_>) -> Option<String> {
        Toy::magic(record, ctx)
    }
    fn state(record: &Self::Record) -> DeviceState {
        Toy::state(record)
    }
    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        Toy::enrollment_id(ctx)
    }
    fn resume(record: &Self::Record, ctx: &Ctx<'_>) -> Action {
        Toy::resume(record, ctx)
    }
    fn record_to_bytes(record: &Self::Record) -> Vec<u8> {
        Toy::record_to_bytes(record)
    }
    fn record_from_bytes(bytes: &[u8]) -> Result<Self::Record, String> {
        Toy::record_from_bytes(bytes)
    }
    fn shared_to_bytes(shared: &u8) -> Vec<u8> {
        Toy::shared_to_bytes(shared)
    }
    fn shared_from_bytes(bytes: &[u8]) -> Result<u8, String> {
        Toy::shared_from_bytes(bytes)
    }
}

/// Ten devices with two users each enroll, where a quarter of the answers is lost, and lane 4 is pushed three times.
fn taped() -> Vec<Record> {
    let script = Script::Random { seed: 9, fails: 1 };
    let fleet = TEN.replace("ios", "macos").replace("10 }", "10, users: 2 }");
    let enroll = "enroll: { who: all, arrivals: at_once }";
    let mut run = forecast(plan(&fleet, enroll), 7, World { script, ..World::default() });
    run.shard.start_tape();
    run.begin(PhaseIx(0));
    for _ in 0..3 {
        let end = run.clocks().now + Dur::secs(30);
        assert!(run.run_until(end, 10_000));
        run.input(Input::Push { lane: LaneIx(4), magic: "magic", keep_until: None, pushed: end, urgent: false });
    }
    assert!(run.run_until(Mono::ZERO + Dur::secs(200), 10_000));
    let mut records = Vec::new();
    run.shard.drain_tape(&mut records);
    records
}

fn player<M: Machine>(character: Character) -> Player<M> {
    let dice = plan(TEN, "enroll: { who: all, arrivals: at_once }").dice();
    Player::new(dice, Tokens::new([7; 32]), vec![character], Limits::default())
}

#[test]
fn the_same_machines_answer_as_they_are_taped() {
    let (mut player, records) = (player::<Toy>(toy::character()), taped());
    let steps = records.iter().filter(|record| matches!(record, Record::Step(_))).count() as u64;
    let shared = records.iter().filter(|record| matches!(record, Record::Shared(..))).count();
    assert!(steps > 60, "{steps}");
    assert_eq!(shared, 0, "a lane that was not met is met with its part");
    for record in records {
        player.play(record).unwrap();
    }
    assert_eq!(player.steps(), steps);
    assert!(player.lanes() > 20, "{}", player.lanes());
}

#[test]
fn a_machine_that_was_changed_is_named_with_the_step_and_what_differs() {
    let mut player = player::<Deaf>(toy::character());
    let problem = taped().into_iter().find_map(|record| player.play(record).err());
    let Some(Problem::Differs(found)) = problem else { panic!("{problem:?}") };
    assert_eq!((found.lane, found.channel), (LaneIx(4), 1));
    // Twice a wake and its answer, and the third answer.
    assert_eq!(found.step, 6, "{found}");
    let said = found.to_string();
    for words in ["lane 4 (device 1, channel 1), step 6", "status 200", "hearing push, order", "differs: the action\n"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(found.clocks.now > Mono::ZERO + Dur::secs(60));
}

#[test]
fn records_that_no_shard_writes_are_refused() {
    let records = taped();
    let opened = records.iter().position(|record| matches!(record, Record::Opened(_))).unwrap();
    let refused = |records: &[Record]| {
        let mut player = player::<Toy>(toy::character());
        let problem = records.iter().cloned().find_map(|record| player.play(record).err());
        problem.unwrap_or_else(|| panic!("taken")).to_string()
    };
    // Without the meeting, without the opening, met twice, of a kind that is none.
    assert!(refused(&records[opened..]).contains("not met"));
    assert!(refused(&[&records[..opened], &records[opened + 1..]].concat()).contains("sleep"));
    assert!(refused(&[records[0].clone(), records[0].clone()]).contains("twice"));
    let Record::Met(mut met) = records[0].clone() else { panic!("{:?}", records[0]) };
    met.character = 1;
    assert!(refused(&[Record::Met(met)]).contains("kind 1, of 1"));
}
