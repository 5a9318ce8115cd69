//! Headwind MDM's: [`droves_wire::android::headwind`].

use super::super::goods::{Good, Loss, Lost};
use super::super::shared::{Config, Push};
use super::super::todo::Task;
use super::{Answer, Heard, Question, Speech, Told, Who, Wish};
use crate::Method;
use crate::trouble::Trouble;
use droves_facts::{Blame, Operation};
use droves_wire::android::headwind::config::{self, PushOptions};
use droves_wire::android::headwind::details::{self, Detail, DetailSettings, DeviceDetail, LogItem, LogRule};
use droves_wire::android::headwind::info::{Held, Installed, Location};
use droves_wire::android::headwind::paths::Path;
use droves_wire::android::headwind::{
    self as wire, DeviceInfo, Envelope, HeadwindError, Kind, Status, envelope, push, sign,
};
use droves_wire::android::{image, mqtt};
use droves_wire::digest::sha256;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::sync::Arc;

/// The dialect.
pub(super) struct Headwind;

impl Speech for Headwind {
    fn enroll(&self, who: &Who<'_>) -> Question {
        let body = wire::Enroll { configuration: who.configuration.map(str::to_owned), ..wire::Enroll::default() };
        let question = signed(who, Operation::AndroidEnroll);
        Question { method: Method::Post, headers: JSON, body: Some(body.write().into()), ..question }
    }

    fn config(&self, who: &Who<'_>) -> Question {
        signed(who, Operation::AndroidConfig)
    }

    fn told(&self, who: &Who<'_>, answer: &Answer) -> Result<Told, Trouble> {
        let body = &answer.body;
        let config: wire::Config = data(body)?.ok_or(HeadwindError::NoData).map_err(|error| malformed(&error))?;
        // After what the server refuses: refusals are not signed.
        if who.checked {
            signed_by(who.secret, answer)?;
        }
        let config = config.bounded().map_err(|error| malformed(&error))?;
        let text = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Arc::<str>::from)
        };
        let asked = [
            (config.factory_reset == Some(true), Task::ConfirmReset),
            (config.reboot == Some(true), Task::ConfirmReboot),
            (config.password_reset.is_some(), Task::ConfirmPassword),
        ];
        Ok(Told {
            number: text(&config.new_number),
            url: text(&config.new_server_url).map(|url| url.trim_end_matches('/').into()),
            tasks: asked.into_iter().filter_map(|(asked, task)| asked.then_some(task)).collect(),
            config: Config {
                digest: sign::data(body).map(sha256).unwrap_or_default(),
                push: match config.push() {
                    None => Push::None,
                    Some(PushOptions::Polling) => Push::Poll,
                    Some(PushOptions::MqttAlarm | PushOptions::MqttWorker) => Push::Mqtt(config.keep_alive_secs()),
                },
                goods: goods(&config, false)?,
                gone: goods(&config, true)?,
                rest: Arc::default(),
                kiosk: config.kiosk_mode == Some(true),
                located: matches!(config.request_updates.as_deref(), Some("gps" | "wifi")),
            },
        })
    }

    fn chores(&self) -> &'static [Task] {
        &[Task::LogRules, Task::DetailSettings]
    }

    fn tell(&self, task: Task, who: &Who<'_>, held: &Config) -> Option<Question> {
        let number = who.number.as_str();
        let (path, method, body) = match task {
            Task::Report | Task::ReportApplied => (Path::Info, Method::Post, Some(info(who, held).write())),
            Task::ConfirmReset => {
                let info = DeviceInfo { factory_reset: Some(true), ..info(who, held) };
                (Path::Reset(number), Method::Post, Some(info.write()))
            }
            Task::ConfirmReboot => (Path::Reboot(number), Method::Post, Some(info(who, held).write())),
            Task::ConfirmPassword => (Path::Password(number), Method::Post, Some(info(who, held).write())),
            Task::LogRules => (Path::LogRules(number), Method::Get, None),
            Task::DetailSettings => (Path::DetailSettings(number), Method::Get, None),
            Task::Logs => (Path::Log(number), Method::Post, Some(details::write_log(&[log(who)]))),
            Task::Locations if held.located => {
                (Path::Locations(number), Method::Put, Some(details::write_locations(&[location(who)])))
            }
            Task::Details => (Path::Details(number), Method::Put, Some(details::write_details(&[detail(who)]))),
            _ => return None,
        };
        let operation = match task {
            Task::LogRules | Task::DetailSettings | Task::Logs | Task::Details | Task::Locations => {
                Operation::AndroidLogs
            }
            _ => Operation::AndroidReport,
        };
        let headers = if body.is_some() { JSON } else { &[] };
        let url = format!("{}{}", who.url, path.write()).into();
        Some(Question {
            operation,
            method,
            url,
            headers,
            varying: Vec::new(),
            body: body.map(Into::into),
            idle_end: None,
        })
    }

    fn heard(&self, task: Task, body: &[u8]) -> Result<Heard, Trouble> {
        Ok(match task {
            Task::LogRules => {
                let rules: Vec<LogRule> = data(body)?.unwrap_or_default();
                if rules.is_empty() { Heard::Taken } else { Heard::Do(Task::Logs) }
            }
            Task::DetailSettings => {
                let settings: DetailSettings = data(body)?.unwrap_or_default();
                let mins = u16::try_from(settings.interval_mins).ok().filter(|mins| *mins > 0);
                Heard::Details(mins.filter(|_| settings.send_data))
            }
            Task::Report | Task::ReportApplied => data::<IgnoredAny>(body).map(|_| Heard::Do(Task::Locations))?,
            _ => data::<IgnoredAny>(body).map(|_| Heard::Taken)?,
        })
    }

    fn fetch(&self, who: &Who<'_>, url: &str) -> Vec<(&'static str, Box<str>)> {
        let signature = sign::file(who.secret, url).map(|signature| (REQUEST_SIGNATURE, signature.into()));
        signature.into_iter().collect()
    }

    fn link(&self, who: &Who<'_>, keep_alive_secs: u16) -> (Arc<str>, mqtt::Connect, Vec<(String, u8)>) {
        let host = if who.link.is_empty() { host(who.url) } else { who.link };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let url = if has_port { format!("mqtt://{host}") } else { format!("mqtt://{host}:{}", config::MQTT_PORT) };
        let connect = mqtt::Connect {
            client: who.number.clone(),
            user: Some(sign::MQTT_USER.to_owned()),
            password: Some(sign::mqtt_password(who.secret).into_bytes()),
            clean_session: false,
            keep_alive_secs,
        };
        (url.into(), connect, vec![(who.number.clone(), 2)])
    }

    fn pushed(&self, payload: &[u8]) -> Result<Wish, Trouble> {
        push::Push::read(payload).map(|push| wish(&push)).map_err(|error| malformed(&error))
    }

    /// The path is signed as the agent signs it: encoded, and without a slash before the project.
    fn poll(&self, who: &Who<'_>) -> Question {
        let path = Path::Polling(&who.number).write();
        let project = who.url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let signature = sign::request(who.secret, &format!("{project}{path}"));
        Question {
            operation: Operation::AndroidPoll,
            method: Method::Get,
            url: format!("{}{path}", who.url).into(),
            headers: &[],
            varying: vec![(REQUEST_SIGNATURE, signature.into())],
            body: None,
            // What it shows is a page of an error.
            idle_end: Some(500),
        }
    }

    fn polled(&self, body: &[u8]) -> Result<Vec<Wish>, Trouble> {
        let pushes = push::read_list(body).map_err(|error| malformed(&error))?;
        Ok(pushes.iter().map(wish).collect())
    }
}

/// The names of headers as they go out.
const REQUEST_SIGNATURE: &str = "x-request-signature";
const CPU_ARCH: &str = "x-cpu-arch";
const JSON: &[(&str, &str)] = &[("content-type", wire::JSON)];
const CPU: &str = "arm64-v8a";
/// What a device keeps of the apps and files of one configuration: the most that lists may have, and their texts as long as
/// they usually are.
const GOODS_BYTES_MAX: usize = 1 << 20;

/// A GET of the configuration.
fn signed(who: &Who<'_>, operation: Operation) -> Question {
    let signature = sign::request(who.secret, &who.number);
    Question {
        operation,
        method: Method::Get,
        url: format!("{}{}", who.url, Path::Configuration(&who.number).write()).into(),
        headers: &[],
        varying: vec![(REQUEST_SIGNATURE, signature.into()), (CPU_ARCH, CPU.into())],
        body: None,
        idle_end: None,
    }
}

/// The data of an answer in its envelope.
fn data<T: DeserializeOwned>(body: &[u8]) -> Result<Option<T>, Trouble> {
    let envelope = Envelope::<T>::read(body).map_err(|error| malformed(&error))?;
    if envelope.status == Status::Ok {
        return Ok(envelope.data);
    }
    let said = envelope.message.unwrap_or_default();
    let kind = match said.as_str() {
        envelope::UNKNOWN_DEVICE => "unknown_device",
        envelope::DENIED => "permission_denied",
        envelope::DUPLICATE => "duplicate_device",
        _ => "refused",
    };
    let said: String = said.chars().filter(|c| !c.is_control()).take(100).collect();
    Err(Trouble::new(Blame::Server, kind, format!("the server refuses: {said}")))
}

/// Refuses an answer that is not signed with the secret that both have.
fn signed_by(secret: &str, answer: &Answer) -> Result<(), Trouble> {
    let is_it = |due: String| due.eq_ignore_ascii_case(&answer.signature);
    if sign::response(secret, &answer.body).is_some_and(is_it) {
        return Ok(());
    }
    let text = if answer.signature.is_empty() { "is not signed" } else { "is signed with another secret" };
    Err(Trouble::new(Blame::Server, "wrong_signature", format!("a configuration {text}")))
}

fn malformed(error: &HeadwindError) -> Trouble {
    Trouble::new(Blame::Server, "malformed", error.to_string())
}

/// What a push does that a server can see. The others start something, show something, or clear what no report tells of;
/// the agent keeps no history of downloads that have succeeded, and its own permissions are granted from the start.
fn wish(push: &push::Push) -> Wish {
    let named = |key: &str| push.payload.as_ref().and_then(|payload| payload.get(key));
    let lose = |of: Lost, key: &str| {
        named(key).and_then(|name| name.as_str()).map_or(Wish::Quiet, |name| Wish::Lose(Loss::of(of, name)))
    };
    match push.kind {
        Kind::ConfigUpdated => Wish::Config,
        Kind::Reboot => Wish::Reboot,
        Kind::ExitKiosk => Wish::ExitKiosk,
        Kind::UninstallApp => lose(Lost::App, "pkg"),
        Kind::DeleteFile => lose(Lost::File, "path"),
        Kind::DeleteDir => lose(Lost::Folder, "path"),
        Kind::PurgeDir => {
            let is_deep = named("recursive").is_some_and(|deep| deep == "1" || *deep == 1);
            lose(if is_deep { Lost::Below } else { Lost::In }, "path")
        }
        Kind::ConfigUpdating
        | Kind::AppConfigUpdated
        | Kind::RunApp
        | Kind::Broadcast
        | Kind::PermissiveMode
        | Kind::RunCommand
        | Kind::AdminPanel
        | Kind::ClearDownloadHistory
        | Kind::Intent
        | Kind::GrantPermissions
        | Kind::ClearAppData
        | Kind::Other(_) => Wish::Quiet,
    }
}

/// Host and port of a URL, without its port: the broker has another.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host)
}

/// Apps and files that are to be there, or are to be removed. Versions of apps are as good as others where the server says `0`
/// or that it does not care; a file is removed whatever its date.
fn goods(config: &wire::Config, removed: bool) -> Result<Arc<[Good]>, Trouble> {
    let url = |url: &Option<String>| url.as_deref().map(str::trim).filter(|url| !url.is_empty()).map(Arc::<str>::from);
    let text = |text: &Option<String>| Arc::<str>::from(text.as_deref().unwrap_or_default());
    let files = config.files.iter().filter(|file| file.remove == removed && file.path.is_some()).map(|file| Good {
        is_app: false,
        name: text(&file.path),
        title: Arc::default(),
        version: file.last_update.to_string().into(),
        exact: !removed,
        url: url(&file.url),
    });
    let is_app = |app: &&config::Application| app.kind.as_deref().is_none_or(|kind| kind == "app");
    let apps = config.applications.iter().filter(is_app).filter(|app| app.remove == removed && app.pkg.is_some());
    let apps = apps.map(|app| Good {
        is_app: true,
        name: text(&app.pkg),
        title: text(&app.name),
        version: text(&app.version),
        exact: app.version.as_deref() != Some("0") && (removed || !app.skip_version),
        url: url(&app.url),
    });
    let goods: Arc<[Good]> = files.chain(apps).collect();
    let bytes: usize = goods.iter().map(Good::bytes).sum();
    if bytes > GOODS_BYTES_MAX { Err(malformed(&HeadwindError::TooLarge)) } else { Ok(goods) }
}

/// The report.
fn info(who: &Who<'_>, held: &Config) -> DeviceInfo {
    let (apps, files): (Vec<&Good>, Vec<&Good>) = held.goods.iter().partition(|good| good.is_app);
    let text = |text: &Arc<str>| Some(text.to_string());
    let (serial, imei) = match who.of_image {
        Some(serial) => (serial.to_owned(), image::IMEI.to_owned()),
        None => {
            (format!("R{:011X}", who.flavour & 0xFFF_FFFF_FFFF), format!("35{:013}", who.flavour % 10_000_000_000_000))
        }
    };
    DeviceInfo {
        model: Some(who.model.to_owned()),
        permissions: vec![1; 4],
        applications: apps
            .into_iter()
            .map(|app| Installed { pkg: text(&app.name), name: text(&app.title), version: text(&app.version) })
            .collect(),
        files: files
            .into_iter()
            .map(|file| Held { path: text(&file.name), last_update: file.version.parse().unwrap_or_default() })
            .collect(),
        device_id: Some(who.number.clone()),
        imei: Some(imei),
        mdm_mode: true,
        kiosk_mode: held.kiosk,
        location: held.located.then(|| location(who)),
        battery_level: battery(who),
        android_version: Some(who.os_version.to_owned()),
        // That edition says where devices are, and shows kiosks.
        launcher_type: Some("master".to_owned()),
        launcher_package: Some("com.hmdm.launcher".to_owned()),
        default_launcher: true,
        cpu: Some(CPU.to_owned()),
        serial: Some(serial),
        // Its agent knows no FCM: another app does, and leaves its token with it.
        custom1: who.push_token.clone(),
        ..DeviceInfo::default()
    }
}

/// Full each morning, another for each device and hour.
fn battery(who: &Who<'_>) -> i64 {
    let hour = who.wall.secs().div_euclid(3_600);
    100 - (hour + (who.flavour >> 32) as i64).rem_euclid(24) * 3
}

/// Each device has a place of its own in a town, and is within a kilometre of it, elsewhere each hour.
fn location(who: &Who<'_>) -> Location {
    let hour = who.wall.secs().div_euclid(3_600);
    let near =
        |bits: u64, n: i64| f64::from((bits >> 40) as u16) / 500_000.0 + (hour + n).rem_euclid(7) as f64 / 1_000.0;
    let lat = 47.0 + near(who.flavour, 0);
    Location { ts: who.wall.0.div_euclid(1_000), lat, lon: 8.0 + near(who.flavour.rotate_left(8), 3) }
}

fn log(who: &Who<'_>) -> LogItem {
    LogItem {
        timestamp: who.wall.0.div_euclid(1_000),
        log_level: 3,
        package_id: Some("com.hmdm.launcher".to_owned()),
        message: Some("Configuration updated".to_owned()),
    }
}

fn detail(who: &Who<'_>) -> Detail {
    let device = DeviceDetail {
        battery_level: Some(battery(who)),
        wifi: Some(true),
        gps: Some(false),
        keyguard: Some(false),
        ring_volume: Some(40),
        mobile_data: Some(true),
        bluetooth: Some(false),
        memory_total: Some(7_600),
        memory_available: Some(2_100),
        ..DeviceDetail::default()
    };
    Detail { ts: who.wall.0.div_euclid(1_000), device: Some(device), wifi: None }
}
