//! What a machine can offer: the document that `droves calibrate` writes, kept with the machine's facts, so that one of
//! another machine, another program or another build is not taken for this one's.
//!
//! Costs are processor time of the thread that does the work, never wall time: they add up, whatever else the machine
//! does. What a machine offers in a second is `cores × per_core_s`; both ends of a run on one machine share that.

mod near;
mod offer;

pub use near::{Near, Part, Work};
pub use offer::{OFFERS, Offer, OfferInfo};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counted up whenever a field changes its meaning, or what is measured changes.
pub const CALIBRATION_VERSION: u32 = 1;

/// What this machine can offer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of this document.
    pub calibration_version: u32,
    /// When it was measured, UTC.
    pub measured: String,
    /// Whether it was measured in a tenth of the time: the spread is larger.
    pub quick: bool,
    /// Where, and by which program.
    pub machine: Machine,
    /// What each kind of work costs, by the names of [`OFFERS`].
    pub offers: BTreeMap<String, Cost>,
}

/// What a calibration is good for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor's model, as the system names it.
    pub cpu: String,
    /// Processors that the process may use; a fraction where a cgroup gives it one.
    pub cores: f64,
    /// `linux`, `macos`, ..
    pub system: String,
    /// The kernel's release.
    pub kernel: String,
    /// `x86_64`, `aarch64`, ..
    pub architecture: String,
    /// The program's version.
    pub droves: String,
    /// `release` or `debug`.
    pub build: String,
}

/// What one piece of work costs.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Processor time of the generator's thread, in microseconds: the median of the rounds.
    pub us: f64,
    /// The cheapest round.
    pub us_min: f64,
    /// The dearest round.
    pub us_max: f64,
    /// Rounds, in turns with those of the others.
    pub rounds: u32,
    /// Processor time of the other end in this process, in microseconds; not part of `us`.
    pub other_end_us: f64,
}

impl Cost {
    /// How often in a core-second.
    pub fn per_core_s(&self) -> f64 {
        1e6 / self.us
    }

    /// The width of the rounds, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.us_max - self.us_min) / self.us
    }
}

/// A calibration for this machine, or why there is none.
#[derive(Clone, PartialEq, Debug)]
pub enum Calibrated {
    /// Of this machine, program and build.
    Yes(Box<Calibration>),
    /// None that can be used, in half a sentence.
    No(String),
}

impl Calibrated {
    /// The calibration, if there is one.
    pub fn known(&self) -> Option<&Calibration> {
        match self {
            Calibrated::Yes(calibration) => Some(calibration),
            Calibrated::No(_) => None,
        }
    }

    /// Why there is none.
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Calibrated::Yes(_) => None,
            Calibrated::No(why) => Some(why),
        }
    }
}

/// Why a document is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// Not JSON, or other fields.
    #[error("not a calibration: {0}")]
    Json(#[from] serde_json::Error),
    /// A kind of work that a run is priced by has no cost.
    #[error("no cost of `{0}` in it")]
    Missing(&'static str),
    /// A figure that no machine has.
    #[error("`{0}` is {1}, which can't be")]
    Figure(String, f64),
}

impl Calibration {
    /// Reads a document for this machine. One of another version, machine, program or build is none, and it is said why.
    pub fn read(json: &[u8], here: &Machine) -> Result<Calibrated, CalibrationError> {
        #[derive(Deserialize)]
        struct Version {
            calibration_version: u32,
        }
        let Version { calibration_version: version } = serde_json::from_slice(json)?;
        if version != CALIBRATION_VERSION {
            return Ok(Calibrated::No(format!(
                "its version is {version}, this program's is {CALIBRATION_VERSION}: `droves calibrate` makes it anew"
            )));
        }
        let calibration: Calibration = serde_json::from_slice(json)?;
        calibration.check()?;
        Ok(match calibration.machine.differs(here) {
            Some(what) => Calibrated::No(format!("it is of another {what}: `droves calibrate` makes it anew")),
            None => Calibrated::Yes(Box::new(calibration)),
        })
    }

    /// What one of this costs; 0 for what was not measured, which [`Calibration::read`] does not let through.
    pub fn us(&self, offer: Offer) -> f64 {
        self.offers.get(offer.name()).map_or(0.0, |cost| cost.us)
    }

    /// Processor time that this work costs the generator, in seconds.
    pub fn cpu_s(&self, work: &Work) -> f64 {
        OFFERS.iter().map(|row| work.count(row.offer) as f64 * self.us(row.offer) / 1e6).sum()
    }

    fn check(&self) -> Result<(), CalibrationError> {
        for row in OFFERS {
            if !self.offers.contains_key(row.name) {
                return Err(CalibrationError::Missing(row.name));
            }
        }
        let figures = self.offers.iter().map(|(name, cost)| (name.as_str(), cost.us));
        for (name, figure) in figures.chain([("cores", self.machine.cores)]) {
            if !(figure.is_finite() && figure > 0.0) {
                return Err(CalibrationError::Figure(name.to_owned(), figure));
            }
        }
        Ok(())
    }
}

impl Machine {
    /// The first fact in which another machine is not this one, in words.
    fn differs(&self, here: &Machine) -> Option<String> {
        let facts = |m: &Machine| {
            [
                ("processor", m.cpu.clone()),
                ("number of cores", format!("{:.2}", m.cores)),
                ("system", m.system.clone()),
                ("kernel", m.kernel.clone()),
                ("architecture", m.architecture.clone()),
                ("version of droves", m.droves.clone()),
                ("build", m.build.clone()),
            ]
        };
        let differs = facts(self).into_iter().zip(facts(here)).find(|(there, here)| there != here);
        differs.map(|((what, there), (_, here))| format!("{what} ({there}, here {here})"))
    }
}

#[cfg(test)]
mod tests;
