//! An identity that is in the profile, with its private key (`com.apple.security.pkcs12`). Nothing renews it but a new
//! profile.

use super::profile::{Terms, blame};
use super::{failed, has};
use crate::apple::exchange::Trouble;
use crate::apple::lane::Lane;
use crate::apple::{State, Step};
use crate::trouble::unexpected;
use crate::{Ctx, Event, Made, Work};
use bytes::Bytes;
use droves_facts::Blame;
use std::sync::Arc;

/// The file is being opened.
#[derive(Debug)]
pub(in crate::apple) struct Unpacking {
    terms: Terms,
}

/// Has the file opened.
pub(super) fn start(terms: Terms, file: Bytes, password: Arc<str>, ctx: &Ctx<'_>) -> Step {
    Step::to(State::Unpacking(Box::new(Unpacking { terms })), ctx.make(Work::Unpack { file, password }))
}

impl Unpacking {
    pub(in crate::apple) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match event {
            Event::Made(Made::Identity(identity)) => has(lane, self.terms, identity, None, ctx),
            // What is wrong with the file is the fault of whoever put it into the profile.
            Event::Failed(failure) if failure.blame != Blame::Generator => {
                let trouble = Trouble::new(blame(lane, ctx), "pkcs12", failure.text);
                failed(lane, &trouble, ctx)
            }
            other => failed(lane, &unexpected(&other, "an identity unpacked"), ctx),
        }
    }
}
