//! Apps and files.

use super::*;

pub(super) fn with_goods() -> wire::Config {
    let file = RemoteFile {
        path: Some("/a.txt".into()),
        url: Some("/files/a.txt".into()),
        last_update: 5,
        ..RemoteFile::default()
    };
    wire::Config {
        applications: vec![
            app("system", "0", None),
            app("a", "1", Some("https://cdn.example.test/a.apk")),
            app("b", "2", Some("https://mdm.example.test/hmdm/files/b.apk")),
        ],
        files: vec![file],
        ..Rig::mqtt()
    }
}

#[test]
fn what_is_wanted_comes_in_pieces_and_then_the_device_reports_it() {
    let mut rig = Rig::new(agent());
    rig.config = with_goods();
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(1));
    let fetched: Vec<(&str, &str)> = rig
        .asked
        .iter()
        .filter(|asked| asked.channel == main::TRANSFER)
        .map(|asked| (asked.url.rsplit('/').next().unwrap(), asked.headers["range"].as_str()))
        .collect();
    let pieces = ["bytes=0-4194303", "bytes=4194304-8388607", "bytes=8388608-12582911"];
    let expected = ["a.txt", "a.apk", "b.apk"].into_iter().flat_map(|name| pieces.map(|piece| (name, piece)));
    assert_eq!(fetched, expected.collect::<Vec<_>>());
    let signature =
        |name| rig.asked.iter().find(|asked| asked.url.ends_with(name)).unwrap().headers.get("x-request-signature");
    assert_eq!(signature("a.apk"), None, "not the server's own place");
    assert_eq!(signature("b.apk"), Some(&sign::request(SECRET, "b.apk")));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    let report = rig.report();
    let apps: Vec<&str> = report.applications.iter().filter_map(|app| app.pkg.as_deref()).collect();
    assert_eq!((apps, report.files.len()), (vec!["com.system", "com.a", "com.b"], 1));
    // Only what is new is fetched the next time.
    rig.forget();
    rig.config.applications[1].version = Some("3".into());
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    assert_eq!(rig.count(Operation::AndroidDownload), 3);
    assert!(rig.asked.iter().all(|asked| asked.channel != main::TRANSFER || asked.url.ends_with("/a.apk")));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

#[test]
fn who_enrolls_again_fetches_again_each_time() {
    let mut rig = Rig::new(agent());
    rig.config = with_goods();
    for n in 1..=3 {
        rig.forget();
        rig.order(Order::Enroll);
        rig.wait(Dur::secs(60));
        assert_eq!(rig.count(Operation::AndroidDownload), 9, "enrollment {n}");
        assert_eq!(rig.hops(), ["delivered", "answered", "accepted"], "enrollment {n}");
    }
}

#[test]
fn a_download_deafens_nobody() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config = with_goods();
    rig.script.extend((0..200).map(|_| (Operation::AndroidDownload, Err("reset"))));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.hops(), ["delivered"]);
    rig.wait(Dur::secs(3_500));
    assert_eq!(rig.count(Operation::AndroidReport), 3, "as it is, without what has not come");
    assert!(rig.report().applications.is_empty());
    rig.forget();
    rig.config = Rig::mqtt();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    rig.forget();
    rig.wait(Dur::secs(3_500));
    assert_eq!(rig.count(Operation::AndroidDownload), 0, "nobody wants it any more");
}

#[test]
fn a_download_goes_on_where_it_was() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config = with_goods();
    rig.config.files.clear();
    rig.config.applications.truncate(2);
    // One piece comes, then nothing for a while.
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.script.push_back((Operation::AndroidDownload, Err("reset")));
    rig.wait(Dur::secs(60));
    let ranges: Vec<&str> =
        rig.asked.iter().filter(|asked| asked.channel == 2).map(|asked| asked.headers["range"].as_str()).collect();
    let (second, third) = ("bytes=4194304-8388607", "bytes=8388608-12582911");
    assert_eq!(ranges, ["bytes=0-4194303", second, second, third]);
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

#[test]
fn a_server_without_ranges_sends_all_of_it() {
    let mut rig = Rig::new(agent());
    rig.config = with_goods();
    rig.place = |_, _, total| (200, String::new(), total);
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(1));
    assert_eq!(rig.count(Operation::AndroidDownload), 3);
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    // That takes its time: whoever did not wait for it would begin anew for ever.
    let patient = rig.asked.iter().filter(|asked| asked.lasts >= Dur::secs(600));
    assert!(patient.map(|asked| asked.operation).eq([Operation::AndroidDownload; 3]));
}

#[test]
fn what_is_said_of_a_piece_is_held_against_its_bytes() {
    let lies: [Piece; 8] = [
        |_, _, _| (206, "bytes 0-1999999999/2000000000".into(), 0),
        |_, _, _| (206, "bytes 0-1999999999/2000000000".into(), 4 << 20),
        |first, _, total| (206, format!("bytes {first}-{first}/{total}"), 1),
        |first, _, _| (206, format!("bytes {first}-{first}/{}", u64::MAX), 1),
        |first, last, _| (206, format!("bytes {first}-{last}/{}", u64::MAX), last + 1 - first),
        |first, last, _| (206, format!("bytes {first}-{last}/{}", last - 1), last + 1 - first),
        |_, last, total| (206, format!("bytes 1-{last}/{total}"), last),
        |_, last, total| (206, format!("bytes */{total}"), last + 1),
    ];
    for (n, lie) in lies.into_iter().enumerate() {
        let mut rig = Rig::new(agent());
        (rig.config, rig.place) = (with_goods(), lie);
        rig.order(Order::Enroll);
        rig.wait(Dur::secs(3_600));
        assert_eq!(rig.hops(), ["delivered"], "lie {n}");
        let asked = rig.count(Operation::AndroidDownload);
        assert!((5..50).contains(&asked), "lie {n}: {asked}");
        assert_eq!(rig.complaints(), vec!["bad_range"; asked], "lie {n}");
    }
}

#[test]
fn a_piece_that_takes_too_long_is_asked_for_in_smaller_ones() {
    let mut rig = Rig::new(agent());
    rig.config = with_goods();
    rig.config.files.clear();
    rig.config.applications.truncate(2);
    rig.script.extend((0..20).map(|_| (Operation::AndroidDownload, Err("timeout"))));
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(86_400));
    let pieces: Vec<u64> = rig
        .asked
        .iter()
        .filter(|asked| asked.channel == main::TRANSFER)
        .filter_map(|asked| asked.headers["range"].strip_prefix("bytes=")?.split_once('-'))
        .map(|(first, last)| last.parse::<u64>().unwrap() + 1 - first.parse::<u64>().unwrap())
        .collect();
    let ever_smaller = (0..7).map(|halved| (4 << 20) >> halved);
    let expected = ever_smaller.chain(std::iter::repeat(64 << 10)).take(20 + (10 << 20) / (64 << 10));
    assert_eq!(pieces, expected.collect::<Vec<_>>());
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

#[test]
fn what_is_not_there_is_asked_for_ever_more_rarely() {
    let mut rig = Rig::new(agent());
    rig.config = with_goods();
    rig.script.extend((0..999).map(|_| (Operation::AndroidDownload, Ok((404, b"<html>".to_vec())))));
    rig.order(Order::Enroll);
    rig.wait(Dur::secs(86_400));
    let asked = rig.count(Operation::AndroidDownload);
    assert!((270..600).contains(&asked), "{asked}");
}

#[test]
fn what_costs_money_waits() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.world.character.habits.metered = (1.0, Dur::secs(3_600));
    rig.config = with_goods();
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(7_200));
    assert_eq!((rig.count(Operation::AndroidDownload), rig.hops()), (0, vec!["delivered"]));
    rig.world.character.habits.metered = (0.0, Dur::ZERO);
    rig.wait(Dur::secs(7_200));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

#[test]
fn what_was_fetched_before_an_enrollment_is_not_there_after_it() {
    let mut rig = Rig::new(agent());
    rig.config = with_goods();
    rig.order(Order::Enroll);
    let shared = &rig.lanes[0].machine.lane.shared;
    let numbers: Vec<u32> = shared.config.goods.iter().map(|good| shared.number(good)).collect();
    rig.wait(Dur::secs(1));
    // The transfer comes to its end while the main lane enrolls again, which hears of it afterwards.
    rig.forget();
    rig.script.extend((0..20).map(|_| (Operation::AndroidDownload, Err("reset"))));
    rig.order(Order::Enroll);
    assert_eq!(rig.hops(), ["delivered"]);
    for number in numbers {
        rig.order(Order::Fetched(number));
    }
    assert_eq!(rig.hops(), ["delivered"]);
    rig.wait(Dur::secs(86_400));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
}

/// Which pieces of which files were asked for.
fn pieces(rig: &Rig) -> Vec<(&str, &str)> {
    let asked = rig.asked.iter().filter(|asked| asked.channel == main::TRANSFER);
    let name = |asked: &'_ &Asked| asked.url.rfind('/').unwrap() + 1;
    asked.map(|asked| (&asked.url[name(&asked)..], asked.headers["range"].strip_prefix("bytes=").unwrap())).collect()
}

#[test]
fn what_is_not_to_be_had_holds_up_nothing_else() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config = with_goods();
    let says = |status| (Operation::AndroidDownload, Ok((status, Vec::new())));
    rig.script.extend([says(404), says(200), says(404)]);
    rig.script.extend((0..40).map(|_| (Operation::AndroidDownload, Err("reset"))));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(1));
    let names: Vec<&str> = pieces(&rig).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["a.txt", "a.apk", "b.apk"]);
    assert_eq!((rig.hops(), rig.complaints()), (vec!["delivered"], vec!["status_404"; 2]));
    // What has come is reported meanwhile.
    rig.wait(Dur::secs(1_200));
    let report = rig.report();
    let apps: Vec<&str> = report.applications.iter().filter_map(|app| app.pkg.as_deref()).collect();
    assert_eq!((apps, report.files.len()), (vec!["com.a"], 0));
    rig.wait(Dur::secs(86_400));
    assert_eq!(rig.hops(), ["delivered", "answered", "accepted"]);
    let report = rig.report();
    assert_eq!((report.applications.len(), report.files.len()), (3, 1));
    assert_eq!(pieces(&rig).iter().filter(|(name, _)| *name == "a.apk").count(), 1);
}

#[test]
fn another_configuration_makes_nothing_come_twice() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    rig.config = with_goods();
    rig.file_bytes = 40 << 20;
    // One file is there, and two pieces of the next, when the configuration changes.
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.lanes[2].hear = Reasons::NONE;
    assert_eq!(rig.hops(), ["delivered"]);
    for _ in 0..12 {
        rig.pass(Dur::secs(1));
        rig.wake(2, Reasons::TIME);
        rig.serve(2);
    }
    rig.config.description = Some("new".into());
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.wait(Dur::secs(5));
    let pieces = pieces(&rig);
    let distinct: std::collections::BTreeSet<_> = pieces.iter().collect();
    assert_eq!((pieces.len(), distinct.len()), (30, 30), "{pieces:?}");
    assert_eq!(rig.hops(), ["delivered", "delivered", "answered", "accepted"]);
}

#[test]
fn a_main_lane_that_is_busy_is_told_in_the_end_what_is_there() {
    let mut rig = Rig::enrolled(Rig::mqtt());
    let file = |n: usize| RemoteFile {
        path: Some(format!("/{n}.txt")),
        url: Some(format!("files/{n}.txt")),
        last_update: 5,
        ..RemoteFile::default()
    };
    rig.config.files = (0..100).map(file).collect();
    rig.file_bytes = 10;
    rig.script.push_back((Operation::AndroidDownload, Err("reset")));
    rig.push(&wire::Push::new(Kind::ConfigUpdated));
    rig.lanes[0].hear = Reasons::NONE;
    rig.wait(Dur::secs(60));
    assert_eq!((rig.count(Operation::AndroidDownload), rig.lanes[0].notes.len()), (101, 8));
    rig.lanes[0].hear = Reasons::ORDER | Reasons::TIME;
    rig.wait(Dur::secs(1));
    assert_eq!((rig.count(Operation::AndroidDownload), rig.hops()), (101, vec!["delivered", "answered", "accepted"]));
    assert_eq!(rig.report().files.len(), 100);
    assert_eq!(rig.lanes[2].machine.lane.parts, []);
}
