//! The two protocols under one face: hyper's sender and connection, polled by hand.

use super::SendError;
use super::chores::Chores;
use super::meter::{Meter, Metered};
use ::http::{Request, Response};
use bytes::Bytes;
use droves_facts::Limits;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

type Io<S> = TokioIo<Metered<S>>;

/// HTTP/1.1 or HTTP/2.
#[derive(Debug)]
pub(super) enum Way<S: AsyncRead + AsyncWrite + Unpin + 'static> {
    Http1 { sender: http1::SendRequest<Full<Bytes>>, driver: Driver<H1<S>> },
    Http2 { sender: http2::SendRequest<Full<Bytes>>, driver: Driver<H2<S>>, chores: Chores },
}

/// Boxed: hyper's are large, and a [`super::Conn`] moves before it rests.
type H1<S> = Box<http1::Connection<Io<S>, Full<Bytes>>>;
/// Likewise.
type H2<S> = Box<http2::Connection<Io<S>, Full<Bytes>, Chores>>;

/// hyper's side of a connection, not to be polled again after its end.
#[derive(Debug)]
pub(super) struct Driver<D> {
    connection: D,
    over: bool,
}

impl<D: Future<Output = hyper::Result<()>> + Unpin> Driver<D> {
    /// An error is not told here: whoever waits for an answer is told by hyper, and nobody else cares.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.over {
            self.over = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
        if self.over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Way<S> {
    pub(super) async fn open(stream: S, http2: bool, meter: Rc<Meter>, limits: &Limits) -> hyper::Result<Self> {
        let io = TokioIo::new(Metered { stream, meter });
        if http2 {
            let chores = Chores::default();
            let (sender, connection) = http2::Builder::new(chores.clone())
                .timer(TokioTimer::new())
                .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
                .initial_stream_window_size(H2_WINDOW_BYTES)
                .initial_connection_window_size(H2_WINDOW_BYTES)
                .handshake(io)
                .await?;
            let driver = Driver { connection: Box::new(connection), over: false };
            return Ok(Way::Http2 { sender, driver, chores });
        }
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(limits.header_bytes_max.max(H1_BUFFER_BYTES_MIN))
            .handshake(io)
            .await?;
        Ok(Way::Http1 { sender, driver: Driver { connection: Box::new(connection), over: false } })
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Way::Http2 { .. })
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Way::Http1 { sender, driver } => !driver.over && !sender.is_closed(),
            Way::Http2 { sender, driver, .. } => !driver.over && !sender.is_closed(),
        }
    }

    /// Moves bytes; ready when the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Way::Http1 { driver, .. } => driver.poll(cx),
            Way::Http2 { driver, chores, .. } => {
                let over = driver.poll(cx);
                chores.poll(cx);
                over
            }
        }
    }

    /// Ready when a request can be taken.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        // Not an end by itself: the sender knows it, and says it as an error.
        let _over: Poll<()> = self.poll(cx);
        match self {
            Way::Http1 { sender, .. } => sender.poll_ready(cx),
            Way::Http2 { sender, .. } => sender.poll_ready(cx),
        }
    }

    /// Sends, and waits for the head of the answer.
    pub(super) async fn answer(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Response<Incoming>, SendError> {
        match self {
            Way::Http1 { sender, driver } => {
                let answer = sender.send_request(request);
                head(answer, deadline, |cx| driver.poll(cx)).await
            }
            Way::Http2 { sender, driver, chores } => {
                let answer = sender.send_request(request);
                let drive = |cx: &mut Context<'_>| {
                    let over = driver.poll(cx);
                    chores.poll(cx);
                    over
                };
                head(answer, deadline, drive).await
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Drop for Way<S> {
    fn drop(&mut self) {
        if let Way::Http2 { chores, .. } = self {
            chores.end();
        }
    }
}

async fn head(
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
    mut deadline: Pin<&mut Sleep>,
    mut drive: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Result<Response<Incoming>, SendError> {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        // The connection first: it writes what was just handed over, and reads what the answer waits for.
        let _over: Poll<()> = drive(cx);
        match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(|error| SendError::of_hyper(error, false))),
            Poll::Pending => deadline.as_mut().poll(cx).map(|()| Err(SendError::Timeout)),
        }
    })
    .await
}

/// hyper's own lower bound; it panics under it.
const H1_BUFFER_BYTES_MIN: usize = 8_192;
/// One stream at a time: the connection's window need be no larger than the stream's.
const H2_WINDOW_BYTES: u32 = 1 << 20;
