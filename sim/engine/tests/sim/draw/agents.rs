//! Devices with an agent of the server's own, and what happens to them: alone, or beside others.

use super::Drawn;
use crate::config::{Phase, Population};

/// What a configuration sets.
const CONFIGURATIONS: [&str; 8] = [
    "kioskMode: true, mainApp: com.hmdm.kiosk",
    "kioskMode: false",
    "pushOptions: polling",
    "pushOptions: mqttWorker, keepaliveTime: 60",
    "pushOptions: mqttAlarm, keepaliveTime: 900",
    "applications: [ { name: One, pkg: com.example.one, version: '1.0', url: /hmdm/files/one-1.0.apk } ]",
    "applications: [ { name: One, pkg: com.example.one, version: '1.2', url: /hmdm/files/one-1.2.apk }, \
     { name: Two, pkg: com.example.two, version: '3', url: /hmdm/files/two-3.apk} ]",
    "files: [ { path: /sdcard/list.txt, url: /hmdm/files/list.txt, lastUpdate: 1700000000000 } ]",
];
/// What a message asks.
const MESSAGES: [&str; 8] = [
    "configUpdated",
    "configUpdated",
    "reboot",
    "runApp, with: { pkg: com.hmdm.kiosk }",
    "exitKiosk",
    "uninstallApp, with: { pkg: com.hmdm.pager }",
    "uninstallApp, with: { pkg: com.example.one }",
    "deleteFile, with: { path: /sdcard/list.txt }",
];

/// Adds them to a configuration that has others, or puts them in the place of those.
pub(super) fn join(dice: &mut Drawn, populations: &mut Vec<Population>, steps: &mut Vec<Vec<Phase>>) {
    if dice.chance(50) {
        populations.clear();
        steps.clear();
    }
    for phase in steps.iter_mut().flatten().filter(|phase| says_nothing_to_agents(&phase.does)) {
        phase.does = phase.does.replace("who: all", &format!("who: {}", everyone(populations)));
    }
    let mine: Vec<Population> =
        ["tills", "kiosks"][..dice.between(1, 2) as usize].iter().map(|name| population(dice, name)).collect();
    let mut number = 0;
    let mut phases = vec![vec![phase(dice, "enroll", &mut number, &mine)]];
    for _ in 0..dice.between(1, 4) {
        let side_by_side = if dice.chance(30) { 2 } else { 1 };
        let step = (0..side_by_side).map(|_| {
            let what = dice.of(&[
                "configuration",
                "configuration",
                "configuration",
                "message",
                "message",
                "check_in",
                "enroll",
                "unenroll",
                "wait",
            ]);
            phase(dice, what, &mut number, &mine)
        });
        phases.push(step.collect());
    }
    for (n, mut step) in phases.into_iter().enumerate() {
        match steps.get_mut(n) {
            Some(beside) => beside.append(&mut step),
            None => steps.push(step),
        }
    }
    populations.extend(mine);
}

/// Whether it is a phase that no agent can be in.
fn says_nothing_to_agents(does: &str) -> bool {
    ["command:", "push:", "renew:", "channel:"].iter().any(|word| does.contains(word))
}

/// All devices of these populations, as a scenario says it.
fn everyone(populations: &[Population]) -> String {
    let all: Vec<String> = populations.iter().map(|population| format!("{}: 100%", population.name)).collect();
    format!("{{ {} }}", all.join(", "))
}

fn population(dice: &mut Drawn, name: &str) -> Population {
    let mut is = "platform: android, managed_by: agent".to_owned();
    let mut behaviours = Vec::new();
    if dice.chance(20) {
        behaviours.push(format!("{{ slow: {{ factor: {} }} }}", dice.between(2, 20)));
    }
    if dice.chance(20) {
        behaviours.push("{ doze: {} }".to_owned());
    }
    if dice.chance(15) {
        behaviours.push(format!("{{ metered: {{ share: {}% }} }}", dice.between(5, 80)));
    }
    if !behaviours.is_empty() {
        is += &format!(", behaviour: [ {} ]", behaviours.join(", "));
    }
    is += &format!(", retry: {}", dice.of(&["as_platform", "flat", "capped", "jittered"]));
    Population { name: name.to_owned(), count: dice.size(5) as u32, is }
}

fn phase(dice: &mut Drawn, what: &str, number: &mut u32, mine: &[Population]) -> Phase {
    *number += 1;
    let name = format!("agents_{what}_{number}");
    let length = dice.between(5, 900);
    if what == "wait" {
        return Phase { name, does: format!("wait: {length}s") };
    }
    let who = match dice.below(2) {
        0 => mine[dice.below(mine.len() as u64) as usize].name.clone(),
        _ => everyone(mine),
    };
    let arrivals = match dice.below(3) {
        0 => "at_once".to_owned(),
        1 => format!("{{ rate: {}/m }}", dice.between(60, 600)),
        _ => format!("{{ poisson: {}/m }}", dice.between(60, 600)),
    };
    let parts = format!("who: {who}, arrivals: {arrivals}");
    let within = dice.between(180, 1_200);
    let does = match what {
        "configuration" => {
            // No two are the same: one that comes again is known by the name that it had before.
            let set = format!("title: {name}, {}", dice.of(&CONFIGURATIONS));
            let command = format!("command: {{ {parts}, configuration: {{ {set} }}, deadline: 12h }}");
            format!("{command}, until: {{ accepted: 100%, within: {within}s }}")
        }
        // No more than a device can have waiting for it that is busy.
        "message" => {
            let (rate, length) = (dice.between(1, 3), dice.between(5, 240));
            let parts = format!("who: {who}, arrivals: {{ rate: {rate}/m }}");
            format!("command: {{ {parts}, message: {} }}, for: {length}s", dice.of(&MESSAGES))
        }
        "enroll" => format!("enroll: {{ {parts} }}, until: {{ enrolled: 100%, within: {within}s }}"),
        _ => format!("{what}: {{ {parts} }}, until: {{ done: 100%, within: {within}s }}"),
    };
    Phase { name, does }
}
