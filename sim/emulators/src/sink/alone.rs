//! A sink on a thread of this process: the other end where the generator alone is measured. What it hands out can change
//! at any time.

use super::command;
use bytes::Bytes;
use droves_facts::Dur;
use droves_net::listen::{Listener, read_body};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// What a device sends has a few KB.
const BODY_BYTES_MAX: usize = 1 << 20;
const BODY_WAIT_MAX: Dur = Dur::secs(60);

/// What connections get; may be changed at any time.
#[derive(Debug, Default)]
pub struct Orders {
    /// Commands for each connection, one with each answer until there are no more.
    pub commands: AtomicU32,
    /// Seconds before each answer after a connection's first.
    pub stall_s: AtomicU32,
}

/// Serves until `stop`. Needs a current-thread runtime.
pub async fn serve(listener: Listener, orders: Arc<Orders>, stop: impl Future<Output = ()>) {
    let service = move |_peer: Arc<_>| {
        let (orders, asked) = (Arc::clone(&orders), Rc::new(Cell::new(0)));
        service_fn(move |request| answer(request, Arc::clone(&orders), asked.replace(asked.get() + 1)))
    };
    listener.serve(stop, service).await;
}

async fn answer(
    request: Request<Incoming>,
    orders: Arc<Orders>,
    number: u32,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_read = read_body(request.into_body(), BODY_BYTES_MAX, BODY_WAIT_MAX).await.is_ok();
    if number > 0 {
        tokio::time::sleep(Duration::from_secs(u64::from(orders.stall_s.load(Relaxed)))).await;
    }
    let has_command = number < orders.commands.load(Relaxed);
    let body = if has_command { command(&number.to_string()) } else { Vec::new() };
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    if !is_read {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(answer)
}
