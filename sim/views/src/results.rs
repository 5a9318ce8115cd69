//! The results folder: `results/<utc time>-<scenario>/`.

use crate::calibration::nearness;
use crate::figures::{count, megabytes, time};
use crate::{junit, report};
use droves_engine::Finished;
use droves_facts::{Dur, PhaseIx};
use droves_measure::{
    Anomaly, Calibration, ExportError, GoogleSummary, Judgement, Latency, PushService, Summary, latency_log,
    ledger_lines, series_csv,
};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why results can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A file or the folder.
    #[error("results: {path}: {why}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A document.
    #[error("results: {path}: {why}", path = .path.display())]
    Document {
        /// Which.
        path: PathBuf,
        /// Why.
        why: ExportError,
    },
}

/// What `run.json` says of the run and its machine.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// The run's name, which is the folder's.
    pub run_id: String,
    /// This program's version.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// SHA-256 of the plan.
    pub plan_hash: String,
    /// When it began, UTC.
    pub began: String,
    /// How long it took, in seconds.
    pub length_s: f64,
    /// The command line's tags.
    pub tags: std::collections::BTreeMap<String, String>,
    /// Processors.
    pub cpus: usize,
    /// Threads with devices.
    pub shards: usize,
    /// `linux`, `macos`, ..
    pub system: String,
    /// `x86_64`, `aarch64`, ..
    pub machine: String,
    /// Open files that a process may have.
    pub files_max: Option<u64>,
    /// Where the target was.
    pub target: String,
    /// What the machine can offer, if that is known.
    pub calibration: Option<Calibration>,
}

/// An open results folder.
#[derive(Debug)]
pub struct Results {
    folder: PathBuf,
    run_id: String,
}

impl Results {
    /// Makes a folder for a run of a scenario that begins now, under `base`.
    pub fn create(base: &Path, scenario: &str) -> Result<Self, ResultsError> {
        let name: String =
            scenario.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect();
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        for n in 1..100 {
            let run_id = if n == 1 { format!("{now}-{name}") } else { format!("{now}-{name}-{n}") };
            let folder = base.join(&run_id);
            let made = fs::create_dir_all(base).and_then(|()| fs::create_dir(&folder));
            match made {
                Ok(()) => return Ok(Results { folder, run_id }),
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
                Err(why) => return Err(ResultsError::File { path: folder, why }),
            }
        }
        Err(ResultsError::File { path: base.to_owned(), why: io::Error::other("a hundred runs in one second") })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run's name.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Writes the scenario as it was understood, without secrets.
    pub fn scenario(&self, resolved: &str) -> Result<(), ResultsError> {
        self.write("scenario.resolved.yaml", |file| Ok(file.write_all(resolved.as_bytes())?))
    }

    /// Writes everything that a finished run leaves.
    pub fn finish(
        &self,
        about: &About,
        summary: &Summary,
        finished: &Finished,
        phase_names: &[String],
        anomalies: &[Anomaly],
        judgements: &[Judgement],
    ) -> Result<(), ResultsError> {
        self.write("run.json", |file| Ok(serde_json::to_writer_pretty(file, about)?))?;
        self.write("summary.json", |file| Ok(serde_json::to_writer_pretty(file, summary)?))?;
        self.write("summary.md", |file| Ok(file.write_all(markdown(summary, judgements).as_bytes())?))?;
        let page = report::page(summary, judgements, &finished.seconds);
        self.write("report.html", |file| Ok(file.write_all(page.as_bytes())?))?;
        let junit = junit::document(summary, judgements).map_err(|error| io::Error::other(error.to_string()));
        self.write("junit.xml", |file| Ok(file.write_all(junit?.as_bytes())?))?;
        self.write("ledger.ndjson", |file| {
            let directory = &finished.directory;
            ledger_lines(file, anomalies, |lane| directory.enrollment(lane), |key| directory.command(key))
        })?;
        self.write("series.csv", |file| Ok(series_csv(file, finished.seconds.iter().copied())?))?;
        let name = |phase: PhaseIx| phase_names.get(phase.ix()).cloned().unwrap_or_default();
        let spans: Vec<_> = finished
            .spans
            .iter()
            .map(|span| {
                let start = Dur(span.start.0);
                let length = span.end.map_or(Dur::ZERO, |end| end.since(span.start));
                (span.phase, name(span.phase), start, length)
            })
            .collect();
        let began = Duration::from_micros(u64::try_from(finished.began_us).unwrap_or(0));
        self.write("latency.hlog", |file| latency_log(file, &finished.folds, began, &spans))?;
        if let Some(truth) = &finished.practice_truth {
            self.write("practice.json", |file| Ok(serde_json::to_writer_pretty(file, truth)?))?;
        }
        Ok(())
    }

    fn write(
        &self,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), ExportError>,
    ) -> Result<(), ResultsError> {
        let path = self.folder.join(name);
        let file = File::create(&path).map_err(|why| ResultsError::File { path: path.clone(), why })?;
        let mut file = BufWriter::new(file);
        fill(&mut file).map_err(|why| ResultsError::Document { path: path.clone(), why })?;
        file.flush().map_err(|why| ResultsError::File { path, why })
    }
}

/// The summary for people: also what is printed at the end of a run.
fn markdown(summary: &Summary, judgements: &[Judgement]) -> String {
    let verdict = if summary.verdict.exit_code == 0 { "passed" } else { "failed" };
    let mut lines = vec![format!("# {}: {verdict}", summary.scenario), String::new()];
    lines.extend(summary.verdict.reasons.iter().map(|reason| format!("- {reason}")));
    lines.push(String::new());
    lines.extend(totals(summary));
    lines.push(String::new());
    lines.extend(operations(summary));
    lines.push(String::new());
    lines.extend(commands(summary));
    lines.extend(makespans(summary));
    lines.extend(windows(summary));
    lines.extend(summary.google.as_ref().and_then(google));
    lines.push(generator(summary));
    lines.push(nearness(summary));
    let odd = summary.identities.iter().filter(|identity| !identity.holds);
    lines.extend(odd.map(|i| format!("DOES NOT ADD UP: {} ({} against {})", i.name, i.left, i.right)));
    if !judgements.is_empty() {
        lines.extend([String::new(), "| threshold | measured | |".to_owned(), "| --- | ---: | --- |".to_owned()]);
        lines.extend(judgements.iter().map(|judgement| {
            let verdict = if judgement.holds { "holds" } else { "FAILED" };
            format!("| {}: {} | {} | {verdict} |", judgement.metric, judgement.expression, judgement.said)
        }));
    }
    if !summary.failures.is_empty() {
        lines.push(String::new());
        lines.extend(summary.failures.iter().take(10).map(|failure| {
            let example = failure.examples.first().map(String::as_str).unwrap_or_default();
            format!("- {} × {} ({}): {example}", count(failure.count), failure.kind, failure.blame)
        }));
    }
    lines.join("\n") + "\n"
}

fn totals(s: &Summary) -> [String; 2] {
    [
        format!(
            "{} devices of {} enrolled, {} lanes. {} arrivals: {} on time, {} late, {} merged, {} dropped, {} waiting, {} pending.",
            count(s.devices.enrolled),
            count(s.devices.planned),
            count(s.lanes),
            count(s.arrivals.planned),
            count(s.arrivals.on_time),
            count(s.arrivals.late),
            count(s.arrivals.merged),
            count(s.arrivals.dropped),
            count(s.arrivals.waiting),
            count(s.arrivals.pending),
        ),
        format!(
            "{} requests: {} succeeded, {} failed, {} unfinished. {} connections, {} sessions open at once.",
            count(s.requests.started),
            count(s.requests.succeeded),
            count(s.requests.failed),
            count(s.requests.unfinished),
            count(s.connections.opened),
            count(s.sessions.open_max),
        ),
    ]
}

fn operations(s: &Summary) -> Vec<String> {
    let mut lines = vec![
        "| operation | count | failed | p50 | p90 | p99 | max |".to_owned(),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |".to_owned(),
    ];
    lines.extend(s.operations.iter().map(|(name, operation)| {
        let times = if operation.response_us.max.is_some() { &operation.response_us } else { &operation.service_us };
        format!(
            "| {name} | {} | {} | {} | {} | {} | {} |",
            count(operation.count),
            count(operation.failed),
            time(times.p50),
            time(times.p90),
            time(times.p99),
            time(times.max),
        )
    }));
    lines
}

/// How one push service saw it.
fn service((name, seen): (&String, &PushService)) -> String {
    format!("; {name} took {} and refused {}", count(seen.accepted), count(seen.refused.values().sum()))
}

/// How Google saw the server, if something is to be said of it.
pub(crate) fn google(seen: &GoogleSummary) -> Option<String> {
    let GoogleSummary { quota_refused, quota_windows, quota_us, notifications_lost, notifications_dropped } = *seen;
    let quota = (quota_refused > 0).then(|| {
        let (calls, windows, long) = (count(quota_refused), count(quota_windows), time(Some(quota_us)));
        format!("its quota refused {calls} calls, and was used up for {long} in all (windows: {windows})")
    });
    let lost = (notifications_lost > 0).then(|| format!("no topic took {} notifications", count(notifications_lost)));
    let dropped = (notifications_dropped > 0).then(|| {
        let dropped = count(notifications_dropped);
        format!("{dropped} notifications were dropped here, as no more have room that wait for the server")
    });
    let said: Vec<String> = quota.into_iter().chain(lost).chain(dropped).collect();
    (!said.is_empty()).then(|| format!("Google: {}.", said.join("; ")))
}

fn commands(s: &Summary) -> [String; 4] {
    let l = &s.ledger;
    [
        format!(
            "Commands: {} queued, {} delivered, {} answered, {} accepted; from asked to accepted p50 {}, p99 {}, last {}.",
            count(s.fanout.queued),
            count(s.fanout.delivered),
            count(s.fanout.answered),
            count(s.fanout.accepted),
            time(s.fanout.total_us.p50),
            time(s.fanout.total_us.p99),
            time(s.fanout.total_us.max),
        ),
        format!(
            "Pushes: {} asked, {} received, {} coalesced, {} stale, {} unregistered{}.",
            count(s.push.asked),
            count(s.push.received),
            count(s.push.coalesced),
            count(s.push.stale),
            count(s.push.unregistered),
            s.push.services.iter().map(service).collect::<String>(),
        ),
        format!(
            "Ledger{}: {} lost, {} duplicated, {} misdelivered, {} late, {} undecided, {} unknown, {} repeated lawfully.",
            if l.partial { " (partial)" } else { "" },
            l.lost,
            l.duplicated,
            l.misdelivered,
            l.late,
            l.undecided,
            l.unknown,
            l.repeated_lawfully,
        ),
        format!(
            "Truth: {} agree, {} differ, {} unavailable.",
            count(s.truth.agrees),
            count(s.truth.differs),
            count(s.truth.unavailable),
        ),
    ]
}

fn makespans(s: &Summary) -> impl Iterator<Item = String> + '_ {
    s.phases.iter().filter(|phase| phase.makespan_us.p50.is_some()).map(|phase| {
        let to = phase.makespan_us;
        format!(
            "Makespan of `{}`, {} commands: 50 % accepted after {}, 90 % after {}, 99 % after {}, the last after {}.",
            phase.name,
            count(phase.fanout.queued),
            time(to.p50),
            time(to.p90),
            time(to.p99),
            time(to.last),
        )
    })
}

fn windows(s: &Summary) -> Option<String> {
    let of = |sizes: &Latency| {
        let [p50, p99, max] = [sizes.p50, sizes.p99, sizes.max].map(Option::unwrap_or_default).map(count);
        format!("p50 {p50}, p99 {p99}, {max} at most")
    };
    (s.windows.sessions > 0).then(|| {
        format!(
            "Windows: {} sessions; messages in one: {}; nodes in one: {}.",
            count(s.windows.sessions),
            of(&s.windows.messages_per_session),
            of(&s.windows.nodes_per_session),
        )
    })
}

fn generator(s: &Summary) -> String {
    let held_up = s.generator.pipes_held_up_us.filter(|&us| us > 0);
    format!(
        "Generator: lag p99 {}, {:.1} s of processor{}, {} at most, {} files at most{}.",
        time(s.generator.lag_us.p99),
        s.generator.cpu_s,
        s.practice.cpu_s.map_or_else(String::new, |cpu| format!(" beside the practice server's {cpu:.1} s")),
        megabytes(s.generator.rss_bytes_max),
        count(s.generator.fds_max),
        held_up.map_or_else(String::new, |us| format!(", {} in full pipes to its processes", time(Some(us)))),
    )
}

impl Results {
    /// The text of `summary.md`, for the end of a run on a terminal.
    pub fn text(summary: &Summary, judgements: &[Judgement]) -> String {
        markdown(summary, judgements)
    }
}
