//! The words of what goes wrong on purpose.

use super::Delay;
use crate::units::{Bandwidth, Length, Share};
use crate::yaml::{At, TextOr};
use schemars::JsonSchema;
use serde::Deserialize;

/// Something that goes wrong on purpose.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// What the emulated push service does wrong.
    pub(crate) push: Option<At<PushFault>>,
    /// What the network does wrong.
    pub(crate) network: Option<At<NetworkFault>>,
    /// What the practice server does wrong.
    pub(crate) server: Option<At<ServerFault>>,
    /// What Google, as it is played, does wrong to the server of Android devices.
    pub(crate) google: Option<At<GoogleFault>>,
    /// Of Google's faults: to which calls, by method such as `enterprises.devices.issueCommand`, or to which notifications, by
    /// type such as `STATUS_REPORT`. Default: all.
    pub(crate) about: Option<At<String>>,
    /// How often it strikes, drawn one by one. Default: 100%.
    pub(crate) share: Option<At<Share>>,
    /// In place of a share: it strikes once, the n-th of those that it could strike.
    pub(crate) nth: Option<At<u64>>,
    /// Whom: a population, or several. Default: all.
    pub(crate) who: Option<At<OneOrMore>>,
    /// During which phase. Default: the whole run.
    pub(crate) during: Option<At<String>>,
    /// How long after the phase's (or the run's) start. Default: 0s.
    pub(crate) after: Option<Length>,
    /// For how long. Default: to the end.
    #[serde(rename = "for")]
    pub(crate) length: Option<At<Length>>,
}

/// One name or several.
pub(crate) type OneOrMore = TextOr<Vec<At<String>>>;

/// What the emulated push service does wrong.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PushFault {
    /// It answers with this HTTP status, such as 410.
    Answer(At<u16>),
    /// It answers well and loses the notification.
    Lost,
}

/// What the network does wrong.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NetworkFault {
    /// A round trip takes this much longer.
    Latency(Delay),
    /// Connections are reset once they stand.
    Reset,
    /// Connects are refused.
    Refused,
    /// Bytes a second of a connection, in each direction.
    Bandwidth(Bandwidth),
}

/// What Google does wrong: `answer`, `quota_as_internal` and `slow` to calls, the others to notifications.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GoogleFault {
    /// It refuses a call with this HTTP status: 304, 429, 500 or 503.
    Answer(At<u16>),
    /// It refuses a call with 500, in the words of a quota that is used up.
    QuotaAsInternal,
    /// It answers a call late.
    Slow(Delay),
    /// A notification is not published.
    Lose,
    /// A notification is delivered, and so much later once more.
    Repeat(Delay),
    /// A notification is delivered late: others overtake it.
    Late(Delay),
    /// A device that has left is reported `DELETED` once more.
    Forgotten,
    /// A device that has enrolled anew is reported once more under its old name.
    Stale,
}

/// What the practice server does wrong.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerFault {
    /// It answers with this HTTP status, such as 500.
    Answer(At<u16>),
    /// It answers late.
    Slow(Delay),
    /// It closes the connection in place of an answer.
    HangUp,
    /// It accepts a command and forgets it.
    LoseCommand,
    /// It delivers a command again after its accepted answer.
    RepeatCommand,
    /// It delivers a command to another device.
    MisdeliverCommand,
    /// It accepts a command and never asks for the push.
    ForgetPush,
    /// It answers with a web page, as a proxy does that has lost its server.
    Html,
    /// It answers in chunks, which Windows refuses while it enrolls.
    Chunked,
    /// It answers with XML that is not well-formed.
    IllFormed,
    /// It gives statuses to a SyncML message that was never sent.
    WrongReference,
    /// It refuses enrollments of Windows with this SOAP fault, such as `InMaintenance`.
    Refuse(At<String>),
    /// It signs a configuration for an agent on Android wrongly.
    WrongSignature,
    /// It forgets a command for an Android device if Google's quota is used up.
    LoseOnQuota,
    /// It answers 502 to reports on an Android device that it has forgotten.
    CrashOnForgotten,
    /// It takes a command as done if Google knows no such Android device.
    GoneIsDone,
}
