"""The whole way to an enterprise that tells this server of its devices: topic, grant, subscription, sign-up, policies."""

import http.client
import os
from urllib.parse import parse_qs, urlparse

import google.api_core.exceptions
from google.cloud import pubsub_v1 as pubsub

import fleet
import rules
from calls import Refused

PUBLISHER = "serviceAccount:android-cloud-policy@system.gserviceaccount.com"
CALLBACK = "https://emm.example/signed-up?state=a%20b"
PUSHER = "pusher@emm.iam.gserviceaccount.com"
ALL_REPORTS = {"statusReportingSettings": {flag: True for flag in rules.FLAGS}}


class Messages:
    """Pub/Sub: the library finds a Google that is played as it finds an emulator."""

    def __init__(self, url, project, faults):
        os.environ["PUBSUB_EMULATOR_HOST"] = urlparse(url).netloc
        self.publisher, self.subscriber = pubsub.PublisherClient(), pubsub.SubscriberClient()
        self.topic, self.subscription = f"projects/{project}/topics/emm", f"projects/{project}/subscriptions/emm"
        self.faults = faults

    def prepare(self, push):
        """`push`: address and audience, or nothing to pull."""
        self.publisher.create_topic(name=self.topic)
        policy = self.publisher.get_iam_policy(request={"resource": self.topic})
        policy.bindings.add(role="roles/pubsub.publisher", members=[PUBLISHER])
        self.publisher.set_iam_policy(request={"resource": self.topic, "policy": policy})
        wanted = {"name": self.subscription, "topic": self.topic, "ack_deadline_seconds": 60}
        if push:
            url, audience = push
            wanted["push_config"] = {"push_endpoint": url, "oidc_token": {"service_account_email": PUSHER, "audience": audience}}
        made = self.subscriber.create_subscription(request=wanted)
        if made != self.subscriber.get_subscription(subscription=self.subscription):
            self.faults.add("pubsub", "a subscription is another than it was made")
        try:
            self.publisher.create_topic(name=self.topic)
            self.faults.add("pubsub", "a topic can be made twice")
        except google.api_core.exceptions.AlreadyExists:
            pass


def sign_up(calls, project, topic, faults):
    """An administrator's browser is led to Google, agrees there, and comes back with the token."""
    signup = calls.call(calls.service.signupUrls().create(projectId=project, callbackUrl=CALLBACK))
    back = urlparse(sent_back(signup["url"], faults))
    query = parse_qs(back.query)
    if query.get("state") != ["a b"] or "enterpriseToken" not in query:
        faults.add("signup", f"the browser came back with {back.query!r}")
    body = {"enterpriseDisplayName": "EMM"}
    create = {"projectId": project, "signupUrlName": signup["name"], "enterpriseToken": query["enterpriseToken"][0], "body": body}
    name = calls.call(calls.enterprises.create(**create))["name"]
    try:
        calls.call(calls.enterprises.create(**create))
        faults.add("signup", "an enterprise token is good for two enterprises")
    except Refused:
        pass
    wanted = {"pubsubTopic": topic, "enabledNotificationTypes": fleet.ENABLED}
    answer = calls.call(calls.enterprises.patch(name=name, updateMask=",".join(wanted), body=wanted))
    for part, value in {**wanted, **body, "name": name}.items():
        if answer.get(part) != value:
            faults.add("signup", f"{part} of the enterprise is {answer.get(part)!r}, and {value!r} was set")
    return name


def sent_back(url, faults):
    """Where Google sends the browser, after some redirections within Google."""
    start = urlparse(url)
    for _ in range(5):
        at = urlparse(url)
        if at.netloc != start.netloc:
            return url
        browser = http.client.HTTPConnection(at.netloc, timeout=30)
        browser.request("GET", f"{at.path}?{at.query}")
        answer = browser.getresponse()
        answer.read()
        browser.close()
        if answer.status not in (301, 302, 303, 307):
            break
        url = answer.getheader("Location")
    faults.add("signup", f"the sign-up URL {start.geturl()} leads nowhere")
    raise RuntimeError("no way back from the sign-up URL")
