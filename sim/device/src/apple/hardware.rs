//! What a piece of hardware is called and made of: drawn from (seed, device), never stored.
//!
//! Forms after Apple's own: a UDID is `00008110-000A1B2C3D4E801E` (40 lower-case hex digits before the A12 chip), for a
//! Mac an upper-case UUID; serial numbers have 10 characters. UDID and serial number hold a permutation of the device's
//! index, so that no two devices of a fleet share one.

use crate::Ctx;
use crate::uuids::uuid;
use droves_facts::{Platform, Purpose};
use std::fmt::Write;

/// The hardware of one device. Texts are made when they are asked for.
#[derive(Clone, Debug)]
pub(super) struct Hardware<'a> {
    platform: Platform,
    product: &'a str,
    os_version: &'a str,
    model: &'static Model,
    /// Another number for each device of the fleet.
    unique: u32,
    extra: u64,
    uuid: [u8; 16],
    /// Draws for what needs no place of its own (battery, capacity, ..).
    pub(super) flavour: u64,
}

impl<'a> Hardware<'a> {
    /// The hardware that the context is about.
    pub(super) fn of(ctx: &Ctx<'a>) -> Self {
        let mut dice = ctx.device_dice(Purpose::Hardware, 0);
        let character = ctx.character;
        let product: &'a str = &character.model;
        Hardware {
            platform: character.platform,
            product,
            os_version: &character.os_version,
            model: Model::of(product, character.platform),
            // Multiplying by an odd number and adding are permutations of the 32-bit numbers.
            unique: ctx.device.0.wrapping_mul(0x9E37_79B1).wrapping_add(ctx.dice.seed() as u32),
            extra: dice.u64(),
            uuid: dice.bytes(),
            flavour: dice.u64(),
        }
    }

    /// The device's id.
    pub(super) fn udid(&self) -> String {
        if self.platform == Platform::Macos {
            return uuid(self.uuid);
        }
        let ecid = (self.extra & 0xF_FFFF) << 32 | u64::from(self.unique);
        match self.model.chip {
            Some(chip) => format!("{chip:08X}-{ecid:016X}"),
            None => format!("{:016x}{:016x}{:08x}", self.extra, self.flavour, self.unique),
        }
    }

    /// The serial number: 10 characters of Apple's alphabet, which has no `I`, `O` or vowels that make words.
    pub(super) fn serial(&self) -> String {
        let mut n = (self.extra >> 20 & 0xFFFF) << 32 | u64::from(self.unique);
        let mut serial = String::with_capacity(10);
        for _ in 0..10 {
            let place = (n % SERIAL_ALPHABET.len() as u64) as usize;
            serial.push(char::from(SERIAL_ALPHABET.get(place).copied().unwrap_or(b'X')));
            n /= SERIAL_ALPHABET.len() as u64;
        }
        serial
    }

    /// The name that the owner gave it.
    pub(super) fn name(&self) -> String {
        let owner = OWNERS.get((self.flavour >> 8) as usize % OWNERS.len()).copied().unwrap_or("Ada");
        format!("{owner}\u{2019}s {}", self.model.family)
    }

    /// The name on the local network.
    pub(super) fn host_name(&self) -> String {
        self.name().replace('\u{2019}', "").replace(' ', "-")
    }

    /// IMEI: 14 digits and Luhn's check digit; `None` for what has no modem.
    pub(super) fn imei(&self) -> Option<String> {
        if !self.model.cellular {
            return None;
        }
        let body = format!("35{:02}{:010}", self.extra >> 40 & 0x3F, self.unique);
        let luhn: u32 = body
            .bytes()
            .rev()
            .enumerate()
            .map(|(n, digit)| {
                let d = u32::from(digit - b'0') * if n % 2 == 0 { 2 } else { 1 };
                d / 10 + d % 10
            })
            .sum();
        let mut imei = format!("{body}{}", (10 - luhn % 10) % 10);
        // Written in groups, as devices do in DeviceInformation.
        for place in [14, 8, 2] {
            imei.insert(place, ' ');
        }
        Some(imei)
    }

    /// MEID: the first 14 digits of the IMEI.
    pub(super) fn meid(&self) -> Option<String> {
        self.imei().map(|imei| imei.chars().filter(char::is_ascii_digit).take(14).collect())
    }

    /// The address of a network interface: 0 Wi-Fi, 1 Bluetooth, 2 Ethernet.
    pub(super) fn mac(&self, interface: u32) -> String {
        let low = self.unique.wrapping_add(interface);
        let mut mac = String::from("f0:d4:15");
        for byte in low.to_be_bytes().get(1..).unwrap_or_default() {
            write!(mac, ":{byte:02x}").unwrap_or_default();
        }
        mac
    }
    /// The product name, `iPhone16,1`.
    pub(super) fn product(&self) -> &'a str {
        self.product
    }
    /// The system's version, `18.1`.
    pub(super) fn os_version(&self) -> &'a str {
        self.os_version
    }
    /// iPhone, iPad, MacBook Pro, ..
    pub(super) fn family(&self) -> &'static str {
        self.model.family
    }
    /// The part number.
    pub(super) fn model_number(&self) -> &'static str {
        self.model.number
    }
    /// Whether it has a battery.
    pub(super) fn has_battery(&self) -> bool {
        self.model.battery
    }
    /// Whether it has a modem.
    pub(super) fn is_cellular(&self) -> bool {
        self.model.cellular
    }
    /// Whether Apple attests to its keys: from the A11 on and on Apple silicon, with iOS 16 or macOS 14.
    pub(super) fn is_attested(&self) -> bool {
        let since = if self.is_mac() { 14 } else { 16 };
        let major = self.os_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| major >= since) && !NOT_ATTESTED.contains(&self.model.product)
    }
    /// Whether it is a Mac.
    pub(super) fn is_mac(&self) -> bool {
        self.platform == Platform::Macos
    }

    /// The build of the system: Darwin's version, a letter for the minor version, a number. Ours where Apple's is not
    /// known: only its form matters to servers.
    pub(super) fn build(&self) -> String {
        if let Some((_, _, build)) =
            BUILDS.iter().find(|(mac, version, _)| *mac == self.is_mac() && *version == self.os_version)
        {
            return (*build).to_owned();
        }
        let mut parts = self.os_version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let (major, minor, patch) = (parts.next().unwrap_or(18), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        // iOS 18 is built as 22, macOS 15 as 24; from 26 on the years are one.
        let darwin = match (self.is_mac(), major) {
            (false, 26..) => major - 3,
            (false, _) => major + 4,
            (true, 26..) => major - 1,
            (true, _) => major + 9,
        };
        let letter = char::from(b'A' + u8::try_from(minor.min(7)).unwrap_or(0));
        format!("{darwin}{letter}{}", 60 + 7 * patch.min(99))
    }
}

/// What is known of a product.
#[derive(Debug)]
struct Model {
    product: &'static str,
    family: &'static str,
    number: &'static str,
    /// First half of the UDID from the A12 on.
    chip: Option<u32>,
    cellular: bool,
    battery: bool,
}

impl Model {
    fn of(product: &str, platform: Platform) -> &'static Model {
        MODELS.iter().find(|model| model.product == product).unwrap_or(match platform {
            Platform::Macos => &MODELS[12],
            Platform::Ipados => &MODELS[8],
            _ => &MODELS[0],
        })
    }
}

const fn model(
    product: &'static str,
    family: &'static str,
    number: &'static str,
    chip: u32,
    cellular: bool,
    battery: bool,
) -> Model {
    Model { product, family, number, chip: if chip == 0 { None } else { Some(chip) }, cellular, battery }
}

/// Products, as Apple's identifiers name them. One that is not here is taken for the first of its platform.
static MODELS: [Model; 19] = [
    model("iPhone16,1", "iPhone", "MTUX3LL/A", 0x8130, true, true),
    model("iPhone15,4", "iPhone", "MTM03LL/A", 0x8120, true, true),
    model("iPhone17,1", "iPhone", "MYMC3LL/A", 0x8140, true, true),
    model("iPhone17,3", "iPhone", "MYAP3LL/A", 0x8140, true, true),
    model("iPhone14,5", "iPhone", "MLMN3LL/A", 0x8110, true, true),
    model("iPhone14,6", "iPhone", "MMX53LL/A", 0x8110, true, true),
    model("iPhone12,1", "iPhone", "MWL72LL/A", 0x8030, true, true),
    model("iPhone10,3", "iPhone", "MQA52LL/A", 0, true, true),
    model("iPad13,18", "iPad", "MPQ03LL/A", 0x8101, false, true),
    model("iPad13,19", "iPad", "MQ6J3LL/A", 0x8101, true, true),
    model("iPad14,3", "iPad", "MNXD3LL/A", 0x8112, false, true),
    model("iPad7,11", "iPad", "MW742LL/A", 0, false, true),
    model("Mac15,3", "MacBook Pro", "MTL73LL/A", 0x8122, false, true),
    model("Mac14,2", "MacBook Air", "MLY33LL/A", 0x8112, false, true),
    model("Mac15,12", "MacBook Air", "MRXN3LL/A", 0x8122, false, true),
    model("Mac16,1", "MacBook Pro", "MW2U3LL/A", 0x8132, false, true),
    model("Mac14,3", "Mac mini", "MMFJ3LL/A", 0x8112, false, false),
    model("Mac13,1", "Mac Studio", "MJMV3LL/A", 0x6001, false, false),
    model("MacBookPro18,3", "MacBook Pro", "MKGR3LL/A", 0x6000, false, true),
];

/// Models with an A10X or earlier. Macs without Apple silicon are not among those that are known.
const NOT_ATTESTED: [&str; 1] = ["iPad7,11"];

/// Builds that are known: whether of macOS, version, build.
const BUILDS: [(bool, &str, &str); 9] = [
    (false, "17.0", "21A329"),
    (false, "17.6.1", "21G93"),
    (false, "18.0", "22A3354"),
    (false, "18.1", "22B83"),
    (false, "18.2", "22C152"),
    (true, "14.0", "23A344"),
    (true, "14.6.1", "23G93"),
    (true, "15.0", "24A335"),
    (true, "15.1", "24B83"),
];

const SERIAL_ALPHABET: &[u8; 28] = b"0123456789CDFGHJKLMNPQRTVWXY";

const OWNERS: [&str; 16] = [
    "Ada", "Berta", "Carlos", "Dilek", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lena", "Mehmet",
    "Nora", "Olga", "Pablo",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{World, ios, mac};
    use droves_facts::DeviceIx;
    use std::collections::BTreeSet;

    #[test]
    fn ids_have_apples_forms() {
        let mut world = World::new(ios());
        let hardware = |world: &mut World, model: &str| {
            world.character.model = model.into();
            let ctx = world.ctx();
            let hardware = Hardware::of(&ctx);
            (hardware.udid(), hardware.serial(), hardware.imei(), hardware.meid())
        };
        let (udid, serial, imei, meid) = hardware(&mut world, "iPhone14,5");
        assert!(udid.starts_with("00008110-000") && udid.len() == 25, "{udid}");
        assert_eq!(serial.len(), 10);
        assert_eq!(imei.as_ref().map(String::len), Some(18));
        assert_eq!(meid.map(|meid| meid.len()), Some(14));
        let (udid, ..) = hardware(&mut world, "iPhone10,3");
        assert!(udid.len() == 40 && udid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{udid}");
        let mut world = World::new(mac());
        let (udid, _, imei, _) = hardware(&mut world, "Mac15,3");
        assert_eq!((udid.len(), udid.to_uppercase() == udid, imei), (36, true, None));
    }

    #[test]
    fn no_two_devices_share_an_id() {
        let mut seen = BTreeSet::new();
        let mut world = World::new(ios());
        for n in 0..20_000 {
            world.device = DeviceIx(n);
            let ctx = world.ctx();
            let hardware = Hardware::of(&ctx);
            assert!(seen.insert(hardware.udid()) && seen.insert(hardware.serial()), "{n}");
        }
    }

    #[test]
    fn apple_attests_to_newer_hardware_with_a_newer_system() {
        let check = |character: crate::Character, model: &str, version: &str, expected: bool| {
            let character = crate::Character { model: model.into(), os_version: version.into(), ..character };
            let mut world = World::new(character);
            assert_eq!(Hardware::of(&world.ctx()).is_attested(), expected, "{model} {version}");
        };
        check(ios(), "iPhone10,3", "16.0", true);
        check(ios(), "iPhone10,3", "15.8", false);
        check(ios(), "iPad7,11", "18.1", false);
        check(mac(), "Mac14,2", "14.0", true);
        check(mac(), "Mac14,2", "13.6", false);
    }

    #[test]
    fn builds_follow_the_version() {
        let check = |character: crate::Character, version: &str, build: &str| {
            let mut world = World::new(crate::Character { os_version: version.into(), ..character });
            let ctx = world.ctx();
            assert_eq!(Hardware::of(&ctx).build(), build);
        };
        check(ios(), "18.1", "22B83");
        check(ios(), "18.3.1", "22D67");
        check(ios(), "26.0", "23A60");
        check(mac(), "15.3", "24D60");
        check(mac(), "nonsense", "9A60");
    }
}
