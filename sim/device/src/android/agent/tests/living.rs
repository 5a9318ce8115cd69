//! The schedule, what the configuration orders, and where the device is sent.

use super::*;
use crate::Habits;
use droves_facts::DeviceIx;
use droves_wire::android::image;

#[test]
fn a_device_reports_each_quarter_and_asks_each_hour() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.wait(Dur::secs(4 * 3_600 - 60));
    assert_eq!(rig.count(Operation::AndroidReport), 15);
    assert_eq!(rig.count(Operation::AndroidConfig), 3);
    assert!(rig.asked.iter().all(|asked| !asked.url.contains("/deviceinfo/public/")), "nobody wants details");
    assert!(rig.hops().is_empty() && rig.complaints().is_empty(), "{:?}", rig.facts);
}

/// The minutes in which it reports, of four hours; in the sixth it is pushed to.
fn reports_in(device: u32, is_pushed: bool) -> Vec<u64> {
    let mut rig = Rig::new(agent());
    rig.world.device = DeviceIx(device);
    rig.order(Order::Enroll);
    let reports = (0..240).filter(|minute| {
        rig.forget();
        if is_pushed && *minute == 5 {
            rig.push(&wire::Push::new(Kind::ConfigUpdated));
        }
        rig.wait(Dur::secs(60));
        rig.count(Operation::AndroidReport) > 0
    });
    reports.collect()
}

#[test]
fn devices_report_out_of_step_whatever_they_are_told_together() {
    let (one, other, pushed) = (reports_in(1, false), reports_in(2, false), reports_in(1, true));
    assert_eq!((pushed[0], &pushed[1..]), (5, &one[..]), "it moves nothing");
    assert_ne!(one, other);
    let gaps: Vec<u64> = one.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (9..=21).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().min() != gaps.iter().max(), "{gaps:?}");
}

#[test]
fn an_order_to_check_in_ends_with_a_report() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.order(Order::CheckIn);
    assert_eq!(rig.operations(), ["android.config", "android.logs", "android.logs", "android.report"]);
    assert_eq!(rig.ended, [(Operation::CheckIn, Outcome::Succeeded)]);
    rig.forget();
    rig.script.push_back((Operation::AndroidReport, Ok((200, Envelope::<()>::error("error.internal.server").write()))));
    rig.order(Order::CheckIn);
    let refused = Outcome::Failed { blame: Blame::Server, kind: "refused" };
    assert_eq!(rig.ended, [(Operation::CheckIn, refused)]);
    rig.forget();
    rig.order(Order::Renew);
    assert!(matches!(rig.ended[..], [(Operation::Renew, Outcome::Failed { kind: "no_identity", .. })]));
}

#[test]
fn a_configuration_that_can_t_be_had_is_asked_for_once_more_and_then_by_the_schedule() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    // By both bases at once, which are one here.
    rig.script.extend((0..4).map(|_| (Operation::AndroidConfig, Err("connect_refused"))));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(14));
    assert_eq!(rig.count(Operation::AndroidConfig), 2);
    rig.wait(Dur::secs(600));
    assert_eq!(rig.count(Operation::AndroidConfig), 4);
    rig.wait(Dur::secs(3_600));
    assert_eq!(rig.count(Operation::AndroidConfig), 5);
}

#[test]
fn a_report_that_nobody_takes_is_made_again() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config.description = Some("new".into());
    rig.script.extend((0..2).map(|_| (Operation::AndroidReport, Err("reset"))));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.hops(), ["delivered", "answered"]);
    rig.wait(Dur::secs(1_201));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

#[test]
fn a_device_goes_by_the_number_that_it_is_given() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config.new_number = Some("Hall 3".into());
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.report().device_id.as_deref(), Some("Hall 3"));
    rig.wait(Dur::secs(1));
    // Its link is another one: client, topic.
    assert_eq!(rig.connects.iter().map(|(_, connect)| connect.client.as_str()).collect::<Vec<_>>(), ["Hall 3"]);
    assert!(rig.read.contains(&Packet::Subscribe(1, vec![("Hall 3".into(), 2)])));
    rig.forget();
    rig.wait(Dur::secs(3_700));
    assert_eq!(rig.last(Operation::AndroidConfig).url, format!("{BASE}/rest/public/sync/configuration/Hall%203"));
    assert_eq!(rig.connects.len(), 0);
}

#[test]
fn who_enrolls_again_leaves_the_number_of_before() {
    for push in ["mqttAlarm", "polling"] {
        let mut rig = Rig::enrolled(wire::Config { push_options: Some(push.into()), ..wire::Config::default() });
        rig.config.new_number = Some("Hall 3".into());
        rig.order(Order::CheckIn);
        rig.wait(Dur::secs(70));
        rig.config.new_number = None;
        rig.forget();
        rig.order(Order::Enroll);
        rig.wait(Dur::secs(70));
        let clients = rig.connects.iter().map(|(_, connect)| connect.client.clone());
        let polls = rig.asked.iter().filter(|asked| asked.operation == Operation::AndroidPoll);
        let polled = polls.map(|asked| asked.url.rsplit('/').next().unwrap().to_owned());
        let links: Vec<String> = clients.chain(polled).collect();
        assert!(!links.is_empty() && links.iter().all(|number| number == "d7"), "{links:?}");
    }
}

#[test]
fn a_device_goes_to_another_server_if_that_answers() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config.new_server_url = Some("https://other.example.test/".into());
    rig.script.push_back((Operation::AndroidConfig, Ok((200, Envelope::ok(Some(rig.config.clone())).write()))));
    rig.script.push_back((Operation::AndroidConfig, Err("connect_refused")));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    let asked: Vec<&str> = rig.asked.iter().map(|asked| asked.url.as_str()).collect();
    assert_eq!(asked[1], "https://other.example.test/rest/public/sync/configuration/d7");
    assert_eq!(rig.last(Operation::AndroidReport).url, format!("{BASE}/rest/public/sync/info"), "it stays");
    rig.forget();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    let (elsewhere, here) = ("https://other.example.test/rest/public/sync/info", BASE);
    assert_eq!(rig.last(Operation::AndroidReport).url, elsewhere);
    rig.wait(Dur::secs(1));
    assert_eq!(rig.connects.last().unwrap().0, "mqtt://other.example.test:31000");
    // Two servers that send it to each other are asked once each at a time.
    rig.forget();
    rig.config.new_server_url = Some(here.into());
    let back = rig.config.clone();
    rig.config.new_server_url = Some("https://other.example.test".into());
    rig.script.push_back((Operation::AndroidConfig, Ok((200, Envelope::ok(Some(back)).write()))));
    rig.order(Order::CheckIn);
    assert_eq!(rig.count(Operation::AndroidConfig), 2);
    assert_eq!(rig.last(Operation::AndroidReport).url, format!("{here}/rest/public/sync/info"));
}

#[test]
fn a_restart_takes_all_lanes_away_for_a_while() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.push(&wire::Push::new(Kind::Reboot));
    assert_eq!(rig.operations().len(), 0);
    rig.wait(Dur::secs(29));
    assert_eq!((rig.operations().len(), rig.connects.len()), (0, 0));
    rig.wait(Dur::secs(120));
    assert_eq!((rig.count(Operation::AndroidConfig), rig.connects.len()), (1, 1));
    rig.forget();
    rig.config.reboot = Some(true);
    rig.order(Order::CheckIn);
    assert_eq!(rig.last(Operation::AndroidReport).url, format!("{BASE}/rest/plugins/devicereset/public/reboot/d7"));
    rig.config.reboot = None;
    rig.wait(Dur::secs(200));
    assert_eq!(rig.count(Operation::AndroidConfig), 2);
}

#[test]
fn a_device_says_where_it_is_if_its_configuration_wants_to_know() {
    let mut rig = Rig::new(agent());
    rig.config.request_updates = Some("gps".into());
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(1_201));
    let (mut reported, mut brought) = (0, 0);
    for asked in &rig.asked {
        if asked.url.ends_with("/sync/info") {
            reported += 1;
            assert!(DeviceInfo::read(&asked.body).unwrap().location.is_some_and(|place| place.lat > 47.0));
        } else if asked.url.ends_with("/devicelocations/public/update/d7") {
            brought += 1;
            assert_eq!(wire::details::read_locations(&asked.body).unwrap().len(), 1);
        }
    }
    assert!(reported >= 2 && brought == reported, "{brought} {reported}");
}

#[test]
fn clones_report_the_numbers_of_an_image_and_go_by_their_own() {
    let numbers = |cloned, n| {
        let mut rig = Rig::new(Character { cloned, ..agent() });
        rig.world.device = DeviceIx(n);
        rig.order(Order::Enroll);
        let info = rig.report();
        (info.serial.unwrap(), info.imei.unwrap(), info.device_id.unwrap())
    };
    let (one, other) = (numbers(1.0, 1), numbers(1.0, 2));
    assert!(image::is_of_image(&one.0) && image::is_of_image(&other.0), "{one:?} {other:?}");
    assert_eq!([&*one.1, &*other.1], [image::IMEI; 2]);
    assert_ne!(one.2, other.2);
    let (one, other) = (numbers(0.0, 1), numbers(0.0, 2));
    assert!(one.0 != other.0 && one.1 != other.1, "{one:?} {other:?}");
}

#[test]
fn logs_and_details_are_brought_where_they_are_wanted() {
    let mut rig = Rig::new(agent());
    rig.rules = r#"[{"packageId":"com.hmdm.launcher","logLevel":4,"filter":null}]"#;
    rig.details = r#"{"intervalMins":30,"sendData":true}"#;
    rig.order(Order::Enroll);
    let log = rig.asked.iter().find(|asked| asked.url.contains("/log/list/")).unwrap();
    assert_eq!(wire::details::read_log(&log.body).unwrap().len(), 1);
    rig.forget();
    rig.wait(Dur::secs(3_500));
    let details = rig.asked.iter().filter(|asked| asked.url.ends_with("/deviceinfo/public/d7"));
    assert_eq!(details.map(|asked| wire::details::read_details(&asked.body).unwrap().len()).collect::<Vec<_>>(), [1]);
    assert!(!rig.asked.iter().any(|asked| asked.url.contains("/devicelocations/")), "nobody wants to know");
    // Plugins that a server does not have harm nothing.
    rig.forget();
    rig.script.extend((0..2).map(|_| (Operation::AndroidLogs, Ok((404, b"<html>".to_vec())))));
    rig.order(Order::CheckIn);
    assert_eq!(rig.ended, [(Operation::CheckIn, Outcome::Succeeded)]);
}

#[test]
fn applying_takes_its_time() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.world.character.pace = 1.0;
    rig.config.description = Some("new".into());
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.hops(), ["delivered"]);
    rig.wait(Dur::secs(31));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

#[test]
fn a_kiosk_that_restarts_each_night_asks_when_it_is_back() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.world.character.habits.kiosk = Some(Dur::secs(12_000));
    let wall = rig.world.clocks.wall;
    let begins = rig.world.ctx().lacks_from(Need::Power).unwrap();
    rig.wait(begins.since(wall) + Dur::secs(1));
    rig.forget();
    rig.wait(Dur::secs(28));
    assert_eq!((rig.operations().len(), rig.read.len(), rig.connects.len()), (0, 0, 0));
    rig.wait(Dur::secs(100));
    assert_eq!((rig.count(Operation::AndroidConfig), rig.connects.len()), (1, 1));
}

/// Each of them at intervals of an hour.
fn ways_to_be_away() -> [Habits; 5] {
    let (hour, spells) = (Dur::secs(3_600), (0.5, Dur::secs(3_600)));
    [
        Habits { off: spells, ..Habits::default() },
        Habits { paused: spells, ..Habits::default() },
        Habits { restarts_every: Some(hour), ..Habits::default() },
        Habits { kiosk: Some(hour), ..Habits::default() },
        Habits { dozes_after: Some(hour), ..Habits::default() },
    ]
}

/// Whoever is off, restarts, dozes or has paused its profile holds no poll and fetches nothing meanwhile, and nobody has failed.
#[test]
fn who_is_away_holds_no_poll_and_fetches_nothing() {
    for habits in ways_to_be_away() {
        let mut rig = Rig::enrolled(linking::polling());
        rig.world.character.habits = habits;
        while rig.world.ctx().lacks_until(Need::Attention).is_some() {
            rig.wait(Dur::secs(20));
        }
        rig.config = wire::Config { push_options: Some("polling".into()), ..fetching::with_goods() };
        rig.stalls = true;
        rig.order(Order::CheckIn);
        rig.wait(Dur::secs(1));
        let is_held = |place: &Place| matches!(place.what, What::Request(_));
        assert!(is_held(&rig.lanes[1]) && is_held(&rig.lanes[2]), "{habits:?}");
        let from = rig.world.ctx().lacks_from(Need::Attention).unwrap();
        rig.wait(from.since(rig.world.clocks.wall) + Dur::ms(2));
        let is_asleep = |place: &Place| matches!(place.what, What::Sleep { .. });
        assert!(rig.lanes.iter().all(is_asleep), "{habits:?}");
        rig.forget();
        rig.pushes = vec![wire::Push::new(Kind::ConfigUpdated)];
        let until = rig.world.ctx().lacks_until(Need::Attention).unwrap();
        rig.wait(Dur(until.since(rig.world.clocks.wall).0 - 1));
        assert_eq!((rig.operations().len(), rig.pushes.len()), (0, 1), "{habits:?}");
        rig.wait(Dur::secs(10));
        assert!(rig.pushes.is_empty() && rig.count(Operation::AndroidConfig) > 0, "{habits:?}");
        assert_eq!((rig.count(Operation::AndroidDownload), rig.complaints().len()), (1, 0), "{habits:?}");
    }
}

#[test]
fn who_dozes_is_silent_until_the_window() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.world.character.habits.dozes_after = Some(Dur::secs(2_700));
    let mut silent = Dur::ZERO;
    for _ in 0..24 * 12 {
        rig.forget();
        rig.wait(Dur::secs(300));
        if rig.world.ctx().lacks_until(Need::Attention).is_some() && rig.asked.is_empty() && rig.read.is_empty() {
            silent += Dur::secs(300);
        }
    }
    assert!(silent > Dur::secs(2 * 3_600), "{silent}");
    // What is pushed then is read at the window, and the broker gets its sign of life.
    while rig.world.ctx().lacks_until(Need::Attention).is_none() {
        rig.wait(Dur::secs(60));
    }
    rig.forget();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    let window = rig.world.ctx().lacks_until(Need::Attention).unwrap();
    let before = Dur(window.since(rig.world.clocks.wall).0 - 1);
    rig.wait(before);
    assert_eq!((rig.operations().len(), rig.read.len()), (0, 0));
    rig.wait(Dur::secs(5));
    assert!(matches!(rig.read[..], [Packet::PingReq, Packet::PubRec(_), Packet::PubComp(_)]), "{:?}", rig.read);
    assert!(rig.count(Operation::AndroidConfig) > 0 && rig.complaints().is_empty());
}

#[test]
fn a_broker_that_gives_up_who_dozes_has_not_failed() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.world.character.habits.dozes_after = Some(Dur::secs(2_700));
    while rig.world.ctx().lacks_until(Need::Attention).is_none() {
        rig.wait(Dur::secs(60));
    }
    rig.forget();
    let window = rig.world.ctx().lacks_until(Need::Attention).unwrap();
    rig.answers_pings = false;
    rig.wait(window.since(rig.world.clocks.wall));
    assert!(rig.lanes[1].hear.has(Reasons::LINK));
    rig.fail(1, "link_ended");
    rig.wait(Dur::secs(2));
    assert_eq!((rig.connects.len(), rig.complaints().len()), (1, 0));
    // If it was not late, it has.
    rig.fail(1, "link_ended");
    assert_eq!(rig.complaints(), ["link_ended"]);
}

#[test]
fn who_has_paused_the_profile_has_no_link() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.world.character.habits.paused = (0.5, Dur::secs(3_600));
    rig.wait(Dur::secs(400));
    while rig.world.ctx().lacks_until(Need::Attention).is_some() {
        rig.wait(Dur::secs(60));
    }
    while rig.world.ctx().lacks_until(Need::Attention).is_none() {
        rig.wait(Dur::secs(60));
    }
    rig.forget();
    assert!(matches!(rig.lanes[1].what, What::Sleep { .. }));
    let until = rig.world.ctx().lacks_until(Need::Attention).unwrap();
    rig.wait(until.since(rig.world.clocks.wall) + Dur::secs(1));
    assert_eq!((rig.connects.len(), rig.complaints().len()), (1, 0));
}

#[test]
fn who_is_away_when_it_is_to_enroll_enrolls_when_it_is_back() {
    for habits in ways_to_be_away() {
        let mut rig = Rig::new(Character { habits, ..agent() });
        while rig.world.ctx().lacks_until(Need::Attention).is_none() {
            rig.pass(Dur::secs(20));
        }
        rig.order(Order::Enroll);
        assert!(rig.asked.is_empty() && rig.ended.is_empty(), "{habits:?}");
        rig.wait(Dur::secs(7 * 3_600));
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)], "{habits:?}");
    }
}
