//! The words of the target: which server, where, and what devices find there.

use super::Text;
use crate::units::Length;
use crate::yaml::{At, Named};
use schemars::JsonSchema;
use serde::Deserialize;

/// The server under test.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// Its profile: a name (`scenarios/servers/<name>.yaml`) or a path.
    pub(crate) server: At<String>,
    /// Where it is, as `https://host:port`. `practice` without one runs inside this process.
    pub(crate) url: Option<At<String>>,
    /// Hosts that may be loaded although they are neither loopback nor private. The owner of the server agrees.
    #[serde(default)]
    pub(crate) authorised: Vec<At<String>>,
    /// What the profile's templates know as `vars`.
    #[serde(default)]
    pub(crate) vars: Named<Text>,
    /// Which HTTP the devices speak. Default: auto.
    #[serde(default)]
    pub(crate) http: Http,
    /// Whether TLS sessions are resumed. Default: off.
    #[serde(default)]
    pub(crate) resumption: Resumption,
    /// Whom the devices trust. Default: the roots of this machine.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// What the practice server in this process asks of Windows devices. A forecast takes it for what any server asks.
    #[serde(default)]
    pub(crate) windows: WindowsServer,
    /// What Google, as it is played, allows the server and asks of Android devices.
    #[serde(default)]
    pub(crate) android: AndroidServer,
}

/// What Google, as it is played, allows the server and asks of Android devices.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct AndroidServer {
    /// Calls of the Android Management API. Default: 600 every 1m, as projects of late are given.
    pub(crate) quota: Option<At<Quota>>,
    /// How long from one status report of a device to the next, if nothing happens. Default: 24h.
    pub(crate) reports: Option<At<Length>>,
    /// For how long Google waits for more reports of a device before it tells the server, so that several are one message.
    /// Default: not at all.
    pub(crate) gather: Option<At<Length>>,
    /// Events of a device's usage log that go to the server after each status report. Default: 0, and no message.
    pub(crate) usage_logs: Option<At<u32>>,
}

/// So many calls in a window; what comes beyond is refused until the next one begins.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quota {
    /// How many.
    pub(crate) calls: u32,
    /// How long a window is. Default: 1m.
    pub(crate) every: Option<Length>,
}

/// What a server asks of Windows devices.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowsServer {
    /// How devices prove who they are. Default: certificate.
    #[serde(default)]
    pub(crate) auth: WindowsAuth,
    /// When devices connect by themselves: up to three sets, one after the other. Default: every 3m five times, every 15m
    /// eight times, then every 8h, as Microsoft's documents recommend.
    pub(crate) poll: Option<At<Vec<At<PollSet>>>>,
}

/// How Windows devices prove who they are.
#[derive(Deserialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WindowsAuth {
    /// By the certificate that they enrolled with, in TLS.
    #[default]
    Certificate,
    /// By name and secret, with MD5 and a nonce.
    Md5,
    /// By name and secret in clear.
    Basic,
    /// By a signature over each message.
    Signed,
}

/// Connections of a Windows device by itself, evenly spaced.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollSet {
    /// Between two of them: whole minutes.
    pub(crate) every: Length,
    /// How many. Default: for ever, which only the last set can be.
    pub(crate) times: Option<u32>,
}

/// Whom the devices trust.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// A PEM file of roots, relative to the scenario.
    pub(crate) ca: Option<At<String>>,
}

/// Which HTTP the devices speak.
#[derive(Deserialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Http {
    /// What TLS agrees on.
    #[default]
    Auto,
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
}

/// Whether TLS sessions are resumed.
#[derive(Deserialize, JsonSchema, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resumption {
    /// Every handshake is a full one.
    #[default]
    Off,
    /// With tickets of the lane's own identity.
    PerIdentity,
}
