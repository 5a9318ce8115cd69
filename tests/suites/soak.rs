//! A run at a fixed rate: every part of it is like the one before. What it keeps of each session, however little, and
//! what it takes longer for each time, however little longer, would show here, and in a day's run as a failure.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Authority, Droves, Error, Ground, Run, Sink, case};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// As in the scenario.
const SOAK: Duration = Duration::from_secs(90);
/// An answer of the sink has 470 bytes: not one of them is kept for each session.
const KEPT_BYTES_MAX: f64 = 300.0;
/// A load from outside may look like a drift, once. A drift is there each time.
const TRIES: u32 = 3;

/// A third of a run.
#[derive(Debug)]
struct Third {
    /// Resident memory, the middle one of many looks, in bytes.
    memory: f64,
    /// The 99th percentile of the lag, second by second, in microseconds.
    lags: Vec<f64>,
    /// Sessions that were begun.
    sessions: f64,
}

#[test]
fn memory_and_lag_stay_as_they_are_while_the_rate_does() {
    case("soak", |ground| {
        let mut drifts = Vec::new();
        for n in 0..TRIES {
            // A machine that does not carry the rate is asked for half of it.
            let slower = 2_u32.pow(n);
            let [second, last] = match soak(ground, &format!("soak-{n}"), 4 * slower)? {
                Ok(thirds) => thirds,
                Err(verdict) => {
                    drifts.push(verdict);
                    continue;
                }
            };
            let sessions_min = 1_000.0 / f64::from(slower);
            assert!(second.sessions > sessions_min && last.sessions > sessions_min, "{second:#?} {last:#?}");
            let kept = (last.memory - second.memory) / last.sessions;
            let (drifts_now, words) = drift(&second.lags, &last.lags);
            let said = format!("{kept:.0} bytes more for each session; lag {words}");
            if kept <= KEPT_BYTES_MAX && !drifts_now {
                return Ok(());
            }
            drifts.push(said);
        }
        panic!("{drifts:#?}");
    });
}

/// Whether the later lags are greater than the earlier ones: mostly, and by much.
fn drift(earlier: &[f64], later: &[f64]) -> (bool, String) {
    let pairs = earlier.iter().flat_map(|early| later.iter().map(move |late| late > early));
    let greater = pairs.clone().filter(|greater| *greater).count() as f64 / pairs.count().max(1) as f64;
    let (before, after) = (middle(earlier.to_vec()), middle(later.to_vec()));
    let words = format!("{before} us, then {after} us, greater in {:.0} % of the pairs", greater * 100.0);
    (greater > 0.85 && after > before * 1.3, words)
}

#[test]
fn a_drift_is_told_from_a_neighbour_and_from_nothing() {
    let row = |of: fn(f64) -> f64| (0..30).map(|second| of(f64::from(second))).collect::<Vec<_>>();
    let restless = |second: f64| 2_000.0 + (second * 7.0 % 5.0) * 500.0;
    let busy_for_a_while = |second: f64| if second < 12.0 { 90_000.0 } else { 2_000.0 + (second * 3.0 % 5.0) * 500.0 };
    let later_and_later = |second: f64| 4_000.0 + 100.0 * second + (second * 3.0 % 5.0) * 100.0;
    let drifts = |later| drift(&row(restless), &row(later)).0;
    assert!(!drifts(restless) && !drifts(busy_for_a_while) && drifts(later_and_later));
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs the scenario as it is shipped, but for how often each device checks in. Gives the second and the last third of its
/// time, or why the run did not end well.
fn soak(ground: &Ground, name: &str, every_s: u32) -> Result<Result<[Third; 2], String>, Error> {
    let dir = ground.dir(name)?;
    let scenario = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/soak.yaml")).unwrap();
    let authority = Authority::new(&dir)?;
    let sink = Sink::start(&dir, &authority, &["--commands", "2"])?;
    let droves = Droves::new(&dir)?;
    let (ca, key) = (authority.certificate().to_str().unwrap(), authority.key().to_str().unwrap());
    let (ca_is, url_is, every_is) = (format!("ca={ca}"), format!("url={}", sink.url()), format!("every={every_s}s"));
    let fleet = dir.join("fleet").to_str().unwrap().to_owned();
    let given = ["-e", &ca_is, "-e", &url_is, "-e", &every_is, "-e", "lag_max=60s", "--fleet", &fleet];
    let mint = [&given[..], &["--ca", ca, "--ca-key", key, "--key-kind", "p256"]].concat();
    droves.complete(&["fleet", "mint"], "soak", &scenario, &[], &mint)?;
    let mut started = droves.start("soak", &scenario, &[], &[&given[..], &["--fleet-stays"]].concat())?;
    started.ready()?;
    let status = format!("/proc/{}/status", started.pid());
    let watching = thread::spawn(move || watch(&status));
    let run = started.finish()?;
    let looks = watching.join().unwrap();
    if looks.is_empty() {
        return Err(Error::LeftOut("no /proc/PID/status says how much memory a process has".to_owned()));
    }
    run.adds_up();
    assert_eq!(run.number("requests.failed"), 0, "{:#}", run.summary["failures"]);
    if run.code != 0 {
        return Ok(Err(run.summary["verdict"].to_string()));
    }
    Ok(Ok([third(1, &run, &looks), third(2, &run, &looks)]))
}

/// Looks at the memory of a process until it is gone: when, and how many bytes.
fn watch(status: &str) -> Vec<(Duration, f64)> {
    let began = Instant::now();
    let mut looks = Vec::new();
    while let Ok(text) = fs::read_to_string(status) {
        let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        // One that has just ended has none.
        looks.extend(kib.map(|kib: f64| (began.elapsed(), kib * 1_024.0)));
        thread::sleep(Duration::from_millis(250));
    }
    looks
}

fn third(n: u32, run: &Run, looks: &[(Duration, f64)]) -> Third {
    let time = SOAK * n / 3..SOAK * (n + 1) / 3;
    let memory = looks.iter().filter(|(at, _)| time.contains(at)).map(|(_, bytes)| *bytes);
    let table = fs::read_to_string(run.folder.join("series.csv")).unwrap();
    let names: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let of = |name: &str| {
        let column = |wanted: &str| names.iter().position(|name| *name == wanted).unwrap();
        let (second, column) = (column("second"), column(name));
        let is_in = |row: &&Vec<&str>| time.contains(&Duration::from_secs(row[second].parse().unwrap()));
        rows.iter().filter(is_in).filter_map(|row| row[column].parse().ok()).collect::<Vec<f64>>()
    };
    Third { memory: middle(memory.collect()), lags: of("lag_p99_us"), sessions: of("sessions_started").iter().sum() }
}
