//! Commands, one after the other: what a device makes of them by how it is managed and by its Android (*Android Management
//! API*, Command), and what follows.

use super::lane::{Lane, Takes};
use super::question::{self, is_gone, other};
use super::record::Stage;
use super::{State, Step, apps, enroll, leave, report, sync};
use crate::trouble::unexpected;
use crate::{Action, Ctx, Event, Reasons, What};
use droves_facts::{Operation, Purpose};
use droves_wire::android::adp::{Answer, Ask, Mode, Outcome};
use serde_json::{Map, Value, json};

/// The device does what a command asks for.
#[derive(Debug)]
pub(super) struct Working {
    operation: Box<str>,
    outcome: Outcome,
    then: Then,
    commands: u32,
}

/// Google is told what came of it.
#[derive(Debug)]
pub(super) struct Telling {
    then: Then,
    commands: u32,
}

/// What follows a command that Google still takes the outcome of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    /// The next one.
    GoOn,
    Restart,
    /// Lost mode begins, or ends.
    Lost(bool),
    /// The device is erased, or let go.
    Leave(Stage),
}

/// Begins a command, the `commands`th of the session.
pub(super) fn begin(
    lane: &mut Lane,
    operation: Box<str>,
    command: &Map<String, Value>,
    commands: u32,
    ctx: &Ctx<'_>,
) -> Step {
    lane.record.commands = lane.record.commands.wrapping_add(1);
    let kind = command.get("type").and_then(Value::as_str).unwrap_or_default();
    let (outcome, then) = match does(kind, command, lane, ctx) {
        Ok((status, then)) => (Outcome::Done(status), then),
        Err(why) => (Outcome::Failed(why.into()), Then::GoOn),
    };
    let takes = Takes::Command.time(lane.record.commands, ctx);
    let working = Working { operation, outcome, then, commands };
    if takes == droves_facts::Dur::ZERO {
        return working.tell(ctx);
    }
    let action = Action { what: What::Wait, until: ctx.clocks.now + takes, hear: Reasons::NONE };
    Step::to(State::Working(Box::new(working)), action)
}

impl Working {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        match event {
            Event::Wake(_) => self.tell(ctx),
            other => sync::failed(lane, &unexpected(&other, "the end of a command"), ctx),
        }
    }

    fn tell(self, ctx: &Ctx<'_>) -> Step {
        let Working { operation, outcome, then, commands } = self;
        let ask = Ask::Done { operation, outcome };
        let action = question::ask(Operation::AndroidGoogleReport, &ask, ctx);
        Step::to(State::Telling(Telling { then, commands }), action)
    }
}

impl Telling {
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::AndroidGoogleReport;
        let then = match question::answer(event, operation) {
            Ok(Answer::Taken) => self.then,
            // It was not to be done any more.
            Ok(Answer::TooLate) => Then::GoOn,
            Ok(answer) => return sync::failed(lane, &other(&answer, operation), ctx),
            Err(trouble) if is_gone(&trouble) => return leave::end(lane, Stage::Removed, ctx),
            Err(trouble) => return sync::failed(lane, &trouble, ctx),
        };
        match then {
            Then::GoOn => sync::ask(lane, self.commands, ctx),
            Then::Lost(is_lost) => {
                lane.record.is_lost = is_lost;
                report::soon(lane, ctx);
                sync::ask(lane, self.commands, ctx)
            }
            Then::Restart => {
                lane.record.boots = lane.record.boots.wrapping_add(1);
                let back_at = ctx.clocks.wall + Takes::Restart.time(lane.record.boots, ctx);
                lane.record.away_until = back_at.into();
                lane.record.ask_at = back_at.into();
                lane.proceed(ctx)
            }
            Then::Leave(stage) => leave::begin(stage, true, lane, ctx),
        }
    }
}

type Done = Result<(Map<String, Value>, Then), &'static str>;

/// What a command comes to: the fields of its status and what follows, or why it can't be done.
fn does(kind: &str, command: &Map<String, Value>, lane: &Lane, ctx: &Ctx<'_>) -> Done {
    let (mode, api_level) = (enroll::mode(ctx), enroll::api_level(ctx));
    let is_whole = matches!(mode, Mode::FullyManaged | Mode::Dedicated);
    let is_companys = mode != Mode::PersonalWorkProfile;
    let needs = |counts: bool, least: u16| match (counts, api_level >= least) {
        (false, _) => Err("MANAGEMENT_MODE"),
        (true, false) => Err("API_LEVEL"),
        (true, true) => Ok(()),
    };
    let plain = |then| Ok((Map::new(), then));
    let with = |field: &str, status: Value, then| Ok((Map::from_iter([(field.to_owned(), status)]), then));
    match kind {
        "LOCK" => plain(Then::GoOn),
        "RESET_PASSWORD" => {
            let password = command.get("newPassword").and_then(Value::as_str).unwrap_or_default();
            let is_short = !password.is_empty() && password.len() < 6 && password.bytes().all(|b| b.is_ascii_digit());
            if is_short && api_level >= ANDROID_14 { Err("INVALID_VALUE") } else { plain(Then::GoOn) }
        }
        "REBOOT" => needs(is_whole, ANDROID_7).and_then(|()| plain(Then::Restart)),
        "RELINQUISH_OWNERSHIP" => {
            needs(mode == Mode::CompanyWorkProfile, ANDROID_8).and_then(|()| plain(Then::Leave(Stage::Removed)))
        }
        "CLEAR_APP_DATA" => {
            needs(true, ANDROID_9).and_then(|()| with("clearAppsDataStatus", cleared(command, lane, ctx), Then::GoOn))
        }
        "START_LOST_MODE" => {
            needs(is_companys, 0)?;
            let status = if lane.record.is_lost { "ALREADY_IN_LOST_MODE" } else { "SUCCESS" };
            with("startLostModeStatus", json!({ "status": status }), Then::Lost(true))
        }
        "STOP_LOST_MODE" => {
            needs(is_companys, 0)?;
            let status = if lane.record.is_lost { "SUCCESS" } else { "NOT_IN_LOST_MODE" };
            with("stopLostModeStatus", json!({ "status": status }), Then::Lost(false))
        }
        "ADD_ESIM" => {
            needs(true, ANDROID_15)?;
            let mut dice = ctx.lane_dice(Purpose::Nonce, lane.record.commands.into());
            let icc_id = format!("8901{:015}", dice.below(1_000_000_000_000_000));
            with("esimStatus", esim(is_companys, &icc_id), Then::GoOn)
        }
        "REMOVE_ESIM" => {
            needs(true, ANDROID_15)?;
            let icc_id = command.get("removeEsimParams").and_then(|params| params.get("iccId")?.as_str());
            with("esimStatus", esim(is_companys, icc_id.ok_or("INVALID_VALUE")?), Then::GoOn)
        }
        "REQUEST_DEVICE_INFO" => with("requestDeviceInfoStatus", eids(is_companys, api_level, ctx), Then::GoOn),
        "WIPE" => plain(Then::Leave(leave::erased(ctx))),
        _ => Err("UNSUPPORTED"),
    }
}

/// Applications lose their data if they are there.
fn cleared(command: &Map<String, Value>, lane: &Lane, ctx: &Ctx<'_>) -> Value {
    let there = apps::installed(lane, ctx);
    let packages = command.get("clearAppsDataParams").and_then(|params| params.get("packageNames")?.as_array());
    let result = |package: &str| {
        let is_there = there.iter().any(|app| !app.removed && *app.package == *package);
        let result = if is_there { "SUCCESS" } else { "APP_NOT_FOUND" };
        (package.to_owned(), json!({ "clearingResult": result }))
    };
    let packages = packages.into_iter().flatten().filter_map(Value::as_str);
    json!({ "results": packages.map(result).collect::<Map<_, _>>() })
}

/// On somebody's own device that somebody is asked first.
fn esim(is_companys: bool, icc_id: &str) -> Value {
    if is_companys {
        json!({ "status": "SUCCESS", "esimInfo": { "iccId": icc_id } })
    } else {
        json!({ "status": "PENDING_USER_ACTION" })
    }
}

/// The EID of the device's one chip.
fn eids(is_companys: bool, api_level: u16, ctx: &Ctx<'_>) -> Value {
    if !is_companys || api_level < ANDROID_13 {
        return json!({ "status": "UNSUPPORTED" });
    }
    let mut dice = ctx.device_dice(Purpose::Hardware, EID);
    let eid = format!("8904{:014}{:014}", dice.below(100_000_000_000_000), dice.below(100_000_000_000_000));
    json!({ "status": "SUCCEEDED", "eidInfo": { "eids": [{ "eid": eid }] } })
}

/// API levels.
const ANDROID_7: u16 = 24;
const ANDROID_8: u16 = 26;
const ANDROID_9: u16 = 28;
const ANDROID_13: u16 = 33;
const ANDROID_14: u16 = 34;
const ANDROID_15: u16 = 35;
/// Place in the numbering of what is drawn about hardware.
const EID: u64 = 1;
