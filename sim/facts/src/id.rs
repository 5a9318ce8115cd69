//! Indexes and ids. An index counts from 0 within one fleet; two runs of one plan give the same device the same index.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        pub struct $name(pub u32);
        impl $name {
            /// The index as a place in a slice.
            pub fn ix(self) -> usize {
                self.0 as usize
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

index!(
    /// A piece of hardware in the fleet.
    DeviceIx
);
index!(
    /// What does one thing at a time: the device channel (*main*) or a macOS user channel of a device.
    LaneIx
);
index!(
    /// A phase of the plan, in the order of the scenario; phases side by side each have their own.
    PhaseIx
);
index!(
    /// A population of the plan, in the order of the scenario.
    PopulationIx
);

/// The hash of a command's name on the wire (Apple: `CommandUUID`), as the ledger keeps it: 8 bytes for any string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CommandKey(pub u64);

impl CommandKey {
    /// FNV-1a of the name's bytes, finished by a 64-bit mix. Not for adversaries: a server that makes two names
    /// collide only confuses the ledger about itself.
    pub fn of(name: &[u8]) -> Self {
        let mut h = 0xcbf2_9ce4_8422_2325_u64;
        for &b in name {
            h = (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        h = (h ^ (h >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        CommandKey(h ^ (h >> 32))
    }

    /// The key of what has no name of its own and is told apart by its order: the `n`-th of its kind for this lane, from 0.
    pub fn by_order(lane: LaneIx, kind: &str, n: u64) -> Self {
        CommandKey::of(&[kind.as_bytes(), &lane.0.to_le_bytes(), &n.to_le_bytes()].concat())
    }
}

/// The operating system that a device runs, as scenarios spell it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// iPhone.
    Ios,
    /// iPad.
    Ipados,
    /// Mac.
    Macos,
    /// A PC.
    Windows,
    /// An Android phone, tablet or kiosk.
    Android,
}

/// Platforms that speak the same protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// Apple's MDM protocol.
    Apple,
    /// MS-MDE2 and MS-MDM.
    Windows,
    /// The Android Management API, or an agent of the server's own.
    Android,
}

/// Servers with an agent of their own on Android, by the protocol that it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Dialect {
    /// Headwind MDM's.
    #[default]
    Headwind,
}

impl Family {
    /// Every family; one stands at its own place.
    pub const ALL: [Family; 3] = [Family::Apple, Family::Windows, Family::Android];
}

impl Platform {
    /// Every platform, in the order in which tables show them.
    pub const ALL: [Platform; 5] =
        [Platform::Ios, Platform::Ipados, Platform::Macos, Platform::Windows, Platform::Android];

    /// The scenario's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Platform::Ios => "ios",
            Platform::Ipados => "ipados",
            Platform::Macos => "macos",
            Platform::Windows => "windows",
            Platform::Android => "android",
        }
    }

    /// Which protocol it speaks.
    pub fn family(self) -> Family {
        match self {
            Platform::Ios | Platform::Ipados | Platform::Macos => Family::Apple,
            Platform::Windows => Family::Windows,
            Platform::Android => Family::Android,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_keys_differ_for_names_that_differ() {
        let mut keys: Vec<_> = (0..10_000).map(|i| CommandKey::of(format!("cmd-{i}").as_bytes())).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn each_of_a_kind_has_its_own_key_for_each_lane() {
        let of = |lane| move |n| ["command", "policy"].map(|kind| CommandKey::by_order(LaneIx(lane), kind, n));
        let mut keys: Vec<_> = (0..100).flat_map(|lane| (0..100).flat_map(of(lane))).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 20_000);
    }
}
