//! What stands on the other side in virtual time: a server as a queue, and the network between it and the devices.

use droves_facts::{Dice, Dur, Mono, Purpose};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;

/// A server and a network. The default answers at once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Model {
    /// The server.
    pub server: Server,
    /// The way to it.
    pub network: Network,
}

/// A server: workers that take requests from one queue, first come, first served.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Server {
    /// How long a worker is busy with one request.
    pub service: Service,
    /// Requests that are worked on at a time; none: as many as there are.
    pub workers: Option<usize>,
    /// Requests that wait for a worker; one more is answered with 503. None: all of them.
    pub queue: Option<usize>,
    /// Share of the requests, 0..=1, that end in a 500.
    pub failures: f64,
    /// When it is away: connects are refused, and connections that stand are reset.
    pub outage: Option<Range<Mono>>,
}

/// How long something takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Always the same.
    Fixed(Dur),
    /// Drawn from an exponential distribution with this mean: what a server with many kinds of work looks like.
    Exponential(Dur),
}

impl Default for Service {
    fn default() -> Self {
        Service::Fixed(Dur::ZERO)
    }
}

/// The way between devices and server.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Network {
    /// There and back.
    pub round_trip: Dur,
    /// Of one connection, in each direction; none: no bound.
    pub bytes_per_s: Option<u64>,
    /// Share of the connects, 0..=1, that get no answer.
    pub loss: f64,
    /// From the server's push to the device, by way of the push service.
    pub push: Dur,
}

impl Network {
    /// Half a round trip, and the time that these bytes take. `slower`: of two bandwidths the smaller one counts.
    pub(super) fn one_way(&self, bytes: u64, slower: Option<u64>, extra: Dur) -> Dur {
        let rate = [self.bytes_per_s, slower].into_iter().flatten().min();
        let takes = rate.map_or(0, |rate| bytes.saturating_mul(1_000_000) / rate.max(1));
        Dur((self.round_trip + extra).0 / 2 + takes)
    }
}

/// What becomes of a request that has reached the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// It is done then.
    At(Mono),
    /// It is done then, and comes to nothing: 500.
    Fails(Mono),
    /// There is no room for it: 503, at once.
    Full,
}

/// The server's queue as it runs.
#[derive(Debug)]
pub struct Desk {
    server: Server,
    dice: Dice,
    /// When the workers that have something to do are free again.
    free: BinaryHeap<Reverse<Mono>>,
    /// When the requests that wait are begun, in order.
    waiting: VecDeque<Mono>,
    requests: u64,
    busy_max: usize,
}

impl Desk {
    /// A queue that is empty.
    pub fn new(server: Server, dice: Dice) -> Self {
        Desk { server, dice, free: BinaryHeap::new(), waiting: VecDeque::new(), requests: 0, busy_max: 0 }
    }

    /// The server is like this from now on; what it works on goes on.
    pub(super) fn becomes(&mut self, server: Server) {
        self.server = server;
    }

    /// Whether the server is away.
    pub fn is_out(&self, now: Mono) -> bool {
        self.server.outage.as_ref().is_some_and(|outage| outage.contains(&now))
    }

    /// Takes a request in. Requests come in the order of their times.
    pub fn take(&mut self, now: Mono) -> Served {
        self.requests += 1;
        while self.free.peek().is_some_and(|Reverse(at)| *at <= now) {
            self.free.pop();
        }
        while self.waiting.front().is_some_and(|at| *at <= now) {
            self.waiting.pop_front();
        }
        let workers = self.server.workers.unwrap_or(usize::MAX).max(1);
        let begins = if self.free.len() < workers {
            now
        } else if self.server.queue.is_some_and(|room| self.waiting.len() >= room) {
            return Served::Full;
        } else {
            self.free.pop().map_or(now, |Reverse(at)| at)
        };
        if begins > now {
            self.waiting.push_back(begins);
        }
        let mut draw = self.dice.draw(0, Purpose::Model, self.requests << 1);
        let takes = match self.server.service {
            Service::Fixed(takes) => takes,
            Service::Exponential(mean) => mean.scaled(-(1.0 - draw.unit()).ln()),
        };
        let done = begins + takes;
        self.free.push(Reverse(done));
        self.busy_max = self.busy_max.max(self.free.len());
        if self.server.failures > 0.0 && draw.unit() < self.server.failures {
            Served::Fails(done)
        } else {
            Served::At(done)
        }
    }

    /// Most workers that were busy at a time.
    pub fn busy_max(&self) -> usize {
        self.busy_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn desk(server: Server) -> Desk {
        Desk::new(server, Dice::new(7))
    }

    fn done(served: Served) -> Option<Mono> {
        match served {
            Served::At(at) | Served::Fails(at) => Some(at),
            Served::Full => None,
        }
    }

    /// D/D/1 at twice its capacity: the n-th request waits n services less n gaps.
    #[test]
    fn one_worker_at_twice_its_capacity_falls_behind_in_a_straight_line() {
        let server =
            Server { service: Service::Fixed(Dur::ms(10)), workers: Some(1), queue: Some(10), ..Server::default() };
        let mut desk = desk(server);
        let waits: Vec<Option<u64>> = (0..40)
            .map(|n| {
                let now = Mono(n * 5_000);
                done(desk.take(now)).map(|at| at.since(now).0 / 1_000)
            })
            .collect();
        assert_eq!(&waits[..6], [Some(10), Some(15), Some(20), Some(25), Some(30), Some(35)]);
        // Ten wait when the 21st comes: from then on every other one is sent away.
        assert_eq!(waits.iter().take_while(|wait| wait.is_some()).count(), 21);
        assert_eq!(waits[21..].iter().filter(|wait| wait.is_none()).count(), 10);
    }

    /// M/M/c: Erlang's C formula for 8 workers at 80 % (the time in queue is C / (c·μ − λ)).
    #[test]
    fn many_workers_make_wait_what_erlang_says() {
        let (workers, load, mean) = (8_usize, 0.8, Dur::ms(10));
        let server = Server { service: Service::Exponential(mean), workers: Some(workers), ..Server::default() };
        let (mut desk, dice) = (desk(server), Dice::new(11));
        let rate_us = workers as f64 * load / mean.0 as f64;
        let (mut clock, mut waited, n) = (0.0, 0.0, 400_000_u64);
        for k in 0..n {
            clock += -(1.0 - dice.draw(1, Purpose::Arrival, k).unit()).ln() / rate_us;
            let now = Mono(clock as u64);
            waited += done(desk.take(now)).map_or(0.0, |at| at.since(now).0 as f64);
        }
        let in_system = waited / n as f64;
        let a = workers as f64 * load;
        let term = |k: usize| (1..=k).fold(1.0, |product, i| product * a / i as f64);
        let tail = term(workers) / (1.0 - load);
        let erlang_c = tail / ((0..workers).map(term).sum::<f64>() + tail);
        let expected = mean.0 as f64 + erlang_c * mean.0 as f64 / (workers as f64 * (1.0 - load));
        assert!((in_system / expected - 1.0).abs() < 0.03, "{in_system} {expected}");
    }

    #[test]
    fn a_share_fails_and_the_rest_does_not() {
        let mut desk = desk(Server { failures: 0.25, ..Server::default() });
        let fails = (0..10_000).filter(|n| matches!(desk.take(Mono(*n)), Served::Fails(_))).count();
        assert!((2_300..2_700).contains(&fails), "{fails}");
    }

    proptest! {
        /// Whatever comes: none is begun before it is there, no more run at a time than there are workers, and no more
        /// wait than there is room for.
        #[test]
        fn a_desk_keeps_its_bounds(
            gaps in prop::collection::vec(0_u64..30_000, 1..200), workers in 1_usize..6, queue in 0_usize..6,
        ) {
            let takes = Dur::ms(20);
            let server = Server {
                service: Service::Fixed(takes), workers: Some(workers), queue: Some(queue), ..Server::default()
            };
            let mut desk = desk(server);
            let (mut now, mut runs) = (Mono::ZERO, Vec::new());
            for gap in gaps {
                now += Dur(gap);
                if let Some(at) = done(desk.take(now)) {
                    prop_assert!(at >= now + takes);
                    runs.push((now, Mono(at.0 - takes.0), at));
                }
            }
            for &(_, begins, _) in &runs {
                let running = runs.iter().filter(|(_, from, to)| *from <= begins && begins < *to).count();
                prop_assert!(running <= workers);
            }
            for &(came, ..) in &runs {
                let waiting = runs.iter().filter(|(at, begins, _)| *at <= came && came < *begins).count();
                prop_assert!(waiting <= queue);
            }
            prop_assert!(desk.busy_max() <= workers);
        }
    }
}
