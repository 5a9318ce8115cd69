//! Pub/Sub by gRPC, as Google's client libraries speak it to an emulator: in the clear, and without saying who calls. What it
//! does is what REST does; the messages become its JSON.

use super::brain::Google;
use super::lanes::About;
use super::pubsub::{Data, Delivery, Draft, PULLED_MAX, PubSub, Room};
use super::query::Query;
use super::rpc;
use super::server::Shared;
use super::stream;
use droves_facts::{Dur, Wall};
use droves_wire::android::pubsub::{
    AcknowledgeRequest, ByName, ListRequest, ListSubscriptionsResponse, ListTopicSubscriptionsResponse,
    ListTopicsResponse, ModifyAckDeadlineRequest, ModifyPushConfigRequest, Policy, PublishRequest, PublishResponse,
    PubsubMessage, PullRequest, PullResponse, ReceivedMessage, SetIamPolicyRequest, Subscription,
    TestIamPermissionsRequest, TestIamPermissionsResponse, Topic, UpdateSubscriptionRequest, time,
};
use droves_wire::android::{FieldMask, Status};
use http::{Request, Response};
use hyper::body::Incoming;
use prost::Message;
use serde_json::Value;
use std::future::ready;
use std::sync::Arc;
use tonic::body::Body;

/// Answers a call.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    match path.trim_start_matches('/').split_once('/') {
        Some(("google.pubsub.v1.Publisher", method)) => publisher(shared, method, request).await,
        Some(("google.pubsub.v1.Subscriber", "StreamingPull")) => stream::answer(shared, request).await,
        Some(("google.pubsub.v1.Subscriber", method)) => subscriber(shared, method, request).await,
        Some(("google.iam.v1.IAMPolicy", method)) => iam(shared, method, request).await,
        _ => rpc::unimplemented(),
    }
}

async fn publisher(shared: Arc<Shared>, method: &str, request: Request<Incoming>) -> Response<Body> {
    match method {
        "CreateTopic" => {
            unary(shared, request, |pubsub, _, topic: Topic| {
                pubsub.create_topic(&topic.name, topic.to_json()).map(|json| Topic::from_json(&json))
            })
            .await
        }
        "GetTopic" => {
            unary(shared, request, |pubsub, _, of: ByName| pubsub.topic(&of.name).map(|json| Topic::from_json(&json)))
                .await
        }
        "DeleteTopic" => {
            unary(shared, request, |pubsub, _, of: ByName| pubsub.delete_topic(&of.name).map(|_| ())).await
        }
        "ListTopics" => {
            unary(shared, request, |pubsub, _, list: ListRequest| {
                let page = page(pubsub, &list, "topics")?;
                let topics = elements(&page, "topics").map(Topic::from_json).collect();
                Ok(ListTopicsResponse { topics, next_page_token: token(&page) })
            })
            .await
        }
        "ListTopicSubscriptions" => {
            unary(shared, request, |pubsub, _, list: ListRequest| {
                let page = page(pubsub, &list, "subscriptions")?;
                let names = elements(&page, "subscriptions").filter_map(|name| name.as_str().map(str::to_owned));
                Ok(ListTopicSubscriptionsResponse { subscriptions: names.collect(), next_page_token: token(&page) })
            })
            .await
        }
        "Publish" => unary(shared, request, publish).await,
        _ => rpc::unimplemented(),
    }
}

async fn subscriber(shared: Arc<Shared>, method: &str, request: Request<Incoming>) -> Response<Body> {
    match method {
        "CreateSubscription" => {
            unary(shared, request, |pubsub, _, of: Subscription| {
                pubsub.create_subscription(&of.name, of.to_json()).map(|json| Subscription::from_json(&json))
            })
            .await
        }
        "GetSubscription" => {
            unary(shared, request, |pubsub, _, of: ByName| {
                pubsub.subscription(&of.name).map(|json| Subscription::from_json(&json))
            })
            .await
        }
        "UpdateSubscription" => unary(shared, request, update).await,
        "DeleteSubscription" => {
            unary(shared, request, |pubsub, _, of: ByName| pubsub.delete_subscription(&of.name).map(|_| ())).await
        }
        "ListSubscriptions" => {
            unary(shared, request, |pubsub, _, list: ListRequest| {
                let page = page(pubsub, &list, "subscriptions")?;
                let subscriptions = elements(&page, "subscriptions").map(Subscription::from_json).collect();
                Ok(ListSubscriptionsResponse { subscriptions, next_page_token: token(&page) })
            })
            .await
        }
        "ModifyPushConfig" => {
            unary(shared, request, |pubsub, _, of: ModifyPushConfigRequest| {
                let config = of.push_config.unwrap_or_default().to_json();
                pubsub.modify_push_config(&of.subscription, config.into())
            })
            .await
        }
        "Pull" => rpc::unary(request, |asked| pull(Arc::clone(&shared), asked)).await,
        "Acknowledge" => {
            unary(shared, request, |pubsub, now, of: AcknowledgeRequest| {
                pubsub.acknowledge(now, &of.subscription, of.ack_ids.iter().map(String::as_str))
            })
            .await
        }
        "ModifyAckDeadline" => {
            unary(shared, request, |pubsub, now, of: ModifyAckDeadlineRequest| {
                let lease = Dur::secs(u64::try_from(of.ack_deadline_seconds).unwrap_or(0));
                pubsub.modify(now, &of.subscription, of.ack_ids.iter().map(String::as_str), lease)
            })
            .await
        }
        _ => rpc::unimplemented(),
    }
}

async fn iam(shared: Arc<Shared>, method: &str, request: Request<Incoming>) -> Response<Body> {
    match method {
        "GetIamPolicy" => {
            unary(shared, request, |pubsub, _, of: ByName| {
                pubsub.iam_policy(&of.name).map(|json| Policy::from_json(&json))
            })
            .await
        }
        "SetIamPolicy" => {
            unary(shared, request, |pubsub, _, of: SetIamPolicyRequest| {
                let policy = of.policy.unwrap_or_default().to_json();
                pubsub.set_iam_policy(&of.resource, policy).map(|json| Policy::from_json(&json))
            })
            .await
        }
        // Whoever calls here may do everything.
        "TestIamPermissions" => {
            unary(shared, request, |pubsub, _, of: TestIamPermissionsRequest| {
                pubsub.iam_policy(&of.resource)?;
                Ok(TestIamPermissionsResponse { permissions: of.permissions })
            })
            .await
        }
        _ => rpc::unimplemented(),
    }
}

fn publish(pubsub: &mut PubSub, now: Wall, of: PublishRequest) -> Result<PublishResponse, Status> {
    let draft = |message| {
        let PubsubMessage { attributes, data, ordering_key, .. } = message;
        let data = Data::Bytes(data);
        Draft { attributes, data, ordering_key, about: About::NOBODY }
    };
    let message_ids = pubsub.publish(now, &of.topic, of.messages.into_iter().map(draft).collect())?;
    Ok(PublishResponse { message_ids })
}

async fn pull(shared: Arc<Shared>, of: PullRequest) -> Result<PullResponse, Status> {
    let count = usize::try_from(of.max_messages).ok().filter(|count| *count > 0);
    let count = count.ok_or_else(|| Status::bad_field("max_messages", "must be positive"))?;
    let room = Room::of_answer(count.min(PULLED_MAX));
    let pull = |google: &mut Google, now| {
        let pubsub = google.pubsub();
        let pulled = pubsub.pull(now, &of.subscription, room, None);
        let waits = !of.return_immediately && matches!(&pulled, Ok(pulled) if pulled.is_empty());
        (pulled, waits.then(|| pubsub.pull_rest(now, &of.subscription)))
    };
    let pulled = shared.until_something(pull).await?;
    Ok(PullResponse { received_messages: pulled.iter().map(received).collect() })
}

fn update(pubsub: &mut PubSub, _: Wall, of: UpdateSubscriptionRequest) -> Result<Subscription, Status> {
    let subscription = of.subscription.ok_or_else(|| Status::bad_field("subscription", "required"))?;
    let mask = of.update_mask.map(|mask| mask.paths.join(",")).unwrap_or_default();
    let mask = FieldMask::read(&mask).map_err(|error| Status::bad_field("update_mask", error.to_string()))?;
    let mask = mask.ok_or_else(|| Status::bad_field("update_mask", "required"))?;
    let updated = pubsub.update_subscription(&subscription.name, &mask, &subscription.to_json())?;
    Ok(Subscription::from_json(&updated))
}

/// A delivery, as it is sent.
pub(super) fn received(delivery: &Delivery) -> ReceivedMessage {
    let Delivery { ack_id, message, attempt, .. } = delivery;
    ReceivedMessage {
        ack_id: ack_id.clone(),
        message: Some(PubsubMessage {
            data: delivery.data().into_owned(),
            attributes: message.attributes.clone(),
            message_id: message.id.clone(),
            publish_time: Some(time(message.published)),
            ordering_key: message.ordering_key.clone(),
        }),
        delivery_attempt: attempt.map_or(0, |attempt| i32::try_from(attempt).unwrap_or(i32::MAX)),
    }
}

fn page(pubsub: &PubSub, list: &ListRequest, what: &str) -> Result<Value, Status> {
    let query = format!("pageSize={}&pageToken={}", list.page_size, list.page_token);
    pubsub.list(&format!("{}/{what}", list.parent), &Query::read(&query)?)
}

fn elements<'p>(page: &'p Value, what: &str) -> impl Iterator<Item = &'p Value> {
    page.get(what).and_then(Value::as_array).into_iter().flatten()
}

fn token(page: &Value) -> String {
    page.get("nextPageToken").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A call of one message that is answered by one.
async fn unary<Q, A>(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    act: impl Fn(&mut PubSub, Wall, Q) -> Result<A, Status>,
) -> Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + 'static,
{
    rpc::unary(request, |asked| ready(shared.with(|google, now| act(google.pubsub(), now, asked)))).await
}
