//! What is a lane's own beyond its record: by what it proves who it is, its channel, what it has changed in its tree.

use super::install::Pending;
use super::record::OWN_VERSION;
use super::tree::{Overlay, Scep};
use crate::kept::{own_from_bytes, own_to_bytes};
use droves_facts::Wall;
use droves_wire::windows::provisioning;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The own part of a Windows lane.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Own {
    /// By what it proves who it is where the server asks for more than TLS.
    pub(super) credentials: Credentials,
    /// Since when it has its channel at the push service; `None` without one.
    pub(super) channel_since: Option<Wall>,
    /// Whether the push service has refused it a channel.
    pub(super) channel_refused: bool,
    /// Certificates that the server wants it to get, oldest first.
    pub(super) scep: Vec<Scep>,
    /// Where the oldest of them stands, if its CA has it pending.
    pub(super) pending: Option<Pending>,
    /// Its part of the management tree.
    pub(super) overlay: Overlay,
}

/// Name and secret (`APPAUTH` of level `APPSRV`; `CLCRED` in the tree). Nonces are not kept: each session is challenged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Credentials {
    pub(super) name: Arc<str>,
    pub(super) secret: Arc<str>,
}

impl Credentials {
    pub(super) fn of(account: &provisioning::Account) -> Self {
        let auth = account.device_auth();
        let text = |text: Option<&String>| text.map(String::as_str).unwrap_or_default().into();
        Credentials {
            name: text(auth.and_then(|auth| auth.name.as_ref())),
            secret: text(auth.and_then(|auth| auth.secret.as_ref())),
        }
    }
}

impl Own {
    pub(super) fn encode(&self) -> Option<Box<[u8]>> {
        own_to_bytes(OWN_VERSION, self)
    }
    pub(super) fn decode(bytes: Option<&[u8]>) -> Self {
        own_from_bytes(OWN_VERSION, bytes)
    }
}
