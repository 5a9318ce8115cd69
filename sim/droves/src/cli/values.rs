//! What stands behind a flag, read.

use droves_facts::Dur;
use droves_shard::forecast::Service;
use std::time::Duration;

pub(super) fn base_url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
    let is_whole = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if !is_whole {
        return Err("it must begin with http:// or https:// and a host".to_owned());
    }
    if text.ends_with('/') || uri.query().is_some() {
        return Err("it must end without a slash and have no query: paths are added to it".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn service(text: &str) -> Result<Service, String> {
    let time = |text| humantime::parse_duration(text).map(dur).map_err(|error| error.to_string());
    match text.strip_prefix('~') {
        Some(mean) => time(mean).map(Service::Exponential),
        None => time(text).map(Service::Fixed),
    }
}

pub(super) fn outage(text: &str) -> Result<(Dur, Dur), String> {
    let (after, length) = text.split_once('+').ok_or("it must be AFTER+FOR, as in 10h+15m")?;
    let time = |text| humantime::parse_duration(text).map(dur).map_err(|error| format!("{text}: {error}"));
    Ok((time(after)?, time(length)?))
}

pub(crate) fn dur(time: Duration) -> Dur {
    Dur::us(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    let (number, per) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().map_err(|error| error.to_string())? / per;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("it must be between 0 and 1, or 0% and 100%".into()) }
}

pub(super) fn cores(text: &str) -> Result<f64, String> {
    let cores = text.parse::<f64>().map_err(|error| error.to_string())?;
    if cores.is_finite() && cores > 0.0 { Ok(cores) } else { Err("it must be above 0".into()) }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse::<usize>()
        .map_err(|error| error.to_string())
        .and_then(|n| if n > 0 { Ok(n) } else { Err("it must be above 0".into()) })
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    if name.is_empty() { Err("it has no name".into()) } else { Ok((name.to_owned(), value.to_owned())) }
}
