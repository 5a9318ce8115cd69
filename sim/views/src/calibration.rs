//! A calibration for people, and how near a run came to it.

use crate::figures::{count, percent};
use droves_measure::{Calibration, Machine, Near, OFFERS, Summary};

/// The table that `droves calibrate` prints.
pub fn calibration(calibration: &Calibration) -> String {
    let Machine { cpu, cores, system, kernel, architecture, droves, build } = &calibration.machine;
    let mut lines = vec![
        format!("{cpu}, {} cores, {system} {kernel} {architecture}, droves {droves} ({build})", cores_of(*cores)),
        format!("{:<16}{:>14}{:>12}{:>9}{:>12}", "", "a core-second", "each", "spread", "other end"),
    ];
    lines.extend(OFFERS.iter().filter_map(|row| {
        let cost = calibration.offers.get(row.name)?;
        Some(format!(
            "{:<16}{:>14}{:>12}{:>9}{:>12}  {}",
            row.name,
            count(cost.per_core_s().round() as u64),
            us(cost.us),
            percent(cost.spread()),
            if cost.other_end_us > 0.0 { us(cost.other_end_us) } else { "–".to_owned() },
            row.meaning
        ))
    }));
    lines.push(format!(
        "The machine has {} of these core-seconds in a second. What plays the server on the same machine takes from them.",
        cores_of(*cores)
    ));
    if build == "debug" {
        lines.push("This is a debug build: a release build offers several times as much.".to_owned());
    }
    lines.join("\n") + "\n"
}

/// How near a run came to what its machine can offer, or why that is not known: one sentence or two.
pub(crate) fn nearness(summary: &Summary) -> String {
    let Some(near) = &summary.generator.near else {
        return format!("Machine: {}.", summary.generator.not_calibrated.as_deref().unwrap_or("not calibrated"));
    };
    let Near { cores, priced_cpu_s, of_offered, busiest_of_offered, of_used, .. } = near;
    let busiest = near.busiest_second.map_or_else(String::new, |second| {
        format!(", {} in the busiest second ({second})", percent(*busiest_of_offered))
    });
    let parts = dearest(near).map_or_else(String::new, |parts| format!(", most of it {parts}"));
    format!(
        "Machine: {} of what its {} cores can offer{busiest}. What is priced took {priced_cpu_s:.1} s of processor by the \
         calibration, {} of what the run used{parts}.",
        percent(*of_offered),
        cores_of(*cores),
        percent(*of_used),
    )
}

/// The three kinds of work that cost most, with their part of what is priced.
fn dearest(near: &Near) -> Option<String> {
    let mut parts: Vec<_> = near.parts.iter().map(|(name, part)| (name, part.share / near.of_offered)).collect();
    parts.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let parts: Vec<String> = parts.iter().take(3).map(|(name, share)| format!("{name} {}", percent(*share))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A whole number of cores without a fraction.
fn cores_of(cores: f64) -> String {
    if cores.fract() == 0.0 { format!("{cores:.0}") } else { format!("{cores:.2}") }
}

/// Microseconds with three digits or more.
fn us(us: f64) -> String {
    let digits = if us < 10.0 { 2 } else { usize::from(us < 100.0) };
    format!("{us:.digits$} us")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use droves_measure::{Calibrated, Folds, Surroundings, Work};

    /// Everything costs a millisecond, on half a core more than one.
    fn measured() -> Calibration {
        let offers: Vec<String> = OFFERS
            .iter()
            .map(|row| {
                let cost = "{\"us\":1000.0,\"us_min\":900.0,\"us_max\":1100.0,\"rounds\":5,\"other_end_us\":7.5}";
                format!("\"{}\":{cost}", row.name)
            })
            .collect();
        let machine = "{\"cpu\":\"Abacus 3\",\"cores\":1.5,\"system\":\"linux\",\"kernel\":\"6.1\",\
             \"architecture\":\"x86_64\",\"droves\":\"0.1.0\",\"build\":\"debug\"}";
        let json = format!(
            "{{\"calibration_version\":1,\"measured\":\"2026-01-05T08:00:00Z\",\"quick\":false,\"machine\":{machine},\
             \"offers\":{{{}}}}}",
            offers.join(",")
        );
        let here = serde_json::from_str(machine).unwrap();
        match Calibration::read(json.as_bytes(), &here).unwrap() {
            Calibrated::Yes(calibration) => *calibration,
            Calibrated::No(why) => panic!("{why}"),
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_kind_of_work_and_names_a_debug_build() {
        let table = calibration(&measured());
        for row in OFFERS {
            let line = table.lines().find(|line| line.starts_with(&format!("{} ", row.name))).unwrap();
            let words: Vec<&str> = line.split_whitespace().take(7).collect();
            assert_eq!(words[1..], ["1,000", "1000", "us", "20%", "7.50", "us"], "{line}");
        }
        assert!(table.contains("1.50 cores") && table.contains("a debug build"), "{table}");
    }

    #[test]
    fn a_run_says_how_near_it_came_or_why_it_does_not_know() {
        let mut folds = Folds { timers: 600, ..Folds::default() };
        folds.counts.connections.opened = 300;
        let work = Work::of(&folds);
        let near = Near::of(&measured(), &work, [(2, work)], 6.0, 1.8);
        let around = Surroundings { near: Some(near), ..Surroundings::default() };
        assert_eq!(
            nearness(&Summary::of(&folds, &around)),
            "Machine: 10% of what its 1.50 cores can offer, 60% in the busiest second (2). What is priced took 0.9 s of \
             processor by the calibration, 50% of what the run used, most of it timer 67%, connect 33%."
        );
        let around = Surroundings { not_calibrated: Some("not calibrated: `x`".to_owned()), ..Surroundings::default() };
        assert_eq!(nearness(&Summary::of(&folds, &around)), "Machine: not calibrated: `x`.");
    }
}
