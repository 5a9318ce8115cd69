//! Policies, applications and reports.

use super::*;
use std::collections::BTreeSet;
use std::ops::Range;

fn apps(packages: &[&str]) -> Value {
    let all = packages.iter().map(|package| json!({ "packageName": package, "installType": "FORCE_INSTALLED" }));
    json!({ "applications": all.collect::<Vec<_>>() })
}

/// So many packages.
fn many(count: usize) -> Value {
    numbered(0..count)
}

fn numbered(numbers: Range<usize>) -> Value {
    let packages: Vec<_> = numbers.map(|n| format!("com.example.app{n}")).collect();
    apps(&packages.iter().map(String::as_str).collect::<Vec<_>>())
}

fn packages(recipe: &Recipe, removed: bool) -> Vec<&str> {
    recipe.apps.iter().filter(|app| app.removed == removed).map(|app| &*app.package).collect()
}

fn reasons(recipe: &Recipe) -> Vec<(&str, &str)> {
    recipe.details.iter().map(|detail| (&*detail.reason, &*detail.failure)).collect()
}

#[test]
fn a_nudge_brings_the_policy_and_minutes_later_its_report() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.policy(2, json!({ "smsDisabled": true }));
    let action = rig.push();
    assert_eq!(rig.words(), ["sync"]);
    assert!((MINUTE..MINUTE.times(3)).contains(&rig.wait(&action)), "{}", rig.wait(&action));
    rig.time(&action);
    assert_eq!(rig.reports()[0].0, 2);
    rig.forget();
    let action = rig.push();
    assert_eq!(rig.words(), ["sync"]);
    assert!(rig.wait(&action) > HOUR, "nothing is new: {}", rig.wait(&action));
}

#[test]
fn versions_may_be_skipped() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.policy(5, json!({}));
    let action = rig.push();
    rig.policy(7, json!({}));
    rig.push();
    rig.until_reported(action);
    assert_eq!(rig.reports().iter().map(|report| report.0).collect::<Vec<_>>(), [7]);
}

#[test]
fn applications_come_one_after_the_other() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.policy(2, many(6));
    let action = rig.push();
    let mut last = rig.live(action, HOUR.times(3));
    let reports = rig.reports();
    assert!((3..=7).contains(&reports.len()), "{}", reports.len());
    assert!(reports.windows(2).all(|pair| pair[0].1.apps.len() <= pair[1].1.apps.len()));
    let (first, end) = (reports[0].1, reports[reports.len() - 1].1);
    assert!(reasons(first).contains(&("APP_NOT_INSTALLED", "IN_PROGRESS")), "{:?}", first.details);
    assert!(reasons(first).contains(&("PENDING", "")), "{:?}", first.details);
    assert_eq!((end.apps.len(), end.details.len()), (6, 0));
    assert!(rig.machine.lane.own.encode().is_none(), "a device that has everything has nothing of its own");
    last = rig.live(last, DAY);
    assert_eq!(rig.reports().last().unwrap().1.apps.len(), 6);
    assert!(rig.wait(&last) > Dur::ZERO);
}

#[test]
fn an_application_takes_ten_seconds_to_ten_minutes() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.policy(2, many(100));
    rig.push();
    let mut took = Vec::new();
    while let Some(at) = rig.machine.record().install_at.get() {
        let takes = at.since(rig.world.clocks.wall);
        let again = rig.machine.lane.own.pending[0].again;
        took.push((takes, again));
        rig.pass(rig.world.clocks.now + takes);
        rig.wake(Reasons::TIME, &[]);
    }
    let (again, first): (Vec<_>, Vec<_>) = took.into_iter().partition(|(_, again)| *again);
    assert_eq!(first.len(), 100);
    assert!(first.iter().all(|(took, _)| (Dur::secs(10)..MINUTE.times(10)).contains(took)), "{first:?}");
    assert!(again.iter().all(|(took, _)| (MINUTE.times(10)..HOUR).contains(took)), "{again:?}");
}

#[test]
fn some_installs_fail_for_good_and_some_once() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.policy(2, many(2_000));
    rig.push();
    let report = rig.last_report();
    let failed = reasons(&report);
    assert!((15..50).contains(&failed.len()), "{}", failed.len());
    assert!(failed.iter().all(|reason| *reason == ("APP_NOT_INSTALLED", "INSUFFICIENT_STORAGE")));
    assert_eq!(report.apps.len() + failed.len(), 2_000);
    // At the pace of life the network's failures are told, until they are over. Each report tells of all applications of its
    // policy, so that the same ones in small policies are the same draws in a fraction of the work.
    let of_network = |(_, recipe): &(i64, &Recipe)| {
        reasons(recipe).iter().filter(|(_, failure)| *failure == "NETWORK_ERROR_UNRELIABLE_CONNECTION").count()
    };
    let (mut told, mut apps, mut details) = (0, Vec::new(), Vec::new());
    for first in (0..2_000).step_by(50) {
        let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
        rig.policy(2, numbered(first..first + 50));
        let action = rig.push();
        rig.live(action, DAY.times(2));
        told += rig.reports().iter().map(of_network).max().unwrap();
        let last = rig.last_report();
        apps.extend(last.apps.into_iter().map(|app| app.package));
        details.extend(last.details);
    }
    assert!((20..70).contains(&told), "{told}");
    let packages: Vec<_> = report.apps.into_iter().map(|app| app.package).collect();
    assert_eq!((apps, details), (packages, report.details));
}

#[test]
fn what_a_policy_no_longer_wants_goes_and_is_told_once() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.policy(2, apps(&["a.a", "b.b", "c.c"]));
    rig.push();
    rig.policy(3, apps(&["d.d", "c.c", "a.a"]));
    rig.push();
    let report = rig.last_report();
    assert_eq!((packages(&report, false), packages(&report, true)), (vec!["d.d", "c.c", "a.a"], vec!["b.b"]));
    rig.policy(4, apps(&["c.c", "a.a", "d.d"]));
    rig.push();
    let report = rig.last_report();
    assert_eq!((packages(&report, false), packages(&report, true)), (vec!["c.c", "a.a", "d.d"], vec![]));
    // What is there does not come again.
    assert_eq!(rig.machine.record().installs, 4);
}

#[test]
fn a_newer_version_comes_again() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.policy(2, apps(&["a.a"]));
    rig.push();
    let version = |rig: &Rig| rig.last_report().apps[0].version;
    let before = version(&rig);
    let newer = json!({ "packageName": "a.a", "installType": "KIOSK", "minimumVersionCode": before + 1 });
    rig.policy(3, json!({ "applications": [newer] }));
    rig.push();
    assert_eq!((version(&rig), rig.machine.record().installs), (before + 1, 2));
}

#[test]
fn only_what_is_to_be_installed_is() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    let app = |package: &str, kind: &str| json!({ "packageName": package, "installType": kind });
    let all = [app("a.a", "AVAILABLE"), app("b.b", "BLOCKED"), app("c.c", "REQUIRED_FOR_SETUP"), json!({}), json!(3)];
    rig.policy(2, json!({ "applications": all }));
    rig.push();
    assert_eq!(packages(&rig.last_report(), false), ["c.c"]);
}

/// They come by themselves, and no policy installs them.
#[test]
fn applications_get_newer_from_report_to_report() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.policy(2, apps(&["com.example.mail"]));
    let mut action = rig.push();
    rig.forget();
    for _ in 0..100 {
        action = rig.time(&action);
    }
    let versions: Vec<u32> = rig.reports().iter().map(|(_, recipe)| recipe.apps[0].version).collect();
    assert!(versions.is_sorted() && versions.len() > 80 && versions.first() < versions.last(), "{versions:?}");
    assert_eq!(rig.machine.record().installs, 1);
    // A policy that wants what is there already has nothing to install.
    let least = versions.last();
    let wanted = json!({ "packageName": "com.example.mail", "installType": "KIOSK", "minimumVersionCode": least });
    rig.policy(3, json!({ "applications": [wanted] }));
    rig.push();
    assert_eq!(rig.machine.record().installs, 1);
}

#[test]
fn a_usage_log_follows_each_report() {
    let logging = |mode, usage_logs| {
        let Enrolls::Google(way) = managed(mode).enrolls else { unreachable!() };
        let way = crate::Google { usage_logs, ..(*way).clone() };
        let mut rig = Rig::enrolled(Character { enrolls: Enrolls::Google(Arc::new(way)), ..managed(mode) });
        rig.policy(2, json!({}));
        rig.push();
        assert_eq!(rig.words(), if usage_logs == 0 { vec!["sync", "report"] } else { vec!["sync", "report", "log"] });
        let Some(Ask::Log { events, .. }) = rig.played.asked.pop() else { return Vec::new() };
        events
    };
    assert!(logging(Mode::FullyManaged, 0).is_empty());
    let kinds = |events: &[Value]| events.iter().map(|event| event["eventType"].to_string()).collect::<BTreeSet<_>>();
    let all = logging(Mode::FullyManaged, 40);
    assert_eq!((all.len(), kinds(&all).len()), (40, 4));
    let ids: BTreeSet<_> = all.iter().map(|event| event["eventId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 40);
    assert_eq!(kinds(&logging(Mode::PersonalWorkProfile, 40)).len(), 2, "of people only where they connect to");
}

/// A log that Google does not take is lost, and the device goes on.
#[test]
fn a_usage_log_that_comes_to_nothing_is_no_reason_to_stop() {
    let Enrolls::Google(way) = managed(Mode::FullyManaged).enrolls else { unreachable!() };
    let way = crate::Google { usage_logs: 1, ..(*way).clone() };
    let mut rig = Rig::enrolled(Character { enrolls: Enrolls::Google(Arc::new(way)), ..managed(Mode::FullyManaged) });
    rig.policy(2, json!({}));
    // The answers to its question and its report are as they should be: a log is what follows.
    rig.played.refuses_logs = Some(500);
    let action = rig.push();
    assert_eq!((rig.words(), rig.complaints()), (vec!["sync", "report", "log"], vec!["status_500"]));
    assert!(rig.wait(&action) > HOUR, "{}", rig.wait(&action));
    rig.played.refuses_logs = Some(404);
    rig.policy(3, json!({}));
    rig.push();
    assert_eq!(rig.state(), DeviceState::Removed);
}

#[test]
fn a_version_without_a_change_costs_a_report_and_no_more() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.policy(2, many(10));
    rig.push();
    let before = Arc::clone(&rig.machine.lane.shared);
    rig.policy(3, many(10));
    rig.push();
    assert_eq!(rig.reports().last().unwrap().0, 3);
    assert!(Arc::ptr_eq(&before, &rig.machine.lane.shared));
}

#[test]
fn what_users_are_asked_for_clears_when_they_act() {
    let policy = json!({ "passwordPolicies": [{ "passwordQuality": "COMPLEX" }] });
    let (mut asked, mut waits) = (0, 0);
    for device in 0..50 {
        let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
        rig.world.device = droves_facts::DeviceIx(device);
        rig.policy(2, policy.clone());
        let action = rig.push();
        let action = rig.until_reported(action);
        let is_asked = reasons(&rig.last_report()) == [("USER_ACTION", "")];
        asked += usize::from(is_asked);
        rig.live(action, DAY + HOUR);
        assert!(reasons(&rig.last_report()).is_empty());
        let mut rig = Rig::enrolled(slow(Mode::Dedicated));
        rig.world.device = droves_facts::DeviceIx(device);
        rig.policy(2, policy.clone());
        let action = rig.push();
        rig.live(action, DAY.times(3));
        waits += reasons(&rig.last_report()).len();
    }
    assert!((10..30).contains(&asked), "{asked}");
    assert_eq!(waits, asked, "nobody is at a kiosk");
}

#[test]
fn what_a_device_can_not_do_it_says() {
    let policy = json!({ "smsDisabled": true, "assistContentPolicy": "ASSIST_CONTENT_DISALLOWED" });
    let check = |mode, version: &str, expected: &[(&str, &str)]| {
        let mut rig = Rig::enrolled(Character { os_version: version.into(), ..managed(mode) });
        rig.policy(2, policy.clone());
        rig.push();
        let report = rig.last_report();
        let told: Vec<_> = report.details.iter().map(|detail| (&*detail.setting, &*detail.reason)).collect();
        assert_eq!(told, expected);
    };
    check(Mode::FullyManaged, "15", &[]);
    check(Mode::FullyManaged, "14", &[("assistContentPolicy", "API_LEVEL")]);
    check(Mode::PersonalWorkProfile, "15", &[("smsDisabled", "MANAGEMENT_MODE")]);
}

#[test]
fn a_report_comes_about_once_a_day_and_a_lost_nudge_is_made_good() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    let action = rig.push();
    rig.forget();
    let action = rig.live(action, DAY.times(10));
    assert!((10..=11).contains(&rig.reports().len()), "{}", rig.reports().len());
    rig.policy(9, json!({}));
    rig.forget();
    rig.live(action, DAY.times(2));
    assert_eq!(rig.words()[..3], ["sync", "report", "sync"]);
    assert_eq!(rig.reports()[0].0, 9);
}

#[test]
fn a_report_that_is_not_taken_is_made_again() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.policy(2, apps(&["a.a"]));
    let action = rig.push();
    rig.played.instead.push_back(Ok((503, Bytes::new())));
    let action = rig.until_reported(action);
    assert_eq!(rig.complaints(), ["status_503"]);
    rig.live(action, HOUR);
    assert_eq!(rig.reports().last().unwrap().0, 2);
    assert!(rig.reports().len() > 1);
}

#[test]
fn a_failed_session_is_followed_by_another() {
    let mut rig = Rig::enrolled(slow(Mode::FullyManaged));
    rig.policy(2, json!({}));
    rig.played.instead =
        [Ok((200, Bytes::from_static(b"{}"))), Err("reset"), Ok((200, Bytes::from_static(b"\"taken\"")))].into();
    let action = rig.order(Order::CheckIn);
    let failed = Outcome::Failed { blame: Blame::Generator, kind: "google_answer" };
    assert_eq!(rig.ended, [(Operation::CheckIn, failed)]);
    rig.live(action, HOUR);
    assert_eq!(rig.complaints(), ["google_answer", "reset", "google_answer"]);
    assert_eq!(rig.reports()[0].0, 2);
}

#[test]
fn a_check_in_ends_when_nothing_is_new() {
    let mut rig = Rig::enrolled(managed(Mode::FullyManaged));
    rig.played.commands.push_back(json!({ "type": "LOCK" }));
    rig.order(Order::CheckIn);
    assert_eq!(rig.words(), ["sync", "done", "sync"]);
    assert_eq!(rig.ended, [(Operation::CheckIn, Outcome::Succeeded)]);
}
