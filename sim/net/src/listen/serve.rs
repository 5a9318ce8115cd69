//! HTTP over accepted connections.

use super::{Listener, Peer, Settings, Stopping};
use crate::stream::Stream;
use ::http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

/// Spawns hyper's HTTP/2 streams as local tasks.
#[derive(Clone, Copy, Debug)]
pub struct LocalExec;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExec {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

impl Listener {
    /// Serves HTTP until `stop`. `service` makes one service a connection, knowing its peer: usually
    /// `|peer| service_fn(move |request| answer(peer.clone(), request))`. Needs a current-thread runtime, no `LocalSet`.
    pub async fn serve<M, S, B>(self, stop: impl Future<Output = ()>, service: M)
    where
        M: Fn(Arc<Peer>) -> S + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + 'static,
        S::Future: 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        LocalExec: Http2ServerConnExec<S::Future, B>,
    {
        let builders = Rc::new(Builders::new(&self.settings));
        let handler = move |stream: Stream, peer: Arc<Peer>, stopping: Stopping| {
            let http2 = peer.http2;
            let service = service(peer);
            let builders = builders.clone();
            async move {
                let io = TokioIo::new(stream);
                // How a connection ends is the client's affair, and its errors are seen there.
                let ended = if http2 {
                    until_over(builders.http2.serve_connection(io, service), stopping).await
                } else {
                    until_over(builders.http1.serve_connection(io, service), stopping).await
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
            }
        };
        self.each(stop, handler).await;
    }
}

struct Builders {
    http1: http1::Builder,
    http2: http2::Builder<LocalExec>,
}

impl Builders {
    fn new(settings: &Settings) -> Self {
        let mut one = http1::Builder::new();
        one.timer(TokioTimer::new())
            .header_read_timeout(settings.head_wait_max.std())
            .max_buf_size(settings.head_bytes_max.max(H1_BUFFER_BYTES_MIN));
        let mut two = http2::Builder::new(LocalExec);
        two.timer(TokioTimer::new())
            .max_concurrent_streams(settings.streams_max)
            .max_header_list_size(u32::try_from(settings.head_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(settings.ping_interval.map(|every| every.std()))
            .keep_alive_timeout(settings.ping_wait_max.std());
        Builders { http1: one, http2: two }
    }
}

/// A connection of hyper's that can be asked to end.
trait Connection: Future<Output = hyper::Result<()>> {
    fn end_soon(self: Pin<&mut Self>);
}

impl<S, B> Connection for http1::Connection<TokioIo<Stream>, S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn end_soon(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, B> Connection for http2::Connection<TokioIo<Stream>, S, LocalExec>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    LocalExec: Http2ServerConnExec<S::Future, B>,
{
    fn end_soon(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn until_over(connection: impl Connection, mut stopping: Stopping) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = &mut connection => return ended,
        () = stopping.wait() => connection.as_mut().end_soon(),
    }
    connection.await
}

/// hyper's own lower bound; it panics under it.
const H1_BUFFER_BYTES_MIN: usize = 8_192;
