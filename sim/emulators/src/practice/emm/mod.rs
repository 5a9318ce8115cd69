//! An EMM that manages Android devices by Google's Android Management API: it never sees a device, only Google.
//!
//! It is to Google what any such server is: it signs up, lets Pub/Sub push to it, hands out enrollment tokens, changes
//! policies, issues commands, waits when its quota is used up, and asks now and then who is still there, since Google does
//! not tell of everybody who leaves. All of it is pure: what is to be sent to Google are [`Call`]s, which the [`shell`] or a
//! test takes out and answers. An enrollment's id is the `enterpriseSpecificId` of its device, or else its serial number,
//! if that is not an image's; the administrator may name it by the id that Google gave, too.

mod access;
mod admin;
mod fleet;
mod line;
mod notification;
mod request;
mod rollout;
pub(super) mod shell;
mod start;
mod sweep;
#[cfg(test)]
mod tests;
mod truth;

pub use crate::sender::{Account, AccountError};
pub use line::{Call, Reply};
pub use shell::Config;

pub(super) use rollout::offered;

use super::exchange::{Incoming, Outgoing};
use super::house::House;
use access::Access;
use bytes::Bytes;
use droves_facts::{Dice, Dur, Mono, Wall};
use droves_scenario::plan::ServerFault;
use fleet::Host;
use line::{Job, Line, Want};
use notification::Heard;
use start::{EnrollmentToken, Start};
use std::collections::{BTreeMap, HashMap};
use sweep::Sweep;
use truth::Counts;

/// How the EMM goes about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it believes pushes by.
    pub proof: Proof,
    /// Calls to Google that may be open at once.
    pub calls_max: usize,
    /// How long it waits when its quota is used up; up to a quarter more is drawn. Google asks for a minute.
    pub quota_wait: Dur,
    /// How often it lists its devices.
    pub sweep_every: Dur,
    /// A command that is open for longer is asked for.
    pub pending_max: Dur,
    /// What waits are drawn from.
    pub dice: Dice,
}

/// What shows that a push is Google's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// A secret in the endpoint's URL.
    Secret,
    /// A token of OpenID Connect that Google has signed.
    Token,
}

impl Default for Settings {
    /// As servers in the field have it.
    fn default() -> Self {
        Settings {
            proof: Proof::Token,
            calls_max: 8,
            quota_wait: Dur::secs(60),
            sweep_every: Dur::secs(3_600),
            pending_max: Dur::secs(86_400),
            dice: Dice::new(0),
        }
    }
}

/// The EMM.
#[derive(Debug)]
pub(super) struct Emm {
    settings: Settings,
    /// Where Google is, without a slash at the end: the Android Management API, Pub/Sub and the keys of its tokens.
    google: String,
    account: Account,
    /// Where Google finds it, without a slash at the end.
    url: String,
    /// What is in the URLs that nobody but Google knows.
    secret: String,
    access: Access,
    line: Line,
    start: Start,
    tokens: BTreeMap<String, EnrollmentToken>,
    /// The newest version of each policy, by its whole name.
    policies: HashMap<String, i64>,
    hosts: BTreeMap<String, Host>,
    /// Hosts by the id that Google gave to the device.
    keys: HashMap<String, String>,
    heard: Heard,
    sweep: Sweep,
    counts: Counts,
}

/// The places that Google or a browser comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Callback,
    Push,
}

impl Place {
    pub(super) fn of(path: &str) -> Option<Place> {
        [Place::Callback, Place::Push].into_iter().find(|place| place.path() == path)
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Place::Callback => "/android/callback",
            Place::Push => "/android/pubsub",
        }
    }
}

impl Emm {
    /// One that knows nobody yet, at this URL; `secret` is what nobody else is to guess.
    pub(super) fn new(google: String, account: Account, settings: Settings, url: String, secret: String) -> Self {
        let mut emm = Emm {
            line: Line::new(settings.quota_wait, settings.dice),
            sweep: Sweep::new(settings.sweep_every),
            settings,
            google,
            account,
            url,
            secret,
            access: Access::default(),
            start: Start::default(),
            tokens: BTreeMap::new(),
            policies: HashMap::new(),
            hosts: BTreeMap::new(),
            keys: HashMap::new(),
            heard: Heard::default(),
            counts: Counts::default(),
        };
        emm.begin();
        emm
    }

    /// Answers Google, or a browser that it has sent.
    pub(super) fn answer(
        &mut self,
        house: &mut House,
        now: Mono,
        wall: Wall,
        place: Place,
        request: &Incoming<'_>,
    ) -> Outgoing {
        match (request.method, place) {
            ("GET", Place::Callback) => self.called_back(request),
            ("POST", Place::Push) => self.pushed(house, now, wall, request),
            _ => Outgoing::text(405, "not so"),
        }
    }

    /// What may be sent to Google now. Each is to be answered by [`Emm::called`].
    pub(super) fn calls(&mut self, now: Mono, wall: Wall) -> Vec<Call> {
        self.sweep_if_due(now);
        let mut calls = Vec::new();
        while self.line.flying() < self.settings.calls_max {
            let next = if self.access.is_wanted(now) && self.line.wants_access(now) {
                self.access = Access::Asked;
                Some(self.line.put_first(Want::Access))
            } else {
                self.line.next(now, matches!(self.access, Access::Good { .. }))
            };
            let Some((number, want)) = next else { break };
            match self.request(number, &want, wall) {
                Some(call) => calls.push(call),
                // What it was about is gone.
                None => drop(self.line.landed(number)),
            }
        }
        calls
    }

    /// When [`Emm::calls`] has something that it has not now, if nobody answers or asks before.
    pub(super) fn next(&self, now: Mono) -> Option<Mono> {
        [self.line.next_time(now), self.sweep.next_time()].into_iter().flatten().min()
    }

    /// What Google answered; none if no answer came.
    pub(super) fn called(&mut self, house: &mut House, now: Mono, wall: Wall, number: u64, reply: Option<Reply>) {
        let Some(job) = self.line.landed(number) else { return };
        self.counts.call(job.want.name(), reply.as_ref().map_or(0, |reply| reply.status));
        let access = reply.as_ref().filter(|_| matches!(job.want, Want::Access));
        match (access.and_then(|reply| Access::read(now, reply)), reply) {
            (Some(access), _) => self.access = access,
            (_, Some(Reply { status: 401, .. })) if job.tries < TRIES_MAX && job.want.is_with_token() => {
                self.access = Access::None;
                self.line.again(number, job);
            }
            (_, Some(Reply { status: 429, .. })) => self.over_quota(house, now, number, job),
            (_, Some(reply)) if reply.status < 500 && !matches!(job.want, Want::Access) => {
                self.heard_of(house, now, wall, number, job.want, &reply);
            }
            // Whether the command was taken is unknown, and a second one would be another.
            (_, None) if matches!(job.want, Want::Command { .. }) => self.lose(house, job.want, "unanswered"),
            _ => self.line.again_later(now, number, job),
        }
    }

    /// Nothing is lost by a quota that is used up, unless that is on order: everything waits until it is whole again.
    fn over_quota(&mut self, house: &mut House, now: Mono, number: u64, job: Job) {
        self.line.pause(now);
        if let Want::Command { host, command } = &job.want {
            let (host, uuid) = (host.as_str(), command.uuid.as_str());
            if house.strike(now, Some(host), Some(uuid), |fault| matches!(fault, ServerFault::LoseOnQuota)).is_some() {
                return self.lose(house, job.want, "lost");
            }
        }
        self.line.again(number, job);
    }

    fn heard_of(&mut self, house: &mut House, now: Mono, wall: Wall, number: u64, want: Want, reply: &Reply) {
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match want {
            Want::Policy { .. } | Want::Attach { .. } => self.policy_answered(number, want, reply.status, &body),
            Want::Command { host, command } => {
                let name = body.get("name").and_then(serde_json::Value::as_str).filter(|_| reply.status == 200);
                self.issued(house, now, wall, &host, &command, name.ok_or(reply.status));
            }
            Want::List { .. } => self.listed(house, now, wall, reply.status, &body),
            Want::Operation { host, name } => self.asked_for(house, now, &host, &name, reply.status, &body),
            Want::Token(label) => self.token_made(&label, reply.status, &body),
            want => self.went_on(now, want, reply, &body),
        }
    }
}

/// Times that a call is made with a token anew.
const TRIES_MAX: u32 = 3;
/// What a body of nothing is.
const EMPTY: Bytes = Bytes::new();
