//! The quota of a project: so many requests in a fixed window, and none more until it is over. A window begins with the
//! first request after the last one.

use droves_facts::{Dur, Wall};
use droves_wire::android::{Code, Status};
use serde_json::json;
use std::collections::BTreeMap;

/// How many requests a project has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Requests in a window.
    pub requests_max: u32,
    /// How long a window is.
    pub window: Dur,
}

impl Quota {
    /// As Google documents it: 1,000 in 100 seconds.
    pub const DOCUMENTED: Quota = Quota { requests_max: 1_000, window: Dur::secs(100) };
    /// As projects of late report it: 600 in a minute.
    pub const PER_MINUTE: Quota = Quota { requests_max: 600, window: Dur::secs(60) };
}

/// What a quota that was used up has cost its callers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exhausted {
    /// Requests that were refused.
    pub requests: u64,
    /// Windows in which some were.
    pub windows: u64,
    /// For how long, in all, from the first one that was refused in a window to the window's end.
    pub lasted: Dur,
}

/// The windows of all projects.
#[derive(Debug)]
pub(crate) struct Meter {
    quota: Quota,
    windows: BTreeMap<String, Window>,
    exhausted: Exhausted,
}

#[derive(Debug)]
struct Window {
    since: Wall,
    used: u32,
    has_refused: bool,
}

impl Meter {
    pub(crate) fn new(quota: Quota) -> Self {
        Meter { quota, windows: BTreeMap::new(), exhausted: Exhausted::default() }
    }

    /// What it has cost so far.
    pub(crate) fn exhausted(&self) -> Exhausted {
        self.exhausted
    }

    /// Takes one of what a project has; in how long there is one again, if that was the last.
    ///
    /// # Errors
    /// There is none, and in how long there is.
    pub(crate) fn take(&mut self, now: Wall, project: &str) -> Result<Option<Dur>, Dur> {
        let new = || Window { since: now, used: 0, has_refused: false };
        let window = self.windows.entry(project.to_owned()).or_insert_with(new);
        if now.since(window.since) >= self.quota.window {
            *window = new();
        }
        let rest = (window.since + self.quota.window).since(now);
        if window.used < self.quota.requests_max {
            window.used += 1;
            return Ok((window.used == self.quota.requests_max).then_some(rest));
        }
        self.exhausted.requests += 1;
        if !std::mem::replace(&mut window.has_refused, true) {
            self.exhausted.windows += 1;
            self.exhausted.lasted += rest;
        }
        Err(rest)
    }

    /// Counts a request of a project to the Android Management API, as [`Meter::take`] does.
    pub(crate) fn count(&mut self, now: Wall, project: &str) -> Result<Option<Dur>, Status> {
        self.take(now, project).map_err(|_| self.quota.exceeded(project))
    }

    pub(crate) fn quota(&self) -> Quota {
        self.quota
    }
}

impl Quota {
    /// What a project is told that has used it up.
    pub(crate) fn exceeded(self, project: &str) -> Status {
        let (name, limit) = match self.window.0 / 1_000_000 {
            60 => ("Requests per minute".to_owned(), "RequestsPerMinutePerProject".to_owned()),
            secs => (format!("Requests per {secs} seconds"), format!("RequestsPer{secs}SecondsPerProject")),
        };
        let message = format!(
            "Quota exceeded for quota metric 'Requests' and limit '{name}' of service \
             'androidmanagement.googleapis.com' for consumer 'project_number:{project}'."
        );
        Status::new(Code::ResourceExhausted, message).because(
            "RATE_LIMIT_EXCEEDED",
            &json!({
                "service": "androidmanagement.googleapis.com",
                "quota_metric": "androidmanagement.googleapis.com/requests",
                "quota_limit": limit,
                "quota_limit_value": self.requests_max.to_string(),
                "consumer": format!("projects/{project}"),
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_refuses_everything_until_it_is_over() {
        let mut meter = Meter::new(Quota { requests_max: 2, window: Dur::secs(60) });
        let mut count = |secs, project: &str| meter.count(Wall::from_secs(secs), project).map_err(|status| status.code);
        let last = |secs| Ok(Some(Dur::secs(secs)));
        assert_eq!([count(0, "p"), count(58, "p"), count(59, "p")], [Ok(None), last(2), Err(Code::ResourceExhausted)]);
        assert_eq!(count(59, "other"), Ok(None), "each project has its own");
        assert_eq!(count(60, "p"), Ok(None));
        assert_eq!(count(119, "p"), last(1), "the window began at 60");
        assert_eq!(count(119, "p"), Err(Code::ResourceExhausted));
        assert_eq!(count(200, "p"), Ok(None));
        let exhausted = Exhausted { requests: 2, windows: 2, lasted: Dur::secs(2) };
        assert_eq!(meter.exhausted(), exhausted);
    }
}
