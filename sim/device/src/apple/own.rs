//! What is a lane's own beyond its record: a result that the server has not taken yet, apps on their way in. Usually
//! nothing.

use super::declarative::Declarative;
use super::record::OWN_VERSION;
use super::shared::{App, MdmSettings, Profile};
use crate::kept::{own_from_bytes, own_to_bytes};
use crate::{KeyIx, whole};
use bytes::Bytes;
use droves_facts::{CommandKey, CommandStatus, Wall};
use droves_wire::digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The own part of an Apple lane.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Own {
    /// A result without a 2xx. It is sent again as it is, whatever becomes of the device meanwhile.
    pub(super) owed: Option<Owed>,
    /// Apps that are on their way in.
    pub(super) installing: Vec<Installing>,
    /// A system update that was ordered.
    pub(super) update: Option<Update>,
    /// A new identity that the server does not know yet.
    pub(super) renewal: Option<Renewal>,
    /// Declarative management, once the server has turned it on.
    pub(super) declarative: Option<Declarative>,
}

/// A result that the server has not taken yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Owed {
    /// The command that it answers.
    pub(super) command: CommandKey,
    /// What it answers.
    pub(super) status: CommandStatus,
    /// The bytes.
    #[serde(with = "whole")]
    pub(super) body: Bytes,
    /// Their SHA-256, from when they were written: what is sent again is what was sent.
    sha256: [u8; 32],
}

impl Owed {
    pub(super) fn new(command: CommandKey, status: CommandStatus, body: Bytes) -> Self {
        let sha256 = digest::sha256(&body);
        Owed { command, status, body, sha256 }
    }

    /// Whether the bytes are still those that were written.
    pub(super) fn is_whole(&self) -> bool {
        digest::sha256(&self.body) == self.sha256
    }
}

/// An app on its way in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Installing {
    /// Which, as it will be managed.
    pub(super) app: App,
    /// When it is no longer queued, but being installed.
    pub(super) begins: Wall,
    /// When it is there.
    pub(super) ends: Wall,
}

/// A system update that was ordered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Update {
    /// Its key.
    pub(super) key: Box<str>,
    /// When it was ordered.
    pub(super) since: Wall,
}

/// A renewal under way: what becomes of it, and what is back in force if it fails.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Renewal {
    /// The `InstallProfile` command that it answers, if one asked for it.
    pub(super) answers: Option<Box<str>>,
    /// The identity before, once there is a new one.
    pub(super) old: Option<(KeyIx, Box<[u8]>)>,
    /// The settings of the new profile.
    pub(super) settings: Option<Arc<MdmSettings>>,
    /// The new profile, as it is listed.
    pub(super) profile: Option<Arc<Profile>>,
}

impl Own {
    pub(super) fn encode(&self) -> Option<Box<[u8]>> {
        own_to_bytes(OWN_VERSION, self)
    }
    pub(super) fn decode(bytes: Option<&[u8]>) -> Self {
        own_from_bytes(OWN_VERSION, bytes)
    }
}
