"""One management session of the device: HTTP, SyncML, the tree, parts of large objects, credentials.

Sources: W 5; OMA DM Protocol 1.2 chapters 6 (messages of a package), 7 (large objects), 9 (credentials).
"""

import base64
import re
import secrets
from collections import deque
from urllib.parse import urlsplit

from . import names, pki, syncml, tree as trees
from .checker import SessionChecker, check_dm_response
from .http_client import Connection, TransportError
from .session_checker import is_unenroll
from .xmlutil import XmlError, decode_base64

OPERATIONS = ("Add", "Delete", "Exec", "Get", "Replace")
MAX_MESSAGES = 200        # W 5.5: a cap, and a breach is counted
PART_ROOM = 700           # bytes of a message that are not the data of a part


class SessionFailed(Exception):
    """The session broke; the reason is for the log."""


class Session:
    """Runs one session against the server at the provisioned ADDR."""

    def __init__(self, device, alert: str, extra_alerts=()):
        self.device = device
        self.state = device.state
        self.alert = alert
        self.extra_alerts = list(extra_alerts)
        self.msg_id = 0
        self.cmd_id = 1
        self.cred = ""
        self.tries = 0
        self.outbox = deque()       # ready Status XML, or a dict for a Results whose data may be cut
        self.rest = None            # the Results being sent in parts
        self.incoming = None        # the server's object being received: (command, text so far, size)
        self.after = []             # what an Exec does once the statuses are out
        self.stop = ""              # why no further message is sent
        self.server_limit = 0
        self.statistics = {"messages": 0, "commands": 0, "codes": {}}
        self.checker = SessionChecker(self.state["source"], self.state["address"])

    # ------------------------------------------------------------ the loop

    def run(self) -> dict:
        """Run to the end; returns statistics, raises SessionFailed."""
        self.state["session_id"] = self.state.get("session_id", 0) % 9999 + 1    # decimal, at most 4 characters
        session_id = str(self.state["session_id"])
        connection = Connection(self.state["address"], self.device.context())
        try:
            body, final = self.package_1(), True
            for _ in range(MAX_MESSAGES):
                message = self.exchange(connection, session_id, body, final)
                body, final = self.answer(message)
                if body is None:
                    break
            else:
                raise SessionFailed("more than %d messages" % MAX_MESSAGES)
            self.device.judge_own(self.checker.end())
        finally:
            connection.close()
        return {"session_id": session_id, **self.statistics, "end": self.stop or "nothing more", "after": self.after}

    def exchange(self, connection, session_id: str, body: list, final: bool):
        """Send one message, judge and read the answer."""
        self.msg_id += 1
        cred = self.cred
        announced = self.device.settings.limit if self.device.settings.announce_limit else 0
        data = syncml.message(session_id, self.msg_id, self.state["address"], self.state["source"], body, final,
                              cred, announced)
        self.device.judge_own(self.checker.client(data))
        try:
            answer = connection.send("POST", self.url(), self.headers(data), data)
        except TransportError as error:
            raise SessionFailed(str(error)) from error
        self.statistics["messages"] += 1
        self.device.judge(check_dm_response(answer.status, answer.headers, answer.body))
        self.device.record("syncml-client", data)
        self.device.record("syncml-server", answer.body)
        if answer.status != 200:
            raise SessionFailed("HTTP status %d" % answer.status)
        self.device.judge(self.checker.server(answer.body))
        try:
            message = syncml.read(answer.body)
        except (XmlError, ValueError) as error:
            raise SessionFailed("no SyncML in the answer: %s" % error) from error
        self.server_limit = message.max_msg_size or self.server_limit
        return message

    def url(self) -> str:
        """ADDR with the mode query (W 5.1)."""
        mode = "Maintenance" if self.device.settings.login == "user" else "Machine"
        joint = "&" if urlsplit(self.state["address"]).query else "?"
        return "%s%smode=%s&Platform=WoA" % (self.state["address"], joint, mode)

    def headers(self, body: bytes) -> dict:
        """The headers of the recorded exchange (W 5.1); the signature when signing is on (5.6)."""
        self.state["cv"] = self.state.get("cv") or base64.b64encode(secrets.token_bytes(12)).decode()
        self.state["cv_n"] = self.state.get("cv_n", 0) + 1
        headers = {
            "Accept": ", ".join((names.DM_XML, names.DM_WBXML, "application/octet-stream")),
            "Accept-Charset": "UTF-8", "Content-Type": names.DM_XML,
            "User-Agent": "MSFT OMA DM Client/1.2.0.1", "MS-CV": "%s.0.0.%d" % (self.state["cv"], self.state["cv_n"]),
        }
        if self.state["session_id"] == 1:
            headers["Client-Request-Id"] = "0"
        if self.state.get("signing"):
            certificate, key = self.device.identity()
            signature = pki.sign_cms(body, certificate, key, detached=True)
            headers[self.device.settings.signature_header] = base64.b64encode(signature).decode()
        return headers

    def next_id(self) -> int:
        """The next CmdID of this message."""
        self.cmd_id += 1
        return self.cmd_id

    # ------------------------------------------------------------ package 1

    def package_1(self, header_status: str = "") -> list:
        """Alert 1201 or 1200, login status, extra alerts, DevInfo (W 5.2).  CmdID 1 is not used."""
        self.cmd_id = 1 if not header_status else self.cmd_id
        body = [header_status] if header_status else []
        body.append(syncml.alert(self.next_id(), self.alert))
        body.append(syncml.alert(self.next_id(), "1224", syncml.item(
            data=self.device.settings.login, Type=names.LOGIN_STATUS)))
        for code, kind, form, data, source in self.extra_alerts:
            body.append(syncml.alert(self.next_id(), code, syncml.item(
                source=source, data=data, Type=kind, Format=form)))
        items = "".join(syncml.item(source=uri, data=self.device.tree.value(uri)) for uri in syncml.DEVINFO)
        body.append(syncml.element("Replace", syncml.leaf("CmdID", self.next_id()), items))
        return body

    # ------------------------------------------------------------ answering

    def answer(self, message):
        """Carry out a server's message; returns (body, final) of ours, or (None, …) when the session is over."""
        self.cmd_id = 0
        if self.stop in ("wiped", "reboot"):
            return None, True
        status = message.header_status()
        code = status.data if status else ""
        if code in ("401", "407"):
            return self.authenticate(message, status), True
        self.next_nonce(status)
        if code == "212":         # accepted for the whole session; after 200 the credentials go on (W 5.6)
            self.cred = ""
        elif code.isdigit() and int(code) >= 400:
            raise SessionFailed("our header was answered %s" % code)
        if message.alerts("1223"):
            self.stop = "aborted by the server"
            return None, True
        asked = bool(message.alerts("1222"))
        work = [c for c in message.commands if c.name != "Status"]
        header = syncml.status(self.next_id(), message.msg_id, 0, "SyncHdr", 200)
        for command in work:
            self.command(message, command)
            if self.stop == "unenrolled by the server":   # sessions are aborted, no Status (W 7)
                return None, True
        waiting = not message.final and not (asked and not self.part_in(message))
        if not work and not waiting and not self.outbox and self.rest is None:
            self.stop = self.stop or "nothing more"
            return None, True
        return self.compose(header, waiting)

    def part_in(self, message) -> bool:
        """Whether the message carries a part with more to come."""
        return any(i.more for c in message.commands for i in c.items)

    def compose(self, header: str, waiting: bool):
        """One message from the outbox within the limit (W 5.4)."""
        limit = min(self.device.settings.limit, self.server_limit or self.device.settings.limit)
        room = limit - PART_ROOM - len(header) - len(self.cred)
        body = [header]
        while self.outbox or self.rest is not None:
            text = self.take(room - sum(len(b.encode()) for b in body[1:]), len(body) > 1)
            if text is None:
                break
            body.append(text)
            if self.rest is not None:
                break
        empty = not self.outbox and self.rest is None
        if waiting:
            body.append(syncml.alert(self.next_id(), "1222"))
        final = empty and not waiting
        return body, final

    def take(self, room: int, optional: bool):
        """The next piece for the message, or None when it does not fit any more."""
        if self.rest is not None:
            return self.part(self.rest, room)
        piece = self.outbox[0]
        if isinstance(piece, str):
            if len(piece.encode()) > room and optional:
                return None
            return self.numbered(self.outbox.popleft())
        whole = self.results(piece, piece["data"])
        if len(whole.encode()) <= room:
            self.outbox.popleft()
            return self.numbered(whole)
        if optional:
            return None
        self.rest = self.outbox.popleft()
        return self.part(self.rest, room)

    def part(self, piece: dict, room: int) -> str:
        """The next part of a Results; Meta/Size only in the first (OMA DM Protocol 7)."""
        size = None if piece.get("started") else syncml.octets(piece["data"])
        head, piece["data"] = syncml.split_text(piece["data"], max(room - 400, 64))
        piece["started"] = True
        if not piece["data"]:
            self.rest = None
        return self.numbered(self.results(piece, head, more=bool(piece["data"]), Size=size))

    def results(self, piece: dict, data: str, **about) -> str:
        """A Results; its CmdID is filled in when it goes into a message."""
        more = about.pop("more", False)
        inside = syncml.item(source=piece["uri"], data=data, more=more, Format=piece["format"],
                             Type="" if piece["format"] == "node" else "text/plain", **about)
        return syncml.results("@", piece["msg_ref"], piece["cmd_ref"], inside)

    def numbered(self, text: str) -> str:
        """Give a prepared command its CmdID of this message."""
        return text.replace("<CmdID>@</CmdID>", "<CmdID>%d</CmdID>" % self.next_id(), 1)

    def reply(self, message, command, code: int):
        """Queue a Status for a command."""
        self.statistics["commands"] += 1
        codes = self.statistics["codes"]
        codes[str(code)] = codes.get(str(code), 0) + 1
        self.outbox.append(syncml.status("@", message.msg_id, command.cmd_id or "", command.name, code))
        uris = [i.target for i in command.items]
        self.device.emit("command", name=command.name, cmd_id=command.cmd_id, uris=uris, code=code)

    # ------------------------------------------------------------ credentials

    def authenticate(self, message, status):
        """Package 1 again with the credentials that the challenge asks for (W 5.6)."""
        self.tries += 1
        if self.tries > 1 or status.chal is None:
            raise SessionFailed("credentials refused: %s" % status.data)
        kind = status.chal.get("Type", "")
        self.device.emit("challenged", code=status.data, type=kind)
        user, secret = self.state.get("auth_name", ""), self.state.get("auth_secret", "")
        self.next_nonce(status)
        if kind == "syncml:auth-md5":
            self.cred = self.digest()
        elif kind == "syncml:auth-basic":
            self.cred = syncml.cred(kind, syncml.basic_credential(user, secret))
        else:
            raise SessionFailed("unknown challenge %s" % kind)
        header = syncml.status(self.next_id(), message.msg_id, 0, "SyncHdr", 200)
        return self.package_1(header)

    def digest(self) -> str:
        """An MD5 Cred with the present nonce."""
        nonce = base64.b64decode(self.state.get("nonce", ""))
        return syncml.cred("syncml:auth-md5",
                           syncml.md5_digest(self.state["auth_name"], self.state["auth_secret"], nonce))

    def next_nonce(self, status):
        """Keep the next nonce; when credentials go on, they are made with it (OMA DM Protocol 9.1)."""
        nonce = (status.chal or {}).get("NextNonce", "") if status is not None else ""
        if not nonce:
            return
        try:
            self.state["nonce"] = base64.b64encode(decode_base64(nonce)).decode()
        except ValueError:
            raise SessionFailed("NextNonce is no base64") from None
        if "auth-md5" in self.cred:
            self.cred = self.digest()

    # ------------------------------------------------------------ commands

    def command(self, message, command):
        """Carry out one top-level command and queue its Status and Results."""
        if command.no_response:
            self.perform(message, command, quiet=True)
        elif command.name == "Alert":
            self.reply(message, command, 200)
        elif command.name == "Atomic":
            self.atomic(message, command)
        elif command.name == "Sequence":
            self.reply(message, command, 200)
            for inner in command.inner:
                self.command(message, inner)
        elif command.name not in OPERATIONS or not command.cmd_id:
            self.reply(message, command, 400)    # unknown element, or no CmdID (W 5.3)
        elif command.items and (command.items[-1].more or self.incoming):
            self.large(message, command)
        else:
            self.perform(message, command)

    def perform(self, message, command, quiet: bool = False):
        """One plain command: a Status for all items, one for each when their codes differ (MS-MDM 2.2.6.1)."""
        outcomes = [self.item(command, item) for item in command.items] or [(400, None)]
        codes = [code for code, _ in outcomes]
        if self.stop == "unenrolled by the server" or quiet:
            return
        if len(set(codes)) == 1:
            self.reply(message, command, codes[0])
        else:
            for code in codes:
                self.reply(message, command, code)
        for item, (code, value) in zip(command.items, outcomes):
            if value is not None:
                self.outbox.append({"msg_ref": message.msg_id, "cmd_ref": command.cmd_id, "uri": item.target,
                                    "format": value[0], "data": value[1]})

    def item(self, command, item):
        """(code, (format, data) or None) of one item."""
        kind = trees.command_format(command, item)
        try:
            if command.name == "Get":
                return 200, self.device.tree.get(item.target)
            if command.name == "Add":
                self.device.tree.add(item.target, item.data, kind)
            elif command.name == "Replace":
                self.device.tree.replace(item.target, item.data, kind)
            elif command.name == "Delete":
                self.device.tree.delete(item.target)
            else:
                return self.execute(command, item), None
        except trees.Refused as refused:
            return refused.code, None
        self.device.changed(item.target)
        return 200, None

    def execute(self, command, item) -> int:
        """An Exec: 200 or 202, and what follows (W 5.5, 7, 8)."""
        key = self.device.tree.execute(item.target)
        if is_unenroll(command):
            self.stop = "unenrolled by the server"
            self.after.append("unenroll")
        elif key.startswith("vendor/msft/remotewipe/"):
            self.stop = "wiped"
            self.after.append("wipe")
        elif key == "vendor/msft/reboot/rebootnow":
            self.stop = "reboot"
        elif key.endswith("/downloadinstall"):
            self.device.queue_alert("1224", "Reversed-Domain-Name:com.microsoft.mdm.win32csp_install", "int", "0",
                                    item.target)
            return 202
        return 200

    def atomic(self, message, command):
        """All or nothing (W 5.3): profile "book" answers 507 and 216, "thread" 500 and the old codes."""
        before = self.device.tree.snapshot()
        done, failed, added = [], False, set()
        for inner in command.inner:
            if failed:
                code = 215
            elif inner.name in ("Get", "Atomic"):
                code = 500
            elif inner.name not in OPERATIONS or not inner.cmd_id:
                code = 400
            elif inner.name == "Replace" and added & {syncml.node_key(i.target) for i in inner.items}:
                code = 500
            else:
                if inner.name == "Add":
                    added |= {syncml.node_key(i.target) for i in inner.items}
                code = max([self.item(inner, i)[0] for i in inner.items] or [400])
            failed = failed or code >= 300
            done += [(inner, code)] + [(below, 215) for below in inner.every()[1:]]
        if failed:
            self.device.tree.restore(before)
            book = self.device.settings.atomic == "book"
            done = [(c, 216 if code < 300 and code != 215 and book else code) for c, code in done]
        self.reply(message, command, 200 if not failed else 507 if self.device.settings.atomic == "book" else 500)
        for inner, code in done:
            self.reply(message, inner, code)

    def large(self, message, command):
        """A part of a large object: 213 until the last, then the command itself (OMA DM Protocol 7)."""
        item = command.items[-1]
        key = (command.name, syncml.node_key(item.target))
        if self.incoming is None:
            size = command.item_meta(item).get("Size", "")
            self.incoming = {"key": key, "data": "", "size": int(size) if size.isdigit() else -1,
                             "meta": command.item_meta(item)}
        if self.incoming["key"] != key:
            self.outbox.append(syncml.alert("@", "1225", syncml.item(source=item.target)))
            self.incoming = None
            self.perform(message, command)
            return
        self.incoming["data"] += item.data or ""
        if item.more:
            self.reply(message, command, 213)
            return
        item.data, size = self.incoming["data"], self.incoming["size"]
        item.meta = {**self.incoming["meta"], **item.meta}
        self.incoming = None
        if size >= 0 and syncml.octets(item.data) != size:
            self.reply(message, command, 424)
            return
        self.perform(message, command)


def channel_uri(base: str) -> str:
    """A WNS channel: an opaque https URL with a percent-encoded base64 token (W 9)."""
    token = base64.b64encode(secrets.token_bytes(120)).decode()
    return base + "/?token=" + re.sub(r"[+/=]", lambda m: "%%%02X" % ord(m.group()), token)
