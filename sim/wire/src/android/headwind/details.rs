//! What the server's plugins ask of a device beside its report: its log, how it fares in detail, and where it has been.

use super::info::Location;
use super::{HeadwindError, read, set, write};
use serde::{Deserialize, Serialize};

/// Messages of the log in one request.
pub const LOG_BATCH: usize = 10;

/// `GET /rest/plugins/devicelog/log/rules/{number}`: what is to be logged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogRule {
    /// Which app.
    pub package_id: Option<String>,
    /// From which level on: 1 errors, 2 warnings, 3 information, 4 debugging, 5 everything.
    pub log_level: Option<i64>,
    /// Messages with this text only.
    pub filter: Option<String>,
}

/// `POST /rest/plugins/devicelog/log/list/{number}`: a message, of at most [`LOG_BATCH`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogItem {
    /// Milliseconds since 1970.
    #[serde(deserialize_with = "set")]
    pub timestamp: i64,
    /// As in a rule.
    #[serde(deserialize_with = "set")]
    pub log_level: i64,
    /// Of which app.
    pub package_id: Option<String>,
    /// What happened.
    pub message: Option<String>,
}

/// `GET /rest/plugins/deviceinfo/deviceinfo-plugin-settings/device/{number}`: whether, and how often, details are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DetailSettings {
    /// Whether.
    #[serde(deserialize_with = "set")]
    pub send_data: bool,
    /// Minutes between.
    #[serde(deserialize_with = "set")]
    pub interval_mins: i64,
}

/// `PUT /rest/plugins/deviceinfo/deviceinfo/public/{number}`: how the device fared, one of a list.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// Milliseconds since 1970.
    #[serde(deserialize_with = "set")]
    pub ts: i64,
    /// The device.
    pub device: Option<DeviceDetail>,
    /// Its Wi-Fi.
    pub wifi: Option<WifiDetail>,
}

/// How the device fares.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeviceDetail {
    /// Per cent.
    pub battery_level: Option<i64>,
    /// `usb`, `ac`.
    pub battery_charging: Option<String>,
    /// Whether Wi-Fi is on.
    pub wifi: Option<bool>,
    /// Whether GPS is on.
    pub gps: Option<bool>,
    /// Its address.
    pub ip: Option<String>,
    /// Whether the screen is locked.
    pub keyguard: Option<bool>,
    /// Per cent.
    pub ring_volume: Option<i64>,
    /// Whether mobile data is on.
    pub mobile_data: Option<bool>,
    /// Whether Bluetooth is on.
    pub bluetooth: Option<bool>,
    /// Whether its storage is shared over USB.
    pub usb_storage: Option<bool>,
    /// MB.
    pub memory_total: Option<i64>,
    /// MB.
    pub memory_available: Option<i64>,
}

/// How its Wi-Fi fares.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WifiDetail {
    /// dBm.
    pub rssi: Option<i64>,
    /// Name of the network.
    pub ssid: Option<String>,
    /// `connected`, ..
    pub state: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// Bytes sent.
    pub tx: Option<i64>,
    /// Bytes received.
    pub rx: Option<i64>,
}

/// Writes messages of the log.
pub fn write_log(items: &[LogItem]) -> Vec<u8> {
    write(&items)
}

/// Reads messages of the log.
pub fn read_log(body: &[u8]) -> Result<Vec<LogItem>, HeadwindError> {
    read(body)
}

/// Writes details.
pub fn write_details(details: &[Detail]) -> Vec<u8> {
    write(&details)
}

/// Reads details.
pub fn read_details(body: &[u8]) -> Result<Vec<Detail>, HeadwindError> {
    read(body)
}

/// Writes where a device has been: `PUT /rest/plugins/devicelocations/public/update/{number}`.
pub fn write_locations(locations: &[Location]) -> Vec<u8> {
    write(&locations)
}

/// Reads where a device has been.
pub fn read_locations(body: &[u8]) -> Result<Vec<Location>, HeadwindError> {
    read(body)
}
