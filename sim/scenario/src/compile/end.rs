//! Arrivals and ends: what a phase's rates and lengths make possible.

use super::Checks;
use super::phases::Drive;
use crate::language;
use crate::plan::{Arrivals, Condition, Place, Schedule, Until};
use crate::problem::Problem;
use crate::units::{Length, Rate, grouped, say_length, say_rate, write_length};
use crate::yaml::At;
use droves_facts::Dur;

/// How long a phase that names no end may go on after its last arrival.
const PATIENCE: Dur = Dur::secs(300);
/// Arrivals of one phase: beyond this the plan itself would take minutes.
const ARRIVALS_MAX: f64 = 1e9;

/// The arrivals that are written, checked by themselves.
pub(super) fn arrivals(drive: &Drive<'_>, item: &language::Phase, checks: &mut Checks<'_>) -> Option<Arrivals> {
    let Some(written) = drive.arrivals else { return Some(Arrivals::AtOnce) };
    let rate =
        |rate: &At<Rate>, checks: &mut Checks<'_>| checks.above_zero(&rate.map(|r| r.0), "a rate such as `50/s`");
    match &written.value {
        language::Arrivals::AtOnce => Some(Arrivals::AtOnce),
        language::Arrivals::Rate(r) => Some(Arrivals::Rate { per_second: rate(r, checks)? }),
        language::Arrivals::Poisson(r) => Some(Arrivals::Poisson { per_second: rate(r, checks)? }),
        language::Arrivals::Ramp(ramp) => {
            let over = above_zero(&ramp.over, checks)?;
            if ramp.from.0 <= 0.0 && ramp.to.0 <= 0.0 {
                checks.push(Problem::new("a ramp from nothing to nothing", ramp.to.place).cured("raise `to`"));
                return None;
            }
            Some(Arrivals::Ramp { from: ramp.from.0, to: ramp.to.0, over })
        }
        language::Arrivals::Spike(spike) => spike_of(spike, item, checks),
        language::Arrivals::Each(each) => {
            if drive.is_once() {
                let problem = Problem::new(format!("`{}` comes to a device once", drive.name), written.place);
                checks.push(problem.cured("use `rate`, `ramp`, `poisson`, `spike` or `at_once`"));
                return None;
            }
            let every = above_zero(&each.every, checks)?;
            let jitter = each.jitter.as_ref().map_or(Dur::ZERO, |jitter| jitter.0);
            if let Some(at) = each.jitter.as_ref().filter(|_| jitter.times(2) > every) {
                let problem = Problem::new("the jitter is more than half of the period", at.place);
                checks.push(problem.cured(format!("at most {}", Dur(every.0 / 2))));
                return None;
            }
            Some(Arrivals::Each { every, jitter })
        }
    }
}

fn spike_of(spike: &language::Spike, item: &language::Phase, checks: &mut Checks<'_>) -> Option<Arrivals> {
    let within = above_zero(&spike.within, checks)?;
    let peak = spike.peak.0;
    if peak.times(2) < within {
        let problem = Problem::new("the crowd would begin before its phase", spike.peak.place);
        checks.push(problem.cured(format!("put the peak at {} or later", write_length(Dur(within.0.div_ceil(2))))));
        return None;
    }
    let share = spike.share.as_ref().map_or(1.0, |share| share.0);
    let until_within = item.until.as_ref().and_then(|until| until.within.as_ref());
    let span = item.length.as_ref().or(until_within);
    if share < 1.0 && span.is_none() {
        let place = spike.share.as_ref().map_or(spike.peak.place, |share| share.place);
        let problem = Problem::new("the rest of the crowd has no time to come in", place);
        checks.push(problem.labelled("it is spread over the phase, whose length is not said").cured("give it a `for`"));
        return None;
    }
    let span = span.map_or(peak + within, |length| length.0);
    Some(Arrivals::Spike { peak, within, share, span })
}

fn above_zero(length: &At<Length>, checks: &mut Checks<'_>) -> Option<Dur> {
    checks.above_zero(&length.map(|l| l.0), "a length of time such as `30s`")
}

/// The end of a phase that waits.
pub(super) fn of_wait(item: &language::Phase, wait: &At<Length>, checks: &mut Checks<'_>) -> Until {
    if let Some(place) = item.length.as_ref().map(|l| l.place).or(item.until.as_ref().map(|u| u.place)) {
        checks.push(Problem::new("`wait` says itself how long it is", place).cured("leave this out"));
    }
    Until { length: Some(wait.0), condition: None, within: None }
}

/// The end of a phase that drives devices. It also tells the schedule before when its arrivals must be due.
pub(super) fn of_drive(
    item: &At<language::Phase>,
    drive: &Drive<'_>,
    schedule: &mut Schedule,
    checks: &mut Checks<'_>,
) -> Until {
    let length = item.length.as_ref().and_then(|length| above_zero(length, checks));
    let condition = item.until.as_ref().and_then(|until| condition(until, drive, checks));
    let within = item.until.as_ref().and_then(|until| until.within.as_ref());
    let mut until = Until { length, condition: condition.map(|c| c.0), within: within.map(|w| w.0) };
    schedule.before = until.limit();
    match (&item.until, until.limit()) {
        (_, Some(_)) => {}
        (Some(written), None) => {
            let problem = Problem::new("this phase can last for ever", written.place);
            let cure = "say how long it may take: `within: 10m`";
            checks.absent(written.place, problem.labelled("if the condition never holds").cured(cure));
        }
        (None, None) if schedule.is_per_lane() && schedule.times.is_none() => {
            let problem = Problem::new(format!("`{}` has no end", drive.name), drive.place);
            let label = "each device has its turn again and again";
            checks.absent(item.place, problem.labelled(label).cured("say how long: `for: 10m`"));
        }
        (None, None) if check_size(drive, schedule, checks) => {
            until.condition = Some(Condition::Done(1.0));
            until.within = Some(schedule.last_due().unwrap_or(Dur::ZERO) + PATIENCE);
            schedule.before = until.within;
        }
        (None, None) => {}
    }
    if until.limit().is_none() || !check_size(drive, schedule, checks) {
        return until;
    }
    if let (Some((condition, _)), Some(limit), true) = (condition, until.limit(), checks.sizes_known) {
        let words = if within.is_some_and(|w| w.0 == limit) { "within" } else { "for" };
        check_possible(condition, (limit, words), drive, schedule, checks);
    }
    until
}

fn condition(until: &At<language::Until>, drive: &Drive<'_>, checks: &mut Checks<'_>) -> Option<(Condition, Place)> {
    let rows = [
        ("enrolled", until.enrolled.as_ref().map(|s| (Condition::Enrolled(s.0), s.place))),
        ("accepted", until.accepted.as_ref().map(|s| (Condition::Accepted(s.0), s.place))),
        ("done", until.done.as_ref().map(|s| (Condition::Done(s.0), s.place))),
    ];
    let given: Vec<_> = rows.into_iter().filter_map(|(name, row)| row.map(|row| (name, row))).collect();
    match given.as_slice() {
        [] => {
            let problem = Problem::new("`until` says no condition", until.place);
            checks.absent(until.place, problem.cured("say `enrolled`, `accepted` or `done`; `for` is a plain length"));
            None
        }
        [(name, (_, place))]
            if (*name == "enrolled" && drive.name != "enroll") || (*name == "accepted" && drive.name != "command") =>
        {
            let title = format!("`{}` can't end when something is `{name}`", drive.name);
            checks.push(Problem::new(title, *place).cured("say `done`"));
            None
        }
        [(_, row)] => Some(*row),
        [_, (name, (_, place)), ..] => {
            let problem = Problem::new("`until` says more than one condition", *place);
            checks.push(problem.labelled(format!("`{name}` is the second")).cured("keep one"));
            None
        }
    }
}

/// Whether a machine could plan so many arrivals at all.
fn check_size(drive: &Drive<'_>, schedule: &Schedule, checks: &mut Checks<'_>) -> bool {
    let lanes = f64::from(schedule.who.lanes());
    let seconds = schedule.before.map_or(f64::INFINITY, Dur::as_secs_f64);
    let by_time = match schedule.arrivals {
        Arrivals::Rate { per_second } | Arrivals::Poisson { per_second } => per_second * seconds,
        Arrivals::Ramp { from, to, .. } => from.max(to) * seconds,
        Arrivals::Each { every, .. } => lanes * seconds / every.as_secs_f64(),
        Arrivals::AtOnce | Arrivals::Spike { .. } => f64::INFINITY,
    };
    let by_turns = schedule.times.map_or(f64::INFINITY, |times| lanes * f64::from(times));
    if by_time.min(by_turns) <= ARRIVALS_MAX {
        return true;
    }
    let place = drive.arrivals.map(|a| a.place).or(drive.repeat.map(|r| r.place)).unwrap_or(drive.place);
    let label = format!("it would have more than {}", grouped(ARRIVALS_MAX as u64));
    checks.push(Problem::new("more arrivals than a plan can hold", place).labelled(label));
    false
}

/// Whether what the end needs can be due before it.
fn check_possible(
    condition: Condition,
    (limit, limit_word): (Dur, &str),
    drive: &Drive<'_>,
    schedule: &Schedule,
    checks: &mut Checks<'_>,
) {
    let whole = Schedule { before: None, ..schedule.clone() };
    let (Some(written), Some(times)) = (drive.arrivals, whole.times) else { return };
    let total = u64::from(whole.who.lanes()) * u64::from(times);
    let Some(last) = condition.needed(total).checked_sub(1) else { return };
    let due = whole.stream().nth(usize::try_from(last).unwrap_or(usize::MAX)).map(|arrival| arrival.due);
    if due.is_some_and(|due| due < limit) {
        return;
    }
    let needed = last + 1;
    let (place, rate, raise_to) = match &written.value {
        language::Arrivals::Rate(r) | language::Arrivals::Poisson(r) => {
            (r.place, r.0, Some(needed as f64 / limit.as_secs_f64()))
        }
        language::Arrivals::Ramp(ramp) => (ramp.to.place, ramp.to.0, ramp_to(ramp, needed, limit)),
        language::Arrivals::Spike(spike) => (spike.peak.place, 0.0, None),
        language::Arrivals::AtOnce | language::Arrivals::Each(_) => return,
    };
    let who = grouped(needed);
    let title = match rate > 0.0 {
        true => format!("`{}` is not a rate that this phase can end with", checks.source.quote(place)),
        false => "this phase can't end as it says".to_owned(),
    };
    let label = match due {
        Some(due) if rate > 0.0 => {
            let need = say_length(due);
            format!("{who} arrivals at {} need {need}, but `{limit_word}` is {}", say_rate(rate), write_length(limit))
        }
        Some(due) => format!("the last of {who} is due after {}, but `{limit_word}` is {}", due, write_length(limit)),
        None => format!("{who} arrivals are needed, and the ramp ends with fewer"),
    };
    let lengthen = due.map(|due| format!("`{limit_word}` to {}", write_length(due + Dur::secs(1))));
    let raise = raise_to.map(|rate| format!("the rate to {} or more", say_rate_up(rate)));
    let cure = [raise, lengthen].into_iter().flatten().collect::<Vec<_>>().join(", or ");
    checks.push(Problem::new(title, place).labelled(label).cured(format!("raise {cure}")));
}

/// The final rate with which a ramp has had so many arrivals before `limit`.
fn ramp_to(ramp: &language::Ramp, needed: u64, limit: Dur) -> Option<f64> {
    let (from, over, limit, needed) = (ramp.from.0, ramp.over.0.as_secs_f64(), limit.as_secs_f64(), needed as f64);
    let to = match limit >= over {
        true => (needed - over * from / 2.0) / (limit - over / 2.0),
        false => from + (needed - from * limit) * 2.0 * over / (limit * limit),
    };
    (to.is_finite() && to > 0.0).then_some(to)
}

fn say_rate_up(rate: f64) -> String {
    if rate >= 1.0 { say_rate(rate.ceil()) } else { say_rate((rate * 60.0).ceil() / 60.0) }
}
