//! A shard's thread: it gives the shard time, its network, its keys and its store, and folds what it says.

use crate::health;
use crate::inbox::{PushBox, Report, ToShard};
use crate::link::{Desk, News};
use crate::makers::Job;
use crate::session::{Letter, Link, Network, Session};
use crate::store::{self, Keep};
use crate::tape::Taper;
use crate::track::Tracks;
use bytes::Bytes;
use droves_device::Device;
use droves_device::{Body, Clocks, Peer, Request};
use droves_facts::{Dur, Fact, LaneIx, Mono, What};
use droves_fleet::Reader;
use droves_measure::{Fold, Folds};
use droves_net::clock::{Clock, RunClock};
use droves_shard::{Answer, Cells, Effect, Exchange, Input, Known, Shard, Ticket};
use http::HeaderMap;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, Sleep};

/// How often a shard reports.
const REPORT_EVERY: Dur = Dur::ms(250);
/// How long a shard closes what is open, at its end. Somebody who talks to nobody is not waited for.
const CLOSE_MAX: Dur = Dur::secs(2);
/// Messages taken in before time is looked at again: a flood must not hold up timers.
const MESSAGES_MAX: usize = 256;

/// What a shard's thread is made of.
pub(crate) struct Worker {
    pub(crate) shard: Shard<Device>,
    pub(crate) ix: usize,
    pub(crate) clock: RunClock,
    pub(crate) network: Rc<Network>,
    pub(crate) desk: Desk,
    pub(crate) makers: Sender<Job>,
    pub(crate) store: Keep,
    pub(crate) inbox: UnboundedReceiver<ToShard>,
    pub(crate) pushes: Arc<[PushBox]>,
    pub(crate) coordinator: UnboundedSender<News>,
    pub(crate) folds: Folds,
    pub(crate) tracks: Tracks,
    pub(crate) cells: Arc<Cells>,
    /// The fleet as an earlier run left it.
    pub(crate) stored: Option<Reader>,
    /// What its machines do goes on here.
    pub(crate) taper: Option<Taper>,
}

impl Worker {
    /// Runs until it is told to stop.
    pub(crate) async fn run(self) {
        let mut running = Running {
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            alarm_at: Mono::ZERO,
            crowded: false,
            sessions: HashMap::new(),
            links: HashMap::new(),
            effects: Vec::new(),
            facts: Vec::new(),
            played: Vec::new(),
            saved: Vec::new(),
            report_at: Mono::ZERO,
            held: 0,
            dropped: Vec::new(),
            worker: self,
        };
        running.restore();
        while running.turn().await {}
        running.finish().await;
    }
}

struct Running {
    worker: Worker,
    /// Rings when something is due. One for all the run: to set it anew costs less than to make another.
    alarm: Pin<Box<Sleep>>,
    alarm_at: Mono,
    /// Whether there were more messages than are taken in at once.
    crowded: bool,
    sessions: HashMap<LaneIx, Session>,
    links: HashMap<LaneIx, Link>,
    effects: Vec<Effect>,
    facts: Vec<Fact>,
    /// Answers of whoever is played in this process, for the next turn.
    played: Vec<Played>,
    /// What was saved at once, likewise.
    saved: Vec<(LaneIx, Ticket)>,
    report_at: Mono,
    /// Connections that stand.
    held: u64,
    /// What was lost of the fleet on disk, in sentences.
    dropped: Vec<String>,
}

impl Running {
    /// Puts the lanes back as the store has them, one cell after another, so that a large fleet is never there twice.
    fn restore(&mut self) {
        let Some(stored) = self.worker.stored.take() else { return };
        let mut known = Known::<Device>::default();
        let cells: Vec<usize> = self.worker.cells.of_shard(self.worker.ix).map(|(cell, _, _)| cell).collect();
        for cell in cells {
            let lanes = match stored.lanes(cell) {
                Ok((lanes, mut dropped)) => {
                    self.dropped.append(&mut dropped);
                    lanes
                }
                Err(error) => {
                    self.dropped.push(error.to_string());
                    continue;
                }
            };
            let clocks = self.clocks();
            for stored in lanes {
                let lane = stored.lane;
                match self.worker.shard.restore(store::restored(stored), &mut known, clocks) {
                    Ok(Some((generation, topic))) => {
                        // Nobody waits for an answer from another process.
                        let taken = self.worker.desk.register(lane, None, generation, &topic, clocks.wall);
                        if taken == Some(false) {
                            self.dropped.push(format!("lane {lane}: the push service takes its token no more"));
                        }
                    }
                    Ok(None) => {}
                    Err(error) => self.dropped.push(format!("lane {lane}: {error}")),
                }
            }
            self.carry_out(clocks);
        }
    }

    /// Waits for whatever comes first and takes it in. Whether to go on.
    async fn turn(&mut self) -> bool {
        let next = self.worker.shard.next().unwrap_or(Mono::NEVER).min(self.report_at);
        let now = self.worker.clock.now();
        let wait = if self.played.is_empty() && self.saved.is_empty() && !self.crowded {
            Duration::from_micros(next.0.saturating_sub(now.0))
        } else {
            Duration::ZERO
        };
        let mut message = None;
        if wait.is_zero() {
            // Sessions are tasks of this same thread.
            tokio::task::yield_now().await;
        } else {
            if next != std::mem::replace(&mut self.alarm_at, next) {
                self.alarm.as_mut().reset(Instant::now() + wait);
            }
            tokio::select! {
                biased;
                received = self.worker.inbox.recv() => message = received,
                () = self.worker.network.mailbox.rung() => {}
                () = self.alarm.as_mut() => {}
            }
        }
        let began = self.worker.clock.now();
        let mut go_on = true;
        self.crowded = true;
        for _ in 0..MESSAGES_MAX {
            let Some(taken) = message.take().or_else(|| self.worker.inbox.try_recv().ok()) else {
                self.crowded = false;
                break;
            };
            go_on &= self.message(taken);
        }
        let clocks = self.clocks();
        for Played { lane, ticket, status, body } in std::mem::take(&mut self.played) {
            let now = clocks.now;
            let exchange =
                Exchange { started: now, sent: now, first_byte: Some(now), ended: now, bytes_out: 0, bytes_in: 0 };
            let answer = Answer { status, headers: HeaderMap::new(), body, digested: 0 };
            self.worker.shard.step(clocks, Input::Answered { lane, ticket, exchange, answer });
        }
        for (lane, ticket) in std::mem::take(&mut self.saved) {
            self.worker.shard.step(clocks, Input::Saved { lane, ticket });
        }
        for _ in 0..MESSAGES_MAX {
            let Some(letter) = self.worker.network.mailbox.take() else { break };
            self.letter(letter);
        }
        let clocks = self.clocks();
        self.worker.shard.tick(clocks);
        self.carry_out(clocks);
        let now = self.worker.clock.now();
        self.worker.folds.slice(now.since(began));
        if now >= self.report_at {
            self.report(false);
        }
        go_on
    }

    fn clocks(&self) -> Clocks {
        Clocks { now: self.worker.clock.now(), wall: health::wall() }
    }

    fn message(&mut self, message: ToShard) -> bool {
        let clocks = self.clocks();
        let worker = &mut self.worker;
        match message {
            ToShard::Made { lane, ticket, made } => worker.shard.step(clocks, Input::Made { lane, ticket, made }),
            ToShard::Saved { lane, ticket } => worker.shard.step(clocks, Input::Saved { lane, ticket }),
            ToShard::Registered { lane, ticket, taken } => self.played.push(registered(lane, ticket, taken)),
            ToShard::Asked { lane, ticket, status, body } => self.played.push(Played { lane, ticket, status, body }),
            ToShard::Pushes => {
                for push in worker.pushes[worker.ix].take() {
                    let (lane, keep_until, pushed) = (push.lane, push.keep_until, push.received);
                    worker.shard.step(
                        clocks,
                        Input::Push { lane, magic: &push.magic, keep_until, pushed, urgent: push.urgent },
                    );
                }
            }
            ToShard::Fact(fact) => self.facts.push(fact),
            ToShard::Said(fact) => self.facts.push(Fact { phase: worker.shard.phase_of(fact.lane), ..fact }),
            ToShard::Command(phase, command) => worker.tracks.command(phase, command),
            ToShard::PhaseBegins(phase) => {
                worker.tracks.begin(phase);
                worker.network.faults.phase_begins(phase, clocks.now);
                worker.shard.step(clocks, Input::PhaseBegins(phase));
            }
            ToShard::PhaseEnds(phase) => {
                worker.tracks.end(phase);
                worker.network.faults.phase_ends(phase);
                worker.shard.step(clocks, Input::PhaseEnds(phase));
            }
            ToShard::Stop => return false,
        }
        true
    }

    fn letter(&mut self, letter: Letter) {
        let clocks = self.clocks();
        let shard = &mut self.worker.shard;
        match letter {
            Letter::Done { lane, ticket, exchange, result: Ok(answer) } => {
                shard.step(clocks, Input::Answered { lane, ticket, exchange, answer });
            }
            Letter::Done { lane, ticket, exchange, result: Err(failure) } => {
                shard.step(clocks, Input::Failed { lane, ticket, exchange, failure });
            }
            Letter::Opened { lane, opening } => {
                self.held += 1;
                shard.connected(clocks, lane, opening);
            }
            Letter::NotOpened { lane, blame, kind } => {
                shard.state(clocks, lane, What::ConnectionFailed { blame, kind });
            }
            Letter::Closed { lane, closing } => {
                self.held = self.held.saturating_sub(1);
                shard.state(clocks, lane, What::ConnectionClosed(closing));
            }
            Letter::Linked { lane, ticket, exchange, frame } => {
                shard.step(clocks, Input::Linked { lane, ticket, exchange, frame });
            }
            Letter::Frame { lane, frame } => shard.step(clocks, Input::Frame { lane, frame }),
            Letter::LinkLost { lane, failure } => shard.step(clocks, Input::LinkLost { lane, failure }),
            Letter::Signed { lane, took, by } => shard.state(clocks, lane, What::Signed { took, by }),
        }
    }

    /// Does what the shard wants, and folds what it said.
    fn carry_out(&mut self, clocks: Clocks) {
        self.worker.shard.drain(&mut self.effects, &mut self.facts);
        if let Some(taper) = &mut self.worker.taper {
            taper.take(&mut self.worker.shard);
        }
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Request { lane, ticket, request } => self.request(lane, ticket, request, clocks),
                Effect::Open { lane, ticket, link } => {
                    self.links.insert(lane, Link::open(&self.worker.network, lane, ticket, link));
                }
                Effect::Send { lane, bytes } => {
                    if let Some(link) = self.links.get(&lane) {
                        link.send(bytes);
                    }
                }
                Effect::Next { lane } => {
                    if let Some(link) = self.links.get(&lane) {
                        link.next();
                    }
                }
                Effect::Cancel { lane, ticket, kind } => {
                    if let Some(session) = self.sessions.get(&lane) {
                        session.cancel(ticket, kind);
                    }
                    if let Some(link) = self.links.get(&lane) {
                        link.cancel(kind);
                    }
                }
                Effect::Make { lane, ticket, work } => {
                    let key = self.worker.shard.identity(lane).map(|identity| identity.key);
                    let device = self.worker.tracks.device_of(lane);
                    let job = Job { lane, device, ticket, work, key, wall: clocks.wall };
                    // The helper threads outlive the shards.
                    drop(self.worker.makers.send(job));
                }
                Effect::Save { ticket, snapshot } => {
                    self.saved.extend(self.worker.store.save(ticket, *snapshot));
                }
                Effect::Close { lane } => {
                    self.sessions.remove(&lane);
                    self.links.remove(&lane);
                }
            }
        }
        for fact in self.facts.drain(..) {
            self.worker.tracks.take(&fact);
            if let What::Unreachable = &fact.what {
                self.worker.desk.withdraw(fact.lane, clocks.wall);
            }
            self.worker.folds.apply(&fact);
        }
    }

    fn request(&mut self, lane: LaneIx, ticket: Ticket, request: Box<Request>, clocks: Clocks) {
        match request.peer {
            Peer::PushService { generation } => {
                let desk = &self.worker.desk;
                let taken = desk.register(lane, Some(ticket), generation, &request.url, clocks.wall);
                self.played.extend(taken.map(|taken| registered(lane, ticket, taken)));
            }
            Peer::Google => {
                let ask = match request.body {
                    Body::Bytes(ask) => ask,
                    Body::Empty => Bytes::new(),
                };
                let answered = self.worker.desk.ask(lane, ticket, ask);
                self.played.extend(answered.map(|(status, body)| Played { lane, ticket, status, body }));
            }
            Peer::Server => {
                let network = &self.worker.network;
                let session = self.sessions.entry(lane).or_insert_with(|| Session::begin(network, lane));
                session.send(ticket, request);
            }
        }
    }

    fn report(&mut self, is_last: bool) {
        self.report_at = self.worker.clock.now() + REPORT_EVERY;
        self.worker.folds.timers += self.worker.shard.take_timers();
        self.worker.taper.iter_mut().for_each(Taper::hand_in);
        let taped = self.worker.taper.take_if(|_| is_last).map(Taper::finish);
        let report = Report {
            shard: self.worker.ix,
            folds: if is_last { std::mem::take(&mut self.worker.folds) } else { self.worker.folds.take_delta() },
            reached: self.worker.tracks.reached(),
            live: self.worker.shard.live(),
            unfinished: self.worker.shard.unfinished(),
            sessions_open: self.worker.shard.sessions_open(),
            held: self.held,
            enrolled: if is_last {
                self.worker.tracks.enrolled(self.worker.ix, &self.worker.cells)
            } else {
                Vec::new()
            },
            dropped: std::mem::take(&mut self.dropped),
            taped: taped.unwrap_or_default(),
            is_last,
        };
        // Without a coordinator nobody wants it.
        drop(self.worker.coordinator.send(News::Report(Box::new(report))));
    }

    /// Closes what is open, stores the lanes that are awake as they are, and reports for the last time.
    async fn finish(mut self) {
        let clocks = self.clocks();
        self.worker.shard.leave(clocks);
        self.sessions.clear();
        self.links.clear();
        // Each turn lets some of the sessions' tasks go: there may be a hundred thousand.
        let until = self.worker.clock.now() + CLOSE_MAX;
        while self.held > 0 && self.worker.clock.now() < until {
            tokio::task::yield_now().await;
            while let Some(letter) = self.worker.network.mailbox.take() {
                // One that had only just opened is closed now too.
                if matches!(letter, Letter::Opened { .. } | Letter::Closed { .. }) {
                    self.letter(letter);
                }
            }
        }
        let clocks = self.clocks();
        self.carry_out_facts(clocks);
        if self.worker.store.is_kept() {
            for snapshot in self.worker.shard.live_snapshots() {
                // Nobody waits for it.
                self.saved.extend(self.worker.store.save(None, snapshot));
            }
        }
        self.report(true);
    }

    fn carry_out_facts(&mut self, clocks: Clocks) {
        let mut unwanted = Vec::new();
        self.worker.shard.drain(&mut unwanted, &mut self.facts);
        self.carry_out(clocks);
    }
}

/// An answer of whoever is played in this run.
struct Played {
    lane: LaneIx,
    ticket: Ticket,
    status: u16,
    body: Bytes,
}

/// What the push service answers a lane that registers.
fn registered(lane: LaneIx, ticket: Ticket, taken: bool) -> Played {
    Played { lane, ticket, status: if taken { 200 } else { 503 }, body: Bytes::new() }
}
