//! A connection to a push service that is kept from one push to the next.

use droves_facts::Dur;
use droves_net::Stream;
use droves_net::clock::RunClock;
use droves_net::connect::ConnectError;
use droves_net::http::{Answer, Conn, Outgoing, Reached, Sink};

const WAIT_MAX: Dur = Dur::secs(30);

/// Sends on the connection that is kept, or on a new one. An error is what went wrong, in one word.
pub(crate) async fn send(
    conn: &mut Option<Conn<Stream>>,
    outgoing: &Outgoing,
    answer_bytes_max: usize,
    clock: &RunClock,
    open: impl AsyncFn() -> Result<Conn<Stream>, ConnectError>,
) -> Result<Answer, String> {
    for _ in 0..2 {
        let is_kept = conn.as_mut().is_some_and(Conn::is_open);
        let mut line = match conn.take().filter(|_| is_kept) {
            Some(line) => line,
            None => open().await.map_err(|error| error.kind().to_owned())?,
        };
        match line.send(outgoing.clone(), Sink::Keep { bytes_max: answer_bytes_max }, WAIT_MAX, clock).await {
            Ok(answer) => {
                *conn = Some(line);
                return Ok(answer);
            }
            // The service may end a connection that rests at any time.
            Err(failed) if is_kept && failed.reached == Reached::NotSent => {}
            Err(failed) => return Err(failed.why.kind().to_owned()),
        }
    }
    Err("closed".to_owned())
}
