//! The management client itself: DMClient, and its account in DMAcc.

use super::{Call, Effect, Node, Place, Scene, Tree, Value, details};
use crate::windows::tree::{Credential, Leaf};
use droves_facts::Limits;
use droves_wire::windows::provisioning::{Poll, Renewal};
use droves_wire::windows::syncml::Format::{Bool, Chr, Int};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) static DMCLIENT: &[Node] = &[
    Node::read("HWDevID", Chr, |_, _, scene| Some(scene.hardware_id.to_owned())),
    Node::exec("Unenroll", unenroll),
    Node::setting("UpdateManagementServiceAddress", Chr, "").runs(address),
    Node::computed("Provider/@/EntDeviceName", Chr, |tree, place, scene| Some(details::name(tree, place, scene))).own(),
    Node::setting("Provider/@/EntDMID", Chr, "").own(),
    Node::read("Provider/@/HWDevID", Chr, |_, _, scene| Some(scene.hardware_id.to_owned())),
    Node::setting("Provider/@/UPN", Chr, "").own(),
    Node::fixed("Provider/@/ExchangeID", Chr, ""),
    Node::fixed("Provider/@/SignedEntDMID", Chr, ""),
    Node::fixed("Provider/@/CertRenewTimeStamp", Chr, ""),
    Node::setting("Provider/@/PublisherDeviceID", Chr, "").own(),
    Node::computed("Provider/@/ManagementServiceAddress", Chr, |_, _, scene| Some(scene.address.to_owned()))
        .runs(address),
    Node::setting("Provider/@/ManagementServerAddressList", Chr, ""),
    Node::setting("Provider/@/ManagementServerToUpgradeTo", Chr, ""),
    Node::setting("Provider/@/HelpPhoneNumber", Chr, ""),
    Node::setting("Provider/@/HelpWebsite", Chr, ""),
    Node::setting("Provider/@/HelpEmailAddress", Chr, ""),
    Node::setting("Provider/@/RequireMessageSigning", Bool, "false"),
    Node::setting("Provider/@/SyncApplicationVersion", Chr, "1.0"),
    Node::fixed("Provider/@/MaxSyncApplicationVersion", Chr, "5.0"),
    Node::setting("Provider/@/EnableOmaDmKeepAliveMessage", Bool, "false"),
    Node::setting("Provider/@/EnableEnhancedAppLayerSecurity/SecurityMode", Int, "0"),
    Node::setting("Provider/@/AADResourceID", Chr, ""),
    Node::fixed("Provider/@/AADDeviceID", Chr, ""),
    Node::fixed("Provider/@/EnrollmentType", Chr, "Full"),
    Node::setting("Provider/@/CommercialID", Chr, ""),
    Node::setting("Provider/@/ForceAadToken", Int, "0"),
    Node::setting("Provider/@/NumberOfDaysAfterLostContactToUnenroll", Int, "0"),
    Node::setting("Provider/@/ConfigLock/Lock", Int, "0"),
    Node::setting("Provider/@/ConfigLock/UnlockDuration", Int, "480"),
    Node::setting("Provider/@/ConfigRefresh/Enabled", Bool, "false"),
    Node::setting("Provider/@/ConfigRefresh/Cadence", Int, "90"),
    Node::setting("Provider/@/ConfigRefresh/PausePeriod", Int, "0"),
    Node::setting("Provider/@/Recovery/AllowRecovery", Int, "0"),
    Node::fixed("Provider/@/Recovery/RecoveryStatus", Int, "0"),
    Node::setting("Provider/@/MultipleSession/NumAllowedConcurrentUserSessionForBackgroundSync", Int, "25"),
    Node::setting("Provider/@/MultipleSession/NumAllowedConcurrentUserSessionAtUserLogonSync", Int, "25"),
    Node::setting("Provider/@/MultipleSession/IntervalForScheduledRetriesForUserSession", Int, "0"),
    Node::setting("Provider/@/MultipleSession/NumberOfScheduledRetriesForUserSession", Int, "0"),
    Node::kept("Provider/@/Poll/NumberOfFirstRetries", Int).implicit().runs(schedule),
    Node::kept("Provider/@/Poll/IntervalForFirstSetOfRetries", Int).implicit().runs(schedule),
    Node::kept("Provider/@/Poll/NumberOfSecondRetries", Int).implicit().runs(schedule),
    Node::kept("Provider/@/Poll/IntervalForSecondSetOfRetries", Int).implicit().runs(schedule),
    Node::kept("Provider/@/Poll/NumberOfRemainingScheduledRetries", Int).implicit().runs(schedule),
    Node::kept("Provider/@/Poll/IntervalForRemainingScheduledRetries", Int).implicit().runs(schedule),
    Node::kept("Provider/@/Poll/PollOnLogin", Bool).implicit().runs(schedule),
    Node::kept("Provider/@/Poll/AllUsersPollOnFirstLogin", Bool).implicit().runs(schedule),
    Node::setting("Provider/@/Push/PFN", Chr, "").runs(|_, call, _, effects| {
        effects.push(Effect::Pfn(call.data.into()));
        200
    }),
    Node::read("Provider/@/Push/ChannelURI", Chr, |_, _, scene| scene.channel.uri.map(str::to_owned)),
    Node::read("Provider/@/Push/Status", Int, |_, _, scene| Some(scene.channel.status.to_string())),
    Node::exec("Provider/@/Unenroll", unenroll),
    Node::setting("Provider/@/CustomEnrollmentCompletePage/Title", Chr, ""),
    Node::setting("Provider/@/CustomEnrollmentCompletePage/BodyText", Chr, ""),
    Node::setting("Provider/@/CustomEnrollmentCompletePage/HyperlinkHref", Chr, ""),
    Node::setting("Provider/@/CustomEnrollmentCompletePage/HyperlinkText", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/ExpectedPolicies", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/ExpectedNetworkProfiles", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/ExpectedMSIAppPackages", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/ExpectedModernAppPackages", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/ExpectedPFXCerts", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/ExpectedSCEPCerts", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/TimeOutUntilSyncFailure", Int, "60"),
    Node::setting("Provider/@/FirstSyncStatus/ServerHasFinishedProvisioning", Bool, "false"),
    Node::computed("Provider/@/FirstSyncStatus/IsSyncDone", Bool, |tree, place, _| {
        Some(is_provisioned(tree, place).to_string())
    }),
    // 0 failed, 1 done, 2 under way.
    Node::computed("Provider/@/FirstSyncStatus/WasDeviceSuccessfullyProvisioned", Int, |tree, place, _| {
        Some(if is_provisioned(tree, place) { "1" } else { "2" }.to_owned())
    }),
    Node::setting("Provider/@/FirstSyncStatus/BlockInStatusPage", Int, "0"),
    Node::setting("Provider/@/FirstSyncStatus/AllowCollectLogsButton", Bool, "false"),
    Node::setting("Provider/@/FirstSyncStatus/CustomErrorText", Chr, ""),
    Node::setting("Provider/@/FirstSyncStatus/SkipDeviceStatusPage", Bool, "true"),
    Node::setting("Provider/@/FirstSyncStatus/SkipUserStatusPage", Bool, "true"),
    // A second enrollment beside this one is not made: its nodes answer.
    Node::setting("Provider/@/LinkedEnrollment/DiscoveryEndpoint", Chr, ""),
    Node::setting("Provider/@/LinkedEnrollment/Priority", Int, "0"),
    Node::fixed("Provider/@/LinkedEnrollment/EnrollStatus", Int, "0"),
    Node::fixed("Provider/@/LinkedEnrollment/LastError", Int, "0"),
    Node::exec("Provider/@/LinkedEnrollment/Enroll", |_, _, _, _| 202),
    Node::exec("Provider/@/LinkedEnrollment/Unenroll", |_, _, _, _| 202),
];

pub(super) static SYNCML: &[Node] = &[
    Node::fixed("DMAcc/@/AppID", Chr, "w7"),
    Node::read("DMAcc/@/ServerID", Chr, |_, _, scene| Some(scene.provider.to_owned())),
    Node::setting("DMAcc/@/Name", Chr, ""),
    Node::setting("DMAcc/@/PrefConRef", Chr, ""),
    Node::computed("DMAcc/@/AppAddr/1/Addr", Chr, |_, _, scene| Some(scene.address.to_owned())).runs(address),
    Node::fixed("DMAcc/@/AppAddr/1/AddrType", Chr, "URI"),
    Node::fixed("DMAcc/@/AAuthPref", Chr, "DIGEST"),
    Node::fixed("DMAcc/@/AppAuth/CLCRED/AAuthLevel", Chr, "CLCRED"),
    credential("DMAcc/@/AppAuth/CLCRED/AAuthType", |_, _, scene| {
        Some(if scene.account.is_empty() { "" } else { "DIGEST" }.to_owned())
    })
    .runs(|_, call, _, effects| rekey(Credential::Kind, call, effects)),
    credential("DMAcc/@/AppAuth/CLCRED/AAuthName", |_, _, scene| Some(scene.account.to_owned()))
        .runs(|_, call, _, effects| rekey(Credential::Name, call, effects)),
    credential("DMAcc/@/AppAuth/CLCRED/AAuthSecret", |_, _, _| Some(String::new()))
        .secret()
        .runs(|_, call, _, effects| rekey(Credential::Secret, call, effects)),
    credential("DMAcc/@/AppAuth/CLCRED/AAuthData", |_, _, _| Some(String::new()))
        .secret()
        .runs(|_, call, _, effects| rekey(Credential::Nonce, call, effects)),
    Node::fixed("DMAcc/@/AppAuth/SRVCRED/AAuthLevel", Chr, "SRVCRED"),
    Node::setting("DMAcc/@/AppAuth/SRVCRED/AAuthType", Chr, "DIGEST"),
    Node::setting("DMAcc/@/AppAuth/SRVCRED/AAuthName", Chr, "").own(),
    Node::setting("DMAcc/@/AppAuth/SRVCRED/AAuthSecret", Chr, "").own().secret(),
    Node::setting("DMAcc/@/AppAuth/SRVCRED/AAuthData", Chr, "").own().secret(),
    Node::fixed("DMAcc/@/Ext/Microsoft/ProtoVer", Chr, "1.2"),
    Node::setting("DMAcc/@/Ext/Microsoft/Role", Int, "32"),
    Node::setting("DMAcc/@/Ext/Microsoft/UseHwDevID", Bool, "false"),
    Node::setting("DMAcc/@/Ext/Microsoft/ConnRetryFreq", Int, "3"),
    Node::setting("DMAcc/@/Ext/Microsoft/InitialBackOffTime", Int, "16000"),
    Node::setting("DMAcc/@/Ext/Microsoft/MaxBackOffTime", Int, "86400000"),
    Node::setting("DMAcc/@/Ext/Microsoft/BackCompatRetryDisabled", Bool, "false"),
    Node::setting("DMAcc/@/Ext/Microsoft/UseNonceResync", Bool, "false"),
    Node::setting("DMAcc/@/Ext/Microsoft/CRLCheck", Bool, "false"),
    Node::setting("DMAcc/@/Ext/Microsoft/DisableOnRoaming", Bool, "false"),
    Node::setting("DMAcc/@/Ext/Microsoft/DefaultEncoding", Chr, "application/vnd.syncml.dm+xml"),
    Node::setting("DMAcc/@/Ext/Microsoft/SSLCLIENTCERTSEARCHCRITERIA", Chr, ""),
];

/// A part of the credentials, which the account keeps and not the tree.
const fn credential(path: &'static str, read: super::Read) -> Node {
    Node { value: Value::Read(read), ..Node::setting(path, Chr, "") }
}

fn rekey(part: Credential, call: &Call<'_>, effects: &mut Vec<Effect>) -> u16 {
    effects.push(Effect::Credential(part, call.data.into()));
    200
}

/// The data is the provider id, if anything is said.
fn unenroll(_: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, effects: &mut Vec<Effect>) -> u16 {
    let named = call.data.trim_ascii();
    if !named.is_empty() && !named.eq_ignore_ascii_case(scene.provider) {
        return 404;
    }
    effects.push(Effect::Unenroll);
    200
}

fn address(_: &mut Tree, call: &Call<'_>, _: &Scene<'_>, effects: &mut Vec<Effect>) -> u16 {
    effects.push(Effect::Address(call.data.trim_ascii().into()));
    200
}

/// What is no number of minutes is refused, and nothing changes.
fn schedule(_: &mut Tree, call: &Call<'_>, _: &Scene<'_>, effects: &mut Vec<Effect>) -> u16 {
    if !Poll::default().set(call.place.name(), call.data) {
        return 500;
    }
    effects.push(Effect::Poll);
    200
}

fn is_provisioned(tree: &Tree, place: &Place<'_>) -> bool {
    let said = tree.text(&place.beside("ServerHasFinishedProvisioning"));
    said.is_some_and(|said| said.trim_ascii().eq_ignore_ascii_case("true"))
}

impl Tree {
    /// A node of this account below `DMClient/Provider/<provider>`, if it was set.
    pub(in crate::windows) fn client(&self, provider: &str, path: &str) -> Option<Arc<str>> {
        let start = ["Vendor", "MSFT", "DMClient", "Provider", provider];
        let names = start.into_iter().chain(path.split('/')).map(Cow::Borrowed);
        self.text(&Place::of(false, names.collect())).cloned()
    }

    /// When the device is to poll.
    pub(in crate::windows) fn poll(&self, provider: &str) -> Poll {
        let start = ["Vendor", "MSFT", "DMClient", "Provider", provider, "Poll"];
        let place = Place::of(false, start.into_iter().map(Cow::Borrowed).collect());
        let mut poll = Poll::default();
        for (_, leaf) in self.written_below(&place.key) {
            poll.set(leaf.path.rsplit('/').next().unwrap_or_default(), &leaf.value);
        }
        poll
    }

    /// How the device's certificate is renewed.
    pub(in crate::windows) fn renewal(&self) -> Renewal {
        let said = |name: &str| self.at(&format!("{RENEWAL}/{name}")).map(|leaf| leaf.value.trim_ascii());
        let days = |name: &str| said(name).and_then(|text| text.parse().ok());
        Renewal {
            automatic: said("robosupport").is_some_and(|said| said.eq_ignore_ascii_case("true")),
            period_days: days("renewperiod"),
            retry_days: days("retryinterval"),
        }
    }

    /// Sets what a provisioning document says of it.
    pub(in crate::windows) fn set_renewal(&mut self, renewal: Renewal, limits: &Limits) {
        let days = |days: Option<u32>| days.map(|days| days.to_string());
        let said = [
            ("ROBOSupport", Bool, Some(renewal.automatic.to_string())),
            ("RenewPeriod", Int, days(renewal.period_days)),
            ("RetryInterval", Int, days(renewal.retry_days)),
        ];
        for (name, format, value) in said {
            let path = format!("Vendor/MSFT/CertificateStore/My/WSTEP/Renew/{name}").into();
            if let Some(value) = value {
                self.show(Leaf { path, format, value: value.into() }, false, limits);
            }
        }
    }
}

const RENEWAL: &str = "vendor/msft/certificatestore/my/wstep/renew";
