//! The worker processes of a run, seen from the one that started them. What the run has for a shard goes into the same
//! queues as it does for threads; a thread for each process empties them into its pipe, and another reads what comes.

use crate::inbox::{PushBox, Shards, ToShard};
use crate::link::{News, Start, Told, register};
use crate::run::RunError;
use droves_emulators::apns::Registry;
use droves_net::pipe::{self, Ends, Process};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ChildStdin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::LocalSet;

/// The processes. Dropping it kills those that have not ended.
pub(crate) struct Crew {
    processes: Vec<Process>,
    readers: Vec<JoinHandle<()>>,
    shards_each: usize,
    lost: BTreeSet<usize>,
}

/// What a process is started with, beside its number.
pub(crate) struct Hiring<'a> {
    pub(crate) arguments: &'a [OsString],
    pub(crate) start: Start,
    pub(crate) shards: &'a Shards,
    pub(crate) registry: &'a Arc<Registry>,
    pub(crate) reporter: &'a UnboundedSender<News>,
}

impl Crew {
    /// Starts them; shard `s` is process `s / shards`'s.
    pub(crate) fn start(hiring: Hiring<'_>, inboxes: Vec<UnboundedReceiver<ToShard>>) -> Result<Self, RunError> {
        let Hiring { arguments, mut start, shards, registry, reporter } = hiring;
        let mut crew =
            Crew { processes: Vec::new(), readers: Vec::new(), shards_each: start.shards, lost: BTreeSet::new() };
        let mut inboxes = inboxes.into_iter().enumerate();
        for number in 0..start.processes {
            let (process, Ends { mut to, mut from }) = Process::start(arguments)?;
            crew.processes.push(process);
            start.process = number;
            pipe::write(&mut to, &start).map_err(|_| RunError::Process(number))?;
            let mine: Vec<_> = inboxes.by_ref().take(start.shards).collect();
            let boxes = Arc::clone(&shards.boxes);
            let tell = move || tell(to, mine, &boxes);
            // It ends with the last way to its shards.
            drop(thread::Builder::new().name(format!("to-{number}")).spawn(tell)?);
            let (shards, registry, reporter) = (shards.clone(), Arc::clone(registry), reporter.clone());
            let hear = move || {
                while let Ok(Some(news)) = pipe::read(&mut from) {
                    if let Some(news) = played(news, &registry, &shards) {
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
fn played(news: News, registry: &Registry, shards: &Shards) -> Option<News> {
    match news {
        News::Register { lane, ticket, generation, topic, wall } => {
            let taken = register(registry, lane, generation, &topic, wall);
            match ticket {
                Some(ticket) => drop(shards.owner(lane, ToShard::Registered { lane, ticket, taken })),
                None if !taken => tracing::error!(%lane, "the push service takes its token no more"),
                None => {}
            }
            None
        }
        News::Withdraw(lane, wall) => {
            registry.withdraw(lane, wall);
            None
        }
        news => Some(news),
    }
}

/// Empties the queues of a process's shards into its pipe, until all are closed or it reads no more. While the pipe is
/// full, pushes wait in their box, where those for one lane become one.
fn tell(to: ChildStdin, inboxes: Vec<(usize, UnboundedReceiver<ToShard>)>, boxes: &Arc<[PushBox]>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "a worker process's runtime"),
    };
    let to = Rc::new(RefCell::new(Some(to)));
    let tasks = LocalSet::new();
    for (shard, mut inbox) in inboxes {
        let (to, boxes) = (Rc::clone(&to), Arc::clone(boxes));
        tasks.spawn_local(async move {
            while let Some(what) = inbox.recv().await {
                let pushes = || boxes.get(shard).map(PushBox::take).unwrap_or_default().into();
                let Some(told) = Told::of(what, pushes) else { continue };
                let mut pipe = to.borrow_mut();
                let Some(open) = pipe.as_mut() else { return };
                // That the process is gone is heard at its other pipe.
                if pipe::write(open, &(shard, told)).is_err() {
                    pipe.take();
                    return;
                }
            }
        });
    }
    runtime.block_on(tasks);
}
