//! What must hold, in k6's spelling: `enroll.response{phase: enroll}: p(99)<5s`.
//!
//! Metrics:
//! - times: `<operation>.response`, `<operation>.service`, `fanout.<hop>`, `generator.lag`, with `p(N)`, `min`, `avg`,
//!   `med`, `max` against a length of time, and `count`;
//! - `fanout.makespan`, with `p(N)` and `max`: how long it took until that share of a phase's commands, or all, were accepted;
//! - sizes: `windows.messages_per_session`, `windows.nodes_per_session`, with the same measures as times, against a number;
//! - counts: `requests.started|succeeded|failed`, `<operation>.failed`, `arrivals.on_time|late|merged|dropped|waiting`,
//!   `push.<fate>`, `ledger.<verdict>`, `truth.agrees|differs|unavailable`, with `count`, and `rate` where there is
//!   something that they are a share of.
//!
//! Tags: `{phase: name}`, and for failures `{blame: server|network|scenario|generator}`. A time without samples, at the
//! end, has failed.

use crate::counts::{Arrivals, PUSH_FATES, Tries};
use crate::fanout;
use crate::fanout::HOPS;
use crate::folds::Folds;
use crate::histogram::Times;
use crate::ledger::Verdicts;
use crate::series::{Kind, Own, PerSession};
use droves_facts::{Blame, Dur, Mono, OPERATIONS, Operation, OperationInfo, PhaseIx, Unit};
use droves_scenario::nearest;
use droves_scenario::plan::{Place, ThresholdLine};

/// A threshold that can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct ThresholdError {
    /// Where in the scenario.
    pub place: Place,
    /// What is wrong with it.
    pub text: String,
    /// What would be right.
    pub cure: String,
}

/// The names of everything that a threshold can be about.
pub fn metric_names() -> Vec<String> {
    metrics().into_iter().map(|(name, _)| name).collect()
}

/// Every threshold of a plan, read and checked.
#[derive(Clone, Debug)]
pub struct Thresholds(Vec<Threshold>);

#[derive(Clone, Debug)]
struct Threshold {
    line: ThresholdLine,
    metric: Metric,
    phase: Option<PhaseIx>,
    blame: Option<Blame>,
    measure: Measure,
    compare: Compare,
    bound: f64,
    /// Since when it has not held.
    broken_since: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
enum Metric {
    Times(Operation, Kind),
    Hop(fanout::Hop),
    Makespan,
    PerSession(PerSession),
    Lag,
    Requests(Part),
    Failed(Operation),
    Arrivals(usize),
    Push(usize),
    Ledger(Verdict),
    Truth(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Started,
    Succeeded,
    Failed,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Measure {
    Quantile(f64),
    Min,
    Mean,
    Max,
    Count,
    Rate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// How a threshold stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Judgement {
    /// The metric as written.
    pub metric: String,
    /// The expression as written.
    pub expression: String,
    /// What was measured: microseconds, a count, or a share of 1; none without samples.
    pub value: Option<f64>,
    /// The same in words.
    pub said: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether it does not, and ends the run by that.
    pub aborts: bool,
}

impl Thresholds {
    /// Reads all lines, or says what is wrong with each that can't be read. `phases` are the names, at their index.
    pub fn parse(lines: &[ThresholdLine], phases: &[String]) -> Result<Self, Vec<ThresholdError>> {
        let (mut read, mut errors) = (Vec::new(), Vec::new());
        for line in lines {
            match threshold(line, phases) {
                Ok(threshold) => read.push(threshold),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Thresholds(read)) } else { Err(errors) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How each stands now. `verdicts` is what the ledger has decided so far; `is_end` says that nothing more comes.
    pub fn judge(&mut self, folds: &Folds, verdicts: &Verdicts, now: Mono, is_end: bool) -> Vec<Judgement> {
        self.0.iter_mut().map(|threshold| threshold.judge(folds, verdicts, now, is_end)).collect()
    }
}

impl Threshold {
    fn judge(&mut self, folds: &Folds, verdicts: &Verdicts, now: Mono, is_end: bool) -> Judgement {
        let value = self.value(folds, verdicts);
        let fits = match value {
            Some(value) => self.compare.fits(value, self.bound),
            None => !is_end,
        };
        if fits {
            self.broken_since = None;
        }
        let since = if fits { None } else { Some(*self.broken_since.get_or_insert(now)) };
        let lasts = since.is_some_and(|since| self.line.lasting.is_none_or(|lasting| now.since(since) >= lasting));
        Judgement {
            metric: self.line.metric.clone(),
            expression: self.line.expression.clone(),
            value,
            said: value.map_or_else(|| "no samples".to_owned(), |value| self.say(value)),
            holds: !lasts,
            aborts: lasts && self.line.abort_on_fail && !is_end,
        }
    }

    fn value(&self, folds: &Folds, verdicts: &Verdicts) -> Option<f64> {
        let counts = &folds.counts;
        let share = |part: u64, whole: u64| match self.measure {
            Measure::Rate => (whole > 0).then(|| part as f64 / whole as f64),
            _ => Some(part as f64),
        };
        match self.metric {
            Metric::Times(operation, kind) => self.of_times(&folds.series.times(self.phase, operation, kind)),
            Metric::Hop(hop) => self.of_times(&folds.fanout.times(self.phase, hop)),
            Metric::Makespan => {
                let share = match self.measure {
                    Measure::Quantile(share) => share,
                    _ => 1.0,
                };
                folds.fanout.makespan(self.phase?, share).map(|time| time.0 as f64)
            }
            Metric::PerSession(which) => self.of_times(&folds.series.per_session(self.phase, which)),
            Metric::Lag => self.of_times(&folds.series.own(self.phase, Own::Lag)),
            Metric::Requests(part) => {
                let tries = counts.tries_of(self.phase, Unit::Request);
                match part {
                    Part::Started => Some(tries.started as f64),
                    Part::Succeeded => share(tries.succeeded, tries.ended()),
                    Part::Failed => share(tries.failed_by(self.blame), tries.ended()),
                }
            }
            Metric::Failed(operation) => {
                let tries: Tries = counts.tries(self.phase, operation);
                share(tries.failed_by(self.blame), tries.ended())
            }
            Metric::Arrivals(fate) => {
                let Arrivals { on_time, late, merged, dropped, waiting } = counts.arrivals(self.phase);
                let parts = [on_time, late, merged, dropped, waiting];
                share(parts[fate], parts.iter().sum())
            }
            Metric::Push(fate) => share(counts.pushes.fates[fate], counts.pushes.fates[0]),
            Metric::Ledger(of) => Some(of(verdicts) as f64),
            Metric::Truth(which) => {
                let truths = &counts.truths;
                let parts = [truths.agrees, truths.differs, truths.unavailable];
                share(parts[which], parts.iter().sum())
            }
        }
    }

    fn of_times(&self, times: &Times) -> Option<f64> {
        match self.measure {
            Measure::Quantile(share) => times.quantile_us(share).map(|us| us as f64),
            Measure::Min => times.min_us().map(|us| us as f64),
            Measure::Mean => times.mean_us(),
            Measure::Max => times.max_us().map(|us| us as f64),
            Measure::Count => Some(times.count() as f64),
            Measure::Rate => None,
        }
    }

    fn say(&self, value: f64) -> String {
        match self.measure {
            Measure::Count => format!("{value}"),
            Measure::Rate => format!("{:.3}%", value * 100.0),
            _ if matches!(self.metric, Metric::PerSession(_)) => format!("{value:.0}"),
            _ => Dur(value as u64).to_string(),
        }
    }
}

impl Compare {
    fn fits(self, value: f64, bound: f64) -> bool {
        match self {
            Compare::Less => value < bound,
            Compare::LessOrEqual => value <= bound,
            Compare::Greater => value > bound,
            Compare::GreaterOrEqual => value >= bound,
            Compare::Equal => (value - bound).abs() < 1e-9,
            Compare::NotEqual => (value - bound).abs() >= 1e-9,
        }
    }
}

fn threshold(line: &ThresholdLine, phases: &[String]) -> Result<Threshold, ThresholdError> {
    let at_metric = |text: String, cure: &str| ThresholdError { place: line.metric_place, text, cure: cure.to_owned() };
    let (name, tags) = match line.metric.split_once('{') {
        None => (line.metric.trim(), ""),
        Some((name, rest)) => {
            let tags = rest.trim_end().strip_suffix('}');
            (name.trim(), tags.ok_or_else(|| at_metric("a `{` without its `}`".into(), "close the tags"))?)
        }
    };
    let known = metrics();
    let metric = known.iter().find(|(known, _)| known == name).map(|(_, metric)| *metric).ok_or_else(|| {
        let meant =
            nearest(name, known.iter().map(|(name, _)| name.as_str())).map(|near| format!("did you mean `{near}`? "));
        let cure = format!("{}`droves schema metrics` has them all", meant.unwrap_or_default());
        at_metric(format!("there is no metric `{name}`"), &cure)
    })?;
    let (mut phase, mut blame) = (None, None);
    for tag in tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        match tag.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("phase", name)) => {
                let at = phases.iter().position(|known| known == name);
                let at = at.ok_or_else(|| {
                    at_metric(format!("there is no phase `{name}`"), &format!("one of: {}", phases.join(", ")))
                })?;
                phase = Some(PhaseIx(at as u32));
            }
            Some(("blame", name)) => {
                let known = Blame::ALL.into_iter().find(|blame| blame.name() == name);
                blame = Some(known.ok_or_else(|| {
                    let names: Vec<_> = Blame::ALL.iter().map(|blame| blame.name()).collect();
                    at_metric(format!("nobody is called `{name}`"), &format!("one of: {}", names.join(", ")))
                })?);
            }
            _ => return Err(at_metric(format!("`{tag}` is no tag"), "tags are `phase: name` and `blame: server`")),
        }
    }
    let can_blame = matches!(metric, Metric::Requests(Part::Failed) | Metric::Failed(_));
    if blame.is_some() && !can_blame {
        return Err(at_metric(format!("`{name}` has no culprit"), "leave `blame` out"));
    }
    if matches!(metric, Metric::Makespan) && phase.is_none() {
        return Err(at_metric(format!("`{name}` is of one phase"), "say which: `fanout.makespan{phase: ..}`"));
    }
    let (measure, compare, bound) = expression(&line.expression, metric).map_err(|(text, cure)| ThresholdError {
        place: line.place,
        text,
        cure: cure.to_owned(),
    })?;
    Ok(Threshold { line: line.clone(), metric, phase, blame, measure, compare, bound, broken_since: None })
}

/// Every metric under its name.
fn metrics() -> Vec<(String, Metric)> {
    fn of<T>(
        group: &str,
        parts: impl IntoIterator<Item = (T, &'static str)>,
        as_metric: impl Fn(T) -> Metric,
    ) -> Vec<(String, Metric)> {
        parts.into_iter().map(|(part, name)| (format!("{group}.{name}"), as_metric(part))).collect()
    }
    let numbered = |names: &'static [&'static str]| names.iter().copied().enumerate();
    let of_operation = |row: &OperationInfo| {
        let times = Kind::ALL.map(|kind| (Metric::Times(row.operation, kind), kind.name()));
        of(row.name, times.into_iter().chain([(Metric::Failed(row.operation), "failed")]), |metric| metric)
    };
    let parts = [(Part::Started, "started"), (Part::Succeeded, "succeeded"), (Part::Failed, "failed")];
    let arrivals = numbered(&["on_time", "late", "merged", "dropped", "waiting"]);
    let fates = PUSH_FATES.iter().map(|(_, name)| *name).enumerate();
    let mut all: Vec<_> = OPERATIONS.iter().flat_map(of_operation).collect();
    all.extend(of("fanout", HOPS, Metric::Hop));
    all.extend(of("fanout", [(Metric::Makespan, "makespan")], |metric| metric));
    all.extend(of("windows", PerSession::ALL, Metric::PerSession));
    all.extend(of("generator", [(Metric::Lag, "lag")], |metric| metric));
    all.extend(of("requests", parts, Metric::Requests));
    all.extend(of("arrivals", arrivals, Metric::Arrivals));
    all.extend(of("push", fates, Metric::Push));
    all.extend(of("ledger", VERDICTS, Metric::Ledger));
    all.extend(of("truth", numbered(&["agrees", "differs", "unavailable"]), Metric::Truth));
    all
}

type Verdict = fn(&Verdicts) -> u64;

const VERDICTS: [(Verdict, &str); 11] = [
    (|v| v.lost, "lost"),
    (|v| v.duplicated, "duplicated"),
    (|v| v.misdelivered, "misdelivered"),
    (|v| v.late, "late"),
    (|v| v.misstated, "misstated"),
    (|v| v.undecided, "undecided"),
    (|v| v.unknown, "unknown"),
    (|v| v.repeated_lawfully, "repeated_lawfully"),
    (|v| v.ours, "ours"),
    (|v| v.foreign, "foreign"),
    (Verdicts::violations, "violations"),
];

type Wrong = (String, &'static str);

fn expression(text: &str, metric: Metric) -> Result<(Measure, Compare, f64), Wrong> {
    let text = text.trim();
    let at = text.find(['<', '>', '=', '!']).ok_or_else(|| (format!("`{text}` compares nothing"), EXAMPLE))?;
    let (left, rest) = text.split_at(at);
    let (compare, right) = [
        ("<=", Compare::LessOrEqual),
        (">=", Compare::GreaterOrEqual),
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        ("<", Compare::Less),
        (">", Compare::Greater),
    ]
    .into_iter()
    .find_map(|(sign, compare)| rest.strip_prefix(sign).map(|right| (compare, right.trim())))
    .ok_or_else(|| (format!("`{rest}` is no comparison"), "one of < <= > >= == !="))?;
    let left = left.trim();
    let is_size = matches!(metric, Metric::PerSession(_));
    let is_time = is_size || matches!(metric, Metric::Times(..) | Metric::Hop(_) | Metric::Makespan | Metric::Lag);
    let measure = match left {
        "count" | "min" | "avg" if matches!(metric, Metric::Makespan) => {
            return Err((format!("`{left}` says nothing of a makespan"), "use `p(99)` or `max`"));
        }
        "count" => Measure::Count,
        "rate" if !is_time && !matches!(metric, Metric::Ledger(_) | Metric::Requests(Part::Started)) => Measure::Rate,
        "rate" => return Err(("there is no whole that this is a share of".into(), "use `count`")),
        _ if !is_time => return Err((format!("`{left}` is of times, this is a count"), "use `count` or `rate`")),
        "min" => Measure::Min,
        "max" => Measure::Max,
        "avg" => Measure::Mean,
        "med" => Measure::Quantile(0.5),
        _ => {
            let percent = left.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
            let percent = percent.and_then(|percent| percent.trim().parse::<f64>().ok());
            let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
            Measure::Quantile(percent.ok_or_else(|| (format!("`{left}` is no measure"), EXAMPLE))? / 100.0)
        }
    };
    let bound = match measure {
        Measure::Count => right.parse::<f64>().ok(),
        Measure::Rate => right.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok()).map(|n| n / 100.0),
        _ if is_size => right.parse::<f64>().ok(),
        _ => length_us(right),
    };
    let wanted = match measure {
        Measure::Count => "a number",
        Measure::Rate => "a share such as `0.1%`",
        _ if is_size => "a number",
        _ => "a length of time such as `500ms`",
    };
    let bound = bound.filter(|bound| bound.is_finite());
    Ok((measure, compare, bound.ok_or_else(|| (format!("`{right}` is not {wanted}"), EXAMPLE))?))
}

fn length_us(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let number: f64 = number.trim().parse().ok()?;
    let us = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3_600e6,
        _ => return None,
    };
    Some(number * us)
}

const EXAMPLE: &str = "as in `p(99)<500ms`, `max<60s`, `rate<1%`, `count==0`";
