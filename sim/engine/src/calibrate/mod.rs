//! What this machine can offer: measured, kept, and read again by runs and plans.
//!
//! Each kind of work is done by the code that a run does it with, on one thread, against another end on a thread of its
//! own: sessions and handshakes by the shard's own sessions, signatures and SCEP by the same calls, pushes by the emulated
//! push service, timers by the shard's wheel. Costs are processor time of that one thread. Kinds take turns, and the
//! median of the rounds counts, so that a busy neighbour strikes all of them and decides none.

mod alone;
mod file;
mod ground;
mod pushes;
mod wires;

pub use file::{FileError, default_file, here, load, save};

use crate::keys::RingError;
use droves_emulators::push;
use droves_facts::Dur;
use droves_fleet::KeyPoolError;
use droves_measure::{CALIBRATION_VERSION, Calibration, Cost, OFFERS, Offer};
use droves_net::cpu;
use droves_net::listen::BindError;
use droves_net::tls::{TlsError, TrustError};
use droves_wire::apple::scep::ScepError;
use droves_wire::ca::AuthorityError;
use droves_wire::keys::KeyError;
use ground::Ground;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Rounds that count; one more comes before them.
    pub rounds: u32,
    /// How long one kind of work is done in one round.
    pub slice: Dur,
}

impl Extent {
    /// About a minute.
    pub const WHOLE: Extent = Extent { rounds: 7, slice: Dur::ms(600) };
    /// About ten seconds.
    pub const QUICK: Extent = Extent { rounds: 5, slice: Dur::ms(130) };
}

/// What is measured now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Which round; 0 warms up and does not count.
    pub round: u32,
    /// How many rounds count.
    pub rounds: u32,
    /// Which kind of work.
    pub offer: Offer,
}

/// Why a machine can't be calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// A thread, a runtime or a folder.
    #[error("calibrating: {0}")]
    System(#[from] io::Error),
    /// A device's keys.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The folder of keys.
    #[error(transparent)]
    Pool(#[from] KeyPoolError),
    /// A key.
    #[error("calibrating: {0}")]
    Key(#[from] KeyError),
    /// The authority of the other end.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The other end's address.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The push service.
    #[error(transparent)]
    Push(#[from] push::StartError),
    /// SCEP.
    #[error("calibrating: SCEP: {0}")]
    Scep(#[from] ScepError),
    /// Work that came to nothing.
    #[error("calibrating: `{offer}` came to nothing: {why}")]
    Failed {
        /// Which kind.
        offer: &'static str,
        /// Why.
        why: String,
    },
}

/// Measures every kind of work. `measured` is the date to be written in; `tell` is told what comes next; `stop` turning
/// true ends it, and then there is nothing.
///
/// # Errors
/// The other end can't be set up, or work came to nothing. Nothing is sent but over loopback.
pub fn calibrate(
    extent: Extent,
    measured: String,
    stop: &watch::Receiver<bool>,
    mut tell: impl FnMut(Step),
) -> Result<Option<Calibration>, CalibrateError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let taken = LocalSet::new().block_on(&runtime, async {
        let mut ground = Ground::prepare()?;
        rounds(&mut ground, extent, stop, &mut tell).await
    })?;
    Ok(taken.map(|taken| Calibration {
        calibration_version: CALIBRATION_VERSION,
        measured,
        quick: extent == Extent::QUICK,
        machine: here(),
        offers: OFFERS.iter().zip(taken).map(|(row, rounds)| (row.name.to_owned(), cost(rounds))).collect(),
    }))
}

/// What one piece of work cost in one round, in microseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Taken {
    us: f64,
    other_end_us: f64,
}

/// The rounds of each kind of work, in the order of [`OFFERS`]; none if somebody stopped it.
async fn rounds(
    ground: &mut Ground,
    extent: Extent,
    stop: &watch::Receiver<bool>,
    tell: &mut dyn FnMut(Step),
) -> Result<Option<Vec<Vec<Taken>>>, CalibrateError> {
    let mut all = vec![Vec::new(); OFFERS.len()];
    for round in 0..=extent.rounds {
        for (row, rounds) in OFFERS.iter().zip(&mut all) {
            tell(Step { round, rounds: extent.rounds, offer: row.offer });
            let Some(taken) = slice(ground, row.offer, extent.slice.std(), stop).await? else { return Ok(None) };
            if round > 0 {
                rounds.push(taken);
            }
        }
    }
    Ok(Some(all))
}

/// Does one kind of work for so long.
async fn slice(
    ground: &mut Ground,
    offer: Offer,
    length: Duration,
    stop: &watch::Receiver<bool>,
) -> Result<Option<Taken>, CalibrateError> {
    let began = Instant::now();
    let (thread, process) = (cpu::of_thread(), cpu::of_process());
    let mut done = 0;
    while done == 0 || began.elapsed() < length {
        if *stop.borrow() {
            return Ok(None);
        }
        done += ground.batch(offer).await?;
    }
    let here = cpu::of_thread() - thread;
    let there = cpu::of_process() - process - here;
    let each = |time: Dur| time.0 as f64 / done as f64;
    let (own, other) = match offer {
        // They come from outside: what takes them is the generator, on a thread of its own.
        Offer::Push => (there, here),
        // Nobody is at another end; what ran there was left over from the slice before.
        Offer::SignRsa | Offer::SignP256 | Offer::Scep | Offer::Timer => (here, Dur::ZERO),
        _ => (here, there),
    };
    Ok(Some(Taken { us: each(own), other_end_us: each(other) }))
}

fn cost(rounds: Vec<Taken>) -> Cost {
    let sorted = |of: fn(&Taken) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (us, other) = (sorted(|taken| taken.us), sorted(|taken| taken.other_end_us));
    let median = |values: &[f64]| values.get(values.len() / 2).copied().unwrap_or(0.0);
    Cost {
        us: rounded(median(&us)),
        us_min: rounded(us.first().copied().unwrap_or(0.0)),
        us_max: rounded(us.last().copied().unwrap_or(0.0)),
        rounds: u32::try_from(rounds.len()).unwrap_or(u32::MAX),
        other_end_us: rounded(median(&other)),
    }
}

/// To a nanosecond: more would be noise in the file.
fn rounded(us: f64) -> f64 {
    (us * 1e3).round() / 1e3
}

fn failed(offer: Offer, why: impl ToString) -> CalibrateError {
    CalibrateError::Failed { offer: offer.name(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_median_of_the_rounds_counts() {
        let rounds = [9.0, 1.0, 5.0, 3.0, 100.0].map(|us| Taken { us, other_end_us: us * 2.0 });
        let cost = cost(rounds.to_vec());
        assert_eq!((cost.us, cost.us_min, cost.us_max), (5.0, 1.0, 100.0));
        assert_eq!((cost.rounds, cost.other_end_us), (5, 10.0));
    }

    #[test]
    fn every_kind_of_work_is_done_and_costs_something() {
        let (_stop, stopped) = watch::channel(false);
        let mut steps = Vec::new();
        let extent = Extent { rounds: 1, slice: Dur::ms(20) };
        let calibration = calibrate(extent, "now".to_owned(), &stopped, |step| steps.push(step)).unwrap().unwrap();
        assert_eq!(steps.len(), 2 * OFFERS.len());
        let us = |offer| calibration.us(offer);
        for row in OFFERS {
            assert!(us(row.offer) > 0.0, "{} costs nothing", row.name);
        }
        assert!(us(Offer::SignRsa) > us(Offer::SignP256), "{calibration:#?}");
        assert!(us(Offer::SessionP256) > us(Offer::Request), "{calibration:#?}");
        let wires = [Offer::Connect, Offer::Handshake, Offer::Request, Offer::Push];
        assert!(wires.iter().all(|offer| calibration.offers[offer.name()].other_end_us > 0.0), "{calibration:#?}");
    }

    #[test]
    fn who_is_stopped_has_no_calibration() {
        let (stop, stopped) = watch::channel(false);
        let made = calibrate(Extent::QUICK, "now".to_owned(), &stopped, |_| {
            stop.send_replace(true);
        });
        assert!(made.unwrap().is_none());
    }
}
