//! What a device is called and made of: drawn from (seed, device), never stored. Serial numbers hold a permutation of the
//! device's index, so that no two devices of a fleet share one, unless they are clones of one image.

use super::enroll;
use crate::{Ctx, unique};
use droves_facts::Purpose;
use droves_wire::android::adp::Mode;

/// The hardware of one device. Texts are made when they are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hardware<'a> {
    maker: &'static Maker,
    model: &'a str,
    android_version: &'a str,
    mode: Mode,
    /// Another number for each device of the fleet.
    unique: u32,
    /// Draws for what needs no place of its own.
    flavour: u64,
    /// The serial number of its image, of a clone.
    of_image: Option<&'static str>,
}

/// Who makes devices, as far as one can tell.
#[derive(Debug)]
struct Maker {
    /// How its models' names begin.
    models: &'static [&'static str],
    brand: &'static str,
    /// How its serial numbers begin.
    serial: &'static str,
    /// Applications that come with a device.
    apps: u16,
}

static MAKERS: [Maker; 5] = [
    Maker { models: &["Pixel"], brand: "Google", serial: "3A", apps: 230 },
    Maker { models: &["Galaxy", "SM-"], brand: "samsung", serial: "R5C", apps: 380 },
    Maker { models: &["TC", "MC", "ET"], brand: "Zebra", serial: "S2", apps: 260 },
    Maker { models: &["moto"], brand: "motorola", serial: "ZY", apps: 270 },
    Maker { models: &["Nokia"], brand: "Nokia", serial: "N1", apps: 210 },
];

impl<'a> Hardware<'a> {
    /// The hardware that the context is about.
    pub(super) fn of(ctx: &Ctx<'a>) -> Self {
        let model: &'a str = &ctx.character.model;
        let [google, ..] = &MAKERS;
        let is_its = |maker: &&Maker| maker.models.iter().any(|start| model.starts_with(start));
        Hardware {
            maker: MAKERS.iter().find(is_its).unwrap_or(google),
            model,
            android_version: &ctx.character.os_version,
            mode: enroll::mode(ctx),
            unique: unique::number(ctx),
            flavour: ctx.device_dice(Purpose::Hardware, 0).u64(),
            of_image: unique::serial_of_image(ctx),
        }
    }

    /// Draws for a report, the same ones for each of this device.
    pub(super) fn seed(&self) -> u64 {
        self.flavour
    }

    /// `Google`.
    pub(super) fn brand(&self) -> &'static str {
        self.maker.brand
    }

    /// The model, as the fleet names it.
    pub(super) fn model(&self) -> &'a str {
        self.model
    }

    /// `15`.
    pub(super) fn android_version(&self) -> &'a str {
        self.android_version
    }

    /// The API level of its Android; of one that can't be read, 35.
    pub(super) fn api_level(&self) -> u16 {
        let (major, minor) = self.android_version.split_once('.').unwrap_or((self.android_version, ""));
        match (major.parse::<u16>(), minor) {
            (Ok(7), "" | "0") => 24,
            (Ok(7), _) => 25,
            (Ok(8), "" | "0") => 26,
            (Ok(8), _) => 27,
            (Ok(major @ 9..=12), _) => major + 19,
            (Ok(major @ 13..=99), _) => major + 20,
            _ => 35,
        }
    }

    /// The serial number; since Android 12 somebody's own device has an enterprise-specific id in its place. That one is made
    /// of addresses too, which clones do not share.
    pub(super) fn serial(&self) -> String {
        let unique = unique::letters(self.unique, 7);
        let flavour = |bits: u32, count| unique::letters((self.flavour >> bits) as u32, count);
        if self.mode == Mode::PersonalWorkProfile && self.api_level() >= ANDROID_12 {
            return format!("{}{}{unique}", flavour(0, 4), flavour(32, 5));
        }
        self.of_image.map_or_else(|| format!("{}{}{unique}", self.maker.serial, flavour(0, 2)), str::to_owned)
    }

    /// Applications that came with the device. A work profile begins with a few of them.
    pub(super) fn system_apps(&self) -> u16 {
        match self.mode {
            Mode::FullyManaged | Mode::Dedicated => self.maker.apps,
            Mode::CompanyWorkProfile | Mode::PersonalWorkProfile => self.maker.apps / 10,
        }
    }
}

const ANDROID_12: u16 = 31;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{World, google};
    use crate::{Character, Enrolls};
    use droves_facts::DeviceIx;
    use droves_wire::android::image;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn managed(mode: Mode, os_version: &str) -> Character {
        let Character { enrolls: Enrolls::Google(way), .. } = google() else { unreachable!() };
        let way = crate::Google { mode, ..(*way).clone() };
        Character { enrolls: Enrolls::Google(Arc::new(way)), os_version: os_version.into(), ..google() }
    }

    #[test]
    fn no_two_devices_share_a_serial_number() {
        for mode in [Mode::FullyManaged, Mode::PersonalWorkProfile] {
            let mut world = World::new(managed(mode, "15"));
            let serials: BTreeSet<_> = (0..20_000)
                .map(|n| {
                    world.device = DeviceIx(n);
                    Hardware::of(&world.ctx()).serial()
                })
                .collect();
            assert_eq!(serials.len(), 20_000);
        }
    }

    #[test]
    fn clones_have_a_serial_number_of_their_image_but_where_it_is_the_enterprises() {
        let serials = |mode, version: &str, cloned| -> BTreeSet<String> {
            let mut world = World::new(Character { cloned, ..managed(mode, version) });
            let of = |n| {
                world.device = DeviceIx(n);
                Hardware::of(&world.ctx()).serial()
            };
            (0..200).map(of).collect()
        };
        let of_images = |serials: &BTreeSet<String>| serials.iter().filter(|serial| image::is_of_image(serial)).count();
        let all = serials(Mode::Dedicated, "15", 1.0);
        assert_eq!((all.len(), of_images(&all)), (image::SERIALS.len(), image::SERIALS.len()));
        assert_eq!(serials(Mode::PersonalWorkProfile, "11", 1.0), all);
        assert_eq!(serials(Mode::PersonalWorkProfile, "12", 1.0).len(), 200);
        let some = serials(Mode::FullyManaged, "15", 0.25);
        assert!((130..180).contains(&some.len()) && of_images(&some) == image::SERIALS.len(), "{}", some.len());
    }

    #[test]
    fn the_id_of_a_personal_device_is_no_serial_number() {
        let length = |mode, version: &str| Hardware::of(&World::new(managed(mode, version)).ctx()).serial().len();
        assert_eq!(length(Mode::PersonalWorkProfile, "12"), 16);
        assert_eq!(length(Mode::PersonalWorkProfile, "11"), 11);
        assert_eq!(length(Mode::CompanyWorkProfile, "12"), 11);
    }

    #[test]
    fn a_model_tells_its_maker_and_a_version_its_api_level() {
        let check = |model: &str, version: &str, brand: &str, api_level| {
            let mut world = World::new(Character { model: model.into(), ..managed(Mode::default(), version) });
            let ctx = world.ctx();
            let hardware = Hardware::of(&ctx);
            assert_eq!((hardware.brand(), hardware.api_level()), (brand, api_level), "{model} {version}");
        };
        check("Pixel 9", "15", "Google", 35);
        check("SM-S921B", "14", "samsung", 34);
        check("TC58", "13", "Zebra", 33);
        check("moto g84", "12", "motorola", 31);
        check("Unheard of", "11", "Google", 30);
        check("Pixel 2", "9", "Google", 28);
        check("Pixel 2", "8.1", "Google", 27);
        check("Pixel 2", "8.0", "Google", 26);
        check("Nokia 3", "7", "Nokia", 24);
        check("Nokia 3", "7.1.1", "Nokia", 25);
        check("Nokia 3", "nonsense", "Nokia", 35);
    }
}
