//! Headwind MDM, as its agent and its server speak (agent 6.36, server 5.39): JSON over HTTP, in an envelope that answers
//! 200 whatever became of the request; pushes over MQTT or a held poll; digests of a shared secret as signatures.
//!
//! The server builds and reads what the agent does, so all of it is here in both directions. What is read is taken as the
//! agent takes it: unknown fields are skipped, and a field that is `null` is one that is not set.

pub mod config;
pub mod details;
pub mod envelope;
pub mod info;
pub mod paths;
pub mod push;
pub mod sign;

pub use config::Config;
pub use envelope::{Envelope, Status};
pub use info::DeviceInfo;
pub use push::{Kind, Push};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// Bytes of any body. A configuration has 10 to 60 KB, a report of 700 packages 60 KB.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Things in a list of any body: apps, files, settings, messages.
pub const LIST_MAX: usize = 4_096;

/// The agent's `Content-Type`, as its JSON converter writes it.
pub const JSON: &str = "application/json; charset=UTF-8";
/// Of a request: see [`sign`].
pub const REQUEST_SIGNATURE: &str = "X-Request-Signature";
/// Of a request for the configuration: `arm64-v8a`; the server cuts it at the `-` and picks the URLs of split apps by it.
pub const CPU_ARCH: &str = "X-CPU-Arch";
/// Of an answer with a configuration: see [`sign`].
pub const RESPONSE_SIGNATURE: &str = "X-Response-Signature";
/// Of an answer with a configuration: the address that the server saw.
pub const IP_ADDRESS: &str = "X-IP-Address";

/// What is wrong with a body.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum HeadwindError {
    /// More than anybody sends.
    #[error("longer than {BODY_BYTES_MAX} bytes, or lists of more than {LIST_MAX}")]
    TooLarge,
    /// Not JSON, or not of this shape.
    #[error("not the json of this message: {0}")]
    Json(String),
    /// No `data` in the envelope, where it is what was asked for.
    #[error("no data")]
    NoData,
}

/// `POST /rest/public/sync/configuration/{number}`: the first request of a device, which makes it known where the server
/// allows that. Values come from the QR code that it was set up with.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Enroll {
    /// The customer, on a server for several.
    pub customer: Option<String>,
    /// The configuration, by its id or name.
    pub configuration: Option<String>,
    /// Groups.
    pub groups: Option<Vec<String>>,
}

impl Enroll {
    /// Reads it.
    pub fn read(body: &[u8]) -> Result<Self, HeadwindError> {
        read(body)
    }

    /// Writes it.
    pub fn write(&self) -> Vec<u8> {
        write(self)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, HeadwindError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(HeadwindError::TooLarge);
    }
    serde_json::from_slice(body).map_err(|error| HeadwindError::Json(error.to_string()))
}

fn write<T: Serialize>(value: &T) -> Vec<u8> {
    // Fails for maps whose keys are no texts only, of which there are none.
    serde_json::to_vec(value).unwrap_or_default()
}

/// What is `null` is not set, also where a value is always there.
fn set<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::<Config>::read(bytes) {
        assert_eq!(Envelope::read(&envelope.write()).as_ref(), Ok(&envelope));
    }
    if let Ok(info) = DeviceInfo::read(bytes) {
        assert_eq!(DeviceInfo::read(&info.write()), Ok(info));
    }
    if let Ok(places) = details::read_locations(bytes) {
        assert_eq!(details::read_locations(&details::write_locations(&places)), Ok(places));
    }
    if let Ok(settings) = config::read_settings(bytes) {
        assert_eq!(config::read_settings(&config::write_settings(&settings)), Ok(settings));
    }
    if let Ok(enroll) = Enroll::read(bytes) {
        assert_eq!(Enroll::read(&enroll.write()), Ok(enroll));
    }
    if let Ok(pushes) = push::read_list(bytes) {
        assert_eq!(push::read_list(&push::write_list(&pushes)), Ok(pushes));
    }
    if let Ok(push) = Push::read(bytes) {
        assert_eq!(Push::read(&push.write()), Ok(push));
    }
    let _length = sign::response(sign::SECRET, bytes).map(|signature| signature.len());
}

#[cfg(test)]
mod tests;
