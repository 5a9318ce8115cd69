//! What is to be said to Google, in its order: calls that wait, that are out, that come later. When the quota is used up
//! nothing goes until it is whole again, and nothing is lost by it. Of one device there is one call out at a time.

use super::super::device::Queued;
use bytes::Bytes;
use droves_facts::{Dice, Dur, Mono, Purpose};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A request to Google, or to wherever Google sends a browser.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// By which its answer is told.
    pub number: u64,
    /// `GET`, ..
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// `Location`.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// What is wanted of Google.
#[derive(Clone, Debug)]
pub(super) enum Want {
    Access,
    Keys,
    SignupUrl,
    /// A browser goes to this URL.
    Browse(String),
    /// With the token of a sign-up.
    Enterprise(String),
    Topic,
    Grants,
    /// The topic's policy of IAM as it is to be.
    Grant(Value),
    Subscription,
    /// The subscription was there: it is to push here.
    Endpoint,
    Notifications,
    /// An enrollment token, by its label.
    Token(String),
    /// A policy, by its id; `host` if it is that device's own.
    Policy {
        id: String,
        body: Arc<Map<String, Value>>,
        host: Option<String>,
    },
    /// A device gets this policy.
    Attach {
        host: String,
        id: String,
    },
    Command {
        host: String,
        command: Arc<Queued>,
    },
    /// A page of the devices.
    List {
        page: Option<String>,
    },
    Operation {
        host: String,
        name: String,
    },
}

/// A call that was not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) want: Want,
    pub(super) tries: u32,
}

#[derive(Debug)]
pub(super) struct Line {
    quota_wait: Dur,
    dice: Dice,
    /// By number: what meets the quota comes back to its place.
    waiting: BTreeMap<u64, Job>,
    flying: BTreeMap<u64, Job>,
    later: BTreeMap<(Mono, u64), Job>,
    numbers: u64,
    paused_until: Mono,
    /// How often everything waited, and how long in all.
    pub(super) waits: u64,
    pub(super) waited: Dur,
    /// The most that waited at a time.
    pub(super) waiting_max: usize,
}

const RETRY_FIRST: Dur = Dur::secs(1);
const RETRY_MAX: Dur = Dur::secs(60);

impl Line {
    pub(super) fn new(quota_wait: Dur, dice: Dice) -> Self {
        Line {
            quota_wait,
            dice,
            waiting: BTreeMap::new(),
            flying: BTreeMap::new(),
            later: BTreeMap::new(),
            numbers: 0,
            paused_until: Mono::ZERO,
            waits: 0,
            waited: Dur::ZERO,
            waiting_max: 0,
        }
    }

    /// At the end.
    pub(super) fn put(&mut self, want: Want) {
        self.numbers += 1;
        self.insert(self.numbers, Job { want, tries: 0 });
    }

    /// In the place of the call that led to it.
    pub(super) fn put_in_place(&mut self, number: u64, want: Want) {
        self.insert(number, Job { want, tries: 0 });
    }

    fn insert(&mut self, number: u64, job: Job) {
        self.waiting.insert(number, job);
        self.waiting_max = self.waiting_max.max(self.waiting.len());
    }

    /// Again, from its place, as soon as anything goes.
    pub(super) fn again(&mut self, number: u64, mut job: Job) {
        job.tries += 1;
        self.insert(number, job);
    }

    /// Again after a while, which is longer each time.
    pub(super) fn again_later(&mut self, now: Mono, number: u64, mut job: Job) {
        let wait = RETRY_FIRST.times(1 << job.tries.min(10)).min(RETRY_MAX);
        job.tries += 1;
        self.later.insert((now + wait, number), job);
    }

    /// The quota is used up.
    pub(super) fn pause(&mut self, now: Mono) {
        if now < self.paused_until {
            return;
        }
        let more = self.dice.draw(0, Purpose::Retry, self.waits).unit() / 4.0;
        let wait = self.quota_wait + self.quota_wait.scaled(more);
        self.paused_until = now + wait;
        self.waits += 1;
        self.waited += wait;
    }

    fn is_paused(&self, now: Mono) -> bool {
        now < self.paused_until
    }

    /// Whether something waits that goes only with a token.
    pub(super) fn wants_access(&mut self, now: Mono) -> bool {
        self.ripen(now);
        !self.is_paused(now) && self.waiting.values().any(|job| job.want.is_with_token())
    }

    /// Out before everything that waits.
    pub(super) fn put_first(&mut self, want: Want) -> (u64, Want) {
        self.numbers += 1;
        self.flying.insert(self.numbers, Job { want: want.clone(), tries: 0 });
        (self.numbers, want)
    }

    /// The first that may go, which is out then.
    pub(super) fn next(&mut self, now: Mono, is_let_in: bool) -> Option<(u64, Want)> {
        self.ripen(now);
        if self.is_paused(now) {
            return None;
        }
        let is_busy = |host: &str| self.flying.values().any(|job| job.want.host() == Some(host));
        let may =
            |job: &Job| (is_let_in || !job.want.is_with_token()) && job.want.host().is_none_or(|host| !is_busy(host));
        let number = self.waiting.iter().find(|(_, job)| may(job)).map(|(number, _)| *number)?;
        let job = self.waiting.remove(&number)?;
        let want = job.want.clone();
        self.flying.insert(number, job);
        Some((number, want))
    }

    fn ripen(&mut self, now: Mono) {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, number), job) = first.remove_entry();
            self.insert(number, job);
        }
    }

    /// A call is answered, or will not be.
    pub(super) fn landed(&mut self, number: u64) -> Option<Job> {
        self.flying.remove(&number)
    }

    /// When something may go that may not now, as far as that is a matter of time.
    pub(super) fn next_time(&self, now: Mono) -> Option<Mono> {
        let waits = (!self.waiting.is_empty()).then_some(self.paused_until);
        let later = self.later.first_key_value().map(|((at, _), _)| (*at).max(self.paused_until));
        waits.into_iter().chain(later).filter(|at| *at > now).min()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + self.later.len()
    }

    pub(super) fn flying(&self) -> usize {
        self.flying.len()
    }

    /// Whether a command for this device is out, whose operation nobody knows yet.
    pub(super) fn is_issuing(&self, host: &str) -> bool {
        self.flying.values().any(|job| matches!(&job.want, Want::Command { host: of, .. } if of == host))
    }
}

impl Want {
    /// As it is counted.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Want::Access => "token",
            Want::Keys => "certs",
            Want::SignupUrl => "signupUrls.create",
            Want::Browse(_) => "browser",
            Want::Enterprise(_) => "enterprises.create",
            Want::Topic => "topics.create",
            Want::Grants => "topics.getIamPolicy",
            Want::Grant(_) => "topics.setIamPolicy",
            Want::Subscription => "subscriptions.create",
            Want::Endpoint => "subscriptions.modifyPushConfig",
            Want::Notifications => "enterprises.patch",
            Want::Token(_) => "enrollmentTokens.create",
            Want::Policy { .. } => "policies.patch",
            Want::Attach { .. } => "devices.patch",
            Want::Command { .. } => "devices.issueCommand",
            Want::List { .. } => "devices.list",
            Want::Operation { .. } => "operations.get",
        }
    }

    /// Whether the account's token has to be shown.
    pub(super) fn is_with_token(&self) -> bool {
        !matches!(self, Want::Access | Want::Keys | Want::Browse(_))
    }

    /// Whose it is.
    fn host(&self) -> Option<&str> {
        match self {
            Want::Policy { host, .. } => host.as_deref(),
            Want::Attach { host, .. } | Want::Command { host, .. } | Want::Operation { host, .. } => Some(host),
            _ => None,
        }
    }
}
