//! The ledger of commands: each one queued is to be delivered to its lane before its deadline, and never again after an
//! accepted answer.
//!
//! It is folded in the shard that owns the lane. What a lane states comes in order; what the administrator states may
//! come at any time between, and the end is the same. An open command costs [`ENTRY_BYTES_MAX`] bytes at most, a closed
//! one 8. At the cap nothing new is opened and the ledger says that it is partial.
//!
//! A command's name on the wire may be one for a whole batch. A copy that went to a lane of the same batch looks like a
//! duplicate there, and like a loss where it belonged; to a lane outside of it, it is misdelivered, and the place that
//! it is missing from is not counted as a second violation.
//!
//! A configuration is a command whose content is all that a lane is to be like. It may come again, after another one or to a
//! lane that enrolls again, and what was queued before it came and had not come itself is lost by nobody.

use crate::fanout::{Fanout, Hop};
use crate::wakes::Wakes;
use droves_facts::{CommandKey, CommandStatus, DeviceState, Dur, Fact, LaneIx, Mono, PhaseIx, PushFate, Truth, What};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;

/// What an open command may cost.
pub const ENTRY_BYTES_MAX: usize = 32;
/// Open commands of one shard at most: 256 MB with their table.
const OPEN_MAX: usize = 4 << 20;
/// Anomalies kept whole.
const ANOMALIES_MAX: usize = 10_000;
/// Moments are kept in steps of 100 µs: 32 bits hold five days.
const STEP_US: u64 = 100;

/// A command of a lane that is not closed yet.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Entry {
    asked: u32,
    queued: u32,
    /// The last hop's moment.
    last: u32,
    /// Seconds after `queued`; 0 is none.
    deadline_s: u16,
    phase: u16,
    flags: u16,
}

const _: () = assert!(size_of::<Key>() + size_of::<Entry>() <= ENTRY_BYTES_MAX);

/// Lane and command without the padding that a 64-bit number would bring.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
struct Key {
    lane: LaneIx,
    command: [u32; 2],
}

impl Key {
    fn new(lane: LaneIx, command: CommandKey) -> Self {
        Key { lane, command: [(command.0 >> 32) as u32, command.0 as u32] }
    }

    fn all_of(lane: LaneIx) -> RangeInclusive<Key> {
        Key { lane, command: [0; 2] }..=Key { lane, command: [u32::MAX; 2] }
    }

    fn command(self) -> CommandKey {
        CommandKey(u64::from(self.command[0]) << 32 | u64::from(self.command[1]))
    }
}

const QUEUED: u16 = 1;
const REFUSED: u16 = 2;
const UNKNOWN: u16 = 4;
const DELIVERED: u16 = 8;
const ANSWERED: u16 = 16;
const ACCEPTED: u16 = 32;
const LATE: u16 = 64;
const MOOT: u16 = 128;
const NOTIFIED: u16 = 256;

/// What is told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Queued, and not delivered before its deadline although its lane could hear.
    Lost,
    /// Delivered again after an accepted answer.
    Duplicated,
    /// Delivered to a lane that it was not queued for.
    Misdelivered,
    /// Delivered after its deadline.
    Late,
    /// The server believes something else of the lane than the lane holds.
    Misstated,
}

/// One violation, whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Anomaly {
    /// What.
    pub kind: Kind,
    /// Whose.
    pub lane: LaneIx,
    /// Which command, by the hash of its name; none where it is about the lane.
    pub command: Option<CommandKey>,
    /// When it was queued, in microseconds of the run, if it was.
    pub queued_us: Option<u64>,
    /// When it was noticed.
    pub at_us: u64,
}

/// The counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdicts {
    /// Not delivered before the deadline.
    pub lost: u64,
    /// Delivered again after an accepted answer.
    pub duplicated: u64,
    /// Delivered to the wrong lane.
    pub misdelivered: u64,
    /// Delivered after the deadline.
    pub late: u64,
    /// The server believes something else.
    pub misstated: u64,
    /// The deadline, if there is one, was not reached at the end of the run.
    pub undecided: u64,
    /// The call that queued it had no answer.
    pub unknown: u64,
    /// Delivered again after NotNow, or after an answer that was not accepted: lawful.
    pub repeated_lawfully: u64,
    /// Pushes that our own full queues lost.
    pub ours: u64,
    /// Commands of somebody else's: neither queued by us nor by a name of ours.
    pub foreign: u64,
    /// Whether something was not looked at: a restart, or more open commands than fit.
    pub partial: bool,
}

impl Verdicts {
    /// Violations of the server's.
    pub fn violations(&self) -> u64 {
        self.lost + self.duplicated + self.misdelivered + self.late + self.misstated
    }
}

/// The fold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// In the order of lanes: those of one lane stand together.
    open: BTreeMap<Key, Entry>,
    /// Hashes of (lane, command) with an accepted answer.
    closed: HashSet<u64>,
    wakes: Wakes,
    /// Names that were queued for some lane.
    ours: HashSet<CommandKey>,
    /// Lanes that went where commands can't reach them, and have had no session since that led them back. A server that was not told of it
    /// takes commands for them all the same.
    gone: HashSet<LaneIx>,
    /// When lanes were told last what they are to be like.
    configured: HashMap<LaneIx, u32>,
    verdicts: Verdicts,
    anomalies: Vec<Anomaly>,
    /// Nobody here queues any: a command is somebody else's, and once it is accepted there is nothing more to learn of it.
    forgets: bool,
}

impl Ledger {
    /// The ledger of a fleet that was enrolled in an earlier run: what was open then is not known.
    pub fn after_restart() -> Self {
        Ledger { verdicts: Verdicts { partial: true, ..Verdicts::default() }, ..Ledger::default() }
    }

    /// The ledger of a run that queues no command. It forgets those of others when they are accepted: a run may last for
    /// days. So it does not notice if such a one comes once more.
    pub fn of_others(self) -> Self {
        Ledger { forgets: true, ..self }
    }

    /// Somebody who folded lanes is gone, and what was open there with them.
    pub fn incomplete(&mut self) {
        self.verdicts.partial = true;
    }

    /// The counts so far; what is open is not judged yet.
    pub fn so_far(&self) -> Verdicts {
        self.verdicts
    }

    /// Commands that are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes a fact in, and records hops in `fanout`.
    pub(crate) fn apply(&mut self, fact: &Fact, fanout: &mut Fanout) {
        let (lane, at) = (fact.lane, fact.at);
        self.wakes.apply(fact);
        match &fact.what {
            What::CommandQueued { command, asked, queued, deadline } => {
                self.queued(lane, *command, fact.phase, *asked, *queued, *deadline, fanout);
            }
            What::CommandRefused { command } => self.told(lane, *command, at, REFUSED),
            What::CommandUnknown { command, .. } => self.told(lane, *command, at, UNKNOWN),
            What::SessionStarted { .. } => {
                self.gone.remove(&lane);
            }
            What::Delivered { command, named: true } => self.delivered(lane, *command, at, fanout),
            What::Configured { command } => self.configured(lane, *command, at, fanout),
            What::Answered { command, .. } => {
                if let Some(entry) = self.open.get_mut(&Key::new(lane, *command)) {
                    if entry.flags & QUEUED != 0 {
                        fanout.reached(phase_of(entry), Hop::Answered, moment(entry.last), at);
                    }
                    entry.flags |= ANSWERED;
                    entry.last = step(at);
                }
            }
            What::Notified { command } => self.notified(lane, *command, at, fanout),
            What::Accepted { command, status } => self.accepted(lane, *command, *status, at, fanout),
            What::Device { to: DeviceState::Enrolling, .. } => {}
            // What was queued for a device before it had enrolled is void too: servers clear the queue at Authenticate.
            What::Unreachable | What::Device { .. } => {
                for (_, entry) in self.open.range_mut(Key::all_of(lane)) {
                    entry.flags |= MOOT;
                }
                // Also who tried to enroll once more, and is as before.
                if !matches!(fact.what, What::Device { to: DeviceState::Enrolled, .. }) {
                    self.gone.insert(lane);
                }
            }
            What::Push(PushFate::DroppedOurs) => self.verdicts.ours += 1,
            What::Believes(Truth::Differs) => {
                self.verdicts.misstated += 1;
                self.note(Kind::Misstated, lane, None, None, at);
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one fact")]
    fn queued(
        &mut self,
        lane: LaneIx,
        command: CommandKey,
        phase: PhaseIx,
        asked: Mono,
        queued: Mono,
        deadline: Mono,
        fanout: &mut Fanout,
    ) {
        self.ours.insert(command);
        fanout.reached(phase, Hop::Queued, Some(asked), queued);
        if self.closed.contains(&hash(lane, command)) {
            return;
        }
        let is_gone = self.gone.contains(&lane);
        let Some(entry) = self.entry(lane, command) else { return };
        entry.flags |= if is_gone { QUEUED | MOOT } else { QUEUED };
        entry.phase = u16::try_from(phase.0).unwrap_or(u16::MAX);
        (entry.asked, entry.queued) = (step(asked), step(queued));
        if !deadline.is_never() {
            let seconds = deadline.since(queued).0.div_ceil(1_000_000);
            entry.deadline_s = u16::try_from(seconds).unwrap_or(u16::MAX).max(1);
        }
        // What the device did before this answer came: its hops are counted now, without samples that go backwards.
        if entry.flags & DELIVERED != 0 {
            let (entry, flags) = (*entry, entry.flags);
            self.wakes.delivered(lane, phase, moment(entry.queued), moment(entry.last).unwrap_or(queued), fanout);
            if flags & ANSWERED != 0 {
                fanout.reached(phase, Hop::Answered, None, queued);
            }
            if flags & NOTIFIED != 0 {
                fanout.reached(phase, Hop::Notified, None, queued);
            }
            if flags & ACCEPTED != 0 {
                fanout.reached(phase, Hop::Accepted, None, queued);
                fanout.reached(phase, Hop::Total, moment(entry.asked), moment(entry.last).unwrap_or(queued));
                self.close(lane, command);
            }
        }
    }

    fn told(&mut self, lane: LaneIx, command: CommandKey, at: Mono, flag: u16) {
        self.ours.insert(command);
        if self.closed.contains(&hash(lane, command)) {
            return;
        }
        if let Some(entry) = self.entry(lane, command) {
            entry.flags |= flag;
            if entry.queued == 0 {
                entry.queued = step(at);
            }
            if entry.flags & ACCEPTED != 0 {
                self.close(lane, command);
            }
        }
    }

    fn delivered(&mut self, lane: LaneIx, command: CommandKey, at: Mono, fanout: &mut Fanout) {
        let is_closed = self.closed.contains(&hash(lane, command));
        let before = self.open.get(&Key::new(lane, command)).copied();
        if is_closed || before.is_some_and(|entry| entry.flags & ACCEPTED != 0) {
            self.verdicts.duplicated += 1;
            self.note(Kind::Duplicated, lane, Some(command), before.and_then(|entry| moment(entry.queued)), at);
            return;
        }
        let Some(entry) = self.entry(lane, command) else { return };
        if entry.flags & DELIVERED != 0 {
            entry.last = step(at);
            self.verdicts.repeated_lawfully += 1;
            return;
        }
        entry.flags |= DELIVERED;
        entry.last = step(at);
        let entry_now = *entry;
        let queued = moment(entry_now.queued);
        if is_past(&entry_now, at) {
            entry.flags |= LATE;
            self.verdicts.late += 1;
            self.note(Kind::Late, lane, Some(command), queued, at);
        }
        if entry_now.flags & QUEUED != 0 {
            self.wakes.delivered(lane, phase_of(&entry_now), queued, at, fanout);
        }
    }

    /// What a lane is to be like has come. That may be what it was like before, and takes the place of what was queued earlier.
    fn configured(&mut self, lane: LaneIx, command: CommandKey, at: Mono, fanout: &mut Fanout) {
        let before = self.open.get(&Key::new(lane, command)).copied();
        if self.closed.contains(&hash(lane, command)) || before.is_some_and(|entry| entry.flags & ACCEPTED != 0) {
            self.verdicts.repeated_lawfully += 1;
        } else {
            self.delivered(lane, command, at, fanout);
        }
        self.configured.insert(lane, step(at));
    }

    /// The server is told of an answer, or, where there was none in time, of that.
    fn notified(&mut self, lane: LaneIx, command: CommandKey, at: Mono, fanout: &mut Fanout) {
        let known = self.open.get_mut(&Key::new(lane, command)).filter(|entry| entry.flags & NOTIFIED == 0);
        let Some(entry) = known else { return };
        if entry.flags & QUEUED != 0 {
            let answered = moment(entry.last).filter(|_| entry.flags & ANSWERED != 0);
            fanout.reached(phase_of(entry), Hop::Notified, answered, at);
        }
        entry.flags |= NOTIFIED;
        entry.last = step(at);
    }

    fn accepted(&mut self, lane: LaneIx, command: CommandKey, status: CommandStatus, at: Mono, fanout: &mut Fanout) {
        let Some(entry) = self.open.get_mut(&Key::new(lane, command)) else { return };
        if status == CommandStatus::NotNow {
            entry.last = step(at);
            return;
        }
        let known = *entry;
        entry.flags |= ACCEPTED;
        entry.last = step(at);
        if known.flags & QUEUED != 0 {
            fanout.reached(phase_of(&known), Hop::Accepted, moment(known.last), at);
            fanout.reached(phase_of(&known), Hop::Total, moment(known.asked), at);
            self.close(lane, command);
        } else if known.flags & (REFUSED | UNKNOWN) != 0 {
            self.close(lane, command);
        } else if self.forgets {
            self.open.remove(&Key::new(lane, command));
            self.verdicts.foreign += 1;
        }
    }

    fn entry(&mut self, lane: LaneIx, command: CommandKey) -> Option<&mut Entry> {
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&Key::new(lane, command)) {
            self.verdicts.partial = true;
            return None;
        }
        Some(self.open.entry(Key::new(lane, command)).or_default())
    }

    /// Whether its lane has been told since it was queued what it is to be like.
    fn is_overtaken(&self, key: &Key, entry: &Entry) -> bool {
        self.configured.get(&key.lane).is_some_and(|at| entry.queued < *at)
    }

    fn close(&mut self, lane: LaneIx, command: CommandKey) {
        if let Some(entry) = self.open.remove(&Key::new(lane, command)) {
            self.verdicts.unknown += u64::from(entry.flags & UNKNOWN != 0);
            self.closed.insert(hash(lane, command));
        }
    }

    fn note(&mut self, kind: Kind, lane: LaneIx, command: Option<CommandKey>, queued: Option<Mono>, at: Mono) {
        if self.anomalies.len() < ANOMALIES_MAX {
            let queued_us = queued.map(|queued| queued.0);
            self.anomalies.push(Anomaly { kind, lane, command, queued_us, at_us: at.0 });
        }
    }

    /// Takes the ledger of other lanes in.
    pub(crate) fn merge(&mut self, other: Ledger) {
        self.open.extend(other.open);
        self.closed.extend(other.closed);
        self.wakes.merge(other.wakes);
        self.ours.extend(other.ours);
        self.gone.extend(other.gone);
        self.configured.extend(other.configured);
        self.anomalies.extend(other.anomalies);
        self.anomalies.truncate(ANOMALIES_MAX);
        let (mine, theirs) = (&mut self.verdicts, other.verdicts);
        mine.lost += theirs.lost;
        mine.duplicated += theirs.duplicated;
        mine.misdelivered += theirs.misdelivered;
        mine.late += theirs.late;
        mine.misstated += theirs.misstated;
        mine.undecided += theirs.undecided;
        mine.unknown += theirs.unknown;
        mine.repeated_lawfully += theirs.repeated_lawfully;
        mine.ours += theirs.ours;
        mine.foreign += theirs.foreign;
        mine.partial |= theirs.partial;
    }

    /// Judges what is open at the end of the run. Gives the counts and every violation that was kept, in order.
    pub fn settle(mut self, now: Mono) -> (Verdicts, Vec<Anomaly>) {
        let open = std::mem::take(&mut self.open);
        // Copies that went astray, by name: as many are missing elsewhere.
        let mut astray: HashMap<CommandKey, u64> = HashMap::new();
        for (key, entry) in &open {
            let (lane, command) = (key.lane, key.command());
            if entry.flags & (QUEUED | REFUSED | UNKNOWN) == 0 && entry.flags & DELIVERED != 0 {
                if self.ours.contains(&command) {
                    *astray.entry(command).or_default() += 1;
                    self.verdicts.misdelivered += 1;
                    self.note(Kind::Misdelivered, lane, Some(command), None, moment(entry.last).unwrap_or(now));
                } else {
                    self.verdicts.foreign += 1;
                }
            }
        }
        for (key, entry) in open {
            let (lane, command) = (key.lane, key.command());
            if entry.flags & UNKNOWN != 0 {
                self.verdicts.unknown += 1;
            } else if entry.flags & QUEUED != 0
                && entry.flags & (DELIVERED | MOOT) == 0
                && !self.is_overtaken(&key, &entry)
            {
                let missing = astray.get_mut(&command).filter(|count| **count > 0);
                if let Some(count) = missing {
                    *count -= 1;
                } else if is_past(&entry, now) {
                    self.verdicts.lost += 1;
                    self.note(Kind::Lost, lane, Some(command), moment(entry.queued), now);
                } else {
                    self.verdicts.undecided += 1;
                }
            }
        }
        self.anomalies.sort_by_key(|anomaly| (anomaly.at_us, anomaly.lane, anomaly.kind));
        (self.verdicts, self.anomalies)
    }
}

fn phase_of(entry: &Entry) -> PhaseIx {
    PhaseIx(u32::from(entry.phase))
}

fn is_past(entry: &Entry, now: Mono) -> bool {
    let limit = moment(entry.queued).map(|queued| queued + Dur::secs(u64::from(entry.deadline_s)));
    entry.flags & QUEUED != 0 && entry.deadline_s > 0 && limit.is_some_and(|limit| now > limit)
}

fn step(at: Mono) -> u32 {
    // 0 stands for "not known".
    u32::try_from(at.0 / STEP_US + 1).unwrap_or(u32::MAX)
}

fn moment(step: u32) -> Option<Mono> {
    step.checked_sub(1).map(|steps| Mono(u64::from(steps) * STEP_US))
}

fn hash(lane: LaneIx, command: CommandKey) -> u64 {
    (command.0 ^ u64::from(lane.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}
