//! The program is killed while it mints, compacts and enrolls: no identity that it had is lost or made twice.
#![expect(clippy::unwrap_used, reason = "tests")]

use droves_device::Machine;
use droves_device::apple::Apple;
use droves_facts::{DeviceState, Dice, LaneIx, Philox, Purpose, Wall};
use droves_fleet::{Fleet, Stored, Whose};
use droves_wire::ca::Authority;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// A folder in memory where there is one: a kill, unlike a power cut, is the same there.
fn quick() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// `DROVES_TEST_SEED` runs a failure again, as far as the moment of a kill can be the same.
#[expect(clippy::print_stderr, reason = "said of a test that fails")]
fn moments(test: u32) -> Philox {
    let seed = std::env::var("DROVES_TEST_SEED").map_or(7, |seed| seed.parse().unwrap());
    eprintln!("DROVES_TEST_SEED={seed}");
    Dice::new(seed).draw(test, Purpose::Fault, 0)
}

fn droves(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_droves"));
    command.args(arguments).env_remove("RUST_LOG").env("NANOMDM_API_KEY", "key").env("DROVES_PRACTICE_TOKEN", "token");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A process that is gone when this is.
struct Begun(Child);

impl Begun {
    fn new(command: &mut Command) -> Self {
        Begun(command.stderr(Stdio::null()).spawn().unwrap())
    }

    /// Whether it was still there to be killed.
    fn killed_after(mut self, wait: Duration) -> bool {
        thread::sleep(wait);
        self.0.kill().unwrap();
        let status: ExitStatus = self.0.wait().unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "it failed before it was killed: {status}");
        status.code().is_none()
    }
}

/// Kills it at some moment of the time that it takes. One that was over before, which is no kill, shows that it takes less.
fn killed_within(whole: &mut Duration, some: &mut Philox, command: &mut Command) -> u32 {
    let moment = Duration::from_micros(some.below(whole.as_micros() as u64));
    if Begun::new(command).killed_after(moment) {
        return 1;
    }
    *whole = moment;
    0
}

impl Drop for Begun {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs it to its end; what it said, and how long it took.
fn complete(command: &mut Command) -> (String, Duration) {
    let start = Instant::now();
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (said, start.elapsed())
}

type Lanes = BTreeMap<u32, Stored>;

/// All lanes of a fleet, of which nothing may be damaged. Before there is a fleet, there are none.
fn lanes(fleet: &Path) -> Lanes {
    if !fleet.join("fleet.json").exists() {
        return Lanes::new();
    }
    let fleet = Fleet::reopen(fleet).unwrap();
    assert!(fleet.dropped().is_empty(), "{:?}", fleet.dropped());
    let reader = fleet.reader();
    let of_cell = |cell| {
        let (lanes, dropped) = reader.lanes(cell).unwrap();
        assert!(dropped.is_empty(), "{dropped:?}");
        lanes
    };
    (0..reader.cells()).flat_map(of_cell).map(|stored| (stored.lane.0, stored)).collect()
}

/// A fleet of Macs, minted in part, killed, minted again, killed, and minted to its end.
#[test]
fn thirty_kills_of_a_mint_lose_nothing_and_mint_nothing_twice() {
    const MACS: u32 = 192;
    const KILLS: u32 = 30;
    let dir = quick();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ca = Authority::create("Fleet", Wall(i64::try_from(since.as_micros()).unwrap())).unwrap();
    fs::write(path("ca.pem"), ca.certificate_pem()).unwrap();
    fs::write(path("ca.key"), ca.key_pem().unwrap()).unwrap();
    let scenario = format!(
        "droves: 1\n\
         target: {{ server: nanomdm, url: \"http://127.0.0.1:9\", vars: {{ topic: com.apple.mgmt.External.x }} }}\n\
         fleet:\n  seed: 11\n  keys: {{ pool: 4 }}\n  populations:\n    macs: {{ platform: macos, count: {MACS}, users: 1 }}\n\
         phases:\n  - wait: 1s\n"
    );
    fs::write(path("fleet.yaml"), scenario).unwrap();
    let mint = |fleet: &str| {
        let mut command =
            droves(&["fleet", "mint", &path("fleet.yaml"), "--fleet", &path(fleet), "--keys", &path("keys")]);
        command.args(["--ca", &path("ca.pem"), "--ca-key", &path("ca.key"), "--key-kind", "p256"]);
        command
    };
    // The devices that have an identity; each Mac's own lane is followed by that of its user.
    let minted = |fleet: &str| {
        let lanes = lanes(Path::new(&path(fleet)));
        let identities: Vec<u32> =
            lanes.values().filter(|lane| lane.identity.is_some()).map(|lane| lane.lane.0).collect();
        let device = |lane| (lane, [lanes[&lane].clone(), lanes[&(lane + 1)].clone()]);
        identities.into_iter().map(device).collect::<BTreeMap<u32, [Stored; 2]>>()
    };
    let (_, mut whole) = complete(&mut mint("first"));
    let first = minted("first");
    assert_eq!(first.len() as u32, MACS);
    // What a damaged cell drops is said, and minted again.
    fs::write(path("first/cell-63.redb"), "cut").unwrap();
    let (said, _) = complete(&mut mint("first"));
    assert!(said.contains("first/cell-63.redb is damaged") && said.contains("drops 3 of 192 devices"), "{said}");
    assert!(said.contains("3 devices minted, 189 were there before, 0 are missing"), "{said}");
    let kept = fs::read_dir(path("first")).unwrap().map(|file| file.unwrap().path());
    kept.filter(|file| file.to_string_lossy().contains(".damaged-")).for_each(|file| fs::remove_file(file).unwrap());
    let again = minted("first");
    assert_eq!(again.len() as u32, MACS);
    assert!(
        first.range(..2 * 189).all(|(lane, device)| again.get(lane) == Some(device)),
        "the others are as they were"
    );
    fs::remove_dir_all(path("first")).unwrap();

    let (mut some, mut kills) = (moments(1), 0);
    for fleet in 0..10 * KILLS {
        if kills >= KILLS {
            break;
        }
        let fleet = format!("fleet-{fleet}");
        let mut before = BTreeMap::new();
        for _ in 0..3 {
            kills += killed_within(&mut whole, &mut some, &mut mint(&fleet));
            let now = minted(&fleet);
            assert!(before.iter().all(|(lane, device)| now.get(lane) == Some(device)), "kill {kills}");
            before = now;
        }
        let (said, _) = complete(&mut mint(&fleet));
        let there = format!("{} devices minted, {} were there before", MACS - before.len() as u32, before.len());
        assert!(said.contains(&there), "kill {kills}: {said}");
        let now = minted(&fleet);
        assert_eq!(now.len() as u32, MACS, "kill {kills}");
        assert!(before.iter().all(|(lane, device)| now.get(lane) == Some(device)), "kill {kills}");
        fs::remove_dir_all(path(&fleet)).unwrap();
    }
    assert!(kills >= KILLS, "only {kills} came in time");
}

/// A fleet with much to give back, compacted and killed.
#[test]
fn thirty_kills_of_a_compaction_lose_nothing() {
    const KILLS: u32 = 30;
    let dir = quick();
    let (original, copy) = (dir.path().join("original"), dir.path().join("copy"));
    let starts: Vec<u32> = (0..=4).map(|cell| cell * 100).collect();
    let whose = Whose {
        seed: 7,
        devices: 400,
        lanes: 400,
        populations: "phones".into(),
        cells: starts.clone(),
        devices_of_cells: starts,
    };
    let lane = |ix: u32, own: usize| Stored {
        lane: LaneIx(ix),
        record: ix.to_be_bytes().repeat(10),
        shared: b"twenty profiles".as_slice().into(),
        own: Some(ix.to_be_bytes().repeat(own)),
        identity: None,
        ended: false,
    };
    let (acknowledged, heard) = mpsc::sync_channel(400);
    let fleet = Fleet::open(&original, whose).unwrap();
    let writer = fleet.writer(Box::new(move |_, _, result| acknowledged.send(result).unwrap())).unwrap();
    let saver = writer.saver();
    for own in [2_000, 100, 1_000, 10] {
        (0..400).for_each(|ix| saver.save(Some(0), lane(ix, own)));
        (0..400).for_each(|_| heard.recv().unwrap().unwrap());
    }
    drop(saver);
    writer.finish();
    let saved = lanes(&original);
    assert_eq!(saved.len(), 400);

    let again = || {
        drop(fs::remove_dir_all(&copy));
        fs::create_dir(&copy).unwrap();
        let files = fs::read_dir(&original).unwrap().map(|file| file.unwrap().path());
        files.for_each(|file| assert!(fs::copy(&file, copy.join(file.file_name().unwrap())).is_ok()));
    };
    let compact = || droves(&["fleet", "compact", copy.to_str().unwrap()]);
    again();
    let before = bytes(&copy);
    let (_, mut whole) = complete(&mut compact());
    assert!(bytes(&copy) < before / 2, "{before} bytes before, {} now", bytes(&copy));

    let (mut some, mut kills) = (moments(2), 0);
    for _ in 0..10 * KILLS {
        if kills >= KILLS {
            break;
        }
        // Some begin with what the last kill left.
        if some.below(3) > 0 {
            again();
        }
        kills += killed_within(&mut whole, &mut some, &mut compact());
        assert!(lanes(&copy) == saved, "kill {kills}");
    }
    assert!(kills >= KILLS, "only {kills} came in time");
    complete(&mut compact());
    assert!(lanes(&copy) == saved);
}

fn bytes(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Fleets enroll in parts at a server that lives on, and are killed in each. Whoever the server has enrolled has an
/// identity on the disk, and whoever has one keeps it and goes on with it.
#[test]
fn ten_kills_of_an_enrolling_fleet_lose_nobody() {
    const KILLS: u32 = 5;
    let dir = quick();
    let path = |name: &str| dir.path().join(name);
    // One below those that the system gives away by itself.
    let mut ports = (20_000..32_000).cycle().skip(std::process::id() as usize % 12_000);
    let port = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let others = ["--windows-port", "0", "--mqtt-port", "0"];
    let _server = Begun::new(droves(&["practice", "--port", &port.to_string()]).args(others));
    until("the server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let populations: String = (0..KILLS)
        .map(|part| format!("    part{part}: {{ platform: ios, count: 20, wake: {{ median: 20ms, sigma: 0.3 }} }}\n"))
        .collect();
    let run = |fleet: u32, phases: &str| {
        let scenario = format!(
            "droves: 1\ntarget: {{ server: practice, url: \"http://127.0.0.1:{port}\" }}\n\
             fleet:\n  seed: {fleet}\n  keys: {{ pool: 4 }}\n  populations:\n{populations}\
             bounds: {{ lag_max: 60s }}\nphases:\n{phases}"
        );
        fs::write(path("run.yaml"), scenario).unwrap();
        let mut command = droves(&["run", "--headless"]);
        command.arg(path("run.yaml")).arg("--fleet").arg(path(&format!("fleet-{fleet}")));
        command.arg("--out").arg(path("results")).arg("--certs").arg(path("certs")).arg("--keys").arg(path("keys"));
        command.arg("--ready-file").arg(path("ready"));
        command
    };
    let known = || truth(port)["enrolled"]["devices"].as_u64().unwrap() as usize;
    let issued = || truth(port)["issued"].as_u64().unwrap();
    let (mut some, mut elsewhere) = (moments(3), 0);
    for fleet in 1..=2 {
        let folder = path(&format!("fleet-{fleet}"));
        let mut before = Lanes::new();
        for part in 0..KILLS {
            drop(fs::remove_file(path("ready")));
            let enroll = format!("  - enroll: {{ who: part{part}, arrivals: {{ rate: 40/s }} }}\n    for: 10m\n");
            let process = Begun::new(&mut run(fleet, &enroll));
            until("the run", || path("ready").exists());
            // Some die at once, the others after so many certificates.
            let certificates = issued() + some.below(15);
            until("a certificate", || issued() >= certificates);
            let moment = Duration::from_millis(some.below(200));
            assert!(process.killed_after(moment), "its time is not over");
            let (now, known) = (lanes(&folder), known() - elsewhere);
            let identities = now.values().filter(|lane| lane.identity.is_some()).count();
            assert!(identities >= known, "fleet {fleet}, part {part}: {known} at the server, {identities} on the disk");
            stay(&before, &now, &format!("fleet {fleet}, part {part}"));
            before = now;
        }
        let look = "  - wait: 2s\n  - check_in: { who: all, arrivals: at_once }\n    for: 3s\n";
        let enrolled = enrolled_at_last(&folder, before, &mut run(fleet, look), || known() - elsewhere);
        assert!(enrolled > 0, "nobody had the time");
        assert_eq!(known() - elsewhere, enrolled);
        elsewhere += enrolled;
    }
    let answers = &truth(port)["requests"]["/mdm"];
    assert!(answers["200"].as_u64() >= Some(elsewhere as u64), "{answers:#}");
    assert_eq!(answers.as_object().unwrap().len(), 1, "nobody was refused: {answers:#}");
}

/// Those who were about to enroll go on by themselves in a run, and all who can check in: how many are enrolled then. A busy
/// machine may end a run in the middle of that, and has it some times more until both sides agree.
fn enrolled_at_last(folder: &Path, mut before: Lanes, run: &mut Command, known: impl Fn() -> usize) -> usize {
    const RUNS: u32 = 5;
    let mut enrolled = 0;
    for _ in 0..RUNS {
        assert!(run.stderr(Stdio::null()).status().unwrap().code().is_some());
        let now = lanes(folder);
        stay(&before, &now, &folder.to_string_lossy());
        enrolled = now.values().filter(|lane| is_enrolled(lane)).count();
        if enrolled == known() {
            break;
        }
        before = now;
    }
    enrolled
}

fn is_enrolled(lane: &Stored) -> bool {
    Apple::state(&Apple::record_from_bytes(&lane.record).unwrap()) == DeviceState::Enrolled
}

/// Whoever had an identity has it, and whoever was enrolled is.
fn stay(before: &Lanes, now: &Lanes, when: &str) {
    for (lane, was) in before.iter().filter(|(_, was)| was.identity.is_some()) {
        let is = now.get(lane).filter(|is| is.identity == was.identity && (is_enrolled(is) || !is_enrolled(was)));
        assert!(is.is_some(), "{when}: lane {lane} was\n{}\nand is\n{:?}", words(was), now.get(lane).map(words));
    }
}

fn words(lane: &Stored) -> String {
    format!("{:?} {:?}", Apple::record_from_bytes(&lane.record), lane.identity.as_ref().map(|identity| identity.key))
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} is not there");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the practice server says of itself.
fn truth(port: u16) -> serde_json::Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream.write_all(b"GET /_truth HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.take(16 << 20).read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
