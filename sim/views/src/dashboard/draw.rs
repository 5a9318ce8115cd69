//! The dashboard's picture.

use crate::figures::{clock, count, megabytes, percent, time};
use droves_engine::{Look, Nearness};
use droves_facts::{DeviceState, Dur, Unit};
use droves_measure::{Hop, OperationRow, Progress};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Sparkline, Table};

/// From this width on there is room for columns that say more.
const WIDE: u16 = 110;

/// How operations are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// In the order in which a device meets them.
    Natural,
    /// The most frequent first.
    Count,
    /// The slowest first.
    Slowest,
    /// Those with most failures first.
    Failed,
}

/// What is to be seen.
#[derive(Clone, Debug)]
pub struct View {
    scenario: String,
    colours: bool,
    look: Option<Look>,
    /// Processor time at the look before, and when that was.
    cpu_before: (f64, u64),
    cpu_share: f64,
    sort: Sort,
    paused: bool,
    /// Whether the help is open.
    pub help: bool,
}

impl View {
    /// Nothing is to be seen yet.
    pub fn new(scenario: &str, colours: bool) -> Self {
        View {
            scenario: scenario.to_owned(),
            colours,
            look: None,
            cpu_before: (0.0, 0),
            cpu_share: 0.0,
            sort: Sort::Natural,
            paused: false,
            help: false,
        }
    }

    /// Takes a look, unless the picture is held.
    pub fn take(&mut self, look: Look) {
        let (cpu, at) = (look.health.cpu_s, look.progress.now.0);
        if at >= self.cpu_before.1 + 900_000 {
            let seconds = (at - self.cpu_before.1) as f64 / 1e6;
            self.cpu_share = (cpu - self.cpu_before.0) / seconds;
            self.cpu_before = (cpu, at);
        }
        if !self.paused {
            self.look = Some(look);
        }
    }

    /// Holds the picture, or lets it go on. The run goes on all the while.
    pub fn pause(&mut self) {
        self.paused = !self.paused;
    }

    /// Sorts operations the next way.
    pub fn sort_next(&mut self) {
        self.sort = match self.sort {
            Sort::Natural => Sort::Count,
            Sort::Count => Sort::Slowest,
            Sort::Slowest => Sort::Failed,
            Sort::Failed => Sort::Natural,
        };
    }

    fn style(&self, mood: Mood) -> Style {
        if !self.colours {
            return match mood {
                Mood::Bad => Style::new().add_modifier(Modifier::BOLD),
                _ => Style::new(),
            };
        }
        match mood {
            Mood::Plain => Style::new(),
            Mood::Good => Style::new().fg(Color::Green),
            Mood::Watch => Style::new().fg(Color::Yellow),
            Mood::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            Mood::Quiet => Style::new().fg(Color::DarkGray),
        }
    }
}

/// Colour says good, watch, bad and nothing else, and never alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Plain,
    Good,
    Watch,
    Bad,
    Quiet,
}

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let area = frame.area();
    let Some(look) = &view.look else {
        frame.render_widget(Paragraph::new(format!("{}: starting …", view.scenario)), area);
        return;
    };
    let errors = (look.progress.errors.len() as u16).clamp(1, area.height.saturating_sub(20).max(2)) + 1;
    let [head, honest, fleet, rates, operations, funnel, wrong, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(if area.height >= 30 { 4 } else { 2 }),
        Constraint::Min(6),
        Constraint::Length(4),
        Constraint::Length(errors),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(phases(view, look, head.width)), head);
    frame.render_widget(Paragraph::new(honesty(view, look, honest.width)), honest);
    frame.render_widget(Paragraph::new(devices(view, &look.progress)), fleet);
    draw_rates(frame, rates, view, &look.progress);
    draw_operations(frame, operations, view, &look.progress);
    draw_funnel(frame, funnel, view, &look.progress);
    draw_errors(frame, wrong, view, &look.progress);
    frame.render_widget(Paragraph::new(footer(view)), keys);
    if view.help {
        draw_help(frame, area);
    }
}

fn phases<'a>(view: &View, look: &Look, width: u16) -> Vec<Line<'a>> {
    let to_come = match look.to_come {
        0 => "no more to come".to_owned(),
        1 => "1 more to come".to_owned(),
        n => format!("{n} more to come"),
    };
    let title = vec![
        Span::styled(format!("{} ", view.scenario), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!("{}  ", clock(Dur(look.progress.now.0)))),
        Span::styled(to_come, view.style(Mood::Quiet)),
    ];
    let phase = |phase: &droves_engine::PhaseLook| {
        let reached =
            phase.reached.map_or_else(String::new, |(has, needs)| format!(" {} of {}", count(has), count(needs)));
        let left = phase.left.map_or_else(String::new, |left| format!(", at most {} left", clock(left)));
        format!("{}{reached}{left}", phase.name)
    };
    let running: Vec<String> = look.phases.iter().map(phase).collect();
    let running = if running.is_empty() { "finishing what is open".to_owned() } else { running.join("  ·  ") };
    vec![Line::from(title), Line::from(fit(&format!("phase  {running}"), width))]
}

/// One sentence: the generator is no limit, or what it is.
fn honesty<'a>(view: &View, look: &Look, width: u16) -> Line<'a> {
    let lag = look.progress.lag.p99;
    let late = lag.is_some_and(|lag| lag > look.lag_us_max);
    let is_near = lag.is_some_and(|lag| lag > look.lag_us_max / 2);
    let practice = look.practice_cpu_s.map_or_else(String::new, |cpu| format!(", practice {cpu:.1} s"));
    let near = look.nearness.map_or_else(
        || "not calibrated".to_owned(),
        |Nearness { now, busiest }| format!("{} of this machine, busiest {}", percent(now), percent(busiest)),
    );
    // What is cut off where there is no room is what matters least.
    let costs = format!(
        "{near}; {:.0}% cpu{practice}, {}, {} files",
        view.cpu_share * 100.0,
        megabytes(look.health.rss_bytes_max),
        count(look.health.fds),
    );
    let (mood, text) = if late {
        (Mood::Bad, format!("GENERATOR LATE: lag p99 {} is over {}; {costs}", time(lag), Dur(look.lag_us_max)))
    } else if is_near {
        (Mood::Watch, format!("generator near its bound: lag p99 {} of {}; {costs}", time(lag), Dur(look.lag_us_max)))
    } else {
        (Mood::Good, format!("generator ok: lag p99 {}; {costs}", time(lag)))
    };
    Line::from(Span::styled(fit(&text, width), view.style(mood)))
}

fn devices<'a>(view: &View, progress: &Progress) -> Line<'a> {
    let mut spans = vec![Span::raw("fleet  ")];
    for (state, n) in progress.devices.iter().filter(|(_, n)| *n > 0) {
        let mood = match state {
            DeviceState::Failed => Mood::Bad,
            DeviceState::Enrolled => Mood::Good,
            _ => Mood::Plain,
        };
        spans.push(Span::styled(format!("{} {}  ", count(*n), state.name()), view.style(mood)));
    }
    spans.push(Span::raw(format!(" {} sessions open", count(progress.sessions))));
    Line::from(spans)
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, view: &View, progress: &Progress) {
    let (ended, failed) = progress.requests;
    let text = format!(
        "{:>7} requests/s\n{:>7} sessions/s\n{:>7} failed of {}",
        count(progress.requests_per_s),
        count(progress.sessions_per_s),
        count(failed),
        count(ended),
    );
    let [figures, graph] = Layout::horizontal([Constraint::Length(30), Constraint::Min(10)]).areas(area);
    frame.render_widget(Paragraph::new(text), figures);
    let width = usize::from(graph.width);
    let history: Vec<u64> = progress.requests_history.iter().rev().take(width).rev().copied().collect();
    frame.render_widget(Sparkline::default().data(history).style(view.style(Mood::Quiet)), graph);
}

fn draw_operations(frame: &mut Frame<'_>, area: Rect, view: &View, progress: &Progress) {
    let wide = area.width >= WIDE;
    let mut rows: Vec<&OperationRow> =
        progress.operations.iter().filter(|row| row.operation.info().unit != Unit::Played).collect();
    match view.sort {
        Sort::Natural => {}
        Sort::Count => rows.sort_by_key(|row| std::cmp::Reverse(row.count)),
        Sort::Slowest => rows.sort_by_key(|row| std::cmp::Reverse(row.now.p99)),
        Sort::Failed => rows.sort_by_key(|row| std::cmp::Reverse(row.failed)),
    }
    let cells = |row: &OperationRow| {
        let mood = if row.failed > 0 { Mood::Bad } else { Mood::Plain };
        let mut cells = vec![
            Cell::from(row.operation.name()),
            right(count(row.count)),
            right(if row.failed > 0 { count(row.failed) } else { String::new() }).style(view.style(mood)),
            right(time(row.now.p50)),
            right(time(row.p95)),
            right(time(row.now.p99)),
            right(time(row.now.max)),
        ];
        if wide {
            cells.insert(6, right(time(row.p99_before)));
        }
        Row::new(cells)
    };
    let mut names = vec!["operation", "count", "failed", "p50", "p95", "p99", "max"];
    let mut widths = vec![
        Constraint::Min(24),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    if wide {
        names.insert(6, "a minute ago");
        widths.insert(6, Constraint::Length(12));
    }
    let head =
        names.iter().enumerate().map(|(n, name)| if n == 0 { Cell::from(*name) } else { right((*name).to_owned()) });
    let table = Table::new(rows.into_iter().map(cells), widths)
        .header(Row::new(head).style(Style::new().add_modifier(Modifier::BOLD)))
        .block(Block::new().borders(Borders::TOP));
    frame.render_widget(table, area);
}

fn right<'a>(text: String) -> Cell<'a> {
    Cell::from(Line::from(text).right_aligned())
}

fn draw_funnel(frame: &mut Frame<'_>, area: Rect, view: &View, progress: &Progress) {
    let name = |hop: Hop| match hop {
        Hop::Queued => Some("queued"),
        Hop::Pushed => Some("pushed"),
        Hop::Woken => Some("woken"),
        Hop::Connected => Some("connected"),
        Hop::Delivered => Some("delivered"),
        Hop::Answered => Some("answered"),
        Hop::Accepted => Some("accepted"),
        Hop::Total => Some("total p50"),
        // A part of another stands above; what only devices have that Google manages has no place here.
        Hop::Quota | Hop::Notified => None,
    };
    let width = (area.width / 8).max(9);
    let column = |text: String| format!("{text:>0$}", usize::from(width));
    let (mut names, mut counts, mut times) = (String::new(), String::new(), String::new());
    for (hop, n, p50) in &progress.funnel.hops {
        let Some(name) = name(*hop) else { continue };
        names.push_str(&column(name.to_owned()));
        counts.push_str(&column(if *hop == Hop::Total { String::new() } else { count(*n) }));
        times.push_str(&column(time(*p50)));
    }
    let lines = vec![
        Line::from(Span::styled(fit(&names, area.width), Style::new().add_modifier(Modifier::BOLD))),
        Line::from(fit(&counts, area.width)),
        Line::from(Span::styled(fit(&times, area.width), view.style(Mood::Quiet))),
    ];
    let funnel = &progress.funnel;
    let waited =
        funnel.hops.iter().find(|(hop, ..)| *hop == Hop::Quota).and_then(|(.., p50)| p50.filter(|p50| *p50 > 0));
    let waited = waited.map(|p50| format!(", quota {}", time(Some(p50)))).unwrap_or_default();
    let title = format!(
        " push: {} received, {} coalesced, {} stale, {} unregistered{waited} ",
        count(funnel.received),
        count(funnel.coalesced),
        count(funnel.stale),
        count(funnel.unregistered)
    );
    frame.render_widget(Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title(title)), area);
}

fn draw_errors(frame: &mut Frame<'_>, area: Rect, view: &View, progress: &Progress) {
    let block = Block::new().borders(Borders::TOP).title(" what went wrong ");
    if progress.errors.is_empty() {
        let text = Span::styled("nothing", view.style(Mood::Good));
        return frame.render_widget(Paragraph::new(Line::from(text)).block(block), area);
    }
    let line = |row: &droves_measure::ErrorRow| {
        let text = format!("{:>7} × {} ({}): {}", count(row.count), row.kind, row.blame.name(), row.text);
        let mood = if row.blame == droves_facts::Blame::Generator { Mood::Bad } else { Mood::Watch };
        Line::from(Span::styled(fit(&text, area.width), view.style(mood)))
    };
    let lines: Vec<Line<'_>> = progress.errors.iter().map(line).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn footer<'a>(view: &View) -> Line<'a> {
    let sort = match view.sort {
        Sort::Natural => "as they come",
        Sort::Count => "by count",
        Sort::Slowest => "by p99",
        Sort::Failed => "by failures",
    };
    let held = if view.paused { "  PICTURE HELD" } else { "" };
    Line::from(format!("q stop   p hold   s sort ({sort})   ? help{held}"))
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let lines = [
        "q, Ctrl-C   end the run; results are written",
        "p           hold the picture; the run goes on",
        "s           sort operations another way",
        "? Esc       this help",
        "",
        "response times count from the intended start,",
        "over the last ten to twenty seconds",
        "lag: how late the generator itself began",
    ];
    let (width, height) = (52.min(area.width), (lines.len() as u16 + 2).min(area.height));
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    let text: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title(" help ")), place);
}

/// What fits, cut between words and not within one.
fn fit(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let head: String = text.chars().take(width.saturating_sub(2)).collect();
    let end = head.rfind(' ').unwrap_or(head.len());
    format!("{} …", head[..end].trim_end())
}
