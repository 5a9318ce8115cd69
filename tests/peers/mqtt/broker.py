"""The broker, by paho's client: what MQTT 3.1.1 promises, and what the real server's broker does beside."""

import queue
import socket
import time

from server import SECRET, WAIT_S, Device, sha1, until


def pushed(server, number, count):
    """Pushes so many messages that can be told apart; gives what a device is to hear."""
    for n in range(count):
        assert server.push("intent", number, payload={"n": n})["failed"] == {}
    return [(number, '{messageType: "intent", payload: {"n":%d}}' % n) for n in range(count)]


def case_push(server):
    """A push comes once, with the quality that was asked for. Its text is no JSON: the keys are bare."""
    device = Device(server, "d1")
    device.enroll()
    line = device.mqtt()
    assert server.push("configUpdated", "d1")["failed"] == {}
    message = line.heard.get(timeout=WAIT_S)
    assert (message.topic, message.payload, message.qos) == ("d1", b'{messageType: "configUpdated"}', 2)
    expected = pushed(server, "d1", 20)
    assert [line.hear() for _ in expected] == expected
    assert server.push("reboot", "nobody")["failed"] == {"nobody": "not enrolled"}
    # The last acknowledgement may still be on its way when the message was heard, and would be cut off.
    until(lambda: server.truth()["agents"]["mqtt"]["acknowledged"] == 21)
    line.leave()
    assert line.heard.empty()
    assert server.truth()["agents"]["mqtt"]["published"] == 21
    assert server.truth()["commands"]["intent"] == {"queued": 20, "delivered": 20}


def case_password(server):
    device = Device(server, "d1")
    device.enroll()
    for password in ("guess", ""):
        line = device.mqtt(password=password)
        assert line.reason == "Not authorized", line.reason
        line.ends.get(timeout=WAIT_S)
    assert device.mqtt().reason == "Success"
    assert server.truth()["agents"]["mqtt"]["refused"] == 2


def case_session(server):
    """Who keeps a session finds what was pushed meanwhile, in order and once; who does not finds nothing."""
    for number, clean in (("kept", False), ("clean", True)):
        device = Device(server, number)
        device.enroll()
        line = device.mqtt(clean=clean)
        assert not line.session_present
        line.leave()
        expected = pushed(server, number, 5)
        again = device.mqtt(clean=clean, subscribe=clean)
        assert again.session_present == (server.told["says_session"] and not clean)
        server.push("reboot", number)
        expected = ([] if clean else expected) + [(number, '{messageType: "reboot"}')]
        assert [again.hear() for _ in expected] == expected
        again.leave()
        assert again.heard.empty()


def case_takeover(server):
    """Two devices with one number: the later one has the line."""
    device = Device(server, "d1")
    device.enroll()
    first = device.mqtt()
    second = device.mqtt()
    first.ends.get(timeout=WAIT_S)
    server.push("reboot", "d1")
    assert second.hear() == ("d1", '{messageType: "reboot"}')
    assert first.heard.empty() and second.ends.empty()
    assert server.truth()["agents"]["mqtt"]["taken_over"] == 1


def case_wildcards(server):
    """With the real one whoever has the password reads everything; `+` is one level, and `#` only stands at the end."""
    for number in ("a", "b"):
        Device(server, number).enroll()
    spy = Device(server, "spy").mqtt(subscribe=False)
    granted = server.told["open_topics"]
    assert spy.subscribe("#", 1) == ([1] if granted else [128])
    assert spy.subscribe("fleet/+/x", 0) == ([0] if granted else [128])
    for wrong in ("a/#/b", "a#", "+a"):
        # paho refuses these by itself as well.
        try:
            assert spy.subscribe(wrong) == [128]
        except ValueError:
            pass
    server.push("reboot", "a", "b")
    if granted:
        assert sorted(spy.hear() for _ in "ab") == [("a", '{messageType: "reboot"}'), ("b", '{messageType: "reboot"}')]
        other = Device(server, "other").mqtt(subscribe=False)
        # It matches both of the spy's filters, and comes once.
        for topic in ("fleet/1/x", "fleet/1/2/x"):
            other.client.publish(topic, topic, qos=2).wait_for_publish(WAIT_S)
        assert [spy.hear() for _ in "12"] == [("fleet/1/x", "fleet/1/x"), ("fleet/1/2/x", "fleet/1/2/x")]
        spy.client.unsubscribe("#")
        other.client.publish("fleet/2/y", "no").wait_for_publish(WAIT_S)
        other.client.publish("fleet/2/x", "yes").wait_for_publish(WAIT_S)
        while (heard := spy.hear()) != ("fleet/2/x", "yes"):
            assert heard == ("fleet/2/y", "no"), "it may still have come"
    own = Device(server, "a").mqtt()
    server.push("reboot", "a")
    assert own.hear() == ("a", '{messageType: "reboot"}')


def case_keep_alive(server):
    """Who pings stays; who says nothing for half as long again as it promised is cut off."""
    device = Device(server, "d1")
    device.enroll()
    line = device.mqtt()
    answers = queue.Queue()
    line.client.on_log = lambda _client, _data, _level, said: said == "Received PINGRESP" and answers.put(said)
    for count in (1, 2, 3):
        # By itself paho pings when its time is nearly up, and on a busy machine after that.
        line.client._send_pingreq()
        answers.get(timeout=WAIT_S)
        assert server.truth()["agents"]["mqtt"]["pings"] == count
    host, port = server.told["mqtt"].rsplit(":", 1)
    silent = socket.create_connection((host, int(port)), timeout=WAIT_S)

    def text(value):
        return len(value).to_bytes(2, "big") + value.encode()

    connect = text("MQTT") + bytes([4, 0b11000010, 0, 1]) + text("silent") + text("hmdm") + text(sha1("hmdm" + SECRET))
    silent.sendall(bytes([0x10, len(connect)]) + connect)
    assert silent.recv(4) == bytes([0x20, 2, 0, 0])
    assert silent.recv(1) == b"", "the broker closes it"
    assert line.ends.empty() and server.truth()["agents"]["mqtt"]["timed_out"] == 1


def case_delay(server):
    """One queue for the whole fleet: one message goes each delay, and nothing is lost."""
    lines = []
    for n in range(5):
        device = Device(server, f"d{n}")
        device.enroll()
        lines.append(device.mqtt())
    began = time.monotonic()
    server.push("reboot", *(line.number for line in lines))
    for line in lines:
        assert line.hear() == (line.number, '{messageType: "reboot"}')
    elapsed = time.monotonic() - began
    assert elapsed > len(lines) * server.told["message_delay_s"] - 0.05, f"one goes each delay: all came after {elapsed} s"


def case_rubbish(server):
    """What is no MQTT, or too much of it, ends its own connection and no other."""
    device = Device(server, "d1")
    device.enroll()
    line = device.mqtt()
    host, port = server.told["mqtt"].rsplit(":", 1)
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x7f", b"\x10\xff\xff\xff\x7f", b"\x82\x05\x00\x01\x00\x00\x00", b"\xf0\x00"):
        other = socket.create_connection((host, int(port)), timeout=WAIT_S)
        other.sendall(rubbish)
        while other.recv(100):
            pass
    server.push("reboot", "d1")
    assert line.hear() == ("d1", '{messageType: "reboot"}')
    told = server.truth()["agents"]["mqtt"]
    assert told["broken"] == 5 and "timed_out" not in told, "it is seen for what it is, not waited for"
