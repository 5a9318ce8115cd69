"""A strict Headwind MDM server for one machine: it answers as the real one was seen to, and judges what devices call.

    server.py --port 8080 --project /hmdm --mqtt 127.0.0.1:31000

One line of JSON on standard output says that it is ready. GET /_truth says all that it knows (/_truth?brief
without what devices reported); /_play/.. are its levers.
"""

import argparse
import json
import os
import re
import signal
import sys
import threading

from admin import Admin, md5
from devices import Devices
from files import Files
from play import Play, answered
from push import Pusher
from state import World
from web import Answer, Listener, Refused, page, text_of

READY_WITHIN = 60              # seconds for the broker to take the connection
THREAD = 512 * 1024            # bytes of stack: there is a thread a connection, and most of them wait


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--port", type=int, required=True, help="0 for any; the first line says which")
    add("--also-port", type=int, help="a second port with the same server behind it")
    add("--project", default="", help="the context path, such as /hmdm")
    add("--secret", default="changeme-C3z9vi54", help="its hash.secret")
    add("--mqtt", metavar="HOST:PORT", help="the broker that pushes go through")
    add("--fcm-key", metavar="FILE", help="a service account's key: wake by FCM, too, whoever reports a token as custom1")
    add("--fcm-only", action="store_true", help="pushes go by FCM alone")
    add("--polling-timeout", type=float, default=60, help="seconds that a long poll is held")
    add("--strict-signatures", action="store_true", help="secure.enrollment=1: refuse a wrong signature, where it does")
    add("--poll-signature", choices=["agent", "server", "either"], default="agent", help="whose form of it is right")
    add("--create-on-demand", action="store_true", help="unknown numbers become devices of configuration 1")
    add("--prevent-duplicate-enrollment", action="store_true")
    add("--configurations", type=int, default=2, help="how many there are at the start, by the ids 1..")
    add("--stock-apps", type=int, default=4, help="applications of each of them")
    add("--unset", choices=["null", "mixed"], default="null", help="mixed: leave out what the real server leaves out")
    add("--ranges", choices=["rfc", "headwind"], default="rfc", help="headwind: a range's end is one too far, as there")
    add("--files", metavar="FOLDER", help="what is below /files/")
    add("--password", default="admin", help="of the login `admin`")
    add("--id-token", metavar="TEXT", help="good for the administrator, beside those that a login grants")
    add("--password-was-set", action="store_true", help="no other password is wanted first")
    options = parser.parse_args()
    options.project = "/" + options.project.strip("/") if options.project.strip("/") else ""
    return options


class App:
    def __init__(self, options):
        self.world = World(options)
        self.files = self.world.files = Files(options.files)
        self.pusher = Pusher(self.world)
        self.play = Play(self)
        self.admin = Admin(self)
        self.devices = Devices(self)
        self.routes = [(method, template, pattern(template), call, before)
                       for routes, before in ((self.admin.open, None), (self.admin.routes, self.admin.before),
                                              (self.devices.routes, self.devices.before))
                       for method, template, call in routes]

    def answer(self, request):
        if request.raw.startswith("/_"):
            return self.own(request)
        self.play.refused(request)
        call, before = self.routed(request)
        if before:
            before(request)
        fault = self.play.due(request)
        played = self.play.faulty(fault) if fault else None
        if played:
            return played
        answer = call(request)
        if fault:
            answer.cut, answer.outcome = int(fault.get("after", 0)), f"{answer.status} cut"
        return answer

    def routed(self, request):
        allowed = set()
        for method, template, path, call, before in self.routes:
            found = path.fullmatch(request.path) if request.below else None
            if not found:
                continue
            if method == request.method:
                request.parts = found.groups()
                request.template = f"{method} {template}"
                return call, before
            allowed.add(method)
        if allowed:
            request.template = f"{request.method} of {sorted(allowed)}"
            headers = {"Allow": ", ".join(sorted(allowed))}
            raise Refused(page(405, headers=headers), "method", f"it takes {sorted(allowed)}")
        request.template = "nothing there"
        raise Refused(page(404), "unknown_path", f"nothing is at {request.raw:.200}")

    def own(self, request):
        """Not Headwind's: what tests ask, and order."""
        if request.raw == "/_truth" and request.method == "GET":
            said = self.world.truth(self.pusher.truth(), request.query == "brief")
        elif request.raw.startswith("/_play/") and request.method == "POST":
            said = answered(self.play, request.raw.removeprefix("/_play/"), request)
        else:
            said = {"error": "GET /_truth or POST /_play/.."}
        return Answer(text_of(said).encode(), 400 if isinstance(said, dict) and "error" in said else 200)

    def unreadable(self, handler, code, message):
        """What came was no HTTP request."""
        said = getattr(handler, "raw_requestline", b"")[:200].decode(errors="replace")

        class Line:
            def said(self):
                return said
        self.world.break_rule("http", Line(), f"{code} {message}")


def pattern(template):
    return re.compile(template.replace("{path}", "(.+)").replace("{number}", "([^/]+)").replace("{id}", r"(\d+)"))


def main():
    options = arguments()
    threading.stack_size(THREAD)
    end = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: end.set())
    app = App(options)
    listeners = [Listener(options.port, "first", app)]
    if options.also_port is not None:
        listeners.append(Listener(options.also_port, "also", app))
    for listener in listeners:
        threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
    connected = app.pusher.mqtt.connected.wait(READY_WITHIN) if app.pusher.mqtt else None
    ports = [listener.server_port for listener in listeners]
    bases = [f"http://127.0.0.1:{port}{options.project}" for port in ports]
    print(json.dumps({"ready": True, "ports": ports, "bases": bases, "mqtt": connected, "fcm": bool(app.pusher.fcm),
                      "login": {"login": "admin", "password": md5(options.password)}}), flush=True)
    end.wait()
    app.world.stopping.set()
    app.pusher.expire_polls()
    if app.pusher.mqtt:
        app.pusher.mqtt.stop()
    sys.stdout.flush()
    os._exit(0)                # threads that still serve are not waited for


if __name__ == "__main__":
    main()
