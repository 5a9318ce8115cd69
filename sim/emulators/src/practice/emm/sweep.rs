//! What no notification tells: devices that have left without a word are not in the list any more, and commands that are
//! open for too long may have ended. Google is asked for the list, page by page, and for those commands one by one.

use super::super::house::House;
use super::fleet::id_of;
use super::line::Want;
use super::{Emm, Mono, Wall};
use droves_facts::Dur;
use serde_json::Value;
use std::collections::HashSet;

/// Where the EMM is with its list.
#[derive(Debug)]
pub(super) struct Sweep {
    every: Dur,
    due: Mono,
    /// When the list under way was begun, and the ids that it had so far.
    under_way: Option<(Mono, HashSet<String>)>,
}

/// Commands that are asked for in a sweep.
const ASKED_MAX: usize = 500;

impl Sweep {
    pub(super) fn new(every: Dur) -> Self {
        Sweep { every, due: Mono::NEVER, under_way: None }
    }

    /// When the next one begins.
    pub(super) fn next_time(&self) -> Option<Mono> {
        Some(self.due).filter(|due| !due.is_never())
    }

    /// The next one is due after the usual time.
    pub(super) fn put_off(&mut self, now: Mono) {
        self.under_way = None;
        self.due = now + self.every;
    }
}

impl Emm {
    pub(super) fn sweep_if_due(&mut self, now: Mono) {
        if now < self.sweep.due {
            return;
        }
        self.sweep.due = Mono::NEVER;
        self.sweep.under_way = Some((now, HashSet::new()));
        self.line.put(Want::List { page: None });
        let mut overdue = Vec::new();
        for (key, host) in &self.hosts {
            let of_host = host.operations.iter().filter(|(_, open)| now.since(open.since) > self.settings.pending_max);
            overdue.extend(of_host.map(|(name, _)| Want::Operation { host: key.clone(), name: name.clone() }));
        }
        overdue.into_iter().take(ASKED_MAX).for_each(|want| self.line.put(want));
    }

    /// A page of the list. With the last one it is known who is gone: who was there when the list was begun, and is not in it.
    pub(super) fn listed(&mut self, house: &mut House, now: Mono, wall: Wall, status: u16, body: &Value) {
        let Some((began, ids)) = self.sweep.under_way.as_mut().filter(|_| status == 200) else {
            return self.sweep.put_off(now);
        };
        let devices = body.get("devices").and_then(Value::as_array).into_iter().flatten();
        let names = devices.filter_map(|device| device.get("name")?.as_str());
        ids.extend(names.map(|name| id_of(name).to_owned()));
        if let Some(page) = body.get("nextPageToken").and_then(Value::as_str) {
            let page = Some(page.to_owned());
            return self.line.put(Want::List { page });
        }
        let is_gone = |key: &str, host: &super::Host| {
            house.is_enrolled(key) && host.since < *began && !ids.contains(id_of(&host.name))
        };
        let gone = self.hosts.iter().filter(|(key, host)| is_gone(key, host)).map(|(key, _)| key.clone());
        let gone: Vec<String> = gone.collect();
        self.counts.sweeps += 1;
        self.counts.gone_silently += gone.len() as u64;
        for key in gone {
            self.unenroll(house, wall, &key);
        }
        self.sweep.put_off(now);
    }

    /// What Google says of a command that is open for too long.
    pub(super) fn asked_for(
        &mut self,
        house: &mut House,
        now: Mono,
        key: &str,
        name: &str,
        status: u16,
        operation: &Value,
    ) {
        if status == 404 || (status == 200 && operation.get("done") == Some(&Value::Bool(true))) {
            self.counts.found_done += u64::from(self.operation_ended(house, now, key, name, operation));
        }
    }
}
