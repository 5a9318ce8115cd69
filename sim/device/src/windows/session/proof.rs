//! Who I am, beside TLS (OMA-TS-DM-Security 1.2, 5.3; MS-MDM 3.1.5): credentials in `SyncHdr`, once the server has asked
//! for them, as Windows does.

use crate::trouble::Trouble;
use crate::windows::own::Credentials;
use droves_facts::Blame;
use droves_wire::windows::syncml::{self, Challenge};

/// What the session knows of being asked.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// What the server has asked for; `None` while it has not, or wants no more of it.
    asked: Option<Asked>,
    /// Refusals since it last was content.
    refusals: u8,
}

#[derive(Debug)]
enum Asked {
    /// A digest with this nonce, raw.
    Md5(Vec<u8>),
    /// Name and secret.
    Basic,
}

impl Proof {
    /// What the next message carries. Name and secret are those of now: the server may just have changed them.
    pub(super) fn credentials(&self, of: &Credentials) -> Option<syncml::Credentials<'static>> {
        let (kind, data) = match self.asked.as_ref()? {
            Asked::Md5(nonce) => (syncml::MD5, syncml::md5(&of.name, &of.secret, nonce)),
            Asked::Basic => (syncml::BASIC, syncml::basic(&of.name, &of.secret)),
        };
        Some(syncml::Credentials { kind: kind.into(), data: data.into() })
    }

    /// The server refuses (401, 407) and challenges. A second time in a row there is nothing more to be tried.
    pub(super) fn refused(
        &mut self,
        code: u16,
        challenge: Option<&Challenge<'_>>,
        of: &Credentials,
    ) -> Result<(), Trouble> {
        let broken = |kind, text: &str| {
            Err(Trouble::new(Blame::Server, kind, format!("the server answers {code} to the device's message{text}")))
        };
        self.refusals += 1;
        if self.refusals > 1 {
            return broken("credentials", ", also with the credentials that it asked for");
        }
        if of.name.is_empty() && of.secret.is_empty() {
            return broken("credentials", ", and has given it no credentials");
        }
        match challenge {
            Some(challenge) => self.challenged(challenge),
            None => broken("challenge", " without a challenge"),
        }
    }

    /// The server is content: with 212 for the rest of the session, otherwise with these credentials in every message,
    /// for which it may give another nonce.
    pub(super) fn accepted(&mut self, code: u16, challenge: Option<&Challenge<'_>>) -> Result<(), Trouble> {
        self.refusals = 0;
        if code == 212 {
            self.asked = None;
        }
        match challenge {
            Some(challenge) if self.asked.is_some() => self.challenged(challenge),
            _ => Ok(()),
        }
    }

    fn challenged(&mut self, challenge: &Challenge<'_>) -> Result<(), Trouble> {
        self.asked = Some(match &*challenge.kind {
            syncml::MD5 => Asked::Md5(challenge.nonce_bytes()),
            syncml::BASIC => Asked::Basic,
            other => {
                let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
                let text = format!("the server asks for credentials of kind {other}, which Windows does not have");
                return Err(Trouble::new(Blame::Server, "challenge", text));
            }
        });
        Ok(())
    }
}
