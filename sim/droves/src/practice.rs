//! `droves practice`: the practice server alone; and `droves certs`.

use crate::cli::{CertsArgs, PracticeArgs, Scenario};
use crate::{check, say, stop};
use anyhow::bail;
use droves_emulators::practice::{Config, Faults, Practice};
use droves_facts::{Dice, Limits};
use droves_net::clock::RunClock;
use droves_scenario::plan::{Fault, FaultKind};
use std::io::Write;
use std::net::SocketAddr;

pub(crate) fn practice(args: &PracticeArgs) -> anyhow::Result<u8> {
    let faults = match &args.faults {
        Some(file) => match check::load(&Scenario { file: file.clone(), vars: Vec::new(), seed: None }) {
            Ok((loaded, _)) => {
                let is_somebodys = |fault: &Fault| fault.who.is_some() && matches!(fault.what, FaultKind::Server(_));
                if loaded.plan.faults.iter().any(is_somebodys) {
                    bail!("{}: alone, the practice server knows no populations: leave `who` out", file.display());
                }
                Faults::new(&loaded.plan.faults, loaded.plan.dice())
            }
            Err(code) => return Ok(code),
        },
        None => Faults::new(&[], Dice::new(0)),
    };
    let (_stop, mut stopped) = stop::on_signal()?;
    let server = Practice::start(Config {
        listen: SocketAddr::new(args.listen, args.port),
        url: args.url.clone(),
        push: args.push.zip(args.push_ca.clone()),
        faults,
        token: args.token.clone(),
        clock: RunClock::start(),
        limits: Limits::default(),
    })?;
    say(&format!(
        "practice server at {}; enroll at {}/enroll; its truth at {}/_truth",
        server.url(),
        server.url(),
        server.url()
    ));
    if args.token.is_none() {
        say(&format!("the administrator's token: {}", server.token()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    // An error would say that the signals' thread is gone, and then there is nothing to wait for.
    let _stopped = runtime.block_on(stopped.wait_for(|stop| *stop)).is_ok();
    server.stop();
    Ok(0)
}

pub(crate) fn certs(args: &CertsArgs) -> anyhow::Result<u8> {
    let path = if args.attestation {
        let env = |name: &str| std::env::var(name).ok();
        let keys = args.keys.clone().unwrap_or_else(|| droves_engine::default_keys_folder(env));
        droves_engine::attestation_root(&keys)?
    } else {
        droves_emulators::push::authority_pem(&args.certs)?
    };
    writeln!(std::io::stdout().lock(), "{}", path.display())?;
    Ok(0)
}
