//! The enrollment profile: the practice server's, or one with another way to an identity.

use crate::config::Way;
use droves_emulators::practice;
use droves_wire::plist::{self, Writer};

/// The topic of pushes.
pub(crate) const TOPIC: &str = "com.apple.mgmt.External.sim";
const IDENTITY: &str = "CB90E976-AD44-4B69-8108-8095E6260978";

/// The profile of a server at this URL.
pub(crate) fn write(url: &str, identity: Way) -> Vec<u8> {
    if identity == Way::Scep {
        return practice::enrollment_profile(url, TOPIC, "challenge");
    }
    let mut out = Vec::new();
    plist::write(&mut out, |w| {
        w.dict(|w| {
            w.key("PayloadContent").array(|w| {
                w.dict(|w| match identity {
                    Way::Acme => acme(w, url),
                    _ => pkcs12(w),
                });
                w.dict(|w| mdm(w, url));
            });
            heading(w, "Configuration", "com.github.droves.practice", "7C6A9F7E-3D0B-4C39-9E57-0A0B4C3D2E10");
        });
    });
    out
}

fn acme(w: &mut Writer<'_>, url: &str) {
    w.key("Attest").bool(true);
    w.key("ClientIdentifier").string("%SerialNumber%");
    w.key("DirectoryURL").string(&format!("{url}/acme/directory"));
    w.key("HardwareBound").bool(true);
    w.key("KeySize").integer(256);
    w.key("KeyType").string("ECSECPrimeRandom");
    w.key("Subject").array(|w| {
        w.array(|w| {
            w.array(|w| {
                w.string("CN");
                w.string("%SerialNumber%");
            });
        });
    });
    heading(w, "com.apple.security.acme", "com.github.droves.acme", IDENTITY);
}

/// Nobody opens it: what comes of it is made up.
fn pkcs12(w: &mut Writer<'_>) {
    w.key("Password").string("secret");
    w.key("PayloadContent").data(b"pkcs12");
    heading(w, "com.apple.security.pkcs12", "com.github.droves.pkcs12", IDENTITY);
}

fn mdm(w: &mut Writer<'_>, url: &str) {
    w.key("AccessRights").integer(8_191);
    w.key("CheckInURL").string(&format!("{url}/checkin"));
    w.key("CheckOutWhenRemoved").bool(true);
    w.key("IdentityCertificateUUID").string(IDENTITY);
    w.key("ServerCapabilities").array(|w| {
        w.string("com.apple.mdm.per-user-connections");
        w.string("com.apple.mdm.bootstraptoken");
    });
    w.key("ServerURL").string(&format!("{url}/mdm"));
    w.key("SignMessage").bool(true);
    w.key("Topic").string(TOPIC);
    heading(w, "com.apple.mdm", "com.github.droves.practice.mdm", "2A1C7D0B-55D1-4A8F-8C61-7E2F8A9B0C11");
}

fn heading(w: &mut Writer<'_>, kind: &str, identifier: &str, uuid: &str) {
    w.key("PayloadIdentifier").string(identifier);
    w.key("PayloadType").string(kind);
    w.key("PayloadUUID").string(uuid);
    w.key("PayloadVersion").integer(1);
}
