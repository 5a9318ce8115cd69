//! Where things are asked for, below the base URL: an optional project (the context path of the servlet container), then
//! `/rest/..`. A number is percent-encoded as a segment of a path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Where a device asks for something, or brings it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Path<'a> {
    /// The configuration: POST to enroll, GET ever after.
    Configuration(&'a str),
    /// The report.
    Info,
    /// Settings that apps made.
    ApplicationSettings(&'a str),
    /// Messages that wait, at once.
    Notifications(&'a str),
    /// Messages, held until there is one.
    Polling(&'a str),
    /// What is to be logged.
    LogRules(&'a str),
    /// The log.
    Log(&'a str),
    /// Whether details are wanted.
    DetailSettings(&'a str),
    /// Details.
    Details(&'a str),
    /// Locations.
    Locations(&'a str),
    /// A factory reset is about to be done.
    Reset(&'a str),
    /// A restart is about to be done.
    Reboot(&'a str),
    /// The user's password was set.
    Password(&'a str),
}

const CONFIGURATION: &str = "/rest/public/sync/configuration/";
const INFO: &str = "/rest/public/sync/info";
const APPLICATION_SETTINGS: &str = "/rest/public/sync/applicationSettings/";
const NOTIFICATIONS: &str = "/rest/notifications/device/";
const POLLING: &str = "/rest/notification/polling/";
const LOG_RULES: &str = "/rest/plugins/devicelog/log/rules/";
const LOG: &str = "/rest/plugins/devicelog/log/list/";
const DETAIL_SETTINGS: &str = "/rest/plugins/deviceinfo/deviceinfo-plugin-settings/device/";
const DETAILS: &str = "/rest/plugins/deviceinfo/deviceinfo/public/";
const LOCATIONS: &str = "/rest/plugins/devicelocations/public/update/";
const REBOOT: &str = "/rest/plugins/devicereset/public/reboot/";
const PASSWORD: &str = "/rest/plugins/devicereset/public/password/";
const RESET: &str = "/rest/plugins/devicereset/public/";

type OfNumber<'a> = fn(&'a str) -> Path<'a>;

impl<'a> Path<'a> {
    /// Below the project, encoded.
    pub fn write(self) -> String {
        let (prefix, number) = match self {
            Path::Configuration(number) => (CONFIGURATION, number),
            Path::Info => (INFO, ""),
            Path::ApplicationSettings(number) => (APPLICATION_SETTINGS, number),
            Path::Notifications(number) => (NOTIFICATIONS, number),
            Path::Polling(number) => (POLLING, number),
            Path::LogRules(number) => (LOG_RULES, number),
            Path::Log(number) => (LOG, number),
            Path::DetailSettings(number) => (DETAIL_SETTINGS, number),
            Path::Details(number) => (DETAILS, number),
            Path::Locations(number) => (LOCATIONS, number),
            Path::Reset(number) => (RESET, number),
            Path::Reboot(number) => (REBOOT, number),
            Path::Password(number) => (PASSWORD, number),
        };
        format!("{prefix}{}", utf8_percent_encode(number, SEGMENT))
    }

    /// Reads a decoded path, below the project; `None` for what no device asks for.
    pub fn read(path: &'a str) -> Option<Self> {
        if path == INFO {
            return Some(Path::Info);
        }
        let shapes: [(&str, OfNumber<'a>); 12] = [
            (CONFIGURATION, Path::Configuration),
            (APPLICATION_SETTINGS, Path::ApplicationSettings),
            (NOTIFICATIONS, Path::Notifications),
            (POLLING, Path::Polling),
            (LOG_RULES, Path::LogRules),
            (LOG, Path::Log),
            (DETAIL_SETTINGS, Path::DetailSettings),
            (DETAILS, Path::Details),
            (LOCATIONS, Path::Locations),
            (REBOOT, Path::Reboot),
            (PASSWORD, Path::Password),
            (RESET, Path::Reset),
        ];
        shapes.into_iter().find_map(|(prefix, path_of)| {
            let number = path.strip_prefix(prefix).filter(|number| !number.is_empty() && !number.contains('/'))?;
            Some(path_of(number))
        })
    }
}

/// The path of a request, decoded; bytes that are no UTF-8 become U+FFFD.
pub fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// What Retrofit leaves as it is in a segment (RFC 3986, 3.3: `pchar`).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');
