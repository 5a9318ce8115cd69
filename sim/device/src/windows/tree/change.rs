//! Changing one node: by what rules, with which status.

use super::{Effect, Leaf, Place, Scene, Tree};
use crate::windows::csp::{self, Call, Node, Spot, Value};
use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use droves_wire::windows::syncml::{Format, Verb};

/// What a server gives with a command to one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    /// The format as it is named; `chr` if nothing is said.
    pub(super) format: &'a str,
    /// The data; none is not the same as nothing in it.
    pub(super) data: Option<&'a str>,
}

impl Tree {
    /// Add: 418 if it is there, 404 where nothing can be added.
    pub(super) fn add(
        &mut self,
        place: &Place<'_>,
        given: Given<'_>,
        scene: &Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> u16 {
        let spot = csp::spot(place, scene.provider);
        if self.exists(place, spot, scene) {
            return 418;
        }
        match spot {
            Spot::Node(node) if node.allows(Verb::Add) => self.store(Verb::Add, place, node, given, scene, effects),
            Spot::Node(_) => 405,
            Spot::Between => match self.write(interior(place), false, scene.ctx.limits) {
                Ok(()) => 200,
                Err(code) => code,
            },
            Spot::Fixed | Spot::Nothing => 404,
        }
    }

    /// Replace: 405 if it is read-only or below what was never added, 404 if it alone is missing, 415 for a format or a
    /// value that is not the node's.
    pub(super) fn replace(
        &mut self,
        place: &Place<'_>,
        given: Given<'_>,
        scene: &Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> u16 {
        let spot = csp::spot(place, scene.provider);
        let is_there = self.exists(place, spot, scene);
        match spot {
            Spot::Node(node) if !node.allows(Verb::Replace) => 405,
            Spot::Node(node) if is_there || node.implicit => {
                self.store(Verb::Replace, place, node, given, scene, effects)
            }
            Spot::Node(node) if node.below_instance().is_some() => 405,
            Spot::Fixed | Spot::Between => 405,
            Spot::Node(_) | Spot::Nothing => {
                let parent = place.up(1);
                let known = self.exists(&parent, csp::spot(&parent, scene.provider), scene);
                if known && !place.names.is_empty() { 404 } else { 405 }
            }
        }
    }

    /// Delete: 404 if it is missing, 405 if it is there for good.
    pub(super) fn delete(&mut self, place: &Place<'_>, scene: &Scene<'_>) -> u16 {
        let spot = csp::spot(place, scene.provider);
        if !self.exists(place, spot, scene) {
            return 404;
        }
        match spot {
            Spot::Node(node) if !node.allows(Verb::Delete) => return 405,
            Spot::Node(_) | Spot::Between => self.remove(place),
            Spot::Fixed | Spot::Nothing => return 405,
        }
        200
    }

    /// Exec: 404 if it is missing, 405 if it can't be executed.
    pub(super) fn exec(
        &mut self,
        place: &Place<'_>,
        given: Given<'_>,
        scene: &Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> u16 {
        let spot = csp::spot(place, scene.provider);
        if !self.exists(place, spot, scene) {
            return 404;
        }
        match spot {
            Spot::Node(node) if node.allows(Verb::Exec) => {
                let call = Call { verb: Verb::Exec, place, data: given.data.unwrap_or_default() };
                node.run.map_or(200, |run| run(self, &call, scene, effects))
            }
            _ => 405,
        }
    }

    /// Writes a value where it may be written.
    fn store(
        &mut self,
        verb: Verb,
        place: &Place<'_>,
        node: &Node,
        given: Given<'_>,
        scene: &Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> u16 {
        // A free node without data is one that others are put below.
        let is_interior = given.format == "node" || given.format == "chr" && given.data.is_none();
        if verb == Verb::Add && node.format.is_none() && is_interior {
            return match self.write(interior(place), node.own, scene.ctx.limits) {
                Ok(()) => self.run(verb, place, node, "", scene, effects),
                Err(code) => code,
            };
        }
        let data = given.data.unwrap_or_default();
        let wanted = node.format.or_else(|| self.leaf(place).map(|leaf| leaf.format));
        let Some(format) = Format::named(given.format).filter(|format| wanted.is_none_or(|wanted| wanted == *format))
        else {
            return 415;
        };
        if format == Format::Node || !fits(format, data) {
            return 415;
        }
        let leaf = Leaf { path: place.path.clone(), format, value: data.into() };
        if let Err(code) = self.room(&leaf, scene.ctx.limits) {
            return code;
        }
        let code = self.run(verb, place, node, data, scene, effects);
        if code >= 300 || matches!(node.value, Value::Fixed(_) | Value::Read(_)) {
            return code;
        }
        self.write(leaf, node.own, scene.ctx.limits).err().unwrap_or(code)
    }

    fn run(
        &mut self,
        verb: Verb,
        place: &Place<'_>,
        node: &Node,
        data: &str,
        scene: &Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> u16 {
        node.run.map_or(200, |run| run(self, &Call { verb, place, data }, scene, effects))
    }
}

fn interior(place: &Place<'_>) -> Leaf {
    Leaf { path: place.path.clone(), format: Format::Node, value: "".into() }
}

/// Whether a text is a value of this format.
fn fits(format: Format, text: &str) -> bool {
    let word = text.trim_ascii();
    match format {
        Format::Int => word.parse::<i64>().is_ok(),
        Format::Bool => ["true", "false"].iter().any(|truth| truth.eq_ignore_ascii_case(word)),
        Format::Float => word.parse::<f64>().is_ok(),
        Format::B64 => {
            let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            BASE64.decode(packed).is_ok()
        }
        _ => true,
    }
}

/// Servers differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
