//! MQTT 3.1.1 (OASIS, *MQTT Version 3.1.1*): where a packet ends.

/// Bytes of a packet.
pub const PACKET_BYTES_MAX: usize = 256 << 10;

/// What is wrong with a packet.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
pub enum MqttError {
    /// More than anybody sends.
    #[error("longer than {PACKET_BYTES_MAX} bytes")]
    TooLarge,
    /// A length that does not end.
    #[error("not the length of a packet")]
    Length,
}

/// Bytes of the first packet in a buffer; `None` while its end has not come.
pub fn first(buffer: &[u8]) -> Result<Option<usize>, MqttError> {
    let Some(rest) = buffer.get(1..) else { return Ok(None) };
    let mut length = 0;
    for (at, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let whole = 2 + at + length;
            return match whole {
                ..=PACKET_BYTES_MAX => Ok((whole <= buffer.len()).then_some(whole)),
                _ => Err(MqttError::TooLarge),
            };
        }
    }
    if rest.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err(MqttError::Length) }
}

/// Bytes of the *Remaining Length* (2.2.3).
const LENGTH_BYTES_MAX: usize = 4;
