//! A proxy of bytes on loopback, with faults on its way: for whoever can't be wrapped from within.

use super::ByteStream;
use crate::listen::{Listener, Peer, Stopping};
use crate::stream::Stream;
use socket2::SockRef;
use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

/// Which end of the proxy a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Towards whoever connected: what is read here goes to the target.
    Near,
    /// Towards the target: what is read here goes to whoever connected.
    Far,
}

type Wrap = dyn Fn(u64, Side, Box<dyn ByteStream>) -> Box<dyn ByteStream>;

/// Forwards to one target, through wrappers.
pub struct FaultProxy {
    target: SocketAddr,
    wrap: Rc<Wrap>,
}

impl FaultProxy {
    /// `wrap` puts the faults of connection number `n` (from 0) on each of its sides.
    pub fn new(
        target: SocketAddr,
        wrap: impl Fn(u64, Side, Box<dyn ByteStream>) -> Box<dyn ByteStream> + 'static,
    ) -> Self {
        FaultProxy { target, wrap: Rc::new(wrap) }
    }

    /// Serves until `stop`; the listener must be a plain one.
    pub async fn serve(self, listener: Listener, stop: impl Future<Output = ()>) {
        let (target, wrap) = (self.target, self.wrap);
        let handler = move |stream: Stream, peer: Arc<Peer>, mut stopping: Stopping| {
            let wrap = wrap.clone();
            async move {
                tokio::select! {
                    forwarded = forward(stream, target, peer.number, &*wrap) => {
                        if let Err(error) = forwarded {
                            tracing::debug!(%error, "forwarding ended");
                        }
                    }
                    () = stopping.wait() => {}
                }
            }
        };
        listener.each(stop, handler).await;
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy").field("target", &self.target).finish_non_exhaustive()
    }
}

async fn forward(near: Stream, target: SocketAddr, number: u64, wrap: &Wrap) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    // A reset of ours must be one on the wire too: with no linger, closing sends RST. The wrappers own the sockets by
    // then, so a second handle of each is kept, which is also the last to be closed.
    let sockets = [SockRef::from(near.tcp()).try_clone()?, SockRef::from(&far).try_clone()?];
    let mut near = wrap(number, Side::Near, Box::new(near));
    let mut far = wrap(number, Side::Far, Box::new(far));
    let copied = copy_bidirectional(&mut near, &mut far).await;
    if copied.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset) {
        for socket in &sockets {
            socket.set_linger(Some(Duration::ZERO))?;
        }
    }
    copied.map(|_bytes| ())
}
