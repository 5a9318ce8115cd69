//! Our side of the bench: a minted fleet, run by the engine against the sink or against the practice server.

use crate::bare::Shown;
use crate::harness::{cpu_s, system_s};
use crate::sink::Sink;
use droves_engine::{Finished, Look, Mint, Setup};
use droves_facts::{Dur, Limits, Wall};
use droves_measure::Thresholds;
use droves_scenario::plan::Plan;
use droves_wire::ca::{Authority, Subject};
use droves_wire::keys::Key;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder with an authority and a server's identity: what a sink and its fleet need.
pub(crate) struct Camp {
    dir: tempfile::TempDir,
    /// Who issued everything.
    pub(crate) authority: Authority,
}

impl Camp {
    pub(crate) fn pitch() -> Camp {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create("bench", now()).unwrap();
        let server = authority.issue(&Subject::Server(&["127.0.0.1"]), now()).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("server.pem", &server.pem().unwrap());
        write("ca.pem", &authority.certificate_pem());
        write("ca.key", &authority.key_pem().unwrap());
        Camp { dir, authority }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A plan for a fleet of two populations, so that one can wait for the other.
    pub(crate) fn plan(&self, sink: &Sink, few: u32, many: u32, phases: &str) -> Arc<Plan> {
        let fleet = format!(
            "few: {{ platform: ios, count: {few}, {QUICK} }}\n    many: {{ platform: ios, count: {many}, {QUICK} }}"
        );
        self.plan_in(self.path(), sink.port, &fleet, phases)
    }

    /// The same for any populations, its file in a folder of its own.
    pub(crate) fn plan_in(&self, dir: &Path, port: u16, fleet: &str, phases: &str) -> Arc<Plan> {
        self.plan_with(dir, port, "", fleet, phases)
    }

    /// The same with more to say of the target.
    pub(crate) fn plan_with(&self, dir: &Path, port: u16, target: &str, fleet: &str, phases: &str) -> Arc<Plan> {
        let camp = self.path().display();
        let text = format!(
            "droves: 1\ntarget:\n  server: sink\n  url: https://127.0.0.1:{port}\n  tls: {{ ca: {camp}/ca.pem }}\n{target}\
             fleet:\n  keys: {{ pool: 8 }}\n  populations:\n    {fleet}\nbounds: {{ lag_max: 60s, connections_max: 18000 }}\nphases:\n{phases}"
        );
        Arc::new(plan(dir, &text))
    }

    /// What a bare client shows: a certificate of the camp's authority.
    pub(crate) fn shown(&self, p256: bool) -> Shown {
        shown_by(&self.authority, p256)
    }

    /// Mints a plan's fleet, and gives where it is.
    pub(crate) fn mint(&self, plan: &Arc<Plan>, p256: bool) -> PathBuf {
        let fleet = self.path().join(if p256 { "fleet-p256" } else { "fleet-rsa" });
        self.mint_in(&fleet, plan, p256);
        fleet
    }

    /// The same in a folder of its own.
    pub(crate) fn mint_in(&self, fleet: &Path, plan: &Arc<Plan>, p256: bool) {
        let order = Mint {
            plan: Arc::clone(plan),
            limits: Limits::default(),
            fleet: fleet.to_owned(),
            keys: keys(),
            authority: Authority::from_pem(&self.authority.certificate_pem(), &self.authority.key_pem().unwrap())
                .unwrap(),
            profile: None,
            p256,
            threads: 2,
        };
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        droves_engine::mint(order, &stopped, |_| ()).unwrap();
    }
}

/// The same of an authority.
pub(crate) fn shown_by(authority: &Authority, p256: bool) -> Shown {
    let key = if p256 { Key::generate_p256() } else { Key::generate_rsa(2_048) }.unwrap();
    let certificate = authority.issue_identity("bare", key.spki(), 1, now()).unwrap();
    let key = Arc::new(key.private_key_der().unwrap());
    Shown { authority: authority.certificate().to_vec(), certificate, key }
}

/// What the file of a plan is called.
pub(crate) const FILE: &str = "bench.yaml";

/// Devices that think for no time: the bare client does not either.
pub(crate) const QUICK: &str = "behaviour: [ { slow: { factor: 0.000000001 } } ]";

/// What a run cost.
pub(crate) struct Run {
    pub(crate) finished: Finished,
    /// Processor time of the process without the practice server, in seconds, and what of it was the kernel's.
    pub(crate) cpu_s: f64,
    pub(crate) system_s: f64,
}

/// Runs a plan on one shard.
pub(crate) fn run(plan: &Arc<Plan>, fleet: Option<&Path>, look: impl FnMut(Look)) -> Run {
    run_with(&keys(), plan, fleet, look)
}

/// The same with the keys of a folder.
pub(crate) fn run_with(keys: &Path, plan: &Arc<Plan>, fleet: Option<&Path>, look: impl FnMut(Look)) -> Run {
    let setup = Setup {
        plan: Arc::clone(plan),
        limits: Limits::default(),
        fleet: fleet.map(Path::to_owned),
        tape: None,
        fleet_stays: true,
        keys: keys.to_owned(),
        certificates: Path::new(env!("CARGO_TARGET_TMPDIR")).join("certs"),
        shards: 1,
        processes: None,
        push_port: 0,
        wns_port: 0,
        fcm_port: 0,
        google_port: 0,
        door_port: 0,
        target_wait: Dur::secs(5),
        thresholds: Thresholds::parse(&[], &[]).unwrap(),
        calibration: None,
    };
    let before = (cpu_s(), system_s());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let finished = droves_engine::run(setup, stopped, |_| (), look).unwrap();
    let (cpu_s, system_s) = (cpu_s() - before.0 - finished.practice_cpu_s.unwrap_or(0.0), system_s() - before.1);
    Run { finished, cpu_s, system_s }
}

/// Keys are made once for all benches of a target folder.
pub(crate) fn keys() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys")
}

pub(crate) fn plan(dir: &Path, text: &str) -> Plan {
    let path = dir.join(FILE);
    std::fs::write(&path, text).unwrap();
    match droves_scenario::load(&path, &droves_scenario::Given::default(), |_| None) {
        Ok(loaded) => loaded.plan,
        Err(problems) => panic!("{problems}"),
    }
}

pub(crate) fn now() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Wall(i64::try_from(since.as_micros()).unwrap())
}
