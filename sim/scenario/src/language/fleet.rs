//! The words of a fleet: who is in it, and what it does beside obeying.

use super::Lognormal;
use crate::units::{Length, Share, TimeOfDay};
use crate::yaml::{At, Named};
use droves_facts::Platform;
use schemars::JsonSchema;
use serde::Deserialize;

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
    /// Windows, Android: a share of the devices are clones of an image. PCs have one hardware id; Android devices have one of
    /// two serial numbers, and one IMEI.
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
