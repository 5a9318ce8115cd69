//! Usage logs (Google, *Android Management API*, `UsageLogEvent`): after each status report what was logged since the one
//! before. Devices of a company log what is done to them and where they connect to, work profiles of people the latter.

use super::lane::Lane;
use super::question::{self, is_gone, other};
use super::record::Stage;
use super::{State, Step, enroll, leave};
use crate::{Ctx, Enrolls, Event};
use droves_facts::{Dur, Operation, Purpose};
use droves_wire::android::adp::{Answer, Ask, Mode};
use droves_wire::android::value::{int64, timestamp};
use serde_json::{Value, json};

/// Google is told.
#[derive(Debug)]
pub(super) struct Logging;

/// Brings what was logged; nothing if nothing is.
pub(super) fn begin(lane: &Lane, ctx: &Ctx<'_>) -> Option<Step> {
    let Enrolls::Google(google) = &ctx.character.enrolls else { return None };
    let count = u64::from(google.usage_logs);
    if count == 0 {
        return None;
    }
    let mut dice = ctx.device_dice(Purpose::Contents, LOGS | u64::from(lane.record.reports));
    let all = if enroll::mode(ctx) == Mode::PersonalWorkProfile { NETWORK } else { KINDS };
    let mut event = |number: u64| {
        let at = ctx.clocks.wall - Dur::us(dice.below(google.report_every.0 + 1));
        let kind = all.get(dice.below(all.len() as u64) as usize).copied().unwrap_or(Kind::Connected);
        kind.event(u64::from(lane.record.reports) * count + number, timestamp(at), dice.below(250) + 1)
    };
    let ask = Ask::Log { device: question::name(lane), events: (0..count).map(&mut event).collect() };
    Some(Step::to(State::Logging(Logging), question::ask(Operation::AndroidGoogleReport, &ask, ctx)))
}

impl Logging {
    /// What did not get there is lost, as a log is that has no room for more.
    pub(super) fn on(self, event: Event<'_>, lane: &mut Lane, ctx: &mut Ctx<'_>) -> Step {
        let operation = Operation::AndroidGoogleReport;
        match question::answer(event, operation) {
            Ok(Answer::Taken) => {}
            Ok(answer) => other(&answer, operation).complain(ctx),
            Err(trouble) if is_gone(&trouble) => return leave::end(lane, Stage::Removed, ctx),
            Err(trouble) => trouble.complain(ctx),
        }
        lane.proceed(ctx)
    }
}

/// What is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Unlocked,
    Locked,
    Resolved,
    Connected,
}

impl Kind {
    fn event(self, id: u64, at: String, host: u64) -> Value {
        let address = format!("203.0.113.{host}");
        let (kind, field, about) = match self {
            Kind::Unlocked => ("KEYGUARD_DISMISSED", "keyguardDismissedEvent", json!({})),
            Kind::Locked => ("KEYGUARD_SECURED", "keyguardSecuredEvent", json!({})),
            Kind::Resolved => (
                "DNS",
                "dnsEvent",
                json!({
                    "packageName": BROWSER, "hostname": format!("host{host}.example.com"),
                    "ipAddresses": [address], "totalIpAddressesReturned": int64(1),
                }),
            ),
            Kind::Connected => (
                "CONNECT",
                "connectEvent",
                json!({ "packageName": BROWSER, "destinationIpAddress": address, "destinationPort": 443 }),
            ),
        };
        json!({ "eventId": int64(id.cast_signed()), "eventTime": at, "eventType": kind, field: about })
    }
}

const KINDS: &[Kind] = &[Kind::Unlocked, Kind::Locked, Kind::Resolved, Kind::Connected];
const NETWORK: &[Kind] = &[Kind::Resolved, Kind::Connected];
const BROWSER: &str = "com.android.chrome";
/// A place in the numbering of what a device holds.
const LOGS: u64 = 1 << 40;
