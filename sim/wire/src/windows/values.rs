//! Documents that nodes of the tree hold, as a device writes them and reads them.

use super::xml::{Reader, Writer, XmlError};
use droves_facts::Limits;

/// `DeviceManageability/Capabilities/CSPVersions`: the providers of a system and their versions.
pub fn csp_versions<'a>(providers: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    document(|w| {
        w.element("DeviceManageability", &[], |w| {
            w.element("Capabilities", &[], |w| {
                for (node, version) in providers {
                    w.empty("CSP", &[("Node", node), ("Version", version)]);
                }
            });
        });
    })
}

/// A node that is not what a server expects it to be (NodeCache CSP).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangedNode {
    /// Its name in the cache.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// What it says; nothing if it is not there.
    pub value: Option<String>,
}

/// `NodeCache/<id>/ChangedNodesData`.
pub fn changed_nodes(nodes: &[ChangedNode]) -> String {
    document(|w| {
        w.element("Nodes", &[], |w| {
            for ChangedNode { id, uri, value } in nodes {
                w.text_with("Node", &[("Id", id), ("Uri", uri)], value.as_deref().unwrap_or_default());
            }
        });
    })
}

/// An app of the system, in `EnterpriseModernAppManagement/AppManagement/AppInventoryResults`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Package {
    /// `PackageFamilyName`.
    pub family: String,
    /// `PackageFullName`.
    pub full_name: String,
    /// `Version`.
    pub version: String,
    /// `Publisher`.
    pub publisher: String,
    /// `InstallLocation`.
    pub location: String,
    /// `InstallDate`.
    pub installed: String,
}

/// `AppInventoryResults`: every app of the system.
pub fn app_inventory(packages: &[Package]) -> String {
    document(|w| {
        w.element("AppInventory", &[], |w| {
            for package in packages {
                let attributes = [
                    ("Name", &*package.family),
                    ("PackageFullName", &package.full_name),
                    ("Version", &package.version),
                    ("Publisher", &package.publisher),
                    ("Architecture", "x64"),
                    ("InstallLocation", &package.location),
                    ("InstallDate", &package.installed),
                    ("IsFramework", "0"),
                    ("IsBundle", "0"),
                    ("ResourceID", ""),
                    ("PackageStatus", "0"),
                    ("RequiresReinstall", "0"),
                    ("Users", "S-1-12-1-4113:3"),
                ];
                w.empty("Package", &attributes);
            }
        });
    })
}

/// `WlanXml` as the system gives it back: with what was in the profile that was set, in a form of its own, so that a `Get`
/// never returns what was set (fleetdm/fleet#24394).
pub fn wlan(ssid: &str, protection: &str) -> String {
    document(|w| {
        w.element("WLANProfile", &[("xmlns", WLAN)], |w| {
            w.text("name", ssid);
            w.element("SSIDConfig", &[], |w| {
                w.element("SSID", &[], |w| {
                    w.text("hex", &hex::encode_upper(ssid));
                    w.text("name", ssid);
                });
            });
            w.text("connectionType", "ESS");
            w.text("connectionMode", "auto");
            w.element("MSM", &[], |w| {
                w.element("security", &[], |w| {
                    w.element("authEncryption", &[], |w| {
                        w.text("authentication", protection);
                        w.text("encryption", "AES");
                        w.text("useOneX", "false");
                    });
                });
            });
        });
    })
}

/// How a network is protected, as a profile says it; none if it is no profile.
pub fn wlan_protection(profile: &str, limits: &Limits) -> Option<String> {
    let mut xml = Reader::new(profile.as_bytes(), limits).ok()?;
    xml.root("WLANProfile").ok()?;
    let [protection] = xml.find(["authentication"]).ok()?;
    Some(protection.map_or_else(|| "open".to_owned(), |protection| protection.into_owned()))
}

/// A job of the MSI CSP: the version of its product, if the text is one. No version is said in some.
pub fn msi_job(text: &str, limits: &Limits) -> Option<Option<String>> {
    let mut xml = Reader::new(text.as_bytes(), limits).ok()?;
    xml.root("MsiInstallJob").ok()?;
    let mut version = None;
    while let Some(child) = xml.child().ok()? {
        if child.name() == "Product" {
            version = child.attribute("Version");
        }
        xml.skip().ok()?;
    }
    Some(version)
}

const WLAN: &str = "http://www.microsoft.com/networking/WLAN/profile/v1";

/// What a declared configuration says of itself (DeclaredConfiguration CSP).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Declared {
    /// `context`: `Device` or `User`.
    pub context: String,
    /// `id`: a GUID.
    pub id: String,
    /// `checksum`: the server's name of this version.
    pub checksum: String,
    /// `osdefinedscenario`.
    pub scenario: String,
}

impl Declared {
    /// Reads the start of a document.
    pub fn read(document: &str, limits: &Limits) -> Result<Declared, XmlError> {
        let mut xml = Reader::new(document.as_bytes(), limits)?;
        let root = xml.root("DeclaredConfiguration")?;
        let said = |name: &str| root.attribute(name).unwrap_or_default();
        let declared = Declared {
            context: said("context"),
            id: said("id"),
            checksum: said("checksum"),
            scenario: said("osdefinedscenario"),
        };
        xml.skip()?;
        xml.finish()?;
        Ok(declared)
    }
}

/// What became of a declared configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeclaredState {
    /// Which.
    pub declared: Declared,
    /// 60 it is in force, 61 or 62 it failed.
    pub state: u8,
}

impl DeclaredState {
    fn attributes(&self) -> [(&str, &str); 5] {
        let state = match self.state {
            60 => "60",
            61 => "61",
            _ => "62",
        };
        let declared = &self.declared;
        [
            ("context", &declared.context),
            ("id", &declared.id),
            ("checksum", &declared.checksum),
            ("result_checksum", &declared.checksum),
            ("state", state),
        ]
    }

    /// `Results/<id>/Document`.
    pub fn result(&self) -> String {
        let whole: Vec<_> = [("schema", "1.0"), ("osdefinedscenario", &*self.declared.scenario), ("operation", "Set")]
            .into_iter()
            .chain(self.attributes())
            .collect();
        document(|w| w.empty("DeclaredConfigurationResult", &whole))
    }

    /// The data of the alert that sums all up.
    pub fn summary(all: &[DeclaredState]) -> String {
        document(|w| {
            w.element("DeclaredConfigurations", &[], |w| {
                for one in all {
                    w.empty("DeclaredConfiguration", &one.attributes());
                }
            });
        })
    }
}

fn document(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut out = Vec::new();
    write(&mut Writer { out: &mut out });
    // A writer is given nothing but texts.
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_xml_whatever_is_in_it() {
        let limits = Limits::default();
        let odd = "a \"b\" <c> & d";
        let changed = ChangedNode { id: odd.to_owned(), uri: odd.to_owned(), value: Some(odd.to_owned()) };
        let declared = Declared { id: odd.to_owned(), ..Declared::default() };
        let state = DeclaredState { declared, state: 60 };
        for (text, root) in [
            (csp_versions([(odd, "1.0")]), "DeviceManageability"),
            (changed_nodes(&[changed]), "Nodes"),
            (wlan(odd, odd), "WLANProfile"),
            (state.result(), "DeclaredConfigurationResult"),
            (DeclaredState::summary(&[state.clone(), state.clone()]), "DeclaredConfigurations"),
        ] {
            let mut xml = Reader::new(text.as_bytes(), &limits).expect("a reader");
            xml.root(root).expect("its root");
            xml.skip().expect("its end");
            xml.finish().expect("nothing more");
        }
    }

    #[test]
    fn a_declared_configuration_says_what_it_is() {
        let document = "<DeclaredConfiguration schema=\"1.0\" context=\"Device\" id=\"D1\" checksum=\"C1\" \
                        osdefinedscenario=\"MSFTPolicies\"><CSP name=\"./Vendor/MSFT/Policy\"/></DeclaredConfiguration>";
        let declared = Declared::read(document, &Limits::default()).expect("a document");
        assert_eq!((&*declared.context, &*declared.id, &*declared.checksum), ("Device", "D1", "C1"));
        assert_eq!(declared.scenario, "MSFTPolicies");
        assert!(Declared::read("<DeclaredConfiguration id=\"D1\">", &Limits::default()).is_err());
        assert!(Declared::read("nothing of it", &Limits::default()).is_err());
    }

    #[test]
    fn a_network_gives_back_another_profile_than_was_set() {
        let set = wlan("Corp", "WPA2PSK").replace("<useOneX>", "<useOneX >");
        let protection = wlan_protection(&set, &Limits::default()).expect("a profile");
        assert_eq!(protection, "WPA2PSK");
        assert_ne!(wlan("Corp", &protection), set);
        assert_eq!(wlan_protection("no profile", &Limits::default()), None);
    }
}
