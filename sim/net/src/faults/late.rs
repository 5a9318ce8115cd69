//! Latency: what is read comes later than it came.

use bytes::{Buf, Bytes};
use droves_facts::Dur;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Delays what is read, each piece by a draw of its own, never out of order. What is written passes: wrap both ends
/// for both ways.
pub struct Late<S> {
    stream: S,
    draw: Box<dyn FnMut() -> Dur>,
    waiting: VecDeque<(Instant, Bytes)>,
    waiting_bytes: usize,
    ended: Option<io::Result<()>>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Late<S> {
    /// `draw` tells each piece's delay.
    pub fn new(stream: S, draw: impl FnMut() -> Dur + 'static) -> Self {
        Late {
            stream,
            draw: Box::new(draw),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            ended: None,
            timer: Box::pin(tokio::time::sleep_until(Instant::now())),
        }
    }
}

impl<S: AsyncRead + Unpin> Late<S> {
    /// Takes what has come, up to what may be under way.
    fn take_in(&mut self, cx: &mut Context<'_>) {
        let mut piece = [0; PIECE_BYTES];
        while self.ended.is_none() && self.waiting_bytes < UNDER_WAY_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    let due = Instant::now() + (self.draw)().std();
                    let due = self.waiting.back().map_or(due, |&(last, _)| due.max(last));
                    self.waiting_bytes += buf.filled().len();
                    self.waiting.push_back((due, Bytes::copy_from_slice(buf.filled())));
                }
                Poll::Ready(ended) => self.ended = Some(ended),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Late<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.take_in(cx);
        let Some((due, piece)) = this.waiting.front_mut() else {
            // An end is told once as it was, and then as the end of the stream.
            return match &mut this.ended {
                Some(ended) => Poll::Ready(std::mem::replace(ended, Ok(()))),
                None => Poll::Pending,
            };
        };
        if *due > Instant::now() {
            this.timer.as_mut().reset(*due);
            ready!(this.timer.as_mut().poll(cx));
        }
        let n = piece.len().min(buf.remaining());
        buf.put_slice(piece.get(..n).unwrap_or_default());
        piece.advance(n);
        this.waiting_bytes -= n;
        if piece.is_empty() {
            this.waiting.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Late<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: fmt::Debug> fmt::Debug for Late<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").field("stream", &self.stream).finish_non_exhaustive()
    }
}

const PIECE_BYTES: usize = 4 << 10;
/// A long fat pipe: 100 ms at 20 Mbit/s.
const UNDER_WAY_BYTES_MAX: usize = 256 << 10;
