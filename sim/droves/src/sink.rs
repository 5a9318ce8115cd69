//! `droves sink`: the other end for load, in as many processes as its connections need.

use crate::cli::SinkArgs;
use crate::{say, stop};
use anyhow::Context;
use droves_emulators::sink::{Crew, CrewError, Order, Tally, serve};
use droves_facts::{Dur, Wall};
use droves_wire::ca::{Authority, Subject};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The hidden command by which a process of a sink is started.
pub(crate) const PROCESS: &str = "sink-process";
const LOST: u8 = 114;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks from one line to the next, if anything has changed.
const LOOKS_A_LINE: u64 = 10;

pub(crate) fn sink(args: &SinkArgs) -> anyhow::Result<u8> {
    let (_stop, mut stopped) = stop::on_signal()?;
    let crew = Crew::start(order(args)?, args.processes, &[PROCESS])?;
    let url = format!("https://{}", crew.address());
    say(&format!("sink at {url}, {} processes, room for {} connections", args.processes, crew.room()));
    if let Some(path) = &args.ready_file {
        let json = serde_json::json!({ "pid": std::process::id(), "target": url, "processes": crew.pids() });
        crate::write_ready(path, &json)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let lost = runtime.block_on(async {
        let mut said = Tally::default();
        for look in 1.. {
            let tally = match crew.tally() {
                Ok((tally, _)) => tally,
                Err(error) => return Some(error),
            };
            if look % LOOKS_A_LINE == 0 && tally != said {
                said = tally;
                say(&line(&tally));
            }
            let stop = tokio::time::timeout(LOOK_EVERY, stopped.wait_for(|stop| *stop)).await;
            if stop.is_ok() {
                break;
            }
        }
        None
    });
    let (all, each) = crew.stop();
    report(args.json, &all, &each)?;
    Ok(match lost {
        Some(error @ CrewError::Lost(_)) => {
            say(&format!("error: {error}; its counts are those that it told last"));
            LOST
        }
        Some(error) => return Err(error.into()),
        None => 0,
    })
}

/// What a process of a sink does.
pub(crate) fn process() -> anyhow::Result<u8> {
    match serve(std::io::stdin(), &mut std::io::stdout()) {
        // Whoever started it is gone, and said why.
        Err(error) if error.is_gone() => Ok(1),
        served => Ok(u8::from(!served?)),
    }
}

fn order(args: &SinkArgs) -> anyhow::Result<Order> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let clients = read(&args.ca)?;
    let authority = Authority::from_pem(&clients, &read(&args.ca_key)?).context("--ca, --ca-key")?;
    let address = args.listen.ip().to_string();
    let names: Vec<&str> =
        args.names.iter().map(String::as_str).chain(["localhost", "127.0.0.1", "::1", &address]).collect();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    let identity = authority.issue(&Subject::Server(&names), now)?.pem()?;
    let hold = Dur::us(u64::try_from(args.hold.as_micros()).unwrap_or(u64::MAX));
    Ok(Order { listen: args.listen, identity, clients, hold, commands: args.commands })
}

fn line(tally: &Tally) -> String {
    let Tally {
        open, open_max, requests, held, commands, turned_away, accept_failed, handshake_failed, broken, ..
    } = tally;
    let failed = turned_away + accept_failed + handshake_failed + broken;
    format!("open {open} (most {open_max}), requests {requests}, held {held}, commands {commands}, failed {failed}")
}

fn report(json: bool, all: &Tally, each: &[Tally]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let json = serde_json::json!({ "all": all, "processes": each });
        writeln!(out, "{json:#}")?;
    } else {
        writeln!(out, "{}", line(all))?;
        for (number, tally) in each.iter().enumerate() {
            writeln!(out, "process {number}: {}", line(tally))?;
        }
    }
    Ok(())
}
