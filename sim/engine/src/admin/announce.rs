//! A fleet is made known to a server that takes enrollments over: by the check-in messages that its devices sent to the
//! server where they enrolled, one call of the server's API for each.

use super::AdminError;
use super::call::{self, Api};
use crate::cast::Cast;
use crate::directory::Directory;
use crate::enrollment::Ways;
use crate::run::RunError;
use crate::stage;
use droves_device::{Device, Machine};
use droves_facts::{LaneIx, Limits};
use droves_fleet::{Fleet, FleetError, Reader, Stored};
use droves_net::clock::RunClock;
use droves_net::tls::{ClientTls, ClientTlsSettings, TlsError};
use droves_scenario::plan::Plan;
use droves_wire::apple::push::Tokens;
use minijinja::context;
use std::cell::RefCell;
use std::iter::Peekable;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

/// Refusals in a row after which nothing else is to be expected.
const IN_A_ROW_MAX: u32 = 20;
/// Refusals that are kept in words.
const REASONS_MAX: usize = 5;

/// Who is made known to whom.
#[derive(Debug)]
pub struct Announce {
    /// The fleet and the server.
    pub plan: Arc<Plan>,
    /// Bounds.
    pub limits: Limits,
    /// Where the fleet is kept.
    pub fleet: PathBuf,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Announced {
    /// Lanes of the fleet: devices, and users with a channel of their own.
    pub lanes: u64,
    /// Lanes that the server took.
    pub taken: u64,
    /// Lanes that it refused.
    pub refused: u64,
    /// Lanes that are not enrolled.
    pub left_out: u64,
    /// The first refusals, in words.
    pub reasons: Vec<String>,
    /// Whether it was ended before it was through.
    pub is_cut_short: bool,
    /// What was lost of the fleet on disk, in sentences.
    pub dropped: Vec<String>,
}

/// Why nobody can be made known.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The server's API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The fleet on disk.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Whom to trust.
    #[error(transparent)]
    Trust(#[from] RunError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The scenario has no address.
    #[error("the scenario names no server: put its address under `target.url`")]
    NoTarget,
    /// A lane on disk does not read.
    #[error("fleet: lane {0}: {1}")]
    Lane(LaneIx, String),
    /// The runtime.
    #[error("runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Makes every enrolled lane of a fleet known. `progress` is told ten times a second; `stop` turning true ends it early.
pub fn announce(
    announce: &Announce,
    stop: watch::Receiver<bool>,
    mut progress: impl FnMut(&Announced),
) -> Result<Announced, AnnounceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let desk = Rc::new(Desk::open(announce, stop)?);
    LocalSet::new().block_on(&runtime, async {
        let mut calls = JoinSet::new();
        for _ in 0..desk.call.in_flight {
            calls.spawn_local(Rc::clone(&desk).work());
        }
        loop {
            tokio::select! {
                done = calls.join_next() => match done {
                    Some(Ok(result)) => result?,
                    Some(Err(panic)) => return Err(std::io::Error::other(panic).into()),
                    None => break,
                },
                () = tokio::time::sleep(Duration::from_millis(100)) => progress(&desk.state.borrow().so_far),
            }
        }
        let so_far = desk.state.borrow().so_far.clone();
        progress(&so_far);
        Ok(so_far)
    })
}

struct Desk {
    api: Api,
    call: droves_scenario::server::Call,
    vars: minijinja::Value,
    directory: Directory,
    limits: Arc<Limits>,
    clock: RunClock,
    stop: watch::Receiver<bool>,
    state: RefCell<State>,
}

struct State {
    reader: Reader,
    /// The cell that is next.
    cell: usize,
    /// Lanes of the cell before that are still to be made known.
    lanes: Peekable<std::vec::IntoIter<Stored>>,
    so_far: Announced,
    in_a_row: u32,
}

impl Desk {
    fn open(announce: &Announce, stop: watch::Receiver<bool>) -> Result<Self, AnnounceError> {
        let (plan, limits) = (Arc::clone(&announce.plan), Arc::new(announce.limits.clone()));
        let target = &plan.target;
        let missing = || AdminError::NoCall { server: target.profile.name.clone(), call: "import_enrollment" };
        let profile = target.profile.admin.as_ref().ok_or_else(missing)?;
        let call = profile.import_enrollment.clone().ok_or_else(missing)?;
        let url = target.url.as_deref().ok_or(AnnounceError::NoTarget)?.trim_end_matches('/');
        let vars = context! { vars => target.vars.clone(), target => context! { url => url } };
        let base = profile.url.as_ref().map_or_else(|| Ok(url.to_owned()), |url| call::render(url, &vars))?;
        let client = ClientTls::new(&stage::roots(&plan, None)?, ClientTlsSettings::default())?;
        let api = Api::new(&base, &profile.auth, &target.authorised, client, Arc::clone(&limits))?;
        let roster = Arc::new(plan.roster());
        let fleet = Fleet::open(&announce.fleet, stage::whose(&plan, &roster))?;
        let reader = fleet.reader();
        let tokens = Arc::new(Tokens::new(fleet.secret()));
        let cast = Cast::of(&plan, &roster, &Ways::nowhere());
        let directory = Directory::new(Arc::clone(&plan), roster, cast, tokens, Arc::clone(&limits));
        let so_far = Announced { lanes: reader.count()?, dropped: fleet.dropped().to_vec(), ..Announced::default() };
        let state = State { reader, cell: 0, lanes: Vec::new().into_iter().peekable(), so_far, in_a_row: 0 };
        let state = RefCell::new(state);
        Ok(Desk { api, call, vars, directory, limits, clock: RunClock::start(), stop, state })
    }

    /// Takes devices in order until there are none, or no point in it.
    async fn work(self: Rc<Self>) -> Result<(), AnnounceError> {
        while let Some(lanes) = self.next()? {
            for lane in lanes {
                let outcome = self.lane(&lane).await?;
                self.state.borrow_mut().ended(outcome);
            }
        }
        Ok(())
    }

    /// A device's lanes. One task has them all, since a server knows a user by its device.
    fn next(&self) -> Result<Option<Vec<Stored>>, AnnounceError> {
        let state = &mut *self.state.borrow_mut();
        while state.lanes.peek().is_none() {
            if state.cell == state.reader.cells() {
                return Ok(None);
            }
            let (lanes, mut unreadable) = state.reader.lanes(state.cell)?;
            state.so_far.dropped.append(&mut unreadable);
            state.lanes = lanes.into_iter().peekable();
            state.cell += 1;
        }
        if *self.stop.borrow() || state.in_a_row >= IN_A_ROW_MAX {
            state.so_far.is_cut_short = true;
            return Ok(None);
        }
        let mut lanes: Vec<Stored> = state.lanes.next().into_iter().collect();
        let device = lanes.first().and_then(|lane| self.directory.device(lane.lane));
        while let Some(sister) = state.lanes.next_if(|lane| self.directory.device(lane.lane) == device) {
            lanes.push(sister);
        }
        Ok(Some(lanes))
    }

    /// Makes one lane known, if it is enrolled; the inner error is the server's.
    async fn lane(&self, lane: &Stored) -> Result<Result<bool, String>, AnnounceError> {
        let broken = |why| AnnounceError::Lane(lane.lane, why);
        let record = Device::record_from_bytes(&lane.record).map_err(broken)?;
        let shared = Device::shared_from_bytes(&lane.shared).map_err(broken)?;
        let messages = self.directory.speak(lane.lane, |ctx| Device::check_ins(&record, &shared, ctx));
        let id = self.directory.enrollment(lane.lane);
        let is_enrolled = !messages.is_empty();
        for message in messages {
            let text = String::from_utf8_lossy(&message);
            let names = context! { id => id.clone(), message => text, ..self.vars.clone() };
            let request = self.api.request(&self.call, &names)?;
            if let Err(failed) = self.api.send(request, &self.call, &self.clock, &self.limits).await {
                return Ok(Err(format!("{id}: {}", failed.text)));
            }
        }
        Ok(Ok(is_enrolled))
    }
}

impl State {
    fn ended(&mut self, outcome: Result<bool, String>) {
        match outcome {
            Ok(false) => self.so_far.left_out += 1,
            Ok(true) => {
                self.so_far.taken += 1;
                self.in_a_row = 0;
            }
            Err(why) => {
                self.so_far.refused += 1;
                self.in_a_row += 1;
                if self.so_far.reasons.len() < REASONS_MAX {
                    self.so_far.reasons.push(why);
                }
            }
        }
    }
}
