//! Apple's half: the enrollment profile, check-ins, and the command loop.

mod declarations;
mod profile;

pub use declarations::answer as declaration;
pub use profile::{IDENTITY, heading, write as enrollment_profile, write_with as enrollment_profile_with};

use super::device::Enrollment;
use super::exchange::{Incoming, Outgoing, Proof};
use super::house::{House, status_word};
use droves_facts::{CommandStatus, Limits, Mono};
use droves_wire::apple::checkin::{self, Message};
use droves_wire::apple::command;
use droves_wire::apple::identity::{EnrollmentId, Who};
use droves_wire::apple::result::{Received, Said};
use droves_wire::apple::signature;
use droves_wire::{digest, plist, x509};

/// Bytes of a bootstrap token that are kept; real ones have about a hundred.
const BOOTSTRAP_MAX: usize = 4_096;

/// What devices are told.
#[derive(Debug)]
pub(super) struct Apple {
    pub(super) url: String,
    pub(super) topic: String,
}

impl Apple {
    pub(super) fn profile(&self, challenge: &str) -> Outgoing {
        let profile = profile::write(&self.url, &self.topic, challenge);
        Outgoing::new(200, "application/x-apple-aspen-config", profile)
    }

    /// Whose request it is, as far as its body says so.
    pub(super) fn enrollment_of(body: &[u8], limits: &Limits) -> Option<String> {
        let value = plist::read(body, limits).ok()?;
        Some(enrollment_id(&Who::of(value.as_dict()?).ok()?))
    }

    pub(super) fn checkin(&self, house: &mut House, request: &Incoming<'_>) -> Outgoing {
        let signer = match signer(house, request) {
            Ok(signer) => signer,
            Err(refusal) => return refusal,
        };
        let value = match plist::read(request.body, &house.limits) {
            Ok(value) => value,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        let message = match Message::of(&value) {
            Ok(message) => message,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        let name = message.name();
        let (mut body, mut kind) = (Vec::new(), checkin::CONTENT_TYPE);
        let outcome = match message {
            Message::Authenticate(authenticate) => self::authenticate(house, &device_id(&authenticate.id), signer),
            Message::TokenUpdate(update) => token_update(house, &update.who, signer, update.token, update.push_magic),
            Message::CheckOut { id, .. } => known(house, &device_id(&id), signer).map(|()| {
                leave(house, &device_id(&id));
            }),
            Message::SetBootstrapToken { id, token, .. } => known(house, &device_id(&id), signer).map(|()| {
                let enrollment = house.enrollments.entry(device_id(&id)).or_default();
                enrollment.bootstrap = token.filter(|token| token.len() <= BOOTSTRAP_MAX).map(<[u8]>::to_vec);
            }),
            Message::GetBootstrapToken { id, .. } => known(house, &device_id(&id), signer).map(|()| {
                let held = house.enrollments.get(&device_id(&id)).and_then(|enrollment| enrollment.bootstrap.as_ref());
                if let Some(token) = held {
                    checkin::write_bootstrap_token(&mut body, token);
                }
            }),
            Message::DeclarativeManagement { who, endpoint, .. } => {
                known(house, &device_id(&who.id), signer).and_then(|()| {
                    if endpoint == "status" {
                        house.truth.status_reports += 1;
                    }
                    let none = || Outgoing::text(404, "no such declaration");
                    body = declarations::answer(endpoint).ok_or_else(none)?;
                    kind = "application/json";
                    Ok(())
                })
            }
            Message::UserAuthenticate { .. } => Err(Outgoing::text(410, "network users are not managed here")),
        };
        match outcome {
            Ok(()) => {
                *house.truth.checkins.entry(name).or_default() += 1;
                Outgoing::new(200, kind, body)
            }
            Err(refusal) => refusal,
        }
    }

    pub(super) fn mdm(&self, house: &mut House, now: Mono, request: &Incoming<'_>) -> Outgoing {
        let signer = match signer(house, request) {
            Ok(signer) => signer,
            Err(refusal) => return refusal,
        };
        let value = match plist::read(request.body, &house.limits) {
            Ok(value) => value,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        let received = match Received::of(&value) {
            Ok(received) => received,
            Err(error) => return Outgoing::text(400, error.to_string()),
        };
        let (device, id) = (device_id(&received.who.id), enrollment_id(&received.who));
        if let Err(refusal) = known(house, &device, signer) {
            return refusal;
        }
        let Some(enrollment) = house.enrollments.get_mut(&id).filter(|enrollment| enrollment.enrolled) else {
            return Outgoing::text(401, "this channel has not said TokenUpdate");
        };
        match &received.said {
            Said::Idle => enrollment.connected(),
            Said::Answered { uuid, status, .. } => {
                let command = enrollment.answered(uuid, *status);
                let request = command.as_ref().map_or("other", |command| command.request.as_str());
                house.truth.command(&id, uuid, request, status_word(*status));
                if let Some(command) = command {
                    house.answered(now, &id, &command, *status);
                    let is_erased = command.request == "EraseDevice" && *status == CommandStatus::Acknowledged;
                    if is_erased && device == id {
                        leave(house, &device);
                    }
                }
            }
        }
        let Some(next) = house.enrollments.get(&id).and_then(Enrollment::next) else {
            return Outgoing::text(200, "");
        };
        house.truth.command(&id, &next.uuid, &next.request, "delivered");
        Outgoing::new(200, command::CONTENT_TYPE, next.body.clone())
    }
}

/// The digest of the identity that has signed the body, if it is one of ours.
fn signer(house: &House, request: &Incoming<'_>) -> Result<[u8; 32], Outgoing> {
    let header = match request.proof {
        Proof::Nothing => return Err(Outgoing::text(401, "no Mdm-Signature")),
        Proof::Vouched(certificate) => return Ok(digest::sha256(certificate)),
        Proof::Signature(header) => header,
    };
    let certificate = signature::verify(header, request.body, &house.limits)
        .map_err(|error| Outgoing::text(401, format!("{error}")))?;
    x509::verify(&certificate, house.authority.certificate())
        .map_err(|_| Outgoing::text(401, "the identity is not of this server's CA"))?;
    Ok(digest::sha256(&certificate))
}

fn authenticate(house: &mut House, id: &str, signer: [u8; 32]) -> Result<(), Outgoing> {
    let enrollment = house.enrollment(id)?;
    // A device that renews its identity stays enrolled, and so do its commands.
    if !enrollment.enrolled {
        enrollment.clear();
    }
    enrollment.certificate = Some(signer);
    Ok(())
}

fn token_update(house: &mut House, who: &Who<'_>, signer: [u8; 32], token: &[u8], magic: &str) -> Result<(), Outgoing> {
    known(house, &device_id(&who.id), signer)?;
    let enrollment = house.enrollments.entry(enrollment_id(who)).or_default();
    enrollment.enrolled = true;
    enrollment.token = token.to_vec();
    magic.clone_into(&mut enrollment.magic);
    Ok(())
}

/// Whether a device has said Authenticate with this identity.
fn known(house: &House, device: &str, signer: [u8; 32]) -> Result<(), Outgoing> {
    match house.enrollments.get(device).and_then(|enrollment| enrollment.certificate) {
        Some(certificate) if certificate == signer => Ok(()),
        Some(_) => Err(Outgoing::text(403, "another identity is enrolled for this device")),
        None => Err(Outgoing::text(401, "not enrolled here")),
    }
}

/// The device and its users are gone.
fn leave(house: &mut House, device: &str) {
    for (id, enrollment) in &mut house.enrollments {
        if id == device || id.strip_prefix(device).is_some_and(|rest| rest.starts_with(':')) {
            enrollment.leave();
        }
    }
}

fn device_id(id: &EnrollmentId<'_>) -> String {
    match id {
        EnrollmentId::Udid(id) | EnrollmentId::Enrollment(id) => (*id).to_owned(),
    }
}

fn enrollment_id(who: &Who<'_>) -> String {
    let device = device_id(&who.id);
    who.user.map_or_else(|| device.clone(), |user| format!("{device}:{}", user.id))
}
