"""HTTP on loopback: for the administrator, who shows a token, and for Google's pushes."""

import http.server
import json
import re
from urllib.parse import parse_qs, unquote, urlparse

import rules

SIGNED_UP_WITHIN = 50          # seconds: whoever calls before that is kept waiting
STATES = {"ACTIVE", "DISABLED"}


class Problem(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Admin:
    """`app` has what is asked: `work`, `fleet`, `faults`, `calls`, `push`, and the `bearer` that the administrator shows."""

    def __init__(self, app):
        self.app = app
        self.routes = [
            ("PUT", r"/tokens/([A-Za-z0-9-]+)", self.make_token), ("GET", r"/tokens/([A-Za-z0-9-]+)", self.token),
            ("PUT", r"/policies", self.policies), ("PUT", r"/commands", self.commands),
            ("PUT", r"/devices/([^/]+)/state", self.state), ("DELETE", r"/devices/([^/]+)", self.delete),
            ("GET", r"/devices/([^/]+)", self.device), ("GET", r"/devices/([^/]+)/resource", self.resource),
            ("GET", r"/devices", self.devices), ("GET", r"/commands", self.ends),
            ("GET", r"/faults", self.faults), ("GET", r"/counts", self.counts),
        ]

    def answer(self, method, target, headers, body):
        url = urlparse(target)
        if method == "POST" and url.path == "/push":
            return (self.app.push.take(headers, body) if self.app.push else 404), None
        if headers.get("Authorization") != f"Bearer {self.app.bearer}":
            return 401, {"error": "the administrator shows a token"}
        if not self.app.ready.wait(SIGNED_UP_WITHIN):
            return 503, {"error": "it is not signed up yet"}
        for verb, path, call in self.routes:
            found = re.fullmatch(path, url.path)
            if found and verb == method:
                return call(*map(unquote, found.groups()), query=parse_qs(url.query), body=body)
        return 404, {"error": f"there is no {method} {url.path}"}

    def make_token(self, label, query, body):
        asked = an_object(body)
        mode, one_time = asked.get("mode"), asked.get("one_time", False)
        if mode not in rules.MODES or not isinstance(one_time, bool):
            raise Problem(400, f"mode is one of {sorted(rules.MODES)}, one_time true or false")
        self.app.work.ask(f"token {label}", lambda _: self.app.work.token(label, mode, one_time))
        return 202, {}

    def token(self, label, query, body):
        value = self.app.work.tokens.get(label)
        return (200, {"value": value}) if value else (404, {"error": "not made yet"})

    def policies(self, query, body):
        return self.for_each(query, self.app.work.policy, an_object(body))

    def commands(self, query, body):
        return self.for_each(query, self.app.work.command, an_object(body))

    def for_each(self, query, what, how):
        ids = [id for part in query.get("ids", []) for id in part.split(",") if id]
        if not ids:
            raise Problem(400, "ids are missing")
        for id in ids:
            self.app.work.ask(id, what, how)
        return 200, {"queued": len(ids)}

    def state(self, id, query, body):
        state = an_object(body).get("state")
        if state not in STATES:
            raise Problem(400, f"state is one of {sorted(STATES)}")
        self.app.work.ask(id, self.app.work.state, state)
        return 202, {}

    def delete(self, id, query, body):
        self.app.work.ask(id, self.app.work.delete)
        return 202, {}

    def devices(self, query, body):
        return 200, {"devices": self.app.fleet.believes()}

    def device(self, id, query, body):
        name = self.app.fleet.find(id)
        if name is None:
            return 200, {"enrolled": False, "pending": self.app.work.pending(id)}
        return 200, {**self.app.fleet.belief(self.app.fleet.device(name)), "pending": self.app.work.pending(id)}

    def resource(self, id, query, body):
        """As the newest notification had it."""
        name = self.app.fleet.find(id)
        return (200, self.app.fleet.device(name).resource) if name else (404, {"error": "never heard of"})

    def ends(self, query, body):
        return 200, {"commands": self.app.fleet.commands(), "refused": self.app.work.refused}

    def faults(self, query, body):
        return 200, self.app.faults.report()

    def counts(self, query, body):
        return 200, {**self.app.calls.counts, "pending": self.app.work.pending(), "refused": len(self.app.work.refused)}


def an_object(body):
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Problem(400, f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise Problem(400, "no object")
    return value


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, value = self.server.admin.answer(self.command, self.path, self.headers, body)
        except Problem as problem:
            status, value = problem.status, {"error": str(problem)}
        text = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port, admin):
        super().__init__(("127.0.0.1", port), Handler)
        self.admin = admin
