//! How sessions, arrivals and lanes end.

use super::*;

impl<M: Machine> Shard<M> {
    /// Folds a live lane back and closes its session.
    pub(super) fn end_session(&mut self, lane: LaneIx, at: u32, clocks: Clocks) {
        self.in_force(lane);
        let place = self.place(lane);
        let live = self.live.remove(at as usize);
        self.lanes[place].mode = Mode::Asleep;
        let mut slept = live.machine.fold();
        slept.shared = self.intern(slept.shared);
        self.lanes[place].slept = slept;
        self.lanes[place].slept_at = clocks.now;
        if let Some(started) = live.started {
            if !live.holds {
                self.say(clocks, live.phase, lane, Said::SessionEnded { due: live.due, started });
            }
            self.effects.push(Effect::Close { lane });
        }
    }

    /// The run is over: says what was due and has not begun. How late it is by now counts as lag, or a shard that starts
    /// nothing more would seem to be on time.
    pub fn leave(&mut self, clocks: Clocks) {
        for lane in std::mem::take(&mut self.queue) {
            let due = self.due(lane).max(self.lanes[self.place(lane)].slept_at);
            self.state(clocks, lane, Said::Lag { lag: clocks.now.since(due) });
        }
        let cells = Arc::clone(&self.config.cells);
        for lane in cells.of_shard(self.config.shard).flat_map(|(_, _, lanes)| lanes).map(LaneIx) {
            let Some(inbox) = self.lanes[cells.place(lane)].inbox.as_mut() else { continue };
            let (begun, waiting) = inbox.arrivals.drain(..).partition(|arrival| arrival.started.is_some());
            inbox.arrivals = begun;
            for OpenArrival { operation, phase, due, .. } in waiting {
                self.say(clocks, phase, lane, Said::Arrival { operation, due, fate: ArrivalFate::Waiting });
            }
        }
    }

    /// A lane falls asleep, and is saved as it is.
    pub(super) fn asleep(&mut self, lane: LaneIx, clocks: Clocks, action: Action) {
        self.rests(lane, clocks, action);
        if self.config.keeps {
            let snapshot = Box::new(self.snapshot(lane));
            self.effects.push(Effect::Save { ticket: None, snapshot });
        }
    }

    /// A lane sleeps from now on.
    pub(super) fn rests(&mut self, lane: LaneIx, clocks: Clocks, action: Action) {
        let place = self.place(lane);
        let l = &mut self.lanes[place];
        l.mode = Mode::Asleep;
        l.lag = if let What::Sleep { lag } = action.what { lag } else { Dur::ZERO };
        l.until = action.until;
        l.hear = action.hear;
        l.slept_at = clocks.now;
        // Not at once, even if it is due: the queue's turn comes first.
        let due = self.due(lane).max(clocks.now);
        self.set_timer(lane, due);
    }

    /// The lane is over, and with the main lane its sisters.
    pub(super) fn end(&mut self, lane: LaneIx, clocks: Clocks) {
        let (device, channel) = self.locate(lane);
        let lanes = if channel == 0 { self.config.roster.lanes_of_device(device) } else { lane.0..lane.0 + 1 };
        for lane in lanes.map(LaneIx) {
            let place = self.place(lane);
            if let Mode::Live(at) = self.lanes[place].mode {
                if let Waiting::Response { ticket, operation, due } | Waiting::LetGo { ticket, operation, due } =
                    self.live[at as usize].waiting
                {
                    let phase = self.live[at as usize].phase;
                    let timing = RequestTiming { due, started: due, sent: due, first_byte: None, ended: clocks.now };
                    // What is held has no better end.
                    let outcome = match operation.info().unit {
                        Unit::Held => Outcome::Succeeded,
                        _ => Outcome::Failed { blame: Blame::Scenario, kind: "device_ended" },
                    };
                    self.say(
                        clocks,
                        phase,
                        lane,
                        Said::RequestEnded { operation, timing, outcome, bytes_out: 0, bytes_in: 0 },
                    );
                    self.effects.push(Effect::Cancel { lane, ticket, kind: "device_ended" });
                }
                self.end_session(lane, at, clocks);
            }
            if self.locate(lane).1 > channel && self.lanes[place].mode != Mode::Ended {
                // It is never asked again, so that it can't say it itself.
                self.state(clocks, lane, Said::Unreachable);
            }
            self.queue.retain(|&queued| queued != lane);
            self.drop_unstarted(lane, clocks);
            let l = &mut self.lanes[place];
            l.mode = Mode::Ended;
            l.hear = Reasons::ORDER;
            l.timer = l.timer.wrapping_add(1);
            if l.latched.has(Reasons::PUSH) {
                self.state(clocks, lane, Said::Push(PushFate::Stale));
            }
            self.lanes[place].latched = Reasons::NONE;
            if self.config.keeps {
                let snapshot = Box::new(self.snapshot(lane));
                self.effects.push(Effect::Save { ticket: None, snapshot });
            }
        }
    }

    /// Orders that a lane which is over can't follow any more. An order to enroll wakes it again; but to a user channel
    /// it came from a device that has ended since.
    pub(super) fn drop_unstarted(&mut self, lane: LaneIx, clocks: Clocks) {
        let is_device = self.locate(lane).1 == 0;
        let place = self.place(lane);
        let Some(inbox) = self.lanes[place].inbox.take() else { return };
        let Inbox { notes, arrivals } = *inbox;
        let enroll = notes.iter().find(|note| is_device && note.order == Order::Enroll).copied();
        for arrival in arrivals {
            let OpenArrival { operation, phase, due, started } = arrival;
            match started {
                _ if operation == Operation::Enroll && started.is_none() => {
                    self.lanes[place].inbox.get_or_insert_default().arrivals.push(arrival);
                }
                None => self.say(clocks, phase, lane, Said::Arrival { operation, due, fate: ArrivalFate::Dropped }),
                Some(started) => {
                    let outcome = Outcome::Failed { blame: Blame::Scenario, kind: "device_ended" };
                    self.say(clocks, phase, lane, Said::OperationEnded { operation, due, started, outcome });
                }
            }
        }
        if let Some(note) = enroll {
            self.orders.push_back((lane, note, None));
        }
    }

    pub(super) fn close_arrivals(&mut self, lane: LaneIx, clocks: Clocks, operation: Operation, outcome: Outcome) {
        let place = self.place(lane);
        let Some(inbox) = self.lanes[place].inbox.as_mut() else { return };
        let mut closed = Vec::new();
        inbox.arrivals.retain(|a| {
            let done = a.operation == operation && a.started.is_some();
            if done {
                closed.push(*a);
            }
            !done
        });
        if inbox.arrivals.is_empty() && inbox.notes.is_empty() {
            self.lanes[place].inbox = None;
        }
        for OpenArrival { operation, phase, due, started } in closed {
            let started = started.unwrap_or(due);
            self.say(clocks, phase, lane, Said::OperationEnded { operation, due, started, outcome });
        }
    }
}
