//! Progress of what takes longer than a second.

use crate::say;
use std::time::{Duration, Instant};

/// Says how far it is, once a second.
#[derive(Default)]
pub(crate) struct Pace(Option<Instant>);

impl Pace {
    pub(crate) fn say(&mut self, text: impl FnOnce() -> String) {
        if self.0.get_or_insert_with(Instant::now).elapsed() >= Duration::from_secs(1) {
            self.0 = Some(Instant::now());
            say(&text());
        }
    }
}
