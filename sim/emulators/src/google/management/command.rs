//! Commands, and the operations that they are until a device has done them, or their time is over.

use super::super::lanes::{About, Ends};
use super::super::page::{Sizes, page};
use super::{Asked, Enterprise, Management, Notification, Object, empty, last, not_found, text, without};
use droves_facts::{CommandStatus, Dur, Wall};
use droves_wire::android::value::{duration, read_duration, timestamp};
use droves_wire::android::{Code, Status};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A command, and what became of it.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) command: Object,
    /// Which of its lane's it is.
    pub(super) order: u32,
    /// Whether the device has it.
    pub(super) is_delivered: bool,
    pub(super) end: Option<End>,
}

/// How an operation ended.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum End {
    Done,
    Failed(Code, String),
}

const SIZES: Sizes = Sizes { default: 100, max: 100 };
const LASTS: Dur = Dur::secs(600);
const METADATA: &str = "type.googleapis.com/google.android.devicemanagement.v1.Command";
/// What of a command is not flagged so in the discovery document, and is only Google's to say.
const OUTPUT_ONLY: [&str; 3] = ["createTime", "userName", "errorCode"];
/// A command with parameters needs no type: they say it.
const PARAMETERS: [(&str, &str); 7] = [
    ("clearAppsDataParams", "CLEAR_APP_DATA"),
    ("startLostModeParams", "START_LOST_MODE"),
    ("stopLostModeParams", "STOP_LOST_MODE"),
    ("addEsimParams", "ADD_ESIM"),
    ("removeEsimParams", "REMOVE_ESIM"),
    ("requestDeviceInfoParams", "REQUEST_DEVICE_INFO"),
    ("wipeParams", "WIPE"),
];

impl Management {
    pub(super) fn issue_command(&mut self, name: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let mut command = asked.body.clone();
        without(&mut command, &OUTPUT_ONLY);
        let implied =
            PARAMETERS.iter().find(|(parameters, _)| command.contains_key(*parameters)).map(|(_, kind)| *kind);
        let kind = text(&command, "type").or(implied).ok_or_else(|| Status::bad_field("command.type", "required"))?;
        let lasts = text(&command, "duration").map_or(Some(LASTS), read_duration);
        let lasts = lasts.ok_or_else(|| Status::bad_field("command.duration", "not a duration"))?;
        command.insert("type".to_owned(), kind.to_owned().into());
        command.insert("duration".to_owned(), duration(lasts).into());
        command.insert("createTime".to_owned(), timestamp(asked.now).into());
        let deadline = asked.now + lasts;
        let lane = self.device(name, &asked)?.lane;
        let order = self.lanes.command(lane);
        let device = self.device(name, &asked)?;
        if let Some(user) = device.user() {
            command.insert("userName".to_owned(), user);
        }
        // The number looks like a time in milliseconds; two commands in one get one more.
        let at = u64::try_from(asked.now.0 / 1_000).unwrap_or(0);
        let number = device.operations.last_key_value().map_or(at, |(last, _)| at.max(last + 1));
        let named = Arc::clone(&device.name);
        let operation =
            Operation { name: format!("{name}/operations/{number}"), command, order, is_delivered: false, end: None };
        let shown = operation.shown();
        device.operations.insert(number, operation);
        device.put_away_done();
        let enterprise = name.split('/').nth(1).unwrap_or_default();
        self.deadlines.insert((deadline, enterprise.to_owned(), last(name).to_owned(), number));
        self.nudged.insert(named, lane);
        Ok(shown)
    }

    pub(super) fn list_operations(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let device = &*self.device(name, asked)?;
        let by_text: BTreeMap<String, u64> = device.numbers().map(|number| (format!("{number:020}"), number)).collect();
        page(&by_text, asked.query, "operations", SIZES, |number| device.operation(*number).unwrap_or_default())
    }

    pub(super) fn get_operation(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let number = last(name).parse::<u64>().ok();
        let operation = number.and_then(|number| self.device(name, asked).ok()?.operation(number));
        operation.ok_or_else(|| not_found(name))
    }

    /// What is done stays done.
    pub(super) fn cancel_operation(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let number = last(name).parse::<u64>().map_err(|_| not_found(name))?;
        if self.device(name, asked)?.operation(number).is_none() {
            return Err(not_found(name));
        }
        let device = name.split('/').nth(3).unwrap_or_default().to_owned();
        let enterprise = self.enterprises.get_mut(name.split('/').nth(1).unwrap_or_default());
        if let Some(enterprise) = enterprise {
            enterprise.end(
                &device,
                number,
                End::Failed(Code::Cancelled, "Cancelled".to_owned()),
                &mut self.notifications,
            );
        }
        Ok(empty())
    }

    /// Gives up commands whose time is over by now.
    pub(crate) fn expire(&mut self, now: Wall) {
        while self.deadlines.first().is_some_and(|(deadline, ..)| *deadline <= now) {
            let Some((_, enterprise, device, number)) = self.deadlines.pop_first() else { return };
            let Some(enterprise) = self.enterprises.get_mut(&enterprise) else { continue };
            let end = End::Failed(Code::DeadlineExceeded, "The command expired before it was executed.".to_owned());
            enterprise.end(&device, number, end, &mut self.notifications);
        }
    }

    /// When [`Management::expire`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Wall> {
        self.deadlines.first().map(|(deadline, ..)| *deadline)
    }
}

impl Enterprise {
    /// An operation ends, once, and the enterprise hears of it. Whether it was open.
    pub(super) fn end(&mut self, device: &str, number: u64, end: End, to: &mut Vec<Notification>) -> bool {
        let Some(device) = self.devices.get_mut(device) else { return false };
        let operation = device.operations.get_mut(&number).filter(|operation| operation.end.is_none());
        let Some(operation) = operation else { return false };
        let ends = Ends::Command(operation.order, end.status());
        operation.end = Some(end);
        let (about, shown) = (About { lane: device.lane, ends }, operation.shown());
        self.tell("COMMAND", about, || shown, to);
        true
    }
}

impl End {
    pub(super) fn status(&self) -> CommandStatus {
        if *self == End::Done { CommandStatus::Acknowledged } else { CommandStatus::Error }
    }
}

impl Operation {
    /// As it is answered; a new password is nobody's business.
    pub(super) fn shown(&self) -> Value {
        let mut metadata = self.command.clone();
        metadata.remove("newPassword");
        metadata.insert("@type".to_owned(), METADATA.into());
        let mut shown = json!({ "name": self.name, "metadata": metadata });
        match &self.end {
            None => {}
            Some(End::Done) => {
                shown["done"] = true.into();
                shown["response"] = shown["metadata"].clone();
            }
            Some(End::Failed(code, message)) => {
                shown["done"] = true.into();
                shown["error"] = json!({ "code": code.number(), "message": message });
            }
        }
        shown
    }
}
