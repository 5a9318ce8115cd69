//! The worker processes of a run, seen from the one that started them. What the run has for a shard goes into the same
//! queues as it does for threads; a thread for each process empties them into its pipe, and another reads what comes.

use crate::inbox::{PushBox, Shards, ToShard};
use crate::link::{Counters, News, Start, Told};
use crate::run::RunError;
use droves_facts::Dur;
use droves_net::clock::{Clock, RunClock};
use droves_net::pipe::{self, Ends, Process};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::process::ChildStdin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::LocalSet;

/// A message that takes longer into its pipe waits for room there, or for a core: both are the generator's own doing.
const WRITE_MAX: Dur = Dur::ms(1);

/// The processes. Dropping it kills those that have not ended.
pub(crate) struct Crew {
    processes: Vec<Process>,
    readers: Vec<JoinHandle<()>>,
    shards_each: usize,
    lost: BTreeSet<usize>,
    held_up_us: Arc<AtomicU64>,
}

/// What a process is started with, beside its number.
pub(crate) struct Hiring<'a> {
    pub(crate) arguments: &'a [OsString],
    pub(crate) start: Start,
    pub(crate) shards: &'a Shards,
    pub(crate) counters: &'a Counters,
    pub(crate) reporter: &'a UnboundedSender<News>,
    pub(crate) clock: RunClock,
}

impl Crew {
    /// Starts them; shard `s` is process `s / shards`'s.
    pub(crate) fn start(hiring: Hiring<'_>, inboxes: Vec<UnboundedReceiver<ToShard>>) -> Result<Self, RunError> {
        let Hiring { arguments, mut start, shards, counters, reporter, clock } = hiring;
        let mut crew = Crew {
            processes: Vec::new(),
            readers: Vec::new(),
            shards_each: start.shards,
            lost: BTreeSet::new(),
            held_up_us: Arc::default(),
        };
        let mut inboxes = inboxes.into_iter().enumerate();
        for number in 0..start.processes {
            let (process, Ends { mut to, mut from }) = Process::start(arguments)?;
            crew.processes.push(process);
            start.process = number;
            pipe::write(&mut to, &start).map_err(|_| RunError::Process(number))?;
            let mine: Vec<_> = inboxes.by_ref().take(start.shards).collect();
            let boxes = Arc::clone(&shards.boxes);
            let way = Way { to: Some(to), clock, held_up_us: Arc::clone(&crew.held_up_us) };
            let tell = move || tell(way, mine, &boxes);
            // It ends with the last way to its shards.
            drop(thread::Builder::new().name(format!("to-{number}")).spawn(tell)?);
            let (shards, counters, reporter) = (shards.clone(), counters.clone(), reporter.clone());
            let hear = move || {
                while let Ok(Some(news)) = pipe::read(&mut from) {
                    if let Some(news) = played(news, &counters, &shards) {
                        // Without a coordinator nobody wants it.
                        drop(reporter.send(news));
                    }
                }
                drop(reporter.send(News::Lost(number)));
            };
            crew.readers.push(thread::Builder::new().name(format!("from-{number}")).spawn(hear)?);
        }
        Ok(crew)
    }

    /// A process is gone.
    pub(crate) fn lose(&mut self, process: usize) {
        self.lost.insert(process);
    }

    /// Those that are gone.
    pub(crate) fn lost(&self) -> &BTreeSet<usize> {
        &self.lost
    }

    /// Whether a shard is gone with its process.
    pub(crate) fn is_lost(&self, shard: usize) -> bool {
        self.lost.contains(&self.process_of(shard))
    }

    /// Whose shard it is.
    pub(crate) fn process_of(&self, shard: usize) -> usize {
        shard / self.shards_each.max(1)
    }

    /// Shards of each.
    pub(crate) fn shards_each(&self) -> usize {
        self.shards_each
    }

    /// For how long messages to processes were held up by full pipes so far. A push waits as long before it wakes anybody.
    pub(crate) fn held_up(&self) -> Dur {
        Dur::us(self.held_up_us.load(Ordering::Relaxed))
    }

    /// Waits for those to end whose shards have made their last reports; kills the others, and gives their numbers.
    pub(crate) fn join(mut self, over: &BTreeSet<usize>) -> BTreeSet<usize> {
        let shards = self.processes.len() * self.shards_each;
        let silent: Vec<usize> = (0..shards).filter(|shard| !over.contains(shard)).collect();
        self.lost.extend(silent.into_iter().map(|shard| shard / self.shards_each.max(1)));
        for (number, mut process) in self.processes.into_iter().enumerate() {
            if !self.lost.contains(&number) {
                // It can't be waited for if it is over.
                drop(process.wait());
            }
        }
        for reader in self.readers {
            // A panic there has been printed; the run is over anyway.
            drop(reader.join());
        }
        self.lost
    }
}

/// Answers what is for somebody who is played in this process; gives back what is for the coordinator.
fn played(news: News, counters: &Counters, shards: &Shards) -> Option<News> {
    match news {
        News::Register { lane, ticket, generation, topic, wall } => {
            let taken = counters.register(lane, generation, &topic, wall);
            match ticket {
                Some(ticket) => drop(shards.owner(lane, ToShard::Registered { lane, ticket, taken })),
                None if !taken => tracing::error!(%lane, "the push service takes its token no more"),
                None => {}
            }
            None
        }
        News::Ask { lane, ticket, ask } => {
            let (status, body) = counters.ask(lane, &ask);
            shards.owner(lane, ToShard::Asked { lane, ticket, status, body });
            None
        }
        News::Withdraw(lane, wall) => {
            counters.registry.withdraw(lane, wall);
            None
        }
        news => Some(news),
    }
}

/// A process's pipe, none when it reads no more.
struct Way<W, C> {
    to: Option<W>,
    clock: C,
    held_up_us: Arc<AtomicU64>,
}

impl<W: Write, C: Clock> Way<W, C> {
    /// Writes a message. Whether somebody reads.
    fn write(&mut self, message: &(usize, Told)) -> bool {
        let Some(to) = self.to.as_mut() else { return false };
        let began = self.clock.now();
        // That the process is gone is heard at its other pipe.
        if pipe::write(to, message).is_err() {
            self.to = None;
        }
        let took = self.clock.now().since(began);
        if took >= WRITE_MAX {
            self.held_up_us.fetch_add(took.0, Ordering::Relaxed);
        }
        self.to.is_some()
    }
}

/// Empties the queues of a process's shards into its pipe, until all are closed or it reads no more. While the pipe is
/// full, pushes wait in their box, where those for one lane become one.
fn tell(way: Way<ChildStdin, RunClock>, inboxes: Vec<(usize, UnboundedReceiver<ToShard>)>, boxes: &Arc<[PushBox]>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "a worker process's runtime"),
    };
    let way = Rc::new(RefCell::new(way));
    let tasks = LocalSet::new();
    for (shard, mut inbox) in inboxes {
        let (way, boxes) = (Rc::clone(&way), Arc::clone(boxes));
        tasks.spawn_local(async move {
            while let Some(what) = inbox.recv().await {
                let pushes = || boxes.get(shard).map(PushBox::take).unwrap_or_default();
                let Some(told) = Told::of(what, pushes) else { continue };
                if !way.borrow_mut().write(&(shard, told)) {
                    return;
                }
            }
        });
    }
    runtime.block_on(tasks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use droves_facts::Mono;
    use std::cell::Cell;

    /// A pipe that takes so many milliseconds for each message.
    struct Slow<'a>(&'a Cell<Mono>, u64);

    impl Write for Slow<'_> {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0.set(self.0.get() + Dur::ms(self.1));
            if self.1 < 1_000 { Ok(buf.len()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_pipe_holds_up_is_counted() {
        let now = Cell::new(Mono::ZERO);
        let held_up_us = Arc::default();
        let mut way = Way { to: Some(Slow(&now, 0)), clock: || now.get(), held_up_us: Arc::clone(&held_up_us) };
        let mut takes = |ms| {
            if let Some(slow) = &mut way.to {
                slow.1 = ms;
            }
            (way.write(&(0, Told::Stop)), held_up_us.load(Ordering::Relaxed))
        };
        assert_eq!(takes(0), (true, 0), "there is room");
        assert_eq!(takes(30), (true, 30_000));
        assert_eq!(takes(20), (true, 50_000));
        assert_eq!(takes(1_000), (false, 1_050_000), "nobody reads");
        assert_eq!(takes(20), (false, 1_050_000), "nor will");
    }
}
