"""The server under test, as an administrator and as a device meet it. Nothing here is Droves': HTTP and digests are Python's
own, MQTT is paho's."""

import hashlib
import http.client
import json
import queue
import time
from urllib.parse import quote, urlparse

import paho.mqtt.client as mqtt

SECRET = "changeme-C3z9vi54"
# What is waited for comes at once; a machine that others use too may take its time over that.
WAIT_S = 120


def sha1(text):
    return hashlib.sha1(text.encode()).hexdigest().upper()


def until(is_so):
    """Waits for it, and not for ever."""
    end = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.05)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def data(self):
        """What a good envelope holds."""
        envelope = self.json()
        assert self.status == 200 and list(envelope) == ["status", "message", "data"], envelope
        assert (envelope["status"], envelope["message"]) == ("OK", None), envelope
        return envelope["data"]

    def refused(self, message):
        """Refusals are HTTP 200 too."""
        assert (self.status, self.json()) == (200, {"status": "ERROR", "message": message, "data": None}), self.body

    def signed(self):
        """Signed over the data as it stands in the answer, without any white space."""
        text = self.body.decode()
        data = text[text.index('"data":') + len('"data":') : -1]
        expected = sha1(SECRET + "".join(data.split()))
        return self.headers["X-Response-Signature"] == expected


class Server:
    def __init__(self, told):
        self.told = told
        self.url = urlparse(told["url"])

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.url.netloc, timeout=WAIT_S)
        headers = dict(headers or {})
        if body is not None:
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body=body, headers=headers)
        return Answer(connection.getresponse())

    def admin(self, method, path, body=None):
        answer = self.ask(method, f"/admin/v1/{path}", body, {"Authorization": f"Bearer {self.told['token']}"})
        assert answer.status in (200, 207), (answer.status, answer.body)
        return answer.json()

    def configure(self, name, overlay, *numbers):
        return self.admin("PUT", f"configurations/{name}?ids={','.join(map(quote, numbers))}", overlay)

    def push(self, kind, *numbers, payload=None):
        message = {"messageType": kind} if payload is None else {"messageType": kind, "payload": payload}
        return self.admin("POST", f"messages?ids={','.join(map(quote, numbers))}", message)

    def believes(self, number):
        devices = {}
        page = self.admin("GET", "devices?limit=2")
        devices.update({row["number"]: row for row in page["devices"]})
        while page["next"] is not None:
            page = self.admin("GET", f"devices?limit=2&after={quote(page['next'])}")
            devices.update({row["number"]: row for row in page["devices"]})
        return devices.get(number)

    def truth(self):
        return self.ask("GET", "/_truth").json()


class Device:
    """An agent: its number is its client id and its topic."""

    def __init__(self, server, number, project=""):
        self.server, self.number, self.project = server, number, project
        self.base = f"/{project}/rest" if project else "/rest"

    def path(self, rest):
        return f"{self.base}/{rest}/{quote(self.number)}"

    def sync(self, method="GET", body=None, signature=None, number=None):
        signature = sha1(SECRET + self.number) if signature is None else signature
        headers = {"X-Request-Signature": signature, "X-CPU-Arch": "arm64-v8a"}
        path = self.path("public/sync/configuration") if number is None else f"{self.base}/public/sync/configuration/{number}"
        return self.server.ask(method, path, body, headers)

    def enroll(self, **values):
        return self.sync("POST", {"customer": None, "configuration": None, "groups": None, **values})

    def report(self, **values):
        info = {"deviceId": self.number, "model": "Pixel 8", "permissions": [1, 1, 1, 1], "batteryLevel": 71, "applications": []}
        return self.server.ask("POST", f"{self.base}/public/sync/info", {**info, **values})

    def poll_once(self):
        return self.server.ask("GET", self.path("notifications/device"))

    def poll(self, signature=None):
        """Held until there is something to say, or for long enough."""
        path = self.path("notification/polling")
        signature = sha1(SECRET + path) if signature is None else signature
        return self.server.ask("GET", path, headers={"X-Request-Signature": signature})

    def mqtt(self, **options):
        return Line(self.server, self.number, **options)


class Line:
    """A client of MQTT 3.1.1 as the agent is one. What it hears is in `heard`; what became of its connection in `ends`."""

    def __init__(self, server, number, password=None, clean=False, keep_alive=300, subscribe=True):
        self.heard, self.ends, self.subscribed = queue.Queue(), queue.Queue(), queue.Queue()
        self.number, self.is_subscriber = number, subscribe
        api = mqtt.CallbackAPIVersion.VERSION2
        self.client = mqtt.Client(api, client_id=number, clean_session=clean, protocol=mqtt.MQTTv311, reconnect_on_failure=False)
        self.client.username_pw_set("hmdm", sha1("hmdm" + SECRET) if password is None else password)
        self.connected = queue.Queue()
        self.client.on_connect = self.on_connect
        self.client.on_message = lambda _client, _data, message: self.heard.put(message)
        self.client.on_disconnect = lambda _client, _data, _flags, reason, _properties: self.ends.put(str(reason))
        self.client.on_subscribe = lambda _client, _data, _id, codes, _properties: self.subscribed.put([c.value for c in codes])
        host, port = server.told["mqtt"].rsplit(":", 1)
        self.client.connect(host, int(port), keepalive=keep_alive)
        self.client.loop_start()
        self.reason, self.session_present = self.connected.get(timeout=WAIT_S)
        if subscribe and self.reason == "Success":
            self.subscribed.get(timeout=WAIT_S)

    def on_connect(self, client, _data, flags, reason, _properties):
        if self.is_subscriber and not reason.is_failure:
            client.subscribe(self.number, qos=2)
        self.connected.put((str(reason), flags.session_present))

    def subscribe(self, topic, qos=2):
        self.client.subscribe(topic, qos=qos)
        return self.subscribed.get(timeout=WAIT_S)

    def hear(self):
        message = self.heard.get(timeout=WAIT_S)
        return message.topic, message.payload.decode()

    def leave(self):
        self.client.disconnect()
        self.ends.get(timeout=WAIT_S)
        self.client.loop_stop()
