//! `droves practice`: the practice server alone; and `droves certs`.

use crate::cli::{AgentsArgs, CertsArgs, PracticeArgs, Scenario, WindowsArgs, WindowsAuth, dur};
use crate::{check, say, stop};
use anyhow::bail;
use droves_emulators::Package;
use droves_emulators::practice::agents;
use droves_emulators::practice::windows::{Auth, Login, Settings};
use droves_emulators::practice::{Channels, Config, Faults, MessagesBy, Practice, emm};
use droves_facts::{Dice, Limits};
use droves_net::clock::RunClock;
use droves_net::tls::Trust;
use droves_scenario::plan::{Fault, FaultKind};
use droves_wire::windows::provisioning::{Poll, PollSet};
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
        windows_listen: SocketAddr::new(args.listen, args.windows.windows_port),
        windows_url: args.windows.windows_url.clone(),
        windows: windows(&args.windows),
        agents_listen: SocketAddr::new(args.listen, args.agents.mqtt_port),
        agents: agents(&args.agents),
        channels: channels(&args.windows),
        messages: messages(&args.agents),
        push: args.push.zip(args.push_ca.clone()),
        android: android(args),
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
    say(&format!("Windows enrolls at {}; it must trust {}/ca.pem", server.discovery(), server.url()));
    let project = if args.agents.agent_project.is_empty() { "" } else { "/" };
    let at = format!("{}{project}{}", server.url(), args.agents.agent_project);
    say(&format!("agents on Android find it at {at}, and its broker at mqtt://{}", server.mqtt()));
    if args.token.is_none() {
        say(&format!("the administrator's token: {}", server.token()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    // An error would say that the signals' thread is gone, and then there is nothing to wait for.
    let _stopped = runtime.block_on(stopped.wait_for(|stop| *stop)).is_ok();
    server.stop();
    Ok(0)
}

fn windows(args: &WindowsArgs) -> Settings {
    let settings = Settings::default();
    Settings {
        login: if args.windows_federated { Login::Page } else { Login::Password(args.windows_password.clone()) },
        auth: match args.windows_auth {
            WindowsAuth::Certificate => Auth::Certificate,
            WindowsAuth::Md5 => Auth::Md5,
            WindowsAuth::Basic => Auth::Basic,
            WindowsAuth::Signed => Auth::Signed,
        },
        once: args.windows_once,
        rekeys: args.windows_rekey,
        poll: match args.windows_poll {
            Some(every_minutes) => Poll { first: PollSet { count: 0, every_minutes }, ..settings.poll },
            None => settings.poll,
        },
        batch: args.windows_batch as usize,
        message_bytes_max: args.windows_message_max,
        pfn: args.windows_pfn.clone(),
        ..settings
    }
}

fn agents(args: &AgentsArgs) -> agents::Settings {
    agents::Settings {
        project: args.agent_project.clone(),
        secret: args.agent_secret.clone(),
        is_secure: args.agent_signed,
        on_demand: !args.agent_strict,
        poll_wait: dur(args.agent_poll),
        message_delay: dur(args.mqtt_delay),
        careless_polls: args.agent_careless,
        ..agents::Settings::default()
    }
}

fn android(args: &PracticeArgs) -> Option<emm::Config> {
    let (google, key_file) = args.google.clone().zip(args.google_key.clone())?;
    // Who names a host on the command line means it.
    let host = google.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let (trust, authorised) = (Trust::system(), host.into_iter().collect());
    Some(emm::Config { google, key_file, trust, authorised, settings: emm::Settings::default() })
}

fn messages(args: &AgentsArgs) -> Option<MessagesBy> {
    Some(MessagesBy { to: args.fcm?, ca: args.fcm_ca.clone()?, key_file: args.fcm_key.clone()? })
}

fn channels(args: &WindowsArgs) -> Option<Channels> {
    let package = Package { sid: args.wns_sid.clone()?, secret: args.wns_secret.clone()? };
    Some(Channels { to: args.wns?, ca: args.wns_ca.clone()?, package })
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
