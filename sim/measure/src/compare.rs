//! A run against an earlier one: what has become worse.

use crate::histogram::Latency;
use crate::summary::{SCHEMA_VERSION, Summary};
use droves_facts::Dur;
use serde_json::Value;

/// An operation that happened less often says nothing about its 99th percentile.
const COUNT_MIN: u64 = 100;
/// Less is the machine's.
const DIFFERENCE_MIN: Dur = Dur::ms(1);

/// Why runs can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Not a summary.
    #[error("baseline: not a summary.json: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version's.
    #[error("baseline: its schema_version is {0}, this program's is {SCHEMA_VERSION}: make the baseline anew")]
    Version(Value),
    /// Another scenario's.
    #[error("baseline: it is of the scenario `{there}`, this is `{here}`: compare runs of one scenario")]
    Scenario {
        /// The baseline's.
        there: String,
        /// This run's.
        here: String,
    },
}

/// An earlier run.
#[derive(Clone, Debug)]
pub struct Baseline(Value);

impl Baseline {
    /// Reads the text of its `summary.json`, which must be of this scenario.
    pub fn read(json: &[u8], scenario: &str) -> Result<Self, CompareError> {
        let baseline: Value = serde_json::from_slice(json)?;
        if baseline["schema_version"] != SCHEMA_VERSION {
            return Err(CompareError::Version(baseline["schema_version"].clone()));
        }
        let there = baseline["scenario"].as_str().unwrap_or_default();
        if there != scenario {
            return Err(CompareError::Scenario { there: there.to_owned(), here: scenario.to_owned() });
        }
        Ok(Baseline(baseline))
    }

    /// What is worse in this run, in sentences: p50 and p99 of the response times of operations that happened at least
    /// a hundred times in both, and the share of failed requests. `tolerance` is a share: 0.2 lets a time be a fifth
    /// longer.
    pub fn worse(&self, run: &Summary, tolerance: f64) -> Vec<String> {
        let Baseline(baseline) = self;
        let mut worse = Vec::new();
        for (name, operation) in &run.operations {
            let before = &baseline["operations"][name];
            if operation.count < COUNT_MIN || before["count"].as_u64().unwrap_or(0) < COUNT_MIN {
                continue;
            }
            let Latency { p50, p99, .. } = operation.response_us;
            for (quantile, now) in [("p50", p50), ("p99", p99)] {
                let (Some(now), Some(before)) = (now, before["response_us"][quantile].as_u64()) else { continue };
                let bound = before as f64 * (1.0 + tolerance);
                if now as f64 > bound && now.saturating_sub(before) > DIFFERENCE_MIN.0 {
                    worse.push(format!("{name} {quantile} {}, was {}", Dur(now), Dur(before)));
                }
            }
        }
        let share = |failed: u64, started: u64| failed as f64 / started.max(1) as f64;
        let requests = &baseline["requests"];
        let count = |name: &str| requests[name].as_u64().unwrap_or(0);
        let (now, before) =
            (share(run.requests.failed, run.requests.started), share(count("failed"), count("started")));
        // A share that was nothing has no multiple: a thousandth more is worse.
        if now > before * (1.0 + tolerance) + 0.001 {
            worse.push(format!("failed requests {:.2}%, were {:.2}%", now * 100.0, before * 100.0));
        }
        worse
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::summary::Surroundings;
    use crate::{Fold, Folds};
    use droves_facts::{Fact, LaneIx, Mono, Operation, Outcome, PhaseIx, RequestTiming, What};

    /// A run of `count` requests that took `took` each, of which `failed` failed.
    fn run(count: u32, took: Dur, failed: u32) -> Summary {
        let mut folds = Folds::default();
        for n in 0..count {
            let due = Mono(u64::from(n) * 1_000);
            let timing = RequestTiming { due, started: due, sent: due, first_byte: None, ended: due + took };
            let operation = Operation::AppleIdle;
            let outcome = match n < failed {
                true => Outcome::Failed { blame: droves_facts::Blame::Server, kind: "status_500" },
                false => Outcome::Succeeded,
            };
            let ended = What::RequestEnded { operation, timing, outcome, bytes_out: 1, bytes_in: 1 };
            for what in [What::RequestStarted { operation }, ended] {
                folds.apply(&Fact { at: due, phase: PhaseIx(0), lane: LaneIx(0), what });
            }
        }
        Summary::of(&folds, &Surroundings { scenario: "s".to_owned(), ..Surroundings::default() })
    }

    fn said(before: &Summary, now: &Summary) -> Vec<String> {
        Baseline::read(&serde_json::to_vec(before).unwrap(), "s").unwrap().worse(now, 0.2)
    }

    #[test]
    fn what_is_slower_or_fails_more_is_named() {
        let base = run(200, Dur::ms(10), 0);
        assert!(said(&base, &base).is_empty());
        assert!(said(&base, &run(200, Dur::ms(11), 0)).is_empty(), "within a fifth");
        let slower = said(&base, &run(200, Dur::ms(20), 0));
        assert_eq!(slower.len(), 2);
        assert!(slower[0].starts_with("apple.idle p50 20"), "{slower:?}");
        assert!(said(&run(200, Dur::us(100), 0), &run(200, Dur::us(900), 0)).is_empty(), "less than the machine's");
        assert!(said(&run(50, Dur::ms(10), 0), &run(200, Dur::ms(90), 0)).is_empty(), "too few to say");
        assert_eq!(said(&base, &run(200, Dur::ms(10), 20)), ["failed requests 10.00%, were 0.00%"]);
    }

    #[test]
    fn what_can_not_be_compared_is_an_error() {
        let base = serde_json::to_vec(&run(200, Dur::ms(10), 0)).unwrap();
        assert!(Baseline::read(&base, "s").is_ok());
        assert!(matches!(Baseline::read(b"{", "s"), Err(CompareError::Json(_))));
        assert!(matches!(Baseline::read(b"{}", "s"), Err(CompareError::Version(_))));
        assert!(matches!(Baseline::read(&base, "other"), Err(CompareError::Scenario { .. })));
    }
}
