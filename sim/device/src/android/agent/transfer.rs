//! What is fetched: apps and files, one after the other, in pieces. What has come of one is kept over failures, sleep and other
//! configurations; the bytes are counted and dropped. What can't be had holds up nothing else.

use super::dialect::{Answer, Question, Who};
use super::goods::Good;
use super::lane::{Lane, Part, while_there};
use super::shared::{Shared, Way};
use super::{State, Step, main};
use crate::at::At;
use crate::trouble::Trouble;
use crate::web::join;
use crate::{Action, Ctx, Event, Method, Need, Order, Reasons, Sink, Wake, What};
use droves_facts::{Blame, Dur, Operation};
use std::collections::HashSet;
use std::sync::Arc;

/// What a sleeping lane does when it wakes.
pub(super) fn wake(lane: &mut Lane, wake: &Wake<'_>, ctx: &mut Ctx<'_>) -> Step {
    if wake.notes.iter().any(|note| note.order.shares()) {
        told(lane, ctx);
    }
    proceed(lane, ctx)
}

/// What is to be fetched may be something else: what was put off is tried now. If the main lane has only heard of what is there,
/// that is wanted no more, and the rest goes on as it was.
fn told(lane: &mut Lane, ctx: &mut Ctx<'_>) {
    let Lane { record, shared, parts, .. } = lane;
    let before = parts.len();
    if before > 0 {
        let wanted: HashSet<u32> = shared.wanted().map(|good| shared.number(good)).collect();
        parts.retain(|part| wanted.contains(&part.number));
    }
    if parts.len() == before {
        (record.tries, record.next_at, record.item) = (0, At::NEVER, 0);
    }
    for part in parts.iter().filter(|part| part.is_whole).take(UNHEARD_MAX) {
        ctx.order(main::MAIN, Order::Fetched(part.number));
    }
    lane.restarts(ctx);
}

/// What is still to be fetched, in its order.
fn left<'a>(shared: &'a Shared, parts: &[Part]) -> Vec<&'a Good> {
    if shared.way == Way::There {
        return Vec::new();
    }
    let whole: HashSet<u32> = parts.iter().filter(|part| part.is_whole).map(|part| part.number).collect();
    shared.wanted().filter(|good| whole.is_empty() || !whole.contains(&shared.number(good))).collect()
}

/// Fetches the next piece.
fn proceed(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let now = ctx.clocks.wall;
    if lane.kept_until(Need::Transfer, ctx).is_some() || lane.record.next_at.get().is_some_and(|at| at > now) {
        return lane.rest(ctx);
    }
    (lane.record.next_at, lane.record.offline_until) = (At::NEVER, At::NEVER);
    let shared = Arc::clone(&lane.shared);
    let left = left(&shared, &lane.parts);
    if usize::from(lane.record.item) >= left.len() {
        lane.record.item = 0;
    }
    let Some(good) = left.get(usize::from(lane.record.item)) else { return lane.rest(ctx) };
    lane.record.next_at = now.into();
    let Some(who) = Who::of(&shared, ctx) else { return lane.rest(ctx) };
    let place = good.url.as_deref().unwrap_or_default();
    let Some(url) = join(&format!("{}/", who.url), place) else {
        let text = format!("a server names {} as the place of something to fetch", printable(place));
        return refused(lane, &Trouble::new(Blame::Server, "url", text), ctx);
    };
    let piece = Piece::of(shared.number(good), lane);
    let mut varying = who.speech.fetch(&who, &url);
    varying.push(("range", format!("bytes={}-{}", piece.first, piece.first + (piece.bytes - 1)).into()));
    let question = Question {
        operation: Operation::AndroidDownload,
        method: Method::Get,
        url: url.into(),
        headers: &[("accept-encoding", "identity")],
        varying,
        body: None,
        idle_end: None,
    };
    match question.ask(Sink::Digest(WHOLE_MAX), WHOLE_LASTS, Reasons::NONE, ctx) {
        Ok(action) => Step::to(State::Fetching(piece), while_there(Need::Transfer, action, ctx)),
        Err(trouble) => refused(lane, &trouble, ctx),
    }
}

/// A piece that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Of what.
    number: u32,
    /// Its first byte.
    first: u64,
    /// How many there are, if it is not the last.
    bytes: u64,
}

impl Piece {
    /// The next one.
    fn of(number: u32, lane: &Lane) -> Piece {
        let part = lane.parts.iter().find(|part| part.number == number);
        Piece { number, first: part.map_or(0, |part| part.bytes), bytes: PIECE_BYTES >> lane.record.halvings }
    }

    /// How many bytes have come with it, and whether that is all. None if another came: what a server says of it is held against
    /// the bytes, or it would be at its end, or never, by words alone.
    fn come(self, answer: &Answer) -> Option<(u64, bool)> {
        let (first, last, total) = range(&answer.range)?;
        let next = last.checked_add(1)?;
        let bytes = next.checked_sub(first)?;
        let is_true = first == self.first && bytes == answer.digested && next <= total && total <= WHOLE_MAX;
        let is_asked = bytes == self.bytes || (1..self.bytes).contains(&bytes) && next == total;
        (is_true && is_asked).then_some((next, next == total))
    }

    /// What came of it.
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        if let Event::Wake(wake) = &event {
            return self::wake(lane, wake, ctx);
        }
        let answer = match Answer::of(event, Operation::AndroidDownload) {
            Ok(answer) => answer,
            Err(trouble) => {
                if trouble.kind == "timeout" {
                    lane.record.halvings = (lane.record.halvings + 1).min(HALVINGS_MAX);
                }
                return failed(lane, &trouble, ctx);
            }
        };
        let (bytes, is_whole) = match (answer.status, self.come(&answer)) {
            // Whoever knows no ranges sends all of it.
            (200, _) => (answer.digested, true),
            (206, Some(come)) => come,
            // Nothing is left of it behind what has come.
            (416, _) if self.first > 0 => (self.first, true),
            (206, None) => {
                let (range, bytes) = (printable(&answer.range), answer.digested);
                let text = format!("a piece was asked for, and {bytes} bytes came of it as another: {range}");
                return refused(lane, &Trouble::new(Blame::Server, "bad_range", text), ctx);
            }
            _ => return refused(lane, &answer.refusal(Operation::AndroidDownload), ctx),
        };
        lane.record.tries = 0;
        lane.parts.retain(|part| part.number != self.number);
        lane.parts.push(Part { number: self.number, bytes, is_whole });
        if is_whole {
            lane.record.halvings = lane.record.halvings.saturating_sub(1);
            // The others are told when it has heard of these.
            if lane.parts.iter().filter(|part| part.is_whole).count() <= UNHEARD_MAX {
                ctx.order(main::MAIN, Order::Fetched(self.number));
            }
        }
        breathe(ctx)
    }
}

/// What its sister has told it by now is heard before the next piece.
fn breathe(ctx: &Ctx<'_>) -> Step {
    let until = ctx.clocks.now + Dur::ms(1);
    Step::to(State::Breathing, Action { what: What::Wait, until, hear: Reasons::TIME | Reasons::ORDER })
}

/// What the server does not give comes again after all others.
fn refused(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    let next = lane.record.item.saturating_add(1);
    if usize::from(next) >= left(&lane.shared, &lane.parts).len() {
        return failed(lane, trouble, ctx);
    }
    trouble.complain(ctx);
    lane.record.item = next;
    breathe(ctx)
}

/// It is tried again after a while, from where it was, for as long as it is wanted; and the next one before it.
fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    lane.record.item = lane.record.item.saturating_add(1);
    let after = ctx.retry_delay(lane.record.tries.saturating_add(1), u64::from(lane.record.retries) + 1);
    lane.put_off(after, ctx);
    lane.rest(ctx)
}

/// First and last byte of `bytes 0-99/1000`, and how many there are in all.
fn range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, total.trim().parse().ok()?))
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// Bytes that are asked for at once: what can be lost by one failure.
const PIECE_BYTES: u64 = 4 << 20;
/// How often a piece is halved that takes too long: down to 64 KiB.
const HALVINGS_MAX: u8 = 6;
/// Bytes of the whole.
const WHOLE_MAX: u64 = 8 << 30;
/// An answer may take so long: whoever knows no ranges sends all of it, and would begin anew for ever.
const WHOLE_LASTS: Dur = Dur::secs(600);
/// What was fetched and the main lane has not heard of, at most: there is room for more orders with it.
const UNHEARD_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_three_numbers() {
        assert_eq!(range("bytes 0-99/1000"), Some((0, 99, 1_000)));
        for none in ["", "bytes */1000", "bytes 0-99/*", "bytes 0-/5", "items 0-1/2", "bytes 0-99"] {
            assert_eq!(range(none), None, "{none}");
        }
    }
}
