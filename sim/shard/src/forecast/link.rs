//! Links that are not HTTP, in virtual time. What is sent over one is answered by the world a round trip later, and what comes
//! over one comes in its order.

use super::{Forecast, Parcel, World};
use crate::{Exchange, Input, Ticket};
use bytes::Bytes;
use droves_device::{Clocks, Failure, Link, Machine, Reached};
use droves_facts::{Blame, Closing, Dur, LaneIx, Mono, Opening, What};
use std::collections::{BTreeMap, VecDeque};

/// The links of all lanes.
pub(super) type Links = BTreeMap<LaneIx, Held>;

/// A link: being opened, or standing.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By which it was opened: what is on its way over an earlier one of the same lane never comes.
    pub(super) by: Ticket,
    /// Whether it is still being opened.
    opening: bool,
    /// Whether the shard wants a frame.
    wants: bool,
    /// What has come and was not wanted yet; nothing: that it is lost.
    came: VecDeque<Option<Bytes>>,
    /// When what is on its way is there: nothing overtakes it.
    last_at: Mono,
}

impl Held {
    pub(super) fn stands(&self) -> bool {
        !self.opening
    }
}

impl<M: Machine, W: World> Forecast<M, W> {
    pub(super) fn open_link(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, link: Link) {
        self.links.insert(lane, Held { by: ticket, opening: true, ..Held::default() });
        let is_lost = self.loses_connect();
        let line = self.world.line(clocks, lane);
        let round_trip = self.network.round_trip + line.latency;
        if is_lost {
            // The lane lets go of it by itself.
            return;
        }
        if line.refused || self.desk.is_out(clocks.now) {
            let text = format!("{}: connect refused", link.url).into();
            let failure = Failure { blame: Blame::Network, kind: "connect_refused", reached: Reached::Nothing, text };
            return self.comes(round_trip, Parcel::NotLinked { lane, ticket, failure });
        }
        let began = clocks.now;
        match self.world.link(clocks, lane, &link) {
            Ok(frame) => {
                let connect = round_trip;
                let after = connect + round_trip;
                if let Some(held) = self.links.get_mut(&lane) {
                    held.last_at = clocks.now + after;
                }
                self.comes(after, Parcel::Linked { lane, ticket, began, connect, frame });
                if line.reset {
                    self.lose_link(lane);
                }
            }
            Err(failure) => self.comes(round_trip, Parcel::NotLinked { lane, ticket, failure }),
        }
    }

    /// A link stands, if its lane still waits for it.
    pub(super) fn linked(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, exchange: Exchange, frame: Bytes) {
        let Some(held) = self.links.get_mut(&lane).filter(|held| held.opening && held.by == ticket) else { return };
        held.opening = false;
        let connect = exchange.sent.since(exchange.started);
        let opening = Opening { connect, tls: None, resumed: false, http2: false, shown: None };
        self.shard.connected(clocks, lane, opening);
        self.shard.step(clocks, Input::Linked { lane, ticket, exchange, frame });
    }

    /// A link does not come to stand, and its lane is told if it still waits.
    pub(super) fn not_linked(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, failure: Failure) {
        if self.links.get(&lane).is_none_or(|held| !held.opening || held.by != ticket) {
            return;
        }
        self.links.remove(&lane);
        self.world.unlink(lane);
        let now = clocks.now;
        let exchange = Exchange { started: now, sent: now, first_byte: None, ended: now, bytes_out: 0, bytes_in: 0 };
        self.shard.state(clocks, lane, What::ConnectionFailed { blame: failure.blame, kind: failure.kind });
        self.shard.step(clocks, Input::Failed { lane, ticket, exchange, failure });
    }

    /// Lets go of a link that is being opened. Whether there was one.
    pub(super) fn cancel_link(&mut self, lane: LaneIx, ticket: Ticket, kind: &'static str) -> bool {
        if self.links.get(&lane).is_none_or(|held| !held.opening || held.by != ticket) {
            return false;
        }
        let blame = if kind == "timeout" { Blame::Server } else { Blame::Scenario };
        let text = "the link did not stand in time".into();
        let failure = Failure { blame, kind, reached: Reached::Nothing, text };
        self.comes(Dur::ZERO, Parcel::NotLinked { lane, ticket, failure });
        true
    }

    pub(super) fn send(&mut self, clocks: Clocks, lane: LaneIx, bytes: &Bytes) {
        for frame in self.world.sent(clocks, lane, bytes) {
            self.over_link(lane, self.network.round_trip, Some(frame));
        }
    }

    /// The server says something over a lane's link, if there is one.
    pub fn frame(&mut self, lane: LaneIx, frame: Bytes) {
        self.over_link(lane, self.network.push, Some(frame));
    }

    /// A lane's link, if there is one, is lost after what is on its way over it.
    pub(super) fn lose_link(&mut self, lane: LaneIx) {
        self.over_link(lane, Dur::ZERO, None);
    }

    fn over_link(&mut self, lane: LaneIx, after: Dur, frame: Option<Bytes>) {
        let Some(held) = self.links.get_mut(&lane) else { return };
        held.last_at = held.last_at.max(self.now + after);
        let (after, link) = (held.last_at.since(self.now), held.by);
        self.comes(after, Parcel::Frame { lane, link, frame });
    }

    pub(super) fn framed(&mut self, clocks: Clocks, lane: LaneIx, link: Ticket, frame: Option<Bytes>) {
        let Some(held) = self.links.get_mut(&lane).filter(|held| held.stands() && held.by == link) else { return };
        held.came.push_back(frame);
        self.hand_over(clocks, lane);
    }

    pub(super) fn wants(&mut self, clocks: Clocks, lane: LaneIx) {
        if let Some(held) = self.links.get_mut(&lane) {
            held.wants = true;
            self.hand_over(clocks, lane);
        }
    }

    fn hand_over(&mut self, clocks: Clocks, lane: LaneIx) {
        let Some(held) = self.links.get_mut(&lane).filter(|held| held.wants) else { return };
        match held.came.pop_front() {
            Some(Some(frame)) => {
                held.wants = false;
                self.shard.step(clocks, Input::Frame { lane, frame });
            }
            Some(None) => {
                self.links.remove(&lane);
                self.world.unlink(lane);
                self.shard.state(clocks, lane, What::ConnectionClosed(Closing::ByPeer));
                let text = "the peer has ended the link".into();
                let failure = Failure { blame: Blame::Server, kind: "link_ended", reached: Reached::Sent, text };
                self.shard.step(clocks, Input::LinkLost { lane, failure });
            }
            None => {}
        }
    }

    pub(super) fn close_link(&mut self, clocks: Clocks, lane: LaneIx) {
        let held = self.links.remove(&lane);
        if held.is_some() {
            self.world.unlink(lane);
        }
        if held.is_some_and(|held| held.stands()) {
            self.shard.state(clocks, lane, What::ConnectionClosed(Closing::ByUs));
        }
    }
}
