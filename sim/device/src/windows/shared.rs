//! What a lane *has*, and usually has in common with others: the server's account and what it has set.
//!
//! Nothing of one device alone is in it (no secret, no time), so that a fleet that was given the same things shares one
//! value.

use super::tree::Base;
use droves_facts::Dur;
use droves_wire::windows::provisioning;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The shared part of a Windows lane. Cheap to clone: the pieces are behind [`Arc`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Shared {
    /// Where the server is; `None` while not enrolled.
    pub(super) account: Option<Arc<Account>>,
    /// For whom the channel at the push service is: the `PFN` that the server has set.
    pub(super) pfn: Option<Arc<str>>,
    /// What the server has set in the management tree.
    pub(super) base: Arc<Base>,
}

/// The account, as the provisioning document gave it (w7 APPLICATION CSP).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    /// `PROVIDER-ID`.
    pub(super) provider: Arc<str>,
    /// `ADDR`: where sessions go.
    pub(super) address: Arc<str>,
    /// Where the certificate came from, and is renewed.
    pub(super) enrollment_url: Arc<str>,
    /// `USEHWDEVID`: the hardware's id stands in `Source`.
    pub(super) by_hardware_id: bool,
    /// `CONNRETRYFREQ`: tries of a session.
    tries: u32,
    /// `INITIALBACKOFFTIME`, ms: between the first two.
    backoff_ms: u64,
    /// `MAXBACKOFFTIME`, ms: at most, since it doubles.
    backoff_ms_max: u64,
}

impl Account {
    /// What Windows takes from the document's account.
    pub(super) fn new(account: &provisioning::Account, enrollment_url: &Arc<str>) -> Self {
        Account {
            provider: account.provider.as_str().into(),
            address: account.address.as_str().into(),
            enrollment_url: Arc::clone(enrollment_url),
            by_hardware_id: account.by_hardware_id,
            tries: account.tries.unwrap_or(3),
            backoff_ms: account.backoff_ms.unwrap_or(16_000),
            backoff_ms_max: account.backoff_ms_max.unwrap_or(86_400_000),
        }
    }

    /// The same at another address.
    pub(super) fn at(self, address: Arc<str>) -> Self {
        Account { address, ..self }
    }

    /// How long after so many failures in a row the next try follows; `None` when the schedule has to bring it.
    pub(super) fn backoff(&self, failures: u8) -> Option<Dur> {
        let doublings = u32::from(failures.max(1)) - 1;
        let longer = self
            .backoff_ms
            .max(BACKOFF_MS_MIN)
            .saturating_mul(1_u64.checked_shl(doublings.min(63)).unwrap_or(u64::MAX));
        (u32::from(failures) < self.tries).then(|| Dur::ms(longer.min(self.backoff_ms_max.max(BACKOFF_MS_MIN))))
    }
}

/// A server may not make its devices knock without a pause.
const BACKOFF_MS_MIN: u64 = 1_000;
