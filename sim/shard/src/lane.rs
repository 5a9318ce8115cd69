//! A lane as the shard keeps it: asleep in the arena, or live while it talks.

use crate::shell::Ticket;
use bytes::Bytes;
use droves_device::{Failure, Identity, Machine, Note, Order, Reasons, Slept};
use droves_facts::{Blame, Dur, LaneIx, Limits, Mono, Operation, PhaseIx, Waker, Wall, Word};
use std::sync::Arc;

/// A lane in the arena.
#[derive(Debug)]
pub(crate) struct Lane<M: Machine> {
    pub(crate) slept: Slept<M>,
    pub(crate) mode: Mode,
    /// What the last action hears.
    pub(crate) hear: Reasons,
    /// What came and was not heard yet.
    pub(crate) latched: Reasons,
    /// Counted up whenever the timer is set anew: what fires with an older one is void.
    pub(crate) timer: u32,
    /// When waiting ends by itself.
    pub(crate) until: Mono,
    /// How long after a push the lane wakes.
    pub(crate) lag: Dur,
    /// Since when the lane sleeps.
    pub(crate) slept_at: Mono,
    /// Until when the device last took time of its own, in which it did not hear what has come: a wait, or a sleep. Nobody
    /// was late for that before.
    pub(crate) own_until: Mono,
    /// When the latched push came; of several the first.
    pub(crate) pushed: Mono,
    /// When the first latched order was wanted.
    pub(crate) ordered: Mono,
    /// Until when a latched push is worth anything; 0 for ever.
    pub(crate) push_keep_until: Wall,
    /// Orders, and the arrivals that they stand for; most lanes have none.
    pub(crate) inbox: Option<Box<Inbox>>,
}

/// Where a lane is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// In the arena, waiting.
    Asleep,
    /// Awake by right, waiting for room.
    Queued,
    /// Live, at this place of the slab.
    Live(u32),
    /// Over; hears only an order to enroll.
    Ended,
}

/// What waits for a lane.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) notes: Vec<Note>,
    pub(crate) arrivals: Vec<OpenArrival>,
}

impl Inbox {
    /// Takes an order in, if there is room: the error says whose fault it is that there is none. What servers push has room of
    /// its own, in which what was pushed several times is there once when it gets short.
    pub(crate) fn enter(&mut self, note: Note, limits: &Limits) -> Result<(), (Blame, Word, &'static str)> {
        let is_pushed = |note: &Note| note.order.reason() == Reasons::PUSH;
        if is_pushed(&note) && self.notes.iter().filter(|note| is_pushed(note)).count() >= limits.pushed_max {
            let mut seen: Vec<Order> = Vec::new();
            self.notes.retain(|note| {
                let is_first = !seen.contains(&note.order);
                seen.push(note.order);
                is_first || !is_pushed(note)
            });
            if seen.contains(&note.order) {
                return Ok(());
            }
            if self.notes.iter().filter(|note| is_pushed(note)).count() >= limits.pushed_max {
                let text = "a device that is busy has more messages waiting than fit; one was lost";
                return Err((Blame::Server, "too_many_messages", text));
            }
        }
        if self.notes.len() >= limits.notes_max {
            let text = "a lane has more orders waiting than fit; one was lost";
            return Err((Blame::Generator, "notes_overflow", text));
        }
        self.notes.push(note);
        Ok(())
    }
}

/// An arrival of the plan that has not met its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenArrival {
    pub(crate) operation: Operation,
    pub(crate) phase: PhaseIx,
    pub(crate) due: Mono,
    /// When it was begun.
    pub(crate) started: Option<Mono>,
}

impl<M: Machine> Lane<M> {
    /// What it hears now of what is latched. Whoever hears either kind of push hears both that are latched.
    pub(crate) fn heard(&self) -> Reasons {
        let (any, heard) = (Reasons::PUSH | Reasons::URGENT, self.latched.and(self.hear));
        if heard.and(any).is_empty() { heard } else { heard | self.latched.and(any) }
    }

    /// A lane that sleeps, and hears nothing but orders.
    pub(crate) fn asleep(slept: Slept<M>) -> Self {
        Lane {
            slept,
            mode: Mode::Asleep,
            hear: Reasons::ORDER,
            latched: Reasons::NONE,
            timer: 0,
            until: Mono::NEVER,
            lag: Dur::ZERO,
            slept_at: Mono::ZERO,
            own_until: Mono::ZERO,
            pushed: Mono::ZERO,
            ordered: Mono::ZERO,
            push_keep_until: Wall(0),
            inbox: None,
        }
    }
}

/// A lane that talks.
#[derive(Debug)]
pub(crate) struct Live<M> {
    pub(crate) machine: M,
    /// When the session was meant to begin.
    pub(crate) due: Mono,
    /// When its first request was made; none yet if there was none.
    pub(crate) started: Option<Mono>,
    /// The phase that everything in it belongs to.
    pub(crate) phase: PhaseIx,
    /// What woke it.
    pub(crate) by: Waker,
    /// Whether a push has been heard in it, at its beginning or later.
    pub(crate) by_push: bool,
    /// What it waits for.
    pub(crate) waiting: Waiting,
    /// Its link, or what it holds at the server: such a session is no session of messages, and may last for days.
    pub(crate) holds: bool,
    /// The status by which the server ends what it has held for nothing, if that is what is waited for.
    pub(crate) idle_end: Option<u16>,
    /// What has come over its link and was not heard yet: a frame, or the link's loss.
    pub(crate) came: Option<Came>,
    /// Deadlines, twice running, that were not later than now.
    pub(crate) overdue: u8,
    /// The cause that orders to sister lanes inherit.
    pub(crate) cause: Mono,
    /// Another identity of the device, which the disk does not have yet: until then the sister lanes show the old one.
    pub(crate) adopted: Option<Arc<Identity>>,
}

/// What came over a link while its lane was at something else. Before it is heard, nothing more comes.
#[derive(Debug)]
pub(crate) enum Came {
    /// A packet.
    Frame(Bytes),
    /// The end.
    Lost(Failure),
}

/// What a live lane waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiting {
    /// To be given its first event.
    Nothing,
    /// An answer.
    Response { ticket: Ticket, operation: Operation, due: Mono },
    /// The end of a request that was let go of, since something was heard.
    LetGo { ticket: Ticket, operation: Operation, due: Mono },
    /// Time, something heard, or a frame.
    Heard,
    /// The store.
    Saved { ticket: Ticket, since: Mono },
    /// Work with a key.
    Made { ticket: Ticket, since: Mono },
}

/// A lane as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Whose.
    pub lane: LaneIx,
    /// The record, encoded.
    pub record: Vec<u8>,
    /// What the lane has in common with others, encoded. One value for many lanes: the store keeps it once.
    pub shared: Arc<[u8]>,
    /// What is its own, encoded.
    pub own: Option<Box<[u8]>>,
    /// The device's identity, with the snapshot of its main lane.
    pub identity: Option<Arc<Identity>>,
    /// Whether the lane is over.
    pub ended: bool,
}
