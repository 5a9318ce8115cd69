//! The messages of a subscription: those that wait, and those that are out. Each message is out under an id that is new each
//! time; until it is acknowledged, or its lease is over.

use super::Message;
use super::settings::Settings;
use droves_facts::{Dur, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) ack_id: String,
    pub(crate) message: Arc<Message>,
    /// Its data, if that is written already.
    pub(super) written: Option<Vec<u8>>,
    /// How often it was delivered, with this time; said only where what fails too often is put away.
    pub(crate) attempt: Option<u32>,
    pub(crate) is_first: bool,
    /// Since when it might have gone, as far as the message goes.
    pub(crate) allowed: Wall,
}

/// How much is taken at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// The first message is taken however large it is: it would never go.
    pub(crate) takes_one: bool,
}

/// In the order of publishing: by number of the message in this subscription.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<u64, Waiting>,
    leased: BTreeMap<u64, Leased>,
    /// Ends of leases, with the lease's number.
    ends: BTreeSet<(Wall, u64)>,
    messages: u64,
}

#[derive(Debug)]
struct Waiting {
    message: Arc<Message>,
    attempts: u32,
    not_before: Wall,
}

#[derive(Debug)]
struct Leased {
    number: u64,
    message: Arc<Message>,
    attempts: u32,
    until: Wall,
}

/// What the messages of an answer may have: whatever of it a library takes, it takes one message of the largest.
pub(crate) const ANSWER_BYTES_MAX: usize = 10 << 20;

/// A message that failed too often: where it goes, and how often it was tried.
pub(super) type Dead = (String, Arc<Message>, u32);

impl Room {
    /// For all that there is.
    pub(super) const ALL: Room = Room { messages: usize::MAX, bytes: usize::MAX, takes_one: true };

    /// For an answer of at most so many messages.
    pub(crate) fn of_answer(messages: usize) -> Self {
        Room { messages, bytes: ANSWER_BYTES_MAX, takes_one: true }
    }
}

impl Queue {
    /// Takes a message that may go from then on.
    pub(super) fn put(&mut self, message: Arc<Message>, not_before: Wall) {
        self.messages += 1;
        let waiting = Waiting { message, attempts: 0, not_before };
        self.waiting.insert(self.messages, waiting);
    }

    /// Takes what may go. Leases are numbered on from those of all queues: an id of one is none of another, not even of one
    /// that has come in its place.
    pub(super) fn take(
        &mut self,
        now: Wall,
        room: Room,
        lease: Dur,
        settings: &Settings,
        leases: &mut u64,
    ) -> Vec<Delivery> {
        let due = self.due(now, room, settings);
        due.into_iter()
            .filter_map(|(number, written)| {
                let Waiting { message, attempts, not_before } = self.waiting.remove(&number)?;
                *leases += 1;
                let (attempt, until) = (attempts + 1, now + lease);
                let leased = Leased { number, message: Arc::clone(&message), attempts: attempt, until };
                self.leased.insert(*leases, leased);
                self.ends.insert((until, *leases));
                let ack_id = format!("{}:{leases}", message.id);
                let (is_first, allowed) = (attempts == 0, not_before);
                let attempt = settings.dead_letter.as_ref().map(|_| attempt);
                Some(Delivery { ack_id, message, written, attempt, is_first, allowed })
            })
            .collect()
    }

    /// Numbers of messages that may go, with their data if it had to be written to know its length. Behind one that may not, none of the same ordering key may.
    fn due(&self, now: Wall, room: Room, settings: &Settings) -> Vec<(u64, Option<Vec<u8>>)> {
        let key = |message: &Arc<Message>| {
            Some(message.ordering_key.clone()).filter(|key| settings.ordered && !key.is_empty())
        };
        let mut held: BTreeSet<String> = self.leased.values().filter_map(|leased| key(&leased.message)).collect();
        let (mut due, mut bytes) = (Vec::new(), 0);
        for (number, waiting) in &self.waiting {
            if due.len() == room.messages {
                break;
            }
            let is_free = key(&waiting.message).is_none_or(|key| held.insert(key));
            if is_free && waiting.not_before <= now {
                let (more, written) = if room.bytes == usize::MAX { (0, None) } else { waiting.message.measure() };
                bytes += more;
                if bytes > room.bytes && !(due.is_empty() && room.takes_one) {
                    break;
                }
                due.push((*number, written));
            }
        }
        due
    }

    /// A message is done with: which.
    pub(super) fn acknowledge(&mut self, ack_id: &str) -> Option<Arc<Message>> {
        let lease = lease_of(ack_id)?;
        let leased = self.leased.remove(&lease)?;
        self.ends.remove(&(leased.until, lease));
        Some(leased.message)
    }

    pub(super) fn extend(&mut self, ack_id: &str, until: Wall) {
        if let Some((lease, leased)) = lease_of(ack_id).and_then(|lease| Some((lease, self.leased.get_mut(&lease)?))) {
            self.ends.remove(&(leased.until, lease));
            leased.until = until;
            self.ends.insert((until, lease));
        }
    }

    /// Leases that are over: their messages wait again, or are dead. What was kept too long is gone.
    pub(super) fn settle(&mut self, now: Wall, settings: &Settings, dead: &mut Vec<Dead>) {
        while self.ends.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, lease)) = self.ends.pop_first() else { return };
            let Some(Leased { number, message, attempts, .. }) = self.leased.remove(&lease) else { continue };
            match &settings.dead_letter {
                Some((topic, attempts_max)) if attempts >= *attempts_max => {
                    dead.push((topic.clone(), message, attempts))
                }
                _ => {
                    let not_before = now + settings.backoff(attempts);
                    self.waiting.insert(number, Waiting { message, attempts, not_before });
                }
            }
        }
        let oldest_kept = now - settings.retention;
        while self.waiting.first_key_value().is_some_and(|(_, waiting)| waiting.message.published < oldest_kept) {
            self.waiting.pop_first();
        }
    }

    /// When a lease ends.
    pub(super) fn next_end(&self) -> Option<Wall> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// When a message may go, as far as that is a matter of time.
    pub(super) fn next_due(&self, now: Wall, settings: &Settings) -> Option<Wall> {
        if !self.due(now, Room { messages: 1, ..Room::ALL }, settings).is_empty() {
            return Some(now);
        }
        self.waiting.values().map(|waiting| waiting.not_before).filter(|not_before| *not_before > now).min()
    }

    pub(super) fn is_out(&self, ack_id: &str) -> bool {
        lease_of(ack_id).is_some_and(|lease| self.leased.contains_key(&lease))
    }

    /// How many are out.
    pub(super) fn out(&self) -> usize {
        self.leased.len()
    }
}

fn lease_of(ack_id: &str) -> Option<u64> {
    ack_id.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::lanes::About;
    use super::super::data::{Data, Store};
    use super::*;
    use std::sync::OnceLock;

    fn message(id: &str, ordering_key: &str) -> Arc<Message> {
        message_of(id, ordering_key, 0)
    }

    fn message_of(id: &str, ordering_key: &str, bytes: usize) -> Arc<Message> {
        let (attributes, data) = (BTreeMap::new(), Data::Bytes(vec![0; bytes]));
        Arc::new(Message {
            id: id.to_owned(),
            published: at(0),
            attributes,
            data,
            data_bytes: OnceLock::new(),
            ordering_key: ordering_key.to_owned(),
            about: About::NOBODY,
            _place: Store::default().place(0),
        })
    }

    /// With a place for what fails too often, so that attempts are said.
    fn settings() -> Settings {
        Settings { dead_letter: Some(("t".to_owned(), 100)), ..Settings::default() }
    }

    fn at(secs: i64) -> Wall {
        Wall::from_secs(1_000_000 + secs)
    }

    /// What is delivered at a time: `id/attempt`.
    fn take(queue: &mut Queue, settings: &Settings, secs: i64) -> (String, Vec<Dead>, Vec<String>) {
        let mut dead = Vec::new();
        queue.settle(at(secs), settings, &mut dead);
        let mut leases = secs.unsigned_abs() * 100;
        let taken = queue.take(at(secs), Room::of_answer(10), Dur::secs(10), settings, &mut leases);
        let said = taken
            .iter()
            .map(|of| format!("{}/{}", of.message.id, of.attempt.unwrap_or(0)))
            .collect::<Vec<_>>()
            .join(" ");
        (said, dead, taken.into_iter().map(|of| of.ack_id).collect())
    }

    #[test]
    fn what_is_not_acknowledged_comes_again_under_another_id() {
        let (mut queue, settings) = (Queue::default(), settings());
        queue.put(message("a", ""), at(0));
        queue.put(message("b", ""), at(0));
        let (said, _, first) = take(&mut queue, &settings, 0);
        assert_eq!(said, "a/1 b/1");
        queue.acknowledge(&first[0]);
        assert_eq!(take(&mut queue, &settings, 9).0, "");
        let (said, _, second) = take(&mut queue, &settings, 10);
        assert_eq!(said, "b/2");
        assert_ne!(first[1], second[0]);
        queue.acknowledge(&first[1]);
        queue.extend(&second[0], at(50));
        assert_eq!(take(&mut queue, &settings, 49).0, "", "extended");
        assert_eq!(take(&mut queue, &settings, 50).0, "b/3", "the old id acknowledged nothing");
    }

    #[test]
    fn a_refusal_brings_it_back_at_once_or_after_its_backoff() {
        let mut queue = Queue::default();
        let mut settings = settings();
        queue.put(message("a", ""), at(0));
        let (_, _, ids) = take(&mut queue, &settings, 0);
        queue.extend(&ids[0], at(1));
        let (said, _, ids) = take(&mut queue, &settings, 1);
        assert_eq!(said, "a/2");
        settings.retry = Some((Dur::secs(10), Dur::secs(15)));
        queue.extend(&ids[0], at(2));
        assert_eq!(take(&mut queue, &settings, 2).0, "");
        assert_eq!(take(&mut queue, &settings, 16).0, "", "10 s doubled is 15 at most");
        assert_eq!(take(&mut queue, &settings, 17).0, "a/3");
    }

    #[test]
    fn what_is_taken_at_once_has_room() {
        let mut queue = Queue::default();
        for (id, bytes) in [("a", 9_000), ("b", 3_000), ("c", 3_000), ("d", 3_000)] {
            queue.put(message_of(id, "", bytes), at(0));
        }
        let mut leases = 0;
        let mut take = |messages, takes_one| {
            let room = Room { messages, bytes: 7_000, takes_one };
            let taken = queue.take(at(0), room, Dur::secs(10), &settings(), &mut leases);
            taken.iter().map(|of| of.message.id.clone()).collect::<Vec<_>>().concat()
        };
        assert_eq!(take(9, false), "", "nothing goes before it");
        assert_eq!(take(9, true), "a");
        assert_eq!(take(9, true), "bc");
        assert_eq!(take(0, true), "");
        assert_eq!(take(9, false), "d");
    }

    #[test]
    fn one_key_goes_in_its_order() {
        let mut queue = Queue::default();
        let settings = Settings { ordered: true, ..settings() };
        ["a", "b", "c"]
            .into_iter()
            .for_each(|id| queue.put(message(id, if id == "c" { "other" } else { "key" }), at(0)));
        let (said, _, ids) = take(&mut queue, &settings, 0);
        assert_eq!(said, "a/1 c/1");
        queue.extend(&ids[0], at(1));
        let (said, _, ids) = take(&mut queue, &settings, 1);
        assert_eq!(said, "a/2", "b waits for a");
        queue.acknowledge(&ids[0]);
        assert_eq!(take(&mut queue, &settings, 1).0, "b/1");
    }

    #[test]
    fn what_fails_too_often_is_dead_and_what_is_too_old_is_gone() {
        let mut queue = Queue::default();
        let mut settings = Settings { dead_letter: Some(("t".to_owned(), 2)), ..Settings::default() };
        queue.put(message("a", ""), at(0));
        take(&mut queue, &settings, 0);
        take(&mut queue, &settings, 10);
        let (said, dead, _) = take(&mut queue, &settings, 20);
        assert_eq!((said.as_str(), dead.len(), dead[0].2), ("", 1, 2));
        queue.put(message("b", ""), at(0));
        settings.retention = Dur::secs(600);
        assert_eq!(take(&mut queue, &settings, 601).0, "");
    }
}
