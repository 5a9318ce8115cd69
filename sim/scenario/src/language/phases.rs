//! The words of phases: what happens, to whom, when, and until when.

use super::Command;
use crate::units::{Amount, Length, Rate, Share};
use crate::yaml::{At, Named, TextOr};
use schemars::JsonSchema;
use serde::Deserialize;

/// Something that happens. It has exactly one action, and an end.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phase {
    /// What it is called; thresholds and faults name it so. Default: its action's name.
    pub(crate) name: Option<At<String>>,
    /// How long after the phase before it (or, side by side, after the others' start) it begins. Default: 0s.
    pub(crate) after: Option<Length>,
    /// It lasts so long.
    #[serde(rename = "for")]
    pub(crate) length: Option<At<Length>>,
    /// It ends when this holds.
    pub(crate) until: Option<At<Until>>,
    /// Phases side by side; the next begins when all have ended.
    pub(crate) together: Option<At<Vec<At<Phase>>>>,
    /// Action: devices enroll.
    pub(crate) enroll: Option<At<Drive>>,
    /// Action: devices connect by themselves and ask for commands.
    pub(crate) check_in: Option<At<Drive>>,
    /// Action: the administrator queues a command.
    pub(crate) command: Option<At<Command>>,
    /// Action: the administrator asks the server to push.
    pub(crate) push: Option<At<Drive>>,
    /// Action: devices leave.
    pub(crate) unenroll: Option<At<Drive>>,
    /// Action: devices renew their identity.
    pub(crate) renew: Option<At<Drive>>,
    /// Action: nothing new begins, for so long.
    pub(crate) wait: Option<At<Length>>,
}

/// Whom an action is about, and when it comes to each.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drive {
    /// Which devices.
    pub(crate) who: At<Who>,
    /// When. Default: at_once.
    pub(crate) arrivals: Option<At<Arrivals>>,
    /// Which channels of a Mac, for `check_in` and `push`. Default: device.
    pub(crate) channel: Option<At<Channel>>,
}

/// Which channels of a Mac.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    /// The device channel.
    Device,
    /// The user channels.
    User,
    /// All of them.
    Both,
}

/// Which devices: `all`, a population's name, or amounts by population (`{ phones: 20%, laptops: 3 devices }`).
pub(crate) type Who = TextOr<Named<At<Amount>>>;

/// When it comes to each device.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// To all at the phase's start.
    AtOnce,
    /// Evenly spaced.
    Rate(At<Rate>),
    /// At a rate that changes in a straight line, and then stays.
    Ramp(Ramp),
    /// Independently, as from a crowd, at this rate on average.
    Poisson(At<Rate>),
    /// As a crowd around one moment.
    Spike(Spike),
    /// To each device by itself, again and again.
    Each(Each),
}

/// A rate that changes in a straight line, and then stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ramp {
    /// At the start.
    pub(crate) from: At<Rate>,
    /// At the end, and thereafter.
    pub(crate) to: At<Rate>,
    /// How long the line is.
    pub(crate) over: At<Length>,
}

/// A crowd around one moment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spike {
    /// The moment, after the phase's start.
    pub(crate) peak: At<Length>,
    /// How wide the crowd is, the peak in its middle.
    pub(crate) within: At<Length>,
    /// How many are in the crowd; the others come evenly over the whole phase. Default: 100%.
    pub(crate) share: Option<At<Share>>,
}

/// To each device by itself, again and again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Each {
    /// The period.
    pub(crate) every: At<Length>,
    /// By how much a time may move to either side. Default: 0s.
    pub(crate) jitter: Option<At<Length>>,
}

/// What ends a phase. One condition, and how long it may take.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Until {
    /// This share of the devices is enrolled.
    pub(crate) enrolled: Option<At<Share>>,
    /// This share of the commands has an accepted answer.
    pub(crate) accepted: Option<At<Share>>,
    /// This share of the arrivals has its outcome, good or bad.
    pub(crate) done: Option<At<Share>>,
    /// If it does not hold by then, the phase has failed, and the run goes on.
    pub(crate) within: Option<At<Length>>,
}
