//! A fleet is made known to a server that takes enrollments over: by the check-in messages that its devices sent to the
//! server where they enrolled, one call of the server's API for each.

use super::AdminError;
use super::call::{self, Api};
use crate::cast::Cast;
use crate::directory::Directory;
use crate::run::RunError;
use crate::stage;
use droves_device::apple::Apple;
use droves_device::{Machine, ProfileSource};
use droves_facts::{LaneIx, Limits};
use droves_fleet::{Fleet, FleetError, Stored};
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
    /// Enrolled lanes of the fleet: devices, and users with a channel of their own.
    pub lanes: u32,
    /// Lanes that the server took.
    pub taken: u32,
    /// Lanes that it refused.
    pub refused: u32,
    /// The first refusals, in words.
    pub reasons: Vec<String>,
    /// Whether it was ended before it was through.
    pub is_cut_short: bool,
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
    /// Lanes that are still to be made known.
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
        let mut fleet = Fleet::open(&announce.fleet, stage::whose(&plan, &roster))?;
        let lanes: Vec<Stored> = fleet.read()?.into_iter().filter(|lane| !lane.ended).collect();
        let tokens = Arc::new(Tokens::new(fleet.secret()));
        let cast = Cast::of(&plan, &roster, &ProfileSource::Url("".into()));
        let directory = Directory::new(Arc::clone(&plan), roster, cast, tokens, Arc::clone(&limits));
        let so_far = Announced { lanes: u32::try_from(lanes.len()).unwrap_or(u32::MAX), ..Announced::default() };
        let state = RefCell::new(State { lanes: lanes.into_iter().peekable(), so_far, in_a_row: 0 });
        Ok(Desk { api, call, vars, directory, limits, clock: RunClock::start(), stop, state })
    }

    /// Takes devices in order until there are none, or no point in it.
    async fn work(self: Rc<Self>) -> Result<(), AnnounceError> {
        while let Some(lanes) = self.next() {
            for lane in lanes {
                let outcome = self.lane(&lane).await?;
                self.state.borrow_mut().ended(outcome);
            }
        }
        Ok(())
    }

    /// A device's lanes. One task has them all, since a server knows a user by its device.
    fn next(&self) -> Option<Vec<Stored>> {
        let state = &mut *self.state.borrow_mut();
        if *self.stop.borrow() || state.in_a_row >= IN_A_ROW_MAX {
            state.so_far.is_cut_short |= state.lanes.len() > 0;
            return None;
        }
        let mut lanes = vec![state.lanes.next()?];
        let device = self.directory.device(lanes[0].lane);
        while let Some(sister) = state.lanes.next_if(|lane| self.directory.device(lane.lane) == device) {
            lanes.push(sister);
        }
        Some(lanes)
    }

    /// Makes one lane known; the inner error is the server's.
    async fn lane(&self, lane: &Stored) -> Result<Result<(), String>, AnnounceError> {
        let broken = |why| AnnounceError::Lane(lane.lane, why);
        let record = Apple::record_from_bytes(&lane.record).map_err(broken)?;
        let shared = Apple::shared_from_bytes(&lane.shared).map_err(broken)?;
        let messages = self.directory.speak(lane.lane, |ctx| Apple::check_ins(&record, &shared, ctx));
        let id = self.directory.enrollment(lane.lane);
        for message in messages {
            let text = String::from_utf8_lossy(&message);
            let names = context! { id => id.clone(), message => text, ..self.vars.clone() };
            let request = self.api.request(&self.call, &names)?;
            if let Err(failed) = self.api.send(request, &self.call, &self.clock, &self.limits).await {
                return Ok(Err(format!("{id}: {}", failed.text)));
            }
        }
        Ok(Ok(()))
    }
}

impl State {
    fn ended(&mut self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
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
