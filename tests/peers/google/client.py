"""Google's clients, as they are pointed at a Google that is played, and the devices that the test plays."""

import json
import os
import sys
from urllib.parse import urlparse

from google import pubsub_v1
from google.cloud import pubsub_v1 as cloud
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import HttpRequest

import schema

SCOPE = "https://www.googleapis.com/auth/androidmanagement"
PROJECT = "p1"
TOPIC = f"projects/{PROJECT}/topics/amapi"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/amapi"
PUBLISHER = "serviceAccount:android-cloud-policy@system.gserviceaccount.com"

called = set()


class Checked(HttpRequest):
    """A request whose answer is held against the schema of its method."""

    def execute(self, *args, **kwargs):
        answer = super().execute(*args, **kwargs)
        if self.methodId in schema.METHODS and "fields=" not in self.uri:
            called.add(self.methodId)
            schema.check(schema.METHODS[self.methodId]["response"]["$ref"], answer)
        return answer


def device(act, **what):
    """Has the test play a device."""
    print(json.dumps({"act": act, **what}), flush=True)
    return json.loads(sys.stdin.readline())


def refused(status, reason, call):
    try:
        call()
    except HttpError as error:
        body = json.loads(error.content)["error"]
        assert (error.resp.status, body["status"], body["code"]) == (status, reason, status), error
        return error
    raise AssertionError(f"{status} {reason} was expected")


def android(url, key, **options):
    credentials = service_account.Credentials.from_service_account_file(key, scopes=[SCOPE])
    options.setdefault("client_options", {"api_endpoint": url})
    return build("androidmanagement", "v1", credentials=credentials, requestBuilder=Checked, **options)


def pubsub(url, key):
    """Google's clients of Pub/Sub by REST, with a self-signed token as their bearer."""
    credentials = service_account.Credentials.from_service_account_file(key)
    options = {"transport": "rest", "credentials": credentials, "client_options": {"api_endpoint": url}}
    return pubsub_v1.PublisherClient(**options), pubsub_v1.SubscriberClient(**options)


def iam(url, key):
    credentials = service_account.Credentials.from_service_account_file(key, scopes=[SCOPE])
    return build("pubsub", "v1", credentials=credentials, client_options={"api_endpoint": url}).projects().topics()


def granted_topic(url, key):
    publisher, subscriber = pubsub(url, key)
    publisher.create_topic(name=TOPIC)
    topics = iam(url, key)
    policy = topics.getIamPolicy(resource=TOPIC).execute()
    policy["bindings"] = [{"role": "roles/pubsub.publisher", "members": [PUBLISHER]}]
    topics.setIamPolicy(resource=TOPIC, body={"policy": policy}).execute()
    return publisher, subscriber


def emulated(url):
    """Google's library of Pub/Sub by gRPC, as it talks to an emulator."""
    os.environ["PUBSUB_EMULATOR_HOST"] = urlparse(url).netloc
    return cloud.PublisherClient(), cloud.SubscriberClient()
