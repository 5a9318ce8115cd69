//! The JSON forms of types of protocol buffers (protobuf.dev, *ProtoJSON format*): an int64 is a string, a time is RFC
//! 3339 in UTC with 0, 3, 6 or 9 digits of a fraction, a duration is seconds with an `s`.

use droves_facts::{Dur, Wall};
use jiff::Timestamp;
use serde_json::Value;

/// A time or a duration is never longer.
const TEXT_BYTES_MAX: usize = 64;

/// An int64. A bare number makes strict clients refuse the whole answer.
pub fn int64(number: i64) -> Value {
    Value::from(number.to_string())
}

/// Reads an int64, which may come as a number too.
pub fn read_int64(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

/// A time, with as many digits as it needs. What lies outside of the years 1 to 9999, which the form has no spelling for,
/// becomes the nearest that it has.
pub fn timestamp(at: Wall) -> String {
    let at = at.0.clamp(SPELLABLE_US.0, SPELLABLE_US.1);
    let digits = match (at.rem_euclid(1_000_000), at.rem_euclid(1_000)) {
        (0, _) => 0,
        (_, 0) => 3,
        _ => 6,
    };
    Timestamp::from_microsecond(at).map(|at| format!("{at:.digits$}")).unwrap_or_default()
}

/// Reads a time, in whatever zone. Nanoseconds are cut to microseconds.
pub fn read_timestamp(text: &str) -> Option<Wall> {
    let at: Timestamp = Some(text).filter(|text| text.len() <= TEXT_BYTES_MAX)?.parse().ok()?;
    Some(Wall(at.as_nanosecond().div_euclid(1_000).try_into().ok()?))
}

/// A duration.
pub fn duration(dur: Dur) -> String {
    let (secs, us) = (dur.0 / 1_000_000, dur.0 % 1_000_000);
    match (us, us % 1_000) {
        (0, _) => format!("{secs}s"),
        (_, 0) => format!("{secs}.{:03}s", us / 1_000),
        _ => format!("{secs}.{us:06}s"),
    }
}

/// Reads a duration that is not negative, up to [`DURATION_SECS_MAX`]. Nanoseconds are cut to microseconds.
pub fn read_duration(text: &str) -> Option<Dur> {
    let number = Some(text).filter(|text| text.len() <= TEXT_BYTES_MAX)?.strip_suffix('s')?;
    let (secs, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(secs) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let secs: u64 = secs.parse().ok().filter(|secs| *secs <= DURATION_SECS_MAX)?;
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    Some(Dur::secs(secs) + Dur::us(nanos / 1_000))
}

/// About 10,000 years (`google/protobuf/duration.proto`).
pub const DURATION_SECS_MAX: u64 = 315_576_000_000;

/// From the year 1 to the end of 9999 (`google/protobuf/timestamp.proto`); the last second but some hours, which jiff keeps
/// for other zones.
const SPELLABLE_US: (i64, i64) = (-62_135_596_800_000_000, 253_402_207_199_999_999);

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(at) = read_timestamp(text).filter(|at| (SPELLABLE_US.0..=SPELLABLE_US.1).contains(&at.0)) {
        assert_eq!(read_timestamp(&timestamp(at)), Some(at));
    }
    if let Some(dur) = read_duration(text) {
        assert_eq!(read_duration(&duration(dur)), Some(dur));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_have_as_many_digits_as_they_need() {
        let check = |at: i64, text: &str| {
            assert_eq!(timestamp(Wall(at)), text);
            assert_eq!(read_timestamp(text), Some(Wall(at)));
        };
        check(1_764_035_118_000_000, "2025-11-25T01:45:18Z");
        check(1_764_035_118_900_000, "2025-11-25T01:45:18.900Z");
        check(1_764_035_118_000_001, "2025-11-25T01:45:18.000001Z");
        check(-1, "1969-12-31T23:59:59.999999Z");
        assert_eq!(read_timestamp("2025-11-25T02:45:18.123456789+01:00"), Some(Wall(1_764_035_118_123_456)));
        assert_eq!(timestamp(Wall(i64::MAX)), "9999-12-30T21:59:59.999999Z");
        assert_eq!(timestamp(Wall(i64::MIN)), "0001-01-01T00:00:00Z");
        for none in ["", "2025-11-25", "2025-11-25T25:00:00Z", "now", &"9".repeat(65)] {
            assert_eq!(read_timestamp(none), None, "{none}");
        }
    }

    #[test]
    fn durations_are_seconds_with_an_s() {
        let check = |us: u64, text: &str| {
            assert_eq!(duration(Dur(us)), text);
            assert_eq!(read_duration(text), Some(Dur(us)));
        };
        check(600_000_000, "600s");
        check(1_500_000, "1.500s");
        check(1, "0.000001s");
        assert_eq!(read_duration("0.1234567899s"), None, "more than nanoseconds");
        for none in ["600", "-1s", "s", ".5s", "1e3s", "315576000001s", "1.s"] {
            assert_eq!(read_duration(none), None, "{none}");
        }
    }

    #[test]
    fn a_long_number_is_a_string() {
        assert_eq!(int64(i64::MAX), Value::from("9223372036854775807"));
        assert_eq!(read_int64(&Value::from("-5")), Some(-5));
        assert_eq!(read_int64(&Value::from(7)), Some(7));
        assert_eq!(read_int64(&Value::from("7.5")), None);
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("google_value", target);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(at in SPELLABLE_US.0..=SPELLABLE_US.1, us in 0..=DURATION_SECS_MAX * 1_000_000) {
            prop_assert_eq!(read_timestamp(&timestamp(Wall(at))), Some(Wall(at)));
            prop_assert_eq!(read_duration(&duration(Dur(us))), Some(Dur(us)));
        }

        #[test]
        fn no_text_does_harm(text in "[0-9TZ:.+s-]{0,70}") {
            target(text.as_bytes());
        }
    }
}
