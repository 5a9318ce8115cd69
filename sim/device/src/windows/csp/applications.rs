//! Programs: MSI packages (EnterpriseDesktopAppManagement) and apps of the store (EnterpriseModernAppManagement).

use super::{Call, Effect, Node, Place, Scene, Tree};
use crate::windows::tree::{Alert, Leaf, Task, Work, uri};
use droves_facts::{Dur, Purpose, Wall};
use droves_wire::plist::date;
use droves_wire::windows::syncml::{Format, Format::Bool, Format::Chr, Format::Int, Verb};
use droves_wire::windows::values::{self, Package};

pub(super) static DESKTOP: &[Node] = &[
    Node::free("MSI/*/DownloadInstall").executes().runs(install),
    // 10 known, 20 being fetched, 50 being installed, 60 failed, 70 done.
    Node::computed("MSI/*/Status", Int, status).read_only(),
    Node::computed("MSI/*/LastError", Int, |_, _, _| Some("0".to_owned())).read_only(),
    Node::shown("MSI/*/Version", Chr),
    Node::shown("MSI/*/Name", Chr),
    Node::fixed("MSI/UpgradeCode", Format::Node, ""),
];

pub(super) static MODERN: &[Node] = &[
    Node::read("AppManagement/AppInventoryResults", Chr, |_, _, scene| Some(values::app_inventory(&packages(scene))))
        .slow(),
    Node::setting("AppManagement/AppInventoryQuery", Chr, ""),
    Node::fixed("AppManagement/LastScanError", Chr, "0"),
    Node::read("AppManagement/AppStore", Format::Node, |_, _, scene| Some(families(scene))).slow(),
    Node::fixed("AppManagement/nonStore", Format::Node, ""),
    Node::exec("AppManagement/UpdateScan", |_, _, _, _| 202),
    Node::exec("AppManagement/RemovePackage", |_, _, _, _| 202),
    Node::free("AppManagement/ReleaseManagement/*/**"),
    Node::free("AppInstallation/*/StoreInstall").executes().runs(modern),
    Node::free("AppInstallation/*/HostedInstall").executes().runs(modern),
    Node::fixed("AppInstallation/*/LastError", Int, "0"),
    Node::fixed("AppInstallation/*/LastErrorDesc", Chr, ""),
    // 1 being installed, 3 installed.
    Node::read("AppInstallation/*/Status", Int, |tree, place, scene| {
        let task = tree.task(Work::App, &place.up(1).key)?;
        Some(if task.is_open(scene) { "1" } else { "3" }.to_owned())
    }),
    Node::read("AppInstallation/*/ProgressStatus", Int, |tree, place, scene| {
        let task = tree.task(Work::App, &place.up(1).key)?;
        Some(if task.is_open(scene) { "40" } else { "100" }.to_owned())
    }),
    Node::free("AppLicenses/StoreLicenses/*/**"),
    Node::setting("AppStore/RequirePrivateStoreOnly", Bool, "false"),
];

/// Added, a package is known; executed, it is fetched and installed. In the session in which it was added one device in ten
/// does not know it yet (fleetdm/fleet#47259).
fn install(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    let place = call.place;
    if call.verb != Verb::Exec {
        tree.freshen(place);
        return 200;
    }
    let product = place.up(1);
    let mut dice = scene.ctx.device_dice(Purpose::Contents, number(&product.key));
    if dice.below(10) == 0 && tree.is_fresh(place) {
        return 404;
    }
    let Some(job) = values::msi_job(call.data, scene.ctx.limits) else { return 500 };
    for (name, value) in [("Version", job), ("Status", None), ("LastError", None)] {
        let beside = place.beside(name);
        tree.forget(&beside);
        if let Some(value) = value {
            let leaf = Leaf { path: beside.path, format: Chr, value: value.into() };
            if let Err(code) = tree.write(leaf, false, scene.ctx.limits) {
                return code;
            }
        }
    }
    let from = scene.ctx.clocks.wall;
    let half = from + Task::lasts(FETCHING, Work::Msi, 0, scene);
    let until = half + Task::lasts(INSTALLING, Work::Msi, 1, scene);
    // Three of a hundred end badly.
    let good = dice.below(100) >= 3;
    tree.begin_task(Task { work: Work::Msi, of: product.key, from, half, until, good });
    202
}

fn status(tree: &Tree, place: &Place<'_>, scene: &Scene<'_>) -> Option<String> {
    let now = scene.ctx.clocks.wall;
    let status = match tree.task(Work::Msi, &place.up(1).key) {
        Some(task) if now < task.half => "20",
        Some(_) => "50",
        None => "10",
    };
    Some(status.to_owned())
}

/// Packages that are done by now become state, and are told of by an alert.
pub(in crate::windows) fn settle(tree: &mut Tree, scene: &Scene<'_>) {
    for task in tree.take_done(Work::Msi, scene.ctx.clocks.wall) {
        let Some(job) = tree.at(&format!("{}/downloadinstall", task.of)) else { continue };
        let (uri, product) = (uri(&job.path), job.path.rsplit_once('/').map_or("", |(product, _)| product).to_owned());
        let (status, error) = if task.good { ("70", 0) } else { ("60", FATAL) };
        for (name, value) in [("Status", status), ("LastError", &*error.to_string())] {
            let leaf = Leaf { path: format!("{product}/{name}").into(), format: Int, value: value.into() };
            tree.show(leaf, false, scene.ctx.limits);
        }
        tree.alert(Alert {
            code: 1224,
            source: Some(uri.into()),
            kind: "Reversed-Domain-Name:com.microsoft.mdm.win32csp_install".into(),
            format: "int".into(),
            mark: Some("informational".into()),
            data: error.to_string().into(),
        });
    }
}

fn modern(tree: &mut Tree, call: &Call<'_>, scene: &Scene<'_>, _: &mut Vec<Effect>) -> u16 {
    if call.verb != Verb::Exec {
        return 200;
    }
    let from = scene.ctx.clocks.wall;
    let until = from + Task::lasts(FETCHING, Work::App, 0, scene);
    tree.begin_task(Task { work: Work::App, of: call.place.up(1).key, from, half: until, until, good: true });
    202
}

/// The apps of the system: 30 to 800, which makes 10 to 300 KB.
fn packages(scene: &Scene<'_>) -> Vec<Package> {
    let mut dice = scene.ctx.device_dice(Purpose::Contents, 5);
    let count = (30.0 * (800.0_f64 / 30.0).powf(dice.unit())) as u64;
    (0..count).map(|n| package(n, dice.u64())).collect()
}

fn families(scene: &Scene<'_>) -> String {
    packages(scene).into_iter().map(|package| package.family).collect::<Vec<_>>().join("/")
}

fn package(n: u64, drawn: u64) -> Package {
    let word =
        |at: u64, words: &[&'static str]| words.get((at % words.len() as u64) as usize).copied().unwrap_or("App");
    let maker = word(n / WORDS.len() as u64, &MAKERS);
    let name = format!("{maker}.{}{}", word(n, &WORDS), if n < 128 { String::new() } else { n.to_string() });
    let version = format!("{}.{}.{}.0", 1 + drawn % 12, drawn >> 8 & 0xFF, drawn >> 16 & 0xFFF);
    let publisher = "8wekyb3d8bbwe";
    let full_name = format!("{name}_{version}_x64__{publisher}");
    let location = format!("C:\\Program Files\\WindowsApps\\{full_name}");
    let day = i64::try_from(drawn >> 32 & 0x1FF).unwrap_or_default();
    Package {
        family: format!("{name}_{publisher}"),
        full_name,
        version,
        publisher: format!("CN={maker} Corporation, O={maker} Corporation, L=Redmond, S=Washington, C=US"),
        location,
        installed: date::format(Wall::VIRTUAL_START - Dur::secs(86_400).times(day.unsigned_abs())),
    }
}

/// A number for a name: what its draws are keyed by.
fn number(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// `ERROR_INSTALL_FAILURE`.
const FATAL: i32 = 1_603;

const FETCHING: (Dur, Dur) = (Dur::secs(45), Dur::secs(600));
const INSTALLING: (Dur, Dur) = (Dur::secs(30), Dur::secs(240));

const MAKERS: [&str; 8] =
    ["Microsoft", "MicrosoftWindows", "Contoso", "Fabrikam", "Northwind", "Tailspin", "Wingtip", "Adatum"];
const WORDS: [&str; 16] = [
    "WindowsCalculator",
    "WindowsTerminal",
    "WindowsCamera",
    "ScreenSketch",
    "Paint",
    "WindowsStore",
    "VCLibs",
    "WebExperience",
    "HEIFImageExtension",
    "ZuneMusic",
    "Todos",
    "PowerAutomate",
    "StickyNotes",
    "WindowsAlarms",
    "SecHealthUI",
    "CompanyPortal",
];
