//! What proves in `Cred` who one is (OMA-TS-DM-Security 1.2, 5.3).

use crate::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The data of MD5 credentials: over name and secret, and over that and the nonce. The nonce is raw; messages carry it in
/// base64.
pub fn md5(name: &str, secret: &str, nonce: &[u8]) -> String {
    let who = STANDARD.encode(digest::md5(format!("{name}:{secret}").as_bytes()));
    STANDARD.encode(digest::md5(&[who.as_bytes(), b":", nonce].concat()))
}

/// The data of basic credentials.
pub fn basic(name: &str, secret: &str) -> String {
    STANDARD.encode(format!("{name}:{secret}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first from OMA's own example (OMA-TS-DM-Security 1.2), the second by another's implementation.
    #[test]
    fn credentials_are_those_of_the_published_examples() {
        assert_eq!(md5("Bruce2", "OhBehave", b"Nonce"), "Zz6EivR3yeaaENcRN6lpAQ==");
        assert_eq!(md5("B5B954E81FBCB94EB79BD08BE625F4EE", "s3cret", b"nonce-0001"), "yWqS123WIPR2povHT2Bekw==");
        assert_eq!(basic("Bruce2", "OhBehave"), "QnJ1Y2UyOk9oQmVoYXZl");
    }
}
