//! A request's body, read whole and bounded.

use bytes::{Bytes, BytesMut};
use droves_facts::Dur;
use hyper::body::Body;
use std::future::poll_fn;
use std::pin::pin;

/// Why a request's body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than allowed: answer 413.
    #[error("body longer than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// It did not come in time: answer 408.
    #[error("body did not come in time")]
    TooSlow,
    /// The client went away, or broke the rules of HTTP.
    #[error("body broken: {0}")]
    Broken(String),
}

/// Reads a body of at most `bytes_max` within `wait_max`. A body of one piece is not copied.
pub async fn read_body<B>(body: B, bytes_max: usize, wait_max: Dur) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLong { bytes_max });
    }
    tokio::time::timeout(wait_max.std(), read(body, bytes_max)).await.map_err(|_elapsed| BodyError::TooSlow)?
}

async fn read<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        let Ok(piece) = frame.into_data() else { continue };
        if first.len() + rest.len() + piece.len() > bytes_max {
            return Err(BodyError::TooLong { bytes_max });
        }
        if first.is_empty() && rest.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
