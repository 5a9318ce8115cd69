//! One question to a server, and what came of it. Windows follows no redirects but those of a login page.

use crate::trouble::{Trouble, unexpected};
use crate::web::{first_line, header, is_allowed};
use crate::{Action, Body, Ctx, Event, Identity, Method, Peer, Reasons, Request, Sign, Sink, What};
use bytes::Bytes;
use droves_facts::{Blame, Operation, status_kind};
use std::sync::Arc;

/// Fixed headers of one kind of message.
pub(super) type Headers = &'static [(&'static str, &'static str)];

/// A question to a server.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) operation: Operation,
    pub(super) url: &'a Arc<str>,
    pub(super) headers: Headers,
    pub(super) varying: Vec<(&'static str, Box<str>)>,
    /// What is posted; nothing is a GET.
    pub(super) body: Option<Bytes>,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) sign: Option<Sign>,
}

impl<'a> Question<'a> {
    /// A GET by a device that nobody knows yet.
    pub(super) fn get(operation: Operation, url: &'a Arc<str>, headers: Headers) -> Self {
        Question { operation, url, headers, varying: Vec::new(), body: None, identity: None, sign: None }
    }

    /// A POST by such a one.
    pub(super) fn post(operation: Operation, url: &'a Arc<str>, headers: Headers, body: Vec<u8>) -> Self {
        Question { body: Some(body.into()), ..Question::get(operation, url, headers) }
    }

    /// Asks it, if a device goes there.
    pub(super) fn ask(self, ctx: &Ctx<'_>) -> Result<Action, Trouble> {
        if !is_allowed(self.url, ctx) {
            let url: String = self.url.chars().filter(|c| !c.is_control()).take(100).collect();
            let text = format!("{}: a device does not go to {url}, which is not https", self.operation);
            return Err(Trouble::new(Blame::Server, "url", text));
        }
        Ok(self.ask_anywhere(ctx))
    }

    /// Asks it, also by http: for messages that protect themselves.
    pub(super) fn ask_anywhere(self, ctx: &Ctx<'_>) -> Action {
        let limits = ctx.limits;
        let request = Request {
            operation: self.operation,
            peer: Peer::Server,
            method: if self.body.is_some() { Method::Post } else { Method::Get },
            url: Arc::clone(self.url),
            headers: self.headers,
            varying: self.varying,
            body: self.body.map_or(Body::Empty, Body::Bytes),
            identity: self.identity,
            sign: self.sign,
            sink: Sink::Keep(limits.body_bytes_max),
            wait_max: limits.request_wait_max,
            idle_end: None,
        };
        Action {
            what: What::Request(Box::new(request)),
            until: ctx.clocks.now + limits.connect_wait_max + limits.tls_wait_max + limits.request_wait_max,
            hear: Reasons::NONE,
        }
    }
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// Whether it came in chunks, without a length.
    pub(super) chunked: bool,
    /// `Location`; empty if there is none.
    pub(super) location: String,
}

impl Answer {
    /// What came of a question.
    pub(super) fn of(event: Event<'_>, operation: Operation) -> Result<Answer, Trouble> {
        match event {
            Event::Response(response) => Ok(Answer {
                status: response.status,
                chunked: header(&response, "transfer-encoding").to_ascii_lowercase().contains("chunked"),
                location: header(&response, "location").to_owned(),
                body: response.body,
            }),
            other => Err(unexpected(&other, &format!("{operation}: an answer"))),
        }
    }

    /// The trouble that a status other than 200 is.
    pub(super) fn refusal(&self, operation: Operation) -> Trouble {
        let said = first_line(&self.body);
        let colon = if said.is_empty() { "" } else { ": " };
        let text = format!("{operation}: the server answered {}{colon}{said}", self.status);
        Trouble::new(Blame::Server, status_kind(self.status), text)
    }
}
