//! What the reasons of push services have in common.

/// Why a push service refuses, by its own words.
pub trait Reason: Copy + Ord + 'static {
    /// Every reason, by status; of those with the same status the most usual first.
    const ALL: &'static [Self];

    /// The status of HTTP that carries it.
    fn status(self) -> u16;

    /// The most usual one of a status.
    fn usual(status: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.status() == status)
    }
}
