//! A tree by itself: commands go in, statuses, results and effects come out.

mod anything;
mod codes;
mod groups;
mod kept;

use super::{Atomic, Channel, Effect, Executed, Login, Overlay, Scene, Tree};
use crate::tests_support::{World, windows};
use droves_facts::Dur;
use droves_wire::windows::syncml::{Body, Command, Data, Group, Item, Meta, Verb};
use std::borrow::Cow;
use std::sync::Arc;

pub(in crate::windows) const PROVIDER: &str = "Example MDM";

/// A device with a tree, a scene around it, and a count of commands.
pub(in crate::windows) struct Bench {
    pub(in crate::windows) world: World,
    pub(in crate::windows) tree: Tree,
    pub(in crate::windows) login: Login,
    pub(in crate::windows) channel: Option<&'static str>,
    pub(in crate::windows) atomic: Atomic,
    commands: u64,
}

impl Bench {
    pub(in crate::windows) fn new() -> Bench {
        let world = World::new(windows());
        let (login, atomic) = (Login::User, Atomic::Book);
        Bench { world, tree: Tree::default(), login, channel: None, atomic, commands: 0 }
    }

    /// Does something to the tree, as the device is now.
    pub(in crate::windows) fn with<T>(&mut self, act: impl FnOnce(&mut Tree, &Scene<'_>) -> T) -> T {
        let ctx = self.world.ctx();
        let scene = Scene {
            ctx: &ctx,
            provider: PROVIDER,
            address: "https://mdm.example.test/manage",
            account: "NAME",
            device_id: "D3",
            hardware_id: "H7",
            login: self.login,
            channel: Channel { uri: self.channel, status: 4 },
            atomic: self.atomic,
            commands: self.commands,
        };
        act(&mut self.tree, &scene)
    }

    pub(in crate::windows) fn run(&mut self, command: &Command<'_>) -> Executed {
        let executed = self.with(|tree, scene| tree.execute(command, scene));
        self.commands += executed.said.len() as u64;
        executed
    }

    /// The only status of a command.
    pub(in crate::windows) fn code(&mut self, command: Command<'_>) -> u16 {
        let executed = self.run(&command);
        assert_eq!(executed.said.len(), 1, "{executed:?}");
        executed.said[0].code
    }

    /// What a node says; none if its status is no good one.
    pub(in crate::windows) fn value(&mut self, uri: &str) -> Option<String> {
        let executed = self.run(&get(uri));
        let said = &executed.said[0];
        assert_eq!(said.found.len(), usize::from(said.code == 200), "{executed:?}");
        said.found.first().map(|found| found.value.to_string())
    }

    pub(in crate::windows) fn effects(&mut self, command: Command<'_>) -> Vec<Effect> {
        self.run(&command).effects
    }

    /// Time goes by.
    pub(in crate::windows) fn pass(&mut self, dur: Dur) {
        self.world.clocks.wall = self.world.clocks.wall + dur;
        self.world.clocks.now += dur;
    }

    /// The lane sleeps, and wakes.
    pub(in crate::windows) fn sleep(&mut self) {
        let (base, own) = std::mem::take(&mut self.tree).fold();
        let base: super::Base = postcard::from_bytes(&postcard::to_allocvec(&*base).expect("bytes")).expect("the same");
        let own: Overlay = postcard::from_bytes(&postcard::to_allocvec(&own).expect("bytes")).expect("the same");
        self.tree = Tree::open(&Arc::new(base), own);
    }
}

/// A command to one node.
pub(in crate::windows) fn nodes<'a>(
    verb: Verb,
    uri: &'a str,
    format: Option<&'a str>,
    data: Option<&'a str>,
) -> Command<'a> {
    let meta = Meta { format: format.map(Cow::Borrowed), ..Meta::default() };
    let data = data.map(|data| Data::Text(Cow::Borrowed(data)));
    let item = Item { target: Some(Cow::Borrowed(uri)), meta, data, ..Item::default() };
    Command { id: "7".into(), body: Body::Nodes { verb, meta: Meta::default(), items: vec![item] } }
}

pub(in crate::windows) fn get(uri: &str) -> Command<'_> {
    nodes(Verb::Get, uri, None, None)
}
pub(in crate::windows) fn add<'a>(uri: &'a str, format: &'a str, data: &'a str) -> Command<'a> {
    nodes(Verb::Add, uri, Some(format), Some(data))
}
pub(in crate::windows) fn replace<'a>(uri: &'a str, format: &'a str, data: &'a str) -> Command<'a> {
    nodes(Verb::Replace, uri, Some(format), Some(data))
}
pub(in crate::windows) fn delete(uri: &str) -> Command<'_> {
    nodes(Verb::Delete, uri, None, None)
}
pub(in crate::windows) fn exec<'a>(uri: &'a str, data: &'a str) -> Command<'a> {
    nodes(Verb::Exec, uri, None, Some(data))
}
pub(in crate::windows) fn group<'a>(kind: Group, commands: Vec<Command<'a>>) -> Command<'a> {
    Command { id: "1".into(), body: Body::Group { kind, meta: Meta::default(), commands } }
}
