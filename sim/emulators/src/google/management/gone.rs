//! Devices that are no more: what Google knew last of the latest of them, for reports that it should not make any more.

use super::{Enterprise, Management, Notification, Object, text};
use droves_facts::{Philox, Wall};
use droves_wire::android::value::timestamp;
use serde_json::Value;
use std::collections::VecDeque;

/// The latest that have left, as they were.
#[derive(Debug, Default)]
pub(super) struct Gone(VecDeque<Object>);

/// How many are kept of an enterprise: a report may have 200 kB.
const GONE_MAX: usize = 32;

/// Which of them a report is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ghost {
    /// Any: it says once more that it is gone.
    Forgotten,
    /// One that is enrolled under another name now: its last report.
    Stale,
}

impl Gone {
    pub(super) fn keep(&mut self, body: Object) {
        if self.0.len() == GONE_MAX {
            self.0.pop_front();
        }
        self.0.push_back(body);
    }
}

impl Management {
    /// A report of a device that is no more; none if there was none, or the enterprise does not hear of reports.
    pub(crate) fn ghost(&self, now: Wall, enterprise: &str, ghost: Ghost, rng: &mut Philox) -> Option<Notification> {
        let enterprise = self.enterprises.get(enterprise)?;
        let fits = |body: &&Object| ghost == Ghost::Forgotten || enterprise.is_known_anew(body);
        let bodies: Vec<&Object> = enterprise.gone.0.iter().filter(fits).collect();
        let drawn = usize::try_from(rng.below(bodies.len().max(1) as u64)).ok()?;
        let mut body = Object::clone(bodies.get(drawn)?);
        if ghost == Ghost::Forgotten {
            end(&mut body, now);
        }
        let mut told = Vec::new();
        enterprise.tell("STATUS_REPORT", &Value::Object(body), &mut told);
        told.pop()
    }
}

impl Enterprise {
    /// Whether the device of this body has another name by now.
    fn is_known_anew(&self, body: &Object) -> bool {
        let serial = body.get("hardwareInfo").and_then(|hardware| hardware.get("serialNumber")).and_then(Value::as_str);
        let names = self.names_by_serial.get(serial.unwrap_or_default());
        names.and_then(|names| names.last()).map(String::as_str) != text(body, "name")
    }
}

/// Makes of a device's last state the report that it is gone.
pub(super) fn end(body: &mut Object, now: Wall) {
    body.insert("appliedState".to_owned(), "DELETED".into());
    body.insert("state".to_owned(), "DELETED".into());
    body.insert("lastStatusReportTime".to_owned(), timestamp(now).into());
}
