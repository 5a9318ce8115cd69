"""The checker of SyncML sessions: one `SessionChecker` sees all messages of one session, both sides in turn.

Sources are in rules.py.  The order of judgement inside a message: size, form, header, body form, answers to the
other side's commands, packages and alerts, large objects, credentials.
"""

import re
from dataclasses import dataclass, field

from . import names, syncml
from .rules import Report
from .xmlutil import XmlError, child, decode_base64, local, namespace

META = ("Format", "Type", "Mark", "Size", "Anchor", "Version", "NextNonce", "MaxMsgSize", "MaxObjSize", "EMI", "Mem")
FORMATS = ("chr", "int", "bool", "b64", "bin", "float", "date", "time", "node", "null", "xml")
AUTH_TYPES = ("syncml:auth-md5", "syncml:auth-basic")
ALERTS = ("1200", "1201", "1222", "1223", "1224", "1225", "1226")
_COMMANDS = ("Add", "Alert", "Atomic", "Delete", "Exec", "Get", "Replace", "Sequence")
# OMA SyncML Representation Protocol DTD 1.2, the elements that DM uses: children in their order.
ORDER = {
    "SyncHdr": ("VerDTD", "VerProto", "SessionID", "MsgID", "Target", "Source", "RespURI", "NoResp", "Cred", "Meta"),
    "Status": ("CmdID", "MsgRef", "CmdRef", "Cmd", "TargetRef", "SourceRef", "Cred", "Chal", "Data", "Item"),
    "Results": ("CmdID", "MsgRef", "CmdRef", "Meta", "TargetRef", "SourceRef", "Item"),
    "Alert": ("CmdID", "NoResp", "Cred", "Data", "Correlator", "Item"),
    "Add": ("CmdID", "NoResp", "Cred", "Meta", "Item"),
    "Replace": ("CmdID", "NoResp", "Cred", "Meta", "Item"),
    "Delete": ("CmdID", "NoResp", "Archive", "SftDel", "Cred", "Meta", "Item"),
    "Exec": ("CmdID", "NoResp", "Cred", "Meta", "Correlator", "Item"),
    "Get": ("CmdID", "NoResp", "Lang", "Cred", "Meta", "Item"),
    "Item": ("Target", "Source", "SourceParent", "TargetParent", "Meta", "Data", "MoreData"),
    "Target": ("LocURI", "LocName", "Filter"),
    "Source": ("LocURI", "LocName"),
    "Cred": ("Meta", "Data"),
    "Chal": ("Meta",),
}
REQUIRED = {
    "Status": ("MsgRef", "CmdRef", "Cmd", "Data"), "Results": ("CmdRef", "Item"), "Alert": ("Data",),
    "Add": ("Item",), "Replace": ("Item",), "Delete": ("Item",), "Exec": ("Item",), "Get": ("Item",),
}
# OMA SyncML Representation Protocol 10, the classes of response codes.
CODES = ({101} | set(range(200, 217)) | set(range(300, 306)) | set(range(400, 428)) | set(range(500, 518)))
FAILED = 300


@dataclass
class Sent:
    """One command that a side sent and the other has to answer."""

    msg_id: str
    command: syncml.Command
    parent: object = None      # the Sent of the container it is in
    codes: list = field(default_factory=list)
    wrong_size: bool = False   # the last part of an object whose sizes disagree
    judged: bool = False       # an Atomic whose codes were compared with its children's

    def part(self) -> bool:
        """Whether it carries a part with more to come."""
        return bool(self.command.items) and self.command.items[-1].more


@dataclass
class Object:
    """A large object on its way."""

    key: tuple
    size: int = -1
    got: int = 0


@dataclass
class Side:
    """What one side has said so far."""

    last: object = None                            # its last Message
    count: int = 0                                 # its last MsgID
    limit: int = 0                                 # the MaxMsgSize it announced
    sent: list = field(default_factory=list)       # every command it sent, in order
    object: object = None                          # the large object it is sending
    part: object = None                            # the Sent with the part in its last message
    wrong: object = None                           # a command that ended an object of the wrong size
    open: bool = False                             # its package goes on after its last message


class SessionChecker:
    """Judges one session.  Call client() and server() with the bytes as they pass; end() when it is over."""

    def __init__(self, device_id: str = "", address: str = "", expect_unenroll: bool = False):
        """`address` is the provisioned ADDR; empty means not known, not judged."""
        self.device_id = device_id
        self.address = address
        self.expect_unenroll = expect_unenroll
        self.sides = {"client": Side(), "server": Side()}
        self.session_id = ""
        self.challenged = False       # the server's last message refused the client's credentials
        self.keep_cred = False        # credentials answered 200: they go into every message
        self.results_due = []         # Gets answered 200 whose Results have not come
        self.aborted = False

    def client(self, body: bytes) -> list:
        """A message of the device."""
        return self._message("client", body)

    def server(self, body: bytes) -> list:
        """A message of the server."""
        return self._message("server", body)

    def end(self) -> list:
        """The session stops here: commands of the server without an answer are a breach (but Unenroll)."""
        report = Report()
        ended = any(_ends_session(s.command) for s in self.sides["server"].sent)
        if not self.aborted and not self.challenged and not ended:
            left = self._open("server")
            report.need(not left, "PKG-CUT", ", ".join("%s %s" % (s.command.name, s.command.cmd_id) for s in left))
        return report.violations

    # ------------------------------------------------------------ one message

    def _message(self, side: str, body: bytes) -> list:
        report = Report(body)
        me, other = self.sides[side], self.sides["server" if side == "client" else "client"]
        if other.limit:
            report.need(len(body) <= other.limit, "SYN-MAX-SIZE", "%d of %d bytes" % (len(body), other.limit))
        if side == "client":
            start = body.lstrip(b" \t\r\n")
            plain = not start.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"<?xml"))
            report.need(plain, "SYN-DECLARATION", repr(body[:8]))
            report.need(b"<![CDATA[" not in body, "SYN-CDATA")
        try:
            message = syncml.read(body)
        except XmlError as error:
            report.add("SYN-XML", str(error))
            return report.violations
        except ValueError as error:
            report.add("SYN-SHAPE", str(error))
            return report.violations
        resent = side == "client" and self.challenged
        self._form(report, message)
        self._header(report, side, message, me, resent)
        self._body(report, side, message)
        first = side == "client" and (me.last is None or resent)
        if not first or other.last is not None:
            self._answers(report, side, message, other, resent)
        self._alerts(report, message, other, first)
        if side == "client":
            self._client_package(report, message, other, first)
        else:
            self._server_package(report, message, other)
        self._objects(report, side, message, me, other)
        self._credentials(report, side, message, other, resent)
        self._remember(side, message, me)
        return report.violations

    def _remember(self, side, message, me):
        me.last = message
        if side == "server":   # a "next message" answer (alert 1222) opens no package (OMA DM Protocol 6.2)
            me.open = not message.final and (_has_part(message) or not message.alerts("1222"))
        else:                  # without Final only because the server's object goes on: nothing of ours is open
            me.open = not message.final and not self.sides["server"].open
        me.limit = message.max_msg_size or me.limit
        me.part = None
        for command in message.commands:
            self._note(me, message.msg_id, command, None)
        self.aborted = self.aborted or bool(message.alerts("1223"))

    def _note(self, me, msg_id, command, parent):
        if command.name == "Status":
            return
        sent = Sent(msg_id, command, parent, wrong_size=command is me.wrong)
        me.sent.append(sent)
        if sent.part():
            me.part = sent
        for inner in command.inner:
            self._note(me, msg_id, inner, sent)

    def _open(self, side: str) -> list:
        """The commands of a side that need a Status and have none."""
        return [s for s in self.sides[side].sent
                if s.command.name != "Results" and not s.codes and not s.command.no_response]

    # ------------------------------------------------------------ form

    def _form(self, report, message):
        root = message.root
        shape = [local(e) for e in root]
        report.need(shape == ["SyncHdr", "SyncBody"], "SYN-SHAPE", str(shape))
        report.need(namespace(root) == names.SYNCML, "SYN-NAMESPACE", namespace(root))
        for element in message.header.iter():
            self._element(report, element)
        for command in message.body:
            if local(command) == "Final":
                continue
            if not report.need(local(command) in syncml.COMMANDS, "SYN-COMMAND", local(command)):
                continue
            self._command_form(report, command)

    def _command_form(self, report, command):
        name = local(command)
        if name in syncml.CONTAINERS:
            for entry in command:
                if local(entry) in ("CmdID", "NoResp", "Meta"):
                    continue
                if report.need(local(entry) in _COMMANDS, "SYN-COMMAND", "%s in %s" % (local(entry), name)):
                    self._command_form(report, entry)
            return
        for element in _outside_data(command):
            self._element(report, element)
        missing = [r for r in REQUIRED[name] if child(command, r) is None]
        report.need(not missing, "SYN-FIELDS", "%s without %s" % (name, ", ".join(missing)))

    def _element(self, report, element):
        """Order and names of one element's children; Meta's children and their namespace."""
        name = local(element)
        if name == "Meta":
            for entry in element:
                if report.need(local(entry) in META, "SYN-UNKNOWN", "%s in Meta" % local(entry)):
                    report.need(namespace(entry) == names.METINF, "META-NAMESPACE", entry.tag)
            return
        order = ORDER.get(name)
        if order is None:
            return
        places = []
        for entry in element:
            if report.need(local(entry) in order, "SYN-UNKNOWN", "%s in %s" % (local(entry), name)):
                places.append(order.index(local(entry)))
        report.need(places == sorted(places), "SYN-ORDER", "%s: %s" % (name, [local(e) for e in element]))

    def _header(self, report, side, message, me, resent):
        header = message.header
        texts = {local(e): (e.text or "").strip() for e in header}
        report.need(texts.get("VerDTD") == "1.2", "SYN-VERDTD", str(texts.get("VerDTD")))
        report.need(texts.get("VerProto") == "DM/1.2", "SYN-VERPROTO", str(texts.get("VerProto")))
        if report.need(re.fullmatch(r"[0-9A-Fa-f]{1,4}", message.session_id), "SYN-SESSION", message.session_id):
            self.session_id = self.session_id or message.session_id
            report.need(message.session_id == self.session_id, "SYN-SESSION-SAME",
                        "%s after %s" % (message.session_id, self.session_id))
        if report.need(re.fullmatch(r"[1-9]\d{0,8}", message.msg_id), "SYN-MSGID", message.msg_id):
            number = int(message.msg_id)
            allowed = {me.count + 1}
            if resent:
                allowed.add(1)    # Fleet's device repeats MsgID 1, OMA's examples go on with 2 (W 5.6)
            if side == "server" and self.sides["client"].last is not None:
                allowed |= {int(m) for m in [self.sides["client"].last.msg_id] if m.isdigit()}  # echoes: W 5.3
            report.need(number in allowed, "SYN-MSGID-NEXT", "%d, expected %s" % (number, sorted(allowed)))
            me.count = number
        if side == "client":
            report.need(message.target and (not self.address or message.target == self.address), "SYN-TARGET",
                        "%s, ADDR %s" % (message.target, self.address))
            report.need(message.source and (not self.device_id or message.source == self.device_id), "SYN-SOURCE",
                        "%s, DeviceID %s" % (message.source, self.device_id))
        else:
            client = self.sides["client"].last
            device = self.device_id or (client.source if client else "")
            report.need(message.target and (not device or message.target == device), "SYN-TARGET",
                        "%s, device %s" % (message.target, device))
            report.need(message.source, "SYN-SOURCE", "empty")

    # ------------------------------------------------------------ body form

    def _body(self, report, side, message):
        inside = [local(e) for e in message.body]
        finals = inside.count("Final")
        report.need(finals == 0 or finals == 1 and inside[-1] == "Final", "SYN-FINAL-LAST", str(inside[-3:]))
        if not report.need([n for n in inside if n != "Final"], "SYN-EMPTY"):
            return
        commands = [c for top in message.commands for c in top.every() if c.name in syncml.COMMANDS]
        seen = set()
        for command in commands:
            if report.need(command.cmd_id, "SYN-CMDID", command.name):
                report.need(command.cmd_id != "0", "SYN-CMDID-ZERO", command.name)
                report.need(command.cmd_id not in seen, "SYN-CMDID-UNIQUE", command.cmd_id)
                seen.add(command.cmd_id)
            report.need(child(command.element, "Cred") is None, "SYN-CRED-PLACE", command.name)
            self._allowed(report, side, command)
            for item in command.items:
                self._item(report, side, command, item)
        if side == "server":
            for command in commands:
                if command.name == "Atomic":
                    _atomic(report, command)

    def _allowed(self, report, side, command):
        if side == "server":
            report.need(command.name != "Results", "SYN-SIDE", "a server's Results")
        elif command.name == "Replace":
            uris = [i.source for i in command.items]
            report.need(all(syncml.node_key(u).startswith("devinfo/") for u in uris), "SYN-SIDE",
                        "a client's Replace of %s" % uris)
        else:
            report.need(command.name in ("Status", "Results", "Alert"), "SYN-SIDE", "a client's " + command.name)

    def _item(self, report, side, command, item):
        meta = command.item_meta(item)
        kind = meta.get("Format", "chr")
        report.need(kind in FORMATS, "META-FORMAT", kind)
        if command.name != "Alert" and meta.get("Type"):
            report.need(re.fullmatch(r"[\w.+-]+/[\w.+-]+(\s*;.*)?", meta["Type"]), "META-TYPE", meta["Type"])
        if item.data is not None and not item.more and self.sides[side].object is None:
            report.need(_value(kind, item.data), "META-VALUE", "%s: %s" % (kind, item.data[:60]))
        if side == "server" and command.name in ("Add", "Delete", "Exec", "Get", "Replace"):
            report.need(item.target, "LOC-TARGET", command.name)
        for uri in (item.target, item.source):
            report.need(not uri.startswith("/"), "LOC-SLASH", uri)
            report.need(".." not in uri.split("/"), "LOC-DOTS", uri)
            report.need(" " not in uri, "LOC-SPACE", uri)
        if command.name == "Results":
            report.need(item.source, "RES-SOURCE")
            report.need("Format" in meta, "RES-META", item.source)
            _channel(report, item)

    # ------------------------------------------------------------ answers

    def _answers(self, report, side, message, other, resent):
        """Status and Results against the commands of the other side."""
        statuses = message.named("Status")
        first = statuses[0] if statuses else None
        if other.last is not None and message.commands and not (resent and not statuses):
            report.need(first is not None and first.cmd_ref == "0", "ST-HEADER",
                        "first Status: %s" % (first.cmd if first is not None else "none"))
        place = -1
        for status in statuses:
            code = int(status.data) if (status.data or "").isdigit() else -1
            report.need(code in CODES, "ST-CODE", str(status.data))
            self._challenge_form(report, status)
            if status.cmd_ref == "0":
                self._header_status(report, status, code, other)
                continue
            place = self._status(report, status, code, other, place)
        if side == "client":
            self._results(report, message, other)
        self._atomics(report, other)
        self._missing(report, side, message)

    def _header_status(self, report, status, code, other):
        report.need(status.cmd == "SyncHdr", "ST-CMD", "%s for SyncHdr" % status.cmd)
        if other.last is not None:
            report.need(status.msg_ref == other.last.msg_id, "ST-MSGREF",
                        "%s, last message was %s" % (status.msg_ref, other.last.msg_id))
        if code in (401, 407):
            report.need(status.chal is not None, "ST-CHALLENGE", str(code))
        report.need(code not in (213, 216, 418, 507, 516), _CODE_RULE.get(code, "ST-CODE"), "%d for SyncHdr" % code)

    def _challenge_form(self, report, status):
        if status.chal is None:
            return
        kind = status.chal.get("Type")
        right = kind in AUTH_TYPES and status.chal.get("Format") == "b64"
        if kind == "syncml:auth-md5":
            right = right and _base64(status.chal.get("NextNonce", ""))
        report.need(right, "ST-CHAL-FORM", str(status.chal))

    def _status(self, report, status, code, other, place) -> int:
        """One Status for a command; returns the command's place for the order rule."""
        same = [s for s in other.sent if (s.command.cmd_id or "") == status.cmd_ref and s.msg_id == status.msg_ref]
        if not same:
            elsewhere = [s for s in other.sent if s.command.cmd_id == status.cmd_ref]
            if elsewhere:
                report.add("ST-MSGREF", "%s, CmdRef %s was in %s" % (status.msg_ref, status.cmd_ref, elsewhere[-1].msg_id))
                elsewhere[-1].codes.append(code)
                return place
            report.add("ST-CMDREF", "MsgRef %s CmdRef %s" % (status.msg_ref, status.cmd_ref))
            return place
        sent = same[-1]
        command = sent.command
        if command.name == "Results":
            report.need(code == 213 and sent.part(), "ST-RESULTS", str(code))
            sent.codes.append(code)
            return place
        report.need(status.cmd == command.name, "ST-CMD", "%s for %s" % (status.cmd, command.name))
        report.need(len(sent.codes) < max(1, len(command.items)), "ST-ONCE", "CmdRef %s" % status.cmd_ref)
        position = other.sent.index(sent)
        report.need(position >= place, "ST-ORDER", "CmdRef %s" % status.cmd_ref)
        sent.codes.append(code)
        self._situation(report, sent, code)
        if command.name == "Get" and code == 200:
            self.results_due.append(sent)
        return max(place, position)

    def _situation(self, report, sent, code):
        """Codes that fit only certain commands (W 5.3, table of codes)."""
        name = sent.command.name
        report.need(code != 212, "ST-212", name)
        report.need(code != 213 or sent.part(), "ST-213", name)
        report.need(code != 216 or _inside(sent, "Atomic"), "ST-216", name)
        report.need(code not in (507, 516) or name == "Atomic", "ST-507", name)
        report.need(code != 418 or name == "Add", "ST-418", name)
        report.need(code != 202 or name == "Exec", "ST-202", name)
        report.need(not is_unenroll(sent.command), "UNENROLL-STATUS", str(code))
        if sent.wrong_size:
            report.need(code >= 400, "CHUNK-424", str(code))

    def _results(self, report, message, other):
        for results in message.named("Results"):
            gets = [s for s in other.sent if s.command.cmd_id == results.cmd_ref and s.command.name == "Get"]
            if not report.need(gets, "RES-REF", "CmdRef %s" % results.cmd_ref):
                continue
            sent = gets[-1]
            report.need(results.msg_ref in (None, sent.msg_id), "ST-MSGREF",
                        "Results: %s, Get was in %s" % (results.msg_ref, sent.msg_id))
            if sent.codes:
                report.need(200 in sent.codes, "RES-FAILED", "CmdRef %s: %s" % (results.cmd_ref, sent.codes))
            asked = [i.target for i in sent.command.items]
            for item in results.items:
                report.need(not item.source or item.source in asked, "RES-URI", "%s, asked %s" % (item.source, asked))
            if not any(i.more for i in results.items) and sent in self.results_due:
                self.results_due.remove(sent)

    def _atomics(self, report, other):
        """Codes of containers against those of their children, once each container is answered."""
        for sent in other.sent:
            if sent.command.name != "Atomic" or not sent.codes or sent.judged:
                continue
            sent.judged = True
            codes = [c for s in other.sent if s.parent is sent for c in s.codes]
            worst = max(codes, default=200)
            if sent.codes[-1] == 200:
                report.need(worst < FAILED and 215 not in codes and 216 not in codes, "ATOM-CODE", str(codes))
            if sent.codes[-1] == 507:
                report.need(200 not in codes, "ATOM-ROLLBACK", str(codes))

    def _missing(self, report, side, message):
        """What has no answer yet, when the answering package ends with this message."""
        if side == "client" and (not message.final or self.challenged):
            return
        asker = "client" if side == "server" else "server"
        if message.alerts("1223"):
            return
        left = [s for s in self._open(asker) if not is_unenroll(s.command)]
        report.need(not left, "ST-MISSING", ", ".join("%s %s" % (s.command.name, s.command.cmd_id) for s in left))
        for sent in left:
            sent.codes.append(-1)      # named once
        if side == "client":
            due = [s.command.cmd_id for s in self.results_due]
            report.need(not due, "RES-MISSING", ", ".join(due))
            self.results_due = []

    # ------------------------------------------------------------ alerts and packages

    def _alerts(self, report, message, other, first):
        for alert in message.named("Alert"):
            code = alert.data
            if not report.need(code in ALERTS, "ALERT-CODE", str(code)):
                continue
            if code in ("1200", "1201"):
                report.need(first, "ALERT-SESSION", code)
            elif code in ("1224", "1226"):
                types = [alert.item_meta(i).get("Type") for i in alert.items]
                if report.need(types and all(types), "ALERT-ITEM", code) and names.UNENROLL_ALERT in types:
                    item = alert.items[types.index(names.UNENROLL_ALERT)]
                    kind = alert.item_meta(item).get("Format")
                    report.need(code == "1226" and kind == "int" and item.data == "1", "ALERT-UNENROLL",
                                "%s %s %s" % (code, kind, item.data))
            elif code == "1222":
                report.need(other.open, "ALERT-NEXT", "the package had ended")
            elif code == "1223":
                report.need(message.final, "ALERT-ABORT")

    def _client_package(self, report, message, other, first):
        if not first:
            waiting = other.open
            report.need(not (waiting and message.final), "PKG-FINAL-EARLY")
            silent = other.last is None or all(c.name == "Status" for c in other.last.commands)
            only = [c for c in message.commands if not (c.name == "Status" and c.cmd_ref == "0")]
            report.need(only or not silent or waiting, "PKG-NEEDLESS")
            return
        if message.alerts("1223"):
            return
        report.need(message.final or _has_part(message), "PKG-FINAL-1")
        commands = [c for c in message.commands if c.name != "Status"]
        starts = [c for c in commands if c.name == "Alert" and c.data in ("1200", "1201")]
        report.need(len(starts) == 1, "PKG-SESSION-ALERT", str([c.data for c in starts]))
        logins = [(i.data or "").strip().lower() for c in message.alerts("1224") for i in c.items
                  if c.item_meta(i).get("Type") == names.LOGIN_STATUS]
        report.need(len(logins) == 1 and logins[0] in ("user", "others", "none"), "PKG-LOGIN", str(logins))
        items = {syncml.node_key(i.source): (i.data or "").strip()
                 for c in commands if c.name == "Replace" for i in c.items}
        missing = [u for u in syncml.DEVINFO if not items.get(syncml.node_key(u))]
        if report.need(not missing, "PKG-DEVINFO", ", ".join(missing)):
            report.need(items["devinfo/devid"] == message.source, "PKG-DEVID",
                        "%s, Source %s" % (items["devinfo/devid"], message.source))
        kinds = [c.name for c in commands]
        if starts and "Replace" in kinds:
            report.need(commands[0] is starts[0] and kinds[-1] == "Replace", "PKG-ORDER", str(kinds))
        if self.expect_unenroll:
            self.expect_unenroll = False
            types = [c.item_meta(i).get("Type") for c in message.alerts("1226") for i in c.items]
            report.need(names.UNENROLL_ALERT in types, "UNENROLL-ALERT", str(types))

    def _server_package(self, report, message, other):
        asks = message.alerts("1222")
        if other.open:
            others = [c.name for c in message.commands if c.name != "Status" and c not in asks]
            ask = asks or message.alerts("1223")
            others = [n for n in others if n != "Alert"]
            report.need(ask and not others and (not message.final or message.alerts("1223")), "PKG-NEXT",
                        "final %s, %s" % (message.final, [c.name for c in message.commands]))
        else:
            report.need(message.final or _has_part(message) or asks or message.alerts("1223"), "PKG-FINAL-SERVER")

    # ------------------------------------------------------------ large objects

    def _objects(self, report, side, message, me, other):
        self._acknowledge(report, side, message, other)
        carrying = [c for top in message.commands for c in top.every() if c.items and c.name not in ("Status", "Alert")]
        inside = {id(c) for top in message.commands for c in top.every()[1:]}
        parts = [(c, i) for c in carrying for i in c.items]
        if message.alerts("1223"):
            return
        for number, (command, item) in enumerate(parts):
            key = (command.name, syncml.node_key(item.target or item.source))
            size = command.item_meta(item).get("Size")
            if me.object is not None and report.need(key == me.object.key, "CHUNK-NEXT", "%s in %s" % (key, me.object.key)):
                report.need(size is None, "CHUNK-SIZE-ONCE", str(size))
            elif item.more:
                report.need(id(command) not in inside, "CHUNK-ATOMIC", command.name)
                me.object = Object(key)
                if report.need(size is not None and size.isdigit(), "CHUNK-SIZE", str(size)):
                    me.object.size = int(size)
            else:
                me.object = None
                continue
            self._grow(report, me, command, item)
            if item.more:
                report.need(not message.final, "CHUNK-FINAL")
                if not report.need(number == len(parts) - 1, "CHUNK-LAST"):
                    break

    def _grow(self, report, me, command, item):
        me.object.got += syncml.octets(item.data or "")
        if not item.more:
            right = me.object.size < 0 or me.object.got == me.object.size
            report.need(right, "CHUNK-TOTAL", "%d of %d" % (me.object.got, me.object.size))
            me.wrong = None if right else command
            me.object = None

    def _acknowledge(self, report, side, message, other):
        """The other side's last message ended in a part: 213 and 1222 must come."""
        if other.part is None or message.alerts("1223"):
            return
        report.need(any(c == 213 or c >= 400 for c in other.part.codes), "CHUNK-ACK", str(other.part.codes))
        if side == "client":   # for a server's answer PKG-NEXT says the same
            failed = any(c >= 400 for c in other.part.codes)
            report.need(failed or message.alerts("1222") or message.named("Results"), "CHUNK-ASK")

    # ------------------------------------------------------------ credentials

    def _credentials(self, report, side, message, other, resent):
        if message.cred is not None:
            report.need(_credential(message.cred), "SYN-CRED", str({k: v for k, v in message.cred.items() if k != "Data"}))
        if side == "client":
            if resent:
                report.need(message.cred is not None, "AUTH-CRED")
            elif self.keep_cred:
                report.need(message.cred is not None, "AUTH-KEEP")
            self.challenged = False
            return
        status = message.header_status()
        code = status.data if status else ""
        self.challenged = code in ("401", "407")
        if self.challenged:
            others = [c.name for c in message.commands if c.name != "Status"]
            report.need(not others, "AUTH-ONLY-STATUS", str(others))
        if code == "200" and other.last is not None and other.last.cred is not None:
            self.keep_cred = True
        if code == "212":
            self.keep_cred = False


_CODE_RULE = {213: "ST-213", 216: "ST-216", 418: "ST-418", 507: "ST-507", 516: "ST-507"}


def _has_part(message) -> bool:
    return any(i.more for top in message.commands for c in top.every() for i in c.items)


def is_unenroll(command) -> bool:
    """Whether a command is the Exec that ends the enrollment (W 7)."""
    if command.name != "Exec":
        return False
    keys = [syncml.node_key(i.target) for i in command.items]
    return any(re.fullmatch(r"vendor/msft/dmclient/(provider/[^/]+/)?unenroll", k) for k in keys)


def _ends_session(command) -> bool:
    """Whether the device stops after this command: reboot, wipe, unenrollment (W 5.5)."""
    keys = [syncml.node_key(i.target) for i in command.items] if command.name == "Exec" else []
    return is_unenroll(command) or any(k.startswith(("vendor/msft/remotewipe/", "vendor/msft/reboot/")) for k in keys)


def _outside_data(element):
    """The element and its descendants, but nothing inside Data: that is opaque."""
    yield element
    for entry in element:
        if local(entry) != "Data":
            yield from _outside_data(entry)


def _inside(sent, name: str) -> bool:
    while sent.parent is not None:
        sent = sent.parent
        if sent.command.name == name:
            return True
    return False


def _atomic(report, command):
    inner = command.every()[1:]
    report.need(all(c.name != "Atomic" for c in inner), "ATOM-NESTED")
    report.need(all(c.name != "Get" for c in inner), "ATOM-GET")
    added = set()
    for entry in inner:
        keys = {syncml.node_key(i.target) for i in entry.items}
        if entry.name == "Add":
            added |= keys
        elif entry.name == "Replace":
            report.need(not keys & added, "ATOM-ADD-REPLACE", str(keys & added))
    scopes = {i.target.lower().lstrip("./").startswith("user/") for c in inner for i in c.items}
    report.need(len(scopes) < 2, "ATOM-SCOPE")


def _base64(value: str) -> bool:
    try:
        decode_base64(value)
    except ValueError:
        return False
    return True


def _value(kind: str, data: str) -> bool:
    value = data.strip()
    if kind == "int":
        return re.fullmatch(r"[+-]?\d+", value) is not None
    if kind == "bool":
        return value.lower() in ("true", "false")
    if kind == "b64":
        return not value or _base64(value)
    return True


def _credential(cred: dict) -> bool:
    if cred.get("Type") not in AUTH_TYPES or cred.get("Format") != "b64":
        return False
    try:
        raw = decode_base64(cred["Data"])
    except ValueError:
        return False
    return len(raw) == 16 if cred["Type"] == "syncml:auth-md5" else b":" in raw


def _channel(report, item):
    """WNS nodes of the DMClient CSP in Results (W 9)."""
    key = syncml.node_key(item.source)
    value = (item.data or "").strip()
    if key.endswith("/push/channeluri") and value and not item.more:
        report.need(value.startswith("https://") and len(value) <= 1024, "WNS-CHANNEL", value[:80])
    if key.endswith("/push/status"):
        report.need(value in [str(n) for n in range(9)], "WNS-STATUS", value)
