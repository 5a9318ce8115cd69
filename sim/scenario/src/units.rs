//! Values with a unit, as people write them. Each has one spelling, an example, and a pattern for editors.

use droves_facts::Dur;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;

/// A length of time: `250ms`, `1m30s`, `8h`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct Length(pub(crate) Dur);
/// How often: `500/s`, `20/m`, `3/h`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct Rate(pub(crate) f64);
/// A part of a whole: `20%`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct Share(pub(crate) f64);
/// How many of a population: `3 devices`, `20%`, `all`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Amount {
    /// So many.
    Devices(u32),
    /// This part.
    Share(f64),
}
/// Bytes a second: `256KB/s`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct Bandwidth(pub(crate) u64);

/// A time of day, in UTC: `03:00`, or `03:00+02:00` where it is two hours later.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(crate) struct TimeOfDay(pub(crate) Dur);

/// A way to write a value. `schema` says which one is wanted, by this name under [`UNIT`].
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    /// For messages: "a length of time such as `250ms`".
    pub(crate) meant: &'static str,
    pattern: &'static str,
    /// Whether a text is one.
    pub(crate) holds: fn(&str) -> bool,
}

/// The key in a JSON Schema that names the unit.
pub(crate) const UNIT: &str = "x-droves-unit";

/// All units.
pub(crate) const UNITS: &[Unit] = &[LENGTH, RATE, SHARE, AMOUNT, BANDWIDTH, TIME_OF_DAY];

const LENGTH: Unit = Unit {
    name: "length of time",
    meant: "a length of time such as `250ms`, `30s`, `1m30s` or `8h`",
    pattern: r"^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$",
    holds: |text| length(text).is_some(),
};
const RATE: Unit = Unit {
    name: "rate",
    meant: "a rate such as `500/s`, `20/m` or `3/h`",
    pattern: r"^[0-9][0-9_]*(\.[0-9]+)?/(s|m|h)$",
    holds: |text| rate(text).is_some(),
};
const SHARE: Unit = Unit {
    name: "share",
    meant: "a share such as `20%`, from 0% to 100%",
    pattern: r"^[0-9]+(\.[0-9]+)?%$",
    holds: |text| share(text).is_some(),
};
const AMOUNT: Unit = Unit {
    name: "amount",
    meant: "an amount such as `3 devices`, `20%` or `all`",
    pattern: r"^([0-9][0-9_]* devices?|[0-9]+(\.[0-9]+)?%|all)$",
    holds: |text| amount(text).is_some(),
};
const BANDWIDTH: Unit = Unit {
    name: "bandwidth",
    meant: "bytes a second such as `256KB/s` or `2MB/s`",
    pattern: r"^[0-9]+(B|KB|MB)/s$",
    holds: |text| bandwidth(text).is_some(),
};

const TIME_OF_DAY: Unit = Unit {
    name: "time of day",
    meant: "a time of day such as `\"03:00\"`, or `\"03:00+02:00\"` with the place's offset from UTC",
    pattern: r"^([01][0-9]|2[0-3]):[0-5][0-9]([+-](0[0-9]|1[0-4]):[0-5][0-9])?$",
    holds: |text| time_of_day(text).is_some(),
};

/// A number of digits, `_` between them, perhaps with a fraction; what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('.') {
        return None;
    }
    digits.replace('_', "").parse().ok().filter(|n: &f64| n.is_finite()).map(|n| (n, rest))
}

/// Parts such as `1h`, each unit smaller than the one before; up to a year.
fn length(text: &str) -> Option<Dur> {
    const UNITS: [(&str, f64); 6] = [("d", 864e8), ("h", 36e8), ("ms", 1e3), ("us", 1.0), ("m", 6e7), ("s", 1e6)];
    let (mut rest, mut total, mut last) = (text, 0.0, f64::MAX);
    while !rest.is_empty() {
        let (count, after) = number(rest)?;
        let (name, us) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        if *us >= last {
            return None;
        }
        (last, total) = (*us, total + count * us);
        rest = &after[name.len()..];
    }
    (!text.is_empty() && total <= 366.0 * 864e8).then_some(Dur(total.round() as u64))
}

fn rate(text: &str) -> Option<f64> {
    let (count, rest) = number(text)?;
    let seconds = match rest {
        "/s" => 1.0,
        "/m" => 60.0,
        "/h" => 3_600.0,
        _ => return None,
    };
    (count <= 10e6).then_some(count / seconds)
}

fn share(text: &str) -> Option<f64> {
    number(text).filter(|(count, rest)| *rest == "%" && *count <= 100.0).map(|(count, _)| count / 100.0)
}

fn amount(text: &str) -> Option<Amount> {
    if text == "all" {
        return Some(Amount::Share(1.0));
    }
    if let Some(share) = share(text) {
        return Some(Amount::Share(share));
    }
    let digits = text.strip_suffix(" devices").or_else(|| text.strip_suffix(" device"))?;
    digits.replace('_', "").parse().ok().map(Amount::Devices)
}

fn bandwidth(text: &str) -> Option<u64> {
    let (count, rest) = number(text)?;
    let bytes = match rest {
        "B/s" => 1.0,
        "KB/s" => 1e3,
        "MB/s" => 1e6,
        _ => return None,
    };
    (count >= 1.0 && count * bytes <= 1e12).then_some((count * bytes) as u64)
}

fn time_of_day(text: &str) -> Option<Dur> {
    let clock = |text: &str, hours_max: u64| {
        let (hours, minutes) = text.split_once(':')?;
        let two = |text: &str| {
            text.parse::<u64>().ok().filter(|_| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()))
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours <= hours_max && minutes < 60).then_some(hours * 60 + minutes)
    };
    let (time, zone) = text.split_at(text.find(['+', '-']).unwrap_or(text.len()));
    let time = clock(time, 23)?;
    let minutes = match zone.split_at_checked(1) {
        None => time,
        Some(("+", ahead)) => time + DAY_MINUTES - clock(ahead, 14)?,
        Some((_, behind)) => time + clock(behind, 14)?,
    };
    Some(Dur::secs(60 * (minutes % DAY_MINUTES)))
}

const DAY_MINUTES: u64 = 24 * 60;

macro_rules! units {
    ($($type:ident $unit:ident |$text:ident| $parse:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let $text = text.as_str();
                $parse.ok_or_else(|| de::Error::custom(format!("`{text}` is not {}", $unit.meant)))
            }
        }
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schemars::json_schema!({ "type": "string", "pattern": $unit.pattern, UNIT: $unit.name })
            }
        }
    )*};
}

units! {
    Length LENGTH |text| length(text).map(Length);
    Rate RATE |text| rate(text).map(Rate);
    Share SHARE |text| share(text).map(Share);
    Amount AMOUNT |text| amount(text);
    Bandwidth BANDWIDTH |text| bandwidth(text).map(Bandwidth);
    TimeOfDay TIME_OF_DAY |text| time_of_day(text).map(TimeOfDay);
}

/// A rate as people say it: `24/s`, `3.3/s`.
pub(crate) fn say_rate(per_second: f64) -> String {
    match per_second {
        r if r >= 100.0 => format!("{}/s", grouped(r.round() as u64)),
        r if r >= 1.0 => format!("{}/s", trimmed(r)),
        r => format!("{}/m", trimmed(r * 60.0)),
    }
}

/// A length of time as people say it: `34 min`, `1 h 5 min`, `90 s`.
pub(crate) fn say_length(length: Dur) -> String {
    let seconds = length.as_secs_f64();
    match seconds {
        s if s < 120.0 => format!("{} s", trimmed(s)),
        s if s < 7_200.0 => format!("{} min", (s / 60.0).round()),
        s if s < 172_800.0 => format!("{} h {} min", (s / 3_600.0).floor(), ((s % 3_600.0) / 60.0).floor()),
        s => format!("{} days", trimmed(s / 86_400.0)),
    }
}

/// A length of time as a scenario writes it, rounded up to what reads well.
pub(crate) fn write_length(length: Dur) -> String {
    let seconds = length.as_secs_f64();
    match seconds {
        s if s <= 120.0 => format!("{}s", s.ceil().max(1.0)),
        s if s <= 7_200.0 => format!("{}m", (s / 60.0).ceil()),
        s => format!("{}h", (s / 3_600.0).ceil()),
    }
}

/// A count with thousands set apart: `7,000`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let check = |text, wanted: Option<Dur>| assert_eq!(length(text), wanted, "{text}");
        check("250ms", Some(Dur::ms(250)));
        check("1m30s", Some(Dur::secs(90)));
        check("1.5h", Some(Dur::secs(5_400)));
        check("2d", Some(Dur::secs(172_800)));
        check("10us", Some(Dur(10)));
        for bad in ["", "5", "s", "5 s", "30s1m", "1m1m", "-5s", "1e3s", "1.s", "5min", "9999d", "nans"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_rest() {
        assert_eq!(rate("500/s"), Some(500.0));
        assert_eq!(rate("1_200/m"), Some(20.0));
        assert_eq!(rate("5"), None);
        assert_eq!(rate("5/d"), None);
        assert_eq!(share("12.5%"), Some(0.125));
        assert_eq!(share("101%"), None);
        assert_eq!(amount("3 devices"), Some(Amount::Devices(3)));
        assert_eq!(amount("1 device"), Some(Amount::Devices(1)));
        assert_eq!(amount("3"), None);
        assert_eq!(amount("all"), Some(Amount::Share(1.0)));
        assert_eq!(bandwidth("2MB/s"), Some(2_000_000));
        let hours = |text| time_of_day(text).map(|time| time.as_secs_f64() / 3_600.0);
        assert_eq!(hours("03:00"), Some(3.0));
        assert_eq!([hours("03:00+02:00"), hours("01:30+02:00"), hours("23:00-05:30")], [1.0, 23.5, 4.5].map(Some));
        for bad in ["", "3:00", "24:00", "03:60", "03", "03:00+15:00", "03:00+", "03:00Z", "+3:00", "03:00:00"] {
            assert_eq!(hours(bad), None, "{bad}");
        }
        assert_eq!(say_rate(3.333), "3.3/s");
        assert_eq!(say_rate(0.5), "30/m");
        assert_eq!(say_length(Dur::secs(2_040)), "34 min");
        assert_eq!(write_length(Dur::secs(2_041)), "35m");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
