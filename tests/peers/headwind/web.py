"""HTTP as the real server's container speaks it: requests, answers, and the thread that carries them."""

import json
import re
import sys
import traceback
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

LARGEST_BODY = 8 * 1024 * 1024
IDLE = 60                                # seconds that a connection may be idle
PIECE = 64 * 1024
DROPS = {400, 408, 411, 413, 414, 500, 501, 503}      # the container closes the connection after these
PHRASES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           408: "Request Timeout", 413: "Payload Too Large", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
           500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    content_type: str | None = "application/json"
    headers: dict = field(default_factory=dict)
    outcome: str | None = None            # what it is counted as, if that is more than its status
    pieces: object = None                 # what is sent instead of the body, its length unknown or in the headers
    cut: int | None = None                # the connection ends after so many bytes of the body
    silent: bool = False                  # the connection ends without an answer
    lost: object = None                   # called if the answer could not be written


class Refused(Exception):
    def __init__(self, answer, rule=None, reason=None):
        super().__init__(reason)
        self.answer, self.rule, self.reason = answer, rule, reason


def text_of(data):
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def enveloped(data_text, status="OK", message=None):
    # The agent takes for data what follows the first "data": to the last but one character: the order is the format.
    return f'{{"status":"{status}","message":{json.dumps(message)},"data":{data_text}}}'.encode()


def ok(data=None, **more):
    return Answer(enveloped(text_of(data)), **more)


def error(message):
    """An application's error: HTTP knows nothing of it."""
    return Answer(enveloped("null", "ERROR", message), outcome=f"200 {message}")


def page(status, **more):
    """The container's own page, some 600 bytes of HTML."""
    phrase = PHRASES.get(status, "Error")
    style = "h1 {font-size:22px;} h1, h2, b {color:white;background-color:#525D76;} .line {height:1px;border:none;}"
    html = (f'<!doctype html><html lang="en"><head><title>HTTP Status {status} – {phrase}</title><style type="text/css">'
            f'body {{font-family:Tahoma,Arial,sans-serif;}} {style}</style></head><body><h1>HTTP Status {status} – {phrase}'
            f'</h1><hr class="line" /><p><b>Type</b> Status Report</p><p><b>Description</b> The server answers with the '
            f'status {status}, and has nothing else to say of it to whoever asks.</p><hr class="line" />'
            f"<h3>Apache Tomcat/9.0</h3></body></html>")
    return Answer(html.encode(), status, "text/html;charset=utf-8", **more)


def plain(status, text):
    return Answer(text.encode(), status, "text/plain")


class Request:
    def __init__(self, handler, project):
        self.method, self.headers, self.version = handler.command, handler.headers, handler.request_version
        # As it came: the library makes one of two slashes at its start.
        self.raw, _, self.query = handler.requestline.split()[1].partition("?")
        self.port, self.ip, self.connection = handler.server.name, handler.client_address[0], handler.connection_state
        host = self.headers.get("Host") or f"127.0.0.1:{handler.server.server_port}"
        self.base = f"http://{host}{project}"
        self.below = self.raw.startswith(project + "/")
        self.path = self.raw[len(project):] if self.below else self.raw
        self.body = b""
        self.parts = ()                   # of the path, as they are in the address
        self.template = None

    @property
    def number(self):
        return unquote(self.parts[0])

    def said(self):
        body = self.body[:400].decode(errors="replace")
        return f"{self.method} {self.raw}{'?' if self.query else ''}{self.query} {body}".strip()[:800]

    def json(self):
        """The body; what is not strictly JSON is refused as the real server refuses it."""
        kind = (self.headers.get("Content-Type") or "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(page(415), "content_type", f"Content-Type is {kind or 'not there'}")
        try:
            return json.loads(self.body.decode("utf-8"), parse_constant=not_json, object_pairs_hook=once)
        except (ValueError, RecursionError) as reason:
            raise Refused(plain(400, f"Unrecognized token or unexpected end: {reason}"), "json", str(reason)) from None


def not_json(word):
    raise ValueError(f"{word} is no JSON")


def once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is in an object twice")
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self):
        super().setup()
        self.connection_state = {}        # what was learnt on this connection: the number that calls by it

    def log_message(self, *_):
        pass

    def send_error(self, code, message=None, explain=None):
        """What the library can't read as HTTP."""
        self.server.app.unreadable(self, code, message)
        self.close_connection = True
        self.wfile.write(f"HTTP/1.1 {code} \r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    def serve(self):
        app = self.server.app
        request = Request(self, app.world.options.project)
        try:
            request.body = self.whole_body()
            answer = app.answer(request)
        except Refused as refused:
            answer = refused.answer
            if refused.rule:
                app.world.break_rule(refused.rule, request, refused.reason)
        except Exception as reason:       # of this program, not of who calls: it has to be seen
            traceback.print_exc()
            app.world.break_rule("own_mistake", request, f"{type(reason).__name__}: {reason}")
            answer = page(500)
        if request.template:
            app.world.count(request.template, answer.outcome or str(answer.status), request.port)
        try:
            self.write(answer)
        except OSError:
            self.close_connection = True
            if answer.lost:
                answer.lost()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = serve

    def whole_body(self):
        try:
            return self.read_body()
        except (OSError, ValueError) as reason:
            raise Refused(page(400), "body", f"it did not come whole: {reason}") from None

    def read_body(self):
        if (self.headers.get("Transfer-Encoding") or "").lower() == "chunked":
            return self.read_chunks()
        length = self.headers.get("Content-Length") or "0"
        if not re.fullmatch(r"\d{1,15}", length):
            raise Refused(page(400), "body", f"Content-Length is {length!r:.40}")
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            raise Refused(page(413), "body", f"the body is of {length} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ValueError("the connection ended within it")
        return body

    def read_chunks(self):
        body = b""
        while True:
            size = int(self.rfile.readline(64).split(b";")[0], 16)
            if size < 0 or len(body) + size > LARGEST_BODY:
                self.close_connection = True
                raise Refused(page(413), "body", "the body is too large")
            chunk = self.rfile.read(size)
            if len(chunk) < size or self.rfile.readline(64) != b"\r\n":
                raise ValueError("a chunk is not whole")
            if size == 0:
                return body
            body += chunk

    def write(self, answer):
        if answer.silent:
            self.close_connection = True
            return
        closing = answer.status in DROPS or answer.cut is not None or self.close_connection
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        if answer.content_type:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.pieces is None:
            self.send_header("Content-Length", str(len(answer.body)))
        if closing:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if answer.pieces is not None:
            for piece in answer.pieces:
                self.wfile.write(piece)
        elif self.command != "HEAD":
            body = answer.body if answer.cut is None else answer.body[:answer.cut]
            for start in range(0, len(body), PIECE):
                self.wfile.write(body[start:start + PIECE])
        self.wfile.flush()


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, port, name, app):
        self.app, self.name = app, name
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        """A connection that ends is no error; anything else is one of this program, and is said."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)
