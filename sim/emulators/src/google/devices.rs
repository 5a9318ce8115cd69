//! What devices ask Google, lane by lane, in the words of [`adp`].

use super::brain::Google;
use super::management::{Departure, EnrollError, Enrollment, Object, Order, Outcome, Unknown};
use droves_facts::{LaneIx, Mono, Wall, What};
use droves_wire::android::adp::{self, Answer, Ask, Enroll};
use serde_json::Value;

/// Why a command was not done, as far as there is a word for it.
const REASONS: [&str; 4] = ["API_LEVEL", "MANAGEMENT_MODE", "INVALID_VALUE", "UNSUPPORTED"];

impl Google {
    /// Answers a lane's agent.
    ///
    /// # Errors
    /// 403 for a token that is not good, 409 for one that is not for such a device, 404 for a device that is not there (any more), 429 for a project that is full.
    pub fn ask(&mut self, now: Wall, lane: LaneIx, ask: Ask) -> Result<Answer, u16> {
        let answer = match self.last_answer(&ask) {
            Some(answer) => Ok(answer),
            None => self.answer_to(now, lane, ask),
        };
        self.publish(now);
        answer
    }

    /// What a device is answered that was deleted and does not know it: it is to be wiped, and what it is about to say comes to
    /// nothing.
    fn last_answer(&mut self, ask: &Ask) -> Option<Answer> {
        let (name, answer) = match ask {
            Ask::Sync { device, .. } => (device, Answer::Sync { policy: None, order: adp::Order::Wipe, tells: false }),
            Ask::Report { device, .. } | Ask::Log { device, .. } => (device, Answer::Taken),
            Ask::Done { operation, .. } => (operation, Answer::TooLate),
            Ask::Enroll(_) | Ask::Leave { .. } => return None,
        };
        self.management.is_departing(name).then_some(answer)
    }

    fn answer_to(&mut self, now: Wall, lane: LaneIx, ask: Ask) -> Result<Answer, u16> {
        match ask {
            Ask::Enroll(enroll) => {
                let Enroll { token, recipe } = *enroll;
                let enrollment = Enrollment {
                    token: token.into(),
                    management_mode: recipe.mode.management_mode(),
                    ownership: recipe.mode.ownership(),
                    api_level: recipe.api_level.into(),
                    hardware: Object::new(),
                };
                let enrolled =
                    self.management.enroll_lane(now, lane, enrollment, recipe).map_err(|error| match error {
                        EnrollError::Token => 403_u16,
                        EnrollError::Usage => 409,
                        EnrollError::Full => 429,
                    })?;
                Ok(Answer::Enrolled { device: enrolled.name.into(), policy: enrolled.policy.into() })
            }
            Ask::Sync { device, applied } => {
                let policy = self.management.policy_since(now, &device, applied).map_err(gone)?;
                let policy = policy.map(|(version, body)| {
                    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().into();
                    Box::new(adp::Policy { name, version, body })
                });
                let order = match self.management.order(now, &device).map_err(gone)? {
                    Order::Nothing => adp::Order::Nothing,
                    Order::Command { operation, command } => {
                        adp::Order::Command { operation: operation.into(), command }
                    }
                    Order::Wipe => adp::Order::Wipe,
                };
                Ok(Answer::Sync { policy, order, tells: self.management.is_to_tell(&device) })
            }
            Ask::Report { device, applied, recipe } => {
                self.management.report_recipe(now, &device, applied, *recipe).map_err(gone)?;
                Ok(Answer::Taken)
            }
            Ask::Done { operation, outcome } => {
                let outcome = match outcome {
                    adp::Outcome::Done(status) => Outcome::Done(status),
                    adp::Outcome::Failed(why) => {
                        Outcome::Failed(REASONS.into_iter().find(|known| *known == &*why).unwrap_or("UNKNOWN"))
                    }
                };
                let in_time = self.management.done(now, &operation, outcome).map_err(gone)?;
                Ok(if in_time { Answer::Taken } else { Answer::TooLate })
            }
            Ask::Leave { device, told } => {
                let departure = if told { Departure::Told } else { Departure::Silent };
                self.management.leave(now, &device, departure).map_err(gone)?;
                Ok(Answer::Taken)
            }
            Ask::Log { device, events } => {
                self.management.log(now, &device, events).map_err(gone)?;
                Ok(Answer::Taken)
            }
        }
    }

    /// Lanes for whose device something is new since this was last asked, with the device's id: Google nudges them.
    pub fn take_nudges(&mut self) -> Vec<(LaneIx, Box<str>)> {
        let nudged = std::mem::take(&mut self.management.nudged).into_iter();
        let of_lanes = nudged.filter(|(_, lane)| *lane != LaneIx::NOBODY);
        of_lanes.map(|(name, lane)| (lane, name.rsplit('/').next().unwrap_or_default().into())).collect()
    }

    /// The id that a lane's device has, or had last.
    pub fn id_of(&self, lane: LaneIx) -> Option<&str> {
        self.management.lanes.name(lane)?.rsplit('/').next()
    }

    /// What there is to say of lanes since this was last asked, now: how far commands and policies have come, and whether the
    /// quota is used up.
    pub fn take_said(&mut self, now: Mono) -> Vec<(LaneIx, What)> {
        self.pubsub.take_notified().into_iter().for_each(|about| self.management.lanes.notified(about));
        self.pubsub.take_acknowledged().into_iter().for_each(|about| self.management.lanes.acknowledged(about));
        let used_up = self.used_up.take().map(|rest| (LaneIx::NOBODY, What::QuotaUsedUp { until: now + rest }));
        used_up.into_iter().chain(self.management.lanes.take_said()).collect()
    }
}

fn gone(_: Unknown) -> u16 {
    404
}
