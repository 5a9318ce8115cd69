//! A world for tests: everything that a context borrows.

use crate::{
    Agent, Character, Clocks, Ctx, Discovery, Enrolls, Google, Habits, Identity, Out, ProfileSource, Proof, Retry,
    Token,
};
use droves_facts::{DeviceIx, Dialect, Dice, Dur, LaneIx, Limits, Mono, Platform, Wall};
use droves_wire::android::adp::Mode;
use std::sync::Arc;

pub(crate) struct World {
    pub(crate) character: Character,
    pub(crate) clocks: Clocks,
    pub(crate) limits: Limits,
    pub(crate) device: DeviceIx,
    pub(crate) lane: LaneIx,
    pub(crate) channel: u8,
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) tokens: droves_wire::apple::push::Tokens,
    pub(crate) out: Out,
}

impl World {
    pub(crate) fn new(character: Character) -> Self {
        World {
            character,
            clocks: Clocks { now: Mono(1_000_000), wall: Wall::VIRTUAL_START },
            limits: Limits::default(),
            device: DeviceIx(7),
            lane: LaneIx(9),
            channel: 0,
            identity: None,
            tokens: droves_wire::apple::push::Tokens::new([7; 32]),
            out: Out::default(),
        }
    }

    pub(crate) fn ctx(&mut self) -> Ctx<'_> {
        Ctx {
            clocks: self.clocks,
            dice: Dice::new(42),
            limits: &self.limits,
            lane: self.lane,
            device: self.device,
            channel: self.channel,
            character: &self.character,
            identity: self.identity.as_ref(),
            cause: self.clocks.now,
            tokens: &self.tokens,
            out: &mut self.out,
        }
    }
}

/// An iPhone that does everything at once and is never locked.
pub(crate) fn ios() -> Character {
    Character {
        platform: Platform::Ios,
        model: "iPhone16,1".into(),
        os_version: "18.1".into(),
        enrolls: Enrolls::Profile(ProfileSource::Bytes(Arc::from(&b""[..]))),
        allow_http: false,
        retry: Retry::AsPlatform,
        wake: (Dur::ZERO, 0.0),
        pace: 0.0,
        locked: (0.0, Dur::ZERO),
        habits: Habits::default(),
        cloned: 0.0,
        users: 0,
        reenrolls_after_wipe: None,
    }
}

/// A Mac that does everything at once and is never locked.
pub(crate) fn mac() -> Character {
    Character { platform: Platform::Macos, model: "Mac15,3".into(), os_version: "15.1".into(), ..ios() }
}

/// A PC that does everything at once.
pub(crate) fn windows() -> Character {
    Character {
        platform: Platform::Windows,
        model: "Latitude 5440".into(),
        os_version: "10.0.22631.3447".into(),
        enrolls: Enrolls::Discovery(Arc::new(Discovery {
            url: "https://mdm.example.test/EnrollmentServer/Discovery.svc".into(),
            user: "user*@example.test".into(),
            proof: Proof::Password("secret".into()),
            channels: "channels.example.test:443".into(),
        })),
        ..ios()
    }
}

/// A phone of a company's that Google manages, which does everything at once.
pub(crate) fn google() -> Character {
    Character {
        platform: Platform::Android,
        model: "Pixel 9".into(),
        os_version: "15".into(),
        enrolls: Enrolls::Google(Arc::new(Google {
            token: Token::Shared("TOKEN".into()),
            mode: Mode::FullyManaged,
            report_every: Dur::secs(86_400),
            usage_logs: 0,
            silent: 0.0,
        })),
        ..ios()
    }
}

/// A phone with Headwind's agent, which does everything at once.
pub(crate) fn agent() -> Character {
    let agent = Agent {
        dialect: Dialect::Headwind,
        url: "https://mdm.example.test/hmdm".into(),
        second_url: "https://mdm.example.test/hmdm".into(),
        link: "".into(),
        number: "d*".into(),
        secret: "changeme-C3z9vi54".into(),
        configuration: None,
        fcm: None,
        checked: false,
    };
    Character { enrolls: Enrolls::Agent(Arc::new(agent)), ..google() }
}
