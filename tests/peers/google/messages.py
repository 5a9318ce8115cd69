"""Pub/Sub: by REST, by push, by gRPC, by streams; and what the Android Management API publishes."""

import base64
import functools
import http.server
import json
import queue
import threading
import urllib.request

import google.auth.exceptions
import google.auth.transport.requests
import grpc
import jwt
from google import pubsub_v1
from google.api_core import exceptions
from google.cloud import pubsub_v1 as cloud
from google.oauth2 import id_token

import schema
from client import PROJECT, PUBLISHER, SUBSCRIPTION, TOPIC, android, device, emulated, granted_topic, iam, refused
from management import sign_up


def pulled(subscriber, count):
    """So many notifications, acknowledged: their types, and what they hold."""
    found = []
    while len(found) < count:
        answer = subscriber.pull(subscription=SUBSCRIPTION, max_messages=100)
        assert answer.received_messages, f"{count} notifications were expected, {found}"
        for received in answer.received_messages:
            kind = received.message.attributes["notificationType"]
            found.append((kind, json.loads(received.message.data or b"null")))
        ids = [received.ack_id for received in answer.received_messages]
        subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=ids)
    return found


def nothing(subscriber):
    """There is nothing to be pulled, and nobody waits for it."""
    request = {"subscription": SUBSCRIPTION, "max_messages": 10, "return_immediately": True}
    return not subscriber.pull(request=request).received_messages


def waits(subscriber, publish):
    """A pull that finds nothing waits until there is something."""
    threading.Timer(0.5, publish).start()
    [received] = subscriber.pull(subscription=SUBSCRIPTION, max_messages=10).received_messages
    assert received.message.data == b"late"
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[received.ack_id])


def case_pubsub(url, key):
    """Topics, subscriptions, and what is delivered again, by REST."""
    publisher, subscriber = granted_topic(url, key)
    try:
        publisher.create_topic(name=TOPIC)
        raise AssertionError("made twice")
    except exceptions.Conflict:
        pass
    made = subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    assert made.ack_deadline_seconds == 10 and made.message_retention_duration.days == 7
    # Long enough that nothing comes again because this machine is slow.
    changed = {"name": SUBSCRIPTION, "ack_deadline_seconds": 600}
    update = {"subscription": changed, "update_mask": {"paths": ["ack_deadline_seconds"]}}
    assert subscriber.update_subscription(request=update).ack_deadline_seconds == 600
    assert [of.name for of in publisher.list_topics(project=f"projects/{PROJECT}")] == [TOPIC]
    assert list(publisher.list_topic_subscriptions(topic=TOPIC)) == [SUBSCRIPTION]
    messages = [{"data": b"one", "attributes": {"a": "b"}}, {"data": "\u00e4".encode()}]
    ids = publisher.publish(topic=TOPIC, messages=messages).message_ids
    assert len(set(ids)) == 2
    first = subscriber.pull(subscription=SUBSCRIPTION, max_messages=10).received_messages
    assert [of.message.message_id for of in first] == list(ids)
    assert (first[0].message.data, dict(first[0].message.attributes)) == (b"one", {"a": "b"})
    refuse = {"subscription": SUBSCRIPTION, "ack_ids": [first[0].ack_id], "ack_deadline_seconds": 0}
    subscriber.modify_ack_deadline(request=refuse)
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[first[1].ack_id])
    again = subscriber.pull(subscription=SUBSCRIPTION, max_messages=10).received_messages
    assert [of.message.message_id for of in again] == [ids[0]]
    assert again[0].ack_id != first[0].ack_id and again[0].message.publish_time == first[0].message.publish_time
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[again[0].ack_id])
    assert nothing(subscriber)
    late = {"topic": TOPIC, "messages": [{"data": b"late"}]}
    waits(subscriber, lambda: publisher.publish(**late))
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    publisher.delete_topic(topic=TOPIC)
    try:
        subscriber.pull(subscription=SUBSCRIPTION, max_messages=1)
        raise AssertionError("a subscription that is gone")
    except exceptions.NotFound:
        pass


def case_notifications(url, key):
    """Every type of notification, with what the schema of its resource allows."""
    service = android(url, key)
    enterprises = service.enterprises()
    name = sign_up(service)
    kinds = ["ENROLLMENT", "STATUS_REPORT", "COMMAND", "USAGE_LOGS", "COMPLIANCE_REPORT"]
    body = {"pubsubTopic": TOPIC, "enabledNotificationTypes": kinds}
    mask = "pubsubTopic,enabledNotificationTypes"
    refused(400, "INVALID_ARGUMENT", enterprises.patch(name=name, updateMask=mask, body=body).execute)
    _, subscriber = granted_topic(url, key)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    enterprises.patch(name=name, updateMask=mask, body=body).execute()
    assert pulled(subscriber, 1) == [("test", None)]

    settings = {"statusReportingSettings": {"softwareInfoEnabled": True}}
    enterprises.policies().patch(name=f"{name}/policies/p", body=settings).execute()
    secret = json.dumps({"EnrollSecret": "\u00e9", "x": 'a"b'})
    token = {"policyName": "p", "additionalData": secret, "oneTimeOnly": True}
    value = enterprises.enrollmentTokens().create(parent=name, body=token).execute()["value"]
    enrolled = device("enroll", token=value, serial="s1")
    assert device("enroll", token=value, serial="s2") == {"error": "enrollment token is unknown, used up or expired"}
    [(kind, data)] = pulled(subscriber, 1)
    assert (kind, data["name"], data["enrollmentTokenData"]) == ("ENROLLMENT", enrolled["name"], secret)
    schema.check("Device", data)

    section = {"softwareInfo": {"androidVersion": "15"}, "memoryInfo": {"totalRam": "8000000000"}}
    device("report", device=enrolled["name"], applied=1, report={"policyCompliant": True, **section})
    (kind, data), (other, _) = pulled(subscriber, 2)
    assert (kind, other) == ("STATUS_REPORT", "COMPLIANCE_REPORT")
    assert "softwareInfo" in data and "memoryInfo" not in data, "what no policy asks for is absent"
    schema.check("Device", data)
    event = {"eventId": "1", "eventTime": "2026-01-05T08:00:00Z", "eventType": "OS_STARTUP", "osStartupEvent": {}}
    device("log", device=enrolled["name"], events=[event])
    [(kind, data)] = pulled(subscriber, 1)
    assert kind == "USAGE_LOGS" and data["device"] == enrolled["name"]
    schema.check("BatchUsageLogEvents", data)

    wipe = enterprises.devices().issueCommand(name=enrolled["name"], body={"type": "WIPE"}).execute()
    device("done", operation=wipe["name"])
    [(kind, data)] = pulled(subscriber, 1)
    assert (kind, data["name"], data["done"]) == ("COMMAND", wipe["name"], True)
    schema.check("Operation", data)
    device("leave", device=enrolled["name"])
    [(kind, data)] = pulled(subscriber, 1)
    assert (kind, data["appliedState"]) == ("STATUS_REPORT", "DELETED")
    value = enterprises.enrollmentTokens().create(parent=name, body={}).execute()["value"]
    again = device("enroll", token=value, serial="s1")
    [(kind, data)] = pulled(subscriber, 1)
    assert (data["name"], data["previousDeviceNames"]) == (again["name"], [enrolled["name"]])
    urllib.request.urlopen(enterprises.generateEnterpriseUpgradeUrl(name=name, body={}).execute()["url"])
    [(kind, data)] = pulled(subscriber, 1)
    assert kind == "ENTERPRISE_UPGRADE"
    schema.check("EnterpriseUpgradeEvent", data)


SECTIONS = {
    "applicationReportsEnabled": "applicationReports",
    "softwareInfoEnabled": "softwareInfo",
    "networkInfoEnabled": "networkInfo",
    "memoryInfoEnabled": "memoryEvents",
    "displayInfoEnabled": "displays",
    "deviceSettingsEnabled": "deviceSettings",
    "hardwareStatusEnabled": "hardwareStatusSamples",
    "powerManagementEventsEnabled": "powerManagementEvents",
    "systemPropertiesEnabled": "systemProperties",
    "defaultApplicationInfoReportingEnabled": "defaultApplicationInfo",
    "commonCriteriaModeEnabled": "commonCriteriaModeInfo",
}


def case_agents(url, key):
    """Devices that report by recipe, managed in every way: everything that is told of them is as its schema says."""
    service = android(url, key)
    enterprises = service.enterprises()
    name = sign_up(service)
    _, subscriber = granted_topic(url, key)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    kinds = ["ENROLLMENT", "STATUS_REPORT"]
    enterprises.patch(name=name, body={"pubsubTopic": TOPIC, "enabledNotificationTypes": kinds}).execute()
    settings = {flag: True for flag in SECTIONS} | {"applicationReportingSettings": {"includeRemovedApps": True}}
    body = {"statusReportingSettings": settings}
    enterprises.policies().patch(name=f"{name}/policies/p", body=body).execute()
    pulled(subscriber, 1)

    def token(usage):
        body = {"policyName": "p", "allowPersonalUsage": usage}
        return enterprises.enrollmentTokens().create(parent=name, body=body).execute()["value"]

    allowed, nobodys = token("PERSONAL_USAGE_ALLOWED"), token("PERSONAL_USAGE_DISALLOWED_USERLESS")

    def ask(lane, **what):
        return device("ask", lane=lane, ask=what)["answer"]

    for lane, mode in enumerate(("fully_managed", "dedicated", "company_work_profile", "personal_work_profile")):
        recipe = {
            "seed": lane, "mode": mode, "brand": "Fairphone", "model": "FP5", "android_version": "16", "api_level": 36,
            "serial": f"serial-{lane}", "system_apps": 40, "applied_state": "", "boots": 3,
            "apps": [{"package": f"com.example.a{n}", "version": n, "removed": n == 3} for n in range(60)],
            "details": [
                {"setting": "applications", "reason": "PENDING", "package": "com.example.b", "failure": "IN_PROGRESS"},
                {"setting": "passwordPolicies", "reason": "USER_ACTION", "package": "", "failure": ""},
            ],
        }  # fmt: skip
        right, wrong = (nobodys, allowed) if mode == "dedicated" else (allowed, nobodys)
        if mode != "fully_managed":
            enroll = {"enroll": {"token": wrong, "recipe": recipe}}
            assert device("ask", lane=lane, ask=enroll) == {"status": 409}, "a token for others"
        one = ask(lane, enroll={"token": right, "recipe": recipe})["enrolled"]["device"]
        policy = ask(lane, sync={"device": one, "applied": 0})["sync"]["policy"]
        assert policy["body"]["statusReportingSettings"] == settings
        assert ask(lane, report={"device": one, "applied": 1, "recipe": recipe}) == "taken"
        (first, enrolled), (second, reported) = pulled(subscriber, 2)
        assert (first, second) == ("ENROLLMENT", "STATUS_REPORT")
        schema.check("Device", enrolled)
        schema.check("Device", reported)
        missing = {section for section in SECTIONS.values() if section not in reported}
        hidden = {"displays", "hardwareStatusSamples", "powerManagementEvents", "commonCriteriaModeInfo"}
        assert missing == (hidden if mode == "personal_work_profile" else set()), missing
        assert len(reported["applicationReports"]) == (60 if "profile" in mode else 100)
        assert enterprises.devices().get(name=one).execute() == reported
    assert len(enterprises.devices().list(parent=name).execute()["devices"]) == 4


def case_faults(url, key):
    """What goes wrong on order: calls that are tried again, and notifications that come twice, or never."""
    service = android(url, key)
    enterprises = service.enterprises()
    name = sign_up(service)
    for fault in ("unavailable", "internal", "quota"):
        device("fault", fault=fault, about=["enterprises.get"], nth=1)
        assert enterprises.get(name=name).execute(num_retries=2)["name"] == name
    assert device("struck") == {"unavailable": 1, "internal": 1, "quota": 1}
    device("fault", fault="quota", about=["enterprises.get"], nth=1)
    refused(429, "RESOURCE_EXHAUSTED", enterprises.get(name=name).execute)

    _, subscriber = granted_topic(url, key)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    body = {"pubsubTopic": TOPIC, "enabledNotificationTypes": ["ENROLLMENT", "STATUS_REPORT"]}
    enterprises.patch(name=name, body=body).execute()
    enterprises.policies().patch(name=f"{name}/policies/default", body={}).execute()
    value = enterprises.enrollmentTokens().create(parent=name, body={}).execute()["value"]
    device("fault", fault="lose", about=["ENROLLMENT"], nth=1)
    one = device("enroll", token=value, serial="s1")["name"]
    assert [kind for kind, _ in pulled(subscriber, 1)] == ["test"]
    device("fault", fault="repeat", about=["STATUS_REPORT"], nth=1)
    device("report", device=one, applied=1, report={"policyCompliant": True})
    first, second = subscriber.pull(subscription=SUBSCRIPTION, max_messages=10).received_messages
    assert first.message == second.message and first.ack_id != second.ack_id
    assert first.message.attributes["notificationType"] == "STATUS_REPORT"


class Endpoint(http.server.BaseHTTPRequestHandler):
    """A push endpoint that refuses the first post, and keeps all of them."""

    posts = []
    more = threading.Condition()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.more:
            self.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = 503 if len(self.posts) == 1 else 204
            self.more.notify_all()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

    @classmethod
    def wait(cls, count):
        with cls.more:
            assert cls.more.wait_for(lambda: len(cls.posts) >= count, 60), f"{len(cls.posts)} posts of {count}"
            return cls.posts[:count]


def case_push(url, key):
    """Push with a token that google-auth believes, delivered again after a refusal; and bare, with headers."""
    publisher, subscriber = granted_topic(url, key)
    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{endpoint.server_port}/push?token=secret"
    account = "push@p1.iam.gserviceaccount.com"
    config = {"push_endpoint": here, "oidc_token": {"service_account_email": account, "audience": "emm"}}
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, "push_config": config})
    attributes = {"notificationType": "STATUS_REPORT"}
    [id] = publisher.publish(topic=TOPIC, messages=[{"data": b"{}", "attributes": attributes}]).message_ids
    (_, first), (headers, second) = Endpoint.wait(2)
    body = json.loads(second)
    assert first == second, "the same message, with the same id and time"
    message = body["message"]
    assert body["subscription"] == SUBSCRIPTION and message["messageId"] == message["message_id"] == id
    assert base64.b64decode(message["data"]) == b"{}" and message["attributes"] == attributes
    bearer = headers["authorization"].removeprefix("Bearer ")
    ask = google.auth.transport.requests.Request()
    for form in ("v1", "v3"):
        certs = f"{url}/oauth2/{form}/certs"
        claims = id_token.verify_token(bearer, ask, audience="emm", certs_url=certs)
        assert (claims["email"], claims["email_verified"]) == (account, True)
        assert claims["iss"] == "https://accounts.google.com"
        try:
            id_token.verify_token(bearer, ask, audience="somebody else", certs_url=certs)
            raise AssertionError("another audience was believed")
        except (ValueError, google.auth.exceptions.GoogleAuthError, jwt.PyJWTError):
            pass
    bare = {"push_endpoint": here, "no_wrapper": {"write_metadata": True}}
    subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config=bare)
    [id] = publisher.publish(topic=TOPIC, messages=[{"data": b"raw", "attributes": attributes}]).message_ids
    headers, body = Endpoint.wait(3)[2]
    assert body == b"raw" and headers["x-goog-pubsub-message-id"] == id
    assert headers["notificationtype"] == "STATUS_REPORT" and "authorization" not in headers


def case_grpc(url, key):
    """Every call of Pub/Sub by gRPC, and that REST has heard of them."""
    publisher, subscriber = emulated(url)
    publisher.create_topic(name=TOPIC)
    assert publisher.get_topic(topic=TOPIC).name == TOPIC
    policy = publisher.get_iam_policy(request={"resource": TOPIC})
    policy.bindings.add(role="roles/pubsub.publisher", members=[PUBLISHER])
    etag = policy.etag
    assert publisher.set_iam_policy(request={"resource": TOPIC, "policy": policy}).etag != etag
    try:
        publisher.set_iam_policy(request={"resource": TOPIC, "policy": policy})
        raise AssertionError("an old policy was taken")
    except exceptions.Aborted:
        pass
    assert iam(url, key).getIamPolicy(resource=TOPIC).execute()["bindings"][0]["members"] == [PUBLISHER]
    allowed = publisher.test_iam_permissions(request={"resource": TOPIC, "permissions": ["pubsub.topics.publish"]})
    assert list(allowed.permissions) == ["pubsub.topics.publish"]
    assert publisher.publish(TOPIC, bytes(9_000_000)).result(60), "Pub/Sub takes 10 MB"
    wanted = {
        "name": SUBSCRIPTION,
        "topic": TOPIC,
        "ack_deadline_seconds": 60,
        "message_retention_duration": {"seconds": 86400},
        "retry_policy": {"minimum_backoff": {"seconds": 10}},
        "dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 7},
        "labels": {"a": "b"},
        "enable_message_ordering": True,
    }
    made = subscriber.create_subscription(request=wanted)
    assert made == subscriber.get_subscription(subscription=SUBSCRIPTION)
    assert (made.message_retention_duration.days, made.dead_letter_policy.max_delivery_attempts) == (1, 7)
    assert made.state == cloud.types.Subscription.State.ACTIVE and made.labels == {"a": "b"}
    change = {"name": SUBSCRIPTION, "ack_deadline_seconds": 30}
    update = {"subscription": change, "update_mask": {"paths": ["ack_deadline_seconds"]}}
    assert subscriber.update_subscription(request=update).ack_deadline_seconds == 30
    assert [of.name for of in publisher.list_topics(project=f"projects/{PROJECT}")] == [TOPIC]
    assert [of.name for of in subscriber.list_subscriptions(project=f"projects/{PROJECT}")] == [SUBSCRIPTION]
    assert list(publisher.list_topic_subscriptions(topic=TOPIC)) == [SUBSCRIPTION]
    id = publisher.publish(TOPIC, b"data", notificationType="COMMAND").result(60)
    [received] = subscriber.pull(subscription=SUBSCRIPTION, max_messages=10).received_messages
    assert (received.message.message_id, received.message.data) == (id, b"data")
    assert received.message.attributes == {"notificationType": "COMMAND"}
    lease = {"subscription": SUBSCRIPTION, "ack_ids": [received.ack_id], "ack_deadline_seconds": 60}
    subscriber.modify_ack_deadline(request=lease)
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[received.ack_id])
    assert nothing(subscriber)
    waits(subscriber, lambda: publisher.publish(TOPIC, b"late"))
    subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config={})
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    publisher.delete_topic(topic=TOPIC)
    for call in (
        lambda: publisher.get_topic(topic=TOPIC),
        lambda: subscriber.get_subscription(subscription=SUBSCRIPTION),
        lambda: subscriber.pull(subscription=SUBSCRIPTION, max_messages=1),
    ):
        try:
            call()
            raise AssertionError("gone, and found")
        except exceptions.NotFound:
            pass
    unplayed = [
        {"filter": 'attributes.a = "b"'},
        {"enable_exactly_once_delivery": True},
        {"bigquery_config": {"table": "p.d.t"}},
        {"cloud_storage_config": {"bucket": "b"}},
        {"message_transforms": [{"javascript_udf": {"function_name": "f", "code": "function f(m) { return m; }"}}]},
    ]
    publisher.create_topic(name=TOPIC)
    subscription = {"name": SUBSCRIPTION, "topic": TOPIC}
    calls = [functools.partial(subscriber.create_subscription, request=subscription | wanted) for wanted in unplayed]
    for call in [*calls, lambda: subscriber.list_snapshots(project=f"projects/{PROJECT}")]:
        try:
            call()
            raise AssertionError("what is not played was taken")
        except exceptions.MethodNotImplemented:
            pass


def case_streaming(url, key):
    """A thousand messages by streaming pull; some are refused once, and come again under the same id."""
    publisher, subscriber = emulated(url)
    publisher.create_topic(name=TOPIC)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    futures = [publisher.publish(TOPIC, str(n).encode(), n=str(n)) for n in range(1000)]
    sent = {future.result(60): n for n, future in enumerate(futures)}
    assert len(sent) == 1000
    seen, more = [], threading.Condition()

    def callback(message):
        with more:
            first = message.message_id not in [id for id, _ in seen] if sent[message.message_id] % 100 == 0 else False
            seen.append((message.message_id, message.data))
            more.notify_all()
        message.nack() if first else message.ack()

    pull = subscriber.subscribe(SUBSCRIPTION, callback)
    with more:
        assert more.wait_for(lambda: len(seen) >= 1010, 120), len(seen)
    pull.cancel()
    pull.result(60)
    assert all(data == str(sent[id]).encode() for id, data in seen)
    assert {id for id, _ in seen} == set(sent)
    again = {sent[id] for id in sent if [of for of, _ in seen].count(id) > 1}
    assert again >= set(range(0, 1000, 100)), again


def case_keepalive(url, key):
    """The protocol of a stream by hand: pings are answered, flow is controlled, and whoever hangs up gives back."""
    publisher, subscriber = emulated(url)
    publisher.create_topic(name=TOPIC)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    ids = [publisher.publish(TOPIC, str(n).encode()).result(60) for n in range(5)]

    def stream(outstanding, octets=0):
        requests = queue.SimpleQueue()
        first = {"stream_ack_deadline_seconds": 600, "max_outstanding_messages": outstanding, "protocol_version": 1}
        first["max_outstanding_bytes"] = octets
        requests.put(pubsub_v1.types.StreamingPullRequest(subscription=SUBSCRIPTION, **first))
        return requests, subscriber.streaming_pull(requests=iter(requests.get, None), timeout=60)

    requests, answers = stream(2)
    received = next(iter(answers)).received_messages
    assert [of.message.message_id for of in received] == ids[:2], "two at once, and no more"
    requests.put(pubsub_v1.types.StreamingPullRequest())
    assert not next(iter(answers)).received_messages, "a ping's answer"
    requests.put(pubsub_v1.types.StreamingPullRequest(ack_ids=[received[0].ack_id]))
    [third] = next(iter(answers)).received_messages
    assert third.message.message_id == ids[2], "an acknowledgment makes room for one"
    answers.cancel()
    requests, answers = stream(10)
    again = []
    while len(again) < 4:
        again += [of.message.message_id for of in next(iter(answers)).received_messages]
    assert sorted(again) == ids[1:], "all but the one that was acknowledged"
    answers.cancel()
    requests, answers = stream(10, 1)
    [one] = next(iter(answers)).received_messages
    requests.put(pubsub_v1.types.StreamingPullRequest())
    assert not next(iter(answers)).received_messages, "no room for a second"
    requests.put(pubsub_v1.types.StreamingPullRequest(ack_ids=[one.ack_id]))
    assert len(next(iter(answers)).received_messages) == 1
    subscriber.delete_subscription(subscription=SUBSCRIPTION)
    try:
        next(iter(answers))
        raise AssertionError("the stream of a subscription that is gone")
    except (exceptions.NotFound, grpc.RpcError):
        pass


def case_order(url, key):
    """Messages of one key come in their order, also where some are refused; and those that fail too often are put away."""
    emulated(url)
    publisher = cloud.PublisherClient(publisher_options=cloud.types.PublisherOptions(enable_message_ordering=True))
    subscriber = cloud.SubscriberClient()
    publisher.create_topic(name=TOPIC)
    wanted = {"name": SUBSCRIPTION, "topic": TOPIC, "enable_message_ordering": True}
    subscriber.create_subscription(request=wanted)
    for n in range(60):
        publisher.publish(TOPIC, str(n).encode(), ordering_key=f"key-{n % 3}")
    seen, refused_once, more = [], set(), threading.Condition()

    def callback(message):
        n = int(message.data)
        with more:
            if n % 10 == 0 and n not in refused_once:
                refused_once.add(n)
                message.nack()
                return
            if n not in seen:
                seen.append(n)
            more.notify_all()
        message.ack()

    pull = subscriber.subscribe(SUBSCRIPTION, callback)
    with more:
        assert more.wait_for(lambda: len(seen) == 60, 60), seen
    pull.cancel()
    pull.result(60)
    for rest in range(3):
        of_key = [n for n in seen if n % 3 == rest]
        assert of_key == sorted(of_key), of_key
    subscriber.delete_subscription(subscription=SUBSCRIPTION)

    dead, dead_subscription = f"{TOPIC}-dead", f"{SUBSCRIPTION}-dead"
    publisher.create_topic(name=dead)
    subscriber.create_subscription(name=dead_subscription, topic=dead)
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, "dead_letter_policy": policy})
    publisher.publish(TOPIC, b"bad").result(60)
    for attempt in range(1, 6):
        [received] = subscriber.pull(subscription=SUBSCRIPTION, max_messages=1).received_messages
        assert received.delivery_attempt == attempt
        refuse = {"subscription": SUBSCRIPTION, "ack_ids": [received.ack_id], "ack_deadline_seconds": 0}
        subscriber.modify_ack_deadline(request=refuse)
    assert nothing(subscriber)
    [received] = subscriber.pull(subscription=dead_subscription, max_messages=1).received_messages
    assert received.message.data == b"bad"
    assert received.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
