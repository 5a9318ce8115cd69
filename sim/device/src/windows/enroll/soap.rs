//! What the enrollment's messages say of a device.

use crate::Ctx;
use crate::trouble::Trouble;
use crate::uuids::drawn_uuid;
use crate::windows::exchange::{Answer, Headers};
use crate::windows::hardware::Hardware;
use crate::windows::lane::Lane;
use crate::windows::who::{WINDOWS_11, Who, build};
use droves_facts::{Blame, Operation, Purpose};
use droves_wire::windows::csr::Spelling;
use droves_wire::windows::discovery::PC;
use droves_wire::windows::soap::{self, Credential, FaultKind, RequestHeader, SoapError};
use std::borrow::Cow;
use std::sync::Arc;

/// Headers of the GET before discovery.
pub(super) const KNOCK: Headers =
    &[("user-agent", soap::USER_AGENT), ("cache-control", "no-cache"), ("pragma", "no-cache")];
/// Headers of each message.
pub(super) const POST: Headers = &[("content-type", soap::CONTENT_TYPE), ("user-agent", soap::USER_AGENT)];

/// The header of a message, with an id of its own.
pub(super) fn header<'a>(
    lane: &mut Lane,
    to: &'a Arc<str>,
    credential: Option<Credential<'a>>,
    ctx: &Ctx<'_>,
) -> RequestHeader<'a> {
    lane.record.messages = lane.record.messages.wrapping_add(1);
    let mut dice = ctx.lane_dice(Purpose::Nonce, MESSAGE | u64::from(lane.record.messages));
    let message_id = format!("urn:uuid:{}", drawn_uuid(&mut dice).to_ascii_lowercase());
    RequestHeader { message_id: message_id.into(), to: Cow::Borrowed(to), credential }
}

/// What the answer to such a message says. It has to come whole; a fault is one whatever its status is.
pub(super) fn read<'a, T>(
    answer: &'a Answer,
    operation: Operation,
    read: impl FnOnce(&'a [u8]) -> Result<T, SoapError>,
) -> Result<T, Trouble> {
    if answer.chunked {
        let text = format!("{operation}: the answer comes in chunks, which Windows refuses");
        return Err(Trouble::new(Blame::Server, "chunked", text));
    }
    match read(&answer.body) {
        Ok(_) if answer.status != 200 => Err(answer.refusal(operation)),
        Ok(said) => Ok(said),
        Err(error) => Err(refused(answer, operation, &error)),
    }
}

/// What is wrong with an answer that can't be used: a fault, whatever its status; else the status; else what it is not.
fn refused(answer: &Answer, operation: Operation, error: &SoapError) -> Trouble {
    match error {
        SoapError::Fault(fault) => {
            let hresult = fault.kind().map_or_else(String::new, |kind| format!(" ({:#010X})", kind.hresult()));
            let reason: String = fault.reason.chars().filter(|c| !c.is_control()).take(200).collect();
            let subcode: String = fault.subcode.chars().filter(|c| !c.is_control()).take(60).collect();
            let text = format!("{operation}: the server answers a fault, {subcode}{hresult}: {reason}");
            Trouble::new(Blame::Server, fault_kind(fault.kind()), text)
        }
        _ if answer.status != 200 => answer.refusal(operation),
        error => Trouble::new(Blame::Server, "soap_format", format!("{operation}: {error}")),
    }
}

/// One word for each fault: they are counted apart.
fn fault_kind(kind: Option<FaultKind>) -> &'static str {
    match kind {
        Some(FaultKind::MessageFormat) => "fault_message_format",
        Some(FaultKind::Authentication) => "fault_authentication",
        Some(FaultKind::Authorization) => "fault_authorization",
        Some(FaultKind::CertificateRequest) => "fault_certificate_request",
        Some(FaultKind::EnrollmentServer) => "fault_enrollment_server",
        Some(FaultKind::InternalServiceFault) => "fault_internal_service",
        Some(FaultKind::InvalidSecurity) => "fault_invalid_security",
        Some(FaultKind::DeviceCapReached) => "fault_device_cap_reached",
        Some(FaultKind::DeviceNotSupported) => "fault_device_not_supported",
        Some(FaultKind::NotSupported) => "fault_not_supported",
        Some(FaultKind::NotEligibleToRenew) => "fault_not_eligible_to_renew",
        Some(FaultKind::InMaintenance) => "fault_in_maintenance",
        Some(FaultKind::UserLicense) => "fault_user_license",
        Some(FaultKind::InvalidEnrollmentData) => "fault_invalid_enrollment_data",
        Some(FaultKind::CustomServerError) => "fault_custom_server_error",
        None => "fault_other",
    }
}

/// The version of the protocol that a build speaks: 5.0 since Windows 11.
pub(super) fn request_version(ctx: &Ctx<'_>) -> &'static str {
    if build(ctx) >= WINDOWS_11 { "5.0" } else { "4.0" }
}

/// How a build writes its certificate request.
pub(super) fn spelling(ctx: &Ctx<'_>) -> Spelling {
    if build(ctx) >= WINDOWS_10_21H2 { Spelling::Utf8 } else { Spelling::Printable }
}

/// What the request for a certificate says beside the key.
pub(super) fn context(lane: &Lane, ctx: &Ctx<'_>) -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
    let hardware = Hardware::of(ctx);
    let who = Who::of(lane, ctx);
    let version = hardware.os_version().to_owned();
    let mut items: Vec<(&'static str, String)> = vec![
        ("UXInitiated", "true".into()),
        ("HWDevID", who.hardware_id),
        ("Locale", hardware.locale().into()),
        ("TargetedUserLoggedIn", "true".into()),
        ("OSEdition", hardware.edition().to_string()),
        ("DeviceName", hardware.name()),
    ];
    items.extend(hardware.macs().into_iter().map(|mac| ("MAC", mac)));
    items.extend([
        ("DeviceID", who.device_id),
        ("EnrollmentType", "Full".into()),
        ("DeviceType", PC.into()),
        ("OSVersion", version.clone()),
        ("ApplicationVersion", version),
        ("NotInOobe", "false".into()),
    ]);
    let version = request_version(ctx);
    if version != "4.0" {
        items.push(("RequestVersion", version.into()));
    }
    items.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What the request for another certificate says.
pub(super) fn renewal_context(ctx: &Ctx<'_>) -> Vec<(Cow<'static, str>, Cow<'static, str>)> {
    let version = Hardware::of(ctx).os_version().to_owned();
    vec![("DeviceType".into(), PC.into()), ("ApplicationVersion".into(), version.into())]
}

const WINDOWS_10_21H2: u32 = 19_044;
/// Place in the numbering of what a lane draws for its messages.
const MESSAGE: u64 = 1 << 60;
