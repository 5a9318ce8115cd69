"""The server's side of management: device records, the command queue, and one SyncML session.

Sources: W 5, 7, 9; OMA DM Protocol 1.2 chapters 6 to 9.
"""

import base64
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import quote

from . import names, pki, syncml
from .checker import SessionChecker
from .rules import Report
from .session_checker import is_unenroll
from .xmlutil import XmlError, decode_base64

COMMANDS = ("Add", "Delete", "Exec", "Get", "Replace", "Atomic", "Sequence")
MAX_QUEUE = 10000
MAX_OBJECT = 8 * 1024 * 1024
PART_ROOM = 700


@dataclass
class Queued:
    """A command for a device, and what came back."""

    id: int
    name: str
    uri: str = ""
    data: str = None
    format: str = ""
    type: str = ""
    inner: list = field(default_factory=list)
    status: list = field(default_factory=list)     # codes, 213 left out
    results: list = field(default_factory=list)    # {"uri", "format", "data"}
    sent: bool = False

    def every(self) -> list:
        """This command, then those inside it."""
        found = [self]
        for inner in self.inner:
            found += inner.every()
        return found

    def as_dict(self) -> dict:
        """For JSON."""
        about = {"id": self.id, "cmd": self.name, "uri": self.uri, "data": self.data, "format": self.format,
                 "sent": self.sent, "status": self.status, "results": self.results}
        if self.inner:
            about["commands"] = [i.as_dict() for i in self.inner]
        return about


@dataclass
class Record:
    """One enrolled device."""

    device_id: str
    hwdev_id: str
    upn: str
    context: dict
    certificate: object
    user: str
    secret: str
    nonce: bytes = b"nonce"
    state: str = "enrolled"         # enrolled, unenrolled, replaced
    queue: deque = field(default_factory=deque)
    commands: list = field(default_factory=list)
    tree: dict = field(default_factory=dict)
    channel: str = ""
    push_status: str = ""
    alerts: list = field(default_factory=list)
    sessions: list = field(default_factory=list)
    current: object = None          # the Session under way
    expect_unenroll: bool = False

    def as_dict(self) -> dict:
        """For JSON, without secrets."""
        return {"device_id": self.device_id, "hwdev_id": self.hwdev_id, "upn": self.upn, "state": self.state,
                "context": self.context, "serial": "%X" % self.certificate.serial_number, "queued": len(self.queue),
                "channel": self.channel, "push_status": self.push_status, "alerts": self.alerts,
                "sessions": len(self.sessions)}

    def add(self, queued: Queued):
        """Queue a command."""
        if len(self.queue) >= MAX_QUEUE:
            raise ValueError("the queue is full")
        self.queue.append(queued)
        self.commands.append(queued)


def make_command(description: dict, number: int) -> Queued:
    """A command from the admin API's JSON; ValueError when it makes no sense."""
    name = description.get("cmd")
    if name not in COMMANDS:
        raise ValueError("cmd must be one of %s" % ", ".join(COMMANDS))
    if name in ("Atomic", "Sequence"):
        inner = [make_command(d, number) for d in description.get("commands") or []]
        if not inner:
            raise ValueError("%s without commands" % name)
        return Queued(number, name, inner=inner)
    if not isinstance(description.get("uri"), str) or not description["uri"]:
        raise ValueError("uri is missing")
    data = description.get("data")
    return Queued(number, name, description["uri"], None if data is None else str(data),
                  str(description.get("format", "")), str(description.get("type", "")))


class Refusal(Exception):
    """A request that gets an HTTP error instead of a message."""

    def __init__(self, code: int, reason: str):
        super().__init__(reason)
        self.code = code


class Session:
    """One session with one device."""

    def __init__(self, server, record: Record, session_id: str):
        self.server = server
        self.record = record
        self.session_id = session_id
        self.msg_id = 0
        self.sent = {}              # (MsgID, CmdID) -> Queued
        self.parts = {}             # Queued -> text of a Results received so far
        self.object = None          # {"queued", "rest", "started"}: our object under way
        self.accepted = False       # credentials answered 212, or a scheme below SyncML
        self.ended = False
        self.device_limit = 0
        self.checker = SessionChecker(record.device_id, server.address, record.expect_unenroll)
        self.summary = {"session_id": session_id, "started": time.time(), "messages": [], "commands": 0, "ended": False}
        record.expect_unenroll = False

    def close(self):
        """The session is over."""
        if not self.ended:
            self.ended = self.summary["ended"] = True
            self.server.note(self.record.device_id, "syncml", self.checker.end())

    # ------------------------------------------------------------ one message

    def answer(self, body: bytes) -> bytes:
        """Judge a client's message, take in what it says, and write ours."""
        self.server.note(self.record.device_id, "syncml", self.checker.client(body))
        try:
            message = syncml.read(body)
        except (XmlError, ValueError) as error:
            raise Refusal(400, "no SyncML: %s" % error) from error
        self.device_limit = message.max_msg_size or self.device_limit
        self.msg_id += 1
        writer = _Writer()
        refused = self.refuse(message)
        writer.status(message.msg_id, "0", "SyncHdr", refused["code"] if refused else self.header_code(message),
                      refused["chal"] if refused else "", message.target, message.source)
        if not refused:
            self.take_in(message)
        for command in message.commands:
            if command.name not in ("Status", "Results"):
                writer.status(message.msg_id, command.cmd_id or "", command.name, refused["code"] if refused else 200)
            elif command.name == "Results" and any(i.more for i in command.items):
                writer.status(message.msg_id, command.cmd_id or "", "Results", 213)
        final, work = True, False
        if not refused and not message.alerts("1223"):
            final, work = self.work(message, writer)
        data = syncml.message(self.session_id, self.msg_id, message.source, message.target, writer.parts, final,
                              max_msg_size=self.server.options.max_msg_size)
        self.server.note_own(self.record.device_id, self.checker.server(data))
        self.summary["messages"].append({"in": len(body), "out": len(data), "final": final})
        if not refused and not work:
            self.close()
        return data

    def header_code(self, message) -> int:
        """200, or 212 when the server is set to ask for credentials once."""
        if self.server.options.auth in ("md5", "basic") and message.cred is not None and self.server.options.auth_once:
            self.accepted = True
            return 212
        return 200

    def refuse(self, message):
        """The challenge for a message without (good) credentials, or None (W 5.6)."""
        scheme = self.server.options.auth
        if scheme not in ("md5", "basic") or self.accepted:
            return None
        record = self.record
        kind = "syncml:auth-" + scheme
        if message.cred is not None:
            data = message.cred.get("Data", "")
            if scheme == "md5":
                right = secrets.compare_digest(data, syncml.md5_digest(record.user, record.secret, record.nonce))
            else:
                right = secrets.compare_digest(data, syncml.basic_credential(record.user, record.secret))
            if right and message.cred.get("Type") == kind:
                return None
            report = Report()
            report.add("AUTH-VALID", "%s of %s" % (message.cred.get("Type"), record.device_id))
            self.server.note(record.device_id, "syncml", report.violations)
        code = 407 if message.cred is None else 401
        nonce = b""
        if scheme == "md5":
            nonce = record.nonce = secrets.token_bytes(16)
        return {"code": code, "chal": syncml.challenge(kind, nonce)}

    # ------------------------------------------------------------ taking in

    def take_in(self, message):
        """Statuses, Results and alerts of a client's message."""
        for command in message.commands:
            if command.name == "Status" and command.cmd_ref != "0":
                self.take_status(command)
            elif command.name == "Results":
                self.take_results(command)
            elif command.name == "Alert":
                self.take_alert(command)
            elif command.name == "Replace":
                for item in command.items:
                    self.record.tree[syncml.node_key(item.source)] = {"format": "chr", "data": item.data or ""}
        if message.alerts("1223"):
            self.close()

    def take_status(self, status):
        """A code for one of our commands; what succeeded changes the believed tree."""
        queued = self.sent.get((status.msg_ref, status.cmd_ref))
        if queued is None or not (status.data or "").isdigit() or status.data == "213":
            return
        queued.status.append(int(status.data))
        container = next((q for q in self.sent.values() if any(i is queued for i in q.inner)), None)
        rolled_back = container is not None and container.name == "Atomic" and container.status[-1:] != [200]
        if not rolled_back:
            self.believe(queued)

    def believe(self, queued: Queued):
        """Update the believed tree after a command that was answered 200."""
        if queued.status[-1:] != [200]:
            return
        key, tree = syncml.node_key(queued.uri), self.record.tree
        if queued.name in ("Add", "Replace"):
            tree[key] = {"format": queued.format or "chr", "data": queued.data or ""}
            if key.endswith("/clcred/aauthname"):
                self.record.user = queued.data or ""
            elif key.endswith("/clcred/aauthsecret"):
                self.record.secret = queued.data or ""
        elif queued.name == "Delete":
            for below in [k for k in tree if k == key or k.startswith(key + "/")]:
                del tree[below]

    def take_results(self, results):
        """A value, or a part of one."""
        queued = next((q for (msg, cmd), q in self.sent.items()
                       if cmd == results.cmd_ref and results.msg_ref in (None, msg)), None)
        if queued is None:
            return
        for item in results.items:
            text = self.parts.pop(queued.id, "") + (item.data or "")
            if len(text) > MAX_OBJECT:
                raise Refusal(413, "object too long")
            if item.more:
                self.parts[queued.id] = text
                continue
            value = {"format": results.item_meta(item).get("Format", "chr"), "data": text}
            queued.results.append({"uri": item.source, **value})
            key = syncml.node_key(item.source)
            self.record.tree[key] = value
            if key.endswith("/push/channeluri"):
                self.record.channel = text
            elif key.endswith("/push/status"):
                self.record.push_status = text

    def take_alert(self, alert):
        """Keep device events and generic alerts; the unenrollment alert ends the enrollment (W 7)."""
        if alert.data not in ("1224", "1226"):
            return
        for item in alert.items:
            kind = alert.item_meta(item).get("Type", "")
            self.record.alerts.append({"code": alert.data, "type": kind, "data": item.data, "source": item.source})
            if kind == names.UNENROLL_ALERT:
                self.record.state = "unenrolled"
                self.record.queue.clear()

    # ------------------------------------------------------------ work to give

    def work(self, message, writer):
        """(final, whether something was asked) of our message."""
        if not message.final and self.object is None:
            writer.alert("1222")                     # the client's package goes on: "next message" only
            return False, True
        if self.object is not None:
            return self.part(writer), True
        if self.record.state != "enrolled":
            return True, False
        limit = self.device_limit or self.server.options.send_limit
        count = 0
        while self.record.queue and count < self.server.options.batch:
            queued = self.record.queue[0]
            if not writer.fits(queued, limit):
                if count:
                    break
                self.record.queue.popleft()
                if queued.inner or queued.data is None:
                    for entry in queued.every():
                        entry.status.append(-1)       # never fits: not sent, and said so
                    continue
                queued.sent = True
                self.object = {"queued": queued, "rest": queued.data, "started": False}
                return self.part(writer), True
            if is_unenroll_command(queued):
                if count:
                    break
                self.record.expect_unenroll = True
            self.record.queue.popleft()
            for entry, cmd_id in writer.command(queued):
                entry.sent = True
                self.sent[(str(self.msg_id), cmd_id)] = entry
            count += 1
            self.summary["commands"] += 1
            if is_unenroll_command(queued):
                break
        return True, count > 0

    def part(self, writer) -> bool:
        """The next part of our object; returns whether Final goes with it (OMA DM Protocol 7)."""
        limit = self.device_limit or self.server.options.send_limit
        queued = self.object["queued"]
        room = max(limit - PART_ROOM - writer.size(), 64)
        head, rest = syncml.split_text(self.object["rest"], room)
        size = None if self.object["started"] else syncml.octets(queued.data)
        cmd_id = writer.part(queued, head, bool(rest), size)
        self.sent[(str(self.msg_id), cmd_id)] = queued
        self.object = {"queued": queued, "rest": rest, "started": True} if rest else None
        return not rest


def is_unenroll_command(queued: Queued) -> bool:
    """Whether a queued command ends the enrollment."""
    item = syncml.Item(None, target=queued.uri)
    return is_unenroll(syncml.Command(queued.name, None, items=[item]))


class _Writer:
    """Collects the commands of one message of ours and numbers them."""

    def __init__(self):
        self.parts = []
        self.number = 0

    def next_id(self) -> str:
        """The next CmdID."""
        self.number += 1
        return str(self.number)

    def size(self) -> int:
        """Bytes so far."""
        return sum(len(p.encode()) for p in self.parts)

    def status(self, msg_ref, cmd_ref, cmd, code, chal="", target="", source=""):
        """A Status."""
        self.parts.append(syncml.status(self.next_id(), msg_ref, cmd_ref, cmd, code, chal, target, source))

    def alert(self, code):
        """An Alert."""
        self.parts.append(syncml.alert(self.next_id(), code))

    def fits(self, queued: Queued, limit: int) -> bool:
        """Whether the whole command still fits."""
        text, _ = self.render(queued, self.number)
        return self.size() + len(text.encode()) + PART_ROOM <= limit

    def command(self, queued: Queued) -> list:
        """Write a command; [(Queued, CmdID)] of it and those inside."""
        text, ids = self.render(queued, self.number)
        self.number += len(ids)
        self.parts.append(text)
        return ids

    def render(self, queued: Queued, number: int):
        """(XML, [(Queued, CmdID)]) with CmdIDs after `number`."""
        cmd_id = str(number + 1)
        ids = [(queued, cmd_id)]
        if queued.inner:
            inside = ""
            for entry in queued.inner:
                text, below = self.render(entry, number + len(ids))
                inside += text
                ids += below
        else:
            inside = syncml.item(target=queued.uri, data=queued.data, raw=queued.format == "xml",
                                 Format=queued.format, Type=queued.type)
        return syncml.element(queued.name, syncml.leaf("CmdID", cmd_id), inside), ids

    def part(self, queued: Queued, data: str, more: bool, size) -> str:
        """Write a part of a large object; its CmdID."""
        cmd_id = self.next_id()
        inside = syncml.item(target=queued.uri, data=data, more=more, Format=queued.format, Type=queued.type, Size=size)
        self.parts.append(syncml.element(queued.name, syncml.leaf("CmdID", cmd_id), inside))
        return cmd_id


def push_commands(provider: str, pfn: str, record: Record, number) -> list:
    """WNS registration: set the PFN once, then read channel and status in each session (W 9)."""
    base = "./Device/Vendor/MSFT/DMClient/Provider/%s/Push/" % quote(provider, safe="")
    wanted = []
    if record.tree.get(syncml.node_key(base + "PFN"), {}).get("data") != pfn:
        wanted.append({"cmd": "Replace", "uri": base + "PFN", "data": pfn, "format": "chr"})
    wanted += [{"cmd": "Get", "uri": base + "ChannelURI"}, {"cmd": "Get", "uri": base + "Status"}]
    return [make_command(w, number()) for w in wanted]


def signed_right(header: str, body: bytes, certificate) -> bool:
    """Whether the signature header is a detached CMS by the device's certificate over the body (W 5.6)."""
    try:
        signed = pki.read_signed_data(decode_base64(header))
    except (pki.DerError, ValueError):
        return False
    return pki.OID_SIGNING_TIME in signed.attributes and signed.verify(certificate, body)


def new_secret() -> str:
    """A random secret for APPAUTH."""
    return base64.b64encode(secrets.token_bytes(18)).decode()
