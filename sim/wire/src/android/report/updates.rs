//! What gets newer by itself: applications, as the store has new versions of them, and Android, by a security patch a month.
//! How far a device has come follows from the time alone, so that two reports of different days differ and nothing is kept.

use droves_facts::{Dur, Wall};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// How many new versions of an application there have been, of the package of this number, for a device that takes each so
/// much later than the store has it. An application has its own pace, from a week to two months, and is at first what it is
/// where virtual time begins.
pub fn of_app(package: u64, late: Dur, at: Wall) -> u32 {
    let every = APP_DAYS_MIN + package % (APP_DAYS_MAX - APP_DAYS_MIN);
    // The first of them comes at any time after that.
    let lead = (package >> 8) % every;
    let us = u64::try_from((at - late).0.saturating_sub(Wall::VIRTUAL_START.0)).unwrap_or(0);
    u32::try_from((us / DAY.0 + if us > 0 { lead } else { 0 }) / every).unwrap_or(u32::MAX)
}

/// The security patch of a device that has each so much later than it is out: the day that it is called by. They are out on
/// the fifth of a month.
pub(super) fn patch(late: Dur, at: Wall) -> Date {
    let at = Timestamp::from_microsecond((at - late).0).unwrap_or_default();
    let today = at.to_zoned(TimeZone::UTC).date();
    // Up to the fourth it is that of the month before.
    let month = today.saturating_sub((PATCH_DAY - 1).days());
    month.first_of_month().saturating_add((PATCH_DAY - 1).days())
}

const DAY: Dur = Dur::secs(86_400);
const APP_DAYS_MIN: u64 = 7;
const APP_DAYS_MAX: u64 = 61;
const PATCH_DAY: i64 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::android::value::read_timestamp;

    #[test]
    fn patches_come_by_the_month_and_later_to_some() {
        let check = |at: &str, late_days: u64, expected: &str| {
            let at = read_timestamp(at).unwrap_or(Wall::VIRTUAL_START);
            assert_eq!(patch(DAY.times(late_days), at).to_string(), expected, "{at:?} {late_days}");
        };
        check("2026-01-05T00:00:00Z", 0, "2026-01-05");
        check("2026-01-04T23:59:59Z", 0, "2025-12-05");
        check("2026-03-31T12:00:00Z", 0, "2026-03-05");
        check("2026-03-31T12:00:00Z", 27, "2026-02-05");
        check("9999-12-30T00:00:00Z", 0, "9999-12-05");
    }

    #[test]
    fn applications_only_get_newer_each_at_its_pace() {
        let at = |days| Wall::VIRTUAL_START + DAY.times(days);
        for package in [0, 53, 0xFFFF_FFFF_FFFF, 0x1234_5678_9ABC] {
            let of_days: Vec<u32> = (0..=365).map(|day| of_app(package, Dur::ZERO, at(day))).collect();
            assert!(of_days.is_sorted() && of_days[0] == 0, "{of_days:?}");
            assert!((5..=53).contains(&of_days[365]), "{package}: {}", of_days[365]);
            let late: Vec<u32> = (0..=365).map(|day| of_app(package, DAY.times(3), at(day))).collect();
            assert_eq!((late[3], &late[4..]), (0, &of_days[1..=362]));
        }
        assert_eq!(of_app(7, Dur::ZERO, Wall(i64::MIN)), 0);
    }
}
