//! `POST /rest/public/sync/info`: what a device says of itself, every 15 minutes and after each configuration.

use super::{HeadwindError, LIST_MAX, read, set, write};
use serde::{Deserialize, Serialize};

/// What a device says of itself. What it does not know is left out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeviceInfo {
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether the agent may administer the device, draw over apps, read usage, and see what is in front: 1 or 0 each.
    #[serde(deserialize_with = "set")]
    pub permissions: Vec<i64>,
    /// Apps: those of the configuration, or all.
    #[serde(deserialize_with = "set")]
    pub applications: Vec<Installed>,
    /// Files of the configuration.
    #[serde(deserialize_with = "set")]
    pub files: Vec<Held>,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// IMEI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imei: Option<String>,
    /// Whether the agent owns the device.
    #[serde(deserialize_with = "set")]
    pub mdm_mode: bool,
    /// Whether it shows one app alone.
    #[serde(deserialize_with = "set")]
    pub kiosk_mode: bool,
    /// Per cent.
    #[serde(deserialize_with = "set")]
    pub battery_level: i64,
    /// `usb`, `ac`; none on battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_charging: Option<String>,
    /// `14`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub android_version: Option<String>,
    /// In the confirmation of a factory reset: whether it will be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factory_reset: Option<bool>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// `master`, `opensource`: which edition of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launcher_type: Option<String>,
    /// The agent's package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launcher_package: Option<String>,
    /// Whether the agent is the home screen.
    #[serde(deserialize_with = "set")]
    pub default_launcher: bool,
    /// Of the SIM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iccid: Option<String>,
    /// Of the SIM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imsi: Option<String>,
    /// `arm64-v8a`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Serial number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// What another app has left with the agent for the server: the first of three places for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom1: Option<String>,
}

/// An app that is there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Installed {
    /// Package.
    pub pkg: Option<String>,
    /// Name on the screen.
    pub name: Option<String>,
    /// Version's name.
    pub version: Option<String>,
}

/// A file that is there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Held {
    /// Where it is, below the device's storage.
    pub path: Option<String>,
    /// Milliseconds since 1970.
    #[serde(deserialize_with = "set")]
    pub last_update: i64,
}

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// Milliseconds since 1970.
    pub ts: i64,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
}

impl DeviceInfo {
    /// Reads it.
    pub fn read(body: &[u8]) -> Result<Self, HeadwindError> {
        let info: DeviceInfo = read(body)?;
        if info.applications.len().max(info.files.len()) > LIST_MAX { Err(HeadwindError::TooLarge) } else { Ok(info) }
    }

    /// Writes it.
    pub fn write(&self) -> Vec<u8> {
        write(self)
    }
}
