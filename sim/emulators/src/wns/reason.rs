//! Why a notification is refused: the table of statuses of Microsoft's "Push notification service request and response
//! headers".

use crate::push;
use droves_facts::Dur;
use droves_wire::windows::wns::Fate;

macro_rules! reasons {
    ($($name:ident $status:literal $meaning:literal;)*) => {
        /// Why a notification is refused; each has a status of its own.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason { $(#[doc = $meaning] $name,)* }

        impl push::Reason for Reason {
            const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            fn status(self) -> u16 {
                match self { $(Reason::$name => $status,)* }
            }
        }

        impl Reason {
            /// What it says in `X-WNS-Error-Description` where there is no more to say.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Reason::$name => $meaning,)* }
            }
        }
    };
}

reasons! {
    BadRequest 400 "A header is missing, or says what it can't.";
    Unauthorized 401 "The access token is not one of ours, or past its time.";
    Forbidden 403 "The access token is another package's than the channel.";
    NotFound 404 "Nobody has this channel.";
    MethodNotAllowed 405 "The method is not POST.";
    NotAcceptable 406 "Too many notifications.";
    Gone 410 "The channel has expired, or the device has another.";
    TooLarge 413 "The notification is larger than 5,000 bytes.";
    InternalError 500 "The push service broke.";
    Unavailable 503 "The push service is not there for now.";
}

/// A notification that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The same in the words of its case.
    pub words: &'static str,
    /// In how long it is worth another try: `X-WNS-CONTINUE-AFTER` of 406, `Retry-After` of 500 and 503.
    pub after: Option<Dur>,
    /// What became of the notification, where that is to be said.
    pub fate: Option<Fate>,
}

impl Refusal {
    pub(crate) fn plain(reason: Reason) -> Self {
        Refusal::because(reason, reason.meaning())
    }

    pub(crate) fn because(reason: Reason, words: &'static str) -> Self {
        Refusal { reason, words, after: None, fate: None }
    }
}
