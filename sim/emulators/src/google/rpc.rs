//! gRPC by tonic, over our own listener and without code made from a `.proto`: services are told apart by their path, and
//! messages are those of `droves_wire::android::pubsub`.

use droves_wire::android::Status;
use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use prost::Message;
use std::pin::Pin;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

/// A message with all that may be around it: what Pub/Sub takes in a request is 10 MB.
const MESSAGE_BYTES_MAX: usize = 12 << 20;
const CONTENT_TYPE: &str = "application/grpc";

/// Whether a request is one of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(CONTENT_TYPE.as_bytes()))
}

/// What takes calls of `Q` and answers by `A`.
pub(super) fn calls<Q, A>() -> Grpc<ProstCodec<A, Q>>
where
    Q: Message + Default + 'static,
    A: Message + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// A call of one message that is answered by one.
pub(super) async fn unary<Q, A, F>(request: Request<Incoming>, act: impl Fn(Q) -> F) -> Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Future<Output = Result<A, Status>> + 'static,
{
    calls().unary(Unary(act), request).await
}

/// A call of what is not there.
pub(super) fn unimplemented() -> Response<Body> {
    tonic::Status::unimplemented("Method not found.").into_http()
}

/// An error as gRPC has it: the code and the message. Details stay with REST.
pub(super) fn told(status: Status) -> tonic::Status {
    tonic::Status::new(status.code.number().into(), status.message)
}

struct Unary<F>(F);

impl<Q, A, F, T> UnaryService<Q> for Unary<T>
where
    T: Fn(Q) -> F,
    F: Future<Output = Result<A, Status>> + 'static,
{
    type Response = A;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<A>, tonic::Status>>>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        let done = (self.0)(request.into_inner());
        Box::pin(async move { done.await.map(tonic::Response::new).map_err(told) })
    }
}
