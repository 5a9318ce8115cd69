//! The push service without its sockets: `answer` takes a request and a time, `due` gives what reaches the devices.
//! Two services with the same seed and the same requests answer the same to the byte.

use super::Reason;
use super::answer::{Answer, Refusal};
use super::request::{self, Asked, Expiration, PushRequest};
use crate::delay::Delay;
use crate::push::{Allowance, Brain, Fault, Moment, Push, Rate, Registry, Standing, Taken, Traffic, Travel};
use droves_facts::{Dice, Dur, LaneIx, Mono, Philox, Purpose, Wall};
use droves_wire::apple::push::{Tokens, magic};
use std::sync::Arc;

/// How the service behaves towards everybody.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// From a notification taken to the device reached.
    pub delivery_delay: Delay,
    /// From a notification read to its answer written; Apple's takes 20 to 120 ms.
    pub answer_delay: Delay,
    /// How long a notification without an expiration is kept for a device out of reach: Apple says 30 days.
    pub kept_max: Dur,
    /// More than this to one token is answered 429; `None` is no limit.
    pub token_rate: Option<Rate>,
    /// What becomes of tokens that nobody here was given.
    pub strangers: Strangers,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            delivery_delay: Delay::None,
            answer_delay: Delay::None,
            kept_max: Dur::secs(30 * 24 * 3_600),
            token_rate: None,
            strangers: Strangers::Refused,
        }
    }
}

/// What becomes of a token that nobody here was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strangers {
    /// BadDeviceToken, as Apple does.
    Refused,
    /// 200, delivered to nobody: for other simulators beside this one, whose tokens are no tokens (mdmb's `fakeToken`).
    Welcome,
}

/// The service.
#[derive(Debug)]
pub struct Service {
    rules: Rules,
    tokens: Tokens,
    allowance: Allowance,
    traffic: Traffic<Reason>,
}

impl Service {
    /// A service that has taken nothing yet.
    pub fn new(rules: Rules, tokens: Tokens, registry: Arc<Registry>, dice: Dice) -> Self {
        Service {
            allowance: Allowance::new(rules.token_rate, registry.lanes() as usize),
            traffic: Traffic::new(Travel::of(rules.delivery_delay), registry, dice),
            rules,
            tokens,
        }
    }

    /// Judges a request, and starts what it asks for on its way.
    pub fn answer(&mut self, now: Mono, wall: Wall, request: PushRequest<'_>) -> Answer {
        let number = self.traffic.count();
        let mut nonce = self.traffic.dice.draw(LaneIx::NOBODY.0, Purpose::Nonce, number);
        let apns_id = request::id(&request).map_or_else(|| new_id(&mut nonce), Into::into);
        let asked = request::read(&request, wall);
        let owner = asked.ok().and_then(|asked| self.owner(asked.token));
        let lane = owner.map(|(lane, _)| lane);
        let (at, mut rng) = self.traffic.moment(now, wall, lane, number);
        let lag = self.rules.answer_delay.draw(&mut rng);
        let verdict = asked.map_err(Refusal::plain).and_then(|asked| self.judge(at, &asked, owner, request.body));
        self.traffic.tally.count(verdict.map_err(|refusal| refusal.reason));
        Answer { apns_id, verdict, lag, lane }
    }

    fn owner(&self, token: &str) -> Option<(LaneIx, u32)> {
        let bytes: [u8; 32] = hex::decode(token).ok()?.try_into().ok()?;
        let (lane, generation) = self.tokens.find(&bytes)?;
        (lane.0 < self.traffic.registry.lanes()).then_some((lane, generation))
    }

    fn judge(
        &mut self,
        at: Moment,
        asked: &Asked<'_>,
        owner: Option<(LaneIx, u32)>,
        body: &[u8],
    ) -> Result<Taken, Refusal> {
        match self.traffic.strike(at, owner.map(|(lane, _)| lane)) {
            Some(Fault::Lose) => return Ok(Taken::Lost),
            Some(Fault::Refuse(reason)) => {
                return Err(Refusal { reason, since: reason.has_timestamp().then_some(at.wall) });
            }
            None => {}
        }
        let stranger = match self.rules.strangers {
            Strangers::Refused => Err(Refusal::plain(Reason::BadDeviceToken)),
            Strangers::Welcome => Ok(Taken::Lost),
        };
        let Some((lane, generation)) = owner else { return stranger };
        match self.traffic.registry.standing(lane, generation, Some(asked.topic)) {
            Standing::Current(_) => {}
            Standing::Unknown => return stranger,
            Standing::OtherTopic => return Err(Refusal::plain(Reason::DeviceTokenNotForTopic)),
            Standing::Replaced(since) => {
                return Err(Refusal { reason: Reason::Unregistered, since: Some(since) });
            }
        }
        if self.allowance.take(lane.ix(), at.now).is_err() {
            return Err(Refusal::plain(Reason::TooManyRequests));
        }
        // A body that is no wake is taken all the same: it is the device that would not understand it.
        let Ok(magic) = magic(body) else {
            self.traffic.tally.unreadable += 1;
            return Ok(Taken::Lost);
        };
        let (expires, keep_until) = self.keep(at, asked.expiration);
        let push = Push { lane, generation, magic: magic.into(), keep_until, received: at.now, urgent: false };
        Ok(self.traffic.send(push, at, expires))
    }

    /// Until when a notification may be stored, and until when its wake is worth something. A date of the past is one
    /// try, as 0 is; the try lasts [`TRY`], so that a device that sleeps through it has missed it.
    fn keep(&self, at: Moment, expiration: Expiration) -> (Option<Mono>, Option<Wall>) {
        match expiration {
            Expiration::Unsaid => (Some(at.now + self.rules.kept_max), None),
            Expiration::At(until) if until > at.wall => {
                let keep = until.since(at.wall).min(self.rules.kept_max);
                (Some(at.now + keep), Some(at.wall + keep))
            }
            Expiration::Once | Expiration::At(_) => (None, Some(at.wall + at.delay + TRY)),
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

/// A UUID of version 4 in upper case, as APNs writes them.
fn new_id(rng: &mut Philox) -> Box<str> {
    let id = rng.u64() & !0xf000 | 0x4000;
    let tail = rng.u64() & !(0b11 << 62) | 0b10 << 62;
    let (a, b, c) = (id >> 32, id >> 16 & 0xffff, id & 0xffff);
    let (d, e) = (tail >> 48, tail & 0xffff_ffff_ffff);
    format!("{a:08X}-{b:04X}-{c:04X}-{d:04X}-{e:012X}").into()
}

/// How long a notification that is not to be stored may look for its device: ours, Apple names no time.
const TRY: Dur = Dur::secs(2);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::request::Provider;
    use super::*;
    use crate::push::Reason as _;
    use crate::push::{Due, Order};
    use droves_scenario::plan::Strikes;
    use http::HeaderMap;
    use proptest::prelude::*;

    const TOPIC: &str = "com.apple.mgmt.External.a";
    const WALL: Wall = Wall::from_secs(1_732_500_000);
    const LANES: u32 = 8;

    fn tokens() -> Tokens {
        Tokens::new([7; 32])
    }

    fn service(rules: Rules) -> Service {
        let registry = Arc::new(Registry::new(LANES));
        let topic = registry.topic(TOPIC).unwrap();
        (0..4).for_each(|lane| assert!(registry.register(LaneIx(lane), 1, topic, WALL)));
        Service::new(rules, tokens(), registry, Dice::new(1))
    }

    fn ask(service: &mut Service, now: u64, token: &str, pairs: &[(&'static str, &str)]) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        let request = PushRequest {
            method: "POST",
            path: &format!("/3/device/{token}"),
            headers: &headers,
            body: br#"{"mdm":"6C0F9B2E-54E9-41B2-8E0C-6E1F0D2A7C55"}"#,
            provider: Provider::Certified { topic: Some(TOPIC), from: Wall(0), until: Wall(i64::MAX) },
        };
        service.answer(Mono(now), WALL, request)
    }

    fn token(lane: u32, generation: u32) -> String {
        hex::encode(tokens().token(LaneIx(lane), generation))
    }

    fn woken(service: &mut Service, now: u64) -> Vec<u32> {
        let wake = |due| match due {
            Due::Wake(push) => Some(push.lane.0),
            Due::Expired(_) => None,
        };
        std::iter::from_fn(|| service.due(Mono(now))).filter_map(wake).collect()
    }

    /// Status and body of the answer to a push.
    fn check(service: &mut Service, token: &str, pairs: &[(&'static str, &str)], expected: (u16, &str)) {
        let answer = ask(service, 0, token, pairs);
        assert_eq!((answer.status(), answer.body().as_str()), expected, "{token} {pairs:?}");
        assert_eq!(answer.apns_id.len(), 36);
    }

    #[test]
    fn a_token_is_answered_by_what_its_lane_registered() {
        let mut service = service(Rules::default());
        check(&mut service, &token(0, 1), &[], (200, ""));
        check(&mut service, &token(0, 1).to_uppercase(), &[], (200, ""));
        let bad = (400, r#"{"reason":"BadDeviceToken"}"#);
        for stranger in [token(0, 2), token(5, 1), token(LANES, 1), "ab".repeat(32), "xy".repeat(32), "abcd".into()] {
            check(&mut service, &stranger, &[], bad);
        }
        let registry = Arc::clone(&service.traffic.registry);
        let topic = registry.topic(TOPIC).unwrap();
        assert!(registry.register(LaneIx(0), 2, topic, WALL + Dur::ms(5)));
        check(&mut service, &token(0, 1), &[], (410, r#"{"reason":"Unregistered","timestamp":1732500000005}"#));
        check(&mut service, &token(0, 2), &[], (200, ""));
        let other = registry.topic("com.apple.mgmt.External.b").unwrap();
        assert!(registry.register(LaneIx(1), 2, other, WALL));
        check(&mut service, &token(1, 2), &[], (400, r#"{"reason":"DeviceTokenNotForTopic"}"#));
        assert_eq!(service.tally().refused(Reason::BadDeviceToken), 6);
        assert_eq!(service.tally().accepted, 3);
    }

    #[test]
    fn an_id_is_echoed_or_drawn() {
        let mut service = service(Rules::default());
        let id = "6c0f9b2e-54e9-41b2-8e0c-6e1f0d2a7c55";
        assert_eq!(*ask(&mut service, 0, &token(0, 1), &[("apns-id", id)]).apns_id, *id);
        let drawn = ask(&mut service, 0, &token(0, 1), &[]).apns_id;
        assert_eq!(drawn.to_uppercase(), *drawn);
        assert_eq!(&drawn[14..15], "4", "{drawn}");
        assert_ne!(ask(&mut service, 0, &token(0, 1), &[]).apns_id, drawn);
    }

    #[test]
    fn strangers_are_welcome_if_the_rules_say_so() {
        let mut service = service(Rules { strangers: Strangers::Welcome, ..Rules::default() });
        check(&mut service, &hex::encode("fakeToken"), &[], (200, ""));
        assert_eq!(service.tally().lost, 1);
    }

    #[test]
    fn a_wake_comes_with_magic_and_keep_until() {
        let mut service = service(Rules { delivery_delay: Delay::Fixed(Dur(10)), ..Rules::default() });
        ask(&mut service, 5, &token(2, 1), &[("apns-expiration", "1732500001")]);
        assert_eq!(service.next(), Some(Mono(15)));
        assert_eq!(service.due(Mono(14)), None);
        let push = Push {
            lane: LaneIx(2),
            generation: 1,
            magic: "6C0F9B2E-54E9-41B2-8E0C-6E1F0D2A7C55".into(),
            keep_until: Some(WALL + Dur::secs(1)),
            received: Mono(5),
            urgent: false,
        };
        assert_eq!(service.due(Mono(15)), Some(Due::Wake(push)));
        assert_eq!(service.due(Mono(15)), None);
        assert_eq!(service.next(), None);
    }

    #[test]
    fn a_device_out_of_reach_finds_the_newest_when_it_is_back() {
        let mut service = service(Rules::default());
        let registry = Arc::clone(&service.traffic.registry);
        registry.set_reachable(LaneIx(3), false);
        ask(&mut service, 0, &token(3, 1), &[]);
        assert_eq!(ask(&mut service, 1, &token(3, 1), &[]).verdict, Ok(Taken::Coalesced));
        assert_eq!(ask(&mut service, 2, &token(3, 1), &[("apns-expiration", "0")]).verdict, Ok(Taken::Expired));
        assert!(woken(&mut service, 1_000).is_empty());
        registry.set_reachable(LaneIx(3), true);
        assert_eq!(woken(&mut service, 1_001), [3]);
        let tally = service.tally();
        assert_eq!((tally.accepted, tally.coalesced, tally.stored, tally.expired, tally.woken), (3, 1, 1, 1, 1));
    }

    #[test]
    fn too_many_to_one_token_are_too_many() {
        let rate = Rate { pushes: 2, per: Dur(100) };
        let mut service = service(Rules { token_rate: Some(rate), ..Rules::default() });
        let mut status = |now, lane| ask(&mut service, now, &token(lane, 1), &[]).status();
        assert_eq!([status(0, 0), status(0, 0), status(0, 0), status(0, 1)], [200, 200, 429, 200]);
        assert_eq!([status(50, 0), status(50, 0), status(149, 0), status(150, 0)], [200, 429, 200, 200]);
    }

    #[test]
    fn every_reason_can_be_ordered() {
        let mut service = service(Rules::default());
        for &reason in Reason::ALL {
            let always = Order {
                fault: Fault::Refuse(reason),
                strikes: Strikes::Share(1.0),
                lanes: Some(0..1),
                window: Mono::ZERO..Mono::NEVER,
            };
            let id = service.give(always).unwrap();
            let answer = ask(&mut service, 0, &token(0, 1), &[]);
            assert_eq!(answer.status(), reason.status());
            let timestamp = if reason.has_timestamp() { r#","timestamp":1732500000000"# } else { "" };
            assert_eq!(answer.body(), format!(r#"{{"reason":"{reason}"{timestamp}}}"#));
            check(&mut service, &token(1, 1), &[], (200, ""));
            service.lift(id);
            check(&mut service, &token(0, 1), &[], (200, ""));
        }
    }

    #[test]
    fn what_is_lost_on_order_is_accepted_and_wakes_nobody() {
        let mut service = service(Rules::default());
        let window = Mono::ZERO..Mono::NEVER;
        service.give(Order { fault: Fault::Lose, strikes: Strikes::Nth(1), lanes: None, window }).unwrap();
        check(&mut service, &token(0, 1), &[], (200, ""));
        assert!(woken(&mut service, 1_000).is_empty());
        check(&mut service, &token(0, 1), &[], (200, ""));
        assert_eq!(woken(&mut service, 2_000), [0]);
        assert_eq!(service.tally().lost, 1);
    }

    proptest! {
        /// Whatever is pushed, registered and out of reach: what was accepted is woken, folded, expired, lost or still
        /// there, one notification a lane at most waits, and the same seed gives the same answers.
        #[test]
        fn accepted_is_accounted_for(steps in prop::collection::vec((0_u32..6, 0_u8..6, 0_u64..50), 1..200)) {
            let run = || {
                let delay = Delay::Uniform { from: Dur(0), to: Dur(40) };
                let mut service = service(Rules { delivery_delay: delay, ..Rules::default() });
                let registry = Arc::clone(&service.traffic.registry);
                let (mut now, mut seen) = (0, Vec::new());
                for &(lane, what, pause) in &steps {
                    now += pause;
                    match what {
                        0 => registry.set_reachable(LaneIx(lane), false),
                        1 => registry.set_reachable(LaneIx(lane), true),
                        2 => seen.push(ask(&mut service, now, &token(lane, 1), &[("apns-expiration", "0")])),
                        _ => seen.push(ask(&mut service, now, &token(lane, 1), &[])),
                    }
                    if what % 2 == 0 {
                        woken(&mut service, now);
                    }
                }
                let waiting = service.traffic.waiting() as u64;
                (seen, service.tally(), waiting)
            };
            let (seen, tally, waiting) = run();
            prop_assert_eq!(tally.accepted + tally.refusals(), seen.len() as u64);
            prop_assert_eq!(tally.accepted, tally.woken + tally.coalesced + tally.expired + tally.lost + waiting);
            prop_assert!(waiting <= 4);
            prop_assert_eq!(run(), (seen, tally, waiting));
        }
    }
}
