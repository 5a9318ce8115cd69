//! The dashboard's picture in several sizes, with and without colours.

use droves_engine::{Health, Look, Nearness, PhaseLook};
use droves_facts::{Blame, DeviceState, Dur, Mono, Operation};
use droves_measure::{ErrorRow, Funnel, HOPS, Latency, OperationRow, Progress};
use droves_views::{View, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

fn look(lag_us: u64) -> Look {
    let latency =
        |p50: u64| Latency { p50: Some(p50), p90: Some(p50 * 3), p99: Some(p50 * 9), p999: None, max: Some(p50 * 20) };
    let operation = |operation: Operation, count: u64, failed: u64, p50: u64| OperationRow {
        operation,
        count,
        failed,
        now: latency(p50),
        p95: Some(p50 * 5),
        p99_before: Some(p50 * 7),
    };
    Look {
        progress: Progress {
            now: Mono(75_000_000),
            devices: vec![(DeviceState::Unenrolled, 1_200), (DeviceState::Enrolling, 40), (DeviceState::Enrolled, 760)],
            sessions: 57,
            sessions_per_s: 180,
            requests_per_s: 1_234,
            requests_history: (0..60).map(|n| n * 20).collect(),
            requests: (43_210, 12),
            operations: vec![
                operation(Operation::Enroll, 760, 0, 31_000),
                operation(Operation::AppleScepIssue, 800, 3, 4_100),
                operation(Operation::AppleSetBootstrapToken, 100, 0, 900),
                operation(Operation::AppleIdle, 9_800, 9, 1_300),
                operation(Operation::AppleCommand, 2_104, 0, 1_250),
            ],
            funnel: Funnel {
                hops: HOPS
                    .into_iter()
                    .enumerate()
                    .map(|(n, (hop, _))| (hop, 2_000 - 100 * n as u64, Some(15_000)))
                    .collect(),
                received: 1_900,
                coalesced: 12,
                stale: 3,
                unregistered: 1,
            },
            lag: latency(lag_us / 9),
            errors: vec![ErrorRow {
                blame: Blame::Server,
                kind: "status_503",
                count: 9,
                text: "apple.idle: the server answered 503: no healthy upstream of this rather long kind".into(),
            }],
            late_or_dropped: 0,
        },
        phases: vec![PhaseLook {
            name: "enroll".into(),
            since: Dur::secs(12),
            left: Some(Dur::secs(23)),
            reached: Some((760, 2_000)),
        }],
        to_come: 3,
        health: Health { cpu_s: 20.0, rss_bytes_max: 96 << 20, fds: 120, steal_s: 0.0 },
        practice_cpu_s: Some(4.2),
        lag_us_max: 50_000,
        nearness: Some(Nearness { now: 0.342, busiest: 0.61 }),
    }
}

fn picture(width: u16, height: u16, colours: bool, look: Look) -> (Vec<String>, bool) {
    let mut view = View::new("quickstart", colours);
    view.take(look);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, &view)).unwrap();
    let buffer = terminal.backend().buffer();
    let coloured = buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
    let lines = buffer.content.chunks(usize::from(width)).map(|row| row.iter().map(|cell| cell.symbol()).collect());
    (lines.collect(), coloured)
}

fn check(width: u16, height: u16, wanted: &[&str]) {
    let (lines, coloured) = picture(width, height, true, look(1_800));
    let all = lines.join("\n");
    assert!(coloured);
    for word in wanted {
        assert!(all.contains(word), "no `{word}` at {width}x{height} in\n{all}");
    }
}

const ALWAYS: [&str; 12] = [
    "quickstart 01:15",
    "enroll 760 of 2,000, at most 00:23 left",
    "generator ok: lag p99 1.8ms",
    "760 enrolled",
    "57 sessions open",
    "1,234 requests/s",
    "apple.scep.issue",
    "apple.set_bootstrap_token",
    "4.1ms",
    "accepted",
    "status_503 (server)",
    "q stop",
];

#[test]
fn everything_is_there_at_each_size() {
    check(80, 24, &ALWAYS);
    check(200, 50, &ALWAYS);
    check(200, 50, &["a minute ago", "no healthy upstream of this rather long kind"]);
}

#[test]
fn how_near_the_machines_limit_is_stands_beside_the_lag() {
    check(80, 24, &["generator ok: lag p99 1.8ms; 34% of this machine, busiest 61%"]);
    let unknown = Look { nearness: None, ..look(1_800) };
    let (lines, _) = picture(80, 24, true, unknown);
    let all = lines.join("\n");
    assert!(all.contains("lag p99 1.8ms; not calibrated") && all.contains(", practice "), "{all}");
}

#[test]
fn a_late_generator_is_said_in_words_and_nothing_needs_colours() {
    let (lines, coloured) = picture(80, 24, false, look(90_000));
    let all = lines.join("\n");
    assert!(!coloured, "colours without being asked");
    assert!(all.contains("GENERATOR LATE: lag p99 90ms is over 50ms"), "{all}");
}

#[test]
fn no_size_is_too_small_to_draw() {
    for (width, height) in [(1, 1), (10, 3), (40, 10), (79, 23), (500, 5)] {
        picture(width, height, true, look(1_000));
    }
}

#[test]
fn the_picture_can_be_held() {
    let mut view = View::new("quickstart", false);
    view.take(look(1_800));
    view.pause();
    view.take(look(90_000));
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| draw(frame, &view)).unwrap();
    let all: String = terminal.backend().buffer().content.iter().map(|cell| cell.symbol()).collect();
    assert!(all.contains("generator ok") && all.contains("PICTURE HELD"), "{all}");
}
