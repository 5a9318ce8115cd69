//! Declarative management: what a server answers to the check-in message DeclarativeManagement, and the report that a
//! device sends by it (Apple: *Declarative Management*; schema `declarative/protocol`).
//!
//! Answers are JSON. They are bounded in size by whoever reads them from the network, in depth by `serde_json` (128),
//! and in count by [`Limits::declarations_max`].

use droves_facts::Limits;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Octets of a token, as Apple bounds them.
const TOKEN_BYTES_MAX: usize = 256;
/// Octets of an identifier or a type that we keep. Identifiers are reverse domain names or UUIDs.
const NAME_BYTES_MAX: usize = 512;

/// Why an answer is none.
#[derive(thiserror::Error, Debug)]
pub enum DeclarativeError {
    /// Not JSON, or not of this form.
    #[error("{what}: {why}")]
    Json {
        /// Which answer.
        what: &'static str,
        /// Why.
        why: serde_json::Error,
    },
    /// More than a device takes.
    #[error("{what} is beyond {max}")]
    TooMuch {
        /// What.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

/// The four kinds of declarations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// Makes configurations active.
    Activation,
    /// Data that configurations refer to.
    Asset,
    /// A setting.
    Configuration,
    /// About the server and its organisation.
    Management,
}

impl Kind {
    /// In the order in which answers and reports have them.
    pub const ALL: [Kind; 4] = [Kind::Activation, Kind::Asset, Kind::Configuration, Kind::Management];

    /// As it stands in the endpoint of a declaration: `declaration/<word>/<identifier>`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Activation => "activation",
            Kind::Asset => "asset",
            Kind::Configuration => "configuration",
            Kind::Management => "management",
        }
    }

    /// The key of its list in a report.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Activation => "activations",
            Kind::Asset => "assets",
            Kind::Configuration => "configurations",
            Kind::Management => "management",
        }
    }
}

/// Which state of the declarations a server has: in the command's `Data`, and in the answer to `tokens`.
pub fn token(json: &[u8]) -> Result<String, DeclarativeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        sync_tokens: Tokens,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tokens {
        declarations_token: String,
    }
    let Answer { sync_tokens } = read("tokens", json)?;
    bounded("a token", TOKEN_BYTES_MAX, &sync_tokens.declarations_token)?;
    Ok(sync_tokens.declarations_token)
}

/// A declaration as `declaration-items` names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its identifier.
    pub identifier: String,
    /// Changes whenever the declaration does.
    pub server_token: String,
}

/// The answer to `declaration-items`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Items {
    /// The state that these items are.
    pub token: String,
    /// By kind, in the server's order.
    pub items: Vec<Item>,
}

impl Items {
    /// Reads it.
    pub fn read(json: &[u8], limits: &Limits) -> Result<Self, DeclarativeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            declarations: Lists,
            declarations_token: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        #[derive(Default)]
        struct Lists {
            activations: Vec<Entry>,
            assets: Vec<Entry>,
            configurations: Vec<Entry>,
            management: Vec<Entry>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Entry {
            identifier: String,
            server_token: String,
        }
        let Answer { declarations, declarations_token } = read("declaration-items", json)?;
        bounded("a token", TOKEN_BYTES_MAX, &declarations_token)?;
        let Lists { activations, assets, configurations, management } = declarations;
        let lists = [activations, assets, configurations, management];
        let count = lists.iter().map(Vec::len).sum::<usize>();
        if count > limits.declarations_max {
            return Err(DeclarativeError::TooMuch { what: "the number of declarations", max: limits.declarations_max });
        }
        let mut items = Vec::with_capacity(count);
        for (kind, list) in Kind::ALL.into_iter().zip(lists) {
            for Entry { identifier, server_token } in list {
                bounded("an identifier", NAME_BYTES_MAX, &identifier)?;
                bounded("a server token", TOKEN_BYTES_MAX, &server_token)?;
                items.push(Item { kind, identifier, server_token });
            }
        }
        Ok(Items { token: declarations_token, items })
    }
}

/// A declaration, as far as a device acts on it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Declaration {
    /// Its kind.
    pub kind: Kind,
    /// Its `Type`, such as `com.apple.configuration.passcode.settings`.
    pub type_name: Box<str>,
    /// Its identifier.
    pub identifier: Box<str>,
    /// The server's token of this state of it.
    pub server_token: Box<str>,
    /// Of an activation: the configurations that it makes active.
    pub configurations: Vec<Box<str>>,
    /// Of an activation: whether it holds under a condition only.
    pub has_predicate: bool,
}

impl Declaration {
    /// Reads the answer to `declaration/<kind>/<identifier>`.
    pub fn read(kind: Kind, json: &[u8], limits: &Limits) -> Result<Self, DeclarativeError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            r#type: String,
            identifier: String,
            server_token: String,
            #[serde(default)]
            payload: Payload,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Payload {
            standard_configurations: Vec<String>,
            predicate: Option<String>,
        }
        let Answer { r#type, identifier, server_token, payload } = read("declaration", json)?;
        bounded("a type", NAME_BYTES_MAX, &r#type)?;
        bounded("an identifier", NAME_BYTES_MAX, &identifier)?;
        bounded("a server token", TOKEN_BYTES_MAX, &server_token)?;
        if payload.standard_configurations.len() > limits.declarations_max {
            let what = "the number of configurations of an activation";
            return Err(DeclarativeError::TooMuch { what, max: limits.declarations_max });
        }
        let mut configurations = Vec::new();
        if kind == Kind::Activation {
            for name in payload.standard_configurations {
                bounded("an identifier", NAME_BYTES_MAX, &name)?;
                configurations.push(name.into());
            }
        }
        Ok(Declaration {
            kind,
            type_name: r#type.into(),
            identifier: identifier.into(),
            server_token: server_token.into(),
            configurations,
            has_predicate: kind == Kind::Activation && payload.predicate.is_some(),
        })
    }
}

fn read<'a, T: Deserialize<'a>>(what: &'static str, json: &'a [u8]) -> Result<T, DeclarativeError> {
    serde_json::from_slice(json).map_err(|why| DeclarativeError::Json { what, why })
}

fn bounded(what: &'static str, max: usize, text: &str) -> Result<(), DeclarativeError> {
    if text.len() > max { Err(DeclarativeError::TooMuch { what, max }) } else { Ok(()) }
}

/// What became of a declaration.
struct Verdict {
    active: bool,
    valid: &'static str,
    reason: Option<(&'static str, &'static str)>,
}

/// The report of a device that has these declarations; the first one also says what it is capable of.
///
/// An activation without a predicate makes its configurations active. Predicates are not evaluated: an activation that
/// has one says `Error.UnableToEvaluatePredicate`. Payloads are not looked at, nor are assets fetched. Status
/// subscriptions bring nothing.
pub fn status_report(declarations: &[&Declaration], is_first: bool) -> Vec<u8> {
    let mut lists = serde_json::Map::new();
    for kind in Kind::ALL {
        let of_kind = declarations.iter().filter(|declaration| declaration.kind == kind);
        let rows = of_kind.map(|declaration| row(declaration, &judge(declaration, declarations)));
        lists.insert(kind.plural().to_owned(), rows.collect());
    }
    let mut management = json!({ "declarations": lists });
    if is_first {
        management["client-capabilities"] = capabilities();
    }
    let report = json!({ "StatusItems": { "management": management }, "Errors": [] });
    report.to_string().into_bytes()
}

fn row(declaration: &Declaration, verdict: &Verdict) -> Value {
    let reasons: Vec<Value> = verdict
        .reason
        .iter()
        .map(|(code, description)| json!({ "code": code, "description": description, "details": {} }))
        .collect();
    json!({
        "identifier": declaration.identifier,
        "server-token": declaration.server_token,
        "active": verdict.active,
        "valid": verdict.valid,
        "reasons": reasons,
    })
}

fn judge(declaration: &Declaration, all: &[&Declaration]) -> Verdict {
    let Declaration { kind, type_name, .. } = declaration;
    let is_known = match kind {
        Kind::Activation => &**type_name == ACTIVATION,
        _ => type_name.strip_prefix("com.apple.").is_some_and(|rest| rest.starts_with(kind.word())),
    };
    if !is_known {
        let reason = ("Error.UnknownDeclarationType", "The declaration is of a type that is not known.");
        return Verdict { active: false, valid: "invalid", reason: Some(reason) };
    }
    let reason = match kind {
        Kind::Activation => hindrance(declaration, all),
        Kind::Configuration => {
            let is_meant = |activation: &&&Declaration| {
                activation.configurations.contains(&declaration.identifier) && judge(activation, all).active
            };
            let mut activations = all.iter().filter(|other| other.kind == Kind::Activation);
            match activations.find(is_meant) {
                Some(_) => None,
                None => Some(("Info.NotReferencedByActivation", "No active activation names the configuration.")),
            }
        }
        Kind::Asset | Kind::Management => None,
    };
    // A configuration that nothing makes active is not looked at: real reports say that it is not known to be valid.
    let valid = if *kind == Kind::Configuration && reason.is_some() { "unknown" } else { "valid" };
    Verdict { active: reason.is_none() && *kind != Kind::Management, valid, reason }
}

/// Why an activation is not active.
fn hindrance(activation: &Declaration, all: &[&Declaration]) -> Option<(&'static str, &'static str)> {
    if activation.has_predicate {
        return Some(("Error.UnableToEvaluatePredicate", "The predicate can't be evaluated."));
    }
    let is_there = |name: &str| all.iter().any(|other| other.kind == Kind::Configuration && *other.identifier == *name);
    if activation.configurations.iter().all(|name| is_there(name)) {
        return None;
    }
    Some(("Error.MissingConfigurations", "A configuration that the activation names is not there."))
}

const ACTIVATION: &str = "com.apple.activation.simple";

/// What a device of today says that it can do, in short.
fn capabilities() -> Value {
    json!({
        "supported-versions": ["1.0.0"],
        "supported-features": {},
        "supported-payloads": {
            "declarations": {
                "activations": [ACTIVATION],
                "assets": ["com.apple.asset.credential.userpassword", "com.apple.asset.data", "com.apple.asset.useridentity"],
                "configurations": [
                    "com.apple.configuration.account.caldav", "com.apple.configuration.account.carddav",
                    "com.apple.configuration.account.exchange", "com.apple.configuration.account.google",
                    "com.apple.configuration.account.ldap", "com.apple.configuration.account.mail",
                    "com.apple.configuration.account.subscribed-calendar", "com.apple.configuration.legacy",
                    "com.apple.configuration.legacy.interactive", "com.apple.configuration.management.status-subscriptions",
                    "com.apple.configuration.management.test", "com.apple.configuration.passcode.settings",
                    "com.apple.configuration.softwareupdate.enforcement.specific",
                ],
                "management": [
                    "com.apple.management.organization-info", "com.apple.management.properties",
                    "com.apple.management.server-capabilities",
                ],
            },
            "status-items": ["management.client-capabilities", "management.declarations"],
        },
    })
}

/// What a fuzzer drives: whatever is read can be reported.
pub fn target(bytes: &[u8]) {
    let limits = Limits::default();
    let _token = token(bytes);
    let _items = Items::read(bytes, &limits);
    for kind in Kind::ALL {
        if let Ok(declaration) = Declaration::read(kind, bytes, &limits) {
            let report = status_report(&[&declaration], true);
            assert!(serde_json::from_slice::<Value>(&report).is_ok(), "our own report is no JSON");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const ITEMS: &str = r#"{"Declarations":{"Activations":[{"Identifier":"a","ServerToken":"1"}],"Assets":[],
        "Configurations":[{"Identifier":"c","ServerToken":"2"},{"Identifier":"d","ServerToken":"3"}],"Management":[]},
        "DeclarationsToken":"t"}"#;

    fn declaration(kind: Kind, identifier: &str, payload: &str) -> Declaration {
        let type_name = match kind {
            Kind::Activation => ACTIVATION.to_owned(),
            other => format!("com.apple.{}.test", other.word()),
        };
        let json =
            format!(r#"{{"Type":"{type_name}","Identifier":"{identifier}","ServerToken":"s","Payload":{payload}}}"#);
        Declaration::read(kind, json.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn answers_are_read() {
        let json = br#"{"SyncTokens":{"DeclarationsToken":"t","Timestamp":"2026-11-25T01:49:48Z"}}"#;
        assert_eq!(token(json).unwrap(), "t");
        let Items { token, items } = Items::read(ITEMS.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(token, "t");
        let kinds: Vec<_> = items.iter().map(|item| (item.kind, &*item.identifier, &*item.server_token)).collect();
        assert_eq!(kinds[0], (Kind::Activation, "a", "1"));
        assert_eq!(kinds[2], (Kind::Configuration, "d", "3"));
        let empty = br#"{"Declarations":{},"DeclarationsToken":""}"#;
        assert!(Items::read(empty, &Limits::default()).unwrap().items.is_empty());
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let limits = Limits { declarations_max: 2, ..Limits::default() };
        assert!(matches!(Items::read(ITEMS.as_bytes(), &limits), Err(DeclarativeError::TooMuch { max: 2, .. })));
        let long = format!(r#"{{"SyncTokens":{{"DeclarationsToken":"{}"}}}}"#, "t".repeat(257));
        assert!(matches!(token(long.as_bytes()), Err(DeclarativeError::TooMuch { max: 256, .. })));
        let deep = "[".repeat(100_000);
        assert!(matches!(token(deep.as_bytes()), Err(DeclarativeError::Json { .. })));
    }

    #[test]
    fn a_report_says_what_is_active_and_why_not() {
        let on = declaration(Kind::Activation, "on", r#"{"StandardConfigurations":["c"]}"#);
        let when = declaration(Kind::Activation, "when", r#"{"StandardConfigurations":["d"],"Predicate":"x == 1"}"#);
        let gone = declaration(Kind::Activation, "gone", r#"{"StandardConfigurations":["nowhere"]}"#);
        let c = declaration(Kind::Configuration, "c", "{}");
        let d = declaration(Kind::Configuration, "d", r#"{"Any":[1]}"#);
        let odd = Declaration { type_name: "org.example.odd".into(), ..declaration(Kind::Management, "m", "{}") };
        let report = status_report(&[&on, &when, &gone, &c, &d, &odd], false);
        let report: Value = serde_json::from_slice(&report).unwrap();
        let management = &report["StatusItems"]["management"];
        assert!(management.get("client-capabilities").is_none());
        let state = |list: &str, at: usize| {
            let row = &management["declarations"][list][at];
            let reason = row["reasons"][0]["code"].as_str().unwrap_or("").to_owned();
            (row["active"].as_bool().unwrap(), row["valid"].as_str().unwrap().to_owned(), reason)
        };
        let check = |list, at, active, valid: &str, reason: &str| {
            assert_eq!(state(list, at), (active, valid.to_owned(), reason.to_owned()), "{list} {at}");
        };
        check("activations", 0, true, "valid", "");
        check("activations", 1, false, "valid", "Error.UnableToEvaluatePredicate");
        check("activations", 2, false, "valid", "Error.MissingConfigurations");
        check("configurations", 0, true, "valid", "");
        check("configurations", 1, false, "unknown", "Info.NotReferencedByActivation");
        check("management", 0, false, "invalid", "Error.UnknownDeclarationType");
        let first = status_report(&[], true);
        let first: Value = serde_json::from_slice(&first).unwrap();
        assert!(first["StatusItems"]["management"]["client-capabilities"]["supported-versions"].is_array());
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("declarative", target);
    }

    proptest! {
        #[test]
        fn anything_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            target(&bytes);
        }
        #[test]
        fn anything_like_an_answer_does_no_harm(at in 0..ITEMS.len(), byte: u8) {
            let mut bytes = ITEMS.as_bytes().to_vec();
            bytes[at] = byte;
            target(&bytes);
        }
    }
}
