//! Everything that runs: started in order, led through the plan's steps, stopped in order.

use crate::admin::{Admin, AdminError, Asking, Naming, begun};
use crate::board::Board;
use crate::cast::Cast;
use crate::directory::Directory;
use crate::enrollment::{Found, Ways};
use crate::faults::{self, PushFaults};
use crate::google::{Google, GoogleFaults};
use crate::health::{self, Health};
use crate::inbox::{Shards, ToShard, queue};
use crate::link::{Counters, Desk, News};
use crate::part;
use crate::players::{House, Players};
use crate::pushing::Pushing;
use crate::run::{Finished, Look, Ready, RunError, Setup};
use crate::steps::{Change, Steps};
use crate::troupe::Stuff;
use droves_emulators::Package;
use droves_emulators::practice::{self, Channels, Practice};
use droves_facts::{DeviceIx, Dice, Dur, Fact, LaneIx, Limits, Mono, PhaseIx, What};
use droves_fleet::{Fleet, Whose};
use droves_measure::{Fold, Folds};
use droves_net::clock::{Clock, RunClock};
use droves_net::connect::{self, Dialler, Sources};
use droves_net::files::OpenFiles;
use droves_net::tls::{ClientTls, ClientTlsSettings, Roots, Trust};
use droves_net::{authorise, tls};
use droves_scenario::plan::{Action, FaultKind, Plan, Population, Roster};
use droves_shard::{CELLS, Cells};
use droves_wire::apple::push::Tokens;
use droves_wire::digest;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

/// Sessions that are open when the last phase ends get this long.
const DRAIN_MAX: Dur = Dur::secs(5);
/// How often shards that are late are looked after.
const GATHER_STEP: Duration = Duration::from_millis(100);
/// A worker process that says nothing for so long after it was told to stop is lost.
const LAST_MAX: Duration = Duration::from_secs(60);
/// Enrollments that the server is asked about at the end.
const BELIEFS_MAX: usize = 2_000;

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
        let directory = Rc::new(directory);
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

    pub(crate) async fn play(
        mut self,
        mut stop: watch::Receiver<bool>,
        look: &mut dyn FnMut(Look),
    ) -> Result<Finished, RunError> {
        let plan = Arc::clone(&self.setup.plan);
        let mut board =
            Board::new(self.roster.devices(), self.is_restart, plan.bounds.lag_max, self.setup.calibration.clone());
        let (mut interrupted, mut aborted_by) = (self.gather(&mut board, &mut stop).await?, None);
        let mut steps = Steps::new(Arc::clone(&plan), self.clock.now());
        // Names differ from run to run, whatever the seed: a server may have those of another run already.
        let mut naming = Naming::new(Dice::new(plan.seed.wrapping_add(self.began_us.cast_unsigned())));
        while !interrupted && !self.players.is_short() && !steps.is_over() {
            let now = self.clock.now();
            for change in steps.advance(now, &board.reached()) {
                self.change(change);
            }
            for (phase, due) in steps.due(now) {
                self.administer(phase, &due, &mut naming)?;
            }
            if now >= board.look_at {
                look(board.look(&plan, &steps, self.practice.as_ref(), now));
                let judged = self.setup.thresholds.judge(&board.folds, &board.verdicts(), now, false);
                if let Some(judgement) = judged.into_iter().find(|judgement| judgement.aborts) {
                    aborted_by = Some(format!("{}: {} ({})", judgement.metric, judgement.expression, judgement.said));
                    break;
                }
            }
            let next = steps.next().unwrap_or(Mono::NEVER).min(board.look_at);
            let wait = Duration::from_micros(next.0.saturating_sub(self.clock.now().0));
            tokio::select! {
                biased;
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        interrupted = true;
                        break;
                    }
                }
                news = self.news.recv() => self.take(news, &mut board)?,
                () = tokio::time::sleep(wait) => {}
            }
            self.players.all_work()?;
        }
        for change in steps.break_off(self.clock.now()) {
            self.change(change);
        }
        if !interrupted && !self.players.is_short() {
            self.drain(&mut board, &plan, &steps, look).await?;
        }
        self.finish(board, steps, interrupted, aborted_by).await
    }

    /// Waits until every shard has its devices: before, the push service knows none of those that were enrolled before.
    /// Whether somebody breaks it off meanwhile.
    async fn gather(&mut self, board: &mut Board, stop: &mut watch::Receiver<bool>) -> Result<bool, RunError> {
        while board.latest.len() < self.shards.count() && !self.players.is_short() {
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { return Ok(true) },
                news = self.news.recv() => self.take(news, board)?,
                () = tokio::time::sleep(GATHER_STEP) => {}
            }
            self.players.all_work()?;
        }
        Ok(false)
    }

    /// Takes what shards and their processes tell.
    fn take(&mut self, news: Option<News>, board: &mut Board) -> Result<(), RunError> {
        match news {
            Some(News::Report(report)) => board.take(*report, self.clock.now()),
            Some(News::Health(process, health)) => board.cost(process, health),
            Some(News::Refused(why)) => return Err(RunError::Refused(why)),
            Some(News::Lost(process)) => {
                self.players.lose(process);
                board.folds.ledger.incomplete();
            }
            // The push service has these before the coordinator would.
            Some(News::Register { .. } | News::Ask { .. } | News::Withdraw(..)) => {}
            None => return Err(RunError::Worker(0)),
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Begins(phase) => self.shards.all(|| ToShard::PhaseBegins(phase)),
            Change::Ends(phase) => self.shards.all(|| ToShard::PhaseEnds(phase)),
        }
        match change {
            Change::Begins(phase) => {
                self.push_faults.phase_begins(phase, self.clock.now(), &self.push);
                self.google_faults.phase_begins(phase, self.clock.now());
            }
            Change::Ends(phase) => {
                self.push_faults.phase_ends(phase, &self.push);
                self.google_faults.phase_ends(phase);
            }
        }
        if let Some(practice) = &self.practice {
            match change {
                Change::Begins(phase) => practice.phase_begins(phase),
                Change::Ends(phase) => practice.phase_ends(phase),
            }
        }
    }

    /// Does what the administrator has to do: the arrivals that are due together go into common calls.
    fn administer(&self, phase: PhaseIx, due: &[(Mono, LaneIx)], naming: &mut Naming) -> Result<(), RunError> {
        let plan = &self.setup.plan;
        let Some(planned) = plan.phases.get(phase.ix()) else { return Ok(()) };
        begun(due, self.clock.now(), phase, plan.bounds.lag_max).for_each(|fact| self.shards.fact(fact));
        let admin = self
            .admin
            .clone()
            .ok_or_else(|| AdminError::NoCall { server: plan.target.profile.name.clone(), call: "queue_command" })?;
        let lanes: Vec<_> = due.iter().map(|&(_, lane)| (lane, self.directory.enrollment(lane))).collect();
        match &planned.action {
            Action::Command { command, push, .. } => {
                let ready = naming.calls(command, phase, &lanes, admin.queue_batch_max(command.queueing()));
                for name in ready.iter().flat_map(|(command, _)| &command.names) {
                    self.directory.queued(&name.text);
                    self.shards.all(|| ToShard::Command(phase, name.key));
                }
                let (deadline, push) = (command.deadline, *push);
                tokio::task::spawn_local(async move {
                    let result = match admin.queue(ready, deadline, phase).await {
                        Ok(taken) if push && !taken.is_empty() => admin.push(taken, phase).await,
                        Ok(_) => Ok(()),
                        Err(error) => Err(error),
                    };
                    if let Err(error) = result {
                        tracing::error!(%error, "administrator");
                    }
                });
            }
            Action::Push(_) => {
                tokio::task::spawn_local(async move {
                    if let Err(error) = admin.push(lanes, phase).await {
                        tracing::error!(%error, "administrator");
                    }
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets open sessions come to their end.
    async fn drain(
        &mut self,
        board: &mut Board,
        plan: &Plan,
        steps: &Steps,
        look: &mut dyn FnMut(Look),
    ) -> Result<(), RunError> {
        let until = self.clock.now() + DRAIN_MAX;
        // A report that was under way when the last phase ended says nothing of what came after.
        let mut fresh = 0;
        while self.clock.now() < until && (board.live() > 0 || fresh < 2 * self.shards.count()) {
            let wait = Duration::from_micros(until.0.saturating_sub(self.clock.now().0));
            let Ok(news) = tokio::time::timeout(wait, self.news.recv()).await else { return Ok(()) };
            fresh += usize::from(matches!(news, Some(News::Report(_))));
            self.take(news, board)?;
            if self.players.is_short() {
                return Ok(());
            }
            if self.clock.now() >= board.look_at {
                look(board.look(plan, steps, self.practice.as_ref(), self.clock.now()));
            }
        }
        Ok(())
    }

    async fn finish(
        mut self,
        mut board: Board,
        steps: Steps,
        interrupted: bool,
        aborted_by: Option<String>,
    ) -> Result<Finished, RunError> {
        let length = self.clock.now().since(Mono::ZERO);
        self.shards.all(|| ToShard::Stop);
        let (mut enrolled, mut over) = (Vec::new(), BTreeSet::new());
        while (0..self.shards.count()).any(|shard| !over.contains(&shard) && !self.players.is_lost(shard)) {
            let Ok(news) = tokio::time::timeout(LAST_MAX, self.news.recv()).await else { break };
            match news {
                Some(News::Report(mut report)) => {
                    if report.is_last {
                        over.insert(report.shard);
                    }
                    enrolled.append(&mut report.enrolled);
                    self.take(Some(News::Report(report)), &mut board)?;
                }
                // A process ends after the last reports of its shards.
                Some(News::Lost(process)) if self.players.is_done(process, &over) => {}
                None => break,
                news => self.take(news, &mut board)?,
            }
        }
        if !interrupted
            && !self.players.is_short()
            && let Some(admin) = self.admin.take()
        {
            self.ask_beliefs(&admin, &enrolled, &mut board.folds).await?;
        }
        let ended = self.players.end(&over)?;
        // What they cost in all is the last that they told.
        while let Ok(news) = self.news.try_recv() {
            if let News::Health(process, health) = news {
                board.cost(process, health);
            }
        }
        let health = board.costs(Health::look());
        let room = part::room(&self.setup.plan, self.shards.count());
        let practice_cpu_s = self.practice.as_ref().map(Practice::cpu_s);
        let practice_truth = self.practice.as_ref().map(Practice::truth);
        let push = self.push.tallies();
        let google = self.google.as_ref().map(Google::summary);
        if let Some(practice) = self.practice.take() {
            practice.stop();
        }
        self.push.stop();
        Ok(Finished {
            spans: steps.spans().to_vec(),
            length,
            began_us: self.began_us,
            unfinished: board.latest.values().map(|latest| latest.unfinished).sum(),
            sessions_open: board.sessions_open(),
            sessions_open_max: board.sessions_open_max,
            is_full: board.shard_open_max >= room as u64,
            held: board.latest.values().map(|latest| latest.held).sum(),
            health,
            steal_s: health.steal_s - self.steal_before_s,
            fds_max: board.fds_max.max(health.fds),
            practice_cpu_s,
            seconds: board.seconds,
            taped: board.taped,
            push,
            google,
            practice_truth,
            interrupted,
            aborted_by,
            lost: ended.lost,
            pipes_held_up: ended.held_up,
            dropped: [ended.dropped, board.dropped].concat(),
            directory: self.directory,
            thresholds: self.setup.thresholds,
            folds: board.folds,
        })
    }

    /// What the server believes of the enrollments, against what the devices hold.
    async fn ask_beliefs(&self, admin: &Rc<Admin>, enrolled: &[DeviceIx], folds: &mut Folds) -> Result<(), RunError> {
        let devices = self.roster.devices() as usize;
        let step = devices.div_ceil(BELIEFS_MAX).max(1);
        let lanes = (0..devices)
            .step_by(step)
            .filter_map(|device| {
                let device = DeviceIx(device as u32);
                let lane = self.roster.lane(device, 0)?;
                Some(((lane, self.directory.enrollment(lane)), enrolled.contains(&device)))
            })
            .collect();
        for (lane, truth) in admin.believes(lanes).await? {
            folds.apply(&Fact { at: self.clock.now(), phase: PhaseIx(0), lane, what: What::Believes(truth) });
        }
        Ok(())
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
