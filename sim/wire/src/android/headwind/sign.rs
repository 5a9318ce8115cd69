//! Signatures: SHA-1 over the secret that all of a server's devices share and what is signed, in upper-case hexadecimal.
//! No key is behind it; a server checks it with `secure.enrollment` only, and an agent only if it was built so.

use crate::digest::sha1;

/// The secret of servers and agents that nobody has given another.
pub const SECRET: &str = "changeme-C3z9vi54";
/// User name at the broker.
pub const MQTT_USER: &str = "hmdm";

/// Of a request: over the number for the configuration; over the path for a poll, which the agent signs as it is encoded
/// and without the `/` before the project, and the server checks decoded and with it.
pub fn request(secret: &str, signed: &str) -> String {
    digest(&[secret.as_bytes(), signed.as_bytes()])
}

/// Whether it is a request's signature, in either case.
pub fn is_request(secret: &str, signed: &str, signature: &str) -> bool {
    request(secret, signed).eq_ignore_ascii_case(signature)
}

/// Of a request for a file: over what stands behind `/files/`. `None` for what lies elsewhere, and is not signed.
pub fn file(secret: &str, url: &str) -> Option<String> {
    url.split_once("/files/").map(|(_, path)| request(secret, path))
}

/// Of an answer: over its [`data`] without any blanks, not even those inside texts.
pub fn response(secret: &str, body: &[u8]) -> Option<String> {
    let packed: Vec<u8> = data(body)?.iter().copied().filter(|byte| !BLANKS.contains(byte)).collect();
    Some(digest(&[secret.as_bytes(), &packed]))
}

/// What stands between the first `"data":` and the last byte of an answer. `None` for a body that has no such thing.
pub fn data(body: &[u8]) -> Option<&[u8]> {
    let at = body.windows(DATA.len()).position(|window| window == DATA)? + DATA.len();
    body.get(at..body.len().checked_sub(1)?)
}

const DATA: &[u8] = b"\"data\":";
/// `\s` in a regular expression of Java.
const BLANKS: &[u8] = b" \t\n\x0b\x0c\r";

/// The password at the broker.
pub fn mqtt_password(secret: &str) -> String {
    digest(&[MQTT_USER.as_bytes(), secret.as_bytes()])
}

fn digest(parts: &[&[u8]]) -> String {
    hex::encode_upper(sha1(&parts.concat()))
}
