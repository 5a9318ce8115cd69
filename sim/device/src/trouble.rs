//! A failure in words, as the machines hand it on until somebody states it.

use crate::{Ctx, Event, Failure};
use droves_facts::{Blame, Outcome};

/// A failure in words.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) blame: Blame,
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

impl Trouble {
    pub(crate) fn new(blame: Blame, kind: &'static str, text: impl Into<String>) -> Self {
        Trouble { blame, kind, text: text.into() }
    }
    /// What was to go to the disk has not got there.
    pub(crate) fn not_saved(failure: &Failure) -> Self {
        Trouble::new(Blame::Generator, failure.kind, format!("not saved: {}", failure.text))
    }
    /// What a lane was brought that waits for none of it.
    pub(crate) fn stray(event: &Event<'_>) -> Self {
        let text = format!("a lane that waits for none of it was brought {event:?}");
        Trouble::new(Blame::Generator, "unexpected_event", text)
    }
    /// States it.
    pub(crate) fn complain(&self, ctx: &mut Ctx<'_>) {
        ctx.complain(self.blame, self.kind, self.text.as_str());
    }
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::Failed { blame: self.blame, kind: self.kind }
    }
}

/// What the shell brought where something else was due.
pub(crate) fn unexpected(event: &Event<'_>, due: &str) -> Trouble {
    match event {
        Event::Failed(failure) => Trouble::new(failure.blame, failure.kind, format!("{due}: {}", failure.text)),
        other => Trouble::new(Blame::Generator, "unexpected_event", format!("{due}: the shell brought {other:?}")),
    }
}
