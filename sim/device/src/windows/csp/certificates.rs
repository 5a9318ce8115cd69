//! Certificates: CertificateStore, ClientCertificateInstall, RootCATrustedCertificates.

use super::{Call, Effect, Node, Place, Scene, Tree};
use crate::windows::hardware::hex;
use crate::windows::tree::{Alert, Leaf, Scep};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_wire::digest;
use droves_wire::windows::syncml::Format::{B64, Bool, Chr, Int};
use std::borrow::Cow;
use std::sync::Arc;

/// The stores of the system. The device's own certificate is what it was issued.
pub(super) static STORE: &[Node] = &[
    Node::kept("Root/*/*/EncodedCertificate", B64),
    Node::kept("CA/*/*/EncodedCertificate", B64),
    Node::read("My/User/*/EncodedCertificate", B64, own_certificate),
    Node::read("My/System/*/EncodedCertificate", B64, own_certificate),
    Node::read("My/WSTEP/CertThumbprint", Chr, |_, _, scene| own_thumbprint(scene)),
    Node::setting("My/WSTEP/Renew/ROBOSupport", Bool, "false").runs(renewal),
    Node::setting("My/WSTEP/Renew/RenewPeriod", Int, "42").runs(renewal),
    Node::setting("My/WSTEP/Renew/RetryInterval", Int, "7").runs(renewal),
    Node::setting("My/WSTEP/Renew/ServerURL", Chr, ""),
    // 0 never tried.
    Node::fixed("My/WSTEP/Renew/Status", Int, "0"),
    Node::fixed("My/WSTEP/Renew/ErrorCode", Int, "0"),
    Node::exec("My/WSTEP/Renew/RenewNow", |_, _, _, effects| {
        effects.push(Effect::RenewNow);
        200
    }),
];

/// Certificates that the system trusts, by the SHA-1 of each.
pub(super) static TRUSTED: &[Node] = &[
    Node::kept("Root/*/EncodedCertificate", B64).implicit().runs(trust),
    Node::kept("CA/*/EncodedCertificate", B64).implicit().runs(trust),
    Node::kept("TrustedPublisher/*/EncodedCertificate", B64).implicit().runs(trust),
    Node::kept("TrustedPeople/*/EncodedCertificate", B64).implicit().runs(trust),
    Node::kept("UntrustedCertificates/*/EncodedCertificate", B64).implicit().runs(trust),
];

/// Certificates with a key of the device's own. What asks for one is a device's own as well.
pub(super) static CLIENT: &[Node] = &[
    Node::kept("PFXCertInstall/*/KeyLocation", Int),
    Node::kept("PFXCertInstall/*/ContainerName", Chr),
    Node::kept("PFXCertInstall/*/PFXCertBlob", Chr).own().runs(pfx),
    Node::kept("PFXCertInstall/*/PFXCertPassword", Chr).own().secret(),
    Node::kept("PFXCertInstall/*/PFXCertPasswordEncryptionType", Int),
    Node::kept("PFXCertInstall/*/PFXCertPasswordEncryptionStore", Chr),
    Node::kept("PFXCertInstall/*/PFXKeyExportable", Bool),
    Node::read("PFXCertInstall/*/Thumbprint", Chr, |tree, place, _| {
        tree.text(&place.beside("PFXCertBlob")).map(|blob| hex(&digest::sha1(blob.as_bytes())))
    }),
    Node::read("PFXCertInstall/*/Status", Int, |tree, place, _| {
        tree.text(&place.beside("PFXCertBlob")).map(|_| "0".to_owned())
    }),
    Node::kept("SCEP/*/Install/ServerURL", Chr),
    Node::kept("SCEP/*/Install/Challenge", Chr).own().secret(),
    Node::kept("SCEP/*/Install/EKUMapping", Chr),
    Node::kept("SCEP/*/Install/KeyUsage", Int),
    Node::kept("SCEP/*/Install/SubjectName", Chr).own(),
    Node::kept("SCEP/*/Install/SubjectAlternativeNames", Chr).own(),
    Node::kept("SCEP/*/Install/KeyProtection", Int),
    Node::kept("SCEP/*/Install/RetryDelay", Int),
    Node::kept("SCEP/*/Install/RetryCount", Int),
    Node::kept("SCEP/*/Install/TemplateName", Chr),
    Node::kept("SCEP/*/Install/KeyLength", Int),
    Node::kept("SCEP/*/Install/HashAlgorithm", Chr),
    Node::kept("SCEP/*/Install/CAThumbprint", Chr),
    Node::kept("SCEP/*/Install/ValidPeriod", Chr),
    Node::kept("SCEP/*/Install/ValidPeriodUnits", Int),
    Node::kept("SCEP/*/Install/ContainerName", Chr),
    Node::kept("SCEP/*/Install/CustomTextToShowInPrompt", Chr),
    Node::kept("SCEP/*/Install/AADKeyIdentifierList", Chr),
    Node::exec("SCEP/*/Install/Enroll", enroll),
    Node::shown("SCEP/*/CertThumbprint", Chr).own(),
    Node::shown("SCEP/*/RespondentServerUrl", Chr),
    // 1 done, 2 under way, 16 failed, 32 unknown.
    Node::shown("SCEP/*/Status", Int).own(),
    Node::shown("SCEP/*/ErrorCode", Int).own(),
];

fn renewal(_: &mut Tree, _: &Call<'_>, _: &Scene<'_>, effects: &mut Vec<Effect>) -> u16 {
    effects.push(Effect::Renewal);
    200
}

fn own_thumbprint(scene: &Scene<'_>) -> Option<String> {
    scene.ctx.identity.map(|identity| hex(&digest::sha1(&identity.certificate)))
}

fn own_certificate(_: &Tree, place: &Place<'_>, scene: &Scene<'_>) -> Option<String> {
    let thumbprint = place.names.iter().rev().nth(1)?;
    let is_own = own_thumbprint(scene)?.eq_ignore_ascii_case(thumbprint);
    scene.ctx.identity.filter(|_| is_own).map(|identity| STANDARD.encode(&identity.certificate))
}

/// The node is named by the SHA-1 of the certificate; another name is refused.
fn trust(_: &mut Tree, call: &Call<'_>, _: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    let packed: Vec<u8> = call.data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let name = call.place.names.iter().rev().nth(1).map_or("", |name| name);
    let is_named = STANDARD.decode(packed).is_ok_and(|der| hex(&digest::sha1(&der)).eq_ignore_ascii_case(name));
    if is_named { 200 } else { 500 }
}

/// The blob comes last; what says where the key goes is there already. It is not opened.
fn pfx(tree: &mut Tree, call: &Call<'_>, _: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    if tree.text(&call.place.beside("KeyLocation")).is_some() && !call.data.trim_ascii().is_empty() { 200 } else { 500 }
}

/// Asks for a certificate: the status is given at once, and what comes of it later.
fn enroll(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, effects: &mut Vec<Effect>) -> u16 {
    let place = call.place;
    let Some(id) = place.names.iter().rev().nth(2) else { return 404 };
    let said = |name| tree.text(&place.beside(name)).cloned();
    let number = |name, default| said(name).and_then(|text| text.trim_ascii().parse().ok()).unwrap_or(default);
    let (Some(servers), Some(subject), Some(_)) = (said("ServerURL"), said("SubjectName"), said("KeyUsage")) else {
        return 500;
    };
    let scep = Scep {
        id: Arc::from(&**id),
        user: place.user,
        servers,
        subject,
        key_usage: number("KeyUsage", 0),
        hashes: said("HashAlgorithm").unwrap_or_default(),
        challenge: said("Challenge").unwrap_or_default(),
        ca_thumbprint: said("CAThumbprint").unwrap_or_default(),
        key_bits: number("KeyLength", 2_048),
        retries: number("RetryCount", 3),
        retry_minutes: number("RetryDelay", 5),
    };
    let status = scep_node(&scep.id, scep.user, "Status");
    if let Err(code) = tree.write(Leaf { path: status.path, format: Int, value: "2".into() }, true, scene.ctx.limits) {
        return code;
    }
    effects.push(Effect::Scep(Box::new(scep)));
    200
}

/// What came of it: the thumbprint of the certificate, or an HRESULT. It is told in the next session.
pub(in crate::windows) fn scep_ended(
    tree: &mut Tree,
    id: &str,
    user: bool,
    outcome: Result<&str, i32>,
    scene: &Scene<'_>,
) {
    let (status, code, thumbprint) = match outcome {
        Ok(thumbprint) => ("1", 0, thumbprint),
        Err(code) => ("16", code, ""),
    };
    let shown = [("Status", Int, status), ("ErrorCode", Int, &*code.to_string()), ("CertThumbprint", Chr, thumbprint)];
    for (name, format, value) in shown {
        let leaf = Leaf { path: scep_node(id, user, name).path, format, value: value.into() };
        tree.show(leaf, true, scene.ctx.limits);
    }
    tree.alert(Alert {
        code: 1226,
        source: Some(scep_node(id, user, "Install").up(1).uri().into()),
        kind: "com.microsoft:mdm.SCEP".into(),
        format: "int".into(),
        mark: Some("informational".into()),
        data: code.to_string().into(),
    });
}

fn scep_node<'p>(id: &'p str, user: bool, name: &'static str) -> Place<'p> {
    let names = ["Vendor", "MSFT", "ClientCertificateInstall", "SCEP", id, name];
    Place::of(user, names.into_iter().map(Cow::Borrowed).collect())
}
