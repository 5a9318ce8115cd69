//! WNS without its sockets: `answer` takes a request and a time, `due` gives what reaches the devices. Two services with
//! the same seed and the same requests answer the same to the byte.

use super::access::{Access, App, Holder};
use super::request;
use super::{Reason, Refusal};
use crate::delay::Delay;
use crate::push::Reason as _;
use crate::push::{
    Allowance, Answers, Brain, Fault, Moment, Push, Rate, Registry, Reply, Request, Standing, Taken, Traffic, Travel,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use droves_facts::{Dice, Dur, LaneIx, Mono, Philox, Purpose, PushFate, Wall};
use droves_wire::apple::push::Tokens;
use droves_wire::windows::wns::{self, Connection, Fate};
use std::sync::Arc;

/// How the service behaves towards everybody.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// From a notification taken to the session begun, before what the device itself takes: Windows may queue a session
    /// for five minutes.
    pub travel: Travel,
    /// From a notification read to its answer written.
    pub answer_delay: Delay,
    /// How long a notification that may be kept is, if it does not say for how long: three days.
    pub kept_max: Dur,
    /// How long a channel is good after it was registered: 30 days. (A run that goes on with a fleet registers its
    /// channels anew.)
    pub channel_max: Dur,
    /// How long an access token is good: a day.
    pub access_max: Dur,
    /// More than this to one channel is answered 406; `None` is no limit.
    pub channel_rate: Option<Rate>,
    /// The same for all that one package sends.
    pub package_rate: Option<Rate>,
    /// Who may send; without any everybody may, to everybody.
    pub apps: Vec<App>,
    /// After how long a request that was answered 500 or 503 is worth another try.
    pub retry_after: Dur,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            travel: Travel::default(),
            answer_delay: Delay::None,
            kept_max: DAY.times(3),
            channel_max: DAY.times(30),
            access_max: DAY,
            channel_rate: None,
            package_rate: None,
            apps: Vec::new(),
            retry_after: Dur::secs(60),
        }
    }
}

/// The service.
#[derive(Debug)]
pub struct Service {
    rules: Rules,
    tokens: Tokens,
    access: Access,
    channels: Allowance,
    packages: Allowance,
    traffic: Traffic<Reason>,
}

impl Service {
    /// A service that has taken nothing yet.
    pub fn new(rules: Rules, tokens: Tokens, registry: Arc<Registry>, dice: Dice) -> Self {
        let access = Access::new(rules.apps.clone(), tokens.clone(), rules.access_max);
        Service {
            channels: Allowance::new(rules.channel_rate, registry.lanes() as usize),
            packages: Allowance::new(rules.package_rate, access.packages()),
            traffic: Traffic::new(rules.travel.clone(), registry, dice),
            rules,
            tokens,
            access,
        }
    }

    fn owner(&self, target: &str) -> Option<(LaneIx, u32)> {
        let (lane, generation) = self.tokens.find(&wns::channel_token(target).ok()?)?;
        (lane.0 < self.traffic.registry.lanes()).then_some((lane, generation))
    }

    fn judge(&mut self, at: Moment, request: &Request<'_>, owner: Option<(LaneIx, u32)>) -> Result<Taken, Refusal> {
        if request.method != "POST" {
            return Err(Refusal::plain(Reason::MethodNotAllowed));
        }
        let token = request::bearer(request.headers);
        let token = token.ok_or(Refusal::because(Reason::Unauthorized, "Authorization is no bearer's."))?;
        let Holder { app, pfn } = self.access.holder(at.wall, token).ok_or(Refusal::plain(Reason::Unauthorized))?;
        let asked = request::read(request)?;
        match self.traffic.strike(at, owner.map(|(lane, _)| lane)) {
            Some(Fault::Lose) => return Ok(Taken::Lost),
            Some(Fault::Refuse(reason)) => return Err(self.ordered(reason)),
            None => {}
        }
        let (lane, generation) = owner.ok_or(Refusal::plain(Reason::NotFound))?;
        match self.traffic.registry.standing(lane, generation, pfn) {
            Standing::Unknown => return Err(Refusal::plain(Reason::NotFound)),
            Standing::OtherTopic => return Err(Refusal::plain(Reason::Forbidden)),
            Standing::Replaced(_) => return Err(Refusal::plain(Reason::Gone)),
            Standing::Current(since) if at.wall >= since + self.rules.channel_max => {
                return Err(Refusal::because(Reason::Gone, "The channel has expired."));
            }
            Standing::Current(_) => {}
        }
        let too_many = |fate| {
            move |after| Refusal { after: Some(after), fate: Some(fate), ..Refusal::plain(Reason::NotAcceptable) }
        };
        self.channels.take(lane.ix(), at.now).map_err(too_many(Fate::Throttled))?;
        self.packages.take(app, at.now).map_err(too_many(Fate::Dropped))?;
        if !asked.is_raw {
            self.traffic.tally.unreadable += 1;
            return Ok(Taken::Lost);
        }
        let keep = asked.ttl.unwrap_or(self.rules.kept_max).min(self.rules.kept_max);
        let push = Push {
            lane,
            generation,
            magic: Box::default(),
            // What has reached its device is not forgotten there for want of a session: it starts one when it can.
            keep_until: asked.ttl.map(|ttl| at.wall + ttl),
            received: at.now,
            urgent: false,
        };
        Ok(self.traffic.send(push, at, asked.is_cached.then(|| at.now + keep)))
    }

    /// A refusal on order, with what goes with its status.
    fn ordered(&self, reason: Reason) -> Refusal {
        let after = match reason {
            Reason::NotAcceptable | Reason::InternalError | Reason::Unavailable => Some(self.rules.retry_after),
            _ => None,
        };
        let fate = (reason == Reason::NotAcceptable).then_some(Fate::Throttled);
        Refusal { after, fate, ..Refusal::plain(reason) }
    }

    /// The names by which an answer is found again.
    fn names(&self, number: u64) -> Vec<(&'static str, String)> {
        let mut rng = self.traffic.dice.draw(LaneIx::NOBODY.0, Purpose::Nonce, number);
        vec![
            (wns::MESSAGE_ID, format!("{:016X}", rng.u64())),
            (wns::DEBUG_TRACE, format!("DROVES{number}")),
            ("MS-CV", vector(&mut rng)),
        ]
    }
}

impl Answers for Service {
    /// Grants a token, or judges a notification and starts it on its way.
    fn answer(&mut self, now: Mono, wall: Wall, request: Request<'_>) -> Reply {
        if request.method == "POST"
            && let Some((status, body)) = self.access.answer(wall, request.path, request.body)
        {
            let headers = vec![("Content-Type", "application/json".to_owned())];
            return Reply { status, headers, body, lag: Dur::ZERO, lane: None, fates: &[] };
        }
        let number = self.traffic.count();
        let owner = self.owner(request.target);
        let lane = owner.map(|(lane, _)| lane);
        let (at, mut rng) = self.traffic.moment(now, wall, lane, number);
        let lag = self.rules.answer_delay.draw(&mut rng);
        let verdict = self.judge(at, &request, owner);
        self.traffic.tally.count(verdict.map_err(|refusal| refusal.reason));
        let mut headers = self.names(number);
        headers.extend(said(verdict));
        if request::wants_status(request.headers)
            && let Some(lane) = lane
        {
            let is_there = self.traffic.registry.reachable(lane);
            let connection = if is_there { Connection::Connected } else { Connection::Disconnected };
            headers.push((wns::CONNECTION, connection.name().to_owned()));
        }
        Reply {
            status: verdict.map_or_else(|refusal| refusal.reason.status(), |_| 200),
            headers,
            body: Vec::new(),
            lag,
            lane,
            fates: match verdict {
                Ok(taken) => taken.fates(),
                Err(Refusal { reason: Reason::Gone, .. }) => &[PushFate::Unregistered],
                Err(_) => &[],
            },
        }
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
}

/// What the headers say of a verdict.
fn said(verdict: Result<Taken, Refusal>) -> Vec<(&'static str, String)> {
    let refusal = match verdict {
        Ok(Taken::Expired) => return vec![(wns::STATUS, Fate::Dropped.name().to_owned())],
        Ok(_) => return vec![(wns::STATUS, Fate::Received.name().to_owned())],
        Err(refusal) => refusal,
    };
    let after = |after: Dur| {
        let name = if refusal.reason == Reason::NotAcceptable { wns::CONTINUE_AFTER } else { "Retry-After" };
        (name, after.0.div_ceil(1_000_000).to_string())
    };
    let words = (wns::ERROR_DESCRIPTION, refusal.words.to_owned());
    let fate = refusal.fate.map(|fate| (wns::STATUS, fate.name().to_owned()));
    [words].into_iter().chain(fate).chain(refusal.after.map(after)).collect()
}

/// A correlation vector: 16 characters of base64, and a count.
fn vector(rng: &mut Philox) -> String {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&rng.u64().to_be_bytes());
    bytes[8..].copy_from_slice(&rng.u64().to_be_bytes()[..4]);
    format!("{}.0", STANDARD_NO_PAD.encode(bytes))
}

const DAY: Dur = Dur::secs(24 * 3_600);

#[cfg(test)]
mod tests;
