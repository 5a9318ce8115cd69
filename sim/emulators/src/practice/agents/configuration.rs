//! What a device is to be, as it is written: the server's own, with what the administrator has set in it.

use bytes::Bytes;
use droves_wire::android::headwind::{Config, Envelope, sign};
use droves_wire::digest::sha256;
use serde_json::{Map, Value, json};

/// A configuration, ready to be given out.
#[derive(Debug)]
pub(super) struct Configuration {
    /// What the administrator has set.
    pub(super) set: Map<String, Value>,
    /// The whole answer.
    pub(super) body: Bytes,
    /// The answer's signature.
    pub(super) signature: String,
    /// SHA-256 of the data in the answer.
    pub(super) digest: [u8; 32],
}

impl Configuration {
    /// The stock of a server at this URL, but for these fields.
    pub(super) fn new(url: &str, secret: &str, set: Map<String, Value>) -> Self {
        let mut whole = stock(url);
        whole.extend(set.clone());
        let data = Value::Object(whole);
        let digest = sha256(data.to_string().as_bytes());
        let body = Envelope::ok(Some(data)).write();
        let signature = sign::response(secret, &body).unwrap_or_default();
        Configuration { set, body: body.into(), signature, digest }
    }

    /// The same with one field more.
    pub(super) fn with(&self, url: &str, secret: &str, field: &str, value: Value) -> Self {
        let mut set = self.set.clone();
        set.insert(field.to_owned(), value);
        Configuration::new(url, secret, set)
    }
}

/// What the administrator sets in a configuration; the error says what is no field of one.
pub(super) fn offered(body: &[u8]) -> Result<Map<String, Value>, String> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let set: Map<String, Value> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let read: Config = serde_json::from_value(Value::Object(set.clone())).map_err(|error| error.to_string())?;
    read.bounded().map_err(|error| error.to_string())?;
    Ok(set)
}

/// What is not set is null.
fn stock(url: &str) -> Map<String, Value> {
    let file = |(n, (name, package, version)): (usize, (&str, &str, &str))| {
        let url = format!("{url}/files/{package}-{version}.apk");
        application(n, name, package, version, false, Some(url))
    };
    let system =
        |(n, (name, package)): (usize, (&str, &str))| application(FILES.len() + n, name, package, "0", true, None);
    let applications: Vec<Value> =
        FILES.into_iter().enumerate().map(file).chain(SYSTEM.into_iter().enumerate().map(system)).collect();
    let mut stock: Map<String, Value> = NULLS.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
    let set = json!({
        "applications": applications,
        "applicationSettings": [],
        "files": [],
        "pushOptions": "mqttAlarm",
        "keepaliveTime": 300,
        "password": "21232F297A57A5A743894A0E4A801FC3",
        "backgroundColor": "#1c40e3",
        "textColor": "#fefefe",
        "iconSize": "SMALL",
        "title": "none",
        "displayStatus": false,
        "requestUpdates": "donottrack",
        "systemUpdateType": 0,
        "lockStatusBar": false,
        "permissive": false,
        "kioskExit": true,
        "showWifi": false,
    });
    if let Value::Object(set) = set {
        stock.extend(set);
    }
    stock
}

fn application(n: usize, name: &str, package: &str, version: &str, is_system: bool, url: Option<String>) -> Value {
    json!({
        "id": n + 1,
        "name": name,
        "pkg": package,
        "version": version,
        "type": "app",
        "system": is_system,
        "showIcon": n.is_multiple_of(4),
        "url": url,
        "remove": false,
        "runAfterInstall": false,
        "runAtBoot": false,
        "skipVersion": false,
    })
}

const NULLS: [&str; 34] = [
    "newNumber",
    "newServerUrl",
    "mainApp",
    "kioskMode",
    "kioskHome",
    "kioskRecents",
    "kioskNotifications",
    "kioskSystemInfo",
    "kioskKeyguard",
    "kioskLockButtons",
    "restrictions",
    "systemUpdateFrom",
    "systemUpdateTo",
    "gps",
    "bluetooth",
    "wifi",
    "mobileData",
    "usbStorage",
    "brightness",
    "timeout",
    "volume",
    "timeZone",
    "orientation",
    "appPermissions",
    "factoryReset",
    "reboot",
    "lock",
    "lockMessage",
    "passwordReset",
    "passwordMode",
    "description",
    "custom1",
    "custom2",
    "custom3",
];

/// What has to be fetched: the agent itself, and what comes with it.
const FILES: [(&str, &str, &str); 3] = [
    ("Headwind MDM", "com.hmdm.launcher", "6.36"),
    ("Pager plugin", "com.hmdm.pager", "1.02"),
    ("Kiosk browser", "com.hmdm.kiosk", "1.05"),
];

/// What is on devices anyway.
const SYSTEM: [(&str, &str); 37] = [
    ("Camera", "com.android.camera2"),
    ("Chrome", "com.android.chrome"),
    ("Calculator", "com.google.android.calculator"),
    ("Calendar", "com.google.android.calendar"),
    ("Clock", "com.google.android.deskclock"),
    ("Contacts", "com.google.android.contacts"),
    ("Phone", "com.google.android.dialer"),
    ("Messages", "com.google.android.apps.messaging"),
    ("Photos", "com.google.android.apps.photos"),
    ("Maps", "com.google.android.apps.maps"),
    ("Gmail", "com.google.android.gm"),
    ("Drive", "com.google.android.apps.docs"),
    ("YouTube", "com.google.android.youtube"),
    ("Play Store", "com.android.vending"),
    ("Play services", "com.google.android.gms"),
    ("Services Framework", "com.google.android.gsf"),
    ("Google", "com.google.android.googlequicksearchbox"),
    ("Gboard", "com.google.android.inputmethod.latin"),
    ("WebView", "com.google.android.webview"),
    ("Files", "com.google.android.documentsui"),
    ("Settings", "com.android.settings"),
    ("System UI", "com.android.systemui"),
    ("Package installer", "com.google.android.packageinstaller"),
    ("Permission controller", "com.google.android.permissioncontroller"),
    ("Bluetooth", "com.android.bluetooth"),
    ("Certificate installer", "com.android.certinstaller"),
    ("Download manager", "com.android.providers.downloads"),
    ("Downloads", "com.android.providers.downloads.ui"),
    ("External storage", "com.android.externalstorage"),
    ("Media storage", "com.android.providers.media"),
    ("NFC", "com.android.nfc"),
    ("Print spooler", "com.android.printspooler"),
    ("Sound picker", "com.android.soundpicker"),
    ("Storage manager", "com.android.storagemanager"),
    ("Telephony", "com.android.phone"),
    ("Text to speech", "com.google.android.tts"),
    ("VPN dialogs", "com.android.vpndialogs"),
];
