//! The server profile: what differs between server products on the administrator's side, as data.
//!
//! No server's name stands in Rust. Strings that say so are minijinja templates; their syntax and the names that they
//! use are checked when the profile is read, and the engine renders them. What they know: `vars` (text by name),
//! `target.url`, and in a call `ids` (enrollment ids), `id` (the first of them) and `command`, of which Apple's call knows
//! `plist`, `uuid` and `request`, Windows' `syncml` (the commands as they stand in a message), `list` (the same as data,
//! for APIs that speak JSON) and `name`, and Android's `json` (the command, the policy or the message's payload), `type` and
//! `name`; in an import `id` and `message`; where an enrollment token is
//! asked for `mode`, `one_time` and `label`.

use crate::plan::Payload;
use droves_facts::Dialect;
use std::collections::BTreeMap;
use std::fmt;

/// How one server product is enrolled with and administered.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerProfile {
    /// Its name.
    pub name: String,
    /// Whether such a server runs inside this process when the target has no URL.
    pub is_embedded: bool,
    /// What it is and how to start one, for people.
    pub about: String,
    /// Environment variables that it needs, each with what it is.
    pub needs: BTreeMap<String, String>,
    /// What its templates want of the scenario's `target.vars`.
    pub vars: BTreeMap<String, Var>,
    /// How Apple devices get their enrollment profile; none: it enrolls none.
    pub enroll_apple: Option<AppleEnroll>,
    /// Where Windows devices enroll, and as whom; none: it enrolls none.
    pub enroll_windows: Option<WindowsEnroll>,
    /// How Android devices get into Google's hands for it; none: it uses no Google.
    pub enroll_google: Option<TokenSource>,
    /// Where an agent of its own enrolls; none: it has none.
    pub enroll_agent: Option<AgentEnroll>,
    /// The administrator's API; none: only what devices do by themselves can be tested.
    pub admin: Option<Admin>,
    /// What the server reports by webhook.
    pub webhook: Option<Webhook>,
}

impl ServerProfile {
    /// Whether the names of commands that are queued so are known, so that what becomes of them is too.
    pub fn names_commands(&self, queueing: Queueing) -> bool {
        let call = self.admin.as_ref().and_then(|admin| admin.queueing(queueing));
        call.is_some_and(|call| call.command_name != CommandName::Unknown)
    }
}

/// A value that templates want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Var {
    /// What it is.
    pub about: String,
    /// Its value where the scenario gives none.
    pub default: Option<String>,
}

/// How Apple devices get their enrollment profile.
#[derive(Clone, Debug, PartialEq)]
pub struct AppleEnroll {
    /// From where.
    pub profile: ProfileSource,
    /// Whether `http:` URLs in it are followed, which real devices refuse.
    pub allow_http: bool,
}

/// Where Windows devices enroll, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowsEnroll {
    /// URL of the discovery service, or a path on the target. A template.
    pub discovery: String,
    /// Name of the user (UPN); `*` in it stands for the number of the device. A template.
    pub user: String,
    /// How the user proves who that is.
    pub proof: Proof,
    /// Whether `http:` URLs are followed, which real devices refuse.
    pub allow_http: bool,
}

/// How the user of a Windows device proves who that is. The texts are templates; `*` is as in the name.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// On-premise: a password.
    Password(Secret),
    /// On-premise or federated: a token.
    Token(Secret),
    /// Federated: what the server's login page grants.
    Login,
}

/// From where the enrollment tokens of Android devices come.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenSource {
    /// This one. A template.
    Given(Secret),
    /// The server's API is asked.
    Asked {
        /// The call that has it made.
        make: Box<Call>,
        /// The call that gets it then; none: it is in the answer of the first.
        get: Option<Box<Call>>,
        /// Member (by dots) of the JSON answer.
        member: String,
    },
}

/// Where an agent of the server's own enrolls, and as whom. Texts are templates.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentEnroll {
    /// Which server's protocol it speaks.
    pub dialect: Dialect,
    /// Base of its URLs, with the project: a URL, or a path on the target.
    pub url: String,
    /// The same, for what nothing came of by `url`; none: `url` once more.
    pub second_url: Option<String>,
    /// Where its messages come from, as `mqtt://host:port`; none: the target's host, at the dialect's own port.
    pub link: Option<String>,
    /// The device's number there; `*` in it stands for the number of the device.
    pub number: String,
    /// What both sign with.
    pub secret: Secret,
    /// The configuration that it asks for, if the server is to create the device.
    pub configuration: Option<String>,
    /// The Firebase project for which it has itself woken by FCM; empty for none.
    pub fcm: Option<String>,
    /// Whether it looks at the signatures of configurations.
    pub checked: bool,
}

/// From where an enrollment profile comes.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfileSource {
    /// Each device GETs it: a URL, or a path on the target. A template.
    Url(String),
    /// A file, the same for all.
    File(Payload),
    /// A file that is a template: rendered once for the run.
    Template(Payload),
}

/// The administrator's API.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where it is, if not on the target; a template.
    pub url: Option<String>,
    /// Who calls.
    pub auth: Auth,
    /// Calls by which commands are queued.
    pub queueing: BTreeMap<Queueing, Call>,
    /// Asks the server to push devices.
    pub push: Option<Call>,
    /// Tells the server of a device that enrolled elsewhere, by one of the messages that it sent there.
    pub import_enrollment: Option<Call>,
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

impl Call {
    /// A GET that is answered with 200.
    pub(crate) fn get(path: String, in_flight: u32) -> Self {
        Call {
            method: Method::Get,
            path,
            body: None,
            content_type: None,
            batch: 1,
            in_flight,
            accepted_status: vec![200],
            failed_ids: None,
            command_name: CommandName::Given,
        }
    }
}

/// How the command's name on the wire is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandName {
    /// We give it.
    Given,
    /// The server returns it, at this member of the JSON answer.
    Returned(String),
    /// It has none: what is queued for a device is known by its order.
    ByOrder,
    /// It is not known: the server numbers the commands of each message anew. What becomes of them can't be followed.
    Unknown,
}

/// By which call of the API something is queued.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Queueing {
    /// A command for Apple devices.
    Apple,
    /// SyncML commands for Windows devices.
    Windows,
    /// A command for Android devices that Google manages.
    Android,
    /// A policy for Android devices that Google manages.
    Policy,
    /// A configuration for Android devices with an agent.
    Configuration,
    /// A message for Android devices with an agent.
    Message,
}

impl Queueing {
    /// Every one; one stands at its own place.
    pub const ALL: [Queueing; 6] = [
        Queueing::Apple,
        Queueing::Windows,
        Queueing::Android,
        Queueing::Policy,
        Queueing::Configuration,
        Queueing::Message,
    ];

    /// What the call is called in a profile.
    pub fn name(self) -> &'static str {
        match self {
            Queueing::Apple => "queue_command",
            Queueing::Windows => "queue_syncml",
            Queueing::Android => "queue_android",
            Queueing::Policy => "set_policy",
            Queueing::Configuration => "set_configuration",
            Queueing::Message => "send_message",
        }
    }
}

impl Admin {
    /// The call by which something is queued so.
    pub fn queueing(&self, queueing: Queueing) -> Option<&Call> {
        self.queueing.get(&queueing)
    }
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

impl FailedIds {
    /// Reads `status[*].command_error`; else what is wrong with it.
    pub fn parse(path: &str) -> Result<FailedIds, &'static str> {
        let (before, after) = path.split_once("[*]").ok_or("`[*]` must stand where the ids are")?;
        let members = |part: &str| -> Result<Vec<String>, &'static str> {
            let names: Vec<_> = part.split('.').map(str::to_owned).collect();
            let odd = |name: &String| name.is_empty() || name.contains(['[', ']', '*', ' ']);
            if names.iter().any(odd) { Err("members are names with `.` between them") } else { Ok(names) }
        };
        let to_ids = if before.is_empty() { Vec::new() } else { members(before)? };
        let to_reason = match after.strip_prefix('.') {
            Some(after) => members(after)?,
            None if after.is_empty() => Vec::new(),
            None => return Err("after `[*]` comes `.` or nothing"),
        };
        Ok(FailedIds { to_ids, to_reason })
    }

    /// The ids that an answer says were refused, each with the reason, as far as it is text.
    pub fn find(&self, answer: &serde_json::Value) -> Vec<(String, String)> {
        let descend = |value, path: &[String]| path.iter().try_fold(value, |v: &serde_json::Value, name| v.get(name));
        let ids = descend(answer, &self.to_ids).and_then(serde_json::Value::as_object);
        let reason = |value| {
            descend(value, &self.to_reason).filter(|reason| !reason.is_null()).map(|reason| match reason.as_str() {
                Some(text) => text.to_owned(),
                None => reason.to_string(),
            })
        };
        ids.into_iter().flatten().filter_map(|(id, value)| reason(value).map(|why| (id.clone(), why))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(path: &str, answer: serde_json::Value, wanted: &[(&str, &str)]) {
        let found = FailedIds::parse(path).unwrap().find(&answer);
        let wanted: Vec<_> = wanted.iter().map(|(id, why)| ((*id).to_owned(), (*why).to_owned())).collect();
        assert_eq!(found, wanted, "{path}");
    }

    /// The first answer is nanomdm 0.9's to an enqueue call for one known and one unknown id, shortened.
    #[test]
    fn refused_ids_are_found() {
        let nanomdm = serde_json::json!({
            "status": { "A": { "push_result": "5" }, "B": { "command_error": "unknown id" } },
            "command_uuid": "1"
        });
        check("status[*].command_error", nanomdm, &[("B", "unknown id")]);
        check(
            "failed[*]",
            serde_json::json!({ "failed": { "X": "gone", "Y": 7, "Z": null } }),
            &[("X", "gone"), ("Y", "7")],
        );
        check("failed[*]", serde_json::json!({ "failed": [1, 2] }), &[]);
        check("[*]", serde_json::json!({ "X": "gone" }), &[("X", "gone")]);
        for bad in ["", "a.b", "a[*]b", "a..b[*]", "a[*].", "a[0][*]"] {
            assert!(FailedIds::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let auth = Auth::Bearer(Secret("s3cret".into()));
        assert!(!format!("{auth:?}").contains("s3cret"));
    }
}
