//! Carrying a command out, with all that is in it: each command and each child is answered, in the order of the wire.
//!
//! A group of the kind Atomic is done whole or not at all (MS-MDM 2.2.7.2): its children are done in order until one
//! fails; then those that were done are taken back, and those after it are not tried.

use super::change::Given;
use super::{Atomic, Executed, Found, Place, Said, Scene, Tree};
use crate::windows::csp::{self, Spot};
use droves_facts::Dur;
use droves_wire::windows::syncml::{Body, Command, Data, Group, Item, Meta, Verb};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Tree {
    /// Carries out one command of the server. Objects in parts are put together before.
    pub(in crate::windows) fn execute(&mut self, command: &Command<'_>, scene: &Scene<'_>) -> Executed {
        let mut carrying = Carrying { tree: self, scene, out: Executed::default(), ordinal: scene.commands };
        carrying.command(command);
        carrying.out
    }
}

struct Carrying<'t, 's> {
    tree: &'t mut Tree,
    scene: &'s Scene<'s>,
    out: Executed,
    /// The ordinal of the next command's delay.
    ordinal: u64,
}

/// What came of one item.
struct Outcome {
    code: u16,
    found: Option<Found>,
    takes: (Dur, Dur),
}

impl Carrying<'_, '_> {
    /// Goes into groups, which are as deep as the reader lets them be.
    fn command(&mut self, command: &Command<'_>) {
        match &command.body {
            Body::Status(_) | Body::Results { .. } => {}
            _ if command.id.is_empty() => self.refuse(command, 400),
            Body::Unknown(_) => self.refuse(command, 400),
            Body::Alert { .. } => self.say(command, 200, Dur::ZERO),
            Body::Nodes { verb, meta, items } => self.nodes(command, *verb, meta, items),
            Body::Group { kind: Group::Sequence, commands, .. } => {
                self.say(command, 200, Dur::ZERO);
                commands.iter().for_each(|child| self.command(child));
            }
            Body::Group { kind: Group::Atomic, commands, .. } => self.atomic(command, commands),
        }
    }

    /// One status for all items, or one for each if they fared differently (MS-MDM 2.2.6.1).
    fn nodes(&mut self, command: &Command<'_>, verb: Verb, meta: &Meta<'_>, items: &[Item<'_>]) {
        if items.is_empty() {
            return self.say(command, 400, Dur::ZERO);
        }
        let outcomes: Vec<_> = items.iter().map(|item| self.item(verb, meta, item)).collect();
        let first = outcomes.first().map_or(400, |outcome| outcome.code);
        if outcomes.iter().all(|outcome| outcome.code == first) {
            let took = outcomes.iter().fold(Dur::ZERO, |sum, outcome| sum + self.took(outcome.takes));
            let found = outcomes.into_iter().filter_map(|outcome| outcome.found).collect();
            self.out.said.push(Said { found, ..said(command, first, took) });
            return;
        }
        for (item, outcome) in items.iter().zip(outcomes) {
            let took = self.took(outcome.takes);
            let target = Some(item.target.as_deref().unwrap_or_default().into());
            let found = outcome.found.into_iter().collect();
            self.out.said.push(Said { target, found, ..said(command, outcome.code, took) });
        }
    }

    fn atomic(&mut self, command: &Command<'_>, children: &[Command<'_>]) {
        let (place_of_own, effects_before) = (self.out.said.len(), self.out.effects.len());
        self.say(command, 200, Dur::ZERO);
        self.tree.begin();
        let mut added = BTreeSet::new();
        let mut failed = false;
        for child in children {
            if failed {
                self.refuse(child, 215);
                continue;
            }
            match &child.body {
                Body::Status(_) | Body::Results { .. } => {}
                _ if child.id.is_empty() => {
                    self.refuse(child, 400);
                    failed = true;
                }
                Body::Nodes { verb, meta, items } if *verb != Verb::Get => {
                    let (code, took) = self.child(*verb, meta, items, &mut added);
                    self.say(child, code, took);
                    failed = code >= 300;
                }
                body => {
                    self.refuse(child, if matches!(body, Body::Unknown(_)) { 400 } else { 500 });
                    failed = true;
                }
            }
        }
        self.tree.end(!failed);
        if failed {
            self.out.effects.truncate(effects_before);
            let by_the_book = self.scene.atomic == Atomic::Book;
            let mut codes = self.out.said.iter_mut().skip(place_of_own).map(|said| &mut said.code);
            if let Some(own) = codes.next() {
                *own = if by_the_book { 507 } else { 500 };
            }
            codes.filter(|code| **code < 300 && **code != 215 && by_the_book).for_each(|code| *code = 216);
        }
    }

    /// One child of an Atomic: it has one status, the worst of its items.
    fn child(&mut self, verb: Verb, meta: &Meta<'_>, items: &[Item<'_>], added: &mut BTreeSet<Arc<str>>) -> (u16, Dur) {
        let (mut code, mut took) = (if items.is_empty() { 400 } else { 200 }, Dur::ZERO);
        for item in items {
            let place = item.target.as_deref().and_then(|uri| Place::read(uri).ok());
            // A node is not added and replaced in one Atomic.
            if verb == Verb::Replace && place.as_ref().is_some_and(|place| added.contains(&place.key)) {
                code = code.max(500);
                continue;
            }
            if let (Verb::Add, Some(place)) = (verb, place) {
                added.insert(place.key);
            }
            let outcome = self.item(verb, meta, item);
            code = code.max(outcome.code);
            took += self.took(outcome.takes);
        }
        (code, took)
    }

    fn item(&mut self, verb: Verb, meta: &Meta<'_>, item: &Item<'_>) -> Outcome {
        let uri = item.target.as_deref().unwrap_or_default();
        let mut takes = csp::READING;
        let mut act = || -> Result<(u16, Option<Found>), u16> {
            let place = Place::read(uri)?;
            Tree::may_enter(&place, self.scene)?;
            if let Spot::Node(node) = csp::spot(&place, self.scene.provider) {
                takes = node.takes;
            }
            let format = item.meta.format.as_deref().or(meta.format.as_deref()).unwrap_or("chr");
            let given = Given { format, data: item.data.as_ref().map(Data::as_str) };
            let (tree, effects) = (&mut *self.tree, &mut self.out.effects);
            let code = match verb {
                Verb::Get => {
                    let (format, value) = tree.get(&place, self.scene)?;
                    return Ok((200, Some(Found { uri: uri.into(), format, value })));
                }
                Verb::Add => tree.add(&place, given, self.scene, effects),
                Verb::Replace => tree.replace(&place, given, self.scene, effects),
                Verb::Delete => tree.delete(&place, self.scene),
                Verb::Exec => tree.exec(&place, given, self.scene, effects),
                // Optional, and Windows has it not.
                Verb::Copy => 406,
            };
            Ok((code, None))
        };
        let (code, found) = act().unwrap_or_else(|code| (code, None));
        self.out.beyond += u32::from(code == 413);
        Outcome { code, found, takes }
    }

    /// How long the next command takes.
    fn took(&mut self, takes: (Dur, Dur)) -> Dur {
        let took = self.scene.ctx.command_delay(takes, self.ordinal);
        self.ordinal += 1;
        took
    }

    /// A command that is not done, and nothing of what is in it.
    fn refuse(&mut self, command: &Command<'_>, code: u16) {
        self.say(command, code, Dur::ZERO);
        if let Body::Group { commands, .. } = &command.body {
            commands.iter().for_each(|child| self.refuse(child, 215));
        }
    }

    fn say(&mut self, command: &Command<'_>, code: u16, took: Dur) {
        if !matches!(command.body, Body::Status(_) | Body::Results { .. }) {
            self.out.said.push(said(command, code, took));
        }
    }
}

fn said(command: &Command<'_>, code: u16, took: Dur) -> Said {
    let (id, name) = (&*command.id, command.body.name());
    Said { command: id.into(), name: name.into(), target: None, code, found: Vec::new(), took }
}
