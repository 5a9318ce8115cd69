"""Says to devices over any broker that their configuration is new, as the real server does: `publish.py host:port number..`.
It does so when its standard input ends; that it is ready for that it says before."""

import sys

from server import WAIT_S, Line, Server

if __name__ == "__main__":
    broker, *numbers = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.read()
    line = Line(Server({"url": "", "mqtt": broker}), "publisher", clean=True, subscribe=False)
    assert line.reason == "Success", line.reason
    sent = [line.client.publish(number, b'{messageType: "configUpdated"}', qos=2) for number in numbers]
    for message in sent:
        message.wait_for_publish(WAIT_S)
        assert message.is_published()
    line.leave()
