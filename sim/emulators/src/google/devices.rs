//! What devices ask Google, lane by lane, in the words of [`adp`].

use super::brain::Google;
use super::management::{Departure, EnrollError, Enrollment, Object, Order, Outcome, Unknown};
use droves_facts::{LaneIx, Wall};
use droves_wire::android::adp::{self, Answer, Ask, Enroll, Recipe};
use serde_json::{Map, Value};

/// Why a device is not answered: a status of HTTP.
pub(crate) type Refused = u16;

impl Google {
    /// Answers a lane's agent.
    ///
    /// # Errors
    /// 403 for a token that is not good, 404 for a device that is not there (any more), 429 for a project that is full.
    pub fn ask(&mut self, now: Wall, _lane: LaneIx, ask: Ask) -> Result<Answer, Refused> {
        match ask {
            Ask::Enroll(enroll) => {
                let Enroll { token, recipe } = *enroll;
                let enrollment = Enrollment {
                    token: token.into(),
                    management_mode: recipe.mode.management_mode(),
                    ownership: recipe.mode.ownership(),
                    api_level: recipe.api_level.into(),
                    hardware: hardware(&recipe),
                };
                let enrolled = self.enroll(now, enrollment).map_err(|error| match error {
                    EnrollError::Token => 403_u16,
                    EnrollError::Full => 429,
                })?;
                Ok(Answer::Enrolled { device: enrolled.name.into(), policy: enrolled.policy.into() })
            }
            Ask::Sync { device, applied } => {
                let policy = self.policy(now, &device).map_err(gone)?.filter(|(version, _)| *version != applied);
                let policy = policy.map(|(version, body)| {
                    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().into();
                    Box::new(adp::Policy { name, version, body })
                });
                let order = match self.order(now, &device).map_err(gone)? {
                    Order::Nothing => adp::Order::Nothing,
                    Order::Command { operation, command } => {
                        adp::Order::Command { operation: operation.into(), command }
                    }
                    Order::Wipe => adp::Order::Wipe,
                };
                Ok(Answer::Sync { policy, order })
            }
            Ask::Report { device, applied, recipe } => {
                let report = Map::from_iter([("hardwareInfo".to_owned(), hardware(&recipe).into())]);
                self.report(now, &device, applied, report).map_err(gone)?;
                Ok(Answer::Taken)
            }
            Ask::Done { operation, outcome } => {
                let outcome = match outcome {
                    adp::Outcome::Done(status) => Outcome::Done(status),
                    adp::Outcome::Failed(_) => Outcome::Failed("UNKNOWN"),
                };
                let in_time = self.done(now, &operation, outcome).map_err(gone)?;
                Ok(if in_time { Answer::Taken } else { Answer::TooLate })
            }
            Ask::Leave { device, told } => {
                let departure = if told { Departure::Told } else { Departure::Silent };
                self.leave(now, &device, departure).map_err(gone)?;
                Ok(Answer::Taken)
            }
            Ask::Log { device, events } => {
                self.log(now, &device, events).map_err(gone)?;
                Ok(Answer::Taken)
            }
        }
    }
}

fn gone(_: Unknown) -> Refused {
    404
}

fn hardware(recipe: &Recipe) -> Object {
    let fields = [("brand", &recipe.brand), ("model", &recipe.model), ("serialNumber", &recipe.serial)];
    fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(&**value))).collect()
}
