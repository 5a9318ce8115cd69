//! Certificates that the server has the device get by SCEP (`ClientCertificateInstall`), one after the other, between
//! sessions. They are not the device's identity: all that is kept is the thumbprint, which the tree shows.
//!
//! Nothing of an exchange is kept but a request that its CA has pending: a device that is restarted asks anew, and goes on
//! with its sessions while a CA makes up its mind.

mod subject;

use super::exchange::{Answer, Headers, Question};
use super::hardware::hex;
use super::lane::Lane;
use super::tree::Scep;
use super::who::Who;
use super::{State, Step, leave, schedule};
use crate::scep::{self, Exchange, Next, Operations, Query};
use crate::trouble::Trouble;
use crate::web::first_line;
use crate::{Ctx, Event, Identity};
use droves_facts::{Blame, Dur, Operation, Wall};
use droves_wire::apple::profile::AltNames;
use droves_wire::apple::scep::server::MESSAGE_TYPE;
use droves_wire::digest;
use serde::{Deserialize, Serialize};

/// A request that its CA has pending.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// When it is asked for.
    at: Wall,
    /// At which of the servers.
    server: usize,
    request: scep::Pending,
}

/// A certificate is being got.
#[derive(Debug)]
pub(super) struct Installing {
    /// From which of the servers that `ServerURL` names.
    server: usize,
    exchange: Exchange,
    /// The question that is under way; without one it is work.
    asked: Option<Operation>,
}

/// The server wants one. What it has wanted by the same name before is not got any more.
pub(super) fn want(lane: &mut Lane, scep: Scep) {
    let is_same = |old: &Scep| old.id == scep.id && old.user == scep.user;
    if lane.own.scep.first().is_some_and(is_same) {
        lane.own.pending = None;
    }
    lane.own.scep.retain(|old| !is_same(old));
    lane.own.scep.push(scep);
}

/// When the device asks for the oldest of them; `None` if it wants none.
pub(super) fn due_at(lane: &Lane) -> Option<Wall> {
    lane.own.scep.first()?;
    Some(lane.own.pending.as_ref().map_or(Wall(1), |pending| pending.at))
}

/// Whether it asks now.
pub(super) fn is_due(lane: &Lane, now: Wall) -> bool {
    due_at(lane).is_some_and(|at| at <= now)
}

/// Gets the oldest.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let server = lane.own.pending.as_ref().map_or(0, |pending| pending.server);
    start(server, lane, ctx)
}

/// Gets it from this server.
fn start(server: usize, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let Some(scep) = lane.own.scep.first() else { return lane.rest(ctx) };
    let terms = match terms(scep, server, lane) {
        Ok(terms) => terms,
        Err(trouble) => return failed(server, &trouble, lane, ctx),
    };
    let (exchange, next) = match &lane.own.pending {
        Some(pending) => Exchange::poll(terms, pending.request.clone(), ctx),
        None => Exchange::begin(terms),
    };
    Installing { server, exchange, asked: None }.go(next, lane, ctx)
}

impl Installing {
    pub(super) fn on(mut self: Box<Self>, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let next = match self.asked.take() {
            None => self.exchange.on(event),
            Some(operation) => Answer::of(event, operation).and_then(|answer| match answer.status {
                200 => self.exchange.answered(answer.body, ctx),
                _ => Err(answer.refusal(operation)),
            }),
        };
        match next {
            Ok(next) => self.go(next, lane, ctx),
            Err(trouble) => failed(self.server, &trouble, lane, ctx),
        }
    }

    fn go(self, next: Next, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let (asked, action) = match next {
            Next::Make(work) => (None, ctx.make(work)),
            Next::Ask(query) => (Some(query.operation), question(&query).ask_anywhere(ctx)),
            Next::Wait(request) => {
                let minutes = lane.own.scep.first().map_or(0, |scep| scep.retry_minutes);
                let at = ctx.clocks.wall + MINUTE.times(u64::from(minutes.max(1)));
                lane.own.pending = Some(Pending { at, server: self.server, request });
                // What it was awake for: no session follows.
                lane.record.chore_at = schedule::chore_at(lane, ctx);
                return Step::save(ctx);
            }
            Next::Got(Identity { certificate, .. }) => return ended(Ok(&hex(&digest::sha1(&certificate))), lane, ctx),
        };
        Step::to(State::Installing(Box::new(Installing { asked, ..self })), action)
    }
}

/// It came to nothing there: the next server is asked, if there is one.
fn failed(server: usize, trouble: &Trouble, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    trouble.complain(ctx);
    let next = server + 1;
    if lane.own.scep.first().is_some_and(|scep| servers(scep).nth(next).is_some()) {
        lane.own.pending = None;
        return start(next, lane, ctx);
    }
    ended(Err(code(trouble)), lane, ctx)
}

/// What came of the oldest is on disk before the server hears of it, for which the device begins a session.
fn ended(outcome: Result<&str, i32>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let Some(account) = lane.account() else { return leave::lost(lane, ctx) };
    if !lane.own.scep.is_empty() {
        let scep = lane.own.scep.remove(0);
        let who = Who::of(lane, ctx);
        let scene = who.scene(&lane.own, lane.record.commands, &account, ctx);
        lane.tree.scep_ended(&scep.id, scep.user, outcome, &scene);
    }
    lane.own.pending = None;
    lane.connect_soon(ctx);
    Step::save(ctx)
}

/// The nodes of the tree in SCEP's terms.
fn terms(scep: &Scep, server: usize, lane: &Lane) -> Result<scep::Terms, Trouble> {
    let broken = |kind, said: &str, what| {
        let text = format!("{}: `{}` is no {what}", Operation::WindowsScepIssue, first_line(said.as_bytes()));
        Trouble::new(Blame::Server, kind, text)
    };
    let url = servers(scep).nth(server).ok_or_else(|| broken("scep_server", &scep.servers, "place of a server"))?;
    let subject = subject::read(&scep.subject).ok_or_else(|| broken("scep_subject", &scep.subject, "subject"))?;
    // Of SHA-2 the CA's capabilities choose; who is content with SHA-1 is with SHA-2. Nobody has SHA-3.
    let knows = |hash: &str| hash.is_empty() || hash.starts_with("SHA-1") || hash.starts_with("SHA-2");
    if !scep.hashes.split('+').any(|hash| knows(hash.trim())) {
        return Err(broken("scep_hash", &scep.hashes, "hash that a device has"));
    }
    let bit = |windows: u32, apple: u8| if scep.key_usage & windows == 0 { 0 } else { apple };
    let queued = lane.own.scep.len().min(255) as u64;
    Ok(scep::Terms {
        url: url.into(),
        name: NAME.into(),
        key_bits: scep.key_bits,
        subject,
        challenge: Some(scep.challenge.to_string()).filter(|challenge| !challenge.is_empty()),
        key_usage: bit(0x80, 1) | bit(0x20, 4),
        alt_names: AltNames::default(),
        ca_fingerprint: thumbprint(&scep.ca_thumbprint),
        retries: scep.retries,
        signer: None,
        signer_name: SIGNER_NAME.to_owned(),
        nonces: NONCES | u64::from(lane.record.sessions) << 16 | queued << 8,
        streamed: false,
        operations: Operations {
            caps: Operation::WindowsScepCaps,
            ca: Operation::WindowsScepCa,
            issue: Operation::WindowsScepIssue,
            poll: Operation::WindowsScepIssue,
        },
    })
}

fn servers(scep: &Scep) -> impl Iterator<Item = &str> {
    scep.servers.split(';').map(str::trim).filter(|url| !url.is_empty())
}

/// `CAThumbprint`, hexadecimal. What is something else is nobody's.
fn thumbprint(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).unwrap_or(256)).collect();
    let byte = |pair: &[u32]| pair.iter().fold(0, |sum, digit| sum * 16 + digit);
    let bytes: Result<Vec<u8>, _> = digits.chunks(2).map(|pair| u8::try_from(byte(pair))).collect();
    (!digits.is_empty()).then(|| bytes.unwrap_or_default())
}

fn question(query: &Query) -> Question<'_> {
    match &query.body {
        Some(body) => Question { body: Some(body.clone()), ..Question::get(query.operation, &query.url, POST) },
        None => Question::get(query.operation, &query.url, GET),
    }
}

/// What `ErrorCode` shows: of the codes that Windows has, the nearest.
fn code(trouble: &Trouble) -> i32 {
    match (trouble.kind, trouble.blame) {
        ("scep_failure", _) => ENROLL_DENIED,
        ("scep_pending", _) => TIMEOUT,
        ("scep_ca", _) => HASH_VALUE,
        ("scep_hash" | "scep_subject" | "scep_server", _) => INVALID_ARGUMENT,
        (_, Blame::Network) => CANNOT_CONNECT,
        _ => FAIL,
    }
}

/// HRESULTs: `E_FAIL`, `E_INVALIDARG`, `ERROR_TIMEOUT`, `ERROR_INTERNET_CANNOT_CONNECT`, `CRYPT_E_HASH_VALUE`,
/// `CERTSRV_E_ENROLL_DENIED`.
const FAIL: i32 = 0x8000_4005_u32 as i32;
const INVALID_ARGUMENT: i32 = 0x8007_0057_u32 as i32;
const TIMEOUT: i32 = 0x8007_05B4_u32 as i32;
const CANNOT_CONNECT: i32 = 0x8007_2EFD_u32 as i32;
const HASH_VALUE: i32 = 0x8009_1007_u32 as i32;
const ENROLL_DENIED: i32 = 0x8009_4011_u32 as i32;

/// As servers were seen to be asked by Windows.
const NAME: &str = "default";
const SIGNER_NAME: &str = "SCEP Protocol Certificate";
const GET: Headers = &[AGENT];
const POST: Headers = &[("content-type", MESSAGE_TYPE), AGENT];
const AGENT: (&str, &str) = ("user-agent", "Mozilla/4.0 (compatible; Win32; NDES client)");
const MINUTE: Dur = Dur::secs(60);
/// Place in the numbering of what a lane draws for its messages.
const NONCES: u64 = 4 << 60;
