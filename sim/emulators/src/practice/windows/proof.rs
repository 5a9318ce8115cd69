//! Who a device is: by its certificate, by a signature, or by name and secret.

use super::Auth;
use crate::practice::exchange::{Incoming, Proof};
use crate::practice::house::House;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_wire::windows::syncml::{self, BASIC, Challenge, Credentials, MD5};
use droves_wire::{apple::signature, digest};

/// By what a device is known.
#[derive(Debug)]
pub(super) struct Account {
    current: Pair,
    /// Sent to the device, which has not used it yet.
    next: Option<Pair>,
    /// Raw.
    nonce: Vec<u8>,
    /// SHA-256 of the certificate that the present one takes the place of, as long as that has not been seen.
    pub(super) previous: Option<[u8; 32]>,
    /// It has been given another name and secret.
    pub(super) is_rekeyed: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Pair {
    name: String,
    secret: String,
}

impl Account {
    pub(super) fn new(name: &str, house: &mut House) -> Self {
        let current = Pair { name: name.to_owned(), secret: secret(house) };
        Account { current, next: None, nonce: house.fresh()[..16].to_vec(), previous: None, is_rekeyed: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.current.name
    }

    pub(super) fn secret(&self) -> &str {
        &self.current.secret
    }

    /// Base64, as messages carry it.
    pub(super) fn nonce_text(&self) -> String {
        STANDARD.encode(&self.nonce)
    }

    /// Draws another name and secret; both pairs are good until the device has used the new one.
    pub(super) fn rekey(&mut self, house: &mut House) -> (&str, &str) {
        self.is_rekeyed = true;
        let name = hex::encode_upper(&house.fresh()[..16]);
        let pair = self.next.insert(Pair { name, secret: secret(house) });
        (&pair.name, &pair.secret)
    }

    /// Whether these are good credentials of this kind.
    pub(super) fn accepts(&mut self, auth: Auth, shown: &Credentials<'_>) -> bool {
        let (kind, right): (_, &dyn Fn(&Pair) -> String) = match auth {
            Auth::Basic => (BASIC, &|pair| syncml::basic(&pair.name, &pair.secret)),
            _ => (MD5, &|pair| syncml::md5(&pair.name, &pair.secret, &self.nonce)),
        };
        // Compared by digest, so that the time says nothing.
        let is = |pair: &Pair| digest::sha256(right(pair).as_bytes()) == digest::sha256(shown.data.as_bytes());
        if shown.kind != kind {
            return false;
        }
        let (is_next, is_current) = (self.next.as_ref().is_some_and(is), is(&self.current));
        if is_next && let Some(next) = self.next.take() {
            self.current = next;
        }
        is_next || is_current
    }

    /// What a device without good credentials is asked for, with a nonce that it has not seen.
    pub(super) fn challenge(&mut self, auth: Auth, house: &mut House) -> Challenge<'static> {
        if auth == Auth::Basic {
            return Challenge { kind: BASIC.into(), next_nonce: None };
        }
        self.nonce = house.fresh()[..16].to_vec();
        Challenge { kind: MD5.into(), next_nonce: Some(self.nonce_text().into()) }
    }

    /// Whether the certificate with this digest is the device's. The one before is good until the new one is seen: the
    /// answer that carried that may have been lost.
    pub(super) fn has_shown(&mut self, shown: [u8; 32], enrolled: Option<[u8; 32]>) -> bool {
        if enrolled == Some(shown) {
            self.previous = None;
            return true;
        }
        self.previous == Some(shown)
    }
}

fn secret(house: &mut House) -> String {
    STANDARD.encode(&house.fresh()[..18])
}

/// The certificate that a request shows or is signed by, DER.
pub(super) fn shown(request: &Incoming<'_>, house: &House) -> Option<Vec<u8>> {
    match request.proof {
        Proof::Nothing => None,
        Proof::Vouched(certificate) => Some(certificate.to_vec()),
        Proof::Signature(header) => signature::verify(header, request.body, &house.limits).ok(),
    }
}
