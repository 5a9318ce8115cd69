//! Links that are not HTTP, in virtual time. What is sent over one is answered by the world a round trip later.

use super::{Forecast, Parcel, World};
use crate::{Exchange, Input, Ticket};
use bytes::Bytes;
use droves_device::{Clocks, Failure, Link, Machine, Reached};
use droves_facts::{Blame, Closing, LaneIx, Opening, What};
use std::collections::{BTreeMap, VecDeque};

/// The links of all lanes.
pub(super) type Links = BTreeMap<LaneIx, Held>;

/// A link: being opened, or standing.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Who waits for it to stand.
    opening: Option<Ticket>,
    /// Whether the shard wants a frame.
    wants: bool,
    /// What has come and was not wanted yet.
    came: VecDeque<Bytes>,
}

impl Held {
    pub(super) fn stands(&self) -> bool {
        self.opening.is_none()
    }
}

impl<M: Machine, W: World> Forecast<M, W> {
    pub(super) fn open_link(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, link: Link) {
        self.links.insert(lane, Held { opening: Some(ticket), ..Held::default() });
        let line = self.world.line(clocks, lane);
        let round_trip = self.network.round_trip + line.latency;
        if line.refused || self.desk.is_out(clocks.now) {
            let text = format!("{}: connect refused", link.url).into();
            let failure = Failure { blame: Blame::Network, kind: "connect_refused", reached: Reached::Nothing, text };
            return self.comes(round_trip, Parcel::NotLinked { lane, ticket, failure });
        }
        let began = clocks.now;
        match self.world.link(clocks, lane, &link) {
            Ok(frame) => {
                let connect = round_trip;
                self.comes(connect + round_trip, Parcel::Linked { lane, ticket, began, connect, frame });
            }
            Err(failure) => self.comes(round_trip, Parcel::NotLinked { lane, ticket, failure }),
        }
    }

    /// A link stands, if its lane still waits for it.
    pub(super) fn linked(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, exchange: Exchange, frame: Bytes) {
        let Some(held) = self.links.get_mut(&lane).filter(|held| held.opening == Some(ticket)) else { return };
        held.opening = None;
        let connect = exchange.sent.since(exchange.started);
        let opening = Opening { connect, tls: None, resumed: false, http2: false, shown: None };
        self.shard.connected(clocks, lane, opening);
        self.shard.step(clocks, Input::Linked { lane, ticket, exchange, frame });
    }

    /// A link does not come to stand, and its lane is told if it still waits.
    pub(super) fn not_linked(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, failure: Failure) {
        if self.links.get(&lane).is_none_or(|held| held.opening != Some(ticket)) {
            return;
        }
        self.links.remove(&lane);
        let now = clocks.now;
        let exchange = Exchange { started: now, sent: now, first_byte: None, ended: now, bytes_out: 0, bytes_in: 0 };
        self.shard.state(clocks, lane, What::ConnectionFailed { blame: failure.blame, kind: failure.kind });
        self.shard.step(clocks, Input::Failed { lane, ticket, exchange, failure });
    }

    /// Lets go of a link that is being opened. Whether there was one.
    pub(super) fn cancel_link(&mut self, lane: LaneIx, ticket: Ticket, kind: &'static str) -> bool {
        if self.links.get(&lane).is_none_or(|held| held.opening != Some(ticket)) {
            return false;
        }
        let blame = if kind == "timeout" { Blame::Server } else { Blame::Scenario };
        let text = "the link did not stand in time".into();
        let failure = Failure { blame, kind, reached: Reached::Nothing, text };
        self.comes(droves_facts::Dur::ZERO, Parcel::NotLinked { lane, ticket, failure });
        true
    }

    pub(super) fn send(&mut self, clocks: Clocks, lane: LaneIx, bytes: &Bytes) {
        for frame in self.world.sent(clocks, lane, bytes) {
            self.comes(self.network.round_trip, Parcel::Frame { lane, frame });
        }
    }

    /// The server says something over a lane's link, if there is one.
    pub fn frame(&mut self, lane: LaneIx, frame: Bytes) {
        self.comes(self.network.push, Parcel::Frame { lane, frame });
    }

    pub(super) fn framed(&mut self, clocks: Clocks, lane: LaneIx, frame: Bytes) {
        let Some(held) = self.links.get_mut(&lane).filter(|held| held.stands()) else { return };
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
        if let Some(frame) = held.came.pop_front() {
            held.wants = false;
            self.shard.step(clocks, Input::Frame { lane, frame });
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
