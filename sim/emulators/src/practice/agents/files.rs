//! Files that are as long as it takes and are nowhere: their bytes follow from their path.

use super::page;
use crate::practice::exchange::{Incoming, Outgoing, parameter};
use bytes::Bytes;
use droves_wire::digest::sha256;

/// Below it everything is a file.
pub(super) const PREFIX: &str = "/files/";
/// The longest: 4 GiB.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// Bytes after which a file repeats itself; no power of two, as pieces are.
const BLOCK_BYTES: usize = 65_521;

/// A part of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    block: Bytes,
    at: u64,
    end: u64,
}

impl Span {
    /// How much is left of it.
    pub fn bytes(&self) -> u64 {
        self.end - self.at
    }

    /// The next piece; none at its end.
    pub fn piece(&mut self) -> Option<Bytes> {
        let from = (self.at % BLOCK_BYTES as u64) as usize;
        let length = self.bytes().min((BLOCK_BYTES - from) as u64);
        self.at += length;
        (length > 0).then(|| self.block.slice(from..from + length as usize))
    }
}

/// A file, or the range of it that is asked for (RFC 9110, section 14). `?bytes=` says how long it is.
pub(super) fn answer(path: &str, request: &Incoming<'_>, file_bytes: u64) -> Outgoing {
    if request.method != "GET" || !path.starts_with(PREFIX) {
        return page(404, "Not Found");
    }
    let told = parameter(request.query, "bytes").and_then(|bytes| bytes.parse().ok());
    let whole: u64 = told.unwrap_or(file_bytes).min(FILE_BYTES_MAX);
    let asked = request.range.and_then(|range| std::str::from_utf8(range).ok()).and_then(range_of);
    let (status, at, end) = match asked {
        None => (200, 0, whole),
        Some(range) => match within(range, whole) {
            Some((at, end)) => (206, at, end),
            None => {
                let mut outgoing = page(416, "Range Not Satisfiable");
                outgoing.headers.push(("Content-Range", format!("bytes */{whole}")));
                return outgoing;
            }
        },
    };
    let mut outgoing = Outgoing::new(status, "application/vnd.android.package-archive", Bytes::new());
    outgoing.headers.push(("Accept-Ranges", "bytes".to_owned()));
    if status == 206 {
        outgoing.headers.push(("Content-Range", format!("bytes {at}-{}/{whole}", end.saturating_sub(1))));
    }
    outgoing.file = Some(Box::new(Span { block: block(path), at, end }));
    outgoing
}

/// `bytes=first-last`, `bytes=first-`, `bytes=-suffix`; what is anything else is as if it were not there.
fn range_of(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    let range = (number(first)?, number(last)?);
    let is_range = match range {
        (Some(first), Some(last)) => first <= last,
        (first, last) => first.or(last).is_some(),
    };
    is_range.then_some(range)
}

fn within(range: (Option<u64>, Option<u64>), whole: u64) -> Option<(u64, u64)> {
    match range {
        (Some(first), last) => {
            let end = last.map_or(whole, |last| last.saturating_add(1).min(whole));
            (first < whole).then_some((first, end))
        }
        (None, Some(suffix)) => (suffix > 0 && whole > 0).then(|| (whole.saturating_sub(suffix), whole)),
        (None, None) => None,
    }
}

fn block(path: &str) -> Bytes {
    let piece = |n: u64| sha256(&[path.as_bytes(), &n.to_be_bytes()].concat());
    let mut block: Vec<u8> = (0..=(BLOCK_BYTES as u64 / 32)).flat_map(piece).collect();
    block.truncate(BLOCK_BYTES);
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_what_the_standard_says() {
        let of = |header: &str| range_of(header).map(|range| within(range, 1_000));
        assert_eq!(of("bytes=0-499"), Some(Some((0, 500))));
        assert_eq!(of("bytes=500-"), Some(Some((500, 1_000))));
        assert_eq!(of("bytes=-5"), Some(Some((995, 1_000))));
        assert_eq!(of("bytes=-5000"), Some(Some((0, 1_000))));
        assert_eq!(of("bytes=999-18446744073709551615"), Some(Some((999, 1_000))));
        assert_eq!(of("bytes=1000-"), Some(None));
        for wrong in ["bytes=-", "bytes=5-4", "bytes=a-b", "items=0-1", "bytes=0-1,3-4"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    fn read(mut span: Span) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(piece) = span.piece() {
            all.extend_from_slice(&piece);
        }
        all
    }

    proptest! {
        #[test]
        fn pieces_are_the_whole(whole in 0_u64..300_000, cuts in proptest::collection::vec(0_u64..300_000, 0..6)) {
            let block = block("/files/a");
            let mut at: Vec<u64> = cuts.into_iter().map(|cut| cut.min(whole)).chain([0, whole]).collect();
            at.sort_unstable();
            let span = |at, end| Span { block: block.clone(), at, end };
            let pieces: Vec<u8> = at.windows(2).flat_map(|pair| read(span(pair[0], pair[1]))).collect();
            prop_assert_eq!(pieces.len() as u64, whole);
            prop_assert_eq!(pieces, read(span(0, whole)));
        }
    }
}
