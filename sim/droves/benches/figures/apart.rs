//! A process of its own for one measurement: what another has freed it can't use, and what it takes can be counted from
//! outside. This program starts itself once more with an order, and reads the figures that it prints.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::process::{Command, Stdio};

/// What such a process is asked by, after its order.
pub(crate) const FLAG: &str = "--apart";

/// What a process of its own can be asked: by name, from an order to figures.
type Answer = (&'static str, fn(&str) -> Vec<f64>);

const ANSWERS: [Answer; 5] = [
    ("ours", |order| crate::memory::ours(&read(order))),
    ("bare", |order| crate::memory::bare(&read(order))),
    ("calls of ours", |order| crate::calls::ours(&read(order))),
    ("calls of bare", |order| crate::calls::bare(&read(order))),
    ("growth", |order| crate::growth::grown(&read(order))),
];

/// Asks.
pub(crate) fn ask(what: &str, order: &impl Serialize) -> Vec<f64> {
    ask_by(Command::new(std::env::current_exe().unwrap()), what, order)
}

/// Asks by a command that ends where the name of this program was given, such as a tracer's.
pub(crate) fn ask_by(mut command: Command, what: &str, order: &impl Serialize) -> Vec<f64> {
    let order = serde_json::to_string(order).unwrap();
    let output = command.args([FLAG, what, &order]).stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{what} said {text:?}"))
}

/// Answers, in the process that was started for it.
pub(crate) fn answer(what: &str, order: &str) {
    let (_, answer) = ANSWERS.iter().find(|(name, _)| *name == what).unwrap();
    println!("{}", serde_json::to_string(&answer(order)).unwrap());
}

fn read<T: DeserializeOwned>(order: &str) -> T {
    serde_json::from_str(order).unwrap()
}
