//! Whatever Google says and a shell brings: no panic, no spinning, nothing lost by folding.

use super::*;
use proptest::prelude::*;

fn any_command() -> impl Strategy<Value = Value> {
    let kinds = [
        "LOCK",
        "RESET_PASSWORD",
        "REBOOT",
        "RELINQUISH_OWNERSHIP",
        "CLEAR_APP_DATA",
        "START_LOST_MODE",
        "STOP_LOST_MODE",
        "ADD_ESIM",
        "REMOVE_ESIM",
        "REQUEST_DEVICE_INFO",
        "WIPE",
        "FLY",
    ];
    let params = prop::sample::select(vec![json!({ "packageNames": ["a.a", 3] }), json!({}), json!(null), json!("x")]);
    (prop::sample::select(kinds.to_vec()), params).prop_map(|(kind, params)| {
        json!({ "type": kind, "newPassword": "1", "clearAppsDataParams": params, "removeEsimParams": params })
    })
}

fn any_policy() -> impl Strategy<Value = Value> {
    let app = (0_u8..20, prop::sample::select(vec!["FORCE_INSTALLED", "AVAILABLE", "KIOSK"]), 0_u64..1 << 33);
    let apps = prop::collection::vec(app, 0..12).prop_map(|apps| {
        let app = |(n, kind, least)| json!({ "packageName": format!("p{n}"), "installType": kind, "minimumVersionCode": least });
        json!(apps.into_iter().map(app).collect::<Vec<_>>())
    });
    let odd = prop::sample::select(vec![json!([]), json!(3), json!({}), json!([null, {}, { "packageName": 1 }])]);
    (prop_oneof![4 => apps, 1 => odd], any::<bool>(), any::<bool>()).prop_map(|(apps, sms, password)| {
        json!({ "applications": apps, "smsDisabled": sms, "passwordPolicies": if password { json!([{}]) } else { json!(0) } })
    })
}

/// What happens to an enrolled device.
#[derive(Clone, Debug)]
enum Happens {
    Policy(Value),
    Command(Value),
    Says(u16, Vec<u8>),
    Fails,
    Deletes(bool),
    Order(u8),
    Push,
    Time,
}

fn any_happening() -> impl Strategy<Value = Happens> {
    let status = prop::sample::select(vec![200_u16, 204, 400, 403, 404, 429, 500, 999]);
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::sample::select(vec![
            "\"taken\"",
            "\"too_late\"",
            "{}",
            "null",
            "{\"sync\":{\"policy\":null,\"order\":\"wipe\"}}"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        3 => any_policy().prop_map(Happens::Policy),
        3 => any_command().prop_map(Happens::Command),
        2 => (status, bytes).prop_map(|(status, bytes)| Happens::Says(status, bytes)),
        1 => Just(Happens::Fails),
        1 => any::<bool>().prop_map(Happens::Deletes),
        3 => (0_u8..6).prop_map(Happens::Order),
        4 => Just(Happens::Push),
        6 => Just(Happens::Time),
    ]
}

fn any_mode() -> impl Strategy<Value = Mode> {
    let modes = [Mode::FullyManaged, Mode::Dedicated, Mode::CompanyWorkProfile, Mode::PersonalWorkProfile];
    prop::sample::select(modes.to_vec())
}

impl Rig {
    fn folds_without_loss(&mut self) {
        let slept = std::mem::take(&mut self.machine).fold();
        let again = Google::open(slept.clone()).fold();
        assert_eq!((slept.record, &slept.shared, &slept.own), (again.record, &again.shared, &again.own));
        let record = Google::record_from_bytes(&Google::record_to_bytes(&slept.record)).unwrap();
        let shared = Google::shared_from_bytes(&Google::shared_to_bytes(&slept.shared)).unwrap();
        assert_eq!((record, &shared), (slept.record, &*slept.shared));
        self.machine = Google::open(slept);
    }

    fn happen(&mut self, happens: Happens, action: Action) -> Action {
        let orders =
            [Order::CheckIn, Order::Unenroll, Order::Renew, Order::Enroll, Order::Fetched(1), Order::Pushed(1)];
        match happens {
            Happens::Policy(body) => self.policy(self.played.policy.as_ref().map_or(0, |old| old.version) + 1, body),
            Happens::Command(command) => self.played.commands.push_back(command),
            Happens::Says(status, bytes) => self.played.instead.push_back(Ok((status, bytes.into()))),
            Happens::Fails => self.played.instead.push_back(Err("reset")),
            Happens::Deletes(deletes) => self.played.deletes = deletes,
            Happens::Order(_) if matches!(action.what, What::End(_)) => return self.order(Order::Enroll),
            Happens::Order(n) if action.hear.has(Reasons::ORDER) => return self.order(orders[usize::from(n)]),
            Happens::Push if action.hear.has(Reasons::PUSH) => return self.push(),
            Happens::Time if !action.until.is_never() => return self.time(&action),
            Happens::Order(_) | Happens::Push | Happens::Time => {}
        }
        action
    }

    /// Something that is not due.
    fn stray(&mut self, which: u8) -> Action {
        let now = self.world.clocks.now;
        let wake = |rig: &mut Rig, reasons, orders: &[Order]| {
            let notes: Vec<Note> = orders.iter().map(|&order| Note { order, cause: now }).collect();
            rig.on(Event::Wake(Wake { reasons, due: now, notes: &notes }))
        };
        match which {
            0 => {
                let (blame, kind, reached) = (Blame::Generator, "timeout", Reached::Nothing);
                self.on(Event::Failed(Failure { blame, kind, reached, text: "too late".into() }))
            }
            1 => self.on(Event::Saved),
            2 => self.answer(200, Bytes::from_static(b"\"taken\"")),
            3 => self.on(Event::Frame(Bytes::from_static(b"x"))),
            4 => wake(self, Reasons::TIME, &[]),
            5 => wake(self, Reasons::PUSH, &[]),
            6 => wake(self, Reasons::ORDER, &[Order::Renew, Order::Unenroll, Order::MainEnded]),
            _ => wake(self, Reasons::ORDER, &[Order::Enroll]),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// The device sleeps or ends, never asks to be woken in the past (the rig looks at each action), folds without a loss;
    /// and in the end, left alone with a Google that does well, it has what its policy asks for.
    #[test]
    fn no_google_can_break_a_device(
        mode in any_mode(),
        pace in prop::sample::select(vec![0.0, 1.0]),
        happens in prop::collection::vec(any_happening(), 1..60),
    ) {
        let mut rig = Rig::new(Character { reenrolls_after_wipe: Some(MINUTE), pace, ..managed(mode) });
        rig.policy(1, json!({}));
        let mut action = rig.order(Order::Enroll);
        for happens in happens {
            rig.folds_without_loss();
            action = rig.happen(happens, action);
        }
        rig.played.instead.clear();
        rig.played.commands.clear();
        rig.played.deletes = false;
        if !action.until.is_never() {
            action = rig.live(action, DAY);
        }
        if rig.state() != DeviceState::Enrolled {
            action = rig.order(Order::Enroll);
        }
        rig.forget();
        rig.live(action, DAY.times(4));
        prop_assert_eq!(rig.state(), DeviceState::Enrolled);
        let policy = rig.played.policy.as_ref().map(|policy| policy.version);
        prop_assert_eq!(rig.reports().last().map(|report| report.0), policy);
        prop_assert!(rig.machine.lane.own.encode().is_none());
    }

    /// A shell that brings what is not due, at any point, harms nothing: left alone, the device comes to rest, and enrolls
    /// once it is told to.
    #[test]
    fn no_shell_can_break_a_device(strays in prop::collection::vec(0_u8..16, 1..60)) {
        let mut rig = Rig::new(managed(Mode::FullyManaged));
        rig.keeps_contract = false;
        let mut action = rig.stray(7);
        for stray in strays {
            action = match stray {
                0..8 => rig.stray(stray),
                _ => match rig.react(action) {
                    Ok(next) => next,
                    Err(rest) if rest.until.is_never() => rig.stray(7),
                    Err(rest) => {
                        rig.folds_without_loss();
                        rig.time(&rest)
                    }
                },
            };
        }
        while let Ok(next) = rig.react(action) {
            action = next;
        }
        rig.pass(rig.world.clocks.now + DAY);
        rig.order(Order::Enroll);
        prop_assert_eq!(Google::state(&rig.machine.record()), DeviceState::Enrolled);
    }
}
