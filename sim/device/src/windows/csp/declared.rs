//! DeclaredConfiguration: documents that say what the device is to be like. It sees to it later, and sums all of them up
//! in each session.

use super::{Call, Effect, Node, Place, Scene, Tree};
use crate::windows::tree::{Alert, Task, Work};
use droves_facts::{Dur, Purpose};
use droves_wire::digest;
use droves_wire::windows::syncml::Format::{Chr, Int};
use droves_wire::windows::values::{Declared, DeclaredState};

pub(super) static NODES: &[Node] = &[
    Node::free("Host/Complete/Documents/*/Document").implicit().runs(declare),
    Node::kept("Host/Complete/Documents/*/Properties/Abandoned", Int).implicit(),
    Node::read("Host/Complete/Results/*/Document", Chr, result),
    Node::free("Host/Inventory/Documents/*/Document").implicit().runs(declare),
    Node::read("Host/Inventory/Results/*/Document", Chr, result),
];

/// A document is taken if it is one, and is named as it names itself.
fn declare(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    let name = call.place.names.iter().rev().nth(1).map_or("", |name| name);
    match Declared::read(call.data.trim_ascii(), scene.ctx.limits) {
        Ok(declared) if declared.id.eq_ignore_ascii_case(name) => {}
        _ => return 500,
    }
    let from = scene.ctx.clocks.wall;
    let until = from + Task::lasts(APPLYING, Work::Declared, 0, scene);
    tree.begin_task(Task { work: Work::Declared, of: call.place.key.clone(), from, half: from, until, good: true });
    200
}

/// What became of the document of that name.
fn result(tree: &Tree, place: &Place<'_>, scene: &Scene<'_>) -> Option<String> {
    let mut names = place.names.clone();
    *names.get_mut(5)? = "Documents".into();
    let document = Place::of(place.user, names);
    state(tree, &document.key, scene).map(|state| state.result())
}

/// What became of a document; none while it is being applied.
fn state(tree: &Tree, key: &str, scene: &Scene<'_>) -> Option<DeclaredState> {
    let document = tree.at(key)?;
    if tree.task(Work::Declared, key).is_some_and(|task| task.is_open(scene)) {
        return None;
    }
    let declared = Declared::read(document.value.trim_ascii(), scene.ctx.limits).ok()?;
    // One of a hundred can't be applied, by the same devices each time.
    let [a, b, c, d, ..] = digest::md5(declared.checksum.as_bytes());
    let mut dice = scene.ctx.device_dice(Purpose::Contents, u64::from(u32::from_le_bytes([a, b, c, d])) | 1 << 40);
    let state = if dice.below(100) == 0 { 61 } else { 60 };
    Some(DeclaredState { declared, state })
}

/// Nothing is to be remembered of documents that have been applied.
pub(in crate::windows) fn settle(tree: &mut Tree, scene: &Scene<'_>) {
    drop(tree.take_done(Work::Declared, scene.ctx.clocks.wall));
}

/// The alert that sums up all documents; none if there are none.
pub(in crate::windows) fn report(tree: &Tree, scene: &Scene<'_>) -> Option<Alert> {
    let documents = tree.written_below(HOST).filter(|(key, _)| key.ends_with("/document"));
    let states: Vec<_> = documents.filter_map(|(key, _)| state(tree, key, scene)).take(REPORTED_MAX).collect();
    (!states.is_empty()).then(|| Alert {
        code: 1224,
        source: None,
        kind: "com.microsoft.mdm.declaredconfigurationdocuments".into(),
        format: "chr".into(),
        mark: None,
        data: DeclaredState::summary(&states).into(),
    })
}

const HOST: &str = "vendor/msft/declaredconfiguration/host";
/// Documents in one alert.
const REPORTED_MAX: usize = 200;
const APPLYING: (Dur, Dur) = (Dur::secs(20), Dur::secs(300));
