//! The management session (MS-MDM, OMA-TS-DM-Protocol 1.2): message by message until the server wants nothing more.
//!
//! Promises: each command of the server is answered by one status, in its order, in messages that the server takes; a
//! message that would only acknowledge is not sent (MS-MDM 2.2.7.8); what the device is told to prove itself by is on
//! disk before it says so; a server that goes on for ever is hung up on.

mod execute;
mod outbox;
mod package;
mod proof;

use super::exchange::{Answer, Headers, Question};
use super::lane::Lane;
use super::record::{At, Reason, Stage};
use super::shared::Account;
use super::tree::Login;
use super::who::Who;
use super::{State, Step, leave, schedule};
use crate::trouble::{Trouble, unexpected};
use crate::{Action, Ctx, Event, Reasons, Sign, What};
use droves_facts::{Blame, CommandKey, CommandStatus, Dur, Operation, Outcome, Philox, Purpose, What as Fact};
use droves_wire::windows::syncml::{self, Assembly, Body, Header, Location, Message, Mode, Status};
use droves_wire::windows::{Broken, XmlError};
use outbox::{Around, NoRoom, Outbox};
use proof::Proof;
use std::sync::Arc;

/// A session: what it has heard and what it has to say.
#[derive(Debug)]
pub(super) struct Session {
    account: Arc<Account>,
    who: Who,
    /// Where messages go.
    url: Arc<str>,
    /// Messages sent: the `MsgID` of the last one.
    messages: u32,
    /// Nodes that the server's commands were about.
    nodes: u32,
    outbox: Outbox,
    proof: Proof,
    /// An object that comes in parts.
    assembly: Assembly,
    /// `MsgID` of the server's message that is answered next.
    answers: Option<Arc<str>>,
    /// Whether its package has not ended: the server is asked for more.
    asks: bool,
    /// What the server takes in one message, if it has said so.
    message_bytes_max: Option<usize>,
    /// What was done, and is stated once the time for it is over.
    done: Vec<(CommandKey, CommandStatus)>,
    /// Whether something was changed that has to be on disk before the server hears of it.
    saves: bool,
    /// Whether certificates are to be got once it is over.
    installs: bool,
    /// Whether the server has taken what the first message says.
    is_open: bool,
    /// What comes after the next message, whatever the server says to it.
    then: Then,
}

/// What a device does when its answer is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Then {
    #[default]
    Nothing,
    /// Erases itself.
    Wipe,
    /// Restarts.
    Restart,
}

/// A message is under way.
#[derive(Debug)]
pub(super) struct Talking(Box<Session>);

/// Commands take their time.
#[derive(Debug)]
pub(super) struct Working(Box<Session>);

/// What the device is about to say goes to the disk.
#[derive(Debug)]
pub(super) struct Keeping(Box<Session>);

/// A session begins.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let Some(account) = lane.account() else { return leave::lost(lane, ctx) };
    schedule::advance(lane, ctx);
    lane.record.sessions = lane.record.sessions.wrapping_add(1);
    lane.record.next_at = At::NEVER;
    lane.record.chore_at = At::NEVER;
    lane.record.retrying = false;
    let who = Who::of(lane, ctx);
    let mode = if who.login == Login::None { Mode::Machine } else { Mode::Maintenance };
    let mut outbox = Outbox::default();
    package::begin(&mut outbox, lane, &who, &account, ctx);
    let session = Session {
        url: mode.url(&account.address).into(),
        account,
        who,
        messages: 0,
        nodes: 0,
        outbox,
        proof: Proof::default(),
        assembly: Assembly::default(),
        answers: None,
        asks: false,
        message_bytes_max: None,
        done: Vec::new(),
        saves: false,
        installs: false,
        is_open: false,
        then: Then::Nothing,
    };
    Box::new(session).say(lane, ctx)
}

impl Talking {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let session = self.0;
        let operation = session.operation();
        let answer = match Answer::of(event, operation) {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => {
                let trouble = answer.refusal(operation);
                return session.over(Err(trouble), lane, ctx);
            }
            Err(trouble) => return session.over(Err(trouble), lane, ctx),
        };
        match Message::read(&answer.body, ctx.limits) {
            Ok(message) => session.hear(&message, lane, ctx),
            Err(error) => session.over(Err(no_message(operation, &answer, &error)), lane, ctx),
        }
    }
}

impl Working {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        if !matches!(event, Event::Wake(_)) {
            let text = "a device that works was brought something else than time";
            ctx.complain(Blame::Generator, "unexpected_event", text);
        }
        self.0.keep(lane, ctx)
    }
}

impl Keeping {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match event {
            Event::Saved => self.0.say(lane, ctx),
            other => self.0.over(Err(unexpected(&other, "the disk")), lane, ctx),
        }
    }
}

impl Session {
    /// Sends the next message.
    fn say(mut self: Box<Self>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        if self.messages >= ctx.limits.session_messages_max {
            let text = format!("more than {} messages in one session: the device hangs up", self.messages);
            return self.over(Err(Trouble::new(Blame::Server, "session_too_long", text)), lane, ctx);
        }
        self.messages += 1;
        let header = Header {
            session: session_id(lane.record.sessions).into(),
            message: self.messages.to_string().into(),
            target: Location::at(&*self.account.address),
            source: Location::at(package::source(&self.who, &self.account)),
            credentials: self.proof.credentials(&lane.own.credentials),
            ..Header::default()
        };
        let around = Around {
            header: &header,
            answers: self.answers.as_deref(),
            asks: self.asks,
            bytes_max: self.message_bytes_max.unwrap_or(ctx.limits.message_bytes_max),
        };
        let body = match self.outbox.compose(&around) {
            Ok(body) => body,
            Err(NoRoom) => {
                let text = format!("the server takes messages of {} bytes: no answer has room", around.bytes_max);
                return self.over(Err(Trouble::new(Blame::Server, "max_msg_size", text)), lane, ctx);
            }
        };
        let question = Question {
            varying: self.varying(lane, ctx),
            identity: ctx.identity.cloned(),
            sign: self.signs(lane).then_some(Sign::Message { header: SIGNATURE, time: Some(ctx.clocks.wall) }),
            ..Question::post(self.operation(), &self.url, HEADERS, body)
        };
        match question.ask(ctx) {
            Ok(action) => Step::to(State::Talking(Talking(self)), action),
            Err(trouble) => self.over(Err(trouble), lane, ctx),
        }
    }

    /// Takes a message of the server.
    fn hear(mut self: Box<Self>, message: &Message<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        self.answers = Some(message.header.message.as_ref().into());
        if let Some(bytes_max) = message.header.message_bytes_max {
            self.message_bytes_max = Some(usize::try_from(bytes_max).unwrap_or(usize::MAX));
        }
        match self.acknowledged(message, lane, ctx) {
            Ok(Heard::Taken) => {}
            Ok(Heard::Challenged) => {
                self.outbox.again();
                return self.say(lane, ctx);
            }
            Err(trouble) => return self.over(Err(trouble), lane, ctx),
        }
        let alerts =
            |wanted| message.commands.iter().any(|c| matches!(c.body, Body::Alert { code, .. } if code == wanted));
        if alerts(1223) && self.then == Then::Nothing {
            let text = "the server aborts the session (alert 1223)";
            return self.over(Err(Trouble::new(Blame::Server, "aborted", text)), lane, ctx);
        }
        // A device that leaves, or goes away, takes no commands any more; 214 says that there are none.
        let goes = self.then != Then::Nothing && self.outbox.is_empty();
        if goes || lane.record.stage == Stage::Leaving || is_cancelled(message) {
            return self.over(Ok(()), lane, ctx);
        }
        let took = match self.execute(message, lane, ctx) {
            Ok(Some(took)) => took,
            // The server has ended the enrollment: this session is aborted, and a new one says so.
            Ok(None) => {
                self.state(ctx);
                return leave::begin(lane, ctx);
            }
            Err(trouble) => return self.over(Err(trouble), lane, ctx),
        };
        // "Next message" is no package that has still to end.
        self.asks = !message.last && (!alerts(1222) || execute::has_part(message));
        let wants = message.commands.iter().any(|command| !matches!(command.body, Body::Status(_)));
        if !wants && !self.asks && self.outbox.is_empty() {
            return self.over(Ok(()), lane, ctx);
        }
        if took == Dur::ZERO {
            return self.keep(lane, ctx);
        }
        let wait = Action { what: What::Wait, until: ctx.clocks.now + took, hear: Reasons::TIME };
        Step::to(State::Working(Working(self)), wait)
    }

    /// How the server took the last message: its status for `SyncHdr`.
    fn acknowledged(&mut self, message: &Message<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Result<Heard, Trouble> {
        let ours = self.messages.to_string();
        let mut taken = true;
        match header_status(message) {
            Some(Status { code: code @ (401 | 407), challenge, .. }) => {
                return self
                    .proof
                    .refused(*code, challenge.as_ref(), &lane.own.credentials)
                    .map(|()| Heard::Challenged);
            }
            Some(status) if status.message != ours => {
                let said: String = status.message.chars().filter(|c| !c.is_control()).take(20).collect();
                let text = format!("a status for message {said} of the device, whose last is {ours}");
                ctx.complain(Blame::Server, "msg_ref", text);
                taken = false;
            }
            Some(Status { code, challenge, .. }) if *code < 300 => {
                self.proof.accepted(*code, challenge.as_ref())?;
            }
            Some(Status { code, .. }) => {
                let text = format!("the server answers {code} to the device's message");
                return Err(Trouble::new(Blame::Server, "header_status", text));
            }
            None => {
                let text = "a message of the server without a status for the device's own";
                ctx.complain(Blame::Server, "no_header_status", text);
            }
        }
        for (command, status) in self.outbox.accepted().filter(|_| taken) {
            ctx.fact(Fact::Accepted { command, status });
        }
        if taken && !std::mem::replace(&mut self.is_open, true) {
            lane.tree.accepted();
            lane.record.heard_at = ctx.clocks.wall.into();
        }
        Ok(Heard::Taken)
    }

    /// The time for the commands is over: what they changed goes to the disk, if the answer tells of it.
    fn keep(mut self: Box<Self>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        for (command, status) in self.done.drain(..) {
            ctx.fact(Fact::Answered { command, status });
        }
        if std::mem::take(&mut self.saves) {
            return Step::to(State::Keeping(Keeping(self)), ctx.save());
        }
        self.say(lane, ctx)
    }

    /// States that the session is over.
    fn state(&self, ctx: &mut Ctx<'_>) {
        ctx.fact(Fact::Managed { messages: self.messages, nodes: self.nodes });
    }

    /// The session is over, well or not.
    fn over(self: Box<Self>, result: Result<(), Trouble>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        self.state(ctx);
        let outcome = match &result {
            Ok(()) => Outcome::Succeeded,
            Err(trouble) => {
                trouble.complain(ctx);
                trouble.outcome()
            }
        };
        if lane.record.stage == Stage::Leaving {
            lane.record.wanted.ended(Operation::Unenroll, outcome, ctx);
            return leave::end(lane, Stage::Removed, ctx);
        }
        lane.record.wanted.ended(Operation::CheckIn, outcome, ctx);
        if result.is_ok() {
            lane.went_well();
            lane.record.reason = Reason::Client;
        } else {
            lane.failed(ctx);
        }
        // A device that is erased or restarts does so whether the server heard of it or not.
        match self.then {
            Then::Wipe => leave::wiped(lane, ctx),
            Then::Restart => {
                let back = ctx.clocks.wall + ctx.command_delay(RESTART, lane.record.commands.into());
                lane.record.offline_until = back.into();
                lane.record.next_at = back.into();
                lane.rest(ctx)
            }
            // That they are wanted is on disk before anybody is asked for them.
            Then::Nothing if result.is_ok() && self.installs => Step::save(ctx),
            Then::Nothing if result.is_ok() => lane.proceed(false, ctx),
            Then::Nothing => lane.rest(ctx),
        }
    }

    fn operation(&self) -> Operation {
        if self.messages <= 1 { Operation::WindowsFirst } else { Operation::WindowsMessage }
    }

    /// Headers that differ from message to message: a vector that counts requests; and, in the first session, an id.
    fn varying(&self, lane: &Lane, ctx: &Ctx<'_>) -> Vec<(&'static str, Box<str>)> {
        let mut dice = ctx.lane_dice(Purpose::Nonce, VECTOR | u64::from(lane.record.sessions));
        let vector = format!("{}.0.0.{}", vector(&mut dice), self.messages);
        let mut varying = vec![("ms-cv", vector.into_boxed_str())];
        if lane.record.sessions == 1 {
            varying.push(("client-request-id", "0".into()));
        }
        varying
    }

    /// Whether the server wants messages to be signed.
    fn signs(&self, lane: &Lane) -> bool {
        let wants = lane.tree.client(&self.account.provider, "RequireMessageSigning");
        wants.is_some_and(|wants| matches!(&*wants.to_ascii_lowercase(), "true" | "1"))
    }
}

/// What the server's message means to the device's last one.
enum Heard {
    /// It is done with.
    Taken,
    /// It is to be said again, with credentials.
    Challenged,
}

fn header_status<'a, 'm>(message: &'a Message<'m>) -> Option<&'a Status<'m>> {
    message.commands.iter().find_map(|command| match &command.body {
        Body::Status(status) if status.command == "0" => Some(status),
        _ => None,
    })
}

fn is_cancelled(message: &Message<'_>) -> bool {
    message.commands.iter().any(|command| matches!(&command.body, Body::Status(status) if status.code == 214))
}

/// What came in place of a message.
fn no_message(operation: Operation, answer: &Answer, error: &XmlError) -> Trouble {
    let kind = match error.broken {
        _ if answer.body.trim_ascii().is_empty() => "empty_answer",
        Broken::Declaration => "syncml_declaration",
        _ => "syncml_format",
    };
    Trouble::new(Blame::Server, kind, format!("{operation}: answered with what is no message: {error}"))
}

/// `SessionID`: counts up, in at most four digits.
fn session_id(sessions: u32) -> String {
    (sessions.wrapping_sub(1) % 9_999 + 1).to_string()
}

/// The base of a correlation vector: 16 characters of base64.
fn vector(dice: &mut Philox) -> String {
    let mut letter = || ALPHABET.get(dice.below(64) as usize).copied().map_or('A', char::from);
    (0..16).map(|_| letter()).collect()
}

const HEADERS: Headers = &[
    ("accept", syncml::ACCEPT),
    ("accept-charset", "UTF-8"),
    ("content-type", syncml::CONTENT_TYPE),
    ("user-agent", syncml::USER_AGENT),
];
/// MS-MDM's name for it; the reference of the DMClient CSP has another.
const SIGNATURE: &str = "ms-signature";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Place in the numbering of what a lane draws for its messages.
const VECTOR: u64 = 3 << 60;
/// How long a PC is away when it restarts: median and 95th percentile.
const RESTART: (Dur, Dur) = (Dur::secs(75), Dur::secs(180));
