//! Where the fleet's enrollment profiles come from: what the server profile says, with its templates filled in.

use droves_device::ProfileSource;
use droves_scenario::plan::Target;
use droves_scenario::server;
use minijinja::{Environment, UndefinedBehavior};
use std::collections::BTreeMap;

/// Steps that a template may take: a profile has a few dozen values.
const FUEL: u64 = 200_000;

/// Why there is no enrollment profile.
#[derive(Debug, thiserror::Error)]
pub enum EnrollmentError {
    /// A template can't be filled in.
    #[error("enrollment profile of server profile `{server}`: {why}")]
    Template {
        /// Which server profile.
        server: String,
        /// What minijinja says, with the line.
        why: String,
    },
    /// The template is no text.
    #[error("{path} is not UTF-8 text, so it can't be a template")]
    NotText {
        /// Which file.
        path: String,
    },
}

/// The source of every device's enrollment profile, given where the target is.
pub(crate) fn source(target: &Target, url: &str) -> Result<ProfileSource, EnrollmentError> {
    match &target.profile.enroll_apple.profile {
        server::ProfileSource::File(payload) => Ok(ProfileSource::Bytes(payload.bytes.clone())),
        server::ProfileSource::Template(payload) => {
            let text = std::str::from_utf8(&payload.bytes)
                .map_err(|_| EnrollmentError::NotText { path: payload.path.display().to_string() })?;
            Ok(ProfileSource::Bytes(render(target, url, text)?.into_bytes().into()))
        }
        server::ProfileSource::Url(template) => {
            let there = render(target, url, template)?;
            let absolute = if there.starts_with('/') { format!("{}{there}", url.trim_end_matches('/')) } else { there };
            Ok(ProfileSource::Url(absolute.into()))
        }
    }
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
