//! Examples of what went wrong, in words: the earliest few of each (culprit, kind), and how many there were.
//!
//! Promises: bounded in count and length; which examples are kept does not depend on the order in which facts come or
//! folds merge (earliest first, then by lane, then by text).

use crate::Fold;
use droves_facts::{Blame, Fact, LaneIx, Mono, What, Word};
use serde::{Deserialize, Serialize};

/// Examples kept of one (culprit, kind).
pub const EXAMPLES_MAX: usize = 8;

/// (Culprit, kind) pairs told apart; what comes beyond is counted under the kind `other`.
const ROWS_MAX: usize = 128;

/// Bytes of an example that are kept.
const TEXT_BYTES_MAX: usize = 512;

/// One example.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Example {
    /// When.
    pub at: Mono,
    /// Whose.
    pub lane: LaneIx,
    /// What, in a sentence.
    pub text: Box<str>,
}

/// All complaints of one (culprit, kind).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Complaint {
    /// Whose fault.
    pub blame: Blame,
    /// What, in one word.
    #[serde(deserialize_with = "droves_facts::kind")]
    pub kind: Word,
    /// How many there were.
    pub count: u64,
    /// The earliest.
    pub examples: Vec<Example>,
}

/// The fold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Complaints {
    rows: Vec<Complaint>,
}

impl Complaints {
    /// All of them, most frequent first.
    pub fn sorted(&self) -> Vec<&Complaint> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|row| (std::cmp::Reverse(row.count), row.blame, row.kind));
        rows
    }

    fn row(&mut self, blame: Blame, kind: &'static str) -> &mut Complaint {
        let place = |rows: &[Complaint], kind: &str| rows.iter().position(|r| r.blame == blame && r.kind == kind);
        let full = self.rows.len() >= ROWS_MAX && place(&self.rows, kind).is_none();
        let kind = if full { crate::counts::OTHER } else { kind };
        let ix = place(&self.rows, kind).unwrap_or_else(|| {
            self.rows.push(Complaint { blame, kind, count: 0, examples: Vec::new() });
            self.rows.len() - 1
        });
        &mut self.rows[ix]
    }
}

impl Complaint {
    fn keep(&mut self, example: Example) {
        let place = self.examples.partition_point(|kept| *kept <= example);
        if place < EXAMPLES_MAX {
            self.examples.insert(place, example);
            self.examples.truncate(EXAMPLES_MAX);
        }
    }
}

impl Fold for Complaints {
    fn apply(&mut self, fact: &Fact) {
        let What::Complaint { blame, kind, text } = &fact.what else { return };
        let row = self.row(*blame, kind);
        row.count += 1;
        let worse_than_kept = row.examples.len() == EXAMPLES_MAX && row.examples.last().is_some_and(|e| e.at < fact.at);
        if !worse_than_kept {
            row.keep(Example { at: fact.at, lane: fact.lane, text: cut(text).into() });
        }
    }

    fn merge(&mut self, other: Self) {
        for theirs in other.rows {
            let mine = self.row(theirs.blame, theirs.kind);
            mine.count += theirs.count;
            theirs.examples.into_iter().for_each(|example| mine.keep(example));
        }
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(at: u64, text: &str) -> Fact {
        let what = What::Complaint { blame: Blame::Server, kind: "status_500", text: text.into() };
        Fact { at: Mono(at), phase: droves_facts::PhaseIx(0), lane: LaneIx(3), what }
    }

    #[test]
    fn the_earliest_are_kept_whatever_the_order_and_all_are_counted() {
        let facts: Vec<_> = (0..20).map(|n| complaint(n, &format!("example {n}"))).collect();
        let mut forth = Complaints::default();
        facts.iter().for_each(|fact| forth.apply(fact));
        let mut back = Complaints::default();
        facts[10..].iter().rev().for_each(|fact| back.apply(fact));
        let mut rest = Complaints::default();
        facts[..10].iter().rev().for_each(|fact| rest.apply(fact));
        back.merge(rest);
        assert_eq!(forth.sorted(), back.sorted());
        assert_eq!(forth.sorted()[0].count, 20);
        assert_eq!(forth.sorted()[0].examples.len(), EXAMPLES_MAX);
        assert_eq!(&*forth.sorted()[0].examples[7].text, "example 7");
    }

    #[test]
    fn a_long_text_is_cut_at_a_letter() {
        let mut one = Complaints::default();
        one.apply(&complaint(0, &"ä".repeat(400)));
        assert_eq!(one.sorted()[0].examples[0].text.len(), TEXT_BYTES_MAX);
    }
}
