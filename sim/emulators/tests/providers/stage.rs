//! The stage: a folder, and a sink that keeps what it hears.

use crate::left_out::{Stop, judge};
use droves_emulators::push::{Push, Sink};
use droves_facts::{LaneIx, Mono, PushFate};
use droves_wire::apple::push::Tokens;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Runs a case.
pub(crate) fn case(name: &str, run: impl FnOnce(Stage) -> Result<(), Stop>) {
    judge(name, run(Stage::new()));
}

/// What the sink heard.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub(crate) woken: Vec<Push>,
    pub(crate) fates: Vec<(u32, PushFate)>,
}

#[derive(Default)]
struct Ear {
    heard: Mutex<Heard>,
    more: Condvar,
}

impl Sink for Ear {
    fn wake(&self, push: Push) -> PushFate {
        self.heard.lock().unwrap().woken.push(push);
        self.more.notify_all();
        PushFate::Received
    }

    fn fate(&self, lane: LaneIx, _at: Mono, fate: PushFate) {
        self.heard.lock().unwrap().fates.push((lane.0, fate));
        self.more.notify_all();
    }
}

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    ear: Arc<Ear>,
}

impl Stage {
    fn new() -> Self {
        Stage { folder: tempfile::tempdir().unwrap(), ear: Arc::default() }
    }

    /// A folder for the case alone.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a service sends its wakes.
    pub(crate) fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.ear) as Arc<dyn Sink>
    }

    /// Waits until the sink has heard so much, and takes what it heard.
    pub(crate) fn heard(&self, much: usize, count: impl Fn(&Heard) -> usize) -> Heard {
        let heard = self.ear.heard.lock().unwrap();
        let few = |heard: &mut Heard| count(heard) < much;
        let (heard, wait) = self.ear.more.wait_timeout_while(heard, Duration::from_secs(120), few).unwrap();
        assert!(!wait.timed_out(), "heard {} of {much}", count(&heard));
        heard.clone()
    }
}

/// The tokens of every case.
pub(crate) fn token_book() -> Tokens {
    Tokens::new([7; 32])
}
