//! The enrollment profile that the practice server hands out.

use droves_wire::plist::{self, Writer};

/// Every right that there is.
const RIGHTS: i64 = 8_191;

/// The profile for a server at `url` with this topic and this SCEP challenge.
pub fn write(url: &str, topic: &str, challenge: &str) -> Vec<u8> {
    write_with(url, topic, |w| scep(w, url, challenge))
}

/// The same with another payload by which devices get their identities. It ends with [`heading`], under [`IDENTITY`].
pub fn write_with(url: &str, topic: &str, identity: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    plist::write(&mut out, |w| {
        w.dict(|w| {
            w.key("PayloadContent").array(|w| {
                w.dict(identity);
                w.dict(|w| mdm(w, url, topic));
            });
            w.key("PayloadDisplayName").string("Droves practice server");
            heading(w, "Configuration", "com.github.droves.practice", "7C6A9F7E-3D0B-4C39-9E57-0A0B4C3D2E10");
        });
    });
    out
}

fn scep(w: &mut Writer<'_>, url: &str, challenge: &str) {
    w.key("PayloadContent").dict(|w| {
        w.key("Challenge").string(challenge);
        w.key("Key Type").string("RSA");
        w.key("Key Usage").integer(5);
        w.key("Keysize").integer(2_048);
        w.key("Name").string("droves");
        w.key("Subject").array(|w| {
            for (kind, value) in [("O", "Droves"), ("CN", "%SerialNumber%")] {
                w.array(|w| {
                    w.array(|w| {
                        w.string(kind);
                        w.string(value);
                    });
                });
            }
        });
        w.key("URL").string(&format!("{url}/scep"));
    });
    heading(w, "com.apple.security.scep", "com.github.droves.practice.scep", IDENTITY);
}

fn mdm(w: &mut Writer<'_>, url: &str, topic: &str) {
    w.key("AccessRights").integer(RIGHTS);
    w.key("CheckInURL").string(&format!("{url}/checkin"));
    w.key("CheckOutWhenRemoved").bool(true);
    w.key("IdentityCertificateUUID").string(IDENTITY);
    w.key("ServerCapabilities").array(|w| {
        w.string("com.apple.mdm.per-user-connections");
        w.string("com.apple.mdm.bootstraptoken");
    });
    w.key("ServerURL").string(&format!("{url}/mdm"));
    w.key("SignMessage").bool(true);
    w.key("Topic").string(topic);
    heading(w, "com.apple.mdm", "com.github.droves.practice.mdm", "2A1C7D0B-55D1-4A8F-8C61-7E2F8A9B0C11");
}

/// What every payload says of itself.
pub fn heading(w: &mut Writer<'_>, kind: &str, identifier: &str, uuid: &str) {
    w.key("PayloadIdentifier").string(identifier);
    w.key("PayloadType").string(kind);
    w.key("PayloadUUID").string(uuid);
    w.key("PayloadVersion").integer(1);
}

/// `PayloadUUID` of the payload that brings the identity.
pub const IDENTITY: &str = "CB90E976-AD44-4B69-8108-8095E6260978";
