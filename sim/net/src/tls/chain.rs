//! A server's chain is verified once and remembered: a fleet meets the same few servers, and the chain is a quarter of
//! a handshake's cost.
//!
//! What is remembered is the SHA-256 of (server name, every certificate as sent, in order), for a bounded time and a
//! bounded number of chains. The handshake's signature is always checked: that the server holds the key is never
//! taken from memory. Only success is remembered. A chain that expires is noticed at most one memory span later.

use aws_lc_rs::digest;
use droves_facts::Dur;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The verifier: webpki's (RFC 5280 paths, RFC 6125 names), with a memory before it.
#[derive(Debug)]
pub struct RememberedChains {
    verifier: Arc<WebPkiServerVerifier>,
    known: Mutex<HashMap<[u8; 32], UnixTime>>,
    span_secs: u64,
    verified: AtomicU64,
    recalled: AtomicU64,
}

impl RememberedChains {
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>, span: Dur) -> Self {
        RememberedChains {
            verifier,
            known: Mutex::new(HashMap::new()),
            span_secs: span.0 / 1_000_000,
            verified: AtomicU64::new(0),
            recalled: AtomicU64::new(0),
        }
    }

    /// Chains verified in full, and chains taken from memory.
    pub fn counts(&self) -> (u64, u64) {
        (self.verified.load(Ordering::Relaxed), self.recalled.load(Ordering::Relaxed))
    }

    fn recall(&self, fingerprint: &[u8; 32], now: UnixTime) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(fingerprint).is_some_and(|&since| fresh(since, now, self.span_secs))
    }

    fn remember(&self, fingerprint: [u8; 32], now: UnixTime) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CHAINS_MAX {
            known.retain(|_, &mut since| fresh(since, now, self.span_secs));
        }
        if known.len() >= CHAINS_MAX {
            known.clear();
        }
        known.insert(fingerprint, now);
    }
}

impl ServerCertVerifier for RememberedChains {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let fingerprint = fingerprint(end_entity, intermediates, server_name);
        if self.recall(&fingerprint, now) {
            self.recalled.fetch_add(1, Ordering::Relaxed);
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        self.verified.fetch_add(1, Ordering::Relaxed);
        self.remember(fingerprint, now);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn fresh(since: UnixTime, now: UnixTime, span_secs: u64) -> bool {
    now.as_secs() >= since.as_secs() && now.as_secs() - since.as_secs() < span_secs
}

/// Every part is preceded by its length, so that no two lists of parts read the same.
fn fingerprint(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    server_name: &ServerName<'_>,
) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    part(server_name.to_str().as_bytes());
    part(end_entity);
    for certificate in intermediates {
        part(certificate);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// A fleet meets a handful of servers; each renews its certificate now and then.
const CHAINS_MAX: usize = 64;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn memory_ends_with_its_span_and_with_a_clock_set_back() {
        let check = |since, now, expected| {
            let at = |secs| UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
            assert_eq!(fresh(at(since), at(now), 300), expected, "{since} {now}");
        };
        check(1_000, 1_000, true);
        check(1_000, 1_299, true);
        check(1_000, 1_300, false);
        check(1_000, 999, false);
    }

    /// The same bytes cut elsewhere are another chain; so are the same certificates in another order.
    #[test]
    fn parts_do_not_run_into_each_other() {
        let name = |text: &'static str| ServerName::try_from(text).unwrap();
        let der = |bytes: &'static [u8]| CertificateDer::from(bytes);
        let of = |leaf, rest: &[&'static [u8]], host| {
            let rest: Vec<_> = rest.iter().map(|&bytes| der(bytes)).collect();
            fingerprint(&der(leaf), &rest, &name(host))
        };
        let first = of(b"ab", &[b"c", b"d"], "a.test");
        assert_eq!(first, of(b"ab", &[b"c", b"d"], "a.test"));
        for other in [
            of(b"a", &[b"bc", b"d"], "a.test"),
            of(b"ab", &[b"cd"], "a.test"),
            of(b"ab", &[b"d", b"c"], "a.test"),
            of(b"abcd", &[], "a.test"),
            of(b"ab", &[b"c", b"d"], "b.test"),
        ] {
            assert_ne!(first, other);
        }
    }
}
