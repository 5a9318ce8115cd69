//! The enrollment policy (MS-XCEP): which key the server wants. Windows forgives much here, and so does this.

use super::{MakingKey, Terms, soap};
use crate::windows::exchange::{Answer, Question};
use crate::windows::lane::Lane;
use crate::windows::{State, Step};
use crate::{Ctx, Event};
use droves_facts::{Blame, Operation};
use droves_wire::windows::policy;
use droves_wire::windows::soap::SoapError;

/// GetPolicies is under way.
#[derive(Debug)]
pub(in crate::windows) struct AskingPolicy {
    terms: Terms,
}

/// Asks for the policy, if the server has one.
pub(super) fn ask(lane: &mut Lane, terms: Terms, ctx: &mut Ctx<'_>) -> Step {
    let Some(url) = &terms.policy_url else { return MakingKey::begin(terms, ctx) };
    let mut body = Vec::with_capacity(2_000);
    policy::Request { header: soap::header(lane, url, terms.credential(), ctx) }.write(&mut body);
    match Question::post(Operation::WindowsPolicy, url, soap::POST, body).ask(ctx) {
        Ok(action) => Step::to(State::AskingPolicy(Box::new(AskingPolicy { terms })), action),
        Err(trouble) => super::failed(lane, &trouble, ctx),
    }
}

impl AskingPolicy {
    pub(in crate::windows) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::WindowsPolicy;
        let answer = match Answer::of(event, operation) {
            Ok(answer) => answer,
            Err(trouble) => return super::failed(lane, &trouble, ctx),
        };
        let read = soap::read(&answer, operation, |body| match policy::Answer::read(body, ctx.limits) {
            // An answer that is no policy costs nothing: the defaults take its place (a genuine client did so with one
            // that was not even well-formed).
            Err(SoapError::Xml(error)) if answer.status == 200 => {
                ctx.complain(Blame::Server, "soap_format", format!("{operation}: {error}"));
                Ok(KEY_BITS)
            }
            read => Ok(read?.policy.key_bits_min),
        });
        match read {
            Ok(bits) => {
                if bits > KEY_BITS {
                    let text = format!("{operation}: the server wants keys of {bits} bits, ours have {KEY_BITS}");
                    ctx.complain(Blame::Generator, "key_bits", text);
                }
                MakingKey::begin(self.terms, ctx)
            }
            Err(trouble) => super::failed(lane, &trouble, ctx),
        }
    }
}

/// Bits of each key.
const KEY_BITS: u32 = 2_048;
