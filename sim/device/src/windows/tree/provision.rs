//! What a provisioning document sets.

use super::{Leaf, Place, Scene, Tree};
use crate::windows::csp::{self, Spot};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use droves_wire::windows::provisioning::{Document, Setting, Store};
use droves_wire::windows::syncml::Format;
use std::borrow::Cow;

impl Tree {
    /// Its settings and the authorities that it has the device trust become nodes. What the tables do not have is passed
    /// over, as the system does; so is what a full tree has no room for.
    pub(in crate::windows) fn provision(&mut self, document: &Document, scene: &Scene<'_>) {
        for certificate in &document.certificates {
            let store = match certificate.store {
                Store::Root => "Root",
                Store::Ca => "CA",
                // Its own, which it has as its identity.
                Store::My => continue,
            };
            let names =
                ["Vendor", "MSFT", "CertificateStore", store, "System", &certificate.thumbprint, "EncodedCertificate"];
            let path = Place::of(false, names.into_iter().map(Cow::Borrowed).collect()).path;
            let leaf = Leaf { path, format: Format::B64, value: STANDARD.encode(&certificate.der).into() };
            self.show(leaf, false, scene.ctx.limits);
        }
        if let Some(renewal) = document.renewal {
            self.set_renewal(renewal, scene.ctx.limits);
        }
        for setting in &document.settings {
            self.set(setting, scene);
        }
    }

    fn set(&mut self, setting: &Setting, scene: &Scene<'_>) {
        let path = setting.path.iter().map(|name| &**name).chain([&*setting.name]);
        let names = ["Vendor", "MSFT"].into_iter().chain(path).map(Cow::Borrowed);
        let place = Place::of(false, names.collect());
        let Spot::Node(node) = csp::spot(&place, scene.provider) else { return };
        let said = match setting.datatype.as_deref() {
            Some("integer") => Format::Int,
            Some("boolean") => Format::Bool,
            _ => Format::Chr,
        };
        let value = setting.value.as_deref().unwrap_or_default().into();
        let leaf = Leaf { path: place.path, format: node.format.unwrap_or(said), value };
        self.show(leaf, node.own, scene.ctx.limits);
    }
}
