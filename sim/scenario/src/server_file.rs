//! A server profile as it is written: its checks, and the way to a [`ServerProfile`].

mod words;

pub(crate) use words::ServerFile;

use crate::files::Files;
use crate::plan::{Payload, Place};
use crate::problem::{Problem, nearest};
use crate::server::{
    Admin, AgentEnroll, AppleEnroll, Auth, Believes, Call, CommandName, FailedIds, Method, ProfileSource, Proof,
    Queueing, Secret, ServerProfile, TokenSource, Var, Webhook, WebhookEvent, WindowsEnroll,
};
use crate::yaml::At;
use droves_facts::Dialect;
use std::collections::BTreeMap;
use words::{
    AcceptedFile, AdminFile, AgentFile, AuthFile, BelievesCallFile, BelievesFile, CallFile, CallsFile, DialectWord,
    EventWord, NameFile, ProofFile, SourceFile, TokenFile, WindowsFile,
};

/// Checks a profile and makes it what the engine reads.
pub(crate) fn profile(file: ServerFile, files: &Files, problems: &mut Vec<Problem>) -> ServerProfile {
    let vars = file
        .vars
        .0
        .into_iter()
        .map(|(name, var)| (name.value, Var { about: var.about, default: var.default.map(|text| text.0) }));
    let mut read = Read { vars: vars.collect(), problems };
    let enroll_apple = file
        .enroll
        .apple
        .map(|apple| AppleEnroll { profile: read.source(apple.profile.value, files), allow_http: apple.allow_http });
    let enroll_windows = file.enroll.windows.map(|windows| read.windows(windows));
    let enroll_google = file.enroll.android.google.map(|google| read.token(google.token));
    let enroll_agent = file.enroll.android.agent.map(|agent| read.agent(agent));
    let admin = file.admin.map(|admin| read.admin(admin));
    let webhook = file.webhook.map(|webhook| Webhook {
        path: webhook.path,
        events: webhook.events.into_iter().map(|(theirs, ours)| (theirs, event(ours))).collect(),
    });
    let Read { vars, .. } = read;
    ServerProfile {
        name: file.name,
        is_embedded: file.embedded,
        about: file.about,
        needs: file.needs,
        vars,
        enroll_apple,
        enroll_windows,
        enroll_google,
        enroll_agent,
        admin,
        webhook,
    }
}

fn event(word: EventWord) -> WebhookEvent {
    match word {
        EventWord::Authenticated => WebhookEvent::Authenticated,
        EventWord::Enrolled => WebhookEvent::Enrolled,
        EventWord::Unenrolled => WebhookEvent::Unenrolled,
        EventWord::Acknowledged => WebhookEvent::Acknowledged,
    }
}

/// Names that templates may use, besides `vars`.
const ANYWHERE: &[&str] = &["target.url"];
const IN_A_CALL: &[&str] = &["target.url", "ids", "id", "command.plist", "command.uuid", "command.request"];
const IN_A_SYNCML_CALL: &[&str] = &["target.url", "ids", "id", "command.syncml", "command.list", "command.name"];
const IN_AN_ANDROID_CALL: &[&str] = &["target.url", "ids", "id", "command.json", "command.type", "command.name"];
const FOR_A_TOKEN: &[&str] = &["target.url", "mode", "one_time", "label"];
const IN_AN_IMPORT: &[&str] = &["target.url", "id", "message"];

struct Read<'a> {
    vars: BTreeMap<String, Var>,
    problems: &'a mut Vec<Problem>,
}

impl Read<'_> {
    fn source(&mut self, source: SourceFile, files: &Files) -> ProfileSource {
        let empty = |path: At<String>| Payload { path: path.value.into(), bytes: [].into() };
        match source {
            SourceFile::Url(url) => {
                self.template(&url.value, url.place, ANYWHERE);
                ProfileSource::Url(url.value)
            }
            SourceFile::File(path) => {
                let file = files.read(&path, "enrollment profile", self.problems);
                ProfileSource::File(file.unwrap_or_else(|| empty(path)))
            }
            SourceFile::Template(path) => {
                let file = files.read(&path, "template", self.problems);
                if let Some(file) = &file {
                    self.template(&String::from_utf8_lossy(&file.bytes), path.place, ANYWHERE);
                }
                ProfileSource::Template(file.unwrap_or_else(|| empty(path)))
            }
        }
    }

    fn windows(&mut self, windows: WindowsFile) -> WindowsEnroll {
        let mut text = |text: At<String>| {
            self.template(&text.value, text.place, ANYWHERE);
            text.value
        };
        WindowsEnroll {
            discovery: text(windows.discovery),
            user: text(windows.user),
            proof: match windows.proof {
                ProofFile::Password(password) => Proof::Password(Secret(text(password))),
                ProofFile::Token(token) => Proof::Token(Secret(text(token))),
                ProofFile::Login => Proof::Login,
            },
            allow_http: windows.allow_http,
        }
    }

    fn token(&mut self, token: TokenFile) -> TokenSource {
        match token {
            TokenFile::Given(token) => {
                self.template(&token.value, token.place, ANYWHERE);
                TokenSource::Given(Secret(token.value))
            }
            TokenFile::Asked(asked) => {
                let get = asked.get.map(|path| {
                    self.template(&path.value, path.place, FOR_A_TOKEN);
                    Box::new(Call::get(path.value, 1))
                });
                match self.call(asked.make, FOR_A_TOKEN) {
                    Some(make) => TokenSource::Asked { make: Box::new(make), get, member: asked.member },
                    None => TokenSource::Given(Secret(String::new())),
                }
            }
        }
    }

    fn agent(&mut self, agent: AgentFile) -> AgentEnroll {
        let mut text = |text: At<String>| {
            self.template(&text.value, text.place, ANYWHERE);
            text.value
        };
        AgentEnroll {
            dialect: match agent.dialect {
                DialectWord::Headwind => Dialect::Headwind,
            },
            url: text(agent.url),
            second_url: agent.second_url.map(&mut text),
            link: agent.link.map(&mut text),
            number: text(agent.number),
            secret: Secret(text(agent.secret)),
            configuration: agent.configuration.map(&mut text),
            fcm: agent.fcm.map(&mut text),
            checked: agent.checked,
        }
    }

    fn queueing(&mut self, calls: &mut CallsFile) -> BTreeMap<Queueing, Call> {
        let written = [
            (Queueing::Apple, calls.queue_command.take(), IN_A_CALL),
            (Queueing::Windows, calls.queue_syncml.take(), IN_A_SYNCML_CALL),
            (Queueing::Android, calls.queue_android.take(), IN_AN_ANDROID_CALL),
            (Queueing::Policy, calls.set_policy.take(), IN_AN_ANDROID_CALL),
            (Queueing::Configuration, calls.set_configuration.take(), IN_AN_ANDROID_CALL),
            (Queueing::Message, calls.send_message.take(), IN_AN_ANDROID_CALL),
        ];
        let read = written.into_iter().filter_map(|(of, call, names)| Some((of, self.call(call?, names)?)));
        read.collect()
    }

    fn admin(&mut self, mut admin: AdminFile) -> Admin {
        if let Some(url) = &admin.url {
            self.template(&url.value, url.place, ANYWHERE);
        }
        Admin {
            url: admin.url.map(|url| url.value),
            auth: match admin.auth {
                AuthFile::None => Auth::None,
                AuthFile::Basic(basic) => Auth::Basic { user: basic.user, password: Secret(basic.password) },
                AuthFile::Bearer(token) => Auth::Bearer(Secret(token)),
                AuthFile::Header(header) => Auth::Header { name: header.name, value: Secret(header.value) },
            },
            queueing: self.queueing(&mut admin.calls),
            push: admin.calls.push.and_then(|call| self.call(call, IN_A_CALL)),
            import_enrollment: admin.calls.import_enrollment.and_then(|call| self.call(call, IN_AN_IMPORT)),
            believes: match admin.believes {
                BelievesFile::None(why) => Believes::Nothing(why),
                BelievesFile::Call(believes) => self.believes(*believes),
            },
        }
    }

    fn believes(&mut self, believes: BelievesCallFile) -> Believes {
        self.template(&believes.get.value, believes.get.place, IN_A_CALL);
        let call = Call::get(believes.get.value, self.bounded(believes.in_flight.as_ref(), 4, 256));
        Believes::Call { call: Box::new(call), enrolled: believes.enrolled, pending: believes.pending }
    }

    fn call(&mut self, call: At<CallFile>, names: &[&str]) -> Option<Call> {
        let place = call.place;
        let call = call.value;
        let given = [(Method::Get, call.get), (Method::Put, call.put), (Method::Post, call.post)];
        let mut given = given.into_iter().filter_map(|(method, path)| path.map(|path| (method, path)));
        let (Some((method, path)), None) = (given.next(), given.next()) else {
            let problem = Problem::new("a call has one verb", place);
            self.problems.push(problem.cured("say one of `get`, `put` and `post`"));
            return None;
        };
        self.template(&path.value, path.place, names);
        if let Some(body) = &call.body {
            self.template(&body.value, body.place, names);
        }
        let batch = self.bounded(call.batch.as_ref(), 1, 10_000);
        let in_flight = self.bounded(call.in_flight.as_ref(), 4, 256);
        let (accepted_status, failed_ids) = self.accepted(call.accepted);
        Some(Call {
            method,
            path: path.value,
            body: call.body.map(|body| body.value),
            content_type: call.content_type,
            batch,
            in_flight,
            accepted_status,
            failed_ids,
            command_name: match call.command_name {
                None | Some(NameFile::Given) => CommandName::Given,
                Some(NameFile::ByOrder) => CommandName::ByOrder,
                Some(NameFile::Returned(member)) => CommandName::Returned(member),
                Some(NameFile::Unknown) => CommandName::Unknown,
            },
        })
    }

    fn accepted(&mut self, accepted: Option<AcceptedFile>) -> (Vec<u16>, Option<FailedIds>) {
        let Some(accepted) = accepted else { return (vec![200], None) };
        for status in accepted.status.iter().filter(|status| !(100..=599).contains(&status.value)) {
            self.problems.push(Problem::new(format!("{} is no HTTP status", status.value), status.place));
        }
        let failed_ids = accepted.failed_ids.and_then(|path| match FailedIds::parse(&path.value) {
            Ok(failed) => Some(failed),
            Err(why) => {
                let problem = Problem::new(format!("`{}` leads to no ids", path.value), path.place);
                self.problems.push(problem.labelled(why).cured("write it as in `status[*].command_error`"));
                None
            }
        });
        (accepted.status.into_iter().map(|status| status.value).collect(), failed_ids)
    }

    fn bounded(&mut self, value: Option<&At<u32>>, default: u32, max: u32) -> u32 {
        let Some(value) = value else { return default };
        if !(1..=max).contains(&value.value) {
            self.problems.push(
                Problem::new(format!("{} is out of range", value.value), value.place).labelled(format!("1 to {max}")),
            );
            return default;
        }
        value.value
    }

    /// Checks a template's syntax, that each name in it is one that will have a value, and that it renders with samples.
    fn template(&mut self, text: &str, place: Place, names: &[&str]) {
        let mut environment = minijinja::Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.set_fuel(Some(TEMPLATE_FUEL));
        let broken = |error: &minijinja::Error| {
            let line = error.line().filter(|_| text.contains('\n'));
            let line = line.map_or(String::new(), |line| format!(", in line {line} of the template"));
            let label = format!("{}{line}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned));
            Problem::new("this template can't be rendered", place).labelled(label)
        };
        let template = match environment.template_from_str(text) {
            Ok(template) => template,
            Err(error) => return self.problems.push(broken(&error)),
        };
        let of_vars = self.vars.keys().map(|name| format!("vars.{name}"));
        let known: Vec<String> = names.iter().map(|name| (*name).to_owned()).chain(of_vars).collect();
        let mut unknown: Vec<String> =
            template.undeclared_variables(true).into_iter().filter(|name| !known.contains(name)).collect();
        unknown.sort();
        for name in &unknown {
            let problem = Problem::new(format!("the template uses `{name}`, which has no value here"), place);
            let label = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it may use: {}", known.join(", ")),
            };
            self.problems.push(problem.labelled(label));
        }
        let vars: BTreeMap<_, _> = self.vars.keys().map(|name| (name, "value")).collect();
        let sample = serde_json::json!({
            "vars": vars, "target": { "url": "https://127.0.0.1" }, "ids": [ "A", "B" ], "id": "A", "message": "<plist/>",
            "command": {
                "plist": "<plist/>", "uuid": "U", "request": "SecurityInfo",
                "syncml": "<Get/>", "name": "U", "list": [ { "cmd": "Get", "id": "U", "uri": "./DevDetail/SwV" } ],
                "json": "{}", "type": "LOCK",
            },
            "mode": "fully_managed", "one_time": false, "label": "phones-1",
        });
        if let (true, Err(error)) = (unknown.is_empty(), template.render(minijinja::value::Serde(&sample))) {
            self.problems.push(broken(&error));
        }
    }
}

/// Steps of one rendering: a profile with some loops takes hundreds.
const TEMPLATE_FUEL: u64 = 100_000;
