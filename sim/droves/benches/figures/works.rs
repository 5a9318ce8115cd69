//! What is counted in instructions: pieces of work without TLS and without the kernel, each a function of how often it is
//! done. The slope between two sizes is one piece, without the start of the program.

use crate::virtual_time::Sessions;
use crate::{folds, lanes, pushes, wire};
use droves_engine::{Health, Look};
use droves_facts::{Limits, Mono, Operation};
use droves_measure::{Fold, Folds, Progress, Recent};
use droves_shard::forecast::Model;
use droves_wire::apple::profile::{Allowances, EnrollmentProfile};
use std::hint::black_box;

/// What a process that does such work is known by; which, and how often, follow.
pub(crate) const FLAG: &str = "--work";

/// Its name, how often it is done for the smaller size (twice that is the larger), and it.
pub(crate) type Work = (&'static str, u32, fn(u32));

pub(crate) const WORKS: [Work; 13] = [
    ("a timer fires and a machine steps", 20_000, timers),
    ("a modelled session of 3 requests, folded", 200, sessions),
    ("a modelled check-in, with plan and load", 500, check_ins),
    ("a lane opened from the store", 2_000, restored),
    ("an arrival drawn", 20_000, arrivals),
    ("a lane opened from the store, and pushed", 2_000, |n| _ = black_box(pushes::burst(n))),
    ("a large answer built", 200, |n| {
        let mut out = Vec::new();
        (0..n).for_each(|_| wire::large_answer(black_box(&mut out)));
    }),
    ("a command read", 2_000, |n| {
        let command = wire::offered();
        (0..n).for_each(|_| wire::read(black_box(&command)));
    }),
    ("an enrollment profile read", 200, profiles),
    ("the end of a request folded", 20_000, |n| {
        let mut folds = Folds::default();
        (0..n).for_each(|n| folds.apply(black_box(&folds::request_ended(Operation::AppleIdle, n))));
    }),
    ("a command opened and closed in the ledger", 20_000, |n| {
        let mut folds = Folds::default();
        (0..n).for_each(|n| folds::command(n).iter().for_each(|fact| folds.apply(fact)));
    }),
    ("the folds of a shard merged", 20, |n| {
        let (full, mut all) = (folds::full_folds(), folds::full_folds());
        (0..n).for_each(|_| all.merge(full.clone()));
    }),
    ("a frame of the dashboard", 20, frames),
];

/// Does one of them.
pub(crate) fn work(name: &str, turns: u32) {
    let (_, _, work) = WORKS.iter().find(|(known, ..)| *known == name).unwrap();
    work(turns);
}

fn timers(n: u32) {
    lanes::let_sleep(&mut lanes::sleepers(1_000), u64::from(n));
}

fn sessions(n: u32) {
    // The same lanes in twice the hours.
    black_box(Sessions::of(100, n / 100).play());
}

fn check_ins(n: u32) {
    let phases =
        format!("  - check_in: {{ who: all, arrivals: {{ each: {{ every: 1h }} }} }}\n    for: {}h\n", n / 100);
    let what = droves_engine::forecast::Foresee {
        plan: lanes::phones(100, &phases).plan,
        limits: Limits::default(),
        model: Model::default(),
    };
    black_box(droves_engine::forecast::foresee(what, |_| (), |_| (), || false).unwrap());
}

fn restored(n: u32) {
    black_box(lanes::enrolled(n, "  - wait: 1s\n"));
}

fn arrivals(n: u32) {
    let phase = format!("  - check_in: {{ who: all, arrivals: {{ poisson: 100/s }} }}\n    for: {}s\n", n / 100);
    let plan = lanes::phones(1_000, &phase).plan;
    let schedule = plan.phases[0].schedule().unwrap();
    let mut due = droves_shard::Due::new(schedule, Mono::ZERO);
    while black_box(due.pop(Mono::NEVER)).is_some() {}
}

fn profiles(n: u32) {
    let profile = droves_emulators::practice::enrollment_profile("http://127.0.0.1:1", "com.apple.mgmt.x", "challenge");
    let allowances = Allowances { http: true };
    for _ in 0..n {
        black_box(EnrollmentProfile::parse(black_box(&profile), allowances, &Limits::default()).unwrap());
    }
}

fn frames(n: u32) {
    let (folds, mut recent) = (folds::full_folds(), Recent::default());
    recent.take(&folds, Mono(1_000_000));
    let mut view = droves_views::View::new("bench", true);
    let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(120, 36)).unwrap();
    for frame in 0..n {
        let look = Look {
            progress: Progress::of(&folds, &recent, 1_000, 10, Mono(u64::from(frame + 4) * 250_000)),
            phases: Vec::new(),
            to_come: 1,
            health: Health::default(),
            practice_cpu_s: None,
            lag_us_max: 50_000,
            nearness: None,
        };
        view.take(look);
        terminal.draw(|frame| droves_views::draw(frame, &view)).unwrap();
    }
}
