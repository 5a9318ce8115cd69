//! What every JSON answer comes in: `{"status":"OK","message":null,"data":..}`, with HTTP 200 also where the application
//! refuses; statuses of 400 and above come from the container around it, with a page of HTML.

use super::{HeadwindError, read, write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Status {
    /// As wished.
    #[serde(rename = "OK")]
    Ok,
    /// It was refused; `message` says why.
    #[serde(rename = "ERROR")]
    Error,
    /// It was done, and there is something to say.
    #[serde(rename = "WARNING")]
    Warning,
}

/// The number is none that the server knows.
pub const UNKNOWN_DEVICE: &str = "error.notfound.device";
/// The signature is wrong, on a server that checks it.
pub const DENIED: &str = "error.permission.denied";
/// The number is taken, on a server that says so.
pub const DUPLICATE: &str = "error.duplicate.device";
/// Something went wrong on the server.
pub const INTERNAL: &str = "error.internal.server";

/// An answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// How it went.
    pub status: Status,
    /// Why it was refused.
    #[serde(default = "none")]
    pub message: Option<String>,
    /// What was asked for.
    #[serde(default = "none")]
    pub data: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

impl<T> Envelope<T> {
    /// As wished.
    pub fn ok(data: Option<T>) -> Self {
        Envelope { status: Status::Ok, message: None, data }
    }

    /// Refused, with one of the messages above.
    pub fn error(message: &str) -> Self {
        Envelope { status: Status::Error, message: Some(message.to_owned()), data: None }
    }
}

impl<T: DeserializeOwned> Envelope<T> {
    /// Reads an answer.
    pub fn read(body: &[u8]) -> Result<Self, HeadwindError> {
        read(body)
    }
}

impl<T: Serialize> Envelope<T> {
    /// Writes it, in the order and without the blanks that [`super::sign::response`] relies on.
    pub fn write(&self) -> Vec<u8> {
        write(self)
    }
}
