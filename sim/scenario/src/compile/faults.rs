//! Faults and thresholds.

use super::Checks;
use super::fleet::sigma;
use super::phases::{World, names};
use crate::language::{self, NetworkFault, PushFault};
use crate::plan::{Delay, Fault, FaultKind, GoogleFault, Managed, Phase, ServerFault, Strikes, Target, ThresholdLine};
use crate::problem::{Problem, nearest};
use crate::yaml::{At, Named, TextOr};
use droves_facts::{Dur, PhaseIx, Platform, PopulationIx};
use droves_wire::windows::soap::FaultKind as SoapFault;

/// What push services can answer: APNs (developer.apple.com, "Handling notification responses from APNs") and WNS
/// (learn.microsoft.com, "Push notification service request and response headers"). Each leaves out what it never answers.
const PUSH_ANSWERS: [u16; 11] = [400, 401, 403, 404, 405, 406, 410, 413, 429, 500, 503];

/// What faults are checked against.
pub(super) struct Stage<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) phases: &'a [Phase],
    pub(super) written: &'a At<Vec<At<language::Phase>>>,
    /// The server, if it is a sound one.
    pub(super) target: Option<&'a Target>,
}

/// The faults.
pub(super) fn faults(written: &[At<language::Fault>], stage: &Stage<'_>, checks: &mut Checks<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let embedded = stage.target.is_some_and(|target| target.url.is_none());
    for fault in written {
        let what = kind(fault, embedded, checks);
        let who = fault.who.as_ref().map(|who| populations(who, stage.world, checks));
        let during = fault.during.as_ref().and_then(|name| phase(name, stage, checks));
        let length = fault.length.as_ref().and_then(|l| checks.above_zero(&l.map(|l| l.0), "a length such as `30s`"));
        let after = fault.after.map_or(Dur::ZERO, |after| after.0);
        let strikes = strikes(fault, checks);
        if let Some(missing) = what.and_then(|what| missing(what, who.as_deref(), stage)) {
            checks.push(Problem::warning("this fault strikes nobody", fault.place).labelled(missing));
        }
        faults.extend(what.map(|what| Fault { what, strikes, who, during, after, length }));
    }
    faults
}

/// What is not there that a fault would strike.
fn missing(what: FaultKind, who: Option<&[PopulationIx]>, stage: &Stage<'_>) -> Option<&'static str> {
    let Stage { world, target, .. } = stage;
    let chosen = |(ix, _): &(usize, _)| who.is_none_or(|who| who.iter().any(|chosen| chosen.0 as usize == *ix));
    let any = |of: &dyn Fn(Platform, Option<Managed>) -> bool| {
        world.kinds.iter().enumerate().filter(chosen).any(|(_, (platform, managed))| of(*platform, *managed))
    };
    let is_googles = |_, managed| matches!(managed, Some(Managed::Google { .. }));
    let agent = world.server.and_then(|server| server.enroll_agent.as_ref());
    let (is_there, missing) = match what {
        FaultKind::PushAnswer(_) | FaultKind::PushLost => {
            let project = agent.and_then(|agent| agent.fcm.as_ref());
            let by_fcm = project.is_some_and(|project| !is_empty(project, *target));
            let is_pushed =
                |platform, managed| platform != Platform::Android || (managed == Some(Managed::Agent) && by_fcm);
            (any(&is_pushed), "no push service wakes these devices")
        }
        FaultKind::Google(..)
        | FaultKind::Server(ServerFault::LoseOnQuota | ServerFault::CrashOnForgotten | ServerFault::GoneIsDone) => {
            (any(&is_googles), "Google manages none of these devices")
        }
        FaultKind::Server(ServerFault::WrongReference | ServerFault::Refuse(_)) => {
            (any(&|platform, _| platform == Platform::Windows), "none of these devices runs Windows")
        }
        FaultKind::Server(ServerFault::WrongSignature) => {
            let are_checked = agent.is_some_and(|agent| agent.checked);
            let looks = |_, managed| managed == Some(Managed::Agent) && are_checked;
            (any(&looks), "agents look at signatures where the server's profile has `checked: true`")
        }
        _ => return None,
    };
    (!is_there).then_some(missing)
}

/// Whether a template comes to nothing: it is made of variables that are empty.
fn is_empty(template: &str, target: Option<&Target>) -> bool {
    let vars = target.into_iter().flat_map(|target| &target.vars);
    let mut named = vars.filter(|(name, _)| template.contains(&format!("vars.{name}"))).peekable();
    named.peek().is_some() && named.all(|(_, value)| value.is_empty())
}

fn strikes(fault: &At<language::Fault>, checks: &mut Checks<'_>) -> Strikes {
    match (&fault.share, &fault.nth) {
        (share, None) => Strikes::Share(share.as_ref().map_or(1.0, |share| share.0)),
        (Some(share), Some(_)) => {
            checks.push(Problem::new("a fault has a `share` or an `nth`, not both", share.place));
            Strikes::Share(share.0)
        }
        (None, Some(nth)) => {
            if fault.network.is_some() {
                let problem = Problem::new("a network fault has no `nth`", nth.place);
                checks.push(problem.cured("its connections are opened side by side, and have no order: say a `share`"));
            } else if nth.value == 0 {
                checks.push(Problem::new("faults are counted from 1", nth.place));
            }
            Strikes::Nth(nth.value)
        }
    }
}

fn kind(fault: &At<language::Fault>, embedded: bool, checks: &mut Checks<'_>) -> Option<FaultKind> {
    let about = fault.about.as_ref().and_then(|about| about_of(about, fault.google.is_some(), checks));
    match (&fault.push, &fault.network, &fault.server, &fault.google) {
        (None, None, None, Some(google)) => {
            if let Some(who) = &fault.who {
                let problem = Problem::new("Google's faults are about calls and notifications, not devices", who.place);
                checks.push(problem.cured("leave `who` out, or say `about`"));
            }
            google_fault(google, checks).map(|google| FaultKind::Google(google, about))
        }
        (Some(push), None, None, None) => match &push.value {
            PushFault::Lost => Some(FaultKind::PushLost),
            PushFault::Answer(status) if PUSH_ANSWERS.contains(status) => Some(FaultKind::PushAnswer(status.value)),
            PushFault::Answer(status) => {
                let title = format!("no push service answers {}", status.value);
                let all = PUSH_ANSWERS.map(|s| s.to_string()).join(", ");
                checks.push(Problem::new(title, status.place).labelled(format!("they answer {all}")));
                None
            }
        },
        (None, Some(network), None, None) => Some(match &network.value {
            NetworkFault::Latency(latency) => FaultKind::NetworkLatency(delay(latency, checks)?),
            NetworkFault::Reset => FaultKind::NetworkReset,
            NetworkFault::Refused => FaultKind::NetworkRefused,
            NetworkFault::Bandwidth(bandwidth) => FaultKind::NetworkBandwidth(bandwidth.0),
        }),
        (None, None, Some(server), None) => {
            if !embedded {
                let problem = Problem::new("only the embedded practice server fails on order", server.place);
                checks.push(problem.cured("use `target: { server: practice }` without a url, or a `network` fault"));
            }
            server_fault(server, checks).map(FaultKind::Server)
        }
        (None, None, None, None) => {
            checks.absent(
                fault.place,
                Problem::new("this fault does nothing", fault.place)
                    .cured("say `push`, `network`, `server` or `google`"),
            );
            None
        }
        _ => {
            let problem = Problem::new("this fault is of more than one kind", fault.place);
            checks.push(problem.cured("write one fault for each"));
            None
        }
    }
}

/// What Google's faults can be about: types of notifications, and methods of the Android Management API by their ids.
const GOOGLE_ABOUT: [&str; 42] = [
    "COMMAND",
    "COMPLIANCE_REPORT",
    "ENROLLMENT",
    "ENTERPRISE_UPGRADE",
    "STATUS_REPORT",
    "USAGE_LOGS",
    "enterprises.applications.get",
    "enterprises.create",
    "enterprises.delete",
    "enterprises.devices.delete",
    "enterprises.devices.get",
    "enterprises.devices.issueCommand",
    "enterprises.devices.list",
    "enterprises.devices.operations.cancel",
    "enterprises.devices.operations.get",
    "enterprises.devices.operations.list",
    "enterprises.devices.patch",
    "enterprises.enrollmentTokens.create",
    "enterprises.enrollmentTokens.delete",
    "enterprises.enrollmentTokens.get",
    "enterprises.enrollmentTokens.list",
    "enterprises.generateEnterpriseUpgradeUrl",
    "enterprises.get",
    "enterprises.list",
    "enterprises.migrationTokens.create",
    "enterprises.migrationTokens.get",
    "enterprises.migrationTokens.list",
    "enterprises.patch",
    "enterprises.policies.delete",
    "enterprises.policies.get",
    "enterprises.policies.list",
    "enterprises.policies.modifyPolicyApplications",
    "enterprises.policies.patch",
    "enterprises.policies.removePolicyApplications",
    "enterprises.webApps.create",
    "enterprises.webApps.delete",
    "enterprises.webApps.get",
    "enterprises.webApps.list",
    "enterprises.webApps.patch",
    "enterprises.webTokens.create",
    "provisioningInfo.get",
    "signupUrls.create",
];

fn about_of(about: &At<String>, is_googles: bool, checks: &mut Checks<'_>) -> Option<&'static str> {
    if !is_googles {
        let problem = Problem::new("`about` is of Google's faults", about.place);
        checks.push(problem.cured("leave it out; `who` says whom another fault strikes"));
        return None;
    }
    let known = GOOGLE_ABOUT.into_iter().find(|known| *known == about.value);
    if known.is_none() {
        let problem = Problem::new(format!("`{}` is no method and no type of notification", about.value), about.place);
        checks.push(match nearest(&about.value, GOOGLE_ABOUT) {
            Some(near) => problem.labelled(format!("did you mean `{near}`?")),
            None => problem.labelled("such as `enterprises.policies.patch`, or `STATUS_REPORT`"),
        });
    }
    known
}

/// What Google can refuse a call with.
const GOOGLE_ANSWERS: [u16; 4] = [304, 429, 500, 503];

fn google_fault(google: &language::GoogleFault, checks: &mut Checks<'_>) -> Option<GoogleFault> {
    Some(match google {
        language::GoogleFault::Answer(status) if GOOGLE_ANSWERS.contains(status) => GoogleFault::Answer(status.value),
        language::GoogleFault::Answer(status) => {
            let problem = Problem::new(format!("Google does not answer {} on order", status.value), status.place);
            checks.push(problem.labelled(format!("it answers {}", GOOGLE_ANSWERS.map(|s| s.to_string()).join(", "))));
            return None;
        }
        language::GoogleFault::QuotaAsInternal => GoogleFault::QuotaAsInternal,
        language::GoogleFault::Slow(by) => GoogleFault::Slow(delay(by, checks)?),
        language::GoogleFault::Lose => GoogleFault::Lose,
        language::GoogleFault::Repeat(after) => GoogleFault::Repeat(delay(after, checks)?),
        language::GoogleFault::Late(by) => GoogleFault::Late(delay(by, checks)?),
        language::GoogleFault::Forgotten => GoogleFault::Forgotten,
        language::GoogleFault::Stale => GoogleFault::Stale,
    })
}

fn server_fault(server: &language::ServerFault, checks: &mut Checks<'_>) -> Option<ServerFault> {
    Some(match server {
        language::ServerFault::Answer(status) if (400..=599).contains(&status.value) => {
            ServerFault::Answer(status.value)
        }
        language::ServerFault::Answer(status) => {
            checks.push(Problem::new(format!("{} is no error", status.value), status.place).labelled("400 to 599"));
            return None;
        }
        language::ServerFault::Slow(slow) => ServerFault::Slow(delay(slow, checks)?),
        language::ServerFault::HangUp => ServerFault::HangUp,
        language::ServerFault::LoseCommand => ServerFault::LoseCommand,
        language::ServerFault::RepeatCommand => ServerFault::RepeatCommand,
        language::ServerFault::MisdeliverCommand => ServerFault::MisdeliverCommand,
        language::ServerFault::ForgetPush => ServerFault::ForgetPush,
        language::ServerFault::Html => ServerFault::Html,
        language::ServerFault::Chunked => ServerFault::Chunked,
        language::ServerFault::IllFormed => ServerFault::IllFormed,
        language::ServerFault::WrongReference => ServerFault::WrongReference,
        language::ServerFault::WrongSignature => ServerFault::WrongSignature,
        language::ServerFault::LoseOnQuota => ServerFault::LoseOnQuota,
        language::ServerFault::CrashOnForgotten => ServerFault::CrashOnForgotten,
        language::ServerFault::GoneIsDone => ServerFault::GoneIsDone,
        language::ServerFault::Refuse(name) => {
            let known = || SoapFault::all().map(SoapFault::name);
            let Some(fault) = SoapFault::named(&name.value) else {
                let label = match nearest(&name.value, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
                };
                let title = format!("Windows knows no SOAP fault `{}`", name.value);
                checks.push(Problem::new(title, name.place).labelled(label));
                return None;
            };
            ServerFault::Refuse(fault)
        }
    })
}

fn delay(written: &language::Delay, checks: &mut Checks<'_>) -> Option<Delay> {
    match written {
        language::Delay::Fixed(length) => Some(Delay::Fixed(length.0)),
        language::Delay::Uniform(uniform) if uniform.to.0 < uniform.from.0 => {
            checks.push(Problem::new("`to` is less than `from`", uniform.to.place));
            None
        }
        language::Delay::Uniform(uniform) => Some(Delay::Uniform { from: uniform.from.0, to: uniform.to.0 }),
        language::Delay::Lognormal(law) => {
            Some(Delay::Lognormal { median: law.median.0, sigma: sigma(&law.sigma, checks) })
        }
    }
}

fn populations(who: &At<language::OneOrMore>, world: &World<'_>, checks: &mut Checks<'_>) -> Vec<PopulationIx> {
    match &who.value {
        TextOr::Text(all) if all == "all" => (0..world.roster.populations() as u32).map(PopulationIx).collect(),
        TextOr::Text(name) => world.population(name, who.place, checks).into_iter().collect(),
        TextOr::Other(names) => {
            names.iter().filter_map(|name| world.population(&name.value, name.place, checks)).collect()
        }
    }
}

fn phase(name: &At<String>, stage: &Stage<'_>, checks: &mut Checks<'_>) -> Option<PhaseIx> {
    if let Some(phase) = stage.phases.iter().find(|phase| phase.name == name.value) {
        return Some(phase.ix);
    }
    let names = names(stage.written);
    if names.contains(&name.value.as_str()) {
        // It is there, and has problems of its own.
        return None;
    }
    let label = match nearest(&name.value, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.join(", ")),
    };
    checks.absent(
        stage.written.place,
        Problem::new(format!("no phase is called `{}`", name.value), name.place).labelled(label),
    );
    None
}

/// The thresholds, still as text: what they mean is for `measure` to say.
pub(super) fn thresholds(written: &Named<Vec<At<language::Threshold>>>, checks: &mut Checks<'_>) -> Vec<ThresholdLine> {
    let mut lines = Vec::new();
    for (metric, expressions) in &written.0 {
        let line = |expression: &str, place| ThresholdLine {
            metric: metric.value.clone(),
            expression: expression.to_owned(),
            abort_on_fail: false,
            lasting: None,
            metric_place: metric.place,
            place,
        };
        for expression in expressions {
            match &expression.value {
                TextOr::Text(text) => lines.push(line(text, expression.place)),
                TextOr::Other(named) => {
                    for (text, options) in &named.0 {
                        let lasting = options.lasting.map(|length| length.0);
                        let options_of = line(&text.value, text.place);
                        lines.push(ThresholdLine { abort_on_fail: options.abort_on_fail, lasting, ..options_of });
                    }
                }
            }
        }
    }
    for empty in lines.iter().filter(|line| line.expression.trim().is_empty()) {
        checks.push(Problem::new("a threshold that says nothing", empty.place).cured("write `p(99)<500ms`"));
    }
    lines
}
