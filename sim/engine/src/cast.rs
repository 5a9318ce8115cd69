//! The fleet as the plan casts it: what kinds of devices there are, and which device is of which kind.

use crate::enrollment::Ways;
use droves_device::{Character, Enrolls, Google, Habits, Retry, Token};
use droves_facts::{DeviceIx, Dur, Family};
use droves_scenario::plan::{self, AndroidServer, Behaviour, Managed, Mode, Plan, Population, Roster};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kinds of devices, one for each model and version of each population.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) characters: Arc<[Character]>,
    /// The kind of each device.
    of_device: Arc<[u16]>,
}

impl Cast {
    /// Casts the plan's fleet. All devices of a family enroll the same way.
    pub(crate) fn of(plan: &Plan, roster: &Roster, ways: &Ways) -> Self {
        let dice = plan.dice();
        let mut characters = Vec::new();
        let mut kinds = BTreeMap::new();
        let mut of_device = Vec::with_capacity(roster.devices() as usize);
        for population in &plan.populations {
            for device in population.devices.clone() {
                let (model, os_version) = (population.model(dice, device), population.os_version(dice, device));
                let kind = *kinds.entry((population.ix, model, os_version)).or_insert_with(|| {
                    characters.push(character(plan, population, model, os_version, ways));
                    u16::try_from(characters.len() - 1).unwrap_or(u16::MAX)
                });
                of_device.push(kind);
            }
        }
        Cast { characters: characters.into(), of_device: of_device.into() }
    }

    /// The kind of a device.
    pub(crate) fn kind(&self, device: DeviceIx) -> u16 {
        self.of_device.get(device.ix()).copied().unwrap_or(0)
    }
}

fn character(plan: &Plan, population: &Population, model: &str, os_version: &str, ways: &Ways) -> Character {
    let mut pace = 1.0;
    let mut locked = (0.0, Dur::secs(1));
    let mut cloned = 0.0;
    let mut habits = Habits::default();
    for behaviour in &population.behaviours {
        match *behaviour {
            Behaviour::Slow { factor } => pace *= factor,
            Behaviour::Locked { share, spell } => locked = (share, spell),
            Behaviour::Cloned { share } => cloned = share,
            Behaviour::Off { share, spell } => habits.off = (share, spell),
            Behaviour::Reboot { every } => habits.restarts_every = Some(every),
            Behaviour::Kiosk { reboots_at } => habits.kiosk = Some(reboots_at),
            Behaviour::Doze { after } => habits.dozes_after = Some(after),
            Behaviour::Paused { share, spell } => habits.paused = (share, spell),
            Behaviour::Metered { share, spell } => habits.metered = (share, spell),
            // Those are elsewhere: between the push service and the device, and in how it enrolls.
            Behaviour::Queued { .. } | Behaviour::Silent { .. } => {}
        }
    }
    let server = &plan.target.profile;
    let (enrolls, allow_http) = match population.platform.family() {
        Family::Apple => {
            (Enrolls::Profile(ways.apple.clone()), server.enroll_apple.as_ref().is_some_and(|apple| apple.allow_http))
        }
        Family::Windows => (
            Enrolls::Discovery(Arc::new(ways.windows.clone())),
            server.enroll_windows.as_ref().is_some_and(|windows| windows.allow_http),
        ),
        // An agent goes where its QR code says.
        Family::Android => (android(plan, population, ways), true),
    };
    Character {
        platform: population.platform,
        model: model.into(),
        os_version: os_version.into(),
        enrolls,
        allow_http,
        retry: match population.retry {
            plan::Retry::AsPlatform => Retry::AsPlatform,
            plan::Retry::Flat => Retry::Flat,
            plan::Retry::Capped => Retry::Capped,
            plan::Retry::Jittered => Retry::Jittered,
        },
        wake: (population.wake.median, population.wake.sigma),
        pace,
        locked,
        habits,
        cloned,
        users: u8::try_from(population.users).unwrap_or(u8::MAX),
        reenrolls_after_wipe: population.reenrolls_after_wipe,
    }
}

fn android(plan: &Plan, population: &Population, ways: &Ways) -> Enrolls {
    match population.android {
        Some(Managed::Agent) => Enrolls::Agent(Arc::new(ways.agent.clone())),
        by => {
            let token = ways.tokens.get(&population.ix).cloned().unwrap_or_else(|| Token::Shared("".into()));
            let mode = if let Some(Managed::Google { mode, .. }) = by { mode } else { Mode::default() };
            let silent = population.behaviours.iter().find_map(|behaviour| match behaviour {
                Behaviour::Silent { share } => Some(*share),
                _ => None,
            });
            let AndroidServer { report_every, usage_logs, .. } = plan.target.android;
            let silent = silent.unwrap_or(0.0);
            Enrolls::Google(Arc::new(Google { token, mode, report_every, usage_logs, silent }))
        }
    }
}
