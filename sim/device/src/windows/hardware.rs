//! What a PC is called and made of: drawn from (seed, device), never stored.
//!
//! The ids, the name, the serial number and the addresses hold a permutation of the device's index, so that no two
//! devices of a fleet share one.

use crate::{Ctx, unique};
use droves_facts::{Philox, Purpose};
use droves_wire::digest;
use std::fmt::Write;

/// The hardware of one PC. Texts are made when they are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hardware<'a> {
    model: &'static Model,
    product: &'a str,
    os_version: &'a str,
    /// Another number for each device of the fleet.
    unique: u32,
    seed: u64,
    /// Draws for what needs no place of its own.
    flavour: u64,
}

impl<'a> Hardware<'a> {
    /// The hardware that the context is about.
    pub(super) fn of(ctx: &Ctx<'a>) -> Self {
        let mut dice = ctx.device_dice(Purpose::Hardware, 0);
        let product: &'a str = &ctx.character.model;
        Hardware {
            model: Model::of(product),
            product,
            os_version: &ctx.character.os_version,
            unique: unique::number(ctx),
            seed: ctx.dice.seed(),
            flavour: dice.u64(),
        }
    }

    /// `HWDevID`: 64 upper-case hexadecimal digits, in the shape of a SHA-256.
    pub(super) fn hardware_id(&self) -> String {
        hex(&digest::sha256(format!("hardware {} {}", self.seed, self.unique).as_bytes()))
    }

    /// `DeviceID` of this enrollment: 32 upper-case hexadecimal digits. The last half is another one for each device and
    /// enrollment, whatever the digest before it is.
    pub(super) fn device_id(&self, generation: u32) -> String {
        let drawn = digest::md5(format!("device {} {} {generation}", self.seed, self.unique).as_bytes());
        let mut id = hex(drawn.get(..8).unwrap_or_default());
        write!(id, "{:08X}{generation:08X}", self.unique).unwrap_or_default();
        id
    }

    /// The name that set-up gives: `DESKTOP-` and seven letters or digits.
    pub(super) fn name(&self) -> String {
        format!("DESKTOP-{}", unique::letters(self.unique, 7))
    }

    /// `SMBIOSSerialNumber`: eight letters or digits.
    pub(super) fn serial(&self) -> String {
        format!("{}{}", if self.flavour & 1 == 0 { 'P' } else { '5' }, unique::letters(self.unique, 7))
    }

    /// Addresses of the network's adapters, `00-0C-29-51-60-9D`: the cable's, then Wi-Fi's, then Bluetooth's, each only
    /// if it has one.
    pub(super) fn macs(&self) -> Vec<String> {
        let makers = [[0x3C, 0x52], [0x8C, 0x16], [0x00, 0x15]];
        let adapters = if self.model.portable { &makers[..] } else { &makers[..1] };
        let address = |maker: &[u8; 2]| {
            let octets = maker.iter().copied().chain(self.unique.to_be_bytes());
            octets.map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join("-")
        };
        adapters.iter().map(address).collect()
    }

    /// The address of Wi-Fi, without dashes; none for what has only a cable.
    pub(super) fn wlan_mac(&self) -> Option<String> {
        self.macs().get(1).map(|mac| mac.replace('-', ""))
    }

    /// The maker.
    pub(super) fn maker(&self) -> &'static str {
        self.model.maker
    }
    /// The model, as the fleet names it.
    pub(super) fn product(&self) -> &'a str {
        self.product
    }
    /// The system's version: `10.0.22631.3447`.
    pub(super) fn os_version(&self) -> &'a str {
        self.os_version
    }
    /// `OSEdition`: number of the product, 4 Enterprise or 48 Pro.
    pub(super) fn edition(&self) -> u32 {
        if self.flavour >> 8 & 3 == 0 { 48 } else { 4 }
    }
    /// What the system calls itself.
    pub(super) fn os_name(&self) -> &'static str {
        let build = self.os_version.split('.').nth(2).and_then(|build| build.parse::<u32>().ok());
        match (build.is_some_and(|build| build < 22_000), self.edition()) {
            (true, 4) => "Windows 10 Enterprise",
            (true, _) => "Windows 10 Pro",
            (false, 4) => "Windows 11 Enterprise",
            (false, _) => "Windows 11 Pro",
        }
    }
    /// The language of the system.
    pub(super) fn locale(&self) -> &'static str {
        ["en-US", "en-US", "en-US", "en-GB", "de-DE", "fr-FR", "es-ES", "ja-JP"][(self.flavour >> 10 & 7) as usize]
    }
    /// The version of the firmware.
    pub(super) fn firmware(&self) -> String {
        format!("1.{}.{}", 4 + (self.flavour >> 13) % 24, self.flavour >> 20 & 3)
    }
    /// Memory, MB.
    pub(super) fn memory_mb(&self) -> u32 {
        [8_192, 16_384, 16_384, 32_768][(self.flavour >> 22 & 3) as usize]
    }
    /// The disk, MB.
    pub(super) fn disk_mb(&self) -> u32 {
        [244_198, 488_386, 488_386, 976_762][(self.flavour >> 24 & 3) as usize]
    }
    /// Whether it has a battery.
    pub(super) fn is_portable(&self) -> bool {
        self.model.portable
    }
    /// Whether it has a TPM that is ready: all but three of a hundred.
    pub(super) fn has_tpm(&self) -> bool {
        (self.flavour >> 26) % 100 >= 3
    }
    /// Whether the recovery environment is there, without which it can't be wiped: all but three of a hundred.
    pub(super) fn can_recover(&self) -> bool {
        (self.flavour >> 34) % 100 >= 3
    }
    /// The hash of the hardware that Autopilot knows it by: 4 KB of base64.
    pub(super) fn hardware_hash(&self, dice: &mut Philox) -> String {
        let mut hash = String::from("T0");
        while hash.len() < 4_000 {
            // A base64 text is of any 64 characters: hexadecimal digits are among them.
            write!(hash, "{:016X}", dice.u64()).unwrap_or_default();
        }
        hash.truncate(4_000);
        hash
    }
}

/// Upper-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02X}").unwrap_or_default();
        text
    })
}

/// What is known of a product.
#[derive(Debug)]
struct Model {
    /// How its name begins.
    product: &'static str,
    maker: &'static str,
    portable: bool,
}

impl Model {
    /// One that is not here is taken for the first.
    fn of(product: &str) -> &'static Model {
        MODELS.iter().find(|model| product.starts_with(model.product)).unwrap_or(&MODELS[0])
    }
}

const fn model(product: &'static str, maker: &'static str, portable: bool) -> Model {
    Model { product, maker, portable }
}

/// Products by how their names begin.
static MODELS: [Model; 10] = [
    model("Latitude", "Dell Inc.", true),
    model("OptiPlex", "Dell Inc.", false),
    model("Precision", "Dell Inc.", false),
    model("ThinkPad", "LENOVO", true),
    model("ThinkCentre", "LENOVO", false),
    model("HP EliteBook", "HP", true),
    model("HP ProDesk", "HP", false),
    model("Surface", "Microsoft Corporation", true),
    model("Virtual Machine", "Microsoft Corporation", false),
    model("VMware", "VMware, Inc.", false),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{World, windows};
    use droves_facts::DeviceIx;
    use std::collections::BTreeSet;

    #[test]
    fn ids_have_the_forms_that_servers_expect() {
        let mut world = World::new(windows());
        let ctx = world.ctx();
        let pc = Hardware::of(&ctx);
        let upper_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        assert!(pc.hardware_id().len() == 64 && upper_hex(&pc.hardware_id()), "{}", pc.hardware_id());
        assert!(pc.device_id(1).len() == 32 && upper_hex(&pc.device_id(1)), "{}", pc.device_id(1));
        assert_ne!(pc.device_id(1), pc.device_id(2));
        assert_eq!((pc.name().len(), pc.serial().len(), pc.macs().len()), (15, 8, 3));
        assert!(pc.macs().iter().all(|mac| mac.len() == 17), "{:?}", pc.macs());
        assert_eq!(pc.hardware_hash(&mut ctx.device_dice(Purpose::Contents, 0)).len(), 4_000);
    }

    #[test]
    fn no_two_devices_share_an_id() {
        let mut seen = BTreeSet::new();
        let mut world = World::new(windows());
        for n in 0..20_000 {
            world.device = DeviceIx(n);
            let ctx = world.ctx();
            let pc = Hardware::of(&ctx);
            let ids = [pc.hardware_id(), pc.device_id(1), pc.name(), pc.serial()].into_iter().chain(pc.macs());
            assert!(ids.into_iter().all(|id| seen.insert(id)), "{n}");
        }
    }

    #[test]
    fn the_system_is_named_by_its_build() {
        let check = |version: &str, start: &str| {
            let mut world = World::new(crate::Character { os_version: version.into(), ..windows() });
            let ctx = world.ctx();
            assert!(Hardware::of(&ctx).os_name().starts_with(start), "{version}");
        };
        check("10.0.19045.4291", "Windows 10");
        check("10.0.22631.3447", "Windows 11");
        check("nonsense", "Windows 11");
    }
}
