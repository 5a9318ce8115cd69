//! The EMM's way to Google: it sends what the brain has to say, and brings back what is answered.

use super::super::brain::Brain;
use super::line::{Call, Reply};
use super::{Settings, Wall};
use crate::client::Client;
use droves_facts::{Dur, Limits};
use droves_net::clock::{Clock, RunClock};
use droves_net::http::{Body, Outgoing};
use droves_net::tls::{ClientTls, ClientTlsSettings, Roots, TlsError, Trust};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// What an EMM needs to be told, with its sockets.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Google is, without a slash at the end: both of its interfaces, and the keys of its tokens.
    pub google: String,
    /// The key file of the service account that it calls by.
    pub key_file: PathBuf,
    /// Whom Google is believed by, where it is met with TLS.
    pub trust: Trust,
    /// Hosts that may be called although they are neither loopback nor private: those of the real Google, if it is that.
    pub authorised: Vec<String>,
    /// How it goes about it.
    pub settings: Settings,
}

/// What calling needs.
struct Caller {
    brain: Arc<Mutex<Brain>>,
    client: Client,
    clock: RunClock,
    limits: Limits,
    /// Told when the brain may have more to say.
    changed: Rc<Notify>,
}

const REST_MAX: Dur = Dur::secs(3_600);

/// Calls Google whenever there is something to say; never, without one.
pub(in super::super) async fn run(
    google: Option<(Roots, Vec<String>)>,
    brain: Arc<Mutex<Brain>>,
    clock: RunClock,
    limits: Limits,
    changed: Rc<Notify>,
) {
    let with_tls = |(roots, authorised)| Ok((ClientTls::new(&roots, ClientTlsSettings::default())?, authorised));
    let tls: Result<Option<(ClientTls, Vec<String>)>, TlsError> = google.map(with_tls).transpose();
    match tls {
        Ok(Some((tls, authorised))) => {
            let client = Client::new(tls, authorised, clock, limits.clone());
            let caller = Rc::new(Caller { brain, client, clock, limits, changed });
            LocalSet::new().run_until(caller.talk()).await;
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "practice server's way to Google"),
    }
    std::future::pending::<()>().await;
}

impl Caller {
    async fn talk(self: Rc<Self>) {
        loop {
            let now = self.clock.now();
            let (calls, next) = self.with(|brain, wall| (brain.calls(now, wall), brain.next_call(now)));
            for call in calls {
                tokio::task::spawn_local(Rc::clone(&self).call(call));
            }
            let rest = next.map_or(REST_MAX, |next| next.since(now)).min(REST_MAX);
            tokio::select! {
                () = tokio::time::sleep(rest.std()) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn call(self: Rc<Self>, call: Call) {
        let number = call.number;
        let reply = match self.send(call).await {
            Ok(reply) => Some(reply),
            Err(why) => {
                tracing::debug!(why, "a call to Google");
                None
            }
        };
        let now = self.clock.now();
        self.with(|brain, wall| brain.called(now, wall, number, reply));
        self.changed.notify_one();
    }

    async fn send(&self, call: Call) -> Result<Reply, String> {
        let uri: Uri = call.url.parse().map_err(|_| "not a url")?;
        let target = uri.path_and_query().cloned().ok_or("not a url")?;
        let mut headers = HeaderMap::new();
        let content_type = call.content_type.map(HeaderValue::from_static);
        let authorization = call.authorization.and_then(|value| HeaderValue::try_from(value).ok());
        for (name, value) in [(header::CONTENT_TYPE, content_type), (header::AUTHORIZATION, authorization)] {
            headers.extend(value.map(|value| (name, value)));
        }
        let method = Method::from_bytes(call.method.as_bytes()).map_err(|error| error.to_string())?;
        let outgoing = Outgoing { method, target, headers, body: call.body };
        let answer = self
            .client
            .send(&uri, || outgoing.clone(), self.limits.body_bytes_max, self.limits.request_wait_max)
            .await
            .map_err(|failed| failed.text)?;
        let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = match answer.body {
            Body::Kept(bytes) => bytes,
            Body::Digested { .. } => super::EMPTY,
        };
        Ok(Reply { status: answer.status.as_u16(), location, body })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Brain, Wall) -> T) -> T {
        let wall = super::super::server::wall();
        act(&mut self.brain.lock().unwrap_or_else(PoisonError::into_inner), wall)
    }
}
