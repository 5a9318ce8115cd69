//! Enrollment tokens of Android devices that Google manages: the server has them made, and hands them out.

use super::call::{self, Api};
use super::{AdminError, authorised};
use droves_device::Token;
use droves_facts::{DeviceIx, Dur, Limits, PopulationIx};
use droves_net::clock::{Clock, RunClock};
use droves_net::tls::ClientTls;
use droves_scenario::plan::{Managed, Plan, Population};
use droves_scenario::server::{Call, Secret, TokenSource};
use minijinja::context;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a token is waited for: the server may have to wait for its quota at Google.
const WAIT_MAX: Dur = Dur::secs(180);
/// Between two looks.
const PAUSE: Dur = Dur::ms(100);

/// Whoever asks the server for them.
pub(crate) struct Asking<'a> {
    pub(crate) plan: &'a Plan,
    /// Where the target is.
    pub(crate) url: &'a str,
    /// A bearer's token where the profile leaves it open.
    pub(crate) token: Option<&'a str>,
    pub(crate) limits: &'a Arc<Limits>,
    pub(crate) clock: RunClock,
}

impl Asking<'_> {
    /// The tokens of all populations that Google manages.
    pub(crate) async fn tokens(&self, tls: ClientTls) -> Result<BTreeMap<PopulationIx, Token>, AdminError> {
        let target = &self.plan.target;
        let mut tokens = BTreeMap::new();
        let Some(source) = &target.profile.enroll_google else { return Ok(tokens) };
        let vars =
            context! { vars => target.vars.clone(), target => context! { url => self.url.trim_end_matches('/') } };
        let managed = || {
            let all = self.plan.populations.iter();
            all.filter_map(|of| match of.android {
                Some(Managed::Google { mode, one_time }) => Some((of, mode, one_time)),
                _ => None,
            })
        };
        let (make, get, member) = match source {
            TokenSource::Given(Secret(token)) => {
                let token: Arc<str> = call::render(token, &vars)?.into();
                return Ok(managed().map(|(of, ..)| (of.ix, Token::Shared(Arc::clone(&token)))).collect());
            }
            TokenSource::Asked { make, get, member } => (make, get, member),
        };
        let Some(mut admin) = target.profile.admin.clone() else { return Ok(tokens) };
        authorised(&mut admin, self.token);
        let base = admin.url.as_ref().map_or_else(|| Ok(self.url.to_owned()), |url| call::render(url, &vars))?;
        let api = Api::new(&base, &admin.auth, &target.authorised, tls, Arc::clone(self.limits))?;
        for (population, mode, one_time) in managed() {
            let refused = |why: String| AdminError::NoToken { population: population.name.clone(), why };
            let ask = async |number: usize| {
                let label = format!("{}-{number}", label(&population.name));
                let names = context! { mode => mode.word(), one_time => one_time, label => label, ..vars.clone() };
                let call = async |call: &Call| {
                    let request = api.request(call, &names)?;
                    Ok::<_, AdminError>(api.send(request, call, &self.clock, self.limits).await)
                };
                let until = self.clock.now() + WAIT_MAX;
                let patient = async |of: &Call, waits_for: u16| {
                    loop {
                        match call(of).await? {
                            Ok(answered) => return Ok(answered),
                            Err(failed) if failed.status == Some(waits_for) && self.clock.now() < until => {
                                tokio::time::sleep(PAUSE.std()).await;
                            }
                            Err(failed) => return Err(refused(failed.text)),
                        }
                    }
                };
                // A server that has just begun may not be signed up at Google yet.
                let mut answered = patient(make, 503).await?;
                if let Some(get) = get {
                    answered = patient(get, 404).await?;
                }
                let found = member.split('.').try_fold(&answered.json, |value, name| value.get(name));
                let token = found.and_then(serde_json::Value::as_str);
                token.map(str::to_owned).ok_or_else(|| refused(format!("the answer has no `{member}`")))
            };
            let token = if one_time {
                Token::Each { first: DeviceIx(population.devices.start), tokens: each(population, ask).await? }
            } else {
                Token::Shared(ask(0).await?.into())
            };
            tokens.insert(population.ix, token);
        }
        Ok(tokens)
    }
}

/// One token for each device.
async fn each(
    population: &Population,
    ask: impl AsyncFn(usize) -> Result<String, AdminError>,
) -> Result<Arc<[Box<str>]>, AdminError> {
    let devices = population.devices.len();
    let mut tokens = Vec::with_capacity(devices);
    while tokens.len() < devices {
        tokens.push(ask(tokens.len()).await?.into_boxed_str());
        if tokens.len().is_multiple_of(1_000) {
            tracing::info!("{}: {} of {devices} enrollment tokens", population.name, tokens.len());
        }
    }
    Ok(tokens.into())
}

/// A population's name with letters, digits and `-` only.
fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
