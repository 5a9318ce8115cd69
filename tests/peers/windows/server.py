"""A strict Windows MDM server: discovery, policies, WSTEP, management, and a JSON admin API on a second port.

    python -m windows.server --port 0 --ready-file ready.json --directory DIR

Every byte received is judged by the checker; breaches are at GET /violations of the admin API.
Sources: W 2 to 9; MS-MDE2 3.1-3.4; OMA DM Protocol 1.2.
"""

import argparse
import html
import json
import os
import secrets
import signal
import ssl
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from . import admin, checker, names, pki, provisioning, soap, syncml
from .rules import Report
from .server_session import Record, Refusal, Session, new_secret, push_commands, signed_right
from .xmlutil import XmlError, decode_base64, parse, text

MAX_BODY = 4 * 1024 * 1024
KEEP = 20000               # messages and violations kept
KEEP_BYTES = 64 * 1024 * 1024
STEPS = {"discover": "/EnrollmentServer/Discovery.svc", "policies": "/peer/policies", "rst": "/peer/enroll"}
LOGIN, MANAGE = "/peer/login", "/peer/manage"
FATAL = {"CSR-DER", "CSR-SIGNATURE", "CSR-KEY", "REN-CMS", "REN-SIGNER", "REN-TLS", "RST-BINARY", "RST-BASE64",
         "RST-DEVICE-ID"}


class Fault(Exception):
    """An enrollment step that ends in a SOAP fault."""

    def __init__(self, subcode: str, reason: str):
        super().__init__(reason)
        self.subcode = subcode


class Server:
    """All state, behind one lock."""

    def __init__(self, options, authority: pki.Authority):
        self.options = options
        self.authority = authority
        self.lock = threading.RLock()
        self.base = ""
        self.records = {}                 # DeviceID -> Record
        self.tokens = {}                  # federated token -> upn, taken away by an enrollment
        self.versions = {}                # upn -> RequestVersion of its last Discover
        self.violations = deque(maxlen=KEEP)
        self.own_violations = deque(maxlen=KEEP)
        self.messages = deque()
        self.kept = 0                     # bytes of the bodies in self.messages
        self.faults = {}                  # step -> [subcode, times left]
        self.counter = 0
        self.recorded = 0
        self.stopped = threading.Event()

    @property
    def address(self) -> str:
        """ADDR of the provisioning document."""
        return self.base + MANAGE

    def number(self) -> int:
        """A fresh number for commands and records."""
        self.counter += 1
        return self.counter

    def note(self, device: str, kind: str, violations: list):
        """Breaches of the other side."""
        for violation in violations:
            self.violations.append({"number": self.number(), "time": time.time(), "device": device, "kind": kind,
                                    **violation.as_dict()})

    def note_own(self, device: str, violations: list):
        """Breaches of ours: bugs of this peer."""
        for violation in violations:
            self.own_violations.append({"device": device, **violation.as_dict()})

    def log(self, kind: str, direction: str, device: str, body: bytes):
        """The message log, and files for xmllint when --record is given."""
        self.messages.append({"number": self.number(), "time": time.time(), "kind": kind, "direction": direction,
                              "device": device, "bytes": len(body), "body": body.decode("utf-8", "replace")})
        self.kept += len(body)
        while len(self.messages) > KEEP or self.kept > KEEP_BYTES:
            self.kept -= self.messages.popleft()["bytes"]
        if self.options.record and body:
            self.recorded += 1
            with open(os.path.join(self.options.record, "%s-%05d.xml" % (kind, self.recorded)), "wb") as stream:
                stream.write(body)

    # ------------------------------------------------------------ enrollment

    def enrollment(self, step: str, url: str, headers: dict, body: bytes, tls: bytes):
        """One SOAP request: (answer kind, answer bytes); always HTTP 200, faults too (W 4)."""
        self.log(step, "in", "", body)
        self.note("", step, checker.check_http_request("POST", headers, body))
        relates = ""
        try:
            try:
                envelope = parse(body)
            except XmlError as error:
                self.note("", step, checker.check_soap(step, body))
                raise Fault("MessageFormat", str(error)) from error
            relates = text(envelope, "Header", "MessageID") or ""
            if not relates:
                self.note("", step, checker.check_soap(step, body))
                raise Fault("MessageFormat", "no MessageID")
            left = self.faults.get(step)
            if left and left[1] > 0:
                left[1] -= 1
                raise Fault(left[0], "injected")
            known = checker.Enrollment(url=url, relates_to=relates, policy=self.options.policy, tls_certificate=tls)
            handler = {"discover": self.discover, "policies": self.policies, "rst": self.issue}[step]
            kind, answer = handler(envelope, body, relates, known)
            self.note_own("", checker.check_soap(kind, answer, known))
        except Fault as fault:
            kind, answer = "fault", soap.fault(relates, fault.subcode, str(fault))
            self.note_own("", checker.check_soap(kind, answer))
        self.log(kind, "out", "", answer)
        return answer

    def judge(self, step: str, body: bytes, known, fatal: bool = False):
        """Judge a request; RST breaches that leave nothing to certify become a fault."""
        found = checker.check_soap(step, body, known)
        self.note("", step, found)
        if any(v.rule in ("SOAP-ENVELOPE", "SOAP-BODY") for v in found):
            raise Fault("MessageFormat", "not a %s message" % step)
        broken = [v for v in found if fatal and v.rule in FATAL]
        if broken:
            raise Fault("CertificateRequest", "%s: %s" % (broken[0].rule, broken[0].detail))

    def discover(self, envelope, body, relates, known):
        """Discover (W 2)."""
        self.judge("discover", body, known)
        request = soap.discover_request(envelope)
        if self.options.policy not in request["policies"]:
            raise Fault("NotSupported", "this server wants %s" % self.options.policy)
        self.versions[request["email"].lower()] = request["version"]
        known.version, known.offered = request["version"], tuple(request["policies"])
        login = self.base + LOGIN if self.options.policy == "Federated" else ""
        version = min(request["version"], "5.0", key=_number)
        answer = soap.discover_response_body(self.options.policy, version, self.base + STEPS["policies"],
                                             self.base + STEPS["rst"], login)
        return "discover-response", soap.response("discover-response", relates, answer)

    def authenticate(self, envelope, consume: bool) -> str:
        """The user of a credential, or a fault (W 2)."""
        credential = soap.read_credential(envelope)
        if credential and credential[0] == "password" and self.options.policy == "OnPremise":
            if secrets.compare_digest(credential[2].encode(), self.options.password.encode()):
                return credential[1]
        if credential and credential[0] == "token" and credential[1] in self.tokens:
            user = self.tokens[credential[1]]
            if consume:
                del self.tokens[credential[1]]      # single use (W 7)
            return user
        raise Fault("Authentication", "the credential is not known")

    def policies(self, envelope, body, relates, known):
        """GetPolicies (W 3)."""
        self.judge("policies", body, known)
        self.authenticate(envelope, consume=False)
        answer = soap.policies_response_body(2048, 31536000, 15552000, names.OID_SHA256_WITH_RSA)
        return "policies-response", soap.response("policies-response", relates, answer)

    def issue(self, envelope, body, relates, known):
        """RequestSecurityToken: issue or renew (W 4)."""
        kind, token, context = soap.read_rst(envelope)
        if kind == names.RENEW:
            return self.renew(body, relates, known, token)
        user = self.authenticate(envelope, consume=True)
        known.version = self.versions.get(user.lower(), "")
        self.judge("rst", body, known, fatal=True)
        values = dict(context)
        if not values.get("DeviceID"):
            raise Fault("InvalidEnrollmentData", "no DeviceID")
        request = pki.read_request(decode_base64(token))
        device_id = values["DeviceID"]
        certificate = self.authority.issue(device_id, request.public_key())
        record = Record(device_id, values.get("HWDevID", ""), user, values, certificate, device_id, new_secret())
        for other in self.records.values():         # same hardware: the older record goes (W 7)
            if record.hwdev_id and other.hwdev_id == record.hwdev_id and other.state == "enrolled":
                other.state = "replaced"
        self.records[device_id] = record
        known.enrollment_type = values.get("EnrollmentType", "")
        known.spki = request.spki
        options = self.options
        document = provisioning.write(
            root=pki.der_certificate(self.authority.certificate), certificate=pki.der_certificate(certificate),
            store="System" if known.enrollment_type == "Device" else "User", subject=device_id,
            provider=options.provider, address=self.address,
            auth_type="BASIC" if options.auth == "basic" else "DIGEST", user=record.user, secret=record.secret,
            poll=options.poll, upn=user, device_name=values.get("DeviceName", ""), signing=options.auth == "signed")
        self.log("provisioning", "out", device_id, document)
        return "rstr", soap.rstr(relates, document)

    def renew(self, body, relates, known, token):
        """ROBO renewal over mTLS with the certificate in force (W 4)."""
        record = self.by_certificate(known.tls_certificate)
        if record is None or record.state != "enrolled":
            raise Fault("Authentication", "a renewal needs the device certificate in TLS")
        known.renewal, known.certificate = True, record.certificate
        self.judge("rst", body, known, fatal=True)
        data = decode_base64(token)
        request = pki.read_request(pki.read_signed_data(data).content)
        record.certificate = self.authority.issue(record.device_id, request.public_key())
        known.enrollment_type, known.spki = record.context.get("EnrollmentType", ""), request.spki
        document = provisioning.write_renewal(
            certificate=pki.der_certificate(record.certificate), provider=self.options.provider,
            store="System" if known.enrollment_type == "Device" else "User")
        self.log("provisioning", "out", record.device_id, document)
        return "rstr", soap.rstr(relates, document)

    def by_certificate(self, der: bytes):
        """The record whose certificate this is; never by the subject asked for (W 4)."""
        for record in self.records.values():
            if der and pki.der_certificate(record.certificate) == der:
                return record
        return None

    def login_page(self, query: dict) -> bytes:
        """The page after a (granted) web login: a form that posts wresult to appru (W 2)."""
        token = secrets.token_urlsafe(48)
        self.tokens[token] = query.get("login_hint", ["user@example.test"])[0]
        action = html.escape(query.get("appru", ["ms-app://unknown"])[0], quote=True)
        return ('<!DOCTYPE html><html><head><title>Working...</title></head><body onload="document.forms[0].submit()">'
                '<form method="post" action="%s"><p><input type="hidden" name="wresult" value="%s"/></p>'
                '<input type="submit"/></form></body></html>' % (action, token)).encode()

    # ------------------------------------------------------------ management

    def management(self, target: str, headers: dict, body: bytes, tls: bytes) -> bytes:
        """One SyncML message; Refusal when it gets an HTTP error."""
        record = self.identify(headers, body, tls)
        self.log("syncml-client", "in", record.device_id, body)
        self.note(record.device_id, "http", checker.check_dm_request(target, headers, body))
        try:
            message = syncml.read(body)
        except (XmlError, ValueError):
            message = None
        session = record.current
        same = session is not None and message is not None and session.session_id == message.session_id
        goes_on = same and (message.msg_id != "1" or session.checker.challenged)
        if session is None or message is not None and not goes_on:
            if session is not None:
                session.close()
            session = record.current = Session(self, record, message.session_id if message else "")
            record.sessions.append(session.summary)
            if self.options.pfn and record.state == "enrolled":
                for queued in reversed(push_commands(self.options.provider, self.options.pfn, record, self.number)):
                    record.queue.appendleft(queued)
                    record.commands.append(queued)
        answer = session.answer(body)
        self.log("syncml-server", "out", record.device_id, answer)
        return answer

    def identify(self, headers: dict, body: bytes, tls: bytes) -> Record:
        """Who sends this, by the scheme of this server (W 5.6); HTTP 401 when not proven."""
        try:
            source = syncml.read(body).source
        except (XmlError, ValueError):
            source = ""
        scheme = self.options.auth
        record = self.by_certificate(tls) if scheme == "mtls" else self.records.get(source)
        report = Report(body)
        if record is None:
            report.add("AUTH-VALID", "%s: no enrollment for %s" % (scheme, source or "this certificate"))
        elif scheme == "signed":
            header = next((v for k, v in headers.items() if k.lower() == self.options.signature_header.lower()), "")
            report.need(signed_right(header, body, record.certificate), "AUTH-VALID", "signature of " + source)
        if record is not None and record.state == "replaced":
            report.add("AUTH-VALID", "the enrollment was replaced")
        ended = record is not None and record.state == "unenrolled" and (record.current is None or record.current.ended)
        self.note(source, "http", report.violations)
        if report.violations or ended:
            raise Refusal(401, "not enrolled")
        return record


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 1.0


class Handler(BaseHTTPRequestHandler):
    """The public side: enrollment, login page, management."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = -1          # one packet for head and body
    server_version = "peer"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """No lines on stderr; the message log has everything."""

    @property
    def peer(self) -> Server:
        """The state behind the sockets."""
        return self.server.peer

    def read_body(self):
        """The body by Content-Length within the bound, or None after an error answer."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            self.reply(411 if not length.isdigit() else 413, b"", "text/plain")
            return None
        return self.rfile.read(int(length))

    def reply(self, status: int, body: bytes, content_type: str, method: str = ""):
        """One answer with Content-Length; our own HTTP is judged too."""
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
        if method:
            self.peer.note_own("", checker.check_http_response(method, status, headers, body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # pylint: disable=invalid-name
        """Discovery GET and the login page."""
        parts = urlsplit(self.path)
        with self.peer.lock:
            if parts.path.lower() == STEPS["discover"].lower():
                self.peer.note("", "discover", checker.check_http_request("GET", dict(self.headers), b""))
                self.reply(200, b"", "text/html", "GET")
            elif parts.path == LOGIN and self.peer.options.policy == "Federated":
                self.reply(200, self.peer.login_page(parse_qs(parts.query)), "text/html; charset=utf-8")
            else:
                self.reply(404, b"", "text/plain")

    def do_POST(self):  # pylint: disable=invalid-name
        """SOAP and SyncML."""
        body = self.read_body()
        if body is None:
            return
        where = urlsplit(self.path).path
        tls = self.connection.getpeercert(binary_form=True) or b""
        with self.peer.lock:
            step = next((s for s, p in STEPS.items() if p.lower() == where.lower()), None)
            if step is not None:
                url = "https://%s%s" % (self.headers.get("Host", ""), self.path)
                answer = self.peer.enrollment(step, url, dict(self.headers), body, tls)
                self.reply(200, answer, "application/soap+xml; charset=utf-8", "POST")
            elif where == MANAGE:
                try:
                    answer = self.peer.management(self.path, dict(self.headers), body, tls)
                except Refusal as refusal:
                    self.reply(refusal.code, b"", "text/plain")
                    return
                self.reply(200, answer, names.DM_XML)
            else:
                self.reply(404, b"", "text/plain")


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A broken connection or handshake is the client's affair."""
        if not isinstance(sys.exc_info()[1], (ssl.SSLError, OSError)):
            super().handle_error(request, client_address)


def start(options, authority: pki.Authority, certificate: str, key: str, ca_file: str):
    """Bind both ports and serve in threads; returns (Server, public listener, admin listener)."""
    peer = Server(options, authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL         # enrollment has no certificate yet
    public = _Listener(("127.0.0.1", options.port), Handler)
    public.socket = context.wrap_socket(public.socket, server_side=True, do_handshake_on_connect=False)
    public.peer = peer
    peer.base = "https://%s:%d" % (options.host, public.server_address[1])
    private = ThreadingHTTPServer(("127.0.0.1", options.admin_port), admin.Handler)
    private.daemon_threads = True
    private.peer = peer
    for listener in (public, private):
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
    return peer, public, private


def arguments(argv=None):
    """The command line; also used by the tests for the defaults."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="localhost", help="the host name in the URLs that the server gives out")
    parser.add_argument("--admin-port", type=int, default=0)
    parser.add_argument("--ready-file", default="", help="JSON with the addresses, written when serving")
    parser.add_argument("--directory", default="peer-server", help="where keys are made when --cert … are not given")
    parser.add_argument("--cert", default="", help="TLS certificate, PEM")
    parser.add_argument("--key", default="", help="its key, PEM")
    parser.add_argument("--ca", default="", help="the CA that issues device certificates, PEM")
    parser.add_argument("--ca-key", default="", help="its key, PEM")
    parser.add_argument("--policy", choices=("OnPremise", "Federated"), default="OnPremise")
    parser.add_argument("--password", default="secret", help="the password of every OnPremise user")
    parser.add_argument("--auth", choices=("mtls", "md5", "basic", "signed"), default="mtls")
    parser.add_argument("--auth-once", action="store_true", help="answer good credentials 212 instead of 200")
    parser.add_argument("--signature-header", default="MS-Signature")
    parser.add_argument("--provider", default="PeerMDM")
    parser.add_argument("--pfn", default="", help="register devices for WNS push with this package family name")
    parser.add_argument("--batch", type=int, default=50, help="most commands in one message")
    parser.add_argument("--max-msg-size", type=int, default=0, help="announce and demand this size of client messages")
    parser.add_argument("--send-limit", type=int, default=syncml.DEFAULT_LIMIT, help="longest message to a silent device")
    parser.add_argument("--poll", type=json.loads, default=provisioning.DOCUMENT_POLL, help="JSON of the Poll node")
    parser.add_argument("--record", default="", help="folder for every message")
    parser.add_argument("--seconds", type=float, default=3600, help="end by itself after this time")
    return parser.parse_args(argv)


def main() -> int:
    """Serve until SIGTERM, SIGINT, POST /stop or --seconds."""
    options = arguments()
    if not (options.cert and options.key and options.ca and options.ca_key):
        made = pki.make_test_files(options.directory)
        options.cert, options.key = options.cert or made["server.pem"], options.key or made["server.key"]
        if not (options.ca and options.ca_key):
            options.ca, options.ca_key = made["ca.pem"], made["ca.key"]
    if options.record:
        os.makedirs(options.record, exist_ok=True)
    authority = pki.Authority.load(options.ca, options.ca_key)
    peer, public, private = start(options, authority, options.cert, options.key, options.ca)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: peer.stopped.set())
    about = {"url": peer.base + names.DISCOVERY_PATH, "base": peer.base, "port": public.server_address[1],
             "admin": "http://127.0.0.1:%d" % private.server_address[1], "ca": os.path.abspath(options.ca),
             "pid": os.getpid()}
    if options.ready_file:
        with open(options.ready_file + ".new", "w", encoding="utf-8") as stream:
            json.dump(about, stream)
        os.replace(options.ready_file + ".new", options.ready_file)
    print(json.dumps(about), flush=True)
    peer.stopped.wait(options.seconds)
    public.shutdown()
    private.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
