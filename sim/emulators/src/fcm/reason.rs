//! Why a message is refused: Google's *FCM error codes*, and what comes before them.

use crate::push;
use droves_facts::Dur;
use droves_wire::android::{Code, Status, fcm};

macro_rules! reasons {
    ($($name:ident $code:ident $own:literal $message:literal $meaning:literal;)*) => {
        /// Why a message is refused.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason { $(#[doc = $meaning] $name,)* }

        impl push::Reason for Reason {
            const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            fn status(self) -> u16 {
                match self { $(Reason::$name => Code::$code.http(),)* }
            }
        }

        impl Reason {
            /// The error, with FCM's own code where there is one.
            pub(crate) fn error(self) -> Status {
                match self {
                    $(Reason::$name if $own.is_empty() => Status::new(Code::$code, $message),
                    Reason::$name => fcm::error(Code::$code, $own, $message),)*
                }
            }
        }
    };
}

reasons! {
    InvalidArgument InvalidArgument "INVALID_ARGUMENT"
        "The registration token is not a valid FCM registration token"
        "The message can't be read, says what it must not, or its token is none.";
    Unauthenticated Unauthenticated ""
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
         authentication credential."
        "The access token is not one of ours, or past its time.";
    ThirdPartyAuthError Unauthenticated "THIRD_PARTY_AUTH_ERROR"
        "Auth error from APNS or Web Push Service"
        "What FCM shows to another service is no good: never for Android, unless it is ordered.";
    SenderIdMismatch PermissionDenied "SENDER_ID_MISMATCH"
        "SenderId mismatch"
        "The token is for another project.";
    PermissionDenied PermissionDenied ""
        "Permission 'cloudmessaging.messages.create' denied on resource (or it may not exist)."
        "The service account is another project's.";
    Unregistered NotFound "UNREGISTERED"
        "Requested entity was not found."
        "The token is of an earlier registration, of a device that left, or nobody's.";
    QuotaExceeded ResourceExhausted "QUOTA_EXCEEDED"
        "Quota exceeded."
        "Too many messages, of the project or to the device.";
    Internal Internal "INTERNAL"
        "Internal error encountered."
        "The push service broke.";
    Unavailable Unavailable "UNAVAILABLE"
        "The service is currently unavailable."
        "The push service is not there for now.";
}

/// A message that is refused.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) error: Status,
    /// In how long it is worth another try: `Retry-After`.
    pub(crate) after: Option<Dur>,
}

impl Refusal {
    pub(crate) fn plain(reason: Reason) -> Self {
        Refusal { reason, error: reason.error(), after: None }
    }

    /// What is wrong with a request, as its reader has it.
    pub(crate) fn unread(error: Status) -> Self {
        Refusal { reason: Reason::InvalidArgument, error, after: None }
    }

    pub(crate) fn later(reason: Reason, after: Dur) -> Self {
        Refusal { after: Some(after), ..Refusal::plain(reason) }
    }
}
