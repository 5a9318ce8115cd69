//! The payload `com.apple.mdm`: the server, and what it may do.

use super::{AccessRights, Allowances, Heading, Payload, ProfileError};
use crate::plist::{Dict, Writer};

/// The payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mdm {
    /// The payload's heading.
    pub heading: Heading,
    /// `IdentityCertificateUUID`: the `PayloadUUID` of the identity.
    pub identity_certificate_uuid: String,
    /// `Topic` of the pushes, `com.apple.mgmt.` and a suffix.
    pub topic: String,
    /// `ServerURL`: where results go and commands come from.
    pub server_url: String,
    /// `CheckInURL`: where check-in messages go, if elsewhere.
    pub check_in_url: Option<String>,
    /// `SignMessage`: every message carries `Mdm-Signature`.
    pub sign_message: bool,
    /// `AccessRights`; none in account-driven enrollment.
    pub access_rights: Option<AccessRights>,
    /// `ServerCapabilities`, as they stand.
    pub server_capabilities: Vec<String>,
    /// `CheckOutWhenRemoved`: a removed profile is told; else the device falls silent.
    pub check_out_when_removed: bool,
    /// `EnrollmentMode`, of account-driven enrollment.
    pub enrollment_mode: Option<EnrollmentMode>,
    /// `AssignedManagedAppleID`, of account-driven enrollment.
    pub assigned_managed_apple_id: Option<String>,
    /// `ManagedAppleID`: the old form of user enrollment, gone with iOS 18 and macOS 15.
    pub managed_apple_id: Option<String>,
    /// `UseDevelopmentAPNS`.
    pub use_development_apns: bool,
    /// `ServerURLPinningCertificateUUIDs`.
    pub server_url_pins: Vec<String>,
    /// `CheckInURLPinningCertificateUUIDs`.
    pub check_in_url_pins: Vec<String>,
    /// `PinningRevocationCheckRequired`.
    pub pinning_revocation_check_required: bool,
    /// `RequiredAppIDForMDM`.
    pub required_app_id: Option<i64>,
    /// `PromptUserToAllowBootstrapTokenForAuthentication`.
    pub prompt_user_for_bootstrap_token: bool,
}

/// How far an account-driven enrollment goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnrollmentMode {
    /// `BYOD`: user enrollment, which hides the hardware.
    User,
    /// `ADDE`: of the whole device.
    Device,
}

/// Why an update of the payload on an enrolled device is refused.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateRefused {
    /// A key that may never change has changed.
    #[error("{0} that differs from the installed one")]
    Changed(&'static str),
    /// The server would have more rights than before.
    #[error("AccessRights that add a right")]
    MoreRights,
    /// User channels would appear or vanish.
    #[error("com.apple.mdm.per-user-connections that was added or removed")]
    UserConnections,
}

impl Mdm {
    /// Where check-in messages go.
    pub fn check_in_url(&self) -> &str {
        self.check_in_url.as_deref().unwrap_or(&self.server_url)
    }

    /// What the server may do; everything that the mode allows where the profile does not say.
    pub fn rights(&self) -> AccessRights {
        self.access_rights.unwrap_or(AccessRights::ALL)
    }

    /// Whether user channels are served.
    pub fn per_user_connections(&self) -> bool {
        self.has(PER_USER_CONNECTIONS)
    }

    /// Whether a bootstrap token is taken.
    pub fn bootstrap_token(&self) -> bool {
        self.has("com.apple.mdm.bootstraptoken")
    }

    /// Whether GetToken is answered.
    pub fn token(&self) -> bool {
        self.has("com.apple.mdm.token")
    }

    /// Whether an enrolled device with this payload takes another in its place.
    pub fn takes(&self, update: &Mdm) -> Result<(), UpdateRefused> {
        let keeps = |key, same: bool| if same { Ok(()) } else { Err(UpdateRefused::Changed(key)) };
        keeps("Topic", self.topic == update.topic)?;
        keeps("ServerURL", self.server_url == update.server_url)?;
        keeps("CheckInURL", self.check_in_url == update.check_in_url)?;
        keeps("EnrollmentMode", self.enrollment_mode == update.enrollment_mode)?;
        keeps("AssignedManagedAppleID", self.assigned_managed_apple_id == update.assigned_managed_apple_id)?;
        keeps("RequiredAppIDForMDM", self.required_app_id == update.required_app_id)?;
        if !self.rights().has(update.rights()) {
            return Err(UpdateRefused::MoreRights);
        }
        if self.per_user_connections() != update.per_user_connections() {
            return Err(UpdateRefused::UserConnections);
        }
        Ok(())
    }

    pub(super) fn read(dict: &Dict, allow: Allowances) -> Result<Self, ProfileError> {
        let payload = Payload::of(dict, TYPE);
        let need = |key| payload.need(key, payload.str(key)?.filter(|text| !text.is_empty())).map(str::to_owned);
        let maybe = |key| Ok::<_, ProfileError>(payload.str(key)?.map(str::to_owned));
        let mode = match payload.str("EnrollmentMode")? {
            None => None,
            Some("BYOD") => Some(EnrollmentMode::User),
            Some("ADDE") => Some(EnrollmentMode::Device),
            Some(_) => return Err(payload.wrong("EnrollmentMode")),
        };
        let mdm = Mdm {
            heading: payload.heading()?,
            identity_certificate_uuid: need("IdentityCertificateUUID")?,
            topic: need("Topic")?,
            server_url: need("ServerURL")?,
            check_in_url: maybe("CheckInURL")?,
            sign_message: payload.bool("SignMessage")?,
            access_rights: payload.integer("AccessRights")?.map(AccessRights::new).transpose()?,
            server_capabilities: payload.strings("ServerCapabilities")?,
            check_out_when_removed: payload.bool("CheckOutWhenRemoved")?,
            enrollment_mode: mode,
            assigned_managed_apple_id: maybe("AssignedManagedAppleID")?,
            managed_apple_id: maybe("ManagedAppleID")?,
            use_development_apns: payload.bool("UseDevelopmentAPNS")?,
            server_url_pins: payload.strings("ServerURLPinningCertificateUUIDs")?,
            check_in_url_pins: payload.strings("CheckInURLPinningCertificateUUIDs")?,
            pinning_revocation_check_required: payload.bool("PinningRevocationCheckRequired")?,
            required_app_id: payload.integer("RequiredAppIDForMDM")?,
            prompt_user_for_bootstrap_token: payload.bool("PromptUserToAllowBootstrapTokenForAuthentication")?,
        };
        mdm.check(allow)?;
        Ok(mdm)
    }

    fn check(&self, allow: Allowances) -> Result<(), ProfileError> {
        if !self.topic.starts_with(TOPIC_PREFIX) {
            return Err(ProfileError::Topic(self.topic.chars().take(100).collect()));
        }
        for (key, url) in [("ServerURL", Some(&self.server_url)), ("CheckInURL", self.check_in_url.as_ref())] {
            if !url.is_none_or(|url| is_https(url, allow)) {
                return Err(ProfileError::NotHttps(key));
            }
        }
        let missing = |key| Err(ProfileError::Missing { payload: TYPE, key });
        match (self.enrollment_mode, self.access_rights) {
            (Some(EnrollmentMode::User), Some(_)) => return Err(ProfileError::RightsInUserEnrollment),
            (None, None) if self.managed_apple_id.is_none() => return missing("AccessRights"),
            _ => {}
        }
        if self.enrollment_mode.is_some() && self.assigned_managed_apple_id.is_none() {
            return missing("AssignedManagedAppleID");
        }
        Ok(())
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        if let Some(rights) = self.access_rights {
            w.key("AccessRights").integer(i64::from(rights.bits()));
        }
        text(w, "AssignedManagedAppleID", self.assigned_managed_apple_id.as_deref());
        text(w, "CheckInURL", self.check_in_url.as_deref());
        strings(w, "CheckInURLPinningCertificateUUIDs", &self.check_in_url_pins);
        flag(w, "CheckOutWhenRemoved", self.check_out_when_removed);
        let mode = self.enrollment_mode.map(|mode| if mode == EnrollmentMode::User { "BYOD" } else { "ADDE" });
        text(w, "EnrollmentMode", mode);
        text(w, "IdentityCertificateUUID", Some(&self.identity_certificate_uuid));
        text(w, "ManagedAppleID", self.managed_apple_id.as_deref());
        self.heading.write(w, TYPE);
        flag(w, "PinningRevocationCheckRequired", self.pinning_revocation_check_required);
        flag(w, "PromptUserToAllowBootstrapTokenForAuthentication", self.prompt_user_for_bootstrap_token);
        if let Some(id) = self.required_app_id {
            w.key("RequiredAppIDForMDM").integer(id);
        }
        strings(w, "ServerCapabilities", &self.server_capabilities);
        text(w, "ServerURL", Some(&self.server_url));
        strings(w, "ServerURLPinningCertificateUUIDs", &self.server_url_pins);
        flag(w, "SignMessage", self.sign_message);
        text(w, "Topic", Some(&self.topic));
        flag(w, "UseDevelopmentAPNS", self.use_development_apns);
    }

    fn has(&self, capability: &str) -> bool {
        self.server_capabilities.iter().any(|known| known == capability)
    }
}

/// Whether a device goes to this URL.
pub(super) fn is_https(url: &str, allow: Allowances) -> bool {
    let begins = |with: &str| url.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    begins("https://") || (allow.http && begins("http://"))
}

pub(super) fn text(w: &mut Writer<'_>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        w.key(key).string(value);
    }
}

pub(super) fn strings(w: &mut Writer<'_>, key: &str, values: &[String]) {
    if !values.is_empty() {
        w.key(key).array(|w| values.iter().for_each(|value| w.string(value)));
    }
}

/// What is false by default is left out, as servers do.
pub(super) fn flag(w: &mut Writer<'_>, key: &str, value: bool) {
    if value {
        w.key(key).bool(true);
    }
}

pub(super) const TYPE: &str = "com.apple.mdm";
const TOPIC_PREFIX: &str = "com.apple.mgmt.";
const PER_USER_CONNECTIONS: &str = "com.apple.mdm.per-user-connections";
