"""How notifications come: by streaming pull, or by push with a token that google-auth verifies."""

import base64
import binascii
import json
import threading
import time

import google.auth.exceptions
import google.auth.transport.requests
import jwt
from google.cloud import pubsub_v1 as pubsub
from google.oauth2 import id_token

from rules import moment
from signup import PUSHER

ISSUERS = {"https://accounts.google.com", "accounts.google.com"}
KEYS_KEPT = 300                # seconds
TAKEN, COME_AGAIN, WHO_ARE_YOU, UNREADABLE = 204, 503, 401, 400


def pull(messages, fleet, streams=1):
    """Google's library holds the stream, leases what the callback has, and acknowledges."""
    def called(message):
        kind = message.attributes.get("notificationType")
        if fleet.take(kind, bytes(message.data), message.message_id, message.publish_time.timestamp(), time.time()):
            message.ack()
        else:
            # A stream has refused messages back at once: so it is given a moment.
            threading.Timer(0.2, message.nack).start()
    flow = pubsub.types.FlowControl(max_messages=100)
    return [messages.subscriber.subscribe(messages.subscription, callback=called, flow_control=flow) for _ in range(streams)]


class Remembering(google.auth.transport.requests.Request):
    """google-auth asks for Google's keys with each token."""

    def __init__(self):
        super().__init__()
        self.kept = {}

    def __call__(self, url, method="GET", **how):
        at, answer = self.kept.get(url, (0, None))
        if answer is None or time.monotonic() - at > KEYS_KEPT:
            answer = super().__call__(url, method=method, **how)
            if answer.status == 200:
                self.kept[url] = (time.monotonic(), answer)
        return answer


class Push:
    def __init__(self, fleet, faults, google, audience, subscription):
        self.fleet, self.faults, self.audience, self.subscription = fleet, faults, audience, subscription
        self.certs, self.ask = f"{google}/oauth2/v3/certs", Remembering()

    def take(self, headers, body):
        """The status for a POST."""
        if not self.authentic(headers.get("Authorization", "")):
            return WHO_ARE_YOU
        try:
            kind, data, id, published = self.message(json.loads(body), headers)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.faults.add("push", f"a push that can't be read ({error!r}): {body[:100]!r}")
            return UNREADABLE
        return TAKEN if self.fleet.take(kind, data, id, published, time.time()) else COME_AGAIN

    def authentic(self, header):
        try:
            if not header.startswith("Bearer "):
                raise ValueError("no bearer")
            claims = id_token.verify_token(header.removeprefix("Bearer "), self.ask, audience=self.audience, certs_url=self.certs)
        except (ValueError, google.auth.exceptions.GoogleAuthError, jwt.PyJWTError) as error:
            self.faults.add("push_token", f"google-auth refuses the token of a push: {error}")
            return False
        if claims.get("iss") not in ISSUERS or claims.get("email") != PUSHER or claims.get("email_verified") is not True:
            self.faults.add("push_token", f"the token of a push has the claims {claims}")
            return False
        return True

    def message(self, body, headers):
        message = body["message"]
        if body["subscription"] != self.subscription:
            self.faults.add("push", f"a push for the subscription {body['subscription']!r}")
        for one, other in (("messageId", "message_id"), ("publishTime", "publish_time")):
            if message[one] != message.get(other):
                self.faults.add("push", f"{one} is {message[one]!r}, and {other} {message.get(other)!r}")
        if headers.get("Content-Type", "").partition(";")[0] != "application/json":
            self.faults.add("push", f"a push of type {headers.get('Content-Type')!r}")
        try:
            data = base64.b64decode(message.get("data", ""), validate=True)
        except binascii.Error as error:
            raise ValueError(f"data: {error}") from error
        published = moment(message["publishTime"])
        if published is None:
            raise ValueError(f"publishTime {message['publishTime']!r}")
        return message.get("attributes", {}).get("notificationType"), data, message["messageId"], published
