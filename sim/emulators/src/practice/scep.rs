//! The server's SCEP service, by which Apple's devices get their identity and any device a further certificate.

use super::exchange::{Incoming, Outgoing, parameter};
use super::house::House;
use bytes::Bytes;
use droves_facts::Wall;
use droves_wire::apple::scep::FailInfo;
use droves_wire::apple::scep::server::{self, Verdict, Wanted};
use droves_wire::{digest, x509};

/// Who wants a certificate has to know the challenge.
#[derive(Debug)]
pub(super) struct Scep {
    pub(super) challenge: String,
}

impl Scep {
    pub(super) fn new(token: &str) -> Self {
        Scep { challenge: hex::encode(&digest::sha256(token.as_bytes())[..12]) }
    }

    pub(super) fn answer(&self, house: &mut House, wall: Wall, request: &Incoming<'_>) -> Outgoing {
        match parameter(request.query, "operation").unwrap_or_default().as_str() {
            "GetCACaps" => Outgoing::text(200, server::CAPABILITIES),
            "GetCACert" => {
                let certificate = Bytes::copy_from_slice(house.authority.certificate());
                Outgoing::new(200, "application/x-x509-ca-cert", certificate)
            }
            "PKIOperation" => {
                let message = match request.method {
                    "GET" => {
                        use base64::Engine;
                        let text = parameter(request.query, "message").unwrap_or_default();
                        base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
                    }
                    _ => request.body.to_vec(),
                };
                match self.issue(house, wall, &message) {
                    Ok(reply) => Outgoing::new(200, "application/x-pki-message", reply),
                    Err(why) => Outgoing::text(400, why),
                }
            }
            _ => Outgoing::text(400, "no such operation"),
        }
    }

    fn issue(&self, house: &mut House, wall: Wall, message: &[u8]) -> Result<Vec<u8>, String> {
        let received = server::open(message, &house.authority, &house.limits).map_err(|error| error.to_string())?;
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&house.fresh()[..16]);
        let authority = house.authority.clone();
        let reply = |verdict: Verdict<'_>| {
            server::reply(&received, verdict, &authority, nonce).map_err(|error| error.to_string())
        };
        let Wanted::Issue(csr) = &received.what else { return reply(Verdict::Failed(&FailInfo::BadCertId)) };
        // A renewal is signed by an identity of ours; anybody else has to know the challenge.
        let is_renewal = x509::verify(&received.signer, authority.certificate()).is_ok();
        if !is_renewal && csr.challenge.as_deref() != Some(&self.challenge) {
            return reply(Verdict::Failed(&FailInfo::BadRequest));
        }
        let certificate = house.certify(&csr.common_name, &csr.spki, wall)?;
        reply(Verdict::Issued(&certificate))
    }
}
