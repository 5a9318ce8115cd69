//! The Android Management API: what an EMM tells Google of its enterprises, and what Google makes of it.
//!
//! Bodies are read by their types ([`typed`]) and kept as that makes them; beyond it only what Google itself adds or judges is
//! looked at. Nothing here knows HTTP. Devices are driven from outside, by the methods of [`fleet`].

mod apps;
mod arrival;
mod command;
mod device;
mod enrollment;
mod enterprise;
mod fleet;
mod gone;
mod method;
mod migration;
mod policy;
mod record;
mod schema;
mod still;
mod typed;

pub use fleet::{Departure, EnrollError, Enrolled, Enrollment, Migration, Order, Outcome, Unknown};
pub(crate) use gone::Ghost;
pub(crate) use method::{METHODS, Method, find};
pub(crate) use schema::SCHEMAS;
pub(crate) use still::Still;
pub use typed::target as body_target;

use super::lanes::{About, Lanes};
use super::pubsub::Data;
use super::query::Query;
use command::Operation;
use droves_facts::{Dice, LaneIx, Philox, Purpose, Wall};
use droves_wire::android::{Code, Status, name};
use enrollment::EnrollmentToken;
use enterprise::Signup;
use gone::Gone;
use method::Call;
use migration::MigrationToken;
use policy::Policy;
use record::{Device, Pool};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A resource.
pub type Object = Map<String, Value>;

/// The service, without its door.
#[derive(Debug)]
pub(crate) struct Management {
    url: String,
    devices_max: usize,
    ids: Ids,
    signups: BTreeMap<String, Signup>,
    enterprises: BTreeMap<String, Enterprise>,
    provisioning: BTreeMap<String, Object>,
    /// Enrollment tokens by what a device shows: their enterprise and their id.
    token_values: BTreeMap<String, (String, String)>,
    /// Migration tokens, likewise.
    migration_values: BTreeMap<String, (String, String)>,
    /// When an open operation is given up: by time, enterprise, device and number.
    deadlines: BTreeSet<(Wall, String, String, u64)>,
    /// What is to be published, in order.
    pub(crate) notifications: Vec<Notification>,
    /// Devices for which something is new, by name, each once, with their lanes.
    pub(crate) nudged: BTreeMap<Arc<str>, LaneIx>,
    pub(crate) lanes: Lanes,
    pool: Pool,
}

/// Everything under `enterprises/{id}`.
#[derive(Debug, Default)]
struct Enterprise {
    project: String,
    body: Object,
    enrollment_tokens: BTreeMap<String, EnrollmentToken>,
    migration_tokens: BTreeMap<String, MigrationToken>,
    policies: BTreeMap<String, Policy>,
    devices: BTreeMap<String, Device>,
    /// Devices that are deleted here and do not know it yet.
    departing: BTreeMap<String, Device>,
    gone: Gone,
    /// Names of devices by that of the policy that they refer to.
    users: BTreeMap<String, BTreeSet<Arc<str>>>,
    web_apps: BTreeMap<String, Object>,
    /// Names that devices had, the latest of them in their order, by serial number.
    names_by_serial: BTreeMap<String, Vec<Arc<str>>>,
}

/// A message for an enterprise's topic.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    /// The enterprise's id.
    pub(crate) enterprise: String,
    pub(crate) topic: String,
    /// `notificationType`.
    pub(crate) kind: &'static str,
    /// The device, by name, of which this is a status report.
    pub(crate) report_of: Option<String>,
    pub(crate) data: Data,
    pub(crate) about: About,
}

/// The body of a call, as the type that its method takes; `path` without the slash that it begins with.
pub(crate) fn body(verb: &str, path: &str, body: &[u8]) -> Result<Object, Status> {
    typed::read(find(verb, path).map(|(method, _)| method), body)
}

/// A call as its method takes it.
pub(crate) struct Asked<'a> {
    pub(crate) now: Wall,
    /// The caller's project, if it is known.
    pub(crate) project: Option<&'a str>,
    pub(crate) query: &'a Query<'a>,
    pub(crate) body: Object,
}

impl Management {
    pub(crate) fn new(url: String, devices_max: usize, dice: Dice) -> Self {
        Management {
            url,
            devices_max,
            ids: Ids { dice, next: 0 },
            signups: BTreeMap::new(),
            enterprises: BTreeMap::new(),
            provisioning: BTreeMap::new(),
            token_values: BTreeMap::new(),
            migration_values: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            notifications: Vec::new(),
            nudged: BTreeMap::new(),
            lanes: Lanes::default(),
            pool: Pool::default(),
        }
    }

    /// Answers a call; `path` without the slash that it begins with.
    pub(crate) fn answer(&mut self, verb: &str, path: &str, asked: Asked<'_>) -> Result<Value, Status> {
        let (method, name) = find(verb, path).ok_or_else(|| Status::new(Code::NotFound, "Method not found."))?;
        if let (Some(request), Some(mask)) = (method.request, asked.query.mask()?) {
            typed::check_mask(request, &mask, "updateMask")?;
        }
        match method.call {
            Call::SignupUrlCreate => self.create_signup_url(&asked),
            Call::EnterpriseCreate => self.create_enterprise(asked),
            Call::EnterpriseList => self.list_enterprises(&asked),
            Call::EnterpriseGet => self.enterprise(name, &asked).map(|enterprise| enterprise.body.clone().into()),
            Call::EnterprisePatch => self.patch_enterprise(name, asked),
            Call::EnterpriseDelete => self.delete_enterprise(name, &asked),
            Call::EnterpriseUpgradeUrl => self.upgrade_url(name, &asked),
            Call::ApplicationGet => self.application(name, &asked),
            Call::DeviceList => self.list_devices(name, &asked),
            Call::DeviceGet => self.get_device(name, &asked),
            Call::DevicePatch => self.patch_device(name, asked),
            Call::DeviceDelete => self.delete_device(name, &asked),
            Call::CommandIssue => self.issue_command(name, asked),
            Call::OperationList => self.list_operations(name, &asked),
            Call::OperationGet => self.get_operation(name, &asked),
            Call::OperationCancel => self.cancel_operation(name, &asked),
            Call::EnrollmentTokenCreate => self.create_enrollment_token(name, asked),
            Call::EnrollmentTokenList => self.list_enrollment_tokens(name, &asked),
            Call::EnrollmentTokenGet => self.get_enrollment_token(name, &asked),
            Call::EnrollmentTokenDelete => self.delete_enrollment_token(name, &asked),
            Call::MigrationTokenCreate => self.create_migration_token(name, asked),
            Call::MigrationTokenList => self.list_migration_tokens(name, &asked),
            Call::MigrationTokenGet => self.get_migration_token(name, &asked),
            Call::PolicyList => self.list_policies(name, &asked),
            Call::PolicyGet => self.get_policy(name, &asked),
            Call::PolicyPatch => self.patch_policy(name, asked),
            Call::PolicyDelete => self.delete_policy(name, &asked),
            Call::PolicyModifyApplications => self.modify_applications(name, &asked),
            Call::PolicyRemoveApplications => self.remove_applications(name, &asked),
            Call::WebAppCreate => self.create_web_app(name, asked),
            Call::WebAppList => self.list_web_apps(name, &asked),
            Call::WebAppGet => self.get_web_app(name, &asked),
            Call::WebAppPatch => self.patch_web_app(name, asked),
            Call::WebAppDelete => self.delete_web_app(name, &asked),
            Call::WebTokenCreate => self.create_web_token(name, asked),
            Call::ProvisioningInfoGet => self.get_provisioning_info(name),
        }
    }

    /// The enterprise of a resource's name, if it is the caller's. Whether another's is there, nobody is told.
    fn enterprise(&mut self, name: &str, asked: &Asked<'_>) -> Result<&mut Enterprise, Status> {
        let id = name.split('/').nth(1).unwrap_or_default();
        let owned = |enterprise: &&mut Enterprise| asked.project.is_none_or(|project| project == enterprise.project);
        self.enterprises
            .get_mut(id)
            .filter(owned)
            .ok_or_else(|| Status::new(Code::PermissionDenied, "The caller does not have permission"))
    }
}

impl Enterprise {
    fn name(&self) -> &str {
        text(&self.body, "name").unwrap_or_default()
    }

    /// Publishes what has become of a resource, if the enterprise wants to hear of that.
    fn tell<D>(&self, kind: &'static str, about: About, resource: impl FnOnce() -> D, to: &mut Vec<Notification>)
    where
        D: Into<Data>,
    {
        let Some(topic) = text(&self.body, "pubsubTopic") else { return };
        let wanted = self.body.get("enabledNotificationTypes").and_then(Value::as_array);
        if kind == enterprise::UPGRADE || wanted.is_some_and(|wanted| wanted.iter().any(|of| of == kind)) {
            let data = resource().into();
            let report_of = match &data {
                Data::Device(still) if kind == "STATUS_REPORT" => Some(still.name().to_owned()),
                _ => None,
            };
            let (enterprise, topic) = (last(self.name()).to_owned(), topic.to_owned());
            to.push(Notification { enterprise, topic, kind, report_of, data, about });
        }
    }

    /// The whole name of a policy of this enterprise, which may be given by its id alone.
    fn policy_name(&self, field: &str, given: &str) -> Result<String, Status> {
        let own = format!("{}/policies/", self.name());
        let name = format!("{own}{}", given.strip_prefix(&own).unwrap_or(given));
        let is_one = name::is_like(&name, method::POLICY);
        if is_one { Ok(name) } else { Err(Status::bad_field(field, "not the name of a policy of this enterprise")) }
    }
}

/// Ids that look drawn, and are: the same for the same seed.
#[derive(Debug)]
struct Ids {
    dice: Dice,
    next: u64,
}

impl Ids {
    fn rng(&mut self) -> Philox {
        self.next += 1;
        self.dice.draw(0, Purpose::Nonce, self.next)
    }

    fn letters(&mut self, count: usize, of: &[u8]) -> String {
        let mut rng = self.rng();
        let letter = |_| of.get(usize::try_from(rng.below(of.len() as u64)).unwrap_or(0)).map(|byte| char::from(*byte));
        (0..count).filter_map(letter).collect()
    }

    /// So many digits of a number in hexadecimal.
    fn hex(&mut self, count: usize) -> String {
        self.letters(count, b"0123456789abcdef")
    }

    /// So many letters and digits.
    fn token(&mut self, count: usize) -> String {
        self.letters(count, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    }
}

fn text<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

/// A field that has to be there, and may have at most so many characters.
fn need<'a>(object: &'a Object, field: &str, chars_max: usize) -> Result<&'a str, Status> {
    let value = text(object, field).filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| Status::bad_field(field, "required"))?;
    if value.chars().count() > chars_max { Err(Status::bad_field(field, "too long")) } else { Ok(value) }
}

/// `additionalData` of a token.
fn check_additional_data(body: &Object) -> Result<(), Status> {
    let data = text(body, "additionalData").unwrap_or_default();
    let fits = data.chars().count() <= 1_024;
    if fits { Ok(()) } else { Err(Status::bad_field("additionalData", "more than 1024 characters")) }
}

/// What Google alone says is not heard of others.
fn without(body: &mut Object, fields: &[&str]) {
    fields.iter().for_each(|field| drop(body.remove(*field)));
}

/// What is empty is absent.
fn without_empty(body: &mut Object) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    body.retain(|_, value| !is_empty(value));
}

fn not_found(name: &str) -> Status {
    Status::new(Code::NotFound, format!("Requested entity was not found: {name}"))
}

/// The last id of a name.
fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

fn empty() -> Value {
    json!({})
}
