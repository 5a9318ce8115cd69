//! What is fetched: apps and files, one after the other, in pieces. What has come of one is kept over failures and sleep;
//! the bytes are counted and dropped.

use super::dialect::{Answer, Question, Who};
use super::lane::Lane;
use super::record::Record;
use super::shared::Way;
use super::todo::Task;
use super::{State, Step, main};
use crate::at::At;
use crate::trouble::Trouble;
use crate::web::join;
use crate::{Action, Ctx, Event, Method, Need, Order, Reasons, Sink, Wake, What};
use droves_facts::{Blame, Dur, Operation};
use std::sync::Arc;

/// What a sleeping lane does when it wakes.
pub(super) fn wake(lane: &mut Lane, wake: &Wake<'_>, ctx: &mut Ctx<'_>) -> Step {
    if wake.notes.iter().any(|note| note.order.shares()) {
        let is_anew = wake.notes.iter().any(|note| note.order == Order::Enroll);
        told(lane, is_anew, ctx);
    }
    proceed(lane, ctx)
}

/// What is to be fetched may be something else. Whoever has enrolled anew has nothing of it, whatever was fetched before.
fn told(lane: &mut Lane, is_anew: bool, ctx: &mut Ctx<'_>) {
    let record = &mut lane.record;
    (record.tries, record.next_at) = (0, At::NEVER);
    let is_wanted = lane.shared.way != Way::There && lane.shared.wanted().next().is_some();
    if is_anew || record.of != lane.shared.of() {
        (record.of, record.item, record.bytes) = (lane.shared.of(), 0, 0);
        record.todo.take(Task::Fetch);
        if lane.shared.wanted().next().is_some() {
            record.todo.add(Task::Fetch);
        }
    } else if is_wanted && !record.todo.has(Task::Fetch) {
        // All of it was fetched, and the main lane took that for what it had asked before, or has forgotten it by a kill.
        ctx.order(main::MAIN, Order::Done);
    }
    lane.restarts(ctx);
}

/// Fetches the next piece.
fn proceed(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let now = ctx.clocks.wall;
    if lane.kept_until(Need::Transfer, ctx).is_some() || lane.record.next_at.get().is_some_and(|at| at > now) {
        return lane.rest(ctx);
    }
    (lane.record.next_at, lane.record.offline_until) = (At::NEVER, At::NEVER);
    let shared = Arc::clone(&lane.shared);
    if !lane.record.todo.has(Task::Fetch) {
        return lane.rest(ctx);
    }
    let Some(place) = shared.wanted().nth(lane.record.item.into()) else {
        lane.record.todo.take(Task::Fetch);
        ctx.order(main::MAIN, Order::Done);
        return lane.rest(ctx);
    };
    lane.record.next_at = now.into();
    let Some(who) = Who::of(&shared, ctx) else { return lane.rest(ctx) };
    let Some(url) = join(&format!("{}/", who.url), place) else {
        let text = format!("a server names {} as the place of something to fetch", printable(place));
        return failed(lane, &Trouble::new(Blame::Server, "url", text), ctx);
    };
    let mut varying = who.speech.fetch(&who, &url);
    let last = lane.record.bytes.saturating_add(piece_bytes(&lane.record) - 1);
    varying.push(("range", format!("bytes={}-{last}", lane.record.bytes).into()));
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
        Ok(action) => Step::to(State::Fetching, action),
        Err(trouble) => failed(lane, &trouble, ctx),
    }
}

/// What came of a piece.
pub(super) fn on(event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let answer = match Answer::of(event, Operation::AndroidDownload) {
        Ok(answer) => answer,
        Err(trouble) => {
            if trouble.kind == "timeout" {
                lane.record.halvings = (lane.record.halvings + 1).min(HALVINGS_MAX);
            }
            return failed(lane, &trouble, ctx);
        }
    };
    let record = &mut lane.record;
    let is_whole = match (answer.status, come(&answer, record)) {
        // Whoever knows no ranges sends all of it.
        (200, _) => true,
        (206, Some((bytes, is_whole))) => {
            record.bytes = bytes;
            is_whole
        }
        // Nothing is left of it behind what has come.
        (416, _) if record.bytes > 0 => true,
        (206, None) => {
            let (range, bytes) = (printable(&answer.range), answer.digested);
            let text = format!("a piece was asked for, and {bytes} bytes came of it as another: {range}");
            return failed(lane, &Trouble::new(Blame::Server, "bad_range", text), ctx);
        }
        _ => return failed(lane, &answer.refusal(Operation::AndroidDownload), ctx),
    };
    record.tries = 0;
    if is_whole {
        (record.item, record.bytes) = (record.item.saturating_add(1), 0);
        record.halvings = record.halvings.saturating_sub(1);
    }
    // What its sister has told it by now is heard before the next.
    let until = ctx.clocks.now + Dur::ms(1);
    Step::to(State::Breathing, Action { what: What::Wait, until, hear: Reasons::TIME | Reasons::ORDER })
}

/// It is tried again from where it was, for as long as it is wanted.
fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    let after = ctx.retry_delay(lane.record.tries.saturating_add(1), u64::from(lane.record.retries) + 1);
    lane.put_off(after, ctx);
    lane.rest(ctx)
}

/// How many bytes have come with this piece, and whether that is all. None if it is not the piece that was asked for: what a
/// server says of it is held against the bytes, or it would be at its end, or never, by words alone.
fn come(answer: &Answer, record: &Record) -> Option<(u64, bool)> {
    let (first, last, total) = range(&answer.range)?;
    let next = last.checked_add(1)?;
    let (bytes, asked) = (next.checked_sub(first)?, piece_bytes(record));
    let is_true = first == record.bytes && bytes == answer.digested && next <= total && total <= WHOLE_MAX;
    let is_asked = bytes == asked || (1..asked).contains(&bytes) && next == total;
    (is_true && is_asked).then_some((next, next == total))
}

/// Bytes of the next piece.
fn piece_bytes(record: &Record) -> u64 {
    PIECE >> record.halvings
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
const PIECE: u64 = 4 << 20;
/// How often a piece is halved that takes too long: down to 64 KiB.
const HALVINGS_MAX: u8 = 6;
/// Bytes of the whole.
const WHOLE_MAX: u64 = 8 << 30;
/// An answer may take so long: whoever knows no ranges sends all of it, and would begin anew for ever.
const WHOLE_LASTS: Dur = Dur::secs(600);

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
