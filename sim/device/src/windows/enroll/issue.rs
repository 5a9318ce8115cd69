//! The certificate (MS-WSTEP) and what comes with it: the provisioning document, which is the enrollment.

use super::{Terms, soap};
use crate::trouble::{Trouble, unexpected};
use crate::windows::exchange::{Answer, Question};
use crate::windows::lane::Lane;
use crate::windows::own::Credentials;
use crate::windows::record::Stage;
use crate::windows::shared::{Account, Shared};
use crate::windows::who::Who;
use crate::windows::{State, Step, channel, renewal};
use crate::{Ctx, Event, Identity, KeyIx, Made, Work};
use droves_facts::{Blame, Operation, Purpose};
use droves_wire::keys::KeyKind;
use droves_wire::windows::issue::{self, Token};
use droves_wire::windows::provisioning::{Document, Store};
use droves_wire::x509;
use std::sync::Arc;

/// A key is being made.
#[derive(Debug)]
pub(in crate::windows) struct MakingKey {
    terms: Terms,
}

/// The certificate request is being made and signed.
#[derive(Debug)]
pub(in crate::windows) struct MakingRequest {
    terms: Terms,
    key: KeyIx,
}

/// RequestSecurityToken is under way.
#[derive(Debug)]
pub(in crate::windows) struct Issuing {
    terms: Terms,
    key: KeyIx,
    /// Of the key that is to be certified, DER.
    spki: Vec<u8>,
}

impl MakingKey {
    pub(in crate::windows) fn begin(terms: Terms, ctx: &Ctx<'_>) -> Step {
        let action = ctx.make(Work::Key { kind: KeyKind::Rsa(2_048) });
        Step::to(State::MakingKey(Box::new(MakingKey { terms })), action)
    }

    pub(in crate::windows) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Event::Made(Made::Key(key)) = event else {
            return super::failed(lane, &unexpected(&event, "a key"), ctx);
        };
        let ordinal = u64::from(lane.record.generation) << 32 | u64::from(lane.record.messages);
        let guid = crate::uuids::drawn_uuid(&mut ctx.lane_dice(Purpose::Nonce, GUID | ordinal));
        let work = Work::WindowsRequest {
            guid: guid.into(),
            device_id: Who::of(lane, ctx).device_id.into(),
            spelling: soap::spelling(ctx),
            key,
            signer: ctx.identity.filter(|_| self.terms.renews).cloned(),
        };
        Step::to(State::MakingRequest(Box::new(MakingRequest { terms: self.terms, key })), ctx.make(work))
    }
}

impl MakingRequest {
    pub(in crate::windows) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let Event::Made(Made::CertificateRequest(der)) = event else {
            return super::failed(lane, &unexpected(&event, "a certificate request"), ctx);
        };
        let Self { terms, key } = self;
        let token = if terms.renews { Token::Pkcs7(der.into()) } else { Token::Pkcs10(der.into()) };
        let spki = match token.open(ctx.limits) {
            Ok(wanted) => wanted.csr.spki,
            Err(error) => {
                let trouble = Trouble::new(Blame::Generator, "request", format!("our own request: {error}"));
                return super::failed(lane, &trouble, ctx);
            }
        };
        let context = if terms.renews { soap::renewal_context(ctx) } else { soap::context(lane, ctx) };
        let header = soap::header(lane, &terms.enrollment_url, terms.credential(), ctx);
        let mut body = Vec::with_capacity(6_000);
        issue::Request { header, renews: terms.renews, token, context }.write(&mut body);
        let question = Question {
            identity: ctx.identity.filter(|_| terms.renews).cloned(),
            ..Question::post(operation(&terms), &terms.enrollment_url, soap::POST, body)
        };
        match question.ask(ctx) {
            Ok(action) => Step::to(State::Issuing(Box::new(Issuing { terms, key, spki })), action),
            Err(trouble) => super::failed(lane, &trouble, ctx),
        }
    }
}

impl Issuing {
    pub(in crate::windows) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = operation(&self.terms);
        let limits = ctx.limits;
        let answer = match Answer::of(event, operation) {
            Ok(answer) => answer,
            Err(trouble) => return super::failed(lane, &trouble, ctx),
        };
        let read = soap::read(&answer, operation, |body| issue::Answer::read(body, limits)).and_then(|said| {
            let broken = |error| format!("{operation}: provisioning document: {error}");
            let document = Document::read(&said.document, limits)
                .map_err(|error| Trouble::new(Blame::Server, "provisioning", broken(error)))?;
            Ok((self.certificate(&document)?, document))
        });
        let (certificate, document) = match read {
            Ok(read) => read,
            Err(trouble) => return super::failed(lane, &trouble, ctx),
        };
        let identity = Identity { key: self.key, certificate: certificate.into() };
        if self.terms.renews {
            return renewal::done(lane, identity, ctx);
        }
        self.provision(identity, &document, lane, ctx)
    }

    /// The device's certificate: the one of its own store that is over its own key.
    fn certificate(&self, document: &Document) -> Result<Vec<u8>, Trouble> {
        let own = || document.certificates.iter().filter(|certificate| certificate.store == Store::My);
        let is_ours = |der: &[u8]| x509::public_key(der).is_ok_and(|spki| spki == self.spki);
        let found = own().find(|certificate| is_ours(&certificate.der)).map(|certificate| certificate.der.clone());
        found.ok_or_else(|| {
            let text =
                if own().next().is_none() { "no certificate for the device" } else { "a certificate over another key" };
            Trouble::new(Blame::Server, "certificate", format!("{}: the document has {text}", operation(&self.terms)))
        })
    }

    /// The document is the enrollment. Identity and account are on disk before anybody else hears of them.
    fn provision(self, identity: Identity, document: &Document, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let account = document.account.as_ref().filter(|account| !account.address.is_empty());
        let Some(account) = account else {
            let text = format!("{}: the document has no account to be managed by", Operation::WindowsIssue);
            return super::failed(lane, &Trouble::new(Blame::Server, "provisioning", text), ctx);
        };
        lane.own.credentials = Credentials::of(account);
        let account = Arc::new(Account::new(account, &self.terms.enrollment_url));
        lane.shared = Arc::new(Shared { account: Some(Arc::clone(&account)), ..Shared::default() });
        let who = Who::of(lane, ctx);
        let scene = who.scene(&lane.own, 0, &account, ctx);
        lane.tree.provision(document, &scene);
        if let Some(pfn) = lane.tree.client(&account.provider, "Push/PFN") {
            channel::set(lane, &pfn);
        }
        lane.record.heard_at = ctx.clocks.wall.into();
        lane.record.renew_at = renewal::renew_at(lane, &identity, ctx).into();
        ctx.adopt(Some(Arc::new(identity)));
        lane.go(Stage::HasIdentity, ctx);
        Step::save(ctx)
    }
}

fn operation(terms: &Terms) -> Operation {
    if terms.renews { Operation::WindowsRenew } else { Operation::WindowsIssue }
}

/// Place in the numbering of what a lane draws for its messages.
const GUID: u64 = 2 << 60;
