//! Minting: a fleet that is enrolled without having enrolled, its identities issued offline by a CA that the user has.
//!
//! A server that takes enrollments over is told of them afterwards by [`crate::announce`]; hours of enrolling are
//! minutes so. What was minted before, also by a process that was killed, is left as it is.

use crate::cast::Cast;
use crate::directory::Directory;
use crate::enrollment::{EnrollmentError, Found, Ways};
use crate::health;
use crate::keys::{KeyRing, RingError};
use crate::stage;
use droves_device::Device;
use droves_device::apple::Minting;
use droves_device::{Identity, Machine, ProfileSource, Slept};
use droves_facts::{DeviceIx, Family, LaneIx, Limits, Platform};
use droves_fleet::{Fleet, FleetError, KeyPool, KeyPoolError, Landing, Saver, Stored, StoredIdentity, Writer};
use droves_scenario::plan::{Plan, Roster};
use droves_wire::apple::push::Tokens;
use droves_wire::ca::{Authority, AuthorityError};
use droves_wire::keys::KeyKind;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// What is minted.
#[derive(Debug)]
pub struct Mint {
    /// The fleet, and the server that its devices believe to be enrolled with.
    pub plan: Arc<Plan>,
    /// Bounds.
    pub limits: Limits,
    /// Where the fleet is kept.
    pub fleet: PathBuf,
    /// Where keys are kept.
    pub keys: PathBuf,
    /// Who issues.
    pub authority: Authority,
    /// The enrollment profile, where the server's own can't be had without asking it.
    pub profile: Option<Vec<u8>>,
    /// Identities with P-256 keys in place of RSA keys.
    pub p256: bool,
    /// Threads that issue.
    pub threads: usize,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Minted {
    /// Devices that were there before.
    pub before: u32,
    /// Devices that are on the disk now, of this time.
    pub done: u32,
    /// Devices in all.
    pub devices: u32,
    /// What was lost of the fleet on disk, and is minted again, in sentences.
    pub dropped: Vec<String>,
}

/// Why a fleet can't be minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The fleet on disk.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] RingError),
    /// The folder of keys.
    #[error(transparent)]
    Pool(#[from] KeyPoolError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The profile's template.
    #[error(transparent)]
    Enrollment(#[from] EnrollmentError),
    /// The server has the profile.
    #[error("devices get their enrollment profile from the server, at {0}: fetch it, and give it with --profile FILE")]
    ProfileElsewhere(String),
    /// The profile does not read.
    #[error("{0}")]
    Profile(String),
    /// Somebody who can't be minted.
    #[error("`{population}` are `{platform}` devices, which can't be minted: their server has to enroll them")]
    Platform {
        /// Which population.
        population: String,
        /// Its platform.
        platform: Platform,
    },
    /// A lane is not on the disk.
    #[error("{0}")]
    NotSaved(String),
    /// A thread.
    #[error("thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Mints every device of the plan that has no identity yet. `progress` is told ten times a second; `stop` turning true
/// ends it early, with everything kept that it had told.
pub fn mint(mint: Mint, stop: &watch::Receiver<bool>, mut progress: impl FnMut(&Minted)) -> Result<Minted, MintError> {
    let plan = Arc::clone(&mint.plan);
    let roster = Arc::new(plan.roster());
    if let Some(other) = plan.populations.iter().find(|population| population.platform.family() != Family::Apple) {
        return Err(MintError::Platform { population: other.name.clone(), platform: other.platform });
    }
    let allow_http = plan.target.profile.enroll_apple.as_ref().is_some_and(|apple| apple.allow_http);
    let minting = Minting::under(&profile(&mint)?, allow_http, &mint.limits).map_err(MintError::Profile)?;
    let fleet = Fleet::open(&mint.fleet, stage::whose(&plan, &roster))?;
    let (reader, mut there, mut dropped) = (fleet.reader(), HashSet::new(), fleet.dropped().to_vec());
    for cell in 0..reader.cells() {
        let (lanes, mut unreadable) = reader.lanes(cell)?;
        dropped.append(&mut unreadable);
        there.extend(lanes.into_iter().filter(|lane| lane.identity.is_some()).map(|lane| lane.lane));
    }
    drop(reader);
    let keys = KeyRing::open(plan.keys, KeyPool::open(&mint.keys)?)?;
    let cast = Cast::of(&plan, &roster, &Ways::nowhere());
    let tokens = Arc::new(Tokens::new(fleet.secret()));
    let mut minted = Minted { devices: roster.devices(), dropped, ..Minted::default() };
    let is_there = |device| roster.lane(DeviceIx(device), 0).is_some_and(|lane| there.contains(&lane));
    let wanted: Vec<u32> = (0..minted.devices).filter(|&device| !is_there(device)).collect();
    minted.before = minted.devices - wanted.len() as u32;
    let (writer, landing) = Landing::of(fleet)?;
    let directory = || {
        let (plan, roster, limits) = (Arc::clone(&plan), Arc::clone(&roster), Arc::new(mint.limits.clone()));
        Directory::new(plan, roster, cast.clone(), Arc::clone(&tokens), limits)
    };
    let next = AtomicU32::new(0);
    let result = thread::scope(|scope| {
        let hands: Vec<_> = (0..mint.threads.max(1))
            .map(|_| {
                let hand = Hand {
                    mint: &mint,
                    minting: &minting,
                    roster: &roster,
                    keys: &keys,
                    directory: directory(),
                    saver: writer.saver(),
                    landing: &landing,
                };
                let (next, wanted) = (&next, &wanted);
                scope.spawn(move || hand.work(next, wanted, stop))
            })
            .collect();
        while !hands.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(100));
            minted.done = landing.landed();
            progress(&minted);
        }
        hands.into_iter().try_for_each(|hand| match hand.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    });
    Writer::finish(writer);
    minted.done = landing.landed();
    progress(&minted);
    result?;
    landing.trouble().map_or(Ok(minted), |why| Err(MintError::NotSaved(why)))
}

/// The profile that the devices are to have enrolled with.
fn profile(mint: &Mint) -> Result<Vec<u8>, MintError> {
    if let Some(profile) = &mint.profile {
        return Ok(profile.clone());
    }
    let target = &mint.plan.target;
    match Ways::of(target, target.url.as_deref().unwrap_or_default(), &Found::default())?.apple {
        ProfileSource::Bytes(bytes) => Ok(bytes.to_vec()),
        ProfileSource::Url(url) => Err(MintError::ProfileElsewhere(url.to_string())),
    }
}

/// One thread that issues.
struct Hand<'a> {
    mint: &'a Mint,
    minting: &'a Minting,
    roster: &'a Roster,
    keys: &'a KeyRing,
    directory: Directory,
    saver: Saver,
    landing: &'a Landing,
}

impl Hand<'_> {
    /// Takes devices in order, a few at a time, until there are none.
    fn work(self, next: &AtomicU32, wanted: &[u32], stop: &watch::Receiver<bool>) -> Result<(), MintError> {
        const PORTION: usize = 64;
        loop {
            let from = next.fetch_add(PORTION as u32, Ordering::Relaxed) as usize;
            let Some(rest) = wanted.get(from..).filter(|rest| !rest.is_empty()) else { return Ok(()) };
            for &device in rest.iter().take(PORTION) {
                if *stop.borrow() || self.landing.trouble().is_some() {
                    return Ok(());
                }
                self.device(DeviceIx(device))?;
            }
        }
    }

    /// One device. Its own lane goes last, with the identity: whoever finds that finds the channels of its users too.
    fn device(&self, device: DeviceIx) -> Result<(), MintError> {
        let ix = self.keys.choose(device, None, if self.mint.p256 { KeyKind::P256 } else { KeyKind::Rsa(2_048) });
        let key = self.keys.make(ix)?;
        let lanes = self.roster.lanes_of_device(device);
        let name = self.directory.enrollment(LaneIx(lanes.start));
        let certificate = self.mint.authority.issue_identity(&name, key.spki(), u64::from(device.0), health::wall())?;
        let identity = Identity { key: ix, certificate: certificate.as_slice().into() };
        let users = if self.minting.has_users() { lanes.start + 1..lanes.end } else { 0..0 };
        for lane in users.chain([lanes.start]) {
            let is_device = lane == lanes.start;
            let slept = Slept::<Device>::from(self.minting.lane(is_device, &identity));
            let stored = Stored {
                lane: LaneIx(lane),
                record: Device::record_to_bytes(&slept.record),
                shared: Device::shared_to_bytes(&slept.shared).into(),
                own: None,
                identity: is_device.then(|| StoredIdentity { key: ix.0, certificate: certificate.clone() }),
                ended: false,
            };
            self.landing.leaves();
            self.saver.save(Some(u32::from(is_device)), stored);
        }
        Ok(())
    }
}
