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
    /// What it ended with, until somebody wants to know.
    error: Option<hyper::Error>,
}

impl<D: Future<Output = hyper::Result<()>> + Unpin> Driver<D> {
    fn new(connection: D) -> Self {
        Driver { connection, over: false, error: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.over
            && let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(cx)
        {
            self.over = true;
            self.error = ended.err();
        }
        if self.over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The sender is told of an end with less detail than the connection itself, so what that ended with goes first.
    fn why(&mut self, told: Option<hyper::Error>) -> SendError {
        let told = told.map(|error| SendError::of_hyper(error, false));
        match (told, self.error.take()) {
            (None | Some(SendError::AlreadyClosed | SendError::Closed), Some(error)) => {
                SendError::of_hyper(error, false)
            }
            (told, _) => told.unwrap_or(SendError::AlreadyClosed),
        }
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
            let driver = Driver::new(Box::new(connection));
            return Ok(Way::Http2 { sender, driver, chores });
        }
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(limits.header_bytes_max.max(H1_BUFFER_BYTES_MIN))
            .handshake(io)
            .await?;
        Ok(Way::Http1 { sender, driver: Driver::new(Box::new(connection)) })
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

    /// Ready when a request can be taken, or never will be.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.poll(cx).is_ready() {
            return Poll::Ready(Err(match self {
                Way::Http1 { driver, .. } => driver.why(None),
                Way::Http2 { driver, .. } => driver.why(None),
            }));
        }
        match self {
            Way::Http1 { sender, driver } => sender.poll_ready(cx).map_err(|error| driver.why(Some(error))),
            Way::Http2 { sender, driver, .. } => sender.poll_ready(cx).map_err(|error| driver.why(Some(error))),
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
                let answer = head(answer, deadline, |cx| driver.poll(cx)).await;
                answer.map_err(|told| told.map_or(SendError::Timeout, |error| driver.why(Some(error))))
            }
            Way::Http2 { sender, driver, chores } => {
                let answer = sender.send_request(request);
                let drive = |cx: &mut Context<'_>| {
                    let over = driver.poll(cx);
                    chores.poll(cx);
                    over
                };
                let answer = head(answer, deadline, drive).await;
                answer.map_err(|told| told.map_or(SendError::Timeout, |error| driver.why(Some(error))))
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

/// An error of `None` is the end of the time.
async fn head(
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
    mut deadline: Pin<&mut Sleep>,
    mut drive: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Result<Response<Incoming>, Option<hyper::Error>> {
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        // The connection first: it writes what was just handed over, and reads what the answer waits for.
        let _over: Poll<()> = drive(cx);
        match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(Some)),
            Poll::Pending => deadline.as_mut().poll(cx).map(|()| Err(None)),
        }
    })
    .await
}

/// hyper's own lower bound; it panics under it.
const H1_BUFFER_BYTES_MIN: usize = 8_192;
/// One stream at a time: the connection's window need be no larger than the stream's.
const H2_WINDOW_BYTES: u32 = 1 << 20;
