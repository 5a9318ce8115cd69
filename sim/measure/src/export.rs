//! Files for other programs: HdrHistogram's interval log, a table by seconds, and the ledger's anomalies line by line.

use crate::calibration::Work;
use crate::fanout::HOPS;
use crate::folds::Folds;
use crate::ledger::{self, Anomaly};
use crate::series::Kind;
use droves_facts::{CommandKey, Dur, LaneIx, OPERATIONS, PhaseIx};
use hdrhistogram::serialization::V2Serializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

/// Why a file can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A histogram does not serialise.
    #[error("latency log: {0}")]
    Histogram(String),
    /// An anomaly does not serialise.
    #[error("ledger: {0}")]
    Json(#[from] serde_json::Error),
}

/// One second of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Second {
    /// Which, from the start.
    pub second: u64,
    /// Requests ended in it.
    pub requests: u64,
    /// Requests failed in it.
    pub failed: u64,
    /// Sessions begun in it.
    pub sessions: u64,
    /// Sessions open at its end.
    pub live: u64,
    /// Devices enrolled at its end.
    pub enrolled: u64,
    /// Commands accepted in it.
    pub accepted: u64,
    /// p99 of the generator's lag in it, in microseconds.
    pub lag_p99_us: Option<u64>,
    /// What was done in it, as a calibration prices it.
    pub work: Work,
}

/// Writes a HdrHistogram interval log (version 1.3): a line for each series and phase, tagged `series;phase`. `spans`
/// are the phases' names with their starts and lengths.
pub fn latency_log(
    to: &mut impl Write,
    folds: &Folds,
    start: Duration,
    spans: &[(PhaseIx, String, Dur, Dur)],
) -> Result<(), ExportError> {
    let mut serializer = V2Serializer::new();
    let broken = |error: &dyn std::fmt::Debug| ExportError::Histogram(format!("{error:?}"));
    let mut log = IntervalLogWriterBuilder::new()
        .with_start_time(UNIX_EPOCH + start)
        .begin_log_with(to, &mut serializer)
        .map_err(ExportError::Io)?;
    for (phase, name, begins, length) in spans {
        let series = OPERATIONS.iter().flat_map(|row| {
            Kind::ALL.map(|kind| {
                (format!("{}.{}", row.name, kind.name()), folds.series.times(Some(*phase), row.operation, kind))
            })
        });
        let hops = HOPS.iter().map(|(hop, name)| (format!("fanout.{name}"), folds.fanout.times(Some(*phase), *hop)));
        for (series, times) in series.chain(hops) {
            let Some(histogram) = times.histogram() else { continue };
            // A tag ends at the first comma.
            let tag = format!("{series};{}", name.replace([',', ' ', '\n'], "_"));
            let tag = Tag::new(&tag).ok_or_else(|| broken(&"tag"))?;
            log.write_histogram(&*histogram, begins.std(), length.std(), Some(tag)).map_err(|error| broken(&error))?;
        }
    }
    Ok(())
}

/// Writes a table with a row a second.
pub fn series_csv(to: &mut impl Write, seconds: impl IntoIterator<Item = Second>) -> io::Result<()> {
    writeln!(to, "second,requests,failed,sessions_started,sessions_open,enrolled,accepted,lag_p99_us")?;
    for s in seconds {
        let lag = s.lag_p99_us.map(|us| us.to_string()).unwrap_or_default();
        writeln!(
            to,
            "{},{},{},{},{},{},{},{lag}",
            s.second, s.requests, s.failed, s.sessions, s.live, s.enrolled, s.accepted
        )?;
    }
    Ok(())
}

/// A line of the ledger.
#[derive(Serialize)]
struct Line {
    kind: ledger::Kind,
    lane: LaneIx,
    /// The id under which the server knows the enrollment.
    enrollment: String,
    /// The command's name on the wire; null where the run did not queue it, or the anomaly is about none.
    command: Option<Box<str>>,
    queued_us: Option<u64>,
    at_us: u64,
}

/// Writes the anomalies as lines of JSON, under the names that the server knows.
///
/// # Errors
/// The disk.
pub fn ledger_lines(
    to: &mut impl Write,
    anomalies: &[Anomaly],
    enrollment: impl Fn(LaneIx) -> String,
    command: impl Fn(CommandKey) -> Option<Box<str>>,
) -> Result<(), ExportError> {
    for &Anomaly { kind, lane, command: key, queued_us, at_us } in anomalies {
        let (enrollment, command) = (enrollment(lane), key.and_then(&command));
        serde_json::to_writer(&mut *to, &Line { kind, lane, enrollment, command, queued_us, at_us })?;
        to.write_all(b"\n")?;
    }
    Ok(())
}
