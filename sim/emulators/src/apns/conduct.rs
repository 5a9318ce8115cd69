//! How the service treats one connection: what it allows at once, and when it says goodbye.

use super::Reason;
use super::answer::Refusal;
use crate::push::Taken;
use droves_facts::Dur;

/// The rules of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionRules {
    /// Streams at once (`SETTINGS_MAX_CONCURRENT_STREAMS`); Apple's were seen at 500, 1,000 and 1,500.
    pub streams_max: u32,
    /// After a refused notification one stream at once, until the next good one: Apple's did so.
    pub throttles: bool,
    /// After so many notifications the connection is ended in good order (GOAWAY), as Apple's load balancers do.
    pub goaway_after: Option<u64>,
    /// After so many BadDeviceToken in a row the connection is closed under the provider's feet.
    pub bad_token_run_max: Option<u32>,
    /// A connection without a request for so long is ended in good order.
    pub idle_max: Dur,
}

impl Default for ConnectionRules {
    fn default() -> Self {
        ConnectionRules {
            streams_max: 1_000,
            throttles: false,
            goaway_after: None,
            bad_token_run_max: None,
            idle_max: Dur::secs(3_600),
        }
    }
}

/// What is done with the connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// Nothing.
    GoOn,
    /// So many streams at once from now on.
    Streams(u32),
    /// It is ended in good order.
    GoAway,
    /// It is closed when the answer is written.
    Cut,
}

/// One connection's past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conduct {
    rules: ConnectionRules,
    answered: u64,
    bad_tokens: u32,
    throttled: bool,
}

impl Conduct {
    pub(crate) fn new(rules: ConnectionRules) -> Self {
        Conduct { rules, answered: 0, bad_tokens: 0, throttled: false }
    }

    pub(crate) fn after(&mut self, verdict: &Result<Taken, Refusal>) -> Then {
        self.answered += 1;
        let bad_token = matches!(verdict, Err(Refusal { reason: Reason::BadDeviceToken, .. }));
        self.bad_tokens = if bad_token { self.bad_tokens + 1 } else { 0 };
        if self.rules.bad_token_run_max.is_some_and(|max| self.bad_tokens >= max.max(1)) {
            return Then::Cut;
        }
        if self.rules.goaway_after.is_some_and(|after| self.answered == after.max(1)) {
            return Then::GoAway;
        }
        if self.rules.throttles && verdict.is_err() != self.throttled {
            self.throttled = verdict.is_err();
            return Then::Streams(if self.throttled { 1 } else { self.rules.streams_max });
        }
        Then::GoOn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Result<Taken, Refusal> = Ok(Taken::Alone);
    const BAD: Result<Taken, Refusal> = Err(Refusal { reason: Reason::BadDeviceToken, since: None });
    const LARGE: Result<Taken, Refusal> = Err(Refusal { reason: Reason::PayloadTooLarge, since: None });

    fn check(rules: ConnectionRules, steps: &[(Result<Taken, Refusal>, Then)]) {
        let mut conduct = Conduct::new(rules);
        for (at, (verdict, then)) in steps.iter().enumerate() {
            assert_eq!(conduct.after(verdict), *then, "step {at}");
        }
    }

    #[test]
    fn a_connection_is_treated_by_its_rules() {
        let rules = ConnectionRules::default();
        check(rules, &[(GOOD, Then::GoOn), (BAD, Then::GoOn), (BAD, Then::GoOn)]);
        check(
            ConnectionRules { throttles: true, streams_max: 7, ..rules },
            &[
                (GOOD, Then::GoOn),
                (BAD, Then::Streams(1)),
                (LARGE, Then::GoOn),
                (GOOD, Then::Streams(7)),
                (GOOD, Then::GoOn),
            ],
        );
        check(ConnectionRules { goaway_after: Some(2), ..rules }, &[(GOOD, Then::GoOn), (BAD, Then::GoAway)]);
        check(
            ConnectionRules { bad_token_run_max: Some(2), ..rules },
            &[(BAD, Then::GoOn), (LARGE, Then::GoOn), (BAD, Then::GoOn), (BAD, Then::Cut)],
        );
    }
}
