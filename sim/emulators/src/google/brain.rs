//! Google's door: a request and a time in, an answer out. Which service it is for is told by its path, as all of them are
//! at one address here.

use super::account::{Account, Accounts, Callers};
use super::discovery;
use super::faults::{Fault, Faults, Occasion};
use super::gather::Gathering;
use super::management::{
    self, Departure, EnrollError, Enrolled, Enrollment, Management, Migration, Object, Order, Outcome, Unknown,
};
use super::pubsub::{Outbound, PubSub};
use super::query::Query;
use super::quota::{Exhausted, Meter, Quota};
use super::signer::{Signer, SignerError};
use droves_facts::{Dice, Dur, Wall};
use droves_wire::android::{Code, Status, batch};
use droves_wire::keys::Key;
use serde_json::Value;
use std::borrow::Cow;

/// What Google needs to be told.
#[derive(Debug)]
pub struct Settings {
    /// Who may call.
    pub callers: Callers,
    /// Service accounts.
    pub accounts: Vec<Account>,
    /// Requests of a project to the Android Management API.
    pub quota: Quota,
    /// Devices that may be enrolled: 500 for a project that has not asked for more.
    pub devices_max: usize,
    /// What ids and faults are drawn from.
    pub dice: Dice,
    /// What tokens for push endpoints are signed with, an RSA key.
    pub key: Key,
}

/// A request, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `GET`, ..
    pub method: &'a str,
    /// With the slash that it begins with.
    pub path: &'a str,
    /// Without the question mark; empty if there is none.
    pub query: &'a str,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `x-http-method-override`: the query is in the body, since it was too long for a URL.
    pub method_override: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// What is answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Cow<'static, str>,
    /// `Location`, of a redirect.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// How much later it is to be sent.
    pub delay: Dur,
    /// There was nothing, and whoever asks may wait: how long until there is something as time goes, if nothing else happens.
    pub rest: Option<Dur>,
}

/// How long an answer takes, beside being made.
#[derive(Default)]
struct Later {
    delay: Dur,
    rest: Option<Dur>,
}

/// Google: the Android Management API, its tokens, and Pub/Sub.
#[derive(Debug)]
pub struct Google {
    url: String,
    accounts: Accounts,
    meter: Meter,
    pub(super) management: Management,
    pub(super) pubsub: PubSub,
    signer: Signer,
    pub(super) faults: Faults,
    pub(super) gathering: Gathering,
    pub(super) lost: u64,
    /// For how long the quota is used up, if that is news.
    pub(super) used_up: Option<Dur>,
}

const JSON: &str = "application/json; charset=UTF-8";
const BOUNDARY: &str = "batch_droves";
/// The project of those who do not say theirs, for the quota.
const NO_PROJECT: &str = "0";

impl Google {
    /// A new one, at this URL (without a slash at its end).
    ///
    /// # Errors
    /// The key is not an RSA one.
    pub fn new(url: &str, settings: Settings) -> Result<Self, SignerError> {
        Ok(Google {
            url: url.to_owned(),
            accounts: Accounts::new(settings.callers, format!("{url}/token"), settings.accounts),
            meter: Meter::new(settings.quota),
            management: Management::new(url.to_owned(), settings.devices_max, settings.dice),
            pubsub: PubSub::default(),
            signer: Signer::new(&settings.key)?,
            faults: Faults::new(settings.dice),
            gathering: Gathering::default(),
            lost: 0,
            used_up: None,
        })
    }

    /// Answers a request.
    pub fn answer(&mut self, now: Wall, request: &Request<'_>) -> Answer {
        match (request.method, request.path) {
            ("POST", "/token" | "/oauth2/v4/token") => {
                let (status, answer) = self.accounts.exchange(now, request.body);
                Answer::json(status, &answer)
            }
            ("GET", "/oauth2/v1/certs") => Answer::json(200, &self.signer.certificates()),
            ("GET", "/oauth2/v3/certs") => Answer::json(200, &self.signer.keys()),
            ("GET", "/$discovery/rest" | "/discovery/v1/apis/androidmanagement/v1/rest") => {
                Answer::json(200, &discovery::document(&self.url))
            }
            ("POST", "/batch" | "/batch/androidmanagement/v1") => self.batch(now, request),
            ("GET", path) if path.starts_with("/signup/") => match self.management.sign_up(after(path, "/signup/")) {
                Some(location) => Answer { location: Some(location), ..Answer::new(302, "text/plain", Vec::new()) },
                None => Answer::error(&Status::new(Code::NotFound, "No such sign-up URL.")),
            },
            ("GET", path) if path.starts_with("/upgrade/") => {
                let known = self.management.upgrade(after(path, "/upgrade/"));
                self.publish(now);
                Answer::new(if known { 200 } else { 404 }, "text/plain", Vec::new())
            }
            _ => {
                let mut later = Later::default();
                let answer = self.called(now, request, &mut later);
                let Later { delay, rest } = later;
                Answer { delay, rest, ..answer.map_or_else(|refused| refused, |answer| Answer::json(200, &answer)) }
            }
        }
    }

    /// A call of an interface, with what all of them have in common; and how much later it is to be answered.
    fn called(&mut self, now: Wall, request: &Request<'_>, later: &mut Later) -> Result<Value, Answer> {
        let (verb, text, body) = match request.method_override.filter(|_| request.method == "POST") {
            Some(verb) => {
                let form = std::str::from_utf8(request.body).map_err(|_| Status::bad_field("body", "not a form"))?;
                (verb, form, &b""[..])
            }
            None => (request.method, request.query, request.body),
        };
        let query = Query::read(text)?;
        let fields = query.fields()?;
        let bearer = request.authorization.and_then(|value| value.strip_prefix("Bearer "));
        let bearer = bearer.or_else(|| query.get("access_token")).or_else(|| query.get("oauth_token"));
        let project = self.accounts.caller(now, bearer)?.map(str::to_owned);
        let path = percent_encoding::percent_decode_str(request.path).decode_utf8_lossy();
        let mut answer = match path.strip_prefix("/v1/") {
            Some(path) if path.starts_with("projects/") => {
                let body = object(body)?;
                let waits = body.get("returnImmediately") != Some(&Value::Bool(true));
                let answer = self.pubsub.answer(now, verb, path, &query, body);
                let is_nothing = matches!(&answer, Ok(Value::Object(answer)) if answer.is_empty());
                let pulled = path.strip_suffix(":pull").filter(|_| is_nothing && waits);
                later.rest = pulled.map(|subscription| self.pubsub.pull_rest(now, subscription));
                answer
            }
            _ => {
                let path = path.trim_start_matches('/');
                let used_up = self.meter.count(now, project.as_deref().unwrap_or(NO_PROJECT))?;
                self.used_up = used_up.or(self.used_up);
                later.delay = self.wrong(now, verb, path, project.as_deref().unwrap_or(NO_PROJECT))?;
                let body = management::body(verb, path, body)?;
                self.check_topic(&body)?;
                self.management.expire(now);
                let asked = management::Asked { now, project: project.as_deref(), query: &query, body };
                self.management.answer(verb, path, asked)
            }
        };
        self.publish(now);
        if let (Ok(answer), Some(fields)) = (&mut answer, fields) {
            fields.keep(answer);
        }
        Ok(answer?)
    }

    /// What a fault makes of a call: a refusal, or a delay.
    fn wrong(&mut self, now: Wall, verb: &str, path: &str, project: &str) -> Result<Dur, Answer> {
        let Some((method, _)) = management::find(verb, path) else { return Ok(Dur::ZERO) };
        let Some((fault, mut rng)) = self.faults.strike(now, Occasion::Call(method.id)) else { return Ok(Dur::ZERO) };
        self.faults.count(fault);
        match fault {
            Fault::Refuse(refusal) => Err(match refusal.status(self.meter.quota(), project) {
                Some(status) => Answer::error(&status),
                None => Answer::new(304, JSON, Vec::new()),
            }),
            Fault::Slow(delay) => Ok(delay.draw(&mut rng)),
            _ => Ok(Dur::ZERO),
        }
    }

    /// A topic is taken for an enterprise only if Google may publish there.
    fn check_topic(&self, body: &Object) -> Result<(), Status> {
        match body.get("pubsubTopic").and_then(Value::as_str).filter(|topic| !topic.is_empty()) {
            Some(topic) if !self.pubsub.may_publish(topic) => {
                let why = format!("topic {topic} is not there, or {} may not publish to it", super::pubsub::PUBLISHER);
                Err(Status::bad_field("enterprise.pubsubTopic", why))
            }
            _ => Ok(()),
        }
    }

    fn batch(&mut self, now: Wall, request: &Request<'_>) -> Answer {
        let boundary = batch::boundary(request.content_type.unwrap_or_default());
        let parts = match boundary.and_then(|boundary| batch::read(request.body, boundary)) {
            Ok(parts) => parts,
            Err(error) => return Answer::error(&Status::bad_field("batch", error.to_string())),
        };
        let answers: Vec<_> = parts.iter().map(|part| (part.id, self.part(now, request, part))).collect();
        let replies = answers.iter().map(|(id, answer)| batch::Reply { id, status: answer.status, body: &answer.body });
        let body = batch::write(&replies.collect::<Vec<_>>(), BOUNDARY);
        // The last of them makes it whole.
        let delay = answers.iter().map(|(_, answer)| answer.delay).max().unwrap_or_default();
        Answer { delay, ..Answer::new(200, format!("multipart/mixed; boundary={BOUNDARY}"), body) }
    }

    fn part(&mut self, now: Wall, whole: &Request<'_>, part: &batch::Part<'_>) -> Answer {
        let header = |wanted: &str| {
            let mut headers = part.headers.iter();
            headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
        };
        let (path, query) = part.target.split_once('?').unwrap_or((part.target, ""));
        if path.starts_with("/batch") {
            return Answer::error(&Status::bad_field("batch", "a batch in a batch"));
        }
        let request = Request {
            method: part.method,
            path,
            query,
            authorization: header("authorization").or(whole.authorization),
            content_type: header("content-type"),
            method_override: header("x-http-method-override"),
            body: part.body,
        };
        self.answer(now, &request)
    }

    /// What the quota has cost its callers so far.
    pub fn exhausted(&self) -> Exhausted {
        self.meter.exhausted()
    }

    /// Does what time brings: commands expire, leases end. What is to be posted to push endpoints now.
    pub fn tick(&mut self, now: Wall) -> Vec<Outbound> {
        self.management.expire(now);
        self.publish(now);
        self.pubsub.pushes(now)
    }

    /// When [`Google::tick`] has something to do, as it is now.
    pub fn next(&self, now: Wall) -> Option<Wall> {
        let own = self.management.next_deadline().into_iter().chain(self.gathering.next());
        own.chain(self.pubsub.next(now)).min()
    }

    pub(crate) fn pubsub(&mut self) -> &mut PubSub {
        &mut self.pubsub
    }

    /// What became of a post.
    pub fn pushed(&mut self, now: Wall, post: &Outbound, status: Option<u16>, took: Dur) {
        self.pubsub.pushed(now, post, status, took);
    }

    /// The token that a post shows.
    pub(crate) fn token(&mut self, now: Wall, post: &Outbound) -> Option<String> {
        let (account, audience) = post.token.as_ref()?;
        self.signer.token(now, account, audience)
    }
}

/// What devices do: they talk to Google, and to nobody else.
impl Google {
    /// A device enrolls. The enterprise hears of it.
    ///
    /// # Errors
    /// Its token is not good, or the project is full.
    pub fn enroll(&mut self, now: Wall, enrollment: Enrollment) -> Result<Enrolled, EnrollError> {
        let enrolled = self.management.enroll(now, enrollment);
        self.publish(now);
        enrolled
    }

    /// A device that another agent has managed so far becomes one of an enterprise, which hears of it.
    ///
    /// # Errors
    /// Its token is not good, or the project is full.
    pub fn migrate(&mut self, now: Wall, migration: Migration) -> Result<Enrolled, EnrollError> {
        let enrolled = self.management.migrate(now, migration);
        self.publish(now);
        enrolled
    }

    /// What a device tells before its user signs in, and the name by which the EMM may ask for it.
    pub fn provision(&mut self, info: Object) -> String {
        self.management.provision(info)
    }

    /// The policy that a device is to apply, with its version; none if nobody has made it.
    ///
    /// # Errors
    /// No device has this name (any more).
    pub fn policy(&mut self, now: Wall, device: &str) -> Result<Option<(i64, Object)>, Unknown> {
        self.management.policy(now, device)
    }

    /// A device reports: fields of a Device. `applied` is the version of the policy that it has applied; 0 for none.
    /// Sections that the policy does not ask for are dropped.
    ///
    /// # Errors
    /// No device has this name (any more).
    pub fn report(&mut self, now: Wall, device: &str, applied: i64, report: Object) -> Result<(), Unknown> {
        let reported = self.management.report(now, device, applied, report);
        self.publish(now);
        reported
    }

    /// What is wanted of a device now.
    ///
    /// # Errors
    /// No device has this name (any more).
    pub fn order(&mut self, now: Wall, device: &str) -> Result<Order, Unknown> {
        let order = self.management.order(now, device);
        self.publish(now);
        order
    }

    /// What became of a command. False if it was over before: expired, or cancelled.
    ///
    /// # Errors
    /// No device (any more) has this command.
    pub fn done(&mut self, now: Wall, operation: &str, outcome: Outcome) -> Result<bool, Unknown> {
        let done = self.management.done(now, operation, outcome);
        self.publish(now);
        done
    }

    /// A device leaves.
    ///
    /// # Errors
    /// No device has this name (any more).
    pub fn leave(&mut self, now: Wall, device: &str, departure: Departure) -> Result<(), Unknown> {
        let left = self.management.leave(now, device, departure);
        self.publish(now);
        left
    }

    /// A device uploads a batch of usage logs: UsageLogEvents.
    ///
    /// # Errors
    /// No device has this name (any more).
    pub fn log(&mut self, now: Wall, device: &str, events: Vec<Value>) -> Result<(), Unknown> {
        let logged = self.management.log(now, device, events);
        self.publish(now);
        logged
    }

    /// Devices for which something is new since this was last asked, by name, each once: Google nudges them.
    pub fn take_nudged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.management.nudged).into_keys().map(|name| name.to_string()).collect()
    }
}

impl Answer {
    fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: Vec<u8>) -> Self {
        Answer { status, content_type: content_type.into(), location: None, body, delay: Dur::ZERO, rest: None }
    }

    fn json(status: u16, value: &Value) -> Self {
        Answer::new(status, JSON, serde_json::to_vec(value).unwrap_or_default())
    }

    fn error(status: &Status) -> Self {
        Answer::new(status.code.http(), JSON, status.write())
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Answer::error(&status)
    }
}

fn object(body: &[u8]) -> Result<Object, Status> {
    if body.is_empty() {
        return Ok(Object::new());
    }
    let parsed = serde_json::from_slice(body);
    parsed.map_err(|error| Status::new(Code::InvalidArgument, format!("Invalid JSON payload received. {error}")))
}

fn after<'p>(path: &'p str, prefix: &str) -> &'p str {
    path.strip_prefix(prefix).unwrap_or_default()
}
