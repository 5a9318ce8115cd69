//! Enrolling (MS-MDE2): discovery, the login page where there is one, the policy where there is one, a key, the
//! certificate and with it the provisioning document. Each URL but the first comes from an answer.
//!
//! `Knocking` → `Discovering` → `LoggingIn` → `AskingPolicy` → `MakingKey` → `MakingRequest` → `Issuing` → saved →
//! enrolled. A renewal has its last three in common with it.

mod issue;
mod login;
mod policy;
mod soap;

use super::exchange::{Answer, Question};
use super::lane::Lane;
use super::record::Stage;
use super::{State, Step, leave, renewal, schedule, who};
use crate::trouble::Trouble;
use crate::windows::hardware::Hardware;
use crate::{Ctx, Discovery, Enrolls, Event, Proof};
use droves_facts::{Blame, Operation, Outcome, What as Fact};
use droves_wire::windows::discovery::{self, AuthPolicy};
use droves_wire::windows::soap::{Credential, TokenKind};
use std::sync::Arc;

pub(super) use issue::{Issuing, MakingKey, MakingRequest};
pub(super) use login::LoggingIn;
pub(super) use policy::AskingPolicy;

/// What is known when discovery is over.
#[derive(Debug)]
pub(super) struct Terms {
    /// `EnrollmentServiceUrl`.
    enrollment_url: Arc<str>,
    /// `EnrollmentPolicyServiceUrl`.
    policy_url: Option<Arc<str>>,
    /// By what the user proves who that is.
    proof: Proven,
    /// Whether a certificate is renewed: the device has one, which proves everything.
    renews: bool,
}

/// What goes into the messages as the user's proof.
#[derive(Debug)]
enum Proven {
    /// Name and password.
    Password(String, String),
    /// A token of this kind.
    Token(TokenKind<'static>, String),
    /// Nothing: TLS does.
    Nothing,
}

/// The GET before discovery is under way: is anybody there?
#[derive(Debug)]
pub(super) struct Knocking;

/// Discovery is under way.
#[derive(Debug)]
pub(super) struct Discovering;

/// A new enrollment begins, whatever was before it.
pub(super) fn begin(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    if lane.record.stage == Stage::Enrolled {
        ctx.fact(Fact::Unreachable);
    }
    leave::forget(lane);
    lane.record.generation = lane.record.generation.wrapping_add(1);
    lane.go(Stage::Starting, ctx);
    start(lane, ctx)
}

/// Begins the enrollment that is due, for the first time or again.
pub(super) fn start(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    let Some(discovery) = discovery_of(ctx) else {
        let text = "a PC without a place where it is discovered";
        return failed(lane, &Trouble::new(Blame::Generator, "no_discovery", text), ctx);
    };
    // Only who looks for the server of the user's domain knocks first; other enrollments know where it is.
    let host = discovery.url.split_once("://").map_or("", |(_, rest)| rest);
    if !host.starts_with("enterpriseenrollment.") {
        return discover(lane, &discovery, ctx);
    }
    match Question::get(Operation::WindowsDiscovery, &discovery.url, soap::KNOCK).ask(ctx) {
        Ok(action) => Step::to(State::Knocking(Knocking), action),
        Err(trouble) => failed(lane, &trouble, ctx),
    }
}

impl Knocking {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match (Answer::of(event, Operation::WindowsDiscovery), discovery_of(ctx)) {
            (Ok(answer), Some(discovery)) if answer.status == 200 => discover(lane, &discovery, ctx),
            (Ok(answer), _) => failed(lane, &answer.refusal(Operation::WindowsDiscovery), ctx),
            (Err(trouble), _) => failed(lane, &trouble, ctx),
        }
    }
}

fn discover(lane: &mut Lane, discovery: &Discovery, ctx: &mut Ctx<'_>) -> Step {
    let hardware = Hardware::of(ctx);
    let request = discovery::Request {
        header: soap::header(lane, &discovery.url, None, ctx),
        email: who::user(ctx).into(),
        version: soap::request_version(ctx).into(),
        device_type: discovery::PC.into(),
        application_version: hardware.os_version().to_owned().into(),
        os_edition: hardware.edition(),
        policies: vec![AuthPolicy::OnPremise, AuthPolicy::Federated],
    };
    let mut body = Vec::with_capacity(1_500);
    request.write(&mut body);
    match Question::post(Operation::WindowsDiscovery, &discovery.url, soap::POST, body).ask(ctx) {
        Ok(action) => Step::to(State::Discovering(Discovering), action),
        Err(trouble) => failed(lane, &trouble, ctx),
    }
}

impl Discovering {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let found = Answer::of(event, Operation::WindowsDiscovery).and_then(|answer| read(&answer, ctx));
        match found {
            Ok((terms, None)) => policy::ask(lane, terms, ctx),
            Ok((terms, Some(page))) => login::begin(lane, terms, &page, ctx),
            Err(trouble) => failed(lane, &trouble, ctx),
        }
    }
}

/// What discovery says: the terms, and the page where the user logs in if that is what the server wants.
fn read(answer: &Answer, ctx: &Ctx<'_>) -> Result<(Terms, Option<Arc<str>>), Trouble> {
    let operation = Operation::WindowsDiscovery;
    let read = soap::read(answer, operation, |body| discovery::Answer::read(body, ctx.limits))?;
    let proof = discovery_of(ctx).map(|discovery| discovery.proof.clone());
    let text = |proof: &Arc<str>| who::numbered(proof, ctx);
    let (proof, page) = match (read.policy, proof) {
        (AuthPolicy::OnPremise, Some(Proof::Password(password))) => {
            (Proven::Password(who::user(ctx), text(&password)), None)
        }
        (AuthPolicy::OnPremise | AuthPolicy::Federated, Some(Proof::Token(token))) => {
            let token = text(&token);
            // A JWT is Entra's: its header begins with `{"`.
            let kind = if token.starts_with("eyJ") { TokenKind::Jwt } else { TokenKind::User };
            (Proven::Token(kind, token), None)
        }
        (AuthPolicy::Federated, Some(Proof::Login)) => {
            (Proven::Nothing, read.authentication_url.as_deref().map(Arc::from))
        }
        (wanted, _) => {
            let text = format!("{operation}: the server wants {wanted:?}, for which the scenario gives no proof");
            return Err(Trouble::new(Blame::Scenario, "auth_policy", text));
        }
    };
    let terms = Terms {
        enrollment_url: Arc::from(&*read.enrollment_url),
        policy_url: read.policy_url.as_deref().map(Arc::from),
        proof,
        renews: false,
    };
    if terms.policy_url.as_deref().is_some_and(|policy| host(policy) != host(&terms.enrollment_url)) {
        let text = format!("{operation}: policy and enrollment are at two hosts, which Windows refuses");
        return Err(Trouble::new(Blame::Server, "enrollment_hosts", text));
    }
    Ok((terms, page))
}

impl Terms {
    /// Of another certificate for a device that has one.
    pub(super) fn of_renewal(enrollment_url: &Arc<str>) -> Self {
        Terms { enrollment_url: Arc::clone(enrollment_url), policy_url: None, proof: Proven::Nothing, renews: true }
    }

    /// What the requests for policy and certificate carry.
    fn credential(&self) -> Option<Credential<'_>> {
        match &self.proof {
            Proven::Password(user, password) => {
                Some(Credential::Password { user: user.into(), password: password.into() })
            }
            Proven::Token(kind, token) => Some(Credential::token(kind.clone(), token.as_bytes())),
            Proven::Nothing => None,
        }
    }
}

/// Host name of a URL, without its port.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase()
}

fn discovery_of(ctx: &Ctx<'_>) -> Option<Arc<Discovery>> {
    match &ctx.character.enrolls {
        Enrolls::Discovery(discovery) => Some(Arc::clone(discovery)),
        _ => None,
    }
}

/// Identity and account are on disk: the device is enrolled, and its first session follows.
pub(super) fn done(lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
    lane.went_well();
    lane.go(Stage::Enrolled, ctx);
    lane.record.wanted.ended(Operation::Enroll, Outcome::Succeeded, ctx);
    schedule::begin(lane, ctx);
    lane.connect_soon(ctx);
    lane.proceed(false, ctx)
}

/// The enrollment, or the renewal, came to nothing. What passes is tried again, a few times.
pub(super) fn failed(lane: &mut Lane, trouble: &Trouble, ctx: &mut Ctx<'_>) -> Step {
    if lane.record.stage == Stage::Enrolled {
        return renewal::failed(lane, trouble, ctx);
    }
    trouble.complain(ctx);
    if is_passing(trouble) && lane.record.tries + 1 < ctx.limits.enrollment_tries_max {
        lane.put_off(ctx);
        return lane.rest(ctx);
    }
    lane.record.wanted.ended(Operation::Enroll, trouble.outcome(), ctx);
    leave::end(lane, Stage::Failed, ctx)
}

/// Faults after which another try may fare better, as wire's [`droves_wire::windows::soap::FaultKind::is_passing`] has
/// them.
fn is_passing(trouble: &Trouble) -> bool {
    matches!(trouble.kind, "fault_enrollment_server" | "fault_internal_service" | "fault_in_maintenance")
}
