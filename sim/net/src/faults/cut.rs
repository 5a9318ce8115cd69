//! A cut: after so many bytes or at a moment the stream breaks, ends, or falls silent.

use droves_facts::Dur;
use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Where a stream is cut. Whichever comes first; nothing set, nothing cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CutAt {
    /// After this many bytes were read.
    pub read_bytes: Option<u64>,
    /// After this many bytes were written.
    pub written_bytes: Option<u64>,
    /// After this time.
    pub after: Option<Dur>,
}

/// How a stream is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// As by a reset: both ways fail.
    Reset,
    /// As by a close: reads end, writes fail.
    End,
    /// As by a lost route: nothing fails and nothing moves any more.
    Stall,
}

/// Cuts a stream.
pub struct Cut<S> {
    stream: S,
    at: CutAt,
    how: How,
    read: u64,
    written: u64,
    timer: Option<Pin<Box<Sleep>>>,
    cut: bool,
}

impl<S> Cut<S> {
    /// Cuts `stream` there, like that.
    pub fn new(stream: S, at: CutAt, how: How) -> Self {
        let timer = at.after.map(|after| Box::pin(tokio::time::sleep(after.std())));
        Cut { stream, at, how, read: 0, written: 0, timer, cut: false }
    }

    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.cut = self.cut
            || self.at.read_bytes.is_some_and(|max| self.read >= max)
            || self.at.written_bytes.is_some_and(|max| self.written >= max)
            || self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        self.cut
    }
}

/// What fits under a limit.
fn room(max: Option<u64>, done: u64, wanted: usize) -> usize {
    max.map_or(wanted, |max| wanted.min(usize::try_from(max.saturating_sub(done)).unwrap_or(usize::MAX)))
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_cut(cx) {
            return match this.how {
                How::Reset => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                How::End => Poll::Ready(Ok(())),
                How::Stall => Poll::Pending,
            };
        }
        let room = room(this.at.read_bytes, this.read, buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let n = part.filled().len();
        buf.advance(n);
        this.read += n as u64;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_cut(cx) {
            return match this.how {
                How::Reset => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                How::End => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
                How::Stall => Poll::Pending,
            };
        }
        let part = buf.get(..room(this.at.written_bytes, this.written, buf.len())).unwrap_or_default();
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
        this.written += n as u64;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_cut(cx) && this.how == How::Stall {
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

impl<S: fmt::Debug> fmt::Debug for Cut<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut").field("at", &self.at).field("how", &self.how).finish_non_exhaustive()
    }
}
