//! What is written: by whom it is shared, how much of it there may be, how it is taken back.

use super::{Alert, Leaf, Overlay, Place, Task, Tree, Work};
use droves_facts::{Limits, Wall};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an Atomic changed, as it was before.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    own: Overlay,
    fresh: BTreeSet<Arc<str>>,
    /// Shared nodes in the order in which they were changed.
    base: Vec<(Arc<str>, Option<Leaf>)>,
}

impl Tree {
    /// The node that was written there.
    pub(in crate::windows) fn leaf(&self, place: &Place<'_>) -> Option<&Leaf> {
        self.at(&place.key)
    }

    /// The node that was written there, by its key.
    pub(in crate::windows) fn at(&self, key: &str) -> Option<&Leaf> {
        self.own.nodes.get(key).or_else(|| self.base.get(key))
    }

    /// The value that was written there; none if there is none.
    pub(in crate::windows) fn text(&self, place: &Place<'_>) -> Option<&Arc<str>> {
        self.leaf(place).map(|leaf| &leaf.value)
    }

    /// Nodes that were written below a place: first those of one's own.
    pub(in crate::windows) fn written_below<'t>(
        &'t self,
        key: &'t str,
    ) -> impl Iterator<Item = (&'t Arc<str>, &'t Leaf)> {
        self.own.nodes.below(key).chain(self.base.below(key))
    }

    /// Whether something was written there, or below.
    pub(super) fn holds(&self, place: &Place<'_>) -> bool {
        self.leaf(place).is_some() || self.written_below(&place.key).next().is_some()
    }

    /// Writes a node; 413 if the tree is as large as it may be.
    pub(in crate::windows) fn write(&mut self, leaf: Leaf, own: bool, limits: &Limits) -> Result<(), u16> {
        self.room(&leaf, limits)?;
        self.put(&leaf.path.to_ascii_lowercase().into(), Some(leaf), own);
        Ok(())
    }

    /// Writes a node of the device's own making, where the server has left room for it.
    pub(in crate::windows) fn show(&mut self, leaf: Leaf, own: bool, limits: &Limits) {
        if self.room(&leaf, limits).is_ok() {
            self.put(&leaf.path.to_ascii_lowercase().into(), Some(leaf), own);
        }
    }

    /// Whether a node can be written; 413 if the tree is as large as it may be.
    pub(super) fn room(&self, leaf: &Leaf, limits: &Limits) -> Result<(), u16> {
        let before = self.at(&leaf.path.to_ascii_lowercase()).map(Leaf::bytes);
        let nodes = self.base.len() + self.own.nodes.len() + usize::from(before.is_none());
        let bytes = self.base.bytes() + self.own.nodes.bytes() + leaf.bytes() - before.unwrap_or_default();
        if nodes > limits.tree_nodes_max || bytes > limits.tree_bytes_max {
            return Err(413);
        }
        Ok(())
    }

    /// Takes a node away with all below it, and the work that belongs to them.
    pub(super) fn remove(&mut self, place: &Place<'_>) {
        let below: Vec<_> = self.written_below(&place.key).map(|(key, _)| Arc::clone(key)).collect();
        for key in below.iter().chain([&place.key]) {
            self.put(key, None, false);
            self.own.tasks.retain(|task| task.of != *key);
            self.fresh.remove(key);
        }
    }

    /// Takes one value away.
    pub(in crate::windows) fn forget(&mut self, place: &Place<'_>) {
        self.put(&place.key, None, false);
    }

    /// What is one's own hides what is shared; what is shared takes its place.
    fn put(&mut self, key: &Arc<str>, leaf: Option<Leaf>, own: bool) {
        if own {
            self.own.nodes.put(key, leaf);
            return;
        }
        self.own.nodes.put(key, None);
        // What is the same as before stays shared.
        if self.base.get(key) == leaf.as_ref() {
            return;
        }
        let before = Arc::make_mut(&mut self.base).put(key, leaf);
        if let Some(undo) = &mut self.undo {
            undo.base.push((Arc::clone(key), before));
        }
    }

    /// From now on, what is changed can be taken back.
    pub(super) fn begin(&mut self) {
        self.undo = Some(Undo { own: self.own.clone(), fresh: self.fresh.clone(), base: Vec::new() });
    }

    /// What was changed since then stays, or is taken back.
    pub(super) fn end(&mut self, stays: bool) {
        let Some(undo) = self.undo.take().filter(|_| !stays) else { return };
        (self.own, self.fresh) = (undo.own, undo.fresh);
        for (key, before) in undo.base.into_iter().rev() {
            Arc::make_mut(&mut self.base).put(&key, before);
        }
    }

    /// A node is not ready in the session in which it was added.
    pub(in crate::windows) fn freshen(&mut self, place: &Place<'_>) {
        self.fresh.insert(Arc::clone(&place.key));
    }

    /// Whether it was added in this session.
    pub(in crate::windows) fn is_fresh(&self, place: &Place<'_>) -> bool {
        self.fresh.contains(&place.key)
    }

    /// Work of this kind, under way or done.
    pub(in crate::windows) fn task(&self, work: Work, of: &str) -> Option<&Task> {
        self.own.tasks.iter().find(|task| task.work == work && *task.of == *of)
    }

    /// Begins work, in the place of what there was of the same.
    pub(in crate::windows) fn begin_task(&mut self, task: Task) {
        self.end_task(task.work, &task.of);
        self.own.tasks.push(task);
    }

    /// Forgets work.
    pub(in crate::windows) fn end_task(&mut self, work: Work, of: &str) {
        self.own.tasks.retain(|task| task.work != work || *task.of != *of);
    }

    /// Takes out the work of this kind that is done.
    pub(in crate::windows) fn take_done(&mut self, work: Work, now: Wall) -> Vec<Task> {
        self.own.tasks.extract_if(.., |task| task.work == work && task.until <= now).collect()
    }

    /// Keeps an alert until the server has taken it, in the place of an older one about the same.
    pub(in crate::windows) fn alert(&mut self, alert: Alert) {
        self.own.alerts.retain(|older| older.kind != alert.kind || older.source != alert.source);
        self.own.alerts.push(alert);
    }
}
