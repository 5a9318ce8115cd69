//! Everything that runs: started in order, led through the plan's steps, stopped in order.

mod end;
mod play;

use crate::admin::{Admin, Asking};
use crate::cast::Cast;
use crate::directory::Directory;
use crate::enrollment::{Found, Ways};
use crate::faults::{self, PushFaults};
use crate::google::{Google, GoogleFaults};
use crate::health::{self, Health};
use crate::inbox::{Shards, queue};
use crate::link::{Counters, Desk, News};
use crate::players::{House, Players};
use crate::pushing::Pushing;
use crate::run::{Ready, RunError, Setup};
use crate::troupe::Stuff;
use droves_emulators::Package;
use droves_emulators::practice::{self, Channels, Practice};
use droves_facts::{DeviceIx, Dur, Limits};
use droves_fleet::{Fleet, Whose};
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::{self, Dialler, Sources};
use droves_net::files::OpenFiles;
use droves_net::tls::{ClientTls, ClientTlsSettings, Roots, Trust};
use droves_net::{authorise, tls};
use droves_scenario::plan::{FaultKind, Plan, Population, Roster};
use droves_shard::{CELLS, Cells};
use droves_wire::apple::push::Tokens;
use droves_wire::digest;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// Everything that runs.
pub(crate) struct Stage {
    setup: Setup,
    clock: RunClock,
    began_us: i64,
    roster: Arc<Roster>,
    directory: Rc<Directory>,
    shards: Shards,
    news: UnboundedReceiver<News>,
    players: Players,
    push: Pushing,
    push_faults: PushFaults,
    google: Option<Google>,
    google_faults: GoogleFaults,
    practice: Option<Practice>,
    admin: Option<Rc<Admin>>,
    steal_before_s: f64,
    is_restart: bool,
}

impl Stage {
    pub(crate) async fn set(setup: Setup, ready: impl FnOnce(&Ready)) -> Result<Self, RunError> {
        faults::check(&setup.plan)?;
        // More open files are welcome, and not needed to begin.
        if let Err(error) = OpenFiles::raise() {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        let steal_before_s = Health::look().steal_s;
        let clock = RunClock::start();
        let began_us = health::wall().0;
        let (plan, limits) = (Arc::clone(&setup.plan), Arc::new(setup.limits.clone()));
        let roster = Arc::new(plan.roster());
        let processes = setup.processes.as_ref().map_or(1, |processes| processes.count.clamp(1, CELLS));
        let shards_each = setup.shards.clamp(1, CELLS / processes);
        let cells = Arc::new(Cells::new(&roster, processes * shards_each));
        let fleet = setup.fleet.as_deref().map(|folder| Fleet::open(folder, whose(&plan, &roster))).transpose()?;
        let secret = fleet.as_ref().map_or_else(|| secret_of(plan.seed), Fleet::secret);
        let is_restart = fleet.as_ref().map_or(Ok(0), |fleet| fleet.reader().count())? > 0;
        let tokens = Arc::new(Tokens::new(secret));
        let (shards, inboxes) = Shards::new(cells);
        let push = Pushing::start(&setup, &roster, &shards, clock, secret)?;
        let google = Google::start(&setup, &shards, clock)?;
        let practice = match &plan.target.url {
            Some(_) => None,
            None => Some(practice_server(&setup, &push, google.as_ref(), clock)?),
        };
        let url = practice.as_ref().map_or_else(|| plan.target.url.clone().unwrap_or_default(), |p| p.url().to_owned());
        ready(&told(&url, &push, google.as_ref(), practice.as_ref()));
        reach(&url, &plan.target.authorised, &limits, setup.target_wait, clock).await?;
        let practice_ca = practice.as_ref().map(Practice::ca_pem);
        let roots = roots(&plan, practice_ca)?;
        let token = practice.as_ref().map(|practice| practice.token().to_owned());
        let ask = Asking { plan: &plan, url: &url, token: token.as_deref(), limits: &limits, clock };
        let found = Found {
            channels: push.channels(),
            broker: practice.as_ref().map_or_else(String::new, |practice| practice.mqtt().to_string()),
            tokens: ask.tokens(ClientTls::new(&roots, ClientTlsSettings::default())?).await?,
        };
        let ways = Ways::of(&plan.target, &url, &found)?;
        let cast = Cast::of(&plan, &roster, &ways);
        let (reporter, news) = queue();
        let counters = Counters {
            registry: Arc::clone(push.registry()),
            google: google.as_ref().map(|google| Arc::clone(&google.handle)),
        };
        let stuff = Stuff {
            plan: Arc::clone(&plan),
            roster: Arc::clone(&roster),
            cast: cast.clone(),
            limits: Arc::clone(&limits),
            tokens: Arc::clone(&tokens),
            clock,
            roots: roots.clone(),
            desk: Desk::Here(counters.clone()),
            reporter,
            is_restart,
        };
        let house = House { setup: &setup, url: &url, practice_ca, found, secret, processes, shards: &shards };
        let players = Players::start(&house, stuff, &counters, fleet, inboxes)?;
        let client = ClientTls::new(&roots, ClientTlsSettings::default())?;
        let directory = Directory::new(Arc::clone(&plan), Arc::clone(&roster), cast, tokens, Arc::clone(&limits));
        let asked = google.as_ref().map_or_else(Weak::new, |google| Arc::downgrade(&google.handle));
        let directory = Rc::new(directory.asking(asked));
        let admin = Admin::new(&plan.target, &url, token.as_deref(), client, shards.clone(), clock, &directory)?;
        let stage = Stage {
            clock,
            began_us,
            roster,
            directory,
            shards,
            news,
            players,
            push_faults: PushFaults::new(&plan, &push),
            google_faults: GoogleFaults::new(&plan, google.as_ref(), clock),
            google,
            push,
            practice,
            admin: admin.map(Rc::new),
            steal_before_s,
            is_restart,
            setup,
        };
        stage.introduce();
        Ok(stage)
    }

    /// Faults of the practice server may be some populations' only: it is told who is of which.
    fn introduce(&self) {
        let Some(practice) = &self.practice else { return };
        if self.setup.plan.faults.iter().any(|fault| fault.who.is_some() && matches!(fault.what, FaultKind::Server(_)))
        {
            let of = |population: &Population| {
                let main = |device| self.roster.lane(DeviceIx(device), 0);
                let ids = population.devices.clone().filter_map(main).map(|lane| self.directory.enrollment(lane));
                let ix = population.ix;
                ids.map(move |id| (id, ix)).collect::<Vec<_>>()
            };
            practice.introduce(self.setup.plan.populations.iter().flat_map(of).collect());
        }
    }
}

fn told(url: &str, push: &Pushing, google: Option<&Google>, practice: Option<&Practice>) -> Ready {
    Ready {
        url: url.to_owned(),
        push: push.apns(),
        wns: push.wns(),
        fcm: push.fcm(),
        google: google.map(|google| (google.handle.url().to_owned(), google.key_file.clone())),
        door: push.door(),
        push_ca: push.ca_pem_path().to_owned(),
        is_practice: practice.is_some(),
        token: practice.map(|practice| practice.token().to_owned()),
    }
}

pub(crate) fn whose(plan: &Plan, roster: &Roster) -> Whose {
    let cells = Cells::new(roster, 1);
    let first = |(_, devices, lanes): (usize, Range<u32>, Range<u32>)| (devices.start, lanes.start);
    let (mut first_devices, mut first_lanes): (Vec<u32>, Vec<u32>) = cells.of_shard(0).map(first).unzip();
    first_devices.push(roster.devices());
    first_lanes.push(roster.lanes());
    let populations: Vec<String> = plan
        .populations
        .iter()
        .map(|p| format!("{} {} {} users {}", p.name, p.platform, p.devices.len(), p.users))
        .collect();
    Whose {
        seed: plan.seed,
        devices: roster.devices(),
        lanes: roster.lanes(),
        populations: populations.join(", "),
        cells: first_lanes,
        devices_of_cells: first_devices,
    }
}

/// Without a fleet on disk the secret is the seed's: nobody else's device is on the other side.
fn secret_of(seed: u64) -> [u8; 32] {
    digest::sha256(&[b"droves push tokens".as_slice(), &seed.to_be_bytes()].concat())
}

fn practice_server(
    setup: &Setup,
    push: &Pushing,
    google: Option<&Google>,
    clock: RunClock,
) -> Result<Practice, RunError> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = practice::Config {
        listen: loopback,
        url: None,
        windows_listen: loopback,
        windows_url: None,
        windows: practice::windows::Settings { pfn: Some(PFN.to_owned()), ..practice::windows::Settings::default() }
            .with(&setup.plan.target.windows),
        agents_listen: loopback,
        agents: practice::agents::Settings::default(),
        channels: push.wns().map(|to| Channels { to, ca: push.ca_pem_path().to_owned(), package: package() }),
        push: Some((push.apns(), push.ca_pem_path().to_owned())),
        messages: push.messages(),
        android: google.map(|google| practice::emm::Config {
            google: google.handle.url().to_owned(),
            key_file: google.key_file.clone(),
            trust: Trust::system(),
            authorised: Vec::new(),
            settings: practice::emm::Settings { dice: setup.plan.dice(), ..practice::emm::Settings::default() },
        }),
        faults: practice::Faults::new(&setup.plan.faults, setup.plan.dice()),
        token: None,
        clock,
        limits: setup.limits.clone(),
    };
    Ok(Practice::start(config)?)
}

/// By which the practice server's Windows devices have their channels.
const PFN: &str = "Droves.Practice_8wekyb3d8bbwe";

/// Who the practice server is to WNS, which lets everybody send.
fn package() -> Package {
    Package { sid: "ms-app://S-1-15-2-1-2-3-4-5-6-7".to_owned(), secret: "practice".to_owned() }
}

/// Waits until somebody is at the target's address.
async fn reach(url: &str, authorised: &[String], limits: &Limits, wait: Dur, clock: RunClock) -> Result<(), RunError> {
    let unreachable = |why: String| RunError::Unreachable { url: url.to_owned(), why };
    let uri: http::Uri = url.parse().map_err(|_| unreachable("not a URL".into()))?;
    let host = uri.host().ok_or_else(|| unreachable("no host in it".into()))?.trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let until = clock.now() + wait;
    loop {
        let why = match connect::resolve(host, port, limits.connect_wait_max).await {
            Err(error) => error.to_string(),
            Ok(found) => {
                authorise::check(host, &found, authorised)?;
                let Some(address) = found.first() else { return Err(unreachable("it has no address".into())) };
                let dialler = Dialler::new(limits, Sources::system());
                match dialler.dial(*address, None, &clock).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error.to_string(),
                }
            }
        };
        if clock.now() >= until {
            return Err(unreachable(why));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whom the devices trust: the scenario's CA or the machine's, and the practice server's (PEM).
pub(crate) fn roots(plan: &Plan, practice: Option<&str>) -> Result<Roots, RunError> {
    let mut trust = match &plan.tls.ca {
        Some(payload) => Trust::only(tls::certificates_of_pem(&payload.bytes)?),
        None => Trust::system(),
    };
    if let Some(practice) = practice {
        trust = trust.and(tls::certificates_of_pem(practice.as_bytes())?);
    }
    Ok(trust.load()?)
}
