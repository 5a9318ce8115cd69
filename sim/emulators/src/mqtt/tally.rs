//! What a broker has counted.

use serde_json::{Value, json};

/// Counts since the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Clients that were let in.
    pub connected: u64,
    /// Clients that were not.
    pub refused: u64,
    /// Connections that ended since another client came with their id.
    pub taken_over: u64,
    /// Connections that ended since they said nothing for too long.
    pub timed_out: u64,
    /// Connections that ended since they broke the rules.
    pub broken: u64,
    /// Pings that were answered.
    pub pings: u64,
    /// Subscriptions granted.
    pub subscribed: u64,
    /// Messages sent to a client, the first time.
    pub published: u64,
    /// Messages whose client has acknowledged them to the end of their quality's exchange.
    pub acknowledged: u64,
    /// Messages that were put away for a client that was not there.
    pub kept: u64,
    /// Messages for which there was no room, or no session any more.
    pub dropped: u64,
}

impl Tally {
    /// As JSON; what never happened is left out.
    pub fn json(&self) -> Value {
        let all = [
            ("connected", self.connected),
            ("refused", self.refused),
            ("taken_over", self.taken_over),
            ("timed_out", self.timed_out),
            ("broken", self.broken),
            ("pings", self.pings),
            ("subscribed", self.subscribed),
            ("published", self.published),
            ("acknowledged", self.acknowledged),
            ("kept", self.kept),
            ("dropped", self.dropped),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), json!(count))).collect()
    }
}
