//! How an idle fleet and its work grow with the number of devices: five sizes in virtual time, each in a process of its
//! own. A whole run draws them to `docs/growth.svg`.

use crate::harness::{Ground, Row, begins, cpu_s, resident};
use crate::{apart, fleet, lanes, report};
use droves_engine::forecast::{Foresee, foresee};
use droves_facts::Limits;
use droves_shard::forecast::Model;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Sizes, evenly spread by their logarithms between the smallest and the largest.
const SIZES: u32 = 5;
const SMALLEST: u32 = 1_000;
/// Sessions that are enough for a figure.
const SESSIONS: u32 = 200_000;
/// Bytes that the targets have: a record and its place in the wheel; a device of ours; a million of them.
const FLOOR_BYTES: f64 = 112.0;
const DEVICE_BYTES: f64 = 256.0;
const MILLION_BYTES: f64 = 300e6;

/// What a process of its own is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    lanes: u32,
    /// Each device checks in once in each.
    hours: u32,
}

/// One size.
#[derive(Clone, Copy, Debug)]
struct Size {
    lanes: f64,
    /// Live heap of the shard alone, and what of the whole process is resident, in bytes.
    heap: f64,
    resident: f64,
    resident_max: f64,
    /// Processor time up to the first arrival, in seconds, and of a session, in microseconds.
    start_s: f64,
    session_us: f64,
}

pub(crate) fn rows(ground: &Ground) -> Vec<Row> {
    let sizes: Vec<Size> = (0..SIZES).map(|step| size(step, ground.scale.lanes)).collect();
    if ground.scale.is_whole {
        draw(&sizes, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/growth.svg"));
    }
    for size in &sizes {
        let Size { lanes, heap, resident, session_us, .. } = size;
        begins(&format!(
            "{lanes} devices: {:.0} B each live, {:.0} B resident, {session_us:.1} us a session",
            heap / lanes,
            resident / lanes
        ));
    }
    let [first, .., before, last] = sizes.as_slice() else { return Vec::new() };
    let device = (last.resident - before.resident) / (last.lanes - before.lanes);
    // Of a line from the smallest to the largest, with both axes in logarithms.
    let slope = |of: fn(&Size) -> f64| (of(last) / of(first)).ln() / (last.lanes / first.lanes).ln();
    let per_million = 1e6 / last.lanes;
    vec![
        Row::new(
            "an idle enrolled device without a certificate, to record and wheel",
            "B",
            (device, FLOOR_BYTES),
            DEVICE_BYTES / FLOOR_BYTES,
        ),
        Row::new(
            "the most ever resident of the largest idle fleet, to record and wheel, a million devices",
            "MB",
            (last.resident_max * per_million / 1e6, FLOOR_BYTES),
            MILLION_BYTES / 1e6 / FLOOR_BYTES,
        ),
        Row::new("slope of live heap by devices, log-log", "", (slope(|size| size.heap), 1.0), 1.03),
        Row::new("slope of work by devices, log-log", "", (slope(|size| size.session_us * size.lanes), 1.0), 1.03),
        Row::new(
            "start to first arrival in virtual time, a million devices, to a second",
            "s",
            (last.start_s * per_million, 1.0),
            1.0,
        ),
    ]
}

fn size(step: u32, largest: u32) -> Size {
    let span = f64::from(largest) / f64::from(SMALLEST);
    let lanes = (f64::from(SMALLEST) * span.powf(f64::from(step) / f64::from(SIZES - 1))).round() as u32;
    let order = Order { lanes, hours: (SESSIONS / lanes).max(1) };
    let [heap, resident, resident_max, start_s, session_us] = apart::ask("growth", &order)[..] else {
        panic!("growth has five figures")
    };
    Size { lanes: f64::from(lanes), heap, resident, resident_max, start_s, session_us }
}

/// What the process of its own does.
pub(crate) fn grown(order: &Order) -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  populations:\n    phones: {{ platform: ios, count: {} }}\nphases:\n  \
         - wait: 1s\n  - check_in: {{ who: all, arrivals: {{ each: {{ every: 1h }} }} }}\n    for: {}h\n",
        order.lanes, order.hours
    );
    let plan = std::sync::Arc::new(fleet::plan(dir.path(), &text));
    let (empty, _) = resident();
    let mut idle = None;
    let started = cpu_s();
    let what = Foresee { plan, limits: Limits::default(), model: Model::default() };
    let look = |_| {
        idle.get_or_insert_with(|| (resident(), cpu_s()));
    };
    let foreseen = foresee(what, |_| (), look, || false).unwrap();
    let ended = cpu_s();
    let ((resident, resident_max), idle) = idle.unwrap();
    let sessions = foreseen.folds.counts.sessions_ended as f64;
    let mut shard = None;
    let heap = allocation_counter::measure(|| shard = Some(lanes::enrolled(order.lanes, "  - wait: 1s\n")));
    vec![
        heap.bytes_current as f64,
        resident - empty,
        resident_max - empty,
        idle - started,
        (ended - idle) * 1e6 / sessions,
    ]
}

/// A name, a colour, and what of a size it shows.
type Curve = (&'static str, RGBColor, fn(&Size) -> f64);

/// Curves over the devices, both axes in logarithms: what a device takes, and what a session costs.
fn draw(sizes: &[Size], to: &Path) {
    let (first, last) = (sizes[0].lanes, sizes[sizes.len() - 1].lanes);
    let root = SVGBackend::new(to, (720, 420)).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&root)
        .caption("Growth with the number of devices", ("sans-serif", 18))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((first..last).log_scale(), (1.0..10_000.0).log_scale())
        .unwrap();
    let exact = |n: &f64| report::grouped(*n);
    chart.configure_mesh().x_desc("devices").x_label_formatter(&exact).y_label_formatter(&exact).draw().unwrap();
    let curves: [Curve; 3] = [
        ("bytes a device, resident", BLUE, |size| size.resident / size.lanes),
        ("bytes a device, live", CYAN, |size| size.heap / size.lanes),
        ("microseconds a session", RED, |size| size.session_us),
    ];
    for (name, colour, of) in curves {
        let points = sizes.iter().map(|size| (size.lanes, of(size)));
        let series = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        let drawn = chart.draw_series(series).unwrap();
        drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw().unwrap();
    root.present().unwrap();
}
