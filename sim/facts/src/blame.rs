//! Whose fault it was.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Who is at fault when something fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The server under test answered wrongly, or not at all on a connection that it had accepted.
    Server,
    /// The bytes did not get there: refused, reset before an answer, unreachable.
    Network,
    /// The plan asked for what can't be.
    Scenario,
    /// We did: a full queue, a limit of this machine, a bug.
    Generator,
}

impl Blame {
    /// Every culprit, in the order in which tables show them.
    pub const ALL: [Blame; 4] = [Blame::Server, Blame::Network, Blame::Scenario, Blame::Generator];

    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Blame::Server => "server",
            Blame::Network => "network",
            Blame::Scenario => "scenario",
            Blame::Generator => "generator",
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What failed, in one word. An alias, since a reference is what `serde` would borrow from a message.
pub type Word = &'static str;

/// How something that was begun came out. `kind` is one of a small fixed set of words (`status_500`, `timeout`,
/// `connect_refused`, ..): it becomes a label, so it never holds what a server said.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As the protocol wants it.
    Succeeded,
    /// Not so.
    Failed {
        /// Whose fault.
        blame: Blame,
        /// What, in one word.
        #[serde(deserialize_with = "kind")]
        kind: Word,
    },
}

impl Outcome {
    /// Whether it went as the protocol wants it.
    pub fn succeeded(self) -> bool {
        self == Outcome::Succeeded
    }
}

/// Words that another process has told.
static TOLD: Mutex<BTreeSet<Word>> = Mutex::new(BTreeSet::new());
/// There are about a hundred.
const TOLD_MAX: usize = 1_024;

/// Reads a `kind` as another process of this program wrote it. Each word is kept for good, once; more than there can be
/// are one, `other`.
pub fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<Word, D::Error> {
    let word = Box::<str>::deserialize(from)?;
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = told.get(&*word) {
        return Ok(known);
    }
    if told.len() >= TOLD_MAX {
        return Ok("other");
    }
    let word: Word = Box::leak(word);
    told.insert(word);
    Ok(word)
}
