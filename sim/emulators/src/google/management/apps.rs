//! Web apps, which an EMM makes, and applications of the store, of which Google tells what it knows. The store here has
//! every package whose name could be one.

use super::super::page::{Sizes, page};
use super::{Asked, Management, empty, last, need, not_found};
use droves_wire::android::Status;
use droves_wire::android::value::{int64, read_int64, timestamp};
use serde_json::{Value, json};

const SIZES: Sizes = Sizes { default: 100, max: 100 };
const URL_CHARS_MAX: usize = 2_048;

impl Management {
    pub(super) fn create_web_app(&mut self, parent: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let mut body = asked.body.clone();
        need(&body, "startUrl", URL_CHARS_MAX)?;
        need(&body, "title", 256)?;
        let id = format!("com.google.enterprise.webapp.x{}", self.ids.hex(16));
        let enterprise = self.enterprise(parent, &asked)?;
        body.insert("name".to_owned(), format!("{parent}/webApps/{id}").into());
        body.insert("versionCode".to_owned(), int64(1));
        enterprise.web_apps.insert(id, body.clone());
        Ok(body.into())
    }

    pub(super) fn list_web_apps(&mut self, parent: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let apps = &self.enterprise(parent, asked)?.web_apps;
        page(apps, asked.query, "webApps", SIZES, |app| app.clone().into())
    }

    pub(super) fn get_web_app(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let app = self.enterprise(name, asked)?.web_apps.get(last(name));
        app.map(|app| app.clone().into()).ok_or_else(|| not_found(name))
    }

    pub(super) fn patch_web_app(&mut self, name: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let mask = asked.query.mask()?;
        let enterprise = self.enterprise(name, &asked)?;
        let app = enterprise.web_apps.get_mut(last(name)).ok_or_else(|| not_found(name))?;
        let version = app.get("versionCode").and_then(read_int64).unwrap_or(0);
        match mask {
            Some(mask) => mask.apply(app, &asked.body),
            None => app.extend(asked.body),
        }
        app.insert("name".to_owned(), name.into());
        app.insert("versionCode".to_owned(), int64(version + 1));
        Ok(app.clone().into())
    }

    pub(super) fn delete_web_app(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        let app = self.enterprise(name, asked)?.web_apps.remove(last(name));
        app.map(|_| empty()).ok_or_else(|| not_found(name))
    }

    pub(super) fn application(&mut self, name: &str, asked: &Asked<'_>) -> Result<Value, Status> {
        self.enterprise(name, asked)?;
        let package = last(name);
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !package.contains('.') || !package.split('.').all(is_word) {
            return Err(not_found(name));
        }
        Ok(json!({
            "name": name,
            "title": package,
            "author": "Droves",
            "appPricing": "FREE",
            "distributionChannel": "PUBLIC_GOOGLE_HOSTED",
            "contentRating": "THREE_YEARS",
            "minAndroidSdkVersion": 24,
            "playStoreUrl": format!("https://play.google.com/store/apps/details?id={package}"),
            "description": format!("What {package} does."),
            "fullDescription": format!("All that {package} does."),
            "recentChanges": "Nothing new.",
            "category": "PRODUCTIVITY",
            "iconUrl": format!("https://play.google.com/{package}/icon.png"),
            "smallIconUrl": format!("https://play.google.com/{package}/small-icon.png"),
            "screenshotUrls": [format!("https://play.google.com/{package}/1.png")],
            "availableCountries": ["DE", "US"],
            "features": ["VPN_APP"],
            "appTracks": [{ "trackId": "4700000000000000000", "trackAlias": "beta" }],
            "permissions": [{
                "permissionId": "android.permission.CAMERA",
                "name": "take pictures and videos",
                "description": "May use the camera at any time.",
            }],
            "appVersions": [{
                "versionString": "1.0", "versionCode": 1, "production": true, "trackIds": ["4700000000000000000"],
            }],
            "managedProperties": [{
                "key": "mode", "type": "CHOICE", "title": "Mode", "description": "How it works.",
                "defaultValue": "simple",
                "entries": [{ "value": "simple", "name": "Simple" }, { "value": "full", "name": "Full" }],
            }, {
                "key": "servers", "type": "BUNDLE_ARRAY", "title": "Servers", "description": "Where it works.",
                "nestedProperties": [{ "key": "url", "type": "STRING", "title": "URL", "description": "Its address." }],
            }],
            "updateTime": timestamp(asked.now),
        }))
    }
}
