//! The languages of servers with agents of their own: how a device says to its server what the lanes have to say. A lane
//! knows none of them; another server's is another [`Speech`].

mod headwind;

use super::goods::{Loss, Lost};
use super::shared::{Config, Shared, agent, number};
use super::todo::Task;
use crate::trouble::{Trouble, unexpected};
use crate::web::{first_line, header, is_allowed};
use crate::{Action, Body, Ctx, Event, Method, Peer, Reasons, Request, Sink, What, unique};
use bytes::Bytes;
use droves_facts::{Blame, Dialect, Dur, Operation, Philox, Purpose, Wall, status_kind};
use droves_wire::android::headwind::RESPONSE_SIGNATURE;
use droves_wire::android::mqtt;
use std::sync::Arc;

/// A server's language.
pub(super) trait Speech {
    /// The first call of a device, which is answered with a configuration.
    fn enroll(&self, who: &Who<'_>) -> Question;
    /// Asks for the configuration.
    fn config(&self, who: &Who<'_>) -> Question;
    /// What the answer to either says.
    fn told(&self, who: &Who<'_>, answer: &Answer) -> Result<Told, Trouble>;
    /// What is to be done after each configuration.
    fn chores(&self) -> &'static [Task];
    /// Says how the device is, or something else that it has to say; none where this language has no words for it.
    fn tell(&self, task: Task, who: &Who<'_>, held: &Config) -> Option<Question>;
    /// What the answer to that says; `Err` if the server did not take it.
    fn heard(&self, task: Task, body: &[u8]) -> Result<Heard, Trouble>;
    /// What a request for something to fetch says beside where it is.
    fn fetch(&self, who: &Who<'_>, url: &str) -> Vec<(&'static str, Box<str>)>;
    /// Where a link leads, what opens it, and what is subscribed to then.
    fn link(&self, who: &Who<'_>, keep_alive_secs: u16) -> (Arc<str>, mqtt::Connect, Vec<(String, u8)>);
    /// What a message over the link asks for.
    fn pushed(&self, payload: &[u8]) -> Result<Wish, Trouble>;
    /// Asks for messages, and is held.
    fn poll(&self, who: &Who<'_>) -> Question;
    /// What the answer to that asks for.
    fn polled(&self, body: &[u8]) -> Result<Vec<Wish>, Trouble>;
}

fn speech(dialect: Dialect) -> &'static dyn Speech {
    match dialect {
        Dialect::Headwind => &headwind::Headwind,
    }
}

/// Who speaks, and to whom.
pub(super) struct Who<'a> {
    /// The language.
    pub(super) speech: &'static dyn Speech,
    /// Base of the server's URLs.
    pub(super) url: &'a str,
    /// The base that is tried when nothing has come by that one.
    second_url: &'a str,
    /// Where the link leads, if the scenario says it.
    pub(super) link: &'a str,
    /// The device's number.
    pub(super) number: String,
    /// What both sign with.
    pub(super) secret: &'a str,
    /// The configuration that it asks for.
    pub(super) configuration: Option<&'a str>,
    /// Whether it takes no configuration that is not signed as it should be.
    pub(super) checked: bool,
    /// Its model.
    pub(super) model: &'a str,
    /// The version of its system.
    pub(super) os_version: &'a str,
    /// What the device is made of, and how it is right now.
    pub(super) flavour: u64,
    /// The serial number of its image, of a clone.
    pub(super) of_image: Option<&'static str>,
    /// When it speaks.
    pub(super) wall: Wall,
    /// Its registration token at FCM, if it has one.
    pub(super) push_token: Option<String>,
}

impl<'a> Who<'a> {
    /// The device that the context is about.
    pub(super) fn of(shared: &'a Shared, ctx: &Ctx<'a>) -> Option<Who<'a>> {
        let agent = agent(ctx)?;
        let mut dice: Philox = ctx.device_dice(Purpose::Hardware, 0);
        Some(Who {
            speech: speech(agent.dialect),
            url: shared.url.as_ref().unwrap_or(&agent.url),
            second_url: shared.url.as_ref().unwrap_or(&agent.second_url),
            link: &agent.link,
            number: shared.number.as_deref().map_or_else(|| number(agent, ctx), str::to_owned),
            secret: &agent.secret,
            configuration: agent.configuration.as_deref(),
            checked: agent.checked,
            model: &ctx.character.model,
            os_version: &ctx.character.os_version,
            // The device's own number is in it, so that no two have the same serial number but clones.
            flavour: dice.u64() << 32 | u64::from(ctx.device.0),
            of_image: unique::serial_of_image(ctx),
            wall: ctx.clocks.wall,
            push_token: None,
        })
    }
}

/// Which of the bases of a server's URLs a request goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Base {
    First,
    Second,
}

impl<'a> Who<'a> {
    /// By this base.
    pub(super) fn by(self, base: Base) -> Who<'a> {
        let url = if base == Base::First { self.url } else { self.second_url };
        Who { url, ..self }
    }
}

/// Whether nothing came of a request by this base, so that it is made once more by the other. Any answer is something, and
/// what is our own fault is no better there.
pub(super) fn is_lost(event: &Event<'_>, base: Base) -> bool {
    base == Base::First && matches!(event, Event::Failed(failure) if failure.blame != Blame::Generator)
}

/// What a server tells a device to be.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) config: Config,
    /// The number that it must go by.
    pub(super) number: Option<Arc<str>>,
    /// The server that it must go to: base of its URLs.
    pub(super) url: Option<Arc<str>>,
    /// What is to be confirmed and done, beside being that.
    pub(super) tasks: Vec<Task>,
}

/// What an answer says to the device beside that something was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// Nothing.
    Taken,
    /// This is to be done as well.
    Do(Task),
    /// Details are wanted each so many minutes, or not at all.
    Details(Option<u16>),
}

/// What a push asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// Get the configuration.
    Config,
    /// Restart.
    Reboot,
    /// Show other apps, too, until the next configuration.
    ExitKiosk,
    /// Take away an app, or files.
    Lose(Loss),
    /// Something that shows at the device only.
    Quiet,
}

impl Wish {
    /// As the lanes of a device tell it each other.
    pub(super) fn number(self) -> u32 {
        match self {
            Wish::Quiet => 0,
            Wish::Config => 1 << Loss::NAME_BITS,
            Wish::Reboot => 2 << Loss::NAME_BITS,
            Wish::ExitKiosk => 3 << Loss::NAME_BITS,
            Wish::Lose(Loss { of, name }) => (FIRST_LOSS + of as u32) << Loss::NAME_BITS | name,
        }
    }
    /// The wish of this number.
    pub(super) fn of(number: u32) -> Wish {
        let plain = [Wish::Config, Wish::Reboot, Wish::ExitKiosk].into_iter().find(|wish| wish.number() == number);
        let lost = (number >> Loss::NAME_BITS).checked_sub(FIRST_LOSS).and_then(|at| Lost::ALL.get(at as usize));
        let name = number & ((1 << Loss::NAME_BITS) - 1);
        plain.or_else(|| lost.map(|of| Wish::Lose(Loss { of: *of, name }))).unwrap_or(Wish::Quiet)
    }
}

/// Wishes before this have no name in them.
const FIRST_LOSS: u32 = 4;

/// A question to a server.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) url: Arc<str>,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) varying: Vec<(&'static str, Box<str>)>,
    pub(super) body: Option<Bytes>,
    /// The status by which the server ends what it has held for nothing.
    pub(super) idle_end: Option<u16>,
}

impl Question {
    /// Asks it, if a device goes there.
    pub(super) fn ask(self, sink: Sink, wait: Dur, hear: Reasons, ctx: &Ctx<'_>) -> Result<Action, Trouble> {
        if !is_allowed(&self.url, ctx) {
            let url: String = self.url.chars().filter(|c| !c.is_control()).take(100).collect();
            let text = format!("{}: a device does not go to {url}, which is not https", self.operation);
            return Err(Trouble::new(Blame::Server, "url", text));
        }
        let request = Request {
            operation: self.operation,
            peer: Peer::Server,
            method: self.method,
            url: self.url,
            headers: self.headers,
            varying: self.varying,
            body: self.body.map_or(Body::Empty, Body::Bytes),
            identity: None,
            sign: None,
            sink,
            wait_max: wait,
            idle_end: self.idle_end,
        };
        let limits = ctx.limits;
        let until = ctx.clocks.now + limits.connect_wait_max + limits.tls_wait_max + wait;
        Ok(Action { what: What::Request(Box::new(request)), until, hear })
    }
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// Bytes of body that were counted and not kept.
    pub(super) digested: u64,
    /// `Content-Range`; empty if there is none.
    pub(super) range: String,
    /// What the server signs its answer with; empty if it does not.
    pub(super) signature: String,
}

impl Answer {
    /// What came of a question.
    pub(super) fn of(event: Event<'_>, operation: Operation) -> Result<Answer, Trouble> {
        match event {
            Event::Response(response) => Ok(Answer {
                status: response.status,
                range: header(&response, "content-range").to_owned(),
                signature: header(&response, RESPONSE_SIGNATURE).to_owned(),
                digested: response.digested,
                body: response.body,
            }),
            other => Err(unexpected(&other, &format!("{operation}: an answer"))),
        }
    }

    /// An answer with status 200; for any other the trouble that it is.
    pub(super) fn good(self, operation: Operation) -> Result<Answer, Trouble> {
        if self.status == 200 { Ok(self) } else { Err(self.refusal(operation)) }
    }

    /// The trouble that a status is.
    pub(super) fn refusal(&self, operation: Operation) -> Trouble {
        let said = first_line(&self.body);
        let colon = if said.is_empty() { "" } else { ": " };
        let text = format!("{operation}: the server answered {}{colon}{said}", self.status);
        Trouble::new(Blame::Server, status_kind(self.status), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_known_by_its_number() {
        let losses = Lost::ALL.map(|of| Wish::Lose(Loss::of(of, "com.example/a.txt")));
        for wish in losses.into_iter().chain([Wish::Config, Wish::Reboot, Wish::ExitKiosk, Wish::Quiet]) {
            assert_eq!(Wish::of(wish.number()), wish);
        }
        assert_eq!((Wish::of(7), Wish::of(u32::MAX)), (Wish::Quiet, Wish::Quiet));
    }
}
