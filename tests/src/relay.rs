//! A relay in front of a server, which can stand still: before it accepts, or after it.
//!
//! For whoever connects it is the server. So it can be stopped where a stopped process can't: a connection taken and
//! left without an answer.

use crate::Error;
use crate::recorder::listen;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const CONNECT_WAIT_MAX: Duration = Duration::from_secs(60);

/// Where it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// Connections wait in the listener's queue.
    BeforeAccept,
    /// Connections are taken, and what they say goes no further.
    AfterAccept,
}

/// The relay. It takes no more connections when it is dropped.
pub struct Relay {
    address: SocketAddr,
    gate: Arc<Gate>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    to: Option<SocketAddr>,
    stall: Option<Stall>,
    taken: u64,
    has_ended: bool,
}

impl Relay {
    /// Listen on a free port of 127.0.0.1. Connections wait until there is a server ([`Relay::lead_to`]).
    pub fn start() -> Result<Relay, Error> {
        let listener = listen().map_err(Error::at("127.0.0.1:0"))?;
        let address = listener.local_addr().map_err(Error::at("127.0.0.1:0"))?;
        let gate = Arc::new(Gate::default());
        let thread = {
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || gate.take_all(&listener))
        };
        Ok(Relay { address, gate, thread: Some(thread) })
    }

    /// What devices are to be told.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server's port on 127.0.0.1.
    pub fn lead_to(&self, port: u16) {
        self.gate.change(|state| state.to = Some(SocketAddr::from(([127, 0, 0, 1], port))));
    }

    /// Stand still from now on, or go on.
    pub fn stand(&self, stall: Option<Stall>) {
        self.gate.change(|state| state.stall = stall);
    }

    /// Connections accepted so far.
    pub fn taken(&self) -> u64 {
        self.gate.state.lock().unwrap_or_else(PoisonError::into_inner).taken
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.gate.change(|state| state.has_ended = true);
        // Wakes the one that waits for a connection.
        drop(TcpStream::connect_timeout(&self.address, CONNECT_WAIT_MAX));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Gate {
    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits as long as the relay stands still here. `None`: it has ended.
    fn pass(&self, here: Stall) -> Option<SocketAddr> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_closed = |state: &mut State| !state.has_ended && (state.to.is_none() || state.stall == Some(here));
        let state = self.changed.wait_while(state, is_closed).unwrap_or_else(PoisonError::into_inner);
        state.to.filter(|_| !state.has_ended)
    }

    fn take_all(self: &Arc<Self>, listener: &TcpListener) {
        while self.pass(Stall::BeforeAccept).is_some() {
            // Whoever is taken while it begins to stand still is let through at its end, like those who wait.
            let Ok((client, _)) = listener.accept() else { continue };
            self.change(|state| state.taken += 1);
            let gate = Arc::clone(self);
            std::thread::spawn(move || gate.relay(client));
        }
    }

    /// One connection, to its end by either side.
    fn relay(&self, mut client: TcpStream) -> Option<()> {
        self.pass(Stall::BeforeAccept)?;
        let to = self.pass(Stall::AfterAccept)?;
        let mut server = TcpStream::connect_timeout(&to, CONNECT_WAIT_MAX).ok()?;
        client.set_nodelay(true).ok()?;
        server.set_nodelay(true).ok()?;
        let (mut back_from, mut back_to) = (server.try_clone().ok()?, client.try_clone().ok()?);
        let back = std::thread::spawn(move || {
            // A broken connection ends like a closed one.
            drop(std::io::copy(&mut back_from, &mut back_to));
            drop(back_to.shutdown(Shutdown::Both));
        });
        let mut piece = [0_u8; 8 << 10];
        loop {
            let count = match client.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            self.pass(Stall::AfterAccept)?;
            if server.write_all(piece.get(..count)?).is_err() {
                break;
            }
        }
        drop(server.shutdown(Shutdown::Both));
        drop(back.join());
        Some(())
    }
}
