//! The part for Android devices with an agent of their own, as Headwind MDM and its agent speak: JSON over HTTP, pushes over
//! MQTT and by polls that are held, files.
//!
//! Devices are known by their number, which is all that they show. A push is on two ways at once, as with the real server: the
//! broker has it, and so does the next poll, unless a poll is held that takes it. A device that has reported a registration
//! token is woken by FCM too, as a server does whose devices have an app for that beside the agent.

mod admin;
mod configuration;
mod files;
mod link;
mod polls;
mod push;
mod settings;
mod sync;
#[cfg(test)]
mod tests;

pub use files::Span;
pub use link::Stir;
pub use polls::{Held, Ticket};

use super::exchange::{Incoming, Outgoing, Wake};
use super::house::House;
use crate::mqtt::{self, Broker};
use configuration::Configuration;
use droves_facts::{Dur, Mono};
use droves_scenario::plan::ServerFault;
use droves_wire::android::headwind::paths::{self, Path};
use droves_wire::android::headwind::{DeviceInfo, Envelope, JSON, sign};
use polls::Polls;
use push::Sent;
use settings::AppSettings;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// How the server is to agents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The path below which it is, without slashes; empty for none.
    pub project: String,
    /// What all devices share with it.
    pub secret: String,
    /// Whether it looks at signatures (`secure.enrollment`).
    pub is_secure: bool,
    /// Whether a number that was never heard of is a new device.
    pub on_demand: bool,
    /// Whether a number that has reported may not enroll again (`prevent.duplicate.enrollment`).
    pub prevents_duplicates: bool,
    /// How long a poll is held (`polling.timeout`).
    pub poll_wait: Dur,
    /// Between two messages to the broker, for the whole fleet (`mqtt.message.delay`).
    pub message_delay: Dur,
    /// How long a message waits for a poll.
    pub message_life: Dur,
    /// Whether everybody may subscribe to everything.
    pub open_topics: bool,
    /// Whether the broker tells a client that its session was kept.
    pub says_session: bool,
    /// Whether a poll that ends takes a later one's place in the registry with it, and one that was cut off keeps its own: what is
    /// pushed then comes late, or never.
    pub careless_polls: bool,
    /// Bytes of a file whose URL does not say it.
    pub file_bytes: u64,
}

/// As the real server is when it is installed, but for polls, which are taken care of.
impl Default for Settings {
    fn default() -> Self {
        Settings {
            project: "hmdm".to_owned(),
            secret: sign::SECRET.to_owned(),
            is_secure: false,
            on_demand: true,
            prevents_duplicates: false,
            poll_wait: Dur::secs(60),
            message_delay: Dur::ZERO,
            message_life: Dur::secs(3_600),
            open_topics: true,
            says_session: false,
            careless_polls: false,
            file_bytes: 5 << 20,
        }
    }
}

/// The places of this part, as they are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Configuration,
    Info,
    Notifications,
    Polling,
    Plugin,
    File,
}

impl Place {
    pub(super) fn path(self) -> &'static str {
        match self {
            Place::Configuration => "/rest/public/sync/configuration",
            Place::Info => "/rest/public/sync/info",
            Place::Notifications => "/rest/notifications/device",
            Place::Polling => "/rest/notification/polling",
            Place::Plugin => "/rest/plugins",
            Place::File => "/files",
        }
    }

    /// Whether this fault is one of this place's own.
    pub(super) fn may(self, fault: &ServerFault) -> bool {
        self == Place::Configuration && matches!(fault, ServerFault::WrongSignature | ServerFault::MisdeliverCommand)
    }

    fn of(path: Path<'_>) -> Place {
        match path {
            Path::Configuration(_) => Place::Configuration,
            Path::Info => Place::Info,
            Path::Notifications(_) => Place::Notifications,
            Path::Polling(_) => Place::Polling,
            _ => Place::Plugin,
        }
    }
}

/// The part.
#[derive(Debug)]
pub(super) struct Agents {
    settings: Settings,
    /// Where files are, without a slash at the end.
    url: String,
    pub(super) broker: Broker,
    devices: BTreeMap<String, Device>,
    /// Numbers by what a device is found by as well: IMEI, serial number, the number that it had.
    aliases: HashMap<String, String>,
    configurations: BTreeMap<String, Arc<Configuration>>,
    polls: Polls,
    /// Messages on their way to the broker, and when the next one goes.
    delayed: VecDeque<Sent>,
    next_message: Mono,
    /// Kinds of the messages that the broker may tell of, by name, in their order.
    kinds: VecDeque<(u64, String)>,
    messages: u64,
    stirred: BTreeSet<Stir>,
    /// Pushes for FCM.
    pub(super) wakes: Vec<Wake>,
}

/// What is known of a device beside its enrollment.
#[derive(Debug)]
struct Device {
    /// The configuration that it is in.
    configuration: String,
    /// What it is given when it asks.
    due: Arc<Configuration>,
    /// Digest of what it was given last.
    served: Option<[u8; 32]>,
    /// Digest of what it had been given when it reported last.
    acknowledged: Option<[u8; 32]>,
    info: Option<Known>,
    app_settings: AppSettings,
    /// Messages that wait for a poll.
    rows: VecDeque<polls::Row>,
}

/// What is kept of a report.
#[derive(Debug)]
struct Known {
    at: Mono,
    model: String,
    battery_level: i64,
    applications: usize,
    files: usize,
    kiosk_mode: bool,
    /// What an app beside the agent has left for the server: by which token FCM wakes the device.
    push_token: Option<String>,
}

impl Known {
    fn of(at: Mono, info: &DeviceInfo) -> Self {
        Known {
            at,
            model: info.model.as_deref().unwrap_or_default().chars().take(64).collect(),
            battery_level: info.battery_level,
            applications: info.applications.len(),
            files: info.files.len(),
            kiosk_mode: info.kiosk_mode,
            push_token: info.custom1.clone().filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len())),
        }
    }
}

impl Agents {
    /// At a server with this URL, without a slash at its end.
    pub(super) fn new(url: &str, settings: Settings) -> Self {
        let url = if settings.project.is_empty() { url.to_owned() } else { format!("{url}/{}", settings.project) };
        let broker = Broker::new(mqtt::Settings {
            user: sign::MQTT_USER.to_owned(),
            password: sign::mqtt_password(&settings.secret),
            open_topics: settings.open_topics,
            says_session: settings.says_session,
        });
        let default = Arc::new(Configuration::new(&url, &settings.secret, serde_json::Map::new()));
        Agents {
            polls: Polls::new(settings.careless_polls),
            settings,
            url,
            broker,
            devices: BTreeMap::new(),
            aliases: HashMap::new(),
            configurations: BTreeMap::from([(DEFAULT.to_owned(), default)]),
            delayed: VecDeque::new(),
            next_message: Mono::ZERO,
            kinds: VecDeque::new(),
            messages: 0,
            stirred: BTreeSet::new(),
            wakes: Vec::new(),
        }
    }

    /// Whether this is a device of this part.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.devices.contains_key(id)
    }

    /// What waits for a device: messages for its next poll, and a configuration that it has not reported with.
    pub(super) fn pending(&self, id: &str) -> usize {
        self.devices
            .get(id)
            .map_or(0, |device| device.rows.len() + usize::from(device.acknowledged != Some(device.due.digest)))
    }

    /// The place of this path; none if it is not one of this part.
    pub(super) fn place_of(&self, path: &str) -> Option<Place> {
        let decoded = paths::decoded(path);
        let below = self.below(&decoded)?;
        Path::read(below).map(Place::of).or_else(|| below.starts_with(files::PREFIX).then_some(Place::File))
    }

    /// Whose request it is, as far as it says so.
    pub(super) fn enrollment_of(&self, request: &Incoming<'_>) -> Option<String> {
        let decoded = paths::decoded(request.path);
        let number = match Path::read(self.below(&decoded)?)? {
            Path::Info => return DeviceInfo::read(request.body).ok()?.device_id,
            Path::Configuration(number)
            | Path::ApplicationSettings(number)
            | Path::Notifications(number)
            | Path::Polling(number)
            | Path::LogRules(number)
            | Path::Log(number)
            | Path::DetailSettings(number)
            | Path::Details(number)
            | Path::Locations(number)
            | Path::Reset(number)
            | Path::Reboot(number)
            | Path::Password(number) => number,
        };
        Some(number.to_owned())
    }

    /// Answers a device. `fault` is what goes wrong in the answer, on order.
    pub(super) fn answer(
        &mut self,
        house: &mut House,
        now: Mono,
        request: &Incoming<'_>,
        fault: Option<ServerFault>,
    ) -> Outgoing {
        let decoded = paths::decoded(request.path);
        let Some(below) = self.below(&decoded) else { return page(404, "Not Found") };
        let Some(path) = Path::read(below) else {
            return files::answer(below, request, self.settings.file_bytes);
        };
        match (request.method, path) {
            ("POST", Path::Configuration(number)) => self.enroll(house, request, number, fault),
            ("GET", Path::Configuration(number)) => self.configuration(house, request, number, fault),
            ("POST", Path::Info) => self.report(house, now, request),
            ("GET", Path::Notifications(number)) => self.notifications(house, now, number),
            ("GET", Path::Polling(number)) => self.poll(house, now, request, &decoded, number),
            ("POST", Path::ApplicationSettings(number)) => self.settings(house, request, number),
            ("GET", Path::LogRules(_)) => self.log_rules(),
            ("POST", Path::Log(_)) => self.log(house, request),
            ("GET", Path::DetailSettings(_)) => self.detail_settings(),
            ("PUT", Path::Details(_) | Path::Locations(_))
            | ("POST", Path::Reset(_) | Path::Reboot(_) | Path::Password(_)) => {
                house.truth.agents("brought");
                done()
            }
            _ => page(405, "Method Not Allowed"),
        }
    }

    /// A path below the project.
    fn below<'a>(&self, decoded: &'a str) -> Option<&'a str> {
        match self.settings.project.as_str() {
            "" => Some(decoded),
            project => decoded.strip_prefix('/')?.strip_prefix(project).filter(|below| below.starts_with('/')),
        }
    }

    /// The number of the device that goes by this name.
    fn number_of(&self, name: &str) -> Option<String> {
        let number = self.devices.get_key_value(name).map(|(number, _)| number);
        number.or_else(|| self.aliases.get(name).filter(|number| self.devices.contains_key(*number))).cloned()
    }
}

/// A registration token is never longer.
const TOKEN_BYTES_MAX: usize = 4 << 10;
/// The configuration that devices are in unless they are put into another.
const DEFAULT: &str = "default";

/// What was asked for, and is nothing but done.
fn done() -> Outgoing {
    Outgoing::new(200, JSON, Envelope::<()>::ok(None).write())
}

/// A refusal, which is no error of HTTP.
fn refused(message: &str) -> Outgoing {
    Outgoing::new(200, JSON, Envelope::<()>::error(message).write())
}

/// What the container says that the server is in.
fn page(status: u16, reason: &str) -> Outgoing {
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><title>HTTP Status {status} \u{2013} {reason}</title>{STYLE}</head><body>\
         <h1>HTTP Status {status} \u{2013} {reason}</h1><hr class=\"line\" /><p><b>Type</b> Status Report</p>\
         <p><b>Description</b> What a container says where the application does not, as at the end of a poll.</p>\
         <hr class=\"line\" /></body></html>"
    );
    Outgoing::new(status, "text/html;charset=utf-8", body)
}

const STYLE: &str = "<style type=\"text/css\">body {font-family:Tahoma,Arial,sans-serif;} h1, h2, h3, b \
     {color:white;background-color:#525D76;} h1 {font-size:22px;} h2 {font-size:16px;} h3 {font-size:14px;} \
     p {font-size:12px;} a {color:black;} .line {height:1px;background-color:#525D76;border:none;}</style>";
