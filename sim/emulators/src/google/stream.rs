//! A stream of messages (`StreamingPull`): as they come, as many as the client takes at once. An empty request is a ping, and
//! answered by an empty answer: a client that hears none believes the stream dead.

use super::grpc::received;
use super::pubsub::{ANSWER_BYTES_MAX, Delivery, Room};
use super::rpc::{self, told};
use super::server::Shared;
use droves_facts::Dur;
use droves_wire::android::Status;
use droves_wire::android::pubsub::{StreamingPullRequest, StreamingPullResponse};
use http::{Request, Response};
use hyper::body::Incoming;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::body::Body;
use tonic::server::StreamingService;

/// After so long a stream is cut off, as Google does; clients open another.
const STREAM_LASTS: Duration = Duration::from_secs(30 * 60);
/// Answers that wait for the client.
const ANSWERS_MAX: usize = 4;
/// Messages of one answer.
const ANSWER_MESSAGES_MAX: usize = 100;
/// Messages that a client has at once that does not say how many.
const OUTSTANDING_MAX: usize = 1_000;
/// What a lease of a stream may be, in seconds.
const LEASE_S: std::ops::RangeInclusive<i32> = 10..=600;

/// What a stream has given out, and not seen acknowledged.
struct Held {
    subscription: String,
    out: Vec<Out>,
    /// How much of it the client takes.
    room: Room,
}

struct Out {
    ack_id: String,
    bytes: usize,
}

impl Held {
    fn new(first: &StreamingPullRequest) -> Self {
        let room = |most: i64| usize::try_from(most).ok().filter(|most| *most > 0);
        let messages = room(first.max_outstanding_messages).unwrap_or(OUTSTANDING_MAX);
        let room = Room { messages, bytes: room(first.max_outstanding_bytes).unwrap_or(usize::MAX), takes_one: true };
        Held { subscription: first.subscription.clone(), out: Vec::new(), room }
    }

    /// How much the client takes in one answer, as it is now.
    fn room(&self) -> Room {
        let out: usize = self.out.iter().map(|out| out.bytes).sum();
        Room {
            messages: self.room.messages.saturating_sub(self.out.len()).min(ANSWER_MESSAGES_MAX),
            bytes: self.room.bytes.saturating_sub(out).min(ANSWER_BYTES_MAX),
            takes_one: self.out.is_empty(),
        }
    }

    fn hold(&mut self, pulled: &[Delivery]) {
        self.out.extend(pulled.iter().map(|of| Out { ack_id: of.ack_id.clone(), bytes: of.bytes() }));
    }
}

type Answer = Result<StreamingPullResponse, tonic::Status>;

/// Answers a call by a stream that goes on.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    rpc::calls().streaming(Pull(shared), request).await
}

struct Pull(Arc<Shared>);

impl StreamingService<StreamingPullRequest> for Pull {
    type Response = StreamingPullResponse;
    type ResponseStream = ReceiverStream<Answer>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<StreamingPullRequest>>) -> Self::Future {
        let (answers, heard) = channel(ANSWERS_MAX);
        tokio::task::spawn_local(run(Arc::clone(&self.0), request.into_inner(), answers));
        ready(Ok(tonic::Response::new(ReceiverStream::new(heard))))
    }
}

/// Serves a stream to its end. Whoever hangs up gives back what it holds.
async fn run(shared: Arc<Shared>, mut requests: Streaming<StreamingPullRequest>, answers: Sender<Answer>) {
    let ended = match requests.message().await {
        Ok(Some(first)) => {
            let mut held = Held::new(&first);
            let ended = converse(&shared, &first, requests, &answers, &mut held).await;
            // The subscription may be gone.
            let _given_back = shared.with(|google, now| {
                let ack_ids = held.out.iter().map(|out| out.ack_id.as_str());
                google.pubsub().modify(now, &held.subscription, ack_ids, Dur::ZERO).is_ok()
            });
            ended
        }
        Ok(None) => Ok(()),
        Err(why) => Err(why),
    };
    if let Err(why) = ended {
        // Nobody is left to be told where this fails.
        let _told = answers.send(Err(why)).await.is_ok();
    }
}

async fn converse(
    shared: &Shared,
    first: &StreamingPullRequest,
    mut requests: Streaming<StreamingPullRequest>,
    answers: &Sender<Answer>,
    held: &mut Held,
) -> Result<(), tonic::Status> {
    let mut lease = lease(first)?;
    let (mut changes, end) = (shared.changes(), Instant::now() + STREAM_LASTS);
    loop {
        changes.mark_unchanged();
        let (pulled, rest) = shared.look(|google, now| {
            let pubsub = google.pubsub();
            held.out.retain(|out| pubsub.is_out(&held.subscription, &out.ack_id));
            let pulled = pubsub.pull(now, &held.subscription, held.room(), Some(lease));
            (pulled, pubsub.pull_rest(now, &held.subscription))
        });
        let pulled = pulled.map_err(told)?;
        if !pulled.is_empty() {
            held.hold(&pulled);
            let answer = StreamingPullResponse { received_messages: pulled.iter().map(received).collect() };
            if answers.send(Ok(answer)).await.is_err() {
                return Ok(());
            }
            continue;
        }
        tokio::select! {
            request = requests.message() => {
                // A client that ends its half, or breaks off, is gone.
                let Ok(Some(request)) = request else { return Ok(()) };
                if request.stream_ack_deadline_seconds != 0 {
                    lease = self::lease(&request)?;
                }
                let is_ping = take(shared, &held.subscription, &request).map_err(told)?;
                if is_ping && answers.send(Ok(StreamingPullResponse::default())).await.is_err() {
                    return Ok(());
                }
            }
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            () = sleep(rest.std()) => {}
            () = sleep_until(end) => return Err(tonic::Status::unavailable("The stream has lasted long enough.")),
            () = answers.closed() => return Ok(()),
        }
    }
}

/// How long a message is the client's that it is given from now on.
fn lease(request: &StreamingPullRequest) -> Result<Dur, tonic::Status> {
    let secs = Some(request.stream_ack_deadline_seconds).filter(|secs| LEASE_S.contains(secs));
    let bad = || told(Status::bad_field("stream_ack_deadline_seconds", "must be between 10 and 600"));
    Ok(Dur::secs(u64::try_from(secs.ok_or_else(bad)?).unwrap_or(0)))
}

/// Does what a request asks for; true if that was nothing.
fn take(shared: &Shared, subscription: &str, request: &StreamingPullRequest) -> Result<bool, Status> {
    let leases = request.modify_deadline_ack_ids.iter().zip(&request.modify_deadline_seconds);
    shared.with(|google, now| {
        let pubsub = google.pubsub();
        pubsub.acknowledge(now, subscription, request.ack_ids.iter().map(String::as_str))?;
        for (ack_id, secs) in leases {
            let lease = Dur::secs(u64::try_from(*secs).unwrap_or(0));
            pubsub.modify(now, subscription, std::iter::once(ack_id.as_str()), lease)?;
        }
        Ok(request.ack_ids.is_empty() && request.modify_deadline_ack_ids.is_empty())
    })
}
