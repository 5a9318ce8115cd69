//! Base64 as the field writes it.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The bytes of base64 with blanks anywhere: some wrap it at 64 columns, some indent it.
pub(crate) fn base64(text: impl Into<Vec<u8>>) -> Option<Vec<u8>> {
    let mut packed = text.into();
    packed.retain(|b| !b.is_ascii_whitespace());
    BASE64.decode(packed).ok()
}

/// Servers differ in whether they pad; stray bits behind the last byte are not worth a refusal either.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
