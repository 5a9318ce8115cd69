//! A link that is not HTTP: a task that sends what it is told and hands over what comes, one frame at a time.

use super::dial::{self, To, destination};
use super::{Bell, Letter, Network, Progress};
use bytes::{Bytes, BytesMut};
use droves_device::{Failure, Framing, Link as Wanted, Reached};
use droves_facts::{Blame, Closing, LaneIx, Mono};
use droves_net::clock::Clock;
use droves_net::faults::ByteStream;
use droves_net::tls::Alpn;
use droves_shard::Ticket;
use droves_wire::android::mqtt;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A link as its shard holds it; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Link(Rc<Orders>);

/// What a link is told by its shard.
#[derive(Debug, Default)]
struct Orders {
    /// What is to be sent. A lane waits after each, so there are few.
    send: RefCell<VecDeque<Bytes>>,
    /// Whether a frame is wanted.
    wants: Cell<bool>,
    cancelled: Cell<Option<&'static str>>,
    over: Cell<bool>,
    bell: Bell,
}

/// What a link does next.
enum Job {
    Send(Bytes),
    Read,
    End,
}

impl Link {
    /// Opens one; its first frame comes by the mailbox.
    pub(crate) fn open(network: &Rc<Network>, lane: LaneIx, ticket: Ticket, wanted: Box<Wanted>) -> Self {
        let orders = Rc::new(Orders::default());
        tokio::task::spawn_local(hold(Rc::clone(network), lane, ticket, wanted, Rc::clone(&orders)));
        Link(orders)
    }

    /// Sends something.
    pub(crate) fn send(&self, bytes: Bytes) {
        self.0.send.borrow_mut().push_back(bytes);
        self.0.bell.ring();
    }

    /// The last frame was taken.
    pub(crate) fn next(&self) {
        self.0.wants.set(true);
        self.0.bell.ring();
    }

    /// Lets go of the opening; it ends as failed, of this kind.
    pub(crate) fn cancel(&self, kind: &'static str) {
        self.0.cancelled.set(Some(kind));
        self.0.bell.ring();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.over.set(true);
        self.0.bell.ring();
    }
}

impl Orders {
    /// Waits until the opening is let go of; none when all is over.
    async fn let_go(&self) -> Option<&'static str> {
        let look = || {
            let kind = self.cancelled.take();
            (kind.is_some() || self.over.get()).then_some(kind)
        };
        self.bell.until(look).await
    }

    /// What is to be done now, if something is.
    fn job(&self) -> Option<Job> {
        if self.over.get() {
            return Some(Job::End);
        }
        let send = self.send.borrow_mut().pop_front().map(Job::Send);
        send.or_else(|| self.wants.get().then_some(Job::Read))
    }

    /// Waits until something is to be done beside reading.
    async fn more(&self) {
        self.bell.until(|| (self.over.get() || !self.send.borrow().is_empty()).then_some(())).await;
    }
}

/// A connection, and what has come over it and is not yet a whole packet.
struct Held {
    network: Rc<Network>,
    lane: LaneIx,
    stream: Box<dyn ByteStream>,
    framing: Framing,
    come: BytesMut,
    closing: Closing,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.network.mailbox.put(Letter::Closed { lane: self.lane, closing: self.closing });
    }
}

/// Why a link is lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the peer has ended the link")]
    Ended,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Framing(#[from] mqtt::MqttError),
    #[error("no byte of it was taken in time")]
    Stuck,
}

impl Lost {
    fn failure(&self, url: &str, reached: Reached) -> Failure {
        let (blame, kind) = match self {
            Lost::Ended => (Blame::Server, "link_ended"),
            Lost::Io(_) => (Blame::Network, "reset"),
            Lost::Framing(_) => (Blame::Server, "bad_frame"),
            Lost::Stuck => (Blame::Server, "timeout"),
        };
        Failure { blame, kind, reached, text: format!("{url}: {self}").into() }
    }
}

impl Held {
    /// The next whole packet. Nothing is lost where this is let go of.
    async fn frame(&mut self) -> Result<Bytes, Lost> {
        loop {
            let whole = match self.framing {
                Framing::Mqtt => mqtt::first(&self.come)?,
            };
            if let Some(length) = whole {
                return Ok(self.come.split_to(length).freeze());
            }
            if self.stream.read_buf(&mut self.come).await? == 0 {
                return Err(Lost::Ended);
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let wait_max = self.network.limits.request_wait_max.std();
        tokio::time::timeout(wait_max, write).await.map_err(|_| Lost::Stuck)?.map_err(Lost::Io)
    }
}

async fn hold(network: Rc<Network>, lane: LaneIx, ticket: Ticket, wanted: Box<Wanted>, orders: Rc<Orders>) {
    let mut progress = Progress::begin(&network.clock);
    let opened = {
        let opening = open(&network, lane, &wanted, &mut progress);
        tokio::select! {
            biased;
            opened = opening => opened,
            why = orders.let_go() => match why {
                Some(kind) => {
                    let blame = if kind == "timeout" { Blame::Server } else { Blame::Scenario };
                    let text = format!("{}: the link did not stand in time", wanted.url).into();
                    Err(Failure { blame, kind, reached: Reached::Sent, text })
                }
                None => return,
            },
        }
    };
    progress.ended = network.clock.now();
    let exchange = progress.exchange();
    let mut held = match opened {
        Ok((held, frame)) => {
            network.mailbox.put(Letter::Linked { lane, ticket, exchange, frame });
            held
        }
        Err(failure) => {
            network.mailbox.put(Letter::Done { lane, ticket, exchange, result: Err(failure) });
            return;
        }
    };
    loop {
        let job = orders.bell.until(|| orders.job()).await;
        let done = match job {
            Job::End => return,
            Job::Send(bytes) => held.send(&bytes).await,
            Job::Read => tokio::select! {
                biased;
                () = orders.more() => continue,
                frame = held.frame() => frame.map(|frame| {
                    orders.wants.set(false);
                    network.mailbox.put(Letter::Frame { lane, frame });
                }),
            },
        };
        if let Err(lost) = done {
            held.closing = Closing::ByPeer;
            let failure = lost.failure(&wanted.url, Reached::Sent);
            network.mailbox.put(Letter::LinkLost { lane, failure });
            return;
        }
    }
}

/// Connects, sends what is to be sent first, and waits for the answer to it.
async fn open(
    network: &Rc<Network>,
    lane: LaneIx,
    wanted: &Wanted,
    progress: &mut Progress,
) -> Result<(Held, Bytes), Failure> {
    let to = To::new(&*destination(network, &wanted.url)?, wanted.identity.as_ref());
    let stream = dial::open(network, lane, &to, Alpn::None).await?.stream;
    let mut held = Held {
        network: Rc::clone(network),
        lane,
        stream,
        framing: wanted.framing,
        come: BytesMut::new(),
        closing: Closing::ByUs,
    };
    progress.sent = network.clock.now();
    progress.reached = Reached::Sent;
    progress.bytes_out = wanted.hello.len() as u64;
    let answered = async {
        held.send(&wanted.hello).await?;
        held.frame().await
    };
    match answered.await {
        Ok(frame) => {
            let now: Mono = network.clock.now();
            progress.first_byte = Some(now);
            progress.bytes_in = frame.len() as u64;
            Ok((held, frame))
        }
        Err(lost) => {
            held.closing = Closing::ByPeer;
            Err(lost.failure(&wanted.url, progress.reached))
        }
    }
}
