//! What devices offer a server, second by second: requests, connections, pushes, bytes, open sessions, and what the
//! sessions were begun by.

use droves_facts::{Fact, LaneIx, Operation, PhaseIx, PushFate, Unit, Waker, What};
use serde::Serialize;

/// Seconds that are kept: 31 days. What comes later is counted in the last one.
pub const LOAD_SECONDS_MAX: usize = 31 * 86_400;

/// One second of the load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct LoadSecond {
    /// Sessions begun because the plan, or another lane, wanted it.
    pub by_order: u32,
    /// Sessions begun by a push.
    pub by_push: u32,
    /// Sessions that devices began by themselves: retries among them.
    pub by_timer: u32,
    /// Those of `by_timer` whose lane's last request, or connect, had failed.
    pub retries: u32,
    /// Requests of devices, begun.
    pub requests: u32,
    /// Requests of devices, and connects, that failed.
    pub failed: u32,
    /// Connects tried, also those that failed.
    pub connects: u32,
    /// Of these, TLS handshakes done.
    pub handshakes: u32,
    /// Of these, with a certificate of the device's.
    pub shown: u32,
    /// Messages signed.
    pub signed: u32,
    /// Certificates asked for.
    pub issues: u32,
    /// Calls of the administrator, begun.
    pub calls: u32,
    /// Pushes.
    pub pushes: u32,
    /// Most sessions open at a time.
    pub open_max: u32,
    /// The phase that most of the sessions belong to.
    pub phase: PhaseIx,
    /// Bytes of requests and answers, of those that ended.
    pub bytes: u64,
}

impl LoadSecond {
    /// Sessions begun.
    pub fn sessions(&self) -> u32 {
        self.by_order + self.by_push + self.by_timer
    }
}

/// The fold. It takes facts in the order of their times.
#[derive(Clone, Debug, Default)]
pub struct Load {
    seconds: Vec<LoadSecond>,
    open: u32,
    /// A bit a lane: its last request, or connect, failed.
    failing: Vec<u64>,
    /// Sessions of the last second by phase.
    phases: Vec<(PhaseIx, u32)>,
}

impl Load {
    /// Takes a fact in.
    pub fn apply(&mut self, fact: &Fact) {
        match &fact.what {
            What::SessionStarted { by, .. } => self.session(fact, *by),
            What::SessionEnded { .. } => {
                // The seconds up to here had it open.
                self.at(fact);
                self.open = self.open.saturating_sub(1);
            }
            What::RequestStarted { operation } => {
                let at = self.at(fact);
                match operation.info().unit {
                    Unit::Request => at.requests += 1,
                    Unit::Admin => at.calls += 1,
                    _ => {}
                }
                at.issues += u32::from(matches!(operation, Operation::AppleScepIssue | Operation::WindowsScepIssue));
            }
            What::RequestEnded { operation, outcome, bytes_out, bytes_in, .. } => {
                if operation.info().unit != Unit::Request {
                    return;
                }
                let failed = *outcome != droves_facts::Outcome::Succeeded;
                self.fails(fact.lane, failed);
                let at = self.at(fact);
                at.failed += u32::from(failed);
                at.bytes += u64::from(*bytes_out) + u64::from(*bytes_in);
            }
            What::ConnectionOpened(opening) => {
                let at = self.at(fact);
                at.connects += 1;
                at.handshakes += u32::from(opening.tls.is_some());
                at.shown += u32::from(opening.shown.is_some());
            }
            What::ConnectionFailed { .. } => self.at(fact).connects += 1,
            What::Signed { .. } => self.at(fact).signed += 1,
            What::Push(PushFate::Received) => self.at(fact).pushes += 1,
            _ => {}
        }
    }

    /// Every second from the start of the run to the last of which something was said.
    pub fn seconds(&self) -> &[LoadSecond] {
        &self.seconds
    }

    fn session(&mut self, fact: &Fact, by: Waker) {
        let is_retry = by == Waker::Timer && self.is_failing(fact.lane);
        let open = self.open + 1;
        let at = self.at(fact);
        match by {
            Waker::Order => at.by_order += 1,
            Waker::Push => at.by_push += 1,
            Waker::Timer => at.by_timer += 1,
        }
        at.retries += u32::from(is_retry);
        at.open_max = at.open_max.max(open);
        self.open = open;
        match self.phases.iter_mut().find(|(phase, _)| *phase == fact.phase) {
            Some((_, count)) => *count += 1,
            None => self.phases.push((fact.phase, 1)),
        }
        let most = self.phases.iter().max_by_key(|(phase, count)| (*count, std::cmp::Reverse(*phase)));
        let phase = most.map_or(fact.phase, |(phase, _)| *phase);
        self.at(fact).phase = phase;
    }

    /// The second of a fact; those before it that were not there yet have what was open in them.
    fn at(&mut self, fact: &Fact) -> &mut LoadSecond {
        let second = ((fact.at.0 / 1_000_000) as usize).min(LOAD_SECONDS_MAX - 1);
        if second >= self.seconds.len() {
            self.phases.clear();
            let quiet = LoadSecond { open_max: self.open, ..LoadSecond::default() };
            self.seconds.resize(second + 1, quiet);
        }
        &mut self.seconds[second]
    }

    fn fails(&mut self, lane: LaneIx, failed: bool) {
        let (word, bit) = (lane.ix() / 64, lane.0 % 64);
        if failed && word >= self.failing.len() {
            self.failing.resize(word + 1, 0);
        }
        if let Some(word) = self.failing.get_mut(word) {
            *word = *word & !(1 << bit) | u64::from(failed) << bit;
        }
    }

    fn is_failing(&self, lane: LaneIx) -> bool {
        self.failing.get(lane.ix() / 64).is_some_and(|word| word >> (lane.0 % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use droves_facts::{Mono, Outcome, RequestTiming};

    fn fact(ms: u64, lane: u32, what: What) -> Fact {
        Fact { at: Mono(ms * 1_000), phase: PhaseIx(0), lane: LaneIx(lane), what }
    }

    fn started(by: Waker) -> What {
        What::SessionStarted { due: Mono::ZERO, by }
    }

    fn ended(outcome: Outcome) -> What {
        let timing = RequestTiming {
            due: Mono::ZERO,
            started: Mono::ZERO,
            sent: Mono::ZERO,
            first_byte: None,
            ended: Mono::ZERO,
        };
        What::RequestEnded { operation: Operation::AppleIdle, timing, outcome, bytes_out: 100, bytes_in: 20 }
    }

    /// What was open in the last seconds, once the session of lane 3 has ended and nothing more happens.
    fn quiet(load: &mut Load, until_s: u64) -> Vec<u32> {
        load.apply(&fact(4_200, 3, What::SessionEnded { due: Mono::ZERO, started: Mono(4_100_000) }));
        load.apply(&fact(until_s * 1_000, 9, What::RequestStarted { operation: Operation::AdminQueue }));
        load.seconds().iter().skip(6).map(|second| second.open_max).collect()
    }

    #[test]
    fn open_sessions_are_carried_over_quiet_seconds() {
        let mut load = Load::default();
        load.apply(&fact(100, 1, started(Waker::Order)));
        load.apply(&fact(200, 2, started(Waker::Push)));
        load.apply(&fact(3_100, 1, What::SessionEnded { due: Mono::ZERO, started: Mono(100_000) }));
        load.apply(&fact(4_100, 3, started(Waker::Timer)));
        let open: Vec<u32> = load.seconds().iter().map(|second| second.open_max).collect();
        assert_eq!(open, [2, 2, 2, 2, 2]);
        assert_eq!(quiet(&mut load, 9), [1, 1, 1, 1], "all but lane 2's have ended");
        assert_eq!(load.seconds()[4].retries, 0, "nothing of lane 3 had failed");
    }

    #[test]
    fn a_session_by_itself_after_a_failure_is_a_retry() {
        let mut load = Load::default();
        let refused = Outcome::Failed { blame: droves_facts::Blame::Network, kind: "connect_refused" };
        for (ms, lane, what) in [
            (0, 7, started(Waker::Order)),
            (1, 7, ended(refused)),
            (2, 7, What::SessionEnded { due: Mono::ZERO, started: Mono::ZERO }),
            (5_000, 7, started(Waker::Timer)),
            (5_001, 7, ended(Outcome::Succeeded)),
            (5_002, 7, What::SessionEnded { due: Mono::ZERO, started: Mono::ZERO }),
            (9_000, 7, started(Waker::Timer)),
        ] {
            load.apply(&fact(ms, lane, what));
        }
        let retries: Vec<u32> = load.seconds().iter().map(|second| second.retries).collect();
        assert_eq!(retries, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(load.seconds()[0].failed, 1);
        assert_eq!(load.seconds()[5].bytes, 120);
    }
}
