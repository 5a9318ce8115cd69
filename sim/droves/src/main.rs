//! The program: commands, flags, and the composition of everything else.

mod calibrate;
mod check;
mod cli;
mod doctor;
mod fleet;
mod pace;
mod plan;
mod practice;
mod replay;
mod run;
mod sink;
mod stop;
mod worker;

use anyhow::Context;
use clap::Parser;
use cli::{Cli, What};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs();
    let result = match cli.what {
        What::Run(args) => run::run(&args),
        What::Worker(args) => worker::worker(&args),
        What::Check(args) => check::check(&args),
        What::Plan(args) => plan::plan(&args),
        What::Replay(args) => replay::replay(&args),
        What::Schema(args) => check::schema(&args),
        What::Practice(args) => practice::practice(&args),
        What::Sink(args) => sink::sink(&args),
        What::SinkProcess => sink::process(),
        What::Fleet(what) => fleet::fleet(&what),
        What::Doctor(args) => doctor::doctor(&args),
        What::Calibrate(args) => calibrate::calibrate(&args),
        What::Certs(args) => practice::certs(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        // Whoever reads has read enough (`droves check FILE | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::from(1)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Logs go to stderr, as `RUST_LOG` says; warnings and worse without it.
fn logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

/// The first of many sentences, and how many more there are.
fn say_some(prefix: &str, sentences: &[String]) {
    const SHOWN_MAX: usize = 20;
    for sentence in sentences.iter().take(SHOWN_MAX) {
        say(&format!("{prefix}{sentence}"));
    }
    if sentences.len() > SHOWN_MAX {
        say(&format!("{prefix}and {} more", sentences.len() - SHOWN_MAX));
    }
}

/// Ports and processes, for whoever waits for them.
fn write_ready(path: &Path, json: &serde_json::Value) -> anyhow::Result<()> {
    // Whole or not at all: somebody waits for it to appear.
    let new = path.with_extension("new");
    std::fs::write(&new, json.to_string())
        .and_then(|()| std::fs::rename(&new, path))
        .with_context(|| format!("ready file {}", path.display()))
}

/// A sentence for whoever called.
#[expect(clippy::print_stderr, reason = "the program's voice")]
fn say(text: &str) {
    eprintln!("{text}");
}
