//! FCM without its sockets: `answer` takes a request and a time, `due` gives what reaches the devices. Two services with
//! the same seed and the same requests answer the same to the byte.

use super::reason::{Reason, Refusal};
use super::request;
use super::shelf::{Dropped, Shelf};
use crate::delay::Delay;
use crate::google::{Account, Accounts, Callers, Meter, Quota};
use crate::push::Reason as _;
use crate::push::{
    Allowance, Answers, Brain, Due, Fault, Moment, Push, Rate, Registry, Reply, Request, Standing, Taken, Traffic,
    Travel,
};
use droves_facts::{Dice, Dur, LaneIx, Mono, Purpose, PushFate, Wall};
use droves_wire::android::fcm::{self, Message, Recipient, Send};
use droves_wire::android::{Code, Status};
use droves_wire::apple::push::Tokens;
use std::sync::Arc;

/// How the service behaves towards everybody.
#[derive(Debug)]
pub struct Rules {
    /// From a message taken to the device reached.
    pub travel: Travel,
    /// From a message read to its answer written; Google's takes 20 to 80 ms.
    pub answer_delay: Delay,
    /// Who may send.
    pub callers: Callers,
    /// Service accounts.
    pub accounts: Vec<Account>,
    /// Messages of a project, also those that are refused: 600,000 a minute. The minute begins with the first of them.
    pub quota: Quota,
    /// Messages to a device: 240 a minute, and 5,000 an hour.
    pub device_rates: [Rate; 2],
    /// Collapsible messages to a device: 20 in a row, and one more each three minutes.
    pub collapsible_rate: Rate,
    /// Collapse keys that are kept for a device out of reach: 4.
    pub collapse_keys_max: usize,
    /// Messages without one that are kept for it: 100.
    pub kept_max: u32,
    /// After how long a request that was answered 500 or 503 is worth another try.
    pub retry_after: Dur,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            travel: Travel::default(),
            answer_delay: Delay::None,
            callers: Callers::default(),
            accounts: Vec::new(),
            quota: Quota { requests_max: 600_000, window: MINUTE },
            device_rates: [Rate { pushes: 240, per: MINUTE }, Rate { pushes: 5_000, per: MINUTE.times(60) }],
            collapsible_rate: Rate { pushes: 20, per: MINUTE.times(60) },
            collapse_keys_max: 4,
            kept_max: 100,
            retry_after: MINUTE,
        }
    }
}

/// The service.
#[derive(Debug)]
pub struct Service {
    answer_delay: Delay,
    retry_after: Dur,
    tokens: Tokens,
    accounts: Accounts,
    meter: Meter,
    devices: [Allowance; 2],
    collapsible: Allowance,
    shelf: Shelf,
    traffic: Traffic<Reason>,
}

/// A message that was taken: what became of it, and under which name.
type Verdict = Result<(Taken, String), Refusal>;

impl Service {
    /// A service at this URL that has taken nothing yet.
    pub fn new(url: &str, rules: Rules, tokens: Tokens, registry: Arc<Registry>, dice: Dice) -> Self {
        let allowance = |rate| Allowance::new(Some(rate), registry.lanes() as usize);
        Service {
            answer_delay: rules.answer_delay,
            retry_after: rules.retry_after,
            tokens,
            accounts: Accounts::new(rules.callers, format!("{url}/token"), rules.accounts),
            meter: Meter::new(rules.quota),
            devices: rules.device_rates.map(allowance),
            collapsible: allowance(rules.collapsible_rate),
            shelf: Shelf::new(rules.collapse_keys_max, rules.kept_max),
            traffic: Traffic::new(rules.travel, registry, dice),
        }
    }

    /// Messages that were kept for devices and given up.
    pub fn dropped(&self) -> Dropped {
        self.shelf.dropped
    }

    fn read(&mut self, wall: Wall, project: &str, request: &Request<'_>) -> Result<Send, Refusal> {
        let caller = self.accounts.caller(wall, request::bearer(request));
        let caller = caller.map_err(|error| Refusal { error, ..Refusal::plain(Reason::Unauthenticated) })?;
        // Whoever is not known may name any project: all of them have one quota.
        self.meter.take(wall, caller.unwrap_or_default()).map_err(too_many)?;
        if caller.is_some_and(|own| own != project) {
            return Err(Refusal::plain(Reason::PermissionDenied));
        }
        Send::read(request.body).map_err(Refusal::unread)
    }

    /// Whose token it is; an error if it is none, and nobody where no lane has it.
    fn owner(&self, to: &Recipient) -> Result<Option<(LaneIx, u32)>, Refusal> {
        let Recipient::Token(token) = to else { return Ok(None) };
        let why = "The registration token is not a valid FCM registration token";
        let secret = fcm::token_secret(token);
        let secret = secret.ok_or_else(|| Refusal::unread(fcm::refused("message.token", why)))?;
        let owner = self.tokens.find(&secret);
        Ok(owner.filter(|(lane, _)| lane.0 < self.traffic.registry.lanes()))
    }

    fn judge(&mut self, at: Moment, project: &str, send: &Send, owner: Option<(LaneIx, u32)>) -> Verdict {
        let Send { validate_only, message } = send;
        let name = if *validate_only { VALIDATED.to_owned() } else { self.name(at) };
        match self.traffic.strike(at, owner.map(|(lane, _)| lane)) {
            Some(Fault::Lose) => return Ok((Taken::Lost, name)),
            Some(Fault::Refuse(reason)) => return Err(self.ordered(reason)),
            None => {}
        }
        if let Recipient::Topic(_) = message.to {
            // Nobody has subscribed.
            return Ok((Taken::Lost, name));
        }
        let (lane, generation) = owner.ok_or_else(|| Refusal::plain(Reason::Unregistered))?;
        match self.traffic.registry.standing(lane, generation, Some(project)) {
            Standing::Current(_) => {}
            Standing::OtherTopic => return Err(Refusal::plain(Reason::SenderIdMismatch)),
            Standing::Unknown | Standing::Replaced(_) => return Err(Refusal::plain(Reason::Unregistered)),
        }
        if *validate_only {
            return Ok((Taken::Lost, name));
        }
        let key = message.collapse_key.as_deref();
        for allowance in self.devices.iter_mut().chain(key.map(|_| &mut self.collapsible)) {
            allowance.take(lane.ix(), at.now).map_err(too_many)?;
        }
        Ok((self.send(at, (lane, generation), message), name))
    }

    fn send(&mut self, at: Moment, (lane, generation): (LaneIx, u32), message: &Message) -> Taken {
        let Message { ttl, collapse_key, urgent, .. } = message;
        let is_kept = *ttl > Dur::ZERO;
        if is_kept && !self.traffic.registry.reachable(lane) {
            self.shelf.keep(lane, collapse_key.as_deref());
        }
        let keep_until = Some(at.wall + if is_kept { *ttl } else { at.delay + TRY });
        let push = Push { lane, generation, magic: Box::default(), keep_until, received: at.now, urgent: *urgent };
        self.traffic.send(push, at, is_kept.then(|| at.now + *ttl))
    }

    /// A refusal on order, with what goes with its status.
    fn ordered(&self, reason: Reason) -> Refusal {
        match reason {
            Reason::QuotaExceeded | Reason::Internal | Reason::Unavailable => Refusal::later(reason, self.retry_after),
            _ => Refusal::plain(reason),
        }
    }

    /// The name of a message, as Google's look.
    fn name(&self, at: Moment) -> String {
        let nonce = self.traffic.dice.draw(LaneIx::NOBODY.0, Purpose::Nonce, at.number).u64();
        format!("0:{}%{nonce:016x}", at.wall.0)
    }
}

impl Answers for Service {
    /// Grants a token, or judges a message and starts it on its way.
    fn answer(&mut self, now: Mono, wall: Wall, request: Request<'_>) -> Reply {
        if (request.method, request.path) == ("POST", "/token") {
            let (status, answer) = self.accounts.exchange(wall, request.body);
            return reply(status, answer.to_string().into_bytes());
        }
        let Some(project) = request::project(&request) else {
            let error = Status::new(Code::NotFound, "Method not found.");
            return reply(error.code.http(), error.write());
        };
        let number = self.traffic.count();
        let read = self.read(wall, project, &request);
        let read = read.and_then(|send| self.owner(&send.message.to).map(|owner| (send, owner)));
        let owner = read.as_ref().ok().and_then(|(_, owner)| *owner);
        let lane = owner.map(|(lane, _)| lane);
        let (at, mut rng) = self.traffic.moment(now, wall, lane, number);
        let lag = self.answer_delay.draw(&mut rng);
        let verdict = read.and_then(|(send, owner)| self.judge(at, project, &send, owner));
        self.traffic.tally.count(verdict.as_ref().map(|(taken, _)| *taken).map_err(|refusal| refusal.reason));
        let (answer, fates): (Reply, &'static [PushFate]) = match verdict {
            Ok((Taken::Lost, name)) if name == VALIDATED => (reply(200, fcm::taken(project, &name)), &[]),
            Ok((taken, name)) => (reply(200, fcm::taken(project, &name)), taken.fates()),
            Err(Refusal { reason, error, after }) => {
                let mut answer = reply(reason.status(), error.write());
                answer.headers.extend(after.map(|after| ("Retry-After", after.0.div_ceil(1_000_000).to_string())));
                (answer, if reason == Reason::Unregistered { &[PushFate::Unregistered] } else { &[] })
            }
        };
        Reply { lag, lane, fates, ..answer }
    }
}

impl Brain for Service {
    type Reason = Reason;

    fn traffic(&self) -> &Traffic<Reason> {
        &self.traffic
    }

    fn traffic_mut(&mut self) -> &mut Traffic<Reason> {
        &mut self.traffic
    }

    fn due(&mut self, now: Mono) -> Option<Due> {
        let due = self.traffic.due(now)?;
        match &due {
            Due::Wake(push) => self.shelf.clear(push.lane, true),
            Due::Expired(lane) => self.shelf.clear(*lane, false),
        }
        Some(due)
    }
}

fn too_many(after: Dur) -> Refusal {
    Refusal::later(Reason::QuotaExceeded, after)
}

fn reply(status: u16, body: Vec<u8>) -> Reply {
    let headers = vec![("Content-Type", "application/json; charset=UTF-8".to_owned())];
    Reply { status, headers, body, lag: Dur::ZERO, lane: None, fates: &[] }
}

/// What a message is called that was only to be judged.
const VALIDATED: &str = "fake_message_id";
/// How long a message that is not to be kept may look for its device: ours, Google names no time.
const TRY: Dur = Dur::secs(2);
const MINUTE: Dur = Dur::secs(60);

#[cfg(test)]
mod tests;
