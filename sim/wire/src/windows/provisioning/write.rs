//! The writer.

use super::{Account, Auth, Certificate, Document, Level, Place, Renewal, Setting, Store};
use crate::windows::xml::Writer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

pub(super) fn document(out: &mut Vec<u8>, document: &Document) {
    let mut w = Writer { out };
    w.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    w.element("wap-provisioningdoc", &[("version", "1.1")], |w| {
        // One store after the other, in the order in which they come.
        let mut rest = document.certificates.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|next| (next.store, next.place) == (first.store, first.place)).count();
            let (stored, after) = rest.split_at(same);
            rest = after;
            let renewal = document.renewal.filter(|_| rest.is_empty() && first.store == Store::My);
            characteristic(w, "CertificateStore", |w| store(w, first, stored, renewal));
        }
        if let Some(renewal) = document.renewal
            && document.certificates.last().is_none_or(|last| last.store != Store::My)
        {
            characteristic(w, "CertificateStore", |w| characteristic(w, "My", |w| wstep(w, renewal)));
        }
        if let Some(account) = &document.account {
            characteristic(w, "APPLICATION", |w| self::account(w, account));
        }
        settings(w, &document.settings);
    });
}

fn store(w: &mut Writer<'_>, first: &Certificate, stored: &[Certificate], renewal: Option<Renewal>) {
    let name = match first.store {
        Store::Root => "Root",
        Store::Ca => "CA",
        Store::My => "My",
    };
    let place = match first.place {
        Place::System => "System",
        Place::User => "User",
    };
    characteristic(w, name, |w| {
        characteristic(w, place, |w| {
            for Certificate { thumbprint, der, .. } in stored {
                characteristic(w, thumbprint, |w| parm(w, "EncodedCertificate", &STANDARD.encode(der)));
            }
            if first.store == Store::My {
                w.empty("characteristic", &[("type", "PrivateKeyContainer")]);
            }
        });
        if let Some(renewal) = renewal {
            wstep(w, renewal);
        }
    });
}

fn wstep(w: &mut Writer<'_>, renewal: Renewal) {
    characteristic(w, "WSTEP", |w| {
        characteristic(w, "Renew", |w| {
            let automatic = if renewal.automatic { "true" } else { "false" };
            typed(w, "ROBOSupport", Some(automatic), Some("boolean"));
            for (name, days) in [("RenewPeriod", renewal.period_days), ("RetryInterval", renewal.retry_days)] {
                if let Some(days) = days {
                    typed(w, name, Some(&days.to_string()), Some("integer"));
                }
            }
        });
    });
}

fn account(w: &mut Writer<'_>, account: &Account) {
    parm(w, "APPID", "w7");
    parm(w, "PROVIDER-ID", &account.provider);
    maybe(w, "NAME", account.name.as_deref());
    match account.port {
        None => parm(w, "ADDR", &account.address),
        Some(port) => characteristic(w, "APPADDR", |w| {
            parm(w, "ADDR", &account.address);
            characteristic(w, "PORT", |w| parm(w, "PORTNBR", &port.to_string()));
        }),
    }
    maybe(w, "ServerList", account.server_list.as_deref());
    maybe(w, "ROLE", account.role.as_deref());
    maybe(w, "CONNRETRYFREQ", account.tries.map(|n| n.to_string()).as_deref());
    maybe(w, "INITIALBACKOFFTIME", account.backoff_ms.map(|n| n.to_string()).as_deref());
    maybe(w, "MAXBACKOFFTIME", account.backoff_ms_max.map(|n| n.to_string()).as_deref());
    if account.compatible_retries_disabled {
        typed(w, "BACKCOMPATRETRYDISABLED", None, None);
    }
    if account.by_hardware_id {
        typed(w, "USEHWDEVID", None, None);
    }
    maybe(w, "DEFAULTENCODING", account.encoding.as_deref());
    maybe(w, "SSLCLIENTCERTSEARCHCRITERIA", account.certificate_search.as_deref());
    for Auth { level, kind, name, secret, nonce } in &account.auths {
        characteristic(w, "APPAUTH", |w| {
            let level = level.map(|level| match level {
                Level::Device => "APPSRV",
                Level::Server => "CLIENT",
            });
            maybe(w, "AAUTHLEVEL", level);
            maybe(w, "AAUTHTYPE", kind.as_deref());
            maybe(w, "AAUTHNAME", name.as_deref());
            maybe(w, "AAUTHSECRET", secret.as_deref());
            maybe(w, "AAUTHDATA", nonce.as_deref());
        });
    }
}

/// Characteristics stay open as long as the next parameter lies in them too.
fn settings(w: &mut Writer<'_>, settings: &[Setting]) {
    let mut open: &[Arc<str>] = &[];
    for Setting { path, name, value, datatype } in settings {
        let common = open.iter().zip(path).take_while(|(open, wanted)| open == wanted).count();
        open.iter().skip(common).for_each(|_| w.end("characteristic"));
        path.iter().skip(common).for_each(|kind| w.start("characteristic", &[("type", kind)]));
        typed(w, name, value.as_deref(), datatype.as_deref());
        open = path;
    }
    open.iter().for_each(|_| w.end("characteristic"));
}

fn characteristic(w: &mut Writer<'_>, kind: &str, contents: impl FnOnce(&mut Writer<'_>)) {
    w.element("characteristic", &[("type", kind)], contents);
}

fn parm(w: &mut Writer<'_>, name: &str, value: &str) {
    typed(w, name, Some(value), None);
}

fn maybe(w: &mut Writer<'_>, name: &str, value: Option<&str>) {
    if value.is_some() {
        typed(w, name, value, None);
    }
}

fn typed(w: &mut Writer<'_>, name: &str, value: Option<&str>, datatype: Option<&str>) {
    let attributes = [("name", Some(name)), ("value", value), ("datatype", datatype)];
    let attributes: Vec<_> = attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    w.empty("parm", &attributes);
}
