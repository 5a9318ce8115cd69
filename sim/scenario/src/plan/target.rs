//! The target: which server, where, and what devices find there.

use super::Payload;
use crate::server::ServerProfile;
use droves_facts::Dur;
use std::collections::BTreeMap;

/// The server under test.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// How its administrator's side works.
    pub profile: ServerProfile,
    /// Where it is, as `scheme://host[:port]`; none means the practice server, in this process.
    pub url: Option<String>,
    /// Hosts that the scenario may talk to although they are neither loopback nor private.
    pub authorised: Vec<String>,
    /// What templates of the profile know as `vars`: the profile's own, then the scenario's over them.
    pub vars: BTreeMap<String, String>,
    /// What it asks of Windows devices, if it is the practice server in this process or a forecast's.
    pub windows: WindowsServer,
    /// What Google, as it is played, allows and asks for.
    pub android: AndroidServer,
}

/// What Google, as it is played, allows a server and asks of its devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AndroidServer {
    /// Calls of the Android Management API in one window, and how long that is.
    pub quota: (u32, Dur),
    /// How long from one status report of a device to the next, if nothing happens.
    pub report_every: Dur,
    /// How long reports of a device wait to become one message; 0 for not at all.
    pub gather: Dur,
    /// Events of the usage log that follow each report.
    pub usage_logs: u16,
}

/// What a server asks of Windows devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowsServer {
    /// How devices prove who they are.
    pub auth: WindowsAuth,
    /// When devices connect by themselves: one to three sets, one after the other. Only the last can be for ever.
    pub poll: Vec<PollSet>,
}

/// How Windows devices prove who they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WindowsAuth {
    /// By the certificate that they enrolled with, in TLS.
    Certificate,
    /// By name and secret, with MD5 and a nonce.
    Md5,
    /// By name and secret in clear.
    Basic,
    /// By a signature over each message.
    Signed,
}

/// Connections of a Windows device by itself, evenly spaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PollSet {
    /// Between two of them, 1..=525,600.
    pub minutes: u32,
    /// How many, above 0; none is for ever.
    pub times: Option<u32>,
}

/// Which HTTP the devices speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Http {
    /// What TLS agrees on; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
}

/// Whether TLS sessions are resumed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Resumption {
    /// Every handshake is a full one.
    #[default]
    Off,
    /// With tickets of the lane's own identity, never another's.
    PerIdentity,
}

/// Whom the devices trust.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tls {
    /// A PEM file of roots, in place of the machine's.
    pub ca: Option<Payload>,
}
