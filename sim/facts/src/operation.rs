//! The table of everything that is timed or counted under a name. Thresholds, the schema, the dashboard, the metrics
//! endpoint and the docs all read it; a name that is not here does not exist.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a series measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// One HTTP request: response time from when it was due, service time from when it began.
    Request,
    /// An arrival's whole purpose (enroll, check in), however many sessions that took; also a session itself.
    Whole,
    /// A part of opening a connection.
    Connection,
    /// A request of the administrator to the server's API.
    Admin,
    /// A request answered by somebody played in this process: never part of the server's latencies.
    Played,
    /// A request that the server holds until it has something to say: how long that takes is no latency. Any whole answer
    /// is a good one, and so is its end by the device.
    Held,
}

/// One row of [`OPERATIONS`].
#[derive(Clone, Copy, Debug)]
pub struct OperationInfo {
    /// The operation itself; row `n` holds operation `n`.
    pub operation: Operation,
    /// Name in scenarios, results and metrics.
    pub name: &'static str,
    /// What is measured.
    pub unit: Unit,
    /// One sentence for people.
    pub meaning: &'static str,
}

macro_rules! operations {
    ($($variant:ident $name:literal $unit:ident $meaning:literal;)*) => {
        /// Something that is timed or counted under a name. See [`OPERATIONS`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Operation { $(#[doc = $meaning] #[serde(rename = $name)] $variant,)* }

        /// Every operation, in the order in which tables show them.
        pub const OPERATIONS: &[OperationInfo] = &[
            $(OperationInfo { operation: Operation::$variant, name: $name, unit: Unit::$unit, meaning: $meaning },)*
        ];
    };
}

operations! {
    Enroll "enroll" Whole "From an enrollment's due time to the accepted TokenUpdate of its device channel.";
    CheckIn "check_in" Whole "From a check-in's due time to the end of its session.";
    Renew "renew" Whole "From a renewal's due time to the new identity accepted by the server.";
    Unenroll "unenroll" Whole "From the order to leave to the CheckOut answered, or at once where none is sent.";
    Session "session" Whole "From a session's due time to its last answer: one connection per server, many requests.";
    Connect "connect" Connection "TCP connect.";
    Tls "tls" Connection "TLS handshake, after the connect.";
    FirstByte "first_byte" Connection "From the first byte of a request written to the first byte of its answer.";
    AppleProfile "apple.profile" Request "GET of the enrollment profile.";
    AppleScepCaps "apple.scep.caps" Request "SCEP GetCACaps.";
    AppleScepCa "apple.scep.ca" Request "SCEP GetCACert.";
    AppleScepIssue "apple.scep.issue" Request "SCEP PKIOperation with a PKCSReq: the first request and each renewal.";
    AppleScepPoll "apple.scep.poll" Request "SCEP PKIOperation with a CertPoll, after PENDING.";
    AppleAcmeDirectory "apple.acme.directory" Request "GET of the ACME directory.";
    AppleAcmeNonce "apple.acme.nonce" Request "ACME newNonce.";
    AppleAcmeAccount "apple.acme.account" Request "ACME newAccount.";
    AppleAcmeOrder "apple.acme.order" Request "ACME newOrder.";
    AppleAcmeAuthorization "apple.acme.authorization" Request "ACME authorization read: the challenge, before it is answered.";
    AppleAcmeChallenge "apple.acme.challenge" Request "ACME challenge answered, with the attestation of the key if there is one.";
    AppleAcmePoll "apple.acme.poll" Request "ACME authorization or order read again, after the challenge is answered.";
    AppleAcmeFinalize "apple.acme.finalize" Request "ACME finalize: the certificate request.";
    AppleAcmeCertificate "apple.acme.certificate" Request "The certificate fetched from the ACME server.";
    AppleAuthenticate "apple.authenticate" Request "Check-in message Authenticate.";
    AppleTokenUpdate "apple.token_update" Request "Check-in message TokenUpdate, of the device channel or a user channel.";
    AppleUserAuthenticate "apple.user_authenticate" Request "Check-in message UserAuthenticate of a macOS network user.";
    AppleSetBootstrapToken "apple.set_bootstrap_token" Request "Check-in message SetBootstrapToken.";
    AppleGetBootstrapToken "apple.get_bootstrap_token" Request "Check-in message GetBootstrapToken.";
    AppleTokens "apple.declarative.tokens" Request "Check-in message DeclarativeManagement: which state the declarations are in.";
    AppleItems "apple.declarative.items" Request "The same: which declarations there are.";
    AppleDeclaration "apple.declarative.declaration" Request "The same: one declaration.";
    AppleStatus "apple.declarative.status" Request "The same: the device's status report.";
    AppleCheckOut "apple.check_out" Request "Check-in message CheckOut.";
    AppleIdle "apple.idle" Request "First request of the command loop: Status Idle, answered by a command or by nothing.";
    AppleCommand "apple.command" Request "A command's result sent, answered by the next command or by nothing.";
    ApplePushRegister "apple.push_register" Played "The device asks the push service for its token.";
    WindowsDiscovery "windows.discovery" Request "SOAP Discover (MS-MDE2): where to enroll, and how to prove who one is; also the GET before it.";
    WindowsLogin "windows.login" Request "The web page of a federated enrollment, which grants a token.";
    WindowsPolicy "windows.policy" Request "SOAP GetPolicies (MS-XCEP): what the certificate is to be like.";
    WindowsIssue "windows.issue" Request "SOAP RequestSecurityToken (MS-WSTEP): the certificate and the provisioning document.";
    WindowsRenew "windows.renew" Request "The same for a new certificate in place of one that ends.";
    WindowsFirst "windows.first_message" Request "First SyncML message of a session: alerts and who the device is, answered by commands or by nothing.";
    WindowsMessage "windows.message" Request "Each later SyncML message of a session: statuses and results.";
    WindowsScepCaps "windows.scep.caps" Request "SCEP GetCACaps of a ClientCertificateInstall.";
    WindowsScepCa "windows.scep.ca" Request "SCEP GetCACert of a ClientCertificateInstall.";
    WindowsScepIssue "windows.scep.issue" Request "SCEP PKIOperation of a ClientCertificateInstall.";
    WindowsChannel "windows.channel" Played "The device asks the push service for its channel.";
    AndroidNotification "android.notification" Request "One of Google's notifications pushed to the server (Pub/Sub), from its publishing to the server's answer.";
    AndroidGoogleEnroll "android.google.enroll" Played "The device enrolls at Google by a token.";
    AndroidGoogleSync "android.google.sync" Played "The device asks Google what is new: policy and commands.";
    AndroidGoogleReport "android.google.report" Played "The device's status report, its usage log, or the outcome of a command, to Google.";
    AndroidGoogleLeave "android.google.leave" Played "The device leaves, which Google hears of, or does not.";
    AndroidEnroll "android.enroll" Request "The agent's first call: the device is created, and answered with its configuration.";
    AndroidConfig "android.config" Request "The agent fetches its configuration.";
    AndroidReport "android.report" Request "The agent reports how the device is.";
    AndroidLogs "android.logs" Request "The agent asks for log rules, or uploads logs or detailed measurements.";
    AndroidDownload "android.download" Request "One piece of an application or a file.";
    AndroidLink "android.link" Request "The agent opens its MQTT connection: from connecting to the broker's CONNACK.";
    AndroidPoll "android.poll" Held "A long poll: held until the server has a message, or gives up.";
    AndroidPushRegister "android.push_register" Played "The agent asks FCM for its registration token.";
    AdminQueue "admin.queue_command" Admin "One API call that queues a command for one or more devices.";
    AdminPush "admin.push" Admin "One API call that asks the server to push one or more devices.";
    AdminBelieves "admin.believes" Admin "One API call that asks what the server believes of devices.";
    AdminCall "admin.call" Admin "Any other API call of the server's profile.";
}

impl Operation {
    /// This operation's row.
    pub fn info(self) -> &'static OperationInfo {
        &OPERATIONS[self as usize]
    }
    /// Name in scenarios, results and metrics.
    pub fn name(self) -> &'static str {
        self.info().name
    }
    /// The operation with this name.
    pub fn named(name: &str) -> Option<Operation> {
        OPERATIONS.iter().find(|row| row.name == name).map(|row| row.operation)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_operation_and_names_are_unique() {
        for (n, row) in OPERATIONS.iter().enumerate() {
            assert_eq!(row.operation as usize, n);
            assert_eq!(Operation::named(row.name), Some(row.operation));
            assert!(row.meaning.ends_with('.'), "{}", row.name);
        }
    }
}
