//! What a lane has in common with its sisters, and mostly with other devices: where its server is, what it is to be.

use super::goods::Good;
use crate::{Agent, Ctx, Enrolls};
use droves_facts::CommandKey;
use droves_wire::digest::sha256;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// What a lane has in common with others.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Shared {
    /// The base of the URLs that its server has sent it to; none is the one that it enrolled at.
    pub(super) url: Option<Arc<str>>,
    /// The number that its server has given it; none is the one that it enrolled with.
    pub(super) number: Option<Arc<str>>,
    /// What it is to be.
    pub(super) config: Arc<Config>,
    /// What it is: the last configuration of which all was fetched, without what was taken away since, and with what has been
    /// fetched of the next.
    pub(super) held: Arc<Config>,
    /// How far it is from what it is to be.
    pub(super) way: Way,
    /// Enrollments so far: what was fetched in one is not there in the next.
    pub(super) generation: u32,
    /// Restarts that its server has commanded.
    pub(super) restarts: u32,
    /// The Firebase project for which it has a registration token.
    pub(super) project: Option<Arc<str>>,
}

/// A configuration, as far as a device does something about it, whichever server's it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Config {
    /// SHA-256 of its data, as the server wrote it; zeros before it has written any.
    pub(super) digest: [u8; 32],
    /// How the device hears of changes.
    pub(super) push: Push,
    /// What is to be there.
    pub(super) goods: Arc<[Good]>,
    /// What is not to be there.
    pub(super) gone: Arc<[Good]>,
    /// What is there beside that, since nobody has removed it.
    pub(super) rest: Arc<[Good]>,
    /// Whether the device shows one app alone.
    pub(super) kiosk: bool,
    /// Whether the server wants to know where the device is.
    pub(super) located: bool,
}

/// How far a device is from what it is to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) enum Way {
    /// It is that, or will be told to be with the next configuration, if something was taken away.
    #[default]
    There,
    /// It is to become something else.
    Becoming,
    /// It is to become again what it was.
    Restoring,
}

/// How a device hears of changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) enum Push {
    /// When it asks by itself.
    #[default]
    None,
    /// Over MQTT, with so many seconds between signs of life.
    Mqtt(u16),
    /// By a request that the server holds.
    Poll,
}

impl Config {
    /// The name by which it is a command: in its protocol it has none, so its digest in hexadecimal is used.
    pub(super) fn key(&self) -> CommandKey {
        let hex: String = self.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        CommandKey::of(hex.as_bytes())
    }
}

/// The lists of all devices' configurations, each once. What else is in a configuration is small, and may be another for each
/// device: its own number is enough for that.
#[derive(Debug, Default)]
pub struct Pool(HashSet<Arc<[Good]>>);

impl Pool {
    /// With each of its lists in place of one like it.
    pub(super) fn pooled(&mut self, shared: &Arc<Shared>) -> Arc<Shared> {
        let config = self.config(&shared.config);
        let held = if shared.held == shared.config { Arc::clone(&config) } else { self.config(&shared.held) };
        Arc::new(Shared { config, held, ..(**shared).clone() })
    }

    fn config(&mut self, config: &Config) -> Arc<Config> {
        let Config { goods, gone, rest, .. } = config;
        let (goods, gone, rest) = (self.list(goods), self.list(gone), self.list(rest));
        Arc::new(Config { goods, gone, rest, ..config.clone() })
    }

    fn list(&mut self, list: &Arc<[Good]>) -> Arc<[Good]> {
        if let Some(known) = self.0.get(list) {
            return Arc::clone(known);
        }
        self.0.insert(Arc::clone(list));
        Arc::clone(list)
    }

    /// Lets go of what nobody has any more.
    pub fn sweep(&mut self) {
        self.0.retain(|list| Arc::strong_count(list) > 1);
    }
}

impl Shared {
    /// SHA-256 of the configuration that the device is like, if that is the one that it is to be like.
    pub fn settled(&self) -> Option<[u8; 32]> {
        (self.way == Way::There && self.config.digest == self.held.digest).then_some(self.config.digest)
    }

    /// What is to be fetched.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Good> {
        self.config.wanted(&self.held)
    }

    /// By what the lanes know something that is to be fetched in this enrollment; as good as always another for each.
    pub(super) fn number(&self, good: &Good) -> u32 {
        let Good { is_app, name, version, url, .. } = good;
        let text = format!("{}\0{is_app}\0{name}\0{version}\0{}", self.generation, url.as_deref().unwrap_or_default());
        let [a, b, c, d, ..] = sha256(text.as_bytes());
        u32::from_le_bytes([a, b, c, d])
    }
}

/// What the scenario says of the device's agent. A machine of agents plays no other device.
pub(super) fn agent<'a>(ctx: &Ctx<'a>) -> Option<&'a Arc<Agent>> {
    match &ctx.character.enrolls {
        Enrolls::Agent(agent) => Some(agent),
        _ => None,
    }
}

/// The number that a device enrolls with.
pub(super) fn number(agent: &Agent, ctx: &Ctx<'_>) -> String {
    agent.number.replace('*', &ctx.device.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is read of what a server wrote, or of the store.
    fn shared(device: u8) -> Arc<Shared> {
        let name: Arc<str> = "com.example".into();
        let good = Good {
            is_app: true,
            name: Arc::clone(&name),
            title: Arc::clone(&name),
            version: "1".into(),
            exact: true,
            url: Some(name),
        };
        let config = Config { digest: [device; 32], goods: [good.clone()].into(), ..Config::default() };
        let held = Config { rest: [good].into(), ..config.clone() };
        Arc::new(Shared { number: Some("7".into()), config: config.into(), held: held.into(), ..Shared::default() })
    }

    #[test]
    fn devices_that_differ_in_little_have_their_lists_in_common() {
        let mut pool = Pool::default();
        let pooled: Vec<Arc<Shared>> = (0..100).map(|device| pool.pooled(&shared(device))).collect();
        assert!((0..100).all(|device| pooled[usize::from(device)] == shared(device)));
        for Shared { config, held, .. } in pooled.iter().map(|shared| &**shared) {
            let lists = [&config.goods, &held.goods, &held.rest];
            assert!(lists.into_iter().all(|list| Arc::ptr_eq(list, &pooled[0].config.goods)));
        }
        assert_eq!(pool.0.len(), 2, "the other is the empty one");
        drop(pooled);
        pool.sweep();
        assert!(pool.0.iter().all(|list| list.is_empty()), "{pool:?}");
    }
}
