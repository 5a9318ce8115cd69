//! What the field has for HTTP: wrk and h2load, each with sixteen connections that ask one thing after the other, at the same
//! sink. They show no certificate, verify none, and have no device.

use crate::harness::{Ground, begins, medians};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::path::Path;
use std::process::{Command, Stdio};

/// Sends what the bare client sends.
const SCRIPT: &str = "wrk.method = \"PUT\"\nwrk.body = string.rep(\"x\", 400)\n";

/// A program's name, its package, what a request of it may cost at most of one of ours (1.5 of the bare client's 10 us, to
/// what the target was made with), and a run of it: how many requests there were.
type Peer = (&'static str, &'static str, f64, fn(&Ground, &Path) -> f64);

const PEERS: [Peer; 2] = [("wrk", "wrk", 15.0 / 9.9, wrk), ("h2load", "nghttp2-client", 15.0 / 12.2, h2load)];

/// Of each that is installed its name, the microseconds of a request, and the ratio to reach.
pub(crate) fn requests(ground: &Ground) -> Vec<(&'static str, f64, f64)> {
    let dir = tempfile::tempdir().unwrap();
    let is_there = |(name, package, ..): &&Peer| {
        let found = Command::new(name).arg("--version").output().is_ok();
        if !found {
            begins(&format!("{name} is left out: it is not installed (apt: {package})"));
        }
        found
    };
    let measured = PEERS.iter().filter(is_there).map(|(name, _, target, run)| {
        begins(name);
        let [each] = medians(ground.scale.rounds, || {
            let before = children_s();
            let requests = run(ground, dir.path());
            [(children_s() - before) * 1e6 / requests]
        });
        (*name, each, *target)
    });
    measured.collect()
}

fn wrk(ground: &Ground, dir: &Path) -> f64 {
    let script = dir.join("put.lua");
    std::fs::write(&script, SCRIPT).unwrap();
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c16", &format!("-d{}s", ground.scale.seconds), "-s"]).arg(script);
    let text = said(wrk.arg(url(ground)));
    before(&text, " requests in ")
}

fn h2load(ground: &Ground, dir: &Path) -> f64 {
    let body = dir.join("body");
    std::fs::write(&body, [b'x'; 400]).unwrap();
    let mut h2load = Command::new("h2load");
    h2load.args(["--h1", "-t1", "-c16", "-n", &(ground.scale.devices * 50).to_string(), "-d"]).arg(body);
    let text = said(h2load.arg(url(ground)));
    before(&text, " succeeded")
}

fn url(ground: &Ground) -> String {
    format!("https://127.0.0.1:{}/mdm", ground.sink.port)
}

fn said(command: &mut Command) -> String {
    String::from_utf8(command.stderr(Stdio::inherit()).output().unwrap().stdout).unwrap()
}

/// The number that stands before these words.
fn before(text: &str, words: &str) -> f64 {
    let number = text.split(words).next().and_then(|head| head.split_whitespace().last());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number before {words:?} in {text}"))
}

/// Processor time of the processes that this one has waited for, in seconds.
fn children_s() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}
