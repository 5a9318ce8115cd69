//! Google as it is played in a run: started where there are Android devices that it manages.
//!
//! A server under test is told where it is, and given a service account's key by which it may call.

use crate::account::{KeyFile, KeyFileError};
use crate::faults::Row;
use crate::health;
use crate::inbox::{Shards, ToShard};
use crate::run::{RunError, Setup};
use droves_emulators::Delay;
use droves_emulators::google::{self, Callers, Config, Ear, Exhausted, FaultOrder, Handle, Quota, Refusal, Settings};
use droves_emulators::push::OrderId;
use droves_facts::{Dur, Fact, LaneIx, Mono, PhaseIx, Wall, What};
use droves_measure::GoogleSummary;
use droves_net::clock::{Clock, RunClock};
use droves_net::tls::Trust;
use droves_scenario::plan::{self, Fault, FaultKind, GoogleFault, Managed, Plan};
use droves_wire::keys::Key;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The file that a server under test reads as its key for Google's interfaces.
const KEY_FILE: &str = "google-service-account.json";
/// Whose project it is of.
pub(crate) const PROJECT: &str = "droves-run";

/// Google, and what lets a server in.
pub(crate) struct Google {
    pub(crate) handle: Arc<Handle>,
    /// The service account's key, of mode 0600.
    pub(crate) key_file: PathBuf,
}

impl Google {
    /// Starts it, if the plan has devices for it.
    pub(crate) fn start(setup: &Setup, shards: &Shards, clock: RunClock) -> Result<Option<Self>, RunError> {
        let plan = &setup.plan;
        if !is_wanted(plan) {
            return Ok(None);
        }
        let key_file = KeyFile::at(setup.certificates.join(KEY_FILE), PROJECT)?;
        let (requests_max, window) = plan.target.android.quota;
        let settings = Settings {
            // A server that has a key of its own for the real Google is let in with that.
            callers: Callers::Anybody,
            accounts: vec![key_file.account()?],
            quota: Quota { requests_max, window },
            devices_max: usize::MAX,
            dice: plan.dice(),
            key: Key::generate_rsa(2048).map_err(|error| KeyFileError::Key(error.to_string()))?,
        };
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], setup.google_port)),
            url: None,
            settings,
            trust: match &plan.tls.ca {
                Some(payload) => Trust::only(droves_net::tls::certificates_of_pem(&payload.bytes)?),
                None => Trust::system(),
            },
            authorised: plan.target.authorised.clone(),
            clock,
            limits: setup.limits.clone(),
        };
        let handle = Arc::new(Handle::start(config, Some(Arc::new(shards.clone())))?);
        handle.with(|google, _| google.gather(plan.target.android.gather));
        let key_file = key_file.write(handle.url())?;
        Ok(Some(Google { handle, key_file }))
    }

    /// How it saw the server.
    pub(crate) fn summary(&self) -> GoogleSummary {
        self.handle.with(|google, _| {
            let Exhausted { requests, windows, lasted } = google.exhausted();
            GoogleSummary {
                quota_refused: requests,
                quota_windows: windows,
                quota_us: lasted.0,
                notifications_lost: google.lost(),
                notifications_dropped: google.dropped(),
            }
        })
    }
}

impl Ear for Shards {
    fn fact(&self, fact: Fact) {
        match (&fact.what, fact.lane) {
            (What::QuotaUsedUp { .. }, _) => self.all(|| ToShard::Fact(fact.clone())),
            (_, LaneIx::NOBODY) => Shards::fact(self, fact),
            (_, lane) => drop(self.owner(lane, ToShard::Said(fact))),
        }
    }
}

/// Whether the plan has devices that Google manages.
pub(crate) fn is_wanted(plan: &Plan) -> bool {
    plan.populations.iter().any(|population| matches!(population.android, Some(Managed::Google { .. })))
}

/// Google's faults: given to it as orders when their time comes.
pub(crate) struct GoogleFaults {
    handle: Option<Arc<Handle>>,
    clock: RunClock,
    rows: Vec<Row>,
    given: BTreeMap<PhaseIx, Vec<OrderId>>,
}

impl GoogleFaults {
    /// Gives the orders that hold for the whole run.
    pub(crate) fn new(plan: &Plan, google: Option<&Google>, clock: RunClock) -> Self {
        let handle = google.map(|google| Arc::clone(&google.handle));
        let faults = GoogleFaults { handle, clock, rows: faults(plan), given: BTreeMap::new() };
        faults.give(None, Mono::ZERO);
        faults
    }

    pub(crate) fn phase_begins(&mut self, phase: PhaseIx, now: Mono) {
        let orders = self.give(Some(phase), now);
        self.given.insert(phase, orders);
    }

    pub(crate) fn phase_ends(&mut self, phase: PhaseIx) {
        for (order, handle) in self.given.remove(&phase).into_iter().flatten().zip(self.handle.iter().cycle()) {
            handle.lift(order);
        }
    }

    fn give(&self, during: Option<PhaseIx>, start: Mono) -> Vec<OrderId> {
        let Some(handle) = &self.handle else { return Vec::new() };
        let (now, wall) = (self.clock.now(), health::wall());
        // Google reads the machine's clock, a run its own.
        let at = |time: Mono| Wall(wall.0.saturating_add_unsigned(time.0).saturating_sub_unsigned(now.0));
        orders(&self.rows, during, start, at).into_iter().filter_map(|order| handle.order(order)).collect()
    }
}

/// What Google is told to do wrong during a phase, or during the whole run; `at` says what it calls a time.
pub(crate) fn orders(rows: &[Row], during: Option<PhaseIx>, start: Mono, at: impl Fn(Mono) -> Wall) -> Vec<FaultOrder> {
    let at = |time: Mono| if time.is_never() { Wall(i64::MAX) } else { at(time) };
    let order = |row: &Row| {
        let FaultKind::Google(fault, about) = row.what else { return None };
        let window = row.window(start);
        let fault = match fault {
            GoogleFault::Answer(304) => google::Fault::Refuse(Refusal::NotModified),
            GoogleFault::Answer(429) => google::Fault::Refuse(Refusal::Quota),
            GoogleFault::Answer(503) => google::Fault::Refuse(Refusal::Unavailable),
            GoogleFault::Answer(_) => google::Fault::Refuse(Refusal::Internal),
            GoogleFault::QuotaAsInternal => google::Fault::Refuse(Refusal::QuotaAsInternal),
            GoogleFault::Slow(by) => google::Fault::Slow(delay(by)),
            GoogleFault::Lose => google::Fault::Lose,
            GoogleFault::Repeat(after) => google::Fault::Repeat(delay(after)),
            GoogleFault::Late(by) => google::Fault::Late(delay(by)),
            GoogleFault::Forgotten => google::Fault::Forgotten,
            GoogleFault::Stale => google::Fault::Stale,
        };
        let about = about.map(str::to_owned).into_iter().collect();
        Some(FaultOrder { fault, strikes: row.strikes, about, window: at(window.start)..at(window.end) })
    };
    rows.iter().filter(|row| row.during == during).filter_map(order).collect()
}

/// The plan's faults of Google's.
pub(crate) fn faults(plan: &Plan) -> Vec<Row> {
    let is_googles = |fault: &&Fault| matches!(fault.what, FaultKind::Google(..));
    plan.faults.iter().filter(is_googles).map(|fault| Row::of(fault, plan)).collect()
}

/// A scenario's delay as Google draws it.
fn delay(of: plan::Delay) -> Delay {
    match of {
        plan::Delay::Fixed(delay) => Delay::Fixed(delay),
        plan::Delay::Uniform { from, to } => Delay::Uniform { from, to },
        plan::Delay::Lognormal { median, sigma } => Delay::LogNormal { median, sigma, max: DELAY_MAX },
    }
}

/// The longest that a drawn delay is.
const DELAY_MAX: Dur = Dur::secs(3_600);
