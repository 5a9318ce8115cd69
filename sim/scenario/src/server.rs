//! The server profile: what differs between server products on the administrator's side, as data.
//!
//! No server's name stands in Rust. Strings that say so are minijinja templates; they are checked for syntax when the
//! profile is read, and rendered by the engine. What they know: `vars` (text by name), and in a call `ids` (list of
//! enrollment ids), `id` (the first of them), `command.plist`, `command.uuid`, `command.request`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// How one server product is enrolled with and administered.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerProfile {
    /// Its name.
    pub name: String,
    /// The folder of its file: relative files are looked for there.
    pub folder: PathBuf,
    /// What it is and how to start one, for people.
    pub about: String,
    /// Environment variables that it needs, each with what it is.
    pub needs: BTreeMap<String, String>,
    /// How Apple devices get their enrollment profile.
    pub enroll_apple: AppleEnroll,
    /// The administrator's API; none: only what devices do by themselves can be tested.
    pub admin: Option<Admin>,
    /// What the server reports by webhook.
    pub webhook: Option<Webhook>,
}

/// How Apple devices get their enrollment profile.
#[derive(Clone, Debug, PartialEq)]
pub struct AppleEnroll {
    /// From where.
    pub profile: ProfileSource,
    /// Whether `http:` URLs in it are followed, which real devices refuse.
    pub allow_http: bool,
}

/// From where an enrollment profile comes.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfileSource {
    /// Each device GETs it: a URL, or a path on the target. A template.
    Url(String),
    /// A file, the same for all.
    File(PathBuf),
    /// A file that is a template: rendered once for the run.
    Template(PathBuf),
}

/// The administrator's API.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where it is, if not on the target; a template.
    pub url: Option<String>,
    /// Who calls.
    pub auth: Auth,
    /// Queues a command for devices.
    pub queue_command: Option<Call>,
    /// Asks the server to push devices.
    pub push: Option<Call>,
    /// Asks what the server believes of devices.
    pub believes: Believes,
}

/// How a call proves who calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// Not at all.
    None,
    /// HTTP Basic.
    Basic {
        /// Name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// `Authorization: Bearer`.
    Bearer(Secret),
    /// A header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The verb of a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// GET.
    Get,
    /// PUT.
    Put,
    /// POST.
    Post,
}

/// One call of the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The verb.
    pub method: Method,
    /// Path and query; a template.
    pub path: String,
    /// The body; a template.
    pub body: Option<String>,
    /// The body's type.
    pub content_type: Option<String>,
    /// Devices in one call, at most.
    pub batch: u32,
    /// Calls open at a time, at most.
    pub in_flight: u32,
    /// HTTP statuses that mean that the call was taken, at least for some devices.
    pub accepted_status: Vec<u16>,
    /// Where in the JSON answer the refused devices are.
    pub failed_ids: Option<FailedIds>,
    /// How the command's name on the wire is known.
    pub command_name: CommandName,
}

/// How the command's name on the wire is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandName {
    /// We give it.
    Given,
    /// The server returns it, at this member of the JSON answer.
    Returned(String),
}

/// Where a JSON answer names the devices that a call failed for: members by name, then `[*]` (every member of an
/// object, whose key is the enrollment id), then members by name again, which must be there for a failure.
/// `status[*].command_error` finds `{"status": {"<id>": {"command_error": "why"}}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedIds {
    /// Members down to the object of ids.
    pub to_ids: Vec<String>,
    /// Members from an id's value to the reason; empty: the value is the reason.
    pub to_reason: Vec<String>,
}

/// What the server can say of what it believes.
#[derive(Clone, Debug, PartialEq)]
pub enum Believes {
    /// Nothing; why.
    Nothing(String),
    /// By a call for one id each.
    Call {
        /// The call.
        call: Box<Call>,
        /// Member (by dots) of the JSON answer that is true for an enrolled device.
        enrolled: Option<String>,
        /// Member (by dots) of the JSON answer that counts commands that wait.
        pending: Option<String>,
    },
}

/// What the server reports by webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The path that it POSTs to.
    pub path: String,
    /// Its word for an event, and ours.
    pub events: BTreeMap<String, WebhookEvent>,
}

/// What a webhook can say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WebhookEvent {
    /// A device began to enroll.
    Authenticated,
    /// A device is enrolled.
    Enrolled,
    /// A device left.
    Unenrolled,
    /// A command was answered.
    Acknowledged,
}
