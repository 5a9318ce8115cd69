//! Devices enrolled by SCEP at the practice server, with keys out of the pool and with keys of their own, or by ACME at the
//! sink's process with P-256 keys of their own; and how soon a run with a full pool begins. Processor time is the process's without the practice server's.

use crate::bare::Bare;
use crate::certifier;
use crate::fleet::{self, Run};
use crate::harness::{Ground, Row, begins, cpu_s, in_turns, medians, per_turn_ns};
use droves_facts::DeviceState;
use droves_scenario::plan::Plan;
use droves_wire::digest::Digest;
use droves_wire::keys::Key;
use std::hint::black_box;
use std::sync::Arc;

/// Keys of a pool that a run finds.
const POOL: u32 = 1_024;

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    begins("enrolling, and a pool of keys");
    vec![pooled(ground), own(ground), certified(ground), ready_pool(ground)]
}

/// The floor is what can't be left out: a session of the bare client with an RSA identity, and five other operations with
/// an RSA key (the temporary certificate, the request, the message, the reply, and one `Mdm-Signature` more than sessions
/// have).
fn pooled(ground: &Ground) -> Row {
    let Ground { scale, camp, sink } = ground;
    let key = Key::generate_rsa(2_048).unwrap();
    let bare = Bare::new(sink.port, &camp.shown(false));
    sink.order(2, 0);
    let plan = enrollment(ground, "pool: 8", scale.devices, 60);
    let [ours, floor] = medians(scale.rounds, || {
        let run = fleet::run(&plan, None, |_| ());
        let session = bare.session_us(scale.devices / scale.seconds, scale.seconds, 3);
        let signature = per_turn_ns(scale.samples, |_| drop(black_box(key.sign(Digest::Sha256, b"x")))) / 1e3;
        [enrolled_us(&run, scale.devices, session), session + 5.0 * signature]
    });
    sink.order(0, 0);
    Row::new("a device enrolled, to a bare RSA session and 5 RSA operations", "us", (ours, floor), 1.5)
}

/// Microseconds of a device. Some check in for the first time before the last has enrolled.
fn enrolled_us(run: &Run, devices: u32, session: f64) -> f64 {
    let further = run.finished.folds.counts.sessions_started.saturating_sub(u64::from(devices));
    (run.cpu_s * 1e6 - further as f64 * session) / f64::from(devices)
}

/// Every device makes a P-256 key, has it attested, and gets its certificate by ACME. The floor is a session of the bare
/// client with the ACME server and one with the MDM server, the key, and a signature for the request and for each message
/// but the first two.
fn certified(ground: &Ground) -> Row {
    let Ground { scale, camp, sink } = ground;
    let (devices, seconds) = (scale.devices, scale.seconds);
    let dir = camp.path().join("certified");
    std::fs::create_dir(&dir).unwrap();
    let target = format!("  vars: {{ acme_url: \"https://127.0.0.1:{}/directory\" }}\n", sink.certifier);
    let fleet = format!("phones: {{ platform: ios, count: {devices}, {} }}", fleet::QUICK);
    let phase = format!(
        "  - enroll: {{ who: all, arrivals: {{ rate: {}/s }} }}\n    until: {{ enrolled: 100%, within: 10m }}\n",
        devices / seconds
    );
    let plan = camp.plan_with(&dir, sink.port, &target, &fleet, &phase);
    let key = Key::generate_p256().unwrap();
    let bare = Bare::new(sink.port, &camp.shown(true));
    sink.order(0, 0);
    let [ours, floor] = medians(scale.rounds, || {
        let run = fleet::run(&plan, None, |_| ());
        assert_eq!(
            run.finished.folds.counts.devices_moved(DeviceState::Enrolled),
            i64::from(devices),
            "enrolled devices"
        );
        let [session, asked] = [3, certifier::REQUESTS].map(|n| bare.session_us(devices / seconds, seconds, n));
        let made = per_turn_ns(scale.samples, |_| drop(black_box(Key::generate_p256()))) / 1e3;
        let signature = per_turn_ns(scale.samples, |_| drop(black_box(key.sign(Digest::Sha256, b"x")))) / 1e3;
        let signatures = f64::from(certifier::REQUESTS - 2 + 1);
        [enrolled_us(&run, devices, session), session + asked + made + signatures * signature]
    });
    let name = "a device enrolled with a P-256 key of its own, to two bare sessions, the key and 8 signatures";
    Row::new(name, "us", (ours, floor), 1_600.0 / 1_000.0)
}

/// Every device makes its own key: the floor is the making alone. How long one takes is chance, so that it takes many.
fn own(ground: &Ground) -> Row {
    let keys = ground.scale.samples / 10;
    let plan = enrollment(ground, "unique", keys, 10);
    let ours = || {
        let folder = tempfile::tempdir().unwrap();
        fleet::run_with(folder.path(), &plan, None, |_| ()).cpu_s * 1e3 / f64::from(keys)
    };
    let floor = || per_turn_ns(keys, |_| drop(black_box(Key::generate_rsa(2_048)))) / 1e6;
    Row::new("a device enrolled with an RSA key of its own, to that key", "ms", in_turns(1, ours, floor), 1.0 / 0.95)
}

/// From the start of a run to its first phase, its pool being full. The keys are one key: reading them costs the same.
fn ready_pool(ground: &Ground) -> Row {
    let folder = tempfile::tempdir().unwrap();
    let pool = droves_fleet::KeyPool::open(folder.path()).unwrap();
    let pkcs8 = Key::generate_rsa(2_048).unwrap().to_pkcs8().unwrap();
    for number in 0..POOL {
        pool.add("rsa2048", number, &pkcs8).unwrap();
    }
    let plan = plan(ground, &format!("pool: {POOL}"), POOL, "  - wait: 1s\n");
    let before = cpu_s();
    let mut began = None;
    fleet::run_with(folder.path(), &plan, None, |_| _ = began.get_or_insert_with(cpu_s));
    let took = began.unwrap_or(before) - before;
    Row::new("start with a ready pool of 1,024 RSA keys, to a second", "s", (took, 1.0), 1.0)
}

fn enrollment(ground: &Ground, keys: &str, devices: u32, rate: u32) -> Arc<Plan> {
    let phase = format!(
        "  - enroll: {{ who: all, arrivals: {{ rate: {rate}/s }} }}\n    until: {{ enrolled: 100%, within: 10m }}\n"
    );
    plan(ground, keys, devices, &phase)
}

/// Phones and the practice server.
fn plan(ground: &Ground, keys: &str, devices: u32, phases: &str) -> Arc<Plan> {
    let keys = if keys.contains(':') { format!("{{ {keys} }}") } else { keys.to_owned() };
    let text = format!(
        "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  keys: {keys}\n  populations:\n    phones: {{ platform: ios, count: {devices} }}\n\
         bounds: {{ lag_max: 60s }}\nphases:\n{phases}"
    );
    Arc::new(fleet::plan(ground.camp.path(), &text))
}
