//! Windows' half: enrollment by SOAP (MS-MDE2) and management sessions in SyncML (MS-MDM).
//!
//! All of it is told by the answers: discovery names the other places, the provisioning document the address of the
//! sessions. What a device takes of it is up to the device.

mod commands;
mod document;
mod enroll;
mod own;
mod proof;
mod session;

pub(super) use commands::offered;

use super::exchange::{Incoming, Outgoing};
use super::house::House;
use droves_facts::{Limits, Mono, Wall};
pub use droves_scenario::plan::WindowsAuth as Auth;
use droves_scenario::plan::{self, ServerFault, WindowsServer};
use droves_wire::windows::issue;
use droves_wire::windows::provisioning::{self, Poll, PollSet};
use droves_wire::windows::syncml::{self, Message};
use proof::Account;
use session::Session;
use std::collections::HashMap;

/// What the server asks of Windows devices, and what it gives them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How users prove who they are.
    pub login: Login,
    /// How devices do.
    pub auth: Auth,
    /// When devices come by themselves.
    pub poll: Poll,
    /// Whether good credentials count for the whole session (212) or have to come with each message (200).
    pub once: bool,
    /// Whether a device is given another name and secret in its first session.
    pub rekeys: bool,
    /// Commands that one message carries at most.
    pub batch: usize,
    /// `MaxMsgSize` that devices are told, and held to; they are told nothing without it.
    pub message_bytes_max: Option<u64>,
    /// The package family name by which devices get a channel at the push service; without it they are never pushed.
    pub pfn: Option<String>,
    /// How many days before its end a certificate may be renewed: a year is its whole life.
    pub renewal_days: u32,
}

/// How users prove who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Login {
    /// `OnPremise`: with this password, whoever they are.
    Password(String),
    /// `Federated`: with a token that the login page grants to everybody, once.
    Page,
}

/// Passwords and certificates are asked for; devices come as Microsoft's documents recommend: every 3 minutes five times,
/// every 15 minutes eight times, then every 8 hours.
impl Default for Settings {
    fn default() -> Self {
        Settings {
            login: Login::Password("secret".to_owned()),
            auth: Auth::Certificate,
            poll: Poll {
                first: PollSet { count: 5, every_minutes: 3 },
                second: PollSet { count: 8, every_minutes: 15 },
                remaining: PollSet { count: 0, every_minutes: 480 },
                ..Poll::default()
            },
            once: false,
            rekeys: false,
            batch: 50,
            message_bytes_max: None,
            pfn: None,
            renewal_days: 60,
        }
    }
}

impl Settings {
    /// With what a scenario says of it.
    #[must_use]
    pub fn with(self, server: &WindowsServer) -> Self {
        let set = |n: usize| match server.poll.get(n) {
            Some(&plan::PollSet { minutes, times }) => PollSet { count: times.unwrap_or(0), every_minutes: minutes },
            None => PollSet::default(),
        };
        let poll = Poll { first: set(0), second: set(1), remaining: set(2), ..self.poll };
        Settings { auth: server.auth, poll, ..self }
    }
}

/// Where devices enroll at a server with this URL, without a slash at its end.
pub fn discovery(url: &str) -> String {
    Place::Discovery.url(url)
}

/// The places of Windows' half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Discovery,
    Login,
    Policy,
    Enrollment,
    Manage,
}

impl Place {
    const ALL: [Place; 5] = [Place::Discovery, Place::Login, Place::Policy, Place::Enrollment, Place::Manage];

    pub(super) fn of(path: &str) -> Option<Place> {
        Place::ALL.into_iter().find(|place| place.path().eq_ignore_ascii_case(path))
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Place::Discovery => droves_wire::windows::discovery::PATH,
            Place::Login => "/EnrollmentServer/Login",
            Place::Policy => "/EnrollmentServer/Policy.svc",
            Place::Enrollment => "/EnrollmentServer/Enrollment.svc",
            Place::Manage => "/windows/manage",
        }
    }

    fn url(self, base: &str) -> String {
        format!("{base}{}", self.path())
    }

    /// Whether this fault is one of this place's own.
    pub(super) fn may(self, fault: &ServerFault) -> bool {
        match fault {
            ServerFault::WrongReference => self == Place::Manage,
            ServerFault::Refuse(_) => matches!(self, Place::Discovery | Place::Policy | Place::Enrollment),
            _ => false,
        }
    }
}

/// Whose request it is, as far as its body says so.
pub(super) fn enrollment_of(place: Place, body: &[u8], limits: &Limits) -> Option<String> {
    match place {
        Place::Manage => Some(Message::read(body, limits).ok()?.header.source.uri.into_owned()),
        Place::Enrollment => issue::Request::read(body, limits).ok()?.context("DeviceID").map(str::to_owned),
        Place::Discovery | Place::Login | Place::Policy => None,
    }
}

/// The half.
#[derive(Debug)]
pub(super) struct Windows {
    /// Where devices find it, without a slash at the end.
    url: String,
    settings: Settings,
    /// By device id.
    devices: HashMap<String, Device>,
    /// Who enrolled last with a hardware id.
    hardware: HashMap<String, String>,
    /// Granted by the login page, and not used yet: to whom.
    tokens: HashMap<String, String>,
}

/// What is known of a device beside its enrollment.
#[derive(Debug)]
struct Device {
    hardware: String,
    /// In whose store its certificate lies.
    place: provisioning::Place,
    account: Account,
    /// The PFN that it has been given.
    pfn: Option<String>,
    session: Option<Session>,
}

impl Windows {
    pub(super) fn new(url: String, settings: Settings) -> Self {
        Windows { url, settings, devices: HashMap::new(), hardware: HashMap::new(), tokens: HashMap::new() }
    }

    /// Administrators may name a device by its hardware, which outlives its enrollments. Anybody else's id stays as it is.
    pub(super) fn device_of<'a>(&'a self, id: &'a str) -> &'a str {
        self.hardware.get(id).map_or(id, String::as_str)
    }

    /// Whether this is a device of this half.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.devices.contains_key(id)
    }

    /// Answers a device. `fault` is what goes wrong in the answer, on order.
    pub(super) fn answer(
        &mut self,
        house: &mut House,
        now: Mono,
        wall: Wall,
        place: Place,
        request: &Incoming<'_>,
        fault: Option<ServerFault>,
    ) -> Outgoing {
        if let Some(ServerFault::Refuse(kind)) = fault {
            return enroll::refused(house, request.body, kind, "on order");
        }
        match (request.method, place) {
            ("GET", Place::Discovery) => Outgoing::text(200, ""),
            ("GET", Place::Login) => self.login(house, request),
            ("POST", Place::Discovery) => self.discover(house, request),
            ("POST", Place::Policy) => self.policies(house, request),
            ("POST", Place::Enrollment) => self.enroll(house, wall, request),
            ("POST", Place::Manage) => {
                let answer = self.manage(house, now, request, fault);
                answer.map_or_else(|refusal| refusal, |body| Outgoing::new(200, syncml::CONTENT_TYPE, body))
            }
            _ => Outgoing::text(405, "not so"),
        }
    }

    /// A device is gone, and so is whatever waited for it.
    fn leave(&mut self, house: &mut House, id: &str) {
        if let Some(enrollment) = house.enrollments.get_mut(id) {
            enrollment.leave();
        }
        if let Some(device) = self.devices.get_mut(id) {
            device.session = None;
            if self.hardware.get(&device.hardware).is_some_and(|last| last == id) {
                self.hardware.remove(&device.hardware);
            }
        }
    }
}
