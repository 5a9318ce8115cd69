//! The enrollment profile: the practice server's, or one with another way to an identity.

use crate::config::Way;
use droves_emulators::practice::{self, IDENTITY, heading};
use droves_wire::plist::Writer;

/// The topic of pushes.
pub(crate) const TOPIC: &str = "com.apple.mgmt.External.sim";

/// The profile of a server at this URL.
pub(crate) fn write(url: &str, identity: Way) -> Vec<u8> {
    if identity == Way::Scep {
        return practice::enrollment_profile(url, TOPIC, "challenge");
    }
    practice::enrollment_profile_with(url, TOPIC, |w| match identity {
        Way::Acme => acme(w, url),
        _ => pkcs12(w),
    })
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
