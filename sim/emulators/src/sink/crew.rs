//! The processes of a sink, seen from the one that started them.

use super::{Message, Order, Tally};
use droves_net::listen::{BindError, Kept};
use droves_net::pipe::{self, Ends, PipeError, Process};
use std::net::SocketAddr;
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Why there is no crew, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// Its address can't be had.
    #[error("sink: {0}")]
    Bind(#[from] BindError),
    /// A process or a thread can't be started.
    #[error("sink: {0}")]
    Start(#[from] std::io::Error),
    /// A process can't be spoken with.
    #[error("sink: process {0}: {1}")]
    Pipe(u32, PipeError),
    /// A process can't do what it was told.
    #[error("sink: process {0}: {1}")]
    Refused(u32, String),
    /// A process is gone.
    #[error("sink: process {0} ended before its time")]
    Lost(u32),
}

/// The processes. They end when this does.
#[derive(Debug)]
pub struct Crew {
    kept: Kept,
    hands: Vec<Hand>,
    book: Arc<Mutex<Book>>,
    room: u64,
}

#[derive(Debug)]
struct Hand {
    process: Process,
    to: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
}

/// What the processes last told.
#[derive(Debug, Default)]
struct Book {
    tallies: Vec<Tally>,
    open_max: u64,
    lost: Option<u32>,
    ending: bool,
}

impl Crew {
    /// Starts so many processes by these arguments of this program; when this returns, all of them listen.
    pub fn start(order: Order, processes: u32, arguments: &[&str]) -> Result<Self, CrewError> {
        let kept = Kept::bind(order.listen)?;
        let order = Order { listen: kept.address, ..order };
        let book = Arc::new(Mutex::new(Book::default()));
        let mut crew = Crew { kept, hands: Vec::new(), book, room: 0 };
        for number in 0..processes.max(1) {
            crew.add(number, &order, arguments)?;
        }
        Ok(crew)
    }

    fn add(&mut self, number: u32, order: &Order, arguments: &[&str]) -> Result<(), CrewError> {
        let (process, Ends { mut to, mut from }) = Process::start(arguments)?;
        let broken = |error| CrewError::Pipe(number, error);
        let refused = |why: &str| CrewError::Refused(number, why.to_owned());
        match pipe::read(&mut from).map_err(broken)? {
            Some(Message::Version(version)) if version == pipe::VERSION => {}
            _ => return Err(refused("it is of another version; was the program replaced?")),
        }
        pipe::write(&mut to, &Message::Order(number, order.clone())).map_err(broken)?;
        match pipe::read(&mut from).map_err(broken)? {
            Some(Message::Listens(room)) => self.room += room,
            Some(Message::Refused(why)) => return Err(refused(&why)),
            _ => return Err(CrewError::Lost(number)),
        }
        self.book().tallies.push(Tally::default());
        let book = Arc::clone(&self.book);
        let read = move || {
            while let Ok(Some(message)) = pipe::read(&mut from) {
                let mut book = lock(&book);
                if let (Message::Tally(tally), Some(place)) = (message, book.tallies.get_mut(number as usize)) {
                    *place = tally;
                    let open = book.tallies.iter().map(|tally| tally.open).sum();
                    book.open_max = book.open_max.max(open);
                }
            }
            let mut book = lock(&book);
            if !book.ending {
                book.lost.get_or_insert(number);
            }
        };
        let reader = Some(thread::Builder::new().name(format!("sink-{number}")).spawn(read)?);
        self.hands.push(Hand { process, to: Some(to), reader });
        Ok(())
    }

    /// Where all of them listen.
    pub fn address(&self) -> SocketAddr {
        self.kept.address
    }

    /// Connections that all of them together have room for.
    pub fn room(&self) -> u64 {
        self.room
    }

    /// The processes' numbers.
    pub fn pids(&self) -> Vec<u32> {
        self.hands.iter().map(|hand| hand.process.id()).collect()
    }

    /// What was counted, in all and by each; an error if one of them is gone.
    pub fn tally(&self) -> Result<(Tally, Vec<Tally>), CrewError> {
        let book = self.book();
        match book.lost {
            Some(number) => Err(CrewError::Lost(number)),
            None => Ok(book.tally()),
        }
    }

    /// Ends all of them, and gives what they have counted, in all and by each.
    pub fn stop(mut self) -> (Tally, Vec<Tally>) {
        self.book().ending = true;
        self.hands.iter_mut().for_each(|hand| drop(hand.to.take()));
        for hand in &mut self.hands {
            // A reader that panicked has been printed, and its process told nothing more.
            drop(hand.reader.take().map(JoinHandle::join));
        }
        self.book().tally()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

impl Book {
    fn tally(&self) -> (Tally, Vec<Tally>) {
        let all = self.tallies.iter().fold(Tally::default(), |all, &tally| all.and(tally));
        (Tally { open_max: self.open_max, ..all }, self.tallies.clone())
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
