//! What a device is to have and what it has: apps and files, how one comes of the other, and what a server takes away.

use super::shared::Config;
use droves_wire::digest::sha256;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// An app or a file.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Good {
    /// Which of the two.
    pub(super) is_app: bool,
    /// Package, or path.
    pub(super) name: Arc<str>,
    /// How an app is called.
    pub(super) title: Arc<str>,
    /// An app's version, a file's date (milliseconds since 1970).
    pub(super) version: Arc<str>,
    /// Whether that matters: else whichever is there will do.
    pub(super) exact: bool,
    /// Where to get it; none if it comes with the device.
    pub(super) url: Option<Arc<str>>,
}

type Id<'a> = (bool, &'a str);

impl Good {
    fn id(&self) -> Id<'_> {
        (self.is_app, &self.name)
    }

    /// What it takes to keep it, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.name, &self.title, &self.version].map(|text| text.len());
        size_of::<Good>() + texts.iter().sum::<usize>() + self.url.as_ref().map_or(0, |url| url.len())
    }

    /// As the agent compares versions: by their numbers, whatever stands between; of two that begin alike the longer is newer.
    fn age(&self, other: &Good) -> Ordering {
        numbers(&self.version).cmp(numbers(&other.version))
    }

    /// Whether this, which is there, will do where that is wanted. Nothing is replaced by what is older.
    fn will_do(&self, wanted: &Good) -> bool {
        !wanted.exact || self.age(wanted) != Ordering::Less
    }
}

fn numbers(version: &str) -> impl Iterator<Item = u64> {
    let digits = |part: &str| {
        part.bytes()
            .filter(u8::is_ascii_digit)
            .fold(0_u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    };
    version.split('.').map(digits)
}

impl Config {
    /// All that is there but for what that removes, by its id. What is listed counts before what is not. What that wants as it is
    /// there is not removed, or it would be fetched without end.
    fn there<'a>(&'a self, by: &Config) -> BTreeMap<Id<'a>, &'a Good> {
        let ids: HashSet<Id<'_>> = by.gone.iter().map(Good::id).collect();
        let is_gone = |good: &&Good| {
            let is_same = |other: &Good| other.id() == good.id() && other.age(good) == Ordering::Equal;
            let takes = |gone: &Good| gone.id() == good.id() && !gone.exact || is_same(gone);
            ids.contains(&good.id()) && by.gone.iter().any(takes) && !by.goods.iter().any(is_same)
        };
        self.rest.iter().chain(self.goods.iter()).filter(|good| !is_gone(good)).map(|good| (good.id(), good)).collect()
    }

    /// What of this is to be fetched, in the server's order, by a device that is that: all that has a place to get it from and
    /// that is not there, or too old.
    pub(super) fn wanted<'a>(&'a self, held: &'a Config) -> impl Iterator<Item = &'a Good> {
        let there = held.there(self);
        let is_wanted = move |good: &&Good| !there.get(&good.id()).is_some_and(|there| there.will_do(good));
        self.goods.iter().filter(|good| good.url.is_some()).filter(is_wanted)
    }

    /// With this in the place of whatever went by its name.
    pub(super) fn with(&self, good: &Good) -> Config {
        let is_other = |other: &&Good| other.id() != good.id();
        let goods = self.goods.iter().filter(is_other).chain([good]).cloned().collect();
        let rest = self.rest.iter().filter(is_other).cloned().collect();
        Config { goods, rest, ..self.clone() }
    }

    /// What a device becomes that was that, once all is fetched. What is named no more stays there, and is not spoken of.
    pub(super) fn over(&self, held: &Config) -> Config {
        let mut there = held.there(self);
        let become_of = self.goods.iter().map(|wanted| match there.remove(&wanted.id()) {
            Some(good) if wanted.url.is_none() || good.will_do(wanted) => {
                Good { version: Arc::clone(&good.version), ..wanted.clone() }
            }
            _ => wanted.clone(),
        });
        let goods = become_of.collect();
        let rest = held.goods.iter().chain(held.rest.iter()).filter(|good| there.contains_key(&good.id()));
        let mut bytes = 0;
        let is_kept = |good: &&Good| {
            bytes += good.bytes();
            bytes <= REST_BYTES_MAX
        };
        let rest = rest.take_while(is_kept).cloned().collect();
        Config { goods, rest, gone: Arc::default(), ..self.clone() }
    }

    /// Without what is lost; none if it had nothing of it.
    pub(super) fn without(&self, loss: Loss) -> Option<Config> {
        let is_kept = |good: &&Good| !loss.takes(good);
        let goods: Arc<[Good]> = self.goods.iter().filter(is_kept).cloned().collect();
        let rest: Arc<[Good]> = self.rest.iter().filter(is_kept).cloned().collect();
        let is_less = goods.len() + rest.len() < self.goods.len() + self.rest.len();
        is_less.then(|| Config { goods, rest, ..self.clone() })
    }
}

/// What a server takes away by a push. The lanes tell each other numbers, so a name is known by its digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Loss {
    pub(super) of: Lost,
    /// Of the app, the file or the folder: [`Loss::NAME_BITS`] bits.
    pub(super) name: u32,
}

/// Of what kind that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// An app.
    App,
    /// A file.
    File,
    /// A folder with all that is in it, or a file.
    Folder,
    /// Files in a folder.
    In,
    /// All that is below a folder.
    Below,
}

impl Lost {
    pub(super) const ALL: [Lost; 5] = [Lost::App, Lost::File, Lost::Folder, Lost::In, Lost::Below];
}

impl Loss {
    pub(super) const NAME_BITS: u32 = 28;

    /// Of what goes by this name.
    pub(super) fn of(of: Lost, name: &str) -> Loss {
        Loss { of, name: if of == Lost::App { digest(name) } else { digest(&path(name)) } }
    }

    fn takes(self, good: &Good) -> bool {
        if good.is_app || self.of == Lost::App {
            return good.is_app && self.of == Lost::App && digest(&good.name) == self.name;
        }
        let path = path(&good.name);
        let is_it = digest(&path) == self.name;
        let mut folders = path.rmatch_indices('/').map(|(at, _)| path.split_at(at).0).chain([""]);
        match self.of {
            Lost::App | Lost::File => is_it,
            Lost::Folder => is_it || folders.any(|folder| digest(folder) == self.name),
            Lost::In => folders.next().is_some_and(|folder| digest(folder) == self.name),
            Lost::Below => folders.any(|folder| digest(folder) == self.name),
        }
    }
}

/// A path below the storage, however it is written.
fn path(name: &str) -> String {
    name.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

fn digest(name: &str) -> u32 {
    let [a, b, c, d, ..] = sha256(name.as_bytes());
    u32::from_le_bytes([a, b, c, d]) >> (u32::BITS - Loss::NAME_BITS)
}

/// What a device keeps of things that are there and that no configuration names any more: a thousand.
const REST_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn good(is_app: bool, name: &str, version: &str) -> Good {
        let (name, version, url) = (name.into(), version.into(), Some(name.into()));
        Good { is_app, name, title: Arc::default(), version, exact: true, url }
    }

    fn config(goods: &[Good], gone: &[Good]) -> Config {
        Config { goods: goods.into(), gone: gone.into(), ..Config::default() }
    }

    #[test]
    fn only_what_is_newer_is_fetched() {
        let check = |held: &str, wanted: &str, expected: bool| {
            let (held, wanted) = (config(&[good(true, "a", held)], &[]), config(&[good(true, "a", wanted)], &[]));
            assert_eq!(wanted.wanted(&held).count() == 1, expected, "{held:?} {wanted:?}");
            let version = if expected { &wanted.goods[0].version } else { &held.goods[0].version };
            assert_eq!(&wanted.over(&held).goods[0].version, version);
        };
        check("1.2", "1.10", true);
        check("1.10", "1.2", false);
        check("1.2", "1.2.1", true);
        check("v1.2-beta", "1.2", false);
        check("", "1", true);
        check("99999999999999999999999", "1", false);
        let any = Good { exact: false, ..good(true, "a", "9") };
        assert_eq!(config(&[any], &[]).wanted(&config(&[good(true, "a", "1")], &[])).count(), 0);
    }

    #[test]
    fn what_is_named_no_more_stays_and_what_is_removed_goes() {
        let (a, b) = (good(true, "a", "2"), good(false, "b", "5"));
        let held = config(&[a.clone(), b.clone()], &[]);
        let nothing = config(&[], &[]).over(&held);
        assert_eq!((nothing.goods.len(), nothing.rest.len()), (0, 2));
        assert_eq!(held.wanted(&nothing).count(), 0, "it is still there");
        assert_eq!(held.over(&nothing), held);
        // Of a file each, of an app the version that is named.
        let file = Good { exact: false, ..b.clone() };
        let gone = config(&[], &[good(true, "a", "1"), file.clone()]).over(&held);
        assert_eq!(*gone.rest, *std::slice::from_ref(&a));
        assert_eq!(held.wanted(&gone).count(), 1);
        let older = config(&[good(true, "a", "1")], std::slice::from_ref(&a));
        assert_eq!(older.wanted(&held).count(), 1, "the newer one is removed first");
        assert_eq!(older.over(&held).goods[0].version, "1".into());
    }

    #[test]
    fn a_loss_takes_what_it_names() {
        let files = ["/a.txt", "docs/b.txt", "/docs/old/c.txt", "docs2/d.txt"].map(|path| good(false, path, "1"));
        let held = Config { rest: [good(true, "docs", "1")].into(), ..config(&files, &[]) };
        let check = |of: Lost, name: &str, expected: &str| {
            let left = held.without(Loss::of(of, name));
            let left: String = left
                .unwrap_or_else(|| held.clone())
                .goods
                .iter()
                .map(|good| &good.name[good.name.len() - 5..=good.name.len() - 5])
                .collect();
            assert_eq!(left, expected, "{of:?} {name}");
        };
        check(Lost::File, "a.txt", "bcd");
        check(Lost::File, "docs", "abcd");
        check(Lost::Folder, "//docs/", "ad");
        check(Lost::Folder, "a.txt", "bcd");
        check(Lost::In, "docs", "acd");
        check(Lost::Below, "docs", "ad");
        check(Lost::Below, "docs/b.txt", "abcd");
        check(Lost::Folder, "", "");
        check(Lost::In, "/", "bcd");
        check(Lost::App, "a.txt", "abcd");
        assert_eq!(held.without(Loss::of(Lost::App, "docs")).map(|left| left.rest.len()), Some(0));
        assert_eq!(held.without(Loss::of(Lost::App, "other")), None);
    }
}
