//! `report.html`: one file that opens offline. The figures of the summary, and the run by seconds as curves.

use crate::calibration::nearness;
use crate::figures::{count, percent, time};
use crate::results;
use droves_facts::Dur;
use droves_measure::{HOPS, Hop, Judgement, PhaseSummary, PushService, Second, Summary};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 120.0;
/// Room that the name of a phase takes.
const NAME_WIDTH: f64 = 90.0;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
    h1 .ok{color:#176b2c}h1 .bad{color:#a8201a}table{border-collapse:collapse;width:100%;margin:1rem 0}\
    th,td{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:right}th:first-child,td:first-child{text-align:left}\
    .wide{overflow-x:auto}svg{width:100%;height:auto;background:#f7f7f7}svg line{stroke:#999;stroke-dasharray:2 3}svg text{font-size:10px;fill:#777}figure{margin:1rem 0}figcaption{color:#555}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}svg{background:#202020}th,td{border-color:#333}}";

/// The page.
pub(crate) fn page(summary: &Summary, judgements: &[Judgement], seconds: &[Second]) -> String {
    let mut page = Page(String::new());
    let (word, class) = if summary.verdict.exit_code == 0 { ("passed", "ok") } else { ("failed", "bad") };
    page.raw("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">");
    page.raw(&format!("<title>{}</title><style>{STYLE}</style>", escaped(&summary.scenario)));
    page.raw(&format!("<h1>{}: <span class=\"{class}\">{word}</span></h1>", escaped(&summary.scenario)));
    page.list(&summary.verdict.reasons);
    page.raw(&format!(
        "<p>{} of {} devices enrolled. {} requests, {} failed. {} commands accepted of {} queued. Run {}, seed {}.</p>",
        count(summary.devices.enrolled),
        count(summary.devices.planned),
        count(summary.requests.started),
        count(summary.requests.failed),
        count(summary.fanout.accepted),
        count(summary.fanout.queued),
        escaped(&summary.run_id),
        summary.seed,
    ));
    thresholds(&mut page, judgements);
    page.curve("requests a second", summary, seconds, |second| second.requests);
    page.curve("sessions open", summary, seconds, |second| second.live);
    page.curve("devices enrolled", summary, seconds, |second| second.enrolled);
    page.curve("commands accepted a second", summary, seconds, |second| second.accepted);
    page.curve("lag of the generator, p99 in µs", summary, seconds, |second| second.lag_p99_us.unwrap_or(0));
    work(&mut page, summary, seconds);
    operations(&mut page, summary);
    hops(&mut page, summary);
    makespans(&mut page, summary);
    windows(&mut page, summary);
    services(&mut page, summary);
    failures(&mut page, summary);
    page.0
}

fn thresholds(page: &mut Page, judgements: &[Judgement]) {
    if !judgements.is_empty() {
        let rows = judgements.iter().map(|judgement| {
            let verdict = if judgement.holds { "holds" } else { "FAILED" };
            vec![format!("{}: {}", judgement.metric, judgement.expression), judgement.said.clone(), verdict.to_owned()]
        });
        page.table(&["threshold", "measured", ""], rows);
    }
}

/// What the generator did, against what the machine can offer.
fn work(page: &mut Page, summary: &Summary, seconds: &[Second]) {
    page.raw(&format!("<p>{}</p>", escaped(&nearness(summary))));
    if let Some(near) = &summary.generator.near {
        page.curve("of what the machine can offer, %", summary, seconds, |second| {
            (near.in_second(&second.work) * 100.0).round() as u64
        });
        let rows = near.parts.iter().map(|(name, part)| {
            let rate = |per_s: f64| format!("{per_s:.1}");
            let rates = [count(part.count), rate(part.per_core_s), rate(part.offered_per_core_s), percent(part.share)];
            [vec![name.clone()], rates.to_vec()].concat()
        });
        page.table(&["work of the generator", "count", "a core-second", "offered", "share"], rows);
    }
}

fn operations(page: &mut Page, summary: &Summary) {
    let rows = summary.operations.iter().map(|(name, operation)| {
        let of = if operation.response_us.max.is_some() { &operation.response_us } else { &operation.service_us };
        let mut row = vec![name.clone(), count(operation.count), count(operation.failed)];
        row.extend([of.p50, of.p90, of.p99, of.p999, of.max].map(time));
        row
    });
    page.table(&["operation", "count", "failed", "p50", "p90", "p99", "p99.9", "max"], rows);
}

/// In the order in which a command goes through them.
fn hops(page: &mut Page, summary: &Summary) {
    let hops = HOPS.iter().filter_map(|(hop, name)| {
        let label = if *hop == Hop::Quota { "quota, a part of pushed" } else { name };
        let hop = summary.fanout.hops_us.get(*name).filter(|hop| hop.p50.is_some())?;
        let mut row = vec![label.to_owned()];
        row.extend([hop.p50, hop.p90, hop.p99, hop.max].map(time));
        Some(row)
    });
    page.table(&["hop of a push", "p50", "p90", "p99", "last"], hops);
}

fn makespans(page: &mut Page, summary: &Summary) {
    let makespans = summary.phases.iter().filter(|phase| phase.makespan_us.p50.is_some()).map(|phase| {
        let to = phase.makespan_us;
        let mut row = vec![phase.name.clone(), count(phase.fanout.queued)];
        row.extend([to.p50, to.p90, to.p99, to.last].map(time));
        row
    });
    page.table(&["from the first command asked for", "commands", "50 %", "90 %", "99 %", "last accepted"], makespans);
}

fn windows(page: &mut Page, summary: &Summary) {
    let windows = summary.phases.iter().filter(|phase| phase.windows.sessions > 0).flat_map(|phase| {
        let of_phase = &phase.windows;
        [("messages", &of_phase.messages_per_session), ("nodes", &of_phase.nodes_per_session)].map(|(what, sizes)| {
            let mut row = vec![format!("{what} ({})", phase.name), count(of_phase.sessions)];
            row.extend([sizes.p50, sizes.p90, sizes.p99, sizes.max].map(|size| count(size.unwrap_or_default())));
            row
        })
    });
    page.table(&["in a session of a Windows device", "sessions", "p50", "p90", "p99", "most"], windows);
}

/// How those who are played beside the server saw it.
fn services(page: &mut Page, summary: &Summary) {
    let asked = |seen: &PushService| seen.accepted > 0 || !seen.refused.is_empty();
    let services = summary.push.services.iter().filter(|(_, seen)| asked(seen)).map(|(name, seen)| {
        let refused: Vec<String> =
            seen.refused.iter().map(|(status, times)| format!("{} × {status}", count(*times))).collect();
        vec![name.clone(), count(seen.accepted), count(seen.woken), refused.join(", ")]
    });
    page.table(&["push service", "taken", "woken", "refused"], services);
    let google = summary.google.as_ref().and_then(results::google);
    page.list(google.as_slice());
}

fn failures(page: &mut Page, summary: &Summary) {
    let failures = summary.failures.iter().map(|failure| {
        let example = failure.examples.first().cloned().unwrap_or_default();
        vec![format!("{} ({}): {example}", failure.kind, failure.blame), count(failure.count)]
    });
    page.table(&["what went wrong", "count"], failures);
}

struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
        self.0.push('\n');
    }

    fn list(&mut self, items: &[String]) {
        if !items.is_empty() {
            let items: String = items.iter().map(|item| format!("<li>{}", escaped(item))).collect();
            self.raw(&format!("<ul>{items}</ul>"));
        }
    }

    fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return;
        }
        let head: String = head.iter().map(|cell| format!("<th>{}", escaped(cell))).collect();
        self.raw(&format!("<div class=\"wide\"><table><tr>{head}"));
        for row in rows {
            let cells: String = row.iter().map(|cell| format!("<td>{}", escaped(cell))).collect();
            self.raw(&format!("<tr>{cells}"));
        }
        self.raw("</table></div>");
    }

    /// A value by seconds; where phases began, there is a line with its name.
    fn curve(&mut self, name: &str, summary: &Summary, seconds: &[Second], of: impl Fn(&Second) -> u64) {
        let (Some(last), Some(top)) = (seconds.last().map(|s| s.second), seconds.iter().map(&of).max()) else { return };
        let x = |second: u64| second as f64 * WIDTH / last.max(1) as f64;
        let y = |value: u64| HEIGHT - value as f64 * (HEIGHT - 4.0) / top.max(1) as f64;
        let point = |second: &Second| format!("{:.1},{:.1}", x(second.second), y(of(second)));
        let points: Vec<String> = seconds.iter().map(point).collect();
        let start = |phase: &PhaseSummary| phase.start_us as f64 / 1e6 * WIDTH / last.max(1) as f64;
        let mark = |(n, phase): (usize, &PhaseSummary)| {
            let x = start(phase);
            // Names of phases that begin together stand below each other.
            let above = summary.phases.iter().take(n).filter(|other| (start(other) - x).abs() < NAME_WIDTH).count();
            format!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{HEIGHT}\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
                x + 3.0,
                10 + 11 * above,
                escaped(&phase.name)
            )
        };
        let marks: String = summary.phases.iter().enumerate().map(mark).collect();
        self.raw(&format!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\"><polyline fill=\"none\" \
             stroke=\"#2a6fdb\" stroke-width=\"1.5\" points=\"{1}\"/>{marks}</svg><figcaption>{0}, up to {2}, in {3}</figcaption></figure>",
            escaped(name),
            points.join(" "),
            count(top),
            Dur::secs(last),
        ));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use droves_facts::PhaseIx;
    use droves_measure::{Folds, GoogleSummary, PhaseSpan, Surroundings};
    use std::collections::BTreeMap;

    #[test]
    fn what_a_server_said_can_not_become_markup() {
        assert_eq!(escaped("<script>\"&"), "&lt;script&gt;&quot;&amp;");
    }

    #[test]
    fn what_services_refused_and_google_held_up_is_said() {
        let fcm = PushService {
            accepted: 1_076,
            refused: [(404, 5), (429, 14)].into(),
            coalesced: 0,
            expired: 0,
            lost: 0,
            stored: 0,
            woken: 1_076,
        };
        let quiet = PushService { accepted: 0, refused: BTreeMap::new(), woken: 0, ..fcm.clone() };
        let mut summary = Summary::of(&Folds::default(), &Surroundings::default());
        summary.push.services = [("apns".to_owned(), quiet), ("fcm".to_owned(), fcm)].into();
        summary.google = Some(GoogleSummary {
            quota_refused: 3,
            quota_us: 2_000_000,
            notifications_dropped: 2,
            ..Default::default()
        });
        let page = page(&summary, &[], &[]);
        assert!(
            page.contains("<td>fcm<") && page.contains("<td>5 × 404, 14 × 429\n") && !page.contains("<td>apns<"),
            "{page}"
        );
        assert!(page.contains("Google: its quota refused 3 calls"), "{page}");
        assert!(page.contains("; 2 notifications were dropped here"), "{page}");
    }

    #[test]
    fn a_curve_has_a_point_a_second_and_a_mark_for_each_phase() {
        let name = "a<b".to_owned();
        let phase = PhaseSpan { phase: PhaseIx(0), name, start_us: 2_000_000, end_us: 4_000_000, in_vain: false };
        let beside = PhaseSpan { phase: PhaseIx(1), name: "beside".to_owned(), ..phase.clone() };
        let around = Surroundings { phases: vec![phase, beside], ..Surroundings::default() };
        let summary = Summary::of(&Folds::default(), &around);
        let seconds: Vec<Second> =
            (0..5).map(|n| Second { second: n, requests: n * 10, ..Second::default() }).collect();
        let mut page = Page(String::new());
        page.curve("requests", &summary, &seconds, |second| second.requests);
        assert_eq!(page.0.matches(',').count(), 7, "five points and the caption: {}", page.0);
        assert!(page.0.contains("x=\"453.0\" y=\"21\">beside<"), "{}", page.0);
        assert!(page.0.contains("x=\"453.0\" y=\"10\">a&lt;b<") && page.0.contains("up to 40, in 4s"), "{}", page.0);
    }
}
