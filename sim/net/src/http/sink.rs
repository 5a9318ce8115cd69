//! What is done with an answer's body: kept up to a limit, or digested and dropped.

use super::SendError;
use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};

/// What is to be done with an answer's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sink {
    /// Keep it; one that is longer is a failure.
    Keep {
        /// The most that is kept.
        bytes_max: usize,
    },
    /// Count and hash it, and drop it.
    Digest {
        /// The most that is taken.
        bytes_max: u64,
    },
}

/// What became of an answer's body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Kept.
    Kept(Bytes),
    /// Counted, hashed and dropped.
    Digested {
        /// Its length.
        bytes: u64,
        /// Its SHA-256.
        sha256: [u8; 32],
    },
}

impl Body {
    /// Its length.
    pub fn bytes(&self) -> u64 {
        match self {
            Body::Kept(kept) => kept.len() as u64,
            Body::Digested { bytes, .. } => *bytes,
        }
    }

    /// What was kept; empty if it was digested.
    pub fn kept(&self) -> &[u8] {
        match self {
            Body::Kept(kept) => kept,
            Body::Digested { .. } => &[],
        }
    }
}

/// A body on its way in.
pub(super) enum Drain {
    /// One piece, the usual case, is kept as it came.
    Keep {
        first: Bytes,
        rest: BytesMut,
        bytes_max: usize,
    },
    Digest {
        bytes: u64,
        bytes_max: u64,
        context: Box<digest::Context>,
    },
}

impl Drain {
    /// `announced` is the length that the head names; one that is too long is refused before it is read.
    pub(super) fn new(sink: Sink, announced: Option<u64>) -> Result<Self, SendError> {
        let bytes_max = match sink {
            Sink::Keep { bytes_max } => bytes_max as u64,
            Sink::Digest { bytes_max } => bytes_max,
        };
        if announced.is_some_and(|bytes| bytes > bytes_max) {
            return Err(SendError::BodyTooLong { bytes_max });
        }
        Ok(match sink {
            Sink::Keep { bytes_max } => Drain::Keep { first: Bytes::new(), rest: BytesMut::new(), bytes_max },
            Sink::Digest { bytes_max } => {
                Drain::Digest { bytes: 0, bytes_max, context: Box::new(digest::Context::new(&digest::SHA256)) }
            }
        })
    }

    pub(super) fn take(&mut self, piece: Bytes) -> Result<(), SendError> {
        match self {
            Drain::Keep { first, rest, bytes_max } => {
                if first.len() + rest.len() + piece.len() > *bytes_max {
                    return Err(SendError::BodyTooLong { bytes_max: *bytes_max as u64 });
                }
                if first.is_empty() && rest.is_empty() {
                    *first = piece;
                } else {
                    if rest.is_empty() {
                        rest.extend_from_slice(first);
                        *first = Bytes::new();
                    }
                    rest.extend_from_slice(&piece);
                }
            }
            Drain::Digest { bytes, bytes_max, context } => {
                *bytes += piece.len() as u64;
                if *bytes > *bytes_max {
                    return Err(SendError::BodyTooLong { bytes_max: *bytes_max });
                }
                context.update(&piece);
            }
        }
        Ok(())
    }

    pub(super) fn done(self) -> Body {
        match self {
            Drain::Keep { first, rest, .. } => Body::Kept(if rest.is_empty() { first } else { rest.freeze() }),
            Drain::Digest { bytes, context, .. } => {
                let mut sha256 = [0; 32];
                sha256.copy_from_slice(context.finish().as_ref());
                Body::Digested { bytes, sha256 }
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drained(sink: Sink, pieces: &[Vec<u8>]) -> Result<Body, SendError> {
        let mut drain = Drain::new(sink, None)?;
        for piece in pieces {
            drain.take(Bytes::copy_from_slice(piece))?;
        }
        Ok(drain.done())
    }

    proptest! {
        /// However a body is cut, it is the same body, and one byte over the limit is too long.
        #[test]
        fn pieces_do_not_matter(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let whole = pieces.concat();
            let bytes_max = whole.len();
            let kept = drained(Sink::Keep { bytes_max }, &pieces).unwrap();
            prop_assert_eq!(kept.kept(), &whole[..]);
            let digested = drained(Sink::Digest { bytes_max: bytes_max as u64 }, &pieces).unwrap();
            let expected = digest::digest(&digest::SHA256, &whole);
            let Body::Digested { bytes, sha256 } = digested else { panic!("it was to be digested") };
            prop_assert_eq!(bytes, bytes_max as u64);
            prop_assert_eq!(&sha256, expected.as_ref());
            if let Some(less) = bytes_max.checked_sub(1) {
                let (keep, digest) = (Sink::Keep { bytes_max: less }, Sink::Digest { bytes_max: less as u64 });
                prop_assert!(drained(keep, &pieces).is_err());
                prop_assert!(drained(digest, &pieces).is_err());
            }
        }
    }

    #[test]
    fn an_announced_length_is_judged_before_a_byte_is_read() {
        let check = |announced, sink, passes| assert_eq!(Drain::new(sink, announced).is_ok(), passes, "{announced:?}");
        check(Some(10), Sink::Keep { bytes_max: 10 }, true);
        check(Some(11), Sink::Keep { bytes_max: 10 }, false);
        check(Some(u64::MAX), Sink::Digest { bytes_max: 10 }, false);
        check(None, Sink::Keep { bytes_max: 0 }, true);
    }
}
