//! Folds over facts: what is counted, how long things took, how pushes fanned out, what became of each command.
//!
//! A shard folds its own facts, hot; folds merge, in any order. Nothing here knows how a run is driven, and nothing is
//! shown anywhere that is not such a fold.

mod array;
mod calibration;
mod compare;
mod complaints;
mod counts;
mod export;
mod fanout;
mod folds;
mod herds;
mod histogram;
mod ledger;
mod load;
mod phases;
mod progress;
mod quota;
mod series;
mod summary;
mod thresholds;
mod wakes;

pub use calibration::{
    CALIBRATION_VERSION, Calibrated, Calibration, CalibrationError, Cost, Machine, Near, OFFERS, Offer, OfferInfo,
    Part, Work,
};
pub use compare::{Baseline, CompareError};
pub use complaints::{Complaint, Complaints, EXAMPLES_MAX, Example};
pub use counts::{Arrivals, Connections, Counts, Failure, OTHER, PUSH_FATES, Pushes, Tries, Truths};
pub use export::{ExportError, Second, latency_log, ledger_lines, series_csv};
pub use fanout::{Fanout, HOPS, Hop};
pub use folds::Folds;
pub use herds::{Echo, Herd, TIMES_MEAN, echoes, herds, mean};
pub use histogram::{Latency, TIME_US_MAX, Times};
pub use ledger::{Anomaly, ENTRY_BYTES_MAX, Kind as AnomalyKind, Ledger, Verdicts};
pub use load::{LOAD_SECONDS_MAX, Load, LoadSecond};
pub use progress::{ErrorRow, Funnel, OperationRow, Progress, Recent};
pub use series::{Kind, Own, PerSession, Series};
pub use summary::{
    Devices, Generator, GoogleSummary, Identity, Makespan, PhaseSpan, PhaseSummary, PushService, SCHEMA_VERSION,
    Summary, Surroundings, Verdict, WindowsSummary, exit_code, schema,
};
pub use thresholds::{Judgement, ThresholdError, Thresholds, metric_names};

use droves_facts::Fact;

/// Something that facts add up to.
pub trait Fold {
    /// Takes a fact in.
    fn apply(&mut self, fact: &Fact);
    /// Takes another fold of the same run in.
    fn merge(&mut self, other: Self);
}
