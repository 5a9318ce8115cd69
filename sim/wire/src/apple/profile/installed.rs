//! Any profile that a device installs: as much of it as `ProfileList` tells.

use super::{CONFIGURATION, Heading, Payload, ProfileError, kind, mdm, read};
use crate::plist::Value;
use droves_facts::Limits;

/// A profile as a device lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstalledProfile {
    /// What it is called. `identifier` is what a later profile with the same one replaces.
    pub heading: Heading,
    /// Whether it came signed.
    pub signed: bool,
    /// `PayloadRemovalDisallowed`: the user can't remove it, the server can.
    pub removal_disallowed: bool,
    /// `HasRemovalPasscode`.
    pub has_removal_passcode: bool,
    /// `PayloadScope` is `System` (Macs: the device channel's).
    pub system_scope: bool,
    /// Its payloads in order.
    pub payloads: Vec<ListedPayload>,
}

/// One payload of a listed profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedPayload {
    /// `PayloadType`.
    pub kind: String,
    /// What it is called.
    pub heading: Heading,
}

impl InstalledProfile {
    /// Reads a profile, signed or not. An encrypted one is [`ProfileError::Encrypted`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ProfileError> {
        let (root, signed) = read(bytes, limits)?;
        let profile = Payload::of(&root, CONFIGURATION);
        let contents = profile.need("PayloadContent", profile.array("PayloadContent")?)?;
        let payloads = contents.iter().map(|value| {
            let dict = value.as_dict().ok_or_else(|| profile.wrong("PayloadContent"))?;
            let kind = profile.need("PayloadType", Some(kind(dict)).filter(|kind| !kind.is_empty()))?;
            Ok(ListedPayload { kind: kind.to_owned(), heading: Payload::of(dict, "payload").heading()? })
        });
        Ok(InstalledProfile {
            heading: profile.heading()?,
            signed,
            removal_disallowed: profile.bool("PayloadRemovalDisallowed")?,
            has_removal_passcode: profile.bool("HasRemovalPasscode")?,
            system_scope: profile.typed("PayloadScope", Value::as_str)? == Some("System"),
            payloads: payloads.collect::<Result<_, ProfileError>>()?,
        })
    }

    /// Whether it holds the MDM payload: on an enrolled device an update of the enrollment.
    pub fn updates_mdm(&self) -> bool {
        self.payloads.iter().any(|payload| payload.kind == mdm::TYPE)
    }
}
