//! How late sessions start when arrivals want four fifths of the shard's core, and what it costs to show it all.

use crate::fleet;
use crate::harness::{Ground, Row, begins, thread_s};
use crate::sessions;
use droves_measure::Own;

/// What a queue at 80 % lets the 99.9th percentile wait, in slices of work.
const SLICES: f64 = 15.8;
/// What a timer of the runtime may be late by, since it counts milliseconds.
const TIMER_STEP_US: f64 = 1_000.0;
/// Four frames a second: a core has a quarter of a second for each, of which the dashboard may have a hundredth.
const FRAME_US: f64 = 2_500.0;

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    let Ground { scale, camp, sink } = ground;
    begins("the lag at 80 % of a core, the dashboard");
    let rate = (0.8e6 / sessions::session_us(ground)) as u32;
    let phases =
        format!("  - check_in: {{ who: all, arrivals: {{ poisson: {rate}/s }} }}\n    for: {}s\n", 2 * scale.seconds);
    let plan = camp.plan(sink, scale.devices / 2, scale.devices / 2, &phases);
    let folder = camp.mint(&plan, true);
    sink.order(2, 0);
    let mut view = droves_views::View::new("bench", true);
    let mut terminal = ratatui::Terminal::with_options(
        ratatui::backend::CrosstermBackend::new(std::io::sink()),
        ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 200, 50)) },
    )
    .unwrap();
    let (mut shown_s, mut frames) = (0.0, 0_u32);
    let run = fleet::run(&plan, Some(&folder), |look| {
        let before = thread_s();
        view.take(look);
        terminal.draw(|frame| droves_views::draw(frame, &view)).unwrap();
        shown_s += thread_s() - before;
        frames += 1;
    });
    sink.order(0, 0);
    let lag = run.finished.folds.series.own(None, Own::Lag).quantile_us(0.999).unwrap_or(0) as f64;
    let slice_us = run.finished.folds.slices.mean_us().unwrap_or(0.0);
    let frame_us = shown_s * 1e6 / f64::from(frames.max(1));
    vec![
        Row::new(
            "start lag p99.9 at 80 %, to 15.8 mean slices and a timer step",
            "us",
            (lag, SLICES * slice_us + TIMER_STEP_US),
            2.0,
        ),
        Row::new("one frame of the dashboard, to 1 % of a core at 4 a second", "us", (frame_us, FRAME_US), 1.0),
    ]
}
