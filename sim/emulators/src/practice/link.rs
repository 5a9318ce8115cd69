//! Connections that last: the broker's, and requests that are held.

use super::agents::{Stir, Ticket};
use super::exchange::Outgoing;
use super::server::House;
use droves_facts::Mono;
use droves_net::Stream;
use droves_net::listen::Stopping;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

/// Bytes that are read at a time.
const READ_BYTES: usize = 16 << 10;
/// A client that takes so long to read is none.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Who waits for something to do.
#[derive(Debug, Default)]
pub(super) struct Waiting(RefCell<HashMap<Stir, Rc<Notify>>>);

impl Waiting {
    pub(super) fn wake(&self, stirred: Vec<Stir>) {
        let waiting = self.0.borrow();
        for notify in stirred.iter().filter_map(|stir| waiting.get(stir)) {
            notify.notify_one();
        }
    }

    fn of(&self, stir: Stir) -> Rc<Notify> {
        Rc::clone(self.0.borrow_mut().entry(stir).or_default())
    }

    fn forget(&self, stir: Stir) {
        self.0.borrow_mut().remove(&stir);
    }
}

/// A connection to the broker. What it was told is written before more is heard of it.
pub(super) async fn line(house: Rc<House>, mut stream: Stream, mut stopping: Stopping) {
    let line = house.with(|brain, now| brain.line_opened(now));
    let stirred = house.waiting.of(Stir::Line(line));
    let mut bytes = vec![0; READ_BYTES];
    loop {
        let written = house.with(|brain, _| brain.line_taken(line));
        let writing = tokio::time::timeout(WRITE_WAIT_MAX, stream.write_all(&written.bytes));
        if !matches!(writing.await, Ok(Ok(()))) || written.ends {
            break;
        }
        tokio::select! {
            // What was said in time counts, also if it is read when the time is over.
            biased;
            () = stopping.wait() => break,
            read = stream.read(&mut bytes) => match read {
                Ok(length) if length > 0 => {
                    let heard = bytes.get(..length).unwrap_or_default();
                    house.with(|brain, now| brain.line_heard(now, line, heard));
                }
                _ => break,
            },
            () = stirred.notified() => {}
            () = at(&house, written.deadline) => house.with(|brain, now| brain.line_fired(now, line)),
        }
    }
    house.with(|brain, _| brain.line_gone(line));
    house.waiting.forget(Stir::Line(line));
}

/// A request that is held, until there is an answer or its time is over.
pub(super) async fn held(house: &House, ticket: Ticket, until: Mono) -> Outgoing {
    let stirred = house.waiting.of(Stir::Poll(ticket));
    let mut holding = Holding { house, ticket, is_over: false };
    tokio::select! {
        () = stirred.notified() => {}
        () = house.until(until) => {}
    }
    holding.is_over = true;
    house.with(|brain, _| brain.resume(ticket))
}

/// Its end is told, also if that is that its client has gone away.
struct Holding<'h> {
    house: &'h House,
    ticket: Ticket,
    is_over: bool,
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.house.waiting.forget(Stir::Poll(self.ticket));
        if !self.is_over {
            self.house.with(|brain, _| brain.abandon(self.ticket));
        }
    }
}

/// Calls the brain when something is due. Never ends.
pub(super) async fn clock(house: Rc<House>) {
    let stirred = house.waiting.of(Stir::Clock);
    loop {
        let due = house.with(|brain, now| {
            brain.tick(now);
            brain.due()
        });
        tokio::select! {
            () = at(&house, due) => {}
            () = stirred.notified() => {}
        }
    }
}

async fn at(house: &House, time: Option<Mono>) {
    match time {
        Some(time) => house.until(time).await,
        None => std::future::pending().await,
    }
}
