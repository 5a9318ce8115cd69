"""Levers for tests: what a server may do wrong, on order. POST /_play/NAME with an object, from this machine only."""

import base64
import hashlib

from web import PIECE, Answer, Refused, enveloped, page

HANG = 600                     # seconds, unless the order says otherwise
OVERSIZED = 64 * 1024 * 1024
KINDS = {"hang", "html", "oversized", "close", "cut", "status"}


class Play:
    def __init__(self, app):
        self.world, self.files = app.world, app.files
        self.app = app
        self.signatures = {None: "right"}         # number -> mode; None: of all others
        self.faults = []
        self.refusing = {}                        # port -> how
        self.levers = {
            "number": self.number, "signature": self.signature, "file": self.file, "file_wrong": self.file_wrong,
            "fault": self.fault, "faults_clear": self.faults_clear, "polls": self.polls, "refuse": self.refuse,
            "log_rules": self.log_rules, "details": self.details, "broken_clear": self.broken_clear,
        }

    def pull(self, name, order):
        if name not in self.levers:
            return {"error": f"no lever {name}", "levers": sorted(self.levers)}
        with self.world.lock:
            return self.levers[name](order)

    # Levers

    def number(self, order):
        """{"number", "new", "push": true}: from now on, its configuration says newNumber."""
        device = self.world.devices[order["number"]]
        if order["new"] in self.world.devices:
            raise ValueError("that number is taken")
        self.world.rename(device, order["new"])
        if order.get("push"):
            self.app.pusher.send([device], "configUpdated")
        return {"old": device.old_number, "new": device.number}

    def signature(self, order):
        """{"mode": "wrong" | "missing" | "right", "numbers": [..] or left out for all}"""
        if order["mode"] not in ("wrong", "missing", "right"):
            raise ValueError("no such mode")
        if "numbers" not in order:
            self.signatures = {}
        for number in order.get("numbers", [None]):
            self.signatures[number] = order["mode"]
        return {}

    def signature_for(self, number):
        return self.signatures.get(number, self.signatures.get(None, "right"))

    def file(self, order):
        """{"path", and "size" with a "seed", or "text", or "base64"}: a file is there from now on."""
        path = order["path"]
        if "text" in order:
            self.files.made[path] = order["text"].encode()
        elif "base64" in order:
            self.files.made[path] = base64.b64decode(order["base64"], validate=True)
        else:
            self.files.make(path, int(order["size"]), order.get("seed", 0))
        content = self.files.made[path]
        return {"url": f"/files/{path}", "url_by_device": f"/files/of/{{number}}/{path}", "size": len(content),
                "checksum": hashlib.md5(content).hexdigest(), "sha256": hashlib.sha256(content).hexdigest()}

    def file_wrong(self, order):
        """{"path", "wrong": true}: it is served with other bytes than its checksum says."""
        (self.files.wrong.add if order.get("wrong", True) else self.files.wrong.discard)(order["path"])
        return {}

    def fault(self, order):
        """{"path", "kind", "times", "numbers", ..}: the next requests below the path (or of a template) go wrong."""
        kind = order["kind"]
        if kind not in KINDS and not str(kind).isdigit():
            raise ValueError(f"kind is a status or one of {sorted(KINDS)}")
        self.faults.append({"times": 1, **order})
        return {"faults": self.faults}

    def faults_clear(self, order):
        self.faults = []
        return {}

    def polls(self, order):
        """{"timeout": seconds} for polls from now on; {"expire": true} ends those that are held, as if idle."""
        self.world.polling_timeout = order.get("timeout", self.world.polling_timeout)
        return {"ended": self.app.pusher.expire_polls() if order.get("expire") else 0}

    def refuse(self, order):
        """{"port": "first" | "also", "how": "503" | "close" | "no"}"""
        if order["port"] not in ("first", "also") or order["how"] not in ("503", "close", "no"):
            raise ValueError("no such port, or no such way to refuse")
        self.refusing[order["port"]] = order["how"]
        return self.refusing

    def log_rules(self, order):
        self.world.log_rules = order["rules"]
        return {}

    def details(self, order):
        self.world.detail_settings = {"sendData": bool(order["sendData"]), "intervalMins": order.get("intervalMins", 15)}
        return self.world.detail_settings

    def broken_clear(self, order):
        """What was broken until now is forgotten."""
        self.world.broken.clear()
        self.world.broken_by_rule.clear()
        return {}

    # What they do

    def refused(self, request):
        how = self.refusing.get(request.port, "no")
        if how == "503":
            raise Refused(page(503, outcome="503 refused"))
        if how == "close":
            raise Refused(Answer(silent=True, outcome="closed"))

    def due(self, request):
        """The fault that is meant for this request, and is thereby used up by one."""
        with self.world.lock:
            for fault in self.faults:
                meant = (request.path.startswith(fault["path"]) or request.template in (
                    fault["path"], f"{request.method} {fault['path']}"))
                numbers = fault.get("numbers")
                if meant and (not numbers or (request.parts and request.number in numbers)):
                    fault["times"] -= 1
                    if fault["times"] <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def faulty(self, fault):
        """What is answered instead; None if the right answer is to be cut."""
        kind = str(fault["kind"])
        if kind == "status":
            kind = str(fault["status"])
        if kind.isdigit():
            return page(int(kind), outcome=f"{kind} played")
        if kind == "html":
            return Answer(page(200).body, content_type="text/html", outcome="200 html played")
        if kind == "oversized":
            return self.oversized(int(fault.get("bytes", OVERSIZED)), fault.get("chunked", False))
        if kind == "hang":
            self.world.stopping.wait(fault.get("seconds", HANG))
            return Answer(silent=True, outcome="hang played")
        if kind == "close":
            return Answer(silent=True, outcome="close played")
        return None

    def oversized(self, size, chunked):
        before, after = enveloped("{\"x\":\"|\"}").split(b"|")
        filling = max(0, size - len(before) - len(after))

        def pieces():
            yield before
            for start in range(0, filling, PIECE):
                yield b"x" * min(PIECE, filling - start)
            yield after

        if chunked:
            framed = (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces(), b""])
            return Answer(pieces=framed, headers={"Transfer-Encoding": "chunked"}, outcome="oversized played")
        length = str(len(before) + filling + len(after))
        return Answer(pieces=pieces(), headers={"Content-Length": length}, outcome="oversized played")


def answered(play, name, request):
    """An order is told what is wrong with it."""
    try:
        return play.pull(name, request.json())
    except Refused as refused:
        return {"error": refused.reason}
    except (KeyError, TypeError, ValueError, AttributeError) as reason:
        return {"error": f"{type(reason).__name__}: {reason}"}
