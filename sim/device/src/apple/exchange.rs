//! One question to a server and what its answer means to a device: redirects, refusals, silence.
//!
//! The meaning follows Apple's MDM documentation as far as it says: 401, and 403 with the code
//! `com.apple.unrecognized.device`, end the enrollment; any other 4xx refuses this one message; everything else that
//! is not a 2xx is tried again. Redirects are followed without asking and never remembered.

use crate::web::{first_line, header, join};
use crate::{Account, Action, Body, Ctx, Event, Failure, Method, Peer, Reasons, Request, Sign, Sink, What};
use bytes::Bytes;
use droves_facts::{Blame, Operation, Platform, status_kind};
use std::sync::Arc;

pub(super) use crate::trouble::Trouble;
pub(super) use crate::web::is_allowed;

/// Fixed headers of one kind of message.
pub(super) type Headers = &'static [(&'static str, &'static str)];

/// A question that is under way.
#[derive(Debug)]
pub(super) struct Exchange {
    operation: Operation,
    url: Arc<str>,
    method: Method,
    headers: Headers,
    body: Option<Bytes>,
    as_device: bool,
    signer: Signer,
    hops: u8,
}

/// Who signs the body, if there is one.
#[derive(Debug)]
enum Signer {
    Nobody,
    Device,
    Account(Account),
}

/// What came of it so far.
#[derive(Debug)]
pub(super) enum Heard {
    /// The server sent the device elsewhere: ask there.
    Moved(Action),
    /// The server's answer, or that none came.
    Said(Verdict),
}

/// What an answer means.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A 2xx with this body.
    Taken(Taken),
    /// The server does not want this device any more.
    Unenroll(Trouble),
    /// The server refuses this message: any other 4xx.
    Refused(Trouble),
    /// The server has a fault, or there was no answer.
    Broken(Trouble),
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Taken {
    /// 200..=299.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Bytes,
    /// `Content-Type` in lower case; empty if there is none.
    pub(super) content_type: String,
}

impl Verdict {
    /// The good answer, or why there is none, for those to whom all failures are one.
    pub(super) fn taken(self) -> Result<Taken, Trouble> {
        match self {
            Verdict::Taken(taken) => Ok(taken),
            Verdict::Unenroll(trouble) | Verdict::Refused(trouble) | Verdict::Broken(trouble) => Err(trouble),
        }
    }
}

impl Exchange {
    /// A PUT by the enrolled device: a check-in message or a result, signed if the profile wants that.
    pub(super) fn put(operation: Operation, url: &Arc<str>, headers: Headers, body: Bytes, sign: bool) -> Self {
        Exchange {
            operation,
            url: Arc::clone(url),
            method: Method::Put,
            headers,
            body: Some(body),
            as_device: true,
            signer: if sign { Signer::Device } else { Signer::Nobody },
            hops: 0,
        }
    }

    /// A GET by a device that nobody knows yet.
    pub(super) fn get(operation: Operation, url: Arc<str>, headers: Headers) -> Self {
        Exchange {
            operation,
            url,
            method: Method::Get,
            headers,
            body: None,
            as_device: false,
            signer: Signer::Nobody,
            hops: 0,
        }
    }

    /// The same, to which only the head is answered.
    pub(super) fn head(operation: Operation, url: Arc<str>, headers: Headers) -> Self {
        Exchange { method: Method::Head, ..Self::get(operation, url, headers) }
    }

    /// A POST by a device that nobody knows yet.
    pub(super) fn post(operation: Operation, url: Arc<str>, headers: Headers, body: Bytes) -> Self {
        Exchange { method: Method::Post, body: Some(body), ..Self::get(operation, url, headers) }
    }

    /// A POST that is signed by an account at an ACME server.
    pub(super) fn post_as(
        account: Account,
        operation: Operation,
        url: Arc<str>,
        headers: Headers,
        payload: Bytes,
    ) -> Self {
        Exchange { signer: Signer::Account(account), ..Self::post(operation, url, headers, payload) }
    }

    /// Asks.
    pub(super) fn ask(&self, ctx: &Ctx<'_>) -> Action {
        // iOS writes the signing time, macOS does not.
        let time = (ctx.character.platform != Platform::Macos).then_some(ctx.clocks.wall);
        let sign = match &self.signer {
            Signer::Nobody => None,
            Signer::Device => Some(Sign::Message { header: "mdm-signature", time }),
            Signer::Account(account) => Some(Sign::Account(account.clone())),
        };
        let limits = ctx.limits;
        Action {
            what: What::Request(Box::new(Request {
                operation: self.operation,
                peer: Peer::Server,
                method: self.method,
                url: Arc::clone(&self.url),
                headers: self.headers,
                varying: Vec::new(),
                body: self.body.clone().map_or(Body::Empty, Body::Bytes),
                identity: ctx.identity.filter(|_| self.as_device).cloned(),
                sign: sign.filter(|_| self.body.is_some()),
                sink: Sink::Keep(limits.body_bytes_max),
                wait_max: limits.request_wait_max,
                idle_end: None,
            })),
            until: ctx.clocks.now + limits.connect_wait_max + limits.tls_wait_max + limits.request_wait_max,
            hear: Reasons::NONE,
        }
    }

    /// What came of it.
    pub(super) fn hear(&mut self, event: Event<'_>, ctx: &Ctx<'_>) -> Heard {
        let response = match event {
            Event::Response(response) => response,
            Event::Failed(failure) => return Heard::Said(Verdict::Broken(self.trouble_of(&failure))),
            other => {
                let text = format!("{}: the shell brought {other:?} where an answer was due", self.operation);
                return Heard::Said(Verdict::Broken(Trouble::new(Blame::Generator, "unexpected_event", text)));
            }
        };
        let content_type = header(&response, "content-type").to_ascii_lowercase();
        match response.status {
            200..=299 => {
                Heard::Said(Verdict::Taken(Taken { status: response.status, body: response.body, content_type }))
            }
            301 | 302 | 303 | 307 | 308 => match self.follow(response.status, header(&response, "location"), ctx) {
                Ok(()) => Heard::Moved(self.ask(ctx)),
                Err(trouble) => Heard::Said(Verdict::Broken(trouble)),
            },
            401 => Heard::Said(Verdict::Unenroll(self.refusal(401, &response.body))),
            403 if names_unrecognized_device(&response.body) && knows_unrecognized_device(ctx) => {
                Heard::Said(Verdict::Unenroll(self.refusal(403, &response.body)))
            }
            status @ 400..=499 => Heard::Said(Verdict::Refused(self.refusal(status, &response.body))),
            status => Heard::Said(Verdict::Broken(self.refusal(status, &response.body))),
        }
    }

    /// Goes where a redirect points. 307 and 308 keep method and body; after the others the device asks with GET, as
    /// Apple's URL loading does.
    fn follow(&mut self, status: u16, location: &str, ctx: &Ctx<'_>) -> Result<(), Trouble> {
        let broken = |kind, text: String| Err(Trouble::new(Blame::Server, kind, text));
        if self.hops >= ctx.limits.redirects_max {
            return broken("redirects", format!("{}: more than {} redirects", self.operation, self.hops));
        }
        let Some(url) = join(&self.url, location) else {
            return broken("redirect", format!("{}: a {status} that leads nowhere", self.operation));
        };
        if !is_allowed(&url, ctx) {
            return broken("redirect", format!("{}: a {status} away from https", self.operation));
        }
        self.hops += 1;
        self.url = url.into();
        if !matches!(status, 307 | 308) && !matches!(self.method, Method::Get | Method::Head) {
            self.method = Method::Get;
            self.body = None;
        }
        Ok(())
    }

    fn refusal(&self, status: u16, body: &[u8]) -> Trouble {
        let said = first_line(body);
        let text = if said.is_empty() {
            format!("{}: the server answered {status}", self.operation)
        } else {
            format!("{}: the server answered {status}: {said}", self.operation)
        };
        Trouble::new(Blame::Server, status_kind(status), text)
    }

    fn trouble_of(&self, failure: &Failure) -> Trouble {
        Trouble::new(failure.blame, failure.kind, format!("{}: {}", self.operation, failure.text))
    }
}

/// The code stands in a plist or in JSON, as the answer's type says: it is the same word in both.
fn names_unrecognized_device(body: &[u8]) -> bool {
    const CODE: &[u8] = b"com.apple.unrecognized.device";
    body.windows(CODE.len()).any(|window| window == CODE)
}

/// iOS 17 and macOS 14 brought it.
fn knows_unrecognized_device(ctx: &Ctx<'_>) -> bool {
    let since = if ctx.character.platform == Platform::Macos { 14 } else { 17 };
    ctx.character.os_version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|m| m >= since)
}
