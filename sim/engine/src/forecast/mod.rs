//! A whole scenario in virtual time: the plan's steps, its devices and its administrator, against a model of a server and
//! of a network, without a socket. It says what the scenario will offer before a server is touched.
//!
//! One thread; the same setup gives the same facts in the same order. Phases begin and end as in a run ([`Steps`]), and
//! what they wait for is looked at four times a second, as a run's coordinator does.

mod acme;
mod agents;
mod androids;
mod mind;
mod need;
mod office;
mod pcs;
mod play;
mod server;
mod troubles;

pub use agents::{Agents, Taken, is_of_agent, method_name, told};
pub use mind::{ADMIN, Asked, ask_to_push};
pub use need::{Costs, FILES_MAX, Need, PORTS};
pub use play::{Cut, Play, Side};
pub use server::{SCEP_REPLY_BYTES, SCEP_REQUEST_BYTES, ca_says, made};
pub use troubles::Troubles;

use crate::enrollment::{EnrollmentError, Found, Ways};
use crate::steps::Span;
use bytes::Bytes;
use droves_device::Device;
use droves_device::apple::Minting;
use droves_device::{Identity, KeyIx, Machine, ProfileSource, Slept, Token};
use droves_emulators::practice;
use droves_facts::{Dur, Fact, Family, LaneIx, Limits, Mono, PopulationIx};
use droves_measure::{Folds, Load};
use droves_scenario::plan::{Action, Plan};
use droves_shard::Snapshot;
use droves_shard::forecast::Model;
use droves_wire::apple::push::Tokens;
use server::Server;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sessions that are open when the last phase ends get this long.
const DRAIN_MAX: Dur = Dur::secs(5);
/// Where a practice server would be: nobody is asked.
const PRACTICE_URL: &str = "http://127.0.0.1";
/// Where the push service for Windows would be.
const CHANNELS: &str = "127.0.0.1:443";
/// Where the broker of agents' messages would be.
const BROKER: &str = "127.0.0.1:31000";
/// The topic of its profile.
const TOPIC: &str = "com.apple.mgmt.External.7c6a9f7e-3d0b-4c39-9e57-0a0b4c3d2e10";

/// What is played.
#[derive(Debug)]
pub struct Foresee {
    /// What happens.
    pub plan: Arc<Plan>,
    /// Bounds.
    pub limits: Limits,
    /// The other side.
    pub model: Model,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The time of the run.
    pub now: Mono,
    /// The longest that the run can be.
    pub length_max: Dur,
    /// Sessions so far.
    pub sessions: u64,
}

/// What the scenario will offer.
#[derive(Debug)]
pub struct Foreseen {
    /// Everything that a run folds.
    pub folds: Folds,
    /// The load, second by second.
    pub load: Load,
    /// When each phase was.
    pub spans: Vec<Span>,
    /// How long it took, in the run's time.
    pub length: Dur,
    /// Whether the devices were enrolled from the start, because no phase enrolls any.
    pub began_enrolled: bool,
    /// Most of the modelled server's workers that were busy at a time.
    pub workers_busy_max: usize,
    /// Requests without an end.
    pub unfinished: u64,
    /// Sessions that were open at the end.
    pub sessions_open: u64,
    /// Whether somebody broke it off.
    pub interrupted: bool,
}

/// Why a scenario can't be foreseen.
#[derive(Debug, thiserror::Error)]
pub enum ForeseeError {
    /// The enrollment profile's template.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// The enrollment profile.
    #[error("enrollment profile: {0}")]
    Profile(String),
    /// A phase needs the administrator, who has no API.
    #[error("server profile `{server}` has no administrator's API, which phase `{phase}` needs")]
    NoAdmin {
        /// The server profile.
        server: String,
        /// The phase.
        phase: String,
    },
    /// Devices that can't be taken for enrolled.
    #[error("no phase enrolls `{0}`, and only Apple devices can be taken for enrolled already")]
    NobodyEnrolls(String),
    /// A lane that was made enrolled does not read.
    #[error("lane {lane}: {why}")]
    Lane {
        /// Which.
        lane: LaneIx,
        /// Why.
        why: String,
    },
}

/// Plays a scenario. `fact` is told everything that happens, in order; `progress` now and then; `stop` says whether to
/// break it off.
pub fn foresee(
    what: Foresee,
    mut fact: impl FnMut(&Fact),
    mut progress: impl FnMut(Progress),
    stop: impl Fn() -> bool,
) -> Result<Foreseen, ForeseeError> {
    let (plan, limits) = (Arc::clone(&what.plan), what.limits.clone());
    let profile = profile(&plan)?;
    let began_enrolled = !plan.phases.iter().any(|phase| matches!(phase.action, Action::Enroll(_)));
    let server = Server::new(&plan, profile.clone(), began_enrolled, limits.clone());
    // What is offered is asked, not what one process lets in.
    let mut play = Play::new(what, server, false, usize::MAX)?;
    if began_enrolled {
        if let Some(others) = plan.populations.iter().find(|of| of.platform.family() != Family::Apple) {
            return Err(ForeseeError::NobodyEnrolls(others.name.clone()));
        }
        // It is never shown to anybody.
        let identity = Arc::new(Identity { key: KeyIx(0), certificate: Box::default() });
        play.restore(minted(&plan, &profile, &limits, move |_| Arc::clone(&identity))?, &mut fact)?;
    }
    let length_max = length_max(&plan);
    let mut interrupted = false;
    while !play.is_over() {
        play.turn(&mut fact);
        let (now, sessions) = (play.running.clocks().now, play.folds.counts.sessions_started);
        progress(Progress { now, length_max, sessions });
        if stop() {
            interrupted = true;
            break;
        }
    }
    play.break_off();
    let until = play.running.clocks().now + DRAIN_MAX;
    while !interrupted && play.running.shard.live() > 0 && play.running.clocks().now < until {
        play.go_to(until, &mut fact);
    }
    play.take_facts(&mut fact);
    Ok(Foreseen {
        spans: play.spans().to_vec(),
        length: play.running.clocks().now.since(Mono::ZERO),
        began_enrolled,
        workers_busy_max: play.running.desk.busy_max(),
        unfinished: play.running.shard.unfinished(),
        sessions_open: play.running.shard.sessions_open(),
        interrupted,
        folds: play.folds,
        load: play.load,
    })
}

/// How the devices enroll.
/// By which devices are pushed: nobody else's are there.
fn tokens() -> Tokens {
    Tokens::new([0; 32])
}

fn ways(plan: &Plan, tokens: BTreeMap<PopulationIx, Token>) -> Result<Ways, EnrollmentError> {
    let found = Found { channels: CHANNELS.to_owned(), broker: BROKER.to_owned(), tokens };
    Ways::of(&plan.target, url_of(plan), &found)
}

/// Where the server would be.
fn url_of(plan: &Plan) -> &str {
    plan.target.url.as_deref().unwrap_or(PRACTICE_URL)
}

/// The enrollment profile.
fn profile(plan: &Plan) -> Result<Bytes, EnrollmentError> {
    Ok(match ways(plan, BTreeMap::new())?.apple {
        ProfileSource::Bytes(bytes) => Bytes::copy_from_slice(&bytes),
        // The server has it: one that says the same has about its length.
        ProfileSource::Url(_) => practice::enrollment_profile(url_of(plan), TOPIC, "challenge").into(),
    })
}

/// Every lane as a minted fleet has it, which enrolled under this profile; `identity` is told a device's own lane. Of all
/// the first one's dates count.
pub fn minted<I: Fn(LaneIx) -> Arc<Identity>>(
    plan: &Plan,
    profile: &[u8],
    limits: &Limits,
    identity: I,
) -> Result<impl Iterator<Item = Snapshot> + use<I>, ForeseeError> {
    let allow_http = plan.target.profile.enroll_apple.as_ref().is_some_and(|apple| apple.allow_http);
    let minting = Minting::under(profile, allow_http, limits).map_err(ForeseeError::Profile)?;
    let first = identity(LaneIx(0));
    let encoded = |is_device: bool| {
        let slept = Slept::<Device>::from(minting.lane(is_device, &first));
        (Device::record_to_bytes(&slept.record), Arc::<[u8]>::from(Device::shared_to_bytes(&slept.shared)))
    };
    let (device, user, has_users) = (encoded(true), encoded(false), minting.has_users());
    let roster = plan.roster();
    let lanes = (0..roster.lanes()).map(LaneIx).filter_map(move |lane| {
        let is_device = roster.locate(lane)?.1 == 0;
        let (record, shared) = if is_device { device.clone() } else { user.clone() };
        let identity = is_device.then(|| identity(lane));
        (is_device || has_users).then_some(Snapshot { lane, record, shared, own: None, identity, ended: false })
    });
    Ok(lanes)
}

/// Whether the administrator has a way to do what is planned.
fn check(plan: &Plan) -> Result<(), ForeseeError> {
    let admin = plan.target.profile.admin.as_ref();
    for phase in &plan.phases {
        let is_possible = match &phase.action {
            Action::Command { command, push, .. } => admin
                .is_some_and(|admin| admin.queueing(command.queueing()).is_some() && (!push || admin.push.is_some())),
            Action::Push(_) => admin.is_some_and(|admin| admin.push.is_some()),
            _ => true,
        };
        if !is_possible {
            let (server, phase) = (plan.target.profile.name.clone(), phase.name.clone());
            return Err(ForeseeError::NoAdmin { server, phase });
        }
    }
    Ok(())
}

/// The longest that a run of the plan can be.
fn length_max(plan: &Plan) -> Dur {
    let of_phase = |ix: &droves_facts::PhaseIx| {
        let phase = plan.phases.get(ix.ix())?;
        Some(phase.after + phase.until.limit()?)
    };
    let of_step = |step: &Vec<_>| step.iter().filter_map(of_phase).max().unwrap_or_default();
    plan.steps.iter().map(of_step).fold(Dur::ZERO, |sum, step| sum + step)
}
