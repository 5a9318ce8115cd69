use super::*;
use crate::tests_support::{World, ios};
use crate::{KeyIx, Machine, Reasons, Slept};
use droves_facts::{DeviceState, Dice, Limits};
use droves_wire::apple::push::Tokens;

/// A device channel adopts an identity when it wakes and saves it; a user channel shows whether there is one.
struct Renewing;

impl Machine for Renewing {
    type Record = ();
    type Shared = u8;

    fn open(_: Slept<Self>) -> Self {
        Renewing
    }
    fn fold(self) -> Slept<Self> {
        Slept { record: (), shared: Arc::new(0), own: None }
    }
    fn snapshot(&self) -> Slept<Self> {
        Slept { record: (), shared: Arc::new(0), own: None }
    }
    fn record(&self) {}
    fn on(&mut self, event: Event<'_>, ctx: &mut Ctx<'_>) -> Action {
        let shown = u64::from(ctx.identity.is_some());
        let mut what = What::Wait;
        if ctx.channel == 0 && matches!(event, Event::Wake(_)) {
            ctx.adopt(Some(Arc::new(Identity { key: KeyIx(1), certificate: Box::default() })));
            what = What::Save;
        }
        Action { what, until: Mono(9_000_000 + shown), hear: Reasons::NONE }
    }
    fn state((): &()) -> DeviceState {
        DeviceState::Enrolled
    }
    fn enrollment_id(ctx: &Ctx<'_>) -> String {
        ctx.lane.to_string()
    }
    fn resume((): &(), _: &Ctx<'_>) -> Action {
        Action { what: What::Wait, until: Mono::NEVER, hear: Reasons::NONE }
    }
    fn record_to_bytes((): &()) -> Vec<u8> {
        Vec::new()
    }
    fn record_from_bytes(_: &[u8]) -> Result<(), String> {
        Ok(())
    }
    fn shared_to_bytes(_: &u8) -> Vec<u8> {
        Vec::new()
    }
    fn shared_from_bytes(_: &[u8]) -> Result<u8, String> {
        Ok(0)
    }
}

#[test]
fn a_renewed_identity_is_a_sister_s_when_it_is_saved() {
    let (mut player, mut worlds) = (
        Player::<Renewing>::new(Dice::new(42), Tokens::new([7; 32]), vec![ios()], Limits::default()),
        [World::new(ios()), World::new(ios())],
    );
    for (channel, world) in (0..).zip(&mut worlds) {
        (world.channel, world.lane) = (channel, LaneIx(u32::from(channel)));
        let (lane, device) = (world.lane, world.device);
        let (record, shared) = (Vec::new(), Vec::new());
        let met = Met { lane, device, channel, character: 0, record, shared, own: None, identity: None };
        player.play(Record::Met(Box::new(met))).unwrap();
        player.play(Record::Opened(lane)).unwrap();
    }
    let wake = || Heard::Wake { reasons: Reasons::TIME, due: Mono(0), notes: Vec::new() };
    let renewed = Arc::new(Identity { key: KeyIx(1), certificate: Box::default() });
    // The channel, what it hears, and whether a shard shows it an identity by then.
    for (channel, heard, shown) in [(0, wake(), false), (1, wake(), false), (0, Heard::Saved, true), (1, wake(), true)]
    {
        let world: &mut World = &mut worlds[channel];
        world.identity = shown.then(|| Arc::clone(&renewed));
        let (clocks, lane) = (world.clocks, world.lane);
        let action = heard.tell(&mut Renewing, &mut world.ctx()).unwrap();
        let said = Said::of(&action, &std::mem::take(&mut world.out), &Renewing);
        let step = Step { lane, clocks, cause: clocks.now, heard, said };
        player.play(Record::Step(Box::new(step))).unwrap();
    }
    assert_eq!(player.steps(), 4);
}
