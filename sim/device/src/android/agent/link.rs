//! The link: hears what the server pushes, over MQTT or by requests that the server holds, and tells the main lane.

use super::dialect::{Answer, Base, Who, Wish, is_lost};
use super::lane::{Lane, while_there};
use super::shared::{Push, Shared};
use super::{State, Step, main};
use crate::at::At;
use crate::trouble::{Trouble, unexpected};
use crate::{Action, Ctx, Event, Framing, HELD_MIN, Link, Need, Order, Reasons, Retry, Sink, Wake, What};
use bytes::Bytes;
use droves_facts::status_kind;
use droves_facts::{Blame, Dur, Mono, Operation, Wall};
use droves_wire::android::mqtt::{MqttError, Packet, SUBSCRIPTION_FAILED};
use std::sync::Arc;

/// A link that is being opened, or stands.
#[derive(Debug)]
pub(super) struct Holding {
    /// By what it was opened.
    by: Arc<Shared>,
    keep_alive: Dur,
    /// When something was last said.
    said_at: Mono,
    /// It was asked for a sign of life, and has given none.
    pinged: bool,
    /// The device was too late with its own: it dozed. If the broker has given it up, that is nobody's failure.
    is_late: bool,
    stands: bool,
}

/// What a sleeping lane does when it wakes.
pub(super) fn wake(lane: &mut Lane, wake: &Wake<'_>, ctx: &mut Ctx<'_>) -> Step {
    if wake.notes.iter().any(|note| note.order.shares()) {
        told(lane, ctx);
    }
    proceed(lane, ctx)
}

/// What the lane has in common with its sisters is another: what was put off is tried now.
fn told(lane: &mut Lane, ctx: &Ctx<'_>) {
    (lane.record.next_at, lane.record.tries, lane.record.opens) = (At::NEVER, 0, 0);
    lane.restarts(ctx);
}

/// Opens what the configuration asks for.
fn proceed(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let now = ctx.clocks.wall;
    if lane.kept_until(Need::Attention, ctx).is_some() || lane.record.next_at.get().is_some_and(|at| at > now) {
        return lane.rest(ctx);
    }
    (lane.record.next_at, lane.record.offline_until) = (At::NEVER, At::NEVER);
    match lane.shared.config.push {
        Push::None => lane.rest(ctx),
        Push::Mqtt(secs) => open(lane, secs, ctx),
        Push::Poll => poll(Base::First, lane, ctx),
    }
}

fn open(lane: &mut Lane, keep_alive_secs: u16, ctx: &mut Ctx<'_>) -> Step {
    let now = ctx.clocks.wall;
    let record = &mut lane.record;
    if record.opens_since.get().is_none_or(|since| since + OPENS_WINDOW <= now) {
        (record.opens_since, record.opens) = (now.into(), 0);
    }
    if record.opens >= OPENS_MAX {
        // Two devices that go by one number throw each other out for ever.
        let text = format!("{OPENS_MAX} links in a minute: another device has the same number; no more for an hour");
        return lost(lane, &Trouble::new(Blame::Server, "link_loop", text), GIVEN_UP, ctx);
    }
    record.opens += 1;
    record.next_at = now.into();
    let shared = Arc::clone(&lane.shared);
    let Some(who) = Who::of(&shared, ctx) else { return lane.rest(ctx) };
    let (url, connect, _) = who.speech.link(&who, keep_alive_secs);
    let hello = match Packet::Connect(connect).write() {
        Ok(hello) => hello.into(),
        Err(error) => return lost(lane, &unsayable(error), FAILED, ctx),
    };
    let link = Link { operation: Operation::AndroidLink, url, framing: Framing::Mqtt, hello, identity: None };
    let holding = Holding {
        by: Arc::clone(&shared),
        keep_alive: Dur::secs(keep_alive_secs.into()),
        said_at: ctx.clocks.now,
        pinged: false,
        is_late: false,
        stands: false,
    };
    let action = Action { what: What::Open(Box::new(link)), until: ctx.clocks.now + OPENING_MAX, hear: Reasons::NONE };
    Step::to(State::Holding(Box::new(holding)), while_there(Need::Attention, action, ctx))
}

impl Holding {
    pub(super) fn on(mut self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match event {
            Event::Frame(frame) => match Packet::read(&frame) {
                Ok(packet) => self.packet(packet, lane, ctx),
                Err(error) => {
                    let text = format!("over the link came something else than MQTT: {error}");
                    lost(lane, &Trouble::new(Blame::Server, "bad_frame", text), FAILED, ctx)
                }
            },
            Event::Wake(wake) => {
                if wake.notes.iter().any(|note| note.order.shares()) && !is_same(&self.by, &lane.shared) {
                    // By another number, to another server, or in another way: the session ends the link.
                    told(lane, ctx);
                    lane.record.next_at = ctx.clocks.wall.into();
                    return lane.rest(ctx);
                }
                if !self.stands || ctx.lacks_until(Need::UrgentPush).is_some() {
                    // It is off, or its profile is paused: the session ends the link.
                    return lane.rest(ctx);
                }
                if let Some(window) = ctx.lacks_until(Need::Attention) {
                    return self.dozes(window, ctx);
                }
                if ctx.clocks.now < self.said_at + self.keep_alive {
                    return self.wait(ctx);
                }
                if self.pinged {
                    let trouble = Trouble::new(Blame::Server, "link_silent", "the broker has not answered a ping");
                    return lost(lane, &trouble, AFTER_SILENCE, ctx);
                }
                self.pinged = true;
                self.say(&Packet::PingReq, lane, ctx)
            }
            Event::Failed(_) if self.is_late => {
                let after = again(lane, ctx);
                lane.put_off(after, ctx);
                lane.rest(ctx)
            }
            other => {
                let trouble = unexpected(&other, "link");
                let after = if self.stands { again(lane, ctx) } else { FAILED };
                lost(lane, &trouble, after, ctx)
            }
        }
    }

    /// A packet has come.
    fn packet(mut self, packet: Packet, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let shared = Arc::clone(&self.by);
        let Some(who) = Who::of(&shared, ctx) else { return lane.rest(ctx) };
        match packet {
            Packet::ConnAck { code: 0, .. } if !self.stands => {
                self.stands = true;
                lane.record.tries = 0;
                let (_, _, topics) = who.speech.link(&who, 0);
                self.say(&Packet::Subscribe(1, topics), lane, ctx)
            }
            Packet::ConnAck { code, .. } if !self.stands => {
                let text = format!("the broker refuses the device: code {code}");
                lost(lane, &Trouble::new(Blame::Server, "link_refused", text), FAILED, ctx)
            }
            Packet::Publish(publish) if self.stands => {
                let (is_new, answer) = lane.inbox.take(&publish);
                if is_new {
                    hear(who.speech.pushed(&publish.payload).map(|wish| vec![wish]), ctx);
                }
                match answer {
                    Some(answer) => self.say(&answer, lane, ctx),
                    None => self.wait(ctx),
                }
            }
            Packet::PubRel(id) if self.stands => {
                let answer = lane.inbox.release(id);
                self.say(&answer, lane, ctx)
            }
            Packet::SubAck(_, codes) if self.stands => {
                if codes.contains(&SUBSCRIPTION_FAILED) {
                    let trouble = Trouble::new(Blame::Server, "not_subscribed", "the broker refuses the subscription");
                    trouble.complain(ctx);
                }
                self.wait(ctx)
            }
            Packet::PingResp => {
                (self.pinged, self.is_late) = (false, false);
                self.wait(ctx)
            }
            other => {
                let text = format!("the broker sent what no broker sends here: {other:?}");
                let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                lost(lane, &Trouble::new(Blame::Server, "bad_frame", text), FAILED, ctx)
            }
        }
    }

    fn say(mut self, packet: &Packet, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match packet.write() {
            Ok(bytes) => {
                self.said_at = ctx.clocks.now;
                let until = self.said_at + self.keep_alive;
                self.waits(What::Send(Bytes::from(bytes)), until, ctx)
            }
            Err(error) => lost(lane, &unsayable(error), FAILED, ctx),
        }
    }

    fn wait(self, ctx: &Ctx<'_>) -> Step {
        let until = self.said_at + self.keep_alive;
        self.waits(What::Wait, until, ctx)
    }

    /// Hears the link, for as long as the device attends.
    fn waits(self, what: What, until: Mono, ctx: &Ctx<'_>) -> Step {
        let hear = Reasons::TIME | Reasons::ORDER | Reasons::LINK;
        self.hears(what, until.min(ctx.moment(ctx.lacks_from(Need::Attention))), hear, ctx)
    }

    /// Who dozes reads nothing and gives no sign of life. Its link stands, until the broker has had enough.
    fn dozes(mut self, window: Wall, ctx: &Ctx<'_>) -> Step {
        let until = ctx.moment(Some(window));
        self.pinged = false;
        self.is_late |= until > self.said_at + self.keep_alive;
        let gone = ctx.moment(ctx.lacks_from(Need::UrgentPush));
        self.hears(What::Wait, until.min(gone), Reasons::TIME | Reasons::ORDER, ctx)
    }

    fn hears(self, what: What, until: Mono, hear: Reasons, ctx: &Ctx<'_>) -> Step {
        // Not in the past, whenever the last word was.
        let until = until.max(ctx.clocks.now + Dur::ms(1));
        Step::to(State::Holding(Box::new(self)), Action { what, until, hear })
    }
}

/// The server holds a poll.
#[derive(Debug)]
pub(super) struct Polling {
    by: Arc<Shared>,
    base: Base,
    asked_at: Mono,
    idle_end: Option<u16>,
}

/// Asks for messages, and is held.
fn poll(base: Base, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.record.next_at = ctx.clocks.wall.into();
    let by = Arc::clone(&lane.shared);
    let Some(who) = Who::of(&by, ctx).map(|who| who.by(base)) else { return lane.rest(ctx) };
    let question = who.speech.poll(&who);
    let (asked_at, idle_end) = (ctx.clocks.now, question.idle_end);
    match question.ask(Sink::Keep(ctx.limits.body_bytes_max), POLL_MAX, Reasons::ORDER, ctx) {
        Ok(action) => {
            let polling = Polling { by: Arc::clone(&by), base, asked_at, idle_end };
            Step::to(State::Polling(polling), while_there(Need::Attention, action, ctx))
        }
        Err(trouble) => lost(lane, &trouble, POLL_FAILED, ctx),
    }
}

impl Polling {
    /// What came of a poll.
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Polling { by, base, asked_at, idle_end } = self;
        if let Event::Wake(wake) = &event {
            return self::wake(lane, wake, ctx);
        }
        if is_lost(&event, base) && is_same(&by, &lane.shared) {
            unexpected(&event, "a poll").complain(ctx);
            return poll(Base::Second, lane, ctx);
        }
        let Some(speech) = Who::of(&by, ctx).map(|who| who.speech) else { return lane.rest(ctx) };
        let answer = match Answer::of(event, Operation::AndroidPoll) {
            Ok(answer) => answer,
            Err(trouble) => return lost(lane, &trouble, POLL_FAILED, ctx),
        };
        let was_held = ctx.clocks.now.since(asked_at) >= HELD_MIN;
        if answer.status == 200 {
            hear(speech.polled(&answer.body), ctx);
        } else if idle_end != Some(answer.status) || !was_held {
            let text = format!("a poll was answered {}", answer.status);
            let trouble = Trouble::new(Blame::Server, status_kind(answer.status), text);
            // The agent takes any error of the server's for the end of a poll.
            if answer.status < 500 {
                return lost(lane, &trouble, POLL_FAILED, ctx);
            }
            trouble.complain(ctx);
        }
        pause(by, ctx.clocks.now + POLL_PAUSE)
    }
}

/// A pause between polls, in which the connection is kept.
fn pause(by: Arc<Shared>, until: Mono) -> Step {
    Step::to(State::Pausing(by, until), Action { what: What::Wait, until, hear: Reasons::TIME | Reasons::ORDER })
}

/// The pause is over, or something is another.
pub(super) fn paused(by: Arc<Shared>, until: Mono, wake: &Wake<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    if ctx.clocks.now < until && is_same(&by, &lane.shared) {
        return pause(by, until);
    }
    self::wake(lane, wake, ctx)
}

/// The main lane hears what was pushed.
fn hear(wishes: Result<Vec<Wish>, Trouble>, ctx: &mut Ctx<'_>) {
    let wishes = match wishes {
        Ok(wishes) => wishes,
        Err(trouble) => return trouble.complain(ctx),
    };
    if wishes.len() > WISHES_MAX {
        let text = format!("{} messages at once: a device hears the first {WISHES_MAX}", wishes.len());
        Trouble::new(Blame::Server, "too_many_messages", text).complain(ctx);
    }
    for wish in wishes.into_iter().take(WISHES_MAX) {
        ctx.order(main::MAIN, Order::Pushed(wish.number()));
    }
}

/// Whether both lead to the same link.
fn is_same(one: &Shared, other: &Shared) -> bool {
    let of = |shared: &Shared| (shared.url.clone(), shared.number.clone(), shared.config.push, shared.restarts);
    of(one) == of(other)
}

/// The link is lost, or never stood.
fn lost(lane: &mut Lane, trouble: &Trouble, after: Dur, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    lane.put_off(after, ctx);
    lane.rest(ctx)
}

/// After how long a link that stood is opened again: after a second, then twice as long each time.
fn again(lane: &Lane, ctx: &Ctx<'_>) -> Dur {
    let tries = lane.record.tries.saturating_add(1);
    match ctx.character.retry {
        Retry::AsPlatform => Dur::secs(1 << tries.saturating_sub(1).min(7)),
        _ => ctx.retry_delay(tries, u64::from(lane.record.retries) + 1),
    }
}

fn unsayable(error: MqttError) -> Trouble {
    Trouble::new(Blame::Scenario, "link_unsayable", format!("no packet can say this: {error}"))
}

/// Messages that one answer to a poll may have: there is room for them at the main lane, and for what the plan wants.
const WISHES_MAX: usize = 48;
/// Links in [`OPENS_WINDOW`] before the agent stops; and how long it then waits for the next configuration.
const OPENS_MAX: u8 = 15;
const OPENS_WINDOW: Dur = Dur::secs(60);
const GIVEN_UP: Dur = Dur::secs(3_600);
/// An opening that takes longer hangs.
const OPENING_MAX: Dur = Dur::secs(30);
/// After an opening that failed.
const FAILED: Dur = Dur::secs(900);
/// After a ping without an answer.
const AFTER_SILENCE: Dur = Dur::secs(5);
/// How long a poll waits for its answer, whatever the server's own time is.
const POLL_MAX: Dur = Dur::secs(300);
/// After an answer to a poll.
const POLL_PAUSE: Dur = Dur::secs(5);
/// After a poll that failed.
const POLL_FAILED: Dur = Dur::secs(60);
