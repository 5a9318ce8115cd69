"""Every SyncML rule: a session in which one message breaks it is named by that rule and no other.

A session is a list of (side, message).  A case takes a good session, replaces text in one message, and looks at
the breaches of that message and of the session's end.
"""

import base64

from .. import names, syncml
from ..session_checker import SessionChecker
from . import support

DEVICE = "B5B954E81FBCB94EB79BD08BE625F4EE"
ADDR = "https://mdm.example.test/manage"
MD5 = syncml.md5_digest("u", "s", b"nonce")


def client(number, *body, final=True, cred=""):
    return "client", syncml.message("7", number, ADDR, DEVICE, list(body), final, cred).decode()


def server(number, *body, final=True, limit=0):
    return "server", syncml.message("7", number, DEVICE, ADDR, list(body), final, "", limit).decode()


def header(cmd_id, msg_ref, code=200, chal=""):
    return syncml.status(cmd_id, msg_ref, 0, "SyncHdr", code, chal)


def done(cmd_id, msg_ref, cmd_ref, cmd, code=200):
    return syncml.status(cmd_id, msg_ref, cmd_ref, cmd, code)


def command(name, cmd_id, uri="", **about):
    return syncml.element(name, syncml.leaf("CmdID", cmd_id), syncml.item(target=uri, **about))


def atomic(cmd_id, *inner):
    return syncml.element("Atomic", syncml.leaf("CmdID", cmd_id), *inner)


def value(cmd_id, msg_ref, cmd_ref, uri, data, **about):
    about.setdefault("Format", "chr")
    return syncml.results(cmd_id, msg_ref, cmd_ref, syncml.item(source=uri, data=data, **about))


def package_1(number=1, *extra, status="", cred="", login="user"):
    items = "".join(syncml.item(source=u, data=d) for u, d in zip(
        syncml.DEVINFO, (DEVICE, "Peer Inc.", "Virtual PC", "1.3", "en-US")))
    return client(number, status, syncml.alert(2, "1201"),
                  syncml.alert(3, "1224", syncml.item(data=login, Type=names.LOGIN_STATUS)), *extra,
                  syncml.element("Replace", syncml.leaf("CmdID", 90), items), cred=cred)


def answer_1(number, *commands, msg_ref=1, code=200, chal="", extra=(), final=True):
    return server(number, header(1, msg_ref, code, chal), done(2, msg_ref, 2, "Alert", code),
                  done(3, msg_ref, 3, "Alert", code), *[done(4 + n, msg_ref, e, "Alert", code) for n, e in enumerate(extra)],
                  done(30, msg_ref, 90, "Replace", code), *commands, final=final)


END = server(2, header(1, 2))
SWV, BIG = "./DevDetail/SwV", "./Device/Vendor/MSFT/Policy/Config/A/Big"
AB = "./Device/Vendor/MSFT/Policy/Config/A/B"
NEXT = "./Vendor/MSFT/DMClient/Provider/P/Push/"

COMMANDS = [
    package_1(),
    answer_1(1, command("Get", 40, SWV), command("Replace", 41, AB, data="1", Format="int"),
             command("Add", 42, AB, data="1", Format="int"), command("Exec", 43, "./Device/Vendor/MSFT/Defender/Scan"),
             atomic(44, command("Replace", 45, AB, data="2", Format="int"), command("Delete", 46, AB)),
             command("Get", 47, "./Nowhere")),
    client(2, header(1, 1), done(2, 1, 40, "Get"), value(3, 1, 40, SWV, "10.0"), done(4, 1, 41, "Replace"),
           done(5, 1, 42, "Add", 418), done(6, 1, 43, "Exec", 202), done(7, 1, 44, "Atomic", 507),
           done(8, 1, 45, "Replace", 216), done(9, 1, 46, "Delete", 404), done(10, 1, 47, "Get", 404)),
    END,
]
OBJECT_DOWN = [
    package_1(),
    answer_1(1, command("Replace", 40, BIG, data="abcd", more=True, Size=8), final=False),
    client(2, header(1, 1), done(2, 1, 40, "Replace", 213), syncml.alert(3, "1222"), final=False),
    server(2, header(1, 2), done(2, 2, 3, "Alert"), command("Replace", 3, BIG, data="efgh")),
    client(3, header(1, 2), done(2, 2, 3, "Replace")),
    server(3, header(1, 3)),
]
OBJECT_UP = [
    package_1(),
    answer_1(1, command("Get", 40, SWV)),
    client(2, header(1, 1), done(2, 1, 40, "Get"), value(3, 1, 40, SWV, "abcd", more=True, Size=8), final=False),
    server(2, header(1, 2), done(2, 2, 3, "Results", 213), syncml.alert(3, "1222"), final=False),
    client(3, header(1, 2), done(2, 2, 3, "Alert"), value(3, 1, 40, SWV, "efgh")),
    server(3, header(1, 3)),
]
CHAL = syncml.challenge("syncml:auth-md5", b"nonce")
CRED = syncml.cred("syncml:auth-md5", MD5)
CHALLENGE = [
    package_1(),
    answer_1(1, code=407, chal=CHAL),
    package_1(2, status=header(1, 1), cred=CRED),
    answer_1(2, command("Get", 40, SWV), msg_ref=2),
    client(3, header(1, 2), done(2, 2, 40, "Get"), value(3, 2, 40, SWV, "10.0"), cred=CRED),
    server(3, header(1, 3)),
]
UNENROLL = [
    package_1(1, syncml.alert(5, "1226", syncml.item(data="1", Type=names.UNENROLL_ALERT, Format="int"))),
    answer_1(1, extra=(5,)),
]
BY_SERVER = [package_1(), answer_1(1, command("Exec", 40, "./Vendor/MSFT/DMClient/Provider/P/Unenroll", data="P"))]
WNS = [
    package_1(),
    answer_1(1, command("Get", 40, NEXT + "ChannelURI"), command("Get", 41, NEXT + "Status")),
    client(2, header(1, 1), done(2, 1, 40, "Get"), value(3, 1, 40, NEXT + "ChannelURI", "https://db5p.example/?token=a"),
           done(4, 1, 41, "Get"), value(5, 1, 41, NEXT + "Status", "0", Format="int")),
    END,
]
ABORT = [package_1(), answer_1(1, syncml.alert(40, "1223"))]
NO_ID = [
    package_1(),
    answer_1(1, command("Get", 40, SWV)),
    client(2, header(1, 1), done(2, 1, 40, "Get", 500)),
    END,
]
ATOMIC_OK = [
    package_1(),
    answer_1(1, atomic(40, command("Add", 41, AB, data="1"), command("Delete", 42, "./Vendor/MSFT/Policy/Config/X"))),
    client(2, header(1, 1), done(2, 1, 40, "Atomic"), done(3, 1, 41, "Add"), done(4, 1, 42, "Delete")),
    END,
]
TWO_ITEMS = [
    package_1(),
    answer_1(1, syncml.element("Get", syncml.leaf("CmdID", 40), syncml.item(target=SWV), syncml.item(target="./Nowhere"))),
    client(2, header(1, 1), done(2, 1, 40, "Get"), done(3, 1, 40, "Get", 404), value(4, 1, 40, SWV, "10.0")),
    END,
]
SESSIONS = {"commands": COMMANDS, "down": OBJECT_DOWN, "up": OBJECT_UP, "challenge": CHALLENGE, "unenroll": UNENROLL,
            "by-server": BY_SERVER, "wns": WNS, "abort": ABORT, "no-id": NO_ID, "atomic-ok": ATOMIC_OK,
            "two-items": TWO_ITEMS}
STATUS_2 = done(4, 1, 41, "Replace")
GET_RESULT = value(3, 1, 40, SWV, "10.0")

# (rule, session, number of the message, old, new)
CASES = [
    ("SYN-XML", "commands", 0, "</SyncML>", ""),
    ("SYN-XML", "commands", 1, "<Data>2</Data>", "<Data><?xml version='1.0'?>2</Data>"),
    ("SYN-SHAPE", "commands", 0, "SyncHdr>", "Header>"),
    ("SYN-SHAPE", "commands", 0, "</SyncBody>", "</SyncBody><More/>"),
    ("SYN-NAMESPACE", "commands", 0, "SYNCML:SYNCML1.2", "SYNCML:SYNCML1.1"),
    ("SYN-ORDER", "commands", 0, "<VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>",
     "<VerProto>DM/1.2</VerProto><VerDTD>1.2</VerDTD>"),
    ("SYN-ORDER", "commands", 2, "<Cmd>Exec</Cmd><Data>202</Data>", "<Data>202</Data><Cmd>Exec</Cmd>"),
    ("SYN-UNKNOWN", "commands", 0, "<Data>1201</Data>", "<Data>1201</Data><Colour>red</Colour>"),
    ("SYN-FIELDS", "no-id", 1, syncml.item(target=SWV), ""),
    ("SYN-VERDTD", "commands", 0, "<VerDTD>1.2<", "<VerDTD>1.1<"),
    ("SYN-VERPROTO", "commands", 1, "DM/1.2", "DM/1.1"),
    ("SYN-SESSION", "commands", 0, "<SessionID>7<", "<SessionID>12345<"),
    ("SYN-SESSION-SAME", "commands", 2, "<SessionID>7<", "<SessionID>8<"),
    ("SYN-MSGID", "commands", 0, "<MsgID>1<", "<MsgID>one<"),
    ("SYN-MSGID-NEXT", "commands", 2, "<MsgID>2<", "<MsgID>4<"),
    ("SYN-MSGID-NEXT", "commands", 3, "<MsgID>2<", "<MsgID>5<"),
    ("SYN-TARGET", "commands", 0, ADDR + "<", ADDR + "?mode=Machine<"),
    ("SYN-TARGET", "commands", 1, "<Target><LocURI>" + DEVICE, "<Target><LocURI>X" + DEVICE),
    ("SYN-SOURCE", "commands", 2, "<Source><LocURI>" + DEVICE, "<Source><LocURI>X" + DEVICE),
    ("SYN-SOURCE", "commands", 1, "<Source><LocURI>" + ADDR, "<Source><LocURI>"),
    ("SYN-CRED", "challenge", 2, "auth-md5", "auth-plain"),
    ("SYN-CRED", "challenge", 2, MD5, "c2hvcnQ="),
    ("SYN-CRED-PLACE", "commands", 1, "<Get><CmdID>40</CmdID>", "<Get><CmdID>40</CmdID>" + CRED),
    ("SYN-EMPTY", "commands", 3, header(1, 2), ""),
    ("SYN-COMMAND", "commands", 1, "<Get><CmdID>40", "<Fetch/><Get><CmdID>40"),
    ("SYN-SIDE", "commands", 2, "<Final/>", command("Get", 99, SWV) + "<Final/>"),
    ("SYN-SIDE", "commands", 1, "<Final/>", value(99, 1, 1, SWV, "x") + "<Final/>"),
    ("SYN-SIDE", "commands", 2, "<Final/>", syncml.element("Replace", syncml.leaf("CmdID", 99), syncml.item(
        source=SWV, data="x")) + "<Final/>"),
    ("SYN-FINAL-LAST", "commands", 0, "<SyncBody>", "<SyncBody><Final/>"),
    ("SYN-CMDID", "no-id", 1, "<CmdID>40</CmdID>", ""),
    ("SYN-CMDID-ZERO", "no-id", 1, "<CmdID>40</CmdID>", "<CmdID>0</CmdID>"),
    ("SYN-CMDID-UNIQUE", "commands", 1, "<CmdID>41<", "<CmdID>40<"),
    ("SYN-CDATA", "commands", 0, "<Data>Peer Inc.</Data>", "<Data><![CDATA[Peer Inc.]]></Data>"),
    ("SYN-DECLARATION", "commands", 0, "<SyncML ", "<?xml version='1.0'?><SyncML "),
    ("META-NAMESPACE", "commands", 1, '<Format xmlns="syncml:metinf">int</Format></Meta><Data>2<',
     "<Format>int</Format></Meta><Data>2<"),
    ("META-FORMAT", "commands", 2, '<Format xmlns="syncml:metinf">chr<', '<Format xmlns="syncml:metinf">text<'),
    ("META-TYPE", "commands", 2, '<Format xmlns="syncml:metinf">chr</Format>',
     '<Format xmlns="syncml:metinf">chr</Format><Type xmlns="syncml:metinf">words</Type>'),
    ("META-VALUE", "commands", 1, "<Data>2</Data>", "<Data>two</Data>"),
    ("META-VALUE", "wns", 2, '<Format xmlns="syncml:metinf">chr<', '<Format xmlns="syncml:metinf">b64<'),
    ("LOC-SLASH", "commands", 1, "./Nowhere", "/Nowhere"),
    ("LOC-DOTS", "commands", 1, "./Nowhere", "./DevInfo/../Nowhere"),
    ("LOC-SPACE", "commands", 1, "./Nowhere", "./No where"),
    ("LOC-TARGET", "commands", 1, syncml.item(target="./Nowhere"), syncml.item(source="./Nowhere")),
    ("ST-HEADER", "commands", 2, header(1, 1), ""),
    ("ST-HEADER", "commands", 1, header(1, 1) + done(2, 1, 2, "Alert"), done(2, 1, 2, "Alert") + header(1, 1)),
    ("ST-MSGREF", "commands", 2, header(1, 1), header(1, 2)),
    ("ST-MSGREF", "commands", 2, STATUS_2, done(4, 9, 41, "Replace")),
    ("ST-MSGREF", "commands", 2, GET_RESULT, value(3, 2, 40, SWV, "10.0")),
    ("ST-CMDREF", "commands", 2, "<Final/>", done(99, 1, 77, "Get") + "<Final/>"),
    ("ST-CMD", "commands", 2, STATUS_2, done(4, 1, 41, "Add")),
    ("ST-CMD", "commands", 2, header(1, 1), header(1, 1).replace("SyncHdr", "Header")),
    ("ST-ONCE", "commands", 2, STATUS_2, STATUS_2 + done(98, 1, 41, "Replace")),
    ("ST-ORDER", "commands", 2, STATUS_2 + done(5, 1, 42, "Add", 418), done(5, 1, 42, "Add", 418) + STATUS_2),
    ("ST-MISSING", "commands", 2, STATUS_2, ""),
    ("ST-MISSING", "commands", 1, done(30, 1, 90, "Replace"), ""),
    ("ST-RESULTS", "up", 5, "<Final/>", done(9, 3, 3, "Results") + "<Final/>"),
    ("ST-CODE", "commands", 2, "<Data>418<", "<Data>777<"),
    ("ST-212", "commands", 2, STATUS_2, done(4, 1, 41, "Replace", 212)),
    ("ST-213", "commands", 2, STATUS_2, done(4, 1, 41, "Replace", 213)),
    ("ST-216", "commands", 2, STATUS_2, done(4, 1, 41, "Replace", 216)),
    ("ST-507", "commands", 2, STATUS_2, done(4, 1, 41, "Replace", 507)),
    ("ST-418", "commands", 2, STATUS_2, done(4, 1, 41, "Replace", 418)),
    ("ST-202", "commands", 2, STATUS_2, done(4, 1, 41, "Replace", 202)),
    ("ST-CHALLENGE", "challenge", 1, CHAL, ""),
    ("ST-CHAL-FORM", "challenge", 1, "auth-md5", "auth-magic"),
    ("ST-CHAL-FORM", "challenge", 1, base64.b64encode(b"nonce").decode(), "*"),
    ("RES-REF", "commands", 2, GET_RESULT, GET_RESULT + value(99, 1, 41, SWV, "x")),
    ("RES-MISSING", "commands", 2, GET_RESULT, ""),
    ("RES-FAILED", "commands", 2, "<Final/>", value(99, 1, 47, "./Nowhere", "x") + "<Final/>"),
    ("RES-SOURCE", "commands", 2, "<Source><LocURI>%s</LocURI></Source>" % SWV, ""),
    ("RES-META", "commands", 2, '<Meta><Format xmlns="syncml:metinf">chr</Format></Meta>', ""),
    ("RES-URI", "commands", 2, SWV, SWV.lower()),
    ("ATOM-CODE", "atomic-ok", 2, done(4, 1, 42, "Delete"), done(4, 1, 42, "Delete", 404)),
    ("ATOM-ROLLBACK", "commands", 2, "<Data>216<", "<Data>200<"),
    ("ATOM-NESTED", "atomic-ok", 1, command("Add", 41, AB, data="1"), atomic(41, command("Add", 43, AB, data="1"))),
    ("ATOM-GET", "atomic-ok", 1, command("Add", 41, AB, data="1"), command("Get", 41, AB)),
    ("ATOM-ADD-REPLACE", "atomic-ok", 1, command("Delete", 42, "./Vendor/MSFT/Policy/Config/X"),
     command("Replace", 42, AB.replace("./Device/", "./"), data="2")),
    ("ATOM-SCOPE", "atomic-ok", 1, "./Vendor/MSFT/Policy/Config/X", "./User/Vendor/MSFT/Policy/Config/X"),
    ("PKG-FINAL-1", "commands", 0, "<Final/>", ""),
    ("PKG-SESSION-ALERT", "commands", 0, syncml.alert(2, "1201"), ""),
    ("PKG-LOGIN", "commands", 0, "<Data>user</Data>", "<Data>root</Data>"),
    ("PKG-DEVINFO", "commands", 0, syncml.item(source="./DevInfo/Lang", data="en-US"), ""),
    ("PKG-DEVID", "commands", 0, "<Data>" + DEVICE, "<Data>X" + DEVICE),
    ("PKG-ORDER", "unenroll", 0, syncml.alert(2, "1201") + syncml.alert(3, "1224", syncml.item(
        data="user", Type=names.LOGIN_STATUS)), syncml.alert(3, "1224", syncml.item(
            data="user", Type=names.LOGIN_STATUS)) + syncml.alert(2, "1201")),
    ("PKG-FINAL-SERVER", "commands", 1, "<Final/>", ""),
    ("PKG-FINAL-EARLY", "down", 2, "</SyncBody>", "<Final/></SyncBody>"),
    ("PKG-NEXT", "up", 3, syncml.alert(3, "1222"), ""),
    ("PKG-NEXT", "up", 3, syncml.alert(3, "1222"), syncml.alert(3, "1222") + command("Get", 4, SWV)),
    ("ALERT-CODE", "unenroll", 0, "<Data>1226<", "<Data>1299<"),
    ("ALERT-SESSION", "commands", 2, "<Final/>", syncml.alert(99, "1201") + "<Final/>"),
    ("ALERT-ITEM", "unenroll", 0, names.UNENROLL_ALERT, ""),
    ("ALERT-UNENROLL", "unenroll", 0, '<Format xmlns="syncml:metinf">int<', '<Format xmlns="syncml:metinf">chr<'),
    ("ALERT-NEXT", "commands", 2, "<Final/>", syncml.alert(99, "1222") + "<Final/>"),
    ("ALERT-ABORT", "abort", 1, "<Final/>", ""),
    ("CHUNK-SIZE", "down", 1, '<Meta><Size xmlns="syncml:metinf">8</Size></Meta>', ""),
    ("CHUNK-SIZE-ONCE", "down", 3, "<Data>efgh", '<Meta><Size xmlns="syncml:metinf">8</Size></Meta><Data>efgh'),
    ("CHUNK-TOTAL", "down", 3, "<Data>efgh", "<Data>efghi"),
    ("CHUNK-NEXT", "down", 3, BIG, AB),
    ("CHUNK-LAST", "down", 1, "</SyncBody>", command("Get", 41, SWV) + "</SyncBody>"),
    ("CHUNK-FINAL", "down", 1, "</SyncBody>", "<Final/></SyncBody>"),
    ("CHUNK-ATOMIC", "down", 1, command("Replace", 40, BIG, data="abcd", more=True, Size=8),
     atomic(41, command("Replace", 40, BIG, data="abcd", more=True, Size=8))),
    ("CHUNK-ACK", "down", 2, "<Data>213<", "<Data>200<"),
    ("CHUNK-ACK", "up", 3, done(2, 2, 3, "Results", 213), ""),
    ("CHUNK-ASK", "down", 2, syncml.alert(3, "1222"), ""),
    ("AUTH-ONLY-STATUS", "challenge", 1, "<Final/>", command("Get", 40, SWV) + "<Final/>"),
    ("AUTH-CRED", "challenge", 2, CRED, ""),
    ("AUTH-KEEP", "challenge", 4, CRED, ""),
    ("WNS-CHANNEL", "wns", 2, "https://db5p", "http://db5p"),
    ("WNS-STATUS", "wns", 2, "<Data>0</Data>", "<Data>9</Data>"),
]


def judge(session, upto, **options):
    """The breaches of message `upto` (of all when None, with the end)."""
    checker = SessionChecker(DEVICE, ADDR, **options)
    found = []
    for number, (side, text) in enumerate(session):
        found = getattr(checker, side)(text.encode())
        if number == upto:
            return found
        assert not found, [(v.rule, v.detail) for v in found]
    return found + checker.end()


class SyncmlRules(support.RuleCase):
    """Sessions, message by message."""

    def test_good_sessions(self):
        for name, session in SESSIONS.items():
            with self.subTest(name):
                self.assertEqual([(v.rule, v.detail) for v in judge(session, None)], [])

    def test_rules(self):
        for rule, name, number, old, new in CASES:
            with self.subTest(rule=rule, session=name, new=new[:60]):
                session = list(SESSIONS[name])
                side, text = session[number]
                self.assertIn(old, text)
                session[number] = side, text.replace(old, new)
                self.expect(rule, judge(session, number))

    def test_size(self):
        session = [package_1(), answer_1(1, command("Get", 40, SWV))]
        session[1] = ("server", session[1][1].replace("</SyncHdr>", syncml.meta(MaxMsgSize=800) + "</SyncHdr>"))
        session.append(client(2, header(1, 1), done(2, 1, 40, "Get"), value(3, 1, 40, SWV, "x" * 800)))
        self.expect("SYN-MAX-SIZE", judge(session, 2))

    def test_needless_message(self):
        session = [package_1(), answer_1(1), client(2, header(1, 1))]
        self.expect("PKG-NEEDLESS", judge(session, 2))

    def test_session_cut(self):
        self.expect("PKG-CUT", judge([package_1(), answer_1(1, command("Get", 40, SWV))], None))

    def test_wrong_size_needs_424(self):
        session = [list(m) for m in OBJECT_DOWN]
        checker = SessionChecker(DEVICE, ADDR)
        for side, text in session[:4]:
            found = getattr(checker, side)(text.replace("efgh", "efghi").encode())
        self.assertEqual([v.rule for v in found], ["CHUNK-TOTAL"])
        self.expect("CHUNK-424", checker.client(session[4][1].encode()))

    def test_unenrollment_by_the_server(self):
        status = client(2, header(1, 1), done(2, 1, 40, "Exec"))
        self.expect("UNENROLL-STATUS", judge(BY_SERVER + [status], 2))
        self.expect("UNENROLL-ALERT", judge([package_1()], 0, expect_unenroll=True))
        self.assertEqual(judge(UNENROLL, None, expect_unenroll=True), [])

    def test_fleet_s_repeated_message_1_is_accepted(self):
        session = CHALLENGE[:2] + [package_1(1, cred=CRED)]
        self.assertEqual([(v.rule, v.detail) for v in judge(session, 2)], [])
