//! Between sessions: the schedule, the channel, the certificate, and the ways out.

use super::*;
use crate::{Need, Why};

impl Rig {
    /// Wakes by time until so many more sessions have begun; how long after each other they did.
    fn sessions(&mut self, mut action: Action, wanted: usize) -> (Vec<Dur>, Action) {
        let (mut gaps, mut last) = (Vec::new(), self.world.clocks.now);
        while gaps.len() < wanted {
            self.forget();
            action = self.time(&action);
            if self.operations().contains(&"windows.first_message") {
                gaps.push(self.world.clocks.now.since(last));
                last = self.world.clocks.now;
            }
        }
        (gaps, action)
    }

    fn polls(&mut self, first: (u32, u32), second: (u32, u32), remaining: (u32, u32)) {
        let sets = [
            ("First", "FirstSetOf", first),
            ("Second", "SecondSetOf", second),
            ("RemainingScheduled", "RemainingScheduled", remaining),
        ];
        self.document.settings = sets
            .into_iter()
            .flat_map(|(number, interval, (count, minutes))| {
                [
                    setting("Poll", &format!("NumberOf{number}Retries"), &count.to_string()),
                    setting("Poll", &format!("IntervalFor{interval}Retries"), &minutes.to_string()),
                ]
            })
            .collect();
    }

    fn code_of_alert(&self, n: usize, kind: &str) -> Option<u16> {
        self.told(n).commands.iter().find_map(|command| match &command.body {
            Body::Alert { code, items } if items.iter().any(|item| item.meta.kind.as_deref() == Some(kind)) => {
                Some(*code)
            }
            _ => None,
        })
    }
}

const MINUTE: Dur = Dur::secs(60);
const DAY: Dur = Dur::secs(86_400);
const LEAVES: &str = "com.microsoft:mdm.unenrollment.userrequest";

#[test]
fn sessions_come_by_the_schedule() {
    let mut rig = Rig::new(windows());
    rig.polls((2, 3), (2, 15), (0, 480));
    let action = rig.order(Order::Enroll);
    let (gaps, _) = rig.sessions(action, 7);
    assert!(gaps[0] <= MINUTE.times(3), "{gaps:?}");
    let expected = [3, 15, 15, 480, 480, 480].map(|minutes| MINUTE.times(minutes));
    assert_eq!(gaps[1..], expected);
}

#[test]
fn each_device_has_its_own_moment() {
    let first = |device| {
        let mut rig = Rig::new(windows());
        rig.world.device = droves_facts::DeviceIx(device);
        rig.polls((0, 60), (0, 0), (0, 0));
        let action = rig.order(Order::Enroll);
        rig.wait(&action)
    };
    let moments: Vec<_> = (0..16).map(first).collect();
    assert!(moments.iter().all(|moment| *moment <= MINUTE.times(60)), "{moments:?}");
    let early = moments.iter().filter(|moment| **moment < MINUTE.times(30)).count();
    assert!((3..14).contains(&early), "{moments:?}");
}

#[test]
fn another_schedule_counts_at_once() {
    let mut rig = Rig::enrolled();
    let faster = command("1", Verb::Replace, "Poll/IntervalForFirstSetOfRetries", "1");
    let action = rig.pushed([says([faster]), says([])]);
    assert!(rig.wait(&action) <= MINUTE, "{}", rig.wait(&action));
    let (gaps, _) = rig.sessions(action, 3);
    assert_eq!(gaps[1..], [MINUTE, MINUTE]);
}

#[test]
fn a_device_that_slept_through_its_schedule_goes_on_from_now() {
    let mut rig = Rig::enrolled();
    let mut action = rig.order(Order::CheckIn);
    action.until += DAY;
    let (_, action) = rig.sessions(action, 1);
    assert_eq!(rig.wait(&action), MINUTE.times(60));
}

#[test]
fn a_login_starts_a_session_where_the_server_wants_it() {
    let spells = Character { locked: (0.5, MINUTE.times(10)), ..windows() };
    let mut rig = Rig::new(spells.clone());
    rig.polls((0, 100_000), (0, 0), (0, 0));
    rig.document.settings.push(setting("Poll", "PollOnLogin", "true"));
    let action = rig.order(Order::Enroll);
    assert!(rig.wait(&action) < MINUTE.times(30), "{}", rig.wait(&action));
    rig.forget();
    rig.time(&action);
    assert!(rig.asked[0].url.contains("mode=Maintenance"), "{}", rig.asked[0].url);
    let mut rig = Rig::new(spells);
    rig.polls((0, 100_000), (0, 0), (0, 0));
    let action = rig.order(Order::Enroll);
    assert!(rig.wait(&action) > MINUTE.times(30), "{}", rig.wait(&action));
}

#[test]
fn a_channel_is_on_disk_before_it_is_told() {
    let mut rig = Rig::enrolled();
    let uri = || get("u", "Push/ChannelURI");
    let status = || get("s", "Push/Status");
    rig.pushed([
        says([command("1", Verb::Replace, "Push/PFN", "app_1"), uri(), status()]),
        says([]),
        says([uri(), status()]),
        says([]),
    ]);
    assert_eq!(rig.channels, [1]);
    // Not in the session that asks for it, but in the next, which begins at once.
    assert_eq!(rig.codes(1)[1], ("u".to_owned(), 404));
    assert_eq!(rig.operations()[2], "windows.first_message");
    let told = rig.told(3);
    let values = told.commands.iter().filter_map(|command| match &command.body {
        Body::Results { items, .. } => items[0].data.as_ref().map(|data| data.as_str().to_owned()),
        _ => None,
    });
    let values = values.collect::<Vec<_>>();
    let token = droves_wire::windows::wns::channel_token(&values[0]).unwrap();
    assert!(values[0].starts_with("https://channels.example.test:443/?token="), "{values:?}");
    let lane = rig.world.lane;
    assert_eq!(rig.world.tokens.find(&token), Some((lane, 1)));
    assert_eq!(values[1], "0");
    assert_eq!(rig.saved.record.token, 1);
    let record = rig.machine.record();
    assert_eq!(Windows::magic(&record, &rig.world.ctx()).as_deref(), Some(""));
    let registered = Windows::registration(&rig.saved.record, &rig.saved.shared);
    assert_eq!(registered, Some((1, "app_1".into())));
    // The same once more is nothing new.
    rig.pushed([says([command("1", Verb::Replace, "Push/PFN", "app_1")]), says([])]);
    assert_eq!((rig.channels.len(), rig.asked.len()), (1, 2));
}

#[test]
fn a_channel_is_renewed_after_half_its_life() {
    let mut rig = Rig::new(windows());
    rig.polls((0, 1_000_000), (0, 0), (0, 0));
    rig.document.settings.push(setting("Push", "PFN", "app_1"));
    let action = rig.order(Order::Enroll);
    assert_eq!(rig.channels, [1]);
    assert_eq!(rig.wait(&action), DAY.times(15));
    rig.forget();
    let action = rig.time(&action);
    assert_eq!(rig.channels, [1, 2]);
    assert_eq!(rig.operations(), ["windows.first_message"]);
    // The push service gives none: the old one is good for a while, and it is asked again in some hours.
    rig.gives_channels = false;
    rig.forget();
    let action = rig.time(&action);
    assert!(rig.wait(&action) >= MINUTE.times(180) && rig.wait(&action) <= MINUTE.times(300), "{}", rig.wait(&action));
    assert_eq!((rig.complaints(), rig.machine.record().token), (vec!["push_register"], 2));
    rig.gives_channels = true;
    rig.time(&action);
    assert_eq!(rig.machine.record().token, 3);
}

#[test]
fn a_certificate_is_renewed_before_it_ends() {
    let mut rig = Rig::new(windows());
    rig.polls((0, 1_000_000), (0, 0), (0, 0));
    let action = rig.order(Order::Enroll);
    let before = rig.world.identity.clone().unwrap();
    let (_, ends) = droves_wire::x509::validity(&before.certificate).unwrap();
    let expected = (ends - DAY.times(42)).since(rig.world.clocks.wall);
    assert_eq!(rig.wait(&action), expected);
    rig.forget();
    rig.time(&action);
    assert_eq!(rig.operations(), ["windows.renew", "windows.first_message"]);
    let request = issue::Request::read(&rig.asked[0].body, &rig.world.limits).unwrap();
    assert!(request.renews && request.header.credential.is_none());
    let names: Vec<_> = request.context.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["DeviceType", "ApplicationVersion"]);
    let wanted = request.token.open(&rig.world.limits).unwrap();
    assert_eq!(wanted.signer.as_deref(), Some(&*before.certificate));
    let after = rig.world.identity.clone().unwrap();
    assert!(after.key != before.key && after.certificate != before.certificate);
    assert_eq!(droves_wire::x509::public_key(&after.certificate).unwrap(), wanted.csr.spki);
}

#[test]
fn a_renewal_that_fails_changes_nothing_and_is_tried_again() {
    let mut rig = Rig::new(windows());
    rig.polls((0, 1_000_000), (0, 0), (0, 0));
    let action = rig.order(Order::Enroll);
    let before = rig.world.identity.clone();
    let mut out = Vec::new();
    Fault::of(FaultKind::NotEligibleToRenew, "no").write(&mut out, &AnswerHeader::default());
    rig.enrollment.push_back((Operation::WindowsRenew, Reply::Says(200, out.into())));
    rig.forget();
    let action = rig.time(&action);
    assert_eq!((rig.complaints(), rig.asked.len()), (vec!["fault_not_eligible_to_renew"], 1));
    assert_eq!(rig.world.identity, before);
    assert_eq!(rig.wait(&action), DAY.times(4));
    rig.forget();
    rig.time(&action);
    assert_eq!(rig.operations(), ["windows.renew", "windows.first_message"]);
    assert_ne!(rig.world.identity, before);
}

#[test]
fn an_order_renews_but_not_what_has_ended() {
    let mut rig = Rig::enrolled();
    rig.order(Order::Renew);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)]);
    assert_eq!(rig.operations(), ["windows.renew", "windows.first_message"]);
    rig.forget();
    rig.world.clocks.wall = rig.world.clocks.wall + DAY.times(4_000);
    rig.order(Order::Renew);
    assert!(!rig.operations().contains(&"windows.renew"));
    assert_eq!(rig.complaints(), ["certificate_expired"]);
    assert!(matches!(rig.ended[..], [(Operation::Renew, Outcome::Failed { .. })]), "{:?}", rig.ended);
}

#[test]
fn a_user_who_leaves_says_so_once() {
    let mut rig = Rig::enrolled();
    let action = rig.order(Order::Unenroll);
    assert!(matches!(action.what, What::End(Why::Removed)));
    assert_eq!(rig.operations(), ["windows.first_message"]);
    assert_eq!(rig.code_of_alert(0, LEAVES), Some(1226));
    let names: Vec<_> = rig.told(0).commands.iter().map(|c| format!("{} {}", c.id, c.body.name())).collect();
    assert_eq!(names, ["2 Alert", "3 Alert", "4 Alert", "5 Replace"]);
    assert_eq!(rig.ended, [(Operation::Unenroll, Outcome::Succeeded)]);
    assert_eq!(rig.world.identity, None);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Unreachable)), 1);
    let mut rig = Rig::enrolled();
    rig.script.push_back(Reply::Says(500, Bytes::new()));
    let action = rig.order(Order::Unenroll);
    assert!(matches!(action.what, What::End(Why::Removed)));
    assert_eq!(rig.asked.len(), 1);
    assert!(matches!(rig.ended[..], [(Operation::Unenroll, Outcome::Failed { .. })]), "{:?}", rig.ended);
}

#[test]
fn a_pc_that_is_off_is_deaf_and_keeps_its_schedule_when_it_is_back() {
    let habits = Habits { off: (0.5, MINUTE.times(20)), ..Habits::default() };
    let mut rig = Rig::new(Character { habits, ..windows() });
    let mut action = rig.order(Order::Enroll);
    // Its next waking may be for the schedule, or for the end of a spell.
    while action.hear != Reasons::TIME || rig.ended.is_empty() {
        action = rig.time(&action);
    }
    rig.forget();
    let late = rig.pushed([]);
    assert_eq!((late.hear, late.until, rig.asked.len()), (Reasons::TIME, action.until, 0));
    assert!(rig.wait(&late) <= MINUTE.times(20));
    let action = rig.time(&late);
    assert_eq!(rig.operations(), ["windows.first_message"]);
    assert!(action.hear.has(Reasons::PUSH));
    // The schedule has a session each hour; those that fall into a spell come at its end.
    let mut action = action;
    rig.forget();
    for _ in 0..100 {
        action = rig.time(&action);
    }
    let hours = rig.world.clocks.wall.since(Wall::VIRTUAL_START).0 / MINUTE.times(60).0;
    let sessions = rig.asked.len() as u64;
    assert!(sessions + 3 >= hours && sessions <= hours + 3, "{sessions} in {hours} hours");
}

#[test]
fn a_server_that_ends_it_gets_no_status_but_the_alert() {
    let mut rig = Rig::enrolled();
    let action = rig.pushed([says([get("1", "UPN"), command("2", Verb::Exec, "Unenroll", PROVIDER), get("3", "UPN")])]);
    assert!(matches!(action.what, What::End(Why::Removed)));
    assert_eq!(rig.operations(), ["windows.first_message", "windows.first_message"]);
    assert_eq!((rig.code_of_alert(0, LEAVES), rig.code_of_alert(1, LEAVES)), (None, Some(1226)));
    assert_eq!(rig.told(1).header.message, "1");
    assert_ne!(rig.told(1).header.session, rig.told(0).header.session);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Delivered { .. })), 3);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { .. } | Fact::Answered { .. })), 0);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Unreachable)), 1);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Managed { .. })), 2);
}

#[test]
fn a_wiped_device_says_so_and_comes_back_as_another_enrollment_of_the_same_hardware() {
    let mut rig = Rig::new(Character { reenrolls_after_wipe: Some(DAY), ..windows() }).enroll();
    let wipe = || command("1", Verb::Exec, "./Device/Vendor/MSFT/RemoteWipe/doWipe", "");
    let id = rig.device_id();
    let action = rig.pushed([says([wipe()]), says([get("2", "UPN")])]);
    assert_eq!(rig.codes(1), [("1".to_owned(), 200)]);
    assert_eq!(rig.asked.len(), 2);
    assert_eq!(Windows::state(&rig.machine.record()), DeviceState::Wiped);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { .. })), 1);
    assert_eq!(rig.wait(&action), DAY);
    rig.forget();
    rig.time(&action);
    let request = issue::Request::read(&rig.asked[2].body, &rig.world.limits).unwrap();
    let hardware = hardware::Hardware::of(&rig.world.ctx()).hardware_id();
    assert_eq!(request.context("HWDevID"), Some(&*hardware));
    assert_ne!(request.context("DeviceID"), Some(&*id));
    // One that stays away.
    let mut rig = Rig::enrolled();
    let action = rig.pushed([says([wipe()]), Reply::Fails("reset")]);
    assert!(matches!(action.what, What::End(Why::Wiped)));
}

#[test]
fn a_restart_comes_after_the_answer_and_ends_in_a_session() {
    let mut rig = Rig::new(Character { pace: 1.0, ..windows() }).enroll();
    let action = rig.pushed([says([command("1", Verb::Exec, "./Device/Vendor/MSFT/Reboot/RebootNow", "")]), says([])]);
    assert_eq!(rig.codes(1), [("1".to_owned(), 200)]);
    assert!(rig.wait(&action) > Dur::secs(10) && rig.wait(&action) < Dur::secs(400), "{}", rig.wait(&action));
    assert_eq!(action.hear, Reasons::TIME);
    rig.forget();
    rig.time(&action);
    assert_eq!(rig.operations(), ["windows.first_message"]);
}

#[test]
fn a_device_that_is_out_of_touch_for_too_long_leaves() {
    let mut rig = Rig::new(windows());
    rig.polls((0, 1_440), (0, 0), (0, 0));
    rig.document.settings.push(setting("", "NumberOfDaysAfterLostContactToUnenroll", "3"));
    let mut action = rig.order(Order::Enroll);
    rig.forget();
    rig.script.extend((0..100).map(|_| Reply::Fails("timeout")));
    let began = rig.world.clocks.now;
    while !matches!(action.what, What::End(_)) {
        action = rig.time(&action);
    }
    assert!(matches!(action.what, What::End(Why::Removed)));
    assert_eq!(rig.world.clocks.now.since(began), DAY.times(3));
    assert_eq!(rig.complaints().last(), Some(&"lost_contact"));
}

#[test]
fn an_order_to_enroll_begins_anew() {
    let mut rig = Rig::enrolled();
    rig.order(Order::Enroll);
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
    assert_eq!(rig.machine.record().generation, 2);
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Unreachable)), 1);
}

/// Enrolls, obeys and renews; the process ends after `steps` events. Whether it got that far.
fn ends_after(steps: usize) -> bool {
    let mut rig = Rig::new(windows());
    rig.document.settings.push(setting("Push", "PFN", "app_1"));
    rig.script.extend([says([]), says([]), says([command("1", Verb::Replace, "UPN", "x")])]);
    let mut left = steps;
    for order in [Order::Enroll, Order::CheckIn, Order::Renew] {
        let now = rig.world.clocks.now;
        let notes = [Note { order, cause: now }];
        let mut action = rig.on(Event::Wake(Wake { reasons: Reasons::ORDER, due: now, notes: &notes }));
        loop {
            if left == 0 {
                goes_on(&mut rig, steps);
                return true;
            }
            left -= 1;
            match rig.react(action) {
                Ok(next) => action = next,
                Err(_) => break,
            }
        }
        // A lane that sleeps is on disk.
        rig.save();
    }
    false
}

fn goes_on(rig: &mut Rig, steps: usize) {
    rig.machine = Windows::open(rig.saved.clone());
    rig.world.identity.clone_from(&rig.saved_identity);
    let record = rig.machine.record();
    let action = Windows::resume(&record, &rig.world.ctx());
    rig.script.clear();
    if !action.until.is_never() {
        rig.time(&action);
    }
    if Windows::state(&rig.machine.record()) != DeviceState::Enrolled {
        assert_eq!(rig.machine.record().generation, 0, "{steps}: nothing was saved yet");
        rig.order(Order::Enroll);
    }
    assert_eq!(Windows::state(&rig.machine.record()), DeviceState::Enrolled, "{steps}");
    rig.pushed([says([get("9", "UPN")]), says([])]);
    let nine = CommandKey::of(b"9");
    assert_eq!(rig.count(|fact| matches!(fact, Fact::Accepted { command, .. } if *command == nine)), 1, "{steps}");
    rig.forget();
    rig.order(Order::Renew);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)], "{steps}");
}

#[test]
fn a_killed_fleet_goes_on_from_what_was_saved() {
    let reached = (0..).take_while(|&steps| ends_after(steps)).count();
    assert!(reached > 15, "{reached}");
}

#[test]
fn who_is_away_when_it_is_to_enroll_enrolls_when_it_is_back() {
    let habits = Habits { off: (0.5, Dur::secs(3_600)), ..Habits::default() };
    let mut rig = Rig::new(Character { habits, ..windows() });
    while rig.world.ctx().lacks_until(Need::Power).is_none() {
        rig.pass(rig.world.clocks.now + Dur::secs(60));
    }
    let first = rig.order(Order::Enroll);
    let mut action = rig.order(Order::Enroll);
    assert_eq!((action.hear, action.until, rig.asked.len()), (Reasons::TIME, first.until, 0));
    while rig.ended.is_empty() {
        action = rig.time(&action);
    }
    assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
}
