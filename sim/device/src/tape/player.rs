//! Machines that hear what is on a tape, and of which the same answers are demanded.

use super::{Heard, Met, Record, Said, Step};
use crate::{Body, Character, Clocks, Ctx, Identity, Machine, Out, Request, Slept, What};
use droves_facts::{DeviceIx, Dice, Dur, LaneIx, Limits, Mono};
use droves_wire::apple::push::Tokens;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Machines in the places of those that were taped.
pub struct Player<M: Machine> {
    dice: Dice,
    tokens: Tokens,
    limits: Limits,
    characters: Vec<Character>,
    lanes: BTreeMap<LaneIx, Lane<M>>,
    identities: BTreeMap<DeviceIx, Arc<Identity>>,
    steps: u64,
}

struct Lane<M: Machine> {
    device: DeviceIx,
    channel: u8,
    character: usize,
    at: At<M>,
    /// An identity that is its device's once it is on the disk.
    adopted: Option<Arc<Identity>>,
    steps: u64,
}

enum At<M: Machine> {
    Asleep(Slept<M>),
    Live(M),
}

impl<M: Machine> At<M> {
    fn slept(self) -> Slept<M> {
        match self {
            At::Asleep(slept) => slept,
            At::Live(machine) => machine.fold(),
        }
    }
}

/// Why a tape can't be played on.
#[derive(Debug)]
pub enum Problem {
    /// What is written of a lane is not what a shard writes.
    Nonsense {
        /// Which lane.
        lane: LaneIx,
        /// What is wrong.
        why: String,
    },
    /// A machine answers otherwise.
    Differs(Box<Difference>),
}

/// The first answer that is another one.
#[derive(Debug)]
pub struct Difference {
    /// Whose.
    pub lane: LaneIx,
    /// Of which device.
    pub device: DeviceIx,
    /// 0 is the device channel, 1.. are user channels.
    pub channel: u8,
    /// Which step of the lane, from 1.
    pub step: u64,
    /// When it was.
    pub clocks: Clocks,
    /// What was heard, in words.
    pub heard: String,
    /// What is on the tape.
    pub taped: Said,
    /// What the machine says.
    pub found: Said,
    /// What the machine says, in words, as far as there is no secret in it.
    pub in_full: String,
}

impl<M: Machine> Player<M> {
    /// For a run with these dice, this secret of push tokens and these kinds of devices.
    pub fn new(dice: Dice, tokens: Tokens, characters: Vec<Character>, limits: Limits) -> Self {
        let (lanes, identities) = (BTreeMap::new(), BTreeMap::new());
        Player { dice, tokens, limits, characters, lanes, identities, steps: 0 }
    }

    /// How many steps were the same.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many lanes were met.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Plays the next record.
    pub fn play(&mut self, record: Record) -> Result<(), Problem> {
        match record {
            Record::Met(met) => self.meet(*met),
            Record::Shared(lane, shared) => {
                let shared = M::shared_from_bytes(&shared).map_err(|why| Problem::Nonsense { lane, why })?;
                self.asleep(lane, |slept| At::Asleep(Slept { shared: Arc::new(shared), ..slept }))
            }
            Record::Told(lane, shared) => {
                let shared = M::shared_from_bytes(&shared).map_err(|why| Problem::Nonsense { lane, why })?;
                let place = self.lanes.get_mut(&lane).ok_or_else(|| unmet(lane))?;
                if let At::Live(machine) = &mut place.at {
                    machine.share(&Arc::new(shared));
                }
                Ok(())
            }
            Record::Opened(lane) => self.asleep(lane, |slept| At::Live(M::open(slept))),
            Record::Step(step) => self.step(&step),
        }
    }

    fn meet(&mut self, met: Met) -> Result<(), Problem> {
        let Met { lane, device, channel, character, record, shared, own, identity } = met;
        let nonsense = |why: String| Problem::Nonsense { lane, why };
        if usize::from(character) >= self.characters.len() {
            return Err(nonsense(format!("it is of kind {character}, of {}", self.characters.len())));
        }
        let record = M::record_from_bytes(&record).map_err(nonsense)?;
        let shared = Arc::new(M::shared_from_bytes(&shared).map_err(nonsense)?);
        self.identities.extend(identity.map(|identity| (device, identity)));
        let at = At::Asleep(Slept { record, shared, own });
        let character = usize::from(character);
        match self.lanes.insert(lane, Lane { device, channel, character, at, adopted: None, steps: 0 }) {
            None => Ok(()),
            Some(_) => Err(nonsense("it is met twice".to_owned())),
        }
    }

    /// Folds a lane back, and puts in its place what becomes of it.
    fn asleep(&mut self, lane: LaneIx, becomes: impl FnOnce(Slept<M>) -> At<M>) -> Result<(), Problem> {
        let place = self.lanes.get_mut(&lane).ok_or_else(|| unmet(lane))?;
        let slept = std::mem::replace(&mut place.at, At::Asleep(Slept::default())).slept();
        place.at = becomes(slept);
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), Problem> {
        let Step { lane, clocks, cause, heard, said } = step;
        let place = self.lanes.get_mut(lane).ok_or_else(|| unmet(*lane))?;
        let nonsense = |why: &str| Problem::Nonsense { lane: *lane, why: why.to_owned() };
        let At::Live(machine) = &mut place.at else { return Err(nonsense("it hears something in its sleep")) };
        let character = self.characters.get(place.character).ok_or_else(|| nonsense("it is of no kind"))?;
        if matches!(heard, Heard::Saved) {
            self.identities.extend(place.adopted.take().map(|identity| (place.device, identity)));
        }
        let mut out = Out::default();
        let mut ctx = Ctx {
            clocks: *clocks,
            dice: self.dice,
            limits: &self.limits,
            lane: *lane,
            device: place.device,
            channel: place.channel,
            character,
            identity: place.adopted.as_ref().or(self.identities.get(&place.device)),
            cause: *cause,
            tokens: &self.tokens,
            out: &mut out,
        };
        let action = heard.tell(machine, &mut ctx).ok_or_else(|| nonsense("it hears a header that is none"))?;
        let found = Said::of(&action, &out, machine);
        place.steps += 1;
        if found != *said {
            return Err(Problem::Differs(Box::new(Difference {
                lane: *lane,
                device: place.device,
                channel: place.channel,
                step: place.steps,
                clocks: *clocks,
                heard: heard.to_string(),
                taped: *said,
                found,
                in_full: in_full(&action.what, &out),
            })));
        }
        match out.identity {
            Some(Some(identity)) => place.adopted = Some(identity),
            Some(None) => {
                place.adopted = None;
                self.identities.remove(&place.device);
            }
            None => {}
        }
        if matches!(action.what, What::Sleep { .. } | What::End(_)) {
            self.identities.extend(place.adopted.take().map(|identity| (place.device, identity)));
        }
        self.steps += 1;
        Ok(())
    }
}

fn unmet(lane: LaneIx) -> Problem {
    Problem::Nonsense { lane, why: "it was not met before".to_owned() }
}

/// What a machine says, in words. Work with keys may have passwords in it, and is named only.
fn in_full(what: &What, out: &Out) -> String {
    let action = match what {
        What::Request(request) => {
            let Request { method, url, body, identity, .. } = &**request;
            let by = identity.as_ref().map_or_else(|| "nobody".into(), |identity| format!("key {}", identity.key.0));
            let body = match body {
                Body::Empty => "without a body".into(),
                Body::Bytes(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => format!("with {text}"),
                    Err(_) => format!("with {} bytes", bytes.len()),
                },
            };
            format!("{method:?} {url} as {by}, {body}")
        }
        What::Make(work) => {
            let work = format!("{work:?}");
            work.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
        }
        What::Open(link) => format!("{:?} {} with {} bytes", link.operation, link.url, link.hello.len()),
        What::Send(bytes) => format!("{} bytes over the link", bytes.len()),
        other => format!("{other:?}"),
    };
    format!("{}; states {}", short(&action), short(&format!("{:?}", out.facts)))
}

fn short(text: &str) -> String {
    const SHOWN_MAX: usize = 1_000;
    text.chars().take(SHOWN_MAX).collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { lane, device, channel, step, clocks, heard, taped, found, in_full } = self;
        let Mono(at) = clocks.now;
        writeln!(f, "lane {lane} (device {device}, channel {channel}), step {step} of it, at {}:", Dur(at))?;
        writeln!(f, "  heard:   {heard}")?;
        writeln!(f, "  on tape: {taped}")?;
        writeln!(f, "  now:     {found}")?;
        let parts = [
            ("the action", taped.action != found.action || taped.what != found.what),
            ("what it states, orders or ends", taped.out != found.out),
            ("its record", taped.record != found.record),
        ];
        let differs: Vec<&str> = parts.iter().filter(|(_, differs)| *differs).map(|(part, _)| *part).collect();
        writeln!(f, "  differs: {}", differs.join("; "))?;
        write!(f, "  in full: {in_full}")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Nonsense { lane, why } => write!(f, "lane {lane}: {why}"),
            Problem::Differs(difference) => difference.fmt(f),
        }
    }
}

impl std::error::Error for Problem {}
