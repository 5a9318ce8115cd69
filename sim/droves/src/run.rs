//! `droves run`.

use crate::cli::RunArgs;
use crate::{calibrate, check, doctor, say, say_some, stop, worker};
use anyhow::Context;
use droves_engine::{Finished, Look, Processes, Ready, RunError, Setup, Taped};
use droves_facts::{Dur, Limits};
use droves_measure::{
    Baseline, Calibrated, Calibration, Judgement, Near, PhaseSpan, Summary, Surroundings, Thresholds, Verdict, Work,
    exit_code,
};
use droves_net::files::OpenFiles;
use droves_scenario::plan::{Managed, Plan, Population};
use droves_views::{About, Dashboard, Plain, Results, Snapshots, Wish};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

const UNREACHABLE: u8 = 113;
const INTERRUPTED: u8 = 105;
const LOST: u8 = 114;
const GENERATOR: u8 = 111;
const LEDGER: u8 = 110;
const THRESHOLD: u8 = 99;
const WORSE: u8 = 112;
/// A summary has tens of KB.
const BASELINE_BYTES_MAX: u64 = 16 << 20;

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let (loaded, thresholds) = match check::load(&args.scenario) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let plan = Arc::new(loaded.plan);
    let baseline = args.baseline.as_deref().map(|path| baseline(path, &plan.name)).transpose()?;
    let calibrated = calibrate::known(args.calibration.as_deref())?;
    doctor::warn(&plan, args.processes);
    let results = Results::create(&args.out, &plan.name)?;
    results.scenario(&loaded.resolved_yaml)?;
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let processes = args.processes.map(|count| count as usize);
    let shards = args.shards.unwrap_or_else(|| cpus.div_ceil(processes.unwrap_or(1))).clamp(1, 64);
    let setup = setup(args, Arc::clone(&plan), thresholds, shards, &calibrated);
    if let Some(fleet) = args.fleet.as_deref().filter(|fleet| fleet.is_dir()) {
        say(&format!("opening the fleet in {}", fleet.display()));
    }
    let tokens = one_time_tokens(&plan);
    if tokens > 0 {
        say(&format!("before the run begins, the server is asked for {tokens} enrollment tokens"));
    }
    let (stop, stopped) = stop::on_signal()?;
    let mut target = String::new();
    let mut view = Screen::open(args, &plan.name)?;
    let mut broken = None;
    let finished = droves_engine::run(
        setup,
        stopped,
        |ready| {
            ready.url.clone_into(&mut target);
            if let Some(path) = &args.ready_file
                && let Err(error) = write_ready(path, ready)
            {
                broken = Some(error);
            }
        },
        |look: Look| {
            if view.show(look) == Wish::Stop {
                stop.send_replace(true);
            }
        },
    );
    drop(view);
    if let Some(error) = broken {
        return Err(error);
    }
    let finished = match finished {
        Ok(finished) => finished,
        Err(error @ RunError::Unreachable { .. }) => {
            say(&format!("error: {error}"));
            return Ok(UNREACHABLE);
        }
        Err(error @ RunError::Interrupted) => {
            say(&error.to_string());
            return Ok(INTERRUPTED);
        }
        Err(error @ (RunError::NotAuthorised(_) | RunError::Fault(_))) => {
            say(&format!("error: {error}"));
            return Ok(check::INVALID);
        }
        Err(error) => return Err(error.into()),
    };
    let place = Place { shards: shards * processes.unwrap_or(1), cpus, target, calibrated };
    leave(args, &plan, &results, finished, place, baseline.as_ref())
}

/// Enrollment tokens that the server has to make, one for each device.
fn one_time_tokens(plan: &Plan) -> usize {
    let of = |population: &Population| match population.android {
        Some(Managed::Google { one_time: true, .. }) => population.devices.len(),
        _ => 0,
    };
    plan.populations.iter().map(of).sum()
}

fn setup(args: &RunArgs, plan: Arc<Plan>, thresholds: Thresholds, shards: usize, calibrated: &Calibrated) -> Setup {
    let env = |name: &str| std::env::var(name).ok();
    Setup {
        plan,
        limits: Limits::default(),
        fleet: args.fleet.clone(),
        fleet_stays: args.fleet_stays,
        tape: args.tape.clone(),
        keys: args.keys.clone().unwrap_or_else(|| droves_engine::default_keys_folder(env)),
        certificates: args.certs.clone(),
        shards,
        processes: args
            .processes
            .map(|count| Processes { count: count as usize, arguments: worker::arguments(&args.scenario) }),
        push_port: args.push_port,
        wns_port: args.wns_port,
        fcm_port: args.fcm_port,
        google_port: args.google_port,
        door_port: args.door_port,
        target_wait: Dur::us(u64::try_from(args.wait.as_micros()).unwrap_or(u64::MAX)),
        thresholds,
        calibration: calibrated.known().cloned(),
    }
}

/// The summary of an earlier run, read before this one begins.
fn baseline(path: &Path, scenario: &str) -> anyhow::Result<Baseline> {
    let file = if path.is_dir() { path.join("summary.json") } else { path.to_owned() };
    let context = || format!("baseline {}", file.display());
    let length = std::fs::metadata(&file).with_context(context)?.len();
    anyhow::ensure!(length <= BASELINE_BYTES_MAX, "{}: larger than any summary", context());
    let json = std::fs::read(&file).with_context(context)?;
    Baseline::read(&json, scenario).with_context(context)
}

/// What shows the run.
struct Screen {
    live: Live,
    snapshots: Option<Snapshots>,
}

enum Live {
    Dashboard(Box<Dashboard>),
    Plain(Plain<std::io::Stderr>),
}

impl Screen {
    /// The dashboard where there is a terminal, plain lines where there is none or none is wanted.
    fn open(args: &RunArgs, scenario: &str) -> anyhow::Result<Self> {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let is_plain = args.headless || !std::io::stderr().is_terminal() || std::env::var_os("CI").is_some();
        let live = if is_plain {
            Live::Plain(Plain::new(std::io::stderr()))
        } else {
            Live::Dashboard(Box::new(Dashboard::start(scenario, colours)?))
        };
        let snapshots = match (&args.snapshot_dir, args.snapshot_every) {
            (Some(dir), Some(every)) => {
                let every = Dur::us(u64::try_from(every.as_micros()).unwrap_or(u64::MAX));
                Some(Snapshots::start(dir, every, scenario)?)
            }
            _ => None,
        };
        Ok(Screen { live, snapshots })
    }

    /// Shows a look. A terminal or a reader that is gone misses nothing: the results are on the disk.
    fn show(&mut self, look: Look) -> Wish {
        if let Some(snapshots) = &mut self.snapshots
            && snapshots.show(&look).is_err()
        {
            self.snapshots = None;
        }
        match &mut self.live {
            Live::Dashboard(dashboard) => dashboard.show(look).unwrap_or(Wish::Nothing),
            Live::Plain(plain) => {
                drop(plain.show(&look));
                Wish::Nothing
            }
        }
    }
}

/// Where the run was.
struct Place {
    shards: usize,
    cpus: usize,
    target: String,
    calibrated: Calibrated,
}

/// Writes what the run leaves, says how it went, and gives the exit code.
fn leave(
    args: &RunArgs,
    plan: &Plan,
    results: &Results,
    mut finished: Finished,
    place: Place,
    baseline: Option<&Baseline>,
) -> anyhow::Result<u8> {
    let now = droves_facts::Mono(finished.length.0);
    let ledger = std::mem::take(&mut finished.folds.ledger);
    let (verdicts, anomalies) = ledger.settle(now);
    let judgements = finished.thresholds.judge(&finished.folds, &verdicts, now, true);
    let names: Vec<String> = plan.phases.iter().map(|phase| phase.name.clone()).collect();
    let practice_cpu_s = finished.practice_cpu_s;
    let cpu_s = finished.health.cpu_s - practice_cpu_s.unwrap_or(0.0);
    let mut around = Surroundings {
        run_id: results.run_id().to_owned(),
        scenario: plan.name.clone(),
        seed: plan.seed,
        plan_hash: plan.hash.clone(),
        devices_by_platform: droves_engine::by_platform(plan),
        lanes: u64::from(plan.roster().lanes()),
        arrivals_planned: planned(plan, &finished),
        requests_unfinished: finished.unfinished,
        connections_held: finished.held,
        sessions_open: finished.sessions_open,
        sessions_open_max: finished.sessions_open_max,
        phases: spans(&finished, &names),
        cpu_s,
        steal_s: finished.steal_s,
        pipes_held_up_us: finished.pipes_held_up.map(|time| time.0),
        fds_max: finished.fds_max,
        rss_bytes_max: finished.health.rss_bytes_max,
        practice_cpu_s,
        near: place.calibrated.known().map(|calibration| nearness(calibration, &finished, cpu_s)),
        not_calibrated: place.calibrated.why_not().map(str::to_owned),
        push: finished.push.clone(),
        google: finished.google,
        verdicts,
        verdict: Verdict::default(),
    };
    let worse = baseline.map(|earlier| earlier.worse(&Summary::of(&finished.folds, &around), args.worse_by));
    let worse = worse.unwrap_or_default();
    around.verdict = verdict(plan, &finished, &around, &judgements, &names, &worse);
    let summary = Summary::of(&finished.folds, &around);
    let about = about(args, plan, results.run_id(), &finished, place);
    results.finish(&about, &summary, &finished, &names, &anomalies, &judgements)?;
    say_some("warning: ", &finished.dropped);
    say_some("error: ", &finished.lost);
    if let Some(tape) = &args.tape {
        say(&taped(tape, finished.taped));
    }
    say(&format!("\n{}\nresults in {}", Results::text(&summary, &judgements), results.folder().display()));
    Ok(around.verdict.exit_code)
}

/// What run it was, and where.
fn about(args: &RunArgs, plan: &Plan, run_id: &str, finished: &Finished, place: Place) -> About {
    About {
        run_id: run_id.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: plan.seed,
        plan_hash: plan.hash.clone(),
        began: droves_views::utc(finished.began_us),
        length_s: finished.length.as_secs_f64(),
        tags: args.tags.iter().cloned().collect::<BTreeMap<_, _>>(),
        cpus: place.cpus,
        shards: place.shards,
        system: std::env::consts::OS.to_owned(),
        machine: std::env::consts::ARCH.to_owned(),
        files_max: OpenFiles::read().ok().map(|files| files.soft),
        target: place.target,
        calibration: place.calibrated.known().cloned(),
    }
}

/// What is on the tape.
fn taped(tape: &Path, taped: Taped) -> String {
    let Taped { steps, lost } = taped;
    let file = tape.display();
    if lost > 0 {
        return format!(
            "warning: {steps} steps of devices are on the tape {file}, and {lost} are not: the disk could not keep up"
        );
    }
    format!("{steps} steps of devices are on the tape {file}")
}

fn nearness(calibration: &Calibration, finished: &Finished, cpu_s: f64) -> Near {
    let seconds = finished.seconds.iter().map(|second| (second.second, second.work));
    Near::of(calibration, &Work::of(&finished.folds), seconds, finished.length.as_secs_f64(), cpu_s)
}

/// Arrivals of the phases that began.
fn planned(plan: &Plan, finished: &Finished) -> u64 {
    let phases = finished.spans.iter().filter_map(|span| plan.phases.get(span.phase.ix()));
    phases.filter_map(|phase| phase.schedule()).map(|schedule| schedule.planned()).sum()
}

fn spans(finished: &Finished, names: &[String]) -> Vec<PhaseSpan> {
    let end = droves_facts::Mono(finished.length.0);
    finished
        .spans
        .iter()
        .map(|span| PhaseSpan {
            phase: span.phase,
            name: names.get(span.phase.ix()).cloned().unwrap_or_default(),
            start_us: span.start.0,
            end_us: span.end.unwrap_or(end).0,
            in_vain: span.in_vain,
        })
        .collect()
}

fn verdict(
    plan: &Plan,
    finished: &Finished,
    around: &Surroundings,
    judgements: &[Judgement],
    names: &[String],
    worse: &[String],
) -> Verdict {
    let (mut codes, mut reasons) = (Vec::new(), Vec::new());
    let mut fails = |code: u8, reason: String| {
        codes.push(code);
        reasons.push(reason);
    };
    if finished.interrupted {
        fails(INTERRUPTED, "interrupted before the plan's end".to_owned());
    }
    for lost in &finished.lost {
        fails(LOST, format!("{lost}: the run was broken off, and the ledger is partial"));
    }
    let lag = finished.folds.series.own(None, droves_measure::Own::Lag).quantile_us(0.99);
    if let Some(lag) = lag.filter(|&lag| lag > plan.bounds.lag_max.0) {
        let cure = if finished.is_full {
            "a shard had as many sessions open as its part of `connections_max` allows: raise it"
        } else {
            "use more processors or a lower rate"
        };
        let text = format!(
            "invalid: the generator was the limit (lag p99 {}, bound {}); {cure}",
            Dur(lag),
            plan.bounds.lag_max
        );
        fails(GENERATOR, text);
    }
    let violations = around.verdicts.violations() + finished.folds.counts.truths.differs;
    if violations > 0 {
        fails(LEDGER, format!("the ledger found {violations} violations: see ledger.ndjson"));
    }
    for judgement in judgements.iter().filter(|judgement| !judgement.holds) {
        let Judgement { metric, expression, said, .. } = judgement;
        fails(THRESHOLD, format!("threshold failed: {metric}: {expression}, measured {said}"));
    }
    if let Some(by) = &finished.aborted_by {
        fails(THRESHOLD, format!("ended early by a threshold: {by}"));
    }
    for span in finished.spans.iter().filter(|span| span.in_vain) {
        let name = names.get(span.phase.ix()).map(String::as_str).unwrap_or_default();
        fails(THRESHOLD, format!("phase `{name}` did not reach its end in time"));
    }
    for what in worse {
        fails(WORSE, format!("worse than the baseline: {what}"));
    }
    Verdict { exit_code: exit_code(&codes), reasons }
}

/// A service that a server calls with a key.
fn by_key((url, key_file): &(String, PathBuf)) -> serde_json::Value {
    serde_json::json!({ "url": url, "key_file": key_file })
}

/// Ports, process and files, for whoever waits for them.
fn write_ready(path: &Path, ready: &Ready) -> anyhow::Result<()> {
    let json = serde_json::json!({
        "pid": std::process::id(),
        "target": ready.url,
        "push": ready.push.to_string(),
        "wns": ready.wns.map(|wns| wns.to_string()),
        "fcm": ready.fcm.as_ref().map(by_key),
        "google": ready.google.as_ref().map(by_key),
        "door": ready.door.map(|door| door.to_string()),
        "push_ca": ready.push_ca,
        "practice": ready.is_practice,
    });
    crate::write_ready(path, &json)
}
