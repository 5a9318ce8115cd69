//! The exchange with a SCEP service (RFC 8894) as any device makes it: key, GetCACaps, GetCACert, PKIOperation, polls.
//!
//! The platform does what [`Next`] says, by its own rules of speaking on the web, and brings what came of it.

use crate::trouble::{Trouble, unexpected};
use crate::web::{percent_encoded, with_query};
use crate::{Ctx, Event, Identity, KeyIx, Made, Work};
use bytes::Bytes;
use droves_facts::{Blame, Operation, Purpose};
use droves_wire::apple::profile::AltNames;
use droves_wire::apple::scep;
use droves_wire::keys::KeyKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is to be got, and where.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Where the service is.
    pub(crate) url: Arc<str>,
    /// `message` of GetCACaps and GetCACert.
    pub(crate) name: Arc<str>,
    /// Bits of the RSA key.
    pub(crate) key_bits: u32,
    /// Relative names in order, each of pairs of a type and a value.
    pub(crate) subject: Vec<Vec<(String, String)>>,
    /// The challenge password.
    pub(crate) challenge: Option<String>,
    /// Apple's bits: 1 sign, 4 encrypt; 0 is any.
    pub(crate) key_usage: u8,
    /// Further names.
    pub(crate) alt_names: AltNames,
    /// Of the CA's certificate: MD5, SHA-1 or SHA-256 by its length.
    pub(crate) ca_fingerprint: Option<Vec<u8>>,
    /// How often a pending request is asked for.
    pub(crate) retries: u32,
    /// The old identity, which signs a renewal.
    pub(crate) signer: Option<Arc<Identity>>,
    /// The name in the temporary certificate that signs where there is no old identity.
    pub(crate) signer_name: String,
    /// Place of the messages' nonces in the numbering of what a lane draws; its last eight bits are the message's.
    pub(crate) nonces: u64,
    /// Whether messages are streamed (BER), or DER.
    pub(crate) streamed: bool,
    /// What the questions are called.
    pub(crate) operations: Operations,
}

/// What each question is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operations {
    pub(crate) caps: Operation,
    pub(crate) ca: Operation,
    pub(crate) issue: Operation,
    pub(crate) poll: Operation,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Work for a helper; what it made is an event for [`Exchange::on`].
    Make(Work),
    /// A question to the service; its good answer is for [`Exchange::answered`].
    Ask(Query),
    /// The CA has the request pending: after a while, [`Exchange::poll`].
    Wait(Pending),
    /// The certificate, over the key that was made.
    Got(Identity),
}

/// A question to the service.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) operation: Operation,
    pub(crate) url: Arc<str>,
    /// What is posted; nothing is a GET.
    pub(crate) body: Option<Bytes>,
}

/// A request that the CA has pending: enough to ask for it, also after a restart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    key: KeyIx,
    /// How often it was asked for, the next time counted.
    pub(crate) polls: u32,
    request: Box<scep::Pending>,
    /// Whether the CA takes a POST.
    post: bool,
}

/// An exchange that is under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    terms: Terms,
    state: State,
}

/// What it waits for.
#[derive(Debug, Default)]
enum State {
    #[default]
    Key,
    Caps(KeyIx),
    Ca(KeyIx, scep::Capabilities),
    /// The request, the first or a poll, is being built and signed.
    Request(Sending),
    Reply(Sending, Box<scep::Pending>),
    /// The reply is being opened.
    Opened(Sending, Box<scep::Pending>),
}

/// What holds for a request, first or poll.
#[derive(Clone, Copy, Debug)]
struct Sending {
    key: KeyIx,
    polls: u32,
    post: bool,
}

impl Exchange {
    /// Wants a key first.
    pub(crate) fn begin(terms: Terms) -> (Self, Next) {
        let next = Next::Make(Work::Key { kind: KeyKind::Rsa(terms.key_bits) });
        (Exchange { terms, state: State::Key }, next)
    }

    /// Asks for what was pending, by the same terms.
    pub(crate) fn poll(terms: Terms, pending: Pending, ctx: &Ctx<'_>) -> (Self, Next) {
        let Pending { key, polls, request, post } = pending;
        let mut exchange = Exchange { terms, state: State::Key };
        let poll = scep::Poll { pending: *request, nonce: exchange.nonce(polls, ctx) };
        let next = exchange.build(Sending { key, polls, post }, scep::Request::Poll(poll));
        (exchange, next)
    }

    /// The terms of one that waits.
    pub(crate) fn into_terms(self) -> Terms {
        self.terms
    }

    /// The body of a good answer has come.
    pub(crate) fn answered(&mut self, body: Bytes, ctx: &Ctx<'_>) -> Result<Next, Trouble> {
        match std::mem::take(&mut self.state) {
            State::Caps(key) => {
                let caps = scep::Capabilities::read(&body).map_err(|error| theirs("scep_caps", &error))?;
                self.state = State::Ca(key, caps);
                Ok(self.get(self.terms.operations.ca, "GetCACert"))
            }
            State::Ca(key, caps) => {
                let ca = scep::CaCertificates::read(&body, self.terms.ca_fingerprint.as_deref(), ctx.limits)
                    .map_err(|error| theirs("scep_ca", &error))?;
                let request = scep::Request::Issue(self.request(caps, ca, ctx));
                Ok(self.build(Sending { key, polls: 0, post: caps.post }, request))
            }
            State::Reply(sending, pending) => {
                let (key, signer) = (sending.key, self.terms.signer.clone());
                let work = Work::ScepOpen { reply: body, pending: pending.clone(), key, signer };
                self.state = State::Opened(sending, pending);
                Ok(Next::Make(work))
            }
            State::Key | State::Request(_) | State::Opened(..) => {
                Err(Trouble::new(Blame::Generator, "unexpected_event", "SCEP: an answer where none was due"))
            }
        }
    }

    /// What came of work.
    pub(crate) fn on(&mut self, event: Event<'_>) -> Result<Next, Trouble> {
        match (std::mem::take(&mut self.state), event) {
            (State::Key, Event::Made(Made::Key(key))) => {
                self.state = State::Caps(key);
                Ok(self.get(self.terms.operations.caps, "GetCACaps"))
            }
            (State::Key, other) => Err(unexpected(&other, "a key")),
            (State::Request(sending), Event::Made(Made::ScepRequest { body, pending })) => {
                self.state = State::Reply(sending, pending);
                Ok(self.send(sending, body))
            }
            (State::Opened(sending, pending), Event::Made(Made::ScepReply(reply))) => {
                self.opened(sending, pending, reply)
            }
            // What is wrong with a reply is the server's fault, whoever found it.
            (State::Opened(..), Event::Failed(failure)) if failure.blame != Blame::Generator => {
                Err(Trouble::new(Blame::Server, "scep_reply", failure.text))
            }
            (State::Opened(..), other) => Err(unexpected(&other, "a SCEP reply opened")),
            (_, other) => Err(unexpected(&other, "a SCEP request")),
        }
    }

    fn opened(&self, sending: Sending, request: Box<scep::Pending>, reply: scep::Reply) -> Result<Next, Trouble> {
        let Sending { key, polls, post } = sending;
        let Operations { issue, poll, .. } = self.terms.operations;
        match reply {
            scep::Reply::Issued { certificate } => Ok(Next::Got(Identity { key, certificate: certificate.into() })),
            scep::Reply::Failed { reason } => {
                let text = format!("{issue}: the CA refused the request: {reason}");
                Err(Trouble::new(Blame::Server, "scep_failure", text))
            }
            scep::Reply::Pending if polls >= self.terms.retries => {
                let text = format!("{poll}: still pending after {polls} polls");
                Err(Trouble::new(Blame::Server, "scep_pending", text))
            }
            scep::Reply::Pending => Ok(Next::Wait(Pending { key, polls: polls + 1, request, post })),
        }
    }

    /// Has a request built and signed.
    fn build(&mut self, sending: Sending, request: scep::Request) -> Next {
        self.state = State::Request(sending);
        let signer = self.terms.signer.clone();
        Next::Make(Work::ScepRequest { request: Box::new(request), key: sending.key, signer })
    }

    fn request(&self, caps: scep::Capabilities, ca: scep::CaCertificates, ctx: &Ctx<'_>) -> scep::Issue {
        let terms = &self.terms;
        scep::Issue {
            caps,
            ca: Arc::new(ca),
            subject: terms.subject.clone(),
            challenge: terms.challenge.clone(),
            key_usage: terms.key_usage,
            alt_names: terms.alt_names.clone(),
            nonce: self.nonce(0, ctx),
            signer_name: terms.signer_name.clone(),
            streamed: terms.streamed,
        }
    }

    /// A nonce of another message each.
    fn nonce(&self, message: u32, ctx: &Ctx<'_>) -> [u8; 16] {
        ctx.lane_dice(Purpose::Nonce, self.terms.nonces | u64::from(message.min(255))).bytes()
    }

    /// `<URL>?operation=..&message=<Name>`, an empty message kept, as Macs were seen to ask.
    fn get(&self, operation: Operation, what: &str) -> Next {
        let name = percent_encoded(&self.terms.name);
        let url = with_query(&self.terms.url, &format!("operation={what}&message={name}"));
        Next::Ask(Query { operation, url, body: None })
    }

    /// By POST where the CA takes it.
    fn send(&self, sending: Sending, message: Bytes) -> Next {
        let Operations { issue, poll, .. } = self.terms.operations;
        let operation = if sending.polls == 0 { issue } else { poll };
        let (query, body) = if sending.post {
            ("operation=PKIOperation".to_owned(), Some(message))
        } else {
            (scep::get_query(&message), None)
        };
        Next::Ask(Query { operation, url: with_query(&self.terms.url, &query), body })
    }
}

fn theirs(kind: &'static str, error: &scep::ScepError) -> Trouble {
    Trouble::new(Blame::Server, kind, error.to_string())
}
