//! Posts to push endpoints, and the clock of what happens at Google without anybody asking.

use super::pubsub::Outbound;
use super::server::Shared;
use crate::client::Client;
use bytes::Bytes;
use droves_facts::{Dur, Limits};
use droves_net::clock::{Clock, RunClock};
use droves_net::http::Outgoing;
use droves_net::tls::ClientTls;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::rc::Rc;
use std::sync::Arc;

/// What posting needs.
pub(super) struct Poster {
    shared: Arc<Shared>,
    client: Client,
    clock: RunClock,
}

/// As real posts have it.
const USER_AGENT: &str = "CloudPubSub-Google";
/// An answer's body is of no interest.
const ANSWER_BYTES_MAX: usize = 64 << 10;

impl Poster {
    pub(super) fn new(shared: Arc<Shared>, tls: ClientTls, clock: RunClock, limits: Limits) -> Self {
        Poster { shared, client: Client::new(tls, clock, limits), clock }
    }

    /// Posts one, and tells what became of it.
    async fn post(self: Rc<Self>, post: Outbound) {
        let began = self.clock.now();
        let status = match tokio::time::timeout(post.wait_max.std(), self.send(&post)).await {
            Ok(Ok(status)) => Some(status),
            Ok(Err(why)) => {
                tracing::debug!(endpoint = post.endpoint, why, "push");
                None
            }
            Err(_elapsed) => None,
        };
        let took = self.clock.now().since(began);
        self.shared.with(|google, now| google.pushed(now, &post, status, took));
    }

    async fn send(&self, post: &Outbound) -> Result<u16, String> {
        let uri: Uri = post.endpoint.parse().map_err(|_| "not a url")?;
        let mut headers = HeaderMap::new();
        headers.insert(http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let token = self.shared.look(|google, now| google.token(now, post));
        let token = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        for (name, value) in post.headers.iter().chain(&token) {
            // An attribute that can't be a header is none.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        let target = uri.path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        let outgoing = Outgoing { method: Method::POST, target, headers, body: Bytes::from(post.body.clone()) };
        let answer = self.client.send(&uri, outgoing, ANSWER_BYTES_MAX, post.wait_max).await?;
        Ok(answer.status.as_u16())
    }
}

/// Posts what is due, whenever something changes or time has come.
pub(super) async fn run(poster: Rc<Poster>) {
    let mut changes = poster.shared.changes();
    loop {
        changes.mark_unchanged();
        let (posts, rest) = poster.shared.look(|google, now| {
            let posts = google.tick(now);
            (posts, google.next(now).map(|next| next.since(now)))
        });
        for post in posts {
            tokio::task::spawn_local(Rc::clone(&poster).post(post));
        }
        let rest = rest.unwrap_or(REST_MAX).clamp(REST_MIN, REST_MAX).std();
        tokio::select! {
            _ = tokio::time::sleep(rest) => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

const REST_MIN: Dur = Dur::ms(1);
const REST_MAX: Dur = Dur::secs(3_600);
