"""How a push goes out: by MQTT and, at once, to a held long poll or into the database; perhaps by FCM, too."""

import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor, wait

import paho.mqtt.client as mqtt

from state import sha1

UNDELIVERED_KEPT = 3600        # seconds that a row waits
FCM_AT_ONCE = 10               # as many connections as the library keeps
FCM_KEPT = 4 * 3600            # seconds, the message's ttl
PATIENCE = 60                  # seconds an administrator's call waits for what it sent
RECENT = 500


class Poll:
    """A long poll that is held."""

    def __init__(self, device_id):
        self.device_id = device_id
        self.messages = []
        self.done = threading.Event()


class Mqtt:
    def __init__(self, address, secret):
        host, port = address.rsplit(":", 1)
        self.connected = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="HMDMServer", clean_session=True,
                                  protocol=mqtt.MQTTv311)
        self.client.username_pw_set("hmdm", sha1("hmdm" + secret))
        self.client.max_inflight_messages_set(200)
        self.client.reconnect_delay_set(1, 5)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: reason.is_failure or self.connected.set()
        self.client.on_disconnect = lambda *_: self.connected.clear()
        self.client.connect_async(host, int(port))
        self.client.loop_start()

    def publish(self, topic, message):
        # Not JSON: its keys are bare, and the payload is put in as it came.
        payload = "" if message["payload"] is None else f", payload: {message['payload']}"
        text = '{messageType: "' + message["messageType"] + '"' + payload + "}"
        return self.client.publish(topic, text.encode(), qos=2)

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


class Fcm:
    def __init__(self, key_file):
        # The library is large, and most runs do without it.
        import firebase_admin
        from firebase_admin import credentials, exceptions, messaging
        firebase_admin.initialize_app(credentials.Certificate(key_file))
        self.messaging, self.error = messaging, exceptions.FirebaseError
        self.pool = ThreadPoolExecutor(FCM_AT_ONCE)
        self.kinds = {messaging.UnregisteredError: "unregistered", messaging.QuotaExceededError: "quota_exceeded",
                      messaging.SenderIdMismatchError: "sender_id_mismatch",
                      messaging.ThirdPartyAuthError: "third_party_auth"}

    def send(self, token, message_type, priority):
        """What came of it: `sent`, or the kind of the error, with its text."""
        message = self.messaging.Message(
            data={"messageType": message_type}, token=token,
            android=self.messaging.AndroidConfig(priority=priority, ttl=FCM_KEPT))
        try:
            self.messaging.send(message)
            return "sent", None
        except self.error as error:
            return self.kinds.get(type(error), error.code.lower()), str(error)
        except Exception as error:       # of the key, the token or the network: it is said, not thrown away
            return "failed", f"{type(error).__name__}: {error}"


class Pusher:
    def __init__(self, world):
        options = world.options
        self.world = world
        self.mqtt = Mqtt(options.mqtt, options.secret) if options.mqtt else None
        self.fcm = Fcm(options.fcm_key) if options.fcm_key else None
        self.polls = {}                  # device id -> the poll that is told
        self.held = set()
        self.ways = {"mqtt": Counter(), "row": Counter(), "poll": Counter(), "fcm": Counter(), "unknown": Counter()}
        self.fcm_errors = deque(maxlen=20)
        self.recent = deque(maxlen=RECENT)

    def send(self, devices, message_type, payload=None, priority="high"):
        """Sends to all, and waits until the broker and FCM have said what came of it."""
        message = {"messageType": message_type, "payload": payload}
        published, waking = [], []
        for device in devices:
            ways = []
            if not self.world.options.fcm_only:
                ways.append(self.by_mqtt(device, message, published))
                ways.append(self.by_poll_or_row(device, message))
            if self.fcm and device.custom1 and device.custom1 not in device.forgotten:
                waking.append(self.fcm.pool.submit(self.by_fcm, device, message_type, priority))
                ways.append("fcm")
            with self.world.lock:
                ways = [way for way in ways if way]
                device.pushes.update(ways)
                self.recent.append({"at": time.time(), "number": device.number, "messageType": message_type,
                                    "payload": payload, "ways": ways})
        end = time.monotonic() + PATIENCE
        for one in published:
            self.finish(one, end)
        if waking:
            _, late = wait(waking, timeout=max(0, end - time.monotonic()))
            self.ways["fcm"].update({"late": len(late)} if late else {})

    def by_mqtt(self, device, message, published):
        if self.mqtt is None:
            return None
        if not self.mqtt.connected.is_set():
            self.said("mqtt", "not_connected")
            return None
        published.append(self.mqtt.publish(device.old_number or device.number, message))
        return "mqtt"

    def finish(self, one, end):
        try:
            one.wait_for_publish(max(0, end - time.monotonic()))
            self.said("mqtt", "sent" if one.is_published() else "unfinished")
        except (RuntimeError, ValueError):
            self.said("mqtt", "refused")

    def by_poll_or_row(self, device, message):
        with self.world.lock:
            poll = self.polls.get(device.id)
            if poll is None:
                device.rows.append((time.time(), message))
                self.said("row", "kept")
                return "row"
            poll.messages += [*self.waiting(device), message]
            self.said("poll", "sent")
            poll.done.set()
            return "poll"

    def by_fcm(self, device, message_type, priority):
        token = device.custom1
        kind, error = self.fcm.send(token, message_type, priority)
        with self.world.lock:
            self.said("fcm", kind)
            if error:
                self.fcm_errors.append({"at": time.time(), "number": device.number, "kind": kind, "error": error[:500]})
            if kind == "unregistered":
                device.forgotten.add(token)

    def said(self, way, what):
        with self.world.lock:
            self.ways[way][what] += 1

    def waiting(self, device):
        """The rows that wait for it, which thereby count as delivered."""
        with self.world.lock:
            oldest = time.time() - UNDELIVERED_KEPT
            found = [message for at, message in device.rows if at >= oldest]
            self.ways["row"].update({"delivered": len(found), "purged": len(device.rows) - len(found)})
            device.rows = []
            return found

    # A long poll: hold, wait for `done`, release.

    def hold(self, device):
        """The registry has one place for a device: a second poll takes it from the first."""
        poll = Poll(device.id)
        with self.world.lock:
            if any(other.device_id == device.id for other in self.held):
                device.counts["polls_overlapping"] += 1
            if device.poll_ended is not None:
                pause = round(time.time() - device.poll_ended, 3)
                device.shortest_pause = pause if device.shortest_pause is None else min(pause, device.shortest_pause)
            self.polls[device.id] = poll
            self.held.add(poll)
            rows = self.waiting(device)
            if rows:
                poll.messages += rows
                poll.done.set()
        return poll

    def release(self, device, poll):
        """The end of any poll empties its device's place, even if another one has taken it: so does the real server."""
        with self.world.lock:
            self.polls.pop(poll.device_id, None)
            self.held.discard(poll)
            device.poll_ended = time.time()
            return poll.messages

    def give_back(self, device, messages):
        """A poll was answered, but its connection was gone."""
        with self.world.lock:
            self.ways["poll"]["given_back"] += len(messages)
            device.rows += [(time.time(), message) for message in messages]

    def expire_polls(self):
        with self.world.lock:
            for poll in self.held:
                poll.done.set()
            return len(self.held)

    def truth(self):
        with self.world.lock:
            return {**{way: dict(counts) for way, counts in self.ways.items()}, "polls_held": len(self.held),
                    "mqtt_connected": bool(self.mqtt and self.mqtt.connected.is_set()),
                    "fcm_errors": list(self.fcm_errors), "recent": list(self.recent)}
