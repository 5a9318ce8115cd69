//! The machines of this program hear what is on a tape, and must answer as the taped ones did.

use super::read::{Next, Pages};
use super::{Line, Taped};
use droves_device::Device;
use droves_device::tape::{Player, Problem};
use droves_facts::{Dice, Limits, Wall};
use droves_wire::apple::push::Tokens;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// A tape of which every answer was the same.
#[derive(Debug)]
pub struct Replayed {
    /// The version of Droves that made it.
    pub droves: String,
    /// The scenario's name.
    pub scenario: String,
    /// SHA-256 of the plan.
    pub plan_hash: String,
    /// When the run was begun.
    pub began: Wall,
    /// Steps, each of which was answered in the same way.
    pub steps: u64,
    /// Lanes that made them.
    pub lanes: usize,
    /// What of the run is not on the tape, in sentences.
    pub missing: Vec<String>,
}

/// How far a tape is played.
#[derive(Clone, Copy, Debug)]
pub struct Replaying {
    /// Bytes that were read.
    pub read: u64,
    /// Bytes of the file.
    pub of: u64,
    /// Steps that were the same.
    pub steps: u64,
}

/// Why a tape was not played to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("not a tape of `droves run --tape`, or cut off in its first lines")]
    NoTape,
    /// Another version wrote it.
    #[error("a tape of another format: replay it with the version of Droves that made it")]
    OtherFormat,
    /// It is not what was written.
    #[error("damaged before byte {at}: {why}")]
    Damaged {
        /// Up to where it was read.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// A machine answers otherwise, or hears what no shard tells it.
    #[error("after {steps} steps that are the same{by}:\n{problem}")]
    Problem {
        /// How many were the same.
        steps: u64,
        /// The version that made the tape, if it is another.
        by: String,
        /// What is not.
        problem: Problem,
    },
}

/// Replays the tape in a file. `progress` is told after every page.
pub fn replay(path: &Path, limits: &Limits, progress: impl FnMut(Replaying)) -> Result<Replayed, ReplayError> {
    let file = File::open(path)?;
    let of = file.metadata()?.len();
    play(BufReader::new(file), of, limits, progress)
}

pub(super) fn play(
    from: impl Read,
    of: u64,
    limits: &Limits,
    mut progress: impl FnMut(Replaying),
) -> Result<Replayed, ReplayError> {
    let (header, mut pages) = Pages::open(from)?;
    let (dice, tokens) = (Dice::new(header.seed), Tokens::new(header.secret));
    let mut player = Player::<Device>::new(dice, tokens, header.characters, limits.clone());
    let (mut ends, mut missing) = (BTreeMap::<usize, Taped>::new(), Vec::new());
    loop {
        let page = match pages.next()? {
            Next::Page(page) => page,
            Next::Over => break,
            Next::Cut => {
                missing.push(format!("it is cut off at byte {}", pages.at));
                break;
            }
        };
        for line in page.lines() {
            match line.map_err(|why| pages.damaged(&why))? {
                Line::End(taped) => drop(ends.insert(page.shard, taped)),
                Line::Record(record) => player.play(record).map_err(|problem| {
                    let by = if header.droves == env!("CARGO_PKG_VERSION") {
                        String::new()
                    } else {
                        format!(", on a tape of Droves {}", header.droves)
                    };
                    ReplayError::Problem { steps: player.steps(), by, problem }
                })?,
            }
        }
        progress(Replaying { read: pages.at, of, steps: player.steps() });
    }
    let open = header.shards.iter().filter(|shard| !ends.contains_key(shard));
    missing.extend(open.map(|shard| format!("shard {shard} did not come to its end")));
    let Taped { steps, lost } = ends.values().fold(Taped::default(), |sum, &taped| sum.and(taped));
    if lost > 0 {
        missing.push(format!("the disk could not keep up: {lost} steps are not on it"));
    }
    if missing.is_empty() && steps != player.steps() {
        return Err(pages.damaged(&format!("{steps} steps were written, {} are there", player.steps())));
    }
    Ok(Replayed {
        droves: header.droves,
        scenario: header.scenario,
        plan_hash: header.plan_hash,
        began: header.began,
        steps: player.steps(),
        lanes: player.lanes(),
        missing,
    })
}
