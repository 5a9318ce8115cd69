//! The body of an answer: whole, and with its length told or not; or a file, piece by piece.

use super::agents::Span;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What is not said to have a length goes out in chunks.
pub(super) struct AnswerBody {
    pub(super) bytes: Bytes,
    pub(super) file: Option<Box<Span>>,
    pub(super) is_chunked: bool,
}

impl AnswerBody {
    fn left(&self) -> u64 {
        self.bytes.len() as u64 + self.file.as_ref().map_or(0, |file| file.bytes())
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.bytes);
        let piece = if bytes.is_empty() { self.file.as_mut().and_then(|file| file.piece()) } else { Some(bytes) };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0 && !self.is_chunked
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_chunked { SizeHint::default() } else { SizeHint::with_exact(self.left()) }
    }
}
