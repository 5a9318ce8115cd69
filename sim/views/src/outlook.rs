//! What a scenario will offer, in words, tables and bars for a terminal, and as JSON.

use crate::figures::{count, time};
use droves_engine::forecast::{FILES_MAX, Foreseen, Need, PORTS};
use droves_facts::{Dur, PhaseIx, Unit, Waker};
use droves_measure::{Echo, Herd, LoadSecond, echoes, herds, mean};
use droves_scenario::plan::{Arrivals, Plan};
use serde::Serialize;
use serde_json::json;
use std::fmt::{self, Write};

/// Columns of a bar chart.
const COLUMNS: usize = 60;
/// Herds and echoes that are told one by one.
const TOLD_MAX: usize = 5;

/// What a scenario will offer.
#[derive(Debug)]
pub struct Outlook<'a> {
    plan: &'a Plan,
    foreseen: &'a Foreseen,
    need: Need,
    /// The other side, in a sentence.
    model: String,
    herds: Vec<Herd>,
    echoes: Vec<Echo>,
}

/// One row of the bars: what, what it is in a second.
type Row = (&'static str, fn(&LoadSecond) -> u64);

const ROWS: [Row; 6] = [
    ("sessions/s", |second| u64::from(second.sessions())),
    ("requests/s", |second| u64::from(second.requests)),
    ("connects/s", |second| u64::from(second.connects)),
    ("pushes/s", |second| u64::from(second.pushes)),
    ("bytes/s", |second| second.bytes),
    ("open sessions", |second| u64::from(second.open_max)),
];

/// A peak of the load.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
struct Peak {
    mean: f64,
    peak: u64,
    at_s: usize,
}

impl<'a> Outlook<'a> {
    /// Of a scenario that was played against the model that `model` tells of.
    pub fn of(plan: &'a Plan, foreseen: &'a Foreseen, need: Need, model: String) -> Self {
        let seconds = foreseen.load.seconds();
        let period = |phase: PhaseIx| match plan.phases.get(phase.ix())?.schedule()?.arrivals {
            Arrivals::Each { every, jitter } => Some((every, jitter)),
            _ => None,
        };
        Outlook { plan, foreseen, need, model, herds: herds(seconds, period), echoes: echoes(seconds) }
    }

    /// For programs: everything that the text says, and the seconds. Times in seconds of the run.
    pub fn json(&self) -> serde_json::Value {
        let Foreseen { folds, load, .. } = self.foreseen;
        let requests = folds.counts.tries_of(None, Unit::Request);
        let (bytes_out, bytes_in) = folds.counts.bytes(None);
        let peaks: serde_json::Map<_, _> =
            ROWS.iter().map(|(name, of)| ((*name).to_owned(), json!(self.peak(*of)))).collect();
        json!({
            "schema_version": 1,
            "scenario": self.plan.name,
            "seed": self.plan.seed,
            "plan_hash": self.plan.hash,
            "model": self.model,
            "length_s": self.foreseen.length.as_secs_f64(),
            "began_enrolled": self.foreseen.began_enrolled,
            "interrupted": self.foreseen.interrupted,
            "sessions": folds.counts.sessions_started,
            "requests": { "started": requests.started, "failed": requests.failed_in_all() },
            "handshakes": folds.counts.connections.tls,
            "connects": folds.counts.connections.opened + folds.counts.connections.failed,
            "pushes": folds.counts.pushes.fate(droves_facts::PushFate::Received),
            "bytes": { "out": bytes_out, "in": bytes_in },
            "workers_busy_max": self.foreseen.workers_busy_max,
            "peaks": peaks,
            "herds": self.herds,
            "echoes": self.echoes,
            "need": self.need,
            "seconds": load.seconds(),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String fails never.
        self.write(&mut out).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        self.head(out)?;
        self.phases(out)?;
        self.bars(out)?;
        self.told(out)?;
        self.needs(out)
    }

    fn head(&self, out: &mut String) -> fmt::Result {
        let (plan, foreseen) = (self.plan, self.foreseen);
        let hash = plan.hash.get(..12).unwrap_or(&plan.hash);
        writeln!(out, "{}: seed {}, plan {hash}; virtual time, nothing was sent", plan.name, plan.seed)?;
        for population in &plan.populations {
            let devices = count(population.devices.len() as u64);
            writeln!(out, "fleet     {}: {devices} {} devices", population.name, population.platform)?;
        }
        if foreseen.began_enrolled {
            writeln!(
                out,
                "          no phase enrolls any: all begin enrolled, as with a minted fleet (`droves fleet mint`)"
            )?;
        }
        writeln!(out, "model     {}", self.model)?;
        let counts = &foreseen.folds.counts;
        let requests = counts.tries_of(None, Unit::Request);
        let (bytes_out, bytes_in) = counts.bytes(None);
        let broken = if foreseen.interrupted { ", broken off" } else { "" };
        writeln!(
            out,
            "in all    {}{broken}: {} sessions, {} requests ({} failed), {} connects ({} TLS handshakes), {} pushes, {}",
            foreseen.length,
            count(counts.sessions_started),
            count(requests.started),
            count(requests.failed_in_all()),
            count(counts.connections.opened + counts.connections.failed),
            count(counts.connections.tls),
            count(counts.pushes.fate(droves_facts::PushFate::Received)),
            bytes(bytes_out + bytes_in),
        )?;
        let failed = counts.requests_failed();
        for failure in failed.iter().take(TOLD_MAX) {
            writeln!(out, "          failed: {} of {}, {} times", failure.kind, failure.blame, count(failure.count))?;
        }
        Ok(())
    }

    fn phases(&self, out: &mut String) -> fmt::Result {
        let width = self.plan.phases.iter().map(|phase| phase.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(
            out,
            "\n{:<width$}  {:>9} {:>9} {:>12} {:>12} {:>9} {:>9} {:>9}  ends",
            "phase", "from", "to", "arrivals", "requests", "failed", "bytes", "p99"
        )?;
        for span in &self.foreseen.spans {
            let Some(phase) = self.plan.phases.get(span.phase.ix()) else { continue };
            let counts = &self.foreseen.folds.counts;
            let requests = counts.tries_of(Some(span.phase), Unit::Request);
            let (bytes_out, bytes_in) = counts.bytes(Some(span.phase));
            let end = span.end.unwrap_or(span.start);
            writeln!(
                out,
                "{:<width$}  {:>9} {:>9} {:>12} {:>12} {:>9} {:>9} {:>9}  {}",
                phase.name,
                at(span.start.0 / 1_000_000),
                at(end.0 / 1_000_000),
                count(counts.arrivals(Some(span.phase)).met()),
                count(requests.started),
                count(requests.failed_in_all()),
                bytes(bytes_out + bytes_in),
                time(self.slowest(span.phase)),
                if span.in_vain { "in vain: what it waits for does not come in time" } else { "as planned" },
            )?;
        }
        Ok(())
    }

    /// The 99th percentile of the phase's slowest kind of request.
    fn slowest(&self, phase: PhaseIx) -> Option<u64> {
        let requests = droves_facts::OPERATIONS.iter().filter(|row| row.unit == Unit::Request);
        let series = &self.foreseen.folds.series;
        requests
            .filter_map(|row| {
                series.times(Some(phase), row.operation, droves_measure::Kind::Response).quantile_us(0.99)
            })
            .max()
    }

    fn peak(&self, of: fn(&LoadSecond) -> u64) -> Peak {
        let seconds = self.foreseen.load.seconds();
        let sum: u64 = seconds.iter().map(of).sum();
        let highest = (0..seconds.len()).max_by_key(|&s| (of(&seconds[s]), std::cmp::Reverse(s))).unwrap_or(0);
        let peak = seconds.get(highest).map_or(0, of);
        Peak { mean: sum as f64 / seconds.len().max(1) as f64, peak, at_s: highest }
    }

    fn bars(&self, out: &mut String) -> fmt::Result {
        let seconds = self.foreseen.load.seconds();
        let step = seconds.len().div_ceil(COLUMNS).max(1);
        let columns = seconds.len().div_ceil(step);
        writeln!(out, "\n{:<14} {:<columns$} {:>10} {:>10}  at", "", "", "mean", "peak")?;
        for (name, of) in ROWS {
            let Peak { mean, peak, at_s } = self.peak(of);
            let bar: String = seconds.chunks(step).map(|s| block(s.iter().map(of).max().unwrap_or(0), peak)).collect();
            let (mean, peak) =
                if name == "bytes/s" { (bytes(mean as u64), bytes(peak)) } else { (rate(mean), count(peak)) };
            writeln!(out, "{name:<14} {bar} {mean:>10} {peak:>10}  {}", at(at_s as u64))?;
        }
        let (first, last) = (at(0), at(seconds.len() as u64));
        let gap = columns.saturating_sub(first.len() + last.len());
        writeln!(out, "{:<14} {first}{:gap$}{last}  each column is the fullest second of {step}", "", "")
    }

    fn told(&self, out: &mut String) -> fmt::Result {
        let mean = mean(self.foreseen.load.seconds());
        writeln!(
            out,
            "\nherds     {}",
            some(self.herds.len(), "devices come evenly: no second has four times the mean")
        )?;
        let mut largest: Vec<&Herd> = self.herds.iter().collect();
        largest.sort_by_key(|herd| std::cmp::Reverse(herd.sessions));
        for herd in largest.iter().take(TOLD_MAX) {
            let name = self.plan.phases.get(herd.phase.ix()).map_or("", |phase| phase.name.as_str());
            let cause = match herd.by {
                Waker::Order => format!("the plan lets them come (phase `{name}`)"),
                Waker::Push => format!("pushes wake them (phase `{name}`)"),
                Waker::Timer => "they come by themselves".to_owned(),
            };
            writeln!(
                out,
                "  {:>8}  {} sessions in {}, most {}/s at {}, {:.1} times the mean of {mean:.1}/s: {cause}",
                at(herd.from_s as u64),
                count(herd.sessions),
                Dur::secs((herd.to_s - herd.from_s) as u64),
                count(u64::from(herd.peak)),
                at(herd.peak_s as u64),
                herd.times_mean,
            )?;
            if let Some(first) = herd.repeats.and_then(|repeats| self.herds.get(repeats)) {
                writeln!(out, "            an echo: the herd of {}, one period later", at(first.from_s as u64))?;
            }
        }
        more(out, self.herds.len())?;
        writeln!(out, "echoes    {}", some(self.echoes.len(), "nothing comes back: no device had to try again"))?;
        for echo in self.echoes.iter().take(TOLD_MAX) {
            writeln!(
                out,
                "  {:>8}  {} sessions up to {}, most {}/s at {} ({:.1} times the mean): retries of {} failures from {} to {}",
                at(echo.from_s as u64),
                count(echo.retries),
                at(echo.to_s as u64),
                count(u64::from(echo.peak)),
                at(echo.peak_s as u64),
                echo.times_mean,
                count(echo.failed),
                at(echo.trouble_from_s as u64),
                at(echo.trouble_to_s as u64),
            )?;
        }
        more(out, self.echoes.len())
    }

    fn needs(&self, out: &mut String) -> fmt::Result {
        let need = &self.need;
        let cores = need.costs.cores;
        writeln!(out, "\nneeds     {} of {cores} cores, for its {}", plural(need.machines, "machine"), need.limit)?;
        writeln!(
            out,
            "          {:.2} cores in the fullest second, at {}; {:.1} core-hours in all; of a machine four fifths are used",
            need.cores_peak,
            at(need.cores_peak_s as u64),
            need.cpu_s / 3_600.0
        )?;
        writeln!(
            out,
            "          {} sessions open at once at most: {} of {} open files",
            count(u64::from(need.open_max)),
            plural_of(need.processes, "process", "processes"),
            count(FILES_MAX)
        )?;
        writeln!(
            out,
            "          {} source ports at most, a minute's that wait among them: {} of {} ports",
            count(need.ports_max),
            plural_of(need.addresses, "source address", "source addresses"),
            count(PORTS)
        )?;
        let costs: Vec<String> = need.costs.us.iter().map(|(name, us)| format!("{name} {us:.0}")).collect();
        writeln!(out, "          costs in us of a core: {}", costs.join(", "))?;
        writeln!(out, "          from {}", need.costs.source)?;
        let bound = u64::from(self.plan.bounds.connections_max);
        if u64::from(need.open_max) > bound {
            writeln!(
                out,
                "          the scenario lets no more than {} be open (`bounds.connections_max`): the rest would be late",
                count(bound)
            )?;
        }
        Ok(())
    }
}

fn block(value: u64, most: u64) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if value == 0 {
        return ' ';
    }
    BLOCKS[((value * 8).div_ceil(most.max(1)) as usize).clamp(1, 8) - 1]
}

/// A time of the run.
fn at(secs: u64) -> String {
    format!("{:02}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60)
}

/// A mean; below ten a tenth counts.
fn rate(mean: f64) -> String {
    if mean < 10.0 { format!("{mean:.1}") } else { count(mean.round() as u64) }
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

fn some(n: usize, none: &str) -> String {
    if n == 0 { none.to_owned() } else { n.to_string() }
}

fn more(out: &mut String, n: usize) -> fmt::Result {
    if n > TOLD_MAX { writeln!(out, "            and {} more", n - TOLD_MAX) } else { Ok(()) }
}

fn plural(n: u64, one: &str) -> String {
    plural_of(n, one, &format!("{one}s"))
}

fn plural_of(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_figures_read_well() {
        let bar: String = [0, 1, 50, 100].map(|value| block(value, 100)).into_iter().collect();
        assert_eq!(bar, " ▁▄█");
        assert_eq!(at(3_661), "01:01:01");
        assert_eq!((rate(0.31), rate(1_234.5)), ("0.3".to_owned(), "1,235".to_owned()));
        let check = |n: u64, text: &str| assert_eq!(bytes(n), text);
        check(999, "999 B");
        check(12_345, "12.3 KB");
        check(2_500_000_000_000_000, "2500 TB");
        assert_eq!(plural(1, "machine"), "1 machine");
        assert_eq!(plural(2_000, "machine"), "2,000 machines");
    }
}
