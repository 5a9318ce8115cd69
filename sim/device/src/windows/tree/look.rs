//! Reading: which nodes are there, and what they say.

use super::place::{escaped, unescaped};
use super::{Login, Place, Scene, Tree};
use crate::windows::csp::{self, Node, Spot, Value};
use droves_wire::windows::syncml::{Format, Verb};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Tree {
    /// What a `Get` finds: an interior node says the names of its children. The error is the status.
    pub(in crate::windows) fn get(&self, place: &Place<'_>, scene: &Scene<'_>) -> Result<(Format, Arc<str>), u16> {
        let spot = csp::spot(place, scene.provider);
        if !self.exists(place, spot, scene) {
            return Err(404);
        }
        let Spot::Node(node) = spot else { return Ok(self.children(place, scene)) };
        if !node.allows(Verb::Get) {
            return Err(405);
        }
        let format = node.format.unwrap_or(Format::Chr);
        match (self.leaf(place), &node.value) {
            (Some(leaf), Value::Rewritten(rewrite)) if leaf.format != Format::Node => {
                Ok((leaf.format, rewrite(place, &leaf.value, scene).into()))
            }
            (Some(leaf), Value::Written | Value::Default(_) | Value::Else(_)) if leaf.format != Format::Node => {
                Ok((leaf.format, Arc::clone(&leaf.value)))
            }
            (_, Value::Default(text) | Value::Fixed(text)) => Ok((format, Arc::from(*text))),
            (_, Value::Read(read) | Value::Else(read)) => {
                read(self, place, scene).map(|text| (format, text.into())).ok_or(404)
            }
            (_, Value::Written | Value::Rewritten(_)) => Ok(self.children(place, scene)),
        }
    }

    /// Whether a node is there.
    pub(super) fn exists(&self, place: &Place<'_>, spot: Spot, scene: &Scene<'_>) -> bool {
        match spot {
            Spot::Nothing => false,
            Spot::Fixed => true,
            Spot::Between => self.holds(place),
            Spot::Node(node) => match &node.value {
                Value::Written | Value::Rewritten(_) => self.holds(place),
                Value::Read(read) => read(self, place, scene).is_some(),
                Value::Default(_) | Value::Fixed(_) | Value::Else(_) => self.has_instance(place, node),
            },
        }
    }

    /// Whether that is there of which the node is a part: one of the nodes whose names the server chooses.
    fn has_instance(&self, place: &Place<'_>, node: &Node) -> bool {
        node.below_instance().is_none_or(|levels| self.holds(&place.up(levels)))
    }

    /// The names below, escaped, with `/` between: first those of the tables, then those that were written.
    fn children(&self, place: &Place<'_>, scene: &Scene<'_>) -> (Format, Arc<str>) {
        let mut seen = BTreeSet::new();
        let mut names: Vec<String> = Vec::new();
        let mut list = |name: &str| {
            if seen.insert(name.to_ascii_lowercase()) {
                names.push(escaped(name));
            }
        };
        for name in csp::below(place, scene.provider) {
            let way = place.names.iter().map(|name| Cow::Borrowed(&**name)).chain([Cow::Borrowed(name)]);
            let child = Place::of(place.user, way.collect());
            if self.exists(&child, csp::spot(&child, scene.provider), scene) {
                list(name);
            }
        }
        let start = if place.key.is_empty() { 0 } else { place.key.len() + 1 };
        for (_, leaf) in self.written_below(&place.key) {
            let name = leaf.path.get(start..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            let is_users = place.key.is_empty() && !place.user && name == "User";
            if !is_users {
                list(&unescaped(name));
            }
        }
        (Format::Node, names.join("/").into())
    }

    /// The nodes of a user are not there before the user's profile is loaded, and each provider says so in its own way.
    pub(super) fn may_enter(place: &Place<'_>, scene: &Scene<'_>) -> Result<(), u16> {
        if !place.user || scene.login == Login::User {
            return Ok(());
        }
        let of_client = place.names.get(2).is_some_and(|name| name.eq_ignore_ascii_case("DMClient"));
        Err(if of_client { 405 } else { 500 })
    }
}
