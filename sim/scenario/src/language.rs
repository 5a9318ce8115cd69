//! The words of a scenario, as types. The JSON Schema is made from them, and so is the table in the documentation: what
//! stands here as a comment is what people read.
//!
//! Variants are tagged from outside only (`arrivals: { ramp: .. }`), so that every error has its exact place.

mod command;
mod target;

pub(crate) use command::{Command, Node, Numbers, Profiles};
pub(crate) use target::{AndroidServer, Http, PollSet, Resumption, Target, Tls, WindowsAuth, WindowsServer};

use crate::units::{Amount, Bandwidth, Length, Rate, Share, TimeOfDay};
use crate::yaml::{At, Named, TextOr};
use droves_facts::Platform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A scenario: which server, which fleet, what happens, what goes wrong on purpose, and what must hold.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Droves scenario")]
pub(crate) struct Scenario {
    /// Version of the language: 1.
    pub(crate) droves: At<u32>,
    /// What the run is called. Default: the file's name.
    pub(crate) name: Option<At<String>>,
    /// Values for `${NAME}` in this file. `-e NAME=value` wins over them.
    #[serde(rename = "vars", default)]
    pub(crate) _vars: BTreeMap<String, Text>,
    /// The server under test.
    pub(crate) target: Target,
    /// The devices.
    pub(crate) fleet: Fleet,
    /// What happens, one after the other.
    pub(crate) phases: At<Vec<At<Phase>>>,
    /// What goes wrong on purpose.
    #[serde(default)]
    pub(crate) faults: Vec<At<Fault>>,
    /// What must hold: by metric, expressions such as `p(99)<500ms`. No samples is a failure.
    #[serde(default)]
    pub(crate) thresholds: Named<Vec<At<Threshold>>>,
    /// What the generator allows itself.
    #[serde(default)]
    pub(crate) bounds: Bounds,
}

/// The devices.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fleet {
    /// From which every draw comes: the same seed is the same fleet. Default: 1.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    /// Devices in all, shared out by `weight` among the populations that have one.
    pub(crate) count: Option<At<u32>>,
    /// RSA keys of the devices. Default: a pool of 256.
    #[serde(default)]
    pub(crate) keys: Option<At<Keys>>,
    /// Devices that are alike, by name.
    pub(crate) populations: At<Named<At<Population>>>,
}

fn one() -> u64 {
    1
}

/// RSA keys of the devices; certificates are not shared.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keys {
    /// So many, shared by the devices.
    Pool(u32),
    /// One each: 60 to 80 ms of one core a device.
    Unique,
}

/// Devices that are alike.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Population {
    /// The operating system.
    #[schemars(with = "PlatformWord")]
    pub(crate) platform: At<Platform>,
    /// How many devices. One of `count` and `weight`.
    pub(crate) count: Option<At<u32>>,
    /// Part of `fleet.count`, against the other weights.
    pub(crate) weight: Option<At<f64>>,
    /// macOS user channels of each device. Default: 0.
    pub(crate) users: Option<At<u32>>,
    /// By whom Android devices are managed. Default: google, if the server uses it.
    pub(crate) managed_by: Option<At<ManagedBy>>,
    /// How Android devices are managed by Google. Default: fully_managed.
    pub(crate) mode: Option<At<ManagementMode>>,
    /// Of Android devices by Google: whether an enrollment token is good for all, or for one. Default: shared.
    pub(crate) token: Option<At<Token>>,
    /// Hardware models with weights, such as `"iPhone16,1": 3`.
    #[serde(default)]
    pub(crate) models: Named<At<f64>>,
    /// Versions of the operating system with weights, such as `"26.1": 3`.
    #[serde(default)]
    pub(crate) os: Named<At<f64>>,
    /// What the devices do beside obeying. They compose.
    #[serde(default)]
    pub(crate) behaviour: Vec<At<Behaviour>>,
    /// How long after a push a device connects. Default: median 800ms, sigma 0.6.
    pub(crate) wake: Option<At<Lognormal>>,
    /// How long after a wipe a device enrolls again by itself. Default: never.
    pub(crate) reenroll: Option<Length>,
    /// How the devices retry what failed. Default: as_platform.
    #[serde(default)]
    pub(crate) retry: Retry,
}

/// The operating systems.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used: the type is that of facts")]
enum PlatformWord {
    /// iPhone.
    Ios,
    /// iPad.
    Ipados,
    /// Mac.
    Macos,
    /// PC.
    Windows,
    /// Android phone, tablet or kiosk.
    Android,
}

/// By whom Android devices are managed.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ManagedBy {
    /// By Google (Android Device Policy): the server uses the Android Management API and never sees a device.
    Google,
    /// By an agent of the server's own.
    Agent,
}

/// How Android devices are managed by Google.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ManagementMode {
    /// The whole device, which the company owns.
    FullyManaged,
    /// The same, for one purpose: a kiosk.
    Dedicated,
    /// A work profile on somebody's own device.
    WorkProfile,
    /// A work profile on a device that the company owns.
    CompanyWorkProfile,
}

/// For how many devices an enrollment token is good.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Token {
    /// For all of them.
    Shared,
    /// For one.
    OneTime,
}

/// What a device does beside obeying.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behaviour {
    /// Locked for a share of the time: it answers NotNow to what a locked device may not do.
    Locked(Spells),
    /// Off, or out of every network, for a share of the time.
    Off(Spells),
    /// Restarts of itself.
    Reboot(Reboot),
    /// Commands take so many times as long.
    Slow(Slow),
    /// Windows: a share of the pushes are not acted on at once.
    Queued(Queued),
    /// Windows: a share of the devices are clones of one image, with one hardware id.
    Cloned(Part),
    /// Android, by Google: a share of the devices leave without a word. Their server finds it out by asking.
    Silent(Part),
    /// Android: dozes when it has lain still for a while. Only what is urgent wakes it then.
    Doze(Doze),
    /// Android: a kiosk. It is plugged in, so that it never dozes, and restarts each night together with all others.
    Kiosk(Kiosk),
    /// Android: its user has paused the work profile for a share of the time.
    Paused(Spells),
    /// Android: its network costs money for a share of the time, and what is large waits.
    Metered(Spells),
}

/// For a share of the time.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spells {
    /// How much of the time.
    pub(crate) share: Share,
    /// For how long at a stretch. Default: 10m locked, 8h off, 4h paused, 2h metered.
    pub(crate) spell: Option<At<Length>>,
}

/// Restarts of itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reboot {
    /// Once in each stretch of this length, at a moment of the device's own.
    pub(crate) every: At<Length>,
}

/// Dozes when it has lain still for a while.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Doze {
    /// For how long. Default: 45m.
    pub(crate) after: Option<At<Length>>,
}

/// A kiosk.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kiosk {
    /// When all of them restart. Default: "03:00".
    pub(crate) reboot_at: Option<TimeOfDay>,
}

/// A share of the pushes are not acted on at once.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queued {
    /// How many of them.
    pub(crate) share: Share,
    /// For how long. Default: 5m, as Windows was seen to do.
    #[serde(rename = "for")]
    pub(crate) length: Option<Length>,
}

/// A share of the devices.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// How many of them.
    pub(crate) share: Share,
}

/// Commands take so many times as long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    /// How many times.
    pub(crate) factor: At<f64>,
}

/// How long something takes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delay {
    /// Always the same.
    Fixed(Length),
    /// Evenly between two.
    Uniform(Uniform),
    /// Half is below the median, and the tail is long.
    Lognormal(Lognormal),
}

/// Evenly between two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uniform {
    /// At least.
    pub(crate) from: Length,
    /// At most.
    pub(crate) to: At<Length>,
}

/// Half is below the median, and the tail is long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lognormal {
    /// Half of all is below.
    pub(crate) median: Length,
    /// Width: 0.5 puts p95 at 2.3 times the median, 1.0 at 5.2 times.
    pub(crate) sigma: At<f64>,
}

/// How devices retry what failed.
#[derive(Deserialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Retry {
    /// As the platform does it.
    #[default]
    AsPlatform,
    /// Always after the same time.
    Flat,
    /// Doubling up to a cap, without jitter.
    Capped,
    /// Doubling up to a cap, evenly drawn below it.
    Jittered,
}

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

/// What must hold: an expression (`p(99)<500ms`), or one with options (`{ "p(99)<500ms": { abort_on_fail: true } }`).
pub(crate) type Threshold = TextOr<Named<ThresholdOptions>>;

/// Options of a threshold.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdOptions {
    /// Whether its failing ends the run. Default: false.
    #[serde(default)]
    pub(crate) abort_on_fail: bool,
    /// It fails only if it has not held for so long. Default: at once.
    #[serde(rename = "for")]
    pub(crate) lasting: Option<Length>,
}

/// What the generator allows itself.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounds {
    /// A run whose 99th percentile of lag is above this is invalid. Default: 50ms.
    pub(crate) lag_max: Option<At<Length>>,
    /// Connections open at a time. Default: 4000.
    pub(crate) connections_max: Option<At<u32>>,
    /// What becomes of due work for which there is no room. Default: catch_up.
    #[serde(default)]
    pub(crate) on_overload: Overload,
}

/// What becomes of due work for which there is no room.
#[derive(Deserialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Overload {
    /// It waits, and is late.
    #[default]
    CatchUp,
    /// It waits, and what is due for the same device meanwhile is one with it.
    Merge,
    /// It is dropped, and counted.
    Drop,
}

/// One value, kept as text: `5`, `true` and `x` alike.
#[derive(Clone, Debug)]
pub(crate) struct Text(pub(crate) String);

/// Any value, as YAML reads it.
#[derive(Clone, Debug)]
pub(crate) struct Plain(pub(crate) crate::plan::Value);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Text)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use crate::plan::Value;
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Plain;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(Value::Bool(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(Value::Integer(value)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Plain, E> {
                Ok(Plain(Value::Real(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(Value::Text(value.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain(Value::Text(String::new())))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Plain, A::Error> {
                let mut items = Vec::new();
                while let Some(Plain(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Plain(Value::List(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, Plain(value))) = map.next_entry::<String, Plain>()? {
                    entries.insert(key, value);
                }
                Ok(Plain(Value::Dict(entries)))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}
