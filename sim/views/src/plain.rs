//! Progress without a terminal: a line a second, and one for each phase.

use crate::figures::{clock, count, time};
use droves_engine::Look;
use droves_facts::{DeviceState, Dur, Mono};
use droves_measure::Hop;
use std::io::{self, Write};

/// How often a line is written.
const EVERY: Dur = Dur::secs(1);

/// Writes lines to a stream.
#[derive(Debug)]
pub struct Plain<W> {
    to: W,
    next: Mono,
    phases: Vec<String>,
}

impl<W: Write> Plain<W> {
    /// Lines for this stream.
    pub fn new(to: W) -> Self {
        Plain { to, next: Mono::ZERO, phases: Vec::new() }
    }

    /// Shows a look, if it is time.
    pub fn show(&mut self, look: &Look) -> io::Result<()> {
        let names: Vec<String> = look.phases.iter().map(|phase| phase.name.clone()).collect();
        let changed = names != self.phases;
        if !changed && look.progress.now < self.next {
            return Ok(());
        }
        self.phases = names;
        self.next = look.progress.now + EVERY;
        writeln!(self.to, "{}", line(look))?;
        self.to.flush()
    }
}

/// One line.
fn line(look: &Look) -> String {
    let progress = &look.progress;
    let phases: Vec<String> = look
        .phases
        .iter()
        .map(|phase| match phase.reached {
            Some((has, needs)) => format!("{} {}/{}", phase.name, count(has), count(needs)),
            None => format!(
                "{} {}",
                phase.name,
                phase.left.map_or_else(String::new, |left| format!("{} left", clock(left)))
            ),
        })
        .collect();
    let enrolled = progress.devices.iter().find(|(state, _)| *state == DeviceState::Enrolled).map_or(0, |(_, n)| *n);
    let accepted = progress.funnel.hops.iter().find(|(hop, ..)| *hop == Hop::Accepted).map_or(0, |(_, n, _)| *n);
    let (ended, failed) = progress.requests;
    let health = if progress.lag.p99.is_some_and(|lag| lag > look.lag_us_max) { "LATE" } else { "ok" };
    format!(
        "{}  {:<32} enrolled {}  sessions {}  requests {} ({}/s, {} failed)  accepted {}  lag p99 {} {health}",
        clock(Dur(progress.now.0)),
        if phases.is_empty() { "finishing".to_owned() } else { phases.join(" + ") },
        count(enrolled),
        count(progress.sessions),
        count(ended),
        count(progress.requests_per_s),
        count(failed),
        count(accepted),
        time(progress.lag.p99),
    )
}
