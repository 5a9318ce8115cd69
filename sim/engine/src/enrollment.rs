//! How the fleet gets into the hands of its server: what the server profile says, with its templates filled in.

use droves_device::{Agent, Discovery, ProfileSource, Proof, Token};
use droves_facts::{Dialect, PopulationIx};
use droves_scenario::plan::{Managed, Plan, Target};
use droves_scenario::server::{self, AgentEnroll, Secret, WindowsEnroll};
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps that a template may take: a profile has a few dozen values.
const FUEL: u64 = 200_000;

/// Why a fleet can't enroll.
#[derive(Debug, thiserror::Error)]
pub enum EnrollmentError {
    /// A template can't be filled in.
    #[error("enrollment by server profile `{server}`: {why}")]
    Template {
        /// Which server profile.
        server: String,
        /// What minijinja says, with the line.
        why: String,
    },
    /// What is given for a Firebase project can't be one's id.
    #[error("server profile `{server}`: `{project}` is no Firebase project: letters, digits, `-`, `.` and `:` are")]
    Project {
        /// Which server profile.
        server: String,
        /// What is given.
        project: String,
    },
    /// The template is no text.
    #[error("{path} is not UTF-8 text, so it can't be a template")]
    NotText {
        /// Which file.
        path: String,
    },
}

/// How devices enroll.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// Where Apple devices get their enrollment profiles.
    pub(crate) apple: ProfileSource,
    /// Where Windows devices enroll, and as whom.
    pub(crate) windows: Discovery,
    /// What Android devices show to Google, by their population.
    pub(crate) tokens: BTreeMap<PopulationIx, Token>,
    /// Where Android devices with an agent enroll, and as whom.
    pub(crate) agent: Agent,
}

/// What is known only when the run's own services stand, and the server has been asked.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Host and port of WNS's channels; empty where it does not run.
    pub(crate) channels: String,
    /// Host and port of the practice server's MQTT broker; empty where it does not run.
    pub(crate) broker: String,
    /// Enrollment tokens of Android devices.
    pub(crate) tokens: BTreeMap<PopulationIx, Token>,
}

impl Ways {
    /// Ways of devices that enroll nowhere: those of a server that does not enroll them, and of a fleet of which only is
    /// asked who it is.
    pub(crate) fn nowhere() -> Self {
        let nothing: Arc<str> = "".into();
        Ways {
            apple: ProfileSource::Url(Arc::clone(&nothing)),
            windows: Discovery {
                url: Arc::clone(&nothing),
                user: Arc::clone(&nothing),
                proof: Proof::Login,
                channels: Arc::clone(&nothing),
            },
            tokens: BTreeMap::new(),
            agent: Agent {
                dialect: Dialect::default(),
                url: Arc::clone(&nothing),
                second_url: Arc::clone(&nothing),
                link: Arc::clone(&nothing),
                number: Arc::clone(&nothing),
                secret: nothing,
                configuration: None,
                fcm: None,
                checked: false,
            },
        }
    }

    /// The ways that the target's profile says, given where the target is.
    pub(crate) fn of(target: &Target, url: &str, found: &Found) -> Result<Self, EnrollmentError> {
        let mut ways = Ways { tokens: found.tokens.clone(), ..Ways::nowhere() };
        if let Some(apple) = &target.profile.enroll_apple {
            ways.apple = source(target, url, &apple.profile)?;
        }
        if let Some(windows) = &target.profile.enroll_windows {
            ways.windows = discovery(target, url, windows, &found.channels)?;
        }
        if let Some(from) = &target.profile.enroll_agent {
            ways.agent = agent(target, url, from, &found.broker)?;
        }
        Ok(ways)
    }
}

fn source(target: &Target, url: &str, from: &server::ProfileSource) -> Result<ProfileSource, EnrollmentError> {
    match from {
        server::ProfileSource::File(payload) => Ok(ProfileSource::Bytes(payload.bytes.clone())),
        server::ProfileSource::Template(payload) => {
            let text = std::str::from_utf8(&payload.bytes)
                .map_err(|_| EnrollmentError::NotText { path: payload.path.display().to_string() })?;
            Ok(ProfileSource::Bytes(render(target, url, text)?.into_bytes().into()))
        }
        server::ProfileSource::Url(template) => Ok(ProfileSource::Url(absolute(target, url, template)?.into())),
    }
}

fn discovery(
    target: &Target,
    url: &str,
    windows: &WindowsEnroll,
    channels: &str,
) -> Result<Discovery, EnrollmentError> {
    let secret = |Secret(text): &Secret| render(target, url, text).map(Into::into);
    Ok(Discovery {
        url: absolute(target, url, &windows.discovery)?.into(),
        user: render(target, url, &windows.user)?.into(),
        proof: match &windows.proof {
            server::Proof::Password(password) => Proof::Password(secret(password)?),
            server::Proof::Token(token) => Proof::Token(secret(token)?),
            server::Proof::Login => Proof::Login,
        },
        channels: channels.into(),
    })
}

fn agent(target: &Target, url: &str, from: &AgentEnroll, broker: &str) -> Result<Agent, EnrollmentError> {
    let written = from.link.as_ref().map(|link| render(target, url, link)).transpose()?.unwrap_or_default();
    let link = if written.is_empty() { broker } else { written.trim_start_matches("mqtt://").trim_end_matches('/') };
    let base = |template: &str| Ok(absolute(target, url, template)?.trim_end_matches('/').into());
    let first: Arc<str> = base(&from.url)?;
    let second: Option<Arc<str>> = from.second_url.as_deref().map(base).transpose()?;
    Ok(Agent {
        dialect: from.dialect,
        second_url: second.filter(|second| !second.is_empty()).unwrap_or_else(|| Arc::clone(&first)),
        url: first,
        link: link.into(),
        number: render(target, url, &from.number)?.into(),
        secret: render(target, url, &from.secret.0)?.into(),
        configuration: from.configuration.as_ref().map(|text| render(target, url, text)).transpose()?.map(Into::into),
        fcm: project(target, from)?.map(Into::into),
        checked: from.checked,
    })
}

/// The Firebase project for which the plan's agents have themselves woken by FCM, if there are such.
pub(crate) fn firebase_project(plan: &Plan) -> Result<Option<String>, EnrollmentError> {
    let has_agents = plan.populations.iter().any(|population| population.android == Some(Managed::Agent));
    let agent = plan.target.profile.enroll_agent.as_ref().filter(|_| has_agents);
    agent.map_or(Ok(None), |agent| project(&plan.target, agent))
}

fn project(target: &Target, from: &AgentEnroll) -> Result<Option<String>, EnrollmentError> {
    // It is needed before the target is there, and has nothing to do with where that is.
    let project = from.fcm.as_ref().map(|text| render(target, "", text)).transpose()?;
    let Some(project) = project.filter(|project| !project.is_empty()) else { return Ok(None) };
    let is_id = project.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte));
    if is_id {
        Ok(Some(project))
    } else {
        Err(EnrollmentError::Project { server: target.profile.name.clone(), project })
    }
}

/// A URL, or a path on the target.
fn absolute(target: &Target, url: &str, template: &str) -> Result<String, EnrollmentError> {
    let there = render(target, url, template)?;
    Ok(if there.starts_with('/') { format!("{}{there}", url.trim_end_matches('/')) } else { there })
}

fn render(target: &Target, url: &str, template: &str) -> Result<String, EnrollmentError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let vars: &BTreeMap<String, String> = &target.vars;
    let names =
        minijinja::context! { vars => vars, target => minijinja::context! { url => url.trim_end_matches('/') } };
    environment
        .render_str(template, names)
        .map_err(|error| EnrollmentError::Template { server: target.profile.name.clone(), why: format!("{error:#}") })
}
