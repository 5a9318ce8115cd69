//! The push services, of which one stands for all: which tokens it knows is in the register of the emulated one, which is the generator's, and gone with
//! it. It fills again from what the disk has.

use crate::plants::Plant;
use crate::side::Broken;
use droves_emulators::push::{Registry, Standing};
use droves_facts::{LaneIx, Wall};

/// The demand that names a push service that takes a token of the past.
pub(crate) const OLD_TOKEN: &str = "a push to a token of the past is answered with 410";
/// The demand that names one that does not know a lane's newest.
pub(crate) const OWN_TOKEN: &str = "a push to a lane's own token is taken";

/// The push service.
pub(crate) struct PushService {
    registry: Registry,
    lanes: u32,
    /// Pushes that it answered with 410.
    pub(crate) refused: u64,
    plant: Option<Plant>,
}

/// What it says to a push.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Taken,
    /// 410.
    Refused,
    /// The token is none that it gave out.
    Unknown,
}

impl PushService {
    pub(crate) fn new(lanes: u32, plant: Option<Plant>) -> Self {
        PushService { registry: Registry::new(lanes), lanes, refused: 0, plant }
    }

    /// It forgets every token.
    pub(crate) fn begins_anew(&mut self) {
        self.registry = Registry::new(self.lanes);
    }

    /// A lane has a token of this generation from now on. Whether that is taken.
    pub(crate) fn register(&self, lane: LaneIx, generation: u32, topic: &str, wall: Wall) -> bool {
        if self.plant.is_some_and(|plant| plant.ignores_token(generation)) {
            return true;
        }
        self.registry.topic(topic).is_some_and(|topic| self.registry.register(lane, generation, topic, wall))
    }

    /// Whether a lane's token of this generation is its own.
    pub(crate) fn is_current(&self, lane: LaneIx, generation: u32, topic: &str) -> bool {
        matches!(self.registry.standing(lane, generation, Some(topic)), Standing::Current(_))
    }

    /// Judges a push to a lane's token, by a topic or a project. The lane has told the server the generation `told`, and the disk has
    /// `stored` of it.
    pub(crate) fn judge(
        &mut self,
        (lane, generation): (LaneIx, u32),
        topic: &str,
        told: Option<u32>,
        stored: impl Fn() -> Option<u32>,
    ) -> Result<Verdict, Broken> {
        let standing = match self.plant {
            Some(Plant::TakesOldToken) => Standing::Current(Wall(0)),
            _ => self.registry.standing(lane, generation, Some(topic)),
        };
        let text = || format!("token {generation} is {standing:?}, told {told:?}, stored {:?}", stored());
        // A lane tells the push service of a token first, and the server afterwards.
        let is_good = matches!(standing, Standing::Current(_));
        if is_good && told.is_some_and(|told| generation < told) {
            return Err(Broken::of(OLD_TOKEN, lane, text()));
        }
        if !is_good && stored() == Some(generation) {
            return Err(Broken::of(OWN_TOKEN, lane, text()));
        }
        Ok(match standing {
            Standing::Current(_) => Verdict::Taken,
            Standing::Replaced(_) => {
                self.refused += 1;
                Verdict::Refused
            }
            Standing::Unknown | Standing::OtherTopic => Verdict::Unknown,
        })
    }
}
