//! Rows as a table for a terminal, as Markdown for the docs, as JSON for whoever compares, and two of those compared.

use crate::harness::Row;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A ratio that is worse by more is a regression.
const WORSE: f64 = 1.05;

/// A file of figures.
#[derive(Serialize, Deserialize)]
struct File {
    /// Whether sizes were those of a quick run.
    quick: bool,
    rows: Vec<Row>,
}

pub(crate) fn text(rows: &[Row]) {
    println!("{:<90} {:>12} {:>12} {:>7} {:>7}", "", "ours", "floor", "ratio", "target");
    for row in rows {
        let Row { name, unit, ours, floor, target } = row;
        let verdict = if row.ratio() <= *target { "" } else { "  MISSED" };
        println!("{name:<90} {ours:>9.1} {unit:<2} {floor:>9.1} {unit:<2} {:>7.2} {target:>7.2}{verdict}", row.ratio());
    }
}

pub(crate) fn markdown(rows: &[Row]) {
    println!("| | ours | floor | ratio | to reach |\n| --- | ---: | ---: | ---: | ---: |");
    for row in rows {
        let Row { name, unit, target, .. } = row;
        let missed = if row.ratio() <= *target { "" } else { " **missed**" };
        let figure = |value: f64| format!("{} {unit}", grouped(value)).trim_end().to_owned();
        println!(
            "| {name} | {} | {} | {:.2}{missed} | {target:.2} |",
            figure(row.ours),
            figure(row.floor),
            row.ratio()
        );
    }
}

/// Three digits that count, or the whole number; thousands apart.
pub(crate) fn grouped(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 && value.fract() != 0.0 => 2,
        middle if middle < 100.0 && value.fract() != 0.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let digits = whole.len();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (digits - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    rest.map_or(grouped.clone(), |rest| format!("{grouped}.{rest}"))
}

pub(crate) fn json(rows: &[Row], quick: bool) {
    let file = File { quick, rows: rows.to_vec() };
    println!("{}", serde_json::to_string_pretty(&file).unwrap());
}

/// Holds rows against those of a file, ratio by ratio; whether none is worse.
pub(crate) fn compare(rows: &[Row], quick: bool, before: &Path) -> bool {
    let text = std::fs::read_to_string(before).unwrap_or_else(|why| panic!("{}: {why}", before.display()));
    let before: File = serde_json::from_str(&text).unwrap();
    if before.quick != quick {
        eprintln!("bench: a quick run and a whole one: sizes differ, and so may ratios");
    }
    let mut is_well = true;
    for row in rows {
        let Some(old) = before.rows.iter().find(|old| old.name == row.name) else {
            eprintln!("bench: new: {}", row.name);
            continue;
        };
        let change = row.ratio() / old.ratio();
        if change > WORSE {
            is_well = false;
            println!(
                "worse by {:.0} %: {}, {:.2} after {:.2}",
                (change - 1.0) * 100.0,
                row.name,
                row.ratio(),
                old.ratio()
            );
        }
    }
    is_well
}
