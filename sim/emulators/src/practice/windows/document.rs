//! The provisioning document: what an enrollment gives a device.

use super::proof::Account;
use super::{Auth, Place, Settings, Windows};
use droves_wire::digest;
use droves_wire::windows::provisioning::{self, Certificate, Document, Level, Renewal, Setting, Store};
use droves_wire::windows::syncml;
use std::sync::Arc;

/// `PROVIDER-ID`.
pub(super) const PROVIDER: &str = "Droves";
/// Days after which a renewal is tried again.
const RETRY_DAYS: u32 = 4;

impl Windows {
    /// Of a new enrollment: with the certificates of the authority and of the device.
    pub(super) fn document(
        &self,
        place: provisioning::Place,
        [authority, certificate]: [&[u8]; 2],
        id: &str,
        user: &str,
        account: &Account,
    ) -> Document {
        let stored =
            |store, place, der: &[u8]| Certificate { store, place, thumbprint: thumbprint(der), der: der.to_vec() };
        let of_whom = match place {
            provisioning::Place::System => "System",
            provisioning::Place::User => "User",
        };
        Document {
            certificates: vec![
                stored(Store::Root, provisioning::Place::System, authority),
                stored(Store::My, place, certificate),
            ],
            renewal: Some(Renewal {
                automatic: true,
                period_days: Some(self.settings.renewal_days),
                retry_days: Some(RETRY_DAYS),
            }),
            account: Some(provisioning::Account {
                provider: PROVIDER.to_owned(),
                name: Some("Droves practice server".to_owned()),
                address: Place::Manage.url(&self.url),
                tries: Some(6),
                backoff_ms: Some(30_000),
                backoff_ms_max: Some(120_000),
                compatible_retries_disabled: true,
                encoding: Some(syncml::CONTENT_TYPE.to_owned()),
                certificate_search: Some(format!("Subject=CN%3D{id}&Stores=My%5C{of_whom}")),
                role: Some("32".to_owned()),
                auths: auths(self.settings.auth, account),
                ..provisioning::Account::default()
            }),
            settings: parameters(&self.settings, user),
        }
    }
}

/// Of a renewal: the certificate, and whose it is.
pub(super) fn of_renewal(place: provisioning::Place, certificate: &[u8]) -> Document {
    let (thumbprint, der) = (thumbprint(certificate), certificate.to_vec());
    Document {
        certificates: vec![Certificate { store: Store::My, place, thumbprint, der }],
        account: Some(provisioning::Account { provider: PROVIDER.to_owned(), ..provisioning::Account::default() }),
        ..Document::default()
    }
}

fn thumbprint(der: &[u8]) -> String {
    hex::encode_upper(digest::sha1(der))
}

/// Windows wants both levels, also where nobody proves themselves by them.
fn auths(auth: Auth, account: &Account) -> Vec<provisioning::Auth> {
    let kind = if auth == Auth::Basic { "BASIC" } else { "DIGEST" };
    let nonce = Some(account.nonce_text());
    let device = provisioning::Auth {
        level: Some(Level::Device),
        kind: Some(kind.to_owned()),
        name: Some(account.name().to_owned()),
        secret: Some(account.secret().to_owned()),
        nonce: nonce.clone(),
    };
    let server = provisioning::Auth {
        level: Some(Level::Server),
        kind: Some("DIGEST".to_owned()),
        name: None,
        secret: Some(account.secret().to_owned()),
        nonce,
    };
    vec![server, device]
}

fn parameters(settings: &Settings, user: &str) -> Vec<Setting> {
    let path = |rest: &[&str]| -> Vec<Arc<str>> {
        ["DMClient", "Provider", PROVIDER].iter().chain(rest).map(|part| Arc::from(*part)).collect()
    };
    let setting = |path: &[Arc<str>], name: &str, value: String, datatype: &str| Setting {
        path: path.to_vec(),
        name: name.to_owned(),
        value: Some(value),
        datatype: Some(datatype.to_owned()),
    };
    let (client, poll) = (path(&[]), path(&["Poll"]));
    let signs = settings.auth == Auth::Signed;
    let mut all = vec![
        setting(&client, "UPN", user.to_owned(), "string"),
        setting(&client, "RequireMessageSigning", signs.to_string(), "boolean"),
    ];
    let schedule = &settings.poll;
    for (name, value) in [
        ("NumberOfFirstRetries", schedule.first.count),
        ("IntervalForFirstSetOfRetries", schedule.first.every_minutes),
        ("NumberOfSecondRetries", schedule.second.count),
        ("IntervalForSecondSetOfRetries", schedule.second.every_minutes),
        ("NumberOfRemainingScheduledRetries", schedule.remaining.count),
        ("IntervalForRemainingScheduledRetries", schedule.remaining.every_minutes),
    ] {
        all.push(setting(&poll, name, value.to_string(), "integer"));
    }
    for (name, value) in
        [("PollOnLogin", schedule.on_login), ("AllUsersPollOnFirstLogin", schedule.on_first_login_of_any)]
    {
        all.push(setting(&poll, name, value.to_string(), "boolean"));
    }
    all
}
