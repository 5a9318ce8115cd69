//! Time, arrivals and pushes: what wakes a lane.

use super::*;

impl<M: Machine> Shard<M> {
    pub(super) fn timer(&mut self, entry: Entry, clocks: Clocks) {
        let lane = LaneIx(entry.key);
        let place = self.place(lane);
        if self.lanes[place].timer != entry.generation {
            return;
        }
        let until = self.lanes[place].until;
        match self.lanes[place].mode {
            Mode::Asleep => self.awake(lane, clocks),
            Mode::Live(at) if until <= clocks.now => {
                let waiting = self.live[at as usize].waiting;
                match waiting {
                    Waiting::Heard => {
                        self.lanes[place].own_until = until;
                        self.hear(lane, clocks);
                    }
                    Waiting::Response { ticket, operation, due } if self.lanes[place].hear.has(Reasons::TIME) => {
                        self.let_go(lane, at, ticket, operation, due);
                    }
                    Waiting::Response { ticket, .. } => {
                        self.effects.push(Effect::Cancel { lane, ticket, kind: "timeout" });
                    }
                    Waiting::Saved { .. } | Waiting::Made { .. } => {
                        let failure = Failure {
                            blame: Blame::Generator,
                            kind: "timeout",
                            reached: droves_device::Reached::Nothing,
                            text: "the generator did not do its own part in time".into(),
                        };
                        self.run(lane, clocks, Event::Failed(failure));
                    }
                    Waiting::LetGo { .. } | Waiting::Nothing => {}
                }
            }
            Mode::Live(_) => self.set_timer(lane, until),
            Mode::Queued | Mode::Ended => {}
        }
    }

    pub(super) fn arrive(&mut self, clocks: Clocks) {
        let mut running = std::mem::take(&mut self.running);
        for phase in &mut running {
            while let Some((due, lane)) = phase.pop(clocks.now) {
                if self.config.cells.shard_of(lane) == self.config.shard {
                    self.arrival(clocks, phase.phase, phase.operation, phase.order, due, lane);
                }
            }
        }
        self.running = running;
    }

    pub(super) fn arrival(
        &mut self,
        clocks: Clocks,
        phase: PhaseIx,
        operation: Operation,
        order: Order,
        due: Mono,
        lane: LaneIx,
    ) {
        let place = self.place(lane);
        let l = &self.lanes[place];
        let busy = matches!(l.mode, Mode::Live(_) | Mode::Queued);
        let same = l.inbox.as_ref().is_some_and(|i| i.arrivals.iter().any(|a| a.operation == operation));
        let full = l.inbox.as_ref().is_some_and(|i| i.notes.len() >= self.config.limits.notes_max);
        let no_room = self.live.len() >= self.config.sessions_max && !matches!(l.mode, Mode::Live(_));
        let policy = self.config.plan.bounds.on_overload;
        let fate = if (l.mode == Mode::Ended && order != Order::Enroll) || full {
            ArrivalFate::Dropped
        } else if same || (policy == Overload::Merge && busy && operation == Operation::CheckIn) {
            ArrivalFate::Merged
        } else if policy == Overload::Drop && no_room {
            ArrivalFate::Dropped
        } else {
            let inbox = self.lanes[place].inbox.get_or_insert_default();
            inbox.arrivals.push(OpenArrival { operation, phase, due, started: None });
            inbox.notes.push(Note { order, cause: due });
            self.latch(lane, clocks, Reasons::ORDER, due);
            return;
        };
        self.say(clocks, phase, lane, Said::Arrival { operation, due, fate });
    }

    /// Takes a push, of one of two reasons: plain or urgent.
    pub(super) fn push(
        &mut self,
        clocks: Clocks,
        lane: LaneIx,
        magic: &str,
        keep_until: Option<Wall>,
        (pushed, reason): (Mono, Reasons),
    ) {
        if lane.0 >= self.config.roster.lanes() || self.config.cells.shard_of(lane) != self.config.shard {
            return;
        }
        let place = self.place(lane);
        let mut out = Out::default();
        let record = match self.lanes[place].mode {
            Mode::Live(at) => self.live[at as usize].machine.record(),
            _ => self.lanes[place].slept.record,
        };
        let known = M::magic(&record, &self.ctx(lane, clocks, pushed, &mut out)).as_deref() == Some(magic);
        let expired = keep_until.is_some_and(|until| until < clocks.wall);
        let latched = self.lanes[place].latched;
        let fate = match (self.lanes[place].mode, known) {
            (Mode::Ended, _) | (_, false) => PushFate::Stale,
            _ if expired => PushFate::Expired,
            _ => {
                let (kept, before) = (keep_until.unwrap_or(Wall(0)), self.lanes[place].push_keep_until);
                let is_first = !latched.has(Reasons::PUSH);
                // Both are heard in one wake, as long as either is worth anything.
                let for_ever = kept == Wall(0) || before == Wall(0) && !is_first;
                self.lanes[place].push_keep_until = match (for_ever, is_first) {
                    (true, _) => Wall(0),
                    (_, true) => kept,
                    _ => kept.max(before),
                };
                if !latched.has(reason) {
                    self.latch(lane, clocks, reason, pushed);
                }
                if is_first {
                    return;
                }
                PushFate::Coalesced
            }
        };
        self.state(clocks, lane, Said::Push(fate));
    }

    /// Keeps a reason until the lane hears it; wakes the lane if it does already.
    pub(super) fn latch(&mut self, lane: LaneIx, clocks: Clocks, reason: Reasons, cause: Mono) {
        let place = self.place(lane);
        let l = &mut self.lanes[place];
        let first = if reason.has(Reasons::PUSH) { &mut l.pushed } else { &mut l.ordered };
        *first = if l.latched.has(reason) { cause.min(*first) } else { cause };
        l.latched = l.latched | reason;
        match l.mode {
            Mode::Ended => {
                // Only an order to enroll is ever latched for a lane that is over.
                l.mode = Mode::Asleep;
                l.hear = Reasons::ORDER;
                self.awake(lane, clocks);
            }
            Mode::Asleep if !l.heard().is_empty() => self.awake(lane, clocks),
            Mode::Live(at) if !l.heard().is_empty() => match self.live[at as usize].waiting {
                Waiting::Heard => self.hear(lane, clocks),
                Waiting::Response { ticket, operation, due } => self.let_go(lane, at, ticket, operation, due),
                _ => {}
            },
            _ => {}
        }
    }

    /// A request hears something: it is let go of, and when the shell has done so, what is latched is heard.
    pub(super) fn let_go(&mut self, lane: LaneIx, at: u32, ticket: Ticket, operation: Operation, due: Mono) {
        self.live[at as usize].waiting = Waiting::LetGo { ticket, operation, due };
        self.effects.push(Effect::Cancel { lane, ticket, kind: "let_go" });
    }

    /// When a sleeping lane wakes: by its own timer, or the lag after what it heard.
    pub(super) fn due(&self, lane: LaneIx) -> Mono {
        let l = &self.lanes[self.place(lane)];
        let heard = l.heard();
        let mut due = l.until;
        if heard.has(Reasons::ORDER) {
            due = due.min(l.ordered.max(l.own_until));
        }
        if heard.has(Reasons::PUSH) {
            due = due.min(l.pushed.max(l.own_until) + l.lag);
        }
        due
    }

    /// Wakes a sleeping lane if it is time, or sets its timer.
    pub(super) fn awake(&mut self, lane: LaneIx, clocks: Clocks) {
        let due = self.due(lane);
        let place = self.place(lane);
        if due > clocks.now {
            self.set_timer(lane, due);
        } else if self.live.len() < self.config.sessions_max {
            self.begin(lane, clocks, due);
        } else {
            self.lanes[place].mode = Mode::Queued;
            self.lanes[place].timer = self.lanes[place].timer.wrapping_add(1);
            self.queue.push_back(lane);
        }
    }

    pub(super) fn begin(&mut self, lane: LaneIx, clocks: Clocks, due: Mono) {
        let place = self.place(lane);
        let l = &mut self.lanes[place];
        let heard = l.heard();
        if !l.latched.without(heard).is_empty() {
            l.own_until = l.until.min(clocks.now);
        }
        let by = match (heard.has(Reasons::PUSH), heard.has(Reasons::ORDER)) {
            (true, _) => Waker::Push,
            (_, true) => Waker::Order,
            _ => Waker::Timer,
        };
        let phase = if by == Waker::Push { self.phase_of_push(lane) } else { self.phase_now() };
        self.tape_opened(lane);
        let machine = M::open(std::mem::take(&mut self.lanes[place].slept));
        // What the lane was late for is ours only from when it slept: before that it was in a session.
        let lag = clocks.now.since(due.max(self.lanes[place].slept_at));
        let at = self.live.insert(Live {
            machine,
            due,
            started: None,
            phase,
            by,
            by_push: false,
            waiting: Waiting::Heard,
            holds: false,
            idle_end: None,
            came: None,
            overdue: 0,
            cause: due,
            adopted: None,
        });
        self.lanes[place].mode = Mode::Live(at as u32);
        self.say(clocks, phase, lane, Said::Lag { lag });
        self.hear(lane, clocks);
    }

    /// Gives a live lane that waits everything that it hears, in one wake.
    pub(super) fn hear(&mut self, lane: LaneIx, clocks: Clocks) {
        let place = self.place(lane);
        let Mode::Live(at) = self.lanes[place].mode else { return };
        let l = &mut self.lanes[place];
        let mut reasons = l.heard();
        l.latched = l.latched.without(reasons);
        let mut push_expired = false;
        if reasons.has(Reasons::PUSH) && l.push_keep_until != Wall(0) && l.push_keep_until < clocks.wall {
            reasons = reasons.without(Reasons::PUSH | Reasons::URGENT);
            push_expired = true;
        }
        if l.until <= clocks.now {
            reasons = reasons | Reasons::TIME;
        }
        let (pushed, ordered) = (l.pushed, l.ordered);
        let notes = match l.inbox.as_mut() {
            Some(inbox) => inbox.notes.extract_if(.., |note| reasons.has(note.order.reason())).collect(),
            None => Vec::new(),
        };
        self.start_arrivals(lane, clocks, at, &notes);
        let live = &mut self.live[at as usize];
        live.waiting = Waiting::Nothing;
        live.cause = match (reasons.has(Reasons::PUSH), reasons.has(Reasons::ORDER)) {
            (true, true) => pushed.min(ordered),
            (true, false) => pushed,
            (false, true) => ordered,
            (false, false) => clocks.now,
        };
        live.by_push |= reasons.has(Reasons::PUSH);
        let (due, phase) = (live.due, live.phase);
        if push_expired {
            self.say(clocks, phase, lane, Said::Push(PushFate::Expired));
        }
        if reasons.has(Reasons::PUSH) {
            self.say(clocks, phase, lane, Said::Woken { pushed });
        }
        self.run(lane, clocks, Event::Wake(Wake { reasons, due, notes: &notes }));
    }

    /// The arrivals that these orders stand for are started.
    pub(super) fn start_arrivals(&mut self, lane: LaneIx, clocks: Clocks, at: u32, notes: &[Note]) {
        if notes.is_empty() {
            return;
        }
        let place = self.place(lane);
        let (late_after, own_until) = (self.config.plan.bounds.lag_max, self.lanes[place].own_until);
        let mut said = Vec::new();
        if let Some(inbox) = self.lanes[place].inbox.as_mut() {
            for arrival in inbox.arrivals.iter_mut().filter(|a| a.started.is_none()) {
                arrival.started = Some(clocks.now);
                arrival.due = arrival.due.max(own_until);
                let late = clocks.now.since(arrival.due) > late_after;
                let fate = if late { ArrivalFate::Late } else { ArrivalFate::OnTime };
                said.push((arrival.phase, Said::Arrival { operation: arrival.operation, due: arrival.due, fate }));
            }
        }
        if let Some(&(phase, _)) = said.first() {
            self.live[at as usize].phase = phase;
        }
        for (phase, what) in said {
            self.say(clocks, phase, lane, what);
        }
    }
}
