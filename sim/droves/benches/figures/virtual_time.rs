//! What time costs: a timer and the step of a machine, a whole session against a modelled server, both to the timer wheel
//! alone.

use crate::harness::{Ground, Row, medians, thread_s};
use crate::lanes::{self, Giver, HOUR};
use bytes::Bytes;
use droves_device::apple::Apple;
use droves_facts::{Dur, LaneIx, Mono, PhaseIx, Unit};
use droves_measure::{Fold, Folds};
use droves_shard::forecast::Forecast;
use droves_shard::{Entry, Wheel};
use droves_wire::apple::request::{self, Request};

/// What the targets have in nanoseconds: the wheel alone, an event of a shard, a session.
const WHEEL_NS: f64 = 120.0;
const EVENT_NS: f64 = 500.0;
const SESSION_NS: f64 = 10_000.0;

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    let lanes = ground.scale.lanes / 2;
    let mut alone = Alone::new(lanes);
    let mut sleepers = lanes::sleepers(lanes);
    lanes::let_sleep(&mut sleepers, u64::from(lanes));
    let [event, wheel, session] = medians(ground.scale.rounds, || {
        let before = thread_s();
        let fired = lanes::let_sleep(&mut sleepers, u64::from(lanes));
        let event = (thread_s() - before) * 1e9 / fired as f64;
        [event, alone.event_ns(u64::from(lanes)), session_ns(lanes / 20)]
    });
    vec![
        Row::new("a timer fires and a machine steps, to the wheel alone", "ns", (event, wheel), EVENT_NS / WHEEL_NS),
        Row::new("a modelled session of 3 requests, to the wheel alone", "ns", (session, wheel), SESSION_NS / WHEEL_NS),
    ]
}

/// The wheel and a record that each event touches, and nothing else.
struct Alone {
    wheel: Wheel,
    records: Vec<[u64; 12]>,
    fired: Vec<Entry>,
    state: u64,
}

impl Alone {
    fn new(lanes: u32) -> Alone {
        let records = vec![[0; 12]; lanes as usize];
        let mut alone = Alone { wheel: Wheel::default(), records, fired: Vec::new(), state: 1 };
        (0..lanes).for_each(|lane| alone.set(Mono::ZERO, lane));
        alone.event_ns(u64::from(lanes));
        alone
    }

    /// About an hour later: the sum of a line is spread evenly enough (Knuth, MMIX).
    fn set(&mut self, now: Mono, lane: u32) {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.wheel.set(now + Dur((self.state >> 20) % (2 * HOUR.0)), lane, 0);
    }

    fn event_ns(&mut self, events: u64) -> f64 {
        let (before, mut done) = (thread_s(), 0);
        while done < events
            && let Some(now) = self.wheel.next()
        {
            let mut fired = std::mem::take(&mut self.fired);
            self.wheel.fire(now, &mut fired);
            done += fired.len() as u64;
            for entry in fired.drain(..) {
                self.records[entry.key as usize][0] += 1;
                self.set(now, entry.key);
            }
            self.fired = fired;
        }
        (thread_s() - before) * 1e9 / done as f64
    }
}

/// A session in which a phone takes two commands, with everything that is folded of it.
fn session_ns(lanes: u32) -> f64 {
    let mut sessions = Sessions::of(lanes, 1);
    let before = thread_s();
    let (ended, requests) = sessions.play();
    assert_eq!(requests, 3 * ended, "requests of {ended} sessions");
    (thread_s() - before) * 1e9 / ended as f64
}

/// Which command a lane gets with an answer of this number.
type Commands = fn(LaneIx, u32) -> Option<Bytes>;

/// Phones that check in a few times within hours, and take two commands each time.
pub(crate) struct Sessions {
    run: Forecast<Apple, Giver<Commands>>,
    end: Mono,
}

impl Sessions {
    pub(crate) fn of(lanes: u32, hours: u32) -> Sessions {
        let phase = format!("  - check_in: {{ who: all, arrivals: {{ each: {{ every: 1h }} }} }}\n    for: {hours}h\n");
        let shard = lanes::enrolled(lanes, &phase);
        let mut run = lanes::forecast(shard, Giver::new(lanes, two_commands as Commands));
        run.begin(PhaseIx(0));
        Sessions { run, end: Mono::ZERO + Dur(HOUR.0 * u64::from(hours)) }
    }

    /// Plays them; how many sessions ended, and how many requests.
    pub(crate) fn play(&mut self) -> (u64, u64) {
        let mut folds = Folds::default();
        while self.run.clocks().now < self.end {
            let next = self.run.clocks().now + Dur::secs(1);
            self.run.run_until(next.min(self.end), u64::MAX);
            self.run.facts.drain(..).for_each(|fact| folds.apply(&fact));
        }
        (folds.counts.sessions_ended, folds.counts.tries_of(None, Unit::Request).ended())
    }
}

/// Two for each session. The name says which of the lane's it is.
fn two_commands(_: LaneIx, number: u32) -> Option<Bytes> {
    let mut out = Vec::new();
    request::write(&mut out, &number.to_string(), &Request::SecurityInfo);
    (number % 3 < 2).then(|| out.into())
}
