//! One connection of a provider: HTTP/2 by hyper over a stream whose frames are followed ([`Frames`]), each request
//! read within bounds and handed to the brain.

use super::conduct::{Conduct, Then};
use super::frames::{Frames, Steering};
use super::house::House;
use super::known::{self, KnownProvider};
use super::request::{PAYLOAD_BYTES_MAX, PushRequest};
use super::{Answer, Reason};
use bytes::Bytes;
use droves_facts::{Dur, Mono};
use droves_net::Stream;
use droves_net::listen::{LocalExec, Peer, Stopping};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Serves a connection until it is over: ended by the provider, by its rules, by idleness, or by the end of the house.
pub(crate) async fn serve(io: Stream, peer: Arc<Peer>, mut stopping: Stopping, house: Rc<House>) {
    if !peer.http2 {
        house.counts.not_http2.fetch_add(1, Relaxed);
        return;
    }
    let rules = house.connections;
    let line = Rc::new(Line {
        provider: known::provider(&peer.chain),
        steering: Rc::default(),
        conduct: RefCell::new(Conduct::new(rules)),
        goodbye: Notify::new(),
        used: Cell::new(false),
        heard: Cell::new(house.post.now()),
        house: Rc::clone(&house),
    });
    let answering = Rc::clone(&line);
    let io = TokioIo::new(Frames::new(io, Rc::clone(&line.steering)));
    let connection = hyper::server::conn::http2::Builder::new(LocalExec)
        .timer(TokioTimer::new())
        .max_concurrent_streams(rules.streams_max)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_EVERY.std())
        .keep_alive_timeout(PING_WAIT_MAX.std())
        .serve_connection(io, service_fn(move |request| Rc::clone(&answering).answer(request)));
    let mut connection = pin!(connection);
    let end = tokio::select! {
        _over = connection.as_mut() => return,
        end = line.end(&mut stopping) => end,
    };
    line.steering.farewell(end);
    house.counts.goaways.fetch_add(1, Relaxed);
    connection.as_mut().graceful_shutdown();
    // How it ends does not matter any more; that it ends does.
    if timeout(GOODBYE_MAX.std(), connection).await.is_err() {
        tracing::debug!("a provider stayed on after GOAWAY");
    }
}

struct Line {
    provider: KnownProvider,
    steering: Rc<Steering>,
    conduct: RefCell<Conduct>,
    goodbye: Notify,
    used: Cell<bool>,
    /// When the last request came.
    heard: Cell<Mono>,
    house: Rc<House>,
}

impl Line {
    /// Waits until the connection is to be ended in good order, and says why.
    async fn end(&self, stopping: &mut Stopping) -> Reason {
        let idle = async {
            loop {
                let idle_since = self.house.post.now().since(self.heard.get());
                if idle_since >= self.house.connections.idle_max {
                    return;
                }
                sleep((self.house.connections.idle_max - idle_since).std()).await;
            }
        };
        tokio::select! {
            () = self.goodbye.notified() => Reason::Shutdown,
            () = stopping.wait() => Reason::Shutdown,
            () = idle => Reason::IdleTimeout,
        }
    }

    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Unread> {
        let (parts, body) = request.into_parts();
        let body = timeout(BODY_WAIT_MAX.std(), payload(body)).await.map_err(|_| Unread)??;
        let push = PushRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            headers: &parts.headers,
            body: &body,
            provider: self.provider.borrowed(),
        };
        self.heard.set(self.house.post.now());
        let answer = self.house.answer(push);
        if answer.lag > Dur::ZERO {
            sleep(answer.lag.std()).await;
        }
        if !self.used.replace(true) {
            self.house.counts.used.fetch_add(1, Relaxed);
        }
        match self.conduct.borrow_mut().after(&answer.verdict) {
            Then::GoOn => {}
            Then::Streams(streams) => self.steering.allow(streams),
            Then::GoAway => self.goodbye.notify_one(),
            Then::Cut => {
                self.house.counts.cut.fetch_add(1, Relaxed);
                self.steering.cut(Reason::BadDeviceToken);
            }
        }
        Ok(response(&answer))
    }
}

/// The request's body did not come whole: its stream is reset.
#[derive(Debug, thiserror::Error)]
#[error("request body did not arrive")]
struct Unread;

/// What is looked at of a body; the rest is read up to a bound and dropped, so that the provider finds its answer.
async fn payload(mut body: Incoming) -> Result<Vec<u8>, Unread> {
    let mut kept = Vec::new();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread)?.into_data() else { continue };
        read += data.len();
        let room = (PAYLOAD_BYTES_MAX + 1).saturating_sub(kept.len());
        kept.extend_from_slice(data.get(..room).unwrap_or(&data));
        if read > BODY_BYTES_MAX {
            break;
        }
    }
    Ok(kept)
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body())));
    *response.status_mut() = http::StatusCode::from_u16(answer.status()).unwrap_or_default();
    if let Ok(id) = answer.apns_id.parse() {
        response.headers_mut().insert("apns-id", id);
    }
    response
}

const HEADER_BYTES_MAX: u32 = 16 << 10;
const SEND_BYTES_MAX: usize = 64 << 10;
/// Read of a body that is too large, before its stream is reset.
const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_WAIT_MAX: Dur = Dur::secs(30);
const GOODBYE_MAX: Dur = Dur::secs(4);
/// Dead providers are found by PING.
const PING_EVERY: Dur = Dur::secs(60);
const PING_WAIT_MAX: Dur = Dur::secs(20);
