//! One HTTP connection of one identity to one origin: HTTP/1.1 with keep-alive (RFC 9112), or HTTP/2 with one stream
//! at a time (RFC 9113).
//!
//! There is no pool and no retry: a request is written once, and a failure says how far it came. The connection has
//! no task of its own; it is polled together with the exchange, and while it rests by [`Conn::until_closed`], which
//! also answers HTTP/2 pings. An exchange that is dropped half-way leaves a connection that is good for nothing.

mod chores;
mod failure;
mod meter;
mod sink;
mod way;

pub use failure::{Failed, Reached, SendError};
pub use sink::{Body, Sink};

use crate::clock::Clock;
use crate::connect::ConnectError;
use crate::stream::Stream;
use ::http::header::HOST;
use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use bytes::Bytes;
use droves_facts::{Dur, Limits, Mono};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use meter::Meter;
use sink::Drain;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use way::Way;

/// Scheme, host and port: what a connection is to.
#[derive(Clone, Debug)]
pub struct Origin {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
}

impl Origin {
    /// The origin of an absolute URL's parts; the default port is left out of `Host`, as devices do.
    pub fn new(tls: bool, host: &str, port: u16) -> Result<Self, http::Error> {
        let standard = if tls { 443 } else { 80 };
        let authority = if port == standard { host.to_owned() } else { format!("{host}:{port}") };
        Ok(Origin {
            scheme: if tls { Scheme::HTTPS } else { Scheme::HTTP },
            host: HeaderValue::try_from(&authority)?,
            authority: Authority::try_from(authority)?,
        })
    }
}

/// A request, as far as it is not the connection's: `Host`, `Content-Length` and the version are added.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: PathAndQuery,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Bytes of head and body written.
    pub bytes_out: u64,
    /// Bytes read, head included.
    pub bytes_in: u64,
    /// When the request could be written.
    pub sent: Mono,
    /// When the head had come.
    pub first_byte: Mono,
    /// When the body had come.
    pub ended: Mono,
}

/// An open connection.
#[derive(Debug)]
pub struct Conn<S: AsyncRead + AsyncWrite + Unpin + 'static = Stream> {
    origin: Origin,
    meter: Rc<Meter>,
    way: Way<S>,
    usable: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Conn<S> {
    /// Begins HTTP on a stream. No byte of HTTP/1.1 is written yet; of HTTP/2 the preface is.
    pub async fn open(stream: S, http2: bool, origin: Origin, limits: &Limits) -> Result<Self, ConnectError> {
        let meter = Rc::new(Meter::default());
        let way = Way::open(stream, http2, meter.clone(), limits).await.map_err(ConnectError::Http)?;
        Ok(Conn { origin, meter, way, usable: true })
    }

    /// Whether it speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.way.is_http2()
    }

    /// Whether another request can be sent, as far as the socket says by now. Never waits.
    pub fn is_open(&mut self) -> bool {
        self.usable && self.way.poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.way.is_open()
    }

    /// Waits until the peer closes the resting connection. Also what keeps an HTTP/2 connection answering pings.
    pub async fn until_closed(&mut self) {
        poll_fn(|cx| self.way.poll(cx)).await;
    }

    /// Sends a request and reads the whole answer, within `wait_max`.
    pub async fn send(
        &mut self,
        outgoing: Outgoing,
        sink: Sink,
        wait_max: Dur,
        clock: &dyn Clock,
    ) -> Result<Answer, Box<Failed>> {
        self.meter.start();
        let sent = clock.now();
        let mut head = None;
        let usable = std::mem::replace(&mut self.usable, false);
        let result = if usable {
            let mut deadline = pin!(tokio::time::sleep(wait_max.std()));
            self.exchange(outgoing, sink, deadline.as_mut(), clock, &mut head).await
        } else {
            Err(SendError::AlreadyClosed)
        };
        let ended = clock.now();
        let (bytes_out, bytes_in) = (self.meter.out(), self.meter.read());
        match result {
            Ok((status, headers, body, first_byte)) => {
                self.usable = true;
                Ok(Answer { status, headers, body, bytes_out, bytes_in, sent, first_byte, ended })
            }
            Err(why) => {
                let reached = match head {
                    Some((status, _)) => Reached::Head(status),
                    None if bytes_out > 0 => Reached::Sent,
                    None => Reached::NotSent,
                };
                // hyper can't always tell a connection that was closed before from one closed for an answer.
                let why = match why {
                    SendError::Closed if reached == Reached::NotSent => SendError::AlreadyClosed,
                    SendError::AlreadyClosed if reached == Reached::Sent => SendError::Closed,
                    why => why,
                };
                let first_byte = head.map(|(_, at)| at);
                Err(Box::new(Failed { why, reached, bytes_out, bytes_in, sent, first_byte, ended }))
            }
        }
    }

    async fn exchange(
        &mut self,
        outgoing: Outgoing,
        sink: Sink,
        mut deadline: Pin<&mut tokio::time::Sleep>,
        clock: &dyn Clock,
        head: &mut Option<(StatusCode, Mono)>,
    ) -> Result<(StatusCode, HeaderMap, Body, Mono), SendError> {
        let request = self.request(outgoing)?;
        poll_fn(|cx| match self.way.poll_ready(cx) {
            Poll::Pending => deadline.as_mut().poll(cx).map(|()| Err(SendError::Timeout)),
            ready => ready,
        })
        .await?;
        let answer = self.way.answer(request, deadline.as_mut()).await?;
        let first_byte = clock.now();
        let (parts, mut incoming) = answer.into_parts();
        *head = Some((parts.status, first_byte));
        let mut drain = Drain::new(sink, incoming.size_hint().exact())?;
        while let Some(piece) = self.piece(&mut incoming, deadline.as_mut()).await? {
            drain.take(piece)?;
        }
        Ok((parts.status, parts.headers, drain.done(), first_byte))
    }

    async fn piece(
        &mut self,
        incoming: &mut Incoming,
        mut deadline: Pin<&mut tokio::time::Sleep>,
    ) -> Result<Option<Bytes>, SendError> {
        loop {
            if incoming.is_end_stream() {
                return Ok(None);
            }
            let frame = poll_fn(|cx| {
                // The body first: where it came with the head it is there already. To ask for it is also what makes
                // the connection read on.
                if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) {
                    return Poll::Ready(Ok(frame));
                }
                // The connection's end is not the body's: what was read before it is still to be taken.
                let _over: Poll<()> = self.way.poll(cx);
                match Pin::new(&mut *incoming).poll_frame(cx) {
                    Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                    Poll::Pending => deadline.as_mut().poll(cx).map(|()| Err(SendError::Timeout)),
                }
            })
            .await?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(SendError::of_hyper(error, true)),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    fn request(&self, outgoing: Outgoing) -> Result<Request<Full<Bytes>>, SendError> {
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = outgoing.method;
        *request.headers_mut() = outgoing.headers;
        if self.is_http2() {
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(self.origin.scheme.clone());
            parts.authority = Some(self.origin.authority.clone());
            parts.path_and_query = Some(outgoing.target);
            *request.uri_mut() = Uri::from_parts(parts).map_err(|why| SendError::BadRequest(why.into()))?;
            *request.version_mut() = Version::HTTP_2;
        } else {
            *request.uri_mut() = Uri::from(outgoing.target);
            request.headers_mut().insert(HOST, self.origin.host.clone());
        }
        Ok(request)
    }
}
