//! The provisioning document: what an enrollment gives a device (OMA client provisioning 1.1, as MS-MDE2 3.6 uses it):
//! certificates, the account to be managed by, when to poll, and whatever else a server sets by it.
//!
//! Names of characteristics are compared without regard to case, since servers write `My` and `MY`.

mod read;
mod write;

#[cfg(test)]
mod tests;

use super::xml::XmlError;
use crate::lenient;
use droves_facts::Limits;
use std::sync::Arc;

/// Elements of one document. Servers write about a hundred, and each setting keeps its path.
pub const ELEMENTS_MAX: usize = 10_000;

/// `wap-provisioningdoc`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Document {
    /// `CertificateStore`.
    pub certificates: Vec<Certificate>,
    /// `CertificateStore/My/WSTEP/Renew`.
    pub renewal: Option<Renewal>,
    /// `APPLICATION` of `APPID` w7: the account.
    pub account: Option<Account>,
    /// Every other parameter, such as those of `DMClient`, in order.
    pub settings: Vec<Setting>,
}

/// A certificate to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// In which store.
    pub store: Store,
    /// Whose.
    pub place: Place,
    /// The characteristic's name: the SHA-1 of the certificate, 40 hexadecimal digits, upper case mostly.
    pub thumbprint: String,
    /// `EncodedCertificate`, DER. Nobody has looked whether it is one.
    pub der: Vec<u8>,
}

/// A store of certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// `Root`: trusted authorities.
    Root,
    /// `CA`: authorities below them.
    Ca,
    /// `My`: the device's own.
    My,
}

/// Whose store it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `System`: where the enrollment is of type Device.
    System,
    /// `User`: where it is of type Full.
    User,
}

/// How the device's certificate is renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Renewal {
    /// `ROBOSupport`: by itself.
    pub automatic: bool,
    /// `RenewPeriod`: how many days before its end.
    pub period_days: Option<u32>,
    /// `RetryInterval`: after how many days again.
    pub retry_days: Option<u32>,
}

/// An account of device management (w7 APPLICATION CSP).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// `PROVIDER-ID`.
    pub provider: String,
    /// `NAME`.
    pub name: Option<String>,
    /// `ADDR`: the URL of the sessions; may have a query. From `APPADDR` in the mobile form.
    pub address: String,
    /// `APPADDR/PORT/PORTNBR`, of the mobile form.
    pub port: Option<u16>,
    /// `CONNRETRYFREQ`: tries of a connection; 3 if nothing is said.
    pub tries: Option<u32>,
    /// `INITIALBACKOFFTIME`, ms: between the first two; 16,000 if nothing is said.
    pub backoff_ms: Option<u64>,
    /// `MAXBACKOFFTIME`, ms: at most, since it doubles; 86,400,000 if nothing is said.
    pub backoff_ms_max: Option<u64>,
    /// `BACKCOMPATRETRYDISABLED`: its presence counts.
    pub compatible_retries_disabled: bool,
    /// `DEFAULTENCODING`: XML or WBXML.
    pub encoding: Option<String>,
    /// `USEHWDEVID`: the hardware's id stands in `Source`, not the device's. Its presence counts.
    pub by_hardware_id: bool,
    /// `SSLCLIENTCERTSEARCHCRITERIA`: by what the TLS certificate is found, percent-encoded.
    pub certificate_search: Option<String>,
    /// `ROLE`.
    pub role: Option<String>,
    /// `ServerList`.
    pub server_list: Option<String>,
    /// `APPAUTH`.
    pub auths: Vec<Auth>,
}

impl Account {
    /// By what the device proves who it is: the block of that level, or else one that has both a name and a secret, which
    /// is what counts where a server mixes up the levels.
    pub fn device_auth(&self) -> Option<&Auth> {
        let complete = |auth: &&Auth| auth.name.is_some() && auth.secret.is_some();
        let of_level = |auth: &&Auth| auth.level == Some(Level::Device);
        let mut both = self.auths.iter().filter(complete).filter(of_level);
        both.next().or_else(|| self.auths.iter().find(complete)).or_else(|| self.auths.iter().find(of_level))
    }
}

/// A secret of an account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Auth {
    /// `AAUTHLEVEL`: who proves themselves by it.
    pub level: Option<Level>,
    /// `AAUTHTYPE`: `BASIC` or `DIGEST`.
    pub kind: Option<String>,
    /// `AAUTHNAME`.
    pub name: Option<String>,
    /// `AAUTHSECRET`.
    pub secret: Option<String>,
    /// `AAUTHDATA`: the first nonce, base64.
    pub nonce: Option<String>,
}

impl Auth {
    /// The first nonce, raw; as it is written where it is no base64.
    pub fn nonce_bytes(&self) -> Vec<u8> {
        let text = self.nonce.as_deref().unwrap_or_default();
        lenient::base64(text).unwrap_or_else(|| text.as_bytes().to_vec())
    }
}

/// Who proves themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// `APPSRV`: the device to the server (`CLCRED` in the tree).
    Device,
    /// `CLIENT`: the server to the device (`SRVCRED`).
    Server,
}

/// A parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The characteristics around it, outermost first; shared with those that lie in the same.
    pub path: Vec<Arc<str>>,
    /// `name`.
    pub name: String,
    /// `value`.
    pub value: Option<String>,
    /// `datatype`: `integer`, `boolean`, `string`, ..
    pub datatype: Option<String>,
}

impl Document {
    /// Reads one, of at most [`ELEMENTS_MAX`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, XmlError> {
        let elements_max = limits.xml_elements_max.min(ELEMENTS_MAX);
        read::document(bytes, &Limits { xml_elements_max: elements_max, ..limits.clone() })
    }

    /// Writes it as servers do, with a declaration.
    pub fn write(&self, out: &mut Vec<u8>) {
        write::document(out, self);
    }

    /// The parameters of `DMClient` for this account: the path below the provider, and the parameter.
    pub fn client_settings<'d>(&'d self, provider: &'d str) -> impl Iterator<Item = (&'d [Arc<str>], &'d Setting)> {
        let wanted = ["DMClient", "Provider", provider];
        self.settings.iter().filter_map(move |setting| {
            let (start, rest) = setting.path.split_at_checked(wanted.len())?;
            start.iter().zip(wanted).all(|(is, wanted)| is.eq_ignore_ascii_case(wanted)).then_some((rest, setting))
        })
    }

    /// When the device is to poll, if the document says anything of it for this account.
    pub fn poll(&self, provider: &str) -> Option<Poll> {
        let mut poll: Option<Poll> = None;
        for (path, setting) in self.client_settings(provider) {
            if let [only] = path
                && only.eq_ignore_ascii_case("Poll")
            {
                poll.get_or_insert_default().set(&setting.name, setting.value.as_deref().unwrap_or_default());
            }
        }
        poll
    }
}

/// The schedule (DMClient CSP, `Provider/<id>/Poll`): three sets, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Poll {
    /// `NumberOfFirstRetries`, `IntervalForFirstSetOfRetries`: 10 times every 15 minutes if nothing is said.
    pub first: PollSet,
    /// `NumberOfSecondRetries`, `IntervalForSecondSetOfRetries`.
    pub second: PollSet,
    /// `NumberOfRemainingScheduledRetries`, `IntervalForRemainingScheduledRetries`.
    pub remaining: PollSet,
    /// `PollOnLogin`.
    pub on_login: bool,
    /// `AllUsersPollOnFirstLogin`.
    pub on_first_login_of_any: bool,
}

/// One set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PollSet {
    /// How often; 0 is for ever, if there is an interval.
    pub count: u32,
    /// Minutes between; 0 turns the set off.
    pub every_minutes: u32,
}

impl Default for Poll {
    fn default() -> Self {
        Poll {
            first: PollSet { count: 10, every_minutes: 15 },
            second: PollSet::default(),
            remaining: PollSet::default(),
            on_login: false,
            on_first_login_of_any: false,
        }
    }
}

impl Poll {
    /// Sets the parameter of this name, as the document or a later `Replace` has it; whether there is one, and the value
    /// is one for it. What is no number, or out of 32 bits, changes nothing.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let value = value.trim_ascii();
        let number = value.parse().ok();
        let truth = match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        fn put<T>(slot: &mut T, value: Option<T>) -> bool {
            value.map(|value| *slot = value).is_some()
        }
        match name.to_ascii_lowercase().as_str() {
            "numberoffirstretries" => put(&mut self.first.count, number),
            "intervalforfirstsetofretries" => put(&mut self.first.every_minutes, number),
            "numberofsecondretries" => put(&mut self.second.count, number),
            "intervalforsecondsetofretries" => put(&mut self.second.every_minutes, number),
            "numberofremainingscheduledretries" => put(&mut self.remaining.count, number),
            "intervalforremainingscheduledretries" => put(&mut self.remaining.every_minutes, number),
            "pollonlogin" => put(&mut self.on_login, truth),
            "alluserspollonfirstlogin" => put(&mut self.on_first_login_of_any, truth),
            _ => false,
        }
    }
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    let limits = Limits { body_bytes_max: 1 << 20, ..Limits::default() };
    let Ok(document) = Document::read(bytes, &limits) else { return };
    let mut out = Vec::new();
    document.write(&mut out);
    // Written, a store has characteristics around it that it may have shared with another.
    let wide = Limits { body_bytes_max: usize::MAX, xml_elements_max: usize::MAX, ..limits };
    assert_eq!(read::document(&out, &wide).as_ref(), Ok(&document));
    if let Some(account) = &document.account {
        document.poll(&account.provider);
        account.device_auth().map(Auth::nonce_bytes);
    }
}
