//! What a device is to be: apps, files, kiosk, restrictions, and how it hears of changes. Of some hundred fields those
//! are here that a device acts on; the look of its screen is skipped.

use super::{HeadwindError, LIST_MAX, read, set, write};
use serde::{Deserialize, Serialize};

/// The port of the broker in the server (Headwind's own, on the host of the base URL).
pub const MQTT_PORT: u16 = 31_000;
/// Seconds between signs of life over MQTT where the configuration names none, or under 30.
pub const KEEP_ALIVE_SECS: u16 = 300;
/// Seconds with `mqttWorker`, whatever the configuration says: work in the background has no shorter period.
pub const WORKER_KEEP_ALIVE_SECS: u16 = 900;

/// How a device hears of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PushOptions {
    /// `mqttAlarm`: MQTT, kept alive by alarms.
    MqttAlarm,
    /// `mqttWorker`: MQTT, kept alive by work in the background.
    MqttWorker,
    /// `polling`, and whatever else is set: a held request.
    Polling,
}

/// The configuration of a device.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Config {
    /// The number that the device must go by from now on: it was found by its IMEI or serial number.
    pub new_number: Option<String>,
    /// The server that it must go to, `https://host/project`.
    pub new_server_url: Option<String>,
    /// Administrator's password, MD5 in upper-case hexadecimal.
    pub password: Option<String>,
    /// `mqttAlarm`, `mqttWorker`, `polling`; see [`Config::push`].
    pub push_options: Option<String>,
    /// Seconds between signs of life over MQTT; see [`Config::keep_alive_secs`].
    pub keepalive_time: Option<i64>,
    /// `donottrack`, `gps`, `wifi`: whether locations are collected.
    pub request_updates: Option<String>,
    /// Apps.
    #[serde(deserialize_with = "set")]
    pub applications: Vec<Application>,
    /// Settings of apps.
    #[serde(deserialize_with = "set")]
    pub application_settings: Vec<ApplicationSetting>,
    /// Files.
    #[serde(deserialize_with = "set")]
    pub files: Vec<RemoteFile>,
    /// Whether the device shows one app alone.
    pub kiosk_mode: Option<bool>,
    /// Which.
    pub main_app: Option<String>,
    /// In kiosk mode: the home button works.
    pub kiosk_home: Option<bool>,
    /// In kiosk mode: the list of recent apps works.
    pub kiosk_recents: Option<bool>,
    /// In kiosk mode: notifications are shown.
    pub kiosk_notifications: Option<bool>,
    /// In kiosk mode: the status bar is shown.
    pub kiosk_system_info: Option<bool>,
    /// In kiosk mode: the lock screen is shown.
    pub kiosk_keyguard: Option<bool>,
    /// In kiosk mode: the power button is locked.
    pub kiosk_lock_buttons: Option<bool>,
    /// User restrictions of Android, with commas between: `no_sms,no_outgoing_calls`.
    pub restrictions: Option<String>,
    /// 0 the device's own, 1 at once, 2 between the two times, 3 by hand.
    pub system_update_type: Option<i64>,
    /// `00:00`.
    pub system_update_from: Option<String>,
    /// `06:00`.
    pub system_update_to: Option<String>,
    /// Whether GPS must be on or off.
    pub gps: Option<bool>,
    /// Whether Bluetooth must be on or off.
    pub bluetooth: Option<bool>,
    /// Whether Wi-Fi must be on or off.
    pub wifi: Option<bool>,
    /// Whether mobile data must be on or off.
    pub mobile_data: Option<bool>,
    /// Erase everything.
    pub factory_reset: Option<bool>,
    /// Start anew.
    pub reboot: Option<bool>,
    /// Lock the screen.
    pub lock: Option<bool>,
    /// What the locked screen says.
    pub lock_message: Option<String>,
    /// The password that the user gets.
    pub password_reset: Option<String>,
    /// What the administrator says of the device.
    pub description: Option<String>,
    /// The administrator's own field.
    pub custom1: Option<String>,
    /// Another.
    pub custom2: Option<String>,
    /// A third.
    pub custom3: Option<String>,
}

/// An app.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Application {
    /// The server's id.
    pub id: Option<i64>,
    /// Name on the screen.
    pub name: Option<String>,
    /// Package.
    pub pkg: Option<String>,
    /// Version's name; `0` for whichever there is.
    pub version: Option<String>,
    /// `app`, `web` or `intent`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Comes with the device.
    #[serde(deserialize_with = "set")]
    pub system: bool,
    /// Shown on the screen.
    #[serde(deserialize_with = "set")]
    pub show_icon: bool,
    /// Where to get it.
    pub url: Option<String>,
    /// Must not be there.
    #[serde(deserialize_with = "set")]
    pub remove: bool,
    /// Whichever version is there will do.
    #[serde(deserialize_with = "set")]
    pub skip_version: bool,
    /// Started once it is there.
    #[serde(deserialize_with = "set")]
    pub run_after_install: bool,
    /// Started with the device.
    #[serde(deserialize_with = "set")]
    pub run_at_boot: bool,
}

/// A setting of an app.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApplicationSetting {
    /// The app.
    pub package_id: Option<String>,
    /// The setting.
    pub name: Option<String>,
    /// 1 text, 2 number, 3 boolean.
    #[serde(rename = "type")]
    pub kind: Option<i64>,
    /// As text.
    pub value: Option<String>,
    /// Whether the app may not change it.
    pub readonly: Option<bool>,
    /// Milliseconds since 1970.
    pub last_update: Option<i64>,
}

/// Writes settings that apps made: `POST /rest/public/sync/applicationSettings/{number}`.
pub fn write_settings(settings: &[ApplicationSetting]) -> Vec<u8> {
    write(&settings)
}

/// Reads settings that apps made.
pub fn read_settings(body: &[u8]) -> Result<Vec<ApplicationSetting>, HeadwindError> {
    let settings: Vec<ApplicationSetting> = read(body)?;
    if settings.len() > LIST_MAX { Err(HeadwindError::TooLarge) } else { Ok(settings) }
}

/// A file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RemoteFile {
    /// Where it is put, below the device's storage.
    pub path: Option<String>,
    /// Where to get it.
    pub url: Option<String>,
    /// Milliseconds since 1970.
    #[serde(deserialize_with = "set")]
    pub last_update: i64,
    /// MD5 of its bytes in hexadecimal.
    pub checksum: Option<String>,
    /// Must not be there.
    #[serde(deserialize_with = "set")]
    pub remove: bool,
    /// Has places for the device's own values, so that its checksum means nothing.
    #[serde(deserialize_with = "set")]
    pub var_content: bool,
}

impl Config {
    /// How the device hears of changes; `None` for not at all.
    pub fn push(&self) -> Option<PushOptions> {
        self.push_options.as_deref().map(|options| match options {
            "mqttAlarm" => PushOptions::MqttAlarm,
            "mqttWorker" => PushOptions::MqttWorker,
            _ => PushOptions::Polling,
        })
    }

    /// Seconds between signs of life over MQTT.
    pub fn keep_alive_secs(&self) -> u16 {
        match self.push() {
            Some(PushOptions::MqttWorker) => WORKER_KEEP_ALIVE_SECS,
            _ => {
                let asked = self.keepalive_time.filter(|secs| *secs >= 30);
                asked.map_or(KEEP_ALIVE_SECS, |secs| u16::try_from(secs).unwrap_or(u16::MAX))
            }
        }
    }

    /// Refuses lists that nobody has.
    pub fn bounded(self) -> Result<Self, HeadwindError> {
        let longest = self.applications.len().max(self.application_settings.len()).max(self.files.len());
        if longest > LIST_MAX { Err(HeadwindError::TooLarge) } else { Ok(self) }
    }
}
