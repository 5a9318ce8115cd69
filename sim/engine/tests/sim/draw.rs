//! Configurations out of a seed. Every seed draws first which troubles it has at all: a trouble among few others finds
//! what it would not find among all of them.

mod agents;

use crate::config::{Config, Crash, Fault, Other, Phase, Population, Way};
use droves_facts::{Dice, Philox, Purpose};

/// The configuration of a seed.
pub(crate) fn draw(seed: u64) -> Config {
    let mut dice = Drawn(Dice::new(seed).draw(0, Purpose::Model, 0));
    let mut beside = Drawn(Dice::new(seed).draw(1, Purpose::Model, 0));
    let (has_store, is_minted, has_new_tokens) = (beside.chance(10), beside.chance(7), beside.chance(7));
    let mut aside = Drawn(Dice::new(seed).draw(2, Purpose::Model, 0));
    let has_agents = !is_minted && aside.chance(30);
    let has_fcm = has_agents && aside.chance(50);
    let mut populations = populations(&mut dice);
    let mut steps = steps(&mut dice, &populations, is_minted, has_new_tokens);
    if has_agents {
        agents::join(&mut aside, &mut populations, &mut steps);
    }
    let is_calm = dice.chance(15);
    let names: Vec<String> = steps.iter().flatten().map(|phase| phase.name.clone()).collect();
    let mut faults = Vec::new();
    let mut crashes = Vec::new();
    if !is_calm {
        let most = dice.below(5);
        faults.extend((0..most).map(|_| fault(&mut dice, &names, &populations)));
        if dice.chance(50) {
            crashes.extend((0..dice.between(1, 3)).map(|_| crash(&mut dice)));
        }
    }
    let mut other = other(&mut dice, is_calm);
    if !is_calm && has_new_tokens {
        other.pushes_old = beside.between(1, 60) as u32;
    }
    if !is_calm && has_agents && aside.chance(40) {
        other.links_cut = aside.between(1, 20) as u32;
    }
    // A link is a session too, and has no end.
    let linked = |of: &Population| if of.is.contains("managed_by: agent") { of.count as usize } else { 0 };
    let links: usize = populations.iter().map(linked).sum();
    let room = dice.chance(30).then(|| dice.between(1, 6) as usize + links);
    let on_overload = dice.of(&["catch_up", "merge", "drop"]).to_owned();
    let again = dice.chance(30);
    Config { seed, populations, steps, faults, other, crashes, has_store, is_minted, has_fcm, room, on_overload, again }
}

struct Drawn(Philox);

impl Drawn {
    fn below(&mut self, n: u64) -> u64 {
        self.0.below(n)
    }
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
    /// A number from 1, small ones as often as each greater size.
    fn size(&mut self, most: u64) -> u64 {
        let bits = self.below(u64::from(u64::BITS - most.leading_zeros())) + 1;
        self.between(1, (1 << bits) - 1).min(most)
    }
}

fn populations(dice: &mut Drawn) -> Vec<Population> {
    let mut kinds = vec![("phones", "ios"), ("tablets", "ipados"), ("laptops", "macos"), ("desktops", "macos")];
    let many = dice.between(1, 3);
    let mut all = Vec::new();
    for _ in 0..many {
        let (name, platform) = kinds.remove(dice.below(kinds.len() as u64) as usize);
        let mut is = format!("platform: {platform}");
        if platform == "macos" && dice.chance(70) {
            is += &format!(", users: {}", dice.between(1, 2));
        }
        let mut behaviours = Vec::new();
        if dice.chance(30) {
            behaviours.push(format!(
                "{{ locked: {{ share: {}%, spell: {}s }} }}",
                dice.between(5, 80),
                dice.between(5, 900)
            ));
        }
        if dice.chance(20) {
            behaviours.push(format!("{{ slow: {{ factor: {} }} }}", dice.between(2, 20)));
        }
        if !behaviours.is_empty() {
            is += &format!(", behaviour: [ {} ]", behaviours.join(", "));
        }
        is += &format!(", retry: {}", dice.of(&["as_platform", "flat", "capped", "jittered"]));
        if dice.chance(40) {
            is += &format!(", reenroll: {}s", dice.between(1, 600));
        }
        all.push(Population { name: name.to_owned(), count: dice.size(7) as u32, is });
    }
    all
}

fn steps(dice: &mut Drawn, populations: &[Population], is_minted: bool, has_new_tokens: bool) -> Vec<Vec<Phase>> {
    let mut number = 0;
    let mut named = |dice: &mut Drawn, what: &str| {
        number += 1;
        phase(dice, what, number, populations)
    };
    let mut steps = vec![vec![named(dice, if is_minted { "check_in" } else { "enroll" })]];
    for _ in 0..dice.between(1, 4) {
        let side_by_side = if dice.chance(40) { dice.between(2, 3) } else { 1 };
        let any = |dice: &mut Drawn| {
            dice.of(&[
                "check_in", "check_in", "command", "command", "command", "push", "renew", "renew", "enroll",
                "unenroll", "wait",
            ])
        };
        steps.push(
            (0..side_by_side)
                .map(|_| {
                    let what = any(dice);
                    named(dice, what)
                })
                .collect(),
        );
    }
    if has_new_tokens {
        steps.push(vec![named(dice, "enroll")]);
        let does = format!("push: {{ who: all, arrivals: {{ rate: 2/s }} }}, for: {}s", dice.between(10, 60));
        steps.push(vec![Phase { name: "push_again".to_owned(), does }]);
    }
    steps
}

fn phase(dice: &mut Drawn, what: &str, number: u32, populations: &[Population]) -> Phase {
    let name = format!("{what}_{number}");
    if what == "wait" {
        return Phase { name, does: format!("wait: {}s", dice.size(1_200)) };
    }
    let who = match dice.below(3) {
        0 => populations[dice.below(populations.len() as u64) as usize].name.clone(),
        _ => "all".to_owned(),
    };
    let mut parts = format!("who: {who}");
    if matches!(what, "check_in" | "push" | "command") && dice.chance(30) {
        parts += ", channel: both";
    }
    let length = dice.between(5, 900);
    let arrivals = match dice.below(if matches!(what, "check_in" | "push") { 6 } else { 5 }) {
        0 => "at_once".to_owned(),
        1 => format!("{{ rate: {}/m }}", dice.between(60, 600)),
        2 => format!("{{ poisson: {}/m }}", dice.between(60, 600)),
        3 => format!("{{ ramp: {{ from: 1/s, to: {}/m, over: {}s }} }}", dice.between(60, 300), dice.between(5, 60)),
        4 => format!("{{ spike: {{ peak: {}s, within: {}s }} }}", length / 2, length / 2 + 1),
        _ => format!("{{ each: {{ every: {}s, jitter: {}s }} }}", dice.between(30, 300), dice.between(0, 10)),
    };
    parts += &format!(", arrivals: {arrivals}");
    let is_spike = arrivals.contains("spike");
    if what == "command" {
        parts += &command(dice);
        let takes_it_away = ["Restart", "ShutDown", "Lock"].iter().any(|word| parts.contains(word));
        if !is_spike && !takes_it_away && !arrivals.contains("at_once") && dice.chance(30) {
            parts += &format!(", repeat: {}", dice.between(2, 3));
        }
    }
    let until = match what {
        "enroll" => "enrolled: 100%",
        "command" => "accepted: 100%",
        _ => "done: 100%",
    };
    // Of commands that end with a length there would be no end.
    let has_length = what == "push" || arrivals.contains("each") || (what != "command" && dice.chance(40));
    let end = if is_spike || has_length {
        format!("for: {length}s")
    } else {
        format!("until: {{ {until}, within: {}s }}", dice.between(180, 1_200))
    };
    Phase { name, does: format!("{what}: {{ {parts} }}, {end}") }
}

fn command(dice: &mut Drawn) -> String {
    let requests = [
        "DeviceInformation",
        "SecurityInfo",
        "ProfileList",
        "CertificateList",
        "InstalledApplicationList",
        "DeviceLock",
        "RestartDevice",
        "ShutDownDevice",
        "DeclarativeManagement",
        "ManagedApplicationList",
    ];
    let request = match dice.below(10) {
        0 | 1 => "EraseDevice".to_owned(),
        2 => "RemoveProfile, with: { Identifier: com.github.droves.practice }".to_owned(),
        3 => "InstallApplication, with: { iTunesStoreID: 361309726, ManagementFlags: 1 }".to_owned(),
        _ => dice.of(&requests).to_owned(),
    };
    let push = if dice.chance(70) { ", push: true" } else { "" };
    // Longer than until all is well and every channel has connected: what is not delivered by then is lost.
    format!(", request: {request}{push}, deadline: 12h")
}

fn fault(dice: &mut Drawn, phases: &[String], populations: &[Population]) -> Fault {
    let what = match dice.below(16) {
        0 => "network: refused".to_owned(),
        1 | 2 => "network: reset".to_owned(),
        3 => format!("network: {{ latency: {{ fixed: {}ms }} }}", dice.size(30_000)),
        4 => format!("network: {{ bandwidth: {}KB/s }}", dice.size(64)),
        5 => "push: lost".to_owned(),
        6 => format!("push: {{ answer: {} }}", dice.of(&["410", "500", "429"])),
        7 | 8 => {
            format!("server: {{ answer: {} }}", dice.of(&["500", "503", "502", "400", "401", "404", "403", "429"]))
        }
        9 => format!("server: {{ slow: {{ uniform: {{ from: 100ms, to: {}ms }} }} }}", 100 + dice.size(120_000)),
        10 | 11 => "server: hang_up".to_owned(),
        12 => "server: lose_command".to_owned(),
        13 => "server: repeat_command".to_owned(),
        14 => "server: misdeliver_command".to_owned(),
        _ => "server: forget_push".to_owned(),
    };
    let mut is = what;
    if !is.starts_with("network") && dice.chance(30) {
        is += &format!(", nth: {}", dice.size(30));
    } else {
        is += &format!(", share: {}%", dice.between(1, 60));
    }
    if dice.chance(30) {
        is += &format!(", who: {}", populations[dice.below(populations.len() as u64) as usize].name);
    }
    if dice.chance(40) {
        is += &format!(", after: {}s, for: {}s", dice.size(60), dice.size(600));
    }
    Fault { during: phases[dice.below(phases.len() as u64) as usize].clone(), is }
}

fn other(dice: &mut Drawn, is_calm: bool) -> Other {
    let mut other = Other {
        identity: [Way::Scep, Way::Acme, Way::Pkcs12][dice.below(3) as usize],
        service_us: dice.size(300_000),
        is_exponential: dice.chance(50),
        workers: dice.chance(50).then(|| dice.between(1, 8) as usize),
        round_trip_ms: dice.size(500),
        bytes_per_s: dice.chance(30).then(|| dice.between(2_000, 1_000_000)),
        push_ms: dice.size(5_000),
        save_ms: dice.below(2) * dice.size(3_000),
        make_ms: dice.size(200),
        ..Other::default()
    };
    if is_calm {
        return other;
    }
    let some = |dice: &mut Drawn, most: u64| if dice.chance(25) { dice.between(1, most) as u32 } else { 0 };
    other.failures = some(dice, 40);
    other.connects_lost = some(dice, 30);
    other.answers_lost = some(dice, 30);
    other.pushes_late = some(dice, 60);
    other.pushes_twice = some(dice, 60);
    other.pushes_stale = some(dice, 60);
    other.queue = (other.workers.is_some() && dice.chance(30)).then(|| dice.below(5) as usize);
    if dice.chance(20) {
        let from = dice.size(1_200);
        other.outage_s = Some(from..from + dice.size(900));
    }
    other
}

fn crash(dice: &mut Drawn) -> Crash {
    Crash { after: dice.size(511), down_s: dice.below(2) * dice.size(900), kept: dice.of_percent() }
}

impl Drawn {
    /// None, all, or some.
    fn of_percent(&mut self) -> u32 {
        match self.below(3) {
            0 => 0,
            1 => 100,
            _ => 50,
        }
    }
}
