//! The table of what a machine is asked for: the kinds of work that `droves calibrate` measures and that a run is
//! priced by. The table, the file, the summary and the docs all read it.

/// One row of [`OFFERS`].
#[derive(Clone, Copy, Debug)]
pub struct OfferInfo {
    /// The offer itself; row `n` holds offer `n`.
    pub offer: Offer,
    /// Name in files.
    pub name: &'static str,
    /// What one of it is, for people.
    pub meaning: &'static str,
}

macro_rules! offers {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A kind of work that a machine can do so often a core-second. See [`OFFERS`].
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Offer { $(#[doc = $meaning] $variant,)* }

        /// Every offer, in the order in which tables show them.
        pub const OFFERS: &[OfferInfo] = &[
            $(OfferInfo { offer: Offer::$variant, name: $name, meaning: $meaning },)*
        ];
    };
}

// Sessions are there to show that handshake and requests add up to them: no run is priced by them.
offers! {
    Connect "connect" "A TCP connection opened and closed, without TLS.";
    Handshake "handshake" "The same with a full TLS 1.3 handshake, no certificate of the client's.";
    HandshakeP256 "handshake_p256" "The same with a client certificate, P-256.";
    HandshakeRsa "handshake_rsa" "The same with a client certificate, RSA-2048.";
    Request "request" "A request of 400 bytes on an open connection, 16 connections in turn.";
    SessionP256 "session_p256" "A session: handshake with a P-256 certificate, three requests.";
    SessionRsa "session_rsa" "A session: handshake with an RSA-2048 certificate, three requests.";
    SignP256 "sign_p256" "An Mdm-Signature of 1,200 bytes, P-256.";
    SignRsa "sign_rsa" "An Mdm-Signature of 1,200 bytes, RSA-2048.";
    Scep "scep" "A SCEP request built and signed, and its reply opened, RSA-2048.";
    Push "push" "A push taken by the emulated APNs, 16 connections in turn.";
    Timer "timer" "A timer of a shard fired and set again, its lane's record touched.";
}

impl Offer {
    /// This offer's row.
    pub fn info(self) -> &'static OfferInfo {
        &OFFERS[self as usize]
    }
    /// Name in files.
    pub fn name(self) -> &'static str {
        self.info().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_offer_and_names_are_unique() {
        for (n, row) in OFFERS.iter().enumerate() {
            assert_eq!(row.offer as usize, n);
            assert_eq!(OFFERS.iter().filter(|other| other.name == row.name).count(), 1);
            assert!(row.meaning.ends_with('.'), "{}", row.name);
        }
    }
}
