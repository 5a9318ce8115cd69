//! `AccessRights`: what the server may ask of a device, as a sum of bits.

/// The rights of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessRights(u16);

/// Rights that don't go together.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum RightsError {
    /// 0.
    #[error("no right at all")]
    None,
    /// 2 without 1.
    #[error("the right to install profiles but not to see them")]
    ProfilesUnseen,
    /// 128 without 64.
    #[error("the right to install provisioning profiles but not to see them")]
    ProvisioningUnseen,
    /// A bit that no right has.
    #[error("a bit that is no right")]
    Unknown,
}

impl AccessRights {
    /// Every right: 8191.
    pub const ALL: Self = AccessRights(0x1fff);
    /// To see the installed profiles.
    pub const INSPECT_PROFILES: Self = AccessRights(1);
    /// To install and remove profiles.
    pub const INSTALL_PROFILES: Self = AccessRights(2);
    /// To lock the device and to clear its passcode.
    pub const LOCK: Self = AccessRights(4);
    /// To erase the device.
    pub const ERASE: Self = AccessRights(8);
    /// To ask for device information, serial number included.
    pub const DEVICE_INFORMATION: Self = AccessRights(16);
    /// To ask for phone numbers and network addresses.
    pub const NETWORK_INFORMATION: Self = AccessRights(32);
    /// To see the provisioning profiles.
    pub const INSPECT_PROVISIONING: Self = AccessRights(64);
    /// To install and remove provisioning profiles.
    pub const INSTALL_PROVISIONING: Self = AccessRights(128);
    /// To see the installed apps.
    pub const INSPECT_APPS: Self = AccessRights(256);
    /// To ask for restrictions.
    pub const RESTRICTIONS: Self = AccessRights(512);
    /// To ask about security.
    pub const SECURITY: Self = AccessRights(1_024);
    /// To change settings.
    pub const SETTINGS: Self = AccessRights(2_048);
    /// To manage apps.
    pub const APPS: Self = AccessRights(4_096);

    /// The rights of this sum of bits.
    pub fn new(bits: i64) -> Result<Self, RightsError> {
        let rights = u16::try_from(bits).map(AccessRights).map_err(|_| RightsError::Unknown)?;
        if rights.0 & !AccessRights::ALL.0 != 0 {
            Err(RightsError::Unknown)
        } else if rights.0 == 0 {
            Err(RightsError::None)
        } else if rights.has(Self::INSTALL_PROFILES) && !rights.has(Self::INSPECT_PROFILES) {
            Err(RightsError::ProfilesUnseen)
        } else if rights.has(Self::INSTALL_PROVISIONING) && !rights.has(Self::INSPECT_PROVISIONING) {
            Err(RightsError::ProvisioningUnseen)
        } else {
            Ok(rights)
        }
    }

    /// The sum of bits, 1..=8191.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of these are among them.
    pub fn has(self, rights: AccessRights) -> bool {
        self.0 & rights.0 == rights.0
    }
}
