//! A capture: what went over a stream, into a file.
//!
//! Each piece is one line, `< 1234us 56` (read) or `> 1234us 56` (written) with the time since the tape began and the
//! length, then that many bytes, then a newline.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Where captures go; several streams may share it. Bounded: what is over the limit is not written, and is counted.
#[derive(Clone)]
pub struct Tape(Rc<RefCell<Inner>>);

struct Inner {
    to: Box<dyn Write>,
    began: Instant,
    bytes: u64,
    bytes_max: u64,
    lost_bytes: u64,
    failed: Option<io::Error>,
}

impl Tape {
    /// A tape into a new file.
    pub fn create(path: &Path, bytes_max: u64) -> io::Result<Self> {
        Ok(Tape::onto(BufWriter::new(File::create(path)?), bytes_max))
    }

    /// A tape into any writer.
    pub fn onto(to: impl Write + 'static, bytes_max: u64) -> Self {
        let inner = Inner { to: Box::new(to), began: Instant::now(), bytes: 0, bytes_max, lost_bytes: 0, failed: None };
        Tape(Rc::new(RefCell::new(inner)))
    }

    /// Writes out what is buffered; tells an earlier failure, else how many bytes found no room.
    pub fn finish(&self) -> io::Result<u64> {
        let mut inner = self.0.borrow_mut();
        match inner.failed.take() {
            Some(error) => Err(error),
            None => inner.to.flush().map(|()| inner.lost_bytes),
        }
    }

    /// A failing disk must not fail the stream: it is told by [`Tape::finish`].
    fn note(&self, mark: char, piece: &[u8]) {
        let inner = &mut *self.0.borrow_mut();
        if piece.is_empty() {
            return;
        }
        let bytes = piece.len() as u64;
        if inner.failed.is_some() || inner.bytes + bytes > inner.bytes_max {
            inner.lost_bytes += bytes;
            return;
        }
        inner.bytes += bytes;
        let us = inner.began.elapsed().as_micros();
        let written = writeln!(inner.to, "{mark} {us}us {bytes}")
            .and_then(|()| inner.to.write_all(piece))
            .and_then(|()| inner.to.write_all(b"\n"));
        inner.failed = written.err();
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").finish_non_exhaustive()
    }
}

/// Captures a stream onto a tape.
#[derive(Debug)]
pub struct Capture<S> {
    stream: S,
    tape: Tape,
}

impl<S> Capture<S> {
    /// Captures `stream` onto `tape`.
    pub fn new(stream: S, tape: Tape) -> Self {
        Capture { stream, tape }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Capture<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.tape.note('<', buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Capture<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        this.tape.note('>', buf.get(..n).unwrap_or_default());
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
