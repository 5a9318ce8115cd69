//! A device as it is kept: who it is, and where it stands. What an EMM reads of it is made from that each time somebody
//! asks or is told, as a report may have 200 kB and there are many devices.

use super::{Enterprise, Object, Operation, last};
use droves_facts::{LaneIx, Wall};
use droves_wire::android::adp::{App, Detail, Mode, Recipe};
use droves_wire::android::report::Sections;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

/// A device, with its commands by number.
#[derive(Debug)]
pub(super) struct Device {
    /// `enterprises/{id}/devices/{id}`.
    pub(super) name: Arc<str>,
    /// Whose it is; nobody's, if it is driven by hand.
    pub(super) lane: LaneIx,
    pub(super) management_mode: &'static str,
    pub(super) ownership: &'static str,
    pub(super) api_level: u32,
    /// What it is to be.
    pub(super) state: &'static str,
    /// What it is.
    pub(super) applied_state: &'static str,
    /// The policy that it is to apply, by its whole name.
    pub(super) policy: Arc<str>,
    /// What it has applied.
    pub(super) applied: Option<Handed>,
    /// What was handed out since, the oldest first.
    pub(super) handed: Vec<Handed>,
    pub(super) is_compliant: bool,
    pub(super) enrolled: Wall,
    pub(super) synced: Option<Wall>,
    pub(super) reported: Option<Wall>,
    pub(super) origin: Option<Arc<Origin>>,
    /// From which its reports are made.
    pub(super) recipe: Option<Arc<Kept>>,
    /// What its last report has of that.
    pub(super) sections: Sections,
    /// Fields that are kept as they came.
    pub(super) given: Object,
    pub(super) operations: BTreeMap<u64, Operation>,
    /// Those that are long done, as they are answered.
    pub(super) past: BTreeMap<u64, Box<str>>,
}

/// A version of a policy that was handed out.
#[derive(Clone, Debug)]
pub(super) struct Handed {
    pub(super) policy: Arc<str>,
    pub(super) version: i64,
    /// How many changes of the lane's policy are in it.
    pub(super) changes: u32,
}

/// Where a device comes from: the enrollment token that it showed. Devices of the same token have the same.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub(super) token: String,
    pub(super) additional_data: Option<String>,
}

/// A recipe whose applications and details are the ones that other devices have too.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(super) recipe: Recipe,
    pub(super) apps: Box<[Arc<App>]>,
    pub(super) details: Box<[Arc<Detail>]>,
}

/// What many devices have: each once.
#[derive(Debug, Default)]
pub(super) struct Pool {
    apps: Shelf<App>,
    details: Shelf<Detail>,
}

#[derive(Debug)]
struct Shelf<T> {
    all: HashSet<Arc<T>>,
    /// At so many, those that nobody has any more are thrown out.
    full: usize,
}

/// Versions that were handed out and not reported, at most; the oldest is forgotten.
const HANDED_MAX: usize = 8;
/// Commands of a device that are done and kept with the open ones, at most.
const DONE_MAX: usize = 16;
/// Commands that are kept as what is answered of them, some 500 bytes each, at most: the oldest is forgotten.
const PAST_MAX: usize = 240;
const SHELF_MIN: usize = 1_024;
/// What a device may be; another word of its own is not believed.
const STATES: [&str; 4] = ["ACTIVE", "DISABLED", "LOST", "PREPARING_FOR_MIGRATION"];

impl Device {
    /// A version of its policy was handed out.
    pub(super) fn hand(&mut self, handed: Handed) {
        let Handed { policy, version, .. } = &handed;
        self.handed.retain(|known| known.policy != *policy || known.version != *version);
        if self.handed.len() == HANDED_MAX {
            self.handed.remove(0);
        }
        self.handed.push(handed);
    }

    /// What was handed out last.
    pub(super) fn last_handed(&self) -> Option<&Handed> {
        self.handed.last().or(self.applied.as_ref())
    }

    /// It has applied a version, and what was handed out before is of no interest any more.
    pub(super) fn apply(&mut self, version: i64) {
        if let Some(at) = self.handed.iter().rposition(|handed| handed.version == version) {
            self.applied = self.handed.drain(..=at).next_back();
        } else if self.applied.as_ref().is_none_or(|applied| applied.version != version) {
            self.applied = Some(Handed { policy: Arc::clone(&self.policy), version, changes: 0 });
        }
    }

    /// It says that it is in this state; nothing, if it is as it is to be.
    pub(super) fn be(&mut self, said: &str) {
        self.applied_state = STATES.into_iter().find(|state| *state == said).unwrap_or(self.state);
    }

    /// Keeps less of the oldest commands that are done, where there are many: an EMM that compares asks for them again.
    pub(super) fn put_away_done(&mut self) {
        let done = self.operations.iter().filter(|(_, operation)| operation.end.is_some());
        let done: Vec<u64> = done.map(|(number, _)| *number).collect();
        let many = done.len().saturating_sub(DONE_MAX);
        for number in done.into_iter().take(many) {
            let shown = self.operations.remove(&number).map(|operation| operation.shown().to_string().into());
            shown.into_iter().for_each(|shown| drop(self.past.insert(number, shown)));
        }
        while self.past.len() > PAST_MAX {
            self.past.pop_first();
        }
    }

    /// A command of it, as it is answered.
    pub(super) fn operation(&self, number: u64) -> Option<Value> {
        let past = || serde_json::from_str(self.past.get(&number)?).ok();
        self.operations.get(&number).map(Operation::shown).or_else(past)
    }

    /// The numbers of the commands that are known.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.past.keys().chain(self.operations.keys()).copied()
    }

    /// The user to whom it belongs, by name: as it is told, or an account of Google Play's that was made for it. A dedicated device
    /// has none.
    pub(super) fn user(&self) -> Option<Value> {
        let made = || {
            self.recipe.as_ref().filter(|kept| kept.mode() != Mode::Dedicated)?;
            let (enterprise, id) = self.name.split_once("/devices/")?;
            Some(format!("{enterprise}/users/{}", u64::from_str_radix(id, 16).ok()?).into())
        };
        self.given.get("userName").cloned().or_else(made)
    }

    pub(super) fn serial(&self) -> &str {
        match &self.recipe {
            Some(kept) => &kept.recipe.serial,
            None => self.given.get("hardwareInfo").and_then(|of| of["serialNumber"].as_str()).unwrap_or_default(),
        }
    }
}

impl Enterprise {
    /// Takes a device in, whose policy nudges it from now on.
    pub(super) fn admit(&mut self, device: Device) {
        self.refer(&device.policy, &device.name);
        self.devices.insert(last(&device.name).to_owned(), device);
    }

    /// Takes a device out.
    pub(super) fn remove(&mut self, id: &str) -> Option<Device> {
        let device = self.devices.remove(id)?;
        self.refer_no_more(&device.policy, &device.name);
        Some(device)
    }

    /// A device gets another policy; whether it is another.
    pub(super) fn assign(&mut self, id: &str, policy: &str) -> bool {
        let Some(device) = self.devices.get_mut(id).filter(|device| &*device.policy != policy) else { return false };
        let name = Arc::clone(&device.name);
        let before = std::mem::replace(&mut device.policy, policy.into());
        self.refer_no_more(&before, &name);
        self.refer(policy, &name);
        true
    }

    /// The devices that refer to a policy.
    pub(super) fn devices_with(&self, policy: &str) -> impl Iterator<Item = &Device> {
        let names = self.users.get(policy).into_iter().flatten();
        names.filter_map(|name| self.devices.get(last(name)))
    }

    fn refer(&mut self, policy: &str, name: &Arc<str>) {
        self.users.entry(policy.to_owned()).or_default().insert(Arc::clone(name));
    }

    fn refer_no_more(&mut self, policy: &str, name: &Arc<str>) {
        if let Some(users) = self.users.get_mut(policy) {
            users.remove(name);
            if users.is_empty() {
                self.users.remove(policy);
            }
        }
    }
}

impl Kept {
    pub(super) fn new(mut recipe: Recipe, pool: &mut Pool) -> Self {
        let apps = std::mem::take(&mut recipe.apps).into_iter().map(|app| pool.apps.one(app)).collect();
        let details = std::mem::take(&mut recipe.details).into_iter().map(|detail| pool.details.one(detail)).collect();
        Kept { recipe, apps, details }
    }

    pub(super) fn mode(&self) -> Mode {
        self.recipe.mode
    }

    pub(super) fn api_level(&self) -> u32 {
        self.recipe.api_level.into()
    }

    /// What the policy asks for is so.
    pub(super) fn is_compliant(&self) -> bool {
        self.details.is_empty()
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf { all: HashSet::new(), full: SHELF_MIN }
    }
}

impl<T: Eq + Hash> Shelf<T> {
    fn one(&mut self, of: T) -> Arc<T> {
        if let Some(known) = self.all.get(&of) {
            return Arc::clone(known);
        }
        if self.all.len() >= self.full {
            self.all.retain(|one| Arc::strong_count(one) > 1);
            self.full = SHELF_MIN.max(2 * self.all.len());
        }
        let one = Arc::new(of);
        self.all.insert(Arc::clone(&one));
        one
    }
}
