//! What measuring costs: samples, merges, memory, the ledger.

use crate::harness::{Ground, Row, begins, clock_ns, in_turns, per_turn_ns};
use droves_facts::{
    CommandKey, CommandStatus, Dur, Fact, LaneIx, Mono, OPERATIONS, Operation, Outcome, PhaseIx, RequestTiming, Unit,
    What,
};
use droves_measure::{Fold, Folds, Second};
use hdrhistogram::Histogram;
use std::hint::black_box;

/// Series of a run: response and service of so many operations.
const OPERATIONS_TIMED: usize = 25;
const SERIES: usize = 2 * OPERATIONS_TIMED;
const SHARDS: usize = 2;

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    begins("samples, merges, the ledger");
    let turns = ground.scale.turns;
    let full = full_folds();
    let bytes = full.series.bytes() * SHARDS;
    let [open, closed] = ledger_bytes(turns.min(3_500_000));
    vec![
        recording(turns, ground.scale.rounds),
        merging(&full, ground.scale.rounds),
        Row::new("histograms of 50 series in 2 shards, to 32 MB", "MB", (bytes as f64 / 1e6, 32.0), 1.0),
        Row::new(
            "what a minute of a run leaves for its curves, to 1 MB",
            "KB",
            ((60 * size_of::<Second>()) as f64 / 1e3, 1_000.0),
            1.0,
        ),
        Row::new("a command that is open in the ledger, to 16 bytes", "B", (open, 16.0), 2.0),
        Row::new("a command that is closed in the ledger, to the bytes of its hash", "B", (closed, 8.0), 1.0),
    ]
}

/// The end of a request, the `n`th of many.
pub(crate) fn request_ended(operation: Operation, n: u32) -> Fact {
    let due = Mono(1_000_000);
    let (sent, ended) = (due + Dur(10), due + Dur(u64::from(n % 5_000) + 20));
    let timing = RequestTiming { due, started: due, sent, first_byte: Some(ended), ended };
    let what = What::RequestEnded { operation, timing, outcome: Outcome::Succeeded, bytes_out: 500, bytes_in: 200 };
    Fact { at: ended, phase: PhaseIx(1), lane: LaneIx(n % 1_000), what }
}

/// One sample of a request's end folded, with the reading of the clock that it needs, against one sample in a plain
/// histogram with the same reading. A request's end is three samples.
fn recording(turns: u32, rounds: usize) -> Row {
    let mut folds = Folds::default();
    let mut histogram: Histogram<u32> = Histogram::new_with_bounds(1, (1 << 20) - 1, 3).unwrap();
    let ours = || {
        let fold = per_turn_ns(turns, |n| folds.apply(black_box(&request_ended(Operation::AppleIdle, n))));
        fold / 3.0 + clock_ns(turns)
    };
    let floor = || {
        let record = per_turn_ns(turns, |n| histogram.saturating_record(black_box(u64::from(n % 5_000) + 20)));
        record + clock_ns(turns)
    };
    Row::new("recording one sample, to a histogram and the clock", "ns", in_turns(rounds, ours, floor), 2.4)
}

/// Folds of a shard with all series at work.
pub(crate) fn full_folds() -> Folds {
    let mut folds = Folds::default();
    let requests = OPERATIONS.iter().filter(|info| info.unit == Unit::Request || info.unit == Unit::Admin);
    let operations: Vec<Operation> = requests.map(|info| info.operation).cycle().take(OPERATIONS_TIMED).collect();
    for operation in operations {
        (0..2_000).for_each(|n| folds.apply(&request_ended(operation, n)));
    }
    folds
}

/// Everything that shards have reported, against as many plain histograms added.
fn merging(full: &Folds, rounds: usize) -> Row {
    const TURNS: u32 = 20;
    let mut shards: Vec<Folds> = Vec::new();
    let ours = || {
        shards.clear();
        shards.extend((0..TURNS as usize * SHARDS).map(|_| full.clone()));
        let mut all = full.clone();
        per_turn_ns(TURNS, |_| (0..SHARDS).for_each(|_| all.merge(shards.pop().unwrap()))) / 1e3
    };
    let mut histogram: Histogram<u32> = Histogram::new_with_bounds(1, (1 << 20) - 1, 3).unwrap();
    (0..2_000_u64).for_each(|n| histogram.saturating_record(n * 7));
    let mut all = histogram.clone();
    let floor = || per_turn_ns(TURNS, |_| (0..SERIES * SHARDS).for_each(|_| all.add(&histogram).unwrap())) / 1e3;
    Row::new("results merged, 50 series of 2 shards, to as many histograms", "us", in_turns(rounds, ours, floor), 2.6)
}

/// What becomes of a command, in three facts.
pub(crate) fn command(n: u32) -> [Fact; 3] {
    let (queued, command) = (Mono(1_000_000 + u64::from(n)), CommandKey(u64::from(n)));
    let fact = |at, what| Fact { at, phase: PhaseIx(1), lane: LaneIx(n), what };
    [
        fact(queued, What::CommandQueued { command, asked: queued, queued, deadline: Mono::NEVER }),
        fact(queued + Dur(500), What::Delivered { command, named: true }),
        fact(queued + Dur(900), What::Accepted { command, status: CommandStatus::Acknowledged }),
    ]
}

/// Live heap of a command while it is open, and of one that is closed. One name stands for a batch of a thousand.
fn ledger_bytes(commands: u32) -> [f64; 2] {
    let facts = |n: u32| {
        command(n).map(|mut fact| {
            let name = CommandKey(u64::from(n / 1_000));
            match &mut fact.what {
                What::CommandQueued { command, .. }
                | What::Delivered { command, .. }
                | What::Accepted { command, .. } => *command = name,
                _ => {}
            }
            fact
        })
    };
    let mut folds = Folds::default();
    let open = allocation_counter::measure(|| (0..commands).for_each(|n| folds.apply(&facts(n)[0])));
    assert_eq!(folds.ledger.open(), commands as usize);
    let close = |n| facts(n)[1..].iter().for_each(|fact| folds.apply(fact));
    let closing = allocation_counter::measure(|| (0..commands).for_each(close));
    // What is left of all when all are closed.
    let closed = open.bytes_current + closing.bytes_current;
    [open.bytes_current, closed].map(|bytes| bytes as f64 / f64::from(commands))
}
