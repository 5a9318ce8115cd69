//! Figures for people: times in two or three digits, counts with their thousands apart.

/// A time in microseconds; a dash for none.
pub(crate) fn time(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), |us| droves_facts::Dur(us).to_string())
}

/// A count, its thousands apart.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share of 1 as per cent, whole from ten on.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

/// Minutes and seconds.
pub(crate) fn clock(time: droves_facts::Dur) -> String {
    let secs = time.0 / 1_000_000;
    format!("{:02}:{:02}", secs / 60, secs % 60)
}

/// Microseconds since 1970 as a date and a time, UTC.
pub fn utc(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| "unknown".to_owned(), |at| at.to_string())
}

/// Bytes in MB.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", count(bytes >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(time(None), "–");
        assert_eq!(time(Some(1_500)), "1.5ms");
        assert_eq!([0.0, 0.0234, 0.0999, 0.345, 1.2].map(percent), ["0.0%", "2.3%", "10%", "34%", "120%"]);
        assert_eq!(clock(droves_facts::Dur::secs(75)), "01:15");
    }
}
