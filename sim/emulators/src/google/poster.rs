//! Posts to push endpoints, and the clock of what happens at Google without anybody asking.

use super::pubsub::{Outbound, is_taken};
use super::server::Shared;
use crate::client::{Client, Failed};
use bytes::Bytes;
use droves_facts::{Blame, Dur, Limits, Mono, Operation, Outcome, RequestTiming, What, status_kind};
use droves_net::clock::{Clock, RunClock};
use droves_net::http::{Answer, Outgoing};
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
    pub(super) fn new(
        shared: Arc<Shared>,
        tls: ClientTls,
        authorised: Vec<String>,
        clock: RunClock,
        limits: Limits,
    ) -> Self {
        Poster { shared, client: Client::new(tls, authorised, clock, limits), clock }
    }

    /// Posts one, and tells what became of it.
    async fn post(self: Rc<Self>, post: Outbound) {
        let started = self.clock.now();
        // When it might have gone, by the run's clock.
        let late = self.shared.look(|_, now| now.since(post.due));
        let due = Mono(started.0.saturating_sub(late.0));
        let operation = Operation::AndroidNotification;
        self.shared.told.say(started, post.lane(), What::RequestStarted { operation });
        let sent = tokio::time::timeout(post.wait_max.std(), self.send(&post)).await;
        let ended = self.clock.now();
        let sent = sent.unwrap_or_else(|_elapsed| Err(Failed::server("timeout", "no answer in time")));
        let status = sent.as_ref().ok().map(|answer| answer.status.as_u16());
        self.shared.with(|google, now| google.pushed(now, &post, status, ended.since(started)));
        let outcome = match (&sent, status) {
            (Err(Failed { blame, kind, .. }), _) => Outcome::Failed { blame: *blame, kind },
            (Ok(_), _) if is_taken(status) => Outcome::Succeeded,
            (Ok(_), status) => Outcome::Failed { blame: Blame::Server, kind: status_kind(status.unwrap_or(0)) },
        };
        let at = |moment: fn(&Answer) -> Mono| sent.as_ref().ok().map(moment);
        let sent_at = at(|answer| answer.sent).unwrap_or(started);
        let timing = RequestTiming { due, started, sent: sent_at, first_byte: at(|answer| answer.first_byte), ended };
        let bytes =
            |count: fn(&Answer) -> u64| sent.as_ref().ok().map(count).and_then(|count| u32::try_from(count).ok());
        let (bytes_out, bytes_in) = (bytes(|answer| answer.bytes_out), bytes(|answer| answer.bytes_in));
        let (bytes_out, bytes_in) = (bytes_out.unwrap_or(0), bytes_in.unwrap_or(0));
        self.shared.told.say(
            ended,
            post.lane(),
            What::RequestEnded { operation, timing, outcome, bytes_out, bytes_in },
        );
    }

    async fn send(&self, post: &Outbound) -> Result<Answer, Failed> {
        let uri: Uri = post.endpoint.parse().map_err(|_| Failed::server("bad_url", "not a URL"))?;
        let mut headers = HeaderMap::new();
        headers.insert(http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let token = self.shared.look(|google, now| google.token(now, post));
        let token = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        for (name, value) in post.headers().into_iter().chain(token) {
            // An attribute that can't be a header is none.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        let target = uri.path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        let outgoing = || {
            let (target, headers, body) = (target.clone(), headers.clone(), Bytes::from(post.body()));
            Outgoing { method: Method::POST, target, headers, body }
        };
        self.client.send(&uri, outgoing, ANSWER_BYTES_MAX, post.wait_max).await
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
