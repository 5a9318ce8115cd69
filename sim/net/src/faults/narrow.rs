//! A narrow pipe: so many bytes a second, each way.

use droves_facts::Dur;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Caps bandwidth, each way by itself.
#[derive(Debug)]
pub struct Narrow<S> {
    stream: S,
    reading: Pipe,
    writing: Pipe,
}

impl<S> Narrow<S> {
    /// At most this many bytes a second each way (at least one).
    pub fn new(stream: S, bytes_per_second: u64) -> Self {
        Narrow { stream, reading: Pipe::new(bytes_per_second), writing: Pipe::new(bytes_per_second) }
    }
}

#[derive(Debug)]
struct Pipe {
    bytes_per_second: u64,
    /// The most that passes at once: what takes [`SLICE`], so that the pace is even.
    slice_bytes: usize,
    timer: Pin<Box<Sleep>>,
    free: Instant,
}

impl Pipe {
    fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        let slice = (u128::from(bytes_per_second) * u128::from(SLICE.0) / 1_000_000).clamp(1, 1 << 20);
        let now = Instant::now();
        Pipe {
            bytes_per_second,
            slice_bytes: slice as usize,
            timer: Box::pin(tokio::time::sleep_until(now)),
            free: now,
        }
    }

    /// Ready when the pipe is free again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.free <= Instant::now() {
            return Poll::Ready(());
        }
        self.timer.as_mut().reset(self.free);
        self.timer.as_mut().poll(cx)
    }

    fn passed(&mut self, bytes: usize) {
        let took = Dur((bytes as u128 * 1_000_000 / u128::from(self.bytes_per_second)) as u64);
        self.free = self.free.max(Instant::now()) + took.std();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Narrow<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.reading.poll(cx));
        let room = buf.remaining().min(this.reading.slice_bytes);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let n = part.filled().len();
        buf.advance(n);
        this.reading.passed(n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Narrow<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.writing.poll(cx));
        let part = buf.get(..buf.len().min(this.writing.slice_bytes)).unwrap_or_default();
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
        this.writing.passed(n);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// tokio's timers tell milliseconds.
const SLICE: Dur = Dur::ms(10);
