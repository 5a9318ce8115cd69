//! Dates as XML property lists spell them: `2026-01-05T08:00:00Z`, whole seconds, UTC (the DTD: a subset of ISO 8601).

use droves_facts::Wall;

/// Reads a date. Fields out of range are refused, except that a minute may have a second 60, as ISO 8601 allows.
pub(super) fn parse(text: &str) -> Option<Wall> {
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if separators.iter().any(|&(at, c)| bytes[at] != c) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_i64, |n, &b| if b.is_ascii_digit() { Some(n * 10 + i64::from(b - b'0')) } else { None })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(Wall::from_secs(days_of(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second))
}

/// Writes a date. Years outside 0..=9999, which the format has no spelling for, become the nearest that it has.
pub fn format(at: Wall) -> String {
    let secs = at.secs().clamp(*SPELLABLE_SECS.start(), *SPELLABLE_SECS.end());
    let (days, second_of_day) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// From the first second of the year 0 to the last of 9999.
pub(super) const SPELLABLE_SECS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that the leap day is the
/// last of its year, in eras of 400 years (146,097 days).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The day of the Gregorian calendar that lies so many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * month_from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        let check = |text: &str, secs: i64| {
            assert_eq!(parse(text), Some(Wall::from_secs(secs)), "{text}");
            assert_eq!(format(Wall::from_secs(secs)), text);
        };
        check("1970-01-01T00:00:00Z", 0);
        check("2000-02-29T23:59:59Z", 951_868_799);
        check("2026-01-05T08:00:00Z", 1_767_600_000);
        check("1969-12-31T23:59:59Z", -1);
        check("0000-01-01T00:00:00Z", -62_167_219_200);
        check("9999-12-31T23:59:59Z", 253_402_300_799);
        assert_eq!(format(Wall(i64::MAX)), "9999-12-31T23:59:59Z");
        for bad in [
            "2026-13-05T08:00:00Z",
            "2026-01-05T24:00:00Z",
            "2026-01-05 08:00:00Z",
            "2026-1-5T8:0:0Z",
            "+026-01-05T08:00:00Z",
            "",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_eight_hundred_years_comes_back() {
        for days in -146_097..146_097 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }
}
