//! The channel at the push service: asked for once the server has said for whom (`Push/PFN`), told by nodes of the tree
//! (`Push/ChannelURI`, `Push/Status`), good for 30 days, renewed after 15.

use super::lane::Lane;
use super::own::Own;
use super::record::At;
use super::tree::Channel;
use super::{State, Step};
use crate::trouble::{Trouble, unexpected};
use crate::{Ctx, Enrolls, Event};
use droves_facts::{Blame, Dur, Operation, Purpose, Wall};
use droves_wire::windows::wns;
use std::sync::Arc;

/// The push service is asked for a channel.
#[derive(Debug)]
pub(super) struct Registering;

/// The server has said for whom the channel is to be; for nobody ends it. A server that says the same in each session has
/// said nothing new.
pub(super) fn set(lane: &mut Lane, pfn: &Arc<str>) {
    if lane.shared.pfn.as_ref() == Some(pfn) {
        return;
    }
    Arc::make_mut(&mut lane.shared).pfn = Some(Arc::clone(pfn)).filter(|pfn| !pfn.trim().is_empty());
    lane.own.channel_since = None;
    lane.own.channel_refused = false;
    lane.record.channel_at = At::NEVER;
}

/// When the device asks for a channel, the first or another; `None` if the server wants none.
pub(super) fn renews_at(lane: &Lane) -> Option<Wall> {
    lane.shared.pfn.as_ref()?;
    match (lane.record.channel_at.get(), lane.own.channel_since) {
        (Some(again), _) => Some(again),
        (None, Some(since)) => Some(since + RENEWED_AFTER),
        (None, None) => Some(Wall(1)),
    }
}

/// Whether it asks for one now.
pub(super) fn is_due(lane: &Lane, now: Wall) -> bool {
    renews_at(lane).is_some_and(|at| at <= now)
}

/// Asks for one.
pub(super) fn register(lane: &mut Lane, ctx: &Ctx<'_>) -> Step {
    let pfn = lane.shared.pfn.clone().unwrap_or_default();
    let action = ctx.register(Operation::WindowsChannel, lane.record.token.wrapping_add(1), pfn);
    Step::to(State::Registering(Registering), action)
}

impl Registering {
    /// A channel is on disk before the server hears of it, which a session of its own is for.
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let now = ctx.clocks.wall;
        let trouble = match event {
            Event::Response(response) if (200..300).contains(&response.status) => {
                lane.record.token = lane.record.token.wrapping_add(1);
                lane.record.channel_at = At::NEVER;
                lane.own.channel_since = Some(now);
                lane.own.channel_refused = false;
                lane.connect_soon(ctx);
                return Step::save(ctx);
            }
            Event::Response(response) => {
                Trouble::new(Blame::Generator, "push_register", format!("the push service said {}", response.status))
            }
            other => unexpected(&other, "a channel"),
        };
        trouble.complain(ctx);
        lane.record.retries = lane.record.retries.wrapping_add(1);
        lane.own.channel_refused = lane.own.channel_since.is_none();
        // With a channel that is still good Windows asks again in 4 ± 1 h.
        let jitter = ctx.lane_dice(Purpose::Retry, u64::from(lane.record.retries)).unit();
        lane.record.channel_at = (now + AGAIN.scaled(0.75 + 0.5 * jitter)).into();
        lane.rest(ctx)
    }
}

/// The URL of the lane's channel, if it has one.
pub(super) fn uri(lane: &Lane, ctx: &Ctx<'_>) -> Option<String> {
    lane.own.channel_since?;
    let Enrolls::Discovery(discovery) = &ctx.character.enrolls else { return None };
    Some(wns::channel(&discovery.channels, &ctx.tokens.token(ctx.lane, lane.record.token)))
}

/// As the tree shows it.
pub(super) fn shown<'a>(own: &Own, uri: Option<&'a str>, ctx: &Ctx<'_>) -> Channel<'a> {
    let status = match own.channel_since {
        Some(since) if since + LASTS <= ctx.clocks.wall => EXPIRED,
        Some(_) => WORKS,
        None if own.channel_refused => REFUSED,
        None => NO_CHANNEL,
    };
    Channel { uri: uri.filter(|_| status == WORKS), status }
}

/// `Push/Status`.
const WORKS: u8 = 0;
const REFUSED: u8 = 3;
const NO_CHANNEL: u8 = 4;
const EXPIRED: u8 = 5;

const LASTS: Dur = Dur::secs(30 * 86_400);
const RENEWED_AFTER: Dur = Dur::secs(15 * 86_400);
const AGAIN: Dur = Dur::secs(4 * 3_600);
