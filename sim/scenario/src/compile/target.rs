//! The target: which server, where, and whether it may be loaded.

use super::Checks;
use crate::language;
use crate::plan::{AndroidServer, PollSet, Target, Tls, WindowsAuth, WindowsServer};
use crate::problem::{Problem, nearest};
use crate::server::{Admin, Auth, Secret, ServerProfile};
use crate::yaml::At;
use droves_facts::Dur;
use std::collections::BTreeMap;
use std::net::IpAddr;

impl Target {
    /// Whether the scenario may talk to this host: loopback, private, or authorised by name.
    pub fn may_talk_to(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        near(host) || self.authorised.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

fn near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        // A name without a dot is one of this network; where it leads is looked at once more when it is resolved.
        Err(_) => !host.contains('.') || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// The target; none after a problem that leaves none.
pub(super) fn target(
    written: &language::Target,
    profile: Option<&ServerProfile>,
    checks: &mut Checks<'_>,
) -> Option<Target> {
    let profile = profile?;
    let mut vars: BTreeMap<_, _> = written.vars.0.iter().map(|(name, v)| (name.value.clone(), v.0.clone())).collect();
    for (name, var) in profile.vars.iter().filter(|(name, _)| written.vars.0.iter().all(|(n, _)| n.value != **name)) {
        match &var.default {
            Some(default) => {
                vars.insert(name.clone(), default.clone());
            }
            None => {
                let title = format!("`{}` needs `target.vars.{name}`", profile.name);
                let cure = format!("{}: add `{name}: ..` to the `vars` of `target`", var.about.trim());
                checks.push(Problem::new(title, written.server.place).cured(cure));
            }
        }
    }
    for (name, _) in written.vars.0.iter().filter(|(name, _)| !profile.vars.contains_key(&name.value)) {
        let problem = Problem::new(format!("`{}` does not use `{}`", profile.name, name.value), name.place);
        let known = || profile.vars.keys().map(String::as_str);
        checks.push(match nearest(&name.value, known()) {
            Some(near) => problem.labelled(format!("did you mean `{near}`?")),
            None if profile.vars.is_empty() => problem.labelled("it uses none"),
            None => problem.labelled(format!("it uses: {}", known().collect::<Vec<_>>().join(", "))),
        });
    }
    let target = Target {
        profile: profile.clone(),
        url: written.url.as_ref().map(|url| url.value.trim_end_matches('/').to_owned()),
        authorised: written.authorised.iter().map(|host| host.value.clone()).collect(),
        vars,
        windows: windows(&written.windows, checks),
        android: android(&written.android, checks),
    };
    for host in written.authorised.iter().filter(|host| host.value.contains(['/', ':', '*']) || host.value.is_empty()) {
        let problem = Problem::new(format!("`{}` is not a host's name", host.value), host.place);
        checks.push(problem.cured("write the name alone, such as `mdm.example.org`"));
    }
    match &written.url {
        None if profile.is_embedded => {}
        None => {
            let problem = Problem::new(format!("`{}` needs a `url`", profile.name), written.server.place);
            checks.push(problem.labelled("only the practice server runs inside this process"));
        }
        Some(url) => match host(&url.value) {
            Err(why) => {
                let problem = Problem::new(format!("`{}` is not a server's address", url.value), url.place);
                checks.push(problem.labelled(why).cured("write `https://host:port`"));
            }
            Ok(host) if !target.may_talk_to(&host) => {
                let problem = Problem::new(format!("`{host}` is not authorised"), url.place);
                let label = "it is neither loopback nor private, and load is no favour to strangers";
                let cure = format!("if its owner agrees, add `authorised: [ {host} ]` to `target`");
                checks.push(problem.labelled(label).cured(cure));
            }
            Ok(_) => check_secret(profile, url.place, checks),
        },
    }
    Some(target)
}

/// A profile for a server elsewhere whose secret has been left empty.
fn check_secret(profile: &ServerProfile, place: crate::plan::Place, checks: &mut Checks<'_>) {
    let secret = match &profile.admin {
        Some(Admin { auth: Auth::Basic { password: secret, .. } | Auth::Bearer(secret), .. })
        | Some(Admin { auth: Auth::Header { value: secret, .. }, .. }) => secret,
        _ => return,
    };
    if *secret == Secret(String::new()) {
        let needs: Vec<_> = profile.needs.iter().map(|(name, what)| format!("{name} ({what})")).collect();
        let problem = Problem::new(format!("`{}` has no secret for its API", profile.name), place);
        checks.push(problem.cured(format!("set in the environment: {}", needs.join(", "))));
    }
}

/// The host of `scheme://host[:port]`; else what is wrong with it.
fn host(url: &str) -> Result<String, &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or("it begins with `https://` or `http://`")?.trim_end_matches('/');
    if rest.contains(['/', '?', '#']) {
        return Err("paths stand in the server's profile");
    }
    if rest.contains('@') {
        return Err("names and passwords stand in the server's profile");
    }
    let (host, port) = match rest.strip_prefix('[') {
        Some(six) => {
            let (host, after) = six.split_once(']').ok_or("`[` without `]`")?;
            (host, after.strip_prefix(':'))
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Err("the port is a number from 1 to 65535");
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(fits) {
        return Err("the host's name is missing or odd");
    }
    Ok(host.to_owned())
}

/// Every 3 minutes five times, every 15 minutes eight times, then every 8 hours (learn.microsoft.com, DMClient CSP, `Poll`).
const POLL: [PollSet; 3] = [
    PollSet { minutes: 3, times: Some(5) },
    PollSet { minutes: 15, times: Some(8) },
    PollSet { minutes: 480, times: None },
];

/// What the server asks of Windows devices.
fn windows(written: &language::WindowsServer, checks: &mut Checks<'_>) -> WindowsServer {
    let auth = match written.auth {
        language::WindowsAuth::Certificate => WindowsAuth::Certificate,
        language::WindowsAuth::Md5 => WindowsAuth::Md5,
        language::WindowsAuth::Basic => WindowsAuth::Basic,
        language::WindowsAuth::Signed => WindowsAuth::Signed,
    };
    let Some(sets) = &written.poll else { return WindowsServer { auth, poll: POLL.to_vec() } };
    if !(1..=POLL.len()).contains(&sets.len()) {
        let problem = Problem::new(format!("a schedule of {} sets", sets.len()), sets.place);
        checks.absent(sets.place, problem.labelled("Windows has one to three").cured("write `[ { every: 8h } ]`"));
    }
    let minute = Dur::secs(60);
    let set = |(n, set): (usize, &At<language::PollSet>)| {
        let minutes = set.every.0.0 / minute.0;
        if set.every.0.0 % minute.0 != 0 || minutes == 0 {
            let problem = Problem::new("a set that is not of whole minutes", set.place);
            checks.push(problem.labelled("Windows counts in minutes").cured("write `1m` or more"));
        } else if set.times == Some(0) {
            checks.push(Problem::new("a set of nothing", set.place).cured("leave it out, or say how many `times`"));
        } else if set.times.is_none() && n + 1 < sets.len() {
            let problem = Problem::new("a set that goes on for ever, and others after it", set.place);
            checks.push(problem.labelled("they would never come").cured("say how many `times`"));
        }
        PollSet { minutes: u32::try_from(minutes).unwrap_or(u32::MAX), times: set.times }
    };
    WindowsServer { auth, poll: sets.iter().enumerate().map(set).collect() }
}

/// What projects of late are given: 600 requests a minute.
const QUOTA: (u32, Dur) = (600, Dur::secs(60));

/// Events of one log. They have some 200 bytes each, and Google is told of them in one piece.
const USAGE_LOGS_MAX: u16 = 1_000;

/// What Google allows and asks for.
fn android(written: &language::AndroidServer, checks: &mut Checks<'_>) -> AndroidServer {
    let quota = written.quota.as_ref().map(|quota| {
        let every = quota.every.map_or(QUOTA.1, |every| every.0);
        if quota.calls == 0 || every == Dur::ZERO {
            let problem = Problem::new("a quota of nothing", quota.place);
            checks.push(problem.labelled("no call would ever be taken").cured("say `{ calls: 600, every: 1m }`"));
        }
        (quota.calls, every)
    });
    let reports = written.reports.as_ref();
    if let Some(often) = reports.filter(|reports| reports.0 < Dur::secs(1)) {
        checks.push(Problem::new("a device does not report more than once a second", often.place).cured("say `24h`"));
    }
    let report_every = reports.map_or(Dur::secs(86_400), |reports| reports.0.max(Dur::secs(1)));
    let gather = written.gather.as_ref().map_or(Dur::ZERO, |gather| gather.0);
    let events = written.usage_logs.as_ref();
    if let Some(many) = events.filter(|events| events.value > USAGE_LOGS_MAX.into()) {
        let problem = Problem::new(format!("more than {USAGE_LOGS_MAX} events in one message"), many.place);
        checks.push(problem.cured("have them report more often (`reports`)"));
    }
    let usage_logs = events.map_or(0, |events| u16::try_from(events.value).unwrap_or(USAGE_LOGS_MAX));
    AndroidServer { quota: quota.unwrap_or(QUOTA), report_every, gather, usage_logs }
}

/// Whom the devices trust.
pub(super) fn tls(written: &language::Tls, checks: &mut Checks<'_>) -> Tls {
    let ca = written.ca.as_ref().and_then(|path| checks.files.read(path, "CA file", &mut checks.problems));
    if let (Some(path), Some(file)) = (&written.ca, &ca) {
        let text = String::from_utf8_lossy(&file.bytes);
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            checks.push(Problem::new(format!("`{}` holds no certificate in PEM", path.value), path.place));
        }
    }
    Tls { ca }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |url, wanted: Option<&str>| assert_eq!(host(url).ok().as_deref(), wanted, "{url}");
        check("https://mdm.test:9000", Some("mdm.test"));
        check("http://127.0.0.1", Some("127.0.0.1"));
        check("https://[::1]:8443/", Some("::1"));
        for bad in [
            "mdm.test",
            "ftp://x",
            "https://",
            "https://x/y",
            "https://u@x",
            "https://x:0",
            "https://x:y",
            "https://a b",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn loopback_and_private_are_near() {
        for host in ["localhost", "mdm.localhost", "nanomdm", "127.8.8.8", "10.0.0.1", "192.168.1.9", "::1", "fd00::1"]
        {
            assert!(near(host), "{host}");
        }
        for host in ["mdm.test", "8.8.8.8", "localhost.example.org", "2001:db8::1", "172.32.0.1"] {
            assert!(!near(host), "{host}");
        }
    }
}
