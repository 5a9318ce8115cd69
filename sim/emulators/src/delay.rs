//! How long something takes that nobody computes here: a draw from a distribution.

use droves_facts::{Dur, Philox};
use rand_distr::{Distribution, LogNormal};

/// A distribution of lengths of time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Delay {
    /// At once.
    #[default]
    None,
    /// Always the same.
    Fixed(Dur),
    /// Anything between the two, evenly.
    Uniform {
        /// The shortest.
        from: Dur,
        /// The longest.
        to: Dur,
    },
    /// Long-tailed, as networks are.
    LogNormal {
        /// Half of the draws are below.
        median: Dur,
        /// The standard deviation of the logarithm; what is no number or negative counts as 0.
        sigma: f64,
        /// Longer draws are cut to this.
        max: Dur,
    },
}

impl Delay {
    /// One draw.
    pub fn draw(self, rng: &mut Philox) -> Dur {
        match self {
            Delay::None => Dur::ZERO,
            Delay::Fixed(dur) => dur,
            Delay::Uniform { from, to } => from + Dur::us(rng.below((to - from).0.saturating_add(1))),
            Delay::LogNormal { median, sigma, max } => match LogNormal::new(0.0, sigma.max(0.0)) {
                Ok(factor) => median.scaled(factor.sample(rng)).min(max),
                Err(_) => median.min(max),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use droves_facts::{Dice, Purpose};

    #[test]
    fn draws_keep_their_distribution() {
        let draws = |delay: Delay| {
            let draw = |n| delay.draw(&mut Dice::new(3).draw(0, Purpose::PushDelay, n));
            let mut draws: Vec<Dur> = (0..10_000).map(draw).collect();
            draws.sort();
            draws
        };
        let even = draws(Delay::Uniform { from: Dur::ms(20), to: Dur::ms(120) });
        assert!(even[0] >= Dur::ms(20) && even[9_999] <= Dur::ms(120));
        assert!((Dur::ms(65)..Dur::ms(75)).contains(&even[5_000]), "{}", even[5_000]);
        let long = draws(Delay::LogNormal { median: Dur::ms(300), sigma: 0.8, max: Dur::secs(4) });
        assert!((Dur::ms(280)..Dur::ms(320)).contains(&long[5_000]), "{}", long[5_000]);
        assert_eq!(long[9_999], Dur::secs(4));
        assert_eq!(draws(Delay::LogNormal { median: Dur::ms(3), sigma: f64::NAN, max: Dur::secs(4) })[9], Dur::ms(3));
    }
}
