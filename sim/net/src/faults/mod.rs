//! What networks do to bytes, as wrappers that stack over any stream: latency, a narrow pipe, a cut, a stall, and a
//! capture to look at afterwards. And a proxy on loopback that puts them between two real sockets.
//!
//! Dice are handed in as closures, so that a seed decides; time is tokio's.

mod capture;
mod cut;
mod late;
mod narrow;
mod proxy;

pub use capture::{Capture, Tape};
pub use cut::{Cut, CutAt, How};
pub use late::Late;
pub use narrow::Narrow;
pub use proxy::{FaultProxy, Side};

use tokio::io::{AsyncRead, AsyncWrite};

/// Any stream of bytes, boxed where wrappers differ by connection.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin + ?Sized> ByteStream for S {}
