"""A Windows device: enrolls, polls, runs sessions, renews, unenrolls; prints JSON lines of what it did.

    python -m windows.device --state DIR --ca ca.pem enroll --url https://localhost:PORT/EnrollmentServer/Discovery.svc
    python -m windows.device --state DIR --ca ca.pem sync

It judges every message of the server with the checker (event "violation"), and its own ("own-violation").
Sources: W 2 to 8; MS-MDE2 3.1-3.4.
"""

import argparse
import base64
import hashlib
import html.parser
import json
import os
import secrets
import sys
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urljoin, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from . import checker, device_session, http_client, names, pki, poll, provisioning, soap, syncml, tree
from .xmlutil import XmlError, parse, path, text

MAX_REDIRECTS = 5
RETRY_FAULTS = ("EnrollmentServer", "InternalServiceFault", "InMaintenance")   # W 4, Faults


class DeviceError(Exception):
    """The device cannot go on."""


@dataclass
class Settings:
    """How this device behaves; the notes marks these points as uncertain or different between builds."""

    version: str = "5.0"
    old_request: bool = False          # CSR of the old build: PrintableString with NUL, SHA-1
    enrollment_type: str = "Full"
    login: str = "user"                # user, others or none
    atomic: str = "book"               # or "thread": the codes of fleetdm/fleet#37932
    limit: int = syncml.DEFAULT_LIMIT  # the longest message we take and send
    announce_limit: bool = False       # send SyncHdr/Meta/MaxMsgSize; the recorded device does not
    signature_header: str = "MS-Signature"
    channel_base: str = "https://localhost/wns"
    application: str = "10.0.22631.3447"
    edition: str = "4"
    locale: str = "en-US"
    seed: str = ""                     # makes HWDevID and the names a function of it


@dataclass
class Device:
    """One device; its state lives in a folder."""

    directory: str
    ca_file: str
    settings: Settings = field(default_factory=Settings)
    out: object = None                 # a stream for the JSON lines
    record_directory: str = ""

    def __post_init__(self):
        os.makedirs(self.directory, exist_ok=True)
        self.violations = []
        self.own_violations = []
        self.recorded = 0
        self.state = {}
        self.tree = None
        if os.path.exists(self.file("state.json")):
            with open(self.file("state.json"), encoding="utf-8") as stream:
                self.state = json.load(stream)
            self.tree = self.make_tree()
            for key, value in self.state.get("written", {}).items():
                self.tree.nodes[key] = tree.Node(**value)

    # ------------------------------------------------------------ small things

    def file(self, name: str) -> str:
        """A path in the state folder."""
        return os.path.join(self.directory, name)

    def emit(self, event: str, **about):
        """One JSON line."""
        if self.out is not None:
            print(json.dumps({"event": event, **about}), file=self.out, flush=True)

    def judge(self, violations: list):
        """Breaches of the server."""
        for violation in violations:
            self.violations.append(violation)
            self.emit("violation", **violation.as_dict())

    def judge_own(self, violations: list):
        """Breaches of our own: bugs."""
        for violation in violations:
            self.own_violations.append(violation)
            self.emit("own-violation", **violation.as_dict())

    def record(self, kind: str, body: bytes):
        """Keep a message for xmllint when asked to."""
        if self.record_directory and body:
            os.makedirs(self.record_directory, exist_ok=True)
            self.recorded += 1
            name = "%s-%s-%05d.xml" % (kind, os.path.basename(self.directory.rstrip("/")), self.recorded)
            with open(os.path.join(self.record_directory, name), "wb") as stream:
                stream.write(body)

    def save(self):
        """Write the state, with the nodes that differ from a fresh tree."""
        if self.tree is not None:
            fresh = self.make_tree().nodes
            self.state["written"] = {k: vars(n) for k, n in self.tree.nodes.items() if fresh.get(k) != n}
        pki.write_private(self.file("state.json"), json.dumps(self.state, indent=1).encode())

    def context(self, with_certificate: bool = True):
        """TLS as the device: trust --ca, present the certificate."""
        certificate = self.file("device.pem") if with_certificate else ""
        return http_client.tls_context(self.ca_file, certificate, self.file("device.key"))

    def identity(self):
        """(certificate, key) of the enrollment."""
        with open(self.file("device.pem"), "rb") as stream:
            certificate = x509.load_pem_x509_certificate(stream.read())
        with open(self.file("device.key"), "rb") as stream:
            return certificate, serialization.load_pem_private_key(stream.read(), None)

    def make_tree(self):
        """A fresh tree for this enrollment."""
        return tree.windows_tree(self.state, self.state["provider"], self.state["poll"],
                                 self.settings.login == "user")

    # ------------------------------------------------------------ enrollment

    def enroll(self, url: str, upn: str, policy: str, password: str = "", token: str = "", get: bool = True):
        """Discovery, login, policies, request, provisioning (W 1)."""
        self.make_identity(upn)
        found = self.discover(url, upn, policy, get)
        if found["policy"] == "Federated":
            token = token or self.log_in(found["login"], upn)
            security = soap.binary_token(token)
        else:
            security = soap.binary_token(token) if token else soap.username_token(upn, password)
        key_length, hash_oid = self.policies(found, security)
        key = pki.make_key(max(2048, key_length))
        old = self.settings.old_request
        request = pki.make_request(key, str(uuid.uuid4()).upper()[:30], self.state["device_id"], old)
        self.emit("request", bytes=len(request), key_bits=key.key_size, policy_hash=hash_oid)
        body = soap.rst_body(names.ISSUE, names.PKCS10, base64.b64encode(request).decode(), self.request_context())
        known = checker.Enrollment(url=found["enroll"], policy=found["policy"], version=self.settings.version,
                                   enrollment_type=self.settings.enrollment_type, key_length=key_length,
                                   spki=pki.read_request(request).spki)
        answer = self.soap("rst", "rstr", found["enroll"], body, known, security)
        pki.write_private(self.file("device.key"), pki.pem_key(key))
        self.adopt(provisioning.read(soap.read_rstr(answer)))
        self.state["enroll_url"] = found["enroll"]
        self.save()
        self.emit("enrolled", device_id=self.state["device_id"], provider=self.state["provider"],
                  address=self.state["address"], poll=self.state["poll"])

    def make_identity(self, upn: str):
        """Names of this device; HWDevID outlives a wipe (W 7)."""
        seed = self.settings.seed or self.state.get("seed") or secrets.token_hex(16)
        hardware = hashlib.sha256(seed.encode()).hexdigest().upper()
        self.state = {
            "seed": seed, "hwdev_id": hardware, "device_id": secrets.token_hex(16).upper(), "upn": upn,
            "device_name": "DESKTOP-" + hardware[:7], "mac": "-".join(hardware[i:i + 2] for i in range(0, 12, 2)),
            "os_version": self.settings.application, "locale": self.settings.locale,
        }

    def discover(self, url: str, upn: str, policy: str, get: bool) -> dict:
        """GET and POST Discovery.svc; the later URLs come from the answer, never derived."""
        headers = {"User-Agent": "ENROLLClient", "Cache-Control": "no-cache", "Pragma": "no-cache"}
        if get:
            answer = self.send("GET", url, headers)
            self.judge(checker.check_http_response("GET", answer.status, answer.headers, answer.body))
        offered = ("OnPremise", "Federated") if policy == "Federated" else (policy,)
        body = soap.discover_body(upn, self.settings.version, "CIMClient_Windows", self.settings.application,
                                  self.settings.edition, offered)
        known = checker.Enrollment(url=url, version=self.settings.version, offered=offered)
        result = path(self.soap("discover", "discover-response", url, body, known),
                      "Body", "DiscoverResponse", "DiscoverResult")
        found = {"policy": text(result, "AuthPolicy") or "", "enroll": text(result, "EnrollmentServiceUrl") or "",
                 "policies": text(result, "EnrollmentPolicyServiceUrl") or "",
                 "login": text(result, "AuthenticationServiceUrl") or "",
                 "version": text(result, "EnrollmentVersion") or ""}
        if not found["enroll"] or found["policy"] not in offered:
            raise DeviceError("discovery offers no way on: %s" % found)
        self.emit("discovered", **found)
        return found

    def log_in(self, url: str, upn: str) -> str:
        """The web page of Federated: follow a few redirects to a form with wresult (W 2)."""
        query = urlencode({"appru": "ms-app://s-1-15-2-peer", "login_hint": upn})
        url += ("&" if urlsplit(url).query else "?") + query
        for _ in range(MAX_REDIRECTS):
            answer = self.send("GET", url, {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; MSAuthHost/1.0)"})
            if answer.status not in (301, 302, 303, 307, 308):
                break
            url = urljoin(url, answer.headers.get("Location", ""))
        form = _Form()
        form.feed(answer.body.decode("utf-8", "replace"))
        if not form.result:
            raise DeviceError("the login page gave no wresult")
        self.emit("logged-in", token_length=len(form.result))
        return form.result

    def policies(self, found: dict, security: str):
        """GetPolicies when the server has it; a broken answer falls back to the defaults (W 3)."""
        if not found["policies"]:
            return 2048, names.OID_SHA1_RSA
        known = checker.Enrollment(url=found["policies"], policy=found["policy"])
        try:
            answer = self.soap("policies", "policies-response", found["policies"], soap.policies_body(), known, security)
        except XmlError as error:
            self.emit("warning", text="policies not readable, defaults taken: %s" % error)
            return 2048, names.OID_SHA1_RSA
        return soap.read_policies(answer)

    def request_context(self) -> list:
        """The context items in recorded order (W 4)."""
        state, settings = self.state, self.settings
        items = [("UXInitiated", "true"), ("HWDevID", state["hwdev_id"]), ("Locale", state["locale"]),
                 ("TargetedUserLoggedIn", "true"), ("OSEdition", settings.edition), ("DeviceName", state["device_name"]),
                 ("MAC", state["mac"]), ("DeviceID", state["device_id"]), ("EnrollmentType", settings.enrollment_type),
                 ("DeviceType", "CIMClient_Windows"), ("OSVersion", settings.application),
                 ("ApplicationVersion", settings.application), ("NotInOobe", "false")]
        if float(settings.version) >= 5:
            items.append(("RequestVersion", settings.version))
        return items

    def soap(self, kind: str, answer_kind: str, url: str, body: str, known, security: str = "", certificate=False):
        """One SOAP exchange, both sides judged; faults become DeviceError."""
        data, message_id = soap.request(kind, url, body, security)
        headers = {"User-Agent": "ENROLLClient", "Content-Type": names.SOAP_TYPE + "; charset=utf-8"}
        self.judge_own(checker.check_http_request("POST", headers, data) + checker.check_soap(kind, data, known))
        self.record(kind, data)
        answer = self.send("POST", url, headers, data, certificate)
        self.judge(checker.check_http_response("POST", answer.status, answer.headers, answer.body))
        try:
            envelope = parse(answer.body)
        except XmlError:
            self.judge(checker.check_soap(answer_kind, answer.body, known))
            raise
        fault = soap.read_fault(envelope)
        self.record("fault" if fault else answer_kind, answer.body)
        if fault is not None:
            self.judge(checker.check_soap("fault", answer.body))
            known_faults = {name.lower(): (name, code) for name, code in names.FAULTS.items()}
            name, code = known_faults.get(fault[0].lower(), (fault[0], 0))
            self.emit("fault", step=kind, subcode=name, hresult="0x%08X" % code, reason=fault[1],
                      retry=name in RETRY_FAULTS)
            raise DeviceError("fault %s: %s" % (name, fault[1]))
        known.relates_to = message_id
        self.judge(checker.check_soap(answer_kind, answer.body, known))
        return envelope

    def send(self, method: str, url: str, headers: dict, body: bytes = b"", certificate: bool = False):
        """One HTTP request of the enrollment."""
        return http_client.send_once(method, url, self.context(certificate), headers, body)

    def adopt(self, document):
        """Take what the provisioning document says: certificate, account, schedule (W 4)."""
        self.adopt_certificate(document)
        provider = document.application("PROVIDER-ID")
        address = document.application("ADDR")
        if not provider or not address:
            raise DeviceError("the provisioning document has no PROVIDER-ID or no ADDR")
        own = document.provider()
        schedule = {name.partition("/")[2]: value for name, value in own.items() if name.startswith("Poll/")}
        account = next((a for a in document.auth() if a.get("AAUTHNAME") and a.get("AAUTHSECRET")), {})
        by_hardware = document.application("USEHWDEVID") is not None    # its presence counts (W 4)
        self.state.update({
            "source": self.state["hwdev_id" if by_hardware else "device_id"], "provider": provider, "address": address, "poll": {**poll.DEFAULTS, **schedule}, "polls_done": 0,
            "auth_name": account.get("AAUTHNAME", ""), "auth_secret": account.get("AAUTHSECRET", ""),
            "nonce": account.get("AAUTHDATA", ""), "signing": own.get("RequireMessageSigning", "").lower() == "true",
            "session_id": 0, "alerts": [],
        })
        self.tree = self.make_tree()
        if own.get("Push/PFN"):
            self.changed("./Vendor/MSFT/DMClient/Provider/%s/Push/PFN" % quote(provider, safe=""), own["Push/PFN"])

    def adopt_certificate(self, document):
        """Store the issued certificate: the one in CertificateStore/My that fits our key."""
        with open(self.file("device.key"), "rb") as stream:
            key = serialization.load_pem_private_key(stream.read(), None)
        wanted = key.public_key().public_bytes(serialization.Encoding.DER,
                                               serialization.PublicFormat.SubjectPublicKeyInfo)
        for _, _, encoded in document.certificates("My"):
            certificate = provisioning.load_certificate(encoded)
            if pki.spki_of(certificate) == wanted:
                pki.write_private(self.file("device.pem"), pki.pem_certificate(certificate))
                return
        raise DeviceError("no certificate for our key in the provisioning document")

    def renew(self):
        """ROBO: a new key in CMS signed by the old one, over TLS with the old certificate (W 4)."""
        certificate, old_key = self.identity()
        key = pki.make_key()
        request = pki.make_request(key, str(uuid.uuid4()).upper()[:30], self.state["device_id"])
        signed = pki.sign_cms(request, certificate, old_key, detached=False)
        known = checker.Enrollment(url=self.state["enroll_url"], renewal=True, certificate=certificate,
                                   tls_certificate=pki.der_certificate(certificate),
                                   enrollment_type=self.settings.enrollment_type, spki=pki.read_request(request).spki)
        body = soap.rst_body(names.RENEW, names.PKCS7_TYPES[0], base64.b64encode(signed).decode(),
                             [("DeviceType", "CIMClient_Windows"), ("ApplicationVersion", self.settings.application)])
        answer = self.soap("rst", "rstr", self.state["enroll_url"], body, known, certificate=True)
        pki.write_private(self.file("device.key"), pki.pem_key(key))
        self.adopt_certificate(provisioning.read(soap.read_rstr(answer)))
        self.emit("renewed", serial="%X" % self.identity()[0].serial_number)

    # ------------------------------------------------------------ management

    def sync(self, alert: str = "1201", extra=()):
        """One session; an Exec that ends the enrollment is followed up (W 7)."""
        self.require_enrolled()
        queued, self.state["alerts"] = [tuple(a) for a in self.state["alerts"]], []
        session = device_session.Session(self, alert, queued + list(extra))
        self.emit("session-start", alert=alert, extra=[a[1] for a in session.extra_alerts])
        try:
            summary = session.run()
        except device_session.SessionFailed as error:
            self.save()
            self.emit("session-failed", reason=str(error))
            raise DeviceError(str(error)) from error
        self.save()
        self.emit("session-end", **summary)
        if "unenroll" in summary["after"]:
            self.unenroll()
        elif "wipe" in summary["after"]:
            self.forget("wiped")
        return summary

    def unenroll(self):
        """A new session with the unenrollment alert; best effort, then everything is forgotten (W 7)."""
        self.require_enrolled()
        try:
            summary = device_session.Session(
                self, "1201", [("1226", names.UNENROLL_ALERT, "int", "1", "")]).run()
            self.emit("session-end", **summary)
        except (device_session.SessionFailed, http_client.TransportError) as error:
            self.emit("session-failed", reason=str(error))
        self.forget("unenrolled")

    def forget(self, reason: str):
        """Drop certificate and policies; the hardware identity stays."""
        seed = self.state["seed"]
        for name in ("device.key", "device.pem"):
            os.unlink(self.file(name))
        self.emit(reason, device_id=self.state["device_id"])
        self.state, self.tree = {"seed": seed}, None
        pki.write_private(self.file("state.json"), json.dumps(self.state).encode())

    def require_enrolled(self):
        """Fail early without an enrollment."""
        if self.tree is None or not os.path.exists(self.file("device.pem")):
            raise DeviceError("not enrolled")

    def poll(self, sessions: int, minute: float):
        """`sessions` scheduled sessions; a minute of the schedule lasts `minute` seconds (W 6)."""
        for _ in range(sessions):
            minutes = poll.minutes_until(self.state["poll"], self.state["polls_done"])
            self.emit("waiting", minutes=minutes)
            time.sleep(minutes * minute)
            self.state["polls_done"] += 1
            self.sync()
            if self.tree is None:
                return

    def queue_alert(self, code: str, kind: str, form: str, data: str, source: str):
        """An alert for package 1 of the next session (asynchronous results, W 5.2)."""
        self.state["alerts"].append([code, kind, form, data, source])

    def changed(self, uri: str, value: str = ""):
        """What the OS does after a write: poll schedule at once, a channel for a PFN, new credentials."""
        key = syncml.node_key(uri)
        value = value or self.tree.value(uri) or ""
        base = "./Vendor/MSFT/DMClient/Provider/" + quote(self.state["provider"], safe="")
        if "/poll/" in key and key.startswith("vendor/msft/dmclient/provider/"):
            name = next((n for n in self.state["poll"] if key.endswith("/" + n.lower())), None)
            if name is not None:
                self.state["poll"][name] = value
                self.state["polls_done"] = 0
                self.emit("rescheduled", poll=self.state["poll"])
        elif key.endswith("/push/pfn"):
            channel = device_session.channel_uri(self.settings.channel_base)
            self.tree.put(base + "/Push/PFN", value, write=True)
            self.tree.put(base + "/Push/ChannelURI", channel)
            self.tree.put(base + "/Push/Status", "0", "int")
            self.emit("channel", pfn=value, uri=channel)
        elif key.endswith("/clcred/aauthname"):
            self.state["auth_name"] = value
        elif key.endswith("/clcred/aauthsecret"):
            self.state["auth_secret"] = value


class _Form(html.parser.HTMLParser):
    """Finds the hidden input wresult."""

    def __init__(self):
        super().__init__()
        self.result = ""

    def handle_starttag(self, tag, attrs):
        about = dict(attrs)
        if tag == "input" and about.get("name") == "wresult":
            self.result = about.get("value") or ""


# ---------------------------------------------------------------- command line

def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--state", required=True, help="folder of this device's state")
    parser.add_argument("--ca", required=True, help="PEM of the root that signs the server's TLS certificate")
    parser.add_argument("--record", default="", help="folder for every message, for schemas/check.py")
    parser.add_argument("--request-version", default="5.0")
    parser.add_argument("--old-csr", action="store_true", help="PrintableString with NUL and SHA-1, as old builds do")
    parser.add_argument("--enrollment-type", choices=("Full", "Device"), default="Full")
    parser.add_argument("--login", choices=("user", "others", "none"), default="user")
    parser.add_argument("--atomic", choices=("book", "thread"), default="book")
    parser.add_argument("--limit", type=int, default=syncml.DEFAULT_LIMIT, help="longest message, bytes")
    parser.add_argument("--announce-limit", action="store_true", help="send MaxMsgSize in the header")
    parser.add_argument("--signature-header", default="MS-Signature")
    parser.add_argument("--channel-base", default="https://localhost/wns")
    parser.add_argument("--seed", default="", help="makes HWDevID and names repeatable")
    commands = parser.add_subparsers(dest="command", required=True)
    enroll = commands.add_parser("enroll")
    life = commands.add_parser("life", help="enroll, poll, unenroll")
    for entry in (enroll, life):
        entry.add_argument("--url", required=True, help="the discovery URL")
        entry.add_argument("--upn", default="user@example.test")
        entry.add_argument("--auth", choices=("OnPremise", "Federated"), default="OnPremise")
        entry.add_argument("--password", default="secret")
        entry.add_argument("--token", default="", help="a token instead of password or login page")
        entry.add_argument("--no-get", action="store_true", help="leave out the discovery GET")
    sync = commands.add_parser("sync")
    sync.add_argument("--alert", choices=("1200", "1201"), default="1201")
    sync.add_argument("--times", type=int, default=1)
    for entry in (life, commands.add_parser("poll")):
        entry.add_argument("--sessions", type=int, default=3)
        entry.add_argument("--minute", type=float, default=0.0, help="seconds that a minute of the schedule lasts")
    for name in ("renew", "unenroll", "tree"):
        commands.add_parser(name)
    return parser.parse_args()


def _run(device: Device, arguments):
    if arguments.command in ("enroll", "life"):
        device.enroll(arguments.url, arguments.upn, arguments.auth, arguments.password, arguments.token,
                      not arguments.no_get)
    if arguments.command == "sync":
        for _ in range(arguments.times):
            device.sync(arguments.alert)
    if arguments.command in ("poll", "life"):
        device.poll(arguments.sessions, arguments.minute)
    if arguments.command == "renew":
        device.renew()
    if arguments.command == "unenroll" or arguments.command == "life" and device.tree is not None:
        device.unenroll()
    if arguments.command == "tree":
        device.emit("tree", nodes=device.tree.as_dict() if device.tree else {})


def main() -> int:
    """0 well, 2 the server could not be used, 3 it broke a rule of level must, 4 we broke one (a bug)."""
    arguments = _arguments()
    settings = Settings(arguments.request_version, arguments.old_csr, arguments.enrollment_type, arguments.login,
                        arguments.atomic, arguments.limit, arguments.announce_limit, arguments.signature_header,
                        arguments.channel_base, seed=arguments.seed)
    device = Device(arguments.state, arguments.ca, settings, sys.stdout, arguments.record)
    failed = False
    try:
        _run(device, arguments)
    except (DeviceError, http_client.TransportError, ValueError) as error:
        device.emit("failed", reason=str(error))
        failed = True
    must = [v for v in device.violations if checker.RULES[v.rule].level == "must"]
    device.emit("done", violations=len(device.violations), must=len(must), own=len(device.own_violations))
    return 2 if failed else 4 if device.own_violations else 3 if must else 0


if __name__ == "__main__":
    sys.exit(main())
