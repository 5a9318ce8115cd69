//! What Android Device Policy, Google's agent on a device, and Google say to each other.
//!
//! Google documents none of it, and no server under test ever sees it: the words are ours, and as small as they can be.
//! They pass in process, as JSON: an [`Ask`] in a request's body, an [`Answer`] in its answer's. What an EMM hears of a
//! device is made by Google from a [`Recipe`], where somebody asks for it: whole reports are kept by nobody.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an agent asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// To be enrolled.
    Enroll(Box<Enroll>),
    /// What is new.
    Sync {
        /// `enterprises/{id}/devices/{id}`.
        device: Box<str>,
        /// Version of the policy that it has applied, or tried to; 0 for none.
        applied: i64,
    },
    /// A status report.
    Report {
        /// As above.
        device: Box<str>,
        /// Version of the policy that the report speaks of; 0 for none.
        applied: i64,
        /// What there is to tell.
        recipe: Box<Recipe>,
    },
    /// A command has come to its end.
    Done {
        /// Name of the operation.
        operation: Box<str>,
        /// How.
        outcome: Outcome,
    },
    /// The device leaves.
    Leave {
        /// As above.
        device: Box<str>,
        /// With a last report; without one, nobody is told.
        told: bool,
    },
    /// Usage logs: UsageLogEvents.
    Log {
        /// As above.
        device: Box<str>,
        /// The events.
        events: Vec<Value>,
    },
}

/// A device that wants to be enrolled.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Enroll {
    /// Value of an enrollment token, from a QR code or a link.
    pub token: Box<str>,
    /// Who it is.
    pub recipe: Recipe,
}

/// What Google answers. A device that is not there (any more) is answered with status 404, a token that is not good
/// with 403, one that is not for devices managed in this way with 409, a project that is full with 429, and no answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Enrolled.
    Enrolled {
        /// `enterprises/{id}/devices/{id}`.
        device: Box<str>,
        /// The policy that it is to apply, by its whole name.
        policy: Box<str>,
    },
    /// What is new.
    Sync {
        /// The policy, if the device has not applied this version of it.
        policy: Option<Box<Policy>>,
        /// What is wanted beside it.
        order: Order,
        /// Whether it is to tell how it is: it is to be in another state than it was when it told that last.
        tells: bool,
    },
    /// Taken.
    Taken,
    /// Too late: the command has expired, or was cancelled.
    TooLate,
}

/// A policy at one version.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// `enterprises/{id}/policies/{id}`.
    pub name: Box<str>,
    /// From 1.
    pub version: i64,
    /// The Policy of the Android Management API.
    pub body: Map<String, Value>,
}

/// What Google wants of a device.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Nothing.
    Nothing,
    /// The oldest command that is not done. The next one is told after its end.
    Command {
        /// Name of the operation.
        operation: Box<str>,
        /// The Command of the Android Management API.
        command: Map<String, Value>,
    },
    /// It was deleted: wipe, then leave.
    Wipe,
}

/// What became of a command.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, with the status fields of its type (`clearAppsDataStatus`, ..).
    Done(Map<String, Value>),
    /// Not done: `API_LEVEL`, `MANAGEMENT_MODE`, `INVALID_VALUE`, `UNSUPPORTED` or `UNKNOWN`.
    Failed(Box<str>),
}

/// How a device is managed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The whole device, by a company that owns it.
    #[default]
    FullyManaged,
    /// The same, for one purpose, without a user: a kiosk.
    Dedicated,
    /// A work profile on a device that the company owns.
    CompanyWorkProfile,
    /// A work profile on somebody's own device.
    PersonalWorkProfile,
}

impl Mode {
    /// `managementMode` of a Device.
    pub fn management_mode(self) -> &'static str {
        match self {
            Mode::FullyManaged | Mode::Dedicated => "DEVICE_OWNER",
            Mode::CompanyWorkProfile | Mode::PersonalWorkProfile => "PROFILE_OWNER",
        }
    }

    /// As scenarios spell it.
    pub fn word(self) -> &'static str {
        match self {
            Mode::FullyManaged => "fully_managed",
            Mode::Dedicated => "dedicated",
            Mode::CompanyWorkProfile => "company_work_profile",
            Mode::PersonalWorkProfile => "work_profile",
        }
    }

    /// `ownership` of a Device.
    pub fn ownership(self) -> &'static str {
        match self {
            Mode::PersonalWorkProfile => "PERSONALLY_OWNED",
            Mode::FullyManaged | Mode::Dedicated | Mode::CompanyWorkProfile => "COMPANY_OWNED",
        }
    }
}

/// From what a device's status report is made: what differs from device to device and from report to report. The rest
/// follows from it, always the same way.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Recipe {
    /// From which all that nobody decides is drawn (IMEI, addresses, fill levels): the same for all reports of a device.
    pub seed: u64,
    /// How the device is managed.
    pub mode: Mode,
    /// `Google`.
    pub brand: Box<str>,
    /// `Pixel 9`.
    pub model: Box<str>,
    /// `15`.
    pub android_version: Box<str>,
    /// API level: 35.
    pub api_level: u16,
    /// Serial number. On somebody's own device it is the enterprise-specific id.
    pub serial: Box<str>,
    /// Applications that came with the device.
    pub system_apps: u16,
    /// Applications that the policy asked for and that were installed, in the order of their coming.
    pub apps: Vec<App>,
    /// What the policy asks for and is not so.
    pub details: Vec<Detail>,
    /// `LOST`, as reported in `appliedState`; empty: what the state of the device is.
    pub applied_state: Box<str>,
    /// How often it has started.
    pub boots: u32,
}

/// An application of the policy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct App {
    /// `com.android.chrome`.
    pub package: Box<str>,
    /// Version code.
    pub version: u32,
    /// It was removed again, which is told once.
    pub removed: bool,
}

/// Something that the policy asks for and that is not so: a NonComplianceDetail.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Detail {
    /// `settingName`: `applications`, `passwordPolicies`, ..
    pub setting: Box<str>,
    /// `nonComplianceReason`: `PENDING`, `USER_ACTION`, ..
    pub reason: Box<str>,
    /// `packageName`; empty: none.
    pub package: Box<str>,
    /// `installationFailureReason`; empty: none.
    pub failure: Box<str>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use serde_json::json;

    #[test]
    fn words_are_small_and_come_back() {
        let check = |ask: Ask, written: Value| {
            assert_eq!(serde_json::to_value(&ask).unwrap(), written);
            assert_eq!(serde_json::from_value::<Ask>(written).unwrap(), ask);
        };
        let device: Box<str> = "enterprises/LC1/devices/2".into();
        check(Ask::Sync { device: device.clone(), applied: 3 }, json!({"sync": {"device": device, "applied": 3}}));
        let outcome = Outcome::Failed("API_LEVEL".into());
        check(
            Ask::Done { operation: "o".into(), outcome },
            json!({"done": {"operation": "o", "outcome": {"failed": "API_LEVEL"}}}),
        );
        let answer = Answer::Sync { policy: None, order: Order::Wipe, tells: false };
        assert_eq!(
            serde_json::to_value(&answer).unwrap(),
            json!({"sync": {"policy": null, "order": "wipe", "tells": false}})
        );
        assert_eq!(serde_json::to_value(Answer::Taken).unwrap(), json!("taken"));
    }
}
