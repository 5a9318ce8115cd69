//! Whatever a server says and a shell brings: no panic, no spinning, nothing lost by folding.

use super::*;
use proptest::prelude::*;

fn any_reply() -> impl Strategy<Value = Reply> {
    let status = prop::sample::select(vec![200_u16, 200, 200, 204, 301, 307, 400, 401, 403, 404, 410, 500, 503, 999]);
    let body = prop_oneof![
        Just(Bytes::new()),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        Just(Bytes::from_static(b"{\"code\":\"com.apple.unrecognized.device\"}")),
        any_command(),
    ];
    prop_oneof![
        6 => (status, body).prop_map(|(status, body)| Reply::Says(status, body)),
        1 => prop::sample::select(vec!["/", "https://x.test/", "ftp://", ""]).prop_map(|to| Reply::Moves(307, to)),
        1 => Just(Reply::Fails("reset", Reached::Sent)),
    ]
}

fn any_command() -> impl Strategy<Value = Bytes> {
    let names = [
        "DeviceInformation",
        "ProfileList",
        "SecurityInfo",
        "EraseDevice",
        "RestartDevice",
        "InstallProfile",
        "InstallApplication",
        "Settings",
        "ScheduleOSUpdate",
        "X",
    ];
    let keys = prop::sample::select(vec![
        "",
        "<key>Payload</key><data>AAAA</data>",
        "<key>Queries</key><array><integer>1</integer><string>UDID</string></array>",
        "<key>Settings</key><array><string>x</string></array>",
        "<key>iTunesStoreID</key><integer>7</integer>",
        "<key>Updates</key><array><dict/></array>",
    ]);
    (prop::sample::select(names.to_vec()), keys).prop_map(|(name, keys)| {
        let text = format!(
            "<plist version=\"1.0\"><dict><key>Command</key><dict>{keys}<key>RequestType</key><string>{name}</string>\
             </dict><key>CommandUUID</key><string>u</string></dict></plist>"
        );
        text.into()
    })
}

/// What the shell brings in place of what is due.
#[derive(Clone, Debug)]
enum Stray {
    Nothing,
    Wake(u8, Vec<Order>),
    Answer(Reply),
    Saved,
    Key,
    Refused,
    Failed,
}

fn any_stray() -> impl Strategy<Value = Stray> {
    use Order::{CheckIn, Enroll, IdentityRenewed, MainEnded, Renew, Unenroll};
    let orders = prop::sample::select(vec![Enroll, CheckIn, Renew, Unenroll, MainEnded, IdentityRenewed]);
    prop_oneof![
        12 => Just(Stray::Nothing),
        2 => (0_u8..8, prop::collection::vec(orders, 0..3)).prop_map(|(reasons, orders)| Stray::Wake(reasons, orders)),
        1 => any_reply().prop_map(Stray::Answer),
        1 => Just(Stray::Saved),
        1 => Just(Stray::Key),
        1 => Just(Stray::Refused),
        1 => Just(Stray::Failed),
    ]
}

impl Rig {
    fn stray(&mut self, stray: &Stray) -> Option<Action> {
        let failure =
            || Failure { blame: Blame::Generator, kind: "timeout", reached: Reached::Nothing, text: "too late".into() };
        Some(match stray {
            Stray::Nothing => return None,
            Stray::Wake(bits, orders) => {
                let now = self.world.clocks.now;
                let one = |bit: u8, reason| if bits & bit == 0 { Reasons::NONE } else { reason };
                let reasons = one(1, Reasons::TIME) | one(2, Reasons::PUSH) | one(4, Reasons::ORDER);
                let notes: Vec<Note> = orders.iter().map(|&order| Note { order, cause: now }).collect();
                self.on(Event::Wake(Wake { reasons, due: now, notes: &notes }))
            }
            Stray::Answer(Reply::Says(status, body)) => self.answer(*status, body.clone(), HeaderMap::new()),
            Stray::Answer(Reply::Moves(..)) => self.answer(308, Bytes::new(), HeaderMap::new()),
            Stray::Answer(Reply::Fails(kind, reached)) => self.fail(kind, *reached, kind),
            Stray::Saved => self.on(Event::Saved),
            Stray::Key => self.on(Event::Made(Made::Key(KeyIx(1)))),
            Stray::Refused => {
                let reason = scep::FailInfo::BadRequest;
                self.on(Event::Made(Made::ScepReply(scep::Reply::Failed { reason })))
            }
            Stray::Failed => self.on(Event::Failed(failure())),
        })
    }

    fn folds_without_loss(&mut self) {
        let slept = std::mem::take(&mut self.machine).fold();
        let again = Apple::open(slept.clone()).fold();
        assert_eq!((slept.record, &slept.shared, &slept.own), (again.record, &again.shared, &again.own));
        let record = Apple::record_from_bytes(&Apple::record_to_bytes(&slept.record)).unwrap();
        let shared = Apple::shared_from_bytes(&Apple::shared_to_bytes(&slept.shared)).unwrap();
        assert_eq!((record, &shared), (slept.record, &*slept.shared));
        self.machine = Apple::open(slept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The device sleeps or ends, never asks to be woken in the past (the rig looks at each action), and folds without
    /// a loss.
    #[test]
    fn no_server_can_break_a_device(
        replies in prop::collection::vec(any_reply(), 0..60),
        orders in prop::collection::vec(0_u8..5, 1..12),
        is_mac in any::<bool>(),
    ) {
        let mut rig = Rig::new(if is_mac { Character { users: 1, ..mac() } } else { ios() });
        rig.script = replies.into();
        let mut action = rig.order(Order::Enroll);
        for order in orders {
            rig.folds_without_loss();
            let ended = matches!(action.what, What::End(_));
            action = match order {
                _ if ended => rig.order(Order::Enroll),
                0 => rig.order(Order::CheckIn),
                1 => rig.order(Order::Renew),
                2 => rig.order(Order::Unenroll),
                3 if !action.until.is_never() => rig.time(&action),
                _ if action.hear.has(Reasons::PUSH) => rig.push(),
                _ => rig.order(Order::CheckIn),
            };
        }
    }

    /// A shell that brings what is not due, at any point, harms nothing: left alone, the device comes to rest, and
    /// enrolls once it is told to.
    #[test]
    fn no_shell_can_break_a_device(
        replies in prop::collection::vec(any_reply(), 0..20),
        strays in prop::collection::vec(any_stray(), 1..60),
        channel in 0_u8..2,
    ) {
        let mut rig = Rig::new(Character { users: 1, ..mac() });
        let main = Rig::enrolled(Character { users: 1, ..mac() });
        if channel > 0 {
            rig.world.channel = 1;
            rig.world.identity.clone_from(&main.world.identity);
            rig.machine = Apple::open(Slept { shared: main.machine.sister(), ..Slept::default() });
        }
        rig.script = replies.into();
        rig.keeps_contract = false;
        let enroll = Stray::Wake(4, vec![Order::Enroll]);
        let mut action = rig.stray(&enroll).unwrap();
        for stray in &strays {
            action = match rig.stray(stray) {
                Some(next) => next,
                None => match rig.react(action) {
                    Ok(next) => next,
                    Err(rest) if rest.until.is_never() => rig.stray(&enroll).unwrap(),
                    Err(rest) => {
                        rig.folds_without_loss();
                        rig.time(&rest)
                    }
                },
            };
        }
        rig.script.clear();
        rig.rest(action, |rig| rig.stray(&Stray::Failed).unwrap());
        if channel > 0 {
            rig.machine.lane.shared = main.machine.sister();
        }
        let mut action = rig.order(Order::Enroll);
        for _ in 0..4 {
            if !action.until.is_never() && rig.machine.record().stage != record::Stage::Enrolled {
                action = rig.time(&action);
            }
        }
        prop_assert_eq!(rig.machine.record().stage, record::Stage::Enrolled);
    }
}
