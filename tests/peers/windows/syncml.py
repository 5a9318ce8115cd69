"""SyncML 1.2 device-management messages: a reader, writers, chunk splitting and credentials.

Sources: W 5; MS-MDM 2.2; OMA DM Protocol 1.2 chapters 6 to 9; OMA DM Representation 1.2; OMA DM Security 1.2.
"""

import base64
import hashlib
from dataclasses import dataclass, field

from . import names
from .xmlutil import ET, child, children, escape, local, parse, path, text

COMMANDS = ("Add", "Alert", "Atomic", "Delete", "Exec", "Get", "Replace", "Results", "Sequence", "Status")
CONTAINERS = ("Atomic", "Sequence")
DEVINFO = ("./DevInfo/DevId", "./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/DmV", "./DevInfo/Lang")
DEFAULT_LIMIT = 524288  # W 5.2 and 5.4


@dataclass
class Item:
    """One Item; `data` is its text, or its child XML when the format is xml."""

    element: object
    target: str = ""
    source: str = ""
    meta: dict = field(default_factory=dict)
    data: str = None
    more: bool = False


@dataclass
class Command:
    """One command of a body.  A missing child is None."""

    name: str
    element: object
    cmd_id: str = None
    meta: dict = field(default_factory=dict)
    items: list = field(default_factory=list)
    data: str = None
    msg_ref: str = None
    cmd_ref: str = None
    cmd: str = None
    chal: dict = None
    no_response: bool = False
    inner: list = field(default_factory=list)

    def every(self) -> list:
        """This command, then all commands inside it, in document order."""
        found = [self]
        for command in self.inner:
            found += command.every()
        return found

    def item_meta(self, item: Item) -> dict:
        """The item's Meta over the command's."""
        return {**self.meta, **item.meta}


@dataclass
class Message:
    """A message as read; the checker judges it."""

    root: object
    header: object = None
    body: object = None
    session_id: str = ""
    msg_id: str = ""
    target: str = ""
    source: str = ""
    cred: dict = None
    max_msg_size: int = 0
    commands: list = field(default_factory=list)
    final: bool = False

    def named(self, name: str) -> list:
        """The top-level commands of one name."""
        return [c for c in self.commands if c.name == name]

    def alerts(self, code: str) -> list:
        """The alerts with this code."""
        return [c for c in self.named("Alert") if c.data == code]

    def header_status(self):
        """The Status for our SyncHdr, or None."""
        for status in self.named("Status"):
            if status.cmd_ref == "0":
                return status
        return None


def _meta(element) -> dict:
    return {local(e): (e.text or "").strip() for e in ([] if element is None else element)}


def _data(element):
    if element is None:
        return None
    inside = "".join(ET.tostring(e, encoding="unicode") for e in element)
    return (element.text or "") + inside


def _item(element) -> Item:
    return Item(element, text(element, "Target", "LocURI") or "", text(element, "Source", "LocURI") or "",
                _meta(child(element, "Meta")), _data(child(element, "Data")), child(element, "MoreData") is not None)


def _credential(element) -> dict:
    return {**_meta(child(element, "Meta")), "Data": text(element, "Data") or ""}


def _command(element) -> Command:
    command = Command(local(element), element, text(element, "CmdID"), _meta(child(element, "Meta")))
    command.items = [_item(e) for e in children(element, "Item")]
    command.data = text(element, "Data")
    command.msg_ref, command.cmd_ref, command.cmd = (text(element, n) for n in ("MsgRef", "CmdRef", "Cmd"))
    command.no_response = child(element, "NoResp") is not None
    if child(element, "Chal") is not None:
        command.chal = _meta(path(element, "Chal", "Meta"))
    if command.name in CONTAINERS:
        command.inner = [_command(e) for e in element if local(e) not in ("CmdID", "NoResp", "Meta")]
    return command


def read(data: bytes) -> Message:
    """Read a message as far as it goes; XmlError when it is no XML, ValueError when it is no SyncML."""
    root = parse(data)
    if local(root) != "SyncML":
        raise ValueError("the root is %s, not SyncML" % local(root))
    message = Message(root, child(root, "SyncHdr"), child(root, "SyncBody"))
    if message.header is None or message.body is None:
        raise ValueError("SyncHdr or SyncBody is missing")
    header = message.header
    message.session_id = text(header, "SessionID") or ""
    message.msg_id = text(header, "MsgID") or ""
    message.target = text(header, "Target", "LocURI") or ""
    message.source = text(header, "Source", "LocURI") or ""
    if child(header, "Cred") is not None:
        message.cred = _credential(child(header, "Cred"))
    limit = _meta(child(header, "Meta")).get("MaxMsgSize", "")
    message.max_msg_size = int(limit) if limit.isdigit() and len(limit) < 10 else 0
    message.commands = [_command(e) for e in message.body if local(e) != "Final"]
    message.final = child(message.body, "Final") is not None
    return message


# ---------------------------------------------------------------- writing

def element(name: str, *inside: str) -> str:
    """One element around ready-made XML."""
    return "<%s>%s</%s>" % (name, "".join(inside), name)


def leaf(name: str, value) -> str:
    """One element around escaped text; never CDATA (W 5.3)."""
    return "<%s>%s</%s>" % (name, escape(str(value)), name)


def meta(**values) -> str:
    """A Meta element; keys in the order Format, Type, Mark, Size, NextNonce, MaxMsgSize."""
    order = ("Format", "Type", "Mark", "Size", "NextNonce", "MaxMsgSize")
    inside = "".join('<%s xmlns="%s">%s</%s>' % (k, names.METINF, escape(str(values[k])), k)
                     for k in order if values.get(k) not in (None, ""))
    return element("Meta", inside) if inside else ""


def item(target: str = "", source: str = "", data=None, more: bool = False, raw: bool = False, **about) -> str:
    """An Item in the DTD's order: Target, Source, Meta, Data, MoreData."""
    parts = [element("Target", leaf("LocURI", target)) if target else "",
             element("Source", leaf("LocURI", source)) if source else "", meta(**about)]
    if data is not None:
        parts.append(element("Data", data) if raw else leaf("Data", data))
    if more:
        parts.append("<MoreData/>")
    return element("Item", *parts)


def status(cmd_id, msg_ref, cmd_ref, cmd, code, chal: str = "", target_ref: str = "", source_ref: str = "") -> str:
    """A Status in the DTD's order: CmdID, MsgRef, CmdRef, Cmd, TargetRef, SourceRef, Chal, Data."""
    return element("Status", leaf("CmdID", cmd_id), leaf("MsgRef", msg_ref), leaf("CmdRef", cmd_ref),
                   leaf("Cmd", cmd), leaf("TargetRef", target_ref) if target_ref else "",
                   leaf("SourceRef", source_ref) if source_ref else "", chal, leaf("Data", code))


def challenge(kind: str, nonce: bytes = b"") -> str:
    """A Chal for syncml:auth-md5 or syncml:auth-basic (W 5.6)."""
    encoded = base64.b64encode(nonce).decode() if nonce else ""
    return element("Chal", meta(Format="b64", Type=kind, NextNonce=encoded))


def results(cmd_id, msg_ref, cmd_ref, inside: str) -> str:
    """A Results around one ready-made Item."""
    return element("Results", leaf("CmdID", cmd_id), leaf("MsgRef", msg_ref), leaf("CmdRef", cmd_ref), inside)


def alert(cmd_id, code, inside: str = "") -> str:
    """An Alert, with an Item or without."""
    return element("Alert", leaf("CmdID", cmd_id), leaf("Data", code), inside)


def message(session_id, msg_id, target: str, source: str, body: list, final: bool, cred: str = "",
            max_msg_size: int = 0) -> bytes:
    """A whole message without an XML declaration, elements in the DTD's order (W 5.2)."""
    header = element("SyncHdr", leaf("VerDTD", "1.2"), leaf("VerProto", "DM/1.2"), leaf("SessionID", session_id),
                     leaf("MsgID", msg_id), element("Target", leaf("LocURI", target)),
                     element("Source", leaf("LocURI", source)), cred,
                     meta(MaxMsgSize=max_msg_size) if max_msg_size else "")
    inside = "".join(body) + ("<Final/>" if final else "")
    return ('<SyncML xmlns="%s">%s%s</SyncML>' % (names.SYNCML, header, element("SyncBody", inside))).encode()


def split_text(value: str, room: int):
    """Cut `value` so that the escaped UTF-8 form of the first part fits `room` bytes; returns (part, rest)."""
    used = 0
    for position, character in enumerate(value):
        used += len(escape(character).encode())
        if used > room and position:
            return value[:position], value[position:]
    return value, ""


def octets(value: str) -> int:
    """The size of a data object: its UTF-8 bytes before XML escaping (OMA DM Protocol 7, Meta/Size)."""
    return len(value.encode())


# ---------------------------------------------------------------- credentials

def md5_digest(user: str, secret: str, nonce: bytes) -> str:
    """B64(MD5(B64(MD5(user ":" secret)) ":" nonce)) with the raw nonce (W 5.6, OMA DM Security 5.3)."""
    inner = base64.b64encode(hashlib.md5(("%s:%s" % (user, secret)).encode()).digest())
    return base64.b64encode(hashlib.md5(inner + b":" + nonce).digest()).decode()


def basic_credential(user: str, secret: str) -> str:
    """B64(user ":" secret) (OMA DM Security, basic authentication)."""
    return base64.b64encode(("%s:%s" % (user, secret)).encode()).decode()


def cred(kind: str, data: str) -> str:
    """A Cred element for the header."""
    return element("Cred", meta(Format="b64", Type=kind), leaf("Data", data))


# ---------------------------------------------------------------- node addresses

def node_key(uri: str) -> str:
    """One spelling for a LocURI: no "./", no "Device/", lower case, no trailing slash (W 5.3)."""
    key = uri.strip().lower()
    key = key[2:] if key.startswith("./") else key
    key = key[7:] if key.startswith("device/") else key
    return "" if key in (".", "device") else key.rstrip("/")
