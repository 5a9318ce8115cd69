//! The ear, called by several threads.

use super::super::ear::Ear;
use super::lanes::{spelled, start};
use crate::push::{Push, Sink};
use droves_facts::{CommandStatus, Fact, LaneIx, PushFate};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Hesitates over a delivery, as a thread does that is interrupted: until something else was done meanwhile, or for long
/// enough to see that it can't be.
struct Hesitant {
    said: Mutex<Vec<String>>,
    hesitates: SyncSender<()>,
    overtaken: Mutex<Receiver<()>>,
}

impl Sink for Hesitant {
    fn wake(&self, _: Push) -> PushFate {
        PushFate::DroppedOurs
    }
}

impl Ear for Hesitant {
    fn fact(&self, fact: Fact) {
        let said = spelled(fact.lane, &fact.what);
        if said.ends_with("delivered") {
            self.hesitates.send(()).unwrap();
            let _overtaken = self.overtaken.lock().unwrap().recv_timeout(Duration::from_millis(500));
        }
        self.said.lock().unwrap().push(said);
    }
}

#[test]
fn what_is_said_of_a_lane_comes_in_the_order_in_which_it_was_so() {
    let ((hesitates, hesitating), (overtakes, overtaken)) = (sync_channel(1), sync_channel(1));
    let ear = Arc::new(Hesitant { said: Mutex::default(), hesitates, overtaken: Mutex::new(overtaken) });
    let handle = start(Arc::clone(&ear) as Arc<dyn Ear>);
    thread::scope(|scope| {
        scope.spawn(|| handle.with(|google, _| google.management.lanes.delivered(LaneIx(7), 0)));
        hesitating.recv().unwrap();
        handle.with(|google, _| google.management.lanes.answered(LaneIx(7), 0, CommandStatus::Acknowledged));
        overtakes.send(()).unwrap();
    });
    handle.stop();
    assert_eq!(*ear.said.lock().unwrap(), ["command 0 delivered", "command 0 answered"]);
}
