//! Lanes, and how far has come what was asked of each. Whoever has a server ask it knows no name of it: a lane's commands and
//! the changes of its policy are known by their order, over all names that its device has had.

use droves_facts::{CommandKey, CommandStatus, LaneIx, What};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// How far each lane has come, and what there is to say of that.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<LaneIx, Lane>,
    /// The last name of each lane's device.
    names: HashMap<LaneIx, Arc<str>>,
    said: Vec<(LaneIx, What)>,
}

/// Counts, each of which only grows. Of changes, each contains those before it.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    commands: u32,
    changes: u32,
    delivered: u32,
    answered: u32,
    notified: u32,
    accepted: u32,
}

/// Whom a notification is about, and what it means for them that it was acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct About {
    pub(crate) lane: LaneIx,
    pub(crate) ends: Ends,
}

/// What comes to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ends {
    Nothing,
    /// The command of this number.
    Command(u32, CommandStatus),
    /// So many changes of the policy.
    Changes(u32),
}

impl About {
    /// About no lane.
    pub(crate) const NOBODY: About = About { lane: LaneIx::NOBODY, ends: Ends::Nothing };
}

const COMMAND: &str = "command";
const POLICY: &str = "policy";

impl Lanes {
    /// A command was issued by a call: its number, from 0.
    pub(crate) fn command(&mut self, lane: LaneIx) -> u32 {
        let Some(of) = self.of(lane) else { return 0 };
        of.commands += 1;
        let number = of.commands - 1;
        self.said.push((lane, What::Called));
        number
    }

    /// The policy of a lane's device was changed by a call.
    pub(crate) fn change(&mut self, lane: LaneIx) {
        if let Some(of) = self.of(lane) {
            of.changes += 1;
            self.said.push((lane, What::Called));
        }
    }

    /// How many changes there were.
    pub(crate) fn changes(&self, lane: LaneIx) -> u32 {
        self.lanes.get(&lane).map_or(0, |of| of.changes)
    }

    /// A lane's device has a new name: what was changed for the one before is void.
    pub(crate) fn enrolled(&mut self, lane: LaneIx, name: Arc<str>) {
        if let Some(of) = self.of(lane) {
            let all = of.changes;
            (of.delivered, of.answered, of.notified, of.accepted) = (all, all, all, all);
            self.names.insert(lane, name);
        }
    }

    /// The name that a lane's device has, or had last.
    pub(crate) fn name(&self, lane: LaneIx) -> Option<&Arc<str>> {
        self.names.get(&lane)
    }

    /// A command was handed out.
    pub(crate) fn delivered(&mut self, lane: LaneIx, command: u32) {
        self.say(lane, COMMAND, command, |command| What::Delivered { command, named: true });
    }

    /// A command was done, or could not be.
    pub(crate) fn answered(&mut self, lane: LaneIx, command: u32, status: CommandStatus) {
        self.say(lane, COMMAND, command, |command| What::Answered { command, status });
    }

    /// A policy was handed out that has so many changes in it.
    pub(crate) fn changes_delivered(&mut self, lane: LaneIx, changes: u32) {
        let news = self.of(lane).map(|of| raise(&mut of.delivered, changes));
        self.say_all(lane, news, |command| What::Delivered { command, named: true });
    }

    /// A policy was applied that has so many changes in it.
    pub(crate) fn changes_answered(&mut self, lane: LaneIx, changes: u32) {
        self.changes_delivered(lane, changes);
        let news = self.of(lane).map(|of| raise(&mut of.answered, changes));
        self.say_all(lane, news, |command| What::Answered { command, status: CommandStatus::Acknowledged });
    }

    /// A notification goes to the server.
    pub(crate) fn notified(&mut self, about: About) {
        let About { lane, ends } = about;
        match ends {
            Ends::Nothing => {}
            Ends::Command(command, _) => self.say(lane, COMMAND, command, |command| What::Notified { command }),
            Ends::Changes(changes) => {
                let news = self.of(lane).map(|of| raise(&mut of.notified, changes));
                self.say_all(lane, news, |command| What::Notified { command });
            }
        }
    }

    /// A notification was acknowledged, perhaps not for the first time.
    pub(crate) fn acknowledged(&mut self, about: About) {
        let About { lane, ends } = about;
        match ends {
            Ends::Nothing => {}
            Ends::Command(command, status) => {
                self.say(lane, COMMAND, command, |command| What::Accepted { command, status });
            }
            Ends::Changes(changes) => {
                let news = self.of(lane).map(|of| raise(&mut of.accepted, changes));
                self.say_all(lane, news, |command| What::Accepted { command, status: CommandStatus::Acknowledged });
            }
        }
    }

    /// What there is to say since this was last asked.
    pub(crate) fn take_said(&mut self) -> Vec<(LaneIx, What)> {
        std::mem::take(&mut self.said)
    }

    fn of(&mut self, lane: LaneIx) -> Option<&mut Lane> {
        (lane != LaneIx::NOBODY).then(|| self.lanes.entry(lane).or_default())
    }

    fn say(&mut self, lane: LaneIx, kind: &str, n: u32, what: impl Fn(CommandKey) -> What) {
        if lane != LaneIx::NOBODY {
            self.said.push((lane, what(CommandKey::by_order(lane, kind, n.into()))));
        }
    }

    fn say_all(&mut self, lane: LaneIx, news: Option<Range<u32>>, what: impl Fn(CommandKey) -> What) {
        news.into_iter().flatten().for_each(|n| self.say(lane, POLICY, n, &what));
    }
}

/// Raises a count: what is new.
fn raise(count: &mut u32, to: u32) -> Range<u32> {
    let news = *count..to.max(*count);
    *count = news.end;
    news
}
