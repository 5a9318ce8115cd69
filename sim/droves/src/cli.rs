//! Commands and flags. Every flag has a variable of the environment.

mod agents;
mod values;
mod windows;

pub(crate) use agents::AgentsArgs;
pub(crate) use values::dur;
pub(crate) use windows::{WindowsArgs, WindowsAuth};

use clap::{Args, Parser, Subcommand};
use droves_facts::Dur;
use droves_scenario::Given;
use droves_shard::forecast::Service;
use std::path::PathBuf;
use std::time::Duration;
use values::{at_least_one, base_url, cores, outage, pair, service, share};

/// A load tester for mobile device management servers: one machine plays a fleet of Apple devices, Windows PCs
/// and Android devices that enroll, are pushed, take commands and report, and measures the server.
#[derive(Debug, Parser)]
#[command(name = "droves", version, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) what: What,
}

const AFTER: &str = "\
Try:
  droves run scenarios/quickstart.yaml             2,200 devices against the server that is built in
  droves check scenarios/nanomdm.yaml              what a scenario would do, or what is wrong with it
  droves plan scenarios/million-steady-day.yaml    what a scenario will offer, before a server is touched
  droves run scenarios/nanomdm.yaml -e phones=50   a variable of the scenario changed
  droves fleet mint --help                         a fleet without the hours of enrolling it
  droves calibrate                                 what this machine can offer, once a machine: a minute

Exit codes: 0 passed, 99 a threshold failed, 104 the scenario is invalid, 105 interrupted (results are written),
110 the ledger found violations, 111 the generator was the limit, 112 worse than the baseline, 113 the target is
unreachable, 114 a process was lost.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Run a scenario and write its results.
    Run(RunArgs),
    /// A process of a run, started by it.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Say what a scenario would do, or everything that is wrong with it. Sends nothing.
    Check(CheckArgs),
    /// Foresee what a scenario will offer, in virtual time: requests, handshakes, pushes, bytes and open sessions a second,
    /// herds and echoes, and how many machines it needs. Sends nothing.
    Plan(PlanArgs),
    /// Have the machines of this program hear what a run's machines heard, and demand the same answers. Sends nothing.
    /// Exit code 1 if one answers otherwise.
    Replay(ReplayArgs),
    /// Print a JSON Schema.
    Schema(SchemaArgs),
    /// Run the practice server alone.
    Practice(PracticeArgs),
    /// Run a server that takes whatever a device says at the least cost, and counts: the other end for load.
    Sink(SinkArgs),
    /// A process of a sink, started by it.
    #[command(hide = true)]
    SinkProcess,
    /// Make a fleet without enrolling it, make it known to a server, and look after it.
    #[command(subcommand)]
    Fleet(FleetWhat),
    /// Say what on this machine stands in the way of a large fleet, and what lifts it. Exit code 1 if something does.
    Doctor(DoctorArgs),
    /// Measure what this machine can offer, and keep it: each run then says how near it came.
    Calibrate(CalibrateArgs),
    /// Make the emulated push service's authority, and print the file that a server under test must trust; or that of
    /// devices' attestations.
    Certs(CertsArgs),
}

/// The scenario and its variables.
#[derive(Debug, Args)]
pub(crate) struct Scenario {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Set a variable of the scenario; may be given several times.
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) vars: Vec<(String, String)>,
    /// Another seed than the scenario's: another fleet of the same kind.
    #[arg(long, env = "DROVES_SEED", value_name = "N")]
    pub(crate) seed: Option<u64>,
}

impl Scenario {
    /// What is said here against the file.
    pub(crate) fn given(&self) -> Given {
        Given { vars: self.vars.clone(), seed: self.seed, calls_nobody: false }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) scenario: Scenario,
    /// Where results go, a folder for each run.
    #[arg(long, env = "DROVES_OUT", value_name = "DIR", default_value = "results")]
    pub(crate) out: PathBuf,
    /// Keep the fleet here: a later run begins with the devices enrolled and as they were.
    #[arg(long, env = "DROVES_FLEET", value_name = "DIR")]
    pub(crate) fleet: Option<PathBuf>,
    /// Leave the fleet on disk as it is, so that every run begins with the same one.
    #[arg(long, env = "DROVES_FLEET_STAYS", requires = "fleet")]
    pub(crate) fleet_stays: bool,
    /// Write down what every device hears and answers (readable by you only: servers' answers have secrets in them), for
    /// `droves replay`. With processes each has a file of its own: FILE.0, FILE.1, ..
    #[arg(long, env = "DROVES_TAPE", value_name = "FILE")]
    pub(crate) tape: Option<PathBuf>,
    /// Keep devices' private keys here (readable by you only). RSA keys are made once and used again.
    /// [default: $XDG_CACHE_HOME/droves/keys]
    #[arg(long, env = "DROVES_KEYS", value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// Keep the emulated push services' authority here; a server under test must trust `DIR/push-ca.pem`.
    #[arg(long, env = "DROVES_CERTS", value_name = "DIR", default_value = "certs")]
    pub(crate) certs: PathBuf,
    /// Port of the emulated APNs; 0 picks one.
    #[arg(long, env = "DROVES_PUSH_PORT", value_name = "PORT", default_value_t = 0)]
    pub(crate) push_port: u16,
    /// Port of the emulated WNS, which runs where there are Windows devices; 0 picks one.
    #[arg(long, env = "DROVES_WNS_PORT", value_name = "PORT", default_value_t = 0)]
    pub(crate) wns_port: u16,
    /// Port of the emulated FCM, which runs where agents of Android devices are woken by it; 0 picks one. A server under
    /// test calls it as its `--certs` folder's `firebase-service-account.json` says.
    #[arg(long, env = "DROVES_FCM_PORT", value_name = "PORT", default_value_t = 0)]
    pub(crate) fcm_port: u16,
    /// Port of Google as it is played, which runs where there are Android devices that Google manages; 0 picks one. A server
    /// under test calls it as its `--certs` folder's `google-service-account.json` says.
    #[arg(long, env = "DROVES_GOOGLE_PORT", value_name = "PORT", default_value_t = 0)]
    pub(crate) google_port: u16,
    /// Port of the proxy that leads to the push services by their names (`HTTPS_PROXY=http://127.0.0.1:PORT`); 0 picks one.
    #[arg(long, env = "DROVES_DOOR_PORT", value_name = "PORT", default_value_t = 0)]
    pub(crate) door_port: u16,
    /// Wait so long for the target to be there.
    #[arg(long, env = "DROVES_WAIT", value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) wait: Duration,
    /// Threads with devices, of each process. [default: one a processor; with processes, the processors dealt out]
    #[arg(long, env = "DROVES_SHARDS", value_name = "N")]
    pub(crate) shards: Option<usize>,
    /// Have the devices in so many processes, each of which has files for so many connections as `droves doctor` says.
    /// [default: in this one]
    #[arg(long, env = "DROVES_PROCESSES", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) processes: Option<u32>,
    /// Plain progress lines in place of the dashboard, also on a terminal.
    #[arg(long, env = "DROVES_HEADLESS")]
    pub(crate) headless: bool,
    /// Write the dashboard's frames as text this often.
    #[arg(long, env = "DROVES_SNAPSHOT_EVERY", value_name = "TIME", requires = "snapshot_dir", value_parser = humantime::parse_duration)]
    pub(crate) snapshot_every: Option<Duration>,
    /// Where the frames go.
    #[arg(long, env = "DROVES_SNAPSHOT_DIR", value_name = "DIR", requires = "snapshot_every")]
    pub(crate) snapshot_dir: Option<PathBuf>,
    /// Write ports, process id and the push authority's file here (JSON) once everything listens.
    #[arg(long, env = "DROVES_READY_FILE", value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Fail (exit code 112) if this run is worse than an earlier one: its results folder, or its summary.json.
    #[arg(long, env = "DROVES_BASELINE", value_name = "PATH")]
    pub(crate) baseline: Option<PathBuf>,
    /// How much worse than the baseline is worse: 0.2 lets a p50 or p99 be a fifth longer.
    #[arg(long, env = "DROVES_WORSE_BY", value_name = "SHARE", default_value_t = 0.2, requires = "baseline")]
    pub(crate) worse_by: f64,
    /// What this machine can offer, as `droves calibrate` left it. [default: $XDG_CACHE_HOME/droves/calibration.json]
    #[arg(long, env = "DROVES_CALIBRATION", value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Mark the results; may be given several times.
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) tags: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) scenario: Scenario,
}

/// What to do with a fleet.
#[derive(Debug, Subcommand)]
pub(crate) enum FleetWhat {
    /// Make every device of a scenario enrolled, with a certificate of a CA that you have. Sends nothing. Goes on where
    /// it was stopped.
    Mint(MintArgs),
    /// Say what is in a fleet: devices by state, certificates, bytes on disk.
    Ls(FolderArgs),
    /// Show one lane as it is on disk.
    Show(ShowArgs),
    /// Read every lane and say what is broken. Exit code 1 if something is.
    Check(FolderArgs),
    /// Give back to the file system what cells no longer need.
    Compact(FolderArgs),
    /// Write a fleet as one file (without private keys), to be carried elsewhere.
    Export(CopyArgs),
    /// Make a fleet out of such a file.
    Import(CopyArgs),
    /// Make a fleet known to the scenario's server, if that takes enrollments over (nanomdm: -migration -retro).
    Announce(AnnounceArgs),
}

#[derive(Debug, Args)]
#[command(after_help = MINT_AFTER)]
pub(crate) struct MintArgs {
    #[command(flatten)]
    pub(crate) scenario: Scenario,
    /// Where the fleet is kept.
    #[arg(long, env = "DROVES_FLEET", value_name = "DIR")]
    pub(crate) fleet: PathBuf,
    /// The CA's certificate, PEM.
    #[arg(long, env = "DROVES_CA", value_name = "FILE")]
    pub(crate) ca: PathBuf,
    /// The CA's private key, PEM in PKCS#8.
    #[arg(long, env = "DROVES_CA_KEY", value_name = "FILE")]
    pub(crate) ca_key: PathBuf,
    /// The enrollment profile, if the server has it.
    #[arg(long, env = "DROVES_PROFILE", value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// Keys of the identities. Devices that enroll by SCEP have RSA keys; P-256 keys come from ACME.
    #[arg(long, env = "DROVES_KEY_KIND", value_enum, default_value = "rsa")]
    pub(crate) key_kind: KeyKind,
    /// Keep devices' private keys here (readable by you only).
    /// [default: $XDG_CACHE_HOME/droves/keys]
    #[arg(long, env = "DROVES_KEYS", value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
}

const MINT_AFTER: &str = "\
A fleet for a nanomdm that trusts ca.pem (-ca ca.pem -migration -retro):
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=Fleet -keyout ca.key -out ca.pem
  droves fleet mint fleet.yaml --fleet fleet --ca ca.pem --ca-key ca.key
  droves fleet announce fleet.yaml --fleet fleet
  droves run fleet.yaml --fleet fleet";

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum KeyKind {
    /// RSA, 2,048 bits.
    Rsa,
    /// ECDSA, P-256.
    P256,
}

#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// The fleet.
    #[arg(value_name = "DIR")]
    pub(crate) fleet: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The fleet.
    #[arg(value_name = "DIR")]
    pub(crate) fleet: PathBuf,
    /// Which lane: device channels and user channels are numbered together.
    #[arg(value_name = "LANE")]
    pub(crate) lane: u32,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The fleet.
    #[arg(value_name = "DIR")]
    pub(crate) fleet: PathBuf,
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AnnounceArgs {
    #[command(flatten)]
    pub(crate) scenario: Scenario,
    /// Where the fleet is kept.
    #[arg(long, env = "DROVES_FLEET", value_name = "DIR")]
    pub(crate) fleet: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) scenario: Scenario,
}

#[derive(Debug, Args)]
#[command(after_help = PLAN_AFTER)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) scenario: Scenario,
    /// How long the modelled server works on a request: `5ms` always, `~5ms` about that (exponential).
    #[arg(long, env = "DROVES_SERVICE", value_name = "TIME", default_value = "~5ms", value_parser = service)]
    pub(crate) service: Service,
    /// Requests that it works on at a time. [default: as many as there are]
    #[arg(long, env = "DROVES_WORKERS", value_name = "N", value_parser = at_least_one)]
    pub(crate) workers: Option<usize>,
    /// Requests that wait for a worker; one more is answered with 503. [default: all of them]
    #[arg(long, env = "DROVES_QUEUE", value_name = "N", requires = "workers")]
    pub(crate) queue: Option<usize>,
    /// Share of the requests that it answers with 500.
    #[arg(long, env = "DROVES_FAILURES", value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) failures: f64,
    /// When it is away, from the start of the run on and for how long: `10h+15m`.
    #[arg(long, env = "DROVES_OUTAGE", value_name = "AFTER+FOR", value_parser = outage)]
    pub(crate) outage: Option<(Dur, Dur)>,
    /// A round trip between devices and server.
    #[arg(long, env = "DROVES_ROUND_TRIP", value_name = "TIME", default_value = "40ms", value_parser = humantime::parse_duration)]
    pub(crate) round_trip: Duration,
    /// Bytes a second of a connection, in each direction. [default: no bound]
    #[arg(long, env = "DROVES_BANDWIDTH", value_name = "N")]
    pub(crate) bandwidth: Option<u64>,
    /// Share of the connects that get no answer.
    #[arg(long, env = "DROVES_LOSS", value_name = "SHARE", default_value = "0", value_parser = share)]
    pub(crate) loss: f64,
    /// From the server's push to the device.
    #[arg(long, env = "DROVES_PUSH_DELAY", value_name = "TIME", default_value = "200ms", value_parser = humantime::parse_duration)]
    pub(crate) push_delay: Duration,
    /// Processors of a machine that is to carry the devices. [default: this one's]
    #[arg(long, env = "DROVES_CORES", value_name = "N", value_parser = cores)]
    pub(crate) cores: Option<f64>,
    /// What work costs: a file of `droves calibrate`. [default: $XDG_CACHE_HOME/droves/calibration.json]
    #[arg(long, env = "DROVES_CALIBRATION", value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Machine-readable.
    #[arg(long, env = "DROVES_JSON")]
    pub(crate) json: bool,
    /// Write everything that happens here, a JSON object a line; `-` is standard output, and then nothing else is there.
    #[arg(long, env = "DROVES_FACTS", value_name = "FILE", conflicts_with = "json")]
    pub(crate) facts: Option<PathBuf>,
    /// Leave plan.txt and plan.json in this folder too.
    #[arg(long, env = "DROVES_OUT", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

const PLAN_AFTER: &str = "\
Try:
  droves plan scenarios/quickstart.yaml
  droves plan scenarios/million-steady-day.yaml --outage 10h+15m        what comes back after an outage
  droves plan scenarios/quickstart.yaml --workers 8 --queue 100        a server that is too small
  droves plan scenarios/quickstart.yaml --seed 7 --facts - | sha256sum  the same for the same seed";

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Tapes of `droves run --tape`.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of what.
    #[arg(value_enum, default_value = "scenario")]
    pub(crate) of: SchemaOf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum SchemaOf {
    /// A scenario file.
    Scenario,
    /// A server profile.
    Server,
    /// The `summary.json` of a run.
    Summary,
    /// No schema, but the names of what a threshold can be about, one a line.
    Metrics,
}

#[derive(Debug, Args)]
pub(crate) struct PracticeArgs {
    /// Port to listen on; 0 picks one.
    #[arg(long, env = "DROVES_PORT", value_name = "PORT", default_value_t = 9_000)]
    pub(crate) port: u16,
    /// Address to listen on. Anything but loopback lets others in.
    #[arg(long, env = "DROVES_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: std::net::IpAddr,
    /// What devices are told to talk to, if a proxy stands in front: http://HOST:PORT, without a slash at its end.
    #[arg(long, env = "DROVES_URL", value_name = "URL", value_parser = base_url)]
    pub(crate) url: Option<String>,
    /// The push service to send pushes to.
    #[arg(long, env = "DROVES_PUSH", value_name = "HOST:PORT", requires = "push_ca")]
    pub(crate) push: Option<std::net::SocketAddr>,
    /// The authority of that push service, PEM.
    #[arg(long, env = "DROVES_PUSH_CA", value_name = "FILE")]
    pub(crate) push_ca: Option<PathBuf>,
    /// Manage Android devices too, by Google as it is played here: http://HOST:PORT, without a slash at its end.
    #[arg(long, env = "DROVES_GOOGLE", value_name = "URL", value_parser = base_url, requires = "google_key")]
    pub(crate) google: Option<String>,
    /// The service account's key file by which Google is called.
    #[arg(long, env = "DROVES_GOOGLE_KEY", value_name = "FILE")]
    pub(crate) google_key: Option<PathBuf>,
    /// The administrator's token; one is drawn and printed without it.
    #[arg(long, env = "DROVES_PRACTICE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Take faults from this scenario.
    #[arg(long, env = "DROVES_FAULTS", value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) windows: WindowsArgs,
    #[command(flatten)]
    pub(crate) agents: AgentsArgs,
}

#[derive(Debug, Args)]
#[command(after_help = SINK_AFTER)]
pub(crate) struct SinkArgs {
    /// Address to listen on; port 0 picks one. Anything but loopback lets others in.
    #[arg(long, env = "DROVES_SINK_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9443")]
    pub(crate) listen: std::net::SocketAddr,
    /// The CA's certificate, PEM: of the devices' certificates and of the sink's own.
    #[arg(long, env = "DROVES_CA", value_name = "FILE")]
    pub(crate) ca: PathBuf,
    /// The CA's private key, PEM in PKCS#8.
    #[arg(long, env = "DROVES_CA_KEY", value_name = "FILE")]
    pub(crate) ca_key: PathBuf,
    /// Name or address by which devices know the sink, beside the one that it listens on; may be given several times.
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Processes, which share the port: each has files for so many connections as `droves doctor` says.
    #[arg(long, env = "DROVES_PROCESSES", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) processes: u32,
    /// Hold each answer so long, so that sessions stay open. Devices give up after 60s.
    #[arg(long, env = "DROVES_HOLD", value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) hold: Duration,
    /// So many commands (`DeviceInformation`) for each connection. Slow devices keep their sessions open over them.
    #[arg(long, env = "DROVES_COMMANDS", value_name = "N", default_value_t = 0)]
    pub(crate) commands: u32,
    /// Write address and process ids here (JSON) once everything listens.
    #[arg(long, env = "DROVES_READY_FILE", value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Print the counts at the end machine-readable.
    #[arg(long, env = "DROVES_JSON")]
    pub(crate) json: bool,
}

const SINK_AFTER: &str = "\
A fleet minted with the same CA checks in; its scenario has `target: { url: https://127.0.0.1:9443, tls: { ca: ca.pem } }`:
  droves fleet mint fleet.yaml --fleet fleet --ca ca.pem --ca-key ca.key
  droves sink --ca ca.pem --ca-key ca.key --processes 2
  droves run fleet.yaml --fleet fleet --fleet-stays";

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Connections that are to be open at once.
    #[arg(long, env = "DROVES_CONNECTIONS", value_name = "N", default_value_t = 4_000)]
    pub(crate) connections: u64,
    /// Machine-readable.
    #[arg(long, env = "DROVES_JSON")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = CALIBRATE_AFTER)]
pub(crate) struct CalibrateArgs {
    /// Keep it here. [default: $XDG_CACHE_HOME/droves/calibration.json]
    #[arg(long, env = "DROVES_CALIBRATION", value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Ten seconds in place of a minute: the figures are less steady.
    #[arg(long, env = "DROVES_QUICK")]
    pub(crate) quick: bool,
    /// Machine-readable: what is saved.
    #[arg(long, env = "DROVES_JSON")]
    pub(crate) json: bool,
}

const CALIBRATE_AFTER: &str = "\
Connections, handshakes, requests, sessions, signatures, SCEP messages, pushes and timers are done as a run does them, \
against another end on this machine; nothing leaves it. What each costs is processor time of one thread, so that it adds \
up. The file holds for this machine, this kernel and this program; where one of them changes, it is not used, and that \
is said.";

#[derive(Debug, Args)]
pub(crate) struct CertsArgs {
    /// Where it is kept.
    #[arg(long, env = "DROVES_CERTS", value_name = "DIR", default_value = "certs")]
    pub(crate) certs: PathBuf,
    /// The authority that plays Apple's attestation servers, in its place: print the file with its root certificate, which
    /// an ACME server must trust for the challenge device-attest-01.
    #[arg(long, env = "DROVES_ATTESTATION")]
    pub(crate) attestation: bool,
    /// Where devices' keys are kept, and that authority with them.
    /// [default: $XDG_CACHE_HOME/droves/keys]
    #[arg(long, env = "DROVES_KEYS", value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
}
