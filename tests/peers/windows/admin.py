"""The JSON admin API of the server, on loopback only (README.md has the table of paths)."""

import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, urlsplit

from . import names
from .rules import RULES
from .server_session import make_command

MAX_BODY = 16 * 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    """GET, POST and DELETE with JSON in and out."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = -1          # one packet for head and body

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """No lines on stderr."""

    def reply(self, status: int, value):
        """One JSON answer."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def dispatch(self, method: str):
        """Route a request; bad input is 400, an unknown device or path 404."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self.reply(413, {"error": "body too long"})
            return
        raw = self.rfile.read(int(length))
        parts = urlsplit(self.path)
        steps = [s for s in parts.path.split("/") if s]
        query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
        try:
            body = json.loads(raw) if raw else None
            with self.server.peer.lock:
                status, value = _answer(self.server.peer, method, steps, query, body)
        except KeyError as error:
            status, value = 404, {"error": "no %s" % error}
        except (ValueError, TypeError, AttributeError) as error:
            status, value = 400, {"error": str(error)}
        self.reply(status, value)

    def do_GET(self):  # pylint: disable=invalid-name
        """Read."""
        self.dispatch("GET")

    def do_POST(self):  # pylint: disable=invalid-name
        """Do."""
        self.dispatch("POST")

    def do_DELETE(self):  # pylint: disable=invalid-name
        """Clear."""
        self.dispatch("DELETE")


def _answer(peer, method: str, steps: list, query: dict, body):
    if steps[:1] == ["devices"] and len(steps) > 1:
        return _device(peer, method, peer.records[steps[1]], steps[2:], body)
    where = (method, "/".join(steps))
    if where == ("GET", "devices"):
        return 200, [r.as_dict() for r in peer.records.values()]
    if where == ("GET", "violations"):
        return 200, [v for v in peer.violations if v["number"] > int(query.get("after", 0))
                     and query.get("device", v["device"]) == v["device"]
                     and query.get("level", v["level"]) == v["level"]]
    if where == ("DELETE", "violations"):
        peer.violations.clear()
        return 200, {}
    if where == ("GET", "own-violations"):
        return 200, list(peer.own_violations)
    if where == ("GET", "messages"):
        return 200, [m for m in peer.messages if m["number"] > int(query.get("after", 0))
                     and query.get("device", m["device"]) == m["device"]]
    if where == ("GET", "rules"):
        return 200, [vars(r) for r in RULES.values()]
    if where == ("POST", "tokens"):
        peer.tokens[str(body["token"])] = str(body["upn"])
        return 200, {}
    if where == ("POST", "faults"):
        if body["step"] not in ("discover", "policies", "rst") or body["subcode"] not in names.FAULTS:
            raise ValueError("unknown step or subcode")
        peer.faults[body["step"]] = [body["subcode"], int(body.get("times", 1))]
        return 200, {}
    if where == ("POST", "stop"):
        peer.stopped.set()
        return 200, {}
    raise KeyError("path " + where[1])


def _device(peer, method: str, record, steps: list, body):
    where = (method, "/".join(steps))
    if where == ("GET", ""):
        return 200, record.as_dict()
    if where == ("GET", "answers"):
        return 200, [c.as_dict() for c in record.commands]
    if where == ("GET", "tree"):
        return 200, record.tree
    if where == ("GET", "sessions"):
        return 200, record.sessions
    if where == ("POST", "commands"):
        made = [make_command(d, peer.number()) for d in (body if isinstance(body, list) else [body])]
        for queued in made:
            record.add(queued)
        return 200, [q.id for q in made]
    if where == ("POST", "unenroll"):
        provider = peer.options.provider
        uri = "./Device/Vendor/MSFT/DMClient/Provider/%s/Unenroll" % quote(provider, safe="")
        queued = make_command({"cmd": "Exec", "uri": uri, "data": provider}, peer.number())
        record.add(queued)
        return 200, [queued.id]
    raise KeyError("path " + where[1])
