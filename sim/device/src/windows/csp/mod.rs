//! Configuration service providers: which nodes there are, who may do what with them, what they say and set off.
//!
//! One row a node, in Microsoft's spelling (the CSP reference, January 2026). A row names its path below its provider,
//! its format, what a server may do with it, where its value comes from, and the function that runs when it is written
//! or executed. In a path `*` is any name, `**` any number of them, and `@` the provider id of the device's account.

mod applications;
mod certificates;
mod client;
mod declared;
mod details;
mod network;
mod policy;
mod protection;
mod system;
#[cfg(test)]
mod tests;

pub(super) use applications::settle as install;
pub(super) use certificates::scep_ended;
pub(super) use declared::{report, settle as declare};

use super::tree::{Effect, Place, Scene, Tree};
use droves_facts::Dur;
use droves_wire::windows::syncml::{Format, Verb};
use std::borrow::Cow;

/// One provider.
#[derive(Debug)]
pub(super) struct Csp {
    /// Its name: what stands below `Vendor/MSFT`, or at the root.
    name: &'static str,
    /// Whether it has nodes below `./User` too.
    user: bool,
    /// Its nodes.
    nodes: &'static [Node],
}

/// One node, or many of a kind.
#[derive(Debug)]
pub(super) struct Node {
    path: &'static str,
    /// None: the format that it was written with.
    pub(super) format: Option<Format>,
    pub(super) value: Value,
    access: u8,
    /// Runs before a value is stored, and when the node is executed. Gives the status; one from 300 on stores nothing.
    pub(super) run: Option<Run>,
    /// The value is one device's own: nobody shares it.
    pub(super) own: bool,
    /// Replace adds it where it is not.
    pub(super) implicit: bool,
    /// How long it takes, median and 95th percentile.
    pub(super) takes: (Dur, Dur),
}

/// Where a value comes from.
#[derive(Debug)]
pub(super) enum Value {
    /// It is what was written; the node is not there before.
    Written,
    /// It is what was written, or else this.
    Default(&'static str),
    /// It is what was written, or else what this gives.
    Else(Read),
    /// It is what this makes of what was written.
    Rewritten(Rewrite),
    /// It is always this.
    Fixed(&'static str),
    /// It is what this gives; none if the node is not there.
    Read(Read),
}

/// Gives the value of a node.
pub(super) type Read = fn(&Tree, &Place<'_>, &Scene<'_>) -> Option<String>;
/// Makes another value of the one that was written.
pub(super) type Rewrite = fn(&Place<'_>, &str, &Scene<'_>) -> String;
/// Does what a command sets off.
pub(super) type Run = fn(&mut Tree, &Call<'_>, &Scene<'_>, &mut Vec<Effect>) -> u16;

/// A command to one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// Add, Replace or Exec.
    pub(super) verb: Verb,
    /// Which node.
    pub(super) place: &'a Place<'a>,
    /// With what.
    pub(super) data: &'a str,
}

const GET: u8 = 1;
const ADD: u8 = 2;
const REPLACE: u8 = 4;
const DELETE: u8 = 8;
const EXEC: u8 = 16;

/// Our estimates.
pub(super) const READING: (Dur, Dur) = (Dur::ms(2), Dur::ms(20));
const WRITING: (Dur, Dur) = (Dur::ms(15), Dur::ms(120));
const EXECUTING: (Dur, Dur) = (Dur::ms(200), Dur::secs(2));
/// Inventories go over the whole system.
const SLOW: (Dur, Dur) = (Dur::ms(1_500), Dur::secs(8));

impl Node {
    const fn new(path: &'static str, format: Option<Format>, access: u8, value: Value) -> Node {
        Node { path, format, value, access, run: None, own: false, implicit: false, takes: READING }
    }
    /// Always says the same.
    const fn fixed(path: &'static str, format: Format, text: &'static str) -> Node {
        Node::new(path, Some(format), GET, Value::Fixed(text))
    }
    /// Says what is so.
    const fn read(path: &'static str, format: Format, read: Read) -> Node {
        Node::new(path, Some(format), GET, Value::Read(read))
    }
    /// Is there, and can be set.
    const fn setting(path: &'static str, format: Format, default: &'static str) -> Node {
        Node { takes: WRITING, ..Node::new(path, Some(format), GET | REPLACE, Value::Default(default)) }
    }
    /// Says what is so, until it is set.
    const fn computed(path: &'static str, format: Format, read: Read) -> Node {
        Node { value: Value::Else(read), ..Node::setting(path, format, "") }
    }
    /// Comes and goes as the server likes, with this format.
    const fn kept(path: &'static str, format: Format) -> Node {
        let access = GET | ADD | REPLACE | DELETE;
        Node { takes: WRITING, ..Node::new(path, Some(format), access, Value::Written) }
    }
    /// Comes and goes as the server likes, with any format.
    const fn free(path: &'static str) -> Node {
        Node { format: None, ..Node::kept(path, Format::Chr) }
    }
    /// Is written by nobody but the device itself.
    const fn shown(path: &'static str, format: Format) -> Node {
        Node::new(path, Some(format), GET, Value::Written)
    }
    /// Can be executed, and nothing else.
    const fn exec(path: &'static str, run: Run) -> Node {
        Node { run: Some(run), takes: EXECUTING, ..Node::new(path, None, EXEC, Value::Fixed("")) }
    }
    const fn runs(self, run: Run) -> Node {
        Node { run: Some(run), ..self }
    }
    const fn own(self) -> Node {
        Node { own: true, ..self }
    }
    const fn implicit(self) -> Node {
        Node { implicit: true, ..self }
    }
    /// Its value is not given back: a secret.
    const fn secret(self) -> Node {
        Node { access: self.access & !GET, ..self }
    }
    /// Can be executed besides.
    const fn executes(self) -> Node {
        Node { access: self.access | EXEC, takes: EXECUTING, ..self }
    }
    /// Can't be set after all, but by the device itself.
    const fn read_only(self) -> Node {
        Node { access: GET, ..self }
    }
    const fn slow(self) -> Node {
        Node { takes: SLOW, ..self }
    }

    /// Whether a server may do this with it.
    pub(super) fn allows(&self, verb: Verb) -> bool {
        let bit = match verb {
            Verb::Get => GET,
            Verb::Add => ADD,
            Verb::Replace => REPLACE,
            Verb::Delete => DELETE,
            Verb::Exec => EXEC,
            Verb::Copy => 0,
        };
        self.access & bit != 0
    }

    /// How many levels of its path lie below the last name that a server chooses; none if it chooses none.
    pub(super) fn below_instance(&self) -> Option<usize> {
        self.path.rsplit('/').position(|name| name.starts_with('*'))
    }
}

/// What stands at a place, as far as the tables say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    /// A node of this kind, if it is there.
    Node(&'static Node),
    /// A node between, which is always there.
    Fixed,
    /// A node between, which is there if something was put there or below.
    Between,
    /// Nothing.
    Nothing,
}

/// Looks a place up.
pub(super) fn spot(place: &Place<'_>, provider: &str) -> Spot {
    let Some((csp, rest)) = csp(place) else {
        return if is_above(place) { Spot::Fixed } else { Spot::Nothing };
    };
    let mut spot = if rest.is_empty() { Spot::Fixed } else { Spot::Nothing };
    for node in csp.nodes {
        match reach(node.path, rest, provider) {
            Some(Reach { next: None, .. }) => return Spot::Node(node),
            Some(Reach { is_fixed: true, .. }) => spot = Spot::Fixed,
            Some(Reach { is_fixed: false, .. }) if matches!(spot, Spot::Nothing) => spot = Spot::Between,
            _ => {}
        }
    }
    spot
}

/// The names that the tables have directly below a place, in their order; each may come several times. A free name is
/// left out.
pub(super) fn below<'p>(place: &Place<'_>, provider: &'p str) -> Vec<&'p str> {
    let names = |csps: &'static [Csp]| csps.iter().filter(|csp| csp.user || !place.user).map(|csp| csp.name);
    match csp(place) {
        Some((csp, rest)) => {
            let next = csp.nodes.iter().filter_map(|node| reach(node.path, rest, provider)?.next);
            next.filter(|name| !name.starts_with('*')).map(|name| if name == "@" { provider } else { name }).collect()
        }
        None => match place.names.len() {
            0 => names(PLAIN).chain(["Vendor"]).collect(),
            1 => vec!["MSFT"],
            _ => names(VENDOR).collect(),
        },
    }
}

/// The provider of a place, and the names below it.
fn csp<'p>(place: &'p Place<'_>) -> Option<(&'static Csp, &'p [Cow<'p, str>])> {
    let (csps, name, rest) = match &*place.names {
        [vendor, msft, name, rest @ ..] if is_vendor(vendor) && is_msft(msft) => (VENDOR, name, rest),
        [name, rest @ ..] => (PLAIN, name, rest),
        [] => return None,
    };
    let at = csps.binary_search_by(|csp| folded(csp.name).cmp(folded(name))).ok()?;
    csps.get(at).filter(|csp| csp.user || !place.user).map(|csp| (csp, rest))
}

/// Whether it is a place above the providers.
fn is_above(place: &Place<'_>) -> bool {
    match &*place.names {
        [] => true,
        [vendor] => is_vendor(vendor),
        [vendor, msft] => is_vendor(vendor) && is_msft(msft),
        _ => false,
    }
}

fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| byte.to_ascii_lowercase())
}

fn is_vendor(name: &str) -> bool {
    name.eq_ignore_ascii_case("Vendor")
}
fn is_msft(name: &str) -> bool {
    name.eq_ignore_ascii_case("MSFT")
}

/// How far names go along a path.
struct Reach {
    /// The next name of the path; none at its end.
    next: Option<&'static str>,
    /// Whether none of the names was the server's choice.
    is_fixed: bool,
}

/// None if the names leave the path.
fn reach(path: &'static str, names: &[Cow<'_, str>], provider: &str) -> Option<Reach> {
    let mut path = path.split('/');
    let mut is_fixed = true;
    for name in names {
        match path.next()? {
            "**" => return Some(Reach { next: None, is_fixed: false }),
            "*" => is_fixed = false,
            "@" if name.eq_ignore_ascii_case(provider) => {}
            fixed if name.eq_ignore_ascii_case(fixed) => {}
            _ => return None,
        }
    }
    Some(Reach { next: path.next(), is_fixed })
}

const fn csp_of(name: &'static str, user: bool, nodes: &'static [Node]) -> Csp {
    Csp { name, user, nodes }
}

/// Providers at the root, by name.
static PLAIN: &[Csp] = &[
    csp_of("DevDetail", false, details::DEV_DETAIL),
    csp_of("DevInfo", false, details::DEV_INFO),
    csp_of("SyncML", false, client::SYNCML),
];

/// Providers below `Vendor/MSFT`, by name.
static VENDOR: &[Csp] = &[
    csp_of("Accounts", false, system::ACCOUNTS),
    csp_of("BitLocker", false, protection::BITLOCKER),
    csp_of("CertificateStore", true, certificates::STORE),
    csp_of("ClientCertificateInstall", true, certificates::CLIENT),
    csp_of("DeclaredConfiguration", false, declared::NODES),
    csp_of("Defender", false, protection::DEFENDER),
    csp_of("DeviceManageability", false, details::MANAGEABILITY),
    csp_of("DeviceStatus", false, details::STATUS),
    csp_of("DMClient", true, client::DMCLIENT),
    csp_of("EnrollmentStatusTracking", true, system::ENROLLMENT_STATUS),
    csp_of("EnterpriseDesktopAppManagement", true, applications::DESKTOP),
    csp_of("EnterpriseModernAppManagement", true, applications::MODERN),
    csp_of("Firewall", false, network::FIREWALL),
    csp_of("LAPS", false, protection::LAPS),
    csp_of("NodeCache", true, system::NODE_CACHE),
    csp_of("PassportForWork", true, protection::PASSPORT),
    csp_of("Policy", true, policy::NODES),
    csp_of("Reboot", false, system::REBOOT),
    csp_of("RemoteWipe", false, system::WIPE),
    csp_of("RootCATrustedCertificates", true, certificates::TRUSTED),
    csp_of("Update", false, system::UPDATE),
    csp_of("VPNv2", true, network::VPN),
    csp_of("WiFi", true, network::WIFI),
];
