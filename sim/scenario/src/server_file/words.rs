//! The words of a server profile, as types: the schema and the table in the documentation are made from them.

use crate::language::Text;
use crate::yaml::{At, Named};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How one server product is enrolled with and administered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Droves server profile")]
pub(crate) struct ServerFile {
    /// Its name.
    pub(super) name: String,
    /// What it is, how to start one, and what it can't say.
    pub(super) about: String,
    /// Environment variables that it needs, each with what it is.
    #[serde(default)]
    pub(crate) needs: BTreeMap<String, String>,
    /// What its templates want of the scenario's `target.vars`.
    #[serde(default)]
    pub(super) vars: Named<VarFile>,
    /// Whether such a server runs inside this process when the target has no URL. Default: false.
    #[serde(default)]
    pub(super) embedded: bool,
    /// How devices enroll.
    pub(super) enroll: EnrollFile,
    /// The administrator's API. Default: none.
    pub(super) admin: Option<AdminFile>,
    /// What the server reports by webhook. Default: nothing.
    pub(super) webhook: Option<WebhookFile>,
}

/// A value that templates want.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VarFile {
    /// What it is.
    pub(super) about: String,
    /// Its value where the scenario gives none.
    pub(super) default: Option<Text>,
}

/// How devices enroll.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnrollFile {
    /// Apple devices. Default: not at all.
    pub(super) apple: Option<AppleFile>,
    /// Windows devices. Default: not at all.
    pub(super) windows: Option<WindowsFile>,
    /// Android devices. Default: not at all.
    #[serde(default)]
    pub(super) android: AndroidFile,
}

/// How Android devices enroll: by Google, by an agent of the server's own, or either.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct AndroidFile {
    /// By Google, which the server talks to by the Android Management API.
    pub(super) google: Option<GoogleFile>,
    /// By an agent of the server's own.
    pub(super) agent: Option<AgentFile>,
}

/// How Android devices get into Google's hands.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GoogleFile {
    /// From where their enrollment tokens come.
    pub(super) token: TokenFile,
}

/// From where enrollment tokens come.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TokenFile {
    /// This one. A template.
    Given(At<String>),
    /// The server's API is asked before the run: once for each population, or once for each device where tokens are good for
    /// one.
    Asked(Box<AskedFile>),
}

/// How the server's API hands out an enrollment token. Templates know `mode`, `one_time` and `label`, a name for it that has
/// letters, digits and `-`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedFile {
    /// The call that has it made.
    pub(super) make: At<CallFile>,
    /// Where it is then got, if the call that makes it does not answer with it: GET this path, again while it is not there
    /// (404). A template.
    pub(super) get: Option<At<String>>,
    /// Member of the JSON answer, with `.` between names, that is the token.
    pub(super) member: String,
}

/// Where an agent of the server's own enrolls, and as whom.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    /// Which server's protocol it speaks.
    pub(super) dialect: DialectWord,
    /// Base of its URLs, with the project: a URL, or a path on the target. A template.
    pub(super) url: At<String>,
    /// The same, for what nothing came of by `url`: no connection, or no answer. Default: `url` once more. A template.
    pub(super) second_url: Option<At<String>>,
    /// Where its messages come from, as `mqtt://host:port`. Default: the target's host, at the dialect's own port. A template.
    pub(super) link: Option<At<String>>,
    /// The device's number there, such as `d*`; `*` stands for the number of the device. A template.
    pub(super) number: At<String>,
    /// What both sign with. A template.
    pub(super) secret: At<String>,
    /// The configuration that it asks for, if the server is to create the device. A template.
    pub(super) configuration: Option<At<String>>,
    /// The Firebase project for which it has itself woken by FCM; it reports its registration token. Default, and if it is
    /// empty: no project. A template.
    pub(super) fcm: Option<At<String>>,
    /// Whether it looks at the signatures of configurations. Default: false, as the agent that everybody can get.
    #[serde(default)]
    pub(super) checked: bool,
}

/// Protocols of agents.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum DialectWord {
    /// Headwind MDM's.
    Headwind,
}

/// How Apple devices get their enrollment profile.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppleFile {
    /// From where.
    pub(super) profile: At<SourceFile>,
    /// Whether `http:` URLs in it are followed, which real devices refuse. Default: false.
    #[serde(default)]
    pub(super) allow_http: bool,
}

/// Where Windows devices enroll, and as whom.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowsFile {
    /// The discovery service: a URL, or a path on the target. A template.
    pub(super) discovery: At<String>,
    /// The user's name, such as `user*@example.org`; `*` stands for the number of the device. A template.
    pub(super) user: At<String>,
    /// How the user proves who that is.
    pub(super) proof: ProofFile,
    /// Whether `http:` URLs are followed, which real devices refuse. Default: false.
    #[serde(default)]
    pub(super) allow_http: bool,
}

/// How the user of a Windows device proves who that is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProofFile {
    /// By a password. A template; `*` as in the name.
    Password(At<String>),
    /// By a token. A template; `*` as in the name.
    Token(At<String>),
    /// By what the server's login page grants.
    Login,
}

/// From where an enrollment profile comes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SourceFile {
    /// Each device GETs it: a URL, or a path on the target. A template.
    Url(At<String>),
    /// A file, the same for all.
    File(At<String>),
    /// A file that is a template, rendered once for the run.
    Template(At<String>),
}

/// The administrator's API.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminFile {
    /// Where it is, if not on the target. A template.
    pub(super) url: Option<At<String>>,
    /// Who calls.
    pub(super) auth: AuthFile,
    /// Its calls.
    pub(super) calls: CallsFile,
    /// What the server can say of what it believes.
    pub(super) believes: BelievesFile,
}

/// How a call proves who calls.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AuthFile {
    /// Not at all.
    None,
    /// HTTP Basic.
    Basic(BasicFile),
    /// `Authorization: Bearer`.
    Bearer(String),
    /// A header.
    Header(HeaderFile),
}

/// HTTP Basic.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicFile {
    /// Name.
    pub(super) user: String,
    /// Password.
    pub(super) password: String,
}

/// A header.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderFile {
    /// Its name.
    pub(super) name: String,
    /// Its value.
    pub(super) value: String,
}

/// Calls of the API.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsFile {
    /// Queues a command for Apple devices.
    pub(super) queue_command: Option<At<CallFile>>,
    /// Queues SyncML commands for Windows devices.
    pub(super) queue_syncml: Option<At<CallFile>>,
    /// Queues a command for Android devices that Google manages.
    pub(super) queue_android: Option<At<CallFile>>,
    /// Gives Android devices that Google manages a policy.
    pub(super) set_policy: Option<At<CallFile>>,
    /// Gives Android devices with an agent a configuration.
    pub(super) set_configuration: Option<At<CallFile>>,
    /// Sends a message to Android devices with an agent.
    pub(super) send_message: Option<At<CallFile>>,
    /// Asks the server to push devices.
    pub(super) push: Option<At<CallFile>>,
    /// Tells the server of a device that enrolled elsewhere, by one of the messages that it sent there.
    pub(super) import_enrollment: Option<At<CallFile>>,
}

/// One call. Exactly one of `get`, `put` and `post`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallFile {
    /// GET this path. A template.
    pub(super) get: Option<At<String>>,
    /// PUT to this path. A template.
    pub(super) put: Option<At<String>>,
    /// POST to this path. A template.
    pub(super) post: Option<At<String>>,
    /// The body. A template.
    pub(super) body: Option<At<String>>,
    /// The body's type.
    pub(super) content_type: Option<String>,
    /// Devices in one call, at most. Default: 1.
    pub(super) batch: Option<At<u32>>,
    /// Calls open at a time, at most. Default: 4.
    pub(super) in_flight: Option<At<u32>>,
    /// What a good answer is. Default: status 200.
    pub(super) accepted: Option<AcceptedFile>,
    /// How the command's name on the wire is known. Default: given.
    pub(super) command_name: Option<NameFile>,
}

/// What a good answer is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptedFile {
    /// HTTP statuses with which the call was taken, at least for some devices.
    pub(super) status: Vec<At<u16>>,
    /// Where the JSON answer names the refused devices, such as `status[*].command_error`.
    pub(super) failed_ids: Option<At<String>>,
}

/// How the command's name on the wire is known.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NameFile {
    /// We give it.
    Given,
    /// The server returns it, at this member of the JSON answer.
    Returned(String),
    /// It has none: what is queued for a device is known by its order.
    ByOrder,
    /// Not at all: the server numbers the commands of each message anew, and what becomes of them can't be followed.
    Unknown,
}

/// What the server can say of what it believes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BelievesFile {
    /// Nothing; why.
    None(String),
    /// What a call for one id answers.
    Call(Box<BelievesCallFile>),
}

/// What a call for one id answers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BelievesCallFile {
    /// GET this path. A template.
    pub(super) get: At<String>,
    /// Calls open at a time, at most. Default: 4.
    pub(super) in_flight: Option<At<u32>>,
    /// Member of the JSON answer, with `.` between names, that is true for an enrolled device.
    pub(super) enrolled: Option<String>,
    /// Member of the JSON answer, with `.` between names, that counts commands that wait.
    pub(super) pending: Option<String>,
}

/// What the server reports by webhook.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookFile {
    /// The path that it POSTs to.
    pub(super) path: String,
    /// Its word for an event, and ours.
    pub(super) events: BTreeMap<String, EventWord>,
}

/// What a webhook can say.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventWord {
    /// A device began to enroll.
    Authenticated,
    /// A device is enrolled.
    Enrolled,
    /// A device left.
    Unenrolled,
    /// A command was answered.
    Acknowledged,
}
