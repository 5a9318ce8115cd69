//! Why a notification is refused: the table of Apple's "Handling notification responses from APNs".

use crate::push::{self, Reason as _};
use std::fmt;
use std::str::FromStr;

macro_rules! reasons {
    ($($name:ident $status:literal $meaning:literal;)*) => {
        /// A reason as APNs writes it into the body of a refusal.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Reason { $(#[doc = $meaning] $name,)* }

        impl push::Reason for Reason {
            const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            fn status(self) -> u16 {
                match self { $(Reason::$name => $status,)* }
            }
        }

        impl Reason {
            /// The word in the body.
            pub fn name(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    BadCollapseId 400 "The collapse id is longer than 64 bytes.";
    BadDeviceToken 400 "The token is not 64 hex digits, or nobody's.";
    BadExpirationDate 400 "`apns-expiration` is not a number of seconds.";
    BadMessageId 400 "`apns-id` is not a UUID.";
    BadPriority 400 "`apns-priority` is none of 1, 5, 10.";
    BadTopic 400 "`apns-topic` is not the shape of a topic.";
    DeviceTokenNotForTopic 400 "The token belongs to another topic.";
    DuplicateHeaders 400 "An `apns-` header is there twice.";
    IdleTimeout 400 "The connection was idle for too long.";
    InvalidPushType 400 "`apns-push-type` is none of Apple's.";
    MissingDeviceToken 400 "The path ends before the token.";
    MissingTopic 400 "No topic, neither in the headers nor in the certificate.";
    PayloadEmpty 400 "There is no body.";
    TopicDisallowed 400 "The certificate is for another topic.";
    BadCertificate 403 "The client certificate can't be read, or it is past its time.";
    BadCertificateEnvironment 403 "The client certificate is for the other environment.";
    ExpiredProviderToken 403 "The provider's JWT is too old.";
    Forbidden 403 "Not allowed, no more is said.";
    InvalidProviderToken 403 "The provider's JWT does not verify.";
    MissingProviderToken 403 "Neither a client certificate nor a JWT.";
    BadPath 404 "The path is not `/3/device/<token>`.";
    MethodNotAllowed 405 "The method is not POST.";
    ExpiredToken 410 "The device token has expired.";
    Unregistered 410 "The token is of an earlier enrollment, or of a device that left.";
    PayloadTooLarge 413 "The body is larger than 4,096 bytes.";
    TooManyProviderTokenUpdates 429 "The provider's JWT is renewed too often.";
    TooManyRequests 429 "Too many notifications in a row to one token.";
    InternalServerError 500 "The push service broke.";
    ServiceUnavailable 503 "The push service is not there for now.";
    Shutdown 503 "The push service is going away.";
}

impl Reason {
    /// Whether the body says since when the token is no good.
    pub fn has_timestamp(self) -> bool {
        self.status() == 410
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no reason of APNs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no reason or status of APNs")]
pub struct UnknownReason;

/// By name (`Unregistered`), or by a status that scenarios write (`410`): then the most usual reason with it.
impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Ok(match text {
            "400" => Reason::BadDeviceToken,
            "403" => Reason::BadCertificate,
            "404" => Reason::BadPath,
            "405" => Reason::MethodNotAllowed,
            "410" => Reason::Unregistered,
            "413" => Reason::PayloadTooLarge,
            "429" => Reason::TooManyRequests,
            "500" => Reason::InternalServerError,
            "503" => Reason::ServiceUnavailable,
            name => return Reason::ALL.iter().copied().find(|reason| reason.name() == name).ok_or(UnknownReason),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_statuses_lead_back_to_reasons() {
        for &reason in Reason::ALL {
            assert_eq!(reason.name().parse(), Ok(reason));
            let usual: Reason = reason.status().to_string().parse().expect("each status has a usual reason");
            assert_eq!(usual.status(), reason.status());
        }
        assert_eq!("Teapot".parse::<Reason>(), Err(UnknownReason));
    }
}
