//! What comes back from the shell, and the machine's turn.

use super::*;
use droves_device::HELD_MIN;
use droves_device::tape::Heard;
use droves_wire::android::mqtt;

impl<M: Machine> Shard<M> {
    pub(super) fn answered(
        &mut self,
        clocks: Clocks,
        lane: LaneIx,
        ticket: Ticket,
        exchange: Exchange,
        answer: Answer,
    ) {
        let Answer { status, headers, body, digested } = answer;
        let outcome = match status {
            200..400 => Outcome::Succeeded,
            // Held for nothing.
            _ if self.live_of(lane).is_some_and(|live| live.idle_end == Some(status))
                && exchange.ended.since(exchange.sent) >= HELD_MIN =>
            {
                Outcome::Succeeded
            }
            _ => Outcome::Failed { blame: Blame::Server, kind: status_kind(status) },
        };
        if self.take_response(lane, ticket, clocks, exchange, outcome) {
            self.run(lane, clocks, Event::Response(Response { status, headers: &headers, body, digested }));
        }
    }

    pub(super) fn failed(
        &mut self,
        clocks: Clocks,
        lane: LaneIx,
        ticket: Ticket,
        exchange: Exchange,
        failure: Failure,
    ) {
        let mut outcome = Outcome::Failed { blame: failure.blame, kind: failure.kind };
        let let_go = self.live_of(lane).is_some_and(|live| matches!(live.waiting, Waiting::LetGo { .. }));
        if let_go && self.holds_at_server(lane) {
            outcome = Outcome::Succeeded;
        }
        if !self.take_response(lane, ticket, clocks, exchange, outcome) {
            return;
        }
        if let_go {
            self.hear(lane, clocks);
        } else {
            self.run(lane, clocks, Event::Failed(failure));
        }
    }

    /// Whether what the lane waits for is held by the server: its end by us is a good one.
    fn holds_at_server(&self, lane: LaneIx) -> bool {
        let waiting = self.live_of(lane).map(|live| live.waiting);
        let Some(Waiting::Response { operation, .. } | Waiting::LetGo { operation, .. }) = waiting else {
            return false;
        };
        operation.info().unit == Unit::Held
    }

    /// A link stands.
    pub(super) fn linked(
        &mut self,
        clocks: Clocks,
        lane: LaneIx,
        ticket: Ticket,
        exchange: Exchange,
        frame: bytes::Bytes,
    ) {
        let refused = |kind| Outcome::Failed { blame: Blame::Server, kind };
        let outcome = match mqtt::Packet::read(&frame) {
            Ok(mqtt::Packet::ConnAck { code: 0, .. }) => Outcome::Succeeded,
            Ok(mqtt::Packet::ConnAck { .. }) => refused("link_refused"),
            _ => refused("bad_frame"),
        };
        if self.take_response(lane, ticket, clocks, exchange, outcome) {
            self.effects.push(Effect::Next { lane });
            self.run(lane, clocks, Event::Frame(frame));
        }
    }

    /// Something has come over a link: it is heard at once where the lane waits for that, and else when it does.
    pub(super) fn came(&mut self, clocks: Clocks, lane: LaneIx, came: Came) {
        let Mode::Live(at) = self.lanes[self.place(lane)].mode else { return };
        let live = &mut self.live[at as usize];
        live.came = Some(came);
        if live.waiting == Waiting::Heard {
            self.take_came(lane, at, clocks);
        }
    }

    /// Hands over what has come over the lane's link, if something has and the lane hears it. Whether it did.
    fn take_came(&mut self, lane: LaneIx, at: u32, clocks: Clocks) -> bool {
        if !self.lanes[self.place(lane)].hear.has(Reasons::LINK) {
            return false;
        }
        let live = &mut self.live[at as usize];
        let Some(came) = live.came.take() else { return false };
        live.waiting = Waiting::Nothing;
        match came {
            Came::Frame(frame) => {
                self.effects.push(Effect::Next { lane });
                self.run(lane, clocks, Event::Frame(frame));
            }
            Came::Lost(failure) => self.run(lane, clocks, Event::Failed(failure)),
        }
        true
    }

    /// Whether the lane waits for this answer; if so, states how the request ended.
    pub(super) fn take_response(
        &mut self,
        lane: LaneIx,
        ticket: Ticket,
        clocks: Clocks,
        exchange: Exchange,
        outcome: Outcome,
    ) -> bool {
        let Some(live) = self.live_of(lane) else { return false };
        let (Waiting::Response { ticket: waited, operation, due } | Waiting::LetGo { ticket: waited, operation, due }) =
            live.waiting
        else {
            return false;
        };
        if waited != ticket {
            return false;
        }
        let phase = live.phase;
        let Exchange { started, sent, first_byte, ended, bytes_out, bytes_in } = exchange;
        let timing = RequestTiming { due, started, sent, first_byte, ended };
        self.say(clocks, phase, lane, Said::RequestEnded { operation, timing, outcome, bytes_out, bytes_in });
        true
    }

    pub(super) fn made(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket, made: Result<Made, Failure>) {
        let Some(live) = self.live_of(lane) else { return };
        let Waiting::Made { ticket: waited, since } = live.waiting else { return };
        if waited != ticket {
            return;
        }
        let phase = live.phase;
        self.say(clocks, phase, lane, Said::Made { took: clocks.now.since(since) });
        match made {
            Ok(made) => self.run(lane, clocks, Event::Made(made)),
            Err(failure) => self.run(lane, clocks, Event::Failed(failure)),
        }
    }

    pub(super) fn saved(&mut self, clocks: Clocks, lane: LaneIx, ticket: Ticket) {
        let Some(live) = self.live_of(lane) else { return };
        let Waiting::Saved { ticket: waited, since } = live.waiting else { return };
        if waited != ticket {
            return;
        }
        let phase = live.phase;
        self.say(clocks, phase, lane, Said::Saved { took: clocks.now.since(since) });
        self.in_force(lane);
        self.run(lane, clocks, Event::Saved);
    }

    /// The identity that a lane has adopted is its device's from now on.
    pub(super) fn in_force(&mut self, lane: LaneIx) {
        let Mode::Live(at) = self.lanes[self.place(lane)].mode else { return };
        if let Some(identity) = self.live[at as usize].adopted.take() {
            let (device, _) = self.locate(lane);
            self.device_mut(lane, device).identity = Some(identity);
        }
    }

    pub(super) fn run(&mut self, lane: LaneIx, clocks: Clocks, event: Event<'_>) {
        let place = self.place(lane);
        let Mode::Live(at) = self.lanes[place].mode else { return };
        if !matches!(event, Event::Wake(_)) {
            // What comes of an answer is due from the answer on, however long that took.
            self.live[at as usize].cause = clocks.now;
        }
        let live = &self.live[at as usize];
        let (phase, cause, adopted) = (live.phase, live.cause, live.adopted.clone());
        let mut out = Out::default();
        let (device, channel) = self.locate(lane);
        let cell = self.config.cells.cell_of(lane);
        let device_slot = &self.devices[self.config.cells.device_place(cell, device)];
        let mut ctx = Ctx {
            clocks,
            dice: self.dice,
            limits: &self.config.limits,
            lane,
            device,
            channel,
            character: &self.config.characters[usize::from(device_slot.character)],
            identity: adopted.as_ref().or(device_slot.identity.as_ref()),
            cause,
            tokens: &self.config.tokens,
            out: &mut out,
        };
        let heard = self.tape.as_ref().map(|_| Heard::of(&event));
        let machine = &mut self.live[at as usize].machine;
        let action = machine.on(event, &mut ctx);
        if let (Some(tape), Some(heard)) = (&mut self.tape, heard) {
            tape.step((lane, clocks, cause), heard, (&action, &out, machine));
        }
        let Out { facts, orders, ended, identity } = out;
        for what in facts {
            self.say(clocks, phase, lane, what);
        }
        for (operation, outcome) in ended {
            self.close_arrivals(lane, clocks, operation, outcome);
        }
        if let Some(identity) = identity {
            if identity.is_none() {
                self.device_mut(lane, device).identity = None;
            }
            self.live[at as usize].adopted = identity;
        }
        for (channel, note) in orders {
            if let Some(sister) = self.config.roster.lane(device, u32::from(channel)) {
                let shared = note.order.shares().then(|| self.live[at as usize].machine.sister());
                self.orders.push_back((sister, note, shared));
            }
        }
        self.act(lane, at, clocks, action);
    }

    pub(super) fn act(&mut self, lane: LaneIx, at: u32, clocks: Clocks, action: Action) {
        let place = self.place(lane);
        match action.what {
            What::Sleep { .. } => {
                self.end_session(lane, at, clocks);
                self.asleep(lane, clocks, action);
                return;
            }
            What::End(_) => {
                self.end_session(lane, at, clocks);
                self.end(lane, clocks);
                return;
            }
            _ => {}
        }
        let until = self.checked_deadline(lane, at, clocks, action.until);
        self.lanes[place].hear = action.hear;
        self.lanes[place].until = until;
        self.set_timer(lane, until);
        self.ticket = self.ticket.wrapping_add(1);
        let ticket = self.ticket;
        match action.what {
            What::Request(request) => {
                let live = &mut self.live[at as usize];
                live.holds |= request.operation.info().unit == Unit::Held;
                live.idle_end = request.idle_end;
                self.asks(lane, at, clocks, ticket, request.operation);
                self.effects.push(Effect::Request { lane, ticket, request });
                self.lets_go(lane, at);
            }
            What::Open(link) => {
                self.live[at as usize].holds = true;
                self.asks(lane, at, clocks, ticket, link.operation);
                self.effects.push(Effect::Open { lane, ticket, link });
                self.lets_go(lane, at);
            }
            What::Send(bytes) => {
                self.effects.push(Effect::Send { lane, bytes });
                self.waits(lane, at, clocks);
            }
            What::Make(work) => {
                self.live[at as usize].waiting = Waiting::Made { ticket, since: clocks.now };
                self.effects.push(Effect::Make { lane, ticket, work });
            }
            What::Save => {
                self.live[at as usize].waiting = Waiting::Saved { ticket, since: clocks.now };
                let snapshot = Box::new(self.snapshot(lane));
                self.effects.push(Effect::Save { ticket: Some(ticket), snapshot });
            }
            What::Wait => self.waits(lane, at, clocks),
            What::Sleep { .. } | What::End(_) => {}
        }
    }

    /// The lane waits for time, for something heard, or for a frame.
    fn waits(&mut self, lane: LaneIx, at: u32, clocks: Clocks) {
        self.live[at as usize].waiting = Waiting::Heard;
        if !self.take_came(lane, at, clocks) && self.has_heard(lane) {
            self.hear(lane, clocks);
        }
    }

    /// Whether something is latched that the lane hears.
    fn has_heard(&self, lane: LaneIx) -> bool {
        let l = &self.lanes[self.place(lane)];
        !l.heard().is_empty()
    }

    /// A request that hears what is latched already is let go of at once.
    fn lets_go(&mut self, lane: LaneIx, at: u32) {
        if self.has_heard(lane)
            && let Waiting::Response { ticket, operation, due } = self.live[at as usize].waiting
        {
            self.let_go(lane, at, ticket, operation, due);
        }
    }

    /// A request begins, or a link. The first of a session begins it.
    fn asks(&mut self, lane: LaneIx, at: u32, clocks: Clocks, ticket: Ticket, operation: Operation) {
        let own_until = self.lanes[self.place(lane)].own_until;
        let live = &mut self.live[at as usize];
        let due = if live.started.is_none() { live.due.max(own_until) } else { clocks.now };
        live.waiting = Waiting::Response { ticket, operation, due };
        let phase = live.phase;
        if live.started.is_none() {
            live.started = Some(clocks.now);
            let by = live.by;
            if !live.holds {
                self.say(clocks, phase, lane, Said::SessionStarted { due, by });
            }
        }
        self.say(clocks, phase, lane, Said::RequestStarted { operation });
    }

    /// A deadline that is not later than now, twice running, is the machine's fault: it would spin.
    pub(super) fn checked_deadline(&mut self, lane: LaneIx, at: u32, clocks: Clocks, until: Mono) -> Mono {
        let live = &mut self.live[at as usize];
        if until > clocks.now {
            live.overdue = 0;
            return until;
        }
        live.overdue += 1;
        if live.overdue < 2 {
            return until;
        }
        let phase = live.phase;
        let text = "a machine asked twice running to be woken in the past; held back for a second".into();
        self.say(clocks, phase, lane, Said::Complaint { blame: Blame::Generator, kind: "machine_deadline", text });
        clocks.now + Dur::secs(1)
    }
}
