//! Faults (MS-MDE2, 3.1.4.2.5 and its likes): read in every case that servers write, written as they do.

use super::{ANSWER, AnswerHeader, Outside};
use crate::windows::xml::{Reader, XmlError};
use std::borrow::Cow;

/// A server's refusal.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[error("soap fault {subcode}: {reason}")]
pub struct Fault {
    /// `Subcode/Value`, as written: `s:MessageFormat`, `a:InternalServiceFault`, `s:authorization`; that of `Code` if there
    /// is none.
    pub subcode: String,
    /// `Reason/Text`.
    pub reason: String,
    /// `Detail/../ErrorType`: what a newer server adds, as `DeviceCapReached`.
    pub error_type: Option<String>,
    /// `Detail/../TraceId`.
    pub trace: Option<String>,
}

/// What a fault means to Windows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the fault of that name")]
pub enum FaultKind {
    MessageFormat,
    Authentication,
    Authorization,
    CertificateRequest,
    EnrollmentServer,
    InternalServiceFault,
    InvalidSecurity,
    DeviceCapReached,
    DeviceNotSupported,
    NotSupported,
    NotEligibleToRenew,
    InMaintenance,
    UserLicense,
    InvalidEnrollmentData,
    CustomServerError,
}

/// Name and HRESULT.
const KINDS: [(FaultKind, &str, u32); 15] = [
    (FaultKind::MessageFormat, "MessageFormat", 0x8018_0001),
    (FaultKind::Authentication, "Authentication", 0x8018_0002),
    (FaultKind::Authorization, "Authorization", 0x8018_0003),
    (FaultKind::CertificateRequest, "CertificateRequest", 0x8018_0004),
    (FaultKind::EnrollmentServer, "EnrollmentServer", 0x8018_0005),
    (FaultKind::InternalServiceFault, "InternalServiceFault", 0x8018_0006),
    (FaultKind::InvalidSecurity, "InvalidSecurity", 0x8018_0007),
    (FaultKind::DeviceCapReached, "DeviceCapReached", 0x8018_0013),
    (FaultKind::DeviceNotSupported, "DeviceNotSupported", 0x8018_0014),
    (FaultKind::NotSupported, "NotSupported", 0x8018_0015),
    (FaultKind::NotEligibleToRenew, "NotEligibleToRenew", 0x8018_0016),
    (FaultKind::InMaintenance, "InMaintenance", 0x8018_0017),
    (FaultKind::UserLicense, "UserLicense", 0x8018_0018),
    (FaultKind::InvalidEnrollmentData, "InvalidEnrollmentData", 0x8018_0019),
    (FaultKind::CustomServerError, "CustomServerError", 0x8018_0032),
];

impl FaultKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = FaultKind> {
        KINDS.into_iter().map(|(kind, ..)| kind)
    }

    /// The fault of this name, with or without a prefix, in whatever case.
    pub fn named(name: &str) -> Option<FaultKind> {
        let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
        KINDS.into_iter().find(|(_, known, _)| known.eq_ignore_ascii_case(local)).map(|(kind, ..)| kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        KINDS.into_iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// What Windows shows: an HRESULT.
    pub fn hresult(self) -> u32 {
        KINDS.into_iter().find(|(kind, ..)| *kind == self).map_or(0, |(.., hresult)| hresult)
    }

    /// Whether another try may fare better.
    pub fn is_passing(self) -> bool {
        matches!(self, FaultKind::EnrollmentServer | FaultKind::InternalServiceFault | FaultKind::InMaintenance)
    }
}

impl Fault {
    /// One of Windows' own, as a server writes it.
    pub fn of(kind: FaultKind, reason: &str) -> Fault {
        let prefix = match kind {
            FaultKind::InternalServiceFault | FaultKind::InvalidSecurity => 'a',
            _ => 's',
        };
        let subcode = format!("{prefix}:{}", kind.name());
        Fault { subcode, reason: reason.to_owned(), error_type: None, trace: None }
    }

    /// What it means; the detail counts before the subcode, which newer refusals share. `None` is another server's own.
    pub fn kind(&self) -> Option<FaultKind> {
        self.error_type.as_deref().and_then(FaultKind::named).or_else(|| FaultKind::named(&self.subcode))
    }

    /// Writes the answer that it is.
    pub fn write(&self, out: &mut Vec<u8>, header: &AnswerHeader<'_>) {
        header.write(out, &Outside { namespaces: ANSWER, action: ACTION, body: &[] }, |w| {
            w.element("s:Fault", &[], |w| {
                w.element("s:Code", &[], |w| {
                    w.text("s:Value", "s:Receiver");
                    w.element("s:Subcode", &[], |w| w.text("s:Value", &self.subcode));
                });
                w.element("s:Reason", &[], |w| w.text_with("s:Text", &[("xml:lang", "en-US")], &self.reason));
                if self.error_type.is_some() || self.trace.is_some() {
                    w.element("s:Detail", &[], |w| {
                        w.element("DeviceEnrollmentServiceError", &[("xmlns", ENROLLMENT)], |w| {
                            w.maybe("ErrorType", self.error_type.as_deref());
                            w.text("Message", &self.reason);
                            w.maybe("TraceId", self.trace.as_deref());
                        });
                    });
                }
            });
        });
    }
}

const ACTION: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/rstrc/wstep";
const ENROLLMENT: &str = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";

/// The fault whose element is open.
pub(super) fn read(xml: &mut Reader<'_>) -> Result<Fault, XmlError> {
    let mut fault = Fault { subcode: String::new(), reason: String::new(), error_type: None, trace: None };
    while let Some(child) = xml.child()? {
        match &*child.folded() {
            "code" => {
                while let Some(child) = xml.child()? {
                    match &*child.folded() {
                        "value" if fault.subcode.is_empty() => fault.subcode = xml.word()?.into_owned(),
                        "subcode" => {
                            let [value] = xml.find(["Value"])?;
                            fault.subcode = value.unwrap_or_default().into_owned();
                        }
                        _ => xml.skip()?,
                    }
                }
            }
            "reason" => {
                let [text] = xml.find(["Text"])?;
                fault.reason = text.unwrap_or_default().into_owned();
            }
            "detail" => {
                let [error_type, trace] = xml.find(["ErrorType", "TraceId"])?;
                (fault.error_type, fault.trace) = (error_type.map(Cow::into_owned), trace.map(Cow::into_owned));
            }
            _ => xml.skip()?,
        }
    }
    Ok(fault)
}
