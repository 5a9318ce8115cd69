//! `CertificateList`: the device's identity, and what profiles brought.

use super::{Dict, Refusal, Scene, Then, Writer};
use droves_wire::x509;

/// `CertificateList`.
pub(super) fn list(_: &Dict, scene: &mut Scene<'_, '_>, w: &mut Writer<'_>) -> Result<Then, Refusal> {
    w.key("CertificateList").array(|w| {
        let brought = scene.lane.shared.profiles.iter().flat_map(|profile| &profile.certificates);
        for der in brought.take(scene.ctx.limits.profiles_max) {
            write(der, false, w);
        }
        if let Some(identity) = scene.ctx.identity {
            write(&identity.certificate, true, w);
        }
    });
    Ok(Then::Nothing)
}

fn write(der: &[u8], is_identity: bool, w: &mut Writer<'_>) {
    w.dict(|w| {
        w.key("CommonName").string(&x509::common_name(der).ok().flatten().unwrap_or_default());
        w.key("Data").data(der);
        w.key("IsIdentity").bool(is_identity);
    });
}
