//! How many are too many: so many in a row, refilled evenly over a time.

use droves_facts::{Dur, Mono};

/// So many notifications in a row, refilled evenly over a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Notifications in a row.
    pub pushes: u32,
    /// The time that refills them all.
    pub per: Dur,
}

/// What is left of a rate, for each of those whom it limits.
#[derive(Debug)]
pub(crate) struct Allowance {
    rate: Option<Rate>,
    /// When each one's is full again; empty without a rate.
    full: Vec<Mono>,
}

impl Allowance {
    /// The whole of it for so many.
    pub(crate) fn new(rate: Option<Rate>, many: usize) -> Self {
        Allowance { rate, full: vec![Mono::ZERO; if rate.is_some() { many } else { 0 }] }
    }

    /// Takes one, or says in how long there is one again. The generic cell rate algorithm: each one taken moves the time
    /// at which the allowance is full again.
    pub(crate) fn take(&mut self, who: usize, now: Mono) -> Result<(), Dur> {
        let (Some(rate), Some(full)) = (self.rate, self.full.get_mut(who)) else { return Ok(()) };
        let after = (*full).max(now) + Dur(rate.per.0 / u64::from(rate.pushes.max(1)));
        let ahead = after.since(now);
        if ahead > rate.per {
            return Err(ahead - rate.per);
        }
        *full = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_evenly() {
        let mut allowance = Allowance::new(Some(Rate { pushes: 2, per: Dur(100) }), 2);
        let mut take = |now, who| allowance.take(who, Mono(now));
        assert_eq!([take(0, 0), take(0, 0), take(0, 0), take(0, 1)], [Ok(()), Ok(()), Err(Dur(50)), Ok(())]);
        assert_eq!([take(50, 0), take(60, 0), take(149, 0), take(150, 0)], [Ok(()), Err(Dur(40)), Ok(()), Ok(())]);
        assert_eq!(take(0, 2), Ok(()), "nobody whom it limits");
        assert_eq!(Allowance::new(None, 1).take(0, Mono(0)), Ok(()));
    }
}
